"""Relink: after SSO or SCIM was removed at a target and set up again, forget dead links and match again.

Where a removal leaves accounts behind that nobody manages (profile key `sso_removal`), each is to be sent whole by the
next run, which is when the endpoint manages it again; and people without another way in are pending.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.cycle import clock
from syncd.cycle.planned import Planned, with_what_is_stored
from syncd.cycle.progress import Progress
from syncd.cycle.recording import remember
from syncd.cycle.sync import make_plans
from syncd.settings.build import Setup, Target
from syncd.store import StateFile, relinked

log = structlog.get_logger()


def relink(setup: Setup, state: StateFile, targets: Sequence[Target], progress: Progress) -> list[Planned]:
    """Read the targets whole, forget dead links, match again, and end each target's stop.

    Returns the resulting plans for review; nothing is pushed. The caller holds the lease.
    Raises SyncdError, and nothing is written then.
    """
    plans = make_plans(setup, state, targets, progress, full=True, expect_gone=True)
    for planned in plans:
        if planned.failure is not None:
            raise planned.failure
    with state.atomic():
        for planned in plans:
            _release(planned, state)
            remember(replace(planned, snapshot_updates=SnapshotUpdates(), complete=False), state)
            state.snapshot(planned.target.name).set_stop(None)
            log.info(
                "relinked",
                target=planned.target.name,
                lost=len(planned.plan.drift),
                released=len(planned.releases),
            )
    return [_answer(planned, state) for planned in plans]


def _release(planned: Planned, state: StateFile) -> None:
    """Write what a removal of SSO left of the users; belongs inside `atomic()`, before the drift of that reading."""
    snapshot, moment = state.snapshot(planned.target.name), clock.now()
    if [each for each in planned.releases if snapshot.release(each, moment)]:
        snapshot.bump()


def _answer(planned: Planned, state: StateFile) -> Planned:
    found = relinked(state.snapshot(planned.target.name))
    return replace(planned, plan=with_what_is_stored(planned.plan, state), relinked=found)
