"""The part of a plan that is about people, while it is being made."""

from __future__ import annotations

from dataclasses import dataclass, field

from syncd.core.matching import Doubt
from syncd.core.model import Desired, State
from syncd.core.ownership import Ownership
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
    kept: dict[str, frozenset[str]] = field(default_factory=dict)
    """By key, the paths at which the target's value is kept, because the source has none."""

    def keep(self, desired: Desired, owned: Ownership) -> None:
        """Note the paths of one person at which the target's value is kept at the moment."""
        if desired.state is not State.DEACTIVATED and (paths := owned.left_alone(desired.attributes)):
            self.kept[desired.key] = paths

    def leave_alone(self, key: str) -> None:
        """Remove everything about one person: this run changes nothing, and the next run compares the person again."""
        self.changes.pop(key, None)
        self.doubts.pop(key, None)
        self.digests.pop(key, None)
