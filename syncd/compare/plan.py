"""The last step: the Plan. Differences in order of execution, policy's verdict on each, and the estimate."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import replace
from typing import Final

from syncd.compare.comparison import Comparison, Differences
from syncd.compare.estimate import estimate
from syncd.compare.preparing import with_what_comes_first
from syncd.compare.situation import SHRUNK_SOURCE, situation
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.context import Context
from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.limits import BEFORE_DELETE, MOVES_CONTENT
from syncd.core.model import Flat, Kind
from syncd.core.plan import Action, Change, Plan, Trouble, ordered
from syncd.core.policy import EMPTY_SOURCE, decide
from syncd.store.context import groups_of_changes, people_of

_DISTRUST: Final = frozenset({EMPTY_SOURCE, SHRUNK_SOURCE})
"""Limits that hold because the reading as a whole is not believed."""

_APPROVED_APART: Final = {
    BEFORE_DELETE: ", without `before_delete`",
    MOVES_CONTENT: ", though its content goes to somebody else",
}
"""What a person approved beside the change itself, by the reason for which it was held."""


def make_plan(
    comparison: Comparison,
    differences: Differences,
    kind: str = "sync",
    *,
    drift: Sequence[Drift] = (),
    accepted: Sequence[str] = (),
    doubts: Sequence[str] = (),
) -> Plan:
    """Return the plan of one target: ordered, limited and counted.

    `drift`, `accepted` (keys of users) and `doubts` (sentences) are the findings of a full resync.
    """
    target, snapshot = comparison.target, comparison.snapshot
    drift = _without_kept(drift, differences.kept)
    changes = _told_apart(differences.changes, drift) if drift else differences.changes
    changes = with_what_comes_first(changes, comparison)
    everything = ordered(changes, target.room)
    facts = situation(comparison, differences, changes)
    verdict = decide(everything, target.policy, facts)
    return Plan(
        target=target.name,
        kind=kind,
        created=comparison.now,
        base_serial=comparison.serial,
        changes=tuple(_with_approval(change, comparison) for change in verdict.allowed),
        held=tuple(verdict.held),
        rejected=tuple(verdict.rejected),
        drift=tuple(drift),
        accepted=tuple(accepted),
        problems=(*differences.problems, *(Trouble("", doubt, target.name, "target") for doubt in doubts)),
        estimate=estimate(verdict.allowed, target, snapshot, drift, [*verdict.held, *verdict.rejected]),
        managed=facts.managed_users,
        evidence=differences.evidence,
        scheme=target.mapping_fingerprint.hex(),
        context=Context(
            facts.managed_groups,
            verdict.limits,
            people_of(snapshot, everything),
            groups_of_changes(snapshot, everything),
        ),
    )


def nothing_to_do(comparison: Comparison, kind: str = "sync") -> Plan:
    """Return the plan where nothing was compared."""
    return Plan(
        target=comparison.target.name,
        kind=kind,
        created=comparison.now,
        base_serial=comparison.serial,
        changes=(),
        managed=comparison.managed,
        scheme=comparison.target.mapping_fingerprint.hex(),
    )


def snapshot_updates(differences: Differences, plan: Plan) -> SnapshotUpdates:
    """Return the updates to the snapshot that go with the plan; with the source's counts, if these are believed."""
    if any(each.limit in _DISTRUST for each in plan.held):
        return differences.snapshot_updates
    evidence = differences.evidence
    counts = {"users": evidence.users, "groups": evidence.groups, "memberships": evidence.memberships}
    return replace(differences.snapshot_updates, counts=counts)


def _with_approval(change: Change, comparison: Comparison) -> Change:
    """Return a change with the person who approved the change, and when, where an approval was needed."""
    approval = comparison.decisions.approvals.get(change.id)
    if approval is None:
        return change
    apart = _APPROVED_APART.get(comparison.decisions.approved_for.get(change.id, ""), "")
    return replace(change, reason=f"{change.reason}; {approval}{apart}")


def _without_kept(drift: Sequence[Drift], kept: Mapping[str, frozenset[str]]) -> Sequence[Drift]:
    """Leave out of the drift what the mapping keeps while the source is empty: a reading of the target can't know it.

    `kept`: by key of a user, the paths at which the source has no value.
    """
    if not kept:
        return drift
    remaining = []
    for each in drift:
        paths = kept.get(each.key, frozenset()) if each.class_ is DriftClass.USER_ATTRIBUTES else frozenset()
        expected, found = (_at_others(paths, flat) for flat in (each.expected, each.found))
        if expected or not paths:
            remaining.append(replace(each, expected=expected, found=found))
    return remaining


def _at_others(paths: frozenset[str], flat: Flat) -> Flat:
    return {path: value for path, value in flat.items() if path not in paths}


def _told_apart(changes: Iterable[Change], drift: Iterable[Drift]) -> list[Change]:
    """Mark the changes that correct drift, alone or along with a change of the source."""
    drifted: dict[tuple[bool, str], set[str]] = {}
    for each in drift:
        if each.reaction is Reaction.ENFORCE:
            drifted.setdefault((each.kind is Kind.USER, each.key), set()).update((*each.expected, *each.found))
    told = []
    for change in changes:
        paths = change.before.keys() | change.after.keys()
        found = paths & drifted.get((change.action.about_user, change.key), set())
        if found and change.action not in (Action.CREATE_USER, Action.CREATE_GROUP):
            names = ", ".join(sorted(path.rpartition(":")[2] for path in found))
            reason = f"{names} changed at the target"
            change = replace(change, reason=reason if found == paths else f"{change.reason}; {reason}")
        told.append(change)
    return told
