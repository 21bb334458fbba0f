"""The snapshot's facts about the people and groups that changes name: names, departments, groups, sizes.

Bounded: only the first of very many are returned, and all memberships are scanned only where somebody loses access.
"""

from __future__ import annotations

from collections.abc import Iterable
from itertools import chain, islice
from typing import Final

from syncd.core.context import GroupSize, Person
from syncd.core.model import Kind
from syncd.core.plan import Change
from syncd.core.schema import ENTERPRISE_SCHEMA, MANAGER
from syncd.store.rows import dumped
from syncd.store.snapshot import Snapshot

DESCRIBED: Final = 20_000
"""Largest number of people with more than a key in a plan."""
NAMED_PER_GROUP: Final = 100
"""Number of people in one membership change whose names are looked up."""
DEPARTMENT: Final = f"{ENTERPRISE_SCHEMA}:department"


def people_of(snapshot: Snapshot, changes: Iterable[Change]) -> dict[str, Person]:
    """Return by key the managed people that changes, in order of execution, concern or name: leavers first."""
    named: dict[str, None] = {}
    leaving: dict[str, None] = {}
    for change in changes:
        if len(named) >= DESCRIBED:
            break
        if change.action.about_user:
            if not change.action.creates:
                named[change.key] = None
            if change.shuts_out:
                leaving[change.key] = None
            managers = (change.before.get(MANAGER), change.after.get(MANAGER))
            named |= dict.fromkeys(manager for manager in managers if isinstance(manager, str))
        else:
            named |= dict.fromkeys(change.members[:NAMED_PER_GROUP])
    known = snapshot.users(list(islice(named, DESCRIBED)))
    groups = _groups_by_member(snapshot, [key for key in islice(leaving, DESCRIBED) if key in known])
    return {
        key: Person(user.name, str(user.attributes.get(DEPARTMENT) or ""), tuple(groups.get(key, ())))
        for key, user in known.items()
    }


def _groups_by_member(snapshot: Snapshot, keys: list[str]) -> dict[str, list[str]]:
    """Return the names of the groups that these users are acknowledged members of; one scan over all memberships."""
    if not keys:
        return {}
    rows = snapshot._conn.execute(
        # `+`: never a look-up by each key in each group.
        "SELECT members.member_key, groups.name FROM members"
        " JOIN groups ON groups.target = members.target AND groups.key = members.group_key"
        " WHERE members.target = ? AND members.kind = ?"
        " AND +members.member_key IN (SELECT value FROM json_each(?)) ORDER BY groups.name",
        [snapshot._target, Kind.USER.value, dumped(keys)],
    )
    found: dict[str, list[str]] = {}
    for key, name in rows:
        found.setdefault(key, []).append(name)
    return found


def groups_of_changes(snapshot: Snapshot, changes: Iterable[Change]) -> dict[str, GroupSize]:
    """Return by key the managed groups that changes concern or name, with their numbers of members."""
    groups = [change for change in changes if not change.action.about_user]
    keys = list(dict.fromkeys(chain.from_iterable((change.key, *change.subgroups) for change in groups)))
    if not keys:
        return {}
    names = dict(
        snapshot._conn.execute(
            "SELECT key, name FROM groups WHERE target = ? AND key IN (SELECT value FROM json_each(?))",
            [snapshot._target, dumped(keys)],
        ).fetchall()
    )
    return {
        key: GroupSize(
            names[key],
            snapshot._one("SELECT count(*) FROM members WHERE target = ? AND group_key = ?", snapshot._target, key)[0],
        )
        for key in keys
        if key in names
    }
