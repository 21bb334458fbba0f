"""Whereabouts: whether a target is the place that its links belong to, before anything is written there.

#  the target                                       -> before a run writes
#  has nothing linked                                  nothing: the place is recorded
#  has another address, token or profile than          a sample of what is managed must be seen; else the run ends:
#    recorded, or describes itself otherwise           one incident, until it is seen, or `syncd relink`
#  was stopped                                         a sample must not be gone
#  was read whole in this cycle                        nothing more: the reading asked the same question
#  is as recorded                                      one user and one group are looked at

A run that has nothing to write asks only where the place may be another one. A dry run asks then, too.
"""

from __future__ import annotations

import asyncio
import secrets
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from syncd.core.model import Kind, State
from syncd.core.place import Place, moved, sorts_of
from syncd.cycle.progress import Progress
from syncd.errors import TargetError
from syncd.place.looking import demand, glance, question
from syncd.scim.client import Client
from syncd.scim.transport import Traffic
from syncd.settings.build import Target
from syncd.store import Snapshot

log = structlog.get_logger()
_SALT_BYTES: Final = 8


@dataclass(frozen=True)
class Seen:
    """What a look before planning found: the place where what is managed was seen, or why it wasn't."""

    place: Place | None = None
    """The place to record; None where nobody looked."""
    failure: TargetError | None = None
    traffic: Traffic = field(default_factory=Traffic)


def configured(target: Target, snapshot: Snapshot) -> Place:
    """Return the place that the configuration names, completed by what is recorded."""
    before = snapshot.place
    salt = before.salt if before is not None else secrets.token_hex(_SALT_BYTES)
    return target.place(salt)


def reasons(target: Target, snapshot: Snapshot) -> tuple[str, ...]:
    """Return why a target may be another place than the one that its links belong to; none where nothing is linked."""
    return () if snapshot.is_empty else moved(snapshot.place, configured(target, snapshot))


def seen_before_planning(target: Target, snapshot: Snapshot, progress: Progress) -> Seen:
    """Look whether a target that may be another place holds what is managed; asks nothing elsewhere."""
    why = reasons(target, snapshot)
    if not why:
        return Seen()
    try:
        transport = target.transport(snapshot.discovery)
    except TargetError as error:
        return Seen(failure=error)

    async def look() -> None:
        async with transport:
            try:
                await demand(target.client(transport, snapshot.discovery), snapshot, target.rules.profile, why)
            finally:
                progress.answered(target.name, transport.answers, transport.traffic)

    try:
        asyncio.run(look())
    except TargetError as error:
        log.info("target_not_recognized", target=target.name, reasons=list(why), error=error.problem)
        return Seen(failure=error, traffic=transport.traffic)
    return Seen(to_record(target, snapshot), traffic=transport.traffic)


async def demand_place(target: Target, snapshot: Snapshot, client: Client) -> None:
    """See that a target is the place, before the first write of a run that has not read or seen it yet.

    Raises TargetGone, TargetElsewhere, TargetError.
    """
    profile = target.rules.profile
    if why := reasons(target, snapshot):
        await demand(client, snapshot, profile, why)
    elif snapshot.stop is not None and snapshot.stop.cause != "failing":
        if snapshot.is_empty:
            await client.count(Kind.USER)
        await question(client, snapshot, profile)
    else:
        await glance(client, snapshot, profile)


def to_record(target: Target, snapshot: Snapshot) -> Place:
    """Return the place to write down once what is managed was seen there, or nothing is linked."""
    place = configured(target, snapshot).completed_by(snapshot.place)
    return _with_ids(place, snapshot)


def _with_ids(place: Place, snapshot: Snapshot) -> Place:
    """Return a place with the sorts of ids that the links have."""
    users, groups = snapshot.sample_users([State.ACTIVE], 2), snapshot.sample_groups(2)
    ids = [*(user.id for user in users), *(group.id for group in groups)]
    return replace(place, ids=sorts_of(ids)) if ids else place


__all__ = ["Seen", "configured", "demand_place", "reasons", "seen_before_planning", "to_record"]
