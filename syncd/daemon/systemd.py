"""Reports readiness, status and liveness to systemd (sd_notify(3)). Does nothing without systemd."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from time import CLOCK_MONOTONIC, clock_gettime
from typing import Final

_LONGEST: Final = 1000
"""Characters of a status line: systemd drops a datagram of more than 4096 bytes, and a terminal shows few of them."""


class Systemd:
    """The service manager. `watchdog`: seconds within which systemd expects a sign of life; None: no watchdog."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        for_us = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        every = environment.get("WATCHDOG_USEC", "")
        self.watchdog: float | None = int(every) / 1_000_000 if every.isdecimal() and for_us else None
        self._status = ""

    def ready(self) -> None:
        """Say that everything listens and the schedule runs."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """Say that the configuration is being read again; `ready` follows."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(clock_gettime(CLOCK_MONOTONIC) * 1_000_000)}")

    def stopping(self, within: float) -> None:
        """Report that the daemon is about to stop, and request a number of seconds, whatever the unit allows."""
        self._tell(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round(within * 1_000_000)}")

    def alive(self) -> None:
        """Report that the event loop is alive."""
        self._tell("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """Report the status line, where it has changed."""
        if sentence != self._status:
            self._status = sentence
            line = " ".join(sentence.split())
            self._tell(f"STATUS={line if len(line) <= _LONGEST else line[: _LONGEST - 1] + '…'}")

    def _tell(self, what: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel, suppress(OSError):
            channel.setblocking(False)
            channel.sendto(what.encode(), self._address)
