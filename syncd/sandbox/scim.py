"""The SCIM side over HTTP: scim2-server's service and handler, answering from stored JSON.

scim2-server routes, validates, applies PATCH and PUT, plans bulk requests and words the errors. This module handles
responses and members of large groups, for which scim2-server's objects are too slow, and a profile's deviations.
"""

from __future__ import annotations

from dataclasses import replace
from http import HTTPStatus
from typing import Any, cast

import orjson
from scim2_models import (
    InvalidValueException,
    NotFoundException,
    ResourceType,
    ResponseParameters,
    SearchRequest,
    UnauthorizedException,
)
from scim2_server.applications.asgi import ASGIApplication, Receive, Scope, Send
from scim2_server.handler import ScimHandler
from scim2_server.requests import ScimRequest
from scim2_server.responses import ScimResponse
from scim2_server.routing import Operation, Target
from scim2_server.service import ScimService

from syncd.sandbox.cursors import opened, sealed
from syncd.sandbox.members import GroupPatch, take_apart
from syncd.sandbox.profiles.base import Json, Profile
from syncd.sandbox.resources import GROUP, Document
from syncd.sandbox.storage import FURTHEST, SandboxStorage

LIST_RESPONSE = "urn:ietf:params:scim:api:messages:2.0:ListResponse"
WHOLE = frozenset({"members", "groups"})
ALWAYS_RETURNED = frozenset({"id", "schemas"})

Parameters = ResponseParameters[Any] | SearchRequest[Any] | None


class SandboxHandler(ScimHandler):
    """One integration's requests, from routing to the JSON of the response."""

    storage: SandboxStorage

    def __init__(self, service: ScimService, storage: SandboxStorage) -> None:
        super().__init__(service, storage)
        self.profile: Profile = storage.profile

    def handle(self, request: ScimRequest) -> ScimResponse:
        """Serve a request, unless this service lacks the endpoint."""
        parts = request.path.strip("/").split("/")
        named = {parts[0], ".search"} & set(parts)
        if not all(self.profile.has_endpoint(name) for name in named):
            raise NotFoundException(detail=f"No SCIM endpoint at {request.path!r}")
        ignored = self.profile.ignored_parameters
        query = {name: value for name, value in request.query.items() if name not in ignored}
        return super().handle(replace(request, query=query))

    def create(self, request: ScimRequest) -> ScimResponse:
        """Create a resource (RFC 7644 section 3.3)."""
        with self.service.provider:
            _, resource_type = self._target(request, Operation.create)
            self._check_body(request, resource_type)
            resource = self.service.read_creation(resource_type, request.body, request.header("Content-Type"))
            document = self.storage.create_document(resource_type, resource)
            return self._answer(request, document, HTTPStatus.CREATED)

    def query(self, request: ScimRequest) -> ScimResponse:
        """Read a resource (RFC 7644 section 3.4.1)."""
        with self.service.provider:
            target, resource_type = self._target(request, Operation.query)
            parameters = self.service.read_response_parameters(resource_type, request.query)
            document = self.storage.document(resource_type, target.resource_id, reading=True)
            if not self.service.read_conditions(request).check(self._version(document), "GET"):
                return ScimResponse(HTTPStatus.NOT_MODIFIED, None, {"ETag": document.etag})
            return self._answer(request, document, HTTPStatus.OK, parameters)

    def replace(self, request: ScimRequest) -> ScimResponse:
        """Replace a resource (RFC 7644 section 3.5.1). A request without effect keeps the version."""
        with self.service.provider:
            target, resource_type = self._target(request, Operation.replace)
            parameters = self.service.read_response_parameters(resource_type, request.query)
            with self.storage.operation():
                document = self.storage.document(resource_type, target.resource_id)
                self._check_body(request, resource_type)
                replacement = self.service.read_replacement(resource_type, request.body, request.header("Content-Type"))
                conditions = self.service.read_conditions(request)
                current = self.storage.model(document)
                replaced = self.service.apply_replacement(current, replacement, conditions)
                if replaced is not None:
                    document = self.storage.update_document(resource_type, replaced)
                else:
                    document = self.profile.written_without_effect(document)
            return self._answer(request, document, HTTPStatus.OK, parameters)

    def patch(self, request: ScimRequest) -> ScimResponse:
        """Modify a resource (RFC 7644 section 3.5.2). A request without effect keeps the version."""
        with self.service.provider:
            target, resource_type = self._target(request, Operation.patch)
            parameters = self.service.read_response_parameters(resource_type, request.query)
            with self.storage.operation():
                document = self._patched(request, resource_type, target.resource_id)
            asked = parameters.attributes or parameters.excluded_attributes
            if not asked and document.type not in self.profile.patch_answers_with_body:
                return ScimResponse(HTTPStatus.NO_CONTENT, None, self._headers(document))
            return self._answer(request, document, HTTPStatus.OK, parameters)

    def search(self, request: ScimRequest) -> ScimResponse:
        """Search with GET (RFC 7644 section 3.4.2)."""
        with self.service.provider:
            types, allowed = self._searched(request, Operation.search)
            query = self.profile.read_query(dict(request.query))
            cursor = query.pop("cursor", None) if self.profile.cursors else None
            if "filter" in query and len(types) == 1:
                query["filter"] = self.profile.read_filter(str(types[0].name), query["filter"])
            search_request, _ = self.service.read_search_query(types, query)
            if cursor is not None:
                return self._page(request, allowed, search_request, cursor)
            return self._list(request, allowed, search_request)

    def search_with_body(self, request: ScimRequest) -> ScimResponse:
        """Search with POST (RFC 7644 section 3.4.3)."""
        with self.service.provider:
            types, allowed = self._searched(request, Operation.search_with_body)
            search_request, _ = self.service.read_search_body(types, request.body, request.header("Content-Type"))
            return self._list(request, allowed, search_request)

    # Steps

    def _check_body(self, request: ScimRequest, resource_type: ResourceType) -> None:
        """Refuse a resource without `schemas`, which is required (RFC 7643 section 3)."""
        try:
            body = orjson.loads(request.body)
        except orjson.JSONDecodeError:
            return
        if not isinstance(body, dict):
            return
        if not any(name.lower() == "schemas" and body[name] for name in body):
            raise InvalidValueException(detail="schemas is required")
        self.profile.check_body(str(resource_type.name), body)

    def _target(self, request: ScimRequest, operation: Operation) -> tuple[Target, ResourceType]:
        target = self.service.route(request, operation)
        resource_type = self.service.resource_type_at(cast(str, target.endpoint))
        self.profile.check_method(str(resource_type.name), request.method.upper())
        self.service.authorize(request, target, resource_type)
        return target, resource_type

    def _searched(self, request: ScimRequest, operation: Operation) -> tuple[list[ResourceType], list[ResourceType]]:
        target = self.service.route(request, operation)
        types = self.service.searched_types(target.endpoint)
        return types, self.service.authorized_types(request, target, types)

    def _patched(self, request: ScimRequest, resource_type: ResourceType, id_: str | None) -> Document:
        """Apply a PATCH. Changes of members don't load the members of a group where the request allows it."""
        body = self.profile.read_patch(str(resource_type.name), request.body)
        parts = self._group_patch(request, body) if resource_type.name == GROUP else None
        patch_op = None
        if parts is None or parts.rest is not None:
            body = body if parts is None else cast(bytes, parts.rest)
            patch_op = self.service.read_patch(resource_type, body, request.header("Content-Type"))
        document = self.storage.document(resource_type, id_)
        conditions = self.service.read_conditions(request)
        conditions.check(self._version(document), "PATCH")
        if patch_op is not None:
            current = self.storage.model(document, members=parts is None)
            patched = self.service.apply_patch(current, patch_op, conditions)
            if patched is not None:
                document = self.storage.update_document(resource_type, patched, members=parts is None)
            else:
                document = self.profile.written_without_effect(document)
        if parts is not None and parts.members and self.profile.change_members(document, parts.members):
            self.storage.resources.touch(document)
        return document

    def _group_patch(self, request: ScimRequest, body: bytes) -> GroupPatch | None:
        self.service.ensure_json(request.header("Content-Type"))
        return take_apart(body, value_list_removes=self.profile.value_list_removes)

    # Answers

    def _answer(
        self, request: ScimRequest, document: Document, status: HTTPStatus, parameters: Parameters = None
    ) -> ScimResponse:
        (body,) = self._bodies(request, [document], parameters)
        headers = self._headers(document)
        if self.profile.locates:
            location = headers["Content-Location"] = self.storage.location(document, request.base_url)
            if status is HTTPStatus.CREATED:
                headers["Location"] = location
        return ScimResponse(status, body, headers)

    def _version(self, document: Document) -> str | None:
        return document.etag if self.service.etag_supported else None

    def _headers(self, document: Document) -> dict[str, str]:
        version = self._version(document)
        return {} if version is None else {"ETag": version}

    def _list(
        self, request: ScimRequest, types: list[ResourceType], search_request: SearchRequest[Any]
    ) -> ScimResponse:
        search_request.start_index = min(search_request.start_index or 1, FURTHEST)
        with self.storage.operation():
            total, documents = self.storage.page(types, search_request)
            resources = self._bodies(request, documents, search_request)
        body = {
            "schemas": [LIST_RESPONSE],
            "totalResults": self.profile.total(total, len(resources)),
            "itemsPerPage": self.profile.items_per_page(search_request.count, len(resources)),
            "startIndex": search_request.start_index,
            "Resources": resources,
        }
        return ScimResponse(HTTPStatus.OK, body)

    def _page(
        self, request: ScimRequest, types: list[ResourceType], search_request: SearchRequest[Any], cursor: str
    ) -> ScimResponse:
        """Answer with the page at a cursor; the last page names no next cursor (RFC 9865 section 2)."""
        (type_,) = (str(each.name) for each in types)
        with self.storage.operation():
            left, documents = self.storage.page(types, search_request, after=opened(cursor, type_))
            resources = self._bodies(request, documents, search_request)
        body: Json = {"schemas": [LIST_RESPONSE], "itemsPerPage": len(resources), "Resources": resources}
        if left > len(documents):
            body["nextCursor"] = sealed(documents[-1].seq, type_)
        return ScimResponse(HTTPStatus.OK, body)

    def _bodies(self, request: ScimRequest, documents: list[Document], parameters: Parameters) -> list[Json]:
        """Return the shown body of each document: all attributes, or the attributes that `parameters` select."""
        wanted = _names(parameters.attributes) if parameters else None
        unwanted = _names(parameters.excluded_attributes) if parameters else None
        if wanted:
            without = frozenset(name for name in WHOLE if not any(name in each for each in wanted))
        else:
            without = frozenset(unwanted or ()) & WHOLE
        pairs = self.storage.bodies(documents, request.base_url, without=without)
        if not wanted and not unwanted:
            return [body for _, body in pairs]
        plain = unwanted and all(name.isalpha() for name in unwanted)
        if plain:
            dropped = set(unwanted or ()) - ALWAYS_RETURNED
            return [{name: value for name, value in body.items() if name.lower() not in dropped} for _, body in pairs]
        return [self.storage.selected(document, body, parameters) for document, body in pairs]


def _names(paths: list[Any] | None) -> set[str]:
    return {str(path).lower() for path in paths or ()}


class ScimApplication(ASGIApplication):
    """The SCIM endpoints of one sandbox. The bearer token decides which integration answers."""

    def __init__(self, handlers: dict[str, SandboxHandler]) -> None:
        self.handlers = handlers
        first = next(iter(handlers.values()))
        # The asynchronous handler that scim2-server makes of the storage is never called. Requests are served
        # one by one, so that a read and the write that depends on the read are one step.
        super().__init__(cast(Any, first.storage), first.service.provider, first.service)

    async def read_request(self, scope: Scope, receive: Receive) -> ScimRequest:
        """Return the SCIM request of an ASGI request, whose headers may be any bytes (RFC 9110 section 5.5)."""
        readable = [(name, value.decode("latin-1").encode()) for name, value in scope["headers"]]
        return await super().read_request({**scope, "headers": readable}, receive)

    @staticmethod
    def get_base_url(scope: Scope) -> str:
        """Return the root URL of the SCIM endpoints as the client addressed it."""
        headers = dict(scope["headers"])
        return f"{scope['scheme']}://{headers.get(b'host', b'localhost').decode()}{scope.get('root_path', '')}"

    @staticmethod
    def split_path(path: str) -> str:
        """Return a path relative to the root of the SCIM endpoints (`.scim`: RFC 7644 section 3.8)."""
        return path.removesuffix(".scim")

    async def dispatch_request(self, request: ScimRequest) -> ScimResponse:
        """Find the integration that the token belongs to and let it answer."""
        return self._handler(request).handle(request)

    def _handler(self, request: ScimRequest) -> SandboxHandler:
        """Return the handler for a request's token. /ServiceProviderConfig needs none (RFC 7643 section 5)."""
        scheme, _, token = (request.header("Authorization") or "").partition(" ")
        for given, handler in self.handlers.items():
            is_its_own = scheme.lower() == "bearer" and token.strip() == handler.profile.token(given)
            if is_its_own and handler.profile.accepts_token():
                return handler
        first = next(iter(self.handlers.values()))
        if request.path.strip("/") == "ServiceProviderConfig" and not first.profile.config_needs_token:
            return first
        raise UnauthorizedException(detail="The bearer token is missing or not accepted")

    def finalize_response(self, request: ScimRequest, response: ScimResponse) -> ScimResponse:
        """Add the header that every response carries, and word errors as the service does."""
        if response.status >= HTTPStatus.BAD_REQUEST and response.body is not None:
            response.body = next(iter(self.handlers.values())).profile.error(response.body)
        response.headers.setdefault("Cache-Control", "no-cache")
        return response

    @staticmethod
    async def send_response(response: ScimResponse, send: Send) -> None:
        """Send a SCIM response, which has a Content-Length unless it has no body by definition."""
        body = b"" if response.body is None else orjson.dumps(response.body)
        headers = [(name.encode(), value.encode()) for name, value in response.headers.items()]
        if response.status not in (HTTPStatus.NO_CONTENT, HTTPStatus.NOT_MODIFIED):
            headers.append((b"Content-Length", str(len(body)).encode()))
        await send({"type": "http.response.start", "status": int(response.status), "headers": headers})
        await send({"type": "http.response.body", "body": body})
