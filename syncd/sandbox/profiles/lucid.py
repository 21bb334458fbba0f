"""The behaviour that Lucid's two integrations share: one account, its users, and the API's deviations.

Each rule follows a sentence of Lucid's SCIM API reference (developer.lucid.co/reference/overview-scim). Where the
reference is silent, an option of the profile lists the possible behaviours.
"""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any, ClassVar

import orjson
from scim2_models import (
    ConflictException,
    InvalidFilterException,
    InvalidPathException,
    InvalidValueException,
    ScimPolicy,
    UniquenessException,
)
from scim2_models.path import CompareOperator, Comparison, FilterNode

from syncd.sandbox.members import PATCH_OP
from syncd.sandbox.profiles.base import Choice, Json, Profile
from syncd.sandbox.resources import GROUP, USER, Document, Query

ROLES = (
    "AccountAdmin",
    "BillingAdmin",
    "Developer",
    "DocumentAdmin",
    "EnterpriseShieldAdmin",
    "TemplateAdmin",
)

ATTRIBUTES: dict[str, tuple[str, ...]] = {
    "userName": (),
    "name": ("formatted", "givenName", "familyName"),
    "displayName": (),
    "emails": ("value", "type", "primary"),
    "active": (),
    "title": (),
    "phoneNumbers": ("value", "type"),
    "roles": ("value",),
    "password": (),
    "groups": ("value", "display"),
    "members": ("value", "$ref", "display"),
    "costCenter": (),
    "organization": (),
    "division": (),
    "department": (),
    "manager": ("value",),
}
"""The attributes of Lucid's users and groups with their sub-attributes; externalId is common to all (RFC 7643)."""

EMAIL_ALIASES = {"email", "workemail"}
FIRST_NUMBER = 1001
SHORTEST_PASSWORD = 8

_SINGLE_EQ = re.compile(r'\s*(?P<path>\S+)\s+eq\s+(?P<value>"(?:[^"\\]|\\.)*"|[^\s"]+)\s*', re.IGNORECASE)
_JSON_VALUE = re.compile(r'".*"|true|false|null', re.IGNORECASE | re.DOTALL)


class Lucid(Profile):
    """A Lucid account as one of its two tokens sees it."""

    choices: ClassVar[Mapping[str, Choice]] = {
        "deactivated-by-id": Choice("Does GET /Users/{id} find a deactivated user?", ("found", "not-found")),
        "deactivated-by-filter": Choice("Does a filter find a deactivated user?", ("hidden", "found")),
        "unsupported": Choice(
            "What becomes of attributes and phone types that Lucid doesn't support?", ("ignored", "refused")
        ),
        "value-paths": Choice(
            'Are paths such as members[value eq "…"] understood in a PATCH?', ("accepted", "refused")
        ),
    }
    endpoints: ClassVar[frozenset[str]] = frozenset({"Users", "Groups", "Schemas", "ServiceProviderConfig"})
    reference_fields: ClassVar[Mapping[str, tuple[str, ...]]] = {
        "members": ATTRIBUTES["members"],
        "groups": ATTRIBUTES["groups"],
    }
    config_needs_token: ClassVar[bool] = True
    unindexed: ClassVar[frozenset[str]] = frozenset({"displayname"})
    most_filtered: ClassVar[int | None] = 10_000
    value_list_removes: ClassVar[bool] = True
    patch_answers_with_body: ClassVar[frozenset[str]] = frozenset({USER, GROUP})
    locks: ClassVar[bool] = False

    # Announcements

    def policy(self) -> ScimPolicy:
        """Tolerate the removal of members by a value list, the form that Lucid documents."""
        refused = self.settings["unsupported"] == "refused"
        return ScimPolicy(
            unknown=ScimPolicy.Unknown.forbid if refused else ScimPolicy.Unknown.ignore,
            remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        )

    def config(self) -> Json:
        """Return the documented ServiceProviderConfig."""
        return {
            **super().config(),
            "documentationUri": "https://developer.lucid.co/reference/overview-scim",
            "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": True, "maxResults": 100},
            "changePassword": {"supported": False},
            "sort": {"supported": False},
            "etag": {"supported": True},
        }

    def schemas(self) -> list[Json]:
        """Return the schemas with Lucid's attributes alone; names of groups are case-sensitive."""
        schemas = super().schemas()
        for schema in schemas:
            schema["attributes"] = [_narrowed(each) for each in schema["attributes"] if each["name"] in ATTRIBUTES]
            if schema["name"] == GROUP:
                for attribute in schema["attributes"]:
                    attribute["caseExact"] = attribute["name"] == "displayName"
        return schemas

    # Presentation

    def readable(self, type_: str) -> Query:
        """Whether a deactivated user is found by id is not documented."""
        hidden = type_ == USER and self.settings["deactivated-by-id"] == "not-found"
        query = self.addressable(type_)
        return query.also("active") if hidden else query

    def listed(self, type_: str, *, filtered: bool) -> Query:
        """Deactivated users are included neither in totalResults nor in the users returned."""
        found = filtered and self.settings["deactivated-by-filter"] == "found"
        query = self.addressable(type_)
        return query.also("active") if type_ == USER and not found else query

    def items_per_page(self, asked: int | None, returned: int) -> int:
        """itemsPerPage is the maximum number of results and reflects the count that was sent."""
        return returned if asked is None else asked

    # Requests

    def read_filter(self, type_: str, text: str) -> str:
        """Accept values without quotation marks, and `email` and `workemail` for `emails.value`."""
        single = _SINGLE_EQ.fullmatch(text)
        if single is None:
            return text
        path, value = single["path"], single["value"]
        if type_ == USER and path.lower() in EMAIL_ALIASES:
            path = "emails.value"
        if not _JSON_VALUE.fullmatch(value):
            value = json.dumps(value)
        return f"{path} eq {value}"

    def check_filter(self, type_: str, node: FilterNode) -> None:
        """eq is the only operator; groups are filtered by displayName alone, in a single comparison."""
        if not isinstance(node, Comparison) or node.op != CompareOperator.eq:
            raise InvalidFilterException(detail="eq is the only operator, and a filter is a single comparison")
        if type_ == GROUP and str(node.attr_path).lower() != "displayname":
            raise InvalidFilterException(detail="groups can be filtered by displayName alone")

    def read_patch(self, type_: str, body: bytes) -> bytes:
        """The documented examples name the resource's schema where the RFC names PatchOp: both are accepted."""
        try:
            message = orjson.loads(body)
            operations = message["Operations"]
            paths = [str(operation.get("path") or "") for operation in operations]
        except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
            return body
        if self.settings["value-paths"] == "refused" and any("[" in path for path in paths):
            raise InvalidPathException(detail="paths with a filter are not supported")
        core = f"urn:ietf:params:scim:schemas:core:2.0:{type_}"
        return orjson.dumps({**message, "schemas": [PATCH_OP]}) if message.get("schemas") == [core] else body

    # Changes

    def new_id(self, type_: str) -> str:
        """An id has the form lucid-1234 for a user and lucid-group-1234 for a group."""
        database = self.resources.database
        number = int(database.setting("last_number", str(FIRST_NUMBER - 1))) + 1
        database.set_setting("last_number", str(number))
        return f"lucid-{number}" if type_ == USER else f"lucid-group-{number}"

    def checks_managers(self) -> bool:
        """A manager is the id of a Lucid user."""
        return True

    def check(self, document: Document, before: Document | None) -> None:
        """Check Lucid's requirements on a user or a group."""
        if document.type == USER:
            self._check_user(document)
        else:
            self._check_group(document, before)

    def _check_user(self, document: Document) -> None:
        attributes = document.attributes
        if not document.emails:
            raise InvalidValueException(detail="emails is required")
        self._check_phones(attributes)
        for role in attributes.get("roles") or []:
            if role.get("value") not in ROLES:
                raise InvalidValueException(detail=f"roles: {role.get('value')!r} is none of {', '.join(ROLES)}")
        if document.new_password is not None and len(document.new_password) < SHORTEST_PASSWORD:
            raise InvalidValueException(detail="passwords must be at least 8 characters in length")
        for address in document.emails:
            if address in self.elsewhere():
                raise UniquenessException(detail=f"User {address} can not be created because the email already exists")
            if any(holder.seq != document.seq for holder in self.resources.with_email(address)):
                raise UniquenessException(detail=f"the email {address} already exists on the account")

    def _check_phones(self, attributes: Json) -> None:
        """Only phone numbers of the type "work" are supported."""
        phones = attributes.get("phoneNumbers") or []
        kept = [phone for phone in phones if phone.get("type") == "work"]
        if len(kept) == len(phones):
            return
        if self.settings["unsupported"] == "refused":
            raise InvalidValueException(detail='phoneNumbers: only the type "work" is supported')
        attributes["phoneNumbers"] = kept

    def _check_group(self, document: Document, before: Document | None) -> None:
        """A group has no externalId; its name is unique in its name space, archived teams included."""
        if document.attributes.pop("externalId", None) and self.settings["unsupported"] == "refused":
            raise InvalidValueException(detail="a group has no externalId")
        if before is not None and before.name == document.name:
            return
        if any(holder.seq != document.seq for holder in self.named(document.name)):
            raise UniquenessException(detail=f"the group name {document.name!r} already exists on the account")

    def named(self, name: str) -> list[Document]:
        """Return the groups of this name in this integration's name space, archived ones too."""
        return self.resources.find(Query("type = 'Group' AND space = ? AND name = ?", [self.space, name]))

    def delete(self, document: Document) -> None:
        """Deleting a user is hard; the account's owner and the default document owner can't be deleted."""
        if document.type == USER and document.owner:
            raise ConflictException(detail="the account owner or default document owner cannot be deleted")
        super().delete(document)

    # Users of other Lucid accounts

    def elsewhere(self) -> set[str]:
        """Return the e-mail addresses that belong to users of other Lucid accounts."""
        return set(json.loads(self.resources.database.setting("elsewhere", "[]")))

    def set_elsewhere(self, addresses: set[str]) -> None:
        """Set the e-mail addresses that belong to users of other Lucid accounts."""
        self.resources.database.set_setting("elsewhere", json.dumps(sorted(addresses)))

    def invite(self, document: Document) -> Document:
        """An invitation by hand moves a user from another account to this account."""
        self.set_elsewhere(self.elsewhere().difference(document.emails))
        return super().invite(document)


def _narrowed(attribute: Json) -> Json:
    """Return an attribute's definition with the sub-attributes that Lucid has."""
    kept = ATTRIBUTES[attribute["name"]]
    if not kept:
        return attribute
    subs: list[Any] = [sub for sub in attribute["subAttributes"] if sub["name"] in kept]
    return {**attribute, "subAttributes": subs}
