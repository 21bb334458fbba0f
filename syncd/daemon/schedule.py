"""When runs are due: the configuration's cron lines and durations as triggers of APScheduler. Pure.

Cron is meant as crontab(5) has it, which differs from APScheduler in two things: Sunday is 0 and 7, and where both the
day of the month and the weekday are restricted, either is enough.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd.values import duration

_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def trigger(schedule: str, zone: str, jitter: timedelta) -> BaseTrigger:
    """Return the trigger of a checked schedule: cron's five fields in a time zone, or a duration between runs.

    `jitter`: each run is delayed by a random time of at most so long.
    """
    seconds = round(jitter.total_seconds()) or None
    fields = schedule.split()
    if len(fields) != 5:
        every = duration(schedule).total_seconds()
        return IntervalTrigger(seconds=max(1, round(every)), timezone=ZoneInfo(zone), jitter=seconds)
    minute, hour, day, month, weekday = (field.lower() for field in fields)
    common = {"minute": minute, "hour": hour, "month": month, "timezone": ZoneInfo(zone), "jitter": seconds}
    weekdays = _weekdays(weekday)
    if day.startswith("*") or weekday.startswith("*"):
        return CronTrigger(day=day, day_of_week=weekdays, **common)
    return OrTrigger([CronTrigger(day=day, **common), CronTrigger(day_of_week=weekdays, **common)])


def _weekdays(field: str) -> str:
    """Return cron's weekdays by name: `5-7` is Friday to Sunday, `*/2` Sunday, Tuesday, Thursday, Saturday."""
    if field == "*":
        return field
    days: set[int] = set()
    for part in field.split(","):
        span, _, step = part.partition("/")
        first, _, last = span.partition("-")
        low, high = (0, 6) if span == "*" else (_number(first), _number(last or first))
        days |= {day % 7 for day in range(low, high + 1, int(step or 1))}
    return ",".join(_WEEKDAYS[day] for day in sorted(days))


def _number(text: str) -> int:
    return _WEEKDAYS.index(text) if text in _WEEKDAYS else int(text)
