"""Schedules: cron lines and durations of the configuration as triggers of APScheduler. Pure.

Cron is meant as crontab(5) has it, which differs from APScheduler in three things: Sunday is 0 and 7, a step may
go beyond its field's end, and where both the day of the month and the weekday are restricted, either is enough.
"""

from __future__ import annotations

from datetime import timedelta
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd.settings.values import cron, cron_takes_either_day, duration

_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")


def trigger(schedule: str, zone: str, jitter: timedelta) -> BaseTrigger:
    """Return the trigger of a checked schedule: cron's five fields in a time zone, or a duration between runs.

    `jitter`: each run is delayed by a random time of at most so long.
    """
    seconds = round(jitter.total_seconds()) or None
    numbers = cron(schedule)
    if not numbers:
        every = round(duration(schedule).total_seconds())
        return IntervalTrigger(seconds=every, timezone=ZoneInfo(zone), jitter=seconds)
    # As lists: APScheduler refuses steps beyond a field's end, such as the `*/60` that cron takes for 0.
    minute, hour, day, month = (",".join(map(str, each)) for each in numbers[:4])
    weekdays = ",".join(_WEEKDAYS[number] for number in numbers[4])
    common = {"minute": minute, "hour": hour, "month": month, "timezone": ZoneInfo(zone), "jitter": seconds}
    if not cron_takes_either_day(schedule):
        return CronTrigger(day=day, day_of_week=weekdays, **common)
    return OrTrigger([CronTrigger(day=day, **common), CronTrigger(day_of_week=weekdays, **common)])


def every_so_long(schedule: str | None) -> timedelta | None:
    """Return the time between runs where a checked schedule is such a duration, else None."""
    return None if schedule in (None, "never") or cron(schedule) else duration(schedule)
