"""Put people and groups into groups and out of them: a chunk per request, each written down when it is acknowledged."""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence
from functools import partial
from itertools import count
from typing import Final

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, KnownGroup
from syncd.errors import OutcomeUnclear, ScimError, TargetError
from syncd.push.gate import Gate, Link
from syncd.scim.client import chunks_of_members
from syncd.scim.profiles import Profile
from syncd.store import Commits, Snapshot

Member = tuple[Kind, str]
"""A kind and a key: one key may be a person's and a group's."""

_ONE_OF_THEM: Final = (400, 404)
"""How endpoints answer members of which they don't take one."""
_TOO_LARGE: Final = 413
"""RFC 9110 section 15.5.14, and RFC 7644 section 3.7.4 for more than an endpoint takes at a time."""
_REFUSED_MEMBERS: Final = 5
"""After more than so many it isn't they who are at fault, and no more are tried."""


class Members:
    """Changes the members of groups at one target."""

    def __init__(self, gate: Gate, commits: Commits, snapshot: Snapshot, profile: Profile) -> None:
        self._gate = gate
        self._commits = commits
        self._snapshot = snapshot
        self._profile = profile
        self._fits = sys.maxsize
        """So many members at a time weren't too large for a request, as far as is known."""

    async def send(
        self, link: Link, group: KnownGroup, wanted: Sequence[Member], *, adding: bool
    ) -> tuple[int, list[str]]:
        """Add or remove members; returns the last HTTP status, and the keys of those who have no account.

        Where the endpoint refuses some whom it is to add, the others are added all the same: each chunk is halved until
        those alone are left, which takes two more requests per halving. A request that is too large for it is halved as
        well, and none is that large again. Raises Lost, ScimError.
        """
        ids = self._ids(wanted)
        members = {ids[member]: member for member in wanted if member in ids}
        has_members = group.members_digest != NO_MEMBERS
        status = 0
        refused: list[tuple[str, ScimError]] = []
        waiting = list(reversed(list(chunks_of_members(self._profile, list(members), adding=adding))))
        while waiting and len(refused) <= _REFUSED_MEMBERS:
            chunk = waiting.pop()
            if len(chunk) > self._fits:
                waiting += [chunk[self._fits :], chunk[: self._fits]]
                continue
            try:
                status = await self._send(link, chunk, adding=adding, has_members=has_members) or status
            except ScimError as error:
                middle = len(chunk) // 2
                if error.status == _TOO_LARGE and middle:
                    self._fits = min(self._fits, middle)
                    waiting.append(chunk)
                elif not adding or error.status not in _ONE_OF_THEM:
                    raise
                elif middle:
                    waiting += [chunk[middle:], chunk[:middle]]
                else:
                    refused.append((members[chunk[0]][1], error))
                continue
            has_members = True
            await self._commits.write(
                partial(self.acknowledge, group.key, [members[id_] for id_ in chunk], adding=adding)
            )
        if refused:
            raise _named(refused, sum(map(len, waiting)))
        return status, [key for kind, key in wanted if (kind, key) not in ids]

    async def _send(self, link: Link, ids: Sequence[str], *, adding: bool, has_members: bool) -> int:
        """Send one chunk; where the outcome is unclear, look who is a member now, and send the others again.

        Members that nobody shows are sent again as they were: adding one twice changes nothing (RFC 7644 section
        3.5.2.1), and neither does removing one twice.
        """
        for attempt in count(1):
            try:
                if adding:
                    return await self._gate.add_members(link, ids, has_members=has_members)
                return await self._gate.remove_members(link, ids)
            except OutcomeUnclear as unclear:
                if attempt >= self._gate.attempts or unclear.stop is not None:
                    raise
                await self._gate.back_off(attempt)
                try:
                    there = await self._gate.members_of(link.id)
                except (ScimError, TargetError) as why:
                    raise unclear.unseen(why) from None
                if there is not None:
                    ids = [id_ for id_ in ids if (id_ in there) is not adding]
                if not ids:
                    return unclear.status
        raise AssertionError

    def _ids(self, members: Sequence[Member]) -> dict[Member, str]:
        return {
            (kind, key): id_
            for kind in Kind
            for key, id_ in self._snapshot.ids(kind, [key for each, key in members if each is kind]).items()
        }

    async def there(self, link: Link, wanted: Iterable[Member], *, adding: bool) -> list[Member] | None:
        """Return whom a change of members has reached already, None where nobody shows. Raises ScimError."""
        shown = await self._gate.members_of(link.id)
        if shown is None:
            return None
        ids = self._ids(list(wanted))
        return [member for member, id_ in ids.items() if (id_ in shown) is adding]

    def acknowledge(self, group: str, members: Sequence[Member], *, adding: bool) -> None:
        """Write that members came or went; belongs inside the state file's `atomic()`."""
        for kind in Kind:
            keys = [key for each, key in members if each is kind]
            if keys:
                added, removed = (keys, []) if adding else ([], keys)
                self._snapshot.change_members(group, kind, added, removed)
        self._snapshot.bump()


def _named(refused: Sequence[tuple[str, ScimError]], left: int) -> ScimError:
    """Return whom the endpoint didn't take, in its own words."""
    _, error = refused[0]
    names = ", ".join(key for key, _ in refused)
    rest = f"; {left} more were not tried" if left else ""
    return ScimError(error.status, f"refuses {len(refused)} of the members ({names}): {error.detail}{rest}")
