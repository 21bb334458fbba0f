"""Gate: decides whether a target may be written to; owns the stop that prevents writes.

#  stop       the reason                              ends
#  failing    the endpoint failed for too long          with a run that ends without a failure
#  refused    the endpoint refused the token            when a probe finds managed resources with the token
#  gone       everything that was managed is gone       with a full resync that leaves no doubt, or by `syncd relink`

A full resync that leaves no doubt ends a refusal as well. Every other run first probes a target that is stopped.
"""

from __future__ import annotations

from typing import Final, Literal

import structlog

from syncd.core.model import Kind, State
from syncd.cycle import clock
from syncd.cycle.planned import Planned
from syncd.errors import ScimError, TargetError, TargetFailing, TargetGone, TargetRefused
from syncd.scim.client import Client
from syncd.store import Snapshot, Stop

log = structlog.get_logger()
_PROBED: Final = 3
"""Number of users, and of groups, that a probe asks for to see whether managed resources are still there."""


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


async def probe(client: Client, snapshot: Snapshot) -> None:
    """Probe whether a target that refused the token accepts it again, and still has the managed resources.

    A new token may belong to another account. Where SSO was removed and set up again, the groups are gone while
    the people stay, unmanaged. In both cases a person has to decide. Raises TargetError.
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
                snapshot.name,
                f"takes the token again, and none of {len(ids)} managed {what} asked for is there any more",
                hint="another account, or SSO was removed and set up again: `syncd relink` matches everything anew",
            )


def note_stop(snapshot: Snapshot, failure: TargetError) -> None:
    """Record that a target as a whole is not to be written to. A stop lasts; only a graver cause replaces it."""
    before = snapshot.stop and snapshot.stop.cause
    after: Literal["gone", "refused", "failing"]
    if isinstance(failure, TargetGone):
        after, replaces = "gone", before != "gone"
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
