"""The time of a cycle: read here alone, so that a test can set the time."""

from __future__ import annotations

from datetime import UTC, datetime


def now() -> datetime:
    """Return the time, to the microsecond, in UTC."""
    return datetime.now(UTC)
