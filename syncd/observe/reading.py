"""Read a target whole, for a full resync: what it has of what is managed, of what may be adopted, and what is in doubt.

A listing alone proves no absence: whatever is linked and not listed is asked for by its id. Everything managed gone at
once is one incident, not thousands of deletions.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import AsyncIterator, Awaitable, Callable, Container, Iterator, Sequence
from dataclasses import dataclass, replace
from typing import Final, NamedTuple, NoReturn, TypeVar
from uuid import uuid4

from syncd.compare.rules import TargetRules
from syncd.core.model import Json, Kind, Known, KnownGroup, Observed, ObservedGroup, State, is_on
from syncd.errors import ScimError, TargetError, TargetGone, TargetRefused, TargetUnusable
from syncd.observe.reconciling import NAMED, Reading, count_of, reconcile, to_be_shown
from syncd.scim.client import ENDPOINTS, Body, Client
from syncd.scim.listing import Listing
from syncd.scim.resources import field as member
from syncd.scim.resources import flatten
from syncd.store import Observation, Snapshot

_ENOUGH_TO_BE_EVERYTHING: Final = 3
"""From this many managed resources on, all of them gone is an incident; below it, somebody may have deleted one."""
_ASKED_FIRST: Final = 20
_ENOUGH_TO_SHOW: Final = 3
"""Where so many have an attribute and the endpoint never showed it of anybody, it doesn't keep it, or doesn't say."""
_NOT_SERVED: Final = (403, 404, 405, 501)
_NO_MEMBERS: Final = {"excludedAttributes": "members"}
"""The members of large groups are most of what there is to send (RFC 7644 section 3.9)."""
_REFUSED: Final = (400, 500, 501)
"""How endpoints answer a parameter that they don't take."""
_NO_ME: Final = (400, 403, 404, 405, 501)
"""How endpoints say that they have no /Me, or none for this token (RFC 7644 section 3.11)."""
_OWNERS: Final = frozenset({"owner", "accountowner", "workspaceowner"})
_T = TypeVar("_T")


@dataclass(frozen=True, slots=True)
class Paths:
    """Which attributes of users and groups syncd writes."""

    user: frozenset[str]
    group: frozenset[str]


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
    """Read every user and group into the observation. Raises TargetError.

    TargetGone when everything managed is gone at once, unless that is expected; TargetUnusable when a list can't be
    read: nothing may be inferred then.
    """
    return await _Reader(client, rules, paths, snapshot, observation, concurrency).read(expect_gone=expect_gone)


class _Link(NamedTuple):
    """A linked resource."""

    kind: Kind
    key: str
    id: str
    off: bool = False
    """We switched the account off, and some endpoints hide those."""
    must: bool = True
    """It must be there, unless somebody deleted it: neither off nor waiting for anybody to accept."""


class _Reader:
    def __init__(
        self,
        client: Client,
        rules: TargetRules,
        paths: Paths,
        snapshot: Snapshot,
        observation: Observation,
        concurrency: int,
    ) -> None:
        self._client = client
        self._profile = rules.profile
        self._paths = paths
        self._snapshot = snapshot
        self._observation = observation
        self._concurrency = concurrency
        self._protected: dict[str, str] = {}
        """Ids of the accounts that must never be switched off, and why."""
        self._linked = dict.fromkeys(Kind, 0)
        """How many are linked and must be there, besides those protected: these outlive the integration."""
        self._there = dict.fromkeys(Kind, 0)
        """How many of those are."""
        self._shows_off = False
        """Whether an account that we switched off was shown as being off."""
        self._asked: set[str] = set()
        """Ids of the groups that were asked for by id."""
        shown = snapshot.discovery.get("shown") or {}
        self._shown = {kind: set(shown.get(kind.value, ())) for kind in Kind}
        """The paths that the endpoint ever showed of anybody."""
        self._acknowledged: dict[Kind, Counter[str]] = {kind: Counter() for kind in Kind}
        """How many of those listed are known to have something at a path."""
        self._reading = Reading({Kind.USER: paths.user, Kind.GROUP: paths.group})
        self._reading.active_as.update(snapshot.discovery.get("active_as") or ())

    async def read(self, *, expect_gone: bool) -> Reading:
        async for users in self._listed(Kind.USER):
            self._observation.put_users([self._user(body) for body in users])
        async for groups in self._listed(Kind.GROUP):
            self._observation.put_groups([self._group(body) for body in groups])
        listed_with_members = self._reading.shows_members
        await self._own_account()
        unlisted = self._unlisted()
        if not expect_gone:
            await self._ask_for_a_few(unlisted)
        await self._each(self._ask_for, unlisted)
        if not expect_gone:
            self._see_that_something_is_there(unlisted)
        self._believe_of_the_switched_off(unlisted, expected=expect_gone and not any(self._there.values()))
        self._say_what_is_unclear()
        if self._profile.members_read == "filter":
            await self._members_by_filter()
        else:
            await self._members(listed=listed_with_members)
        self._leave_out_what_is_never_shown()
        self._reading.discovered |= {"protected": self._protected, "active_as": sorted(self._reading.active_as)}
        return self._reading

    async def _each(self, work: Callable[[_T], Awaitable[object]], items: Sequence[_T]) -> None:
        """Do the work for each item, a few at a time. Raises what the first failure was."""
        waiting = iter(items)

        async def worker() -> None:
            for item in waiting:
                await work(item)

        try:
            async with asyncio.TaskGroup() as tasks:
                for _ in range(min(self._concurrency, len(items))):
                    tasks.create_task(worker())
        except ExceptionGroup as failures:
            raise failures.exceptions[0] from None

    # -- lists -----------------------------------------------------------------------------------

    async def _listed(self, kind: Kind) -> AsyncIterator[list[Body]]:
        unwanted = kind is Kind.GROUP and self._profile.members_read in ("filter", "nothing")
        listing = Listing(self._client.transport, ENDPOINTS[kind], self._profile, _NO_MEMBERS if unwanted else None)
        try:
            try:
                async for page in listing.pages():
                    yield page
            except ScimError as error:
                if not unwanted or error.status not in _REFUSED:
                    raise
                listing = Listing(self._client.transport, ENDPOINTS[kind], self._profile)
                async for page in listing.pages():
                    yield page
        except (ScimError, TargetRefused) as error:
            if kind is Kind.GROUP and error.status in _NOT_SERVED and not any(self._groups()):
                return
            if isinstance(error, TargetRefused):
                raise
            self._unreadable(kind, error)
        if listing.doubt:
            nobody = "nobody counts" if kind is Kind.USER else "no group counts"
            self._reading.doubts.append(f"{listing.doubt}: {nobody} as deleted for not being listed")

    def _unreadable(self, kind: Kind, error: ScimError) -> NoReturn:
        raise TargetUnusable(
            self._client.transport.name,
            f"its {ENDPOINTS[kind]} can't be read: {error}",
            hint="nothing was inferred from what was read so far; a normal run needs no such reading",
            status=error.status,
        ) from None

    def _user(self, body: Body) -> Observed:
        attributes = flatten(Kind.USER, body, self._paths.user | {"active"})
        if "active" in attributes:
            self._reading.active_as.add(attributes["active"])
        self._shown[Kind.USER].update(attributes)
        emails, roles = member(body, "emails"), member(body, "roles")
        addresses = [_value(each) for each in emails] if isinstance(emails, list) else []
        id_ = _text(member(body, "id"))
        if isinstance(roles, list) and any(_role(each) in _OWNERS for each in roles):
            self._protected[id_] = "the owner of the account at the target"
        return Observed(
            id_,
            _text(member(body, "userName")),
            _text(member(body, "externalId")),
            tuple(filter(None, addresses)),
            attributes,
        )

    def _group(self, body: Body) -> ObservedGroup:
        name = _text(member(body, "displayName")).removesuffix(self._profile.group_suffix)
        members = member(body, "members")
        ids = [id_ for each in members if (id_ := _value(each))] if isinstance(members, list) else []
        self._reading.shows_members = self._reading.shows_members or bool(ids)
        attributes = flatten(Kind.GROUP, body, self._paths.group)
        self._shown[Kind.GROUP].update(attributes)
        return ObservedGroup(
            _text(member(body, "id")),
            name,
            _text(member(body, "externalId")),
            attributes | {"displayName": name},
            ids if self._profile.members_read in (None, "group") else None,
        )

    # -- what the lists don't show ---------------------------------------------------------------

    def _groups(self) -> Iterator[KnownGroup]:
        return (known for known in self._snapshot.groups().values() if not known.lost)

    def _unlisted(self) -> list[_Link]:
        """Return every linked resource that was not listed; count those that must be there, and those that are."""
        unlisted = []
        for users in self._snapshot.all_users():
            linked = [known for known in users if not known.lost]
            links = [self._link(known) for known in linked]
            seen = self._observation.users([link.id for link in links])
            unlisted += self._missing(links, seen)
            self._count_acknowledged(Kind.USER, [known for known in linked if known.id in seen])
            self._shows_off = self._shows_off or any(
                link.off and link.id in seen and not seen[link.id].active for link in links
            )
        self._reading.hidden.update(link.key for link in unlisted if link.off)
        groups = [_Link(Kind.GROUP, known.key, known.id) for known in self._groups()]
        listed = self._observation.groups([link.id for link in groups])
        self._count_acknowledged(Kind.GROUP, [known for known in self._groups() if known.id in listed])
        return unlisted + self._missing(groups, listed)

    def _count_acknowledged(self, kind: Kind, listed: Sequence[Known] | Sequence[KnownGroup]) -> None:
        for known in listed:
            if not isinstance(known, Known) or known.state is not State.DEACTIVATED:
                self._acknowledged[kind].update(known.attributes.keys() - self._shown[kind])

    def _link(self, known: Known) -> _Link:
        off = known.state is State.DEACTIVATED or not is_on(known.attributes.get("active"))
        must = known.state is State.ACTIVE and not off and known.id not in self._protected
        return _Link(Kind.USER, known.key, known.id, off, must)

    def _missing(self, links: Sequence[_Link], seen: Container[str]) -> list[_Link]:
        for link in links:
            self._linked[link.kind] += link.must
            self._there[link.kind] += link.must and link.id in seen
        return [link for link in links if link.id not in seen]

    def _nothing_there(self, unlisted: Sequence[_Link]) -> Iterator[tuple[TargetGone, list[_Link]]]:
        """Yield the incident, and whom it is about, where no user or no group that is managed was found.

        SSO or SCIM was removed; LucidLink then deletes the groups, and leaves the people there, unmanaged. Accounts
        that are off, or wait for somebody to accept, say nothing: some endpoints hide them.
        """
        for kinds, what in (
            (tuple(Kind), "users and groups"),
            ((Kind.USER,), "users"),
            ((Kind.GROUP,), "groups"),
        ):
            expected = sum(self._linked[kind] for kind in kinds)
            if expected < _ENOUGH_TO_BE_EVERYTHING or any(self._there[kind] for kind in kinds):
                continue
            incident = TargetGone(
                self._client.transport.name,
                f"none of the {expected:,} managed {what} is there any more",
                hint="SSO or SCIM was probably removed at the target: nothing was changed, and nothing is pushed; once "
                "it is set up again, run `syncd relink`",
            )
            yield incident, [link for link in unlisted if link.must and link.kind in kinds]

    async def _ask_for_a_few(self, unlisted: Sequence[_Link]) -> None:
        """Where nothing is listed, ask for some of the first and some of the last. Raises TargetGone."""
        few = _ASKED_FIRST // 2
        for incident, links in self._nothing_there(unlisted):
            chosen = dict.fromkeys([*links[:few], *links[-few:]])
            if not any([await self._is_there(link) is not False for link in chosen]):
                raise incident

    def _see_that_something_is_there(self, unlisted: Sequence[_Link]) -> None:
        """Raise TargetGone where everything was asked for, and nothing found."""
        for incident, links in self._nothing_there(unlisted):
            if any(link.key in self._reading.gone[link.kind] for link in links):
                raise incident

    async def _is_there(self, link: _Link) -> bool | None:
        """Ask for a resource by id and observe it; None when the endpoint doesn't say. Raises TargetError."""
        try:
            body = (await self._client.read(link.kind, link.id)).body
        except ScimError as error:
            return False if error.status == 404 else None
        except TargetRefused as error:
            if error.status == 403:  # this one is refused: the list was not
                return None
            raise
        if _text(member(body, "id")).casefold() != link.id.casefold():
            return None  # an error with a status of success, or somebody else
        body = {**body, "id": link.id}
        if link.kind is Kind.USER:
            seen = self._user(body)
            self._observation.put_users([seen])
            self._shows_off = self._shows_off or (link.off and not seen.active)
        else:
            self._observation.put_groups([self._group(body)])
            self._asked.add(link.id)
        return True

    async def _ask_for(self, link: _Link) -> None:
        there = await self._is_there(link)
        self._there[link.kind] += link.must and there is True
        if there is None:
            self._reading.unclear[link.kind].add(link.key)
        elif not there:
            self._reading.gone[link.kind].add(link.key)

    def _believe_of_the_switched_off(self, unlisted: Sequence[_Link], *, expected: bool) -> None:
        """Take no account that we switched off for deleted where the endpoint shows none of those.

        Some endpoints answer 404 for what is deactivated (Atlassian): who comes back is to get the same account.
        `expected`: a person says that everything is gone, and nothing was found.
        """
        if self._shows_off or expected:
            return
        gone = self._reading.gone[Kind.USER]
        hidden = sorted(link.key for link in unlisted if link.off and link.key in gone)
        gone.difference_update(hidden)
        self._reading.unclear[Kind.USER].update(hidden)

    def _say_what_is_unclear(self) -> None:
        for kind, keys in self._reading.unclear.items():
            if keys:
                some = ", ".join(sorted(keys)[:NAMED])
                self._reading.doubts.append(
                    f"{count_of(len(keys), kind)} neither shown nor known to be gone ({some}): left as before"
                )

    # -- members ---------------------------------------------------------------------------------

    async def _members(self, *, listed: bool) -> None:
        """Ask for the groups themselves where their members may be missing: some lists leave them out, or shorten them.

        `listed`: the list showed the members of some group.
        """
        short: list[_Link] = []
        empty: list[_Link] = []
        for known in self._groups():
            seen = self._observation.groups([known.id]).get(known.id)
            if seen is None or seen.members is None:
                continue
            people, subgroups = to_be_shown(self._snapshot.members(known.key), self._reading)
            link = _Link(Kind.GROUP, known.key, known.id)
            if len(seen.members) < len(people) + len(subgroups):
                short.append(link)
            elif not seen.members:
                empty.append(link)
        await self._each(self._ask_for_members, [link for link in short if link.id not in self._asked])
        if self._reading.shows_members and not listed:
            await self._each(self._ask_for_members, [link for link in empty if link.id not in self._asked])
        if self._reading.shows_members:
            self._reading.discovered["shows_members"] = True
        showed = self._reading.shows_members or bool(self._snapshot.discovery.get("shows_members"))
        if self._profile.members_read == "group" or showed or not short:
            return
        for link in short:
            self._forget_members(link)
        self._reading.doubts.append(
            f"{count_of(len(short), Kind.GROUP)} shown without any member, and so is every other: this endpoint may "
            "not show members at all, so they are left as they are"
        )

    async def _ask_for_members(self, link: _Link) -> None:
        if not await self._is_there(link):
            self._forget_members(link)

    def _forget_members(self, link: _Link) -> None:
        """Let it be unknown who is in a group."""
        seen = self._observation.groups([link.id])[link.id]
        self._observation.put_groups([replace(seen, members=None)])

    async def _members_by_filter(self) -> None:
        """Ask for the users of each managed group, where groups don't show them (AWS: `groups.value eq`)."""
        groups = [_Link(Kind.GROUP, known.key, known.id) for known in self._groups()]
        listed = self._observation.groups([link.id for link in groups])
        groups = [link for link in groups if link.id in listed]
        if not groups:
            return
        nobodys = await self._members_of(str(uuid4()))
        if nobodys:
            # RFC 7644 section 3.4.2.2 demands an error for what isn't supported; some endpoints list everybody.
            self._reading.doubts.append(
                "the endpoint doesn't look whether users are in the group that they are asked for by (a group that "
                "doesn't exist has members): members are left as they are"
            )
            return
        unknown: list[str] = []

        async def ask(link: _Link) -> None:
            ids = await self._members_of(link.id)
            if ids is None:
                unknown.append(link.key)
            else:
                self._observation.put_groups([replace(listed[link.id], members=ids)])

        await self._each(ask, groups)
        if unknown:
            some = ", ".join(sorted(unknown)[:NAMED])
            self._reading.doubts.append(
                f"{count_of(len(unknown), Kind.GROUP)} not answered for, or not to the end, when users are "
                f"asked for by group ({some}): the members are left as they are"
            )

    async def _members_of(self, group: str) -> list[str] | None:
        """Return the ids of a group's users; None where the answer is incomplete, or is none. Raises TargetError."""
        try:
            ids, doubt = await self._client.members_by_filter(group)
        except ScimError:
            return None
        except TargetRefused as error:
            if error.status == 403:  # this one is refused: the lists were not
                return None
            raise
        return None if doubt else ids

    # -- attributes ------------------------------------------------------------------------------

    def _leave_out_what_is_never_shown(self) -> None:
        """Compare no path that the endpoint never showed of anybody, though several have something there.

        Some endpoints drop attributes without a word: putting them back would have no end.
        """
        for kind in Kind:
            acknowledged = {path for path, count in self._acknowledged[kind].items() if count >= _ENOUGH_TO_SHOW}
            if unshown := (self._reading.compared[kind] | {"active"}) & acknowledged - self._shown[kind]:
                self._reading.compared[kind] -= unshown
                names = " and no ".join(sorted(path.rpartition(":")[2] for path in unshown))
                self._reading.doubts.append(f"the endpoint shows no {names} of any {kind.value}: that is not compared")
        if any(self._shown.values()):
            self._reading.discovered["shown"] = {kind.value: sorted(paths) for kind, paths in self._shown.items()}

    # -- who must never be switched off ----------------------------------------------------------

    async def _own_account(self) -> None:
        """Add whose token it is (RFC 7644 section 3.11) to the owner, and who was protected and is not listed."""
        known = self._snapshot.discovery
        own = known.get("me")
        if own != "":
            try:
                own = _text(member((await self._client.transport.send("GET", "Me")).body, "id"))
                self._reading.discovered["me"] = own
            except (ScimError, TargetError) as error:
                if error.status in _NO_ME:
                    own = self._reading.discovered["me"] = ""
        before: dict[str, str] = known.get("protected") or {}
        unseen = before.keys() - self._observation.users(list(before)).keys()
        self._protected = {id_: before[id_] for id_ in sorted(unseen)} | self._protected
        if own:
            self._protected[own] = "the account that the token belongs to"


def _text(value: Json) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _value(element: Json) -> str:
    """Return what an element of a list says; some endpoints have bare texts there."""
    return _text(element if isinstance(element, str) else member(element, "value"))


def _role(role: Json) -> str:
    return _value(role).casefold().replace(" ", "").replace("_", "").replace("-", "")


__all__ = ["Paths", "Reading", "read_target", "reconcile"]
