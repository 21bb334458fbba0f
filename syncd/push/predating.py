"""Predating: whether the resource that answers a create was there before. Pure.

Some endpoints answer a create with the account that they have under this name, as if they had made it.

#  the answer                                                             -> it was there before
#  was made longer ago than clocks differ, by the endpoint's own clock       yes
#  carries another externalId, or personal values that were not sent         yes
#  has status 200, while this endpoint's creates are answered with 201       yes
#  anything else                                                             no
"""

from __future__ import annotations

from datetime import UTC, datetime, timedelta
from typing import Final

from syncd.core.model import Flat, Json, Kind
from syncd.core.schema import ENTERPRISE_SCHEMA
from syncd.scim.client import Body, Written
from syncd.scim.resources import field, flatten

CLOCKS_DIFFER: Final = timedelta(minutes=2)
_ZONES_DIFFER: Final = timedelta(hours=26)
"""A time without a zone may be any zone's."""
_OK: Final = 200
_PERSONAL: Final = (
    "title",
    *(f"{ENTERPRISE_SCHEMA}:{name}" for name in ("employeeNumber", "costCenter", "department", "division")),
)
"""Attributes of a person that no endpoint makes up."""
_ADDRESSES: Final = ("emails", "phoneNumbers")


def predates(kind: Kind, attributes: Flat, written: Written, began: datetime, ended: datetime, *, by_201: bool) -> str:
    """Return why the resource that answered a create was there before; "" where it is new.

    `began`, `ended`: when the create was sent and answered, by the clock here. `by_201`: the endpoint is known to
    answer a create with 201.
    """
    body = written.body or {}
    created = created_at(body)
    if created is not None:
        sent = written.at - (ended - began) if written.at is not None else began
        differ = CLOCKS_DIFFER if created.tzinfo is not None else _ZONES_DIFFER
        if created.replace(tzinfo=created.tzinfo or UTC) < sent - differ:
            return f"it was made at {created:%Y-%m-%d %H:%M}"
    if kind is Kind.USER and (foreign := _foreign(attributes, body, written.id)):
        return f"it has values that were not sent: {foreign}"
    if written.status == _OK and by_201:
        return "the endpoint answered 200, and answers 201 when it makes one"
    return ""


def created_at(body: Body) -> datetime | None:
    """Return when a resource was created, as it says itself; None where it doesn't."""
    try:
        return datetime.fromisoformat(str(field(field(body, "meta"), "created")))
    except ValueError:
        return None


def _foreign(attributes: Flat, body: Body, id_: str) -> str:
    """Return the path of a value that a new account can't have, "" where there is none."""
    mark, sent = field(body, "externalId"), attributes.get("externalId")
    if sent and mark not in (None, "", sent, id_) and str(mark).casefold() != str(sent).casefold():
        return "externalId"
    there = flatten(Kind.USER, body, [*_PERSONAL, *_ADDRESSES])
    for path in _PERSONAL:
        if there.get(path) not in (None, "") and attributes.get(path) in (None, ""):
            return path
    known = {_plain(value) for value in _texts(list(attributes.values()))}
    for path in _ADDRESSES:
        if any(_plain(value) not in known for value in _texts(there.get(path))):
            return path
    return ""


def _texts(value: Json) -> list[str]:
    """Return every text in a value."""
    if isinstance(value, dict):
        value = list(value.values())
    if isinstance(value, list):
        return [text for each in value for text in _texts(each)]
    return [value] if isinstance(value, str) else []


def _plain(text: str) -> str:
    """Return a text without what endpoints write in other ways: case, blanks and signs."""
    return "".join(filter(str.isalnum, text.casefold()))


__all__ = ["CLOCKS_DIFFER", "created_at", "predates"]
