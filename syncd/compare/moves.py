"""Moves: people who join a group while they are in another one, where a person can be in one group alone.

#  the endpoint                              a move is
#  moves whoever joins a second group           the join; leaving later changes nothing
#  refuses the second group                     leaving and joining, one person after the other
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence

from syncd.core.plan import Action, Change
from syncd.core.room import Room
from syncd.scim.dialect import Dialect
from syncd.scim.profiles import Profile
from syncd.store import Snapshot

Movers = Mapping[str, Sequence[str]]
"""Keys of the people who move, each with the keys of the groups that they are in."""


def movers(changes: Iterable[Change], room: Room, snapshot: Snapshot) -> Movers:
    """Return the people who join a group while the snapshot has them in another one; nobody where there is room."""
    if not room.one_group:
        return {}
    joining = {key for change in changes if joins(change, room) for key in change.members}
    found: dict[str, list[str]] = {}
    for group in snapshot.groups().values() if joining else ():
        if not group.lost and room.is_exclusive(group.name):
            for key in sorted(joining & snapshot.members(group.key)[0]):
                found.setdefault(key, []).append(group.key)
    return found


def doubtful_users(snapshot: Snapshot, room: Room) -> set[str]:
    """Return the users whom the snapshot has in several groups where there is room for one.

    They joined a group, and leaving the former one is not acknowledged yet: the join may have taken them out of it.
    """
    if not room.one_group:
        return set()
    groups = snapshot.groups().values()
    return snapshot.in_several([each.key for each in groups if not each.lost and room.is_exclusive(each.name)])


def joins(change: Change, room: Room) -> bool:
    """Return whether a change takes people into a group that they can be in alone."""
    return change.action.adds and room.is_exclusive(change.name)


def leaves_first(profile: Profile, dialect: Dialect) -> bool:
    """Return whether the endpoint is known to refuse a second group."""
    return profile.one_group_per_user and (profile.leaves_first or dialect.leaves_first)


def apart(changes: Iterable[Change], moving: Movers, snapshot: Snapshot) -> list[Change]:
    """Return changes as they are carried out where people leave before they join: each move is two changes."""
    if not moving:
        return list(changes)
    groups = snapshot.groups()
    done: list[Change] = []
    for change in changes:
        if not change.action.of_members:
            done.append(change)
            continue
        moved = [key for key in change.members if _moves(change, key, moving)]
        stay = [key for key in change.members if key not in moved]
        if stay or change.subgroups:
            done.append(change.with_members(stay, change.subgroups) if moved else change)
        if change.action.adds:
            for key in moved:
                former = (groups[group] for group in moving[key] if group != change.key)
                done += [Change.of_members(Action.REMOVE_MEMBERS, each.key, each.name, [key], []) for each in former]
                done.append(change.with_members([key], []))
    return done


def _moves(change: Change, key: str, moving: Movers) -> bool:
    """Return whether a change is one of the two halves of a person's move."""
    former = moving.get(key, ())
    return any(group != change.key for group in former) if change.action.adds else change.key in former


__all__ = ["Movers", "apart", "doubtful_users", "joins", "leaves_first", "movers"]
