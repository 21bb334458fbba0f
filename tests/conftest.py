"""What holds for every test: examples are the same for the same code, and logs are as structlog has them.

A search for new ones: `pytest --hypothesis-profile=search`.
"""

from __future__ import annotations

import logging
from collections.abc import Iterator

import pytest
import structlog
from hypothesis import Phase, settings

settings.register_profile("repeatable", derandomize=True)
settings.register_profile("brief", derandomize=True, phases=(Phase.explicit, Phase.generate))
settings.register_profile("search", settings.get_profile("default"))
settings.load_profile("repeatable")


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """How a test before configured logs is none of the next one's business."""
    structlog.reset_defaults()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()
