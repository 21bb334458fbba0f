"""A running cycle, and a person's request before its cycle begins. Values only."""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, field
from datetime import datetime
from typing import Self

from syncd.core.model import Json
from syncd.cycle.jobs import Job
from syncd.daemon.progress import CycleProgress
from syncd.daemon.queue import Turn
from syncd.errors import SyncdError
from syncd.push.shutdown import Shutdown
from syncd.settings.build import Setup


@dataclass(eq=False)
class JobRequest:
    """A job that a person asked for, with the configuration of that moment."""

    job: Job
    setup: Setup
    by: str
    began: asyncio.Future[Cycle] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(eq=False)
class Cycle:
    """One cycle that runs in a thread."""

    turn: Turn
    kind: str
    by: str
    """A login name, or `schedule`."""
    began: datetime
    progress: CycleProgress
    shutdown: Shutdown
    done: asyncio.Future[list[Json]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())
    """The answer to the follower; an exception where the cycle failed."""

    @classmethod
    def of(cls, turn: Turn, request: JobRequest | None, began: datetime) -> Self:
        """Return the cycle of a turn: the job of a person's request, or, with no request, the cycle that is due."""
        kind = request.job.kind if request else "resync" if turn.full else "sync"
        shutdown = Shutdown()
        progress = CycleProgress(turn.targets, shutdown)
        return cls(turn, kind, request.by if request else "schedule", began, progress, shutdown)

    def fail(self, error: SyncdError) -> None:
        """Pass an error to the follower, once. Without a follower the error counts as retrieved."""
        if not self.done.done():
            self.done.set_exception(error)
            self.done.exception()
