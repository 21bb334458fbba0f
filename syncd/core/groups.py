"""Nested groups: who is a member of a group when its member groups count too. Cycles and diamonds are harmless."""

from __future__ import annotations

from collections.abc import Mapping
from enum import StrEnum

from syncd.core.model import GroupEntry


class Nesting(StrEnum):
    """What a group that is a member of another means."""

    FLATTEN = "flatten"
    """Its members are members of the other one."""
    KEEP = "keep"
    """It is pushed as a member itself."""
    IGNORE = "ignore"


def flattened(key: str, groups: Mapping[str, GroupEntry]) -> tuple[set[str], bool]:
    """Return the keys of all users below a group, and whether any list on the way was incomplete.

    Each group is visited once, however many ways lead to it, itself included.
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
