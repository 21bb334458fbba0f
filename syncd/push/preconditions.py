"""Preconditions of a change: its resource is linked, or not yet, and is as the plan expects it. Else Refusal.

A linked resource is compared with the snapshot, which costs no request. A resource that is to be taken over belongs to
nobody yet, and is read once more.
"""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from syncd.core.drift import alike
from syncd.core.model import Kind, Known, KnownGroup
from syncd.core.plan import Change, Result
from syncd.core.schema import MANAGER
from syncd.errors import ScimError
from syncd.push.attributes import shown
from syncd.push.gate import Gate, Link
from syncd.push.refusal import Refusal, expect, moved
from syncd.store import Snapshot

_NO_ATTRIBUTES: Final = ("members", "groups", MANAGER)
"""Parts of `before` that are keys of the source, and can't be compared with the target's values."""


def linked_user(gate: Gate, snapshot: Snapshot, change: Change) -> tuple[Link, Known]:
    """Return the linked user, if it still is as the change expects it. Raises Refusal, Lost."""
    link = gate.linked(Kind.USER, change.key)
    known = snapshot.user(change.key)
    assert known is not None
    expect(change, known.attributes)
    return link, known


def linked_group(gate: Gate, snapshot: Snapshot, unmade: Set[str], change: Change) -> tuple[Link, KnownGroup]:
    """Return the linked group, if it still is as the change expects it; members are compared by their own rules.

    `unmade`: keys of the groups whose creation did not succeed in this run. Raises Refusal, Lost.
    """
    group = snapshot.group(change.key)
    if (group is None or group.lost) and change.key in unmade:
        raise Refusal(Result.SKIPPED, "the group could not be created")
    link = gate.linked(Kind.GROUP, change.key)
    assert group is not None
    if not change.action.of_members:
        expect(change, group.attributes)
    return link, group


def refuse_linked(snapshot: Snapshot, kind: Kind, key: str) -> None:
    """Raise Refusal when a key has a resource already, unless the resource is lost."""
    known = snapshot.user(key) if kind is Kind.USER else snapshot.group(key)
    if known is not None and not known.lost:
        raise Refusal(Result.REFUSED, "has an account already" if kind is Kind.USER else "is there already")


async def look_again(gate: Gate, group_suffix: str, change: Change) -> None:
    """Read the resource to take over once more; raise Refusal when it has changed since the plan was made.

    `group_suffix`: the suffix that the endpoint adds to names of groups. Raises ScimError as well.
    """
    kind = change.action.kind
    try:
        found = await gate.read(kind, change.resource)
    except ScimError as error:
        if error.status != 404:
            raise
        raise Refusal(Result.REFUSED, "is no longer at the target") from None
    paths = {path: value for path, value in change.before.items() if path not in _NO_ATTRIBUTES}
    there = shown(kind, found.body, paths, group_suffix)
    for path in paths:
        expected, value = change.before[path], there.get(path)
        if not alike(path, expected, value):
            raise moved(path, expected, value)
