"""Work of the event loop that the daemon waits for before it ends."""

from __future__ import annotations

import asyncio
from collections.abc import Coroutine
from typing import Any


class Tasks:
    """Running tasks. The event loop keeps no reference to a task, so a task without one could be collected."""

    def __init__(self) -> None:
        self._running: set[asyncio.Task[None]] = set()

    def start(self, work: Coroutine[Any, Any, None]) -> None:
        """Start work with the next turn of the event loop."""
        task = asyncio.get_running_loop().create_task(work)
        self._running.add(task)
        task.add_done_callback(self._running.discard)

    async def wait(self, seconds: float) -> bool:
        """Wait for all running tasks, up to a time limit; return whether all of them ended."""
        if not self._running:
            return True
        _, left = await asyncio.wait(self._running, timeout=seconds)
        return not left
