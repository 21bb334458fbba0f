"""Updates to the snapshot that follow from a comparison without any change at the target."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from syncd.core.model import Kind
from syncd.store import Snapshot


@dataclass(frozen=True)
class SnapshotUpdates:
    """Findings that are written into the snapshot when the plan is carried out; by key."""

    digests: Mapping[str, bytes] = field(default_factory=dict)
    """Digests of entries that differ from before without a difference that the target would see."""
    missing: Mapping[str, datetime] = field(default_factory=dict)
    """Users who are missing for the first time."""
    missing_groups: Mapping[str, datetime] = field(default_factory=dict)
    back: Sequence[str] = ()
    """Users who were missing and are not any more."""
    back_groups: Sequence[str] = ()
    forgotten: Sequence[str] = ()
    """Users who are neither in the source nor at the target any more."""
    forgotten_groups: Sequence[str] = ()
    counts: Mapping[str, int] | None = None
    """The counts of the source's reading; None where the reading is not believed."""
    entries: bool = False
    """Whether the entries that were read are kept."""

    def write(self, snapshot: Snapshot, now: datetime) -> None:
        """Write the updates; belongs inside the state file's `atomic()`."""
        snapshot.put_digests(self.digests)
        snapshot.note_missing(Kind.USER, self.missing, self.back)
        snapshot.note_missing(Kind.GROUP, self.missing_groups, self.back_groups)
        for key in self.forgotten:
            snapshot.forget_user(key)
        for key in self.forgotten_groups:
            snapshot.forget_group(key)
        if self.counts is not None and self.counts != snapshot.source_counts:
            snapshot.set_source_counts(self.counts)
        if self.entries:
            snapshot.keep_staged(now)
