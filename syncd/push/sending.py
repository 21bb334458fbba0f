"""Sending: a write goes through the gate, and an unclear answer is followed by a look before anything is sent again.

#  answer to a write                         -> what follows
#  success                                      its effect (`effects.py`)
#  success, without the whole effect            other forms (`forms.py`)
#  an update is refused (ScimError)             other forms, and part by part
#  anything else is refused                     the change has failed
#  unclear (OutcomeUnclear), then looked at:
#      everything is as wanted                  applied
#      values remain                            the remaining ones are sent again, up to the transport's attempts
#      the look fails                           unclear: the change stays open, and the next run looks
#  the target as a whole fails (TargetError)    certainly not done; nothing more is sent

A create is looked up, because a second one would make the same person or group twice.
"""

from __future__ import annotations

import sys
from collections.abc import Awaitable, Callable, Container, Iterable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import datetime
from itertools import count
from typing import Final, TypeVar

from syncd.core.diff import differing
from syncd.core.model import Flat, Kind, State
from syncd.errors import OutcomeUnclear, ScimError, TargetError
from syncd.push.attributes import shown
from syncd.push.effects import Answer, Effects, Update, WriteEffect
from syncd.push.forms import Forms, may_be_tried_otherwise
from syncd.push.gate import Gate, Link
from syncd.push.predating import Habits, mark_of, predates
from syncd.push.refusal import Refusal
from syncd.scim.client import Found, Written
from syncd.scim.dialect import Form
from syncd.scim.profiles import Profile

_LOOKS: Final = 2
"""Number of looks for a resource that a create may have made: some endpoints show a slightly older state."""
_CREATED: Final = 201
_FAILING: Final = 2
"""Number of attempts of a change of members that is answered 500: another form is tried then."""

Find = Callable[[ScimError, datetime], Awaitable[tuple[Link, Found] | None]]
"""Finds the resource that a create collided with, or may have made since a moment. Raises the error where it stays an
error; None: there is no such resource, so the create may be sent again."""

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class There:
    """A resource that is linked now, and still needs an update: it existed, or its create's answer had no id."""

    link: Link
    found: Found
    collided: bool
    """Whether the create was refused because of it (409), or answered with it."""
    answered: bool = False


class Sending:
    """Writes to one target, each with its effect."""

    def __init__(
        self,
        gate: Gate,
        effects: Effects,
        profile: Profile,
        clock: Callable[[], datetime],
        habits: Habits,
    ) -> None:
        """`habits`: what earlier runs have seen of creates."""
        self._gate = gate
        self._effects = effects
        self._profile = profile
        self._clock = clock
        self._forms = Forms(gate, self._write, self._there)
        self.made_groups: set[str] = set()
        """Ids of the groups that were made in this run: nobody but this run has put members there."""
        self.habits = habits

    # -- creates -----------------------------------------------------------------------------------

    async def create(
        self, kind: Kind, key: str, attributes: Flat, find: Find, take_over: Callable[[Found, str], None]
    ) -> tuple[Link, WriteEffect] | There:
        """Create a resource once; or return the one that `find` found, or that the endpoint had and answered with.

        `take_over` raises ScimError where the latter must not be taken over; it is told how that was recognized.
        Raises ScimError, TargetError.
        """
        began = self._clock()
        for attempt in count(1):
            try:
                link, written = await self._gate.create(kind, key, attributes)
            except ScimError as error:
                found = await self._found(find, error, began, attempt)
                if found is not None:
                    return There(*found, collided=error.status == 409)
                if attempt >= self._gate.attempts:
                    raise
            else:
                there = await self._there_before(link, attributes, written, began, take_over)
                if there is not None:
                    return there
                if kind is Kind.GROUP:
                    self.made_groups.add(link.id)
                with it_was_made():
                    return link, await self._effects.of_create(link, attributes, written)
        raise AssertionError

    async def _there_before(
        self, link: Link, attributes: Flat, written: Written, began: datetime, take_over: Callable[[Found, str], None]
    ) -> There | None:
        """Return the resource that answered a create, if it was there before. Raises ScimError."""
        if link.kind is Kind.GROUP and self._profile.groups_restored:
            return None
        ended = self._clock()
        if written.status != _CREATED and written.body is None and link.kind in self.habits.by_201:
            with it_was_made():
                written = replace(written, body=(await self._gate.read(link.kind, link.id)).body)
        why = predates(link.kind, attributes, written, began, ended, self.habits)
        if not why:
            self.habits.note(link.kind, attributes, written)
            return None
        mark = mark_of(written.body or {})
        if mark not in (None, "", attributes.get("externalId")):
            raise ScimError(409, f"was answered with a resource that carries another externalId ({mark}): {why}")
        found = Found(link.id, written.body or {})
        take_over(found, why)
        return There(link, found, collided=True, answered=True)

    async def _found(self, find: Find, error: ScimError, began: datetime, attempt: int) -> tuple[Link, Found] | None:
        """Return the resource that a create collided with or has made; None: there is none. Raises the error else.

        Raises OutcomeUnclear where something may have been made.
        """
        if isinstance(error, OutcomeUnclear):
            return await self._look_for(find, error, began, attempt)
        if error.status == 409:
            return await find(error, began)
        if 200 <= error.status < 300:  # the resource was created, and the endpoint doesn't tell its id
            with it_was_made():
                return await find(error, began)
        raise error

    async def _look_for(
        self, find: Find, error: OutcomeUnclear, began: datetime, attempt: int
    ) -> tuple[Link, Found] | None:
        """Look for the effect of a create; None: it made nothing. Raises OutcomeUnclear where the look fails."""
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

    # -- writes to linked resources ------------------------------------------------------------------

    async def update(
        self,
        link: Link,
        before: Flat,
        after: Flat,
        owned: Flat,
        *,
        kept_as: Flat | None = None,
        has_members: bool = False,
        whole: bool = False,
    ) -> WriteEffect:
        """Change the attributes of `after`; `owned`: all attributes that syncd writes. Raises the gate's errors.

        `kept_as`: values that the target keeps in its own form. `has_members`: whether a group is known to have some.
        `whole`: being sent is what counts, for the account to be managed again: values that are there prove nothing.
        """
        if not after:
            return WriteEffect(0)
        update = Update(link, before, after, owned, kept_as or {}, has_members, whole)
        try:
            effect = await self._write(update)
        except ScimError as refusal:
            if not may_be_tried_otherwise(refusal, update):
                raise
            return await self._forms.in_other_forms(update, refusal)
        if effect.is_whole or (not effect.lost and effect.untaken <= self._effects.dropped(link.kind, after)):
            return effect
        return await self._forms.in_other_forms(update, effect)

    async def _write(self, update: Update, form: Form | None = None) -> WriteEffect:
        """Write an update in one form; returns its effect. Raises the gate's errors."""
        link, after = update.link, update.after

        async def write(step: tuple[Flat, Flat, Flat]) -> Written:
            return await self._gate.update(link, *step, has_members=update.has_members, form=form)

        async def look(step: tuple[Flat, Flat, Flat]) -> tuple[Flat, Flat, Flat] | None:
            if update.whole:
                return step
            there = await self._there(link, {**step[2], **after})
            left_before, left = differing(there, step[1])
            return (left_before, left, there) if left else None

        answer = await self._until_clear((update.before, after, update.owned), write, look)
        return await self._effects.of_update(update, answer, doubtful=form is not None)

    async def bring_into_line(
        self, link: Link, found: Found, attributes: Flat, state: State | None = None
    ) -> WriteEffect:
        """Change the differing attributes of an existing resource; `active` of an invited account is the endpoint's,
        where the endpoint keeps invitations itself. Raises the gate's errors.
        """
        if state is State.PENDING and self._profile.pending_by_endpoint:
            attributes = {path: value for path, value in attributes.items() if path != "active"}
        there = shown(link.kind, found.body, attributes, self._profile.group_suffix)
        before, after = differing(there, attributes)
        return await self.update(link, before, after, there)

    async def delete(self, link: Link) -> WriteEffect:
        """Delete a resource. A deletion is idempotent: the transport sends it again. Raises the gate's errors."""
        return await self._effects.of_delete(link, await self._gate.delete(link))

    async def change_members(
        self,
        link: Link,
        ids: Sequence[str],
        form: Form,
        *,
        adding: bool,
        has_members: bool,
        kinds: Mapping[str, Kind],
        without: Container[str] = (),
    ) -> Answer:
        """Add or remove members in one form, as many as one request may hold. Raises the gate's errors.

        Where the endpoint shows no members, all are sent again after an unclear answer: adding one twice changes
        nothing (RFC 7644 section 3.5.2.1), and neither does removing one twice.
        """

        async def write(ids: Sequence[str]) -> Written:
            if adding:
                return await self._gate.add_members(
                    link, ids, form, has_members=has_members, kinds=kinds, without=without
                )
            return await self._gate.remove_members(link, ids, form, without=without)

        async def look(ids: Sequence[str]) -> Sequence[str] | None:
            there = await self._gate.members_of(link.id)
            if there is None:
                return ids
            return [id_ for id_ in ids if (id_ in there) is not adding] or None

        return await self._until_clear(ids, write, look, failing=_FAILING)

    async def _until_clear(
        self,
        wanted: T,
        write: Callable[[T], Awaitable[Written]],
        look: Callable[[T], Awaitable[T | None]],
        *,
        failing: int = sys.maxsize,
    ) -> Answer:
        """Write the desired values; after an unclear answer, look, and write the remaining ones.

        `look` returns the remaining values, None where everything is as wanted: the unclear answer is returned then.
        `failing`: how often it is sent to an endpoint that answers 500. Raises OutcomeUnclear where the look fails, or
        too many answers are unclear.
        """
        for attempt in count(1):
            try:
                return await write(wanted)
            except OutcomeUnclear as unclear:
                most = min(failing, self._gate.attempts) if unclear.status == 500 else self._gate.attempts
                if attempt >= most or unclear.stop is not None:
                    raise
                await self._gate.back_off(attempt)
                try:
                    left = await look(wanted)
                except (ScimError, TargetError) as why:
                    raise unclear.unseen(why) from None
                if left is None:
                    return unclear
                wanted = left
        raise AssertionError

    async def _there(self, link: Link, paths: Iterable[str]) -> Flat:
        """Return a linked resource's values at these paths. Raises Lost, ScimError."""
        try:
            found = await self._gate.read(link.kind, link.id)
        except ScimError as error:
            raise await self._gate.lost_or(link, error) from None
        return shown(link.kind, found.body, paths, self._profile.group_suffix)


@contextmanager
def it_was_made() -> Iterator[None]:
    """Raise OutcomeUnclear for any failure within: a resource was created, and must not be created again.

    The next run recovers the create.
    """
    try:
        yield
    except TargetError as stop:
        raise OutcomeUnclear(stop.status, stop.problem, stop=stop) from None
    except Refusal as refusal:
        raise OutcomeUnclear(0, refusal.reason) from None
    except OutcomeUnclear:
        raise
    except ScimError as error:
        raise OutcomeUnclear(error.status, error.detail, error.scim_type) from None
