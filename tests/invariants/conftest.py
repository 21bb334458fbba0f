"""One server for all examples of a process; see `service.py`."""

from __future__ import annotations

from collections.abc import Iterator

import pytest
import structlog

from tests.invariants.service import Service


@pytest.fixture(scope="session")
def service() -> Iterator[Service]:
    """A running endpoint; each example opens an account of its own."""
    with Service() as service:
        yield service


@pytest.fixture(autouse=True)
def _quiet() -> Iterator[None]:
    """Nobody reads the log of a thousand runs."""
    with structlog.testing.capture_logs():
        yield
