"""Conversion between flat attributes (path to value) and SCIM resources, and the PATCH operations of a difference.

Pure. Writes only the given paths: a value that syncd doesn't own never appears in a request.
"""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping
from copy import deepcopy
from typing import Final

from syncd.core.drift import alike
from syncd.core.model import Flat, Json, Kind, is_on
from syncd.core.schema import (
    ENTERPRISE_SCHEMA,
    GROUP_SCHEMA,
    MANAGER,
    USER_SCHEMA,
    Path,
    Type,
    parse_path,
    quote,
    unlabelled,
)
from syncd.scim.profiles import Removal

PATCH_SCHEMA: Final = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
_TYPES: Final = {Kind.USER: "User", Kind.GROUP: "Group"}
"""The types of members (RFC 7643 section 4.2)."""
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


def _put(
    body: dict[str, Json], path: Path, value: Json, former: Json = None, others: Container[Json] | None = None
) -> None:
    holder = body
    if path.schema:
        if path.schema not in body["schemas"]:
            body["schemas"].append(path.schema)
        holder = _table(body, path.schema)
    if path.filter:
        elements = _list(holder, path.attribute)
        part, wanted = path.filter
        element = _element(path, elements, (former, value), others)
        if element is None:
            element = {}
            elements.append(element)
        element.setdefault(_key(element, part), wanted)
        element[_key(element, path.part)] = value
    elif path.part:
        table = _table(holder, path.attribute)
        table[_key(table, path.part)] = value
    else:
        content = {"value": value} if path.type is Type.REFERENCE_TO_USER else value
        holder[_key(holder, path.attribute)] = content


def _key(holder: Mapping[str, Json], name: str) -> str:
    """Return how a JSON object spells the name of a member (RFC 7643 section 2.1: in any case)."""
    if name in holder:
        return name
    folded = name.casefold()
    return next((key for key in holder if key.casefold() == folded), name)


def _table(holder: dict[str, Json], name: str) -> dict[str, Json]:
    """Return the object inside an object; a null or anything else in its place gives way."""
    key = _key(holder, name)
    if not isinstance(holder.get(key), dict):
        holder[key] = {}
    table: dict[str, Json] = holder[key]
    return table


def _list(holder: dict[str, Json], name: str) -> list[Json]:
    """Return the list inside an object; a null or anything else in its place gives way."""
    key = _key(holder, name)
    if not isinstance(holder.get(key), list):
        holder[key] = []
    elements: list[Json] = holder[key]
    return elements


def _element(path: Path, elements: list[Json], values: Iterable[Json], others: Container[Json] | None) -> Json:
    """Return the element that a path's filter means, None where there is none.

    Some endpoints keep an element without its label. It is ours all the same, known by one of these values; or by being
    the only element, unless its value belongs to another path (`others`; None: nobody knows to which it belongs).
    """
    assert path.filter is not None
    labelled = next((each for each in elements if _selects(path, each)), None)
    if labelled is not None:
        return labelled
    bare = [each for each in elements if _is_bare(each, path)]
    for value in values:
        if value is not None and (known := [each for each in bare if field(each, path.part) == value]):
            return known[0]
    only = len(bare) == 1 == len(elements) and others is not None and field(bare[0], path.part) not in others
    return bare[0] if only else None


def _selects(path: Path, element: Json) -> bool:
    """Return whether a path's filter means this element; labels such as `work` are compared without case."""
    assert path.filter is not None
    part, wanted = path.filter
    return str(field(element, part)).casefold() == wanted.casefold()


def flatten(kind: Kind, body: Mapping[str, Json], paths: Iterable[str]) -> Flat:
    """Read a resource's values at the given paths; a path that the resource lacks is left out.

    Attribute names are taken in any case (RFC 7643 section 2.1). Of a multi-valued attribute read as a whole
    only the values count: labels that the endpoint adds are its own. `active` is read as a boolean, however the
    endpoint says it.

    Where `paths` have values, an element that is kept without its label is known by its value.
    """
    flat: Flat = {}
    for text in paths:
        path = _path(text, kind)
        value = _get(body, path)
        if value is None and path.filter:
            value = _get_bare(kind, body, path, paths)
        if value is not None:
            flat[text] = is_on(value) if path is _ACTIVE else value
    return flat


def _get_bare(kind: Kind, body: Mapping[str, Json], path: Path, paths: Iterable[str]) -> Json:
    """Return the value of an element that is kept without its label, None where it isn't sure that it is the path's."""
    holder = field(body, path.schema) if path.schema else body
    elements = field(holder, path.attribute)
    if not isinstance(elements, list) or not elements:
        return None
    text, others = str(path), None
    if isinstance(paths, Mapping):
        others = _others(text, paths)
    elif not any(_path(each, kind).attribute == path.attribute and each != text for each in paths):
        others = []
    expected = paths.get(text) if isinstance(paths, Mapping) else None
    return field(_element(path, elements, (expected,), others), path.part)


def unlabelled_values(kind: Kind, body: Mapping[str, Json], paths: Iterable[str]) -> Flat:
    """Return the values in elements of lists that lack the label by which a path means one of them.

    By the path of such values (`core/schema.unlabelled`). For lists of which several elements are meant by `paths`, so
    that nobody knows which one a value belongs to.
    """
    found: Flat = {}
    for text in paths:
        path = _path(text, kind)
        name = unlabelled(text)
        if not path.filter or name in found:
            continue
        elements = field(field(body, path.schema) if path.schema else body, path.attribute)
        bare = [each for each in elements if _is_bare(each, path)] if isinstance(elements, list) else []
        if values := [value for each in bare if (value := field(each, path.part)) is not None]:
            found[name] = values
    return found


def _is_bare(element: Json, path: Path) -> bool:
    return path.filter is not None and isinstance(element, dict) and field(element, path.filter[0]) in (None, "")


def _get(body: Mapping[str, Json], path: Path) -> Json:
    holder = field(body, path.schema) if path.schema else body
    value = field(holder, path.attribute)
    if path.filter:
        elements = value if isinstance(value, list) else []
        return next((field(each, path.part) for each in elements if _selects(path, each)), None)
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
    return holder.get(_key(holder, name))


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
        elif value is None and path.multi:
            # An empty list is unassigned (RFC 7643 section 2.5); another form of an update removes the attribute.
            operations.append({"op": "replace", "path": text, "value": []})
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


def merge(kind: Kind, body: Mapping[str, Json], after: Flat, former: Flat | None = None) -> dict[str, Json]:
    """Return a resource as it was read, with the given paths changed: the body of a PUT that loses nothing.

    `former`: values that were written before, by which an element without its label is known.
    """
    former = former or {}
    merged = {name: deepcopy(value) for name, value in body.items() if name.casefold() not in ("meta", "schemas")}
    schemas = field(body, "schemas")
    merged["schemas"] = list(schemas) if isinstance(schemas, list) and schemas else resource(kind, {})["schemas"]
    for text, value in after.items():
        path = _path(text, kind)
        if value is not None:
            _put(merged, path, value, former.get(text), _others(text, former, after))
        else:
            _drop(merged, path, former.get(text), _others(text, former, after))
    return merged


def _others(text: str, *flats: Mapping[str, Json]) -> list[Json]:
    """Return the values of the other paths."""
    return [value for flat in flats for path, value in flat.items() if path != text]


def _drop(body: dict[str, Json], path: Path, former: Json = None, others: Container[Json] | None = None) -> None:
    holder = field(body, path.schema) if path.schema else body
    value = field(holder, path.attribute)
    if path.filter and isinstance(value, list):
        mine = _element(path, value, (former,), others)
        for element in [each for each in value if _selects(path, each) or each is mine]:
            element.pop(_key(element, path.part), None)
            # A label without content means nothing; content of somebody else's keeps the element.
            if not {name.casefold() for name in element} - {path.filter[0].casefold(), "primary", "display"}:
                value.remove(element)
    elif path.part and isinstance(value, dict):
        value.pop(_key(value, path.part), None)
    elif not path.part and value is not None:
        holder.pop(_key(holder, path.attribute))


def with_members(
    body: Mapping[str, Json],
    add: Iterable[str],
    remove: Iterable[str],
    kinds: Mapping[str, Kind] | None = None,
    without: Container[str] = (),
) -> dict[str, Json]:
    """Return a group as it was read, with members added and removed: the body of a PUT that keeps all others.

    `kinds` as for `add_members`. `without`: ids of members that nobody has any more.
    """
    merged = merge(Kind.GROUP, body, {})
    members = _list(merged, "members")
    added = set(add)
    leaving = added | set(remove)
    members[:] = [
        member for member in members if (id_ := field(member, "value")) not in leaving and str(id_) not in without
    ]
    members += [_member(id_, kinds) for id_ in sorted(added)]
    return merged


def _member(id_: str, kinds: Mapping[str, Kind] | None) -> dict[str, Json]:
    if kinds is None:
        return {"value": id_}
    return {"value": id_, "type": _TYPES[kinds.get(id_, Kind.USER)]}


def add_members(
    ids: Iterable[str], kinds: Mapping[str, Kind] | None = None, *, paths: bool = True
) -> list[dict[str, Json]]:
    """Return the operation that adds members, with or without a path (RFC 7644 section 3.5.2.1).

    `kinds`: the kinds of ids that are no users; members are sent with their type then (RFC 7643 section 4.2).
    """
    members = [_member(id_, kinds) for id_ in ids]
    return [
        {"op": "add", "path": "members", "value": members} if paths else {"op": "add", "value": {"members": members}}
    ]


def replace_members(members: Iterable[Json], *, paths: bool = True) -> list[dict[str, Json]]:
    """Return the operation that replaces all members; of each, what is not the endpoint's own is sent."""
    kept = [{name: value for name in ("value", "type") if (value := field(each, name))} for each in members]
    if paths:
        return [{"op": "replace", "path": "members", "value": kept}]
    return [{"op": "replace", "value": {"members": kept}}]


def remove_members(ids: Iterable[str], removal: Removal) -> list[dict[str, Json]]:
    """Return the operations that remove members: by value filter (RFC 7644 figure 1), or as a list of values.

    A strict endpoint reads the list as "remove all" (section 3.5.2.2); AWS knows nothing else. Both have a path, also
    for endpoints that know none otherwise: without one nothing can be removed (the same section).
    """
    if removal == "values":
        return [{"op": "remove", "path": "members", "value": [{"value": id_} for id_ in ids]}]
    return [{"op": "remove", "path": f"members[value eq {quote(id_)}]"} for id_ in ids]


def needs_reading(kind: Kind, after: Flat) -> bool:
    """Return whether an operation without a path would need the rest of the attribute: `name.givenName`, one of several
    e-mails, or a part of an extension. Some endpoints would remove the other parts."""
    paths = [_path(text, kind) for text in after]
    return any(path.filter or path.part or path.schema for path in paths)


def without_paths(
    kind: Kind, there: Mapping[str, Json], after: Flat, former: Flat | None = None
) -> list[dict[str, Json]]:
    """Return the operation for endpoints without paths: its value holds the attributes and extensions, each whole.

    `there` is the resource as it was read, where that is needed. Removed values are replaced by null, which
    means the same (RFC 7643 section 2.5): "remove" without a path is an error (RFC 7644 section 3.5.2.2), and a part
    that is merely left out stays (section 3.5.2.3), but not everywhere.
    """
    value = _wholes(kind, there, after, former)
    return [{"op": "replace", "value": value}] if value else []


def whole_attributes(
    kind: Kind, there: Mapping[str, Json], after: Flat, former: Flat | None = None
) -> list[dict[str, Json]]:
    """Return the operations that replace attributes and extensions as wholes, each by its path, or remove them."""
    return [
        {"op": "replace", "path": path, "value": value}
        if value not in (None, [], {})
        else {"op": "remove", "path": path}
        for path, value in _wholes(kind, there, after, former).items()
    ]


def _wholes(kind: Kind, there: Mapping[str, Json], after: Flat, former: Flat | None) -> dict[str, Json]:
    """Return the attributes and extensions that some paths belong to, each whole; removed parts as null."""
    body = merge(kind, there, after, former)
    paths = [(_path(text, kind), value) for text, value in after.items()]
    value: dict[str, Json] = {}
    for path, _ in paths:
        value[path.schema or path.attribute] = field(body, path.schema or path.attribute)
    if reference := field(field(value.get(ENTERPRISE_SCHEMA), "manager"), "value"):
        # Its displayName is readOnly (RFC 7643 section 4.3): sent back, it may be refused.
        extension = _table(value, ENTERPRISE_SCHEMA)
        extension[_key(extension, "manager")] = {"value": reference}
    for path, wanted in paths:
        if wanted is None and not path.filter:
            holder = _table(value, path.schema) if path.schema else value
            holder, name = (_table(holder, path.attribute), path.part) if path.part else (holder, path.attribute)
            holder[_key(holder, name)] = None
    return value


def is_repeatable(operations: Iterable[Mapping[str, Json]]) -> bool:
    """Return whether a PATCH does the same when it is sent twice.

    By RFC 7644 section 3.5.2 every PATCH is idempotent. But some endpoints add an element of a list twice, and some
    answer the second removal of an element, or of a member, with an error.
    """
    for operation in operations:
        path = operation.get("path", "")
        if operation["op"] == "replace":
            continue
        if not path or "[" in path or path.startswith("members") or isinstance(operation.get("value"), list):
            return False
    return True


def not_taken(kind: Kind, sent: Flat, body: Mapping[str, Json]) -> Flat:
    """Return a resource's answered values at the paths whose sent values differ (None: nothing shown).

    `sent` None: was removed. Equivalent values are no difference (`core/drift.py`). A password, never returned, is
    never sent either.
    """
    there = flatten(kind, body, sent)
    different: Flat = {}
    for path, value in sent.items():
        shown = there.get(path)
        if not alike(path, value, shown):
            different[path] = shown
    return different


__all__ = [
    "ENTERPRISE_SCHEMA",
    "MANAGER",
    "PATCH_SCHEMA",
    "add_members",
    "flatten",
    "is_repeatable",
    "merge",
    "needs_reading",
    "not_taken",
    "patch",
    "remove_members",
    "replace_members",
    "resource",
    "unlabelled_values",
    "whole_attributes",
    "with_members",
    "without_paths",
]
