"""The gate: the only way to write to a target. It knows one thing: is this resource linked to a key of the source?

Whoever wants to write needs a `Link`, and only the gate makes one: of a resource that the snapshot links, that a
create has just answered with, or that a change takes over. Whatever else there is at the target can't be named. Nobody
who is protected is switched off through it, whatever a plan says.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final

from syncd.core.model import Flat, Kind
from syncd.core.plan import Result
from syncd.errors import ScimError, TargetGone
from syncd.scim.client import Client, Found
from syncd.store import Snapshot

_GONE_AFTER: Final = 5
"""So many linked resources that are not there, and none that is: it is not they who are gone."""
_SEAL: Final = object()


@dataclass(frozen=True)
class Refusal(Exception):
    """A change that is not tried: its precondition no longer holds (REFUSED), or something before it (SKIPPED)."""

    result: Result
    reason: str


@dataclass(frozen=True)
class Lost(Exception):
    """The target no longer has a resource that is linked."""

    kind: Kind
    key: str


class Link:
    """The right to write to one resource. Only the gate makes it."""

    __slots__ = ("id", "key", "kind")

    def __init__(self, kind: Kind, key: str, id_: str, seal: object) -> None:
        if seal is not _SEAL:
            raise TypeError("only the gate links a resource")
        self.kind, self.key, self.id = kind, key, id_


class Gate:
    """Everything that is asked of and written to one target in one run."""

    def __init__(
        self,
        client: Client,
        snapshot: Snapshot,
        protected: Callable[[str, str], str] = lambda key, id_: "",
    ) -> None:
        """`protected` returns why the account of a key, with an id, is never switched off; "" where it may be."""
        self._client = client
        self._snapshot = snapshot
        self._protected = protected
        self._claimed: dict[tuple[Kind, str], str] = {}
        self._answering = False
        self._missing: list[Lost] = []

    @property
    def patch(self) -> bool:
        """Whether updates go by PATCH, as far as the endpoint has shown."""
        return self._client.patch

    @patch.setter
    def patch(self, patch: bool) -> None:
        self._client.patch = patch

    @property
    def missing(self) -> Sequence[Lost]:
        """What turned out not to be there."""
        return self._missing

    # -- links -----------------------------------------------------------------------------------

    def linked(self, kind: Kind, key: str) -> Link:
        """Return the link of a key that the snapshot knows. Raises Refusal."""
        known = self._snapshot.user(key) if kind is Kind.USER else self._snapshot.group(key)
        what = "an account" if kind is Kind.USER else "a group"
        if known is None:
            raise Refusal(Result.REFUSED, f"no longer linked to {what}")
        if known.lost:
            raise Refusal(Result.REFUSED, f"the target no longer has the {what.split()[-1]}")
        return Link(kind, key, known.id, _SEAL)

    def claim(self, kind: Kind, id_: str, key: str, said: str, former: str | None = None) -> Link:
        """Link a resource that a create answered with or that is taken over, unless it is somebody else's.

        Two entries with one userName, or an endpoint that answers a create with what it has. `former` is the key that
        a person takes the account from. Raises ScimError.
        """
        owner = self._snapshot.key_of(kind, id_)
        if owner is None or owner == former:
            owner = self._claimed.setdefault((kind, id_), key)
        if owner != key:
            what = "account" if kind is Kind.USER else "group"
            raise ScimError(409, f"{said}; the {what} belongs to the source's key {owner}")
        return Link(kind, key, id_, _SEAL)

    # -- asking ----------------------------------------------------------------------------------

    async def find(self, kind: Kind, attribute: str, value: str, *, exact: bool) -> list[Found]:
        """Return the resources whose attribute has a value. Raises ScimError."""
        return await self._client.find(kind, attribute, value, exact=exact)

    async def read(self, kind: Kind, id_: str) -> Found:
        """Return one resource. Raises ScimError."""
        return await self._client.read(kind, id_)

    # -- writing ---------------------------------------------------------------------------------

    async def create(self, kind: Kind, key: str, attributes: Flat) -> tuple[Link, int]:
        """Create a resource; returns its link and the HTTP status. Raises ScimError."""
        id_, status = await self._client.create(kind, attributes)
        what = "account" if kind is Kind.USER else "group"
        return self.claim(kind, id_, key, f"the endpoint answered with another {what}"), status

    async def update(self, link: Link, before: Flat, after: Flat, owned: Flat, *, has_members: bool = False) -> int:
        """Change the paths of `after`; returns the HTTP status, 0 when nothing had to be asked.

        Raises Refusal, Lost, ScimError.
        """
        if after.get("active") is False:
            self._refuse_protected(link)
        try:
            status = await self._client.update(link.kind, link.id, before, after, owned, has_members=has_members)
        except ScimError as error:
            raise self._lost_or(link, error) from None
        self._answering = self._answering or bool(status)
        return status

    async def delete(self, link: Link) -> int:
        """Delete a resource; that it is gone already (404) is what was wanted. Raises Refusal, ScimError."""
        self._refuse_protected(link)
        status = await self._client.delete(link.kind, link.id)
        self._answering = self._answering or status != 404
        return status

    async def add_members(self, link: Link, ids: Sequence[str], *, has_members: bool) -> int:
        """Add members to a group. Raises Lost when the group is gone, ScimError."""
        try:
            status = await self._client.add_members(link.id, ids, has_members=has_members)
        except ScimError as error:
            raise await self._group_lost_or(link, error) from None
        self._answering = True
        return status

    async def remove_members(self, link: Link, ids: Sequence[str]) -> int:
        """Remove members from a group. Raises Lost when the group is gone, ScimError."""
        try:
            status = await self._client.remove_members(link.id, ids)
        except ScimError as error:
            raise await self._group_lost_or(link, error) from None
        self._answering = True
        return status

    def _refuse_protected(self, link: Link) -> None:
        if link.kind is Kind.USER and (reason := self._protected(link.key, link.id)):
            raise Refusal(Result.REFUSED, f"protected: {reason}")

    async def _group_lost_or(self, link: Link, error: ScimError) -> Exception:
        """Find out whether it is the group that isn't there, or one of the members."""
        if error.status != 404:
            return error
        try:
            await self._client.read(Kind.GROUP, link.id)
        except ScimError as answer:
            if answer.status == 404:
                return self._lost_or(link, error)
        return error

    def _lost_or(self, link: Link, error: ScimError) -> Exception:
        if error.status != 404:
            return error
        self._note_missing(link)
        return Lost(link.kind, link.key)

    def _note_missing(self, link: Link) -> None:
        """Count what is not there. Raises TargetGone when that is all there is to be heard."""
        self._missing.append(Lost(link.kind, link.key))
        if not self._answering and len(self._missing) >= _GONE_AFTER:
            raise TargetGone(
                self._client.transport.name,
                f"has none of {len(self._missing)} managed resources that were written to",
                hint="SSO or SCIM was probably removed at the target; `syncd plan --full` tells, and once it is set up "
                "again, `syncd relink` brings it back",
            )
