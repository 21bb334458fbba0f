"""The findings of pydantic in the words of an administrator: the key, and what is wanted.

Input values stay out of every sentence: they may be secrets.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from difflib import get_close_matches
from enum import Enum
from types import UnionType
from typing import Annotated, Any, Final, Literal, Union, get_args, get_origin

from syncd.errors import Fault
from syncd.settings.sources import KINDS

_ONE_OF_THE_KINDS: Final = " or ".join(f'type = "{kind}"' for kind in KINDS)

_SENTENCES: Final = {
    "missing": "missing: it has no default",
    "union_tag_not_found": f"needs {_ONE_OF_THE_KINDS}",
    "union_tag_invalid": f"must be {_ONE_OF_THE_KINDS.replace('type = ', '')}",
    "string_type": "a text in quotes is wanted",
    "path_type": "a path in quotes is wanted",
    "bool_type": "true or false is wanted",
    "bool_parsing": "true or false is wanted",
    "int_type": "a whole number is wanted",
    "int_parsing": "a whole number is wanted",
    "int_from_float": "a whole number is wanted",
    "float_type": "a number is wanted",
    "float_parsing": "a number is wanted",
    "list_type": 'a list is wanted: ["…", "…"]',
    "tuple_type": 'a list is wanted: ["…", "…"]',
    "dict_type": "a table is wanted",
    "model_type": "a table is wanted",
    "model_attributes_type": "a table is wanted",
    "too_short": "at least one is wanted",
    "greater_than": "more than {gt:g} is wanted",
    "greater_than_equal": "at least {ge:g} is wanted",
    "less_than_equal": "at most {le:g} is wanted",
    "string_too_long": "at most {max_length} characters are wanted",
    "string_pattern_mismatch": "letters, digits, `.`, `_` and `-` are wanted, a letter or digit first",
    "literal_error": "must be {expected}",
    "enum": "must be {expected}",
}
"""By pydantic's type of error. Every other type has a sentence of its own, from the check that found it."""

_OF_TABLES: Final = {
    ("missing", "source"): f"missing: a table [source] with {_ONE_OF_THE_KINDS}",
    ("missing", "mapping"): 'missing: a table [mapping.user] with at least userName = "{mail}"',
    ("missing", "mapping.user"): 'missing: a table [mapping.user] with at least userName = "{mail}"',
    ("missing", "target"): "missing: at least one [[target]]",
    ("list_type", "target"): "write [[target]], with two brackets: there can be several",
}
_OF_KEY: Final = "[key]"
"""How pydantic marks a fault of a table's key, not of its value."""


def nearest(name: str, known: Iterable[str], cutoff: float = 0.6) -> str:
    """Return a question that names the most similar known name, or "" where none is similar."""
    found = get_close_matches(name, list(known), n=1, cutoff=cutoff)
    return f"; did you mean `{found[0]}`?" if found else ""


def explained(finding: Any, data: Any, model: Any) -> Fault:
    """Turn one of pydantic's findings about `data`, which should be a `model`, into a fault."""
    place: list[str] = []
    inside = expected = model
    for part in finding["loc"]:
        if (tagged := _tagged(expected, part)) is not None:
            expected = tagged
        elif isinstance(part, int):
            data = data[part] if isinstance(data, list) else None
            name = data.get("name") if isinstance(data, Mapping) else None
            place[-1] += f"[{name if isinstance(name, str) else part}]"
            inside, expected = expected, _inside(expected, part)
        elif part != _OF_KEY:
            place.append(part if re.fullmatch(r"\w+", part) else f'"{part}"')
            data = data.get(part) if isinstance(data, Mapping) else None
            inside, expected = expected, _inside(expected, part)
    if finding["type"] == "union_tag_invalid":
        place.append("type")
    return Fault(".".join(place), _sentence(finding, ".".join(place), inside, expected))


def _sentence(finding: Any, key: str, inside: Any, expected: Any) -> str:
    """Return what is wrong with a key; `inside` is the type of its table, `expected` that of its value."""
    kind, location = finding["type"], finding["loc"]
    if kind == "extra_forbidden" or location[-1] == _OF_KEY:
        name = str(next(part for part in reversed(location) if part != _OF_KEY))
        return f"no such key{nearest(name, _keys(inside))}"
    if (kind, key) in _OF_TABLES:
        return _OF_TABLES[kind, key]
    if kind not in _SENTENCES:
        return str(finding["msg"]).removeprefix("Value error, ")
    facts = dict(finding.get("ctx", {}))
    facts["expected"] = str(facts.get("expected", "")).replace("'", '"')
    # The value itself is not repeated, only the name that was probably meant.
    return _SENTENCES[kind].format(**facts) + nearest(str(finding.get("input")), _values(expected), cutoff=0.7)


def _options(annotation: Any) -> list[Any]:
    """Return the types that a value may have."""
    if get_origin(annotation) is Annotated:
        return _options(get_args(annotation)[0])
    if get_origin(annotation) in (Union, UnionType):
        return [option for each in get_args(annotation) for option in _options(each)]
    return [annotation]


def _fields(option: Any) -> dict[str, Any]:
    fields: dict[str, Any] = getattr(option, "model_fields", {})
    return fields


def _tagged(annotation: Any, tag: Any) -> Any:
    """Return the alternative whose `type` is the tag: pydantic puts the tag into a location, though it is no key."""
    options = _options(annotation)
    for option in options if len(options) > 1 else []:
        if "type" in _fields(option) and tag in get_args(_fields(option)["type"].annotation):
            return option
    return None


def _inside(annotation: Any, part: str | int) -> Any:
    """Return the type of the value below a key."""
    for option in _options(annotation):
        if get_origin(option) in (list, tuple):
            return get_args(option)[0]
        if get_origin(option) in (dict, Mapping):
            return get_args(option)[-1]
        for name, field in _fields(option).items():
            if part in (name, field.alias):
                return field.annotation
    return Any


def _values(annotation: Any) -> list[str]:
    """Return the values that are allowed, where they are a list of names."""
    values: list[str] = []
    for option in _options(annotation):
        if get_origin(option) is Literal:
            values += map(str, get_args(option))
        elif isinstance(option, type) and issubclass(option, Enum):
            values += [str(member.value) for member in option]
    return values


def _keys(annotation: Any) -> list[str]:
    """Return the keys that a table may have, as far as they are fixed."""
    keys: list[str] = []
    for option in _options(annotation):
        keys += [field.alias or name for name, field in _fields(option).items()]
        if get_origin(option) is dict and issubclass(get_args(option)[0], Enum):
            keys += [member.value for member in get_args(option)[0]]
    return keys
