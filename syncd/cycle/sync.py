"""One sync, and one full resync, from top to bottom.

    recover   find the outcomes of the requests of a run that was killed
    observe   in a full resync: read each target whole, and correct a scratch copy of its snapshot
    gather    pull the source once, and compare it with each target's snapshot as it streams by
    plan      let policy allow or hold each difference; a dry run ends here
    gate      push nothing to a target that could not be read or recovered, or that has stopped
    push      send the changes, each intent on disk before its request
    record    write the plan's findings before the push, and the outcomes after the push

A sync differs from a full resync in one step alone: a sync takes the target's state from the snapshot. Where too little
is known of a target, every run is a full resync.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Collection, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from time import monotonic

from syncd.compare.comparison import Differences
from syncd.compare.estimate import place_seen, read_just_now
from syncd.core.plan import Run
from syncd.cycle import clock
from syncd.cycle.comparing import comparison_of, may_have_changed, plan_of
from syncd.cycle.gathering import gather
from syncd.cycle.gating import refusal
from syncd.cycle.knowing import must_be_read
from syncd.cycle.observing import Baseline, observe
from syncd.cycle.person import limited_to_person
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.pushing import Pushed, connection, push
from syncd.cycle.recording import begin_run, end_run, log_end, note_in_line
from syncd.cycle.recovering import recover, with_recovery
from syncd.cycle.whereabouts import seen_before_planning, warn_of_shared_places
from syncd.push.shutdown import Shutdown
from syncd.settings.build import Setup, Target
from syncd.store import StateFile


def sync(
    setup: Setup,
    state: StateFile,
    targets: Sequence[Target],
    progress: Progress,
    shutdown: Shutdown | None = None,
    ended: Callable[[Run], None] = lambda run: None,
    *,
    who: str | None = None,
    full: bool | Collection[str] = False,
) -> list[Run]:
    """Bring targets in line with the source: one pull for all of them, then one run for each.

    `who`: only this person. `full`: a full resync, of all these targets or of those named; a target of which too
    little is known (`knowing.py`) gets one unasked. `ended` is called with each run at its end.
    Raises SyncdError; a failure of one target is in its run.
    """
    warn_of_shared_places(setup.targets, targets)
    recovered = recover(state, targets, progress)
    plans = with_recovery(make_plans(setup, state, targets, progress, who, full=full), recovered)
    if shutdown is not None:
        plans = [each for each in plans if not shutdown.is_requested(each.target.name)]
    return carry_out_all(plans, state, progress, shutdown, ended)


def make_plans(
    setup: Setup,
    state: StateFile,
    targets: Sequence[Target],
    progress: Progress,
    who: str | None = None,
    *,
    full: bool | Collection[str] = False,
    expect_gone: bool = False,
) -> list[Planned]:
    """Observe, gather and plan: the dry run. Writes only to a scratch copy, which is discarded. Raises SyncdError.

    `who` and `full` as for `sync`; a target that can't be read fails by itself (`failure`). `expect_gone`: everything
    managed is known to be gone at a target, which is no reason to stop.
    """
    moment, everybody = clock.now(), who is None
    asked = frozenset(full if not isinstance(full, bool) else [each.name for each in targets if full])
    unknown = {each.name for each in targets if must_be_read(each.rules, state.snapshot(each.name))}
    read_whole = asked | unknown
    with state.explained(), _workspace(state, scratch=bool(read_whole)) as workspace:
        baselines = {
            each.name: observe(setup, each, workspace, progress, expect_gone=expect_gone)
            if each.name in read_whole
            else _as_recorded(each, state, progress)
            for each in targets
        }
        # The source is not pulled while source, rules and snapshot are unchanged since everything was in line.
        mark = setup.source.mark(setup.wanted) if everybody else None
        comparisons = {
            each.name: comparison_of(setup, each, state, baselines[each.name], moment, everybody=everybody)
            for each in targets
        }
        due = [
            each.name
            for each in targets
            if baselines[each.name].failure is None
            and (each.name in read_whole or may_have_changed(each, state, mark, moment))
        ]
        differences: dict[str, Differences] = {}
        if due:
            differences = dict(zip(due, gather(setup, [comparisons[name] for name in due], progress), strict=True))
            if mark is not None and setup.source.mark(setup.wanted) != mark:
                mark = None  # the source changed while it was pulled
        plans = [
            plan_of(
                each,
                baselines[each.name],
                comparisons[each.name],
                differences.get(each.name),
                mark,
                progress,
                kind="resync" if each.name in read_whole else "sync",
                everybody=everybody,
            )
            for each in targets
        ]
        return plans if who is None else limited_to_person(plans, who, state)


def _as_recorded(target: Target, state: StateFile, progress: Progress) -> Baseline:
    """Return the snapshot to compare with; a target that may be another place is looked at first."""
    snapshot = state.snapshot(target.name)
    seen = seen_before_planning(target, state, progress)
    return Baseline(snapshot, place=seen.place, failure=seen.failure, traffic=seen.traffic)


@contextmanager
def _workspace(state: StateFile, *, scratch: bool) -> Iterator[StateFile]:
    """Yield the state file itself, or a scratch copy for the findings of a full resync, removed after the block."""
    if not scratch:
        yield state
        return
    with state.scratch() as copy:
        yield copy


def carry_out(planned: Planned, state: StateFile, progress: Progress) -> Run:
    """Gate, push and record one plan. The caller holds the lease. Raises SyncdError."""
    (run,) = carry_out_all([planned], state, progress)
    return run


def carry_out_all(
    plans: Sequence[Planned],
    state: StateFile,
    progress: Progress,
    shutdown: Shutdown | None = None,
    ended: Callable[[Run], None] = lambda run: None,
) -> list[Run]:
    """Gate, push and record plans, one for each target, concurrently: no target waits for a slow one.

    `ended` is called with each run at its end. The caller holds the lease. Raises SyncdError, when all have ended.
    """
    shutdown = shutdown or Shutdown()

    async def carry_out_one(planned: Planned) -> Run:
        run = await _carry_out(planned, state, progress, shutdown)
        ended(run)
        return run

    async def all_of_them() -> list[Run | BaseException]:
        with shutdown.at_signals():
            return await asyncio.gather(*map(carry_out_one, plans), return_exceptions=True)

    runs = []
    for run in asyncio.run(all_of_them()):
        if isinstance(run, BaseException):
            raise run
        runs.append(run)
    return runs


async def _carry_out(planned: Planned, state: StateFile, progress: Progress, shutdown: Shutdown) -> Run:
    """Gate, push and record one plan, beside others."""
    started, began = clock.now(), monotonic()
    snapshot = state.snapshot(planned.target.name)
    if planned.discovered is not None:
        planned = replace(planned, plan=read_just_now(planned.plan, planned.target.rules, snapshot))
    if planned.place is not None:
        planned = replace(planned, plan=place_seen(planned.plan, planned.target.rules, snapshot))
    failure = refusal(planned, snapshot)
    transport = connection(planned, state) if failure is None else None
    number = begin_run(planned, state, started, failure)
    if transport is None:
        pushed = Pushed(failure)
    else:
        pushed = await push(planned, number, transport, state, progress, shutdown)
    seconds = monotonic() - began
    run = end_run(planned, number, pushed, started, seconds, state)
    progress.took("push", planned.target.name, seconds)
    note_in_line(planned, run, state)
    log_end(run, connected=transport is not None)
    return run
