"""Read a target whole, for a full resync: managed resources, resources that may be adopted, and doubts."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Final

from syncd.compare.rules import TargetRules
from syncd.core.model import Kind
from syncd.core.ownership import Ownership
from syncd.core.place import unseen
from syncd.observe import census as linked
from syncd.observe.foreign import ask_for_unknown_members
from syncd.observe.lists import list_groups, list_users
from syncd.observe.members import read_members, read_members_by_filter
from syncd.observe.model import Reading, Subject
from syncd.observe.protection import protect_own_account
from syncd.observe.removal import sso_was_removed
from syncd.place.integration import Integration, ListedGroup
from syncd.place.looking import MARKS
from syncd.scim.client import Client
from syncd.store import Observation, Snapshot

_ENOUGH_TO_SHOW: Final = 3
"""From this many resources with an acknowledged attribute that no answer shows, the endpoint hides or drops it."""


async def read_target(
    client: Client,
    rules: TargetRules,
    owned: Mapping[Kind, Ownership],
    snapshot: Snapshot,
    observation: Observation,
    *,
    concurrency: int = 8,
    expect_gone: bool = False,
    reasons: Sequence[str] = (),
    integration: Integration | None = None,
) -> Reading:
    """Read every user and group into the observation, and return the findings. Raises TargetError.

    `owned`: how far the source decides about users and about groups. `reasons`: why the target may have become another
    place. `integration`: the one that must answer, where two of them have one address.

    TargetGone when everything managed is gone at once, and TargetElsewhere when most of it is where the target may be
    another place, unless that is expected; TargetElsewhere when the token is another integration's; TargetUnusable when
    a list can't be read: nothing may be inferred then.
    """
    subject = Subject(client, rules.profile, owned, snapshot, observation, concurrency)
    reading = Reading.begun(subject)
    # List all resources, and find the protected accounts.
    await list_users(subject, reading)
    await list_groups(subject, reading)
    members_listed = reading.shown.members
    if integration is not None:
        integration.demand(client.transport.name, _listed_groups(subject), snapshot, reasons)
    await protect_own_account(subject, reading)
    # Ask for the linked resources that are not listed; all of them gone is an incident.
    census = linked.take_census(subject, reading)
    if not expect_gone:
        await linked.ask_for_a_few(census, subject, reading, reasons)
    await linked.ask_for_the_unlisted(census, subject, reading)
    if not expect_gone:
        linked.demand_that_it_is_the_place(census, subject, reasons)
    else:
        reading.sso_removed = sso_was_removed(subject, reading)
    # Keep only proven findings, and report the rest as doubts.
    all_gone = expect_gone and census.nothing_is_there
    linked.believe_switched_off(census, reading, all_gone=all_gone or reading.sso_removed)
    linked.doubt_the_unclear(reading)
    # Complete the members of the groups.
    if rules.profile.members_read == "filter":
        await read_members_by_filter(subject, reading)
    else:
        asked = {link.id for link in census.unlisted if link.kind is Kind.GROUP}
        await read_members(subject, reading, asked, listed=members_listed)
    await ask_for_unknown_members(subject, reading)
    # Remember the paths that this endpoint shows.
    _compare_only_what_is_shown(reading, census)
    marks = {kind.value for kind in reading.shown.marks} | set(snapshot.discovery.get(MARKS) or ())
    if marks or census.expects_users:
        reading.discovered[MARKS] = sorted(marks)
    reading.is_place = unseen(census.tallies.values()) is None
    reading.discovered |= {"protected": reading.protected, "active_as": sorted(reading.shown.active_as)}
    return reading


def _listed_groups(subject: Subject) -> list[ListedGroup]:
    return [ListedGroup(each.id, each.name, each.members or ()) for each in subject.observation.all_groups()]


def _compare_only_what_is_shown(reading: Reading, census: linked.Census) -> None:
    """Exclude paths that the endpoint never showed of any resource, though several acknowledged a value there.

    Some endpoints drop attributes silently: restoring such attributes would never end.
    """
    for kind in Kind:
        acknowledged = {path for path, count in census.acknowledged[kind].items() if count >= _ENOUGH_TO_SHOW}
        acknowledged -= {"externalId"} if reading.sso_removed else set()  # the marks went with SSO
        if unshown := (reading.compared[kind].decided | {"active"}) & acknowledged - reading.shown.paths[kind]:
            reading.compared[kind] = reading.compared[kind].without(*unshown)
            names = " and no ".join(sorted(path.rpartition(":")[2] for path in unshown))
            reading.doubts.append(f"the endpoint shows no {names} of any {kind.value}: that is not compared")
    if any(reading.shown.paths.values()):
        reading.discovered["shown"] = {kind.value: sorted(paths) for kind, paths in reading.shown.paths.items()}


__all__ = ["Reading", "read_target"]
