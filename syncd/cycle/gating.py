"""Gate: decides whether a target may be written to; owns the stop that prevents writes.

#  stop       the reason                              ends
#  failing    the endpoint failed for too long          with a run that ends without a failure
#  refused    the endpoint refused the token            when a sample is found with the token
#  elsewhere  the target may be another place           when what is managed is seen there, or by `syncd relink`
#  gone       everything that was managed is gone       with a full resync that leaves no doubt, or by `syncd relink`

A full resync that leaves no doubt ends a refusal as well. Every other run first looks at a sample (`whereabouts.py`).
"""

from __future__ import annotations

from typing import Literal

import structlog

from syncd.cycle import clock
from syncd.cycle.planned import Planned
from syncd.errors import TargetElsewhere, TargetError, TargetFailing, TargetGone, TargetRefused
from syncd.store import Snapshot, Stop

log = structlog.get_logger()


def refusal(planned: Planned, snapshot: Snapshot) -> TargetError | None:
    """Return why nothing may be pushed; None where the plan may be carried out."""
    stop = snapshot.stop
    if planned.failure is not None:
        return planned.failure
    if stop is not None and stop.cause == "gone" and not planned.proven:
        since = f"stopped since {stop.since:%Y-%m-%d %H:%M} UTC"
        hint = "nothing is pushed until `syncd relink` has matched everything anew"
        return TargetGone(planned.target.name, f"{since}: {stop.reason}", hint=hint)
    return None


def is_stopped(planned: Planned, snapshot: Snapshot) -> bool:
    """Return whether the target is stopped, and no reading has just proven that the managed resources exist."""
    return snapshot.stop is not None and not planned.proven


def note_stop(snapshot: Snapshot, failure: TargetError) -> None:
    """Record that a target as a whole is not to be written to. A stop lasts; only a graver cause replaces it."""
    before = snapshot.stop and snapshot.stop.cause
    after: Literal["gone", "elsewhere", "refused", "failing"]
    if isinstance(failure, TargetGone):
        after, replaces = "gone", before != "gone"
    elif isinstance(failure, TargetElsewhere):
        after, replaces = "elsewhere", before != "gone"
    elif isinstance(failure, TargetRefused):
        after, replaces = "refused", before in (None, "failing")
    elif isinstance(failure, TargetFailing):
        after, replaces = "failing", before is None
    else:
        return
    if replaces:
        snapshot.set_stop(Stop(after, failure.problem, clock.now()))
        log.error("target_stopped", target=snapshot.name, cause=after, reason=failure.problem)


def end_stop(snapshot: Snapshot) -> None:
    """Record that a target goes on, if it was stopped."""
    if snapshot.stop is not None:
        log.info("target_goes_on", target=snapshot.name, was=snapshot.stop.cause)
        snapshot.set_stop(None)
