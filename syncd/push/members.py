"""Members: changes of the members of groups; `membership.py` does each of them.

Each chunk is recorded when its effect is known, not at the end of the change: an interrupted change continues with the
remaining members.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Mapping, Sequence, Set
from dataclasses import replace
from typing import Final

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, KnownGroup
from syncd.core.plan import Change, Result
from syncd.errors import Ineffective, OutcomeUnclear, ScimError
from syncd.push.effects import NAMED
from syncd.push.gate import Gate, Link
from syncd.push.membership import Fit, Member, Membership, Tools, acknowledge_members, ids_of
from syncd.push.moves import HINT, Moved, Moves
from syncd.push.outcomes import Done, remarks
from syncd.push.preconditions import linked_group
from syncd.push.refusal import Refusal
from syncd.push.sending import Sending
from syncd.scim.profiles import Profile
from syncd.store import Commits, Snapshot

_UNTRIED: Final = "syncd was told to stop before everybody had moved"


class Members:
    """Changes the members of groups at one target."""

    def __init__(
        self,
        gate: Gate,
        sending: Sending,
        commits: Commits,
        snapshot: Snapshot,
        profile: Profile,
        unmade: Set[str],
        moves: Moves,
    ) -> None:
        """`unmade`: keys of the groups whose creation did not succeed in this run, as far as it got."""
        self._moves = moves
        self._gate = gate
        self._snapshot = snapshot
        self._profile = profile
        self._unmade = unmade
        self._tools = Tools(gate, sending, commits, snapshot, profile, Fit(sys.maxsize))

    async def change(self, change: Change) -> Done:
        """Change a group's members that are not yet as desired."""
        link, group = linked_group(self._gate, self._snapshot, self._unmade, change)
        wanted = members_to_change(self._snapshot, change)
        staying = self._staying(change, wanted)
        wanted = [member for member in wanted if member not in staying]
        if not wanted and staying:
            raise self._moves.staying([key for _, key in staying])
        if not wanted and change.action.removes and self._moves.has_left(change.members):
            return Done(0, "left it to join another group")
        if not wanted:
            raise Refusal(Result.REFUSED, "the members are as they should be already")
        ids = ids_of(self._snapshot, wanted)
        left = [key for kind, key in wanted if (kind, key) not in ids]
        if len(left) == len(wanted):
            who = (
                f"none of the {len(left)} members has an account" if len(left) > 1 else "the only member has no account"
            )
            raise Refusal(Result.SKIPPED, who)
        have = "have" if len(left) > 1 else "has"
        without = f"without {len(left)} who {have} no account yet ({', '.join(left[:NAMED])})" if left else ""
        stay = self._moves.stay([key for _, key in staying]) if staying else ""
        there = [member for member in wanted if member in ids]
        done = await self._change(change, link, group, there)
        return replace(
            done, remark=remarks(without, stay, done.remark), finished=done.finished and not left and not staying
        )

    async def _change(self, change: Change, link: Link, group: KnownGroup, wanted: Sequence[Member]) -> Done:
        """Change members who have accounts. Raises Refusal, Lost, ScimError where none was changed."""
        adding = change.action.adds
        moving = self._moves.former(change, (key for kind, key in wanted if kind is Kind.USER))
        apart = moving if self._moves.leaves_first else {}
        others = [(kind, key) for kind, key in wanted if kind is not Kind.USER or key not in apart]
        part = self._membership(link, group, others, adding=adding, moving=moving)
        failure: ScimError | None = None
        try:
            async with self._moves.turn(change.key):
                await part.carry_out()
        except OutcomeUnclear:
            raise
        except ScimError as error:
            failure = _hinted(error) if moving and not apart else error
            if not part.reached and not (part.blames_members and (apart or part.set_aside)):
                raise failure from None
        moved = Moved()
        if apart or part.set_aside:
            people = apart or {key: moving[key] for key in part.set_aside}
            moved = await self._moves.carry_out(change.key, people, self._change_one)
        failure = failure or moved.failure
        if failure is not None:
            if not part.reached and not moved.reached:
                raise failure
            return Done(failure.status, failure=failure)
        if moved.untried and not part.reached and not moved.reached:
            raise Refusal(Result.SKIPPED, _UNTRIED)
        return Done(
            moved.status or part.status,
            remarks(part.remark, f"{_UNTRIED}: {len(moved.untried)} of them" if moved.untried else ""),
            finished=not moved.untried,
        )

    async def _change_one(self, group: str, person: str, *, adding: bool) -> int:
        """Add one person to a group, or remove them; returns the HTTP status. Raises Refusal, Lost, ScimError."""
        link, known = self._gate.linked(Kind.GROUP, group), self._snapshot.group(group)
        assert known is not None
        part = self._membership(link, known, [(Kind.USER, person)], adding=adding)
        await part.carry_out()
        return part.status

    def _staying(self, change: Change, wanted: Iterable[Member]) -> list[Member]:
        """Return the people who aren't taken out of a group yet: they have not joined their new one."""
        if not change.action.removes:
            return []
        people = [key for kind, key in wanted if kind is Kind.USER]
        return [(Kind.USER, key) for key in self._moves.unjoined(change.key, people)]

    async def put_back(self, group: str, people: Sequence[str]) -> None:
        """Add people who are back to a group that they are gone from. Raises Refusal, Lost, ScimError."""
        link, known = self._gate.linked(Kind.GROUP, group), self._snapshot.group(group)
        there, _ = self._snapshot.members(group)
        if known is not None and (wanted := [(Kind.USER, key) for key in people if key not in there]):
            await self._membership(link, known, wanted, adding=True).carry_out()

    async def before_deletion(self, link: Link, group: KnownGroup) -> None:
        """Remove everybody from a group that is about to be deleted, where the endpoint demands it.

        Raises Refusal where a member has not joined another group yet.
        """
        if unjoined := self._moves.unjoined(group.key, self._snapshot.members(group.key)[0]):
            raise self._moves.staying(unjoined)
        if self._profile.group_emptied_first:
            users, groups = self._snapshot.members(group.key)
            everybody = [(Kind.USER, key) for key in sorted(users)] + [(Kind.GROUP, key) for key in sorted(groups)]
            await self._membership(link, group, everybody, adding=False).carry_out()

    def _membership(
        self,
        link: Link,
        group: KnownGroup,
        wanted: Sequence[Member],
        *,
        adding: bool,
        moving: Mapping[str, Sequence[str]] | None = None,
    ) -> Membership:
        """Return the change of the members that have accounts; `moving`: people with their former groups."""
        members = {id_: member for member, id_ in ids_of(self._snapshot, wanted).items()}
        has_members = group.members_digest != NO_MEMBERS
        movers = {
            id_: self._moves.called(moving[key])
            for id_, (kind, key) in members.items()
            if moving and kind is Kind.USER and key in moving
        }
        return Membership(self._tools, link, group.key, members, has_members=has_members, adding=adding, movers=movers)


def _hinted(error: ScimError) -> ScimError:
    """Return the refusal of people who are in another group, with what may be the cause."""
    if not 400 <= error.status < 500 or isinstance(error, Ineffective):
        return error
    return ScimError(error.status, f"{error.detail or 'no reason given'} ({HINT})", error.scim_type)


def members_to_change(snapshot: Snapshot, change: Change) -> list[Member]:
    """Return the members of a change that are not yet as desired."""
    users, groups = snapshot.members(change.key)
    adding = change.action.adds
    wanted: list[Member] = []
    for kind, keys, there in ((Kind.USER, change.members, users), (Kind.GROUP, change.subgroups, groups)):
        wanted += [(kind, key) for key in keys if (key in there) is not adding]
    return wanted


async def members_reached(
    gate: Gate, snapshot: Snapshot, link: Link, wanted: Iterable[Member], *, adding: bool
) -> list[Member] | None:
    """Return the members that a change has reached already, None where the endpoint shows none. Raises ScimError."""
    shown = await gate.members_of(link.id)
    if shown is None:
        return None
    ids = ids_of(snapshot, list(wanted))
    return [member for member, id_ in ids.items() if (id_ in shown) is adding]


__all__ = ["Members", "acknowledge_members", "members_reached", "members_to_change"]
