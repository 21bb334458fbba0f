"""What one difference means. Given what a target should hold and what it last acknowledged: the changes, or none.

Finding where the two differ is the database's part (`compare.py`); deciding what it means is here.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass

from syncd.core.lifecycle import Says, Step, step
from syncd.core.model import Desired, Flat, Known, KnownGroup, State
from syncd.core.plan import Action, Change
from syncd.core.schema import MANAGER


@dataclass(frozen=True, slots=True)
class PendingRule:
    """Who keeps outsiders out until they accept: the endpoint itself, or we, with `active: false`."""

    by_endpoint: bool

    def active(self, state: State) -> bool:
        return state is State.ACTIVE or (state is State.PENDING and self.by_endpoint)


def differing(before: Flat, after: Flat) -> tuple[Flat, Flat]:
    """Return the paths at which two flat resources differ, with None where one of them has nothing."""
    paths = [
        path
        for path in (*before, *(path for path in after if path not in before))
        if before.get(path) != after.get(path)
    ]
    return {path: before.get(path) for path in paths}, {path: after.get(path) for path in paths}


def user_changes(
    desired: Desired | None, known: Known | None, pending: PendingRule, digest: str, accounts: Collection[str]
) -> list[Change]:
    """Return what follows for one user: nothing, one change, or two where the manager's reference must wait.

    `desired` is None for a key that the source no longer returns. `accounts` holds the keys that have an
    account at the target already: a manager among them can be named at once, any other only later, and
    `deferred_manager` says so.
    """
    says = _says(desired)
    known_state = known.state if known else None
    match step(known_state, says):
        case Step.NOTHING | Step.IMPOSSIBLE:
            return []
        case Step.DEACTIVATE:
            assert known is not None
            reason = desired.reason if desired else "gone from the source"
            before, after = {"active": known.attributes.get("active", True)}, {"active": False}
            return [
                Change(
                    Action.DEACTIVATE_USER,
                    known.key,
                    known.name,
                    before,
                    after,
                    reason,
                    State.DEACTIVATED,
                    digest,
                )
            ]
        case Step.CREATE | Step.INVITE:
            assert desired is not None
            after = {**desired.attributes, "active": pending.active(desired.state)}
            reason = "new in the source" if desired.state is State.ACTIVE else "new in the source, external domain"
            created = Change(Action.CREATE_USER, desired.key, desired.name, {}, after, reason, desired.state, digest)
            return _manager_later(created, accounts)
        case Step.UPDATE:
            assert desired is not None
            assert known is not None
            return _update(Action.UPDATE_USER, desired, known, known.state, pending, digest, "")
        case Step.ADMIT:
            assert desired is not None
            assert known is not None
            reason = "the address is now in a verified domain"
            return _update(Action.UPDATE_USER, desired, known, State.ACTIVE, pending, digest, reason)
        case Step.REACTIVATE:
            assert desired is not None
            assert known is not None
            state = State.ACTIVE if desired.state is State.ACTIVE or known.accepted else State.PENDING
            changes = _update(Action.REACTIVATE_USER, desired, known, state, pending, digest, "back in the source")
            return [later for change in changes for later in _manager_later(change, accounts)]


def _says(desired: Desired | None) -> Says:
    if desired is None:
        return Says.GONE
    return {State.ACTIVE: Says.ACTIVE, State.PENDING: Says.EXTERNAL, State.DEACTIVATED: Says.OFF}[desired.state]


def _update(
    action: Action,
    desired: Desired,
    known: Known,
    state: State,
    pending: PendingRule,
    digest: str,
    reason: str,
) -> list[Change]:
    target = {**desired.attributes, "active": pending.active(state)}
    before, after = differing(known.attributes, target)
    if not after and state is known.state:
        return []
    return [Change(action, known.key, desired.name, before, after, reason or _reason(known, after), state, digest)]


def _reason(known: Known, after: Flat) -> str:
    """Say what changed in the source, names first: a rename is what a reviewer wants to know of."""
    names = [path.rpartition(":")[2] for path in after]
    if "userName" in after:
        return f"renamed in the source (was {known.name})"
    return f"{', '.join(names)} changed in the source"


def _manager_later(change: Change, accounts: Collection[str]) -> list[Change]:
    """Split off a manager's reference that can't be resolved yet.

    The first change then settles nothing (no digest): it is the second that completes the user.
    """
    manager = change.after.get(MANAGER)
    if manager is None or manager in accounts:
        return [change]
    first = Change(
        change.action,
        change.key,
        change.name,
        {path: value for path, value in change.before.items() if path != MANAGER},
        {path: value for path, value in change.after.items() if path != MANAGER},
        change.reason,
        change.state,
    )
    second = Change(
        Action.UPDATE_USER,
        change.key,
        change.name,
        {MANAGER: change.before.get(MANAGER)},
        {MANAGER: manager},
        "manager, once both are there",
        change.state,
        change.digest,
    )
    return [first, second]


def group_changes(key: str, desired: Flat | None, known: KnownGroup | None) -> list[Change]:
    """Return what follows for a group itself; its members are `membership_changes`'s.

    #  desired   known   -> change
    #  a name    -          create
    #  a name    a name     update where something differs (a rename keeps id and members)
    #  -         a name     delete
    """
    if desired is None:
        if known is None:
            return []
        return [Change(Action.DELETE_GROUP, key, known.name, dict(known.attributes), {}, "gone from the source")]
    name = desired["displayName"]
    if known is None:
        return [Change(Action.CREATE_GROUP, key, name, {}, desired, "new in the source")]
    before, after = differing(known.attributes, desired)
    if not after:
        return []
    reason = f"renamed in the source (was {known.name})" if "displayName" in after else "changed in the source"
    return [Change(Action.UPDATE_GROUP, key, name, before, after, reason)]


def membership_changes(
    key: str,
    name: str,
    desired: tuple[set[str], set[str]],
    known: tuple[set[str], set[str]],
    removable: set[str],
) -> list[Change]:
    """Return who leaves and who joins a group; each pair is (keys of users, keys of groups).

    `removable` holds the users of `known` whose absence from `desired` is proven: they were seen in this pull,
    or their account is switched off because they are gone.
    """
    gone = sorted((known[0] - desired[0]) & removable), sorted(known[1] - desired[1])
    come = sorted(desired[0] - known[0]), sorted(desired[1] - known[1])
    return [
        Change.of_members(action, key, name, *parts)
        for action, parts in ((Action.REMOVE_MEMBERS, gone), (Action.ADD_MEMBERS, come))
        if any(parts)
    ]
