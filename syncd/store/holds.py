"""The holds of one target, and the decisions of people about them.

A decision concerns one change as it was shown, and ends with the change: when a complete plan no longer contains the
change, the source has changed, and a new change needs a new decision.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

import orjson

from syncd.core.limits import APPROVED_APART, BEFORE_DELETE
from syncd.core.model import Json
from syncd.core.plan import Change, Held, Plan, timestamp
from syncd.store.rows import Rows, dumped, moment_of, spoken, text_of

_COLUMNS: Final = "id, change, limit_name, reason, since, decision, by, decided, expires"
_SHORTEST: Final = 4
"""Number of characters that may stand for a whole id."""


class Decision(StrEnum):
    """The decision of a person."""

    APPROVED = "approved"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Hold:
    """A held change, with the time, the reason and the decision."""

    id: str
    change: Change
    limit: str
    reason: str
    since: datetime
    decision: Decision | None = None
    """None while nobody has decided."""
    by: str = ""
    decided: datetime | None = None
    expires: datetime | None = None
    """The moment at which an approval expires."""

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "change": self.change.to_json(),
            "limit": self.limit,
            "reason": self.reason,
            "since": timestamp(self.since),
            "decision": self.decision.value if self.decision else None,
            "by": self.by,
            "decided": timestamp(self.decided) if self.decided else None,
            "expires": timestamp(self.expires) if self.expires else None,
        }

    @classmethod
    def from_json(cls, data: Json) -> Hold:
        """Read what `to_json` gave."""
        return cls(
            data["id"],
            Change.from_json(data["change"]),
            data["limit"],
            data["reason"],
            datetime.fromisoformat(data["since"]),
            Decision(data["decision"]) if data["decision"] else None,
            data["by"],
            moment_of(data["decided"]),
            moment_of(data["expires"]),
        )


class Holds(Rows):
    """Reads and writes one target's holds. Writes belong inside the state file's `atomic()`."""

    def refresh(self, plan: Plan, now: datetime, unseen: Collection[str] = ()) -> list[Hold]:
        """Store the holds of a complete plan; return the new ones.

        `unseen`: the limits that this kind of plan can't judge. Holds by these limits stay, and none is added.

        #  in the plan      known as                      -> row
        #  held             -                                new, undecided
        #  held             undecided, approved, rejected    stays, with the plan's reason
        #  held             approval has expired             undecided again
        #  held             approved for a reason that       undecided: nobody has approved this reason
        #                   is not this one, which is
        #                   approved apart
        #  rejected         any                              stays
        #  to be done       approved                         stays, until it is spent
        #  to be done       held by before_delete            stays: it is tried again, and is done or fails again
        #  to be done       undecided, expired               goes: nothing withholds it any more
        #  none of these    any                              goes: its source has changed
        """
        kept = {each.id for each in plan.rejected}
        planned = {change.id for change in plan.changes}
        kept |= planned & self.approved(now)
        kept |= {hold.id for hold in self._select("limit_name = ?", BEFORE_DELETE) if hold.id in planned}
        held = {each.id: each for each in plan.held}
        shown = {id_: (dumped(each.change.to_json()), each.limit, each.reason) for id_, each in held.items()}
        known = {
            id_: tuple(row)
            for id_, *row in self._conn.execute(
                "SELECT id, change, limit_name, reason FROM holds WHERE target = ?", [self._target]
            )
        }
        gone = known.keys() - shown.keys() - kept
        self._delete(id_ for id_ in gone if id_ in planned or known[id_][1] not in unseen)
        self._undecide(self._expired(now))
        now_held = ((id_, each.limit) for id_, each in held.items() if id_ in known)
        self._undecide(id_ for id_, limit in now_held if _is_approved_apart(known[id_][1], limit))
        self._conn.executemany(
            "UPDATE holds SET change = ?, limit_name = ?, reason = ? WHERE target = ? AND id = ?",
            [(*row, self._target, id_) for id_, row in shown.items() if id_ in known and known[id_] != row],
        )
        return self.add([each for id_, each in held.items() if id_ not in known and each.limit not in unseen], now)

    def add(self, held: Iterable[Held], now: datetime) -> list[Hold]:
        """Store further holds; return the new ones."""
        added = []
        for each in held:
            row = (each.id, dumped(each.change.to_json()), each.limit, each.reason, text_of(now))
            done = self._conn.execute(
                "INSERT OR IGNORE INTO holds (target, id, change, limit_name, reason, since) VALUES (?, ?, ?, ?, ?, ?)",
                [self._target, *row],
            )
            if done.rowcount:
                added.append(Hold(each.id, each.change, each.limit, each.reason, now))
        return added

    def renew(self, held: Held, now: datetime) -> None:
        """Store a hold, or give one that nobody has decided yet this reason."""
        if not self.add([held], now):
            self._conn.execute(
                "UPDATE holds SET limit_name = ?, reason = ? WHERE target = ? AND id = ? AND decision IS NULL",
                [held.limit, held.reason, self._target, held.id],
            )

    def all(self) -> list[Hold]:
        """Return all holds, the oldest first."""
        return self._select("1")

    def ids(self) -> frozenset[str]:
        """Return the ids of all holds."""
        return frozenset(id_ for (id_,) in self._conn.execute("SELECT id FROM holds WHERE target = ?", [self._target]))

    def find(self, text: str) -> list[Hold]:
        """Return the holds selected by an id, its first characters (four or more), a limit's name, or `all`."""
        if text == "all":
            return self.all()
        if len(text) < _SHORTEST:
            return self._select("limit_name = ?", text)
        return self._select("limit_name = ? OR substr(id, 1, ?) = ?", text, len(text), text.lower())

    def approve(self, ids: Iterable[str], by: str, now: datetime, expires: datetime) -> None:
        """Approve exactly these changes, once, until `expires`."""
        self._decide(ids, Decision.APPROVED, by, now, expires)

    def reject(self, ids: Iterable[str], by: str, now: datetime) -> None:
        """Reject these changes until the source changes again."""
        self._decide(ids, Decision.REJECTED, by, now, None)

    def approved(self, now: datetime) -> frozenset[str]:
        """Return the ids of the changes whose approval is still valid."""
        return frozenset(self.approvals(now))

    def approvals(self, now: datetime) -> dict[str, str]:
        """Return by id the person who approved a change, and the time, where the approval is still valid."""
        approved = self._approved(now)
        return {
            id_: f"approved by {by} on {spoken(datetime.fromisoformat(decided))}" for id_, by, decided, _ in approved
        }

    def approved_for(self, now: datetime) -> dict[str, str]:
        """Return by id the reason for which an approved change was held, where the approval is still valid."""
        return {id_: limit for id_, _, _, limit in self._approved(now)}

    def _approved(self, now: datetime) -> list[tuple[str, str, str, str]]:
        """Return id, person, moment and reason of each valid approval."""
        return self._conn.execute(
            "SELECT id, by, decided, limit_name FROM holds WHERE target = ? AND decision = ? AND expires > ?",
            [self._target, Decision.APPROVED.value, text_of(now)],
        ).fetchall()

    def rejected(self) -> dict[str, str]:
        """Return by id the person who rejected a change, and the time."""
        rows = self._conn.execute(
            "SELECT id, by, decided FROM holds WHERE target = ? AND decision = ?",
            [self._target, Decision.REJECTED.value],
        )
        return {id_: f"rejected by {by} on {spoken(datetime.fromisoformat(decided))}" for id_, by, decided in rows}

    def spend(self, id_: str) -> None:
        """Remove a hold: the approved change is done."""
        self._delete([id_])

    def waiting(self) -> int:
        """Return the number of undecided holds."""
        return int(self._one("SELECT count(*) FROM holds WHERE target = ? AND decision IS NULL", self._target)[0])

    def _decide(self, ids: Iterable[str], decision: Decision, by: str, now: datetime, expires: datetime | None) -> None:
        self._conn.executemany(
            "UPDATE holds SET decision = ?, by = ?, decided = ?, expires = ? WHERE target = ? AND id = ?",
            [(decision.value, by, text_of(now), text_of(expires), self._target, id_) for id_ in ids],
        )

    def _expired(self, now: datetime) -> list[str]:
        rows = self._conn.execute(
            "SELECT id FROM holds WHERE target = ? AND decision = ? AND expires <= ?",
            [self._target, Decision.APPROVED.value, text_of(now)],
        )
        return [id_ for (id_,) in rows]

    def _undecide(self, ids: Iterable[str]) -> None:
        self._conn.executemany(
            "UPDATE holds SET decision = NULL, by = '', decided = NULL, expires = NULL WHERE target = ? AND id = ?",
            [(self._target, id_) for id_ in ids],
        )

    def _delete(self, ids: Iterable[str]) -> None:
        self._conn.executemany("DELETE FROM holds WHERE target = ? AND id = ?", [(self._target, id_) for id_ in ids])

    def _select(self, condition: str, *parameters: object) -> list[Hold]:
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM holds WHERE target = ? AND ({condition}) ORDER BY since, rowid",
            [self._target, *parameters],
        )
        return [_hold(row) for row in rows]


def _is_approved_apart(before: str, now: str) -> bool:
    """Return whether a decision about a hold for one reason says nothing about the reason that holds it now."""
    return now in APPROVED_APART and before != now


def _hold(row: tuple[str, str, str, str, str, str | None, str, str | None, str | None]) -> Hold:
    id_, change, limit, reason, since, decision, by, decided, expires = row
    return Hold(
        id_,
        Change.from_json(orjson.loads(change)),
        limit,
        reason,
        datetime.fromisoformat(since),
        Decision(decision) if decision else None,
        by,
        moment_of(decided),
        moment_of(expires),
    )
