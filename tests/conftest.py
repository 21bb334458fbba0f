"""Settings of every test: the same examples for the same code, and structlog's default logging.

A search for new ones: `pytest --hypothesis-profile=search`.
"""

from __future__ import annotations

import logging
import os
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest
import structlog
from hypothesis import HealthCheck, Phase, settings


def _keep_files_in_memory() -> None:
    """Make memory the place of temporary files, where it has room for them, unless $TMPDIR names another.

    A commit waits until the disk has it, a hundred times as long as it takes otherwise. Nothing here depends on that:
    what a disk has after a power failure is beyond these tests.
    """
    memory = Path("/dev/shm")  # noqa: S108
    if "TMPDIR" in os.environ or not os.access(memory, os.W_OK | os.X_OK):
        return
    there = os.statvfs(memory)
    if there.f_bavail * there.f_frsize >= _ROOM_BYTES and not there.f_flag & os.ST_NOEXEC:
        os.environ["TMPDIR"] = tempfile.tempdir = str(memory)


_ROOM_BYTES = 4 << 30
_keep_files_in_memory()

# How long an example takes, or to make one, says how busy the machine is, and nothing of the code.
settings.register_profile("unhurried", deadline=None, suppress_health_check=[HealthCheck.too_slow])
settings.load_profile("unhurried")
settings.register_profile("repeatable", derandomize=True)
settings.register_profile("brief", derandomize=True, phases=(Phase.explicit, Phase.generate))
settings.register_profile("search")
settings.load_profile("repeatable")


_LONGEST_FIRST = (
    "installing", "test_systemd", "rules", "faults", "system", "daemon", "invariants", "browser", "failures",
    "sandbox", "log", "contract", "push", "notify",
)  # fmt: skip
"""Files, and folders of files, that take their time. One that came last would keep one worker busy alone."""


def pytest_collection_modifyitems(items: list[pytest.Item]) -> None:
    """Put first what takes longest; files stay whole, and their tests in order."""
    rank = {name: place for place, name in enumerate(_LONGEST_FIRST)}
    items.sort(key=lambda item: min(rank.get(name, len(rank)) for name in (item.path.stem, item.path.parent.name)))


@pytest.fixture(autouse=True)
def _logs_as_they_come() -> Iterator[None]:
    """How a test before configured logs is none of the next one's business."""
    structlog.reset_defaults()
    root = logging.getLogger()
    before = root.handlers[:], root.level
    yield
    root.handlers, root.level = before
    structlog.reset_defaults()
