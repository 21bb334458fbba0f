"""Group commit: the writes of many concurrent changes go to disk together.

A commit waits for the disk, 0.2 ms on a good one and 20 ms on a poor one; a commit for each of 64 changes in flight
would dominate the time of a push.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import TypeVar, cast

from syncd.store.statefile import StateFile

T = TypeVar("T")


class Commits:
    """Writes in the order in which it was asked to, inside one event loop."""

    def __init__(self, state: StateFile) -> None:
        self._state = state
        self._waiting: list[tuple[Callable[[], object], asyncio.Future[object] | None]] = []
        self._failure: BaseException | None = None

    async def write(self, what: Callable[[], T]) -> T:
        """Run a function that writes rows; its writes, and all earlier ones, are then on disk. Raises StateError."""
        done = asyncio.get_running_loop().create_future()
        self._ask(what, done)
        return cast(T, await done)

    def write_soon(self, what: Callable[[], object]) -> None:
        """The same without waiting: before anything that is asked for later. Raises StateError once one has failed."""
        self._ask(what, None)

    async def finish(self) -> None:
        """Wait until everything is on disk. Raises StateError."""
        await self.write(lambda: None)

    def _ask(self, what: Callable[[], object], done: asyncio.Future[object] | None) -> None:
        if self._failure is not None:
            raise self._failure
        if not self._waiting:
            # At the end of this turn of the loop: every write requested by then is in the same commit.
            asyncio.get_running_loop().call_soon(self._flush)
        self._waiting.append((what, done))

    def _flush(self) -> None:
        waiting, self._waiting = self._waiting, []
        try:
            with self._state.atomic():
                results = [what() for what, _ in waiting]
        except BaseException as error:
            # Every waiting caller must get the error, of any kind: an event loop does not pass errors on.
            self._failure = error
            for _, done in waiting:
                if done is not None and not done.done():
                    done.set_exception(error)
            return
        for (_, done), result in zip(waiting, results, strict=True):
            if done is not None and not done.done():
                done.set_result(result)
