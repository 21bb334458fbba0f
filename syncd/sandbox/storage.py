"""scim2-server's storage interface over the sandbox's resources, seen through a profile.

Owns the conversion between stored JSON and scim2-models' objects, and the searches. The profile decides which changes
of a resource are valid. `resources` decides how a resource is stored.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import replace
from typing import Any

from scim2_models import (
    Context,
    InvalidValueException,
    NotFoundException,
    PreconditionFailedException,
    Resource,
    ResourceType,
    ResponseParameters,
    ScimFilter,
    ScimProvider,
    SearchRequest,
    UniquenessException,
)
from scim2_server.storage import ScimStorage, SearchPage
from scim2_server.utils import parametrize

from syncd.sandbox.database import ENTERPRISE
from syncd.sandbox.profiles.base import Json, Profile
from syncd.sandbox.resources import (
    DERIVED,
    ENDPOINTS,
    GROUP,
    USER,
    Document,
    Linked,
    Query,
    Resources,
    Taken,
    UnknownMember,
)
from syncd.sandbox.search import condition, names

Model = Resource[Any]

FURTHEST = 2**62
"""A limit for offsets, within SQLite's integers. No resource is beyond this limit."""


class SandboxStorage(ScimStorage):
    """The resources as one integration of a service sees them."""

    def __init__(self, resources: Resources, profile: Profile, provider: ScimProvider) -> None:
        self.resources = resources
        self.profile = profile
        self.provider = provider

    @contextmanager
    def operation(self) -> Iterator[None]:
        """Run one SCIM operation in one transaction, and raise conflicts as SCIM errors."""
        with _as_scim(), self.resources.database.transaction():
            yield

    # scim2-server's interface

    def get(
        self,
        resource_type: ResourceType,
        resource_id: str,
        *,
        response_parameters: ResponseParameters[Any] | None = None,
    ) -> Model:
        return self.model(self.document(resource_type, resource_id))

    def search(
        self,
        resource_types: list[ResourceType],
        search_request: SearchRequest[Any],
        *,
        position: Any = None,
    ) -> SearchPage:
        total, documents = self.page(resource_types, search_request)
        bodies = self.bodies(documents)
        return SearchPage(total, [self._model_of(document, body) for document, body in bodies])

    def create(self, resource_type: ResourceType, resource: Model) -> Model:
        return self.model(self.create_document(resource_type, resource))

    def update(self, resource_type: ResourceType, resource: Model, *, expected_version: str | None = None) -> Model:
        return self.model(self.update_document(resource_type, resource, expected_version))

    def delete(self, resource_type: ResourceType, resource_id: str, *, expected_version: str | None = None) -> None:
        with self.operation():
            document = self.document(resource_type, resource_id)
            _check_version(document, expected_version)
            self.profile.delete(document)

    # Documents

    def document(self, resource_type: ResourceType, resource_id: str | None, *, reading: bool = False) -> Document:
        """Return a stored resource that this integration may address, or read. Raises NotFoundException."""
        name = str(resource_type.name)
        query = self.profile.readable(name) if reading else self.profile.addressable(name)
        query = query.also("id = ?", resource_id)
        found = self.resources.find(query, limit=1)
        if not found:
            raise NotFoundException(detail=f"{resource_type.name} {resource_id!r} not found")
        return found[0]

    def create_document(self, resource_type: ResourceType, resource: Model) -> Document:
        """Store the resource of a creation request and return the stored document."""
        attributes, members, password = _attributes(resource)
        with self.operation():
            document = Document(str(resource_type.name), attributes)
            document.set_password(password)
            self._check_manager(document, None)
            return self.profile.create(document, members)

    def update_document(
        self,
        resource_type: ResourceType,
        resource: Model,
        expected_version: str | None = None,
        *,
        members: bool = True,
    ) -> Document:
        """Store a resource's whole new state; without `members`, the members stay unchanged."""
        with self.operation():
            before = self.document(resource_type, resource.id)
            _check_version(before, expected_version)
            document = self.document(resource_type, resource.id)
            document.attributes, ids, password = _attributes(resource)
            document.set_password(password)
            self._check_manager(document, before)
            is_group = document.type == GROUP
            return self.profile.update(document, before, (ids or []) if is_group and members else None)

    def _check_manager(self, document: Document, before: Document | None) -> None:
        """Refuse a manager that is no user's id, where the profile checks managers: a client may send a source key."""
        manager = _manager(document) if self.profile.checks_managers() else None
        if manager is None or (before is not None and _manager(before) == manager):
            return
        if self.resources.get(manager, USER) is None:
            raise InvalidValueException(detail=f"manager.value: no user has the id {manager!r}")

    # Bodies and models

    def bodies(
        self, documents: Sequence[Document], base_url: str | None = None, *, without: frozenset[str] = frozenset()
    ) -> list[tuple[Document, Json]]:
        """Return each document with its JSON as the service shows it.

        With `base_url`, references are URLs and `meta.location` is set. Without `base_url`, references are relative.
        `without`: derived attributes (`members`, `groups`) that the caller doesn't need.
        """
        users = [document for document in documents if document.type == USER]
        groups = {} if "groups" in without else self.resources.groups_of(users)
        bodies = []
        for document in documents:
            body = self._whole(document, base_url, groups.get(document.seq, []), members="members" not in without)
            self.profile.show(document, body)
            bodies.append((document, body))
        return bodies

    def _whole(self, document: Document, base_url: str | None, groups: list[Linked], *, members: bool) -> Json:
        """Return a document's stored JSON, with the derived attributes."""
        fields = self.profile.reference_fields
        body = {"schemas": document.attributes["schemas"], "id": document.id, **document.attributes}
        if document.type == USER:
            if shown := self._shown(groups):
                body["groups"] = [_reference(group, base_url, fields["groups"], "direct") for group in shown]
        elif members and (linked := self._shown_members(document)):
            body["members"] = [_reference(member, base_url, fields["members"]) for member in linked]
        body["meta"] = _meta(document, base_url)
        return body

    def _shown(self, groups: list[Linked]) -> list[Linked]:
        """Return the groups of a user that this integration shows, under their shown names."""
        return [self._renamed(group) for group in groups if self.profile.shows_group(group)]

    def _shown_members(self, group: Document) -> list[Linked]:
        return [self._renamed(each) if each.type == GROUP else each for each in self.resources.members(group)]

    def _renamed(self, group: Linked) -> Linked:
        return replace(group, name=self.profile.group_name(group.name, managed=group.managed))

    def selected(self, document: Document, body: Json, parameters: Any) -> Json:
        """Return the part of a body that `attributes` and `excludedAttributes` select (RFC 7644 section 3.9)."""
        context = Context.RESOURCE_QUERY_RESPONSE
        dumped: Json = self._model_of(document, body).model_dump(scim_ctx=context, response_parameters=parameters)
        return dumped

    def location(self, document: Document, base_url: str) -> str:
        """Return a resource's URL."""
        return _url(base_url, document.type, document.id)

    def model(self, document: Document, *, members: bool = True) -> Model:
        """Return a document as the object that scim2-models patches and replaces: as stored, not as shown."""
        groups = self.resources.groups_of([document]).get(document.seq, [])
        return self._model_of(document, self._whole(document, None, groups, members=members))

    def _model_of(self, document: Document, body: Json) -> Model:
        with self.provider:
            model: Any = self.provider.model_for(document.type)
            built: Model = model.model_validate(body)
            return built

    # Searching

    def page(
        self, resource_types: list[ResourceType], search_request: SearchRequest[Any], *, after: int = 0
    ) -> tuple[int, list[Document]]:
        """Return the number of matching resources, and the resources of the requested page.

        `after`: the `seq` of a resource. This resource and all resources created earlier are left out.
        """
        types = list(dict.fromkeys(str(resource_type.name) for resource_type in resource_types))
        start = search_request.start_index_0 or 0
        count = search_request.count
        scim_filter = search_request.filter
        most = self.profile.most_filtered if scim_filter is not None else None
        query, exact = self._query(types, scim_filter)
        if after:
            query = query.also("seq > ?", after)
        if exact and search_request.sort_by is None:
            total = self.resources.count(query)
            ends = [end for end in (most, None if count is None else start + count) if end is not None]
            limit = max(0, min(ends) - start) if ends else None
            return min(total, most or total), self.resources.find(query, offset=start, limit=limit)
        wanted = set() if scim_filter is None else names(scim_filter.ast)
        if search_request.sort_by is not None:
            wanted.add(str(search_request.sort_by).lower())
        without = frozenset(name for name in ("members", "groups") if not any(name in each for each in wanted))
        candidates = self.bodies(self.resources.find(query), without=without)
        pairs = [(document, self._model_of(document, body)) for document, body in candidates]
        if scim_filter is not None and not exact:
            evaluate = self._bound(scim_filter, types)
            pairs = [pair for pair in pairs if evaluate.match(pair[1])]
        if search_request.sort_by is not None:
            order = {id(model): index for index, model in enumerate(search_request.sort([m for _, m in pairs]))}
            pairs.sort(key=lambda pair: order[id(pair[1])])
        pairs = pairs[:most]
        stop = None if count is None else start + count
        return len(pairs), [document for document, _ in pairs[start:stop]]

    def _query(self, types: list[str], scim_filter: ScimFilter[Any] | None) -> tuple[Query, bool]:
        """Return the narrowest query that finds every match, and whether the query finds matches only."""
        parts: list[Query] = []
        exact = True
        for type_ in types:
            part = self.profile.listed(type_, filtered=scim_filter is not None)
            if scim_filter is not None:
                self.profile.check_filter(type_, scim_filter.ast)
                found = condition(scim_filter.ast, type_, self.profile.unindexed)
                part = part.also(found.query.where, *found.query.parameters)
                exact = exact and found.exact
            parts.append(part)
        where = " OR ".join(f"({part.where})" for part in parts)
        return Query(where, [parameter for part in parts for parameter in part.parameters]), exact

    def _bound(self, scim_filter: ScimFilter[Any], types: list[str]) -> ScimFilter[Any]:
        """Return a filter that can be evaluated: a filter without a model is bound to the searched models."""
        if scim_filter.models:
            return scim_filter
        models: Any = [self.provider.model_for(type_) for type_ in types]
        union = models[0]
        for model in models[1:]:
            union |= model
        bound: ScimFilter[Any] = parametrize(ScimFilter, union)(str(scim_filter))
        return bound


@contextmanager
def _as_scim() -> Iterator[None]:
    """Raise the errors of `resources` as SCIM errors (RFC 7644 section 3.12)."""
    try:
        yield
    except Taken as error:
        raise UniquenessException(detail=str(error)) from error
    except UnknownMember as error:
        raise InvalidValueException(detail=str(error)) from error
    except UnicodeEncodeError as error:
        raise InvalidValueException(detail=f"half of a surrogate pair is no text: {error.object!a}") from error


def _attributes(resource: Model) -> tuple[Json, list[str] | None, str | None]:
    """Return a model's stored attributes, its members' ids (None: not given) and the new password."""
    dumped = resource.model_dump()
    members = dumped.get("members")
    attributes = {name: value for name, value in dumped.items() if name not in DERIVED}
    if isinstance(manager := attributes.get(ENTERPRISE, {}).get("manager"), dict):
        manager.pop("$ref", None)
    ids = None if members is None else [member["value"] for member in members if member.get("value")]
    return attributes, ids, dumped.get("password")


def _manager(document: Document) -> str | None:
    manager = document.attributes.get(ENTERPRISE, {}).get("manager") or {}
    value: str | None = manager.get("value")
    return value


def _check_version(document: Document, expected: str | None) -> None:
    if expected is not None and document.etag != expected:
        raise PreconditionFailedException


def _url(base_url: str | None, type_: str, id_: str) -> str:
    relative = f"{ENDPOINTS[type_]}/{id_}"
    return relative if base_url is None else f"{base_url.rstrip('/')}/{relative}"


def _reference(linked: Linked, base_url: str | None, fields: tuple[str, ...], label: str = "") -> Json:
    """Return a reference to a resource; `label` is the reference's `type`, for a member the resource type."""
    url = _url(base_url, linked.type, linked.id)
    every = {"value": linked.id, "$ref": url, "display": linked.name, "type": label or linked.type}
    return {name: every[name] for name in fields}


def _meta(document: Document, base_url: str | None) -> Json:
    meta = {
        "resourceType": document.type,
        "created": document.created,
        "lastModified": document.modified,
        "version": document.etag,
    }
    if base_url is not None:
        meta["location"] = _url(base_url, document.type, document.id)
    return meta
