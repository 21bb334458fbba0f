"""Delivers the outbox, by every channel at its own pace. No run waits for a delivery.

Delivery is at least once: a process that is killed between a delivery and its record delivers again, with the
same id.
"""

from __future__ import annotations

import asyncio
import random
from collections.abc import Callable, Sequence
from contextlib import suppress
from datetime import UTC, tzinfo
from typing import Final

from syncd.errors import StateError
from syncd.notify.backlog import Backlog
from syncd.notify.channel import Channel, Undelivered
from syncd.notify.clock import Clock, WallClock
from syncd.notify.lane import LOOK_AGAIN, Lane
from syncd.notify.notice import Notice
from syncd.notify.outbox import AsyncOutbox
from syncd.notify.pace import Pace
from syncd.store import StateFile

_CLOSING_SECONDS: Final = 5.0


class Sender:
    """Sends waiting notices, until it is closed. `open_state` is called in the thread that needs the state file.

    `wake`, `tell` and `close` may be called from any thread.
    """

    def __init__(
        self,
        open_state: Callable[[], StateFile],
        channels: Sequence[Channel],
        *,
        clock: Clock | None = None,
        per_hour: int = 20,
        zone: tzinfo = UTC,
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._outbox = AsyncOutbox(open_state, [channel.name for channel in channels])
        self._channels = channels
        self._clock = clock or WallClock()
        self._lanes = [self._lane(channel, Pace(per_hour, spread), zone) for channel in channels]
        self._told: set[str] = set()
        """Ids of the notices that were sent without the outbox."""
        self._bell = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    def _lane(self, channel: Channel, pace: Pace, zone: tzinfo) -> Lane:
        return Lane(channel, Backlog(channel.name, self._outbox, pace, self._clock), pace, self._clock, zone)

    async def run(self) -> None:
        """Send until `close`; notices that were not sent by then stay in the outbox for the next start."""
        self._loop = asyncio.get_running_loop()
        running = [lane.run() for lane in self._lanes] or [self._discard()]
        self._tasks = [self._loop.create_task(each) for each in running]
        if self._closed:
            self._end()
        try:
            await asyncio.gather(*self._tasks, return_exceptions=True)
        finally:
            for task in self._tasks:
                task.cancel()

    def wake(self) -> None:
        """Say that there may be something new in the outbox."""
        self._in_loop(self._ring)

    def close(self) -> None:
        """Let `run` end: at once, or after a few seconds for messages in flight."""
        self._closed = True
        self._in_loop(self._end)

    def tell(self, notice: Notice) -> None:
        """Send a notice from memory, for an unwritable state file. Each id is sent once."""
        if notice.id in self._told:
            return
        self._told.add(notice.id)

        def take() -> None:
            for lane in self._lanes:
                lane.backlog.take(notice)
            self._ring()

        if self._loop is None:
            take()
        else:
            self._in_loop(take)

    async def _discard(self) -> None:
        """Keep the outbox empty where no channel is configured."""
        while not self._closed:
            self._bell.clear()
            span = None
            try:
                await self._outbox.discard()
            except StateError:
                span = LOOK_AGAIN
            await self._clock.wait(self._bell, span)

    def _ring(self) -> None:
        self._bell.set()
        for lane in self._lanes:
            lane.bell.set()

    def _end(self) -> None:
        for lane in self._lanes:
            lane.closed = True
        self._ring()
        for task in self._tasks:
            task.get_loop().call_later(_CLOSING_SECONDS, task.cancel)

    def _in_loop(self, function: Callable[[], None]) -> None:
        if self._loop is not None:
            with suppress(RuntimeError):  # it is over, and so is `run`
                self._loop.call_soon_threadsafe(function)


async def send_test(channels: Sequence[Channel], hostname: str, clock: Clock | None = None) -> dict[str, str]:
    """Send a test notice by every channel; return by channel the reason of a failure, "" for none."""
    now = (clock or WallClock()).now()
    at = f" from {hostname}" if hostname else ""
    lines = ["Nothing is wrong: somebody asked whether notices arrive."]
    notice = Notice.of("test", "", f"a test{at}: notices arrive", lines, {}, now, hostname)

    async def attempt(channel: Channel) -> str:
        try:
            await channel.send(notice)
        except Undelivered as error:
            return str(error)
        return ""

    answers = await asyncio.gather(*map(attempt, channels))
    return {channel.name: answer for channel, answer in zip(channels, answers, strict=True)}


__all__ = ["Sender", "send_test"]
