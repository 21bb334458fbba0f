"""Decide which changes may run now. Pure: no clock, no database; `now` is an argument. Nothing is dropped.

Every change that comes in goes out, allowed or held with its reason; only a membership change may come out in
two parts, one of each.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime, timedelta
from enum import StrEnum
from typing import Final

from syncd.core.plan import Action, Change, Held


class Class(StrEnum):
    """What can go wrong in one way, and is limited as one."""

    DEACTIVATE = "deactivate"
    DELETE = "delete"
    DELETE_GROUP = "delete_group"
    REMOVE_MEMBERS = "remove_members"
    RENAME = "rename"
    """A userName or e-mail changes: people sign in with these."""
    ADOPT = "adopt"


_SENTENCES: Final = {
    Class.DEACTIVATE: "people would be deactivated",
    Class.DELETE: "people would be deleted",
    Class.DELETE_GROUP: "groups would be deleted",
    Class.REMOVE_MEMBERS: "people would be removed from groups",
    Class.RENAME: "people would get another userName or e-mail",
    Class.ADOPT: "accounts would be taken over",
}


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may happen in one run. `percent` of the managed applies from `base` of them on."""

    percent: float | None = None
    count: int | None = None
    base: int = 20

    def exceeded(self, affected: int, managed: int) -> str:
        """Return the limit that is exceeded, in words, or ""."""
        if self.count is not None and affected > self.count:
            return f"{self.count}"
        if self.percent is not None and managed >= self.base and affected * 100 > self.percent * managed:
            return f"{self.percent:g} %"
        return ""


DEFAULT_LIMITS: Final[Mapping[Class, Limit]] = {
    Class.DEACTIVATE: Limit(percent=10, count=50),
    Class.DELETE: Limit(percent=10, count=50),
    Class.DELETE_GROUP: Limit(count=5),
    Class.REMOVE_MEMBERS: Limit(percent=20),
    Class.RENAME: Limit(percent=20),
    Class.ADOPT: Limit(count=50),
}


@dataclass(frozen=True, slots=True)
class Policy:
    """What a target's configuration says."""

    limits: Mapping[Class, Limit] = field(default_factory=lambda: DEFAULT_LIMITS)
    missing_grace: timedelta = timedelta(hours=24)


@dataclass(frozen=True, slots=True)
class Situation:
    """What policy needs to know beside the changes."""

    now: datetime
    managed_users: int
    managed_groups: int
    missing: Mapping[str, datetime]
    """Keys of users and groups that vanished, with the moment since; nobody who was seen."""
    missing_groups: Mapping[str, datetime]
    outside: Collection[str] = ()
    """Keys of active users whose address moves out of the verified domains with their change."""


_LEAVING: Final = (Action.DEACTIVATE_USER, Action.DELETE_USER)


def _class_of(change: Change) -> Class | None:
    match change.action:
        case Action.DEACTIVATE_USER:
            return Class.DEACTIVATE
        case Action.DELETE_USER:
            return Class.DELETE
        case Action.DELETE_GROUP:
            return Class.DELETE_GROUP
        case Action.REMOVE_MEMBERS:
            return Class.REMOVE_MEMBERS
        case Action.ADOPT_USER:
            return Class.ADOPT
        case Action.UPDATE_USER if any(path == "userName" or path.startswith("emails") for path in change.after):
            return Class.RENAME
        case _:
            return None


def decide(changes: Sequence[Change], policy: Policy, situation: Situation) -> tuple[list[Change], list[Held]]:
    """Return what may run now, in the order given, and what is held and why."""
    allowed, held = _hold_single(changes, policy, situation)
    # Before the limits: whom a grace keeps is not affected now, and must not use up what others may do.
    allowed, dependent = _hold_with_them(allowed, held)
    allowed, over_limit = _hold_classes(allowed, policy, situation)
    allowed, dependent_on_limit = _hold_with_them(allowed, over_limit)
    return allowed, held + dependent + over_limit + dependent_on_limit


def _hold_single(changes: Iterable[Change], policy: Policy, situation: Situation) -> tuple[list[Change], list[Held]]:
    """Hold changes for what they are, each by itself."""
    allowed: list[Change] = []
    held: list[Held] = []
    for change in changes:
        missing = situation.missing if change.action.about_user else situation.missing_groups
        since = missing.get(change.key)
        if change.key in situation.outside and change.action.about_user:
            reason = f"{change.name} is active, and the new address is outside the verified domains"
            held.append(Held(change, "external_domain", reason))
        elif since is not None and situation.now - since < policy.missing_grace:
            until = since + policy.missing_grace
            reason = f"missing from the source since {since:%Y-%m-%d %H:%M} UTC; waits until {until:%Y-%m-%d %H:%M} UTC"
            held.append(Held(change, "missing_grace", reason))
        else:
            allowed.append(change)
    return allowed, held


def _hold_classes(changes: Sequence[Change], policy: Policy, situation: Situation) -> tuple[list[Change], list[Held]]:
    """Hold every class that is over its limit.

    The whole class, not the excess: N a run would only spread a bad export over days.
    """
    affected: dict[Class, set[str]] = {}
    for change in changes:
        if (class_ := _class_of(change)) is not None:
            affected.setdefault(class_, set()).update(
                change.members if class_ is Class.REMOVE_MEMBERS else [change.key]
            )
    reasons = {}
    for class_, keys in affected.items():
        managed = situation.managed_groups if class_ is Class.DELETE_GROUP else situation.managed_users
        limit = policy.limits.get(class_, DEFAULT_LIMITS[class_])
        if exceeded := limit.exceeded(len(keys), managed):
            reasons[class_] = f"{len(keys)} of {managed} {_SENTENCES[class_]}; the limit is {exceeded}"
    allowed = [change for change in changes if _class_of(change) not in reasons]
    held = [
        Held(change, class_.value, reasons[class_])
        for change in changes
        if (class_ := _class_of(change)) is not None and class_ in reasons
    ]
    return allowed, held


def _hold_with_them(changes: Iterable[Change], held: Iterable[Held]) -> tuple[list[Change], list[Held]]:
    """Hold what belongs to those whose own change is held: the second change of a person, and memberships.

    Who keeps the account keeps the groups: otherwise a held deactivation would still lock people out. A group
    that is not deleted yet stays in its groups as well. Any other held change says nothing about memberships.
    """
    waiting = {each.change.key: each for each in held if each.change.action.about_user}
    staying = {key: each for key, each in waiting.items() if each.change.action in _LEAVING}
    kept_groups = {each.change.key: each for each in held if each.change.action is Action.DELETE_GROUP}
    allowed: list[Change] = []
    dependent: list[Held] = []
    for change in changes:
        if change.action.about_user and (cause := waiting.get(change.key)):
            dependent.append(Held(change, cause.limit, f"waits with another change of {change.name}: {cause.reason}"))
            continue
        members, subgroups = change.members, change.subgroups
        stay = [key for key in members if key in staying], [key for key in subgroups if key in kept_groups]
        if change.action is not Action.REMOVE_MEMBERS or not any(stay):
            allowed.append(change)
            continue
        go = [key for key in members if key not in staying], [key for key in subgroups if key not in kept_groups]
        if any(go):
            allowed.append(change.with_members(*go))
        causes = [*(staying[key] for key in stay[0]), *(kept_groups[key] for key in stay[1])]
        reason = f"{len(causes)} of them stay for now: {causes[0].reason}"
        dependent.append(Held(change.with_members(*stay), causes[0].limit, reason))
    return allowed, dependent
