"""Restoring: a create is answered with a group that has members already; it is brought into line in the same run.

Some endpoints restore an archived group with its old members (Lucid's teams), and some answer a create with the group
that they have under the name. The members are looked at once: an answer may show those of another moment.

#  a member                              -> in the group that the create is answered with
#  joins it by the same plan                stays, and is not added again
#  is managed, and doesn't belong           taken out
#  is managed by nobody                     taken out, unless the configuration lets guests stay
#  is shown by a name instead of an id      left to the next full resync

No limit withholds this where the group was not in use: nobody who is taken out had what the group gives before this
plan created it. A group that was in use, and is taken over because it answers a create, loses no more people than the
limit for removals allows; the next full resync finds the others, and holds them. A group that a create collides with,
and whose members no plan has shown, is left to that resync whole.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Set
from dataclasses import dataclass, replace
from functools import partial

from syncd.core.foreign import ForeignMember
from syncd.core.model import Json, Kind, KnownGroup
from syncd.core.plan import Change, Plan
from syncd.core.room import ANY_NUMBER, Room
from syncd.errors import ScimError
from syncd.push.gate import Gate, Link
from syncd.push.members import Members
from syncd.push.membership import Member
from syncd.push.outcomes import Done, remarks
from syncd.scim.client import Body
from syncd.scim.profiles import Profile
from syncd.scim.resources import field
from syncd.store import Commits, Snapshot


@dataclass(frozen=True)
class RestoringRules:
    """The rules by which a group that had members is brought into line.

    `joining`: by group the members who join it by the plan, at once or later. `removals`: how many people a group that
    was in use may lose; None: all. `guests_stay`: whether members whom nobody manages stay. `room`: the target's room
    for a person.
    """

    joining: Mapping[str, Set[Member]]
    room: Room = ANY_NUMBER
    removals: int | None = None
    guests_stay: bool = False


@dataclass(frozen=True)
class _Found:
    """The members that a group was found with."""

    there: Mapping[str, Member]
    """The managed ones, by id."""
    foreign: list[ForeignMember]


class Restoring:
    """Brings groups into line that had members before they were created."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        commits: Commits,
        members: Members,
        profile: Profile,
        rules: RestoringRules,
    ) -> None:
        self._gate = gate
        self._snapshot = snapshot
        self._commits = commits
        self._members = members
        self._profile = profile
        self._rules = rules

    def is_due(self, body: Body | None) -> bool:
        """Return whether a group that a create is answered with may have members: its answer shows some, or the
        endpoint may have restored it.
        """
        shows = body is not None and bool(self._gate.roll_in(body).shown)
        return shows or (self._profile.groups_restored and self._profile.members_read != "nothing")

    async def bring_into_line(
        self, change: Change, link: Link, row: KnownGroup, body: Body | None, done: Done, *, in_use: bool
    ) -> Done:
        """Look at the members of a group that was created, link it with them, and take out those who don't belong.

        `done`: what was done of the change so far. `in_use`: the group was there before, and is taken over.
        Raises TargetError; whatever else fails is part of what is returned.
        """
        await self._commits.write(partial(self._link, row, ()))
        try:
            found = await self._found(link, body)
        except ScimError as error:
            return replace(done, failure=ScimError(error.status, f"its members can't be looked at: {error.detail}"))
        if found is None or not (found.there or found.foreign):
            return done
        await self._commits.write(partial(self._link, row, found.there.values()))
        self._members.note_restored(change.key, link.id)
        joining = self._rules.joining.get(change.key, set())
        others = [member for member in found.there.values() if member not in joining]
        # Where a person can be in one group alone, joining their own takes them out of this one.
        leaving = [] if self._rules.room.is_exclusive(change.name) else others
        foreign = [] if self._rules.guests_stay else found.foreign
        count, going = len(found.there) + len(found.foreign), len(leaving) + len(foreign)
        had = f"{'had' if in_use else 'was restored with'} {count} member{'' if count == 1 else 's'}"
        most = self._rules.removals if in_use else None
        if most is not None and going > most:
            stay = f"{going} who don't belong stay: more than `limits.remove_members` allows; `syncd resync` holds them"
            return replace(done, remark=remarks(done.remark, f"{had}, and {stay}"))
        failure = await self._members.take_out(link, row, leaving, foreign)
        if failure is not None:
            return replace(done, failure=_unable(failure, had))
        kept = len(found.foreign) - len(foreign)
        said = _said(count, going, guests=kept, elsewhere=len(others) - len(leaving))
        return replace(done, remark=remarks(done.remark, f"{had}, {said}"))

    async def _found(self, link: Link, body: Body | None) -> _Found | None:
        """Look at the members of a group; None where the endpoint doesn't show them. Raises ScimError, TargetError."""
        roll = await self._gate.roll(link.id)
        if roll is None:
            return None
        ids = list(roll.shown)
        people = _linked(self._snapshot, Kind.USER, ids)
        # An id that is a user's is the user: some endpoints give the same to a user and a group.
        groups = _linked(self._snapshot, Kind.GROUP, [id_ for id_ in ids if id_ not in people])
        there: dict[str, Member] = {id_: (Kind.USER, key) for id_, key in people.items()}
        there |= {id_: (Kind.GROUP, key) for id_, key in groups.items()}
        called = _displays(body)
        foreign = [
            ForeignMember(id_, called.get(id_) or id_)
            for id_ in ids
            if id_ not in there and not self._snapshot.find(id_)
        ]
        return _Found(there, foreign)

    def _link(self, row: KnownGroup, members: Iterable[Member]) -> None:
        """Record the group and its members; belongs inside the state file's `atomic()`."""
        members = list(members)
        self._snapshot.put_group(row)
        for kind in Kind:
            self._snapshot.change_members(row.key, kind, [key for each, key in members if each is kind])
        self._snapshot.bump()


def _said(count: int, going: int, *, guests: int, elsewhere: int) -> str:
    """Return in words what became of the members of a group. `going` were taken out of it; `guests`, whom nobody
    manages, and `elsewhere`, who belong to another group, stay.
    """
    if going == count == 1:
        return "who was taken out"
    if not (going or guests or elsewhere):
        return "who belongs" if count == 1 else "all of whom belong"
    parts = [
        f"{going} of them taken out" if going else "",
        f"{guests} whom nobody manages {'stays' if guests == 1 else 'stay'}" if guests else "",
        f"{elsewhere} of them {'stays' if elsewhere == 1 else 'stay'} until joining another group" if elsewhere else "",
    ]
    return ", ".join(filter(None, parts))


def _linked(snapshot: Snapshot, kind: Kind, ids: list[str]) -> dict[str, str]:
    """Return the keys by the ids that are linked to what is there."""
    return {id_: key for key, id_ in snapshot.ids(kind, list(snapshot.keys_of(kind, ids).values())).items()}


def _displays(body: Body | None) -> dict[str, str]:
    """Return what an answer calls a group's members, by id."""
    members: Json = field(body, "members")
    shown = [each for each in members if isinstance(each, dict)] if isinstance(members, list) else []
    return {str(field(each, "value")): str(field(each, "display") or "") for each in shown}


def _unable(failure: ScimError, had: str) -> ScimError:
    return ScimError(failure.status, f"{had}, and not all who don't belong could be taken out: {failure.detail}")


def joining_of(plan: Plan) -> dict[str, set[Member]]:
    """Return by group the members who join it by a plan, at once or once a person has approved."""
    joining: dict[str, set[Member]] = {}
    for change in (*plan.changes, *(each.change for each in (*plan.held, *plan.rejected))):
        if change.action.adds:
            members = joining.setdefault(change.key, set())
            members.update((Kind.USER, key) for key in change.members)
            members.update((Kind.GROUP, key) for key in change.subgroups)
    return joining


__all__ = ["Restoring", "RestoringRules", "joining_of"]
