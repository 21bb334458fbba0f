"""The source's entries as they were last read, kept for explaining why somebody is in their state.

The entries of a reading are staged in a temporary table, and move into the real one when the run is carried out: a
dry run leaves no trace.
"""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime

import orjson

from syncd.core.model import Entry
from syncd.store.rows import Rows, batches, dumped, text_of


class Entries(Rows):
    """Stages, keeps and returns entries."""

    def begin_staging(self) -> None:
        """Discard the entries that an earlier reading of this target staged."""
        self._have_stage()
        self._conn.execute("DELETE FROM temp.staged WHERE target = ?", [self._target])

    def stage_entries(self, entries: Iterable[Entry]) -> None:
        """Put entries aside, for this connection alone."""
        self._have_stage()
        for batch in batches(entries):
            with self._db.atomic():
                self._conn.executemany(
                    "INSERT INTO temp.staged (target, key, attributes, place) VALUES (?, ?, ?, ?)",
                    [(self._target, entry.key, dumped(entry.attributes), entry.where) for entry in batch],
                )

    def keep_staged(self, now: datetime) -> None:
        """Keep the staged entries, the last one where a key was staged twice."""
        self._have_stage()
        self._conn.execute(
            "INSERT INTO entries (target, key, attributes, place, at)"
            " SELECT target, key, attributes, place, ? FROM temp.staged WHERE target = ? ORDER BY key, rowid"
            " ON CONFLICT (target, key) DO UPDATE SET"
            " attributes = excluded.attributes, place = excluded.place, at = excluded.at",
            [text_of(now), self._target],
        )
        self._conn.execute("DELETE FROM temp.staged WHERE target = ?", [self._target])

    def entry(self, key: str) -> tuple[Entry, datetime] | None:
        """Return an entry as it was last read and kept, and when that was."""
        row = self._conn.execute(
            "SELECT attributes, place, at FROM entries WHERE target = ? AND key = ?", [self._target, key]
        ).fetchone()
        if row is None:
            return None
        attributes, place, at = row
        return Entry(key, orjson.loads(attributes), place), datetime.fromisoformat(at)

    def _have_stage(self) -> None:
        self._conn.execute(
            "CREATE TEMP TABLE IF NOT EXISTS staged"
            " (target INTEGER NOT NULL, key TEXT NOT NULL, attributes TEXT NOT NULL, place TEXT NOT NULL)"
        )
