"""A plan with the cycle's facts about it: the value that planning hands to pushing."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace

from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.model import Json, Release
from syncd.core.place import Place
from syncd.core.plan import Plan
from syncd.errors import PlanFileError, TargetError
from syncd.scim.transport import Traffic
from syncd.settings.build import Setup, Target
from syncd.store import Relinked, StateFile


@dataclass(frozen=True)
class Planned:
    """A plan for one target, and the facts to record when the plan is carried out."""

    target: Target
    plan: Plan
    snapshot_updates: SnapshotUpdates = field(default_factory=SnapshotUpdates)
    mark: bytes | None = None
    """The mark of the source as it was read; None where the source changed meanwhile, or has no mark."""
    complete: bool = False
    """Whether the plan was made in this cycle and covers everybody: changes outside the plan are obsolete."""
    discovered: Mapping[str, Json] | None = None
    """Facts about the endpoint that a full resync learned; None where the target was not read."""
    proven: bool = False
    """Whether reading the target left no doubt about whether each managed resource is there."""
    place: Place | None = None
    """The place to record: what is managed was seen there in this cycle, or nothing is linked; None: nobody looked."""
    failure: TargetError | None = None
    """Why the target could not be read; the plan is empty then."""
    traffic: Traffic = field(default_factory=Traffic)
    """The requests of this cycle before the push: of recovery, and of reading the target."""
    releases: Sequence[Release] = ()
    """What a removal of SSO left of the users, as `relink` found it."""
    relinked: Relinked | None = None
    """Who is to be invited anew, and who is gone for good; of `relink` alone."""

    def to_json(self) -> dict[str, Json]:
        """Return the plan as JSON. A failure is added as `error`; such a plan is none that `apply` takes.

        `relinked` is no part of what `apply` carries out.
        """
        error = {"error": str(self.failure)} if self.failure else {}
        return self.plan.to_json() | error | ({"relinked": self.relinked.to_json()} if self.relinked else {})


def with_what_is_stored(plan: Plan, state: StateFile) -> Plan:
    """Return a plan for review: marks held changes that no run has stored, for these can't be approved yet."""
    known = state.holds(plan.target).ids() if plan.held else frozenset()
    return replace(plan, held=tuple(replace(each, stored=each.id in known) for each in plan.held))


def saved_plan(setup: Setup, plan: Plan, name: str) -> Planned:
    """Return a reviewed plan, ready to be carried out. Raises PlanFileError when its target is not configured."""
    found = [target for target in setup.targets if target.name == plan.target]
    if not found:
        names = ", ".join(target.name for target in setup.targets)
        raise PlanFileError(f"{name}: made for the target `{plan.target}`, but configured are {names}")
    # The run that carries a plan out stores the plan's holds.
    held = tuple(replace(each, stored=True) for each in plan.held)
    return Planned(found[0], replace(plan, held=held))
