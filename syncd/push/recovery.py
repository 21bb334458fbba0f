"""What earlier runs left open: of each change that was perhaps sent, look what became of it.

Asks, and writes down what it found; sends no change. What turns out not to have been done is planned again. A create
of which nobody can tell stays open: sent again, it might make the same person or group twice.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime
from functools import partial

import structlog

from syncd.core.actions import Effect
from syncd.core.drift import alike
from syncd.core.model import Flat, Kind, State
from syncd.core.plan import Change, Outcome, Result
from syncd.core.schema import MANAGER
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.collisions import Collisions, TargetListing
from syncd.push.execution import Execution
from syncd.push.gate import Gate, Link, Refusal, Taken
from syncd.push.members import Members
from syncd.scim.client import Client
from syncd.scim.profiles import Profile
from syncd.store import Commits, Intent, StateFile

log = structlog.get_logger()

_DONE = "no answer came; it had been done"
_UNDONE = "no answer came; it had not been done"
_PASSED = "no answer came; it has been made since"
_UNKNOWN = "no answer came, and nobody can tell yet whether it was done"


class Recovery:
    """Recovers the open intents of one target: learns what became of each."""

    def __init__(self, state: StateFile, target: str, client: Client, profile: Profile, clock: Callable[[], datetime]):
        self._state = state
        self._snapshot = state.snapshot(target)
        self._journal = state.journal(target)
        self._clock = clock
        self._profile = profile
        self._gate = Gate(client, self._snapshot)
        self._members = Members(self._gate, Commits(state), self._snapshot, profile)
        self._listings: dict[Kind, TargetListing] = {}
        self._collisions = Collisions(self._gate, self._snapshot, profile, listing=lambda kind, _: self._listings[kind])
        self._execution = Execution(
            self._gate,
            self._snapshot,
            self._members,
            self._collisions,
            profile,
            clock,
            drifted=frozenset(),
            echoes=False,
            look_again=False,
        )

    async def recover(self) -> int:
        """Look at everything that is open; returns how much of it had been done. Raises TargetError, StateError."""
        done, intents = 0, self._journal.intents()
        names = self._collisions.names(intent.change for intent in intents if intent.change.action.creates)
        self._listings = {kind: TargetListing(self._gate, kind, names) for kind in Kind}
        for intent in intents:
            acknowledge, result, is_open = None, Result.FAILED, False
            try:
                acknowledge = await self._look(intent)
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
            done += acknowledge is not None
            facts = {"target": self._snapshot.name, "action": intent.change.action.value}
            if is_open:
                log.warning("unsettled", **facts, run=intent.run)
            else:
                log.info("settled", **facts, result=result.value)
        return done

    async def _look(self, intent: Intent) -> Callable[[], None] | None:
        """Return what is to be acknowledged, None where nothing was done. Raises Refusal, ScimError, TargetError."""
        change = intent.change
        match change.action.effect:
            case Effect.CREATE:
                return await self._created(change, intent.at)
            case Effect.ADOPT:
                return None  # a full resync takes over what is there; a plain run finds it by its mark
            case Effect.DELETE:
                return await self._deleted(change)
            case Effect.ADD_MEMBERS | Effect.REMOVE_MEMBERS:
                return await self._members_changed(change)
            case Effect.ALTER:
                return await self._updated(change)

    async def _created(self, change: Change, at: datetime) -> Callable[[], None] | None:
        kind = change.action.kind
        known = self._snapshot.user(change.key) if kind is Kind.USER else self._snapshot.group(change.key)
        if known is not None and not known.lost:
            raise _Passed
        unclear = OutcomeUnclear(0, "no answer came")
        if kind is Kind.USER:
            found = await self._collisions.account(change, change.after, unclear, at)
        else:
            found = await self._collisions.own_group(change, unclear=True)
            found = found or await self._collisions.made_group(change, at)
        if found is None:
            return None
        link, resource = found
        there = self._by_key(self._execution.flat(kind, resource.body, self._compared(change)))
        as_sent = self._reached(change, there)
        if kind is Kind.GROUP:
            return partial(self._snapshot.put_group, self._execution.made_group(change, link.id))
        made = self._execution.made_user(change, link.id)
        if not as_sent:  # the next plan compares it
            shown = {path: value for path, value in made.attributes.items() if path not in self._compared(change)}
            made = replace(made, attributes={**shown, **there}, digest=b"")
        return partial(self._snapshot.put_user, made)

    async def _updated(self, change: Change) -> Callable[[], None] | None:
        link = self._gate.linked(change.action.kind, change.key)
        there = await self._there(link, self._compared(change))
        if there is None or not self._reached(change, there):
            return None
        if link.kind is Kind.GROUP:
            group = self._snapshot.group(change.key)
            assert group is not None
            return partial(self._snapshot.put_group, self._execution.changed_group(change, group, {}))
        user = self._snapshot.user(change.key)
        assert user is not None
        return partial(self._snapshot.put_user, self._execution.changed_user(change, user, {}))

    async def _deleted(self, change: Change) -> Callable[[], None] | None:
        link = self._gate.linked(change.action.kind, change.key)
        if await self._there(link, ()) is not None:
            return None
        forget = self._snapshot.forget_user if link.kind is Kind.USER else self._snapshot.forget_group
        return partial(forget, change.key)

    async def _there(self, link: Link, paths: Iterable[str]) -> Flat | None:
        """Return what a resource has, None where it is gone; a manager by key."""
        try:
            found = await self._gate.read(link.kind, link.id)
        except ScimError as error:
            if error.status != 404:
                raise
            return None
        return self._by_key(self._execution.flat(link.kind, found.body, paths))

    def _by_key(self, there: Flat) -> Flat:
        """Return what a resource has, with the manager's key in the place of the id."""
        if there.get(MANAGER) is None:
            return there
        return {**there, MANAGER: self._snapshot.key_of(Kind.USER, str(there[MANAGER]))}

    def _compared(self, change: Change) -> list[str]:
        """Return the paths that tell whether a change was done: what is shown of an invited person's `active` isn't."""
        invited = change.state is State.PENDING and self._profile.pending_by_endpoint
        return [path for path in change.after if not (invited and path == "active")]

    def _reached(self, change: Change, there: Flat) -> bool:
        return all(alike(path, change.after[path], there.get(path)) for path in self._compared(change))

    async def _members_changed(self, change: Change) -> Callable[[], None] | None:
        link = self._gate.linked(Kind.GROUP, change.key)
        wanted, adding = self._execution.members_to_change(change), change.action.adds
        try:
            reached = await self._members.there(link, wanted, adding=adding)
        except ScimError as error:
            if error.status != 404:
                raise
            reached = None
        return partial(self._members.acknowledge, change.key, reached, adding=adding) if reached else None


class _Passed(Exception):
    """What is linked now, whatever became of it then."""


__all__ = ["Recovery"]
