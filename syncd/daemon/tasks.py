"""Work of the event loop that the daemon waits for before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Tasks that go on. The event loop itself keeps no reference to a task, which could vanish halfway."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Let work begin with the next turn of the event loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def wait(self, seconds: float) -> bool:
        """Wait for everything that goes on, for so long at most; return whether all of it ended."""
        if not self._running:
            return True
        _, left = await asyncio.wait(self._running, timeout=seconds)
        return not left
