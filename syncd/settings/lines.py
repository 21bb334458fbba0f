"""The lines of a TOML file on which its keys stand: tomllib keeps none of them. Used only where something is wrong."""

from __future__ import annotations

import re
import tomllib
from collections.abc import Iterator, Sequence
from functools import cached_property
from typing import Final

Path = tuple[str | int, ...]

_KEY: Final = r"""(?:"(?:[^"\\]|\\.)*"|'[^']*'|[A-Za-z0-9_-]+)"""
_KEYS: Final = rf"\s*({_KEY}(?:\s*\.\s*{_KEY})*)\s*"
_LINE: Final = rf"(?s)\s*\[\[{_KEYS}\]\]|\s*\[{_KEYS}\]|{_KEYS}=(.*)"
_ENDS: Final = ("]", "}", '"""', "'''")
"""The marks at the end of a value of several lines."""


class Lines:
    """Where the keys of one file stand."""

    def __init__(self, text: str) -> None:
        self._text = text

    def of(self, path: Path) -> int | None:
        """Return the line of a key, from 1; of its table where the key isn't there; None where neither is."""
        return next((self._found[path[:end]] for end in range(len(path), 0, -1) if path[:end] in self._found), None)

    @cached_property
    def _found(self) -> dict[Path, int]:
        found: dict[Path, int] = {}
        for place, number in _keys(self._text):
            found.setdefault(place, number)
        return found


def _keys(text: str) -> Iterator[tuple[Path, int]]:
    """Yield every table and every key with its line."""
    # TOML knows no other line breaks: str.splitlines does.
    lines = text.split("\n")
    table: Path = ()
    last: dict[Path, int] = {}
    """The number of the last table of each array."""
    number = 0
    while number < len(lines):
        match = re.match(_LINE, lines[number])
        number += 1
        if match is None:
            continue
        array, plain, key, value = match.groups()
        if array is not None:
            place = _below((), _names(array), last)
            last[place] = last.get(place, -1) + 1
            table = (*place, last[place])
        elif plain is not None:
            table = _below((), _names(plain), last)
            table = (*table, last[table]) if table in last else table
        else:
            yield (*table, *_names(key)), number
            number += _further_lines(value, lines, number)
            continue
        yield table, number


def _below(place: Path, names: Sequence[str], last: dict[Path, int]) -> Path:
    """Return the place of a table: in an array of tables, it is in the last one."""
    for name in names:
        place = (*place, last[place], name) if place in last else (*place, name)
    return place


def _names(keys: str) -> list[str]:
    return [next(iter(tomllib.loads(f"{key} = 0"))) for key in re.findall(_KEY, keys)]


def _further_lines(value: str, lines: Sequence[str], start: int) -> int:
    """Return on how many more lines a value goes on; the first of them would be `lines[start]`."""
    for end in range(start, len(lines) + 1):
        # Each attempt parses all lines again, so it is made only where the value may end.
        if end > start and not any(mark in lines[end - 1] for mark in _ENDS):
            continue
        try:
            tomllib.loads("\n".join([f"value = {value}", *lines[start:end]]))
        except tomllib.TOMLDecodeError:
            continue
        return end - start
    return 0


__all__ = ["Lines", "Path"]
