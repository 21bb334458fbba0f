"""What the last full resyncs put back at one target: drift that comes back unchanged is found by comparing with it."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

import orjson

from syncd.core.drift import Drift, Reaction
from syncd.core.plan import Change
from syncd.core.returning import returned
from syncd.store.rows import Rows, dumped, moment_of, text_of

_COLUMNS: Final = "drift, change, run, at, since, detail"


@dataclass(frozen=True, slots=True)
class Correction:
    """Drift that a change of a full resync has put back."""

    drift: Drift
    """As much of it as was put back."""
    change: Change
    run: int
    at: datetime
    since: datetime | None = None
    """When a full resync first found that it had come back; None while it lasts."""
    detail: str = ""
    """Why the change is without effect; "" while it lasts."""


class PutBack(Rows):
    """Reads and writes one target's corrections. Writes belong inside the state file's `atomic()`."""

    def add(self, correction: Correction) -> None:
        """Remember a correction, in place of an earlier one of the same drift."""
        drift = correction.drift
        self._conn.execute(
            f"INSERT OR REPLACE INTO put_back (target, kind, key, class, {_COLUMNS})"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?, ?)",
            [
                self._target,
                drift.kind.value,
                drift.key,
                drift.class_.value,
                dumped(replace(drift, returned=None).to_json()),
                dumped(correction.change.to_json()),
                correction.run,
                text_of(correction.at),
                text_of(correction.since),
                correction.detail,
            ],
        )

    def all(self) -> list[Correction]:
        """Return all corrections, the oldest first."""
        rows = self._conn.execute(
            f"SELECT {_COLUMNS} FROM put_back WHERE target = ? ORDER BY at, kind, key, class", [self._target]
        )
        return [
            Correction(
                Drift.from_json(orjson.loads(drift)),
                Change.from_json(orjson.loads(change)),
                run,
                datetime.fromisoformat(at),
                moment_of(since),
                detail,
            )
            for drift, change, run, at, since, detail in rows
        ]

    def without_effect(self) -> list[Correction]:
        """Return the corrections that came back, the oldest first."""
        return [each for each in self.all() if each.since is not None]

    def compared(self, drift: Iterable[Drift]) -> list[Drift]:
        """Return drift with what had been put back of it before."""
        known = {_place(each.drift): each for each in self.all()}
        return [_compared(each, known.get(_place(each))) for each in drift]

    def keep_returned(self, drift: Iterable[Drift]) -> None:
        """Forget every correction that lasted: its drift is not among the returned drift of a full resync."""
        back = {_place(each) for each in drift if each.returned is not None and each.reaction is Reaction.ENFORCE}
        self.forget(each.drift for each in self.all() if _place(each.drift) not in back)

    def forget(self, drift: Iterable[Drift]) -> None:
        """Forget the corrections of drift."""
        self._conn.executemany(
            "DELETE FROM put_back WHERE target = ? AND kind = ? AND key = ? AND class = ?",
            [(self._target, *_place(each)) for each in drift],
        )


def _place(drift: Drift) -> tuple[str, str, str]:
    return drift.kind.value, drift.key, drift.class_.value


def _compared(drift: Drift, former: Correction | None) -> Drift:
    if former is None:
        return drift
    return replace(drift, returned=returned(drift, former.drift, former.run, former.at))
