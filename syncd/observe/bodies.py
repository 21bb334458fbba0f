"""The body of one user or group in an endpoint's answer, and the facts that it shows about the endpoint."""

from __future__ import annotations

from collections.abc import Set
from typing import Final

from syncd.core.model import Json, Kind, Observed, ObservedGroup
from syncd.core.schema import unlabelled
from syncd.observe.model import Reading
from syncd.scim.client import Body
from syncd.scim.profiles import Profile
from syncd.scim.resources import field, flatten, unlabelled_values

_OWNERS: Final = frozenset({"owner", "accountowner", "workspaceowner"})


def observed_user(body: Body, paths: Set[str], reading: Reading) -> Observed:
    """Return a user; the reading notes the paths that the body shows, and whether the user is the target's owner."""
    attributes = flatten(Kind.USER, body, paths | {"active"})
    if "active" in attributes:
        reading.shown.active_as.add(attributes["active"])
    reading.shown.paths[Kind.USER].update(attributes)
    if bare := unlabelled_values(Kind.USER, body, paths - attributes.keys()):
        attributes |= bare
        reading.shown.paths[Kind.USER].update(path for path in paths if unlabelled(path) in bare)
    emails, roles = field(body, "emails"), field(body, "roles")
    addresses = [_value(each) for each in emails] if isinstance(emails, list) else []
    id_ = id_of(body)
    if field(body, "externalId"):
        reading.shown.marks.add(Kind.USER)
    if isinstance(roles, list) and any(_role(each) in _OWNERS for each in roles):
        reading.protected[id_] = "the owner of the account at the target"
    return Observed(
        id_,
        _text(field(body, "userName")),
        _text(field(body, "externalId")),
        tuple(filter(None, addresses)),
        attributes,
    )


def observed_group(body: Body, paths: Set[str], profile: Profile, reading: Reading) -> ObservedGroup:
    """Return a group; the reading notes the paths that the body shows."""
    name = _text(field(body, "displayName")).removesuffix(profile.group_suffix)
    members = field(body, "members")
    ids = [id_ for each in members if (id_ := _value(each))] if isinstance(members, list) else []
    reading.shown.members = reading.shown.members or bool(ids)
    if field(body, "externalId"):
        reading.shown.marks.add(Kind.GROUP)
    attributes = flatten(Kind.GROUP, body, paths)
    reading.shown.paths[Kind.GROUP].update(attributes)
    return ObservedGroup(
        id_of(body),
        name,
        _text(field(body, "externalId")),
        attributes | {"displayName": name},
        ids if profile.members_read in (None, "group") else None,
    )


def id_of(body: Body) -> str:
    """Return the id that a body has; "" where it has none."""
    return _text(field(body, "id"))


def _text(value: Json) -> str:
    return str(value) if isinstance(value, str | int) and not isinstance(value, bool) else ""


def _value(element: Json) -> str:
    """Return the value of a list's element; some endpoints send bare texts."""
    return _text(element if isinstance(element, str) else field(element, "value"))


def _role(role: Json) -> str:
    return _value(role).casefold().replace(" ", "").replace("_", "").replace("-", "")
