"""The daemon: one event loop that decides what begins when, answers who asks, and never waits for work itself.

Work is done in threads, one for each cycle, each with a handle of its own on the state file; the lease is held from
beginning to end. What ends the process: SIGTERM or SIGINT, in order; everything else that goes wrong is said, and
tried again when it is due.
"""

from __future__ import annotations

import asyncio
import os
import signal
import socket
import time
from collections.abc import AsyncIterator
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from datetime import UTC, datetime
from socket import gethostname
from typing import Any, Final

import structlog
from pydantic import BaseModel

from syncd.core.model import Json
from syncd.core.plan import Result as Outcome
from syncd.core.plan import Run, timestamp
from syncd.cycle.jobs import Job
from syncd.daemon import health
from syncd.daemon.alarms import Alarms
from syncd.daemon.api import PeerProtocol, application, error_event
from syncd.daemon.clock import Clock
from syncd.daemon.keeping import Reports
from syncd.daemon.listening import Server, network_socket, socket_of
from syncd.daemon.metrics import Metrics
from syncd.daemon.peer import Rights, listen
from syncd.daemon.progress import CycleProgress, Told
from syncd.daemon.queue import RunQueue, Turn
from syncd.daemon.schedule import every_so_long
from syncd.daemon.systemd import Systemd
from syncd.daemon.work import Result, asked, scheduled, told
from syncd.errors import ConfigurationError, Fault, StateError, SyncdError
from syncd.notify.channels import channels
from syncd.notify.lasting import FAULT, SOURCE
from syncd.notify.sender import Sender
from syncd.notify.watch import unwritable, writable
from syncd.operations import OPERATIONS, OperationContext
from syncd.push.shutdown import Shutdown
from syncd.settings.build import Setup, read
from syncd.store import StateFile
from syncd.store.journal import KEPT_RUNS

log = structlog.get_logger()
_TICK: Final = 1.0
"""Seconds between two looks at the clock, and two words to systemd."""
_FOLLOWED: Final = 0.2
"""Seconds between two looks at how far a cycle is that somebody follows."""
_HEARTBEAT: Final = 5.0
"""Seconds after which whoever follows hears something, even if nothing has happened."""
_INCIDENTS: Final = {SOURCE: "the source can't be read", FAULT: "runs fail"}
"""What keeps it from being ready; a token that will expire does not."""
_GRACE: Final = 5.0
"""Seconds beyond `drain` until what only reads is left where it is."""


@dataclass(eq=False)
class _Cycle:
    """One cycle that goes on."""

    turn: Turn
    progress: CycleProgress
    shutdown: Shutdown
    began: datetime
    by: str
    kind: str
    done: asyncio.Future[list[Json]] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


@dataclass(eq=False)
class _Asked:
    """What a person asked for, until it begins."""

    job: Job
    setup: Setup
    by: str
    began: asyncio.Future[_Cycle] = field(default_factory=lambda: asyncio.get_running_loop().create_future())


class Daemon:
    """One running daemon."""

    def __init__(self, setup: Setup, systemd: Systemd | None = None, clock: Clock | None = None) -> None:
        self._setup = setup
        self._systemd = systemd or Systemd()
        self._clock = clock or Clock()
        self._queue = RunQueue()
        self._cycles: list[_Cycle] = []
        self._alarms = Alarms(self._ring, self._look)
        self._threads = ThreadPoolExecutor(thread_name_prefix="cycle", max_workers=64)
        self._began = datetime.now(UTC)
        self._refused = ""
        """Why the configuration that was last read again is not the one in force."""
        self._faults: dict[str, str] = {}
        """By target ("": all), what went wrong with the last cycle, apart from source and target."""
        self._unwritable = False
        self._first_is_over = False
        self._metrics = Metrics(self._rows)
        self._reports = Reports(setup.reports, setup.settings.reports.keep)
        self._stopping = asyncio.Event()
        self._reloading = asyncio.Lock()
        self._work: set[asyncio.Task[None]] = set()
        self._listening: list[asyncio.Task[None]] = []

    async def run(self) -> bool:
        """Run until SIGTERM or SIGINT; the caller holds the lease. Returns whether everything came to an end.

        Raises SyncdError when it can't begin.
        """
        loop = asyncio.get_running_loop()
        for target in self._setup.targets:
            target.token()  # a person is watching now: what can't work is said at once
        self._queue.paused = self._paused()
        rights = Rights.of_group(self._setup.settings.control.group)
        path = socket_of(self._setup)
        with ExitStack() as stack:
            network = network_socket(self._setup)  # what can't be had is said before anything begins
            listening = stack.enter_context(listen(path, rights))
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(each, self._stop)
            loop.add_signal_handler(signal.SIGHUP, self._reload_soon)
            server = Server(application(self, rights), PeerProtocol)
            serving = loop.create_task(server.serve([listening]))
            self._send()
            self._metrics.know(target.name for target in self._setup.targets)
            overdue = self._recall()
            asked_for = self._listen(network)
            self._alarms.set(self._setup.settings)
            self._alarms.scheduler.start()
            log.info("started", pid=os.getpid(), socket=str(path), targets=len(self._setup.targets))
            self._systemd.ready()
            self._queue.due([target.name for target in self._setup.targets], full=False)
            self._queue.due(overdue, full=True)
            self._begin_what_may()
            ticking = loop.create_task(self._tick())
            await self._stopping.wait()
            ended = await self._come_to_an_end()
            ticking.cancel()
            self._sender.close()
            await self._sending
            for each_server in (server, *asked_for):
                each_server.should_exit = True
            with suppress(TimeoutError):
                await asyncio.wait_for(asyncio.gather(serving, *self._listening), _GRACE)
            path.unlink(missing_ok=True)
        log.info("stopped", unfinished=not ended)
        return ended

    def _listen(self, network: socket.socket | None) -> list[Server]:
        """Answer on the network, where that is configured."""
        if network is None:
            return []
        server = Server(health.application(self._metrics.registry, self._wrong), "h11")
        self._listening.append(asyncio.get_running_loop().create_task(server.serve([network])))
        log.info("listening", address=self._setup.settings.metrics.listen)
        return [server]

    def _recall(self) -> list[str]:
        """Let the figures know when runs ended well before this start; return whose full resync is overdue.

        A duration counts from the last one: who is restarted more often than that would never see one.
        """
        now, overdue = datetime.now(UTC), []
        with StateFile(self._setup.state) as state, state.explained():
            for target, own in zip(self._setup.targets, self._setup.settings.target, strict=True):
                resynced: datetime | None = None
                for head in reversed(state.journal(target.name).heads(KEPT_RUNS + 1)):
                    if head.finished and not head.error:
                        resynced = head.finished if head.kind == "resync" else resynced
                        if set(head.results) <= {Outcome.APPLIED.value}:
                            self._metrics.succeeded(target.name, head.kind, head.finished)
                every = every_so_long(own.schedule.resync or self._setup.settings.schedule.resync)
                if every is not None and (resynced is None or now - resynced >= every):
                    overdue.append(target.name)
        return overdue

    def _rows(self) -> list[Json]:
        """Return where each target stands; in a thread."""
        rows: list[Json] = self.answer("status", OPERATIONS["status"].arguments(), "")
        return rows

    def _wrong(self) -> list[str]:
        """Return in words why all is not well; in a thread."""
        wrong = [] if self._first_is_over else ["the first run has not ended"]
        try:
            for row in self._rows():
                wrong += [f"{row['target']} is stopped ({row['stopped']['cause']})"] if row["stopped"] else []
                wrong += [f"{row['target']} is paused"] if row["paused"] else []
                kinds = {each["kind"] for each in row["incidents"]}
                wrong += [words for kind, words in _INCIDENTS.items() if kind in kinds]
        except StateError:
            wrong.append("the state file can't be used")
        return sorted(set(wrong) | ({"a configuration was refused"} if self._refused else set()))

    def _paused(self) -> set[str]:
        with StateFile(self._setup.state) as state, state.explained():
            return {each.name for each in self._setup.targets if state.snapshot(each.name).paused}

    # -- what begins when ------------------------------------------------------------------------

    async def _ring(self, names: list[str], full: bool) -> None:
        log.debug("due", targets=names, full=full)
        self._queue.due(names, full=full)
        self._begin_what_may()

    async def _look(self) -> None:
        """See each hour what becomes worth telling by time alone."""
        await self._tell(Result())

    def _begin_what_may(self) -> None:
        if self._stopping.is_set():
            return
        for turn in self._queue.next():
            task = asyncio.get_running_loop().create_task(self._do(turn))
            self._work.add(task)
            task.add_done_callback(self._work.discard)

    async def _do(self, turn: Turn) -> None:
        """Have a cycle done in a thread of its own."""
        loop = asyncio.get_running_loop()
        wish = turn.asked if isinstance(turn.asked, _Asked) else None
        shutdown = Shutdown()
        progress = CycleProgress(turn.targets, shutdown)
        kind = wish.job.kind if wish else "resync" if turn.full else "sync"
        cycle = _Cycle(turn, progress, shutdown, datetime.now(UTC), wish.by if wish else "schedule", kind)
        self._cycles.append(cycle)

        def ended(run: Run) -> None:  # in the cycle's thread
            loop.call_soon_threadsafe(self._free, turn, run.plan.target)

        try:
            if wish is not None:
                wish.began.set_result(cycle)
                runs, answer = await loop.run_in_executor(
                    self._threads, asked, wish.job, wish.setup, progress, shutdown, ended
                )
                await self._note(cycle, Result(runs, source=None if wish.job.plans else ""))
                cycle.done.set_result(answer)
            else:
                result = await loop.run_in_executor(
                    self._threads, scheduled, self._setup, turn.targets, turn.full, progress, shutdown, ended
                )
                await self._note(cycle, result)
                cycle.done.set_result([])  # nobody follows what nobody asked for
        except SyncdError as error:
            cycle.done.set_exception(error)
            cycle.done.exception()  # whoever follows hears of it; perhaps nobody does
            self._metrics.did(cycle.progress)
            if isinstance(error, StateError):
                self._tell_of_state(error)
                self._metrics.cycle_failures.inc()
            else:
                log.warning("asked_in_vain", kind=cycle.kind, by=cycle.by, error=str(error))
                await self._tell(Result())
        except Exception as error:
            # A fault of ours must not end the daemon: it is said, and the targets are tried again when they are due.
            log.exception("fault", targets=list(turn.targets))
            text = f"a fault of syncd itself: {type(error).__name__}: {error}"
            if not cycle.done.done():
                cycle.done.set_exception(SyncdError(text, hint="please report it with what the log says"))
                cycle.done.exception()
            await self._note(cycle, Result(faults={"": text}))
        finally:
            self._cycles.remove(cycle)
            self._free(turn)

    def _free(self, turn: Turn, target: str | None = None) -> None:
        self._queue.free(turn, target)
        self._begin_what_may()

    async def _note(self, cycle: _Cycle, result: Result) -> None:
        """Say what came of a cycle: in the log, and to people who are to be told."""
        if result.source:
            log.error("source_unreadable", error=result.source)
        for target, fault in result.faults.items():
            log.error("cycle_failed", target=target or list(cycle.turn.targets), error=fault)
        now = datetime.now(UTC)
        self._first_is_over = True
        self._metrics.did(cycle.progress)
        for run in result.runs:
            self._metrics.ran(run, now)
            await self._keep(run)
        if result.source is not None:
            self._metrics.source(failed=bool(result.source), now=now)
        if result.faults:
            self._metrics.cycle_failures.inc()
        if not result.halted:
            for target in ("", *cycle.turn.targets):
                self._faults.pop(target, None)
            self._faults |= result.faults
        await self._tell(result)

    async def _keep(self, run: Run) -> None:
        """Keep a report of a run that is worth one."""
        try:
            path = await asyncio.get_running_loop().run_in_executor(self._threads, self._reports.keep, run)
        except OSError as error:
            log.warning("report_not_kept", run=run.number, target=run.plan.target, error=str(error))
        else:
            if path is not None:
                log.info("report_kept", run=run.number, target=run.plan.target, path=str(path))

    async def _tell(self, result: Result) -> None:
        try:
            new = await asyncio.get_running_loop().run_in_executor(
                self._threads, told, self._setup, result, dict(self._faults) if self._first_is_over else None
            )
        except StateError as error:
            self._tell_of_state(error)
            return
        if self._unwritable:
            self._unwritable = False
            self._sender.tell(writable(gethostname(), datetime.now(UTC)))
        if new:
            self._sender.wake()

    def _tell_of_state(self, error: StateError) -> None:
        """Say that nothing can be written down: past the outbox, for that is where it would be written."""
        self._unwritable = True
        log.error("state_unusable", error=str(error))
        self._sender.tell(unwritable(str(error), gethostname(), datetime.now(UTC)))

    def _send(self) -> None:
        """Let notices be sent as the configuration in force has it."""
        notify = self._setup.settings.notify
        found = channels(notify, self._setup.file, gethostname())
        path = self._setup.state
        self._sender = Sender(lambda: StateFile(path), found, per_hour=notify.per_hour, hostname=gethostname())
        self._sending = asyncio.get_running_loop().create_task(self._sender.run())

    # -- time ------------------------------------------------------------------------------------

    async def _tick(self) -> None:
        """Every second: has the clock jumped, what goes on, and that we are alive."""
        due = 0.0
        every = min(self._systemd.watchdog / 3, 10.0) if self._systemd.watchdog else 10.0
        while True:
            if jump := self._clock.jumped():
                log.warning("clock_jumped", seconds=round(jump))
                self._set_right()
            self._systemd.status(self._sentence())
            if time.monotonic() >= due:
                self._systemd.alive()
                due = time.monotonic() + every
            await asyncio.sleep(_TICK)

    def _set_right(self) -> None:
        """After a jump of the clock: what was missed is done once, and everything else is due from now on."""
        for names, full in self._alarms.set_anew(self._setup.settings):
            self._queue.due(names, full=full)
        self._begin_what_may()

    def _sentence(self) -> str:
        """Say in a line what goes on."""
        if self._stopping.is_set():
            return "stopping: finishing what is in flight"
        said = []
        for cycle in self._cycles:
            for target in sorted(cycle.turn.left):
                at = cycle.progress.status(target)
                if at["phase"] == "pushing":
                    left = f", {_span(at['seconds_left'])} left" if at["seconds_left"] is not None else ""
                    said.append(f"pushing to {target}: {at['done']} of {at['of']}, {at['per_second']}/s{left}")
                else:
                    people = f", {at['people']} people so far" if "people" in at else ""
                    said.append(f"{cycle.kind} of {target}: {at['phase']}{people}")
        if said:
            return "; ".join(said)
        paused = f"paused: {', '.join(sorted(self._queue.paused))}; " if self._queue.paused else ""
        if (first := self._alarms.next()) is None:
            return f"{paused}no run is scheduled"
        day = "" if first.date() == datetime.now(UTC).date() else f"{first:%Y-%m-%d} "
        return f"{paused}next run {day}{first:%H:%M:%S} UTC"

    # -- the end ---------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Come to an end; told twice, at once."""
        again = self._stopping.is_set()
        log.info("stopping", again=again)
        # What reads, notices and servers each have their grace, one after the other.
        self._systemd.stopping(self._setup.settings.drain.total_seconds() + 4 * _GRACE)
        self._stopping.set()
        for cycle in self._cycles:
            cycle.shutdown.request()

    async def _come_to_an_end(self) -> bool:
        """Wait for what goes on, as long as it may take; return whether all of it ended."""
        self._alarms.scheduler.shutdown(wait=False)
        self._systemd.status(self._sentence())
        if self._work:
            seconds = self._setup.settings.drain.total_seconds() + _GRACE
            _, left = await asyncio.wait(self._work, timeout=seconds)
            for cycle in self._cycles:
                log.warning("left_unfinished", kind=cycle.kind, targets=sorted(cycle.turn.left))
            return not left
        return True

    # -- what people ask -------------------------------------------------------------------------

    def about(self) -> Json:
        """Return which daemon this is."""
        return {
            "pid": os.getpid(),
            "since": timestamp(self._began),
            "configuration": str(self._setup.file.resolve()),
            "state": str(self._setup.state.resolve()),
            "refused": self._refused,
        }

    def answer(self, operation: str, asked: BaseModel, by: str) -> Json:
        """Answer an operation; in a thread. Raises SyncdError."""
        setup = self._setup
        with StateFile(setup.state) as state:
            answer = OPERATIONS[operation].answer(OperationContext(setup, state, by, datetime.now(UTC)), asked)
        if OPERATIONS[operation].writes:
            log.info("told", operation=operation, by=by, **asked.model_dump(exclude_none=True))
        if operation == "status":
            return [row | {"daemon": self._daemon_status(row["target"])} for row in answer]
        return answer

    def _daemon_status(self, target: str) -> Json:
        """Return what the daemon knows of a target and the state file doesn't."""
        running = None
        for cycle in list(self._cycles):
            if target in cycle.turn.left:
                running = {
                    "kind": cycle.kind,
                    "since": timestamp(cycle.began),
                    "by": cycle.by,
                    **cycle.progress.status(target),
                }
        return self.about() | {"next": self._alarms.next_of(target), "running": running}

    def answered(self, operation: str, asked: BaseModel) -> None:
        """After `pause`: bring what goes on to an end; after `resume`: begin again."""
        names = [each.name for each in self._setup.chosen(asked.target)]  # type: ignore[attr-defined]
        if operation == "pause":
            self._queue.paused |= set(names)
            for cycle in self._cycles:
                for name in names:
                    cycle.shutdown.request(name)
        elif operation == "resume":
            self._queue.paused -= set(names)
            self._queue.due(names, full=False)
            self._begin_what_may()

    async def follow(self, job: Job, by: str) -> AsyncIterator[Json]:
        """Have a job done, and say how far it is. It goes on when nobody follows any more."""
        try:
            targets = tuple(target.name for target in job.targets(self._setup))
            if self._stopping.is_set():
                raise SyncdError("the daemon is about to stop; nothing was done")
        except SyncdError as error:
            yield error_event(error)
            return
        wish = _Asked(job, self._setup, by)
        turn = Turn(targets, frozenset(targets) if job.kind in ("resync", "relink") else frozenset(), wish)
        who = {"who": job.who} if job.who else {}
        log.info("asked", kind=job.kind, targets=list(targets), **who, by=by)
        self._queue.ask(turn)
        self._begin_what_may()
        try:
            async for event in self._followed(wish, turn):
                yield event
        finally:
            if not wish.began.done():
                self._queue.withdraw(wish)

    async def _followed(self, wish: _Asked, turn: Turn) -> AsyncIterator[Json]:
        said = time.monotonic()
        stopping = asyncio.ensure_future(self._stopping.wait())
        either: list[asyncio.Future[Any]] = [wish.began, stopping]
        try:
            while not wish.began.done():
                others = ", ".join(self._queue.before(turn)) or "others"
                yield {"event": "waiting", "for": f"waiting for what goes on: {others}"}
                await asyncio.wait(either, timeout=_HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
                if self._stopping.is_set() and not wish.began.done():
                    yield error_event(SyncdError("the daemon was told to stop; nothing was done"))
                    return
        finally:
            stopping.cancel()
        cycle, told = wish.began.result(), Told()
        while True:
            await asyncio.wait([cycle.done], timeout=_FOLLOWED)
            for event in cycle.progress.news(told):
                said = time.monotonic()
                yield event
            if cycle.done.done():
                break
            if time.monotonic() - said > _HEARTBEAT:
                said = time.monotonic()
                yield {"event": "alive"}
        error = cycle.done.exception()
        if isinstance(error, SyncdError):
            yield error_event(error)
        else:
            yield {"event": "end", "answer": cycle.done.result()}

    # -- another configuration -------------------------------------------------------------------

    def _reload_soon(self) -> None:
        async def reload() -> None:
            with suppress(SyncdError):  # it is in the log, and in `status`
                await self.reload("SIGHUP")

        task = asyncio.get_running_loop().create_task(reload())
        self._work.add(task)
        task.add_done_callback(self._work.discard)

    async def reload(self, by: str) -> Json:
        """Read the configuration again; what goes on ends as it began. Raises SyncdError, and the old one stays."""
        async with self._reloading:
            return await self._reload(by)

    async def _reload(self, by: str) -> Json:
        self._systemd.reloading()
        try:
            setup = await asyncio.get_running_loop().run_in_executor(None, self._read_again)
        except SyncdError as error:
            self._refused = error.message
            self._metrics.reload_failing.set(1)
            log.error("reload_refused", by=by, error=str(error))
            raise
        else:
            new = {target.name for target in setup.targets} - {target.name for target in self._setup.targets}
            gone = {target.name for target in self._setup.targets} - {target.name for target in setup.targets}
            before, self._setup, self._refused = self._setup, setup, ""
            if before.settings.notify != setup.settings.notify:
                self._sender.close()
                await self._sending  # else what is in flight would be sent by both
                self._send()
            self._reports = Reports(setup.reports, setup.settings.reports.keep)
            self._metrics.know(target.name for target in setup.targets)
            self._metrics.reload_failing.set(0)
            self._queue.forget({target.name for target in setup.targets})
            self._queue.paused = self._paused()
            self._alarms.set(setup.settings)
            self._queue.due(new, full=False)
            self._begin_what_may()
            log.info("reloaded", by=by, targets=len(setup.targets), new=sorted(new), gone=sorted(gone))
            return {"targets": [target.name for target in setup.targets], "new": sorted(new), "gone": sorted(gone)}
        finally:
            self._systemd.ready()

    def _read_again(self) -> Setup:
        setup = read(self._setup.file)
        for target in setup.targets:
            target.token()
        faults = []
        for key, old, new in (
            ("state", self._setup.state, setup.state),
            ("control", self._setup.settings.control, setup.settings.control),
            ("metrics", self._setup.settings.metrics, setup.settings.metrics),
        ):
            if old != new:
                faults.append(Fault(key, "takes effect when the daemon is restarted, not by reloading"))
        if faults:
            raise ConfigurationError(str(setup.file), faults)
        return setup


def _span(seconds: int) -> str:
    """Return so many seconds as a person says it."""
    if seconds < 100:
        return f"{seconds} s"
    return f"{round(seconds / 60)} min" if seconds < 6000 else f"{round(seconds / 3600)} h"


def serve(setup: Setup) -> int:
    """Run the daemon to its end; returns the exit code. Raises SyncdError."""
    with StateFile(setup.state) as state, state.lease("run"):
        ended = asyncio.run(Daemon(setup).run())
        if not ended:
            # What is left only reads, in threads that nothing ends; whatever it is, the next start looks.
            os._exit(0)
    return 0
