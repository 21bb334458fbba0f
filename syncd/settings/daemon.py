"""What the configuration says of the daemon: when it runs, who may talk to it, and where it shows figures."""

from __future__ import annotations

from datetime import UTC, timedelta, tzinfo
from pathlib import Path
from typing import Annotated
from zoneinfo import ZoneInfo

from pydantic import AfterValidator, BeforeValidator, Field

from syncd.settings.sections import Duration, Section, between
from syncd.settings.values import schedule, schedule_or_never, socket_address, time_zone

Schedule = Annotated[str, AfterValidator(schedule)]


class ScheduleSettings(Section):
    """When the daemon runs. It also does when it starts."""

    sync: Schedule = "15m"
    """Cron (`*/15 * * * *`: minute, hour, day, month, weekday) or a duration between runs (`15m`)."""
    resync: Annotated[str | None, BeforeValidator(schedule_or_never)] = None
    """The same, for a full resync; by default, or `"never"`: only when somebody asks for one. A duration counts from
    the last one, also across restarts."""
    jitter: Annotated[Duration, between("0s", "1h")] = timedelta(0)
    """A random delay of at most this long (up to 1h), so that not everybody asks at the full minute."""
    timezone: Annotated[str, AfterValidator(time_zone)] = "UTC"
    """What the hours of cron mean. Text for people shows times in it: `status`, notices, `systemctl status`. JSON keeps
    UTC."""

    @property
    def zone(self) -> tzinfo:
        """The configured time zone. UTC needs no database of zones, which a small system may lack."""
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)


class TargetScheduleSettings(Section):
    """In what a target differs from `[schedule]`."""

    sync: Schedule | None = None
    """As there."""
    resync: Annotated[str | None, BeforeValidator(schedule_or_never)] = None
    """As there; `"never"`: not on a schedule."""


class ControlSettings(Section):
    """The socket over which the commands talk to a running daemon."""

    socket: Path | None = None
    """Where it is; else `syncd.sock` in `$RUNTIME_DIRECTORY` (`/run/syncd` for the service), or beside the state
    file where systemd has given none."""
    group: Annotated[str, Field(min_length=1)] = "syncd"
    """Whose members may talk to the daemon, beside root: all that `syncd approve` and `syncd resync` can do. Where
    there is no such group, only root and the daemon's own user may."""


class MetricsSettings(Section):
    """Figures for Prometheus, and whether all is well."""

    listen: Annotated[str, AfterValidator(socket_address)] | None = None
    """Address and port for `/metrics`, `/healthz` and `/readyz`, without encryption or password: `127.0.0.1:9464`.
    None: nothing listens on the network."""


class ReportsSettings(Section):
    """The reports that the daemon keeps: a page for each run that changes something, or holds something else."""

    folder: Path | None = None
    """Where; else `reports` beside the state file. For the daemon's own user alone: names and changes are in them."""
    keep: Annotated[int, Field(ge=0, le=10_000)] = 100
    """How many of each target; the oldest go first. 0: none. `syncd show RUN -o run.html` makes one at any time."""


__all__ = [
    "ControlSettings",
    "MetricsSettings",
    "ReportsSettings",
    "Schedule",
    "ScheduleSettings",
    "TargetScheduleSettings",
]
