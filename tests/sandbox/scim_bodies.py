"""The bodies that SCIM requests have, for the sandbox's tests."""

from __future__ import annotations

import itertools
from typing import Any

USER = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"

_numbers = itertools.count(1)


def unused(stem: str = "person") -> str:
    """Return a name that no other test uses."""
    return f"{stem}{next(_numbers)}"


def user(name: str = "", domain: str = "example.com", **more: Any) -> dict[str, Any]:
    """Return a creation request for a user whose userName is their e-mail."""
    address = f"{name or unused()}@{domain}"
    emails = [{"value": address, "type": "work", "primary": True}]
    return {"schemas": [USER], "userName": address, "emails": emails, "active": True, **more}


def group(name: str = "", *members: str, **more: Any) -> dict[str, Any]:
    """Return a creation request for a group."""
    listed = [{"value": member} for member in members]
    return {"schemas": [GROUP], "displayName": name or unused("Group "), "members": listed, **more}


def patch(*operations: dict[str, Any]) -> dict[str, Any]:
    """Return a PATCH request."""
    return {"schemas": [PATCH_OP], "Operations": list(operations)}


def add_members(*members: str) -> dict[str, Any]:
    """Return a PATCH that adds members."""
    return patch({"op": "add", "path": "members", "value": [{"value": member} for member in members]})


def remove_member(member: str) -> dict[str, Any]:
    """Return a PATCH that removes one member, as RFC 7644 section 3.5.2.2 says it."""
    return patch({"op": "remove", "path": f'members[value eq "{member}"]'})
