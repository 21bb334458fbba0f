"""One cycle as it is asked for: by the schedule, by a person at a terminal, or by one who asks the daemon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from syncd.core.model import Json
from syncd.core.plan import Plan, Run
from syncd.cycle.planning import Planned, Progress, make_plans
from syncd.cycle.sync import carry_out_all, recover, relink, saved_plan, with_recovery_failures
from syncd.errors import PlanFileError
from syncd.operations import demand_not_paused
from syncd.push.shutdown import Shutdown
from syncd.settings.build import Setup, Target
from syncd.store import StateFile


class Job(BaseModel):
    """What is to be done, to one target or all: `sync` (of `who`: of one person), `resync`, `apply` (of saved plans),
    or `relink`, which sends nothing and answers with plans."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sync", "resync", "apply", "relink"]
    target: str | None = None
    who: Annotated[str, Field(min_length=1)] | None = None
    plans: list[dict[str, Any]] = Field(default_factory=list)
    """Saved plans, as `syncd plan -o` writes them."""
    file: str = "the plan"
    """What the plans' file is called, for messages."""

    @model_validator(mode="after")
    def _belong_together(self) -> Job:
        if bool(self.plans) is not (self.kind == "apply"):
            raise ValueError("`plans` belong to `apply`, and `apply` needs some")
        if self.who is not None and self.kind not in ("sync", "resync"):
            raise ValueError(f"`who` has no meaning for `{self.kind}`")
        return self

    def ready(self, setup: Setup) -> list[Planned]:
        """Return the saved plans, ready to be carried out. Raises PlanFileError, ConfigurationError."""
        names = {target.name for target in setup.chosen(self.target)}
        plans = once_each([Plan.from_json(each, self.file) for each in self.plans], self.file)
        ready = [saved_plan(setup, each, self.file) for each in plans if self.target is None or each.target in names]
        if not ready:
            raise PlanFileError(f"{self.file}: holds no plan for the target `{self.target}`")
        return ready

    def targets(self, setup: Setup) -> list[Target]:
        """Return the targets concerned. Raises PlanFileError, ConfigurationError."""
        return [each.target for each in self.ready(setup)] if self.plans else list(setup.chosen(self.target))


def once_each(plans: Sequence[Plan], file: str) -> Sequence[Plan]:
    """Return plans as they are, where none has the target of another. Raises PlanFileError."""
    for target, count in Counter(plan.target for plan in plans).items():
        if count > 1:
            raise PlanFileError(f"{file}: holds {count} plans for the target `{target}`", hint="give one of them")
    return plans


def perform(
    job: Job,
    setup: Setup,
    state: StateFile,
    progress: Progress,
    shutdown: Shutdown | None = None,
    ended: Callable[[Run], None] = lambda run: None,
) -> list[Run] | list[Planned]:
    """Do it; the caller holds the lease. Raises SyncdError: what a target did by itself is in its run."""
    targets = job.targets(setup)
    for each in targets:
        each.token()  # before anything is done
    if job.kind == "relink":
        return relink(setup, state, targets, progress)
    demand_not_paused(state, [target.name for target in targets], setup.settings.schedule.zone)
    if job.plans:
        plans = with_recovery_failures(job.ready(setup), recover(state, targets))
        return carry_out_all(plans, state, progress, shutdown, ended)
    return cycle(setup, state, targets, progress, shutdown, ended, who=job.who, full=job.kind == "resync")


def cycle(
    setup: Setup,
    state: StateFile,
    targets: Sequence[Target],
    progress: Progress,
    shutdown: Shutdown | None = None,
    ended: Callable[[Run], None] = lambda run: None,
    *,
    who: str | None = None,
    full: bool | frozenset[str] = False,
) -> list[Run]:
    """One pull for all these targets, and what follows for each. `full`: which are read whole. Raises SyncdError."""
    failures = recover(state, targets)
    plans = with_recovery_failures(make_plans(setup, state, targets, progress, who, full=full), failures)
    if shutdown is not None:
        plans = [planned for planned in plans if not shutdown.is_requested(planned.target.name)]
    return carry_out_all(plans, state, progress, shutdown, ended)


def planned_json(planned: Planned) -> dict[str, Json]:
    """Return a plan as JSON; one that failed says why, and is none that `apply` takes."""
    return planned.plan.to_json() | ({"error": str(planned.failure)} if planned.failure else {})
