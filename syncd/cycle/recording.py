"""Record: writes a plan's findings before its first request, and the run's result after the push.

A run that is killed in between leaves its findings in the state file; the next run finds the same differences.
"""

from __future__ import annotations

from collections.abc import Sequence
from datetime import datetime
from typing import Any

import structlog

from syncd.core.drift import Reaction
from syncd.core.plan import Action, Result, Run
from syncd.cycle import clock
from syncd.cycle.comparing import RESYNC_ONLY
from syncd.cycle.gating import end_stop, note_stop
from syncd.cycle.knowing import note_found, note_linked
from syncd.cycle.planned import Planned, with_what_is_stored
from syncd.cycle.pushing import Pushed
from syncd.cycle.whereabouts import to_record
from syncd.errors import TargetError
from syncd.scim.pace import Window
from syncd.store import Hold, Snapshot, StateFile

log = structlog.get_logger()


def begin_run(planned: Planned, state: StateFile, started: datetime, failure: TargetError | None) -> int:
    """Record the beginning of a run and its plan's findings; returns the run's number.

    `failure`: why nothing will be pushed. No finding is recorded in that case.
    """
    plan, target = planned.plan, planned.target.name
    snapshot = state.snapshot(target)
    with state.atomic():
        run = state.journal(target).begin(plan, started)
        if failure is None:
            untouched = plan.base_serial == snapshot.serial
            remember(planned, state)
            if untouched and not planned.complete:
                # The plan was saved, or is one person's: its held changes are added for a person to decide about. Only
                # a complete plan tells which holds are over, or still stand after something else has changed.
                _log_held(target, state.holds(target).add(plan.held, started))
    return run


def remember(planned: Planned, state: StateFile) -> None:
    """Record a plan's findings: corrected drift, acceptances, facts about the endpoint, holds.

    Belongs inside the state file's `atomic()`.
    """
    plan, target = planned.plan, planned.target.name
    snapshot, moment = state.snapshot(target), clock.now()
    note_found(planned, snapshot)
    if planned.place is not None:
        snapshot.set_place(planned.place)
        if planned.discovered is not None:
            snapshot.prove_place()
    elif snapshot.is_empty:
        snapshot.set_place(to_record(planned.target, snapshot))
    written = 0
    for drift in plan.drift:
        written += drift.reaction is Reaction.ENFORCE and snapshot.observe(drift)
    if plan.kind == "resync":
        state.put_back(target).keep_returned(plan.drift)
    for key in plan.accepted:
        snapshot.accept(key, seen=True)
    if written or plan.accepted:
        snapshot.bump()
    if planned.discovered is not None and planned.discovered != snapshot.discovery:
        snapshot.discover(planned.discovered)
    if planned.proven and snapshot.stop is not None and snapshot.stop.cause != "failing":
        end_stop(snapshot)  # the reading found the managed resources; a failing target must first accept a write
    planned.snapshot_updates.write(snapshot, moment)
    if planned.complete:
        unseen = () if planned.discovered is not None else RESYNC_ONLY
        _log_held(target, state.holds(target).refresh(plan, moment, unseen))
        everything = (*plan.changes, *(each.change for each in (*plan.held, *plan.rejected)))
        kept = {change.id for change in everything}
        if planned.discovered is None:  # only a full resync plans adoptions
            kept |= {each.id for each in state.quarantine(target).all() if each.change.action.adopts}
        state.quarantine(target).refresh(kept)
        waiting = (*plan.changes, *(each.change for each in plan.held))
        deleted = {change.key for change in waiting if change.action is Action.DELETE_USER}
        state.preparations(target).refresh(deleted)


def _log_held(target: str, holds: Sequence[Hold]) -> None:
    for hold in holds:
        log.info("held", target=target, hold=hold.id, limit=hold.limit, reason=hold.reason)


def end_run(planned: Planned, number: int, pushed: Pushed, started: datetime, seconds: float, state: StateFile) -> Run:
    """Record the result of a run, and whether its target goes on or stops; returns the run.

    The run's requests are those of the whole cycle: recovery, reading the target, push.
    """
    target, traffic = planned.target.name, planned.traffic + pushed.traffic
    snapshot, problem = state.snapshot(target), str(pushed.failure or "")
    with state.atomic():
        if pushed.failure is not None:
            note_stop(snapshot, pushed.failure)
        else:
            end_stop(snapshot)
            note_linked(planned, state)
        if pushed.window is not None:
            _remember_pace(snapshot, pushed.window)
        state.journal(target).end(
            number,
            clock.now(),
            traffic.requests,
            seconds,
            problem,
            retries=traffic.retries,
            waited=traffic.waited,
            reads=traffic.reads,
        )
    plan = with_what_is_stored(planned.plan, state)
    return Run(
        number,
        plan,
        started,
        pushed.outcomes,
        traffic.requests,
        seconds,
        problem,
        traffic.retries,
        traffic.waited,
        traffic.reads,
    )


def _remember_pace(snapshot: Snapshot, window: Window) -> None:
    """Record the number of concurrent requests that the target bears: the next run begins with this number."""
    discovery = snapshot.discovery
    slowed = int(window.limit) if window.limit < window.most else None
    if discovery.get("concurrency") != slowed:
        rest = {name: value for name, value in discovery.items() if name != "concurrency"}
        snapshot.discover(rest if slowed is None else {**rest, "concurrency": slowed})


def note_in_line(planned: Planned, run: Run, state: StateFile) -> None:
    """Record with which source everything was in line, so that the next run need not read the same source again.

    Not while anything is held, unusable or undone: that has to be looked at again, if only for the time that passes.
    """
    plan = run.plan
    done = all(outcome.result is Result.APPLIED and outcome.finished for outcome in run.outcomes)
    reported = any(drift.reaction is Reaction.REPORT for drift in plan.drift)
    if planned.mark is None or not done or run.error or plan.held or plan.rejected or plan.problems or reported:
        return
    snapshot = state.snapshot(planned.target.name)
    if snapshot.awaits_activation():
        return  # somebody accepted the invitation while this run went on
    with state.atomic():
        snapshot.set_mark(planned.target.rules.plan_mark(planned.mark, snapshot.serial))


def log_end(run: Run, *, connected: bool) -> None:
    """Log the result of a run. `connected`: whether a request was sent to the target."""
    bound = log.bind(target=run.plan.target, run=run.number)
    facts: dict[str, Any] = {
        "requests": run.requests,
        "reads": run.reads,
        "writes": run.writes,
        "seconds": round(run.seconds, 3),
        "held": len(run.plan.held),
        "problems": len(run.plan.problems),
        **{result.value: count for result, count in run.results.items()},
    }
    if run.error:
        bound.error("run_ended", **facts, error=run.error)
    else:
        bound.info("run_ended" if connected else "run_quiet", **facts)
