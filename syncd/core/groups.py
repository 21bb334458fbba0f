"""Nested groups: the members of a group including its member groups. Cycles and diamonds are harmless."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from syncd.core.model import GroupEntry


class Nesting(StrEnum):
    """The treatment of a group that is a member of another group."""

    FLATTEN = "flatten"
    """The inner group's members become members of the outer group."""
    KEEP = "keep"
    """The inner group itself is pushed as a member."""
    IGNORE = "ignore"


def flattened(key: str, groups: Mapping[str, GroupEntry]) -> tuple[set[str], bool]:
    """Return the keys of all users below a group, and whether any list on the way was incomplete.

    Each group is visited once, however many paths lead to the group, including the group itself.
    """
    members: set[str] = set()
    incomplete = False
    waiting, seen = [key], {key}
    while waiting:
        entry = groups.get(waiting.pop())
        if entry is None:
            incomplete = True
            continue
        members.update(entry.members)
        incomplete = incomplete or entry.incomplete
        for subgroup in entry.subgroups:
            if subgroup not in seen:
                seen.add(subgroup)
                waiting.append(subgroup)
    return members, incomplete
