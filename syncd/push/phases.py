"""Phases and workers: the order and the concurrency of changes.

A phase ends before the next one begins. Within a phase each change is of another resource, so all run side by side, as
many at a time as the target is given; where the endpoint takes bulk requests, as many as these hold.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from itertools import groupby

from syncd.core.plan import Change
from syncd.core.room import ANY_NUMBER, Room
from syncd.scim.bulk import Bulk
from syncd.scim.client import Client


def phases(changes: Sequence[Change], failures: Mapping[str, int], room: Room = ANY_NUMBER) -> Iterator[list[Change]]:
    """Yield the changes of each phase, in order; `failures`: how often changes of a key failed lately.

    `room`: the target's room for a person, which decides the order.
    """
    for _, phase in groupby(in_turn(changes, failures, room), key=lambda change: room.place(change.phase, change.name)):
        yield list(phase)


def in_turn(changes: Sequence[Change], failures: Mapping[str, int], room: Room = ANY_NUMBER) -> list[Change]:
    """Return the changes in the order in which they are done: in each phase first those that failed least.

    Otherwise a few changes that always fail, and are always first, could keep all later ones from being tried.
    """
    return sorted(changes, key=lambda change: (room.place(change.phase, change.name), failures.get(change.key, 0)))


class Workers:
    """Run changes side by side at one target."""

    def __init__(self, client: Client, concurrency: int) -> None:
        self._client = client
        self._concurrency = concurrency
        self._tasks: set[asyncio.Task[None]] = set()

    async def side_by_side(
        self,
        changes: Sequence[Change],
        carry_out: Callable[[Change], Awaitable[None]],
        operations: tuple[int, int] | None,
    ) -> None:
        """Carry out the changes of one phase; `operations`: how many writes, and bytes, a bulk request may hold.

        Raises the first error that `carry_out` raises, after the others were cancelled.
        """
        waiting = iter(changes)
        self._client.bulk = Bulk(self._client.transport, *operations) if operations else None
        workers = self._concurrency * (self._client.bulk.operations if self._client.bulk else 1)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(workers, len(changes))):
                    task = group.create_task(self._work(waiting, carry_out))
                    self._tasks.add(task)
                    task.add_done_callback(self._tasks.discard)
        except* Exception as errors:
            raise errors.exceptions[0] from None
        finally:
            self._client.bulk = None

    def cut_off(self) -> None:
        """Cancel the changes in flight."""
        for task in self._tasks:
            task.cancel()

    async def _work(self, waiting: Iterator[Change], carry_out: Callable[[Change], Awaitable[None]]) -> None:
        with self._client.bulk.worker() if self._client.bulk else nullcontext():
            for change in waiting:
                try:
                    await carry_out(change)
                except asyncio.CancelledError:
                    return  # cut off
