"""The outbox from inside an event loop. An SQLite handle belongs to its thread: each access opens its own."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Iterable, Sequence
from datetime import datetime
from typing import Final

from syncd.store import Outbox, Parcel, StateFile

_AT_ONCE: Final = 1000
"""Number of notices read at a time: an outbox of many more belongs to a channel that is down."""


class AsyncOutbox:
    """The outbox for these channels. `open_state` is called in another thread. Every method raises StateError."""

    def __init__(self, open_state: Callable[[], StateFile], channels: Sequence[str]) -> None:
        self._open_state = open_state
        self._channels = channels

    async def waiting(self, channel: str) -> list[Parcel]:
        """Return the notices that a channel has not delivered."""

        def read() -> list[Parcel]:
            with self._open_state() as state, state.explained():
                return state.outbox().waiting(channel, _AT_ONCE)

        return await asyncio.to_thread(read)

    async def sent(self, channel: str) -> list[datetime]:
        """Return the times of a channel's last messages."""

        def read() -> list[datetime]:
            with self._open_state() as state, state.explained():
                return state.outbox().sent(channel)

        return await asyncio.to_thread(read)

    async def failed(self, channel: str, parcels: Iterable[Parcel]) -> None:
        """Write the time of the next attempt of these notices."""

        def write(outbox: Outbox) -> None:
            for parcel in parcels:
                assert parcel.next_try is not None
                outbox.failed(channel, [parcel.number], parcel.next_try)

        await self._written(write)

    async def done(self, channel: str, numbers: Sequence[int], now: datetime, sent: Sequence[datetime]) -> None:
        """Write that a channel is done with these notices, and the times of its last messages; remove notices that all
        channels are done with."""

        def write(outbox: Outbox) -> None:
            outbox.done(channel, numbers, now)
            outbox.keep_sent(channel, sent)
            outbox.clear(self._channels)

        await self._written(write)

    async def discard(self) -> None:
        """Remove the notices that all channels are done with: all notices, where there is no channel."""

        def write(outbox: Outbox) -> None:
            outbox.clear(self._channels)

        await self._written(write)

    async def _written(self, write: Callable[[Outbox], None]) -> None:
        def go() -> None:
            with self._open_state() as state, state.atomic():
                write(state.outbox())

        await asyncio.to_thread(go)
