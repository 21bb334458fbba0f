"""LDAP filters (RFC 4515): a check of well-formedness, and the escaping of values. Pure."""

from __future__ import annotations

import re
from collections.abc import Iterable
from typing import Final

_ITEM: Final = re.compile(
    r"""
    (?: (?P<type> [A-Za-z][A-Za-z0-9-]* | [0-9]+(?:\.[0-9]+)* ) (?P<options> (?:;[A-Za-z0-9-]+)* ) )?
    (?P<extended> (?: :dn )? (?: : [A-Za-z0-9.-]+ )? : (?==) )?
    (?P<comparison> ~= | >= | <= | = )
    """,
    re.VERBOSE,
)
_DEEPEST: Final = 50


class FilterFault(ValueError):
    """A filter that is not well-formed; the text names the fault and its position."""


def check_filter(text: str) -> None:
    """Raise FilterFault unless the text is one filter. Spaces between parts are let pass: people break lines."""
    position = _filter(text, _blank(text, 0), 0)
    position = _blank(text, position)
    if position != len(text):
        raise _fault(text, position, "something follows the end of the filter; to combine filters write (&(…)(…))")


def _filter(text: str, position: int, depth: int) -> int:
    """Check the filter that begins at `position`; return where it ends."""
    if depth > _DEEPEST:
        raise _fault(text, position, f"more than {_DEEPEST} levels of parentheses")
    if text[position : position + 1] != "(":
        raise _fault(text, position, "expected `(`")
    opened = position
    position = _blank(text, position + 1)
    operator = text[position : position + 1]
    if operator and operator in "&|!":
        position = _blank(text, position + 1)
        operands = 0
        while text[position : position + 1] == "(":
            position = _blank(text, _filter(text, position, depth + 1))
            operands += 1
        if operands == 0 or (operator == "!" and operands > 1):
            number = "exactly one filter" if operator == "!" else "at least one filter"
            raise _fault(text, position, f"`{operator}` needs {number} in parentheses after it")
    else:
        position = _item(text, position)
    if text[position : position + 1] != ")":
        raise _fault(text, position, f"expected `)` for the `(` at character {opened + 1}")
    return position + 1


def _item(text: str, position: int) -> int:
    """Check `attribute=value` and its relatives; return where it ends."""
    found = _ITEM.match(text, position)
    if found is None or not (found["type"] or (found["extended"] or "").strip(":")):
        raise _fault(text, position, "expected a comparison such as attribute=value")
    if found["extended"] and found["comparison"] != "=":
        raise _fault(text, found.start("comparison"), "a matching rule is followed by :=")
    position = found.end()
    while position < len(text) and text[position] not in "()":
        if text[position] == "\0":
            raise _fault(text, position, r"a NUL is written \00")
        if text[position] == "\\" and not re.match(r"[0-9a-fA-F]{2}", text[position + 1 : position + 3]):
            raise _fault(
                text, position, r"a backslash is followed by two hexadecimal digits (a backslash itself is \5c)"
            )
        position += 1
    if text[position : position + 1] == "(":
        raise _fault(text, position, r"a parenthesis in a value is written \28 or \29")
    return position


def _blank(text: str, position: int) -> int:
    while position < len(text) and text[position].isspace():
        position += 1
    return position


def _fault(text: str, position: int, problem: str) -> FilterFault:
    shown = text[position : position + 20]
    near = f"near `{shown}`" if shown else "at its end"
    return FilterFault(f"not a filter, character {position + 1}, {near}: {problem}")


def escaped(value: bytes) -> str:
    """Return a value as it is written into a filter: every byte that might mean something as `\\XX`."""
    return "".join(chr(byte) if chr(byte).isascii() and chr(byte).isalnum() else f"\\{byte:02x}" for byte in value)


def any_of(attribute: str, values: Iterable[bytes]) -> str:
    """Return the filter for entries whose attribute has one of the values."""
    return f"(|{''.join(f'({attribute}={escaped(value)})' for value in values)})"
