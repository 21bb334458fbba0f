"""The outbox: each notice stays until every channel has delivered it or given it up."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from dataclasses import dataclass
from datetime import datetime

import orjson
from sqlite_utils import Database

from syncd.core.model import Json
from syncd.store.rows import dumped, marks, moment_of, text_of


@dataclass(frozen=True, slots=True)
class Parcel:
    """A notice that one channel has not delivered yet."""

    number: int
    notice: Json
    created: datetime
    attempts: int = 0
    next_try: datetime | None = None


class Outbox:
    """Reads and writes waiting notices. Writes belong inside the state file's `atomic()`."""

    def __init__(self, db: Database) -> None:
        self._conn = db.conn

    def put(self, notice: Json, now: datetime) -> None:
        """Add a notice for every channel, including channels that are configured later."""
        self._conn.execute("INSERT INTO outbox (notice, created) VALUES (?, ?)", [dumped(notice), text_of(now)])

    def all(self) -> list[Json]:
        """Return every notice that some channel has not delivered, the oldest first."""
        return [orjson.loads(text) for (text,) in self._conn.execute("SELECT notice FROM outbox ORDER BY id")]

    def waiting(self, channel: str, limit: int) -> list[Parcel]:
        """Return the notices that a channel has not delivered, the oldest first."""
        rows = self._conn.execute(
            "SELECT outbox.id, outbox.notice, created, coalesce(attempts, 0), next_try FROM outbox"
            " LEFT JOIN deliveries ON deliveries.notice = outbox.id AND channel = ?"
            " WHERE done IS NULL ORDER BY outbox.id LIMIT ?",
            [channel, limit],
        )
        return [
            Parcel(number, orjson.loads(notice), datetime.fromisoformat(created), attempts, moment_of(again))
            for number, notice, created, attempts, again in rows
        ]

    def failed(self, channel: str, numbers: Collection[int], next_try: datetime) -> None:
        """Write a channel's failed delivery, and the time of the next attempt."""
        self._conn.executemany(
            "INSERT INTO deliveries (notice, channel, attempts, next_try) SELECT id, ?, 1, ? FROM outbox WHERE id = ?"
            " ON CONFLICT (notice, channel) DO UPDATE SET attempts = attempts + 1, next_try = excluded.next_try",
            [(channel, text_of(next_try), number) for number in numbers],
        )

    def done(self, channel: str, numbers: Collection[int], now: datetime) -> None:
        """Write that a channel has delivered a notice, or has given it up."""
        self._conn.executemany(
            "INSERT INTO deliveries (notice, channel, attempts, done) SELECT id, ?, 1, ? FROM outbox WHERE id = ?"
            " ON CONFLICT (notice, channel) DO UPDATE SET attempts = attempts + 1, done = excluded.done",
            [(channel, text_of(now), number) for number in numbers],
        )

    def sent(self, channel: str) -> list[datetime]:
        """Return the times of a channel's last messages, the oldest first."""
        rows = self._conn.execute("SELECT sent FROM messages WHERE channel = ? ORDER BY sent", [channel])
        return [datetime.fromisoformat(moment) for (moment,) in rows]

    def keep_sent(self, channel: str, moments: Collection[datetime]) -> None:
        """Write the times of a channel's last messages, in place of the former times."""
        self._conn.execute("DELETE FROM messages WHERE channel = ?", [channel])
        self._conn.executemany(
            "INSERT INTO messages (channel, sent) VALUES (?, ?)",
            [(channel, text_of(moment)) for moment in moments],
        )

    def clear(self, channels: Sequence[str]) -> None:
        """Remove the notices that all of these channels are done with: all notices, where there is no channel."""
        gone = (
            "SELECT id FROM outbox WHERE (SELECT count(*) FROM deliveries WHERE deliveries.notice = outbox.id"
            f" AND done IS NOT NULL AND channel IN ({marks(channels)})) = ?"
        )
        gone_too = [*channels, len(channels)]
        ids = [id_ for (id_,) in self._conn.execute(gone, gone_too)]
        for table, column in (("deliveries", "notice"), ("outbox", "id")):
            self._conn.executemany(f"DELETE FROM {table} WHERE {column} = ?", [(id_,) for id_ in ids])
