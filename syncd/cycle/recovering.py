"""Recover: before planning, find the outcomes of the requests of a run that was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.cycle import clock
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.whereabouts import reasons
from syncd.errors import TargetError
from syncd.push.recovery import Recovery
from syncd.scim.transport import Traffic, Transport
from syncd.settings.build import Target
from syncd.store import StateFile


@dataclass(frozen=True)
class Recovered:
    """The end of one target's recovery. `failure`: why it failed; nothing may be pushed to the target then."""

    failure: TargetError | None = None
    traffic: Traffic = field(default_factory=Traffic)


def recover(state: StateFile, targets: Sequence[Target], progress: Progress | None = None) -> dict[str, Recovered]:
    """Look up the effect of each target's open intents, and record the outcomes. The caller holds the lease.

    Returns the targets that were asked, by name. Raises StateError.
    """
    recovered: dict[str, Recovered] = {}
    for target in targets:
        snapshot = state.snapshot(target.name)
        stop = snapshot.stop
        if (stop is not None and stop.cause == "gone") or not state.journal(target.name).intents():
            continue
        if reasons(target, snapshot):
            continue  # what isn't found in another place says nothing about the outcome
        try:
            transport = target.transport(snapshot.discovery)
        except TargetError as error:
            recovered[target.name] = Recovered(error)
            continue
        failure: TargetError | None = None
        try:
            asyncio.run(_look(state, target, transport))
        except TargetError as error:
            failure = error
        recovered[target.name] = Recovered(failure, transport.traffic)
        if progress is not None:
            progress.answered(target.name, transport.answers, transport.traffic)
    return recovered


async def _look(state: StateFile, target: Target, transport: Transport) -> None:
    async with transport:
        client = target.client(transport, state.snapshot(target.name).discovery)
        await Recovery(state, target.name, client, target.rules.profile, clock.now).recover()


def with_recovery(plans: Sequence[Planned], recovered: Mapping[str, Recovered]) -> list[Planned]:
    """Return the plans with what became of their targets' recovery: after a failure, a plan is not pushed."""
    return [_with(each, recovered.get(each.target.name, Recovered())) for each in plans]


def _with(planned: Planned, recovered: Recovered) -> Planned:
    failure, traffic = planned.failure or recovered.failure, planned.traffic + recovered.traffic
    return replace(planned, failure=failure, traffic=traffic)
