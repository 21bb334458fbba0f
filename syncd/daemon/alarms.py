"""The alarms: one for all targets of one schedule, and one each hour. Carries out nothing itself."""

from __future__ import annotations

from collections.abc import Awaitable, Callable
from datetime import UTC, datetime
from typing import Any, Final

from apscheduler.job import Job as Alarm
from apscheduler.schedulers.asyncio import AsyncIOScheduler

from syncd.core.model import Json
from syncd.core.plan import timestamp
from syncd.daemon.schedule import resync_schedule, trigger
from syncd.settings import Settings

_HOURLY: Final = "hourly"
_ALWAYS: Final[dict[str, Any]] = {"misfire_grace_time": None, "coalesce": True, "max_instances": 1}
"""A late alarm still rings, once."""


class Alarms:
    """The alarms of one configuration. `ring` takes the names of targets and whether the targets are read whole."""

    def __init__(
        self, ring: Callable[[list[str], bool], Awaitable[None]], hourly: Callable[[], Awaitable[None]]
    ) -> None:
        self._ring = ring
        self._hourly = hourly
        self.scheduler = AsyncIOScheduler(timezone=UTC)

    def set(self, settings: Settings) -> None:
        """Set the alarms of a configuration, and remove all others. An alarm that was set already keeps its time."""
        zone, jitter = settings.schedule.timezone, settings.schedule.jitter
        wanted: dict[tuple[str, str], list[str]] = {}
        for target in settings.target:
            for kind, line in (
                ("sync", target.schedule.sync or settings.schedule.sync),
                ("resync", resync_schedule(settings, target)),
            ):
                if line is not None:
                    wanted.setdefault((kind, line), []).append(target.name)
        alarms = {
            f"{kind} {line} {zone} {jitter} {' '.join(names)}": (kind, line, names)
            for (kind, line), names in wanted.items()
        }
        for alarm in self.all():
            if alarm.id not in alarms:
                alarm.remove()
        for id_, (kind, line, names) in alarms.items():
            if self.scheduler.get_job(id_) is None:
                when, asked = trigger(line, zone, jitter), [names, kind == "resync"]
                self.scheduler.add_job(self._ring, when, args=asked, id=id_, name=kind, **_ALWAYS)
        if self.scheduler.get_job(_HOURLY) is None:
            self.scheduler.add_job(self._hourly, "interval", hours=1, id=_HOURLY, **_ALWAYS)

    def set_anew(self, settings: Settings) -> list[tuple[list[str], bool]]:
        """Set every alarm anew after the clock has jumped; return the missed ones, as arguments of `ring`.

        A duration counts from the moment at which its alarm was set: a kept alarm might ring years from now.
        """
        now = datetime.now(UTC)
        missed = [alarm.args for alarm in self.all() if alarm.next_run_time is not None and alarm.next_run_time <= now]
        self.scheduler.remove_all_jobs()
        self.set(settings)
        return missed

    def all(self) -> list[Alarm]:
        """Return the alarms by which targets are due."""
        return [alarm for alarm in self.scheduler.get_jobs() if alarm.id != _HOURLY]

    def next_of(self, target: str) -> dict[str, Json]:
        """Return by kind when a target is due next."""
        found: dict[str, Json] = {"sync": None, "resync": None}
        for alarm in self.all():
            if target in alarm.args[0] and alarm.next_run_time is not None:
                found[alarm.name] = timestamp(alarm.next_run_time.astimezone(UTC))
        return found

    def next(self) -> datetime | None:
        """Return when anything is due next, in UTC."""
        coming = [alarm.next_run_time.astimezone(UTC) for alarm in self.all() if alarm.next_run_time is not None]
        return min(coming, default=None)
