"""Read a target whole, for a full resync: what it has of what is managed, of what may be adopted, and what is in doubt.

A listing alone proves no absence: whatever is linked and not listed is asked for by its id. Everything managed gone at
once is one incident, not thousands of deletions.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterable, Sequence
from dataclasses import dataclass, field
from typing import Final, NoReturn

from syncd.core.drift import Drift, Reaction, group_drift, user_drift
from syncd.core.model import Json, Kind, Known, KnownGroup, Observed, ObservedGroup, State
from syncd.core.schema import MANAGER
from syncd.errors import ScimError, TargetError, TargetGone, TargetUnusable
from syncd.scim.client import ENDPOINTS, Body, Client
from syncd.scim.listing import Listing
from syncd.scim.resources import field as member
from syncd.scim.resources import flatten
from syncd.store import Observation, Snapshot
from syncd.terms import TargetRules

_ENOUGH_TO_BE_EVERYTHING: Final = 3
"""From this many managed resources on, all of them gone is an incident; below it, somebody may have deleted one."""
_ASKED_FIRST: Final = 20
_NOT_SERVED: Final = (404, 405, 501)
_OWNERS: Final = frozenset({"owner", "accountowner", "workspaceowner"})


@dataclass(frozen=True, slots=True)
class Paths:
    """Which attributes of users and groups syncd writes."""

    user: frozenset[str]
    group: frozenset[str]


@dataclass
class Reading:
    """What was found, beside the resources themselves."""

    doubts: list[str] = field(default_factory=list)
    """Why something may not be what it seems, in sentences for a person."""
    gone: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources that are proven not to be there."""
    unclear: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources of which the endpoint doesn't say whether they are there."""
    discovered: dict[str, Json] = field(default_factory=dict)
    """What is to be remembered of the endpoint."""
    shows_members: bool = False
    """Whether any group showed any member."""


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
        self._owners: dict[str, str] = {}
        self._reading = Reading()

    async def read(self, *, expect_gone: bool) -> Reading:
        async for users in self._listed(Kind.USER):
            self._observation.put_users([self._user(body) for body in users])
        async for groups in self._listed(Kind.GROUP):
            self._observation.put_groups([self._group(body) for body in groups])
        unlisted = {kind: self._unlisted(kind) for kind in Kind}
        if not expect_gone:
            await self._see_that_something_is_there(unlisted)
        for kind in Kind:
            await self._ask_for(kind, unlisted[kind])
        await self._members()
        await self._own_account()
        return self._reading

    # -- lists -----------------------------------------------------------------------------------

    async def _listed(self, kind: Kind) -> AsyncIterator[list[Body]]:
        listing = Listing(self._client.transport, ENDPOINTS[kind], self._profile.page_size)
        try:
            async for page in listing.pages():
                yield page
        except ScimError as error:
            if kind is Kind.GROUP and error.status in _NOT_SERVED and not self._snapshot.groups():
                return
            self._unreadable(kind, error)
        if listing.doubt:
            what = "users" if kind is Kind.USER else "groups"
            self._reading.doubts.append(f"{listing.doubt} {what}: nobody counts as deleted for not being listed")

    def _unreadable(self, kind: Kind, error: ScimError) -> NoReturn:
        raise TargetUnusable(
            self._client.transport.name,
            f"its {ENDPOINTS[kind]} can't be read: {error}",
            hint="nothing was inferred from what was read so far; a normal run needs no such reading",
            status=error.status,
        ) from None

    def _user(self, body: Body) -> Observed:
        attributes = flatten(Kind.USER, body, self._paths.user | {"active"})
        active = attributes.get("active")
        if isinstance(active, str):
            attributes["active"] = active.strip().casefold() != "false"
        emails = member(body, "emails")
        addresses = [member(each, "value") for each in emails] if isinstance(emails, list) else []
        id_ = str(member(body, "id"))
        roles = member(body, "roles")
        if isinstance(roles, list) and any(_role(each) in _OWNERS for each in roles):
            self._owners[id_] = "the owner of the account at the target"
        name = member(body, "userName")
        return Observed(
            id_,
            str(name) if name is not None else "",
            _text(member(body, "externalId")),
            tuple(each for each in addresses if isinstance(each, str)),
            attributes,
        )

    def _group(self, body: Body) -> ObservedGroup:
        name, suffix = _text(member(body, "displayName")), self._profile.group_suffix
        members = member(body, "members")
        ids = [str(member(each, "value")) for each in members] if isinstance(members, list) else []
        self._reading.shows_members = self._reading.shows_members or bool(ids)
        attributes = flatten(Kind.GROUP, body, self._paths.group)
        plain = name.removesuffix(suffix) if suffix else name
        return ObservedGroup(
            str(member(body, "id")),
            plain,
            _text(member(body, "externalId")),
            attributes | {"displayName": plain},
            ids if self._profile.members_shown is not False else None,
        )

    # -- what the lists don't show ---------------------------------------------------------------

    def _unlisted(self, kind: Kind) -> list[tuple[str, str]]:
        """Return key and id of every linked resource that was not listed."""
        linked: Iterable[Sequence[Known] | Sequence[KnownGroup]]
        seen = self._observation.users if kind is Kind.USER else self._observation.groups
        linked = self._snapshot.all_users() if kind is Kind.USER else [list(self._snapshot.groups().values())]
        unlisted = []
        for batch in linked:
            pairs = [(known.key, known.id) for known in batch if not known.lost]
            found = seen([id_ for _, id_ in pairs])
            unlisted += [(key, id_) for key, id_ in pairs if id_ not in found]
        return unlisted

    async def _see_that_something_is_there(self, unlisted: dict[Kind, list[tuple[str, str]]]) -> None:
        """Raise TargetGone when all users or all groups that are managed are gone at once: SSO or SCIM was removed.

        LucidLink then deletes the groups, and leaves the people there, unmanaged. Where none is listed, a few are
        asked for by id. Accounts that are switched off say nothing: some endpoints hide them.
        """
        off: set[str] = set()
        linked = {Kind.USER: 0, Kind.GROUP: sum(not known.lost for known in self._snapshot.groups().values())}
        for batch in self._snapshot.all_users():
            off.update(known.key for known in batch if known.state is State.DEACTIVATED)
            linked[Kind.USER] += sum(not known.lost and known.state is not State.DEACTIVATED for known in batch)
        missing = {kind: [id_ for key, id_ in unlisted[kind] if kind is Kind.GROUP or key not in off] for kind in Kind}
        for kinds, what in (
            ((Kind.USER, Kind.GROUP), "users and groups"),
            ((Kind.USER,), "users"),
            ((Kind.GROUP,), "groups"),
        ):
            expected = sum(linked[kind] for kind in kinds)
            ids = [(kind, id_) for kind in kinds for id_ in missing[kind]]
            if expected >= _ENOUGH_TO_BE_EVERYTHING and len(ids) == expected and await self._all_gone(ids):
                raise TargetGone(
                    self._client.transport.name,
                    f"none of the {expected} managed {what} is there any more",
                    hint="SSO or SCIM was probably removed at the target: nothing was changed, and nothing is pushed; "
                    "once it is set up again, run `syncd relink`",
                )

    async def _all_gone(self, ids: Sequence[tuple[Kind, str]]) -> bool:
        """Ask for a few from the beginning and the end."""
        few = _ASKED_FIRST // 2
        chosen = dict.fromkeys([*ids[:few], *ids[-few:]])
        return not any([await self._is_there(kind, id_) is not False for kind, id_ in chosen])

    async def _is_there(self, kind: Kind, id_: str) -> bool | None:
        """Ask for a resource by id and observe it; None when the endpoint doesn't say."""
        try:
            found = await self._client.read(kind, id_)
        except ScimError as error:
            return False if error.status == 404 else None
        body = {**found.body, "id": id_}
        if kind is Kind.USER:
            self._observation.put_users([self._user(body)])
        else:
            self._observation.put_groups([self._group(body)])
        return True

    async def _ask_for(self, kind: Kind, unlisted: Sequence[tuple[str, str]]) -> None:
        """Ask for everything that is linked and was not listed, by id."""
        waiting = iter(unlisted)

        async def work() -> None:
            for key, id_ in waiting:
                there = await self._is_there(kind, id_)
                if there is None:
                    self._reading.unclear[kind].add(key)
                elif not there:
                    self._reading.gone[kind].add(key)

        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(self._concurrency, len(unlisted))):
                    group.create_task(work())
        except* TargetError as errors:
            raise errors.exceptions[0] from None
        if unclear := self._reading.unclear[kind]:
            what = "users" if kind is Kind.USER else "groups"
            some = ", ".join(sorted(unclear)[:3])
            self._reading.doubts.append(
                f"of {len(unclear)} {what} the endpoint doesn't say whether they exist ({some})"
            )

    # -- members ---------------------------------------------------------------------------------

    async def _members(self) -> None:
        """Ask once more for groups that have members and are listed with none; some lists leave them out."""
        if self._profile.members_shown is False:
            return
        empty = []
        for known in self._snapshot.groups().values():
            seen = self._observation.groups([known.id]).get(known.id) if not known.lost else None
            if seen is not None and seen.members == [] and any(self._snapshot.members(known.key)):
                empty.append(known)
        for known in empty:
            await self._is_there(Kind.GROUP, known.id)
        if self._profile.members_shown or self._reading.shows_members or not empty:
            return
        for known in empty:
            for seen in self._observation.groups([known.id]).values():
                seen.members = None
                self._observation.put_groups([seen])
        self._reading.doubts.append(
            f"{len(empty)} groups that have members show none, as no group does: this endpoint may not show members "
            "at all, so they are left as they are"
        )

    # -- whose token it is -----------------------------------------------------------------------

    async def _own_account(self) -> None:
        """Find who must never be switched off: the token's own user (RFC 7644 section 3.11), and the owner."""
        protected: dict[str, str] = dict(self._owners)
        known = self._snapshot.discovery
        own = known.get("me")
        if own is None:
            try:
                body = (await self._client.transport.send("GET", "Me")).body
                own = _text(member(body, "id"))
            except ScimError:
                own = ""
            self._reading.discovered["me"] = own
        if own:
            protected[own] = "the account that the token belongs to"
        if protected or known.get("protected"):
            self._reading.discovered["protected"] = protected


def reconcile(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, observation: Observation
) -> tuple[list[Drift], list[str]]:
    """Compare what was acknowledged with what is there; return the drift, and who accepted an invitation.

    The snapshot given (a scratch copy) then says what is there, as far as it is to be put back.
    """
    drift: list[Drift] = []
    pending: list[tuple[Known, Observed]] = []
    for batch in snapshot.all_users():
        seen = observation.users([known.id for known in batch])
        _name_managers(seen.values(), snapshot)
        for known in batch:
            if known.lost or known.key in reading.unclear[Kind.USER]:
                continue
            found = seen.get(known.id)
            if found is None and known.key not in reading.gone[Kind.USER]:
                continue
            drift += user_drift(known, found, rules.drift)
            if found is not None and known.state is State.PENDING and not known.accepted:
                pending.append((known, found))
    accepted = _accepted(rules, reading, snapshot, pending)
    for known_group in snapshot.groups().values():
        drift += _group_drift(known_group, rules, reading, snapshot, observation)
    for each in drift:
        if each.reaction is Reaction.ENFORCE:
            snapshot.observe(each)
    for key in accepted:
        snapshot.accept(key, seen=True)
    return drift, accepted


def _accepted(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, pending: Sequence[tuple[Known, Observed]]
) -> list[str]:
    """Return who accepted: whom we keep out and who is in; or, where the endpoint shows the pending as inactive, who
    is shown as active. Where it never showed one so, nothing can be told."""
    if rules.profile.pending_by_endpoint:
        shown = snapshot.discovery.get("pending_shown") == "inactive"
        if not shown and any(not found.active for _, found in pending):
            reading.discovered["pending_shown"] = "inactive"
            shown = True
        if not shown:
            return []
    return [known.key for known, found in pending if found.active]


def _group_drift(
    known: KnownGroup, rules: TargetRules, reading: Reading, snapshot: Snapshot, observation: Observation
) -> Iterable[Drift]:
    if known.lost or known.key in reading.unclear[Kind.GROUP]:
        return ()
    found = observation.groups([known.id]).get(known.id)
    if found is None and known.key not in reading.gone[Kind.GROUP]:
        return ()
    members = None
    if found is not None and found.members is not None:
        people = snapshot.keys_of(Kind.USER, found.members)
        groups = snapshot.keys_of(Kind.GROUP, found.members)
        members = set(people.values()), set(groups.values())
    return group_drift(known, snapshot.members(known.key), found, members, rules.drift)


def _name_managers(seen: Iterable[Observed], snapshot: Snapshot) -> None:
    """Put the source's key in the place of a manager's id, as the snapshot has it; a stranger's id stays."""
    managed = [each for each in seen if each.attributes.get(MANAGER) is not None]
    keys = snapshot.keys_of(Kind.USER, [str(each.attributes[MANAGER]) for each in managed])
    for each in managed:
        id_ = str(each.attributes[MANAGER])
        each.attributes[MANAGER] = keys.get(id_, id_)


def _text(value: Json) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _role(role: Json) -> str:
    value = role if isinstance(role, str) else member(role, "value")
    return str(value).casefold().replace(" ", "").replace("_", "").replace("-", "")
