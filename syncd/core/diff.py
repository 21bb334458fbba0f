"""The changes that follow from one difference between the desired state and the last acknowledged state.

`compare/` finds where the two states differ (by digests, or by the database); this module decides the changes.
"""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import dataclass, field, replace
from sys import intern
from typing import Final

from syncd.core.drift import with_unlabelled
from syncd.core.lifecycle import Says, Shows, Step, step
from syncd.core.matching import ADOPT, Doubt, Match
from syncd.core.model import Desired, Flat, Json, Known, KnownGroup, ObservedGroup, State, is_on
from syncd.core.ownership import Ownership, emptied, named
from syncd.core.plan import Action, Change
from syncd.core.schema import MANAGER


@dataclass(frozen=True, slots=True)
class PendingRule:
    """A target's treatment of people from outside who have not accepted yet."""

    by_endpoint: bool
    """Whether the endpoint itself keeps the pending out; else syncd does, with `active: false`."""
    withdrawn_by_delete: bool = False
    """Whether an invitation is withdrawn by deleting the account; else by switching it off."""

    def active(self, state: State) -> bool:
        return state is State.ACTIVE or (state is State.PENDING and self.by_endpoint)


@dataclass(frozen=True, slots=True)
class Following:
    """The result of one difference: changes, the reason why a person has to decide, or a row to forget."""

    changes: list[Change] = field(default_factory=list)
    doubt: Doubt | None = None
    forget: bool = False


def differing(before: Flat, after: Flat) -> tuple[Flat, Flat]:
    """Return the paths at which two flat resources differ, with None where one of them has nothing."""
    paths = [
        path
        for path in (*before, *(path for path in after if path not in before))
        if before.get(path) != after.get(path)
    ]
    return {path: before.get(path) for path in paths}, {path: after.get(path) for path in paths}


def user_changes(
    desired: Desired | None,
    known: Known | None,
    pending: PendingRule,
    digest: str,
    accounts: Collection[str],
    owned: Ownership,
    match: Match | Doubt | None = None,
) -> Following:
    """Return the changes of one user: two of them where a manager's reference must wait.

    `desired` is None for a key that the source no longer returns. `accounts` holds the keys that have an
    account at the target already: a manager among them can be named at once, any other only later.
    `match` is the account that was found at the target for somebody who has none here.
    """
    if known is not None:
        known = replace(known, attributes=owned.within(known.attributes))
    says = _says(desired, known)
    found = match if isinstance(match, Match) else None
    following = Following()
    # A lost account that is there again, perhaps under another id, is taken over like one that was never linked.
    state = None if known is None or (known.lost and found is not None) else known.state
    match step(state, says, _shows(known, found)):
        case Step.NOTHING | Step.IMPOSSIBLE:
            pass
        case Step.FORGET:
            # Gone with SSO, and still in the source: people ask why, for as long as they may come back.
            following = Following(forget=known is None or not (known.is_gone_with_sso and says is Says.OFF))
        case Step.DEACTIVATE:
            assert known is not None
            following = Following([_switch_off(known, desired, digest)])
        case Step.WITHDRAW:
            assert known is not None
            if pending.withdrawn_by_delete:
                reason = f"the invitation is withdrawn: {_why(desired)}"
                gone = Change(Action.DELETE_USER, known.key, known.name, dict(known.attributes), {}, reason)
                following = Following([gone])
            else:
                following = Following([_switch_off(known, desired, digest)])
        case Step.CREATE | Step.INVITE | Step.INVITE_AGAIN as chosen:
            assert desired is not None
            created = _manager_later(_create(desired, known, pending, digest), accounts)
            doubt = match if isinstance(match, Doubt) else None
            if chosen is Step.INVITE_AGAIN:
                doubt = Doubt(
                    "invitation", f"{desired.name} was deleted at the target; it would be a second invitation"
                )
            following = Following(created, doubt)
        case Step.ADOPT | Step.ADOPT_OFF:
            assert desired is not None
            assert found is not None
            change = _adopt(desired, known, found, pending, digest, owned)
            following = Following([change], _empties(change))
        case Step.UPDATE:
            assert desired is not None
            assert known is not None
            changes = _update(Action.UPDATE_USER, desired, known, known.state, pending, digest, "", owned)
            following = Following(changes)
        case Step.ADMIT:
            assert desired is not None
            assert known is not None
            reason = "accepted the invitation" if known.accepted else "the address is now in a verified domain"
            changes = _update(Action.UPDATE_USER, desired, known, State.ACTIVE, pending, digest, reason, owned)
            following = Following(changes)
        case Step.REACTIVATE:
            assert desired is not None
            assert known is not None
            stays_out = desired.state is State.PENDING or known.uninvited
            state = State.PENDING if stays_out and not known.accepted else State.ACTIVE
            reason = "back in the source"
            changes = _update(Action.REACTIVATE_USER, desired, known, state, pending, digest, reason, owned)
            following = Following([later for change in changes for later in _manager_later(change, accounts)])
    return following


def _says(desired: Desired | None, known: Known | None) -> Says:
    if desired is None:
        return Says.GONE
    wanted = desired.state is not State.DEACTIVATED
    if wanted and known is not None and known.state is State.PENDING and not known.lost:
        if known.accepted:
            return Says.ACTIVE  # no longer pending, wherever the address is
        if known.uninvited:
            return Says.EXTERNAL  # they have no way in but an invitation, wherever the address is
    return {State.ACTIVE: Says.ACTIVE, State.PENDING: Says.EXTERNAL, State.DEACTIVATED: Says.OFF}[desired.state]


def _shows(known: Known | None, match: Match | None) -> Shows:
    if known is not None and not known.lost:
        return Shows.ON if is_on(known.attributes.get("active")) else Shows.OFF
    if match is None:
        return Shows.NOTHING
    return Shows.ON if match.account.active else Shows.OFF


def _why(desired: Desired | None) -> str:
    return desired.reason if desired else "gone from the source"


def _switch_off(known: Known, desired: Desired | None, digest: str) -> Change:
    """Record that an account is not wanted any more; an account that is off already gets no request."""
    on = is_on(known.attributes.get("active"))
    before: Flat = {"active": known.attributes.get("active")} if on else {}
    after: Flat = {"active": False} if on else {}
    reason = _why(desired)
    if known.state is State.DEACTIVATED:
        reason = "was switched on at the target"
    return Change(Action.DEACTIVATE_USER, known.key, known.name, before, after, reason, State.DEACTIVATED, digest)


def _create(desired: Desired, known: Known | None, pending: PendingRule, digest: str) -> Change:
    state = desired.state
    after = {path: _shared(value) for path, value in desired.attributes.items()}
    after["active"] = pending.active(state)
    reason = "new in the source" if desired.state is State.ACTIVE else "new in the source, external domain"
    if known is not None:
        reason = "the account was deleted at the target"
    return Change(Action.CREATE_USER, desired.key, desired.name, _NOTHING, after, reason, state, digest)


_NOTHING: Final[Flat] = {}
"""The `before` of every creation, one shared object: a first plan holds one creation for each person."""


def _shared(value: Json) -> Json:
    """Return a value, the same object for equal texts: departments, titles and names come again and again."""
    return intern(value) if type(value) is str else value


def _adopt(
    desired: Desired, known: Known | None, match: Match, pending: PendingRule, digest: str, owned: Ownership
) -> Change:
    """Take over an account: `before` and `after` hold every path that the source decides from now on.

    A value that the source doesn't have is emptied. The account of somebody who is not wanted is only switched off; its
    values are acknowledged, so that a return changes them in place. An outsider's account that is on was accepted,
    where syncd itself keeps outsiders out.
    """
    account = match.account
    state = desired.state
    if state is State.PENDING and account.active and not pending.by_endpoint:
        state = State.ACTIVE
    if state is State.ACTIVE and known is not None and known.uninvited:
        state = State.PENDING  # their account, under another id
    name = desired.name or account.name
    reason = "its account carries our externalId" if match.ours else f"has an account with this {match.by}"
    there = owned.within(account.attributes)
    wanted = desired.attributes
    if state is State.DEACTIVATED:
        reason = f"{desired.reason}, and its account carries our externalId"
        wanted = dict(sorted(there.items()))
    after = owned.all_of(wanted) | {"active": pending.active(state)}
    # Where the endpoint keeps the pending out, the endpoint decides how `active` shows a pending user.
    shown = after["active"] if state is State.PENDING and pending.by_endpoint else account.active
    there = with_unlabelled(account.attributes, after)
    before = {path: there.get(path) for path in after} | {"active": shown}
    return Change(Action.ADOPT_USER, desired.key, name, before, after, reason, state, digest, account.id)


def _empties(change: Change) -> Doubt | None:
    """Return why a person decides about an adoption: a stranger's account would lose values that the source lacks."""
    lost = emptied(*change.differences) if change.takes_over else {}
    if not lost:
        return None
    what = f"taking over the account of {change.name} would empty {named(lost)}"
    return Doubt(ADOPT, f"{what}: the source has no value there")


def _update(
    action: Action,
    desired: Desired,
    known: Known,
    state: State,
    pending: PendingRule,
    digest: str,
    reason: str,
    owned: Ownership,
) -> list[Change]:
    target = {**owned.within(desired.attributes), "active": pending.active(state)}
    before, after = differing(known.attributes, target)
    if not after and state is known.state and not known.unmanaged:
        return []
    if known.unmanaged:
        # The mark went with SSO: that it differs is no news.
        differs = {path: value for path, value in after.items() if path != "externalId"}
        reason = "; ".join(filter(None, (MANAGED_AGAIN, reason or (_reason(known, differs) if differs else ""))))
        before, after = _everything(known, target, before, after)
    reason = reason or _reason(known, after)
    return [Change(action, known.key, desired.name, before, after, reason, state, digest)]


MANAGED_AGAIN: Final = "to be managed again, since SSO was removed at the target"


def _everything(known: Known, target: Flat, before: Flat, after: Flat) -> tuple[Flat, Flat]:
    """Return an update with all values that the source decides, also where none differs: being sent is what counts.

    `active` is left out where nothing asks for it: nobody pending is activated. So are values that the target drops.
    """
    dropped = {path for path, value in known.kept_as.items() if value is None} | {"active"}
    whole = {path: value for path, value in target.items() if path not in dropped}
    return {**{path: known.attributes.get(path) for path in whole}, **before}, {**whole, **after}


def _reason(known: Known, after: Flat) -> str:
    """Name the attributes that changed in the source, names first: a reviewer looks for renames."""
    names = [path.rpartition(":")[2] for path in after if path != "active"]
    if "userName" in after:
        return f"renamed in the source (was {known.name})"
    if not names:
        return "was switched off at the target"
    return f"{', '.join(names)} changed in the source"


def _manager_later(change: Change, accounts: Collection[str]) -> list[Change]:
    """Split off a manager's reference that can't be resolved yet.

    The first change then has no digest: the second change completes the user.
    """
    manager = change.after.get(MANAGER)
    if manager is None or manager in accounts:
        return [change]
    return manager_apart(change)


def manager_apart(change: Change) -> list[Change]:
    """Return a change without the manager's reference, and the one that brings it when everybody is there."""
    manager = change.after[MANAGER]
    first = replace(
        change,
        before={path: value for path, value in change.before.items() if path != MANAGER},
        after={path: value for path, value in change.after.items() if path != MANAGER},
        digest="",
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


def group_changes(
    key: str, desired: Flat | None, known: KnownGroup | None, owned: Ownership, found: ObservedGroup | None = None
) -> list[Change]:
    """Return the changes of a group itself; `membership_changes` returns the changes of its members.

    `found` is the group at the target that is taken over, for one that is not linked.

    #  desired   known            found   -> change
    #  a name    -, or lost       -          create
    #  a name    -, or lost       a name     adopt
    #  a name    a name           -          update where something differs (a rename keeps id and members)
    #  -         a name           -          delete
    #  -         -, or lost       -          nothing
    """
    if desired is None:
        if known is None or known.lost:
            return []
        return [Change(Action.DELETE_GROUP, key, known.name, dict(known.attributes), {}, "gone from the source")]
    name = desired["displayName"]
    if found is not None:
        there = {**found.attributes, "displayName": found.name}
        after = owned.all_of(desired)
        before = {path: there.get(path) for path in after}
        reason = "carries our externalId" if found.external_id else "a group of this name is there"
        return [Change(Action.ADOPT_GROUP, key, name, before, after, reason, resource=found.id)]
    if known is None or known.lost:
        reason = "new in the source" if known is None else "the group was deleted at the target"
        return [Change(Action.CREATE_GROUP, key, name, {}, desired, reason)]
    before, after = differing(owned.within(known.attributes), owned.within(desired))
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
    """Return the members that leave and that join a group; each pair is (keys of users, keys of groups).

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
