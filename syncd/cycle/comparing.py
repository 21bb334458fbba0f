"""Plan: begins one target's comparison with the decisions of people, and makes a plan of the result."""

from __future__ import annotations

from datetime import datetime
from time import monotonic
from typing import Final

import structlog

from syncd.compare.comparison import Comparison, Differences
from syncd.compare.decisions import Decisions
from syncd.compare.plan import make_plan, nothing_to_do, snapshot_updates
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.matching import Doubt
from syncd.core.model import Kind
from syncd.cycle.observing import Baseline
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.settings.build import Setup, Target
from syncd.store import Decision, Hold, StateFile

log = structlog.get_logger()
RESYNC_ONLY: Final = frozenset({"adopt"})
"""The limits that only a full resync can judge: a normal run doesn't read the target's accounts."""


def comparison_of(
    setup: Setup, target: Target, state: StateFile, baseline: Baseline, moment: datetime, *, everybody: bool
) -> Comparison:
    """Return the comparison of one target. `everybody`: False for one person by name, who is tried at once."""
    snapshot = state.snapshot(target.name)
    snapshot.begin_staging()
    return Comparison(
        setup.rules,
        target.rules,
        baseline.snapshot,
        moment,
        decisions=_decisions(state, target.name, moment, read=baseline.observation is not None, everybody=everybody),
        observation=baseline.observation,
        remember=snapshot.stage_entries,
    )


def _decisions(state: StateFile, target: str, moment: datetime, *, read: bool, everybody: bool) -> Decisions:
    """Return the decisions of people about changes to a target, and the quarantined changes.

    `read`: the target was read. A run that doesn't read the target can't judge a creation or adoption that a full
    resync held: such a hold remains in force.
    """
    holds = state.holds(target)
    known, approvals, rejected = holds.all(), holds.approvals(moment), holds.rejected()
    unseen = [hold for hold in known if not read and hold.limit in RESYNC_ONLY and hold.change.action.begins]
    return Decisions(
        approved=frozenset(approvals),
        rejected=rejected,
        quarantined=state.quarantine(target).waiting(moment) if everybody else {},
        doubted={
            _subject(hold): Doubt(hold.limit, hold.reason) for hold in unseen if hold.decision is not Decision.REJECTED
        },
        declined={
            _subject(hold): rejected[hold.id]
            for hold in unseen
            if hold.decision is Decision.REJECTED and hold.change.action.adopts
        },
        refused={} if read else _refused_adoptions(state, target),
        approved_for=holds.approved_for(moment),
        unprepared=state.preparations(target).waiting(moment) if everybody else {},
        undecided=frozenset(hold.change.key for hold in known if hold.change.action.about_user),
        approvals=approvals,
    )


def _refused_adoptions(state: StateFile, target: str) -> dict[tuple[Kind, str], str]:
    """Return by kind and key why adoptions are quarantined: only a full resync tries them again."""
    return {
        (each.change.action.kind, each.change.key): f"{each.change.action.words.doing} {each.reason}, by a full resync"
        for each in state.quarantine(target).all()
        if each.change.action.adopts
    }


def _subject(hold: Hold) -> tuple[Kind, str]:
    return hold.change.action.kind, hold.change.key


def may_have_changed(target: Target, state: StateFile, mark: bytes | None, moment: datetime) -> bool:
    """Return whether source, rules, snapshot or time may ask for a change since everything was last in line."""
    snapshot, after = state.snapshot(target.name), target.rules.delete_after
    if mark is None or snapshot.mark != target.rules.plan_mark(mark, snapshot.serial):
        return True
    if after is not None and snapshot.deactivated_before(moment - after):
        return True  # a deletion is due by the passing of time alone
    log.info("source_unchanged", target=target.name)
    return False


def plan_of(
    target: Target,
    baseline: Baseline,
    comparison: Comparison,
    differences: Differences | None,
    mark: bytes | None,
    progress: Progress,
    *,
    kind: str,
    everybody: bool,
) -> Planned:
    """Return the plan that follows from the differences. None: nothing was compared, and nothing is to be done."""
    started = monotonic()
    if differences is None:
        plan, updates = nothing_to_do(comparison, kind), SnapshotUpdates(entries=True)
    else:
        drift, accepted, doubts = baseline.drift, baseline.accepted, baseline.doubts
        plan = make_plan(comparison, differences, kind, drift=drift, accepted=accepted, doubts=doubts)
        updates = snapshot_updates(differences, plan)
    progress.took("compare", target.name, monotonic() - started)
    return Planned(
        target,
        plan,
        updates,
        mark,
        everybody,
        baseline.discovered,
        baseline.proven,
        baseline.place,
        baseline.failure,
        baseline.traffic,
        baseline.releases,
    )
