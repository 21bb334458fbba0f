"""Values in words for people, in every format: text is escaped once, here.

Text from the source is hostile: control, format and bidirectional characters are shown as escapes, so that no
display name can move the cursor, reverse a line, or look like another name. Each format escapes its own syntax.
"""

from __future__ import annotations

import re
import unicodedata
from collections.abc import Sequence
from typing import Final

from syncd.core.model import Json
from syncd.core.plan import Run

END_OF_STOP: Final = {
    "gone": "nothing is sent until `syncd relink`",
    "elsewhere": "nothing is sent until what is managed is seen there, or `syncd relink`",
    "refused": "nothing is sent until it takes the token again, which every run tries",
    "failing": "the next run that has something to send tries again",
}
"""The event that resumes a stopped target, by the cause of the stop."""


_MARK: Final = "[\u0300-\u036f\u0483-\u0489\u1ab0-\u1aff\u1dc0-\u1dff\u20d0-\u20ff\ufe20-\ufe2f]"
_DECEIVING: Final = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180d\u180f\u3164\uffa0]"  # invisible letters and marks
    "|(?<![#*0-9\u00a9\u00ae\u203c-\u3299\U0001f000-\U0001faff])[\ufe00-\ufe0f]"  # a variant, of no symbol
    f"|(?<={_MARK * 4}){_MARK}"  # accents that would pile up over the lines above
)
"""Characters that Python calls printable, but that are invisible or hide other characters."""


def visible(text: str) -> str:
    """Return text in which invisible, direction-changing and covering characters are escapes such as `\\u202e`."""
    if text.isprintable():
        return text if text.isascii() else _DECEIVING.sub(lambda found: _escape(found[0]), text)
    shown = (char if char == " " or unicodedata.category(char)[0] not in "CZ" else _escape(char) for char in text)
    return _DECEIVING.sub(lambda found: _escape(found[0]), "".join(shown))


def _escape(char: str) -> str:
    return f"\\u{ord(char):04x}"


def plain(value: Json) -> str:
    """Return a JSON value as a table shows it: text without quotes, and objects of a list as their values."""
    if value is None:
        return ""
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return ", ".join(plain(item.get("value") if isinstance(item, dict) else item) for item in value)
    return visible(str(value))


def value_text(value: Json) -> str:
    """Return a JSON value as a line of text shows it: text in quotes, and "nothing" for an absent value."""
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


def requests_of(run: Run) -> str:
    """Return the number of a run's requests: "12 requests (9 reads, 3 writes)"."""
    requests = counted(run.requests, "request", "requests")
    if run.reads is None or run.writes is None:
        return f"{requests} (reads were not counted)"
    if not run.requests:
        return requests
    return f"{requests} ({counted(run.reads, 'read', 'reads')}, {counted(run.writes, 'write', 'writes')})"


KEY_SHOWN: Final = 12
"""Characters of a key that people know: an employee's number, not a UUID."""


def key_shown(key: str, name: str, *, keys: bool) -> str:
    """Return a key where a line for people shows it, else "".

    #  key                           name      `keys`   -> shown
    #  the name itself               any       any         no: the name would be repeated
    #  any                           none      any         yes: the key is the only name
    #  up to 12 characters           any       any         yes
    #  longer, such as a UUID        any       no          no
    #  longer, such as a UUID        any       yes         yes
    """
    if key == name:
        return ""
    return key if keys or not name or len(key) <= KEY_SHOWN else ""


def listed(parts: list[str]) -> str:
    """Return parts as a sentence lists them: "a, b and c"."""
    return " and ".join(filter(None, [", ".join(parts[:-1]), *parts[-1:]]))


NAMES_SHOWN: Final = 8


def shortened(names: Sequence[str]) -> str:
    """Return the first of many names, and the number of further names."""
    more = f" and {len(names) - NAMES_SHOWN:,} more" if len(names) > NAMES_SHOWN else ""
    return ", ".join(names[:NAMES_SHOWN]) + more


def duration(seconds: float) -> str:
    """Return a duration in words: "under a second", "42 s", "3 min", "2 h 5 min"."""
    if seconds < 1:
        return "under a second"
    if seconds < 120:
        return f"{seconds:.0f} s"
    minutes = round(seconds / 60)
    if minutes < 120:
        return f"{minutes} min"
    return f"{minutes // 60} h {minutes % 60} min"
