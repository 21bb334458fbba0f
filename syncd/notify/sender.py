"""Delivers what waits in the outbox, oldest first, by every channel at its own pace. Nobody waits for it.

Each channel has a lane of its own: what one of them can't deliver delays no other. A notice is tried again after ever
longer times, up to an hour, for three days. More than so many messages an hour are not sent: what exceeds them waits,
and then goes as one message. Delivery is at least once: whoever is killed between delivering and writing that down
delivers again, with the same id.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Callable, Iterable, Sequence
from contextlib import suppress
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from itertools import count
from typing import Final, Protocol

import structlog

from syncd.errors import StateError
from syncd.notify.channel import Channel, Undelivered
from syncd.notify.notice import Notice, digest_of
from syncd.store import Outbox, Parcel, StateFile

log = structlog.get_logger()

_FIRST_RETRY: Final = timedelta(seconds=30)
_HOUR: Final = timedelta(hours=1)
_GIVEN_UP_AFTER: Final = timedelta(days=3)
_LOOK_AGAIN: Final = timedelta(minutes=1)
"""When to look again at a state file that could not be used."""
_TOGETHER: Final = 100
"""Notices in one message."""
_AT_ONCE: Final = 1000
"""Notices that are looked at: an outbox of many more belongs to a channel that is down."""
_IN_TURN: Final = 3
"""After so many failures in a row the next attempt is made with another notice: it may be this one that is refused."""
_CLOSING_SECONDS: Final = 5.0


class Clock(Protocol):
    """What time it is, and waiting."""

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


class Sender:
    """Sends what waits, until it is closed. `open_state` is called in whatever thread needs the state file.

    `wake`, `tell` and `close` may be called from any thread.
    """

    def __init__(
        self,
        open_state: Callable[[], StateFile],
        channels: Sequence[Channel],
        *,
        clock: Clock | None = None,
        per_hour: int = 20,
        hostname: str = "",
        spread: Callable[[], float] = random.random,
    ) -> None:
        self._post = _Post(open_state, [channel.name for channel in channels])
        self._channels = channels
        self._clock = clock or WallClock()
        self._hostname = hostname
        self._lanes = [_Lane(channel, self._post, self._clock, per_hour, spread) for channel in channels]
        self._told: set[str] = set()
        self._bell = asyncio.Event()
        self._loop: asyncio.AbstractEventLoop | None = None
        self._closed = False
        self._tasks: list[asyncio.Task[None]] = []

    async def run(self) -> None:
        """Send until `close`; what was not sent by then is there at the next start."""
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
        """Let `run` end: at once, or when what is being sent has had a few seconds more."""
        self._closed = True
        self._in_loop(self._end)

    def tell(self, notice: Notice) -> None:
        """Send a notice past the outbox, from memory: for when the state file can't be written. Of each id one."""
        if notice.id in self._told:
            return
        self._told.add(notice.id)

        def take() -> None:
            for lane in self._lanes:
                lane.take(notice)
            self._ring()

        if self._loop is None:
            take()
        else:
            self._in_loop(take)

    async def test(self) -> dict[str, str]:
        """Send a test notice by every channel; return by channel why it didn't work, "" where it did."""
        now = self._clock.now()
        at = f" from {self._hostname}" if self._hostname else ""
        lines = ["Nothing is wrong: somebody asked whether notices arrive."]
        notice = Notice.of("test", "", f"a test{at}: notices arrive", lines, {}, now, self._hostname)

        async def attempt(channel: Channel) -> str:
            try:
                await channel.send(notice)
            except Undelivered as error:
                return str(error)
            return ""

        answers = await asyncio.gather(*map(attempt, self._channels))
        return {channel.name: answer for channel, answer in zip(self._channels, answers, strict=True)}

    async def _discard(self) -> None:
        """Keep the outbox empty where nobody is to be told of anything."""
        while not self._closed:
            self._bell.clear()
            span = None
            try:
                await self._post.discard()
            except StateError:
                span = _LOOK_AGAIN
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


class _Post:
    """The outbox, from inside an event loop. An SQLite handle belongs to its thread: each errand opens its own."""

    def __init__(self, open_state: Callable[[], StateFile], channels: Sequence[str]) -> None:
        self._open_state = open_state
        self._channels = channels

    async def waiting(self, channel: str) -> list[Parcel]:
        """Return what a channel has not delivered. Raises StateError."""

        def read() -> list[Parcel]:
            with self._open_state() as state, state.explained():
                return state.outbox().waiting(channel, _AT_ONCE)

        return await asyncio.to_thread(read)

    async def sent(self, channel: str) -> list[datetime]:
        """Return when a channel's last messages went. Raises StateError."""

        def read() -> list[datetime]:
            with self._open_state() as state, state.explained():
                return state.outbox().sent(channel)

        return await asyncio.to_thread(read)

    async def failed(self, channel: str, parcels: Iterable[Parcel]) -> None:
        """Write when these are tried again. Raises StateError."""

        def write(outbox: Outbox) -> None:
            for parcel in parcels:
                assert parcel.next_try is not None
                outbox.failed(channel, [parcel.number], parcel.next_try)

        await self._written(write)

    async def done(self, channel: str, numbers: Sequence[int], now: datetime, sent: Sequence[datetime]) -> None:
        """Write that a channel is done with these, and when its last messages went, and remove what all are done
        with. Raises StateError."""

        def write(outbox: Outbox) -> None:
            outbox.done(channel, numbers, now)
            outbox.keep_sent(channel, sent)
            outbox.clear(self._channels)

        await self._written(write)

    async def discard(self) -> None:
        """Remove what all channels are done with: everything, where there is none. Raises StateError."""

        def write(outbox: Outbox) -> None:
            outbox.clear(self._channels)

        await self._written(write)

    async def _written(self, write: Callable[[Outbox], None]) -> None:
        def go() -> None:
            with self._open_state() as state, state.atomic():
                write(state.outbox())

        await asyncio.to_thread(go)


class _Lane:
    """One channel, and what it has still to deliver."""

    def __init__(self, channel: Channel, post: _Post, clock: Clock, per_hour: int, spread: Callable[[], float]) -> None:
        self.bell = asyncio.Event()
        self.closed = False
        self._channel = channel
        self._post = post
        self._clock = clock
        self._per_hour = per_hour
        self._spread = spread
        self._log = log.bind(channel=channel.name)
        self._unwritten: list[Parcel] = []
        """What never was in the outbox; numbers below 0."""
        self._numbers = count(-1, -1)
        self._delivered: set[int] = set()
        """What is done, though that could not be written down yet: it must not be sent again."""
        self._sent: deque[datetime] = deque(maxlen=per_hour)
        self._recalled = False
        """Whether `_sent` has what went before this start."""
        self._failures = 0
        """In a row."""
        self._rest_until: datetime | None = None
        self._folding = False
        self._blind = False
        """Whether the outbox could not be read."""

    def take(self, notice: Notice) -> None:
        """Deliver a notice that is not in the outbox."""
        self._unwritten.append(Parcel(next(self._numbers), notice.to_json(), self._clock.now()))

    async def run(self) -> None:
        """Deliver, until it is closed."""
        while not self.closed:
            self.bell.clear()
            try:
                span = await self._turn()
            except Exception as error:  # a mistake of ours is no reason never to tell anybody of anything again
                self._log.error("notices_fail", error=f"{type(error).__name__}: {error}")
                span = _LOOK_AGAIN
            if span is None or span > timedelta():
                await self._clock.wait(self.bell, span)

    async def _turn(self) -> timedelta | None:
        """Deliver one message if it is time; return when the next turn is due, None for not before it is woken."""
        parcels = await self._parcels()
        now = self._clock.now()
        parcels = await self._without_old(parcels, now)
        look_again = _LOOK_AGAIN if self._blind else None
        if not parcels:
            return look_again
        if rest := _left(self._rest_until, now):
            return rest
        if full := self._full_for(now):
            self._folding = True
            return full
        due = [parcel for parcel in parcels if not _left(parcel.next_try, now)]
        if not due:
            return min(_left(parcel.next_try, now) for parcel in parcels)
        if self._failures >= _IN_TURN:
            due.sort(key=lambda parcel: parcel.attempts)
        batch = due[:_TOGETHER] if self._folding else due[:1]
        self._folding = False
        await self._deliver(batch)
        return timedelta()

    async def _parcels(self) -> list[Parcel]:
        """Return what is not delivered, the oldest first; that from memory alone while the outbox can't be read."""
        stored: list[Parcel] = []
        try:
            if self._delivered:  # first: what is not written down yet would be sent again
                await self._write_down()
            if not self._recalled:
                before = await self._post.sent(self._channel.name)
                self._sent = deque([*before, *self._sent], maxlen=self._per_hour)
                self._recalled = True
            stored = await self._post.waiting(self._channel.name)
            self._blind = False
        except StateError as error:
            if not self._blind:
                self._log.warning("outbox_unusable", error=str(error))
            self._blind = True
        return sorted([*stored, *self._unwritten], key=lambda parcel: parcel.created)

    async def _without_old(self, parcels: Sequence[Parcel], now: datetime) -> list[Parcel]:
        """Give up what has been tried for days; return the rest."""
        old = [parcel for parcel in parcels if parcel.attempts and now - parcel.created >= _GIVEN_UP_AFTER]
        for parcel in old:
            notice = parcel.notice
            self._log.error("notice_given_up", notice=notice["id"], kind=notice["kind"], attempts=parcel.attempts)
        if old:
            await self._finish(old)
        return [parcel for parcel in parcels if parcel not in old]

    def _full_for(self, now: datetime) -> timedelta:
        """Return for how long no further message may be sent."""
        if len(self._sent) < self._per_hour:
            return timedelta()
        return _left(self._sent[0] + _HOUR, now)

    async def _deliver(self, batch: Sequence[Parcel]) -> None:
        try:
            notices = [Notice.from_json(parcel.notice) for parcel in batch]
        except (KeyError, TypeError, ValueError) as error:
            # Another version wrote it, and it must not keep the others back.
            self._log.error("notice_unreadable", notices=[parcel.number for parcel in batch], error=repr(error))
            await self._finish(batch)
            return
        notice = notices[0] if len(notices) == 1 else digest_of(notices, self._clock.now())
        problem, asked = "", timedelta()
        try:
            await self._channel.send(notice)
        except Undelivered as error:
            problem, asked = str(error), timedelta(seconds=error.retry_after)
        except Exception as error:  # a mistake of ours is no reason to try without a rest
            problem = f"{type(error).__name__} in syncd"
        now = self._clock.now()
        if not problem:
            self._failures = 0
            self._sent.append(now)
            self._log.info("notice_sent", notice=notice.id, kind=notice.kind, notices=len(batch))
            await self._finish(batch)
            return
        self._failures += 1
        self._rest_until = now + max(self._delay(self._failures), min(asked, _HOUR))
        # By itself as well: what is never taken, whatever it is, must not keep the others back.
        tried = [replace(each, attempts=each.attempts + 1) for each in batch]
        again = [replace(each, next_try=now + self._delay(each.attempts)) for each in tried]
        self._log.warning("notice_not_sent", notice=notice.id, kind=notice.kind, error=problem, failures=self._failures)
        await self._put_off(again)

    def _delay(self, attempts: int) -> timedelta:
        """Return how long to wait after so many attempts: ever longer, up to an hour, and some of it by chance."""
        longest = min(_FIRST_RETRY * float(2 ** min(attempts - 1, 20)), _HOUR)
        return longest * (0.5 + self._spread() / 2)

    async def _finish(self, parcels: Sequence[Parcel]) -> None:
        numbers = {parcel.number for parcel in parcels}
        self._unwritten = [parcel for parcel in self._unwritten if parcel.number not in numbers]
        self._delivered |= {number for number in numbers if number > 0}
        with suppress(StateError):  # the next turn writes it
            await self._write_down()

    async def _write_down(self) -> None:
        await self._post.done(self._channel.name, sorted(self._delivered), self._clock.now(), list(self._sent))
        self._delivered.clear()

    async def _put_off(self, parcels: Sequence[Parcel]) -> None:
        later = {parcel.number: parcel for parcel in parcels}
        self._unwritten = [later.get(parcel.number, parcel) for parcel in self._unwritten]
        with suppress(StateError):  # the channel rests anyway
            await self._post.failed(self._channel.name, [parcel for parcel in parcels if parcel.number > 0])


def _left(until: datetime | None, now: datetime) -> timedelta:
    """Return how long it is until then; no time at all where the clock was set back so far that it can't be meant."""
    left = until - now if until is not None else timedelta()
    return left if timedelta() < left <= _HOUR else timedelta()
