"""Answers to the commands, as `syncd.daemon.api` requests them, and the effects of `pause` and `resume`."""

from __future__ import annotations

import os
from collections.abc import AsyncIterator
from datetime import UTC, datetime

import structlog
from pydantic import BaseModel

from syncd.core.model import Json
from syncd.core.plan import timestamp
from syncd.cycle.jobs import Job
from syncd.daemon.alarms import Alarms
from syncd.daemon.configuration import Configuration
from syncd.daemon.following import follow
from syncd.daemon.reloading import Reloading
from syncd.daemon.turns import Turns
from syncd.operations import OPERATIONS, OperationContext
from syncd.store import StateFile

log = structlog.get_logger()


class Answers:
    """Implements `syncd.daemon.api.Control`."""

    def __init__(self, configuration: Configuration, turns: Turns, alarms: Alarms, reloading: Reloading) -> None:
        self._configuration = configuration
        self._turns = turns
        self._alarms = alarms
        self._reloading = reloading
        self._began = datetime.now(UTC)

    def about(self) -> Json:
        """Return the daemon's identity."""
        setup = self._configuration.setup
        return {
            "pid": os.getpid(),
            "since": timestamp(self._began),
            "configuration": str(setup.file.resolve()),
            "state": str(setup.state.resolve()),
            "timezone": setup.settings.schedule.timezone,
            "refused": self._configuration.refused,
        }

    def answer(self, operation: str, asked: BaseModel, by: str) -> Json:
        """Answer an operation; called in a thread. Raises SyncdError."""
        setup = self._configuration.setup
        with StateFile(setup.state) as state:
            answer = OPERATIONS[operation].answer(OperationContext(setup, state, by, datetime.now(UTC)), asked)
        if OPERATIONS[operation].writes:
            log.info("told", operation=operation, by=by, **asked.model_dump(exclude_none=True))
        if operation == "status":
            return [row | {"daemon": self._daemon_status(row["target"])} for row in answer]
        return answer

    def statuses(self) -> list[Json]:
        """Return the same as `syncd status --json`, one for each target; called in a thread. Raises StateError."""
        rows: list[Json] = self.answer("status", OPERATIONS["status"].arguments(), "")
        return rows

    def _daemon_status(self, target: str) -> Json:
        """Return the daemon's own facts about a target, which are not in the state file."""
        running = None
        for cycle in list(self._turns.cycles):
            if target in cycle.turn.left:
                running = {
                    "kind": cycle.kind,
                    "since": timestamp(cycle.began),
                    "by": cycle.by,
                    **cycle.progress.status(target),
                }
        return self.about() | {"next": self._alarms.next_of(target), "running": running}

    def answered(self, operation: str, asked: BaseModel) -> None:
        """Apply the effects of an answered operation that writes: `pause` and `resume` concern running cycles."""
        names = [each.name for each in self._configuration.setup.chosen(asked.target)]  # type: ignore[attr-defined]
        if operation == "pause":
            self._turns.pause(names)
        elif operation == "resume":
            self._turns.resume(names)

    def follow(self, job: Job, by: str) -> AsyncIterator[Json]:
        """Carry out a job, and yield its progress; the last event is `end` or `error`."""
        return follow(self._turns, self._configuration.setup, job, by)

    async def reload(self, by: str) -> Json:
        """Read the configuration again. Raises SyncdError, and the old configuration stays."""
        return await self._reloading.reload(by)
