"""Numbers, durations, changes and foreign error messages in the wording of notices. Pure."""

from __future__ import annotations

from datetime import timedelta
from typing import Final

from syncd.core.plan import Change
from syncd.report.words import key_shown

_TEXT: Final = 2000
"""Characters of an error message that are kept."""


def counted(number: int, one: str, several: str) -> str:
    return f"{number} {one if number == 1 else several}"


def named(change: Change) -> str:
    """Return the name of a change's resource, with the key where people know it."""
    key = key_shown(change.key, change.name, keys=False)
    return f"{change.name} ({key})" if key else change.name


def span_of(span: timedelta) -> str:
    """Return an approximate duration, in its largest unit."""
    minutes = max(int(span.total_seconds()) // 60, 1)
    for size, one in ((24 * 60, "day"), (60, "hour")):
        if minutes >= size:
            return counted(minutes // size, one, f"{one}s")
    return counted(minutes, "minute", "minutes")


def kept(text: str) -> str:
    """Return an error message of any length and content in a form that can be stored."""
    return text[:_TEXT].encode(errors="backslashreplace").decode()


def lines_of(text: str) -> list[str]:
    """Return an error message as the lines of a notice."""
    return [line.strip() for line in kept(text).splitlines() if line.strip()]
