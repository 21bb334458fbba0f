"""The values that go into one target's comparison (rules, snapshot, decisions), and that come out of it."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from functools import cached_property

from syncd.compare.decisions import Decisions
from syncd.compare.rules import SourceRules, TargetRules
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.matching import Doubt
from syncd.core.model import Entry, Evidence, GroupEntry, Kind, Known, KnownGroup, Problem, State
from syncd.core.plan import Change, Trouble
from syncd.store import Observation, Snapshot


@dataclass(frozen=True)
class Comparison:
    """The inputs of one target's comparison, except the source's entries."""

    source: SourceRules
    target: TargetRules
    snapshot: Snapshot
    now: datetime
    decisions: Decisions = field(default_factory=Decisions)
    observation: Observation | None = None
    """The target as a full resync read it; the snapshot then describes the target's present state."""
    remember: Callable[[Sequence[Entry]], None] = lambda _: None
    """Called with the entries to keep: entries that differ, or whose change is held."""
    serial: int = field(init=False)
    """Serial of the snapshot when the comparison began: a plan is refused where the snapshot has moved since."""
    managed: int = field(init=False)
    """Users managed at the beginning: active and pending."""

    def __post_init__(self) -> None:
        object.__setattr__(self, "serial", self.snapshot.serial)
        counts = self.snapshot.counts()
        object.__setattr__(self, "managed", counts[State.ACTIVE] + counts[State.PENDING])

    @cached_property
    def known_groups(self) -> dict[str, KnownGroup]:
        """The groups that the snapshot has, by key."""
        return self.snapshot.groups()

    @cached_property
    def due(self) -> dict[str, Known]:
        """The users, by key, who have been deactivated for longer than `delete_after`."""
        after = self.target.delete_after
        if after is None or not self.target.deletes:
            return {}
        return {known.key: known for known in self.snapshot.deactivated_before(self.now - after)}


@dataclass(frozen=True)
class SourceReading:
    """One complete reading of the source, without its people: people are compared while the source yields them."""

    groups: Mapping[str, GroupEntry]
    problems: Sequence[Problem]
    """Problems that were found after the last person."""
    evidence: Evidence
    found: Mapping[Kind, Mapping[str, bool | None]]
    """The source's answers about keys that were not read, by kind: there, not there, or None where it can't say."""


@dataclass(frozen=True)
class Differences:
    """The differences between a reading of the source and one target's snapshot, before policy."""

    changes: Sequence[Change]
    """Changes of people, then of groups; not in order of execution."""
    doubts: Mapping[str, Doubt]
    """Keys of users about whose change a person decides."""
    group_doubts: Mapping[str, Doubt]
    missing: Mapping[str, datetime]
    """Keys of users who vanished, with the moment since."""
    missing_groups: Mapping[str, datetime]
    problems: Sequence[Trouble]
    evidence: Evidence
    kept: Mapping[str, frozenset[str]]
    """By key of a user, the paths that the mapping keeps while the source has no value there, as it has none now."""
    crowded: Mapping[str, Sequence[str]]
    """Keys of users whom the source has in several groups where the target has room for one, with the groups' names."""
    snapshot_updates: SnapshotUpdates
    """Without `counts`: the plan decides whether the counts are believed."""
