"""Shutdown: an orderly end of pushes, by a signal or from another thread."""

from __future__ import annotations

import asyncio
import signal
import threading
from collections.abc import Iterator
from contextlib import contextmanager, suppress

from syncd.push.push import Push


class Shutdown:
    """A request to end pushes. Any thread may make it; each push is covered for as long as it lasts.

    After the first request nothing new begins, and requests in flight have some seconds; after the second, none.
    """

    def __init__(self) -> None:
        self._lock = threading.Lock()
        self._everything = False
        self._requested: set[str] = set()
        self._pushes: dict[str, tuple[asyncio.AbstractEventLoop, _Ending]] = {}

    def request(self, target: str | None = None) -> None:
        """End the push to one target, or to all."""
        with self._lock:
            if target is None:
                self._everything = True
            else:
                self._requested.add(target)
            for name, (loop, ending) in self._pushes.items():
                if target in (None, name):
                    with suppress(RuntimeError):  # the push's event loop has ended, and so has the push
                        loop.call_soon_threadsafe(ending.begin)

    def is_requested(self, target: str) -> bool:
        """Return whether a shutdown was requested for a target: nothing new may begin."""
        with self._lock:
            return self._everything or target in self._requested

    @contextmanager
    def covering(self, target: str, pushing: Push, seconds: float) -> Iterator[None]:
        """Cover a push, inside its event loop; `seconds`: how long requests in flight may take."""
        ending = _Ending(pushing, seconds)
        with self._lock:
            self._pushes[target] = asyncio.get_running_loop(), ending
        if self.is_requested(target):
            ending.begin()
        try:
            yield
        finally:
            with self._lock:
                del self._pushes[target]
            ending.cancel()

    @contextmanager
    def at_signals(self) -> Iterator[None]:
        """Request it at SIGTERM and Ctrl-C, inside an event loop of the main thread.

        Elsewhere nothing happens: signals go to the main thread, which makes the request.
        """
        if threading.current_thread() is not threading.main_thread():
            yield
            return
        loop = asyncio.get_running_loop()
        for each in (signal.SIGTERM, signal.SIGINT):
            loop.add_signal_handler(each, self.request)
        try:
            yield
        finally:
            for each in (signal.SIGTERM, signal.SIGINT):
                loop.remove_signal_handler(each)


class _Ending:
    """The end of one push."""

    def __init__(self, pushing: Push, seconds: float) -> None:
        self._pushing = pushing
        self._seconds = seconds
        self._told: list[asyncio.TimerHandle] = []

    def begin(self) -> None:
        self._pushing.drain()
        delay = 0 if self._told else self._seconds
        self._told.append(asyncio.get_running_loop().call_later(delay, self._pushing.cut_off))

    def cancel(self) -> None:
        for timer in self._told:
            timer.cancel()
