"""Let reads see an older state, as lagging replicas do: SQLite's snapshots, held open.

Owns the snapshots and how long each is held. The lag is approximate: a write becomes visible up to a
twentieth of the lag early, so that a thousand writes a second don't hold a thousand connections open.
"""

from __future__ import annotations

import sqlite3
import time
from collections import deque
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from syncd.sandbox.database import Database


@dataclass(frozen=True, slots=True)
class Snapshot:
    """The state just before a write."""

    connection: sqlite3.Connection
    taken: float
    until: float


class Staleness:
    """The snapshots from before recent writes, oldest first."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.snapshots: deque[Snapshot] = deque()

    @contextmanager
    def writing(self, lag_milliseconds: int) -> Iterator[None]:
        """Hold the state before the write in the block, for as long as reads shall see that state."""
        self._drop_old()
        lag = lag_milliseconds / 1000
        at = time.monotonic()
        if lag and not (self.snapshots and at - self.snapshots[-1].taken < lag / 20):
            self.snapshots.append(Snapshot(self.database.snapshot(), at, at + lag))
        yield

    @contextmanager
    def reading(self, *, stale: bool) -> Iterator[None]:
        """Let the read in the block see the oldest held state if `stale`."""
        self._drop_old()
        if not (stale and self.snapshots):
            yield
            return
        with self.database.seen_from(self.snapshots[0].connection):
            yield

    def _drop_old(self) -> None:
        while self.snapshots and self.snapshots[0].until < time.monotonic():
            self.snapshots.popleft().connection.close()
