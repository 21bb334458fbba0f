"""Moves: people go from one group to another, at a target that has room for one group a person.

#  the endpoint                                          a person
#  is not known to refuse a second group                    joins the new group; leaving the former one comes later
#  refuses it, in words or as `leaves_first` says           leaves the former group and joins the new one at once
#  refuses the join after that                              is put back into the former group
#  refuses the join for any other reason                    stays in the former group

Nobody leaves a group before the new one was joined, but for the moment of such a move. What is left undone keeps the
removal, and the deletion of the former group, from being done.
"""

from __future__ import annotations

import asyncio
import re
from collections import defaultdict
from collections.abc import AsyncIterator, Awaitable, Callable, Collection, Iterable, Sequence
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from typing import Final, Protocol

from syncd.compare.moves import Movers, doubtful_users, joins, leaves_first, movers
from syncd.core.model import Kind
from syncd.core.plan import Change, Result
from syncd.core.room import Room
from syncd.errors import OutcomeUnclear, ScimError, TargetError
from syncd.push.effects import NAMED
from syncd.push.presence import Lost
from syncd.push.refusal import Refusal
from syncd.scim.dialect import Dialect
from syncd.scim.profiles import Profile
from syncd.store import Snapshot, StateFile

_MOST_FAILURES: Final = 5
"""After more than this many failed moves in one group no more are tried."""
_SECOND_GROUP: Final = (400, 409, 422)
"""Statuses of endpoints that refuse a second group."""
_GROUP: Final = re.compile(r"group|team|unit", re.IGNORECASE)
_ANOTHER: Final = re.compile(
    r"\b(already|another|other|second|different|multiple|several|single|exactly|only|more than one|at most)\b"
    r"|\bone\b(?! of)|\bbelongs?\b",
    re.IGNORECASE,
)

HINT: Final = (
    "if the endpoint takes nobody who is in another group, `leaves_first = true` in `profile_overrides` says so"
)


def tells_of_second_group(error: ScimError, former: Iterable[str]) -> bool:
    """Return whether a refusal of members says that somebody is in another group already.

    `former`: names and ids of the groups that they are in.
    """
    if error.status not in _SECOND_GROUP or isinstance(error, OutcomeUnclear):
        return False
    text = error.detail
    return any(each and each in text for each in former) or bool(_GROUP.search(text) and _ANOTHER.search(text))


class ChangeOne(Protocol):
    """Adds one person to a group, or removes them, and returns the HTTP status. Raises Refusal, Lost, ScimError."""

    async def __call__(self, group: str, person: str, *, adding: bool) -> int: ...


@dataclass
class Moved:
    """The result of the moves into one group."""

    reached: int = 0
    status: int = 0
    failure: ScimError | None = None
    untried: list[str] = field(default_factory=list)
    """Keys of the people whose move was not tried."""


class Moves:
    """The moves of one run."""

    def __init__(
        self,
        changes: Sequence[Change],
        room: Room,
        snapshot: Snapshot,
        profile: Profile,
        dialect: Dialect,
        begin: Callable[[Change], Awaitable[None]],
        ends: Callable[[], bool],
    ) -> None:
        """`changes`: the plan's. `begin` writes down that a later change of the plan is begun. `ends`: whether nothing
        more is to be sent in this run.
        """
        self._snapshot = snapshot
        self._room = room
        self._profile = profile
        self._dialect = dialect
        self._begin = begin
        self._ends = ends
        self._moving: Movers = movers(changes, room, snapshot)
        ending = [each for each in changes if each.action.deletes and not each.action.about_user]
        self._leaving = {each.key: each for each in (*(each for each in changes if each.action.removes), *ending)}
        self._joining: defaultdict[str, list[str]] = defaultdict(list)
        for change in changes:
            for key in change.members if joins(change, room) else ():
                self._joining[key].append(change.key)
        self._put_back: dict[str, ScimError] = {}
        self._left: set[str] = set()
        self._locks: defaultdict[str, asyncio.Lock] = defaultdict(asyncio.Lock)

    # -- what is known before anything is sent -------------------------------------------------------

    def forget_doubtful(self, state: StateFile) -> None:
        """Write that nobody is in a group who is to join it, and is in another one as well by the snapshot.

        They may be in either at the target: they have joined it only when that is seen.
        """
        doubtful = doubtful_users(self._snapshot, self._room).intersection(self._joining)
        if not doubtful:
            return
        with state.atomic():
            self._snapshot.bump()
            for person in sorted(doubtful):
                for group in self._joining[person]:
                    self._snapshot.change_members(group, Kind.USER, removed=[person])

    @property
    def leaves_first(self) -> bool:
        """Whether the endpoint is known to refuse a second group."""
        return leaves_first(self._profile, self._dialect)

    def former(self, change: Change, people: Iterable[str]) -> dict[str, list[str]]:
        """Return those of some people who move into the group of a change, with the keys of their former groups."""
        if not joins(change, self._room):
            return {}
        former = {key: [group for group in self._moving.get(key, ()) if group != change.key] for key in people}
        return {key: groups for key, groups in former.items() if groups}

    def called(self, groups: Iterable[str]) -> list[str]:
        """Return the names and ids by which a refusal may call some groups."""
        known = [each for group in groups if (each := self._snapshot.group(group)) is not None]
        return [text for each in known for text in (each.name, each.id)]

    # -- what keeps people in their groups -----------------------------------------------------------

    def unjoined(self, group: str, people: Iterable[str]) -> list[str]:
        """Return those of some people who are to join another group in this run, and have not joined it."""
        waiting = [(key, each) for key in people for each in self._joining.get(key, ()) if each != group]
        there = {each: self._snapshot.members(each)[0] for _, each in waiting}
        return sorted({key for key, each in waiting if key not in there[each]})

    def has_left(self, people: Iterable[str]) -> bool:
        """Return whether somebody has left their group in this run in order to join another one."""
        return not self._left.isdisjoint(people)

    def staying(self, people: Sequence[str]) -> Refusal | ScimError:
        """Return why people are not taken out of their group, who have not joined another one."""
        if failure := next((self._put_back[key] for key in people if key in self._put_back), None):
            return failure
        return Refusal(Result.SKIPPED, self.stay(people))

    def stay(self, people: Sequence[str]) -> str:
        """Return the remark on people who are not taken out of their group."""
        more = f" and {len(people) - NAMED} more" if len(people) > NAMED else ""
        verb = "stays until the new group is" if len(people) == 1 else "stay until their new groups are"
        return f"{', '.join(people[:NAMED])}{more} {verb} joined"

    # -- moving ----------------------------------------------------------------------------------

    @asynccontextmanager
    async def turn(self, *groups: str) -> AsyncIterator[None]:
        """Keep other changes of members away from some groups. Groups are always taken in the same order."""
        async with AsyncExitStack() as stack:
            for group in sorted(set(groups)) if self._room.one_group else ():
                await stack.enter_async_context(self._locks[group])
            yield

    async def carry_out(self, group: str, people: dict[str, list[str]], change_one: ChangeOne) -> Moved:
        """Move people into a group, one after the other; `people`: keys, each with the keys of the former groups.

        Raises Lost where the group is gone, OutcomeUnclear, TargetError.
        """
        result, failures = Moved(), 0
        most = _MOST_FAILURES if self.leaves_first else 0
        for person, former in people.items():
            if failures > most or self._ends():
                result.untried.append(person)
                continue
            try:
                async with self.turn(group, *former):
                    result.status = await self._move(person, former, group, change_one)
            except OutcomeUnclear:
                raise
            except ScimError as error:
                result.failure = result.failure or error
                failures += 1
            else:
                result.reached += 1
                if not self.leaves_first:
                    self._dialect.leave_first()
                    most = _MOST_FAILURES
        return result

    async def _move(self, person: str, former: Collection[str], group: str, change_one: ChangeOne) -> int:
        """Move one person; returns the status of the join. Puts them back where they can't join, and raises why."""
        left: list[str] = []
        try:
            for each in former:
                if (leaving := self._leaving.get(each)) is not None:
                    await self._begin(leaving)
                await self._leave(each, person, left, change_one)
            return await change_one(group, person, adding=True)
        except (Refusal, Lost, ScimError, TargetError) as failure:
            if not left:
                raise
            problem = await self._return(person, left, change_one)
            raise self._told(person, left, failure, problem) from None

    async def _leave(self, group: str, person: str, left: list[str], change_one: ChangeOne) -> None:
        """Take a person out of a group; `left` gets the group where that is done, or may be."""
        try:
            await change_one(group, person, adding=False)
        except Lost:
            return  # nobody is in a group that is gone
        except OutcomeUnclear:
            left.append(group)
            raise
        left.append(group)
        self._left.add(person)

    async def _return(self, person: str, left: Iterable[str], change_one: ChangeOne) -> str:
        """Put a person back into the groups that they left; returns why that failed, "" where it didn't."""
        for group in left:
            try:
                await change_one(group, person, adding=True)
            except (Refusal, Lost, ScimError, TargetError) as problem:
                return str(problem) or type(problem).__name__
        return ""

    def _told(
        self, person: str, left: Iterable[str], failure: Refusal | Lost | ScimError | TargetError, problem: str
    ) -> Exception:
        """Return what to raise for a person who left groups and could not join; `problem`: why they are in none now.

        A join that was refused is no reason to wait where the person is in no group: the next run joins it.
        """
        names = ", ".join(each.name for key in left if (each := self._snapshot.group(key)) is not None)
        done = f"was not put back into {names} ({problem}), and is in no group" if problem else f"is back in {names}"
        if not isinstance(failure, ScimError):
            return failure
        detail = f"{person} {done}: {failure.detail or 'no reason given'}"
        if isinstance(failure, OutcomeUnclear):
            return OutcomeUnclear(failure.status, detail, failure.scim_type, stop=failure.stop)
        if problem:
            return OutcomeUnclear(failure.status, detail, failure.scim_type)
        self._put_back[person] = error = ScimError(failure.status, detail, failure.scim_type)
        return error


__all__ = ["HINT", "ChangeOne", "Moved", "Moves", "tells_of_second_group"]
