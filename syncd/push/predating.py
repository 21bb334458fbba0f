"""Predating: whether the resource that answers a create was there before. Pure.

Some endpoints answer a create with the account that they have under this name, as if they had made it.

#  the answer                                                             -> it was there before
#  was made longer ago than clocks differ, by the endpoint's own clock       yes
#  carries personal values that were not sent                                yes
#  has status 200, while this endpoint's creates are answered with 201       yes
#  has status 200, and another name, title or `active` than was sent         yes
#  carries another externalId, while this endpoint keeps ours                yes
#  anything else                                                             no

What is usual is known from other creates: some endpoints answer each create with 200, and some have marks of their own.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Final, Self

from syncd.core.drift import alike
from syncd.core.model import Flat, Json, Kind
from syncd.core.schema import ENTERPRISE_SCHEMA
from syncd.scim.client import Body, Written
from syncd.scim.resources import field as member
from syncd.scim.resources import flatten

CLOCKS_DIFFER: Final = timedelta(minutes=2)
_ZONES_DIFFER: Final = timedelta(hours=26)
"""A time without a zone may be any zone's."""
_OK: Final = 200
_CREATED: Final = 201
_PERSONAL: Final = (
    "title",
    *(f"{ENTERPRISE_SCHEMA}:{name}" for name in ("employeeNumber", "costCenter", "department", "division")),
)
"""Attributes of a person that no endpoint makes up."""
_PLAIN: Final = ("active", "title", "name.givenName", "name.familyName")
"""Attributes that endpoints keep as they are sent, if they keep them."""
_ADDRESSES: Final = ("emails", "phoneNumbers")


@dataclass
class Habits:
    """What an endpoint was seen to do in creates, by kind of resource."""

    by_201: set[Kind] = field(default_factory=set)
    """Kinds of which a create was answered with 201: any other status means something else."""
    keeps_mark: set[Kind] = field(default_factory=set)
    """Kinds of which a create was answered with our externalId."""

    @classmethod
    def known(cls, discovery: Mapping[str, Json]) -> Self:
        """Return the habits that earlier runs have seen."""
        kept = discovery.get("creates") or {}
        return cls(*({Kind(each) for each in kept.get(name, ())} for name in ("by_201", "keeps_mark")))

    def to_json(self) -> Json:
        return {"by_201": sorted(self.by_201), "keeps_mark": sorted(self.keeps_mark)}

    def note(self, kind: Kind, attributes: Flat, written: Written) -> None:
        """Take the answer to a create into account that made a new resource."""
        if written.status == _CREATED:
            self.by_201.add(kind)
        if attributes.get("externalId") and mark_of(written.body or {}) == attributes["externalId"]:
            self.keeps_mark.add(kind)


def predates(kind: Kind, attributes: Flat, written: Written, began: datetime, ended: datetime, habits: Habits) -> str:
    """Return why the resource that answered a create was there before; "" where it is new.

    `began`, `ended`: when the create was sent and answered, by the clock here.
    """
    body = written.body or {}
    created = created_at(body)
    if created is not None:
        sent = written.at - (ended - began) if written.at is not None else began
        differ = CLOCKS_DIFFER if created.tzinfo is not None else _ZONES_DIFFER
        if created.replace(tzinfo=created.tzinfo or UTC) < sent - differ:
            return f"it was made at {created:%Y-%m-%d %H:%M}"
    if kind is Kind.USER and (foreign := _foreign(attributes, body)):
        return f"it has values that were not sent: {foreign}"
    if written.status == _OK and kind in habits.by_201:
        return "the endpoint answered 200, and answers 201 when it makes one"
    if written.status == _OK and kind is Kind.USER and (other := _other(attributes, body)):
        return f"the endpoint answered 200, and shows another {other} than was sent"
    mark, sent_mark = mark_of(body), attributes.get("externalId")
    if sent_mark and mark not in (None, "", sent_mark) and kind in habits.keeps_mark:
        return f"it carries another externalId: {mark}"
    return ""


def mark_of(body: Body) -> Json:
    """Return the externalId that a resource carries, None where it carries none."""
    return member(body, "externalId")


def created_at(body: Body) -> datetime | None:
    """Return when a resource was created, as it says itself; None where it doesn't."""
    try:
        return datetime.fromisoformat(str(member(member(body, "meta"), "created")))
    except ValueError:
        return None


def _foreign(attributes: Flat, body: Body) -> str:
    """Return the path of a value that a new account can't have, "" where there is none."""
    there = flatten(Kind.USER, body, [*_PERSONAL, *_ADDRESSES])
    for path in _PERSONAL:
        if there.get(path) not in (None, "") and attributes.get(path) in (None, ""):
            return path
    known = {_plain(value) for value in _texts(list(attributes.values()))}
    for path in _ADDRESSES:
        if any(_plain(value) not in known for value in _texts(there.get(path))):
            return path
    return ""


def _other(attributes: Flat, body: Body) -> str:
    """Return the path of a sent value that a resource shows otherwise, though no endpoint writes it in another way."""
    there = flatten(Kind.USER, body, _PLAIN)
    for path, shown in there.items():
        if attributes.get(path) not in (None, "") and not alike(path, attributes[path], shown):
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


__all__ = ["CLOCKS_DIFFER", "Habits", "created_at", "mark_of", "predates"]
