"""Push: carry out one plan at its target."""

from __future__ import annotations

from dataclasses import dataclass, field
from functools import partial

import structlog

from syncd.compare.protection import protection
from syncd.core.drift import DriftClass, Reaction
from syncd.core.plan import Outcome
from syncd.core.policy import DEFAULT_LIMITS, Class
from syncd.cycle import clock
from syncd.cycle.gating import end_stop, is_stopped
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.whereabouts import demand_place, reasons, to_record
from syncd.errors import TargetError
from syncd.push.preparing import DeletionRules
from syncd.push.push import Push, PushRules
from syncd.push.shutdown import Shutdown
from syncd.scim.client import Client
from syncd.scim.pace import Window
from syncd.scim.transport import Traffic, Transport
from syncd.store import Snapshot, StateFile

log = structlog.get_logger()


@dataclass(frozen=True)
class Pushed:
    """The result of a push; by default the result of a run that sent nothing."""

    failure: TargetError | None = None
    """Why the push ended early."""
    outcomes: tuple[Outcome, ...] = ()
    traffic: Traffic = field(default_factory=Traffic)
    window: Window | None = None
    """Number of concurrent requests that the target bore; None without a connection to the target."""


def connection(planned: Planned, state: StateFile) -> Transport | None:
    """Return the connection for a push; None where nothing is to be asked or sent.

    Reads the token, and so belongs before anything is recorded. Raises ConfigurationError.
    """
    snapshot = state.snapshot(planned.target.name)
    if planned.plan.changes or is_stopped(planned, snapshot):
        return planned.target.transport(snapshot.discovery)
    return None


async def push(
    planned: Planned, run: int, transport: Transport, state: StateFile, progress: Progress, shutdown: Shutdown
) -> Pushed:
    """Carry out a plan. A target that is stopped is probed first. Raises StateError."""
    target, plan, snapshot = planned.target, planned.plan, state.snapshot(planned.target.name)
    requests = plan.estimate.requests
    log.info("run_started", target=target.name, run=run, kind=plan.kind, changes=len(plan.changes), requests=requests)
    progress.pushing(target.name, len(plan.changes))
    failure: TargetError | None = None
    outcomes: tuple[Outcome, ...] = ()
    try:
        async with transport:
            client = target.client(transport, snapshot.discovery)
            if planned.place is None or (snapshot.stop is not None and not planned.proven):
                await _see(planned, snapshot, client, state)
            pushing = _push_of(planned, state, client, progress)
            with shutdown.covering(target.name, pushing, target.drain):
                outcomes = await pushing.carry_out(plan, run)
            failure = pushing.stopped
    except TargetError as error:
        failure, outcomes = error, ()
    progress.answered(target.name, transport.answers, transport.traffic)
    return Pushed(failure, outcomes, transport.traffic, transport.pace.window)


async def _see(planned: Planned, snapshot: Snapshot, client: Client, state: StateFile) -> None:
    """See that the target is the place, and works again where it was stopped. Raises TargetError."""
    await demand_place(planned.target, state, client)
    stop = snapshot.stop
    with state.atomic():
        if reasons(planned.target, snapshot):
            snapshot.set_place(to_record(planned.target, snapshot))
        if stop is not None and stop.cause != "failing":
            end_stop(snapshot)


def _push_of(planned: Planned, state: StateFile, client: Client, progress: Progress) -> Push:
    target = planned.target
    rules, snapshot = target.rules, state.snapshot(target.name)
    takeovers, removals = (
        rules.policy.limits.get(class_, DEFAULT_LIMITS[class_]) for class_ in (Class.ADOPT, Class.REMOVE_MEMBERS)
    )
    managed = sum(snapshot.counts().values())
    push_rules = PushRules(
        profile=rules.profile,
        concurrency=target.concurrency,
        takeovers=takeovers.most(managed),
        owned=target.owned,
        adopt_groups=rules.adopt_groups,
        room=rules.room,
        protected=lambda key, id_: protection(rules.protect, snapshot, key, id_, snapshot.user(key)),
        deletions=DeletionRules(target.before_delete, rules.profile.delete_moves_content, rules.delete_after),
        read_just_now=planned.discovered is not None,
        removals=0 if removals.always else removals.most(managed),
        guests_stay=rules.drift.to(DriftClass.FOREIGN_MEMBER) is Reaction.REPORT,
    )
    return Push(
        state,
        snapshot,
        state.journal(target.name),
        client,
        push_rules,
        clock=clock.now,
        on_outcome=partial(progress.outcome, target.name),
    )
