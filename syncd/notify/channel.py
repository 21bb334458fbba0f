"""The interface of all channels: a name, sending one notice, and the error for a notice that was not taken."""

from __future__ import annotations

import ssl
from pathlib import Path
from typing import Protocol

from syncd.hooks import tls
from syncd.notify.notice import Notice


class Undelivered(Exception):
    """A notice was not accepted, or its acceptance is unknown. `str()` gives the reason, without secrets.

    `retry_after`: seconds for which the receiver asks to be left alone; 0 without such a request.
    """

    def __init__(self, problem: str, *, retry_after: float = 0.0) -> None:
        super().__init__(problem)
        self.retry_after = retry_after


class Channel(Protocol):
    """One way to reach people."""

    @property
    def name(self) -> str:
        """`webhook` or `email`: the outbox records deliveries by this name."""

    async def send(self, notice: Notice) -> None:
        """Deliver one notice, within a time of the channel's own. Raises Undelivered."""


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return the TLS context that verifies a server, as `hooks/tls.py`. Raises Undelivered."""
    try:
        return tls.trusting(ca_file)
    except tls.Untrusted as error:
        raise Undelivered(str(error)) from None
