"""The results of cycles: log lines, metrics, kept reports, and notices."""

from __future__ import annotations

import asyncio
from concurrent.futures import Executor
from datetime import UTC, datetime

import structlog

from syncd.core.plan import Run
from syncd.daemon.cycles import Cycle
from syncd.daemon.keeping import Reports
from syncd.daemon.metrics import Metrics
from syncd.daemon.notices import Notices
from syncd.daemon.work import Result
from syncd.errors import StateError, SyncdError

log = structlog.get_logger()


class Results:
    """Takes the result of each cycle, and remembers the last fault of each target."""

    def __init__(self, metrics: Metrics, notices: Notices, reports: Reports, threads: Executor) -> None:
        self.reports = reports
        self.first_is_over = False
        """Whether a cycle has ended since the daemon began."""
        self._faults: dict[str, str] = {}
        """By target ("": all), the fault of the last cycle, apart from faults of source and target."""
        self._metrics = metrics
        self._notices = notices
        self._threads = threads

    async def note(self, cycle: Cycle, result: Result) -> None:
        """Take the result of a cycle that ended without an error of its own."""
        targets = cycle.turn.targets
        if result.source:
            log.error("source_unreadable", error=result.source)
        for target, fault in result.faults.items():
            log.error("cycle_failed", target=target or list(targets), error=fault)
        self.first_is_over = True
        self._count(cycle, result)
        for run in result.runs:
            await self._keep(run)
        if not result.halted:
            for target in ("", *targets):
                self._faults.pop(target, None)
            self._faults |= result.faults
        await self._tell(result)

    async def note_failure(self, cycle: Cycle, error: SyncdError) -> None:
        """Take the error that ended a cycle: an unusable state file, or the failure of a person's request."""
        self._metrics.did(cycle.progress)
        if isinstance(error, StateError):
            self._notices.tell_of_state(error)
            self._metrics.cycle_failures.inc()
        else:
            log.warning("asked_in_vain", kind=cycle.kind, by=cycle.by, error=str(error))
            await self._tell(Result())

    async def look(self) -> None:
        """Look each hour for news by time alone, such as an invitation that nobody accepts."""
        await self._tell(Result())

    def _count(self, cycle: Cycle, result: Result) -> None:
        now = datetime.now(UTC)
        self._metrics.did(cycle.progress)
        for run in result.runs:
            self._metrics.ran(run, now)
        if result.source is not None:
            self._metrics.source(failed=bool(result.source), now=now)
        if result.faults:
            self._metrics.cycle_failures.inc()

    async def _keep(self, run: Run) -> None:
        """Keep a report of a run if it is worth one. A folder that can't be written stops nothing."""
        try:
            path = await asyncio.get_running_loop().run_in_executor(self._threads, self.reports.keep, run)
        except OSError as error:
            log.warning("report_not_kept", run=run.number, target=run.plan.target, error=str(error))
        else:
            if path is not None:
                log.info("report_kept", run=run.number, target=run.plan.target, path=str(path))

    async def _tell(self, result: Result) -> None:
        await self._notices.tell(result, dict(self._faults) if self.first_is_over else None)
