"""The life of the daemon: its parts, how they begin, and how they end.

The event loop starts cycles and answers commands. The event loop never waits for work: each cycle runs in a thread
with a handle of its own on the state file. The lease is held from beginning to end. SIGTERM and SIGINT end the process
in order. Any other fault is reported, and the work is tried again when it is due.
"""

from __future__ import annotations

import asyncio
import os
import signal
from concurrent.futures import ThreadPoolExecutor
from contextlib import ExitStack, suppress
from datetime import UTC, datetime
from typing import Final

import structlog

from syncd.daemon import health
from syncd.daemon.alarms import Alarms
from syncd.daemon.answers import Answers
from syncd.daemon.api import PeerProtocol, application
from syncd.daemon.clock import Clock
from syncd.daemon.configuration import Configuration, demand_tokens
from syncd.daemon.heartbeat import beat
from syncd.daemon.keeping import Reports
from syncd.daemon.listening import Server, Servers, network_socket, socket_of
from syncd.daemon.metrics import Metrics
from syncd.daemon.notices import Notices
from syncd.daemon.peer import Rights, listen
from syncd.daemon.reloading import Reloading
from syncd.daemon.results import Results
from syncd.daemon.startup import paused_targets, recall
from syncd.daemon.status_line import status_line
from syncd.daemon.systemd import Systemd
from syncd.daemon.tasks import Tasks
from syncd.daemon.turns import Turns
from syncd.errors import StateError, SyncdError
from syncd.settings.build import Setup
from syncd.store import StateFile

log = structlog.get_logger()
_GRACE: Final = 5.0
"""Seconds beyond `drain` until cycles that only read are abandoned."""


class Daemon:
    """One running daemon. The class has one field for each part: its only work is to join the parts."""

    def __init__(self, setup: Setup, systemd: Systemd | None = None, clock: Clock | None = None) -> None:
        threads = ThreadPoolExecutor(thread_name_prefix="cycle", max_workers=64)
        self.configuration = Configuration(setup)
        self.systemd = systemd or Systemd()
        self.clock = clock or Clock()
        self.tasks = Tasks()
        self.metrics = Metrics(lambda: self.answers.statuses())
        self.notices = Notices(self.configuration, threads)
        self.results = Results(self.metrics, self.notices, Reports.of(setup), threads)
        self.turns = Turns(self.configuration, self.results, threads, self.tasks)
        self.alarms = Alarms(self.turns.ring, self.results.look)
        self.reloading = Reloading(
            self.configuration,
            self.systemd,
            self.status_line,
            alarms=self.alarms,
            turns=self.turns,
            results=self.results,
            notices=self.notices,
            metrics=self.metrics,
        )
        self.answers = Answers(self.configuration, self.turns, self.alarms, self.reloading)

    async def run(self) -> bool:
        """Run until SIGTERM or SIGINT; the caller holds the lease. Return whether everything ended in time.

        Raises SyncdError when the daemon can't begin.
        """
        setup = self.configuration.setup
        demand_tokens(setup)  # a person may be watching: a token that can't be read is an error now
        self.turns.queue.paused = paused_targets(setup)
        rights, path = Rights.of_group(setup.settings.control.group), socket_of(setup)
        with ExitStack() as stack:
            network = network_socket(setup)  # an unavailable address is an error before anything begins
            local = stack.enter_context(listen(path, rights))
            self._handle_signals()
            servers = Servers()
            servers.begin(Server(application(self.answers, rights), PeerProtocol), local)
            if network is not None:
                servers.begin(Server(health.application(self.metrics.registry, self._wrong), "h11"), network)
                log.info("listening", address=setup.settings.metrics.listen)
            overdue = self._begin(setup)
            log.info("started", pid=os.getpid(), socket=str(path), targets=len(setup.targets))
            self.systemd.ready()
            self._first_turns(setup, overdue)
            beating = asyncio.create_task(beat(self.systemd, self.clock, self.status_line, self.set_right))
            await self.turns.stopping.wait()
            ended = await self._come_to_an_end()
            beating.cancel()
            await self.notices.close()
            await servers.end(_GRACE)
            path.unlink(missing_ok=True)
        log.info("stopped", unfinished=not ended)
        return ended

    # -- startup -----------------------------------------------------------------------------------

    def _begin(self, setup: Setup) -> list[str]:
        """Start notices, metrics and alarms; return the targets whose full resync is overdue."""
        self.notices.start()
        self.metrics.know(target.name for target in setup.targets)
        overdue = recall(setup, self.metrics, datetime.now(UTC))
        self.alarms.set(setup.settings)
        self.alarms.scheduler.start()
        return overdue

    def _first_turns(self, setup: Setup, overdue: list[str]) -> None:
        """Let every target have a turn at the start."""
        self.turns.queue.due([target.name for target in setup.targets], full=False)
        self.turns.queue.due(overdue, full=True)
        self.turns.begin()

    # -- signals and the clock ---------------------------------------------------------------------

    def _handle_signals(self) -> None:
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self._stop)
        loop.add_signal_handler(signal.SIGHUP, lambda: self.tasks.start(self._reload()))

    async def _reload(self) -> None:
        with suppress(SyncdError):  # it is in the log, and in `status`
            await self.reloading.reload("SIGHUP")

    def set_right(self) -> None:
        """After a jump of the clock: let each missed turn come once, and set every alarm anew."""
        for names, full in self.alarms.set_anew(self.configuration.setup.settings):
            self.turns.queue.due(names, full=full)
        self.turns.begin()

    # -- status ------------------------------------------------------------------------------------

    def status_line(self) -> str:
        """Return the line of `systemctl status`."""
        if self.turns.stopping.is_set():
            return "stopping: finishing what is in flight"
        return status_line(
            self.turns.cycles,
            paused=self.turns.queue.paused,
            next_run=self.alarms.next(),
            refused=self.configuration.refused,
            now=datetime.now(UTC),
            zone=self.configuration.setup.settings.schedule.zone,
        )

    def _wrong(self) -> list[str]:
        """Return in words why the daemon is not ready; called in a thread."""
        try:
            rows = self.answers.statuses()
        except StateError:
            rows = None
        return health.reasons_against_ready(
            rows, first_is_over=self.results.first_is_over, refused=bool(self.configuration.refused)
        )

    # -- shutdown ----------------------------------------------------------------------------------

    def _stop(self) -> None:
        """Begin the shutdown; a second call ends the daemon at once."""
        log.info("stopping", again=self.turns.stopping.is_set())
        # Cycles that read, notices and servers each have their grace, one after the other.
        self.systemd.stopping(self.configuration.setup.settings.drain.total_seconds() + 4 * _GRACE)
        self.turns.stop()

    async def _come_to_an_end(self) -> bool:
        """Wait for cycles to end, for `drain` and a grace; return whether all did."""
        self.alarms.scheduler.shutdown(wait=False)
        self.systemd.status(self.status_line())
        ended = await self.tasks.wait(self.configuration.setup.settings.drain.total_seconds() + _GRACE)
        for cycle in self.turns.cycles:
            log.warning("left_unfinished", kind=cycle.kind, targets=sorted(cycle.turn.left))
        return ended


def serve(setup: Setup) -> int:
    """Run the daemon to its end; return the exit code. Raises SyncdError."""
    with StateFile(setup.state) as state, state.lease("run"):
        ended = asyncio.run(Daemon(setup).run())
        if not ended:
            # Threads that only read are left, and nothing ends them. The next start recovers their unfinished work.
            os._exit(0)
    return 0
