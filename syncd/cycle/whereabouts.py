"""Whereabouts: whether a target is the place that its links belong to, before anything is written there.

#  the target                                       -> before a run writes
#  has nothing linked                                  nothing: the place is recorded
#  has another address, token or profile than          a sample of what is managed must be seen; else the run ends:
#    recorded, or describes itself otherwise           one incident, until it is seen, or `syncd relink`
#  was stopped                                         a sample must not be gone
#  was read whole in this cycle                        nothing more: the reading asked the same question
#  is as recorded                                      one user and one group are looked at

Where two integrations have one address, the groups there are listed, too, before the first write and where the target
may be another place. A run that has nothing to write asks only where the place may be another one. A dry run asks then,
too.
"""

from __future__ import annotations

import asyncio
import secrets
from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from typing import Final

import structlog

from syncd.core.model import Kind, State
from syncd.core.place import Place, Tally, moved, sorts_of
from syncd.cycle.progress import Progress
from syncd.errors import TargetError
from syncd.place.integration import Integration, groups_of
from syncd.place.looking import demand, glance, question
from syncd.scim.client import Client
from syncd.scim.transport import Traffic
from syncd.settings.build import Target
from syncd.store import Snapshot, StateFile

log = structlog.get_logger()
_SALT_BYTES: Final = 8


@dataclass(frozen=True)
class Seen:
    """What a look before planning found: the place where what is managed was seen, or why it wasn't."""

    place: Place | None = None
    """The place to record; None where nobody looked."""
    failure: TargetError | None = None
    traffic: Traffic = field(default_factory=Traffic)


@dataclass(frozen=True)
class Visit:
    """What a visit found of a target that is the place."""

    reasons: tuple[str, ...]
    """Why it might have become another place."""
    tallies: Sequence[Tally]
    """What was found of the sample, by sort."""


def warn_of_shared_places(targets: Sequence[Target], chosen: Sequence[Target]) -> None:
    """Log the pairs of targets that have one address and one token, and don't say why. Asks nothing.

    A run goes on: `syncd check` refuses such a pair.
    """
    for number, one in enumerate(targets):
        for other in targets[number + 1 :]:
            concerned = one in chosen or other in chosen
            if not concerned or one.shares_address or other.shares_address:
                continue
            if one.is_at_address_of(other) and one.has_token_of(other):
                log.warning("targets_are_one_place", target=one.name, other=other.name, see="syncd check")


def configured(target: Target, snapshot: Snapshot) -> Place:
    """Return the place that the configuration names; its token is marked with the recorded salt."""
    before = snapshot.place
    salt = before.salt if before is not None else secrets.token_hex(_SALT_BYTES)
    return target.place(salt)


def reasons(target: Target, snapshot: Snapshot, announcement: str = "") -> tuple[str, ...]:
    """Return why a target may be another place than the one that its links belong to; none where nothing is linked.

    `announcement`: the digest of the endpoint's description of itself, where it was just read.
    """
    now = replace(configured(target, snapshot), announcement=announcement)
    return () if snapshot.is_empty else moved(snapshot.place, now)


def integration_of(target: Target, state: StateFile) -> Integration | None:
    """Return the integration that must answer; None where there is one alone, or no group is pushed."""
    rules = target.rules
    if not rules.recognizes_integration:
        return None
    others = groups_of(state, [each.name for each in target.siblings])
    same_token = {each.name for each in target.siblings if others and target.has_token_of(each)}
    return Integration(rules.profile, rules.room, others, same_token)


def seen_before_planning(target: Target, state: StateFile, progress: Progress) -> Seen:
    """Look whether a target that may be another place holds what is managed; asks nothing elsewhere."""
    snapshot = state.snapshot(target.name)
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
                await _demand(target, state, target.client(transport, snapshot.discovery), why)
            finally:
                progress.answered(target.name, transport.answers, transport.traffic)

    try:
        asyncio.run(look())
    except TargetError as error:
        log.info("target_not_recognized", target=target.name, reasons=list(why), error=error.problem)
        return Seen(failure=error, traffic=transport.traffic)
    return Seen(to_record(target, snapshot), traffic=transport.traffic)


async def _demand(target: Target, state: StateFile, client: Client, why: Sequence[str]) -> list[Tally]:
    """Demand that a target that may be another place, for these reasons, holds what is managed.

    Raises TargetElsewhere, TargetError.
    """
    snapshot = state.snapshot(target.name)
    if (integration := integration_of(target, state)) is not None:
        await integration.look(client, snapshot, why)
    return await demand(client, snapshot, target.rules.profile, why)


async def demand_place(target: Target, state: StateFile, client: Client) -> None:
    """See that a target is the place, before the first write of a run that has not read or seen it yet.

    Raises TargetGone, TargetElsewhere, TargetError.
    """
    profile, snapshot = target.rules.profile, state.snapshot(target.name)
    integration = integration_of(target, state)
    if why := reasons(target, snapshot):
        await _demand(target, state, client, why)
    elif integration is not None and snapshot.is_empty:
        await integration.look(client, snapshot, ())
    elif snapshot.stop is not None and snapshot.stop.cause != "failing":
        if snapshot.is_empty:
            await client.count(Kind.USER)
        await question(client, snapshot, profile)
    else:
        await glance(client, snapshot, profile)


async def visit(target: Target, state: StateFile, client: Client, announcement: str) -> Visit:
    """See whether a target is the place, as a run would, and with a sample where nothing has changed.

    `announcement`: the digest of its description of itself. Raises TargetGone, TargetElsewhere, TargetError.
    """
    snapshot, profile = state.snapshot(target.name), target.rules.profile
    why = reasons(target, snapshot, announcement)
    if why:
        return Visit(why, await _demand(target, state, client, why))
    if (integration := integration_of(target, state)) is not None:
        await integration.look(client, snapshot, ())
    return Visit((), await question(client, snapshot, profile))


def to_record(target: Target, snapshot: Snapshot, announcement: str = "") -> Place:
    """Return the place to write down once what is managed was seen there, or nothing is linked."""
    place = replace(configured(target, snapshot), announcement=announcement)
    return _with_ids(place.completed_by(snapshot.place), snapshot)


def _with_ids(place: Place, snapshot: Snapshot) -> Place:
    """Return a place with the sorts of ids that the links have."""
    users, groups = snapshot.sample_users([State.ACTIVE], 2), snapshot.sample_groups(2)
    ids = [*(user.id for user in users), *(group.id for group in groups)]
    return replace(place, ids=sorts_of(ids)) if ids else place


__all__ = [
    "Seen",
    "Visit",
    "configured",
    "demand_place",
    "integration_of",
    "reasons",
    "seen_before_planning",
    "to_record",
    "visit",
    "warn_of_shared_places",
]
