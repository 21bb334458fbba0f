"""The census of linked resources: the listed ones, and the state of the others.

A listing alone proves no absence: each linked resource that is not listed is asked for by its id. Everything managed
gone at once is one incident, not thousands of deletions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Iterator, Sequence
from dataclasses import dataclass, field
from typing import Final

from syncd.core.model import Kind, Known, KnownGroup, State, is_on
from syncd.errors import TargetGone
from syncd.observe.asking import Link, is_there, side_by_side
from syncd.observe.model import Reading, Subject, count_of, some_of

_ENOUGH_TO_BE_EVERYTHING: Final = 3
"""From this many managed resources on, all of them gone is an incident; below it, somebody may have deleted one."""
_ASKED_FIRST: Final = 20


@dataclass
class Census:
    """Counts of the linked resources by kind, and those that were not listed."""

    expected: Counter[Kind] = field(default_factory=Counter)
    """Number of resources that must be there."""
    there: Counter[Kind] = field(default_factory=Counter)
    """Number of these that are there."""
    acknowledged: dict[Kind, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in Kind})
    """By path, the number of listed resources that acknowledged a value that no list ever showed."""
    unlisted: list[Link] = field(default_factory=list)


def take_census(subject: Subject, reading: Reading) -> Census:
    """Look each linked resource up among those listed."""
    census = Census()
    for users in subject.snapshot.all_users():
        linked = [known for known in users if not known.lost]
        links = [_link(known, reading) for known in linked]
        seen = subject.observation.users([link.id for link in links])
        _count(census, links, seen)
        _count_acknowledged(census, Kind.USER, [known for known in linked if known.id in seen], reading)
        reading.shown.switched_off = reading.shown.switched_off or any(
            link.off and link.id in seen and not seen[link.id].active for link in links
        )
    reading.hidden.update(link.key for link in census.unlisted if link.off)
    groups = [Link(Kind.GROUP, known.key, known.id) for known in subject.groups()]
    listed = subject.observation.groups([link.id for link in groups])
    _count_acknowledged(census, Kind.GROUP, [known for known in subject.groups() if known.id in listed], reading)
    _count(census, groups, listed)
    return census


def _link(known: Known, reading: Reading) -> Link:
    off = known.state is State.DEACTIVATED or not is_on(known.attributes.get("active"))
    must = known.state is State.ACTIVE and not off and known.id not in reading.protected
    return Link(Kind.USER, known.key, known.id, off, must)


def _count(census: Census, links: Sequence[Link], seen: Container[str]) -> None:
    for link in links:
        census.expected[link.kind] += link.must
        census.there[link.kind] += link.must and link.id in seen
    census.unlisted += [link for link in links if link.id not in seen]


def _count_acknowledged(
    census: Census, kind: Kind, listed: Sequence[Known] | Sequence[KnownGroup], reading: Reading
) -> None:
    for known in listed:
        if not isinstance(known, Known) or known.state is not State.DEACTIVATED:
            census.acknowledged[kind].update(known.attributes.keys() - reading.shown.paths[kind])


async def ask_for_a_few(census: Census, subject: Subject, reading: Reading) -> None:
    """Where no managed resource is listed, ask for some of the first and some of the last: this spares thousands of
    requests when everything is gone. Raises TargetGone, TargetError."""
    few = _ASKED_FIRST // 2
    for incident, links in _incidents(census, subject):
        chosen = dict.fromkeys([*links[:few], *links[-few:]])
        if not any([await is_there(link, subject, reading) is not False for link in chosen]):
            raise incident


async def ask_for_the_unlisted(census: Census, subject: Subject, reading: Reading) -> None:
    """Ask for each linked resource that was not listed: it is there, gone or unclear. Raises TargetError."""

    async def ask(link: Link) -> None:
        there = await is_there(link, subject, reading)
        census.there[link.kind] += link.must and there is True
        if there is None:
            reading.unclear[link.kind].add(link.key)
        elif not there:
            reading.gone[link.kind].add(link.key)

    await side_by_side(ask, census.unlisted, subject.concurrency)


def demand_that_something_is_there(census: Census, subject: Subject, reading: Reading) -> None:
    """Raise TargetGone where every linked resource was asked for, and none was found."""
    for incident, links in _incidents(census, subject):
        if any(link.key in reading.gone[link.kind] for link in links):
            raise incident


def _incidents(census: Census, subject: Subject) -> Iterator[tuple[TargetGone, list[Link]]]:
    """Yield the incident, and the unlisted links that it is about, where no managed user or no managed group was found.

    SSO or SCIM was removed; LucidLink then deletes the groups, and leaves the people there, unmanaged. Accounts that
    are off, or wait for somebody to accept, say nothing: some endpoints hide them.
    """
    for kinds, what in (
        (tuple(Kind), "users and groups"),
        ((Kind.USER,), "users"),
        ((Kind.GROUP,), "groups"),
    ):
        expected = sum(census.expected[kind] for kind in kinds)
        if expected < _ENOUGH_TO_BE_EVERYTHING or any(census.there[kind] for kind in kinds):
            continue
        incident = TargetGone(
            subject.client.transport.name,
            f"none of the {expected:,} managed {what} is there any more",
            hint="SSO or SCIM was probably removed at the target: nothing was changed, and nothing is pushed; once "
            "it is set up again, run `syncd relink`",
        )
        yield incident, [link for link in census.unlisted if link.must and link.kind in kinds]


def believe_switched_off(census: Census, reading: Reading, *, all_gone: bool) -> None:
    """Take no account that syncd switched off for deleted where the endpoint shows none of those.

    Some endpoints answer 404 for a deactivated account (Atlassian); a person who comes back must get the same account.
    `all_gone`: a person says that everything is gone, and nothing was found.
    """
    if reading.shown.switched_off or all_gone:
        return
    gone = reading.gone[Kind.USER]
    hidden = sorted(link.key for link in census.unlisted if link.off and link.key in gone)
    gone.difference_update(hidden)
    reading.unclear[Kind.USER].update(hidden)


def doubt_the_unclear(reading: Reading) -> None:
    """Add a doubt with the number of linked resources that are neither shown nor known to be gone."""
    for kind, keys in reading.unclear.items():
        if keys:
            reading.doubts.append(
                f"{count_of(len(keys), kind)} neither shown nor known to be gone ({some_of(keys)}): left as before"
            )
