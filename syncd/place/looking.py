"""Looks at linked resources at a target, and the question that they answer: is this still the place?

A glance is one resource of each sort; a sample is a few of each, the oldest and the newest. Neither contains what syncd
made anew: that proves nothing about the place.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncd.core.model import Json, Kind, Known, KnownGroup, State
from syncd.core.place import (
    GROUPS,
    OFF,
    USERS,
    Sight,
    Tally,
    everything_gone,
    found_in_words,
    fresh_tallies,
    unseen,
    whose,
)
from syncd.errors import ScimError, TargetElsewhere, TargetGone
from syncd.place.integration import likely_cause
from syncd.scim.client import Body, Client, Found
from syncd.scim.profiles import Profile
from syncd.scim.resources import field as member
from syncd.store import Snapshot

Resource = tuple[Kind, str]
"""A kind and an id at the target."""

MARKS: Final = "marks"
"""The fact about an endpoint, which kinds of resources were seen to show an externalId."""
NOT_BY_ID: Final = "not_by_id"
"""The fact about an endpoint, which kinds of resources it lists and doesn't show when they are asked for by id."""
_SAMPLE: Final = 6
"""Resources of each sort in a sample."""
_RELINK: Final = "`syncd relink` matches everything anew"


@dataclass(frozen=True)
class Sort:
    """The resources of one sort that a look may ask for, and the tally of those that were asked for."""

    kind: Kind
    resources: Sequence[Known | KnownGroup]
    tally: Tally = field(default_factory=lambda: Tally(""))


def sorts(snapshot: Snapshot, profile: Profile, most: int) -> list[Sort]:
    """Return the linked resources to look at, `most` of each sort at most.

    #  sort                     resources
    #  users                    those that are on; where there are none: the pending
    #  groups                   all
    #  accounts that are off    where removing SSO deletes those: nobody else can
    """
    users = snapshot.sample_users([State.ACTIVE], most) or snapshot.sample_users([State.PENDING], most)
    unreadable = snapshot.discovery.get(NOT_BY_ID) or ()
    remade = {kind: len(snapshot.remade(kind)) for kind in Kind}
    tallies = fresh_tallies(remade, sso_removal=profile.sso_removal)
    found = [Sort(Kind.USER, users, tallies[USERS]), Sort(Kind.GROUP, snapshot.sample_groups(most), tallies[GROUPS])]
    if profile.sso_removal:
        off = snapshot.sample_users([State.DEACTIVATED], most)
        found.append(Sort(Kind.USER, off, tallies[OFF]))
    return [each for each in found if each.kind.value not in unreadable]


def glances(snapshot: Snapshot, profile: Profile) -> int:
    """Return the number of requests of a glance."""
    return sum(bool(each.resources) for each in sorts(snapshot, profile, 1))


async def look_at(client: Client, snapshot: Snapshot, known: Known | KnownGroup) -> Sight:
    """Ask for a linked resource by its id. Raises TargetError."""
    kind = Kind.USER if isinstance(known, Known) else Kind.GROUP
    try:
        found = await client.read(kind, known.id)
    except ScimError as error:
        return Sight.GONE if error.status == 404 else Sight.UNCLEAR
    if found.id.casefold() != known.id.casefold():
        return Sight.UNCLEAR
    return sight_of(known, found.body, snapshot, client.profile)


def sight_of(known: Known | KnownGroup, body: Body, snapshot: Snapshot, profile: Profile) -> Sight:
    """Return whose a resource is that was read, or that answered a write."""
    kind = Kind.USER if isinstance(known, Known) else Kind.GROUP
    mark, names = member(body, "externalId"), _names(kind, body, profile.group_suffix)
    return whose(known, str(mark) if mark else "", names, shows_marks=shows_marks(snapshot.discovery, kind))


def shows_marks(discovery: Mapping[str, Json], kind: Kind) -> bool:
    """Return whether the endpoint is known to show the externalId of resources of a kind."""
    return kind.value in (discovery.get(MARKS) or ())


def _names(kind: Kind, body: Body, suffix: str) -> list[str]:
    if kind is Kind.GROUP:
        name = str(member(body, "displayName") or "")
        return [name, name.removesuffix(suffix)]
    emails = member(body, "emails")
    addresses = [member(each, "value") for each in emails] if isinstance(emails, list) else []
    return [str(each) for each in (member(body, "userName"), *addresses) if each]


async def question(
    client: Client,
    snapshot: Snapshot,
    profile: Profile,
    lost: Collection[Resource] = (),
    arrived: Container[Resource] = (),
) -> list[Tally]:
    """Ask for a sample, and return what was found of each sort.

    Raises TargetGone where everything of a sort is gone, and not only what somebody deleted; TargetError.
    `lost`: resources that this run has found gone; they are counted, and not asked for again. `arrived`: those that it
    has linked, which prove nothing.
    """
    asked = sorts(snapshot, profile, _SAMPLE)
    uncounted = set(lost)
    for sort in asked:
        others = [each for each in sort.resources if (sort.kind, each.id) not in arrived]
        await _ask(client, snapshot, sort, [each for each in others if (sort.kind, each.id) not in lost])
        gone = {each for each in uncounted if each[0] is sort.kind}
        sort.tally.sights[Sight.GONE] += len(gone)
        uncounted -= gone
    tallies = [each.tally for each in asked]
    if (gone_sort := everything_gone(tallies)) is not None:
        raise gone_from(client.transport.name, gone_sort, likely_cause(profile, tallies))
    return tallies


async def _ask(client: Client, snapshot: Snapshot, sort: Sort, resources: Iterable[Known | KnownGroup]) -> None:
    sights, gone = sort.tally.sights, []
    for known in resources:
        sight = await look_at(client, snapshot, known)
        sights[sight] += 1
        if sight is Sight.GONE:
            gone.append(known)
    if not gone or sort.tally.ours:
        return
    # Some endpoints answer 404 to every read by id: what they list is there.
    listed = {found.id: found.body for found in await _first_page(client, sort.kind)}
    for known in gone:
        if known.id in listed:
            sights[Sight.GONE] -= 1
            sights[sight_of(known, listed[known.id], snapshot, client.profile)] += 1
            client.not_by_id.add(sort.kind)


async def _first_page(client: Client, kind: Kind) -> Sequence[Found]:
    try:
        return await client.first_page(kind)
    except ScimError:
        return ()


async def glance(client: Client, snapshot: Snapshot, profile: Profile) -> None:
    """Look at one resource of each sort, and at a sample where one of these isn't as it should be.

    Raises TargetGone, TargetError.
    """
    for sort in sorts(snapshot, profile, 1):
        for known in sort.resources:
            sight = await look_at(client, snapshot, known)
            if sight in (Sight.UNCLEAR, Sight.OURS) or (sight is Sight.UNMARKED and not sort.tally.marked):
                continue
            await question(client, snapshot, profile)
            return


async def demand(client: Client, snapshot: Snapshot, profile: Profile, reasons: Iterable[str]) -> list[Tally]:
    """Ask for a sample where the target may have become another place; what is managed must be seen there.

    Returns what was found of each sort. Raises TargetElsewhere, TargetError.
    """
    asked = sorts(snapshot, profile, _SAMPLE)
    for sort in asked:
        await _ask(client, snapshot, sort, sort.resources)
    tallies = [each.tally for each in asked]
    if (missing := unseen(tallies)) is not None:
        raise elsewhere(client.transport.name, reasons, found_in_words(missing), likely_cause(profile, tallies))
    return tallies


def gone_from(target: str, gone: Tally, cause: str = "") -> TargetGone:
    """Return the incident of a target where everything managed of a sort is gone. `cause`: the likely one."""
    usual = "SSO or SCIM was removed at the target, or another account answers there"
    return TargetGone(
        target,
        f"{found_in_words(gone)}: nothing more is written",
        hint=f"{cause or usual}; once that is settled, {_RELINK}",
    )


def elsewhere(target: str, reasons: Iterable[str], found: str, cause: str = "") -> TargetElsewhere:
    """Return the incident of a target that may be another place, where what is managed was not seen.

    `cause`: the likely one.
    """
    told = f"; {cause}" if cause else ""
    return TargetElsewhere(
        target,
        f"may be another place, for {', and '.join(reasons)}; {found}{told}: nothing was written",
        hint=f"put the former value back; or, if everything is to be managed there from now on, {_RELINK}",
    )


__all__ = [
    "MARKS",
    "NOT_BY_ID",
    "Resource",
    "demand",
    "elsewhere",
    "glance",
    "glances",
    "gone_from",
    "look_at",
    "question",
    "shows_marks",
    "sight_of",
]
