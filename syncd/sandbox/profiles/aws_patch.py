"""What AWS IAM Identity Center takes of a PATCH: PatchUser and PatchGroup, before anything is changed.

Refuses by InvalidValueException, which is 400. A body that is no PATCH at all is left to scim2-models.
"""

from __future__ import annotations

import re
from typing import Any

import orjson
from scim2_models import InvalidPathException, InvalidValueException

from syncd.sandbox.database import ENTERPRISE
from syncd.sandbox.resources import GROUP, USER

MOST_MEMBERS = 100
ONE_ATTRIBUTE = (
    'Current PATCH support allows omitting "path" attribute only for Add and Replace operations '
    "modifying a single attribute."
)
ALLOWED = {
    USER: {
        *("username", "active", "externalid", "displayname", "nickname", "profileurl", "title", "usertype"),
        *("preferredlanguage", "locale", "timezone", "name", "enterprise", "emails", "addresses", "phonenumbers"),
    },
    GROUP: {"displayname", "members", "externalid"},
}
ONCE = {"username", "active"}
"""Attributes of users that one operation of a request may change, and none remove."""

Operation = dict[str, Any]


def read_operations(type_: str, body: bytes, *, member_paths: bool) -> bytes:
    """Return a PATCH body without the `id` that AWS's own examples repeat in values.

    `member_paths`: whether `members[value eq "…"]` is taken. Raises InvalidValueException.
    """
    try:
        message = orjson.loads(body)
        operations = [_without_id(operation) for operation in message["Operations"]]
        attributes = [_attribute(operation) for operation in operations]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return body
    for attribute in attributes:
        if attribute not in ALLOWED[type_]:
            raise InvalidValueException(detail=f"{attribute}: can't be modified by a PATCH")
    pairs = list(zip(attributes, operations, strict=True))
    if type_ == USER:
        _check_user_operations(pairs)
    else:
        changes = [operation for attribute, operation in pairs if attribute == "members"]
        if sum(_member_changes(operation, member_paths=member_paths) for operation in changes) > MOST_MEMBERS:
            raise InvalidValueException(detail=f"a request holds {MOST_MEMBERS} membership changes at most")
    return orjson.dumps({**message, "Operations": operations})


def _without_id(operation: Operation) -> Operation:
    value = operation.get("value")
    if operation.get("path") or not isinstance(value, dict):
        return operation
    return {**operation, "value": {name: value[name] for name in value if name.lower() != "id"}}


def _attribute(operation: Operation) -> str:
    """Return which attribute an operation modifies, in lower case; the enterprise extension is one."""
    path = operation.get("path")
    if not path:
        value = operation.get("value")
        if operation["op"].lower() == "remove" or not isinstance(value, dict) or len(value) != 1:
            raise InvalidValueException(detail=ONE_ATTRIBUTE)
        (path,) = value
    name: str = path.lower()
    if name.startswith(ENTERPRISE.lower()):
        return "enterprise"
    for type_ in ALLOWED:
        name = name.removeprefix(f"urn:ietf:params:scim:schemas:core:2.0:{type_.lower()}:")
    return re.split(r"[.\[]", name, maxsplit=1)[0]


def _check_user_operations(pairs: list[tuple[str, Operation]]) -> None:
    for name in ONCE:
        on_it = [operation for attribute, operation in pairs if attribute == name]
        if len(on_it) > 1:
            raise InvalidValueException(detail=f"{name}: multiple operations are not supported")
        if any(operation["op"].lower() == "remove" for operation in on_it):
            raise InvalidValueException(detail=f"{name}: remove is not supported")


def _member_changes(operation: Operation, *, member_paths: bool) -> int:
    """Return how many memberships an operation changes. Raises for replacing or removing all of them."""
    op, path, value = operation["op"].lower(), operation.get("path") or "", operation.get("value")
    if "[" in path:
        if not member_paths:
            raise InvalidPathException(detail="members: a path with a filter is not supported")
        return 1
    if not path and isinstance(value, dict):
        (value,) = value.values()
    if op == "replace" or (op == "remove" and not value):
        raise InvalidValueException(detail="members: replacing or removing all is not supported")
    return len(value) if isinstance(value, list) else 1
