"""Presence: whether the linked resources that a run writes to are still at the target.

A resource whose write answers 404 is read before it counts as lost: the 404 may be about another resource in the
request. Where several are lost and none is there, everything managed is gone, which is one incident and no deletions.
"""

from __future__ import annotations

from collections.abc import Container, Sequence
from dataclasses import dataclass
from typing import Final

from syncd.core.model import Kind
from syncd.errors import ScimError, TargetGone
from syncd.scim.client import Client

Resource = tuple[Kind, str]
"""A kind and an id at the target."""

_GONE_AFTER: Final = 5
"""From this many lost linked resources on, with none found there, everything managed is gone."""


@dataclass(unsafe_hash=True)
class Lost(Exception):
    """The target no longer has a resource that is linked."""

    kind: Kind
    key: str


class Presence:
    """The linked resources that one run has found to be at the target, or to be gone."""

    def __init__(self, client: Client, arrived: Container[Resource]) -> None:
        """`arrived`: resources linked in this run, whose presence proves nothing about the others."""
        self._client = client
        self._arrived = arrived
        self._there: set[Resource] = set()
        self._lost: dict[Resource, Lost] = {}

    @property
    def lost(self) -> Sequence[Lost]:
        """The resources that turned out to be gone, each once."""
        return list(self._lost.values())

    def is_lost(self, resource: Resource) -> bool:
        """Return whether this run has found a resource gone."""
        return resource in self._lost

    def forget(self, lost: Lost) -> None:
        """Forget a loss: the key is linked to another resource now."""
        self._lost = {resource: each for resource, each in self._lost.items() if each != lost}

    def note(self, resource: Resource) -> None:
        """Remember that a linked resource is there, unless it arrived in this run."""
        if resource not in self._arrived:
            self._there.add(resource)

    async def lost_or(self, resource: Resource, key: str, error: ScimError) -> Exception:
        """Return Lost where the linked resource of a key is gone, else the error of the write, unchanged.

        Raises TargetGone when all resources that the run wrote to are gone.
        """
        if error.status != 404 or resource in self._there or resource in self._arrived:
            return error
        try:
            await self._client.read(*resource)
        except ScimError as answer:
            if answer.status != 404:
                return error
        else:
            self.note(resource)
            return error
        self._lost[resource] = lost = Lost(resource[0], key)
        if not self._there and len(self._lost) >= _GONE_AFTER:
            raise TargetGone(
                self._client.transport.name,
                f"has none of {len(self._lost)} managed resources that were written to",
                hint="SSO or SCIM was probably removed at the target; `syncd plan --full` tells, and once it is set up "
                "again, `syncd relink` brings it back",
            )
        return lost
