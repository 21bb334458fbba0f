"""One change as requests: what is sent, what is looked at when the outcome is unclear, what is then acknowledged.

Nothing here decides whether a change may be done, and nothing is written down here: what is acknowledged is returned.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Iterable, Iterator
from contextlib import contextmanager, nullcontext
from dataclasses import dataclass, field, replace
from datetime import datetime
from functools import partial
from itertools import count
from typing import Final

from syncd.core.diff import differing
from syncd.core.digest import NO_MEMBERS
from syncd.core.drift import alike
from syncd.core.model import Flat, Json, Kind, Known, KnownGroup, State, is_on
from syncd.core.plan import Action, Change, Result
from syncd.core.schema import MANAGER
from syncd.errors import OutcomeUnclear, ScimError, TargetError
from syncd.push.collisions import Collisions
from syncd.push.gate import Gate, Link, Lost, Refusal, Taken, expect, moved
from syncd.push.members import Member, Members
from syncd.scim.client import Found, Written
from syncd.scim.profiles import Profile
from syncd.scim.resources import field as member
from syncd.scim.resources import flatten, not_taken
from syncd.store import Snapshot

_PARTS: Final = ((Kind.USER, "members"), (Kind.GROUP, "groups"))
_LOOKS: Final = 2
"""So often somebody looks for what a create may have made: some endpoints show the state of a moment ago."""
_NAMED: Final = 3

Clock = Callable[[], datetime]


@dataclass(frozen=True, slots=True)
class Done:
    """A change that went through: the last HTTP status (0: nothing had to be asked), and a remark, mostly none.

    `acknowledge` writes it into the snapshot, in the transaction that writes the outcome into the journal.
    """

    status: int
    remark: str = ""
    acknowledge: Callable[[], None] | None = None
    finished: bool = True
    """Whether nothing of it is left to be done."""


@dataclass(slots=True)
class _Sent:
    """What came of sending attributes: the last status, and what the endpoint shows of those it didn't take over."""

    status: int
    kept_as: Flat = field(default_factory=dict)
    off: bool = False
    """Whether an account that was to be on is shown as off. That is no way of keeping it: drift would hide behind."""


class Execution:
    """Carries out the changes of one run."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        members: Members,
        collisions: Collisions,
        profile: Profile,
        clock: Clock,
        *,
        drifted: frozenset[tuple[Kind, str]],
        echoes: bool,
        look_again: bool,
    ) -> None:
        """`drifted`: whose attributes are put back, as somebody changed them. `echoes`: the endpoint is known to answer
        with what it made of a change. `look_again`: what is taken over was found some time ago.
        """
        self._gate = gate
        self._snapshot = snapshot
        self._members = members
        self._collisions = collisions
        self._profile = profile
        self._clock = clock
        self._drifted = drifted
        self._echoes = echoes
        self._look_again_first = look_again
        self._found_in: dict[str, list[str]] = {}  # keys of groups not linked yet -> groups that they were found in
        self._looked_for: set[tuple[Kind, str]] = set()
        self.unmade_groups: set[str] = set()
        self.echoed: bool | None = None
        """Whether the endpoint answered an update with the resource, None where there was none."""

    async def carry_out(self, change: Change) -> Done:
        """Do one change. Raises Refusal, Lost, ScimError (OutcomeUnclear: it may have been done) or TargetError."""
        try:
            return await self._carry_out(change)
        except Lost as lost:
            return await self._match_anew(change, lost)

    async def _carry_out(self, change: Change) -> Done:
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

    # -- sending ---------------------------------------------------------------------------------

    async def _create(
        self,
        kind: Kind,
        change: Change,
        attributes: Flat,
        find: Callable[[ScimError, datetime], Awaitable[tuple[Link, Found] | None]],
    ) -> tuple[Link, Written | Found, ScimError | None]:
        """Create a resource, once and no more; or find the one that there is already, and with which error.

        `find` raises the error where it must stay one; None: there is nothing, so it may be sent again.
        """
        began = self._clock()
        for attempt in count(1):
            try:
                link, written = await self._gate.create(kind, change.key, attributes)
                return link, written, None
            except ScimError as error:
                if isinstance(error, OutcomeUnclear):
                    found = await self._look_for(find, error, began, attempt)
                elif error.status == 409:
                    found = await find(error, began)
                elif 200 <= error.status < 300:  # it was made, and the endpoint doesn't tell the id
                    with _it_was_made():
                        found = await find(error, began)
                else:
                    raise
                if found is not None:
                    return *found, error
                if attempt >= self._gate.attempts:
                    raise
        raise AssertionError

    async def _look_for(
        self,
        find: Callable[[ScimError, datetime], Awaitable[tuple[Link, Found] | None]],
        error: OutcomeUnclear,
        began: datetime,
        attempt: int,
    ) -> tuple[Link, Found] | None:
        """Look for what a create may have made; None: it made nothing. Raises OutcomeUnclear where nobody can tell."""
        if error.stop is not None:
            raise error
        for _ in range(_LOOKS):
            await self._gate.back_off(attempt)
            try:
                found = await find(error, began)
            except (ScimError, TargetError) as why:
                raise error.unseen(why) from None
            if found is not None:
                return found
        return None

    async def _send(
        self, link: Link, before: Flat, after: Flat, owned: Flat, *, has_members: bool = False, name: str = ""
    ) -> _Sent:
        """Change attributes; where the outcome is unclear, look, and send what is left. Raises as the gate does."""
        wanted = after
        for attempt in count(1):
            try:
                written = await self._gate.update(link, before, after, owned, has_members=has_members)
            except OutcomeUnclear as unclear:
                if attempt >= self._gate.attempts or unclear.stop is not None:
                    raise
                await self._gate.back_off(attempt)
                try:
                    owned = await self._there(link, {**owned, **wanted})
                except (ScimError, TargetError) as why:
                    raise unclear.unseen(why) from None
                before, after = differing(owned, after)
                if not after:
                    return _Sent(unclear.status)
            else:
                if written.status:
                    self.echoed = written.body is not None and self.echoed is not False
                return await self._read_back(link, wanted, written)
        raise AssertionError

    async def _there(self, link: Link, paths: Iterable[str]) -> Flat:
        """Return what a linked resource has at these paths. Raises Lost, ScimError."""
        try:
            found = await self._gate.read(link.kind, link.id)
        except ScimError as error:
            raise await self._gate.lost_or(link, error) from None
        return self.flat(link.kind, found.body, paths)

    async def _read_back(self, link: Link, sent: Flat, written: Written) -> _Sent:
        """See what the endpoint made of what it was sent; one that doesn't say is asked where drift was put back.

        Raises ScimError where somebody can still get in who was switched off.
        """
        body = written.body
        if written.status and (link.kind, link.key) in self._drifted and not (self._echoes and body is not None):
            body = (await self._gate.read(link.kind, link.id)).body
        if body is None:
            return _Sent(written.status)
        kept_as = self._not_taken(link.kind, sent, body)
        if sent.get("active") is False and "active" in kept_as and await self._is_still_on(link):
            raise ScimError(written.status, "was answered with success, and the account is still active")
        off = sent.get("active") is True and "active" in kept_as
        kept_as.pop("active", None)
        return _Sent(written.status, kept_as, off)

    async def _is_still_on(self, link: Link) -> bool:
        """Ask once more: an answer may show what was there before the change."""
        return is_on(member((await self._gate.read(link.kind, link.id)).body, "active"))

    def _not_taken(self, kind: Kind, sent: Flat, body: dict[str, Json]) -> Flat:
        kept_as = not_taken(kind, sent, body)
        name = str(kept_as.get("displayName", ""))
        if kind is Kind.GROUP and name and name.removesuffix(self._profile.group_suffix) == sent["displayName"]:
            del kept_as["displayName"]
        if MANAGER in kept_as:  # the snapshot speaks of keys
            id_ = kept_as[MANAGER]
            kept_as[MANAGER] = self._snapshot.key_of(Kind.USER, str(id_)) if id_ is not None else None
        return kept_as

    def flat(self, kind: Kind, body: dict[str, Json], paths: Iterable[str]) -> Flat:
        """Return what a resource has at these paths; a suffix that the endpoint adds to a group's name is no part."""
        there = flatten(kind, body, paths)
        if kind is Kind.GROUP and self._profile.group_suffix and "displayName" in there:
            there["displayName"] = str(there["displayName"]).removesuffix(self._profile.group_suffix)
        return there

    async def _bring_into_line(self, link: Link, found: Found, attributes: Flat, state: State | None = None) -> _Sent:
        """Change what differs of a resource that was there already; what invited people's `active` shows is theirs."""
        if state is State.PENDING and self._profile.pending_by_endpoint:
            attributes = {path: value for path, value in attributes.items() if path != "active"}
        there = self.flat(link.kind, found.body, attributes)
        before, after = differing(there, attributes)
        return await self._send(link, before, after, there)

    async def _match_anew(self, change: Change, lost: Lost) -> Done:
        """Do a change to what carries the mark of a resource that is gone, once; memberships are anybody's guess.

        Raises Lost where there is none.
        """
        known = self._snapshot.user(lost.key) if lost.kind is Kind.USER else self._snapshot.group(lost.key)
        again = (lost.kind, lost.key) in self._looked_for
        self._looked_for.add((lost.kind, lost.key))
        known = known if change.key == lost.key and change.action.alters and not again else None
        found = await self._collisions.marked(lost.kind, known.attributes) if known is not None else None
        if known is None or found is None:
            raise lost
        try:
            link = self._gate.relinked(lost, found)
        except Taken:
            raise lost from None
        attributes = _merged(known.attributes, change.after)
        sent = await self._bring_into_line(link, found, self._resolved(attributes))

        def acknowledge() -> None:
            self._snapshot.lose(lost.kind, lost.key)
            if isinstance(known, Known):
                state = change.state or known.state
                self._snapshot.put_user(
                    replace(known, id=found.id, name=change.name, state=state, attributes=attributes, digest=b"",
                            kept_as=sent.kept_as, lost=False)
                )  # fmt: skip
            else:
                self._snapshot.put_group(
                    replace(known, id=found.id, name=change.name, attributes=attributes, members_digest=NO_MEMBERS,
                            kept_as=sent.kept_as, lost=False)
                )  # fmt: skip

        return Done(sent.status or 200, "was made anew at the target, and is linked again", acknowledge, finished=False)

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

        async def find(error: ScimError, began: datetime) -> tuple[Link, Found] | None:
            return await self._collisions.account(change, attributes, error, began)

        link, made, error = await self._create(Kind.USER, change, attributes, find)
        if isinstance(made, Written):
            with _it_was_made():
                sent = await self._read_back(link, attributes, made)
            return self._acknowledged_user(change, link, sent)
        there_already = error is not None and error.status == 409
        if there_already and change.state is State.PENDING and is_on(member(made.body, "active")):
            # Whom we would keep out has been let in already: that is no invitation (as `core/diff.py` adopts).
            change = replace(change, state=State.ACTIVE, after={**change.after, "active": True})
            attributes = {**attributes, "active": True}
        with nullcontext() if there_already else _it_was_made():
            sent = await self._bring_into_line(link, made, attributes, change.state)
        remark = "was there already, and is managed from now on" if there_already else "its id was looked up"
        return self._acknowledged_user(change, link, replace(sent, status=sent.status or 200), remark)

    def _acknowledged_user(self, change: Change, link: Link, sent: _Sent, remark: str = "") -> Done:
        made = self.made_user(change, link.id, kept_as=sent.kept_as)
        return Done(sent.status, _joined(remark, _ignored(sent, change)), partial(self._snapshot.put_user, made))

    def made_user(self, change: Change, id_: str, *, accepted: bool = False, kept_as: Flat | None = None) -> Known:
        """Return what the snapshot holds of an account that was created or taken over."""
        assert change.state is not None
        return Known(
            change.key,
            id_,
            change.name,
            change.state,
            _merged({}, change.after),
            bytes.fromhex(change.digest),
            accepted=accepted or change.state is State.ACTIVE,
            since=self._clock(),
            kept_as=kept_as or {},
        )

    async def _adopt_user(self, change: Change) -> Done:
        """Take over the account that a full resync found; a stranger's is looked at once more."""
        self._unlinked(Kind.USER, change.key)
        link = self._gate.adopted(change)
        former = self._snapshot.user(link.former) if link.former else None
        if change.takes_over and former is None and self._look_again_first:
            await self._look_again(Kind.USER, change)
        before, after = change.differences
        owned = {path: value for path, value in change.before.items() if value is not None}
        sent = await self._send(link, before, self._resolved(after), owned) if after else _Sent(0)
        made = self.made_user(change, link.id, accepted=former is not None and former.accepted, kept_as=sent.kept_as)
        if former is not None:
            return Done(sent.status, _ignored(sent, change), partial(self._snapshot.rekey_user, former.key, made))
        return Done(sent.status, _ignored(sent, change), partial(self._snapshot.put_user, made))

    async def _look_again(self, kind: Kind, change: Change) -> None:
        """Raises Refusal when what is to be taken over is no longer as it was when a person looked at it."""
        try:
            found = await self._gate.read(kind, change.resource)
        except ScimError as error:
            if error.status != 404:
                raise
            raise Refusal(Result.REFUSED, "is no longer at the target") from None
        paths = [path for path in change.before if path not in ("members", "groups", MANAGER)]
        there = self.flat(kind, found.body, paths)
        for path in paths:
            expected, value = change.before[path], there.get(path)
            same = alike(path, expected, value)
            if not same:
                raise moved(path, expected, value)

    async def _update_user(self, change: Change) -> Done:
        link, known = self._known_user(change)
        attributes = self._resolved(change.after)
        sent = await self._send(link, change.before, attributes, known.attributes)
        return Done(
            sent.status,
            _ignored(sent, change),
            partial(self._snapshot.put_user, self.changed_user(change, known, sent.kept_as)),
        )

    def changed_user(self, change: Change, known: Known, kept_as: Flat) -> Known:
        """Return what the snapshot holds of an account once a change of its attributes is done."""
        assert change.state is not None
        return replace(
            known,
            name=change.name,
            state=change.state,
            attributes=_merged(known.attributes, change.after),
            digest=bytes.fromhex(change.digest),
            accepted=known.accepted or change.state is State.ACTIVE,
            since=known.since if change.state is known.state else self._clock(),
            kept_as=_kept(known.kept_as, change.after, kept_as),
        )

    # -- groups ----------------------------------------------------------------------------------

    def _known_group(self, change: Change) -> tuple[Link, KnownGroup]:
        """Return the linked group, if it still is as the change expects it. Raises Refusal."""
        group = self._snapshot.group(change.key)
        if (group is None or group.lost) and change.key in self.unmade_groups:
            raise Refusal(Result.SKIPPED, "the group could not be created")
        link = self._gate.linked(Kind.GROUP, change.key)
        assert group is not None
        if not change.action.of_members:
            expect(change, group.attributes)
        return link, group

    async def _create_group(self, change: Change) -> Done:
        """Create a group, unless an earlier run did and the state file that knew of it is gone.

        Asked before they are created: names of groups are not unique (RFC 7643 section 4.2), so nothing but our own
        externalId keeps the same group from being made twice. A native group of the same name is taken over only where
        the configuration says so.
        """
        self._unlinked(Kind.GROUP, change.key)
        remark = "was there already from an earlier run"
        own = await self._collisions.group_before(change)
        if own is None:
            link, made, error = await self._create(Kind.GROUP, change, change.after, partial(self._find_group, change))
            if isinstance(made, Written):
                with _it_was_made():
                    sent = await self._read_back(link, change.after, made)
                return self._acknowledged_group(change, link, sent)
            own = link, made
            if error is None or error.status != 409:
                remark = "its id was looked up"
            elif not self._collisions.is_marked(made, change):
                remark = "is managed from now on"
        link, found = own
        with _it_was_made():
            sent = await self._bring_into_line(link, found, change.after)
        return self._acknowledged_group(change, link, replace(sent, status=sent.status or 200), remark)

    async def _find_group(self, change: Change, error: ScimError, began: datetime) -> tuple[Link, Found] | None:
        """Return the group that a create collided with, or may have made. Raises the error where it stays one."""
        unclear = isinstance(error, OutcomeUnclear)
        own = await self._collisions.own_group(change, unclear=unclear)
        if own is None and unclear:
            return await self._collisions.made_group(change, began)
        if own is None and error.status == 409:
            own = await self._collisions.native_group(change, error)
        if own is None:
            raise error
        return own

    def _acknowledged_group(self, change: Change, link: Link, sent: _Sent, remark: str = "") -> Done:
        made = self.made_group(change, link.id, sent.kept_as)
        return Done(sent.status, _joined(remark, _ignored(sent, change)), partial(self._snapshot.put_group, made))

    def made_group(self, change: Change, id_: str, kept_as: Flat | None = None) -> KnownGroup:
        """Return what the snapshot holds of a group that was created or taken over, without members."""
        attributes = _merged({}, change.after)
        return KnownGroup(change.key, id_, change.name, attributes, NO_MEMBERS, kept_as=kept_as or {})

    async def _adopt_group(self, change: Change) -> Done:
        """Take over the group that a full resync found, with the managed members it was found with."""
        self._unlinked(Kind.GROUP, change.key)
        link = self._gate.adopted(change)
        if change.takes_over and self._look_again_first:
            await self._look_again(Kind.GROUP, change)
        before, after = change.differences
        owned = {path: value for path, value in change.before.items() if path in change.after and value is not None}
        there = {part: list(change.before.get(part, [])) for _, part in _PARTS}
        sent = _Sent(0)
        if after:
            sent = await self._send(link, before, after, owned, has_members=any(there.values()))

        def acknowledge() -> None:
            self._snapshot.put_group(self.made_group(change, link.id, sent.kept_as))
            for parent in self._found_in.pop(change.key, []):
                self._snapshot.change_members(parent, Kind.GROUP, [change.key])
            # Whoever could not be taken over after all is no managed member; of a group, the turn may be yet to come.
            people, groups = (self._snapshot.ids(kind, there[part]) for kind, part in _PARTS)
            self._snapshot.change_members(change.key, Kind.USER, list(people))
            self._snapshot.change_members(change.key, Kind.GROUP, list(groups))
            for key in there["groups"]:
                if key not in groups:
                    self._found_in.setdefault(key, []).append(change.key)

        return Done(sent.status, _ignored(sent, change), acknowledge)

    async def _update_group(self, change: Change) -> Done:
        link, group = self._known_group(change)
        has_members = group.members_digest != NO_MEMBERS
        sent = await self._send(link, change.before, change.after, group.attributes, has_members=has_members)
        changed = self.changed_group(change, group, sent.kept_as)
        return Done(sent.status, _ignored(sent, change), partial(self._snapshot.put_group, changed))

    def changed_group(self, change: Change, group: KnownGroup, kept_as: Flat) -> KnownGroup:
        """Return what the snapshot holds of a group once a change of its attributes is done."""
        return replace(
            group,
            name=change.name,
            attributes=_merged(group.attributes, change.after),
            kept_as=_kept(group.kept_as, change.after, kept_as),
        )

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
        wanted = self.members_to_change(change)
        if not wanted:
            raise Refusal(Result.REFUSED, "the members are as they should be already")
        status, left = await self._members.send(link, group, wanted, adding=change.action.adds)
        if len(left) == len(wanted):
            who = (
                f"none of the {len(left)} members has an account" if len(left) > 1 else "the only member has no account"
            )
            raise Refusal(Result.SKIPPED, who)
        have = "have" if len(left) > 1 else "has"
        remark = f"without {len(left)} who {have} no account yet ({', '.join(left[:_NAMED])})" if left else ""
        return Done(status, remark, finished=not left)

    def members_to_change(self, change: Change) -> list[Member]:
        """Return the members of a change that are not yet as they should be."""
        present = self._snapshot.members(change.key)
        adding = change.action.adds
        wanted: list[Member] = []
        for kind, keys, there in ((Kind.USER, change.members, present[0]), (Kind.GROUP, change.subgroups, present[1])):
            wanted += [(kind, key) for key in keys if (key in there) is not adding]
        return wanted


@contextmanager
def _it_was_made() -> Iterator[None]:
    """Whatever fails within is no reason to make another of what was made: the next run looks (OutcomeUnclear)."""
    try:
        yield
    except TargetError as stop:
        raise OutcomeUnclear(stop.status, stop.problem, stop=stop) from None
    except OutcomeUnclear:
        raise
    except ScimError as error:
        raise OutcomeUnclear(error.status, error.detail, error.scim_type) from None


def _merged(attributes: Flat, after: Flat) -> Flat:
    return {path: value for path, value in {**attributes, **after}.items() if value is not None}


def _kept(known: Flat, sent: Flat, kept_as: Flat) -> Flat:
    """Return what the target is known to keep in its own way: of what was sent now, as it shows now."""
    return {path: shown for path, shown in known.items() if path not in sent} | kept_as


def _ignored(sent: _Sent, change: Change) -> str:
    """Say what the endpoint didn't take over; who is invited may well be shown as off until they accept."""
    paths = [*(["active"] if sent.off and change.state is State.ACTIVE else []), *sent.kept_as]
    if not paths:
        return ""
    more = f" and {len(paths) - _NAMED} more" if len(paths) > _NAMED else ""
    return f"not taken over by the target: {', '.join(paths[:_NAMED])}{more}"


def _joined(*remarks: str) -> str:
    return "; ".join(filter(None, remarks))


__all__ = ["Clock", "Done", "Execution"]
