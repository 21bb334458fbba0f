"""One target's comparison: a stream of source entries against its snapshot, ending in a Plan.

Owns the order of the steps and what must be remembered on the way (a byte per known user, a number per
account); what a difference means is decided in the core.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from datetime import datetime, timedelta
from math import ceil

from syncd.core.diff import PendingRule, group_changes, membership_changes, user_changes
from syncd.core.digest import entry_digest, fingerprint, member_numbers, members_digest
from syncd.core.drift import Reactions
from syncd.core.groups import Nesting, flattened
from syncd.core.mapping import EntryUnusable, GroupMapping, Selection, UserMapping, desired_user
from syncd.core.model import Entry, Evidence, Flat, GroupEntry, Json, Kind, Known, KnownGroup, Problem, State
from syncd.core.plan import Action, Change, Estimate, Plan, Trouble, ordered
from syncd.core.policy import Policy, Situation, decide
from syncd.core.rules import Rule
from syncd.core.schema import MANAGER
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
    drift: Reactions = Reactions()
    protect: frozenset[str] = frozenset()
    """Keys, userNames and e-mails, folded, of people who are never switched off."""
    adopt_groups: bool = False
    """Whether a native group of the same name is taken over."""
    overlapping_groups: tuple[str, ...] = ()
    """Patterns of groups that may share people with others, where a user can be in one group at most."""
    delete_after: timedelta | None = None

    def standing(self, source: bytes, serial: int) -> bytes:
        """Return what stands for a source, these rules and a snapshot: while it is the same, so is every plan."""
        return fingerprint([source.hex(), self.scheme, self.group_scheme, self.profile.name, serial])

    @property
    def pending(self) -> PendingRule:
        return PendingRule(self.profile.pending_by_endpoint, self.profile.withdrawn_by_delete)


@dataclass
class Bookkeeping:
    """What a comparison found that is no change at the target, to be remembered when it is carried out."""

    settled: dict[str, bytes] = field(default_factory=dict)
    """Digests of entries that differ from before without a difference that the target would see."""
    missing: dict[str, datetime] = field(default_factory=dict)
    missing_groups: dict[str, datetime] = field(default_factory=dict)
    back: list[str] = field(default_factory=list)
    back_groups: list[str] = field(default_factory=list)

    def write(self, snapshot: Snapshot) -> None:
        """Remember it; belongs inside the state file's `atomic()`."""
        snapshot.settle(self.settled)
        snapshot.note_missing(Kind.USER, self.missing, self.back)
        snapshot.note_missing(Kind.GROUP, self.missing_groups, self.back_groups)


class Comparison:
    """Feed it `users` to the end, then `groups`, then take the `plan`."""

    def __init__(self, source: SourceRules, target: TargetRules, snapshot: Snapshot, now: datetime) -> None:
        self.name = target.name
        self.bookkeeping = Bookkeeping()
        self._source = source
        self._target = target
        self._user_paths, self._group_paths = source.users.paths, source.groups.paths
        self._snapshot = snapshot
        self._now = now
        self._serial = snapshot.serial
        self._counts = snapshot.counts()
        self._scheme = fingerprint(target.scheme)
        self._seen = bytearray(snapshot.highest_ref() + 1)
        self._accounts: dict[str, int] = {}  # everybody seen who has an account, or gets one now: key -> number
        self._changes: dict[str, list[Change]] = {}
        self._group_changes: list[Change] = []
        self._unusable: set[str] = set()
        self._problems: list[Trouble] = []
        self._outside: set[str] = set()
        self._gone: set[str] = set()
        self._missing: dict[str, datetime] = {}
        self._missing_groups: dict[str, datetime] = {}

    # -- people ----------------------------------------------------------------------------------

    def users(self, batch: Sequence[Entry | Problem]) -> None:
        """Compare the next people of the source."""
        entries = []
        for item in batch:
            if isinstance(item, Problem):
                self._problem(item)
            else:
                entries.append(item)
        if self._unusable:  # a problem may come after the row that it casts doubt on
            entries = [entry for entry in entries if entry.key not in self._unusable]
        glances = self._snapshot.glances([entry.key for entry in entries])
        differing: list[tuple[Entry, bytes]] = []
        unchanged: list[str] = []
        for entry in entries:
            digest = entry_digest(entry.attributes, self._scheme)
            glance = glances.get(entry.key)
            if glance is not None:
                self._seen[glance.ref] = 1
                if glance.missing:
                    self.bookkeeping.back.append(entry.key)
                if glance.digest == digest:
                    unchanged.append(entry.key)
                    continue
            differing.append((entry, digest))
        self._have_accounts(unchanged)
        if differing:
            self._differing(differing, self._snapshot.users([e.key for e, _ in differing if e.key in glances]))

    def _differing(self, differing: Iterable[tuple[Entry, bytes]], known: Mapping[str, Known]) -> None:
        """Map the entries that changed and decide what follows."""
        mapped = []
        for entry, digest in differing:
            try:
                desired = desired_user(entry, self._source.users, self._source.active, self._target.selection)
            except EntryUnusable as error:
                self._problems.append(Trouble(entry.key, str(error), entry.where))
                if entry.key in known:
                    self._have_accounts([entry.key])
                continue
            mapped.append((desired, digest))
        managers = {desired.attributes[MANAGER] for desired, _ in mapped if MANAGER in desired.attributes}
        linked = self._snapshot.ids(Kind.USER, sorted(managers))
        for desired, digest in mapped:
            before = known.get(desired.key)
            owned = before and replace(before, attributes=_owned(before.attributes, self._user_paths))
            changes = user_changes(desired, owned, self._target.pending, digest.hex(), linked)
            if changes:
                self._changes[desired.key] = changes
            elif before is not None:
                self.bookkeeping.settled[desired.key] = digest
            if changes or before is not None:
                self._have_accounts([desired.key])
            if before and before.state is State.ACTIVE and desired.state is State.PENDING and changes:
                email = self._source.users.email
                if email(before.attributes) != email(desired.attributes):
                    self._outside.add(desired.key)

    def _have_accounts(self, keys: Iterable[str]) -> None:
        self._accounts.update(member_numbers(Kind.USER, keys))

    def _problem(self, problem: Problem) -> None:
        """Report it, and leave whoever it may belong to exactly as they are."""
        self._problems.append(Trouble(problem.key, problem.problem, problem.where, problem.kind.value))
        if problem.kind is not Kind.USER:
            return
        protected = _protected(problem)
        for key, glance in self._snapshot.glances(protected).items():
            self._seen[glance.ref] = 1
            if glance.missing:
                self.bookkeeping.back.append(key)
        self._unusable.update(protected)
        for key in protected:
            self._changes.pop(key, None)
            self._accounts.pop(key, None)
            self.bookkeeping.settled.pop(key, None)

    def _vanished(self, evidence: Evidence) -> None:
        """Decide about the managed people whom the source no longer returns."""
        unread = 0
        for known in self._snapshot.unseen(self._seen):
            if not evidence.absence:
                unread += known.state is not State.DEACTIVATED
                continue
            self._gone.add(known.key)
            changes = user_changes(None, known, self._target.pending, "", ())
            if not changes:
                continue
            self._changes[known.key] = changes
            self._missing[known.key] = known.missing_since or self._now
            if known.missing_since is None:
                self.bookkeeping.missing[known.key] = self._now
        self._unread(unread, "people", evidence)

    def _unread(self, count: int, what: str, evidence: Evidence) -> None:
        """Report that some were not seen, and may yet be there."""
        if count:
            doubt = "were not seen, but an entry without a readable key was: nobody counts as gone"
            self._problems.append(Trouble("", f"{count} managed {what} {doubt}", evidence.source))

    # -- groups ----------------------------------------------------------------------------------

    def groups(self, groups: Mapping[str, GroupEntry], problems: Iterable[Problem], evidence: Evidence) -> None:
        """Compare all groups of the source; everybody has been seen by now."""
        protected: set[str] = set()
        for problem in problems:
            self._problem(problem)
            protected.update(_protected(problem))
        self._vanished(evidence)
        known = self._snapshot.groups()
        wanted = self._wanted(groups, known)
        leaving = known.keys() - wanted.keys() - protected
        if not evidence.absence and self._target.selection.wants_groups:
            self._unread(len(leaving - groups.keys()), "groups", evidence)
            leaving &= groups.keys()
        remaining = (known.keys() - leaving) | {key for key, flat in wanted.items() if flat is not None}
        for key in known.keys() & (wanted.keys() | protected):
            if known[key].missing_since is not None:
                self.bookkeeping.back_groups.append(key)
        for key, flat in wanted.items():
            if flat is not None:
                before = known.get(key)
                owned = before and replace(before, attributes=_owned(before.attributes, self._group_paths))
                self._group_changes += group_changes(key, flat, owned)
                self._group_changes += self._membership(groups[key], flat["displayName"], before, groups, remaining)
        for key in leaving:
            self._group_changes += self._group_gone(known[key], in_source=key in groups)

    def _wanted(self, groups: Mapping[str, GroupEntry], known: Mapping[str, KnownGroup]) -> dict[str, Flat | None]:
        """Return the groups that the target wants, mapped; None for one that can't be, and stays as it is."""
        wanted: dict[str, Flat | None] = {}
        if not self._target.selection.wants_groups:
            return wanted
        for key, entry in groups.items():
            try:
                flat = self._source.groups.flat(entry)
            except EntryUnusable as error:
                self._problems.append(Trouble(key, str(error), entry.where, Kind.GROUP.value))
                if key in known:
                    wanted[key] = None
                continue
            if not self._target.profile.group_external_id:
                flat.pop("externalId", None)
            if self._target.selection.wants_group(flat["displayName"]):
                wanted[key] = flat
        return wanted

    def _membership(
        self,
        entry: GroupEntry,
        name: str,
        before: KnownGroup | None,
        groups: Mapping[str, GroupEntry],
        remaining: set[str],
    ) -> list[Change]:
        """Return who joins and who leaves a group. `remaining`: the groups that the target has once all is done."""
        members: Iterable[str] = entry.members
        subgroups: set[str] = set()
        incomplete = entry.incomplete
        if entry.subgroups and self._source.nesting is Nesting.FLATTEN:
            members, incomplete = flattened(entry.key, groups)
        elif entry.subgroups and self._source.nesting is Nesting.KEEP:
            subgroups = remaining.intersection(entry.subgroups) - {entry.key}
        accounts = self._accounts
        if before is not None:
            try:
                numbers = [accounts[key] for key in members]  # nearly always all of them have an account
            except KeyError:
                numbers = [accounts[key] for key in members if key in accounts]
            numbers += member_numbers(Kind.GROUP, subgroups).values()
            if members_digest(numbers) == before.members_digest:
                return []
        desired = {key for key in members if key in accounts}
        known = self._snapshot.members(entry.key) if before is not None else (set(), set())
        removable = {key for key in known[0] if key in accounts or key in self._gone}
        if incomplete:
            removable, subgroups = set(), subgroups | known[1]
        return membership_changes(entry.key, name, (desired, subgroups), known, removable)

    def _group_gone(self, known: KnownGroup, *, in_source: bool) -> list[Change]:
        changes = group_changes(known.key, None, known)
        if in_source or not self._target.selection.wants_groups:
            return [replace(change, reason="no longer selected by `groups`") for change in changes]
        self._missing_groups[known.key] = known.missing_since or self._now
        if known.missing_since is None:
            self.bookkeeping.missing_groups[known.key] = self._now
        return changes

    # -- the plan --------------------------------------------------------------------------------

    def plan(self, kind: str = "sync") -> Plan:
        """Return what is to be done, ordered, limited and counted."""
        changes = [change for changes in self._changes.values() for change in self._managers(changes)]
        changes += self._group_changes
        situation = Situation(
            now=self._now,
            managed_users=self._counts[State.ACTIVE] + self._counts[State.PENDING],
            managed_groups=len(self._snapshot.groups()),
            missing=self._missing,
            missing_groups=self._missing_groups,
            outside=self._outside,
        )
        allowed, held = decide(ordered(changes), self._target.policy, situation)
        return Plan(
            target=self.name,
            kind=kind,
            created=self._now,
            base_serial=self._serial,
            changes=tuple(allowed),
            held=tuple(held),
            problems=tuple(self._problems),
            estimate=estimate(allowed, self._target, self._snapshot),
            managed=situation.managed_users,
            scheme=self._scheme.hex(),
        )

    def unchanged(self) -> Plan:
        """Return the plan of a source that is what it was when everything was in line: nothing to do."""
        counts = self._counts
        return Plan(
            target=self.name,
            kind="sync",
            created=self._now,
            base_serial=self._serial,
            changes=(),
            managed=counts[State.ACTIVE] + counts[State.PENDING],
            scheme=self._scheme.hex(),
        )

    def _managers(self, changes: Iterable[Change]) -> list[Change]:
        """Leave out references to managers who have no account and get none now.

        Such a user stays unsettled and is looked at again in every run, so that the reference follows
        as soon as the manager is there.
        """
        kept: list[Change] = []
        for change in changes:
            manager = change.after.get(MANAGER)
            if manager is None or manager in self._accounts or self._snapshot.ids(Kind.USER, [manager]):
                kept.append(change)
                continue
            before = change.before.get(MANAGER)
            after = {**change.after, MANAGER: None} if before is not None else _without(change.after, MANAGER)
            if after or (not kept and self._moves(change)):
                untouched = change.before if before is not None else _without(change.before, MANAGER)
                kept.append(replace(change, before=untouched, after=after, digest=""))
        return kept

    def _moves(self, change: Change) -> bool:
        """Return whether a change brings a known user to another state, whatever it sends."""
        known = self._snapshot.user(change.key)
        return known is not None and known.state is not change.state


def _protected(problem: Problem) -> list[str]:
    """Return every key that a problem may belong to."""
    return list({problem.key, *problem.protects} - {""})


def _owned(flat: Flat, paths: frozenset[str]) -> Flat:
    """Return what the mapping still speaks of: a line taken out of it leaves the target's value alone."""
    return {path: value for path, value in flat.items() if path in paths}


def _without(flat: Flat, path: str) -> Flat:
    return {other: value for other, value in flat.items() if other != path}


def estimate(changes: Sequence[Change], target: TargetRules, snapshot: Snapshot) -> Estimate:
    """Return what carrying out the changes takes: exactly as many requests as will be sent if all goes well."""
    if not changes:
        return Estimate(0, 0.0)
    discovery = snapshot.discovery
    patch = target.profile.patch if target.profile.patch is not None else discovery.get("patch")
    asks_first = patch is None
    per_update = 1 if patch is not False else 2
    requests = int(asks_first)
    for change in changes:
        match change.action:
            case Action.CREATE_USER | Action.DELETE_USER:
                requests += 1
            case Action.DELETE_GROUP:
                count = sum(map(len, snapshot.members(change.key))) if target.profile.group_emptied_first else 0
                requests += 1 + ceil(count / target.profile.members_per_patch) * per_update
            case Action.CREATE_GROUP:
                requests += 1 + ("externalId" in change.after)  # looked up first, lest it be made twice
            case Action.ADD_MEMBERS | Action.REMOVE_MEMBERS:
                count = len(change.members) + len(change.subgroups)
                requests += ceil(count / target.profile.members_per_patch) * per_update
            case _:
                requests += per_update if change.after else 0
    return Estimate(requests, round(requests / target.rate, 1))
