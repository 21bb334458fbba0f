"""Entries that wait for the entries that they refer to: a few in memory, the rest in a file without a name."""

from __future__ import annotations

import marshal
from collections.abc import Iterator
from tempfile import TemporaryFile
from typing import IO, Final

from syncd.core.model import Attributes

Waiting = tuple[str, Attributes, str, list[bytes]]
"""Key, attributes, where, and the raw names that the entry refers to."""

_IN_MEMORY: Final = 1000
_LENGTH: Final = 8


class WaitingRoom:
    """Entries in the order they came; memory stays flat however many wait."""

    def __init__(self) -> None:
        self.awaited: set[bytes] = set()
        """The names that entries wait for, among them some that are known."""
        self._recent: list[Waiting] = []
        self._file: IO[bytes] | None = None

    def add(self, waiting: Waiting) -> None:
        """Let an entry wait; not while the waiting ones are being gone through."""
        self.awaited.update(waiting[3])
        self._recent.append(waiting)
        if len(self._recent) == _IN_MEMORY:
            if self._file is None:
                self._file = TemporaryFile()  # noqa: SIM115 - closed by `close`
            block = marshal.dumps(self._recent)
            self._file.write(len(block).to_bytes(_LENGTH, "big") + block)
            self._recent = []

    def __iter__(self) -> Iterator[Waiting]:
        if self._file is not None:
            self._file.seek(0)
            # Not `marshal.load`, which asks the file for every single value.
            while length := self._file.read(_LENGTH):
                yield from marshal.loads(self._file.read(int.from_bytes(length, "big")))  # noqa: S302 - written above
        yield from self._recent

    def close(self) -> None:
        """Forget everything."""
        self._recent, self.awaited = [], set()
        if self._file is not None:
            self._file.close()
            self._file = None
