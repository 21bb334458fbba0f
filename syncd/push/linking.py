"""Linking: a resource that carries our mark is linked before anything is sent to it.

Its attributes are an update of a linked resource, which may fail by itself. The row holds what was seen at the target,
without a digest: the next run compares it, and follows its person or group whatever became of the update.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Callable, Iterable, Sequence
from contextlib import asynccontextmanager
from dataclasses import replace
from datetime import datetime
from functools import partial
from typing import Final

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Flat, Kind, Known, KnownGroup, State, is_on
from syncd.core.plan import Change
from syncd.core.schema import MANAGER
from syncd.errors import ScimError
from syncd.push.attributes import merged, shown
from syncd.push.effects import WriteEffect
from syncd.push.gate import Gate, Link
from syncd.scim.client import Found
from syncd.store import Commits, Snapshot

PARTS: Final = ((Kind.USER, "members"), (Kind.GROUP, "groups"))
"""The parts of an adopted group's `before` that hold its members' keys."""

Member = tuple[Kind, str]
"""A kind and a key, as in `members.py`."""


class Linking:
    """Links keys to the resources that carry their mark, each on disk at once."""

    def __init__(
        self, gate: Gate, snapshot: Snapshot, commits: Commits, group_suffix: str, clock: Callable[[], datetime]
    ) -> None:
        """`group_suffix`: the suffix that the endpoint adds to names of groups."""
        self._gate = gate
        self._snapshot = snapshot
        self._commits = commits
        self._group_suffix = group_suffix
        self._clock = clock

    def values_of(self, change: Change, found: Found) -> Flat:
        """Return the values of a resource that was found, at the paths that syncd writes."""
        return shown(change.action.kind, found.body, change.after, self._group_suffix)

    async def user(self, change: Change, id_: str, there: Flat) -> Known:
        """Link a user to an account; `there`: its values at the paths that syncd writes. Raises StateError."""
        known = seen_user(self._snapshot, change, id_, there, self._clock())
        await self._commits.write(partial(link_user, self._snapshot, change, known))
        return known

    async def group(
        self, change: Change, id_: str, there: Flat, acknowledge: Callable[[KnownGroup], None]
    ) -> KnownGroup:
        """Link a group; `acknowledge` writes the row, and the members it was seen with. Raises StateError."""
        known = seen_group(change, id_, there)

        def link() -> None:
            acknowledge(known)
            self._snapshot.bump()

        await self._commits.write(link)
        return known

    @asynccontextmanager
    async def kept_while_there(self, link: Link) -> AsyncIterator[None]:
        """Write to a resource that was just linked; one that is gone after all is lost, and made anew later."""
        try:
            yield
        except ScimError as error:
            if error.status == 404 and await self._is_gone(link):
                await self._commits.write(partial(self._snapshot.lose, link.kind, link.key))
            raise

    async def _is_gone(self, link: Link) -> bool:
        try:
            await self._gate.read(link.kind, link.id)
        except ScimError as answer:
            return answer.status == 404
        return False

    async def anew(
        self, kind: Kind, known: Known | KnownGroup, found: Found, paths: Iterable[str]
    ) -> Known | KnownGroup:
        """Link a key whose resource is gone to another one; its memberships are unknown. Raises StateError."""
        there = shown(kind, found.body, paths, self._group_suffix)
        return await self._commits.write(partial(self._link_anew, kind, known, found.id, there))

    def _link_anew(self, kind: Kind, known: Known | KnownGroup, id_: str, there: Flat) -> Known | KnownGroup:
        self._snapshot.lose(kind, known.key)
        self._snapshot.bump()
        attributes = merged({}, with_manager_key(self._snapshot, there))
        if isinstance(known, Known):
            state = seen_state(known.state, attributes)
            user = replace(known, id=id_, state=state, attributes=attributes, digest=b"", kept_as={}, lost=False)
            self._snapshot.put_user(user)
            return user
        group = replace(known, id=id_, attributes=attributes, members_digest=NO_MEMBERS, kept_as={}, lost=False)
        self._snapshot.put_group(group)
        return group


def seen_user(snapshot: Snapshot, change: Change, id_: str, there: Flat, now: datetime) -> Known:
    """Return the snapshot's row of an account as it was seen, before anything is sent to it."""
    assert change.state is not None
    seen = there if there.get(MANAGER) == change.after.get(MANAGER) else with_manager_key(snapshot, there)
    state = seen_state(change.state, seen)
    name = str(seen.get("userName") or change.name)
    accepted = change.state is State.ACTIVE
    uninvited = is_uninvited(change, snapshot.user(change.key))
    return Known(change.key, id_, name, state, merged({}, seen), b"", accepted=accepted, since=now, uninvited=uninvited)


def as_it_was(change: Change, id_: str, former: Known | None) -> Change:
    """Return the creation of an account whose id shows that it is the former one, with the state of its person.

    An endpoint may hide the accounts that it no longer manages, and give them back when they are sent.
    `former`: the row of the lost account.

    #  the former one            created as   -> is
    #  is another                any             as created
    #  was accepted once         pending         active
    #  waits for an invitation   active          pending
    """
    if former is None or former.id != id_:
        return change
    if change.state is State.PENDING and former.accepted:
        return replace(change, state=State.ACTIVE)
    if change.state is State.ACTIVE and former.uninvited and not former.accepted:
        return replace(change, state=State.PENDING)
    return change


def is_uninvited(change: Change, former: Known | None) -> bool:
    """Return whether somebody whose account is linked again waits for an administrator's invitation."""
    return former is not None and former.uninvited and change.state is State.PENDING


def seen_state(wanted: State, there: Flat) -> State:
    """Return the state of an account that was only seen, so that the next run brings it to the desired state.

    #  wanted       seen on       seen off
    #  active       active        deactivated: the next run reactivates
    #  pending      pending       pending: never activated by us
    #  deactivated  active        deactivated
    """
    if wanted is State.PENDING:
        return State.PENDING
    return State.ACTIVE if is_on(there.get("active")) else State.DEACTIVATED


def link_user(snapshot: Snapshot, change: Change, known: Known) -> None:
    """Record an account that was taken over, and its memberships; belongs inside the state file's `atomic()`."""
    snapshot.put_user(known)
    put_into_groups(snapshot, change)
    snapshot.bump()


def put_into_groups(snapshot: Snapshot, change: Change) -> None:
    """Record the linked groups that an adopted resource was found in; belongs inside the state file's `atomic()`."""
    for group in snapshot.ids(Kind.GROUP, change.found_in):
        snapshot.change_members(group, change.action.kind, [change.key])


def seen_group(change: Change, id_: str, there: Flat) -> KnownGroup:
    """Return the snapshot's row of a group as it was seen, before anything is sent to it."""
    members = [part for _, part in PARTS]
    seen = {path: value for path, value in there.items() if path not in members}
    name = str(seen.get("displayName") or change.name)
    return KnownGroup(change.key, id_, name, merged({}, seen), NO_MEMBERS)


def link_group(snapshot: Snapshot, change: Change, group: KnownGroup, members: Sequence[Member]) -> None:
    """Record a group that was taken over, and its members; belongs inside the state file's `atomic()`.

    An account that could not be taken over after all is no managed member.
    """
    snapshot.put_group(group)
    put_into_groups(snapshot, change)
    for kind in Kind:
        linked = snapshot.ids(kind, [key for each, key in members if each is kind])
        snapshot.change_members(change.key, kind, list(linked))
    snapshot.bump()


def members_seen(change: Change) -> list[Member]:
    """Return the members that an adopted group was found with."""
    return [(kind, key) for kind, part in PARTS for key in change.before.get(part, [])]


def with_the_link(effect: WriteEffect) -> WriteEffect:
    """Return the effect of a change that links a resource: the link is an effect, also where no attribute had one."""
    return effect if effect.undone else replace(effect, failure=None)


def with_manager_key(snapshot: Snapshot, there: Flat) -> Flat:
    """Return a target's values with the manager's key in the place of the id; nobody's id is left out."""
    if there.get(MANAGER) is None:
        return there
    return {**there, MANAGER: snapshot.key_of(Kind.USER, str(there[MANAGER]))}
