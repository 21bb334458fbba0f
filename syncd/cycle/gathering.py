"""Gather: the source is pulled once, and every target is compared with it as it streams by."""

from __future__ import annotations

import gc
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from time import monotonic

import structlog

from syncd.compare.compare import compare
from syncd.compare.comparison import Comparison, Differences
from syncd.cycle.progress import Progress
from syncd.settings.build import Setup

log = structlog.get_logger()


def gather(setup: Setup, comparisons: Sequence[Comparison], progress: Progress) -> list[Differences]:
    """Pull the source once and compare every target with it. Raises SourceError: then nothing may be planned."""
    started = monotonic()
    with _no_collection(), setup.source.pull(setup.wanted) as pull:
        differences = compare(pull, comparisons, progress.pulled)
    evidence = differences[0].evidence
    seconds = monotonic() - started
    progress.took("pull", "", seconds)
    log.info(
        "pulled",
        source=evidence.source,
        users=evidence.users,
        groups=evidence.groups,
        memberships=evidence.memberships,
        problems=evidence.problems,
        seconds=round(seconds, 3),
    )
    return differences


@contextmanager
def _no_collection() -> Iterator[None]:
    """Switch the garbage collector off: it would walk, again and again, over millions of objects without a cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()
