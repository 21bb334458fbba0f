"""Notices that the clock was set or the machine slept, so that alarms ring neither in a storm nor not at all."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Final

_NOTICED: Final = 5.0
"""Seconds by which the clock may drift (by slewing) before the difference counts as a jump."""


class Clock:
    """Compares the time of day with a clock that nobody sets, and that stands still while the machine sleeps."""

    def __init__(self, of_day: Callable[[], float] = time.time, steady: Callable[[], float] = time.monotonic) -> None:
        self._of_day = of_day
        self._steady = steady
        self._apart = of_day() - steady()

    def jumped(self) -> float:
        """Return the seconds by which the time of day has jumped since the last jump; 0.0 for no jump."""
        apart = self._of_day() - self._steady()
        jump = apart - self._apart
        if abs(jump) < _NOTICED:
            return 0.0
        self._apart = apart
        return jump
