"""Schedules: cron lines and durations of the configuration as triggers of APScheduler, and the daily full resync.

Pure, except that the minute of the daily resync depends on the name of the host.

Cron is meant as crontab(5) has it, which differs from APScheduler in three things: Sunday is 0 and 7, a step may
go beyond its field's end, and where both the day of the month and the weekday are restricted, either is enough.
"""

from __future__ import annotations

from datetime import datetime, timedelta
from hashlib import blake2b
from socket import gethostname
from typing import Final
from zoneinfo import ZoneInfo

from apscheduler.triggers.base import BaseTrigger
from apscheduler.triggers.combining import OrTrigger
from apscheduler.triggers.cron import CronTrigger
from apscheduler.triggers.interval import IntervalTrigger

from syncd.settings import Settings
from syncd.settings.target import TargetSettings
from syncd.settings.values import cron, cron_takes_either_day, duration

_WEEKDAYS: Final = ("sun", "mon", "tue", "wed", "thu", "fri", "sat")
_NIGHT: Final = 6 * 60
"""Minutes from midnight on in which the daily resync begins: a resync reverts changes, at best while nobody works."""


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


def resync_schedule(settings: Settings, target: TargetSettings) -> str | None:
    """Return the checked schedule of a target's full resyncs; None: only on request."""
    line = _configured(settings, target) or _daily(gethostname(), str(settings.state), target.name)
    return None if line == "never" else line


def resync_missed(settings: Settings, target: TargetSettings, last: datetime | None, now: datetime) -> bool:
    """Return whether a full resync was due after the last one (None: there was none), and has not been done.

    The hours of a configured cron line are a person's choice, and are kept: nothing is made up for at another hour.
    """
    line = resync_schedule(settings, target)
    if line is None or (cron(line) and _configured(settings, target)):
        return False
    if last is None:
        return True
    if not cron(line):
        return now - last >= duration(line)
    due: datetime | None = trigger(line, settings.schedule.timezone, timedelta()).get_next_fire_time(None, last)
    return due is not None and due <= now


def _configured(settings: Settings, target: TargetSettings) -> str | None:
    return target.schedule.resync or settings.schedule.resync


def _daily(*parts: str) -> str:
    """Return the cron line of a daily minute that follows from these names, and is spread evenly over the night."""
    number = int.from_bytes(blake2b("\0".join(parts).encode(), digest_size=8).digest())
    hour, minute = divmod(number % _NIGHT, 60)
    return f"{minute} {hour} * * *"


__all__ = ["resync_missed", "resync_schedule", "trigger"]
