"""The pace of requests to one target: configured rates, adaptive concurrency, and the pauses that the target demands.

A pause for one request is a pause for the whole target. The pace does not depend on the content of requests.
"""

from __future__ import annotations

import asyncio
import random
from collections import deque
from collections.abc import Mapping
from dataclasses import dataclass
from types import TracebackType
from typing import Final

from syncd.core.model import Kind
from syncd.scim.profiles import Profile

_MARGIN: Final = 1.02
"""Clocks differ: an endpoint that counts the same requests a little faster must not find one too many."""
_LATE_SECONDS: Final = 0.01
"""Credit of a late request. Less than the margin of a second, or a rest would be followed by one request too many."""
_SLOW_SECONDS: Final = 1.0
_SLOW_TIMES: Final = 4.0
_DRIFT: Final = 1.02
"""Growth of the usual time per answer: one quick answer must not make all others count as slow for ever."""


class Pacer:
    """A rate per second, evenly spaced, with up to `burst` at once after a rest (the generic cell rate algorithm).

    A bucket that lets a whole second's worth go at once, as rate limiters for clients do, is met by a 429 of every
    endpoint that counts by the second.
    """

    def __init__(self, per_second: float, burst: int = 1) -> None:
        self._interval = _MARGIN / per_second
        # Otherwise the time lost by a late timer would be lost for good.
        self._credit = (burst - 1) * self._interval + min(self._interval / 2, _LATE_SECONDS)
        self._next = 0.0

    async def place(self) -> float:
        """Wait for a place in the order of coming; returns the seconds waited."""
        now = asyncio.get_running_loop().time()
        place = max(self._next, now - self._credit)
        self._next = place + self._interval
        if place > now:
            await asyncio.sleep(place - now)
        return max(place - now, 0.0)


class Window:
    """The window of requests in flight: smaller after a 429 or slow answers, larger after as many good ones.

    Additive increase, multiplicative decrease (RFC 5681's congestion avoidance). An async context manager.
    """

    def __init__(self, most: int, limit: float = 0.0) -> None:
        """`limit`: the initial window, from the end of an earlier run; 0: the maximum."""
        self.most = most
        self.limit = min(max(limit, 1.0), float(most)) if limit else float(most)
        self._in_flight = 0
        self._waiting: deque[asyncio.Future[None]] = deque()
        self._cut_at = 0.0
        self._usual: dict[str, float] = {}

    async def __aenter__(self) -> None:
        if self._in_flight >= int(self.limit) or self._waiting:
            turn = asyncio.get_running_loop().create_future()
            self._waiting.append(turn)
            try:
                await turn
            except asyncio.CancelledError:
                if turn.done() and not turn.cancelled():
                    self._leave()
                raise
        else:
            self._in_flight += 1

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._leave()

    def _leave(self) -> None:
        self._in_flight -= 1
        while self._waiting and self._in_flight < int(self.limit):
            turn = self._waiting.popleft()
            if not turn.done():
                self._in_flight += 1
                turn.set_result(None)

    def answered(self, sort: str, started: float, ended: float) -> None:
        """Learn from a good answer; `sort` names requests of about equal duration."""
        seconds = ended - started
        usual = min(self._usual.get(sort, seconds) * _DRIFT, max(seconds, 0.001))
        self._usual[sort] = usual
        if seconds > _SLOW_SECONDS and seconds > usual * _SLOW_TIMES:
            self.cut(started, ended)
        else:
            self.limit = min(self.limit + 1 / self.limit, float(self.most))

    def cut(self, started: float, now: float) -> None:
        """Halve the window; only once for all requests that were in flight at the same time."""
        if started >= self._cut_at:
            self.limit = max(self.limit / 2, 1.0)
            self._cut_at = now


@dataclass
class Waits:
    """The cost of pacing: requests sent again, and the total of seconds waited before sending."""

    retries: int = 0
    seconds: float = 0.0


class Pace:
    """Decides when the next request to one target may be sent."""

    def __init__(self, profile: Profile, *, rate: float | None = None, most: int = 8, limit: float = 0.0) -> None:
        """`rate`: requests per second of all kinds, else the profile's. `most` in flight, beginning with `limit`."""
        self.window = Window(most, limit)
        self.waits = Waits()
        self._all = Pacer(rate or profile.requests_per_second)
        self._reads = Pacer(profile.reads_per_second) if profile.reads_per_second else None
        writes = {Kind.USER: profile.user_writes_per_second, Kind.GROUP: profile.group_writes_per_second}
        self._writes: Mapping[Kind, Pacer] = {
            kind: Pacer(per_second, profile.burst) for kind, per_second in writes.items() if per_second
        }
        self._resume_at = 0.0

    async def turn(self, method: str, kind: Kind | None, weight: int = 1) -> None:
        """Wait until a request may be sent; belongs inside the window. `weight`: as how many it counts."""
        pacers = [self._all, self._reads if method == "GET" else self._writes.get(kind) if kind else None]
        for pacer in filter(None, pacers):
            for _ in range(weight):
                self.waits.seconds += await pacer.place()
        loop = asyncio.get_running_loop()
        while (left := self._resume_at - loop.time()) > 0:
            self.waits.seconds += left
            # Not all at the same instant: an endpoint that was overwhelmed would be again.
            await asyncio.sleep(left + random.uniform(0, min(left, 1.0) / 4))  # noqa: S311

    def pause(self, seconds: float) -> None:
        """Pause all requests for a time."""
        self._resume_at = max(self._resume_at, asyncio.get_running_loop().time() + seconds)


def back_off(attempt: int, base: float, cap: float) -> float:
    """Return the backoff after a number of attempts: full jitter, doubling up to a cap."""
    return random.uniform(0, min(base * float(2 ** min(attempt - 1, 20)), cap))  # noqa: S311


__all__ = ["Pace", "Pacer", "Waits", "Window", "back_off"]
