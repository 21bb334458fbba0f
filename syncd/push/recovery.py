"""Recovery: finds and records the outcome of each change that an earlier run left open.

No change is sent. A change that was not done is planned again. A create with an unknown outcome stays open: a second
create might make the same person or group twice.

#  the look shows                                      -> the change is
#  its effect is there                                    applied; the snapshot gets its row
#  the resource to adopt carries our mark                 linked all the same, whatever became of its attributes
#  its effect is not there, or it no longer can be        failed: it had not been done
#  an account as wanted, that is to be managed again      failed: it is sent again, since no look shows that it was
#  the resource of a create is linked already             refused: it has been made since
#  the look fails: of a create                            still open
#  the look fails: of any other change                    failed: the next plan compares
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from syncd.compare.estimate import returning as come_back
from syncd.core.actions import Effect
from syncd.core.drift import alike
from syncd.core.model import Flat, Kind, Known, KnownGroup, State
from syncd.core.plan import Change, Outcome, Result
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.attributes import shown
from syncd.push.collisions import AccountCollisions, GroupCollisions, names_of
from syncd.push.gate import Gate, Link, Taken
from syncd.push.groups import changed_group, made_group
from syncd.push.linking import (
    PARTS,
    link_group,
    link_user,
    members_seen,
    seen_group,
    seen_user,
    with_manager_key,
)
from syncd.push.listings import TargetListing
from syncd.push.members import acknowledge_members, members_reached, members_to_change
from syncd.push.refusal import Refusal
from syncd.push.returning import Returning
from syncd.push.users import changed_user, made_user
from syncd.scim.client import Client
from syncd.scim.profiles import Profile
from syncd.store import Intent, Snapshot, StateFile

log = structlog.get_logger()

_DONE = "no answer came; it had been done"
_UNDONE = "no answer came; it had not been done"
_PASSED = "no answer came; it has been made since"
_UNKNOWN = "no answer came, and nobody can tell yet whether it was done"

Acknowledge = Callable[[], None]
"""Writes the effect of a change into the snapshot; belongs inside the state file's `atomic()`."""


class Recovery:
    """Recovers the open intents of one target."""

    def __init__(self, state: StateFile, target: str, client: Client, profile: Profile, clock: Callable[[], datetime]):
        self._state = state
        self._snapshot = state.snapshot(target)
        self._journal = state.journal(target)
        self._client = client
        self._profile = profile
        self._clock = clock

    async def recover(self) -> int:
        """Recover all open changes; returns how many changes had been done. Raises TargetError, StateError."""
        intents = self._journal.intents()
        look = _Look(self._client, self._snapshot, self._profile, self._clock, intents)
        return sum([await self._recover(intent, look) for intent in intents])

    async def _recover(self, intent: Intent, look: _Look) -> bool:
        """Record the outcome of one change; returns whether the change had been done."""
        acknowledge, result, is_open = None, Result.FAILED, False
        try:
            acknowledge = await look.at(intent)
            result, detail = (Result.FAILED, _UNDONE) if acknowledge is None else (Result.APPLIED, _DONE)
        except _Passed:
            result, detail = Result.REFUSED, _PASSED
        except Refusal as refusal:
            detail = f"{_UNDONE}: {refusal.reason}"
        except Taken as error:
            detail = f"{_UNDONE}: {error.detail}"
        except ScimError as error:
            detail, is_open = f"{_UNKNOWN}: {error}", intent.change.action.creates
        with self._state.atomic():
            if acknowledge is not None:
                acknowledge()
                self._snapshot.bump()
            outcome = Outcome(intent.change, result, 0, detail, open=is_open)
            self._journal.record(intent.run, outcome, self._clock(), intent.id)
        facts = {"target": self._snapshot.name, "action": intent.change.action.value}
        if is_open:
            log.warning("unsettled", **facts, run=intent.run)
        else:
            log.info("settled", **facts, result=result.value)
        return acknowledge is not None


class _Look:
    """Looks at a target for the effects of changes that were perhaps sent. A list that it needs is read once."""

    def __init__(
        self,
        client: Client,
        snapshot: Snapshot,
        profile: Profile,
        clock: Callable[[], datetime],
        intents: Iterable[Intent],
    ) -> None:
        self._gate = Gate(client, snapshot)
        self._snapshot = snapshot
        self._profile = profile
        self._clock = clock
        creates = [intent.change for intent in intents if intent.change.action.creates]
        names = names_of(creates, profile.group_suffix)
        accounts, groups = (TargetListing(self._gate, kind, names) for kind in (Kind.USER, Kind.GROUP))
        self._accounts = AccountCollisions(self._gate, snapshot, listing=accounts)
        self._groups = GroupCollisions(self._gate, snapshot, profile.group_suffix, listing=lambda _: groups)

    async def at(self, intent: Intent) -> Acknowledge | None:
        """Return the update to the snapshot, None where nothing was done. Raises Refusal, ScimError, TargetError."""
        change = intent.change
        match change.action.effect:
            case Effect.CREATE:
                return await self._created(change, intent.at)
            case Effect.ADOPT:
                return await self._adopted(change)
            case Effect.DELETE:
                return await self._deleted(change)
            case Effect.ADD_MEMBERS | Effect.REMOVE_MEMBERS:
                return await self._members_changed(change)
            case Effect.ALTER:
                return await self._updated(change)

    async def _created(self, change: Change, at: datetime) -> Acknowledge | None:
        kind = change.action.kind
        known = self._known(change)
        if known is not None and not known.lost:
            raise _Passed
        if kind is Kind.USER:
            unclear = OutcomeUnclear(0, "no answer came")
            found = await self._accounts.account(change, change.after, unclear, at)
        else:
            found = await self._groups.own_group(change, unclear=True)
            found = found or await self._groups.made_group(change, at)
        if found is None:
            return None
        link, resource = found
        if kind is Kind.GROUP:
            return partial(self._snapshot.put_group, made_group(change, link.id))
        there = self._shown(kind, resource.body, self._compared(change))
        made = made_user(change, link.id, self._clock(), self._snapshot.user(change.key))
        if not self._reached(change, there):  # the next plan compares it
            unseen = {path: value for path, value in made.attributes.items() if path not in self._compared(change)}
            made = replace(made, attributes={**unseen, **there}, digest=b"")
        return partial(self._snapshot.put_user, made)

    async def _adopted(self, change: Change) -> Acknowledge | None:
        """Link a resource that carries our mark, where the run was killed before it did; the next plan compares it."""
        known = self._known(change)
        if known is not None and not known.lost:
            return await self._updated(change) if known.id == change.resource else None
        link = self._gate.adopted(change)
        there = await self._there(link, {**change.before, **change.after}.keys() - {part for _, part in PARTS})
        mark = change.after.get("externalId")
        if there is None or mark is None or there.get("externalId") != mark:
            return None  # a stranger's: a full resync takes it over
        if link.kind is Kind.USER:
            user = seen_user(self._snapshot, change, link.id, there, self._clock())
            return partial(link_user, self._snapshot, change, user)
        group, members = seen_group(change, link.id, there), members_seen(change)
        reached = await members_reached(self._gate, self._snapshot, link, members, adding=True)
        return partial(link_group, self._snapshot, change, group, reached or [])

    def _known(self, change: Change) -> Known | KnownGroup | None:
        about_user = change.action.kind is Kind.USER
        return self._snapshot.user(change.key) if about_user else self._snapshot.group(change.key)

    async def _updated(self, change: Change) -> Acknowledge | None:
        link = self._gate.linked(change.action.kind, change.key)
        there = await self._there(link, self._compared(change))
        if there is None or not self._reached(change, there):
            return None
        if link.kind is Kind.GROUP:
            group = self._snapshot.group(change.key)
            assert group is not None
            return partial(self._snapshot.put_group, changed_group(change, group, {}))
        user = self._snapshot.user(change.key)
        assert user is not None
        if user.unmanaged and change.is_everything:
            return None  # no look shows whether it was sent
        row = changed_user(change, user, self._clock(), {})
        returning = Returning(self._gate, self._snapshot, come_back([change], (), self._profile, self._snapshot))
        gone = await returning.gone_from(change.key)

        def acknowledge() -> None:
            self._snapshot.put_user(row)
            returning.forget(change.key, gone)

        return acknowledge

    async def _deleted(self, change: Change) -> Acknowledge | None:
        link = self._gate.linked(change.action.kind, change.key)
        if await self._there(link, ()) is not None:
            return None if link.kind is Kind.USER else await self._emptied(link)
        forget = self._snapshot.forget_user if link.kind is Kind.USER else self._snapshot.forget_group
        return partial(forget, change.key)

    async def _emptied(self, link: Link) -> Acknowledge | None:
        """Return the update to the members of a group that was to be deleted: some may have left it before."""
        people, groups = self._snapshot.members(link.key)
        members = [*((Kind.USER, key) for key in people), *((Kind.GROUP, key) for key in groups)]
        gone = await members_reached(self._gate, self._snapshot, link, members, adding=False)
        return partial(acknowledge_members, self._snapshot, link.key, gone, adding=False) if gone else None

    async def _members_changed(self, change: Change) -> Acknowledge | None:
        link = self._gate.linked(Kind.GROUP, change.key)
        wanted, adding = members_to_change(self._snapshot, change), change.action.adds
        try:
            reached = await members_reached(self._gate, self._snapshot, link, wanted, adding=adding)
        except ScimError as error:
            if error.status != 404:
                raise
            reached = None
        return partial(acknowledge_members, self._snapshot, change.key, reached, adding=adding) if reached else None

    # -- comparing -----------------------------------------------------------------------------------

    async def _there(self, link: Link, paths: Iterable[str]) -> Flat | None:
        """Return a resource's values, None where the resource is gone; a manager by key."""
        try:
            found = await self._gate.read(link.kind, link.id)
        except ScimError as error:
            if error.status != 404:
                raise
            return None
        return self._shown(link.kind, found.body, paths)

    def _shown(self, kind: Kind, body: Flat, paths: Iterable[str]) -> Flat:
        """Return a resource's values at these paths, with the manager's key in the place of the id."""
        return with_manager_key(self._snapshot, shown(kind, body, paths, self._profile.group_suffix))

    def _compared(self, change: Change) -> list[str]:
        """Return the paths that tell whether a change was done; `active` of an invited account does not."""
        invited = change.state is State.PENDING and self._profile.pending_by_endpoint
        return [path for path in change.after if not (invited and path == "active")]

    def _reached(self, change: Change, there: Flat) -> bool:
        return all(alike(path, change.after[path], there.get(path)) for path in self._compared(change))


class _Passed(Exception):
    """The resource of a create is linked now: the outcome of the create no longer matters."""


__all__ = ["Recovery"]
