"""The backlog of one channel: from the outbox, and from memory while the outbox can't be used."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import suppress
from itertools import count

import structlog

from syncd.errors import StateError
from syncd.notify.clock import Clock
from syncd.notify.notice import Notice
from syncd.notify.outbox import AsyncOutbox
from syncd.notify.pace import Pace
from syncd.store import Parcel

log = structlog.get_logger()


class Backlog:
    """The notices that one channel has not delivered."""

    def __init__(self, channel: str, outbox: AsyncOutbox, pace: Pace, clock: Clock) -> None:
        self.blind = False
        """Whether the outbox could not be read."""
        self._channel = channel
        self._outbox = outbox
        self._pace = pace
        self._clock = clock
        self._unwritten: list[Parcel] = []
        """Notices that never were in the outbox; numbers below 0."""
        self._numbers = count(-1, -1)
        self._delivered: set[int] = set()
        """Delivered notices whose delivery could not be recorded yet: these must not be sent again."""

    def take(self, notice: Notice) -> None:
        """Add a notice that is not in the outbox."""
        self._unwritten.append(Parcel(next(self._numbers), notice.to_json(), self._clock.now()))

    async def parcels(self) -> list[Parcel]:
        """Return the undelivered notices, the oldest first; only those from memory while the outbox can't be read."""
        stored: list[Parcel] = []
        try:
            if self._delivered:  # first: notices whose delivery is not recorded would be sent again
                await self._write_down()
            if not self._pace.recalled:
                self._pace.recall(await self._outbox.sent(self._channel))
            stored = await self._outbox.waiting(self._channel)
            self.blind = False
        except StateError as error:
            if not self.blind:
                log.warning("outbox_unusable", channel=self._channel, error=str(error))
            self.blind = True
        return sorted([*stored, *self._unwritten], key=lambda parcel: parcel.created)

    async def finish(self, parcels: Sequence[Parcel]) -> None:
        """Record these notices as done."""
        numbers = {parcel.number for parcel in parcels}
        self._unwritten = [parcel for parcel in self._unwritten if parcel.number not in numbers]
        self._delivered |= {number for number in numbers if number > 0}
        with suppress(StateError):  # `parcels` writes it the next time
            await self._write_down()

    async def put_off(self, parcels: Sequence[Parcel]) -> None:
        """Keep these notices for another attempt, with its time."""
        later = {parcel.number: parcel for parcel in parcels}
        self._unwritten = [later.get(parcel.number, parcel) for parcel in self._unwritten]
        with suppress(StateError):  # the channel rests anyway
            await self._outbox.failed(self._channel, [parcel for parcel in parcels if parcel.number > 0])

    async def _write_down(self) -> None:
        await self._outbox.done(self._channel, sorted(self._delivered), self._clock.now(), self._pace.sent)
        self._delivered.clear()
