"""Carry out a plan: phase by phase, many resources side by side, each outcome written down when it happens.

Every write passes the gate, and only to resources that are linked to a key of the source, or that this very change
creates or takes over.
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
from syncd.core.drift import alike
from syncd.core.matching import Doubt, Match, judge
from syncd.core.model import Flat, Kind, Known, KnownGroup, Observed, State
from syncd.core.plan import Action, Change, Outcome, Plan, Result
from syncd.core.quarantine import is_permanent
from syncd.core.schema import MANAGER
from syncd.errors import ScimError, StateError, TargetError
from syncd.gate import Gate, Link, Lost, Refusal
from syncd.scim.client import Client, Found
from syncd.scim.profiles import Profile
from syncd.scim.resources import field, flatten
from syncd.store import Journal, Snapshot, StateFile

Clock = Callable[[], datetime]
Member = tuple[Kind, str]

_CANT_FILTER: Final = (400, 500, 501)
"""How endpoints answer a filter that they don't know."""
_ONE_OF_THEM: Final = (400, 404)
"""How endpoints answer members of which they don't take one."""
_REFUSED_MEMBERS: Final = 5
"""After so many it isn't they who are at fault, and no more are tried."""


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
        takeovers: int | None = None,
        adopt_groups: bool = False,
        protected: Callable[[str, str], str] = lambda key, id_: "",
    ) -> None:
        """`takeovers`: how many accounts that creates collide with may be taken over in this run; None: all.
        `protected` is the gate's."""
        self._state = state
        self._snapshot = snapshot
        self._journal = journal
        self._gate = Gate(client, snapshot, protected)
        self._config = client.service_provider_config
        self._profile = profile
        self._takeovers = takeovers
        self._adopt_groups = adopt_groups
        self._holds, self._quarantine = state.holds(snapshot.name), state.quarantine(snapshot.name)
        self._approved = self._holds.approved(clock())
        self._quarantined = {each.id for each in self._quarantine.all()}
        self._clock = clock
        self._concurrency = concurrency
        self._on_outcome = on_outcome
        self._failed: set[str] = set()
        self._unmade_groups: set[str] = set()
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
        self._lose()
        place = {change.id: index for index, change in enumerate(plan.changes)}
        return tuple(sorted(self._outcomes, key=lambda outcome: place[outcome.change.id]))

    async def _prepare(self) -> None:
        """Find out once whether the endpoint takes PATCH, where the profile doesn't know."""
        if self._profile.patch is not None or "patch" in self._snapshot.discovery:
            return
        try:
            config = await self._config()
        except ScimError:
            config = None  # many have no such endpoint: try PATCH, and learn from the answer
        except TargetError as error:
            self.stopped = error
            return
        self._gate.patch = field(field(config, "patch"), "supported") is not False
        self._remember_dialect()

    def _remember_dialect(self) -> None:
        with self._state.atomic():
            self._snapshot.discover({**self._snapshot.discovery, "patch": self._gate.patch})

    def _lose(self) -> None:
        """Write down what is not there any more: the next run makes it anew. Not where everything seems gone."""
        if self.stopped is None and self._gate.missing:
            with self._state.atomic():
                for lost in self._gate.missing:
                    self._snapshot.lose(lost.kind, lost.key)
                self._snapshot.bump()

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
                self._settle(outcome)
            if outcome.result is not Result.APPLIED and change.action.about_user:
                self._failed.add(change.key)
            if outcome.result is not Result.APPLIED and change.action in (Action.CREATE_GROUP, Action.ADOPT_GROUP):
                self._unmade_groups.add(change.key)
            self._outcomes.append(outcome)
            self._on_outcome(outcome)

    def _settle(self, outcome: Outcome) -> None:
        """Quarantine what is refused for good; an approval is spent on what was tried."""
        change, id_ = outcome.change, outcome.change.id
        permanent = outcome.result is Result.FAILED and is_permanent(outcome.status)
        if permanent:
            self._quarantine.failed(change, outcome.status, outcome.detail, self._clock())
        elif outcome.result is Result.APPLIED and id_ in self._quarantined:
            self._quarantine.succeeded(id_)
        if id_ in self._approved and (permanent or outcome.result in (Result.APPLIED, Result.REFUSED)):
            self._holds.spend(id_)

    async def _try(self, change: Change) -> tuple[Outcome, Callable[[], None] | None]:
        if self.stopped is not None:
            return Outcome(change, Result.SKIPPED, detail=f"the target stopped: {self.stopped.problem}"), None
        if change.action.about_user and change.key in self._failed:
            return Outcome(change, Result.SKIPPED, detail="an earlier change of the same person did not succeed"), None
        patched = self._gate.patch
        try:
            done = await self._execute(change)
        except Refusal as refusal:
            return Outcome(change, refusal.result, detail=refusal.reason), None
        except Lost:
            return Outcome(change, Result.FAILED, 404, "the target no longer has it; the next run makes it anew"), None
        except ScimError as error:
            return Outcome(change, Result.FAILED, error.status, error.detail or "no reason given"), None
        except TargetError as error:
            self.stopped = error
            return Outcome(change, Result.FAILED, error.status, error.problem), None
        finally:
            if patched and not self._gate.patch:
                self._remember_dialect()
        return Outcome(change, Result.APPLIED, done.status, done.remark), done.acknowledge

    async def _execute(self, change: Change) -> Done:
        """Do one change. Raises Refusal, Lost, ScimError or TargetError."""
        match change.action:
            case Action.CREATE_USER:
                return await self._create_user(change)
            case Action.ADOPT_USER:
                return await self._adopt_user(change)
            case Action.UPDATE_USER | Action.REACTIVATE_USER | Action.DEACTIVATE_USER:
                return await self._update_user(change)
            case Action.DELETE_USER:
                self._known_user(change)
                status = await self._gate.delete(self._gate.linked(Kind.USER, change.key))
                return Done(status, acknowledge=partial(self._snapshot.forget_user, change.key))
            case Action.CREATE_GROUP:
                return await self._create_group(change)
            case Action.ADOPT_GROUP:
                return await self._adopt_group(change)
            case Action.UPDATE_GROUP:
                return await self._update_group(change)
            case Action.DELETE_GROUP:
                return await self._delete_group(change)
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
        """Raises Refusal where what a change would replace is no longer what it was."""
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

    def _unlinked(self, kind: Kind, key: str) -> None:
        """Raises Refusal when a key has a resource already, other than a lost one."""
        known = self._snapshot.user(key) if kind is Kind.USER else self._snapshot.group(key)
        if known is not None and not known.lost:
            raise Refusal(Result.REFUSED, "has an account already" if kind is Kind.USER else "is there already")

    async def _create_user(self, change: Change) -> Done:
        self._unlinked(Kind.USER, change.key)
        attributes = self._resolved(change.after)
        remark = ""
        try:
            link, status = await self._gate.create(Kind.USER, change.key, attributes)
        except ScimError as error:
            if not _is_to_be_looked_up(error):
                raise
            link, status = await self._take_over(change, attributes, error)
            remark = "was there already, and is managed from now on" if error.status == 409 else "its id was looked up"
        return Done(status, remark, partial(self._snapshot.put_user, self._made(change, link)))

    def _made(self, change: Change, link: Link) -> Known:
        """Return what the snapshot holds of an account that was created or taken over."""
        assert change.state is not None
        return Known(
            change.key,
            link.id,
            change.name,
            change.state,
            _merged({}, change.after),
            bytes.fromhex(change.digest),
            accepted=change.state is State.ACTIVE,
            since=self._clock(),
        )

    async def _take_over(self, change: Change, attributes: Flat, conflict: ScimError) -> tuple[Link, int]:
        """Take over the account that a create collided with, when it is one, and the same person's.

        By externalId, then by userName; an account linked to another key, or that carries another externalId, is
        somebody else's. Returns its link and the last HTTP status. Raises the conflict, with what was found, for a
        person to look at.
        """
        said = conflict.detail or "exists already"
        external_id = str(attributes.get("externalId") or "")
        match: Match | Doubt | None = None
        if external_id:
            found = await self._look_up(Kind.USER, "externalId", external_id, exact=True)
            match = judge("externalId", _observed(found), change.key, external_id, self._owner)
        if match is None:
            found = await self._look_up(Kind.USER, "userName", attributes["userName"], exact=False)
            match = judge("userName", _observed(found), change.key, external_id, self._owner)
        if match is None:
            raise _unresolved(conflict, f"{said}; but neither externalId nor userName finds it")
        if isinstance(match, Doubt):
            raise _unresolved(conflict, f"{said}; {match.reason}")
        if not match.ours and conflict.status == 409:
            self._count_takeover(conflict, said)
        link = self._gate.claim(Kind.USER, match.account.id, change.key, said)
        there = flatten(Kind.USER, next(each.body for each in found if each.id == match.account.id), attributes)
        before, after = differing(there, attributes)
        return link, await self._gate.update(link, before, after, there) or 200

    def _owner(self, id_: str) -> str | None:
        """Return whose an account is; what is lost is nobody's."""
        key = self._snapshot.key_of(Kind.USER, id_)
        known = self._snapshot.user(key) if key is not None else None
        return key if known is not None and not known.lost else None

    def _count_takeover(self, conflict: ScimError, said: str) -> None:
        if self._takeovers is None:
            return
        if self._takeovers <= 0:
            hint = "more accounts would be taken over than `limits.adopt` allows: `syncd plan --full` shows them all"
            raise _unresolved(conflict, f"{said}; {hint}")
        self._takeovers -= 1

    async def _adopt_user(self, change: Change) -> Done:
        """Take over the account that a full resync found; one that isn't ours yet is looked at once more.

        An account that is linked to another key was that of somebody hired again, and a person handed it over.
        """
        self._unlinked(Kind.USER, change.key)
        former = self._snapshot.key_of(Kind.USER, change.resource)
        if former is not None and former != change.key:
            known = self._snapshot.user(former)
            assert known is not None
            self._same(change, known.attributes)
        elif change.takes_over:
            await self._look_again(Kind.USER, change)
        link = self._gate.claim(Kind.USER, change.resource, change.key, "can't be taken over", former)
        before, after = change.differences
        owned = {path: value for path, value in change.before.items() if value is not None}
        status = await self._gate.update(link, before, self._resolved(after), owned) if after else 0
        made = self._made(change, link)
        if former is not None and former != change.key:
            return Done(status, acknowledge=partial(self._snapshot.rekey_user, former, made))
        return Done(status, acknowledge=partial(self._snapshot.put_user, made))

    async def _look_again(self, kind: Kind, change: Change) -> None:
        """Raises Refusal when what is to be taken over is no longer as it was when a person looked at it."""
        try:
            found = await self._gate.read(kind, change.resource)
        except ScimError as error:
            if error.status != 404:
                raise
            raise Refusal(Result.REFUSED, "is no longer at the target") from None
        paths = [path for path in change.before if path not in ("members", "groups", MANAGER)]
        there = flatten(kind, found.body, paths)
        if kind is Kind.GROUP and self._profile.group_suffix:
            there["displayName"] = str(there.get("displayName", "")).removesuffix(self._profile.group_suffix)
        for path in paths:
            expected, value = change.before[path], there.get(path)
            if path == "active":
                expected, value = expected is not False, value is not False
            if not alike(path, expected, value):
                raise Refusal(
                    Result.REFUSED, f"{path} has changed since: the plan expects {expected!r}, it is {value!r}"
                )

    async def _look_up(self, kind: Kind, attribute: str, value: str, *, exact: bool) -> list[Found]:
        """Find resources by one attribute; none where the endpoint can't filter by it. Raises ScimError."""
        try:
            return await self._gate.find(kind, attribute, value, exact=exact)
        except ScimError as error:
            if error.status not in _CANT_FILTER:
                raise
            return []

    async def _update_user(self, change: Change) -> Done:
        known = self._known_user(change)
        assert change.state is not None
        attributes = self._resolved(change.after)
        link = self._gate.linked(Kind.USER, change.key)
        status = await self._gate.update(link, change.before, attributes, known.attributes)
        changed = replace(
            known,
            name=change.name,
            state=change.state,
            attributes=_merged(known.attributes, change.after),
            digest=bytes.fromhex(change.digest),
            accepted=known.accepted or change.state is State.ACTIVE,
            since=known.since if change.state is known.state else self._clock(),
        )
        return Done(status, acknowledge=partial(self._snapshot.put_user, changed))

    # -- groups ----------------------------------------------------------------------------------

    def _known_group(self, change: Change) -> KnownGroup:
        group = self._snapshot.group(change.key)
        if (group is None or group.lost) and change.key in self._unmade_groups:
            raise Refusal(Result.SKIPPED, "the group could not be created")
        if group is None:
            raise Refusal(Result.REFUSED, "no longer linked to a group")
        if change.action not in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS):
            self._same(change, group.attributes)
        return group

    async def _create_group(self, change: Change) -> Done:
        """Create a group, unless an earlier run did and the state file that knew of it is gone.

        Asked before every creation: names of groups are not unique (RFC 7643 section 4.2), so nothing but our own
        externalId keeps the same group from being made twice. A native group of the same name is taken over only
        where the configuration says so.
        """
        self._unlinked(Kind.GROUP, change.key)
        own, remark = await self._own_group(change, asked_for=False), "was there already from an earlier run"
        if own is None:
            try:
                link, status = await self._gate.create(Kind.GROUP, change.key, change.after)
                remark = ""
            except ScimError as error:
                if not _is_to_be_looked_up(error):
                    raise
                own = await self._own_group(change, asked_for=True)
                if own is None and error.status == 409:
                    own, remark = await self._native_group(change, error), "is managed from now on"
                if own is None:
                    raise
                if error.status != 409:
                    remark = "its id was looked up"
        if own is not None:
            link = self._gate.claim(Kind.GROUP, own.id, change.key, "can't be taken over")
            there = flatten(Kind.GROUP, own.body, change.after)
            before, after = differing(there, change.after)
            status = await self._gate.update(link, before, after, there) or 200
        return Done(status, remark, partial(self._snapshot.put_group, self._made_group(change, link)))

    def _made_group(self, change: Change, link: Link) -> KnownGroup:
        return KnownGroup(change.key, link.id, change.name, _merged({}, change.after), NO_MEMBERS)

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
        return found[0] if owners in ([None], [change.key]) else None

    async def _native_group(self, change: Change, conflict: ScimError) -> Found:
        """Return the one group of that name that belongs to nobody, if such may be taken over. Raises ScimError."""
        said = conflict.detail or "exists already"
        own = f"{said}; a group of that name is the target's own and stays untouched"
        if not self._adopt_groups:
            raise _unresolved(conflict, f"{own}: rename one of the two, or set `adopt_groups = true`") from None
        found: list[Found] = []
        for suffix in dict.fromkeys(("", self._profile.group_suffix)):
            found += await self._look_up(Kind.GROUP, "displayName", change.name + suffix, exact=True)
        free = [each for each in found if self._snapshot.key_of(Kind.GROUP, each.id) is None]
        if len(free) != 1 or field(free[0].body, "externalId") not in (None, "", change.after.get("externalId")):
            raise _unresolved(conflict, f"{said}; {len(free)} groups have that name and could be meant") from None
        return free[0]

    async def _adopt_group(self, change: Change) -> Done:
        """Take over the group that a full resync found, with the managed members it was found with."""
        self._unlinked(Kind.GROUP, change.key)
        if change.takes_over:
            await self._look_again(Kind.GROUP, change)
        link = self._gate.claim(Kind.GROUP, change.resource, change.key, "can't be taken over")
        before, after = change.differences
        owned = {path: value for path, value in change.before.items() if path in change.after and value is not None}
        there = {part: list(change.before.get(part, [])) for part in ("members", "groups")}
        status = 0
        if after:
            status = await self._gate.update(link, before, after, owned, has_members=any(there.values()))

        def acknowledge() -> None:
            self._snapshot.put_group(self._made_group(change, link))
            self._snapshot.change_members(change.key, Kind.USER, there["members"])
            self._snapshot.change_members(change.key, Kind.GROUP, there["groups"])

        return Done(status, acknowledge=acknowledge)

    async def _update_group(self, change: Change) -> Done:
        group = self._known_group(change)
        status = await self._gate.update(
            self._gate.linked(Kind.GROUP, change.key),
            change.before,
            change.after,
            group.attributes,
            has_members=group.members_digest != NO_MEMBERS,
        )
        changed = replace(group, name=change.name, attributes=_merged(group.attributes, change.after))
        return Done(status, acknowledge=partial(self._snapshot.put_group, changed))

    async def _delete_group(self, change: Change) -> Done:
        group = self._known_group(change)
        link = self._gate.linked(Kind.GROUP, change.key)
        if self._profile.group_emptied_first:
            users, groups = self._snapshot.members(change.key)
            everybody = [(Kind.USER, key) for key in sorted(users)] + [(Kind.GROUP, key) for key in sorted(groups)]
            await self._send_members(link, group, everybody, adding=False)
        status = await self._gate.delete(link)
        return Done(status, acknowledge=partial(self._snapshot.forget_group, change.key))

    async def _change_members(self, change: Change) -> Done:
        """Change a group's members, as far as they are not yet as they should be."""
        group = self._known_group(change)
        link = self._gate.linked(Kind.GROUP, change.key)
        present = self._snapshot.members(change.key)
        adding = change.action is Action.ADD_MEMBERS
        wanted: list[Member] = []
        for kind, keys, there in ((Kind.USER, change.members, present[0]), (Kind.GROUP, change.subgroups, present[1])):
            wanted += [(kind, key) for key in keys if (key in there) is not adding]
        if not wanted:
            raise Refusal(Result.REFUSED, "the members are as they should be already")
        status, left = await self._send_members(link, group, wanted, adding=adding)
        if len(left) == len(wanted):
            raise Refusal(Result.SKIPPED, f"none of the {len(left)} members has an account")
        remark = f"without {len(left)} who have no account yet ({', '.join(left[:3])})" if left else ""
        return Done(status, remark)

    async def _send_members(
        self, link: Link, group: KnownGroup, wanted: Sequence[Member], *, adding: bool
    ) -> tuple[int, list[str]]:
        """Add or remove members, a chunk per request, each chunk written down when it is acknowledged.

        Where the endpoint refuses some whom it is to add, the others are added all the same. Returns the last HTTP
        status, and the keys of those who have no account. Raises Lost, ScimError.
        """
        ids = {
            (kind, key): id_
            for kind in Kind
            for key, id_ in self._snapshot.ids(kind, [key for each, key in wanted if each is kind]).items()
        }
        reachable = [member for member in wanted if member in ids]
        has_members = group.members_digest != NO_MEMBERS
        status = 0
        refused: list[tuple[str, ScimError]] = []
        waiting = list(reversed(list(_chunks(reachable, self._profile.members_per_patch))))
        while waiting:
            chunk = waiting.pop()
            chosen = [ids[member] for member in chunk]
            try:
                if adding:
                    status = await self._gate.add_members(link, chosen, has_members=has_members)
                else:
                    status = await self._gate.remove_members(link, chosen)
            except ScimError as error:
                if not adding or error.status not in _ONE_OF_THEM:
                    raise
                if len(chunk) > 1:
                    middle = len(chunk) // 2
                    waiting += [chunk[middle:], chunk[:middle]]
                    continue
                refused.append((chunk[0][1], error))
                if len(refused) > _REFUSED_MEMBERS:
                    break
                continue
            has_members = True
            self._acknowledge_members(group.key, chunk, adding=adding)
        if refused:
            raise _refused_members(refused, sum(map(len, waiting)))
        return status, [key for kind, key in wanted if (kind, key) not in ids]

    def _acknowledge_members(self, group: str, members: Sequence[Member], *, adding: bool) -> None:
        with self._state.atomic():
            for kind in Kind:
                keys = [key for each, key in members if each is kind]
                if keys:
                    added, removed = (keys, []) if adding else ([], keys)
                    self._snapshot.change_members(group, kind, added, removed)
            self._snapshot.bump()


def _refused_members(refused: Sequence[tuple[str, ScimError]], left: int) -> ScimError:
    """Return whom the endpoint didn't take, in its own words."""
    _, error = refused[0]
    names = ", ".join(key for key, _ in refused)
    rest = f"; {left} more were not tried" if left else ""
    return ScimError(error.status, f"refuses {len(refused)} of the members ({names}): {error.detail}{rest}")


def _observed(found: Iterable[Found]) -> list[Observed]:
    """Return accounts as the matching looks at them."""
    return [
        Observed(each.id, str(field(each.body, "userName") or ""), str(field(each.body, "externalId") or ""), (), {})
        for each in found
    ]


def _is_to_be_looked_up(error: ScimError) -> bool:
    """Return whether a create failed because the resource exists, or worked without telling the id."""
    return error.status == 409 or 200 <= error.status < 300


def _unresolved(conflict: ScimError, detail: str) -> ScimError:
    return ScimError(conflict.status, detail, conflict.scim_type)


def _merged(attributes: Flat, after: Flat) -> Flat:
    return {path: value for path, value in {**attributes, **after}.items() if value is not None}


def _chunks(items: Sequence[tuple[Kind, str]], size: int) -> Iterable[Sequence[tuple[Kind, str]]]:
    return (items[start : start + size] for start in range(0, len(items), size))
