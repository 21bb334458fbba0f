"""Observe: a full resync reads a target whole, and updates a scratch copy of the snapshot accordingly."""

from __future__ import annotations

import asyncio
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from functools import partial
from time import monotonic

import structlog

from syncd.compare.rules import TargetRules
from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.mapping import EntryUnusable, email_of
from syncd.core.model import Flat, Json, Kind, Release
from syncd.core.place import Place
from syncd.cycle import clock
from syncd.cycle.progress import Progress
from syncd.cycle.whereabouts import integration_of, reasons, to_record
from syncd.errors import TargetError
from syncd.observe.reading import Reading, read_target
from syncd.observe.reconciling import reconcile
from syncd.observe.removal import released
from syncd.scim.client import Client
from syncd.scim.transport import Traffic
from syncd.settings.build import Setup, Target
from syncd.store import Observation, Snapshot, StateFile

log = structlog.get_logger()


@dataclass(frozen=True)
class Baseline:
    """The side that the source is compared with: a target's snapshot and, in a full resync, the findings at the target.

    Of a full resync the snapshot is the scratch copy. The other fields are those of `Planned` and `Comparison.plan`.
    """

    snapshot: Snapshot
    observation: Observation | None = None
    drift: Sequence[Drift] = ()
    releases: Sequence[Release] = ()
    accepted: Sequence[str] = ()
    doubts: Sequence[str] = ()
    discovered: Mapping[str, Json] | None = None
    proven: bool = False
    place: Place | None = None
    failure: TargetError | None = None
    traffic: Traffic = field(default_factory=Traffic)


def observe(setup: Setup, target: Target, scratch: StateFile, progress: Progress, *, expect_gone: bool) -> Baseline:
    """Read one target whole and write the target's present state into the scratch snapshot.

    A target that can't be read is a `failure` of its own; it stops no other target.
    """
    snapshot, observation = scratch.snapshot(target.name), scratch.observation(target.name)
    rules = _forgetting_what_is_gone(target.rules) if expect_gone else target.rules
    progress.reading(target.name)
    started = monotonic()
    try:
        transport = target.transport(snapshot.discovery)
    except TargetError as error:
        return _unreadable(snapshot, error, Traffic())
    try:
        with scratch.atomic():
            client = target.client(transport, snapshot.discovery)
            reading = asyncio.run(_read(setup, target, client, scratch, progress, expect_gone=expect_gone))
            releases: Sequence[Release] = ()
            if reading.sso_removed:
                releases = list(released(reading, snapshot, observation, partial(_is_external, rules)))
                moment = clock.now()
                for each in releases:
                    snapshot.release(each, moment)
            found, accepted = reconcile(rules, reading, snapshot, observation)
            drift = scratch.put_back(target.name).compared(found)
            discovered = {**snapshot.discovery, **reading.discovered}
            snapshot.discover(discovered)
    except TargetError as error:
        return _unreadable(snapshot, error, transport.traffic)
    seconds = monotonic() - started
    progress.took("read", target.name, seconds)
    log.info(
        "target_read",
        target=target.name,
        users=observation.count(Kind.USER),
        groups=observation.count(Kind.GROUP),
        drift=len(drift),
        returned=sum(each.returned is not None for each in drift),
        accepted=len(accepted),
        doubts=len(reading.doubts),
        sso_removed=reading.sso_removed,
        seconds=round(seconds, 3),
    )
    proven = not any(reading.unclear.values())
    place = to_record(target, snapshot) if reading.is_place or expect_gone else None
    return Baseline(
        snapshot,
        observation,
        drift,
        releases,
        accepted,
        reading.doubts,
        discovered,
        proven,
        place,
        traffic=transport.traffic,
    )


def _is_external(rules: TargetRules, attributes: Flat) -> bool:
    """Return whether a person's address lies outside the verified domains; one without a domain doesn't."""
    try:
        return rules.selection.domains.is_external(email_of(attributes))
    except EntryUnusable:
        return False


def _unreadable(snapshot: Snapshot, error: TargetError, traffic: Traffic) -> Baseline:
    log.info("target_unreadable", target=snapshot.name, error=error.problem)
    return Baseline(snapshot, failure=error, traffic=traffic)


async def _read(
    setup: Setup,
    target: Target,
    client: Client,
    scratch: StateFile,
    progress: Progress,
    *,
    expect_gone: bool,
) -> Reading:
    snapshot = scratch.snapshot(target.name)
    users, groups = setup.rules.users.ownership, target.rules.owned_of_groups(setup.rules.groups)
    async with client.transport as transport:
        try:
            return await read_target(
                client,
                target.rules,
                {Kind.USER: users, Kind.GROUP: groups},
                snapshot,
                scratch.observation(target.name),
                concurrency=target.concurrency,
                expect_gone=expect_gone,
                reasons=reasons(target, snapshot),
                integration=integration_of(target, scratch),
            )
        finally:
            progress.answered(target.name, transport.answers, transport.traffic)


def _forgetting_what_is_gone(rules: TargetRules) -> TargetRules:
    """Return rules by which a link to a deleted resource is always dropped, also where that is only to be reported."""
    deleted = dict.fromkeys((DriftClass.USER_DELETED, DriftClass.GROUP_DELETED), Reaction.ENFORCE)
    return replace(rules, drift=replace(rules.drift, by_class={**rules.drift.by_class, **deleted}))
