"""The schema of users and groups in RFC 7643, as far as a mapping may name it; and SCIM paths into it.

A path here is an attribute path of RFC 7644 figure 7, as a person writes it on the left of a mapping:
`title`, `name.givenName`, `emails[type eq "work"].value`, `urn:…:enterprise:2.0:User:department`.
It is brought to one spelling, so that equal paths are equal strings.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from difflib import get_close_matches
from enum import StrEnum
from typing import Final

import orjson

from syncd.core.model import Kind

USER_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:User"
GROUP_SCHEMA: Final = "urn:ietf:params:scim:schemas:core:2.0:Group"
ENTERPRISE_SCHEMA: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER: Final = f"{ENTERPRISE_SCHEMA}:manager"


class Type(StrEnum):
    """JSON type of a simple attribute (RFC 7643 section 2.3)."""

    STRING = "string"
    BOOLEAN = "boolean"
    REFERENCE_TO_USER = "reference to a user"


@dataclass(frozen=True, slots=True)
class Attribute:
    """One attribute: simple (`parts` empty) or complex, single or multi-valued. `refusal`: why it can't be mapped."""

    type: Type = Type.STRING
    multi: bool = False
    parts: tuple[str, ...] = ()
    refusal: str = ""


_PLURAL = ("value", "display", "type", "primary")
_TEXT = Attribute()
_USER: Final[dict[str, Attribute]] = {
    "userName": _TEXT,
    "externalId": _TEXT,
    "name": Attribute(
        parts=("formatted", "familyName", "givenName", "middleName", "honorificPrefix", "honorificSuffix")
    ),
    **dict.fromkeys(
        (
            "displayName",
            "nickName",
            "profileUrl",
            "title",
            "userType",
            "preferredLanguage",
            "locale",
            "timezone",
        ),
        _TEXT,
    ),
    **dict.fromkeys(
        ("emails", "phoneNumbers", "ims", "photos", "entitlements", "roles", "x509Certificates"),
        Attribute(multi=True, parts=_PLURAL),
    ),
    "addresses": Attribute(
        multi=True,
        parts=(
            "formatted",
            "streetAddress",
            "locality",
            "region",
            "postalCode",
            "country",
            "type",
            "primary",
        ),
    ),
    "active": Attribute(Type.BOOLEAN, refusal="set by the source's `active` rule and the target's `scope`"),
    "password": Attribute(refusal="syncd never sends passwords"),
    "groups": Attribute(refusal="read-only: memberships are written to the groups"),
    "id": Attribute(refusal="read-only: the target makes it"),
    "meta": Attribute(refusal="read-only: the target makes it"),
}
_ENTERPRISE: Final[dict[str, Attribute]] = {
    **dict.fromkeys(("employeeNumber", "costCenter", "organization", "division", "department"), _TEXT),
    "manager": Attribute(Type.REFERENCE_TO_USER),
}
_GROUP: Final[dict[str, Attribute]] = {
    "displayName": _TEXT,
    "externalId": _TEXT,
    "members": Attribute(refusal="written by syncd from the source's memberships"),
    "id": Attribute(refusal="read-only: the target makes it"),
    "meta": Attribute(refusal="read-only: the target makes it"),
}
SCHEMAS: Final[dict[Kind, dict[str, dict[str, Attribute]]]] = {
    Kind.USER: {USER_SCHEMA: _USER, ENTERPRISE_SCHEMA: _ENTERPRISE},
    Kind.GROUP: {GROUP_SCHEMA: _GROUP},
}


@dataclass(frozen=True, slots=True)
class Path:
    """A parsed SCIM path. `str()` is its one spelling.

    `schema` is "" for the core schema, else an extension's URN. `filter` is the sub-attribute and the value
    of `[type eq "work"]`, or none.
    """

    schema: str
    attribute: str
    filter: tuple[str, str] | None
    part: str
    type: Type
    multi: bool
    """Whether its value is a list: the whole of a multi-valued attribute."""

    @property
    def element(self) -> str:
        """The path of the list element or attribute that it is a part of: `emails[type eq "work"]`."""
        prefix = f"{self.schema}:" if self.schema else ""
        selector = f"[{self.filter[0]} eq {quote(self.filter[1])}]" if self.filter else ""
        return f"{prefix}{self.attribute}{selector}"

    def __str__(self) -> str:
        return f"{self.element}.{self.part}" if self.part else self.element


class PathError(ValueError):
    """A path that can't be mapped; the text says why, and the nearest known one."""


_ATTRIBUTE = re.compile(
    r"""(?P<name>[A-Za-z][\w$-]*)
        (?:\[\s*(?P<selector>[A-Za-z][\w$-]*)\s+eq\s+(?P<value>"(?:[^"\\]|\\.)*")\s*\])?
        (?:\.(?P<part>[A-Za-z$][\w$-]*))?""",
    re.VERBOSE | re.IGNORECASE,
)


def quote(text: str) -> str:
    """Return a filter's string literal: JSON, as RFC 7644 figure 1 has it."""
    return orjson.dumps(text).decode()


def _unquote(literal: str) -> str:
    try:
        return str(orjson.loads(literal))
    except orjson.JSONDecodeError as error:
        raise PathError(f"`{literal}` is not a text in JSON: {error}") from None


_LABELLED: Final = re.compile(r"^([^\[]*)\[([A-Za-z$]+) eq .*\]\.([A-Za-z$]+)$", re.DOTALL)


def unlabelled(path: str) -> str:
    """Return the path to the values of a list that lack the label of this path; "" where a path has no label.

    >>> unlabelled('emails[type eq "work"].value')
    'emails[not (type pr)].value'
    """
    found = _LABELLED.match(path)
    return f"{found[1]}[not ({found[2]} pr)].{found[3]}" if found else ""


def _nearest(name: str, known: list[str]) -> str:
    folded = {candidate.casefold(): candidate for candidate in known}
    found = get_close_matches(name.casefold(), folded, n=1, cutoff=0.6)
    return f"; did you mean `{folded[found[0]]}`?" if found else ""


def parse_path(text: str, kind: Kind = Kind.USER) -> Path:
    """Parse and check a path that a mapping writes to. Raises PathError.

    Attribute names are case-insensitive (RFC 7643 section 2.1); the result has the RFC's spelling.
    """
    text = text.strip()
    schema, rest = _split_schema(text, kind)
    core = next(iter(SCHEMAS[kind]))
    known = SCHEMAS[kind][schema]
    match = _ATTRIBUTE.fullmatch(rest)
    if match is None:
        raise PathError(
            f'`{text}` is not a SCIM path such as `title`, `name.givenName` or `emails[type eq "work"].value`'
        )
    spelling = {name.casefold(): name for name in known}
    name = spelling.get(match["name"].casefold())
    if name is None:
        raise PathError(f"the schema {schema} has no attribute `{match['name']}`{_nearest(match['name'], list(known))}")
    attribute = known[name]
    if attribute.refusal:
        raise PathError(f"`{name}` can't be mapped: {attribute.refusal}")
    extension = "" if schema == core else schema
    part, selector = match["part"] or "", match["selector"]
    if attribute.type is Type.REFERENCE_TO_USER:
        if selector or part.casefold() not in ("", "value"):
            raise PathError(f"of `{name}` only the whole can be mapped, to the key of a user")
        return Path(extension, name, None, "", attribute.type, multi=False)
    if not attribute.parts:
        if selector or part:
            raise PathError(f"`{name}` is a simple attribute: it has no parts")
        return Path(extension, name, None, "", attribute.type, multi=False)
    parts = {candidate.casefold(): candidate for candidate in attribute.parts}
    if part and part.casefold() not in parts:
        raise PathError(f"`{name}` has no part `{part}`{_nearest(part, list(parts.values()))}")
    part = parts.get(part.casefold(), "")
    if not attribute.multi:
        if selector:
            raise PathError(f"`{name}` has one value: a filter in brackets is for attributes with several")
        if not part:
            raise PathError(f"`{name}` is complex: map its parts, such as `{name}.{attribute.parts[1]}`")
        return Path(extension, name, None, part, Type.STRING, multi=False)
    if selector:
        if selector.casefold() not in parts:
            raise PathError(f"`{name}` has no part `{selector}`{_nearest(selector, list(parts.values()))}")
        if _type_of(parts[selector.casefold()]) is Type.BOOLEAN:
            raise PathError(f"`{parts[selector.casefold()]}` is true or false: choose an element by its `type`")
        if not part:
            raise PathError(f"`{text}` names a whole element: map its parts, such as `{text}.{attribute.parts[0]}`")
        if part == parts[selector.casefold()]:
            raise PathError(f"`{text}`: the filter already fixes `{part}`")
        filter_ = (parts[selector.casefold()], _unquote(match["value"]))
        return Path(extension, name, filter_, part, _type_of(part), multi=False)
    if part not in ("", "value") or "value" not in attribute.parts:
        example = part or attribute.parts[0]
        raise PathError(f'`{name}` has several values: say which, as in `{name}[type eq "work"].{example}`')
    return Path(extension, name, None, "", Type.STRING, multi=True)


def _split_schema(text: str, kind: Kind) -> tuple[str, str]:
    schemas = SCHEMAS[kind]
    if not text.casefold().startswith("urn:"):
        return next(iter(schemas)), text
    for schema in schemas:
        if text.casefold().startswith(schema.casefold() + ":"):
            return schema, text[len(schema) + 1 :]
    urn = text.rpartition(":")[0]
    raise PathError(f"the schema `{urn}` is not known for a {kind}{_nearest(urn, list(schemas))}")


def _type_of(part: str) -> Type:
    return Type.BOOLEAN if part == "primary" else Type.STRING
