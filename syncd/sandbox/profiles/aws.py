"""Profile `aws-identity-center`: AWS IAM Identity Center, which shows no members and pages by cursors.

Each rule follows a sentence of "IAM Identity Center SCIM Implementation" (docs.aws.amazon.com/singlesignon/latest/
developerguide: creategroup, createuser, limitations, listgroups, listusers, patchgroup, patchuser, putuser,
supported-apis), and the wording of errors follows answers that users of other clients reported. Where both are
silent, an option of the profile lists the possible behaviours. The rules for PATCH are in `aws_patch`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from typing import ClassVar
from uuid import uuid4

from scim2_models import (
    InvalidFilterException,
    InvalidValueException,
    NotFoundException,
    ScimPolicy,
    UniquenessException,
)

from syncd.sandbox.database import ENTERPRISE
from syncd.sandbox.profiles.aws_patch import MOST_MEMBERS, read_operations
from syncd.sandbox.profiles.base import NO_METHOD, Choice, Json, Profile, no_method
from syncd.sandbox.resources import GROUP, USER, Document, Linked, Query, comparable

PAGE = 100
DUPLICATE = "Refused to create a new, duplicate resource."
UNSUPPORTED = {"ims", "photos", "x509Certificates", "entitlements", "password"}
SINGLE = ("emails", "addresses", "phoneNumbers")
"""Multi-valued attributes of which a user has at most one value."""

FILTERS: dict[str, dict[str, str]] = {
    USER: {
        "userName": "userName",
        "externalId": "externalId",
        "id": "id",
        "manager": f"{ENTERPRISE}:manager.value",
        "groups.value": "groups.value",
    },
    GROUP: {
        "displayName": "displayName",
        "externalId": "externalId",
        "id": "id",
        "member": "members.value",
        "members": "members.value",
        "members.value": "members.value",
    },
}
"""The attributes that a filter may compare, with their names in the RFC."""

TOGETHER = ({"id", f"{ENTERPRISE}:manager.value"}, {"id", "members.value"})
"""The only two comparisons that may be joined by `and`."""

_COMPARISON = re.compile(r'\s*(?P<name>[\w.]+)\s+eq\s+(?P<value>"(?:[^"\\]|\\.)*")\s*', re.IGNORECASE)
_AND = re.compile(r"and\b", re.IGNORECASE)


class AwsIdentityCenter(Profile):
    """The identity store of an AWS organisation."""

    name: ClassVar[str] = "aws-identity-center"
    title: ClassVar[str] = "AWS IAM Identity Center"
    endpoints: ClassVar[frozenset[str]] = frozenset(
        {"Users", "Groups", "ServiceProviderConfig", "Schemas", "ResourceTypes"}
    )
    config_needs_token: ClassVar[bool] = True
    ignored_parameters: ClassVar[frozenset[str]] = frozenset({"startIndex", "attributes", "excludedAttributes"})
    cursors: ClassVar[bool] = True
    value_list_removes: ClassVar[bool] = True
    patch_answers_with_body: ClassVar[frozenset[str]] = frozenset({USER})
    locates: ClassVar[bool] = False
    choices: ClassVar[Mapping[str, Choice]] = {
        "member-paths": Choice(
            'Is members[value eq "…"] understood in a PATCH, besides lists of values?', ("refused", "accepted")
        ),
        "put-group": Choice("With which status is a PUT of a group refused?", NO_METHOD),
        "unsupported": Choice("What becomes of attributes that AWS doesn't support?", ("refused", "ignored")),
        "total-results": Choice(
            "What is totalResults of a list without a cursor: all that match, or those on its one page?",
            ("all", "page"),
        ),
    }

    # Announcements

    def policy(self) -> ScimPolicy:
        """Tolerate the removal of members by a value list, the form that AWS accepts."""
        refused = self.settings["unsupported"] == "refused"
        return ScimPolicy(
            unknown=ScimPolicy.Unknown.forbid if refused else ScimPolicy.Unknown.ignore,
            remove_value_as_filter=ScimPolicy.RemoveValue.apply,
        )

    def config(self) -> Json:
        """Return the ServiceProviderConfig, which does not announce cursors."""
        return {
            **super().config(),
            "documentationUri": "https://docs.aws.amazon.com/singlesignon/latest/developerguide/what-is-scim.html",
            "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0},
            "filter": {"supported": True, "maxResults": PAGE},
            "changePassword": {"supported": False},
            "sort": {"supported": False},
            "etag": {"supported": False},
        }

    def schemas(self) -> list[Json]:
        """Return the schemas without the attributes that AWS doesn't support."""
        schemas = super().schemas()
        for schema in schemas:
            schema["attributes"] = [each for each in schema["attributes"] if each["name"] not in UNSUPPORTED]
            for attribute in schema["attributes"]:
                if attribute["name"] in SINGLE:
                    subs = attribute["subAttributes"]
                    attribute["subAttributes"] = [sub for sub in subs if sub["name"] != "display"]
        return schemas

    # Presentation

    def shows_group(self, group: Linked) -> bool:
        """A user's groups are not shown: only a filter finds the members of a group."""
        return False

    def show(self, document: Document, body: Json) -> None:
        """GetGroup and ListGroups return an empty member list; meta has no version and no location."""
        if document.type == GROUP:
            body["members"] = []
        for name in ("version", "location"):
            body["meta"].pop(name, None)

    def total(self, matching: int, returned: int) -> int:
        """Whether totalResults counts resources beyond the page is not documented."""
        return matching if self.settings["total-results"] == "all" else returned

    def error(self, body: Json) -> Json:
        """Return an error with AWS's additions, and without a scimType."""
        return {
            "schema": body["schemas"],
            "schemas": body["schemas"],
            "detail": body.get("detail", ""),
            "status": str(body["status"]),
            "exceptionRequestId": str(uuid4()),
            "timeStamp": datetime.now(UTC).isoformat(" ", "milliseconds").removesuffix("+00:00"),
        }

    # Requests

    def check_method(self, type_: str, method: str) -> None:
        """Refuse PUT of a group: AWS has no PutGroup."""
        if type_ == GROUP and method == "PUT":
            raise no_method(self.settings["put-group"], method, ("GET", "PATCH", "DELETE"))

    def check_body(self, type_: str, body: Json) -> None:
        """Refuse a user with `groups`: a user can't be sent with memberships."""
        if type_ == USER and any(name.lower() == "groups" for name in body):
            raise InvalidValueException(detail="groups can't be specified with a user")

    def read_query(self, query: dict[str, str]) -> dict[str, str]:
        """A page has 100 resources unless `count` says fewer; its valid range is 1 to 100."""
        count = query.get("count", str(PAGE))
        if not (count.isdecimal() and 1 <= int(count) <= PAGE):
            raise InvalidValueException(detail=f"count must be from 1 to {PAGE}")
        return {**query, "count": count}

    def read_filter(self, type_: str, text: str) -> str:
        """Accept one comparison by `eq`, or `id` and a reference joined by `and`; a member must exist."""
        found = self._comparisons(type_, text)
        if len(found) != 1 and (len(found) != 2 or set(found) not in TOGETHER):
            raise InvalidFilterException(detail=f"no such combination in a filter: {' and '.join(found)}")
        member = found.get("members.value")
        if member is not None and not self._is_user(member[1:-1]):
            raise NotFoundException(detail=f"MEMBER {member} not found")
        return " and ".join(f"{name} eq {value}" for name, value in found.items())

    def _comparisons(self, type_: str, text: str) -> dict[str, str]:
        """Return the attributes that a filter compares, by their RFC names, with the values as quoted."""
        names = {name.lower(): standard for name, standard in FILTERS[type_].items()}
        found: dict[str, str] = {}
        at = 0
        while comparison := _COMPARISON.match(text, at):
            name = names.get(comparison["name"].lower())
            if name is None or name in found:
                break
            found[name] = comparison["value"]
            if comparison.end() == len(text):
                return found
            joined = _AND.match(text, comparison.end())
            at = joined.end() if joined else len(text)
        known = ", ".join(FILTERS[type_])
        raise InvalidFilterException(detail=f'a filter is written as NAME eq "VALUE", with a NAME out of {known}')

    def read_patch(self, type_: str, body: bytes) -> bytes:
        """Refuse operations that AWS's PatchUser and PatchGroup refuse."""
        return read_operations(type_, body, member_paths=self.settings["member-paths"] == "accepted")

    # Changes

    def new_id(self, type_: str) -> str:
        """An id is the number of the identity store and a UUID."""
        return f"9067729b3d-{uuid4()}"

    def create(self, document: Document, members: list[str] | None) -> Document:
        """A maximum of 100 members can be added in a single request."""
        if members and len(members) > MOST_MEMBERS:
            raise InvalidValueException(detail=f"a group is created with {MOST_MEMBERS} members at most")
        return super().create(document, members)

    def check(self, document: Document, before: Document | None) -> None:
        """Check AWS's requirements on a user or a group, and that names and externalIds are unique."""
        if document.type == USER:
            _check_user(document.attributes)
        elif not document.name:
            raise InvalidValueException(detail="displayName is required")
        others = Query("type = ? AND seq <> ?", [document.type, document.seq])
        same_name = others.also("name_key = ?", comparable(document.name))
        same_external_id = others.also("external_id = ?", document.attributes.get("externalId"))
        if self.resources.find(same_name, limit=1) or self.resources.find(same_external_id, limit=1):
            raise UniquenessException(detail=DUPLICATE)

    def check_members(self, group: Document, ids: list[str]) -> None:
        """A member is a user who exists; groups don't nest."""
        for id_ in ids:
            if not self._is_user(id_):
                raise NotFoundException(detail=f"MEMBER {id_!r} not found")

    def _is_user(self, id_: str) -> bool:
        return self.resources.get(id_, USER) is not None


def _check_user(attributes: Json) -> None:
    """Raise InvalidValueException for a missing attribute, a second value, or an e-mail that is not primary."""
    name = attributes.get("name") or {}
    required = {
        "userName": attributes.get("userName"),
        "displayName": attributes.get("displayName"),
        "name.givenName": name.get("givenName"),
        "name.familyName": name.get("familyName"),
    }
    if missing := [path for path, value in required.items() if not value]:
        raise InvalidValueException(detail=f"{', '.join(missing)} required")
    for attribute in SINGLE:
        if len(attributes.get(attribute) or []) > 1:
            raise InvalidValueException(detail=f"{attribute}: only one value is supported")
    if any(not email.get("primary") for email in attributes.get("emails") or []):
        raise InvalidValueException(detail="emails: the value must be marked as primary")
