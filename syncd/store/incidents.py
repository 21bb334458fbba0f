"""Incidents: lasting problems, and the notices about them. An incident keeps its row for a while after its end.

Held changes and overdue invitations can be many: each is an incident with a subject of its own. Their number doesn't
matter, for SQL compares these incidents with their tables.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Any, Final

import orjson
from sqlite_utils import Database

from syncd.core.limits import APPROVED_APART
from syncd.core.model import Json, State
from syncd.core.plan import Change, timestamp
from syncd.store.rows import dumped, marks, moment_of, text_of

HELD: Final = "held"
PENDING: Final = "pending"
_APART: Final = ", ".join(f"'{limit}'" for limit in sorted(APPROVED_APART))
_HELD_AS: Final = f"holds.id || CASE WHEN limit_name IN ({_APART}) THEN ' ' || limit_name ELSE '' END"
"""The subject of a hold, in SQL: its id. A reason that is approved apart is news of its own."""


@dataclass(frozen=True, slots=True)
class Incident:
    """A problem at a target ("": at all targets), with its beginning and the facts that people were told."""

    target: str
    kind: str
    since: datetime
    subject: str = ""
    ended: datetime | None = None
    """The end of the incident; None while it lasts."""
    detail: dict[str, Json] = field(default_factory=dict)

    def to_json(self) -> Json:
        return {
            "target": self.target,
            "kind": self.kind,
            "subject": self.subject,
            "since": timestamp(self.since),
            "ended": timestamp(self.ended) if self.ended else None,
            "detail": self.detail,
        }


@dataclass(frozen=True, slots=True)
class Waiting:
    """A pending person: since when, and whether an administrator of the target has to invite them anew."""

    key: str
    name: str
    since: datetime
    uninvited: bool = False


@dataclass(frozen=True, slots=True)
class HeldAnew:
    """Holds that nobody was told of: their number by limit, and the first of them."""

    limits: dict[str, int]
    first: tuple[Change, ...]


@dataclass(frozen=True, slots=True)
class OverdueAnew:
    """Overdue invitations that nobody was told of: their number, and the first of them."""

    count: int
    first: tuple[Waiting, ...]


class Incidents:
    """Reads and writes incidents. Writes belong inside the state file's `atomic()`."""

    def __init__(self, db: Database) -> None:
        self._conn = db.conn

    def lasting(self) -> list[Incident]:
        """Return the present incidents, the oldest first; holds and invitations have tables of their own."""
        return self._select("ended IS NULL AND kind NOT IN (?, ?)", HELD, PENDING)

    def get(self, target: str, kind: str) -> Incident | None:
        """Return the incident of a kind of which a target has one at most, also one that is over."""
        return next(iter(self._select("target = ? AND kind = ? AND subject = ''", target, kind)), None)

    def put(self, incident: Incident) -> None:
        """Write an incident, in place of its former row."""
        self._conn.execute(
            "INSERT OR REPLACE INTO incidents (target, kind, subject, since, ended, detail) VALUES (?, ?, ?, ?, ?, ?)",
            [
                incident.target,
                incident.kind,
                incident.subject,
                text_of(incident.since),
                text_of(incident.ended),
                dumped(incident.detail),
            ],
        )

    def forget(self, target: str, kind: str) -> None:
        """Remove an incident that is over and done with."""
        self._conn.execute("DELETE FROM incidents WHERE target = ? AND kind = ? AND subject = ''", [target, kind])

    def forget_others(self, targets: Sequence[str]) -> None:
        """Remove the incidents of every target but these: other targets are no longer configured."""
        known = ["", *targets]
        self._conn.execute(f"DELETE FROM incidents WHERE target NOT IN ({marks(known)})", known)

    def held_anew(self, target: str, passing: Sequence[str], shown: int, now: datetime, memory: timedelta) -> HeldAnew:
        """Record the undecided holds, except those of the `passing` limits; return the holds that nobody was told of.

        A hold that returns within `memory` after its end is no news.
        """
        mine = "FROM holds JOIN targets ON targets.id = holds.target WHERE targets.name = ?"
        self._compare(HELD, target, f"SELECT {_HELD_AS} {mine}", [target], now, memory)
        new = (
            f"{mine} AND decision IS NULL AND limit_name NOT IN ({marks(passing)})"
            " AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.target = targets.name AND kind = ?"
            f" AND subject = {_HELD_AS})"
        )
        parameters = [target, *passing, HELD]
        limits = dict(
            self._conn.execute(f"SELECT limit_name, count(*) {new} GROUP BY limit_name ORDER BY 2 DESC, 1", parameters)
        )
        if not limits:
            return HeldAnew({}, ())
        rows = self._conn.execute(
            f"SELECT change {new} ORDER BY holds.since, holds.rowid LIMIT ?", [*parameters, shown]
        ).fetchall()
        self._conn.execute(
            "INSERT INTO incidents (target, kind, subject, since)"
            f" SELECT targets.name, ?, {_HELD_AS}, holds.since {new}",
            [HELD, *parameters],
        )
        return HeldAnew(limits, tuple(Change.from_json(orjson.loads(change)) for (change,) in rows))

    def overdue_anew(self, target: str, before: datetime, shown: int, now: datetime, memory: timedelta) -> OverdueAnew:
        """Record the invitations from before a moment that are still open; return those that nobody was told of."""
        # A user who has accepted and is not active yet waits for the target, not for an acceptance.
        mine = (
            "FROM users JOIN targets ON targets.id = users.target WHERE targets.name = ? AND users.state = ?"
            " AND users.since <= ? AND users.lost = 0 AND users.accepted = 0"
        )
        parameters: list[Any] = [target, State.PENDING.value, text_of(before)]
        self._compare(PENDING, target, f"SELECT users.key {mine}", parameters, now, memory)
        new = (
            f"{mine} AND NOT EXISTS (SELECT 1 FROM incidents WHERE incidents.target = targets.name AND kind = ?"
            " AND subject = users.key)"
        )
        parameters.append(PENDING)
        rows = self._conn.execute(
            f"SELECT users.key, users.name, users.since, users.uninvited {new} ORDER BY users.since, users.ref LIMIT ?",
            [*parameters, shown],
        ).fetchall()
        noted = self._conn.execute(
            "INSERT INTO incidents (target, kind, subject, since)"
            f" SELECT targets.name, ?, users.key, users.since {new}",
            [PENDING, *parameters],
        )
        first = tuple(
            Waiting(key, name, datetime.fromisoformat(since), bool(uninvited)) for key, name, since, uninvited in rows
        )
        return OverdueAnew(noted.rowcount, first)

    def _compare(
        self, kind: str, target: str, current: str, parameters: Sequence[Any], now: datetime, memory: timedelta
    ) -> None:
        """Write which incidents of one kind at a target have ended or returned, and remove those long ended."""
        mine, known = "target = ? AND kind = ?", [target, kind]
        self._conn.execute(
            f"UPDATE incidents SET ended = ? WHERE {mine} AND ended IS NULL AND subject NOT IN ({current})",
            [text_of(now), *known, *parameters],
        )
        self._conn.execute(
            f"UPDATE incidents SET ended = NULL WHERE {mine} AND ended IS NOT NULL AND subject IN ({current})",
            [*known, *parameters],
        )
        self._conn.execute(f"DELETE FROM incidents WHERE {mine} AND ended <= ?", [*known, text_of(now - memory)])

    def _select(self, condition: str, *parameters: object) -> list[Incident]:
        rows = self._conn.execute(
            "SELECT target, kind, since, subject, ended, detail FROM incidents"
            f" WHERE {condition} ORDER BY since, target, kind",
            list(parameters),
        )
        return [
            Incident(target, kind, datetime.fromisoformat(since), subject, moment_of(ended), orjson.loads(detail))
            for target, kind, since, subject, ended, detail in rows
        ]
