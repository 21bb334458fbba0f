"""The members of the groups that are linked, where the list of groups left them out or may have shortened them."""

from __future__ import annotations

from collections.abc import Collection
from dataclasses import replace
from uuid import uuid4

from syncd.core.model import Kind
from syncd.errors import ScimError
from syncd.observe.asking import Link, is_there, side_by_side
from syncd.observe.model import Reading, Subject, count_of, some_of
from syncd.scim.client import Client


async def read_members(subject: Subject, reading: Reading, asked: Collection[str], *, listed: bool) -> None:
    """Ask for the groups themselves where their members may be missing. Raises TargetError.

    `asked`: ids of the groups that were asked for already. `listed`: the list showed the members of some group.

    #  the group shows        -> is asked for
    #  fewer than it must        yes
    #  none, and needs none      where the list showed nobody's members, and a group asked for showed some
    #  as many as it must        no
    """
    short, empty = _short_and_empty(subject, reading)

    async def ask(link: Link) -> None:
        if not await is_there(link, subject, reading):
            _forget_members(subject, link)

    await side_by_side(ask, [link for link in short if link.id not in asked], subject.concurrency)
    if reading.shown.members and not listed:
        await side_by_side(ask, [link for link in empty if link.id not in asked], subject.concurrency)
    if reading.shown.members:
        reading.discovered["shows_members"] = True
    showed = reading.shown.members or bool(subject.snapshot.discovery.get("shows_members"))
    if subject.profile.members_read == "group" or showed or not short:
        return
    for link in short:
        _forget_members(subject, link)
    reading.doubts.append(
        f"{count_of(len(short), Kind.GROUP)} shown without any member, and so is every other: this endpoint may "
        "not show members at all, so they are left as they are"
    )


def _short_and_empty(subject: Subject, reading: Reading) -> tuple[list[Link], list[Link]]:
    """Return the groups that show fewer members than they must, and the others that show none."""
    short: list[Link] = []
    empty: list[Link] = []
    for known in subject.groups():
        seen = subject.observation.groups([known.id]).get(known.id)
        if seen is None or seen.members is None:
            continue
        people, subgroups = reading.to_be_shown(subject.snapshot.members(known.key))
        link = Link(Kind.GROUP, known.key, known.id)
        if len(seen.members) < len(people) + len(subgroups):
            short.append(link)
        elif not seen.members:
            empty.append(link)
    return short, empty


def _forget_members(subject: Subject, link: Link) -> None:
    """Mark the members of a group as unknown."""
    seen = subject.observation.groups([link.id])[link.id]
    subject.observation.put_groups([replace(seen, members=None)])


async def read_members_by_filter(subject: Subject, reading: Reading) -> None:
    """Ask for the users of each group, where groups don't show them (AWS: `groups.value eq`). Raises TargetError."""
    groups = [Link(Kind.GROUP, known.key, known.id) for known in subject.groups()]
    listed = subject.observation.groups([link.id for link in groups])
    groups = [link for link in groups if link.id in listed]
    if not groups:
        return
    members_of_none = await _members_of(str(uuid4()), subject.client)
    if members_of_none:
        # RFC 7644 section 3.4.2.2 demands an error for what isn't supported; some endpoints list everybody.
        reading.doubts.append(
            "the endpoint doesn't look whether users are in the group that they are asked for by (a group that "
            "doesn't exist has members): members are left as they are"
        )
        return
    unknown: list[str] = []

    async def ask(link: Link) -> None:
        ids = await _members_of(link.id, subject.client)
        if ids is None:
            unknown.append(link.key)
        else:
            subject.observation.put_groups([replace(listed[link.id], members=ids)])

    await side_by_side(ask, groups, subject.concurrency)
    if unknown:
        reading.doubts.append(
            f"{count_of(len(unknown), Kind.GROUP)} not answered for, or not to the end, when users are "
            f"asked for by group ({some_of(unknown)}): the members are left as they are"
        )


async def _members_of(group: str, client: Client) -> list[str] | None:
    """Return the ids of a group's users; None where the answer is incomplete, or is none. Raises TargetError."""
    try:
        ids, doubt = await client.members_by_filter(group)
    except ScimError:
        return None
    return None if doubt else ids
