"""Reload: reads the configuration again while the daemon runs, and applies or refuses it as a whole."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from syncd.core.model import Json
from syncd.daemon.alarms import Alarms
from syncd.daemon.configuration import Configuration, read_again
from syncd.daemon.keeping import Reports
from syncd.daemon.metrics import Metrics
from syncd.daemon.notices import Notices
from syncd.daemon.results import Results
from syncd.daemon.startup import paused_targets
from syncd.daemon.systemd import Systemd
from syncd.daemon.turns import Turns
from syncd.errors import SyncdError
from syncd.settings.build import Setup

log = structlog.get_logger()


class Reloading:
    """Replaces the configuration in force.

    The other fields are the parts that depend on the configuration, and systemd, which is told the reload's result.
    """

    def __init__(
        self,
        configuration: Configuration,
        systemd: Systemd,
        status_line: Callable[[], str],
        *,
        alarms: Alarms,
        turns: Turns,
        results: Results,
        notices: Notices,
        metrics: Metrics,
    ) -> None:
        self._configuration = configuration
        self._systemd = systemd
        self._status_line = status_line
        self._alarms = alarms
        self._turns = turns
        self._results = results
        self._notices = notices
        self._metrics = metrics
        self._one_at_a_time = asyncio.Lock()

    async def reload(self, by: str) -> Json:
        """Read the configuration again; a running cycle keeps its own. Raises SyncdError, and the old one stays."""
        async with self._one_at_a_time:
            self._systemd.reloading()
            try:
                loop = asyncio.get_running_loop()
                setup = await loop.run_in_executor(None, read_again, self._configuration.setup)
                return await self._take_over(setup, by)
            except SyncdError as error:
                self._refuse(error, by)
                raise
            finally:
                self._systemd.status(self._status_line())  # before `ready`: then `systemctl reload` returns
                self._systemd.ready()

    def _refuse(self, error: SyncdError, by: str) -> None:
        self._configuration.refused = error.message
        self._metrics.reload_failing.set(1)
        log.error("reload_refused", by=by, error=str(error))

    async def _take_over(self, setup: Setup, by: str) -> Json:
        """Apply the new configuration to every part. Raises StateError, and nothing is applied."""
        paused = paused_targets(setup)
        before, names = self._configuration.setup, [target.name for target in setup.targets]
        new = sorted(set(names) - {target.name for target in before.targets})
        gone = sorted({target.name for target in before.targets} - set(names))
        self._configuration.setup, self._configuration.refused = setup, ""
        if _notice_settings(before) != _notice_settings(setup):
            await self._notices.restart()
        self._results.reports = Reports.of(setup)
        self._metrics.know(names)
        self._metrics.reload_failing.set(0)
        self._turns.queue.forget(set(names))
        self._turns.queue.paused = paused
        self._alarms.set(setup.settings)
        self._turns.queue.due(new, full=False)
        self._turns.begin()
        log.info("reloaded", by=by, targets=len(names), new=new, gone=gone)
        return {"targets": names, "new": new, "gone": gone}


def _notice_settings(setup: Setup) -> object:
    """Return the parts of the configuration that decide how notices are sent."""
    return setup.settings.notify, setup.settings.schedule.timezone
