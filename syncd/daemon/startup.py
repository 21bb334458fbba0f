"""Startup: reads the paused targets and the results of earlier runs from the state file."""

from __future__ import annotations

from datetime import datetime

from syncd.core.plan import Result as Outcome
from syncd.daemon.metrics import Metrics
from syncd.daemon.schedule import resync_missed
from syncd.settings.build import Setup
from syncd.store import StateFile
from syncd.store.journal import KEPT_RUNS


def paused_targets(setup: Setup) -> set[str]:
    """Return the targets that a person has paused. Raises StateError."""
    with StateFile(setup.state) as state, state.explained():
        return {each.name for each in setup.targets if state.snapshot(each.name).paused}


def recall(setup: Setup, metrics: Metrics, now: datetime) -> list[str]:
    """Tell the metrics when runs last succeeded before this start; return the targets whose full resync is overdue.

    A resync that was due while the daemon was down is made up for: a daemon that is restarted more often than resyncs
    are due, or that is down each night, would never do one. Raises StateError.
    """
    overdue = []
    with StateFile(setup.state) as state, state.explained():
        for target, own in zip(setup.targets, setup.settings.target, strict=True):
            resynced: datetime | None = None
            for head in reversed(state.journal(target.name).heads(KEPT_RUNS + 1)):
                if head.finished and not head.error:
                    resynced = head.finished if head.kind == "resync" else resynced
                    if set(head.results) <= {Outcome.APPLIED.value}:
                        metrics.succeeded(target.name, head.kind, head.finished)
            if resync_missed(setup.settings, own, resynced, now):
                overdue.append(target.name)
    return overdue
