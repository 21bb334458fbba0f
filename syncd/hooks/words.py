"""The words of a receiver or command about a failure, fit to be shown: one line, short, without control characters."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Final

import orjson

from syncd.redaction import redact

_LONGEST: Final = 200
_MEMBERS: Final = ("detail", "message", "error", "title", "text")


def last_line(text: str) -> str:
    """Return the last line that says something."""
    return _shown(reversed(text.splitlines()))


def message_of(answer: str) -> str:
    """Return the message of an answer: a member of a JSON object, or the first line of a text. "" for a web page."""
    try:
        body = orjson.loads(answer)
    except orjson.JSONDecodeError:
        return "" if "<" in answer else _shown(answer.splitlines())
    if isinstance(body, dict):
        said = (value for name in _MEMBERS if isinstance(value := body.get(name), str))
        return _shown(line for text in said for line in text.splitlines())
    return _shown(body.splitlines()) if isinstance(body, str) else ""


def _shown(lines: Iterable[str]) -> str:
    printable = ("".join(char for char in line if char.isprintable()).strip() for line in lines)
    # Redacted before it is cut: a part of a secret would not be recognised.
    line = redact(next(filter(None, printable), ""))
    return line if len(line) <= _LONGEST else f"{line[: _LONGEST - 1]}…"


__all__ = ["last_line", "message_of"]
