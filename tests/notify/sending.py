"""A sender at work over a real outbox: its clock is moved by hand, its channels do as they are told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import asynccontextmanager
from datetime import datetime, timedelta
from pathlib import Path
from typing import Any

from syncd.notify.channel import Undelivered
from syncd.notify.notice import Notice
from syncd.notify.sender import Sender
from syncd.store import StateFile
from tests.world import NOON


class HandClock:
    """A clock that stands still until somebody moves it."""

    def __init__(self, now: datetime = NOON) -> None:
        self._now = now
        self._waiting: dict[int, tuple[datetime | None, asyncio.Event, asyncio.Event]] = {}
        self._number = 0
        self._changed = asyncio.Event()

    def now(self) -> datetime:
        return self._now

    async def wait(self, bell: asyncio.Event, span: timedelta | None) -> None:
        assert span is None or timedelta() < span <= timedelta(hours=1)
        self._number += 1
        number, passed = self._number, asyncio.Event()
        self._waiting[number] = (self._now + span if span is not None else None, bell, passed)
        self._changed.set()
        tasks = [asyncio.ensure_future(event.wait()) for event in (bell, passed)]
        try:
            await asyncio.wait(tasks, return_when=asyncio.FIRST_COMPLETED)
        finally:
            del self._waiting[number]
            for task in tasks:
                task.cancel()

    async def quiet(self, lanes: int) -> None:
        """Return when everybody waits: there is nothing to do before the clock moves, or a bell rings."""
        await asyncio.sleep(0)
        while len(self._waiting) != lanes or any(
            bell.is_set() or passed.is_set() for _, bell, passed in self._waiting.values()
        ):
            await self._changed.wait()
            self._changed.clear()

    def move(self, span: timedelta) -> None:
        self._now += span
        for until, _, passed in self._waiting.values():
            if until is not None and until <= self._now:
                passed.set()

    @property
    def next(self) -> timedelta | None:
        """How long it is until somebody wants to go on."""
        moments = [until for until, _, _ in self._waiting.values() if until is not None]
        return min(moments) - self._now if moments else None


class Recorder:
    """A channel that takes notices, or refuses those that `refuses` has a reason for."""

    def __init__(self, name: str = "webhook") -> None:
        self.name = name
        self.refuses: Callable[[Notice], Undelivered | None] = lambda notice: None
        self.tried: list[tuple[datetime, Notice]] = []
        self.took: list[Notice] = []
        self.clock: HandClock | None = None

    async def send(self, notice: Notice) -> None:
        assert self.clock is not None
        self.tried.append((self.clock.now(), notice))
        if (problem := self.refuses(notice)) is not None:
            raise problem
        self.took.append(notice)

    @property
    def titles(self) -> list[str]:
        return [notice.title for notice in self.took]

    def times(self) -> list[float]:
        """Return after how many seconds each attempt was made."""
        return [(at - NOON).total_seconds() for at, _ in self.tried]


def down(notice: Notice) -> Undelivered:
    return Undelivered("it answers 503")


def notice(title: str, at: datetime = NOON) -> Notice:
    return Notice.of("run_failed", title, title, [f"of {title}"], {}, at, "id1")


class Post:
    """An outbox in a state file, and a sender that works on it."""

    def __init__(self, file: Path) -> None:
        self.file = file
        self.clock = HandClock()
        self.lanes = 0
        self.sender: Sender | None = None

    def put(self, *titles: str) -> None:
        """Put notices into the outbox, as of now."""
        with StateFile(self.file) as state, state.atomic():
            for title in titles:
                state.outbox().put(notice(title, self.clock.now()).to_json(), self.clock.now())

    def left(self) -> list[str]:
        with StateFile(self.file) as state:
            return [each["title"] for each in state.outbox().all()]

    def open(self) -> StateFile:
        return StateFile(self.file)

    @asynccontextmanager
    async def at_work(self, *channels: Any, **options: Any) -> AsyncIterator[Sender]:
        """Let a sender run, and be quiet before the block begins."""
        for channel in channels:
            channel.clock = self.clock
        self.lanes = max(len(channels), 1)
        options = {"spread": lambda: 1.0, "open_state": self.open, **options}
        self.sender = Sender(options.pop("open_state"), channels, clock=self.clock, **options)
        running = asyncio.create_task(self.sender.run())
        await self.quiet()
        yield self.sender
        self.sender.close()
        await running

    async def quiet(self) -> None:
        async with asyncio.timeout(30):
            await self.clock.quiet(self.lanes)

    async def wake(self) -> None:
        assert self.sender is not None
        self.sender.wake()
        await self.quiet()

    async def after(self, span: timedelta) -> None:
        """Let time pass, from one thing that somebody waits for to the next."""
        end = self.clock.now() + span
        while (step := self.clock.next) is not None and self.clock.now() + step <= end:
            self.clock.move(step)
            await self.quiet()
        self.clock.move(end - self.clock.now())
        await self.quiet()


def titles(count: int) -> Sequence[str]:
    return [f"n{number:02}" for number in range(count)]
