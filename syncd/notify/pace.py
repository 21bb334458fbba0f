"""When a channel may send its next message: neither while it rests after a failure, nor too many in an hour. Pure."""

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
        """Whether `sent` has what went before this start."""
        self._per_hour = per_hour
        self._spread = spread
        self._sent: deque[datetime] = deque(maxlen=per_hour)
        self._rest_until: datetime | None = None

    @property
    def sent(self) -> list[datetime]:
        """When the last messages went, the oldest first."""
        return list(self._sent)

    def recall(self, before: Iterable[datetime]) -> None:
        """Count what went before this start."""
        self._sent = deque([*before, *self._sent], maxlen=self._per_hour)
        self.recalled = True

    def succeeded(self, now: datetime) -> None:
        """A message went."""
        self.failures = 0
        self._sent.append(now)

    def failed(self, now: datetime, asked: timedelta) -> None:
        """A message did not go. `asked`: how long the other side wants to be left alone."""
        self.failures += 1
        self._rest_until = now + max(self.backoff(self.failures), min(asked, _HOUR))

    def rest(self, now: datetime) -> timedelta:
        """Return how long the channel still rests after a failure."""
        return left(self._rest_until, now)

    def full_for(self, now: datetime) -> timedelta:
        """Return how long no further message may be sent, because of those of the last hour."""
        if len(self._sent) < self._per_hour:
            return timedelta()
        return left(self._sent[0] + _HOUR, now)

    def backoff(self, attempts: int) -> timedelta:
        """Return how long to wait after so many attempts: longer each time, up to an hour, and some of it by chance."""
        longest = min(_FIRST_RETRY * float(2 ** min(attempts - 1, 20)), _HOUR)
        return longest * (0.5 + self._spread() / 2)


def left(until: datetime | None, now: datetime) -> timedelta:
    """Return how long it is until then; no time at all where the clock was set back so far that it can't be meant."""
    span = until - now if until is not None else timedelta()
    return span if timedelta() < span <= _HOUR else timedelta()
