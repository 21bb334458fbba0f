"""The PATCH operations that AWS IAM Identity Center accepts: PatchUser and PatchGroup, checked before any change.

A refusal is an InvalidValueException, which is 400. A body that is no PATCH is left to scim2-models.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
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
"""Attributes of users that one operation of a request may change, and that no operation may remove."""


@dataclass(frozen=True, slots=True)
class Operation:
    """One operation. `attribute`: the modified attribute, in lower case. `sent`: the operation to apply."""

    op: str
    path: str
    attribute: str
    value: Any
    sent: dict[str, Any]


def read_operations(type_: str, body: bytes, *, member_paths: bool) -> bytes:
    """Return a PATCH body without the `id` that AWS's own examples repeat in values.

    `member_paths`: whether `members[value eq "…"]` is accepted. Raises InvalidValueException or InvalidPathException.
    """
    try:
        message = orjson.loads(body)
        operations = [_operation(sent) for sent in message["Operations"]]
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError):
        return body
    for operation in operations:
        if operation.attribute not in ALLOWED[type_]:
            raise InvalidValueException(detail=f"{operation.attribute}: can't be modified by a PATCH")
    if type_ == USER:
        _check_user_operations(operations)
    else:
        changes = [operation for operation in operations if operation.attribute == "members"]
        if sum(_member_changes(operation, member_paths=member_paths) for operation in changes) > MOST_MEMBERS:
            raise InvalidValueException(detail=f"a request holds {MOST_MEMBERS} membership changes at most")
    return orjson.dumps({**message, "Operations": [operation.sent for operation in operations]})


def _operation(sent: dict[str, Any]) -> Operation:
    """Read an operation. Without a path, the value is that of the only attribute. Raises InvalidValueException."""
    op, path, value = sent["op"].lower(), sent.get("path") or "", sent.get("value")
    if path:
        return Operation(op, path, _attribute(path), value, sent)
    if isinstance(value, dict):
        value = {name: value[name] for name in value if name.lower() != "id"}
    if op == "remove" or not isinstance(value, dict) or len(value) != 1:
        raise InvalidValueException(detail=ONE_ATTRIBUTE)
    ((name, content),) = value.items()
    return Operation(op, "", _attribute(name), content, {**sent, "value": value})


def _attribute(path: str) -> str:
    """Return the attribute that a path names, in lower case; the enterprise extension counts as an attribute."""
    name = path.lower()
    if name.startswith(ENTERPRISE.lower()):
        return "enterprise"
    for type_ in ALLOWED:
        name = name.removeprefix(f"urn:ietf:params:scim:schemas:core:2.0:{type_.lower()}:")
    return re.split(r"[.\[]", name, maxsplit=1)[0]


def _check_user_operations(operations: list[Operation]) -> None:
    for name in ONCE:
        on_it = [operation for operation in operations if operation.attribute == name]
        if len(on_it) > 1:
            raise InvalidValueException(detail=f"{name}: multiple operations are not supported")
        if any(operation.op == "remove" for operation in on_it):
            raise InvalidValueException(detail=f"{name}: remove is not supported")


def _member_changes(operation: Operation, *, member_paths: bool) -> int:
    """Return how many memberships an operation changes. Raises for replacing or removing all of them."""
    if "[" in operation.path:
        if not member_paths:
            raise InvalidPathException(detail="members: a path with a filter is not supported")
        return 1
    if operation.op == "replace" or (operation.op == "remove" and not operation.value):
        raise InvalidValueException(detail="members: replacing or removing all is not supported")
    return len(operation.value) if isinstance(operation.value, list) else 1
