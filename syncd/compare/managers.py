"""The fourth step: references to managers, each named as soon as the manager has an account and not before."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from itertools import chain

from syncd.compare.accounts import Accounts
from syncd.core.diff import manager_apart
from syncd.core.model import Flat, Kind, State
from syncd.core.plan import Action, Change
from syncd.core.schema import MANAGER
from syncd.store import Snapshot


def with_managers(
    changes: Iterable[Change], accounts: Accounts, snapshot: Snapshot, owner: Callable[[str], str | None]
) -> list[Change]:
    """Return one person's changes without references to a manager who has no account and gets none now.

    `owner`: key to which an account's id is linked, or which takes it over.

    Such a user keeps no digest and is looked at again in every run, so that the reference follows as soon as the
    manager is there. An account that is taken over may name the right manager already.
    """
    kept: list[Change] = []
    for change in chain.from_iterable(_apart(each, snapshot, owner) for each in changes):
        manager = change.after.get(MANAGER)
        if manager is None or manager in accounts or snapshot.ids(Kind.USER, [manager]):
            kept.append(change)
            continue
        before = change.before.get(MANAGER)
        after = {**change.after, MANAGER: None} if before is not None else _without(change.after, MANAGER)
        if after or change.resource or (not kept and _moves(change, snapshot)):
            untouched = change.before if before is not None else _without(change.before, MANAGER)
            kept.append(replace(change, before=untouched, after=after, digest=""))
    return kept


def _apart(change: Change, snapshot: Snapshot, owner: Callable[[str], str | None]) -> list[Change]:
    """Set the manager of an account that is adopted apart, unless the account names that manager or it is there."""
    if change.action is not Action.ADOPT_USER:
        return [change]
    change = _named_by_key(change, owner)
    manager, there = change.after.get(MANAGER), change.before.get(MANAGER)
    if manager is None or there == manager or snapshot.ids(Kind.USER, [manager]):
        return [change]
    first, second = manager_apart(change)
    return [first, replace(second, before={MANAGER: None})]


def _named_by_key(change: Change, owner: Callable[[str], str | None]) -> Change:
    """Put the source's key in the place of the manager's id that an account has; a stranger's id stays.

    An account that is only switched off keeps its manager: one who is a stranger is nothing to acknowledge.
    """
    id_ = change.before.get(MANAGER)
    if id_ is None:
        return change
    key = owner(str(id_))
    off = change.state is State.DEACTIVATED
    after = {**change.after, MANAGER: key} if off else change.after
    before = None if off and key is None else key or id_
    return replace(change, before={**change.before, MANAGER: before}, after=after)


def _moves(change: Change, snapshot: Snapshot) -> bool:
    """Return whether a change brings a known user to another state, whatever attributes the change sends."""
    known = snapshot.user(change.key)
    return known is not None and known.state is not change.state


def _without(flat: Flat, path: str) -> Flat:
    return {other: value for other, value in flat.items() if other != path}
