"""Put people and groups into groups and out of them: a chunk per request, each written down when it is acknowledged."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, KnownGroup
from syncd.errors import ScimError
from syncd.gate import Gate, Link
from syncd.store import Snapshot, StateFile

Member = tuple[Kind, str]
"""A kind and a key: one key may be a person's and a group's."""

_ONE_OF_THEM: Final = (400, 404)
"""How endpoints answer members of which they don't take one."""
_REFUSED_MEMBERS: Final = 5
"""After more than so many it isn't they who are at fault, and no more are tried."""


class Members:
    """Changes the members of groups at one target."""

    def __init__(self, gate: Gate, state: StateFile, snapshot: Snapshot, per_request: int) -> None:
        self._gate = gate
        self._state = state
        self._snapshot = snapshot
        self._per_request = per_request

    async def send(
        self, link: Link, group: KnownGroup, wanted: Sequence[Member], *, adding: bool
    ) -> tuple[int, list[str]]:
        """Add or remove members; returns the last HTTP status, and the keys of those who have no account.

        Where the endpoint refuses some whom it is to add, the others are added all the same: each chunk is halved until
        those alone are left, which takes two more requests per halving. Raises Lost, ScimError.
        """
        ids = self._ids(wanted)
        has_members = group.members_digest != NO_MEMBERS
        status = 0
        refused: list[tuple[str, ScimError]] = []
        waiting = list(reversed(list(_chunks([member for member in wanted if member in ids], self._per_request))))
        while waiting and len(refused) <= _REFUSED_MEMBERS:
            chunk = waiting.pop()
            chosen = [ids[member] for member in chunk]
            try:
                if adding:
                    status = await self._gate.add_members(link, chosen, has_members=has_members)
                else:
                    status = await self._gate.remove_members(link, chosen)
            except ScimError as error:
                if not adding or error.status not in _ONE_OF_THEM:
                    raise
                if len(chunk) > 1:
                    middle = len(chunk) // 2
                    waiting += [chunk[middle:], chunk[:middle]]
                else:
                    refused.append((chunk[0][1], error))
                continue
            has_members = True
            self._acknowledge(group.key, chunk, adding=adding)
        if refused:
            raise _named(refused, sum(map(len, waiting)))
        return status, [key for kind, key in wanted if (kind, key) not in ids]

    def _ids(self, members: Sequence[Member]) -> dict[Member, str]:
        return {
            (kind, key): id_
            for kind in Kind
            for key, id_ in self._snapshot.ids(kind, [key for each, key in members if each is kind]).items()
        }

    def _acknowledge(self, group: str, members: Sequence[Member], *, adding: bool) -> None:
        with self._state.atomic():
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


def _chunks(members: Sequence[Member], size: int) -> Iterable[Sequence[Member]]:
    return (members[start : start + size] for start in range(0, len(members), size))
