"""Relink: after SSO or SCIM was removed at a target and set up again, forget dead links and match again."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

import structlog

from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.cycle.planned import Planned, with_what_is_stored
from syncd.cycle.progress import Progress
from syncd.cycle.recording import remember
from syncd.cycle.sync import make_plans
from syncd.settings.build import Setup, Target
from syncd.store import StateFile

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
            remember(replace(planned, snapshot_updates=SnapshotUpdates(), complete=False), state)
            state.snapshot(planned.target.name).set_stop(None)
            log.info("relinked", target=planned.target.name, lost=len(planned.plan.drift))
    return [replace(planned, plan=with_what_is_stored(planned.plan, state)) for planned in plans]
