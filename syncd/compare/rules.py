"""The rules of a comparison: what a target's configuration says, what people decided, what is to be remembered."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import datetime, timedelta

from syncd.core.diff import PendingRule
from syncd.core.digest import fingerprint
from syncd.core.drift import Reactions
from syncd.core.groups import Nesting
from syncd.core.mapping import EntryUnusable, GroupMapping, Selection, UserMapping, email_of
from syncd.core.matching import Doubt
from syncd.core.model import Evidence, Flat, Json, Kind, Known
from syncd.core.policy import Policy
from syncd.core.rules import Rule
from syncd.scim.profiles import Profile
from syncd.store import Snapshot


@dataclass(frozen=True)
class SourceRules:
    """How the source's entries are to be read, the same for every target."""

    users: UserMapping
    groups: GroupMapping
    active: Rule | None
    nesting: Nesting


@dataclass(frozen=True)
class TargetRules:
    """What one target wants. `scheme` stands for everything that decides how an entry is mapped."""

    name: str
    profile: Profile
    selection: Selection
    policy: Policy
    rate: float
    scheme: Json
    group_scheme: Json
    """The same for groups and their members."""
    drift: Reactions = field(default_factory=Reactions)
    protect: frozenset[str] = frozenset()
    """Keys, userNames and e-mails, folded, of people who are never switched off."""
    adopt_groups: bool = False
    """Whether a native group of the same name is taken over."""
    overlapping_groups: tuple[str, ...] = ()
    """Patterns of groups that may share people with others, where a user can be in one group at most."""
    delete_after: timedelta | None = None

    def plan_mark(self, source: bytes, serial: int) -> bytes:
        """Return what stands for a source, these rules and a snapshot: while it is the same, so is every plan."""
        profile = repr(self.profile)
        return fingerprint(
            [source.hex(), self.scheme, self.group_scheme, profile, list(self.overlapping_groups), serial]
        )

    def is_verified(self, flat: Flat) -> bool:
        """Return whether somebody's address lies in a domain that is known to be ours: where none is, nobody's does."""
        domains = self.selection.domains
        try:
            return bool(domains.patterns) and not domains.is_external(email_of(flat))
        except EntryUnusable:
            return False

    def protection(self, snapshot: Snapshot, key: str, id_: str, known: Known | None) -> str:
        """Return why an account is never switched off, "" where it may be: the configuration or the target names it."""
        named = {key.casefold(), *(known.addresses if known is not None else ())} & self.protect
        if named:
            return f"the configuration names {min(named)} in `protect`"
        accounts: dict[str, str] = snapshot.discovery.get("protected") or {}
        return accounts.get(id_, "")

    @property
    def pending(self) -> PendingRule:
        return PendingRule(self.profile.pending_by_endpoint, self.profile.withdrawn_by_delete)


@dataclass(frozen=True)
class Decisions:
    """What people decided about changes, by the changes' ids, and what keeps failing."""

    approved: frozenset[str] = frozenset()
    rejected: Mapping[str, str] = field(default_factory=dict)
    quarantined: Mapping[str, str] = field(default_factory=dict)
    doubted: Mapping[tuple[Kind, str], Doubt] = field(default_factory=dict)
    """Of whom a full resync held that they be made or taken over: a run that can't see why doesn't make them either."""
    declined: Mapping[tuple[Kind, str], str] = field(default_factory=dict)
    """The same where a person said no."""
    undecided: frozenset[str] = frozenset()
    """Keys of whom something was held: what is read of them is to be kept even where nothing differs any more."""
    approvals: Mapping[str, str] = field(default_factory=dict)
    """By the id of a change that a person released, who and when: what a run did is to say so for ever."""


@dataclass
class SnapshotUpdates:
    """What a comparison found that is no change at the target, to be remembered when it is carried out."""

    digests: dict[str, bytes] = field(default_factory=dict)
    """Digests of entries that differ from before without a difference that the target would see."""
    missing: dict[str, datetime] = field(default_factory=dict)
    missing_groups: dict[str, datetime] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    back_groups: list[str] = field(default_factory=list)
    forgotten: list[str] = field(default_factory=list)
    """Keys of users whom neither the source nor the target has any more."""
    forgotten_groups: list[str] = field(default_factory=list)
    counts: dict[str, int] | None = None
    """How much the source returned, where that is to be believed."""
    entries: bool = False
    """Whether what was read of the entries is to be kept."""

    def write(self, snapshot: Snapshot, now: datetime) -> None:
        """Remember it; belongs inside the state file's `atomic()`."""
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


def counts_of(evidence: Evidence) -> dict[str, int]:
    """Return how much a reading returned."""
    return {"users": evidence.users, "groups": evidence.groups, "memberships": evidence.memberships}
