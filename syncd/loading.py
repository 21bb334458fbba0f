"""What a process loads: only what it uses, and out of the garbage collector's sight. A quarter of a short command."""

from __future__ import annotations

import gc
import sys
from typing import Final

_OBJECTS: Final = 100_000
"""New objects after which it looks for garbage meanwhile: a few times, not hundreds of times."""
_USUAL: Final = gc.get_threshold()

_UNUSED: Final = ("httpx._main", "rich.traceback")
"""Modules that libraries load where they find them: httpx for its own command, structlog for coloured tracebacks."""


def begin() -> None:
    """Let garbage wait while modules are loaded; it is collected all the same where `end` is never called.

    From here on, no library finds the modules that nothing here uses.
    """
    gc.set_threshold(_OBJECTS)
    for name in _UNUSED:
        sys.modules.setdefault(name, None)  # type: ignore[arg-type]


def end() -> None:
    """Leave what is there alone from now on, also when the process ends, and collect as usual what comes."""
    gc.freeze()
    gc.set_threshold(*_USUAL)


__all__ = ["begin", "end"]
