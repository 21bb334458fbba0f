"""A requested cycle: by the schedule, by a person at a terminal, or by a person through the daemon."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Sequence
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, model_validator

from syncd.core.plan import Plan, Run
from syncd.cycle.planned import Planned, saved_plan
from syncd.cycle.progress import Progress
from syncd.cycle.recovering import recover, with_recovery
from syncd.cycle.relinking import relink
from syncd.cycle.sync import carry_out_all, sync
from syncd.errors import PlanFileError
from syncd.operations import demand_not_paused
from syncd.push.shutdown import Shutdown
from syncd.settings.build import Setup, Target
from syncd.store import StateFile


class Job(BaseModel):
    """A job for one target or for all targets.

    `sync` (of `who`: of one person), `resync`, `apply` (of saved plans), or `relink`, which sends nothing and answers
    with plans.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["sync", "resync", "apply", "relink"]
    target: str | None = None
    who: Annotated[str, Field(min_length=1)] | None = None
    plans: list[dict[str, Any]] = Field(default_factory=list)
    """Saved plans, as `syncd plan -o` writes them."""
    file: str = "the plan"
    """The name of the plans' file, for messages."""

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
    """Return the plans unchanged if each has a target of its own. Raises PlanFileError."""
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
    """Do a job; the caller holds the lease. Raises SyncdError; a failure of one target is in its run."""
    targets = job.targets(setup)
    for each in targets:
        each.token()  # a token that can't be read is an error before anything is done
    if job.kind == "relink":
        return relink(setup, state, targets, progress)
    demand_not_paused(state, [target.name for target in targets], setup.settings.schedule.zone)
    if job.kind == "apply":
        plans = with_recovery(job.ready(setup), recover(state, targets, progress))
        return carry_out_all(plans, state, progress, shutdown, ended)
    return sync(setup, state, targets, progress, shutdown, ended, who=job.who, full=job.kind == "resync")
