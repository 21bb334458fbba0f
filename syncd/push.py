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

from syncd.collisions import Collisions
from syncd.core.diff import differing
from syncd.core.digest import NO_MEMBERS
from syncd.core.drift import alike
from syncd.core.model import Flat, Json, Kind, Known, KnownGroup, State
from syncd.core.plan import Action, Change, Outcome, Plan, Result
from syncd.core.quarantine import is_permanent
from syncd.core.schema import MANAGER
from syncd.errors import ScimError, StateError, TargetError
from syncd.gate import Gate, Link, Lost, Refusal, Taken, expect, moved
from syncd.members import Member, Members
from syncd.scim.client import Client, Found
from syncd.scim.profiles import Profile
from syncd.scim.resources import field, flatten
from syncd.store import Journal, Snapshot, StateFile

Clock = Callable[[], datetime]

_PARTS: Final = ((Kind.USER, "members"), (Kind.GROUP, "groups"))


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
        `protected` is the gate's.
        """
        self._state = state
        self._snapshot = snapshot
        self._journal = journal
        self._gate = Gate(client, snapshot, protected)
        self._config = client.service_provider_config
        self._profile = profile
        self._members = Members(self._gate, state, snapshot, profile.members_per_patch)
        self._collisions = Collisions(self._gate, snapshot, profile, takeovers=takeovers, adopt_groups=adopt_groups)
        self._holds, self._quarantine = state.holds(snapshot.name), state.quarantine(snapshot.name)
        self._approved = self._holds.approved(clock())
        self._quarantined = {each.id for each in self._quarantine.all()}
        self._clock = clock
        self._concurrency = concurrency
        self._on_outcome = on_outcome
        self._failed: set[str] = set()
        self._unmade_groups: set[str] = set()
        self._found_in: dict[str, list[str]] = {}  # keys of groups not linked yet -> groups that they were found in
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
        """Write down what is not there any more: the next run makes it anew. Not where everything may be gone."""
        if self.stopped is None and self._gate.lost:
            with self._state.atomic():
                for lost in self._gate.lost:
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
                link, _ = self._known_user(change)
                status = await self._gate.delete(link)
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

    def _known_user(self, change: Change) -> tuple[Link, Known]:
        """Return the linked user, if it still is as the change expects it. Raises Refusal."""
        link = self._gate.linked(Kind.USER, change.key)
        known = self._snapshot.user(change.key)
        assert known is not None
        expect(change, known.attributes)
        return link, known

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
            link, found = await self._collisions.account(change, attributes, error)
            if error.status == 409 and change.state is State.PENDING and _is_on(field(found.body, "active")):
                # Whom we would keep out has been let in already: that is no invitation (as `core/diff.py` adopts).
                change = replace(change, state=State.ACTIVE, after={**change.after, "active": True})
                attributes = {**attributes, "active": True}
            status = await self._bring_into_line(link, found, attributes)
            remark = "was there already, and is managed from now on" if error.status == 409 else "its id was looked up"
        return Done(status, remark, partial(self._snapshot.put_user, self._made(change, link)))

    def _made(self, change: Change, link: Link, *, accepted: bool = False) -> Known:
        """Return what the snapshot holds of an account that was created or taken over."""
        assert change.state is not None
        return Known(
            change.key,
            link.id,
            change.name,
            change.state,
            _merged({}, change.after),
            bytes.fromhex(change.digest),
            accepted=accepted or change.state is State.ACTIVE,
            since=self._clock(),
        )

    async def _bring_into_line(self, link: Link, found: Found, attributes: Flat) -> int:
        """Change what differs of a resource that was there already; returns the last HTTP status."""
        there = self._flat(link.kind, found, attributes)
        before, after = differing(there, attributes)
        return await self._gate.update(link, before, after, there) or 200

    async def _adopt_user(self, change: Change) -> Done:
        """Take over the account that a full resync found; a stranger's is looked at once more."""
        self._unlinked(Kind.USER, change.key)
        link = self._gate.adopted(change)
        former = self._snapshot.user(link.former) if link.former else None
        if change.takes_over and former is None:
            await self._look_again(Kind.USER, change)
        before, after = change.differences
        owned = {path: value for path, value in change.before.items() if value is not None}
        status = await self._gate.update(link, before, self._resolved(after), owned) if after else 0
        made = self._made(change, link, accepted=former is not None and former.accepted)
        if former is not None:
            return Done(status, acknowledge=partial(self._snapshot.rekey_user, former.key, made))
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
        there = self._flat(kind, found, paths)
        for path in paths:
            expected, value = change.before[path], there.get(path)
            same = _is_on(expected) is _is_on(value) if path == "active" else alike(path, expected, value)
            if not same:
                raise moved(path, expected, value)

    def _flat(self, kind: Kind, found: Found, paths: Iterable[str]) -> Flat:
        """Return what a resource has at these paths; a suffix that the endpoint adds to a group's name is no part."""
        there = flatten(kind, found.body, paths)
        if kind is Kind.GROUP and self._profile.group_suffix and "displayName" in there:
            there["displayName"] = str(there["displayName"]).removesuffix(self._profile.group_suffix)
        return there

    async def _update_user(self, change: Change) -> Done:
        link, known = self._known_user(change)
        assert change.state is not None
        attributes = self._resolved(change.after)
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

    def _known_group(self, change: Change) -> tuple[Link, KnownGroup]:
        """Return the linked group, if it still is as the change expects it. Raises Refusal."""
        group = self._snapshot.group(change.key)
        if (group is None or group.lost) and change.key in self._unmade_groups:
            raise Refusal(Result.SKIPPED, "the group could not be created")
        link = self._gate.linked(Kind.GROUP, change.key)
        assert group is not None
        if change.action not in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS):
            expect(change, group.attributes)
        return link, group

    async def _create_group(self, change: Change) -> Done:
        """Create a group, unless an earlier run did and the state file that knew of it is gone.

        Asked before every creation: names of groups are not unique (RFC 7643 section 4.2), so nothing but our own
        externalId keeps the same group from being made twice. A native group of the same name is taken over only
        where the configuration says so.
        """
        self._unlinked(Kind.GROUP, change.key)
        own, remark = await self._collisions.own_group(change, asked_for=False), "was there already from an earlier run"
        if own is None:
            try:
                link, status = await self._gate.create(Kind.GROUP, change.key, change.after)
            except ScimError as error:
                if not _is_to_be_looked_up(error):
                    raise
                own = await self._collisions.own_group(change, asked_for=True)
                if own is None and error.status == 409:
                    own, remark = await self._collisions.native_group(change, error), "is managed from now on"
                if own is None:
                    raise
                if error.status != 409:
                    remark = "its id was looked up"
            else:
                return Done(status, acknowledge=partial(self._snapshot.put_group, self._made_group(change, link)))
        link, found = own
        status = await self._bring_into_line(link, found, change.after)
        return Done(status, remark, partial(self._snapshot.put_group, self._made_group(change, link)))

    def _made_group(self, change: Change, link: Link) -> KnownGroup:
        return KnownGroup(change.key, link.id, change.name, _merged({}, change.after), NO_MEMBERS)

    async def _adopt_group(self, change: Change) -> Done:
        """Take over the group that a full resync found, with the managed members it was found with."""
        self._unlinked(Kind.GROUP, change.key)
        link = self._gate.adopted(change)
        if change.takes_over:
            await self._look_again(Kind.GROUP, change)
        before, after = change.differences
        owned = {path: value for path, value in change.before.items() if path in change.after and value is not None}
        there = {part: list(change.before.get(part, [])) for _, part in _PARTS}
        status = 0
        if after:
            status = await self._gate.update(link, before, after, owned, has_members=any(there.values()))

        def acknowledge() -> None:
            self._snapshot.put_group(self._made_group(change, link))
            for parent in self._found_in.pop(change.key, []):
                self._snapshot.change_members(parent, Kind.GROUP, [change.key])
            # Whoever could not be taken over after all is no managed member; of a group, the turn may be yet to come.
            people, groups = (self._snapshot.ids(kind, there[part]) for kind, part in _PARTS)
            self._snapshot.change_members(change.key, Kind.USER, list(people))
            self._snapshot.change_members(change.key, Kind.GROUP, list(groups))
            for key in there["groups"]:
                if key not in groups:
                    self._found_in.setdefault(key, []).append(change.key)

        return Done(status, acknowledge=acknowledge)

    async def _update_group(self, change: Change) -> Done:
        link, group = self._known_group(change)
        has_members = group.members_digest != NO_MEMBERS
        status = await self._gate.update(link, change.before, change.after, group.attributes, has_members=has_members)
        changed = replace(group, name=change.name, attributes=_merged(group.attributes, change.after))
        return Done(status, acknowledge=partial(self._snapshot.put_group, changed))

    async def _delete_group(self, change: Change) -> Done:
        link, group = self._known_group(change)
        if self._profile.group_emptied_first:
            users, groups = self._snapshot.members(change.key)
            everybody = [(Kind.USER, key) for key in sorted(users)] + [(Kind.GROUP, key) for key in sorted(groups)]
            await self._members.send(link, group, everybody, adding=False)
        status = await self._gate.delete(link)
        return Done(status, acknowledge=partial(self._snapshot.forget_group, change.key))

    async def _change_members(self, change: Change) -> Done:
        """Change a group's members, as far as they are not yet as they should be."""
        link, group = self._known_group(change)
        present = self._snapshot.members(change.key)
        adding = change.action is Action.ADD_MEMBERS
        wanted: list[Member] = []
        for kind, keys, there in ((Kind.USER, change.members, present[0]), (Kind.GROUP, change.subgroups, present[1])):
            wanted += [(kind, key) for key in keys if (key in there) is not adding]
        if not wanted:
            raise Refusal(Result.REFUSED, "the members are as they should be already")
        status, left = await self._members.send(link, group, wanted, adding=adding)
        if len(left) == len(wanted):
            raise Refusal(Result.SKIPPED, f"none of the {len(left)} members has an account")
        remark = f"without {len(left)} who have no account yet ({', '.join(left[:3])})" if left else ""
        return Done(status, remark)


def _is_to_be_looked_up(error: ScimError) -> bool:
    """Return whether a create failed because the resource exists, or worked without telling the id."""
    return not isinstance(error, Taken) and (error.status == 409 or 200 <= error.status < 300)


def _is_on(active: Json) -> bool:
    """Return whether an account is on; one that doesn't say is (RFC 7643 section 4.1.1), and some say it as text."""
    return str(active).strip().casefold() != "false"


def _merged(attributes: Flat, after: Flat) -> Flat:
    return {path: value for path, value in {**attributes, **after}.items() if value is not None}
