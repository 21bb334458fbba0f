"""Reading a state file that may not be written to: on a private copy.

SQLite can't even read a file with a write-ahead log without writing beside it, unless somebody else keeps the log's
index. A dry run also stages what it read. Both are done on a copy in the folder for temporary files.
"""

from __future__ import annotations

import os
import shutil
import sqlite3
import tempfile
from collections.abc import Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Final

from syncd.errors import StateUnwritable
from syncd.store.statefile import StateFile, explained

_ONLY_READ: Final = "mode=ro&readonly_shm=1"


@contextmanager
def readable(path: Path) -> Iterator[StateFile]:
    """Open a state file to read it; writes inside the block may be lost. Raises StateError.

    #  the file          it and its folder may be   -> is opened
    #  is there          written to                    the file
    #  is there          read only                     a copy, which is gone with the block
    #  is not there      written to                    the file, which is made
    #  is not there      read only                     an empty one, which is gone with the block
    """
    with explained(path):
        is_there, is_file = path.exists(), path.is_file()
    if is_there is not is_file or _may_be_written(path):
        with StateFile(path) as state:
            yield state
        return
    try:
        folder = tempfile.TemporaryDirectory(prefix="syncd-")
    except OSError as error:
        raise _no_copy(path, error.strerror or str(error)) from None
    with folder:
        copy = Path(folder.name) / "syncd.db"
        if is_file:
            _copy(path, copy)
        with StateFile(copy, called=path) as state:
            yield state


def _may_be_written(path: Path) -> bool:
    """Return whether file and folder may be written to; where one is not there, whether it can be made."""
    there = path if path.exists() else next(each for each in path.absolute().parents if each.exists())
    folder = path.parent if there == path else there
    return not folder.is_dir() or all(os.access(each, os.W_OK, effective_ids=True) for each in (there, folder))


def _copy(path: Path, copy: Path) -> None:
    """Copy a state file as it was last committed. Raises StateError.

    #  the log's index   so                                    -> the copy is made by
    #  is there          a process has it open, or was killed     SQLite, which reads the index, or makes one in memory
    #  is not there      no process has it open                   copying bytes, of the log too where one is left

    The index in memory: https://sqlite.org/wal.html#readonly.
    """
    with explained(path):
        with path.open("rb"):  # SQLite says "unable to open" for every cause that prevents reading
            pass
        try:
            if _beside(path, "-shm").exists():
                with (
                    closing(sqlite3.connect(f"{path.absolute().as_uri()}?{_ONLY_READ}", uri=True, timeout=10)) as file,
                    closing(sqlite3.connect(copy)) as private,
                ):
                    file.backup(private)
                return
            before = _version(path)
            for name in ("", "-wal"):
                if _beside(path, name).exists():
                    shutil.copyfile(_beside(path, name), _beside(copy, name))
        except sqlite3.OperationalError as error:
            raise _no_copy(path, str(error)) from None
        except OSError as error:
            raise _no_copy(path, error.strerror or str(error)) from None
        if _beside(path, "-shm").exists() or _version(path) != before:
            problem = f"{path}: was written to while it was copied"
            raise StateUnwritable(problem, hint="try again; a syncd that has just started is at work")


def _beside(path: Path, name: str) -> Path:
    return path.with_name(f"{path.name}{name}")


def _no_copy(path: Path, problem: str) -> StateUnwritable:
    return StateUnwritable(
        f"{path}: can't be copied to a folder for temporary files: {problem}",
        hint=f"{path.parent} or the file may not be written to, so that only a copy can be read: set TMPDIR to a "
        "folder with room for the copy, or run as the file's owner",
    )


def _version(path: Path) -> tuple[int, int]:
    """Return the file's time and size, which change with each write."""
    found = path.stat()
    return found.st_mtime_ns, found.st_size
