"""Extract the membership changes from a PATCH of a group, so that a change doesn't load ten thousand members.

Recognises the forms that RFC 7644 section 3.5.2 gives for `members` as a whole and for one member by its value.
Every other operation on members is left to scim2-models, which knows all forms and refuses invalid forms.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Any

import orjson

USER_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA = "urn:ietf:params:scim:schemas:core:2.0:Group"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_MEMBERS = re.compile(rf"(?:{re.escape(GROUP_SCHEMA)}:)?members", re.IGNORECASE)
_ONE_MEMBER = re.compile(
    rf'(?:{re.escape(GROUP_SCHEMA)}:)?members\[\s*value\s+eq\s+("(?:[^"\\]|\\.)*")\s*\]', re.IGNORECASE
)
_ENTRY = {"value", "$ref", "type", "display"}


@dataclass(frozen=True, slots=True)
class MemberChange:
    """One operation on the members of a group. `ids` None: all of them."""

    op: str
    ids: list[str] | None


@dataclass(frozen=True, slots=True)
class GroupPatch:
    """A PATCH of a group in two parts: the membership changes, and a body with all other changes (None: no others)."""

    members: list[MemberChange]
    rest: bytes | None


def take_apart(body: bytes, *, value_list_removes: bool = False) -> GroupPatch | None:
    """Return the PATCH in two parts, or None when its membership changes need all of the members.

    `value_list_removes`: `remove` of `members` with a value list removes those and no others, as Entra sends it;
    the RFC has no such form.
    """
    try:
        message = orjson.loads(body)
        operations = message["Operations"]
        if PATCH_OP not in message["schemas"] or not isinstance(operations, list) or not operations:
            return None
        changes: list[MemberChange] = []
        rest: list[Any] = []
        for operation in operations:
            change, remainder = _read(operation, value_list_removes)
            if change is not None:
                changes.append(change)
            if remainder is not None:
                rest.append(remainder)
    except (orjson.JSONDecodeError, KeyError, TypeError, AttributeError, _Unrecognised):
        return None
    return GroupPatch(changes, orjson.dumps({**message, "Operations": rest}) if rest else None)


class _Unrecognised(Exception):
    """An operation on members in a form that this module doesn't read."""


def _read(operation: dict[str, Any], value_list_removes: bool) -> tuple[MemberChange | None, Any]:
    """Return an operation's change of members, and the rest of the operation."""
    op = operation["op"].lower()
    path = operation.get("path")
    if not path:
        return _read_without_path(op, operation)
    if _MEMBERS.fullmatch(path):
        return _read_whole(op, operation, value_list_removes), None
    if (one := _ONE_MEMBER.fullmatch(path)) and op == "remove" and "value" not in operation:
        return MemberChange("remove", [orjson.loads(one[1])]), None
    if "members" in path.lower():
        raise _Unrecognised
    return None, operation


def _read_without_path(op: str, operation: dict[str, Any]) -> tuple[MemberChange | None, Any]:
    value = operation["value"]
    key = next((key for key in value if _MEMBERS.fullmatch(key)), None)
    if key is None:
        return None, operation
    remainder = {name: value[name] for name in value if name != key}
    change = MemberChange(_writing(op), _ids(value[key]))
    return change, {**operation, "value": remainder} if remainder else None


def _read_whole(op: str, operation: dict[str, Any], value_list_removes: bool) -> MemberChange:
    if op != "remove":
        return MemberChange(_writing(op), _ids(operation["value"]))
    if "value" not in operation:
        return MemberChange("remove", None)
    if not value_list_removes:
        raise _Unrecognised
    return MemberChange("remove", _ids(operation["value"]))


def _writing(op: str) -> str:
    if op not in ("add", "replace"):
        raise _Unrecognised
    return op


def _ids(value: Any) -> list[str]:
    """Return the ids of a list of member entries, or of a single one."""
    entries = [value] if isinstance(value, dict) else value
    if not isinstance(entries, list):
        raise _Unrecognised
    ids = []
    for entry in entries:
        if not entry.keys() <= _ENTRY or not isinstance(entry["value"], str):
            raise _Unrecognised
        ids.append(entry["value"])
    return ids
