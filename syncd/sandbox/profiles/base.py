"""How a kind of service behaves: the questions that the sandbox asks of a profile, with the RFCs' answers.

A profile is data plus overridden answers. It never speaks HTTP and never writes SQL.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, ClassVar

from scim2_models import ResourceType, Schema, ScimPolicy, ScimProvider, ServiceProviderConfig
from scim2_models.path import FilterNode
from scim2_server.utils import load_json_resource

from syncd.sandbox.options import SandboxOptions
from syncd.sandbox.resources import GROUP, USER, Document, Query, Resources

Json = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Choice:
    """A point that a service's documents leave open: the answers there may be, the first being the default."""

    answers: tuple[str, ...]
    question: str


class Profile:
    """RFC 7643 and 7644 to the letter; what a service does otherwise, its profile overrides."""

    name: ClassVar[str] = "generic"
    title: ClassVar[str] = "SCIM 2.0 service provider"
    choices: ClassVar[Mapping[str, Choice]] = {}
    siblings: ClassVar[tuple[str, ...]] = ()
    """Profiles of the other integrations of the same account, each with a token of its own."""
    space: ClassVar[str] = ""
    """What kind of groups this integration sees, where a service has more than one."""
    endpoints: ClassVar[frozenset[str]] = frozenset(
        {"Users", "Groups", "ServiceProviderConfig", "Schemas", "ResourceTypes", "Bulk", "Me", ".search", ""}
    )
    unindexed: ClassVar[frozenset[str]] = frozenset()
    """Attributes (lower case) that are shown otherwise than they are stored: no index finds them."""
    value_list_removes: ClassVar[bool] = False
    patch_answers_with_body: ClassVar[bool] = False
    policy: ClassVar[ScimPolicy] = ScimPolicy()

    def __init__(self, resources: Resources, options: SandboxOptions, settings: Mapping[str, str]) -> None:
        self.resources = resources
        self.options = options
        self.settings = settings

    # What it announces

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
        """Return the schemas: the RFC's, where what the sandbox derives from ids is readOnly."""
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
        """Return all of it as scim2-server wants it."""
        return ScimProvider.from_discovery(
            [Schema.model_validate(schema) for schema in self.schemas()],
            [ResourceType.model_validate(type_) for type_ in self.resource_types()],
            config=ServiceProviderConfig.model_validate(self.config()),
            policy=self.policy,
        )

    # What it shows

    def visible(self, type_: str) -> Query:
        """Return which resources of a type this integration can address at all."""
        if type_ == USER:
            return Query("type = 'User'")
        return Query("type = 'Group' AND space = ? AND NOT archived", [self.space])

    def listed(self, type_: str) -> Query:
        """Return which resources of a type a list shows and counts."""
        return self.visible(type_)

    def show(self, document: Document, body: Json) -> None:
        """Change a resource's body from how it is stored to how this service shows it."""

    def items_per_page(self, asked: int | None, returned: int) -> int:
        """Return `itemsPerPage` (RFC 7644 section 3.4.2: the number of resources returned)."""
        return returned

    def check_filter(self, type_: str, node: FilterNode) -> None:
        """Raise InvalidFilterException for a filter that this service does not take."""

    # What it does

    def new_id(self, type_: str) -> str:
        """Return the id of a new resource; empty for a random one."""
        return ""

    def create(self, document: Document, members: list[str] | None) -> Document:
        """Store a new resource, or whatever this service makes of the request."""
        document.id = self.new_id(document.type)
        document.space = self.space if document.type == GROUP else ""
        with self.resources.database.transaction():
            self.check(document, None, members)
            document = self.resources.create(document)
            if members:
                self.resources.set_members(document, members)
        return document

    def update(self, document: Document, before: Document, members: list[str] | None) -> Document:
        """Store a resource's new state; `members` None leaves them alone."""
        with self.resources.database.transaction():
            self.check(document, before, members)
            document = self.resources.update(document)
            if members is not None:
                self.resources.set_members(document, members)
        return document

    def delete(self, document: Document) -> None:
        """Delete a resource."""
        self.resources.delete(document)

    def check(self, document: Document, before: Document | None, members: list[str] | None) -> None:
        """Raise a SCIMException for a state that this service refuses; `before` None: it is new."""

    def check_members(self, group: Document, added: list[str]) -> None:
        """Raise a SCIMException for members that this service refuses."""


DERIVED = {("members", "display"), ("manager", "$ref")}
"""Attribute and sub-attribute that the sandbox fills in from the id beside them."""
