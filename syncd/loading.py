"""What a process loads stays to its end: the garbage collector is spared it, a fifth of the time of a short command."""

from __future__ import annotations

import gc
from typing import Final

_OBJECTS: Final = 100_000
"""New objects after which it looks for garbage meanwhile: a few times, not hundreds of times."""
_USUAL: Final = gc.get_threshold()


def begin() -> None:
    """Let garbage wait while modules are loaded; it is collected all the same where `end` is never called."""
    gc.set_threshold(_OBJECTS)


def end() -> None:
    """Leave what is there alone from now on, also when the process ends, and collect as usual what comes."""
    gc.freeze()
    gc.set_threshold(*_USUAL)


__all__ = ["begin", "end"]
