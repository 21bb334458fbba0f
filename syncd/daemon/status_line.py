"""The status line of `systemctl status`: the running cycles, or the time of the next run. Pure."""

from __future__ import annotations

from collections.abc import Iterable
from datetime import datetime, tzinfo

from syncd.daemon.cycles import Cycle
from syncd.report.moments import time_of_day


def status_line(
    cycles: Iterable[Cycle],
    *,
    paused: Iterable[str],
    next_run: datetime | None,
    refused: str,
    now: datetime,
    zone: tzinfo,
) -> str:
    """Return the running cycles in a line, preceded by the reason why a changed configuration was refused."""
    said = [_progress(cycle, target) for cycle in cycles for target in sorted(cycle.turn.left)]
    if not said:
        if names := ", ".join(sorted(paused)):
            said.append(f"paused: {names}")
        said.append(f"next run {time_of_day(next_run, zone, now)}" if next_run else "no run is scheduled")
    if refused:
        said.insert(0, f"the new configuration was refused, the old one is in force: {' '.join(refused.split())}")
    return "; ".join(said)


def _progress(cycle: Cycle, target: str) -> str:
    """Return the progress of a cycle at one target."""
    at = cycle.progress.status(target)
    if at["phase"] == "pushing":
        left = f", {_span(at['seconds_left'])} left" if at["seconds_left"] is not None else ""
        return f"pushing to {target}: {at['done']} of {at['of']}, {at['per_second']}/s{left}"
    people = f", {at['people']} people so far" if "people" in at else ""
    return f"{cycle.kind} of {target}: {at['phase']}{people}"


def _span(seconds: int) -> str:
    """Return a number of seconds in the unit that suits a person."""
    if seconds < 100:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{round(seconds / 3600)} h"
