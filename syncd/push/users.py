"""Users: each change of an account as requests, and as the row that the snapshot holds afterwards.

The plan has decided whether a change may be done. The row is returned with the outcome, and recorded elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from contextlib import nullcontext
from dataclasses import replace
from datetime import datetime
from functools import partial

from syncd.core.model import Flat, Kind, Known, State, is_on
from syncd.core.plan import Change, Result
from syncd.core.schema import MANAGER
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.attributes import as_far_as_done, merged, still_kept_as
from syncd.push.collisions import AccountCollisions
from syncd.push.effects import WriteEffect
from syncd.push.gate import Gate, Link
from syncd.push.outcomes import Done, remarks
from syncd.push.preconditions import linked_user, refuse_linked
from syncd.push.refusal import Refusal
from syncd.push.sending import Sending, There, it_was_made
from syncd.scim.client import Found
from syncd.scim.resources import field
from syncd.store import Snapshot


class Users:
    """Changes accounts at one target."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        sending: Sending,
        collisions: AccountCollisions,
        clock: Callable[[], datetime],
        look_again: Callable[[Change], Awaitable[None]],
    ) -> None:
        """`look_again` raises Refusal when the resource to take over has changed since the plan."""
        self._gate = gate
        self._snapshot = snapshot
        self._sending = sending
        self._collisions = collisions
        self._clock = clock
        self._look_again = look_again

    async def create(self, change: Change) -> Done:
        """Create an account; one that is the same person's already is taken over."""
        refuse_linked(self._snapshot, Kind.USER, change.key)
        attributes = with_manager_id(self._snapshot, change.after)

        async def find(error: ScimError, began: datetime) -> tuple[Link, Found] | None:
            return await self._collisions.account(change, attributes, error, began)

        take_over = partial(self._collisions.take_over, change)
        created = await self._sending.create(Kind.USER, change.key, attributes, find, take_over)
        if not isinstance(created, There):
            return self._acknowledged(change, *created)
        link, found = created.link, created.found
        if created.collided:
            change = self._collisions.as_taken_over(change, found)
            attributes = with_manager_id(self._snapshot, change.after)
        if created.collided and change.state is State.PENDING and is_on(field(found.body, "active")):
            # An outsider with an active account has accepted already: no invitation (as `core/diff.py` adopts).
            change = replace(change, state=State.ACTIVE, after={**change.after, "active": True})
            attributes = {**attributes, "active": True}
        with nullcontext() if created.collided else it_was_made():
            effect = await self._sending.bring_into_line(link, found, attributes, change.state)
        remark = "was there already, and is managed from now on" if created.collided else "its id was looked up"
        return self._acknowledged(change, link, replace(effect, status=effect.status or 200), remark)

    def _acknowledged(self, change: Change, link: Link, effect: WriteEffect, remark: str = "") -> Done:
        made = made_user(change, link.id, self._clock(), kept_as=effect.kept_as)
        return Done(effect.status, remarks(remark, effect.ignored(change)), partial(self._snapshot.put_user, made))

    async def adopt(self, change: Change) -> Done:
        """Take over the account that a full resync found; a stranger's is looked at once more."""
        refuse_linked(self._snapshot, Kind.USER, change.key)
        link = self._gate.adopted(change)
        former = self._snapshot.user(link.former) if link.former else None
        if change.takes_over and former is None:
            await self._look_again(change)
        before, after = change.differences
        owned = {path: value for path, value in change.before.items() if value is not None}
        effect = WriteEffect(0)
        if after:
            effect = await self._sending.update(link, before, with_manager_id(self._snapshot, after), owned)
        accepted = former is not None and former.accepted
        made = made_user(change, link.id, self._clock(), accepted=accepted, kept_as=effect.kept_as)
        if former is not None:
            acknowledge = partial(self._snapshot.rekey_user, former.key, made)
        else:
            acknowledge = partial(self._snapshot.put_user, made)
        return Done(effect.status, effect.ignored(change), acknowledge)

    async def update(self, change: Change) -> Done:
        """Change attributes of a linked account: an update, a deactivation or a reactivation."""
        link, known = linked_user(self._gate, self._snapshot, change)
        attributes = with_manager_id(self._snapshot, change.after)
        try:
            effect = await self._sending.update(
                link, change.before, attributes, known.attributes, kept_as=known.kept_as
            )
        except OutcomeUnclear as unclear:
            if change.after.get("active") is not False or unclear.stop is not None:
                raise
            # Perhaps it is off: whoever comes back is switched on all the same.
            unknown = {path: value for path, value in known.attributes.items() if path != "active"}
            doubted = replace(known, attributes=unknown, digest=b"")
            return Done(unclear.status, acknowledge=partial(self._snapshot.put_user, doubted), failure=unclear)
        done = as_far_as_done(change, effect.undone, known.state, known.name)
        changed = changed_user(done, known, self._clock(), effect.kept_as)
        acknowledge = partial(self._snapshot.put_user, changed)
        return Done(effect.status, effect.ignored(change), acknowledge, failure=effect.failure)

    async def delete(self, change: Change) -> Done:
        """Delete a linked account."""
        link, _ = linked_user(self._gate, self._snapshot, change)
        effect = await self._sending.delete(link)
        return Done(effect.status, acknowledge=partial(self._snapshot.forget_user, change.key))


def with_manager_id(snapshot: Snapshot, after: Flat) -> Flat:
    """Return attributes with the manager's id in the place of the key. Raises Refusal where there is no account."""
    manager = after.get(MANAGER)
    if manager is None:
        return after
    ids = snapshot.ids(Kind.USER, [manager])
    if manager not in ids:
        raise Refusal(Result.SKIPPED, f"the manager {manager} has no account")
    return {**after, MANAGER: ids[manager]}


def made_user(change: Change, id_: str, now: datetime, *, accepted: bool = False, kept_as: Flat | None = None) -> Known:
    """Return the snapshot's row of an account that was created or taken over."""
    assert change.state is not None
    return Known(
        change.key,
        id_,
        change.name,
        change.state,
        merged({}, change.after),
        bytes.fromhex(change.digest),
        accepted=accepted or change.state is State.ACTIVE,
        since=now,
        kept_as=kept_as or {},
    )


def changed_user(change: Change, known: Known, now: datetime, kept_as: Flat) -> Known:
    """Return the snapshot's row of an account once a change of its attributes is done."""
    assert change.state is not None
    return replace(
        known,
        name=change.name,
        state=change.state,
        attributes=merged(known.attributes, change.after),
        digest=bytes.fromhex(change.digest),
        accepted=known.accepted or change.state is State.ACTIVE,
        since=known.since if change.state is known.state else now,
        kept_as=still_kept_as(known.kept_as, change.after, kept_as),
    )
