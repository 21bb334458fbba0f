"""The pace of a channel: backoff after a failure, and a limit of messages in an hour. Pure."""

from __future__ import annotations

from collections import deque
from collections.abc import Callable, Iterable
from datetime import datetime, timedelta
from typing import Final

_FIRST_RETRY: Final = timedelta(seconds=30)
_HOUR: Final = timedelta(hours=1)


class Pace:
    """The pace of one channel. `spread`: a random number from 0 to 1."""

    def __init__(self, per_hour: int, spread: Callable[[], float]) -> None:
        self.failures = 0
        """In a row."""
        self.recalled = False
        """Whether `sent` has the messages sent before this start."""
        self._per_hour = per_hour
        self._spread = spread
        self._sent: deque[datetime] = deque(maxlen=per_hour)
        self._rest_until: datetime | None = None

    @property
    def sent(self) -> list[datetime]:
        """Times of the last messages, the oldest first."""
        return list(self._sent)

    def recall(self, before: Iterable[datetime]) -> None:
        """Count the messages sent before this start."""
        self._sent = deque([*before, *self._sent], maxlen=self._per_hour)
        self.recalled = True

    def succeeded(self, now: datetime) -> None:
        """Note that a message was sent."""
        self.failures = 0
        self._sent.append(now)

    def failed(self, now: datetime, asked: timedelta) -> None:
        """Note that a message failed. `asked`: the time for which the receiver asks to be left alone."""
        self.failures += 1
        self._rest_until = now + max(self.backoff(self.failures), min(asked, _HOUR))

    def rest(self, now: datetime) -> timedelta:
        """Return the rest of the backoff after a failure."""
        return left(self._rest_until, now)

    def full_for(self, now: datetime) -> timedelta:
        """Return the time until another message may be sent, by the limit of an hour."""
        if len(self._sent) < self._per_hour:
            return timedelta()
        return left(self._sent[0] + _HOUR, now)

    def backoff(self, attempts: int) -> timedelta:
        """Return the backoff after a number of attempts: longer each time, up to an hour, with jitter."""
        longest = min(_FIRST_RETRY * float(2 ** min(attempts - 1, 20)), _HOUR)
        return longest * (0.5 + self._spread() / 2)


def left(until: datetime | None, now: datetime) -> timedelta:
    """Return the time until a moment; zero where a clock that was set back makes the time implausibly long."""
    span = until - now if until is not None else timedelta()
    return span if timedelta() < span <= _HOUR else timedelta()
