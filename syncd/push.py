"""Carry out a plan: phase by phase, many resources side by side, each outcome written down when it happens.

Every write goes through here, and only to resources that are linked to a key of the source, or that this very
change creates or takes over.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass, replace
from datetime import datetime
from functools import partial
from itertools import groupby
from typing import Final

from syncd.core.diff import differing
from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Flat, Kind, Known, KnownGroup, State
from syncd.core.plan import Action, Change, Outcome, Plan, Result
from syncd.core.schema import MANAGER
from syncd.errors import ScimError, StateError, TargetError
from syncd.scim.client import Client, Found
from syncd.scim.profiles import Profile
from syncd.scim.resources import field, flatten
from syncd.store import Journal, Snapshot, StateFile

Clock = Callable[[], datetime]

_CANT_FILTER: Final = (400, 500, 501)
"""How endpoints answer a filter that they don't know."""


@dataclass(frozen=True)
class Refusal(Exception):
    """A change that is not tried: its precondition no longer holds (REFUSED), or something before it (SKIPPED)."""

    result: Result
    reason: str


@dataclass(frozen=True, slots=True)
class Done:
    """A change that went through: the last HTTP status (0: nothing had to be asked), and a remark, mostly none.

    `acknowledge` writes it into the snapshot, in the transaction that writes the outcome into the journal.
    """

    status: int
    remark: str = ""
    acknowledge: Callable[[], None] | None = None


class Push:
    """One plan on its way to one target."""

    def __init__(
        self,
        state: StateFile,
        snapshot: Snapshot,
        journal: Journal,
        client: Client,
        profile: Profile,
        *,
        clock: Clock,
        concurrency: int = 8,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._snapshot = snapshot
        self._journal = journal
        self._client = client
        self._profile = profile
        self._clock = clock
        self._concurrency = concurrency
        self._on_outcome = on_outcome
        self._failed: set[str] = set()
        self._unmade_groups: set[str] = set()
        self._claimed: dict[tuple[Kind, str], str] = {}
        self._outcomes: list[Outcome] = []
        self.stopped: TargetError | None = None

    async def carry_out(self, plan: Plan, run: int) -> tuple[Outcome, ...]:
        """Execute every change of the plan and return what came of each, in the plan's order.

        When the target as a whole refuses or disappears, `stopped` says so and what was left is skipped.
        Raises StateError when an outcome can't be written down: nothing more is sent then.
        """
        if plan.changes and self.stopped is None:
            await self._prepare()
        for _, phase in groupby(plan.changes, key=lambda change: change.phase):
            await self._side_by_side(list(phase), run)
        place = {change.id: index for index, change in enumerate(plan.changes)}
        return tuple(sorted(self._outcomes, key=lambda outcome: place[outcome.change.id]))

    async def _prepare(self) -> None:
        """Find out once whether the endpoint takes PATCH, where the profile doesn't know."""
        if self._profile.patch is not None or "patch" in self._snapshot.discovery:
            return
        try:
            config = await self._client.service_provider_config()
        except ScimError:
            config = None  # many have no such endpoint: try PATCH, and learn from the answer
        except TargetError as error:
            self.stopped = error
            return
        self._client.patch = field(field(config, "patch"), "supported") is not False
        self._remember_dialect()

    def _remember_dialect(self) -> None:
        with self._state.atomic():
            self._snapshot.discover({**self._snapshot.discovery, "patch": self._client.patch})

    async def _side_by_side(self, changes: Sequence[Change], run: int) -> None:
        """Execute the changes of one phase; each is of another resource, so none waits for another."""
        waiting = iter(changes)
        workers = min(self._concurrency, len(changes))
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(workers):
                    group.create_task(self._work(waiting, run))
        except* StateError as errors:
            raise errors.exceptions[0] from None

    async def _work(self, waiting: Iterator[Change], run: int) -> None:
        for change in waiting:
            outcome, acknowledge = await self._try(change)
            with self._state.atomic():
                if acknowledge is not None:
                    acknowledge()
                    self._snapshot.bump()
                self._journal.record(run, outcome, self._clock())
            if outcome.result is not Result.APPLIED and change.action.about_user:
                self._failed.add(change.key)
            if outcome.result is not Result.APPLIED and change.action is Action.CREATE_GROUP:
                self._unmade_groups.add(change.key)
            self._outcomes.append(outcome)
            self._on_outcome(outcome)

    async def _try(self, change: Change) -> tuple[Outcome, Callable[[], None] | None]:
        if self.stopped is not None:
            return Outcome(change, Result.SKIPPED, detail=f"the target stopped: {self.stopped.problem}"), None
        if change.action.about_user and change.key in self._failed:
            return Outcome(change, Result.SKIPPED, detail="an earlier change of the same person did not succeed"), None
        patched = self._client.patch
        try:
            done = await self._execute(change)
        except Refusal as refusal:
            return Outcome(change, refusal.result, detail=refusal.reason), None
        except ScimError as error:
            return Outcome(change, Result.FAILED, error.status, error.detail or "no reason given"), None
        except TargetError as error:
            self.stopped = error
            return Outcome(change, Result.FAILED, error.status, error.problem), None
        finally:
            if patched and not self._client.patch:
                self._remember_dialect()
        return Outcome(change, Result.APPLIED, done.status, done.remark), done.acknowledge

    async def _execute(self, change: Change) -> Done:
        """Do one change. Raises Refusal, ScimError or TargetError."""
        match change.action:
            case Action.CREATE_USER:
                return await self._create_user(change)
            case Action.UPDATE_USER | Action.REACTIVATE_USER | Action.DEACTIVATE_USER | Action.ADOPT_USER:
                return await self._update_user(change)
            case Action.DELETE_USER:
                known = self._known_user(change)
                status = await self._client.delete(Kind.USER, known.id)
                return Done(status, acknowledge=partial(self._snapshot.forget_user, change.key))
            case Action.CREATE_GROUP:
                return await self._create_group(change)
            case Action.UPDATE_GROUP:
                group = self._known_group(change)
                status = await self._client.update(
                    Kind.GROUP,
                    group.id,
                    change.before,
                    change.after,
                    group.attributes,
                    has_members=group.members_digest != NO_MEMBERS,
                )
                changed = replace(group, name=change.name, attributes=_merged(group.attributes, change.after))
                return Done(status, acknowledge=partial(self._snapshot.put_group, changed))
            case Action.DELETE_GROUP:
                group = self._known_group(change)
                if self._profile.group_emptied_first:
                    users, groups = self._snapshot.members(change.key)
                    await self._send_members(
                        group,
                        [(Kind.USER, key) for key in sorted(users)] + [(Kind.GROUP, key) for key in sorted(groups)],
                        adding=False,
                    )
                status = await self._client.delete(Kind.GROUP, group.id)
                return Done(status, acknowledge=partial(self._snapshot.forget_group, change.key))
            case Action.ADD_MEMBERS | Action.REMOVE_MEMBERS:
                return await self._change_members(change)

    # -- people ----------------------------------------------------------------------------------

    def _known_user(self, change: Change) -> Known:
        """Return the linked user, if it still is as the change expects it. Raises Refusal."""
        known = self._snapshot.user(change.key)
        if known is None:
            raise Refusal(Result.REFUSED, "no longer linked to an account")
        self._same(change, known.attributes)
        return known

    def _same(self, change: Change, attributes: Flat) -> None:
        for path, value in change.before.items():
            if attributes.get(path) != value:
                raise Refusal(
                    Result.REFUSED,
                    f"{path} has changed since: the plan expects {value!r}, it is {attributes.get(path)!r}",
                )

    def _resolved(self, after: Flat) -> Flat:
        """Return the attributes with the manager's id in the place of the key. Raises Refusal."""
        manager = after.get(MANAGER)
        if manager is None:
            return after
        ids = self._snapshot.ids(Kind.USER, [manager])
        if manager not in ids:
            raise Refusal(Result.SKIPPED, f"the manager {manager} has no account")
        return {**after, MANAGER: ids[manager]}

    async def _create_user(self, change: Change) -> Done:
        if self._snapshot.user(change.key) is not None:
            raise Refusal(Result.REFUSED, "has an account already")
        attributes = self._resolved(change.after)
        remark = ""
        try:
            id_, status = await self._client.create(Kind.USER, attributes)
        except ScimError as error:
            if not _is_to_be_looked_up(error):
                raise
            id_, status = await self._adopt(change, attributes, error)
            remark = "was there already, and is managed from now on" if error.status == 409 else "its id was looked up"
        self._claim(Kind.USER, id_, change.key, "the endpoint answered with another account")
        assert change.state is not None
        known = Known(
            change.key,
            id_,
            change.name,
            change.state,
            _merged({}, change.after),
            bytes.fromhex(change.digest),
            accepted=change.state is State.ACTIVE,
        )
        return Done(status, remark, partial(self._snapshot.put_user, known))

    async def _adopt(self, change: Change, attributes: Flat, conflict: ScimError) -> tuple[str, int]:
        """Take over the account that a create collided with, when it is one, and the same person's.

        By externalId, then by userName; an account linked to another key, or that carries another
        externalId, is somebody else's. Returns its id and the last HTTP status. Raises the conflict, with what
        was found, for a person to look at.
        """
        said = conflict.detail or "exists already"
        external_id = attributes.get("externalId")
        found: list[Found] = []
        if external_id is not None:
            found = await self._look_up(Kind.USER, "externalId", external_id, exact=True)
        if not found:
            found = await self._look_up(Kind.USER, "userName", attributes["userName"], exact=False)
        if not found:
            raise _unresolved(conflict, f"{said}; but neither externalId nor userName finds it")
        if len(found) > 1:
            ids = ", ".join(each.id for each in found)
            raise _unresolved(conflict, f"{said}; {len(found)} accounts match ({ids})")
        account = found[0]
        theirs = field(account.body, "externalId")
        if theirs not in (None, "", external_id):
            raise _unresolved(conflict, f"{said}; the account carries another externalId ({theirs})")
        self._claim(Kind.USER, account.id, change.key, said)
        there = flatten(Kind.USER, account.body, attributes)
        before, after = differing(there, attributes)
        if after:
            return account.id, await self._client.update(Kind.USER, account.id, before, after, there)
        return account.id, 200

    async def _look_up(self, kind: Kind, attribute: str, value: str, *, exact: bool) -> list[Found]:
        """Find resources by one attribute; none where the endpoint can't filter by it. Raises ScimError."""
        try:
            return await self._client.find(kind, attribute, value, exact=exact)
        except ScimError as error:
            if error.status not in _CANT_FILTER:
                raise
            return []

    def _claim(self, kind: Kind, id_: str, key: str, said: str) -> None:
        """Make sure that a resource is linked to nobody else, nor taken by another change under way.

        Two entries with one userName, or an endpoint that answers a create with what it has. Raises ScimError.
        """
        owner = self._snapshot.key_of(kind, id_) or self._claimed.setdefault((kind, id_), key)
        if owner != key:
            what = "account" if kind is Kind.USER else "group"
            raise ScimError(409, f"{said}; the {what} belongs to the source's key {owner}")

    async def _update_user(self, change: Change) -> Done:
        known = self._known_user(change)
        assert change.state is not None
        attributes = self._resolved(change.after)
        status = await self._client.update(Kind.USER, known.id, change.before, attributes, known.attributes)
        changed = replace(
            known,
            name=change.name,
            state=change.state,
            attributes=_merged(known.attributes, change.after),
            digest=bytes.fromhex(change.digest),
            accepted=known.accepted or change.state is State.ACTIVE,
        )
        return Done(status, acknowledge=partial(self._snapshot.put_user, changed))

    # -- groups ----------------------------------------------------------------------------------

    def _known_group(self, change: Change) -> KnownGroup:
        group = self._snapshot.group(change.key)
        if group is None and change.key in self._unmade_groups:
            raise Refusal(Result.SKIPPED, "the group could not be created")
        if group is None:
            raise Refusal(Result.REFUSED, "no longer linked to a group")
        if change.action not in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS):
            self._same(change, group.attributes)
        return group

    async def _create_group(self, change: Change) -> Done:
        """Create a group, unless an earlier run did and the state file that knew of it is gone.

        Asked before every creation: names of groups are not unique (RFC 7643 section 4.2), so nothing but our own
        externalId keeps the same group from being made twice. A native group of the same name is never taken over.
        """
        if self._snapshot.group(change.key) is not None:
            raise Refusal(Result.REFUSED, "is there already")
        own, remark = await self._own_group(change, asked_for=False), "was there already from an earlier run"
        if own is None:
            try:
                id_, status = await self._client.create(Kind.GROUP, change.after)
                remark = ""
            except ScimError as error:
                if not _is_to_be_looked_up(error):
                    raise
                own = await self._own_group(change, asked_for=True)
                if own is None and error.status == 409:
                    raise _unresolved(
                        error,
                        f"{error.detail or 'exists already'}; a group of that name is the target's own and stays "
                        "untouched: rename one of the two",
                    ) from None
                if own is None:
                    raise
                if error.status != 409:
                    remark = "its id was looked up"
        if own is not None:
            there = flatten(Kind.GROUP, own.body, change.after)
            before, after = differing(there, change.after)
            id_ = own.id
            status = await self._client.update(Kind.GROUP, id_, before, after, there) or 200
        self._claim(Kind.GROUP, id_, change.key, "the endpoint answered with another group")
        known = KnownGroup(change.key, id_, change.name, _merged({}, change.after), NO_MEMBERS)
        return Done(status, remark, partial(self._snapshot.put_group, known))

    async def _own_group(self, change: Change, *, asked_for: bool) -> Found | None:
        """Return the one group that carries our externalId and is linked to nothing, else None.

        Raises ScimError when the endpoint can't say and the answer is needed (`asked_for`).
        """
        external_id = change.after.get("externalId")
        if external_id is None:
            return None
        try:
            found = await self._look_up(Kind.GROUP, "externalId", external_id, exact=True)
        except ScimError:
            if asked_for:
                raise
            return None
        owners = [self._snapshot.key_of(Kind.GROUP, each.id) for each in found]
        return found[0] if owners == [None] else None

    async def _change_members(self, change: Change) -> Done:
        """Change a group's members, as far as they are not yet as they should be."""
        group = self._known_group(change)
        present = self._snapshot.members(change.key)
        adding = change.action is Action.ADD_MEMBERS
        wanted: list[tuple[Kind, str]] = []
        for kind, keys, there in ((Kind.USER, change.members, present[0]), (Kind.GROUP, change.subgroups, present[1])):
            wanted += [(kind, key) for key in keys if (key in there) is not adding]
        if not wanted:
            raise Refusal(Result.REFUSED, "the members are as they should be already")
        status, left = await self._send_members(group, wanted, adding=adding)
        if len(left) == len(wanted):
            raise Refusal(Result.SKIPPED, f"none of the {len(left)} members has an account")
        remark = f"without {len(left)} who have no account yet ({', '.join(left[:3])})" if left else ""
        return Done(status, remark)

    async def _send_members(
        self, group: KnownGroup, wanted: Sequence[tuple[Kind, str]], *, adding: bool
    ) -> tuple[int, list[str]]:
        """Add or remove members, a chunk per request, each chunk written down when it is acknowledged.

        Returns the last HTTP status, and the keys of those who have no account. Raises ScimError.
        """
        ids = {
            (kind, key): id_
            for kind in Kind
            for key, id_ in self._snapshot.ids(kind, [key for each, key in wanted if each is kind]).items()
        }
        reachable = [member for member in wanted if member in ids]
        has_members = group.members_digest != NO_MEMBERS
        status = 0
        for chunk in _chunks(reachable, self._profile.members_per_patch):
            chosen = [ids[member] for member in chunk]
            if adding:
                status = await self._client.add_members(group.id, chosen, has_members=has_members)
            else:
                status = await self._client.remove_members(group.id, chosen)
            has_members = True
            with self._state.atomic():
                for kind in Kind:
                    keys = [key for each, key in chunk if each is kind]
                    if keys:
                        added, removed = (keys, []) if adding else ([], keys)
                        self._snapshot.change_members(group.key, kind, added, removed)
                self._snapshot.bump()
        return status, [key for kind, key in wanted if (kind, key) not in ids]


def _is_to_be_looked_up(error: ScimError) -> bool:
    """Return whether a create failed because the resource exists, or worked without telling the id."""
    return error.status == 409 or 200 <= error.status < 300


def _unresolved(conflict: ScimError, detail: str) -> ScimError:
    return ScimError(conflict.status, detail, conflict.scim_type)


def _merged(attributes: Flat, after: Flat) -> Flat:
    return {path: value for path, value in {**attributes, **after}.items() if value is not None}


def _chunks(items: Sequence[tuple[Kind, str]], size: int) -> Iterable[Sequence[tuple[Kind, str]]]:
    return (items[start : start + size] for start in range(0, len(items), size))
