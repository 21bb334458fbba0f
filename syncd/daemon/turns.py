"""Turns: a cycle begins in a thread of its own when the queue lets it, and its outcome goes to the results.

Never two cycles of one target. A cycle ends with the configuration it began with.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable
from concurrent.futures import Executor
from datetime import UTC, datetime
from typing import Final

import structlog

from syncd.core.plan import Run
from syncd.daemon.configuration import Configuration
from syncd.daemon.cycles import Cycle, JobRequest
from syncd.daemon.queue import RunQueue, Turn
from syncd.daemon.results import Results
from syncd.daemon.tasks import Tasks
from syncd.daemon.work import Result, asked, scheduled
from syncd.errors import SyncdError

log = structlog.get_logger()
_WHOLE: Final = ("resync", "relink")
"""Jobs that read their targets whole."""


class Turns:
    """The running cycles, and the queue of waiting ones. Called in the event loop alone."""

    def __init__(self, configuration: Configuration, results: Results, threads: Executor, tasks: Tasks) -> None:
        self.queue = RunQueue()
        self.cycles: list[Cycle] = []
        """The running cycles. Other threads may copy the list."""
        self.stopping = asyncio.Event()
        """Set once the daemon was told to stop: nothing begins any more."""
        self._configuration = configuration
        self._results = results
        self._threads = threads
        self._tasks = tasks

    # -- the start of turns ------------------------------------------------------------------------

    async def ring(self, names: list[str], full: bool) -> None:
        """Take an alarm: these targets are due."""
        log.debug("due", targets=names, full=full)
        self.queue.due(names, full=full)
        self.begin()

    def ask(self, request: JobRequest, targets: tuple[str, ...]) -> Turn:
        """Let a person's request have its turn as soon as its targets are free."""
        turn = Turn(targets, frozenset(targets) if request.job.kind in _WHOLE else frozenset(), request)
        self.queue.ask(turn)
        self.begin()
        return turn

    def pause(self, names: Iterable[str]) -> None:
        """Begin no scheduled turns of these targets, and end the running ones."""
        for name in names:
            self.queue.paused.add(name)
            for cycle in self.cycles:
                cycle.shutdown.request(name)

    def resume(self, names: Iterable[str]) -> None:
        """Let these targets have their turn again, at once."""
        paused = set(names)
        self.queue.paused -= paused
        self.queue.due(paused, full=False)
        self.begin()

    def stop(self) -> None:
        """Begin nothing more, and end the running cycles; a second call ends them at once."""
        self.stopping.set()
        for cycle in self.cycles:
            cycle.shutdown.request()

    def begin(self) -> None:
        """Begin the turns that may begin now."""
        if not self.stopping.is_set():
            for turn in self.queue.next():
                self._tasks.start(self._do(turn))

    # -- one turn ----------------------------------------------------------------------------------

    async def _do(self, turn: Turn) -> None:
        """Run a cycle in a thread, and note its result. Raises nothing: a fault must not end the daemon."""
        request = turn.asked if isinstance(turn.asked, JobRequest) else None
        cycle = Cycle.of(turn, request, datetime.now(UTC))
        self.cycles.append(cycle)
        try:
            if request is not None:
                await self._do_request(cycle, request)
            else:
                await self._do_what_is_due(cycle)
        except SyncdError as error:
            cycle.fail(error)
            await self._results.note_failure(cycle, error)
        except Exception as error:
            # The fault is reported, and the targets are tried again when they are due.
            log.exception("fault", targets=list(turn.targets))
            text = f"a fault of syncd itself: {type(error).__name__}: {error}"
            cycle.fail(SyncdError(text, hint="please report it with what the log says"))
            await self._results.note(cycle, Result(faults={"": text}))
        finally:
            self.cycles.remove(cycle)
            self._free(turn)

    async def _do_request(self, cycle: Cycle, request: JobRequest) -> None:
        request.began.set_result(cycle)
        loop, job = asyncio.get_running_loop(), request.job
        runs, answer = await loop.run_in_executor(
            self._threads, asked, job, request.setup, cycle.progress, cycle.shutdown, self._freeing(cycle.turn)
        )
        await self._results.note(cycle, Result(runs, source=None if job.plans else ""))
        cycle.done.set_result(answer)

    async def _do_what_is_due(self, cycle: Cycle) -> None:
        loop, turn, setup = asyncio.get_running_loop(), cycle.turn, self._configuration.setup
        freeing = self._freeing(turn)
        result = await loop.run_in_executor(
            self._threads, scheduled, setup, turn.targets, turn.full, cycle.progress, cycle.shutdown, freeing
        )
        await self._results.note(cycle, result)
        cycle.done.set_result([])  # a scheduled cycle has no follower

    def _freeing(self, turn: Turn) -> Callable[[Run], None]:
        """Return the function that a cycle's thread calls at the end of a run, which frees the run's target."""
        loop = asyncio.get_running_loop()

        def ended(run: Run) -> None:
            loop.call_soon_threadsafe(self._free, turn, run.plan.target)

        return ended

    def _free(self, turn: Turn, target: str | None = None) -> None:
        self.queue.free(turn, target)
        self.begin()


__all__ = ["Turns"]
