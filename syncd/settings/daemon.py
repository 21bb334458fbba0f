"""The tables about the daemon: its schedule, its socket, its figures and its reports."""

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
    """When the daemon synchronises. It also does so when it starts."""

    sync: Schedule = "15m"
    """Cron (`*/15 * * * *`: minute, hour, day, month, weekday) or a duration between runs (`15m`)."""
    resync: Annotated[str | None, BeforeValidator(schedule_or_never)] = None
    """The schedule of full resyncs. Unset: each day, at a minute between 00:00 and 05:59 that is random for each
    installation and target and stays the same across restarts; if the daemon was down then, at its next start.
    `"never"`: only on request. A duration counts from the last resync, also across restarts."""
    jitter: Annotated[Duration, between("0s", "1h")] = timedelta(0)
    """The longest random delay before a run (up to 1h), which spreads requests that would begin at the full minute."""
    timezone: Annotated[str, AfterValidator(time_zone)] = "UTC"
    """The time zone for the hours of cron and of the daily resync, and for the times in text: `status`, notices,
    `systemctl status`. JSON keeps UTC."""

    @property
    def zone(self) -> tzinfo:
        """The configured time zone. UTC needs no database of zones, which a small system may lack."""
        return UTC if self.timezone == "UTC" else ZoneInfo(self.timezone)


class TargetScheduleSettings(Section):
    """How a target differs from `[schedule]`."""

    sync: Schedule | None = None
    """As in `[schedule]`."""
    resync: Annotated[str | None, BeforeValidator(schedule_or_never)] = None
    """As in `[schedule]`, which also says what holds where both are unset; `"never"`: not on a schedule."""


class ControlSettings(Section):
    """The socket over which the commands talk to a running daemon."""

    socket: Path | None = None
    """The path of the socket. Unset: `syncd.sock` in `$RUNTIME_DIRECTORY` (`/run/syncd` for the service), or beside the
    state file where systemd sets no such variable."""
    group: Annotated[str, Field(min_length=1)] = "syncd"
    """The group whose members may talk to the daemon, like root: they may do all that `syncd approve` and
    `syncd resync` do. Where there is no such group, only root and the daemon's own user may."""


class MetricsSettings(Section):
    """Figures for Prometheus, and the health of the daemon."""

    listen: Annotated[str, AfterValidator(socket_address)] | None = None
    """Address and port for `/metrics`, `/healthz` and `/readyz`, without encryption or password: `127.0.0.1:9464`.
    None: nothing listens on the network."""


class ReportsSettings(Section):
    """The reports that the daemon keeps: a page for each run that changes something, or holds something else."""

    folder: Path | None = None
    """The folder; unset: `reports` beside the state file. Only the daemon's own user can read it."""
    keep: Annotated[int, Field(ge=0, le=10_000)] = 100
    """How many reports of each target are kept; the oldest are removed first. 0: none. `syncd show RUN -o run.html`
    makes a report at any time."""


__all__ = [
    "ControlSettings",
    "MetricsSettings",
    "ReportsSettings",
    "Schedule",
    "ScheduleSettings",
    "TargetScheduleSettings",
]
