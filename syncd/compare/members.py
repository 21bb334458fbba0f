"""Memberships: the people and groups that join and leave one group.

A group's members are compared as one digest; only where that differs are the members themselves looked at.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Set
from dataclasses import dataclass

from syncd.compare.accounts import Accounts
from syncd.compare.adoption import Members
from syncd.core.diff import membership_changes
from syncd.core.digest import NO_MEMBERS, member_numbers, members_digest
from syncd.core.groups import Nesting, flattened
from syncd.core.model import Flat, GroupEntry, Kind, KnownGroup
from syncd.core.plan import Change, Trouble
from syncd.core.room import Room
from syncd.store import Snapshot

Crowded = Mapping[str, list[str]]
"""Keys of users who would be in several groups where the target has room for one, with the groups' names."""


@dataclass(frozen=True)
class Memberships:
    """Compares the members of one group after the other."""

    snapshot: Snapshot
    groups: Mapping[str, GroupEntry]
    nesting: Nesting
    remaining: Collection[str]
    """Keys of the groups that are at the target once all is done."""
    accounts: Accounts
    gone: Collection[str]
    """Keys of users whose absence is proven."""
    crowded: Crowded
    doubtful: Set[str] = frozenset()
    """Keys of users whom the snapshot has in several groups where the target has room for one."""

    def changes(self, entry: GroupEntry, name: str, before: KnownGroup | None, known: Members | None) -> list[Change]:
        """Return the members that join and that leave a group. `known`: its members, where the snapshot lacks them."""
        members, subgroups, incomplete = desired_members(entry, self.groups, self.nesting, self.remaining)
        accounts, crowded = self.accounts, self.crowded
        looked_at = (crowded or self.doubtful) and not (crowded.keys() | self.doubtful).isdisjoint(members)
        if known is None and not looked_at:
            numbers = accounts.numbers(members)
            numbers += member_numbers(Kind.GROUP, subgroups).values()
            if members_digest(numbers) == (before.members_digest if before else NO_MEMBERS):
                return []
        if known is None:
            known = self.snapshot.members(entry.key)
        # Users in too many groups stay in their present groups: these users join nothing, and leave nothing.
        desired = {key for key in members if key in accounts and (key not in crowded or key in known[0])}
        removable = {key for key in known[0] if (key in accounts or key in self.gone) and key not in crowded}
        if incomplete:
            removable, subgroups = set(), subgroups | known[1]
        if self.doubtful:  # joined again: they are in one of their groups at most, and nobody knows in which
            known = {key for key in known[0] if key not in self.doubtful or key not in desired}, known[1]
        return membership_changes(entry.key, name, (desired, subgroups), known, removable)


def desired_members(
    entry: GroupEntry, groups: Mapping[str, GroupEntry], nesting: Nesting, remaining: Collection[str]
) -> tuple[Collection[str], set[str], bool]:
    """Return the keys of users and groups that a group is to have, and whether the source's list is incomplete."""
    if entry.subgroups and nesting is Nesting.FLATTEN:
        members, incomplete = flattened(entry.key, groups)
        return members, set(), incomplete
    if entry.subgroups and nesting is Nesting.KEEP:
        return entry.members, set(remaining).intersection(entry.subgroups) - {entry.key}, entry.incomplete
    return entry.members, set(), entry.incomplete


def crowded_users(
    mapped: Mapping[str, Flat],
    groups: Mapping[str, GroupEntry],
    nesting: Nesting,
    room: Room,
    accounts: Accounts,
    staying: Iterable[tuple[str, Collection[str]]],
) -> Crowded:
    """Return the users who would be in two groups where the target has room for one.

    `staying`: names of groups, each with the users who stay in it whatever the source says, since it isn't sure.
    """
    place: dict[str, str] = {}
    crowded: dict[str, list[str]] = {}
    if not room.one_group:
        return crowded
    named = {key: str(flat["displayName"]) for key, flat in mapped.items()}
    wanted = ((name, desired_members(groups[key], groups, nesting, ())[0]) for key, name in named.items())
    for name, members in (*wanted, *staying):
        for member in sorted(set(members)) if room.is_exclusive(name) else ():
            if member in accounts and place.setdefault(member, name) != name:
                names = crowded.setdefault(member, [place[member]])
                names += [name] if name not in names else []
    return crowded


def crowding(crowded: Crowded, profile: str) -> list[Trouble]:
    """Return the problems of users who would be in several groups. `profile`: the profile's name."""
    return [
        Trouble(
            member,
            f"is in {len(names)} groups ({', '.join(names)}), and {profile} takes a user in one alone: these "
            "memberships stay as they are; mend it in the source, narrow `groups`, or name the group that may hold "
            "everybody in `default_group` or `overlapping_groups`",
        )
        for member, names in crowded.items()
    ]
