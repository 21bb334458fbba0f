"""The plans for one person: everybody's plans, reduced to the changes of the person named."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from itertools import chain

from syncd.compare.estimate import estimate
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.model import Kind
from syncd.core.plan import Change, Plan
from syncd.core.schema import MANAGER
from syncd.cycle.planned import Planned
from syncd.errors import SyncdError
from syncd.store import Snapshot, StateFile


def limited_to_person(plans: Sequence[Planned], who: str, state: StateFile) -> list[Planned]:
    """Reduce each plan to the changes of one person. `who`: a key, userName or e-mail.

    Raises SyncdError when nobody or several match.
    """
    key = _key_of(plans, who, state)
    return [_limited(planned, key, state) for planned in plans]


def _key_of(plans: Sequence[Planned], who: str, state: StateFile) -> str:
    """Return the one key that is meant, at any target: not every target wants or knows everybody."""
    keys = {key for planned in plans for key in _keys_named(planned.plan, who, state.snapshot(planned.target.name))}
    if who in keys:
        return who
    if len(keys) == 1:
        return keys.pop()
    for planned in plans:
        if planned.failure is not None and not keys:
            raise planned.failure  # the person may be at the target that could not be read
    found = (
        f"{len(keys)} people match: {', '.join(sorted(keys))}" if keys else "nobody has that key, userName or e-mail"
    )
    hint = "give the source's key" if keys else "or they are out of scope, disabled, or unusable in the source"
    raise SyncdError(f"{who}: {found} ({', '.join(planned.target.name for planned in plans)})", hint=hint)


def _keys_named(plan: Plan, who: str, snapshot: Snapshot) -> set[str]:
    """Return the keys of everybody at one target who has that key, userName or e-mail."""
    folded = who.casefold()
    everything = [*plan.changes, *(held.change for held in chain(plan.held, plan.rejected))]
    return (
        {known.key for known in snapshot.find(who)}
        | {
            change.key
            for change in everything
            if change.action.about_user and (change.key == who or folded in _names(change))
        }
        | {problem.key for problem in plan.problems if problem.key == who and problem.kind == Kind.USER.value}
    )


def _names(change: Change) -> set[str]:
    texts = [change.name, *(value for path, value in change.after.items() if path.startswith(("userName", "emails")))]
    return {text.casefold() for text in texts if isinstance(text, str)}


def _limited(planned: Planned, key: str, state: StateFile) -> Planned:
    """Reduce one plan to the changes of one person."""
    plan, snapshot = planned.plan, state.snapshot(planned.target.name)
    parts = [part for change in plan.changes if (part := _part(change, key)) is not None]
    changes = _without_half_moves(parts, [change for change in parts if _stands_alone(change, snapshot)], planned)
    held, rejected = (
        tuple(each for each in withheld if _part(each.change, key) is not None)
        for withheld in (plan.held, plan.rejected)
    )
    limited = replace(
        plan,
        kind="user",
        changes=tuple(changes),
        held=held,
        rejected=rejected,
        drift=tuple(drift for drift in plan.drift if drift.key == key and drift.kind is Kind.USER),
        accepted=tuple(each for each in plan.accepted if each == key),
        problems=tuple(problem for problem in plan.problems if problem.key == key),
        estimate=estimate(changes, planned.target.rules, snapshot, plan.drift, [*held, *rejected]),
        context=plan.context.only({key}, {change.key for change in changes if not change.action.about_user}),
    )
    return replace(planned, plan=limited, snapshot_updates=SnapshotUpdates(), complete=False)


def _part(change: Change, key: str) -> Change | None:
    """Return the part of a change that concerns one person, or None."""
    if change.action.about_user:
        return change if change.key == key else None
    if change.action.of_members and key in change.members:
        return change.with_members([key], [])
    return None


def _without_half_moves(parts: Sequence[Change], alone: list[Change], planned: Planned) -> list[Change]:
    """Leave out leaving a group where joining another one is left out: the person would be without a group."""
    room = planned.target.rules.room
    joins = [change for change in parts if change.action.adds and room.is_exclusive(change.name)]
    if all(change in alone for change in joins):
        return alone
    return [change for change in alone if not (change.action.removes and room.is_exclusive(change.name))]


def _stands_alone(change: Change, snapshot: Snapshot) -> bool:
    """Return whether a change depends on no removed change: its group and the manager that it names are there."""
    if not change.action.about_user:
        return snapshot.group(change.key) is not None
    manager = change.after.get(MANAGER)
    return manager is None or bool(snapshot.ids(Kind.USER, [manager]))
