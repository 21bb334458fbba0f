"""The lease: one process at a time works on a state file.

A lock of the operating system (flock) on a file beside it: it goes with its process, however that ends.
Not on the database itself, whose own locks a second handle in this process would drop.
"""

from __future__ import annotations

import fcntl
import os
from contextlib import suppress
from pathlib import Path
from types import TracebackType

from syncd.errors import LeaseHeld, StateUnwritable


def give_to_owner(handle: int, folder: Path) -> None:
    """Give a file that root has made to the folder's owner: a service must be able to open the file later."""
    if os.geteuid() == 0 and os.fstat(handle).st_uid != (owner := folder.stat()).st_uid:
        os.fchown(handle, owner.st_uid, owner.st_gid)


class Lease:
    """Hold the lease of a state file inside a `with` block. Raises LeaseHeld at once when somebody else has it."""

    def __init__(self, state: Path, purpose: str) -> None:
        self._path = state.with_name(state.name + ".lease")
        self._state = state
        self._purpose = purpose
        self._handle: int | None = None

    def __enter__(self) -> Lease:
        try:
            handle = os.open(self._path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o600)
        except OSError as error:
            raise StateUnwritable(f"{self._path}: {error.strerror}", hint="see that its folder is writable") from None
        give_to_owner(handle, self._path.parent)
        try:
            fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            holder = os.pread(handle, 200, 0).decode(errors="replace").strip() or "unknown"
            os.close(handle)
            raise LeaseHeld(
                f"{self._state}: another process works on it ({holder})", hint="wait for it to finish, or stop it"
            ) from None
        with suppress(OSError):  # on a full disk the file can't name the holder of the lease
            os.ftruncate(handle, 0)
            os.pwrite(handle, f"process {os.getpid()}, syncd {self._purpose}\n".encode(), 0)
        self._handle = handle
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if self._handle is not None:
            with suppress(OSError):
                os.ftruncate(self._handle, 0)
            os.close(self._handle)
            self._handle = None
