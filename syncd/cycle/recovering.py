"""Recover: before planning, find the outcomes of the requests of a run that was killed."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import replace

from syncd.cycle import clock
from syncd.cycle.planned import Planned
from syncd.errors import TargetError
from syncd.push.recovery import Recovery
from syncd.settings.build import Target
from syncd.store import StateFile


def recover(state: StateFile, targets: Sequence[Target]) -> dict[str, TargetError]:
    """Look up the effect of each target's open intents, and record the outcomes. The caller holds the lease.

    Returns by target why the recovery failed: nothing may be pushed to such a target. Raises StateError.
    """
    failures: dict[str, TargetError] = {}
    for target in targets:
        stop = state.snapshot(target.name).stop
        if (stop is not None and stop.cause == "gone") or not state.journal(target.name).intents():
            continue
        try:
            asyncio.run(_look(state, target))
        except TargetError as error:
            failures[target.name] = error
    return failures


async def _look(state: StateFile, target: Target) -> None:
    discovery = state.snapshot(target.name).discovery
    async with target.transport(discovery) as transport:
        client = target.client(transport, discovery)
        await Recovery(state, target.name, client, target.rules.profile, clock.now).recover()


def with_recovery_failures(plans: Sequence[Planned], failures: Mapping[str, TargetError]) -> list[Planned]:
    """Return the plans; a plan whose target could not be recovered gets that failure, and is not pushed."""
    return [replace(each, failure=each.failure or failures.get(each.target.name)) for each in plans]
