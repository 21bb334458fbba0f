"""What came before the deletions of one target: calls of `before_delete`, each written down before it is made.

A row belongs to one deletion: of this key, this account, switched off at this moment. The account of somebody who came
back and left again is another deletion, of which nothing is done yet.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass
from datetime import datetime, timedelta
from typing import Final

from syncd.core.digest import fingerprint
from syncd.core.model import Known
from syncd.core.plan import Change
from syncd.core.quarantine import next_try
from syncd.store.rows import Rows, moment_of, spoken, text_of

_COLUMNS: Final = "key, account, off_since, id, attempts, failures, since, next_try, done, detail"


@dataclass(frozen=True, slots=True)
class Preparation:
    """What came before one deletion."""

    key: str
    account: str
    """The id at the target."""
    off_since: datetime | None
    id: str
    """The idempotency key: the same for each attempt, and another one for each deletion."""
    attempts: int
    failures: int = 0
    """Runs in which it failed."""
    since: datetime | None = None
    """The first failure."""
    next_try: datetime | None = None
    """None: by the next run."""
    done: datetime | None = None
    """The success; None without one."""
    detail: str = ""
    """The last failure."""

    def is_for(self, known: Known) -> bool:
        """Return whether it belongs to the deletion of this account, as it is switched off now."""
        return (self.key, self.account, self.off_since) == (known.key, known.id, known.since)

    @property
    def said(self) -> str:
        """The last failure, how often it failed, and when it is tried again."""
        times = f"; failed {self.failures} times since {spoken(self.since)}" if self.since and self.failures > 1 else ""
        again = f"next try at {spoken(self.next_try)}" if self.next_try else "the next run tries again"
        return f"{self.detail}{times}; {again}"


class Preparations(Rows):
    """Reads and writes one target's rows. Writes belong inside the state file's `atomic()`."""

    def of(self, known: Known) -> Preparation | None:
        """Return what came before the deletion of an account as it is now; None where nothing did."""
        found = [each for each in self._select("key = ?", known.key) if each.is_for(known)]
        return found[0] if found else None

    def attempt(self, change: Change, known: Known, now: datetime) -> Preparation:
        """Write that a call is about to be made; return its row, with the idempotency key and this attempt's number."""
        before = self.of(known)
        if before is not None:
            self._conn.execute(
                "UPDATE preparations SET attempts = attempts + 1 WHERE target = ? AND key = ?",
                [self._target, known.key],
            )
            return self._select("key = ?", known.key)[0]
        id_ = fingerprint([self.name, change.id, known.id, text_of(known.since), text_of(now)]).hex()
        self._conn.execute(
            "INSERT OR REPLACE INTO preparations (target, key, account, off_since, id, attempts)"
            " VALUES (?, ?, ?, ?, ?, 1)",
            [self._target, known.key, known.id, text_of(known.since), id_],
        )
        return Preparation(known.key, known.id, known.since, id_, 1)

    def succeeded(self, key: str, now: datetime) -> None:
        """Write that a call has succeeded: it is not made again for this deletion."""
        self._conn.execute(
            "UPDATE preparations SET done = ?, next_try = NULL, detail = '' WHERE target = ? AND key = ?",
            [text_of(now), self._target, key],
        )

    def failed(self, key: str, detail: str, now: datetime, *, passing: bool, retry_after: float) -> Preparation:
        """Write that all attempts of a run failed.

        `passing`: the next run tries again, `retry_after` seconds from now at the earliest. Else the intervals are
        those of the quarantine.
        """
        (known,) = self._select("key = ?", key)
        failures = known.failures + 1
        again: datetime | None = next_try(failures, now)
        if passing:
            again = now + timedelta(seconds=retry_after) if retry_after else None
        self._conn.execute(
            "UPDATE preparations SET failures = ?, since = ?, next_try = ?, detail = ? WHERE target = ? AND key = ?",
            [
                failures,
                text_of(known.since or now),
                text_of(again),
                detail,
                self._target,
                key,
            ],
        )
        return self._select("key = ?", key)[0]

    def waiting(self, now: datetime) -> dict[str, Preparation]:
        """Return by key what must not be tried again yet."""
        found = self._select("done IS NULL AND next_try > ?", text_of(now))
        return {each.key: each for each in found}

    def all(self) -> list[Preparation]:
        """Return every row."""
        return self._select("1")

    def refresh(self, keys: Collection[str]) -> None:
        """Forget every deletion but of these keys: no complete plan has it any more, or it is done."""
        known = self._conn.execute("SELECT key FROM preparations WHERE target = ?", [self._target]).fetchall()
        self._conn.executemany(
            "DELETE FROM preparations WHERE target = ? AND key = ?",
            [(self._target, key) for (key,) in known if key not in keys],
        )

    def _select(self, condition: str, *parameters: object) -> list[Preparation]:
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM preparations WHERE target = ? AND {condition} ORDER BY rowid",
            [self._target, *parameters],
        ).fetchall()
        return [
            Preparation(
                key,
                account,
                moment_of(off_since),
                id_,
                attempts,
                failures,
                moment_of(since),
                moment_of(again),
                moment_of(done),
                detail,
            )
            for key, account, off_since, id_, attempts, failures, since, again, done, detail in rows
        ]


__all__ = ["Preparation", "Preparations"]
