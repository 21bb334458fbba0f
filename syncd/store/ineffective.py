"""The changes at one target that have no effect at present: answered with success, and not so when looked at."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from syncd.core.model import Json
from syncd.core.plan import Change, timestamp
from syncd.store.put_back import PutBack
from syncd.store.quarantine import Quarantine


@dataclass(frozen=True, slots=True)
class WithoutEffect:
    """One change that has no effect."""

    change: Change
    since: datetime
    reason: str
    next_try: datetime | None = None
    """When it is sent again; None: in each full resync."""

    def to_json(self) -> Json:
        return {
            "change": self.change.to_json(),
            "since": timestamp(self.since),
            "reason": self.reason,
            "next_try": timestamp(self.next_try) if self.next_try else None,
        }


def without_effect(quarantine: Quarantine, put_back: PutBack) -> list[WithoutEffect]:
    """Return the changes without effect, the oldest first.

    #  a look right after it showed no effect        quarantined, and tried again ever more rarely
    #  a full resync found that it was undone        sent again by each full resync
    """
    looked_at = [
        WithoutEffect(each.change, each.since, each.detail, each.next_try)
        for each in quarantine.all()
        if each.without_effect
    ]
    told = {(each.change.action, each.change.key) for each in looked_at}
    undone = [
        WithoutEffect(each.change, each.since, each.detail)
        for each in put_back.without_effect()
        if each.since is not None and (each.change.action, each.change.key) not in told
    ]
    return sorted([*looked_at, *undone], key=lambda each: each.since)


__all__ = ["WithoutEffect", "without_effect"]
