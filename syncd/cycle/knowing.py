"""Knowing: whether a run may go by the snapshot, or has to read the target first. One rule for commands and daemon.

#  the snapshot                                     -> a run is
#  lacks accounts that a reading found                 a full resync
#  is empty, and the target was never read             a full resync: first run, or the state file was lost
#  is empty, and the target was read by other rules    a full resync
#  is empty, and the target was read by these rules    a sync: nobody is wanted there
#  links somebody                                      a sync

Where an endpoint doesn't keep names apart, a run that goes by an incomplete snapshot would make everybody twice.
"""

from __future__ import annotations

from syncd.compare.rules import TargetRules
from syncd.core.digest import fingerprint
from syncd.core.plan import Plan
from syncd.cycle.planned import Planned
from syncd.store import Snapshot, StateFile


def must_be_read(rules: TargetRules, snapshot: Snapshot) -> bool:
    """Return whether too little is known of a target: what is there must be found, and not made again."""
    read_by = snapshot.read_by
    return read_by == "" or (snapshot.is_empty and read_by != mark_of(rules))


def note_found(planned: Planned, snapshot: Snapshot) -> None:
    """Record that a reading found what is not linked yet; belongs inside the state file's `atomic()`.

    Until everything is linked, or if the run is killed, the next run reads the target again.
    """
    plan, rules = planned.plan, planned.target.rules
    if _unlinked(plan, snapshot) if plan.kind == "resync" else must_be_read(rules, snapshot):
        snapshot.set_read_by("")


def note_linked(planned: Planned, state: StateFile) -> None:
    """Record that everything a reading found is linked, or waits for its next try; belongs inside `atomic()`."""
    plan, rules = planned.plan, planned.target.rules
    if plan.kind != "resync":
        return
    snapshot = state.snapshot(planned.target.name)
    if _unlinked(plan, snapshot) <= {each.id for each in state.quarantine(planned.target.name).all()}:
        snapshot.set_read_by(mark_of(rules))


def mark_of(rules: TargetRules) -> str:
    """Return what stands for the rules that say who is wanted at a target."""
    return fingerprint([rules.scheme, rules.group_scheme]).hex()


def _unlinked(plan: Plan, snapshot: Snapshot) -> set[str]:
    """Return the ids of the adoptions whose resource nobody is in charge of."""
    adoptions = [change for change in plan.changes if change.action.adopts]
    found: set[str] = set()
    for kind in {change.action.kind for change in adoptions}:
        begun = [change for change in adoptions if change.action.kind is kind]
        owners = snapshot.keys_of(kind, [change.resource for change in begun])
        linked = set(snapshot.ids(kind, list(owners.values())).values())
        found.update(change.id for change in begun if change.resource not in linked)
    return found
