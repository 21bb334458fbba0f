"""What syncd asks of a SCIM service provider, as methods. Every answer is doubted where real endpoints lie."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final
from urllib.parse import quote as percent

from syncd.core.model import Flat, Json, Kind
from syncd.core.schema import quote
from syncd.errors import ScimError
from syncd.scim.resources import PATCH_SCHEMA, field, flatten, member_filter, merge, patch, resource
from syncd.scim.transport import Answer, Transport

ENDPOINTS: Final = {Kind.USER: "Users", Kind.GROUP: "Groups"}


@dataclass(frozen=True, slots=True)
class Found:
    """A resource at the target: its id and its body as it was read."""

    id: str
    body: dict[str, Json]


class Client:
    """One target's resources. `patch` says whether updates go by PATCH; False: read, merge, PUT."""

    def __init__(self, transport: Transport, *, patch: bool) -> None:
        self.transport = transport
        self.patch = patch

    async def create(self, kind: Kind, attributes: Flat) -> str:
        """POST a resource; returns its id from the body or, failing that, from Location. Raises ScimError."""
        answer = await self.transport.send("POST", ENDPOINTS[kind], body=resource(kind, attributes))
        id_ = field(answer.body, "id") or answer.location.rstrip("/").rpartition("/")[2]
        if not id_:
            raise ScimError(answer.status, "created, but neither body nor Location says the id")
        return str(id_)

    async def read(self, kind: Kind, id_: str) -> Found:
        """GET one resource. Raises ScimError, 404 when it is not there."""
        answer = await self.transport.send("GET", _path(kind, id_))
        if not isinstance(answer.body, dict):
            raise ScimError(answer.status, "a resource was read, and the answer holds none")
        return Found(str(field(answer.body, "id") or id_), answer.body)

    async def update(self, kind: Kind, id_: str, before: Flat, after: Flat, owned: Flat) -> Answer | None:
        """Change the paths of `after`, one operation each; None when that asks for nothing. Raises ScimError."""
        operations = patch(kind, before, after, owned)
        if not operations:
            return None
        if self.patch:
            return await self._patch(kind, id_, operations)
        found = await self.read(kind, id_)
        return await self.transport.send("PUT", _path(kind, id_), body=merge(kind, found.body, after))

    async def delete(self, kind: Kind, id_: str) -> None:
        """DELETE a resource; that it is gone already is what was wanted. Raises ScimError."""
        try:
            await self.transport.send("DELETE", _path(kind, id_))
        except ScimError as error:
            if error.status != 404:
                raise

    async def add_members(self, group: str, ids: Sequence[str]) -> None:
        """Add members, as many as one request may hold. Raises ScimError."""
        values = [{"value": id_} for id_ in ids]
        if self.patch:
            await self._patch(Kind.GROUP, group, [{"op": "add", "path": "members", "value": values}])
        else:
            await self._put_members(group, add=set(ids), remove=set())

    async def remove_members(self, group: str, ids: Sequence[str]) -> None:
        """Remove members, as many as one request may hold; a member that is gone already is fine. Raises ScimError."""
        if self.patch:
            operations = [{"op": "remove", "path": member_filter(id_)} for id_ in ids]
            await self._patch(Kind.GROUP, group, operations)
        else:
            await self._put_members(group, add=set(), remove=set(ids))

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
            there, id_ = field(body, attribute), field(body, "id")
            same = there == value if exact else str(there).casefold() == value.casefold()
            if isinstance(id_, str) and there is not None and same:
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

    async def _patch(self, kind: Kind, id_: str, operations: list[dict[str, Json]]) -> Answer:
        body = {"schemas": [PATCH_SCHEMA], "Operations": operations}
        return await self.transport.send("PATCH", _path(kind, id_), body=body)

    async def _put_members(self, group: str, add: set[str], remove: set[str]) -> None:
        """Read the group, change its member list, put it back whole: everybody else stays."""
        found = await self.read(Kind.GROUP, group)
        members = field(found.body, "members")
        if not isinstance(members, list):
            members = []
        kept = [member for member in members if field(member, "value") not in remove | add]
        body = merge(Kind.GROUP, found.body, {})
        body["members"] = kept + [{"value": id_} for id_ in sorted(add)]
        await self.transport.send("PUT", _path(Kind.GROUP, group), body=body)


def _path(kind: Kind, id_: str) -> str:
    """Return a resource's path; the id is the endpoint's and may hold anything."""
    return f"{ENDPOINTS[kind]}/{percent(id_, safe='')}"


__all__ = ["ENDPOINTS", "Client", "Found", "flatten"]
