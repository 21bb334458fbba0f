"""Groups: each change of a group's attributes as requests, and as the row that the snapshot holds afterwards.

`members.py` changes members. The plan has decided whether a change may be done. The row is returned with the outcome,
and recorded elsewhere.
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, Set
from dataclasses import replace
from datetime import datetime
from functools import partial

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Flat, Kind, KnownGroup
from syncd.core.plan import Change
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.attributes import as_far_as_done, merged, still_kept_as
from syncd.push.collisions import GroupCollisions, is_marked
from syncd.push.effects import WriteEffect
from syncd.push.gate import Gate, Link
from syncd.push.linking import PARTS, Linking, link_group, members_seen, seen_group, with_the_link
from syncd.push.members import Members
from syncd.push.outcomes import Done, remarks
from syncd.push.preconditions import linked_group, refuse_linked
from syncd.push.restoring import Restoring
from syncd.push.sending import Sending, There
from syncd.scim.client import Found
from syncd.store import Snapshot


class Groups:
    """Changes groups at one target."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        sending: Sending,
        collisions: GroupCollisions,
        linking: Linking,
        members: Members,
        restoring: Restoring,
        unmade: Set[str],
        look_again: Callable[[Change], Awaitable[None]],
    ) -> None:
        """`unmade`: keys of the groups whose creation did not succeed in this run, as far as it got.

        `look_again` raises Refusal when the resource to take over has changed since the plan.
        """
        self._gate = gate
        self._snapshot = snapshot
        self._sending = sending
        self._collisions = collisions
        self._linking = linking
        self._members = members
        self._restoring = restoring
        self._unmade = unmade
        self._look_again = look_again
        self._found_in: dict[str, list[str]] = {}
        """Keys of groups not linked yet, each with the adopted groups that it was found in."""

    async def create(self, change: Change) -> Done:
        """Create a group, unless an earlier run created it before the state file was lost.

        A group is asked for before it is created: names of groups are not unique (RFC 7643 section 4.2), so nothing but
        our own externalId keeps the same group from being made twice. A native group of the same name is taken over
        only where the configuration says so.
        """
        refuse_linked(self._snapshot, Kind.GROUP, change.key)
        ours, answered, remark = True, False, "was there already from an earlier run"
        own = await self._collisions.group_before(change)
        if own is None:
            find, take_over = partial(self._find, change), partial(self._collisions.take_over, change)
            created = await self._sending.create(Kind.GROUP, change.key, change.after, find, take_over)
            if not isinstance(created, There):
                return await self._made(change, *created)
            own, answered = (created.link, created.found), created.answered
            ours = not created.collided or is_marked(created.found, change)
            if not created.collided:
                remark = "its id was looked up"
            elif created.answered or not ours:
                remark = "is managed from now on"
        link, found = own
        there = self._linking.values_of(change, found)
        if ours:
            seen = await self._linking.group(change, link.id, there, self._snapshot.put_group)
        else:
            seen = seen_group(change, link.id, there)
        effect = with_the_link(await self._sending.bring_into_line(link, found, change.after))
        done = self._changed(change, seen, replace(effect, status=effect.status or 200), remark)
        if done.failure is not None or not (answered and self._restoring.is_due(found.body)):
            return done
        row = _as_far_as_done(change, seen, effect)
        return await self._restoring.bring_into_line(change, link, row, found.body, done, in_use=True)

    async def _find(self, change: Change, error: ScimError, began: datetime) -> tuple[Link, Found] | None:
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

    async def _made(self, change: Change, link: Link, effect: WriteEffect) -> Done:
        """Return what was done to a group that was created; one that had members before is brought into line.

        Raises TargetError.
        """
        made = made_group(change, link.id, effect.kept_as)
        done = Done(effect.status, effect.ignored(change), partial(self._snapshot.put_group, made))
        body = self._sending.made_groups.get(link.id)
        if not self._restoring.is_due(body):
            return done
        if effect.kept_as and body is not None:
            line = await self._sending.bring_into_line(link, Found(link.id, body), change.after)
            made = _as_far_as_done(change, made, line)
            done = self._changed(change, made, replace(line, status=line.status or effect.status))
            if done.failure is not None:
                return done
        return await self._restoring.bring_into_line(change, link, made, body, done, in_use=False)

    def _changed(self, change: Change, seen: KnownGroup, effect: WriteEffect, remark: str = "") -> Done:
        """Return what was done to a group that was seen before."""
        acknowledge = partial(self._snapshot.put_group, _as_far_as_done(change, seen, effect))
        return Done(effect.status, remarks(remark, effect.ignored(change)), acknowledge, failure=effect.failure)

    async def adopt(self, change: Change) -> Done:
        """Link the group that a full resync found, with the managed members it was found with; or take one over.

        A group that carries our mark is ours, and is linked before its attributes are sent. The target's own is ours
        once our mark was written there, along with the attributes.
        """
        refuse_linked(self._snapshot, Kind.GROUP, change.key)
        link = self._gate.adopted(change)
        link_with_members = partial(self._link_with_members, change)
        if change.takes_over:
            await self._look_again(change)
            effect = with_the_link(await self._bring_into_line(change, link))
            row = _as_far_as_done(change, seen_group(change, link.id, change.before), effect)
            acknowledge = partial(link_with_members, row)
            return Done(effect.status, effect.ignored(change), acknowledge, failure=effect.failure)
        seen = await self._linking.group(change, link.id, change.before, link_with_members)
        async with self._linking.kept_while_there(link):
            effect = with_the_link(await self._bring_into_line(change, link))
        return self._changed(change, seen, effect)

    async def _bring_into_line(self, change: Change, link: Link) -> WriteEffect:
        """Send the attributes at which an adopted group differs, in no request where there are none."""
        before, after = change.differences
        if not after:
            return WriteEffect(0)
        owned = {path: value for path, value in change.before.items() if path in change.after and value is not None}
        has_members = any(change.before.get(part) for _, part in PARTS)
        return await self._sending.update(link, before, after, owned, has_members=has_members)

    def _link_with_members(self, change: Change, group: KnownGroup) -> None:
        """Record an adopted group with its members; a group among them may have its turn yet to come."""
        link_group(self._snapshot, change, group, members_seen(change))
        for parent in self._found_in.pop(change.key, []):
            self._snapshot.change_members(parent, Kind.GROUP, [change.key])
        subgroups = [key for kind, key in members_seen(change) if kind is Kind.GROUP]
        linked = self._snapshot.ids(Kind.GROUP, subgroups)
        for key in subgroups:
            if key not in linked:
                self._found_in.setdefault(key, []).append(change.key)

    async def update(self, change: Change) -> Done:
        """Change attributes of a linked group."""
        link, group = linked_group(self._gate, self._snapshot, self._unmade, change)
        has_members = group.members_digest != NO_MEMBERS
        effect = await self._sending.update(
            link, change.before, change.after, group.attributes, kept_as=group.kept_as, has_members=has_members
        )
        return self._changed(change, group, effect)

    async def delete(self, change: Change) -> Done:
        """Delete a linked group, emptied before where the endpoint demands it."""
        link, group = linked_group(self._gate, self._snapshot, self._unmade, change)
        await self._members.before_deletion(link, group)
        effect = await self._sending.delete(link)
        return Done(effect.status, acknowledge=partial(self._snapshot.forget_group, change.key))


def _as_far_as_done(change: Change, group: KnownGroup, effect: WriteEffect) -> KnownGroup:
    return changed_group(as_far_as_done(change, effect.undone, None, group.name), group, effect.kept_as)


def made_group(change: Change, id_: str, kept_as: Flat | None = None) -> KnownGroup:
    """Return the snapshot's row of a group that was created or taken over, without members."""
    attributes = merged({}, change.after)
    return KnownGroup(change.key, id_, change.name, attributes, NO_MEMBERS, kept_as=kept_as or {})


def changed_group(change: Change, group: KnownGroup, kept_as: Flat) -> KnownGroup:
    """Return the snapshot's row of a group once a change of its attributes is done."""
    return replace(
        group,
        name=change.name,
        attributes=merged(group.attributes, change.after),
        kept_as=still_kept_as(group.kept_as, change.after, kept_as),
    )
