"""Presence: whether the linked resources that a run writes to are still at the target.

A resource whose write answers 404 is read before it counts as lost: the 404 may be about another resource in the
request. So does one that answers with somebody else's mark and name. The first loss raises the question whether the
target still is the place: a sample of the others is asked for before anything more is written. Everything managed gone
is one incident and no deletions.
"""

from __future__ import annotations

import asyncio
from collections.abc import Container, Sequence
from dataclasses import dataclass

from syncd.core.model import Kind
from syncd.core.place import Sight
from syncd.errors import ScimError, TargetError, TargetGone
from syncd.place.looking import Resource, question, sight_of
from syncd.scim.client import Body, Client
from syncd.store import Snapshot


@dataclass(unsafe_hash=True)
class Lost(Exception):
    """The target no longer has a resource that is linked."""

    kind: Kind
    key: str


class Presence:
    """The linked resources that one run has found to be at the target, or to be gone."""

    def __init__(self, client: Client, snapshot: Snapshot, arrived: Container[Resource]) -> None:
        """`arrived`: resources linked in this run, whose presence proves nothing about the others."""
        self._client = client
        self._snapshot = snapshot
        self._arrived = arrived
        self._there: set[Resource] = set()
        self._lost: dict[Resource, Lost] = {}
        self._asking = asyncio.Lock()
        self._asked_at = 0
        self._incident: TargetError | None = None

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

    async def settled(self) -> None:
        """Wait while a sample is asked for: nothing is written meanwhile. Raises TargetError: nothing more is."""
        if self._asking.locked():
            async with self._asking:
                pass
        if self._incident is not None:
            raise self._incident

    async def lost_or(self, resource: Resource, key: str, error: ScimError) -> Exception:
        """Return Lost where the linked resource of a key is gone, else the error of the write, unchanged.

        Raises TargetGone when everything managed of a sort is gone, TargetError.
        """
        if error.status != 404 or resource in self._there or resource in self._arrived:
            return error
        try:
            found = await self._client.read(*resource)
        except ScimError as answer:
            if answer.status != 404:
                return error
        else:
            if not self._is_strangers(resource, key, found.body):
                self.note(resource)
                return error
        return await self.missed(resource, key)

    async def missed(self, resource: Resource, key: str) -> Lost:
        """Return the loss of a linked resource, after the question whether the others are there.

        It is asked again when the losses have doubled. Raises TargetGone, TargetError.
        """
        self._lost[resource] = lost = Lost(resource[0], key)
        async with self._asking:
            if self._incident is not None:
                raise self._incident
            if len(self._lost) >= 2 * self._asked_at:
                self._asked_at = len(self._lost)
                try:
                    await question(self._client, self._snapshot, self._client.profile, list(self._lost), self._arrived)
                except TargetGone as incident:
                    self._incident = incident
                    raise
        return lost

    def _is_strangers(self, resource: Resource, key: str, body: Body) -> bool:
        kind = resource[0]
        known = self._snapshot.user(key) if kind is Kind.USER else self._snapshot.group(key)
        return known is not None and sight_of(known, body, self._snapshot, self._client.profile) is Sight.OTHERS
