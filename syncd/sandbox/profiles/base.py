"""The behaviour of one kind of service: the methods of a profile, with the RFCs' behaviour as the default.

A profile is data plus overridden methods. A profile never handles HTTP and never runs SQL of its own.
"""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from functools import lru_cache
from typing import Any, ClassVar

from scim2_models import (
    Extension,
    NotImplementedException,
    Resource,
    ResourceType,
    Schema,
    SCIMException,
    ScimPolicy,
    ScimProvider,
    ServiceProviderConfig,
)
from scim2_models.path import FilterNode
from scim2_server.errors import MethodNotAllowedException
from scim2_server.utils import load_json_resource

from syncd.sandbox.members import MemberChange
from syncd.sandbox.options import SandboxOptions
from syncd.sandbox.resources import GROUP, USER, Document, Linked, Query, Resources

Json = dict[str, Any]


@lru_cache
def _model(schema: str, *, extends: bool) -> type[Resource[Any] | Extension]:
    """Return the cached model of a JSON schema: building a model is the slowest step of a start."""
    kind = Extension if extends else Resource
    return kind.from_schema(Schema.model_validate_json(schema))


@dataclass(frozen=True, slots=True)
class Choice:
    """A behaviour that a service's documents leave open, with its possible values. The first value is the default."""

    question: str
    answers: tuple[str, ...]
    free: bool = False
    """Whether any other text is a value too."""


class Profile:
    """RFC 7643 and 7644 to the letter. The profile of a service overrides the deviations of the service."""

    name: ClassVar[str]
    title: ClassVar[str]
    choices: ClassVar[Mapping[str, Choice]] = {}
    siblings: ClassVar[tuple[str, ...]] = ()
    """Profiles of the other integrations of the same account, each with a token of its own."""
    space: ClassVar[str] = ""
    """The kind of groups that this integration sees, where a service has several kinds."""
    endpoints: ClassVar[frozenset[str]] = frozenset(
        {"Users", "Groups", "ServiceProviderConfig", "Schemas", "ResourceTypes", "Bulk", "Me", ".search", ""}
    )
    reference_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "members": ("value", "$ref", "type"),
        "groups": ("value", "$ref", "type", "display"),
    }
    """The sub-attributes shown of a reference to another resource."""
    config_needs_token: ClassVar[bool] = False
    unindexed: ClassVar[frozenset[str]] = frozenset()
    """Attributes (lower case) whose shown or compared form differs from the stored form: no index applies."""
    most_filtered: ClassVar[int | None] = None
    """A filtered list holds no more than this many resources in all."""
    ignored_parameters: ClassVar[frozenset[str]] = frozenset()
    """Query parameters without effect."""
    cursors: ClassVar[bool] = False
    """Whether the parameter `cursor` turns a list into pages that each name the next (RFC 9865)."""
    value_list_removes: ClassVar[bool] = False
    patch_answers_with_body: ClassVar[frozenset[str]] = frozenset()
    """The types whose PATCH returns 200 and the resource. PATCH of the other types returns 204."""
    locates: ClassVar[bool] = True
    """Whether responses have a Location header."""
    locks: ClassVar[bool] = True
    """Whether people can't change resources that SCIM manages."""
    has_sso: ClassVar[bool] = False
    """Whether the account has an SSO integration that a person can remove and set up again."""

    def __init__(self, resources: Resources, options: SandboxOptions, settings: Mapping[str, str]) -> None:
        self.resources = resources
        self.options = options
        self.settings = settings

    # Announcements

    def has_endpoint(self, name: str) -> bool:
        """Whether this first (or, for `.search`, last) part of a path names an endpoint."""
        return name in self.endpoints

    def accepts_token(self) -> bool:
        """Whether this integration's token is valid now."""
        return True

    def token(self, first: str) -> str:
        """Return the token that is good now; `first`: the one that the sandbox was started with."""
        return first

    def policy(self) -> ScimPolicy:
        """Return the deviations that this service tolerates in requests."""
        return ScimPolicy()

    def config(self) -> Json:
        """Return the ServiceProviderConfig (RFC 7643 section 5)."""
        return {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:ServiceProviderConfig"],
            "patch": {"supported": True},
            "bulk": {"supported": True, "maxOperations": 1000, "maxPayloadSize": 1048576},
            "filter": {"supported": True, "maxResults": 1000},
            "changePassword": {"supported": True},
            "sort": {"supported": True},
            "etag": {"supported": True},
            "authenticationSchemes": [
                {
                    "type": "oauthbearertoken",
                    "name": "Bearer token",
                    "description": "A static token, printed when the sandbox starts",
                    "specUri": "https://www.rfc-editor.org/info/rfc6750",
                    "primary": True,
                }
            ],
        }

    def schemas(self) -> list[Json]:
        """Return the RFC's schemas, in which attributes that the sandbox derives from ids are readOnly."""
        schemas: list[Json] = load_json_resource("default-schemas.json")
        for schema in schemas:
            for attribute in schema["attributes"]:
                for sub in attribute.get("subAttributes", []):
                    if (attribute["name"], sub["name"]) in DERIVED:
                        sub.update(mutability="readOnly", required=False)
        return schemas

    def resource_types(self) -> list[Json]:
        """Return the resource types: User with the enterprise extension, and Group."""
        types: list[Json] = load_json_resource("default-resource-types.json")
        return types

    def provider(self) -> ScimProvider:
        """Return the announcements in scim2-server's form."""
        types = [ResourceType.model_validate(type_) for type_ in self.resource_types()]
        extensions = {each.schema_ for type_ in types for each in type_.schema_extensions or []}
        return ScimProvider(
            models=[_model(json.dumps(each), extends=each["id"] in extensions) for each in self.schemas()],
            resource_types=types,
            config=ServiceProviderConfig.model_validate(self.config()),
            policy=self.policy(),
        )

    # Presentation

    def addressable(self, type_: str) -> Query:
        """Return which resources of a type a request may name by id."""
        if type_ == USER:
            return Query("type = 'User'")
        return Query("type = 'Group' AND space = ? AND NOT archived", [self.space])

    def readable(self, type_: str) -> Query:
        """Return which resources of a type a GET by id finds."""
        return self.addressable(type_)

    def listed(self, type_: str, *, filtered: bool) -> Query:
        """Return which resources of a type a list shows and counts, with a filter or without."""
        return self.addressable(type_)

    def shows_group(self, group: Linked) -> bool:
        """Whether a group is among the `groups` of its members."""
        return group.space == self.space

    def group_name(self, name: str, *, managed: bool) -> str:
        """Return a group's name as the API shows it."""
        return name

    def show(self, document: Document, body: Json) -> None:
        """Change a resource's body from how it is stored to how this service shows it."""

    def items_per_page(self, asked: int | None, returned: int) -> int:
        """Return `itemsPerPage` (RFC 7644 section 3.4.2: the number of resources returned)."""
        return returned

    def total(self, matching: int, returned: int) -> int:
        """Return `totalResults` (RFC 7644 section 3.4.2: the number of matches on all pages)."""
        return matching

    def error(self, body: Json) -> Json:
        """Return an error as this service words it (RFC 7644 section 3.12)."""
        return body

    # Requests

    def check_method(self, type_: str, method: str) -> None:
        """Raise a SCIMException for a method that this service doesn't have for a type."""

    def check_body(self, type_: str, body: Json) -> None:
        """Raise a SCIMException for a resource that this service refuses; `body` is the resource as sent."""

    def read_query(self, query: dict[str, str]) -> dict[str, str]:
        """Return a list's parameters as the RFC would write them. Raises SCIMException."""
        return query

    def read_filter(self, type_: str, text: str) -> str:
        """Return a filter as the RFC would write it. Raises SCIMException."""
        return text

    def check_filter(self, type_: str, node: FilterNode) -> None:
        """Raise InvalidFilterException for a filter that this service does not take."""

    def read_patch(self, type_: str, body: bytes) -> bytes:
        """Return a PATCH body as the RFC would write it. Raises SCIMException."""
        return body

    # Changes

    def new_id(self, type_: str) -> str:
        """Return the id of a new resource; an empty text requests a random id."""
        return ""

    def create(self, document: Document, members: list[str] | None) -> Document:
        """Store a new resource. A service may adopt or restore an existing resource instead."""
        self.check(document, None)
        document.id = self.new_id(document.type)
        document.space = self.space if document.type == GROUP else ""
        document = self.resources.create(document)
        if members:
            self.change_members(document, [MemberChange("add", members)])
        return document

    def update(self, document: Document, before: Document, members: list[str] | None) -> Document:
        """Store a resource's new state; `members` None keeps the members. SCIM manages all that SCIM writes."""
        self.check(document, before)
        document.managed = True
        document = self.resources.update(document)
        if members is not None:
            self.change_members(document, [MemberChange("replace", members)])
        return document

    def written_without_effect(self, document: Document) -> Document:
        """Return a resource to which a request wrote what is there already."""
        return document

    def delete(self, document: Document) -> None:
        """Delete a resource."""
        self.resources.delete(document)

    def change_members(self, group: Document, changes: list[MemberChange]) -> bool:
        """Apply membership changes in order and return whether the members changed."""
        changed = False
        for change in changes:
            ids = change.ids or []
            if change.op != "remove" and ids:
                self.check_members(group, ids)
            if change.op == "add":
                changed |= self.resources.add_members(group, ids)
            elif change.op == "replace":
                changed |= self.resources.set_members(group, ids)
            else:
                changed |= self.resources.remove_members(group, change.ids)
        return changed

    def check(self, document: Document, before: Document | None) -> None:
        """Raise a SCIMException for a state that this service refuses; `before` None: the resource is new."""

    def checks_managers(self) -> bool:
        """Whether a manager has to be the id of a user, which RFC 7643 section 4.3 only recommends."""
        return False

    def check_members(self, group: Document, ids: list[str]) -> None:
        """Raise a SCIMException for new members that this service refuses."""

    # The people's side

    def people_group_name(self, name: str, *, managed: bool) -> str:
        """Return a group's name as people see it."""
        return name

    def remove_sso(self) -> None:
        """Remove the SSO integration, if the account has one."""

    def set_up_sso(self) -> None:
        """Set up the SSO integration again."""

    def invite(self, document: Document) -> Document:
        """Store a native user who has an invitation."""
        document.id = self.new_id(USER)
        return self.resources.create(document)


DERIVED = {("members", "display"), ("manager", "$ref")}
"""Attributes and sub-attributes derived from the id beside them: read-only, and shown by some profiles."""


NO_METHOD = ("501", "405")
"""The errors for a missing method: Not Implemented (RFC 7644 section 3.12), or Method Not Allowed."""


def no_method(answer: str, method: str, allowed: tuple[str, ...]) -> SCIMException:
    """Return the error for a missing method; `allowed`: the methods of the endpoint."""
    detail = f"{method} is not supported here"
    if answer == "405":
        return MethodNotAllowedException(detail=detail, allowed=allowed)
    return NotImplementedException(detail=detail)
