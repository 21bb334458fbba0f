"""Folders that are dear to make, kept below ~/.cache for the next run of the tests."""

from __future__ import annotations

import fcntl
import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Final

CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "syncd-tests"


def made_once(name: str, make: Callable[[Path], None]) -> Path:
    """Return the folder `name`, made by `make` where there is none: whole or not at all, by one process at a time."""
    made, draft = CACHE / name, CACHE / f"{name}.draft"
    CACHE.mkdir(parents=True, exist_ok=True)
    with (CACHE / f"{name}.lock").open("w") as lock:
        fcntl.flock(lock, fcntl.LOCK_EX)
        if not made.exists():
            shutil.rmtree(draft, ignore_errors=True)
            make(draft)
            draft.rename(made)
    return made
