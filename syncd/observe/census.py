"""The census of linked resources: the listed ones, and the state of the others.

A listing alone proves no absence: each linked resource that is not listed is asked for by its id. Everything managed
gone at once is one incident, not thousands of deletions.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Container, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import Final

from syncd.core.model import Kind, Known, KnownGroup, Observed, ObservedGroup, State, is_on
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
from syncd.errors import TargetElsewhere, TargetGone
from syncd.observe.asking import Link, is_there, side_by_side
from syncd.observe.model import Reading, Subject, count_of, some_of
from syncd.place.integration import likely_cause
from syncd.place.looking import elsewhere

_ASKED_FIRST: Final = 20


@dataclass
class Census:
    """What became of the linked resources, and those that were not listed."""

    tallies: dict[str, Tally]
    """By sort, what was found of the resources that must be there."""
    acknowledged: dict[Kind, Counter[str]] = field(default_factory=lambda: {kind: Counter() for kind in Kind})
    """By path, the number of listed resources that acknowledged a value that no list ever showed."""
    unlisted: list[Link] = field(default_factory=list)

    @property
    def expects_users(self) -> bool:
        """Whether there are linked users that the target must show."""
        return self.tallies[USERS].sights.total() > 0

    @property
    def nothing_is_there(self) -> bool:
        """Whether no managed resource was found."""
        return not any(each.ours for each in self.tallies.values())


def take_census(subject: Subject, reading: Reading) -> Census:
    """Look each linked resource up among those listed."""
    removal = subject.profile.sso_removal
    remade = {kind: subject.snapshot.remade(kind) for kind in Kind}
    census = Census(fresh_tallies({kind: len(keys) for kind, keys in remade.items()}, sso_removal=removal))
    for users in subject.snapshot.all_users():
        linked = {known.key: known for known in users if not known.lost}
        links = [_link(known, reading, remade[Kind.USER], removal=removal) for known in linked.values()]
        seen = subject.observation.users([link.id for link in links])
        strangers = _count(census, [(link, linked[link.key]) for link in links], seen, reading)
        listed = [known for known in linked.values() if known.id in seen and known.key not in strangers]
        _count_acknowledged(census, Kind.USER, listed, reading)
        reading.shown.switched_off = reading.shown.switched_off or any(
            link.off and link.id in seen and link.key not in strangers and not seen[link.id].active for link in links
        )
    reading.hidden.update(link.key for link in census.unlisted if link.off)
    groups = [(_link_of_group(known, remade[Kind.GROUP]), known) for known in subject.groups()]
    listed_groups = subject.observation.groups([link.id for link, _ in groups])
    _count(census, groups, listed_groups, reading)
    _count_acknowledged(census, Kind.GROUP, [known for link, known in groups if link.id in listed_groups], reading)
    return census


def _link(known: Known, reading: Reading, remade: Container[str], *, removal: bool) -> Link:
    off = known.state is State.DEACTIVATED or not is_on(known.attributes.get("active"))
    sort = ""
    if known.key not in remade and known.id not in reading.protected:
        if known.state is State.ACTIVE and not off:
            sort = USERS
        elif off and removal and known.state is State.DEACTIVATED:
            sort = OFF
    return Link(Kind.USER, known.key, known.id, off, sort)


def _link_of_group(known: KnownGroup, remade: Container[str]) -> Link:
    return Link(Kind.GROUP, known.key, known.id, sort="" if known.key in remade else GROUPS)


def _count(
    census: Census,
    links: Sequence[tuple[Link, Known | KnownGroup]],
    seen: Mapping[str, Observed] | Mapping[str, ObservedGroup],
    reading: Reading,
) -> set[str]:
    """Count those that are listed, and note the others; returns the keys whose id is somebody else's now.

    Such a link is lost, and what has the id is nobody's: it is no drift, and never written to.
    """
    strangers = set()
    for link, known in links:
        found = seen.get(link.id)
        if found is None:
            census.unlisted.append(link)
            continue
        sight = _sight(known, found, reading)
        if sight is Sight.OTHERS:
            strangers.add(link.key)
            reading.gone[link.kind].add(link.key)
            reading.strangers.add((link.kind, link.id))
        if link.sort:
            census.tallies[link.sort].sights[sight] += 1
    return strangers


def _sight(known: Known | KnownGroup, found: Observed | ObservedGroup, reading: Reading) -> Sight:
    kind = Kind.USER if isinstance(known, Known) else Kind.GROUP
    names = [found.name, *(found.emails if isinstance(found, Observed) else ())]
    shows = reading.shows_marks[kind]
    return whose(known, found.external_id, names, shows_marks=shows)


def _count_acknowledged(
    census: Census, kind: Kind, listed: Sequence[Known] | Sequence[KnownGroup], reading: Reading
) -> None:
    for known in listed:
        if not isinstance(known, Known) or known.state is not State.DEACTIVATED:
            census.acknowledged[kind].update(known.attributes.keys() - reading.shown.paths[kind])


async def ask_for_a_few(census: Census, subject: Subject, reading: Reading, reasons: Sequence[str]) -> None:
    """Where no managed resource is listed, ask for some of the first and some of the last: this spares thousands of
    requests when everything is gone. Raises TargetGone, TargetElsewhere, TargetError."""
    few = _ASKED_FIRST // 2
    for tallies in _sorts(census):
        names = {each.what for each in tallies}
        links = [link for link in census.unlisted if link.sort in names]
        unlisted = [replace(each, sights=each.sights + Counter({Sight.GONE: _number(links, each)})) for each in tallies]
        if (gone := everything_gone(unlisted)) is None or gone.ours:
            continue
        chosen = dict.fromkeys([*links[:few], *links[-few:]])
        if links and not any([await is_there(link, subject, reading) is not False for link in chosen]):
            others = [each for each in census.tallies.values() if each.what not in names]
            raise _incident(subject, gone, reasons, [*others, *unlisted])


def _sorts(census: Census) -> list[list[Tally]]:
    """Return the sorts of which everything may be gone: all together, and each alone."""
    counted = list(census.tallies.values())
    return [counted, *([each] for each in counted)]


def _number(links: Sequence[Link], tally: Tally) -> int:
    return sum(link.sort == tally.what for link in links)


async def ask_for_the_unlisted(census: Census, subject: Subject, reading: Reading) -> None:
    """Ask for each linked resource that was not listed: it is there, gone or unclear. Raises TargetError."""

    async def ask(link: Link) -> None:
        there = await is_there(link, subject, reading)
        sight = Sight.UNCLEAR if there is None else Sight.OURS if there else Sight.GONE
        if there and _is_strangers(link, subject, reading):
            sight = Sight.OTHERS
            reading.strangers.add((link.kind, link.id))
        if link.sort:
            census.tallies[link.sort].sights[sight] += 1
        if there is None:
            reading.unclear[link.kind].add(link.key)
        elif sight is not Sight.OURS:
            reading.gone[link.kind].add(link.key)

    await side_by_side(ask, census.unlisted, subject.concurrency)


def _is_strangers(link: Link, subject: Subject, reading: Reading) -> bool:
    """Return whether a resource that was asked for by its id is somebody else's."""
    if link.kind is Kind.USER:
        known, found = subject.snapshot.user(link.key), subject.observation.users([link.id]).get(link.id)
        return known is not None and found is not None and _sight(known, found, reading) is Sight.OTHERS
    group, shown = subject.snapshot.group(link.key), subject.observation.groups([link.id]).get(link.id)
    return group is not None and shown is not None and _sight(group, shown, reading) is Sight.OTHERS


def demand_that_it_is_the_place(census: Census, subject: Subject, reasons: Sequence[str]) -> None:
    """Raise TargetGone where every linked resource was asked for, and none of a sort was found; TargetElsewhere where
    the target may have become another place, for these reasons, and most of what is managed was not found."""
    tallies = list(census.tallies.values())
    if reasons and (missing := unseen(tallies)) is not None:
        raise _incident(subject, missing, reasons, tallies)
    if (gone := everything_gone(tallies)) is not None:
        raise _incident(subject, gone, reasons, tallies)


def _incident(
    subject: Subject, gone: Tally, reasons: Sequence[str], tallies: Sequence[Tally]
) -> TargetGone | TargetElsewhere:
    """Return the incident of a target where nothing of a sort was found.

    SSO or SCIM was removed; LucidLink then deletes the groups, and leaves the people there, unmanaged. Accounts that
    are off, or wait for somebody to accept, say nothing elsewhere: some endpoints hide them.
    """
    name, cause = subject.client.transport.name, likely_cause(subject.profile, tallies)
    if reasons:
        return elsewhere(name, reasons, found_in_words(gone, asked=False), cause)
    nothing = "nothing was changed, and nothing is pushed"
    if cause:
        hint = f"{cause}; {nothing}; once that is settled, run `syncd relink`"
    else:
        hint = f"SSO or SCIM was probably removed at the target: {nothing}; once it is set up again, run `syncd relink`"
    return TargetGone(name, found_in_words(gone, asked=False), hint=hint)


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
