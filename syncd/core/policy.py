"""Decide which changes may run now. Pure: no clock, no database; `now` is an argument. Nothing is dropped.

Every change that comes in goes out: allowed, held with its reason, or rejected by a person; only a membership
change may come out in parts, one of each.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from typing import Final

from syncd.core.actions import Action, Effect
from syncd.core.context import LimitUse
from syncd.core.limits import (
    APPROVED_APART,
    DEFAULT_LIMITS,
    EMPTY_SOURCE,
    MISSING_GRACE,
    NEVER_RELEASED,
    PROTECTED,
    QUARANTINE,
    Class,
    Limit,
    over_limit,
)
from syncd.core.matching import Doubt
from syncd.core.model import Kind, State
from syncd.core.plan import Change, Held
from syncd.core.room import ANY_NUMBER, Room


@dataclass(frozen=True, slots=True)
class Policy:
    """A target's configuration of limits."""

    limits: Mapping[Class, Limit] = field(default_factory=lambda: DEFAULT_LIMITS)
    missing_grace: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Situation:
    """The facts that policy needs beside the changes."""

    now: datetime
    managed_users: int
    managed_groups: int
    missing: Mapping[str, datetime] = field(default_factory=dict)
    """Keys of users that vanished, with the moment since; nobody who was seen."""
    missing_groups: Mapping[str, datetime] = field(default_factory=dict)
    doubts: Mapping[str, Doubt] = field(default_factory=dict)
    """Keys of users about whose change a person decides."""
    group_doubts: Mapping[str, Doubt] = field(default_factory=dict)
    """The same for groups."""
    protected: Mapping[str, str] = field(default_factory=dict)
    """Keys of users who are never switched off, with the reason."""
    absences: Mapping[Kind, Doubt] = field(default_factory=dict)
    """Why an absence from the source may not cause a change, by kind of resource."""
    quarantined: Mapping[str, str] = field(default_factory=dict)
    """Ids of quarantined changes, with the reason."""
    unprepared: Mapping[str, Doubt] = field(default_factory=dict)
    """Keys of users whose deletion waits for what must come first, or for a person where nothing does."""
    approved: Collection[str] = ()
    """Ids of changes that a person approved."""
    approved_for: Mapping[str, str] = field(default_factory=dict)
    """By the id of an approved change, the reason for which it was held then."""
    rejected: Mapping[str, str] = field(default_factory=dict)
    """Ids of rejected changes, with the person and the time."""
    groups_of: Mapping[str, int] = field(default_factory=dict)
    """Number of groups of each person who is removed from some; a person without a number keeps other groups."""
    members_of: Mapping[str, Collection[str]] = field(default_factory=dict)
    """The people in each group that would be deleted."""
    room: Room = ANY_NUMBER
    """The target's room for a person."""
    crowded: Mapping[str, Sequence[str]] = field(default_factory=dict)
    """Keys of users whom the source has in several groups where there is room for one: they join none of these."""


@dataclass(frozen=True, slots=True)
class Verdict:
    """The changes that may run now, in the order given, and the withheld ones with their reasons."""

    allowed: list[Change]
    held: list[Held]
    rejected: list[Held]
    limits: tuple[LimitUse, ...] = ()
    """Usage of each limit, including limits without a counted change."""


#  the action's own limit    and the change                             -> class
#  adopt                        ends switched off, and is on now            deactivate
#  adopt                        ends switched off, and is off already       none
#  adopt                        carries our mark already: only linked       none
#  rename                       leaves userName and e-mails as they are     none
#  any                          anything else                               the action's own
def class_of(change: Change) -> Class | None:
    """Return the class whose limit counts a change, None for none."""
    own = change.action.limit
    if own is Class.ADOPT and change.state is State.DEACTIVATED:
        return Class.DEACTIVATE if change.differences[1].get("active") is False else None
    if own is Class.ADOPT and not change.takes_over:
        return None
    if own is Class.RENAME and not _renames(change):
        return None
    return own


def _renames(change: Change) -> bool:
    return any(path == "userName" or path.startswith("emails") for path in change.differences[1])


def decide(changes: Sequence[Change], policy: Policy, situation: Situation) -> Verdict:
    """Return the changes that may run now, the held changes with their reasons, and the rejected changes."""
    allowed, rejected = _reject(changes, situation)
    allowed, held = _hold_single(allowed, policy, situation)
    # Excluded before the limits are counted: a person in grace is not affected by this run.
    allowed, dependent = _hold_with_them(allowed, [*rejected, *held])
    allowed, moves = _hold_moves(allowed, [*rejected, *held, *dependent], situation)
    allowed, over_limit, limits = _hold_classes(allowed, policy, situation)
    allowed, dependent_on_limit = _hold_with_them(allowed, over_limit)
    allowed, moves_on_limit = _hold_moves(allowed, [*over_limit, *dependent_on_limit], situation)
    waiting = [*dependent, *moves, *dependent_on_limit, *moves_on_limit]
    rejected += [each for each in waiting if each.limit == REJECTED]
    held += [*over_limit, *(each for each in waiting if each.limit != REJECTED)]
    return Verdict(allowed, held, rejected, limits)


REJECTED: Final = "rejected"
CROWDED: Final = "crowded"
"""The reason that holds the deletion of a group whose members the source has in several others."""


def _reject(changes: Iterable[Change], situation: Situation) -> tuple[list[Change], list[Held]]:
    allowed: list[Change] = []
    rejected: list[Held] = []
    for change in changes:
        reason = situation.rejected.get(change.id) if situation.rejected else None
        if reason is None:
            allowed.append(change)
        else:
            rejected.append(Held(change, REJECTED, reason))
    return allowed, rejected


def _hold_single(changes: Iterable[Change], policy: Policy, situation: Situation) -> tuple[list[Change], list[Held]]:
    """Hold changes for reasons of their own, independent of other changes."""
    allowed: list[Change] = []
    held: list[Held] = []
    for change in changes:
        doubts = filter(None, (_doubt(change, policy, situation), _unprepared(change, situation)))
        doubt = next((each for each in doubts if not _is_released(each, change, situation)), None)
        if doubt is None:
            allowed.append(change)
        else:
            held.append(Held(change, doubt.limit, doubt.reason))
    return allowed, held


def _is_released(doubt: Doubt, change: Change, situation: Situation) -> bool:
    """Return whether a person's approval overrides a doubt."""
    if doubt.limit in NEVER_RELEASED or change.id not in situation.approved:
        return False
    return doubt.limit not in APPROVED_APART or situation.approved_for.get(change.id) == doubt.limit


def _unprepared(change: Change, situation: Situation) -> Doubt | None:
    return situation.unprepared.get(change.key) if change.action is Action.DELETE_USER else None


def _doubt(change: Change, policy: Policy, situation: Situation) -> Doubt | None:
    """Return why one change may not run now, the gravest reason first."""
    about_user = change.action.about_user
    if about_user and change.key in situation.protected and change.shuts_out:
        return Doubt(PROTECTED, f"{change.name} is protected: {situation.protected[change.key]}")
    missing = situation.missing if about_user else situation.missing_groups
    since = missing.get(change.key) if change.action.ends else None
    if (absence := _absence(change, situation, gone=since is not None)) is not None:
        return absence
    if about_user and (doubt := situation.doubts.get(change.key)) is not None:
        return doubt
    if change.action.begins and not about_user and (doubt := situation.group_doubts.get(change.key)) is not None:
        return doubt
    if since is not None and situation.now - since < policy.missing_grace:
        until = since + policy.missing_grace
        reason = f"missing from the source since {since:%Y-%m-%d %H:%M} UTC; waits until {until:%Y-%m-%d %H:%M} UTC"
        return Doubt(MISSING_GRACE, reason)
    if situation.quarantined and (reason := situation.quarantined.get(change.id, "")):
        return Doubt(QUARANTINE, reason)
    class_ = class_of(change)
    if class_ is not None and policy.limits.get(class_, DEFAULT_LIMITS[class_]).always:
        return Doubt(class_.value, f'every such change waits for a person (limits.{class_.value}: hold = "always")')
    return None


def _absence(change: Change, situation: Situation, *, gone: bool) -> Doubt | None:
    """Return why a change that follows from an absence is not believed.

    A membership and a group end only because the source no longer names them: for these every absence counts.
    """
    action = change.action
    if action.about_user:
        return situation.absences.get(Kind.USER) if action.ends and gone else None
    if action.ends or action.removes:
        return situation.absences.get(Kind.GROUP) or situation.absences.get(Kind.USER)
    return None


def _hold_classes(
    changes: Sequence[Change], policy: Policy, situation: Situation
) -> tuple[list[Change], list[Held], tuple[LimitUse, ...]]:
    """Hold every class that is over its limit; approved changes count towards the limit, and are allowed.

    The whole class is held, not the excess: N a run would only spread a bad export over days.
    """
    losing = _losing_all(changes, situation)
    affected: dict[Class, set[str]] = {}
    for change in changes:
        for class_ in _classes(change, situation, losing):
            affected.setdefault(class_, set()).update(_people(change, class_, situation, losing))
    reasons: dict[Class, str] = {}
    limits: list[LimitUse] = []
    for class_ in Class:
        keys = affected.get(class_, set())
        managed = situation.managed_groups if class_.of is Kind.GROUP else situation.managed_users
        limit = policy.limits.get(class_, DEFAULT_LIMITS[class_])
        used = (len(keys), managed, limit.most(managed), limit.percent, limit.count, limit.always)
        base = limit.base if limit.percent is not None else None
        limits.append(LimitUse(class_.value, *used, base=base))
        if exceeded := limit.exceeded(len(keys), managed):
            also_losing = class_ is Class.DEACTIVATE and bool(losing)
            reasons[class_] = over_limit(class_, len(keys), managed, exceeded, also_losing=also_losing)
    allowed: list[Change] = []
    held: list[Held] = []
    for change in changes:
        over = next((class_ for class_ in _classes(change, situation, losing) if class_ in reasons), None)
        if over is None or change.id in situation.approved:
            allowed.append(change)
        elif over is Class.DEACTIVATE and change.action.removes:
            stay = change.with_members([key for key in change.members if key in losing], [])
            go = [key for key in change.members if key not in losing]
            if stay.id in situation.approved:
                allowed.append(change)
                continue
            if go or change.subgroups:
                allowed.append(change.with_members(go, change.subgroups))
            held.append(Held(stay, over.value, reasons[over]))
        else:
            held.append(Held(change, over.value, reasons[over]))
    return allowed, held, tuple(limits)


def _classes(change: Change, situation: Situation, losing: Collection[str]) -> list[Class]:
    """Return every limit that a change counts for: changes that shut the same people out count alike."""
    own = class_of(change)
    classes = [] if own is None else [own]
    if own is Class.DELETE_GROUP and situation.members_of.get(change.key):
        classes.append(Class.REMOVE_MEMBERS)
    if losing and _people_removed(change, situation) & set(losing):
        classes.append(Class.DEACTIVATE)
    return classes


def _people(change: Change, class_: Class, situation: Situation, losing: Collection[str]) -> set[str]:
    """Return the people or groups that a change affects, as one limit counts them."""
    if class_ is Class.REMOVE_MEMBERS:
        return _people_removed(change, situation)
    if class_ is Class.DEACTIVATE and not change.action.about_user:
        return _people_removed(change, situation) & set(losing)
    return {change.key}


def _people_removed(change: Change, situation: Situation) -> set[str]:
    if change.action.removes:
        return set(change.members)
    if change.action.ends and not change.action.about_user:
        return set(situation.members_of.get(change.key, ()))
    return set()


def _losing_all(changes: Iterable[Change], situation: Situation) -> set[str]:
    """Return the people whom the changes leave without any group: the same to them as being deactivated."""
    if not situation.groups_of:
        return set()
    lost: Counter[str] = Counter()
    staying: set[str] = set()
    for change in changes:
        lost.update(_people_removed(change, situation))
        if change.action.adds:
            staying.update(change.members)
        elif change.action.leaves:
            staying.add(change.key)  # counted already
    return {
        key
        for key, count in lost.items()
        if key not in staying and key in situation.groups_of and count >= situation.groups_of[key]
    }


def _hold_with_them(changes: Iterable[Change], held: Iterable[Held]) -> tuple[list[Change], list[Held]]:
    """Hold the changes that depend on a held change: the second change of a person, and memberships.

    A person who keeps the account keeps the groups: otherwise a held deactivation would still lock people out. A group
    that is not deleted yet stays in its groups as well. A person without an account, and a group that isn't created,
    join nothing. Any other held change has no effect on memberships.
    """
    held = list(held)
    people = {each.change.key: each for each in held if each.change.action.about_user}
    staying = _delaying(held, Kind.USER, Effect.REMOVE_MEMBERS)
    absent = _delaying(held, Kind.USER, Effect.ADD_MEMBERS)
    kept_groups = _delaying(held, Kind.GROUP, Effect.REMOVE_MEMBERS)
    unmade_groups = _delaying(held, Kind.GROUP, Effect.ADD_MEMBERS)
    allowed: list[Change] = []
    dependent: list[Held] = []
    for change in changes:
        if change.action.about_user and (cause := people.get(change.key)):
            dependent.append(Held(change, cause.limit, f"waits with another change of {change.name}: {cause.reason}"))
            continue
        if not change.action.of_members:
            allowed.append(change)
            continue
        if cause := unmade_groups.get(change.key):
            dependent.append(Held(change, cause.limit, f"waits for the group: {cause.reason}"))
            continue
        removing = change.action.removes
        waiting, waiting_groups = (staying, kept_groups) if removing else (absent, unmade_groups)
        stay = (
            [key for key in change.members if key in waiting],
            [key for key in change.subgroups if key in waiting_groups],
        )
        if not any(stay):
            allowed.append(change)
            continue
        go = (
            [key for key in change.members if key not in waiting],
            [key for key in change.subgroups if key not in waiting_groups],
        )
        if any(go):
            allowed.append(change.with_members(*go))
        causes = [*(waiting[key] for key in stay[0]), *(waiting_groups[key] for key in stay[1])]
        one, several = ("stays for now", "stay for now") if removing else ("is not there yet", "are not there yet")
        count = f"one of them {one}" if len(causes) == 1 else f"{len(causes):,} of them {several}"
        dependent.append(Held(change.with_members(*stay), causes[0].limit, f"{count}: {causes[0].reason}"))
    return allowed, dependent


#  withheld                                          waits too, for these people   because
#  leaving a group, or deleting it                      joining another group         the join would take them out of it
#  joining a group                                      leaving their group, and      they would be without a group
#                                                       deleting it
#  (nobody is joined: the source has them in several)   deleting their group          the same
def _hold_moves(
    changes: Sequence[Change], withheld: Iterable[Held], situation: Situation
) -> tuple[list[Change], list[Held]]:
    """Hold both halves of a move where one of them is withheld, at a target that has room for one group a person."""
    room = situation.room
    if not room.one_group:
        return list(changes), []
    withheld = [each for each in withheld if room.is_exclusive(each.change.name) and not each.change.action.about_user]
    staying = {key: each for each in withheld for key in _people_removed(each.change, situation)}
    allowed: list[Change] = []
    waiting: list[Held] = []
    for change in changes:
        joins = change.action.adds and room.is_exclusive(change.name)
        _put(change, staying if joins else {}, "in their group for now", allowed, waiting)
    unjoined = {key: each for each in (*withheld, *waiting) if each.change.action.adds for key in each.change.members}
    remaining, allowed = allowed, []
    for change in remaining:
        leaves = change.action.removes and room.is_exclusive(change.name)
        if change.action.deletes and not change.action.about_user and room.is_exclusive(change.name):
            _put_deletion(change, unjoined, situation, allowed, waiting)
        else:
            _put(change, unjoined if leaves else {}, "until they can join another group", allowed, waiting)
    return allowed, waiting


def _put(change: Change, causes: Mapping[str, Held], stay: str, allowed: list[Change], waiting: list[Held]) -> None:
    """Put a membership change among the allowed, or, for the people who have a cause to wait, among the waiting."""
    kept = [key for key in change.members if key in causes] if causes else []
    if not kept:
        allowed.append(change)
        return
    go = [key for key in change.members if key not in causes]
    if go or change.subgroups:
        allowed.append(change.with_members(go, change.subgroups))
    cause = causes[kept[0]]
    count = "one of them stays" if len(kept) == 1 else f"{len(kept):,} of them stay"
    waiting.append(Held(change.with_members(kept, []), cause.limit, f"{count} {stay}: {cause.reason}"))


def _put_deletion(
    change: Change, unjoined: Mapping[str, Held], situation: Situation, allowed: list[Change], waiting: list[Held]
) -> None:
    """Put the deletion of a group among the allowed, or among the waiting: a member would be without a group."""
    members = sorted(_people_removed(change, situation))
    if (cause := next((unjoined[key] for key in members if key in unjoined), None)) is not None:
        reason = f"a member stays until they can join another group: {cause.reason}"
        waiting.append(Held(change, cause.limit, reason))
    elif (crowded := [key for key in members if key in situation.crowded]) and change.id not in situation.approved:
        names = ", ".join(situation.crowded[crowded[0]])
        reason = f"{_several_groups(len(crowded))} ({names}), and would be left without a group"
        waiting.append(Held(change, CROWDED, reason))
    else:
        allowed.append(change)


def _several_groups(number: int) -> str:
    return "a member is in several groups" if number == 1 else f"{number:,} members are in several groups"


def _delaying(held: Iterable[Held], kind: Kind, effect: Effect) -> dict[str, Held]:
    """Return by key the held changes that membership changes with this effect wait for."""
    return {
        each.change.key: each
        for each in held
        if each.change.action.kind is kind and each.change.action.delays is effect
    }


__all__ = [
    "DEFAULT_LIMITS",
    "EMPTY_SOURCE",
    "NEVER_RELEASED",
    "PROTECTED",
    "REJECTED",
    "Class",
    "Limit",
    "Policy",
    "Situation",
    "Verdict",
    "class_of",
    "decide",
]
