"""One channel delivers its notices, oldest first. A channel that can't deliver delays no other channel.

A failed notice is tried again with a backoff of up to an hour, for three days. Notices beyond the hourly limit of
messages wait, and are then sent as one message.
"""

from __future__ import annotations

import asyncio
from collections.abc import Sequence
from dataclasses import replace
from datetime import datetime, timedelta, tzinfo
from typing import Final

import structlog

from syncd.notify.backlog import Backlog
from syncd.notify.channel import Channel, Undelivered
from syncd.notify.clock import Clock
from syncd.notify.notice import Notice, digest_of
from syncd.notify.pace import Pace, left
from syncd.store import Parcel

log = structlog.get_logger()
_GIVEN_UP_AFTER: Final = timedelta(days=3)
LOOK_AGAIN: Final = timedelta(minutes=1)
"""Time until the next look at a state file that could not be used."""
_TOGETHER: Final = 100
"""Notices in one message."""
_IN_TURN: Final = 3
"""After this many failures in a row the next attempt takes another notice: the first one may be at fault."""


class Lane:
    """Delivers the backlog of one channel at the channel's pace. `zone`: that of the moments in a joint message."""

    def __init__(self, channel: Channel, backlog: Backlog, pace: Pace, clock: Clock, zone: tzinfo) -> None:
        self.bell = asyncio.Event()
        self.closed = False
        self.backlog = backlog
        self._channel = channel
        self._pace = pace
        self._clock = clock
        self._zone = zone
        self._folding = False
        """Whether the next message takes all notices that waited for the hourly limit."""
        self._log = log.bind(channel=channel.name)

    async def run(self) -> None:
        """Deliver, until it is closed."""
        while not self.closed:
            self.bell.clear()
            try:
                span = await self._turn()
            except Exception as error:  # a fault in syncd must not end all notices
                self._log.error("notices_fail", error=f"{type(error).__name__}: {error}")
                span = LOOK_AGAIN
            if span is None or span > timedelta():
                await self._clock.wait(self.bell, span)

    async def _turn(self) -> timedelta | None:
        """Deliver one message if it is time; return when the next turn is due, None for not before it is woken."""
        parcels = await self.backlog.parcels()
        now = self._clock.now()
        parcels = await self._without_old(parcels, now)
        if not parcels:
            return LOOK_AGAIN if self.backlog.blind else None
        if rest := self._pace.rest(now):
            return rest
        if full := self._pace.full_for(now):
            self._folding = True
            return full
        due = [parcel for parcel in parcels if not left(parcel.next_try, now)]
        if not due:
            return min(left(parcel.next_try, now) for parcel in parcels)
        if self._pace.failures >= _IN_TURN:
            due.sort(key=lambda parcel: parcel.attempts)
        batch = due[:_TOGETHER] if self._folding else due[:1]
        self._folding = False
        await self._deliver(batch)
        return timedelta()

    async def _without_old(self, parcels: Sequence[Parcel], now: datetime) -> list[Parcel]:
        """Give up notices that have been tried for days; return the rest."""
        old = [parcel for parcel in parcels if parcel.attempts and now - parcel.created >= _GIVEN_UP_AFTER]
        for parcel in old:
            notice = parcel.notice
            self._log.error("notice_given_up", notice=notice["id"], kind=notice["kind"], attempts=parcel.attempts)
        if old:
            await self.backlog.finish(old)
        return [parcel for parcel in parcels if parcel not in old]

    async def _deliver(self, batch: Sequence[Parcel]) -> None:
        try:
            notices = [Notice.from_json(parcel.notice) for parcel in batch]
        except (KeyError, TypeError, ValueError) as error:
            # Another version wrote this notice, which must not delay the others.
            self._log.error("notice_unreadable", notices=[parcel.number for parcel in batch], error=repr(error))
            await self.backlog.finish(batch)
            return
        notice = notices[0] if len(notices) == 1 else digest_of(notices, self._clock.now(), self._zone)
        problem, asked = await self._attempt(notice)
        now = self._clock.now()
        if not problem:
            self._pace.succeeded(now)
            self._log.info("notice_sent", notice=notice.id, kind=notice.kind, notices=len(batch))
            await self.backlog.finish(batch)
            return
        self._pace.failed(now, asked)
        # Alone as well: a notice that is never accepted must not delay the others.
        tried = [replace(each, attempts=each.attempts + 1) for each in batch]
        again = [replace(each, next_try=now + self._pace.backoff(each.attempts)) for each in tried]
        failures = self._pace.failures
        self._log.warning("notice_not_sent", notice=notice.id, kind=notice.kind, error=problem, failures=failures)
        await self.backlog.put_off(again)

    async def _attempt(self, notice: Notice) -> tuple[str, timedelta]:
        """Send one notice; return the reason of a failure, "" for none, and the time to leave the channel alone."""
        try:
            await self._channel.send(notice)
        except Undelivered as error:
            return str(error), timedelta(seconds=error.retry_after)
        except Exception as error:  # a fault in syncd must not lead to attempts without backoff
            return f"{type(error).__name__} in syncd", timedelta()
        return "", timedelta()
