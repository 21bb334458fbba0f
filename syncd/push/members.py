"""Members: people and groups are added to a group and removed from it, a chunk per request.

Each chunk is recorded when it is acknowledged, not at the end of the change: an interrupted change continues with the
next chunk.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field
from functools import partial
from typing import Final

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, KnownGroup
from syncd.core.plan import Change, Result
from syncd.errors import ScimError
from syncd.push.effects import NAMED
from syncd.push.gate import Gate, Link
from syncd.push.outcomes import Done
from syncd.push.preconditions import linked_group
from syncd.push.refusal import Refusal
from syncd.push.sending import Sending
from syncd.scim.client import chunks_of_members
from syncd.scim.profiles import Profile
from syncd.store import Commits, Snapshot

Member = tuple[Kind, str]
"""A kind and a key: one key may be a person's and a group's."""

_ONE_OF_THEM: Final = (400, 404)
"""Statuses of endpoints that refuse one of several members."""
_TOO_LARGE: Final = 413
"""Too large: RFC 9110 section 15.5.14, and RFC 7644 section 3.7.4."""
_REFUSED_MEMBERS: Final = 5
"""After more than this many refusals the members are not at fault, and no more are tried."""


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
    ) -> None:
        """`unmade`: keys of the groups whose creation did not succeed in this run, as far as it got."""
        self._gate = gate
        self._sending = sending
        self._commits = commits
        self._snapshot = snapshot
        self._profile = profile
        self._unmade = unmade
        self._fits = sys.maxsize
        """The largest number of members that may fit into one request, as far as is known."""

    async def change(self, change: Change) -> Done:
        """Change a group's members that are not yet as desired."""
        link, group = linked_group(self._gate, self._snapshot, self._unmade, change)
        wanted = members_to_change(self._snapshot, change)
        if not wanted:
            raise Refusal(Result.REFUSED, "the members are as they should be already")
        status, left = await self._apply(link, group, wanted, adding=change.action.adds)
        if len(left) == len(wanted):
            who = (
                f"none of the {len(left)} members has an account" if len(left) > 1 else "the only member has no account"
            )
            raise Refusal(Result.SKIPPED, who)
        have = "have" if len(left) > 1 else "has"
        remark = f"without {len(left)} who {have} no account yet ({', '.join(left[:NAMED])})" if left else ""
        return Done(status, remark, finished=not left)

    async def before_deletion(self, link: Link, group: KnownGroup) -> None:
        """Remove everybody from a group that is about to be deleted, where the endpoint demands it."""
        if self._profile.group_emptied_first:
            users, groups = self._snapshot.members(group.key)
            everybody = [(Kind.USER, key) for key in sorted(users)] + [(Kind.GROUP, key) for key in sorted(groups)]
            await self._apply(link, group, everybody, adding=False)

    async def _apply(
        self, link: Link, group: KnownGroup, wanted: Sequence[Member], *, adding: bool
    ) -> tuple[int, list[str]]:
        """Add or remove members; returns the last HTTP status, and the keys of the members without an account.

        Where the endpoint refuses some members that are to be added, the others are added all the same: each chunk is
        halved until the refused ones are alone, which takes two more requests per halving. A request that is too large
        is halved as well, and no later one is that large. Raises Lost, ScimError.
        """
        ids = ids_of(self._snapshot, wanted)
        members = {ids[member]: member for member in wanted if member in ids}
        chunks = _Chunks(list(reversed(list(chunks_of_members(self._profile, list(members), adding=adding)))))
        has_members = group.members_digest != NO_MEMBERS
        status = 0
        while chunks.waiting and len(chunks.refused) <= _REFUSED_MEMBERS:
            chunk = chunks.waiting.pop()
            if len(chunk) > self._fits:
                chunks.put_back(chunk, self._fits)
                continue
            try:
                effect = await self._sending.change_members(link, chunk, adding=adding, has_members=has_members)
            except ScimError as error:
                self._note_refused(chunks, chunk, error, adding=adding)
                continue
            status = effect.status or status
            has_members = True
            reached = [members[id_] for id_ in chunk]
            await self._commits.write(partial(acknowledge_members, self._snapshot, group.key, reached, adding=adding))
        if chunks.refused:
            raise _named([(members[id_][1], error) for id_, error in chunks.refused], sum(map(len, chunks.waiting)))
        return status, [key for kind, key in wanted if (kind, key) not in ids]

    def _note_refused(self, chunks: _Chunks, chunk: Sequence[str], error: ScimError, *, adding: bool) -> None:
        """Divide a chunk that was refused, or note its only member as refused.

        Raises the error where neither the size nor a member is its cause.
        """
        middle = len(chunk) // 2
        if error.status == _TOO_LARGE and middle:
            self._fits = min(self._fits, middle)
            chunks.waiting.append(chunk)
        elif not adding or error.status not in _ONE_OF_THEM:
            raise error
        elif middle:
            chunks.put_back(chunk, middle)
        else:
            chunks.refused.append((chunk[0], error))


@dataclass(slots=True)
class _Chunks:
    """The chunks of one change of members: ids that wait, the next chunk at the end, and ids that were refused."""

    waiting: list[Sequence[str]]
    refused: list[tuple[str, ScimError]] = field(default_factory=list)

    def put_back(self, chunk: Sequence[str], size: int) -> None:
        """Put a chunk back in two parts, the first of this size."""
        self.waiting += [chunk[size:], chunk[:size]]


def members_to_change(snapshot: Snapshot, change: Change) -> list[Member]:
    """Return the members of a change that are not yet as desired."""
    users, groups = snapshot.members(change.key)
    adding = change.action.adds
    wanted: list[Member] = []
    for kind, keys, there in ((Kind.USER, change.members, users), (Kind.GROUP, change.subgroups, groups)):
        wanted += [(kind, key) for key in keys if (key in there) is not adding]
    return wanted


def ids_of(snapshot: Snapshot, members: Sequence[Member]) -> dict[Member, str]:
    """Return the ids of members; members without an account are left out."""
    return {
        (kind, key): id_
        for kind in Kind
        for key, id_ in snapshot.ids(kind, [key for each, key in members if each is kind]).items()
    }


async def members_reached(
    gate: Gate, snapshot: Snapshot, link: Link, wanted: Iterable[Member], *, adding: bool
) -> list[Member] | None:
    """Return the members that a change has reached already, None where the endpoint shows none. Raises ScimError."""
    shown = await gate.members_of(link.id)
    if shown is None:
        return None
    ids = ids_of(snapshot, list(wanted))
    return [member for member, id_ in ids.items() if (id_ in shown) is adding]


def acknowledge_members(snapshot: Snapshot, group: str, members: Sequence[Member], *, adding: bool) -> None:
    """Record added or removed members; belongs inside the state file's `atomic()`."""
    for kind in Kind:
        keys = [key for each, key in members if each is kind]
        if keys:
            added, removed = (keys, []) if adding else ([], keys)
            snapshot.change_members(group, kind, added, removed)
    snapshot.bump()


def _named(refused: Sequence[tuple[str, ScimError]], left: int) -> ScimError:
    """Return the error that names the members which the endpoint refused, in the endpoint's words."""
    _, error = refused[0]
    names = ", ".join(key for key, _ in refused)
    rest = f"; {left} more were not tried" if left else ""
    return ScimError(error.status, f"refuses {len(refused)} of the members ({names}): {error.detail}{rest}")
