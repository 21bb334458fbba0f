"""The heartbeat: each second it compares the clocks, writes the status line, and feeds the watchdog if due."""

from __future__ import annotations

import asyncio
import time
from collections.abc import Callable
from typing import Final

import structlog

from syncd.daemon.clock import Clock
from syncd.daemon.systemd import Systemd

log = structlog.get_logger()
_TICK: Final = 1.0
"""Seconds between two beats."""
_ALIVE: Final = 10.0
"""Seconds after which the watchdog is fed; a third of systemd's limit, where that is less."""


async def beat(systemd: Systemd, clock: Clock, status_line: Callable[[], str], jumped: Callable[[], None]) -> None:
    """Beat until cancelled. `jumped` is called after a jump of the clock."""
    every = min(systemd.watchdog / 3, _ALIVE) if systemd.watchdog else _ALIVE
    due = 0.0
    while True:
        if jump := clock.jumped():
            log.warning("clock_jumped", seconds=round(jump))
            jumped()
        systemd.status(status_line())
        if time.monotonic() >= due:
            systemd.alive()
            due = time.monotonic() + every
        await asyncio.sleep(_TICK)
