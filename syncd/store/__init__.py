"""The store: the only door to the state file. One SQLite database holds, per target, the snapshot (what the target
last acknowledged) and the journal (runs and their outcomes)."""

from __future__ import annotations

from syncd.store.journal import Journal, RunHead
from syncd.store.lease import Lease
from syncd.store.snapshot import Snapshot
from syncd.store.statefile import StateFile

__all__ = ["Journal", "Lease", "RunHead", "Snapshot", "StateFile"]
