"""The groups' half of a comparison: which groups a target wants, and who is in them."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import replace
from datetime import datetime
from fnmatch import fnmatchcase

from syncd.compare.rules import SnapshotUpdates, SourceRules, TargetRules
from syncd.core.diff import group_changes, membership_changes
from syncd.core.digest import NO_MEMBERS, member_numbers, members_digest
from syncd.core.groups import Nesting, flattened
from syncd.core.mapping import EntryUnusable
from syncd.core.matching import ADOPT, Doubt
from syncd.core.model import Evidence, Flat, GroupEntry, Kind, KnownGroup, ObservedGroup, Problem
from syncd.core.plan import Change, Trouble
from syncd.store import Observation, Snapshot

Members = tuple[set[str], set[str]]
"""Keys of users, keys of groups."""


class Accounts:
    """Everybody seen who has an account, or gets one now, and can be in groups: key to the number of its digest."""

    def __init__(self, kept_back: Iterable[str]) -> None:
        """`kept_back`: the invited, where they join no group before they accept."""
        self._numbers: dict[str, int] = {}
        self._kept_back = frozenset(kept_back)

    def have(self, keys: Iterable[str]) -> None:
        """Note that these have an account."""
        self._numbers.update(member_numbers(Kind.USER, keys))

    def have_unchanged(self, keys: Iterable[str]) -> None:
        """Note that these have an account, as before."""
        self.have([key for key in keys if key not in self._kept_back] if self._kept_back else keys)

    def discard(self, key: str) -> None:
        self._numbers.pop(key, None)

    def __contains__(self, key: str) -> bool:
        return key in self._numbers

    def numbers(self, keys: Iterable[str]) -> list[int]:
        """Return the numbers of those who have an account."""
        numbers = self._numbers
        try:
            return [numbers[key] for key in keys]  # nearly always all of them have one
        except KeyError:
            return [numbers[key] for key in keys if key in numbers]


class GroupComparison:
    """Compares once everybody has been seen; `changes`, `problems`, `doubts` and `missing` are the result."""

    def __init__(
        self,
        source: SourceRules,
        target: TargetRules,
        snapshot: Snapshot,
        now: datetime,
        accounts: Accounts,
        snapshot_updates: SnapshotUpdates,
        observation: Observation | None,
    ) -> None:
        self._source = source
        self._target = target
        self._paths = source.groups.paths
        self._snapshot = snapshot
        self._now = now
        self._accounts = accounts
        self._snapshot_updates = snapshot_updates
        self._observation = observation
        self._adopted: Mapping[str, str] = {}
        self._found: dict[str, ObservedGroup] = {}
        self._taken: dict[str, str] = {}
        """Ids of groups at the target that are taken over, and by which key."""
        self._ids_by_name: dict[str, list[str]] = {}
        """Ids of the groups at the target, by name without case."""
        self._gone: Collection[str] = ()
        self._crowded: dict[str, list[str]] = {}
        self.known = snapshot.groups()
        self.changes: list[Change] = []
        self.problems: list[Trouble] = []
        self.doubts: dict[str, Doubt] = {}
        self.missing: dict[str, datetime] = {}

    def compare(
        self,
        groups: Mapping[str, GroupEntry],
        problems: Iterable[Problem],
        evidence: Evidence,
        found: Mapping[str, bool | None],
        gone: Collection[str],
        adopted: Mapping[str, str],
    ) -> None:
        """`found`: what asking for groups that were not read brought; `gone`: people whose absence is proven;
        `adopted`: ids of accounts that are taken over, and by which key."""
        self._gone, self._adopted = gone, adopted
        known = self.known
        protected = {key for problem in problems for key in problem.protected}
        wanted = self._wanted(groups)
        leaving = known.keys() - wanted.keys() - protected
        if self._target.selection.wants_groups:
            leaving = self._proven(leaving, groups, evidence, found)
        remaining = (known.keys() - leaving) | {key for key, flat in wanted.items() if flat is not None}
        for key in known.keys() & (wanted.keys() | protected):
            if known[key].missing_since is not None:
                self._snapshot_updates.back_groups.append(key)
        mapped = {key: flat for key, flat in wanted.items() if flat is not None}
        for key, flat in mapped.items():
            self._take_over(key, flat)
        if self._target.profile.one_group_per_user:
            self._crowd(mapped, groups)
        for key, flat in mapped.items():
            self._compare(groups[key], flat, groups, remaining)
        for key in leaving:
            self._group_gone(known[key], in_source=key in groups, moved=found.get(key) is True)

    def _proven(
        self,
        leaving: set[str],
        groups: Collection[str],
        evidence: Evidence,
        found: Mapping[str, bool | None],
    ) -> set[str]:
        """Keep those of whom the source says that they are gone, or that are there and not selected."""
        absent = {key for key in leaving if key not in groups and not self.known[key].lost}
        if not evidence.absence:
            unproven, doubt = absent, "an entry without a readable key was: no group counts as gone"
        else:
            unproven = {key for key in absent if found.get(key, False) is None}
            doubt = "the source doesn't say whether they are there: none of them counts as gone"
        if unproven:
            problem = f"{len(unproven)} managed groups were not seen, but {doubt}"
            self.problems.append(Trouble("", problem, evidence.source, Kind.GROUP.value))
        return leaving - unproven

    def _wanted(self, groups: Mapping[str, GroupEntry]) -> dict[str, Flat | None]:
        """Return the groups that the target wants, mapped; None for one that can't be, and stays as it is."""
        wanted: dict[str, Flat | None] = {}
        if not self._target.selection.wants_groups:
            return wanted
        for key, entry in groups.items():
            try:
                flat = self._source.groups.flat(entry)
            except EntryUnusable as error:
                self.problems.append(Trouble(key, str(error), entry.where, Kind.GROUP.value))
                if key in self.known:
                    wanted[key] = None
                continue
            if not self._target.profile.group_external_id:
                flat.pop("externalId", None)
            if self._target.selection.wants_group(flat["displayName"]):
                wanted[key] = flat
        return wanted

    # -- groups that are there already -----------------------------------------------------------

    def _take_over(self, key: str, flat: Flat) -> None:
        """Find the group at the target that is ours, or may become ours, for one that is not linked."""
        before, observation = self.known.get(key), self._observation
        if observation is None or not (before is None or before.lost):
            return
        name, mark = str(flat["displayName"]), flat.get("externalId")
        if mark is not None:
            found = self._free(observation.find_groups("externalId", mark), key)
            if len(found) == 1:
                self._found[key] = found[0]
                self._taken[found[0].id] = key
                return
            if found:
                self._doubt(key, f"{len(found)} groups at the target carry its externalId", found)
                return
        named = [each for each in self._free(self._named(name), key) if each.external_id == ""]
        if not named:
            return
        if not self._target.adopt_groups:
            if mark is None:  # else two groups may well have one name (RFC 7643 section 4.2)
                self._doubt(key, "a group of this name is the target's own; `adopt_groups = true` takes it over", named)
        elif len(named) > 1:
            self._doubt(key, f"{len(named)} groups at the target have this name", named)
        else:
            self._found[key] = named[0]
            self._taken[named[0].id] = key

    def _named(self, name: str) -> list[ObservedGroup]:
        """Return the groups at the target that have a name; where case means nothing there, in any case."""
        assert self._observation is not None
        if self._target.profile.group_name_case:
            return self._observation.find_groups("displayName", name)
        if not self._ids_by_name:
            for id_, there in self._observation.group_names():
                self._ids_by_name.setdefault(there.casefold(), []).append(id_)
        return list(self._observation.groups(self._ids_by_name.get(name.casefold(), [])).values())

    def _free(self, found: Iterable[ObservedGroup], key: str) -> list[ObservedGroup]:
        """Leave out the groups that belong to another key."""
        free = []
        for each in found:
            owner = self._taken.get(each.id) or self._snapshot.key_of(Kind.GROUP, each.id)
            if owner in (None, key):
                free.append(each)
        return free

    def _doubt(self, key: str, reason: str, found: Iterable[ObservedGroup]) -> None:
        self.doubts[key] = Doubt(ADOPT, f"{reason} ({', '.join(sorted(each.id for each in found))})")

    def _members_found(self, found: ObservedGroup) -> Members:
        """Return the managed members of a group at the target."""
        ids = found.members or []
        people = self._snapshot.keys_of(Kind.USER, ids) | {
            id_: self._adopted[id_] for id_ in ids if id_ in self._adopted
        }
        # An id that is a user's is the user: some endpoints give the same to a user and a group.
        ids = [id_ for id_ in ids if id_ not in people]
        groups = self._snapshot.keys_of(Kind.GROUP, ids) | {id_: self._taken[id_] for id_ in ids if id_ in self._taken}
        return set(people.values()), set(groups.values())

    # -- one group -------------------------------------------------------------------------------

    def _compare(
        self, entry: GroupEntry, flat: Flat, groups: Mapping[str, GroupEntry], remaining: Collection[str]
    ) -> None:
        """Note what follows for one group and its members. `remaining`: the groups there are once all is done."""
        before, found = self.known.get(entry.key), self._found.get(entry.key)
        owned = before and replace(before, attributes={p: v for p, v in before.attributes.items() if p in self._paths})
        flat = self._with_a_name_it_may_have(entry, flat, before, found)
        changes = group_changes(entry.key, flat, owned, found)
        members: Members | None = None
        if found is not None:
            members = self._members_found(found)
            there = {part: sorted(keys) for part, keys in zip(("members", "groups"), members, strict=True) if keys}
            changes = [replace(change, before={**change.before, **there}) for change in changes]
        elif before is None or before.lost:
            members = set(), set()
        self.changes += changes
        self.changes += self._membership(entry, str(flat["displayName"]), before, members, groups, remaining)

    def _with_a_name_it_may_have(
        self, entry: GroupEntry, flat: Flat, before: KnownGroup | None, found: ObservedGroup | None
    ) -> Flat:
        """Keep the name that a group has at the target, where groups can't be renamed there."""
        profile, wanted = self._target.profile, str(flat["displayName"])
        there = wanted
        if found is not None:
            there = found.name
        elif before is not None and not before.lost:
            there = str(before.attributes.get("displayName", before.name))
        if profile.group_rename or there == wanted:
            return flat
        if profile.group_name_case or there.casefold() != wanted.casefold():
            problem = f"this endpoint can't rename groups: the group stays `{there}`, and is not called `{wanted}`"
            self.problems.append(Trouble(entry.key, problem, entry.where, Kind.GROUP.value))
        return {**flat, "displayName": there}

    def _membership(
        self,
        entry: GroupEntry,
        name: str,
        before: KnownGroup | None,
        known: Members | None,
        groups: Mapping[str, GroupEntry],
        remaining: Collection[str],
    ) -> list[Change]:
        """Return who joins and who leaves a group. `known`: its members, where the snapshot doesn't have them."""
        members, subgroups, incomplete = self._desired_members(entry, groups, remaining)
        accounts, crowded = self._accounts, self._crowded
        if known is None and not (crowded and not crowded.keys().isdisjoint(members)):
            numbers = accounts.numbers(members)
            numbers += member_numbers(Kind.GROUP, subgroups).values()
            if members_digest(numbers) == (before.members_digest if before else NO_MEMBERS):
                return []
        if known is None:
            known = self._snapshot.members(entry.key)
        desired = {key for key in members if key in accounts and (key not in crowded or key in known[0])}
        removable = {key for key in known[0] if (key in accounts or key in self._gone) and key not in crowded}
        if incomplete:
            removable, subgroups = set(), subgroups | known[1]
        return membership_changes(entry.key, name, (desired, subgroups), known, removable)

    def _desired_members(
        self, entry: GroupEntry, groups: Mapping[str, GroupEntry], remaining: Collection[str]
    ) -> tuple[Collection[str], set[str], bool]:
        """Return the keys of users and groups that a group is to have, and whether the source's list is incomplete."""
        if entry.subgroups and self._source.nesting is Nesting.FLATTEN:
            members, incomplete = flattened(entry.key, groups)
            return members, set(), incomplete
        if entry.subgroups and self._source.nesting is Nesting.KEEP:
            return entry.members, set(remaining).intersection(entry.subgroups) - {entry.key}, entry.incomplete
        return entry.members, set(), entry.incomplete

    def _crowd(self, mapped: Mapping[str, Flat], groups: Mapping[str, GroupEntry]) -> None:
        """Find who would be in two groups where the target has room for one."""
        place: dict[str, str] = {}
        for key, flat in mapped.items():
            name = str(flat["displayName"])
            if any(fnmatchcase(name, pattern) for pattern in self._target.overlapping_groups):
                continue
            for member in sorted(set(self._desired_members(groups[key], groups, ())[0])):
                if member not in self._accounts:
                    continue
                if place.setdefault(member, name) != name:
                    self._crowded.setdefault(member, [place[member]]).append(name)
        for member, names in self._crowded.items():
            problem = (
                f"is in {len(names)} groups ({', '.join(names)}), and {self._target.profile.name} takes a user in one "
                "alone: these memberships stay as they are; mend it in the source, narrow `groups`, or name the group "
                "that may hold everybody in `overlapping_groups`"
            )
            self.problems.append(Trouble(member, problem))

    def _group_gone(self, known: KnownGroup, *, in_source: bool, moved: bool) -> None:
        changes = group_changes(known.key, None, known)
        if not changes:
            self._snapshot_updates.forgotten_groups.append(known.key)
        elif in_source or not self._target.selection.wants_groups:
            changes = [replace(change, reason="no longer selected by `groups`") for change in changes]
        elif moved:
            reason = "the source has the group, and no longer among those it returns (moved, or filtered out)"
            changes = [replace(change, reason=reason) for change in changes]
        else:
            self.missing[known.key] = known.missing_since or self._now
            if known.missing_since is None:
                self._snapshot_updates.missing_groups[known.key] = self._now
        self.changes += changes
