"""Templates such as `{mail|lower}`: text with attributes of a source entry in it, compiled once.

A template can name attributes and filters and nothing else: no expressions, no indexing, no access to objects
(a configuration file is not code). For anything else there are rules in CEL (`rules.py`).
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Callable
from dataclasses import dataclass
from difflib import get_close_matches
from functools import partial

from syncd.core.model import Attributes

Values = list[str]
Filter = Callable[[Values], Values]


class TemplateError(ValueError):
    """A template that can't be compiled; the text names the fault and its position."""


class AmbiguousValues(ValueError):
    """Two attributes of one template have several values, and not equally many."""


def _each(function: Callable[[str], str]) -> Filter:
    return lambda values: [function(value) for value in values]


def _ascii(text: str) -> str:
    """Drop accents: `Zoë` to `Zoe`. A letter that has no decomposition (ø, ł, 王) is left out."""
    return unicodedata.normalize("NFKD", text).encode("ascii", "ignore").decode()


_PLAIN: dict[str, Filter] = {
    "lower": _each(str.lower),
    "upper": _each(str.upper),
    "title": _each(str.title),
    "strip": _each(str.strip),
    "ascii": _each(_ascii),
    "nfc": _each(partial(unicodedata.normalize, "NFC")),
    "digits": _each(lambda text: "".join(filter(str.isdecimal, text))),
    "local": _each(lambda text: text.rpartition("@")[0] or text),
    "domain": _each(lambda text: text.rpartition("@")[2] if "@" in text else ""),
    "first": lambda values: values[:1],
    "last": lambda values: values[-1:],
}
_WITH_TEXT: dict[str, Callable[[str], Filter]] = {
    "default": lambda text: lambda values: values if any(values) else [text],
    "join": lambda text: lambda values: [text.join(values)] if values else [],
    "remove": lambda text: _each(lambda value: value.replace(text, "")),
    "prefix": lambda text: _each(lambda value: text + value if value else ""),
    "suffix": lambda text: _each(lambda value: value + text if value else ""),
}
FILTERS = (*_PLAIN, *_WITH_TEXT, "truncate")


@dataclass(frozen=True, slots=True)
class Field:
    """One `{attribute|filter|…}` of a template."""

    attribute: str
    filters: tuple[Filter, ...]

    def values(self, attributes: Attributes) -> Values:
        values = attributes.get(self.attribute, [])
        for apply in self.filters:
            values = apply(values)
        return values


_TOKEN = re.compile(r"\{\{|\}\}|\{(?P<field>[^{}]*)\}|[{}]")


class Template:
    """A compiled template. `attributes` holds the names that it refers to."""

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts = _parse(text)
        fields = [part for part in self._parts if isinstance(part, Field)]
        self.attributes = frozenset(field.attribute for field in fields)
        self._only = fields[0] if len(self._parts) == len(fields) == 1 else None

    def first(self, attributes: Attributes) -> str:
        """Return the text with the first value of each attribute; "" when every attribute in it is empty."""
        if self._only is not None:
            values = self._only.values(attributes)
            return values[0] if values else ""
        return self._render([(part if isinstance(part, str) else part.values(attributes)[:1]) for part in self._parts])

    def all(self, attributes: Attributes) -> Values:
        """Return the text once for every value. Raises AmbiguousValues."""
        filled = [part if isinstance(part, str) else part.values(attributes) for part in self._parts]
        counts = {len(values) for values in filled if isinstance(values, list) and len(values) > 1}
        if len(counts) > 1:
            raise AmbiguousValues(
                f"the attributes of `{self.text}` have {' and '.join(map(str, sorted(counts)))} values"
            )
        rendered = []
        for index in range(counts.pop() if counts else 1):
            chosen = [p if isinstance(p, str) else (p[index : index + 1] if len(p) > 1 else p) for p in filled]
            rendered.append(self._render(chosen))
        return [text for text in rendered if text]

    def _render(self, filled: list[str | Values]) -> str:
        pieces = [part if isinstance(part, str) else "".join(part) for part in filled]
        if self.attributes and not any(
            piece for piece, part in zip(pieces, filled, strict=True) if isinstance(part, list)
        ):
            return ""
        return "".join(pieces) if self._only is not None else "".join(pieces).strip()


def _parse(text: str) -> list[str | Field]:
    parts: list[str | Field] = []

    def literal(piece: str) -> None:
        if parts and isinstance(parts[-1], str):
            parts[-1] += piece
        elif piece:
            parts.append(piece)

    position = 0
    for match in _TOKEN.finditer(text):
        literal(text[position : match.start()])
        position = match.end()
        token = match[0]
        if token in ("{{", "}}"):
            literal(token[0])
        elif match["field"] is None:
            raise TemplateError(
                f"`{text}`: a lone `{token}` at character {match.start() + 1}; write `{token}{token}` to mean it"
            )
        else:
            parts.append(_field(match["field"], text))
    literal(text[position:])
    return parts


def _field(field: str, text: str) -> Field:
    name, *filters = field.split("|")
    if not name.strip():
        raise TemplateError(f"`{text}`: `{{{field}}}` names no attribute")
    return Field(name.strip(), tuple(_filter(spec, text) for spec in filters))


def _filter(spec: str, text: str) -> Filter:
    name, colon, argument = spec.partition(":")
    name = name.strip()
    if name in _PLAIN:
        if colon:
            raise TemplateError(f"`{text}`: the filter `{name}` takes nothing after a colon")
        return _PLAIN[name]
    if name in _WITH_TEXT:
        if not argument:
            raise TemplateError(f"`{text}`: the filter `{name}` needs a text, as in `{name}:x`")
        return _WITH_TEXT[name](argument)
    if name == "truncate":
        if not argument.strip().isdecimal() or int(argument) < 1:
            raise TemplateError(f"`{text}`: `truncate` needs a number of characters, as in `truncate:64`")
        length = int(argument)
        return _each(lambda value: value[:length])
    nearest = get_close_matches(name, FILTERS, n=1)
    meant = f"; did you mean `{nearest[0]}`?" if nearest else f"; there are {', '.join(FILTERS)}"
    raise TemplateError(f"`{text}`: no filter is called `{name}`{meant}")
