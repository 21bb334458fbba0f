"""The clock of notices: the time, and waiting. A test sets another clock."""

from __future__ import annotations

import asyncio
from contextlib import suppress
from datetime import UTC, datetime, timedelta
from typing import Protocol


class Clock(Protocol):
    """Tells the time, and waits."""

    def now(self) -> datetime: ...

    async def wait(self, bell: asyncio.Event, span: timedelta | None) -> None:
        """Return when the bell rings, or after this long."""


class WallClock:
    """The time of the machine."""

    def now(self) -> datetime:
        return datetime.now(UTC)

    async def wait(self, bell: asyncio.Event, span: timedelta | None) -> None:
        with suppress(TimeoutError):
            async with asyncio.timeout(span.total_seconds() if span is not None else None):
                await bell.wait()
