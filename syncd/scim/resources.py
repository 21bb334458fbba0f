"""Between flat attributes (path to value) and SCIM resources, and the PATCH operations of a difference.

Pure. Writes only the paths it is given: what syncd doesn't own never appears in a request.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from typing import Final

from syncd.core.model import Flat, Json, Kind
from syncd.core.schema import ENTERPRISE_SCHEMA, GROUP_SCHEMA, MANAGER, USER_SCHEMA, Path, Type, parse_path, quote

PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_ACTIVE: Final = Path("", "active", None, "", Type.BOOLEAN, multi=False)

_parsed: dict[tuple[Kind, str], Path] = {(Kind.USER, "active"): _ACTIVE}


def _path(text: str, kind: Kind) -> Path:
    """Parse a path once; there are as many as a mapping has lines."""
    try:
        return _parsed[kind, text]
    except KeyError:
        return _parsed.setdefault((kind, text), parse_path(text, kind))


def resource(kind: Kind, flat: Flat) -> dict[str, Json]:
    """Build the body of a POST or PUT from flat attributes; None counts as absent."""
    core = USER_SCHEMA if kind is Kind.USER else GROUP_SCHEMA
    body: dict[str, Json] = {"schemas": [core]}
    for text, value in flat.items():
        if value is not None:
            _put(body, _path(text, kind), value)
    return body


def _put(body: dict[str, Json], path: Path, value: Json) -> None:
    holder = body
    if path.schema:
        if path.schema not in body["schemas"]:
            body["schemas"].append(path.schema)
        holder = body.setdefault(path.schema, {})
    if path.filter:
        elements = holder.setdefault(path.attribute, [])
        part, wanted = path.filter
        element = next((each for each in elements if each.get(part) == wanted), None)
        if element is None:
            element = {part: wanted}
            elements.append(element)
        element[path.part] = value
    elif path.part:
        holder.setdefault(path.attribute, {})[path.part] = value
    else:
        holder[path.attribute] = {"value": value} if path.type is Type.REFERENCE_TO_USER else value


def flatten(kind: Kind, body: Mapping[str, Json], paths: Iterable[str]) -> Flat:
    """Read what a resource says at the given paths; a path that it lacks is left out.

    Attribute names are taken in any case (RFC 7643 section 2.1). Of a multi-valued attribute read as a whole
    only the values count: labels that the endpoint adds are its own.
    """
    flat: Flat = {}
    for text in paths:
        value = _get(body, _path(text, kind))
        if value is not None:
            flat[text] = value
    return flat


def _get(body: Mapping[str, Json], path: Path) -> Json:
    holder = field(body, path.schema) if path.schema else body
    value = field(holder, path.attribute)
    if path.filter:
        part, wanted = path.filter
        for element in value if isinstance(value, list) else []:
            if str(field(element, part)).casefold() == wanted.casefold():
                return field(element, path.part)
        return None
    if path.part:
        return field(value, path.part)
    if path.multi:
        elements = value if isinstance(value, list) else []
        values = [each if isinstance(each, str) else field(each, "value") for each in elements]
        return [{"value": each} for each in values if each is not None] or None
    if path.type is Type.REFERENCE_TO_USER:
        return value if isinstance(value, str) else field(value, "value")
    return value


def field(holder: Json, name: str) -> Json:
    """Return a member of a JSON object by its name in any case, None where there is none."""
    if not isinstance(holder, dict):
        return None
    if name in holder:
        return holder[name]
    folded = name.casefold()
    return next((value for key, value in holder.items() if key.casefold() == folded), None)


def patch(kind: Kind, before: Flat, after: Flat, owned: Flat) -> list[dict[str, Json]]:
    """Return the fewest operations that turn `before` into `after` (RFC 7644 section 3.5.2), each with a path.

    `owned` is everything that the target acknowledged so far: whether a list element such as
    `emails[type eq "work"]` is there decides between adding it and replacing a part of it.
    """
    operations: list[dict[str, Json]] = []
    elements: dict[str, list[str]] = {}
    for text, value in after.items():
        path = _path(text, kind)
        if path.filter:
            elements.setdefault(path.element, []).append(text)
        elif value is None:
            operations.append({"op": "remove", "path": text})
        else:
            content = {"value": value} if path.type is Type.REFERENCE_TO_USER else value
            operations.append({"op": "add" if before.get(text) is None else "replace", "path": text, "value": content})
    for element, texts in elements.items():
        operations += _patch_element(kind, element, texts, after, owned)
    return operations


def _patch_element(kind: Kind, element: str, texts: list[str], after: Flat, owned: Flat) -> list[dict[str, Json]]:
    """Change one element of a list: add it when it is not there (a replace would be refused as `noTarget`,
    section 3.5.2.3), remove it when nothing of it is left, else replace what differs."""
    had = {text for text in owned if owned[text] is not None and _path(text, kind).element == element}
    left = (had | {text for text in texts if after[text] is not None}) - {t for t in texts if after[t] is None}
    if not had:
        body = resource(kind, {text: after[text] for text in texts})
        path = _path(texts[0], kind)
        holder = body[path.schema] if path.schema else body
        prefix = f"{path.schema}:" if path.schema else ""
        return [{"op": "add", "path": prefix + path.attribute, "value": holder[path.attribute]}]
    if not left:
        return [{"op": "remove", "path": element}]
    return [
        {"op": "remove", "path": text}
        if after[text] is None
        else {"op": "replace" if text in had else "add", "path": text, "value": after[text]}
        for text in texts
    ]


def merge(kind: Kind, body: Mapping[str, Json], after: Flat) -> dict[str, Json]:
    """Return a resource as it was read, with the given paths changed: the body of a PUT that loses nothing."""
    merged = {name: value for name, value in body.items() if name.casefold() != "meta"}
    merged["schemas"] = list(merged.get("schemas") or resource(kind, {})["schemas"])
    for text, value in after.items():
        path = _path(text, kind)
        if value is not None:
            _put(merged, path, value)
        else:
            _drop(merged, path)
    return merged


def _drop(body: dict[str, Json], path: Path) -> None:
    holder = body.get(path.schema) if path.schema else body
    if not isinstance(holder, dict):
        return
    if path.filter:
        part, wanted = path.filter
        for element in holder.get(path.attribute) or []:
            if element.get(part) == wanted:
                element.pop(path.part, None)
        kept = [each for each in holder.get(path.attribute) or [] if set(each) - {part, "primary", "display"}]
        holder[path.attribute] = kept
    elif path.part:
        (holder.get(path.attribute) or {}).pop(path.part, None)
    else:
        holder.pop(path.attribute, None)


def member_filter(id_: str) -> str:
    """Return the path of one member (RFC 7644 figure 1).

    The value filter, not a value list: a strict endpoint reads `remove members` as "remove all".
    """
    return f"members[value eq {quote(id_)}]"


__all__ = ["ENTERPRISE_SCHEMA", "MANAGER", "PATCH_SCHEMA", "flatten", "member_filter", "merge", "patch", "resource"]
