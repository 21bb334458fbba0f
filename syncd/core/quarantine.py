"""Quarantine: the backoff for a change that the target refuses for good. Blocks no other change."""

from __future__ import annotations

from datetime import datetime, timedelta
from typing import Final

from syncd.core.plan import Result

_FIRST: Final[timedelta] = timedelta(minutes=15)
_LONGEST: Final = timedelta(hours=24)
_PASSING: Final = (0, 401, 404, 408, 412, 425, 429)
"""Statuses of temporary causes: no answer, a refused token, a state that moved, too many requests. Not 403: the target
refuses this resource to a token that it accepts."""


def is_permanent(result: Result, status: int) -> bool:
    """Return whether a failure will be the same next time, as long as the same is asked."""
    refused = 400 <= status < 500 and status not in _PASSING
    return result is Result.INEFFECTIVE or (result is Result.FAILED and refused)


def next_try(failures: int, now: datetime) -> datetime:
    """Return when to try again after so many failures (one or more): 15 minutes, twice that, up to a day."""
    return now + min(_FIRST * float(2 ** min(failures - 1, 10)), _LONGEST)
