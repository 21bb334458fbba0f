"""Moments as people read them: in the zone of `[schedule] timezone`, with its abbreviation. JSON keeps UTC.

Stored sentences (in plans and in the state file) name moments in UTC, because the configured zone may change;
`localized` shows such a sentence in a zone.
"""

from __future__ import annotations

import re
from datetime import UTC, date, datetime, tzinfo
from typing import Final

_KEPT: Final = re.compile(r"\b(\d{4}-\d\d-\d\d \d\d:\d\d) UTC\b")
"""A moment in a stored sentence."""


def minute(moment: datetime, zone: tzinfo) -> str:
    """Return a moment to the minute: `2026-11-22 13:00 CET`."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M %Z}"


def second(moment: datetime, zone: tzinfo) -> str:
    """Return a moment to the second: `2026-11-22 13:00:00 CET`."""
    return f"{moment.astimezone(zone):%Y-%m-%d %H:%M:%S %Z}"


def time_of_day(moment: datetime, zone: tzinfo, now: datetime) -> str:
    """Return a moment to the second, without the day if the day is today: `13:00:00 CET`."""
    local = moment.astimezone(zone)
    return f"{local:%H:%M:%S %Z}" if local.date() == now.astimezone(zone).date() else second(moment, zone)


def day(moment: datetime, zone: tzinfo) -> date:
    """Return the day on which a moment falls in a zone."""
    return moment.astimezone(zone).date()


def localized(sentence: str, zone: tzinfo) -> str:
    """Return a stored sentence with its moments in a zone."""

    def local(found: re.Match[str]) -> str:
        try:
            moment = datetime.strptime(found[1], "%Y-%m-%d %H:%M").replace(tzinfo=UTC)
            return minute(moment, zone)
        except (ValueError, OverflowError):  # no such day, or a day beyond the calendar: text from outside
            return found[0]

    return _KEPT.sub(local, sentence)


__all__ = ["day", "localized", "minute", "second", "time_of_day"]
