"""The store: the only door to the state file. One SQLite database holds, per target, the snapshot (what the target
last acknowledged), the journal (runs and their outcomes), holds and quarantine, what full resyncs put back, and
the entries last read; and the incidents and notices for people."""

from __future__ import annotations

from syncd.store.commits import Commits
from syncd.store.holds import Decision, Hold, Holds
from syncd.store.incidents import Incident, Incidents
from syncd.store.ineffective import WithoutEffect, without_effect
from syncd.store.journal import Intent, Journal, RunHead
from syncd.store.lease import Lease
from syncd.store.observation import Observation
from syncd.store.outbox import Outbox, Parcel
from syncd.store.preparations import Preparation, Preparations
from syncd.store.put_back import Correction, PutBack
from syncd.store.quarantine import Quarantine, Quarantined
from syncd.store.readonly import readable
from syncd.store.relinked import Relinked, relinked
from syncd.store.snapshot import Pause, Snapshot, Stop
from syncd.store.statefile import StateFile

__all__ = [
    "Commits",
    "Correction",
    "Decision",
    "Hold",
    "Holds",
    "Incident",
    "Incidents",
    "Intent",
    "Journal",
    "Lease",
    "Observation",
    "Outbox",
    "Parcel",
    "Pause",
    "Preparation",
    "Preparations",
    "PutBack",
    "Quarantine",
    "Quarantined",
    "Relinked",
    "RunHead",
    "Snapshot",
    "StateFile",
    "Stop",
    "WithoutEffect",
    "readable",
    "relinked",
    "without_effect",
]
