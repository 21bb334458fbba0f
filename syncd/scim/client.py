"""What syncd asks of a SCIM service provider, as methods. Every answer is doubted where real endpoints lie."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote as percent
from urllib.parse import unquote, urlsplit

from syncd.core.model import Flat, Json, Kind
from syncd.core.schema import quote
from syncd.errors import ScimError
from syncd.scim.resources import (
    PATCH_SCHEMA,
    field,
    flatten,
    member_filter,
    merge,
    patch,
    resource,
    with_members,
)
from syncd.scim.transport import Transport

ENDPOINTS: Final = {Kind.USER: "Users", Kind.GROUP: "Groups"}
_NO_PATCH: Final = (405, 501)
"""Method not allowed, not implemented: how endpoints without PATCH answer it."""

Body = dict[str, Json]


@dataclass(frozen=True, slots=True)
class Found:
    """A resource at the target: its id and its body as it was read."""

    id: str
    body: Body


class Client:
    """One target's resources. `patch` says whether updates go by PATCH; False: read, merge, PUT.

    `patch_open`: nobody knows for certain that the endpoint takes PATCH. Once it refuses one that then succeeds
    as a PUT, `patch` turns False for the rest.
    """

    def __init__(self, transport: Transport, *, patch: bool, patch_open: bool = False) -> None:
        self.transport = transport
        self.patch = patch
        self.patch_open = patch_open

    async def create(self, kind: Kind, attributes: Flat) -> tuple[str, int]:
        """POST a resource; returns its id, from the body or failing that from Location, and the HTTP status.

        Raises ScimError; with a status of success when neither says the id.
        """
        answer = await self.transport.send("POST", ENDPOINTS[kind], body=resource(kind, attributes))
        id_ = _id(answer.body) or _id_in_location(kind, answer.location)
        if not id_:
            raise ScimError(answer.status, "created, but neither body nor Location says the id")
        return id_, answer.status

    async def read(self, kind: Kind, id_: str) -> Found:
        """GET one resource. Raises ScimError, 404 when it is not there."""
        answer = await self.transport.send("GET", _path(kind, id_))
        if not isinstance(answer.body, dict):
            raise ScimError(answer.status, "a resource was read, and the answer holds none")
        return Found(_id(answer.body) or id_, answer.body)

    async def update(
        self, kind: Kind, id_: str, before: Flat, after: Flat, owned: Flat, *, has_members: bool = False
    ) -> int:
        """Change the paths of `after`, one operation each; returns the HTTP status, 0 when nothing had to be asked.

        `has_members`: of a group, that it is known to have some. Raises ScimError.
        """
        operations = patch(kind, before, after, owned)
        if not operations:
            return 0
        return await self._change(kind, id_, operations, lambda body: merge(kind, body, after), has_members)

    async def delete(self, kind: Kind, id_: str) -> int:
        """DELETE a resource; that it is gone already is what was wanted. Returns the HTTP status. Raises ScimError."""
        try:
            return (await self.transport.send("DELETE", _path(kind, id_))).status
        except ScimError as error:
            if error.status != 404:
                raise
            return 404

    async def add_members(self, group: str, ids: Sequence[str], *, has_members: bool) -> int:
        """Add members, as many as one request may hold; returns the HTTP status. Raises ScimError.

        `has_members`: the group is known to have some already.
        """
        operation = {"op": "add", "path": "members", "value": [{"value": id_} for id_ in ids]}
        return await self._change(Kind.GROUP, group, [operation], lambda body: with_members(body, ids, ()), has_members)

    async def remove_members(self, group: str, ids: Sequence[str]) -> int:
        """Remove members, as many as one request may hold; returns the HTTP status. Raises ScimError.

        A member that is gone already is fine; where the endpoint objects to it, the others are removed one by one.
        """
        operations = [{"op": "remove", "path": member_filter(id_)} for id_ in ids]
        try:
            return await self._change(
                Kind.GROUP, group, operations, lambda body: with_members(body, (), ids), has_members=True
            )
        except ScimError as error:
            if error.scim_type.casefold() != "notarget":
                raise
            if len(ids) > 1:
                for id_ in ids:
                    await self.remove_members(group, [id_])
            return error.status

    async def find(self, kind: Kind, attribute: str, value: str, *, exact: bool) -> list[Found]:
        """Return the resources whose attribute has a value, checked again here: some endpoints ignore filters.

        `exact` compares as is (externalId is caseExact, RFC 7643 section 3.1), else case is folded. An endpoint
        may answer 404 where nothing matches. Raises ScimError.
        """
        query = {"filter": f"{attribute} eq {quote(value)}", "startIndex": "1", "count": "10"}
        try:
            answer = await self.transport.send("GET", ENDPOINTS[kind], query=query)
        except ScimError as error:
            if error.status == 404:
                return []
            raise
        listed = field(answer.body, "Resources") or []
        found: dict[str, Found] = {}
        for body in listed if isinstance(listed, list) else []:
            there, id_ = field(body, attribute), _id(body)
            same = there == value if exact else str(there).casefold() == value.casefold()
            if id_ and there is not None and same:
                found[id_] = Found(id_, body)
        return list(found.values())

    async def service_provider_config(self) -> Json:
        """GET /ServiceProviderConfig (RFC 7644 section 4). Raises ScimError."""
        return (await self.transport.send("GET", "ServiceProviderConfig")).body

    async def discovery(self, endpoint: str) -> Json:
        """GET another discovery endpoint, `Schemas` or `ResourceTypes`. Raises ScimError."""
        return (await self.transport.send("GET", endpoint)).body

    async def count(self, kind: Kind) -> int:
        """Return how many resources the endpoint says it has, for people to read. Raises ScimError."""
        answer = await self.transport.send("GET", ENDPOINTS[kind], query={"startIndex": "1", "count": "1"})
        total = field(answer.body, "totalResults")
        if not isinstance(total, int | str) or not str(total).isdecimal():
            raise ScimError(answer.status, "the answer is no list of SCIM resources")
        return int(total)

    async def _change(
        self,
        kind: Kind,
        id_: str,
        operations: list[dict[str, Json]],
        merged: Callable[[Body], Body],
        has_members: bool,
    ) -> int:
        """Change a resource by PATCH or, where the endpoint has none, by a PUT of what it has, changed by `merged`."""
        if not self.patch:
            return await self._put(kind, id_, merged, has_members)
        body = {"schemas": [PATCH_SCHEMA], "Operations": operations}
        try:
            return (await self.transport.send("PATCH", _path(kind, id_), body=body)).status
        except ScimError as refusal:
            if not self.patch_open or refusal.status not in _NO_PATCH:
                raise
            try:
                status = await self._put(kind, id_, merged, has_members)
            except ScimError as error:
                raise refusal if error.status in _NO_PATCH else error from None
        self.patch = False
        return status

    async def _put(self, kind: Kind, id_: str, merged: Callable[[Body], Body], has_members: bool) -> int:
        """Read a resource and put it back whole, changed: what syncd doesn't own stays as it is."""
        found = await self.read(kind, id_)
        if has_members and not field(found.body, "members"):
            # Some endpoints never show members (AWS): what they don't show, a PUT would take away.
            raise ScimError(200, "the group has members but the endpoint shows none; a PUT would remove them all")
        return (await self.transport.send("PUT", _path(kind, id_), body=merged(found.body))).status


def _path(kind: Kind, id_: str) -> str:
    """Return a resource's path; the id is the endpoint's and may hold anything. Raises ScimError."""
    if id_ in ("", ".", ".."):
        # `Users/..` is another address (RFC 3986 section 5.2.4), and a DELETE of it another deed.
        raise ScimError(0, f"not sent: the id `{id_}` can't be part of an address")
    return f"{ENDPOINTS[kind]}/{percent(id_, safe='')}"


def _id(body: Json) -> str:
    """Return a resource's id, "" where there is none; a number counts as its digits."""
    id_ = field(body, "id")
    return str(id_) if isinstance(id_, str | int) and not isinstance(id_, bool) else ""


def _id_in_location(kind: Kind, location: str) -> str:
    """Return the id at the end of a resource's address, "" where it is not one of this kind (RFC 7644 section 3.1)."""
    try:
        collection, _, last = urlsplit(location).path.rstrip("/").rpartition("/")
    except ValueError:
        return ""
    return unquote(last) if collection.rpartition("/")[2].casefold() == ENDPOINTS[kind].casefold() else ""


__all__ = ["ENDPOINTS", "Client", "Found", "flatten"]
