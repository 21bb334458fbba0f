"""Users: each change of an account as requests, and as the row that the snapshot holds afterwards.

The plan has decided whether a change may be done. The row is returned with the outcome, and recorded elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from syncd.core.model import Flat, Kind, Known, State, is_on
from syncd.core.plan import Change, Result
from syncd.core.schema import MANAGER
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.attributes import as_far_as_done, merged, still_kept_as
from syncd.push.collisions import AccountCollisions, is_marked
from syncd.push.effects import WriteEffect
from syncd.push.gate import Gate, Link
from syncd.push.linking import Linking, as_it_was, is_uninvited, link_user, seen_user, with_the_link
from syncd.push.outcomes import Done, remarks
from syncd.push.preconditions import linked_user, refuse_linked
from syncd.push.preparing import Preparing
from syncd.push.refusal import Refusal
from syncd.push.sending import Sending, There
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
        linking: Linking,
        preparing: Preparing,
        clock: Callable[[], datetime],
        look_again: Callable[[Change], Awaitable[None]],
    ) -> None:
        """`look_again` raises Refusal when the resource to take over has changed since the plan."""
        self._gate = gate
        self._snapshot = snapshot
        self._sending = sending
        self._collisions = collisions
        self._linking = linking
        self._preparing = preparing
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
        change = as_it_was(change, link.id, self._snapshot.user(change.key))
        keeps_out = change.after.get("active") is False  # syncd does, not the endpoint
        if created.collided and change.state is State.PENDING and keeps_out and is_on(field(found.body, "active")):
            # An outsider with an active account has accepted already: no invitation (as `core/diff.py` adopts).
            change = replace(change, state=State.ACTIVE, after={**change.after, "active": True})
            attributes = {**attributes, "active": True}
        remark = "was there already, and is managed from now on" if created.collided else "its id was looked up"
        there = self._linking.values_of(change, found)
        if not created.collided or is_marked(found, change):
            seen = await self._linking.user(change, link.id, there)
        else:
            seen = seen_user(self._snapshot, change, link.id, there, self._clock())
        effect = with_the_link(await self._sending.bring_into_line(link, found, attributes, change.state))
        return self._changed(change, seen, replace(effect, status=effect.status or 200), remark)

    def _acknowledged(self, change: Change, link: Link, effect: WriteEffect) -> Done:
        former = self._snapshot.user(change.key)
        made = made_user(change, link.id, self._clock(), former, kept_as=effect.kept_as)
        return Done(effect.status, effect.ignored(change), partial(self._snapshot.put_user, made))

    def _changed(self, change: Change, seen: Known, effect: WriteEffect, remark: str = "") -> Done:
        """Return what was done to an account that was seen before."""
        row = changed_user(_as_far_as_done(change, effect, seen), seen, self._clock(), effect.kept_as)
        acknowledge = partial(self._snapshot.put_user, row)
        return Done(effect.status, remarks(remark, effect.ignored(change)), acknowledge, failure=effect.failure)

    async def adopt(self, change: Change) -> Done:
        """Link the account that a full resync found, or take over a stranger's, which is looked at once more.

        An account that carries our mark is ours, and is linked before its attributes are sent. A stranger's is ours
        once our mark was written there, along with the attributes.
        """
        refuse_linked(self._snapshot, Kind.USER, change.key)
        link = self._gate.adopted(change)
        lost = self._snapshot.user(change.key)
        whole = lost is not None and lost.unmanaged
        if change.takes_over:
            return await self._take_over(change, link, whole=whole)
        seen = await self._linking.user(change, link.id, change.before)
        async with self._linking.kept_while_there(link):
            effect = with_the_link(await self._bring_into_line(change, link, whole=whole))
        return self._changed(change, seen, effect)

    async def _take_over(self, change: Change, link: Link, *, whole: bool) -> Done:
        former = self._snapshot.user(link.former) if link.former else None
        whole = whole or (former is not None and former.unmanaged)
        if former is None:
            await self._look_again(change)
        effect = with_the_link(await self._bring_into_line(change, link, whole=whole))
        seen = seen_user(self._snapshot, change, link.id, change.before, self._clock())
        row = changed_user(_as_far_as_done(change, effect, seen), seen, self._clock(), effect.kept_as)
        if former is not None:
            row = _handed_over(row, former)
            acknowledge = partial(self._snapshot.rekey_user, former.key, row)
        else:
            acknowledge = partial(link_user, self._snapshot, change, row)
        return Done(effect.status, effect.ignored(change), acknowledge, failure=effect.failure)

    async def _bring_into_line(self, change: Change, link: Link, *, whole: bool) -> WriteEffect:
        """Send the attributes at which an adopted account differs, in no request where there are none.

        `whole`: all of them, for the target to manage the account again.
        """
        before, after = change.differences
        if whole:
            kept = {path for path, value in change.after.items() if value is not None} - {"active"}
            after = {path: value for path, value in change.after.items() if path in kept or path in after}
            before = {path: change.before.get(path) for path in after}
        if not after:
            return WriteEffect(0)
        owned = {path: value for path, value in change.before.items() if value is not None}
        after = with_manager_id(self._snapshot, after)
        return await self._sending.update(link, before, after, owned, whole=whole)

    async def update(self, change: Change) -> Done:
        """Change attributes of a linked account: an update, a deactivation or a reactivation."""
        link, known = linked_user(self._gate, self._snapshot, change)
        attributes = with_manager_id(self._snapshot, change.after)
        whole = known.unmanaged and change.is_everything
        try:
            effect = await self._sending.update(
                link, change.before, attributes, known.attributes, kept_as=known.kept_as, whole=whole
            )
        except OutcomeUnclear as unclear:
            if change.after.get("active") is not False or unclear.stop is not None:
                raise
            # Perhaps it is off: whoever comes back is switched on all the same.
            unknown = {path: value for path, value in known.attributes.items() if path != "active"}
            doubted = replace(known, attributes=unknown, digest=b"")
            return Done(unclear.status, acknowledge=partial(self._snapshot.put_user, doubted), failure=unclear)
        return self._changed(change, known, effect)

    async def delete(self, change: Change) -> Done:
        """Delete a linked account, once what must come first has succeeded."""
        link, known = linked_user(self._gate, self._snapshot, change)
        await self._preparing.before_delete(change, known)
        effect = await self._sending.delete(link)
        return Done(effect.status, acknowledge=partial(self._snapshot.forget_user, change.key))


def _handed_over(row: Known, former: Known) -> Known:
    """Return the row of an account that another key takes over; `former`: the row of the key that had it."""
    if former.uninvited and not former.accepted and row.state is State.ACTIVE:
        return replace(row, state=State.PENDING, accepted=False, uninvited=True)
    return replace(row, accepted=row.accepted or former.accepted)


def _as_far_as_done(change: Change, effect: WriteEffect, known: Known) -> Change:
    return as_far_as_done(change, effect.undone, known.state, known.name)


def with_manager_id(snapshot: Snapshot, after: Flat) -> Flat:
    """Return attributes with the manager's id in the place of the key. Raises Refusal where there is no account."""
    manager = after.get(MANAGER)
    if manager is None:
        return after
    ids = snapshot.ids(Kind.USER, [manager])
    if manager not in ids:
        raise Refusal(Result.SKIPPED, f"the manager {manager} has no account")
    return {**after, MANAGER: ids[manager]}


def made_user(
    change: Change, id_: str, now: datetime, former: Known | None = None, *, kept_as: Flat | None = None
) -> Known:
    """Return the snapshot's row of an account that was created. `former`: the row of a lost one."""
    change = as_it_was(change, id_, former)
    assert change.state is not None
    return Known(
        change.key,
        id_,
        change.name,
        change.state,
        merged({}, change.after),
        bytes.fromhex(change.digest),
        accepted=change.state is State.ACTIVE,
        since=now,
        kept_as=kept_as or {},
        uninvited=is_uninvited(change, former),
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
        unmanaged=known.unmanaged and not change.is_everything,
        uninvited=known.uninvited and change.state is not State.ACTIVE,
    )
