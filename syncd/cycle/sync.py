"""One cycle, read from top to bottom: gather, plan, push, record. The daemon and the commands call nothing else."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Mapping, Sequence
from dataclasses import replace
from functools import partial
from time import monotonic
from typing import Any, Final

import structlog

from syncd.compare.estimate import read_just_now
from syncd.compare.protection import protection
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.drift import Reaction
from syncd.core.model import Kind, State
from syncd.core.plan import Outcome, Plan, Result, Run
from syncd.core.policy import DEFAULT_LIMITS, Class
from syncd.cycle.planning import RESYNC_ONLY, Planned, Progress, gather, make_plans, now
from syncd.errors import PlanFileError, ScimError, TargetError, TargetFailing, TargetGone, TargetRefused
from syncd.push.push import Push, PushRules
from syncd.push.recovery import Recovery
from syncd.push.shutdown import Shutdown
from syncd.scim.client import Client
from syncd.scim.pace import Waits, Window
from syncd.scim.transport import Transport
from syncd.settings.build import Setup, Target
from syncd.store import Hold, Snapshot, StateFile, Stop

log = structlog.get_logger()
_PROBED: Final = 3


def carry_out(planned: Planned, state: StateFile, progress: Progress) -> Run:
    """Push a plan and record what came of it. The caller holds the lease. Raises SyncdError."""
    (run,) = carry_out_all([planned], state, progress)
    return run


def carry_out_all(
    plans: Sequence[Planned],
    state: StateFile,
    progress: Progress,
    shutdown: Shutdown | None = None,
    ended: Callable[[Run], None] = lambda run: None,
) -> list[Run]:
    """Push plans, one for each target, side by side: none waits for a slow one. `ended` hears of each run at its end.

    The caller holds the lease. Raises SyncdError, when all have come to an end.
    """
    shutdown = shutdown or Shutdown()

    async def push(planned: Planned) -> Run:
        run = await _carry_out(planned, state, progress, shutdown)
        ended(run)
        return run

    async def push_all() -> list[Run | BaseException]:
        with shutdown.at_signals():
            return await asyncio.gather(*map(push, plans), return_exceptions=True)

    runs = []
    for run in asyncio.run(push_all()):
        if isinstance(run, BaseException):
            raise run
        runs.append(run)
    return runs


async def _carry_out(planned: Planned, state: StateFile, progress: Progress, shutdown: Shutdown) -> Run:
    target, plan = planned.target, planned.plan
    started, clock = now(), monotonic()
    snapshot, journal = state.snapshot(target.name), state.journal(target.name)
    bound = log.bind(target=target.name)
    if planned.discovered is not None:
        plan = read_just_now(plan, target.rules, snapshot)
    stop = snapshot.stop
    failure = planned.failure
    if stop is not None and stop.cause == "gone" and not planned.proven:
        since = f"stopped since {stop.since:%Y-%m-%d %H:%M} UTC"
        hint = "nothing is pushed until `syncd relink` has matched everything anew"
        failure = failure or TargetGone(target.name, f"{since}: {stop.reason}", hint=hint)
    transport = None
    if failure is None and (plan.changes or (stop is not None and not planned.proven)):
        transport = target.transport(snapshot.discovery)  # reads the token: before anything is written down
    with state.atomic():
        number = journal.begin(plan, started)
        if failure is None:
            untouched = plan.base_serial == snapshot.serial
            _remember(planned, state)
            if untouched and not planned.complete:
                # Of a saved plan, or of one person, for somebody to decide about. What is no longer withheld, or still
                # is after others changed something, is for a complete plan to say.
                _say_held(target.name, state.holds(target.name).add(plan.held, started))
    bound = bound.bind(run=number)
    outcomes: tuple[Outcome, ...] = ()
    requests, waits = 0, Waits()
    if transport is not None:
        bound.info("run_started", kind=plan.kind, changes=len(plan.changes), requests=plan.estimate.requests)
        progress.pushing(target.name, len(plan.changes))

        async def push(transport: Transport) -> tuple[TargetError | None, tuple[Outcome, ...]]:
            async with transport:
                client = target.client(transport, snapshot.discovery)
                if stop is not None and not planned.proven:
                    await _probe(client, snapshot, target)
                    if stop.cause != "failing":
                        with state.atomic():
                            _go_on(snapshot)
                pushing = _pushing(planned, state, client, progress)
                with shutdown.covering(target.name, pushing, target.drain):
                    carried_out = await pushing.carry_out(plan, number)
                return pushing.stopped, carried_out

        try:
            failure, outcomes = await push(transport)
        except TargetError as error:
            failure = error
        requests, waits = transport.requests, transport.pace.waits
        progress.answered(target.name, transport.answers, waits.retries, waits.seconds)
    seconds = monotonic() - clock
    problem = str(failure) if failure else ""
    with state.atomic():
        if failure is not None:
            _stop(snapshot, failure)
        else:
            _go_on(snapshot)
        if transport is not None:
            _remember_pace(snapshot, transport.pace.window)
        journal.end(number, now(), requests, seconds, problem, retries=waits.retries, waited=waits.seconds)
    progress.took("push", target.name, seconds)
    run = Run(number, plan, started, outcomes, requests, seconds, problem, waits.retries, waits.seconds)
    _note_in_line(planned, run, state)
    facts: dict[str, Any] = {
        "requests": run.requests,
        "seconds": round(seconds, 3),
        "held": len(plan.held),
        "problems": len(plan.problems),
        **{result.value: count for result, count in run.results.items()},
    }
    if run.error:
        bound.error("run_ended", **facts, error=run.error)
    else:
        bound.info("run_ended" if transport is not None else "run_quiet", **facts)
    return run


def _remember(planned: Planned, state: StateFile) -> None:
    """Write down what was found; what may follow from it is then found again, whatever happens in between."""
    plan, target = planned.plan, planned.target.name
    snapshot, moment = state.snapshot(target), now()
    written = 0
    for drift in plan.drift:
        written += drift.reaction is Reaction.ENFORCE and snapshot.observe(drift)
    for key in plan.accepted:
        snapshot.accept(key, seen=True)
    if written or plan.accepted:
        snapshot.bump()
    if planned.discovered is not None and planned.discovered != snapshot.discovery:
        snapshot.discover(planned.discovered)
    if planned.proven and snapshot.stop is not None and snapshot.stop.cause != "failing":
        _go_on(snapshot)  # it was read, and what is managed is there; whether it can be written to is yet to be seen
    planned.snapshot_updates.write(snapshot, moment)
    if planned.complete:
        kept = () if planned.discovered is not None else RESYNC_ONLY
        _say_held(target, state.holds(target).refresh(plan, moment, kept))
        everything = (*plan.changes, *(each.change for each in (*plan.held, *plan.rejected)))
        state.quarantine(target).refresh({change.id for change in everything})


def _say_held(target: str, holds: Sequence[Hold]) -> None:
    for hold in holds:
        log.info("held", target=target, hold=hold.id, limit=hold.limit, reason=hold.reason)


def _go_on(snapshot: Snapshot) -> None:
    """Forget that a target had stopped, if it had."""
    if snapshot.stop is not None:
        log.info("target_goes_on", target=snapshot.name, was=snapshot.stop.cause)
        snapshot.set_stop(None)


def _stop(snapshot: Snapshot, failure: TargetError) -> None:
    """Remember that a target as a whole is not to be written to: one incident, however long it lasts."""
    stop, gone = snapshot.stop, isinstance(failure, TargetGone)
    before = stop and stop.cause
    if gone and (stop is None or stop.cause != "gone"):
        snapshot.set_stop(Stop("gone", failure.problem, now()))
    elif isinstance(failure, TargetRefused) and (stop is None or stop.cause == "failing"):
        snapshot.set_stop(Stop("refused", failure.problem, now()))
    elif isinstance(failure, TargetFailing) and stop is None:
        snapshot.set_stop(Stop("failing", failure.problem, now()))
    after = snapshot.stop
    if after is not None and after.cause != before:
        log.error("target_stopped", target=snapshot.name, cause=after.cause, reason=after.reason)


async def _probe(client: Client, snapshot: Snapshot, target: Target) -> None:
    """See whether a target that refused the token takes it again, and still has what is managed.

    With another token may come another account; and where SSO was removed and set up again, the groups are gone while
    the people stay, managed by nobody. Then a person has to look. Raises TargetError.
    """
    people = [user.id for user in next(snapshot.all_users(), []) if not user.lost and user.state is State.ACTIVE]
    groups = [group.id for group in snapshot.groups().values() if not group.lost]
    if not people and not groups:
        await client.count(Kind.USER)
    for kind, ids in ((Kind.USER, people[:_PROBED]), (Kind.GROUP, groups[:_PROBED])):
        missing = 0
        for id_ in ids:
            try:
                await client.read(kind, id_)
            except ScimError as error:
                missing += error.status == 404
        if ids and missing == len(ids):
            what = "users" if kind is Kind.USER else "groups"
            raise TargetGone(
                target.name,
                f"takes the token again, and none of {len(ids)} managed {what} asked for is there any more",
                hint="another account, or SSO was removed and set up again: `syncd relink` matches everything anew",
            )


def _pushing(planned: Planned, state: StateFile, client: Client, progress: Progress) -> Push:
    target = planned.target
    rules, snapshot = target.rules, state.snapshot(target.name)
    counts = snapshot.counts()
    limit = rules.policy.limits.get(Class.ADOPT, DEFAULT_LIMITS[Class.ADOPT])
    push_rules = PushRules(
        profile=rules.profile,
        concurrency=target.concurrency,
        takeovers=limit.most(sum(counts.values())),
        adopt_groups=rules.adopt_groups,
        protected=lambda key, id_: protection(rules.protect, snapshot, key, id_, snapshot.user(key)),
        read_just_now=planned.discovered is not None,
    )
    journal = state.journal(target.name)
    return Push(
        state, snapshot, journal, client, push_rules, clock=now, on_outcome=partial(progress.outcome, target.name)
    )


def _remember_pace(snapshot: Snapshot, window: Window) -> None:
    """Write down how many requests at a time the target bears: the next run begins there."""
    discovery = snapshot.discovery
    slowed = int(window.limit) if window.limit < window.most else None
    if discovery.get("concurrency") != slowed:
        rest = {name: value for name, value in discovery.items() if name != "concurrency"}
        snapshot.discover(rest if slowed is None else {**rest, "concurrency": slowed})


def recover(state: StateFile, targets: Sequence[Target]) -> dict[str, TargetError]:
    """Look what became of what a run that was killed had sent; the caller holds the lease.

    Returns by target why that wasn't possible: nothing is to be planned for those. Raises StateError.
    """
    failures: dict[str, TargetError] = {}
    for target in targets:
        snapshot = state.snapshot(target.name)
        gone = snapshot.stop is not None and snapshot.stop.cause == "gone"
        if gone or not state.journal(target.name).intents():
            continue

        async def look(target: Target = target, snapshot: Snapshot = snapshot) -> None:
            async with target.transport(snapshot.discovery) as transport:
                client = target.client(transport, snapshot.discovery)
                await Recovery(state, target.name, client, target.rules.profile, now).recover()

        try:
            asyncio.run(look())
        except TargetError as error:
            failures[target.name] = error
    return failures


def with_recovery_failures(plans: Sequence[Planned], failures: Mapping[str, TargetError]) -> list[Planned]:
    """Return plans with why they can't be carried out, where it isn't known what an earlier run had done."""
    return [replace(each, failure=each.failure or failures.get(each.target.name)) for each in plans]


def _note_in_line(planned: Planned, run: Run, state: StateFile) -> None:
    """Remember with what everything was in line, so that the next run needn't read it all again.

    Not while anything is held, unusable or undone: that has to be looked at again, if only for the time that passes.
    """
    plan = run.plan
    done = all(outcome.result is Result.APPLIED and outcome.finished for outcome in run.outcomes)
    reported = any(drift.reaction is Reaction.REPORT for drift in plan.drift)
    if planned.mark is None or not done or run.error or plan.held or plan.rejected or plan.problems or reported:
        return
    snapshot = state.snapshot(planned.target.name)
    if snapshot.awaits_activation():
        return  # somebody accepted while this run went on
    with state.atomic():
        snapshot.set_mark(planned.target.rules.plan_mark(planned.mark, snapshot.serial))


def saved_plan(setup: Setup, plan: Plan, name: str) -> Planned:
    """Return a reviewed plan, ready to be carried out. Raises PlanFileError when its target is not configured."""
    found = [target for target in setup.targets if target.name == plan.target]
    if not found:
        names = ", ".join(target.name for target in setup.targets)
        raise PlanFileError(f"{name}: made for the target `{plan.target}`, but configured are {names}")
    return Planned(found[0], plan)


def relink(setup: Setup, state: StateFile, targets: Sequence[Target], progress: Progress) -> list[Planned]:
    """Read the targets whole, forget the links to what is gone, match again, and let them be written to again.

    Returns the plans of what follows, for a person to look at; nothing is pushed. The caller holds the lease.
    Raises SyncdError, and nothing is written then.
    """
    plans = make_plans(setup, state, targets, progress, full=True, expect_gone=True)
    for planned in plans:
        if planned.failure is not None:
            raise planned.failure
    with state.atomic():
        for planned in plans:
            _remember(replace(planned, snapshot_updates=SnapshotUpdates(), complete=False), state)
            state.snapshot(planned.target.name).set_stop(None)
            log.info("relinked", target=planned.target.name, lost=len(planned.plan.drift))
    return plans


__all__ = [
    "Planned",
    "Progress",
    "carry_out",
    "carry_out_all",
    "gather",
    "make_plans",
    "now",
    "recover",
    "relink",
    "saved_plan",
    "with_recovery_failures",
]
