"""Read a target whole, for a full resync: what it has of what is managed, what may be adopted, and what is in doubt."""

from __future__ import annotations

from typing import Final

from syncd.compare.rules import TargetRules
from syncd.core.model import Kind
from syncd.observe import census as linked
from syncd.observe.lists import list_groups, list_users
from syncd.observe.members import read_members, read_members_by_filter
from syncd.observe.model import Paths, Reading, Subject
from syncd.observe.protection import protect_own_account
from syncd.scim.client import Client
from syncd.store import Observation, Snapshot

_ENOUGH_TO_SHOW: Final = 3
"""Where so many resources acknowledged an attribute that the endpoint never showed, it drops the attribute or hides it.
"""


async def read_target(
    client: Client,
    rules: TargetRules,
    paths: Paths,
    snapshot: Snapshot,
    observation: Observation,
    *,
    concurrency: int = 8,
    expect_gone: bool = False,
) -> Reading:
    """Read every user and group into the observation, and return what is believed of them. Raises TargetError.

    TargetGone when everything managed is gone at once, unless that is expected; TargetUnusable when a list can't be
    read: nothing may be inferred then.
    """
    subject = Subject(client, rules.profile, paths, snapshot, observation, concurrency)
    reading = Reading.begun(subject)
    # List what is there, and find out whose accounts are protected.
    await list_users(subject, reading)
    await list_groups(subject, reading)
    members_listed = reading.shown.members
    await protect_own_account(subject, reading)
    # Ask for what is linked and not listed; nothing there at all is an incident.
    census = linked.take_census(subject, reading)
    if not expect_gone:
        await linked.ask_for_a_few(census, subject, reading)
    await linked.ask_for_the_unlisted(census, subject, reading)
    if not expect_gone:
        linked.demand_that_something_is_there(census, subject, reading)
    # Believe only what is proven, and say the rest as doubts.
    linked.believe_switched_off(census, reading, all_gone=expect_gone and not any(census.there.values()))
    linked.doubt_the_unclear(reading)
    # Complete the members of the groups.
    if rules.profile.members_read == "filter":
        await read_members_by_filter(subject, reading)
    else:
        asked = {link.id for link in census.unlisted if link.kind is Kind.GROUP}
        await read_members(subject, reading, asked, listed=members_listed)
    # Remember what this endpoint shows.
    _compare_only_what_is_shown(reading, census)
    reading.discovered |= {"protected": reading.protected, "active_as": sorted(reading.shown.active_as)}
    return reading


def _compare_only_what_is_shown(reading: Reading, census: linked.Census) -> None:
    """Compare no path that the endpoint never showed of any resource, though several have something there.

    Some endpoints drop attributes without a word: putting them back would have no end.
    """
    for kind in Kind:
        acknowledged = {path for path, count in census.acknowledged[kind].items() if count >= _ENOUGH_TO_SHOW}
        if unshown := (reading.compared[kind] | {"active"}) & acknowledged - reading.shown.paths[kind]:
            reading.compared[kind] -= unshown
            names = " and no ".join(sorted(path.rpartition(":")[2] for path in unshown))
            reading.doubts.append(f"the endpoint shows no {names} of any {kind.value}: that is not compared")
    if any(reading.shown.paths.values()):
        reading.discovered["shown"] = {kind.value: sorted(paths) for kind, paths in reading.shown.paths.items()}


__all__ = ["Paths", "Reading", "read_target"]
