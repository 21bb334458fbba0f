"""Talking to systemd: ready, what goes on, alive (sd_notify(3)). Says nothing where systemd didn't start us."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping
from contextlib import suppress
from time import CLOCK_MONOTONIC, clock_gettime


class Systemd:
    """The service manager, as far as it wants to hear of us."""

    def __init__(self, environment: Mapping[str, str] = os.environ) -> None:
        address = environment.get("NOTIFY_SOCKET", "")
        self._address = f"\0{address[1:]}" if address.startswith("@") else address
        for_us = environment.get("WATCHDOG_PID", "") in ("", str(os.getpid()))
        every = environment.get("WATCHDOG_USEC", "")
        self.watchdog: float | None = int(every) / 1_000_000 if every.isdecimal() and for_us else None
        """Seconds within which it wants to hear that we are alive; None: it doesn't."""
        self._status = ""

    def ready(self) -> None:
        """Everything listens, and the schedule runs."""
        self._tell("READY=1")

    def reloading(self) -> None:
        """The configuration is being read again; `ready` follows."""
        self._tell(f"RELOADING=1\nMONOTONIC_USEC={int(clock_gettime(CLOCK_MONOTONIC) * 1_000_000)}")

    def stopping(self, within: float) -> None:
        """We were told to stop, and are about to; it may take so many seconds, however few the unit allows."""
        self._tell(f"STOPPING=1\nEXTEND_TIMEOUT_USEC={round(within * 1_000_000)}")

    def alive(self) -> None:
        """The event loop turns."""
        self._tell("WATCHDOG=1")

    def status(self, sentence: str) -> None:
        """Say what goes on, in a line, where that has changed."""
        if sentence != self._status:
            self._status = sentence
            self._tell("STATUS=" + " ".join(sentence.split()))

    def _tell(self, what: str) -> None:
        if not self._address:
            return
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as channel, suppress(OSError):
            channel.setblocking(False)
            channel.sendto(what.encode(), self._address)
