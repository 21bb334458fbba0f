"""Sends notices: a thread puts news into the outbox, and the sender delivers the outbox.

Without a writable state file there is no outbox, and a notice is sent directly.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from concurrent.futures import Executor
from datetime import UTC, datetime
from socket import gethostname

import structlog

from syncd.daemon.configuration import Configuration
from syncd.daemon.work import Result
from syncd.errors import StateError
from syncd.notify.channels import channels
from syncd.notify.sender import Sender
from syncd.notify.watch import Concerns, TargetConcern, unwritable, watch, writable
from syncd.settings.build import Setup
from syncd.store import StateFile

log = structlog.get_logger()


class Notices:
    """The notices of one daemon. `start` comes first, `close` last."""

    def __init__(self, configuration: Configuration, threads: Executor) -> None:
        self._configuration = configuration
        self._threads = threads
        self._unwritable = False
        """Whether people were told that the state file can't be used."""

    def start(self) -> None:
        """Start to send notices by the configuration in force."""
        setup = self._configuration.setup
        settings, zone, path = setup.settings.notify, setup.settings.schedule.zone, setup.state
        found = channels(settings, setup.file, gethostname(), zone)
        self._sender = Sender(lambda: StateFile(path), found, per_hour=settings.per_hour, zone=zone)
        self._sending = asyncio.get_running_loop().create_task(self._sender.run())

    async def close(self) -> None:
        """Send nothing more; a message in flight has a few seconds to end."""
        self._sender.close()
        await self._sending

    async def restart(self) -> None:
        """Send notices by a new configuration. The old sender ends first, or both would send the same notices."""
        await self.close()
        self.start()

    async def tell(self, result: Result, faults: Mapping[str, str] | None) -> None:
        """Tell people the news after a cycle.

        `faults`: by target ("": all), what went wrong last; None: no cycle has ended yet.
        """
        loop = asyncio.get_running_loop()
        try:
            new = await loop.run_in_executor(self._threads, write_down, self._configuration.setup, result, faults)
        except StateError as error:
            self.tell_of_state(error)
            return
        if self._unwritable:
            self._unwritable = False
            self._sender.tell(writable(gethostname(), datetime.now(UTC)))
        if new:
            self._sender.wake()

    def tell_of_state(self, error: StateError) -> None:
        """Tell people that the state file can't be written: directly, for the outbox is in the same file."""
        self._unwritable = True
        log.error("state_unusable", error=str(error))
        self._sender.tell(unwritable(str(error), gethostname(), datetime.now(UTC)))


def write_down(setup: Setup, result: Result, faults: Mapping[str, str] | None) -> int:
    """Record new and ended incidents after a cycle; return the number of notices.

    `faults` as for `Notices.tell`. Called in a thread. Raises StateError.
    """
    settings = setup.settings
    of_targets = faults or {}
    concerns = Concerns(
        tuple(TargetConcern(each.name, each.token_expires, of_targets.get(each.name, "")) for each in settings.target),
        source=result.source,
        fault=faults.get("", "") if faults is not None else None,
        pending_after=settings.notify.pending_after,
        hostname=gethostname(),
        zone=settings.schedule.zone,
    )
    with StateFile(setup.state) as state:
        return watch(state, concerns, datetime.now(UTC))
