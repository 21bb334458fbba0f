"""The part of a plan that is about people, while it is being made."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.core.matching import Doubt
from syncd.core.plan import Change


@dataclass
class Draft:
    """The changes of people so far, by key: each step adds changes, and a later step may remove them."""

    changes: dict[str, list[Change]] = field(default_factory=dict)
    doubts: dict[str, Doubt] = field(default_factory=dict)
    """Reasons why a person decides about a change."""
    digests: dict[str, bytes] = field(default_factory=dict)
    """Digests of entries that differ without a change."""
    forgotten: list[str] = field(default_factory=list)
    """Users who are neither wanted nor at the target."""

    def leave_alone(self, key: str) -> None:
        """Remove everything about one person: this run changes nothing, and the next run compares the person again."""
        self.changes.pop(key, None)
        self.doubts.pop(key, None)
        self.digests.pop(key, None)
