"""How values from anywhere are said to a person, in every format: escaped once, here.

Text from the source is hostile: control, format and bidirectional characters are shown as escapes, so that nobody's
display name can move the cursor or turn a line around. What a format has to escape besides is its own affair.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from typing import Final

from syncd.core.model import Json


def visible(text: str) -> str:
    """Return text in which every control, format and bidirectional character is an escape such as `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        char if char == " " or unicodedata.category(char)[0] not in "CZ" else f"\\u{ord(char):04x}" for char in text
    )


def plain(value: Json) -> str:
    """Return a JSON value as a table shows it: text without quotes; of a list's objects their values."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(plain(item.get("value") if isinstance(item, dict) else item) for item in value)
    return visible(str(value))


def value_text(value: Json) -> str:
    """Return a JSON value as a line of text shows it: text in quotes, and "nothing" where there is none."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f'"{visible(value)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        elements = (item.get("value") if isinstance(item, dict) else item for item in value)
        return "[" + ", ".join(map(value_text, elements)) + "]"
    return visible(str(value))


def label(path: str) -> str:
    """Return a path without its schema: people know `department`, not its URN."""
    return visible(path.rpartition(":User:")[2] if path.startswith("urn:") else path)


def counted(number: int, one: str, several: str) -> str:
    """Return a number with its noun, thousands set apart."""
    return f"{number:,} {one if number == 1 else several}"


def listed(parts: list[str]) -> str:
    """Return parts as a sentence lists them: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


NAMES_SHOWN: Final = 8


def shortened(names: Sequence[str]) -> str:
    """Return the first names of many, and how many more there are."""
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def duration(seconds: float) -> str:
    """Return a time as a person says it: "under a second", "42 s", "3 min", "2 h 5 min"."""
    if seconds < 1:
        return "under a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
