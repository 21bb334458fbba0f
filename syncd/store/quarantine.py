"""The quarantine of one target: changes that the target keeps refusing, tried with a growing backoff."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass
from datetime import datetime
from typing import Final

import orjson

from syncd.core.model import Json
from syncd.core.plan import Change, Result, timestamp
from syncd.core.quarantine import next_try
from syncd.store.rows import Rows, dumped, spoken, text_of

_COLUMNS: Final = "id, change, failures, since, next_try, status, detail, result"


@dataclass(frozen=True, slots=True)
class Quarantined:
    """A quarantined change. `status` and `detail`: the target's last answer."""

    id: str
    change: Change
    failures: int
    since: datetime
    next_try: datetime
    status: int
    detail: str
    result: Result = Result.FAILED

    @property
    def without_effect(self) -> bool:
        """Whether the target answered with success, and a look showed no effect."""
        return self.result is Result.INEFFECTIVE

    @property
    def reason(self) -> str:
        """Why the change is not tried now, in a sentence."""
        answer = f"{self.status}: {self.detail}" if self.detail else str(self.status)
        again = f"next try at {spoken(self.next_try)}"
        if self.without_effect:
            times = f"{self.failures} times since" if self.failures > 1 else "at"
            return f"was sent {times} {spoken(self.since)} and had no effect ({answer}); {again}"
        if self.failures == 1:
            return f"failed at {spoken(self.since)} with {answer}; {again}"
        return f"failed {self.failures} times since {spoken(self.since)}, the last time with {answer}; {again}"

    def to_json(self) -> Json:
        return {
            "id": self.id,
            "change": self.change.to_json(),
            "failures": self.failures,
            "since": timestamp(self.since),
            "next_try": timestamp(self.next_try),
            "status": self.status,
            "detail": self.detail,
            "result": self.result.value,
            "reason": self.reason,
        }


class Quarantine(Rows):
    """Reads and writes one target's quarantine. Writes belong inside the state file's `atomic()`."""

    def failed(
        self, change: Change, status: int, detail: str, now: datetime, result: Result = Result.FAILED
    ) -> Quarantined:
        """Write that a change was refused for good or had no effect, and the time of its next attempt."""
        known = self._select("id = ?", change.id)
        since, failures = (known[0].since, known[0].failures + 1) if known else (now, 1)
        each = Quarantined(change.id, change, failures, since, next_try(failures, now), status, detail, result)
        self._conn.execute(
            f"INSERT OR REPLACE INTO quarantine (target, {_COLUMNS}) VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                self._target,
                each.id,
                dumped(change.to_json()),
                failures,
                text_of(since),
                text_of(each.next_try),
                status,
                detail,
                result.value,
            ],
        )
        return each

    def succeeded(self, id_: str) -> None:
        """Remove a change that succeeded after all."""
        self._delete([id_])

    def waiting(self, now: datetime) -> dict[str, str]:
        """Return by id why a change must not be tried yet."""
        return {each.id: each.reason for each in self._select("next_try > ?", text_of(now))}

    def all(self) -> list[Quarantined]:
        """Return all quarantined changes, the oldest first."""
        return self._select("1")

    def of(self, key: str, about_user: bool) -> list[Quarantined]:
        """Return the quarantined changes of one user or one group."""
        return [each for each in self.all() if each.change.key == key and each.change.action.about_user is about_user]

    def refresh(self, ids: Collection[str]) -> None:
        """Forget every change that is none of these: it is no longer planned, held or rejected."""
        known = self._conn.execute("SELECT id FROM quarantine WHERE target = ?", [self._target]).fetchall()
        self._delete(id_ for (id_,) in known if id_ not in ids)

    def _delete(self, ids: Iterable[str]) -> None:
        self._conn.executemany(
            "DELETE FROM quarantine WHERE target = ? AND id = ?", [(self._target, id_) for id_ in ids]
        )

    def _select(self, condition: str, *parameters: object) -> list[Quarantined]:
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM quarantine WHERE target = ? AND {condition} ORDER BY since, rowid",
            [self._target, *parameters],
        ).fetchall()
        return [_quarantined(row) for row in rows]


def _quarantined(row: tuple[str, str, int, str, str, int, str, str]) -> Quarantined:
    id_, change, failures, since, again, status, detail, result = row
    return Quarantined(
        id_,
        Change.from_json(orjson.loads(change)),
        failures,
        datetime.fromisoformat(since),
        datetime.fromisoformat(again),
        status,
        detail,
        Result(result),
    )
