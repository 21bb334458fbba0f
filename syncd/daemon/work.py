"""What a cycle's thread does: the very same as the commands, with a handle on the state file that is its own."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from socket import gethostname

from syncd.core.model import Json
from syncd.core.plan import Run
from syncd.cycle.jobs import Job, cycle, perform, planned_json
from syncd.daemon.progress import CycleProgress, Halted
from syncd.errors import SourceError, StateError, SyncdError, TargetPaused
from syncd.notify.watch import Concerns, TargetConcern, watch
from syncd.operations import demand_not_paused
from syncd.push.shutdown import Shutdown
from syncd.settings.build import Setup, Target
from syncd.store import StateFile


@dataclass
class Result:
    """What came of a cycle by the schedule."""

    runs: list[Run] = field(default_factory=list)
    source: str | None = None
    """Why the source could not be read, and the targets were left as they are; "": it was; None: nobody tried."""
    faults: dict[str, str] = field(default_factory=dict)
    """By target ("": all), what went wrong apart from that."""
    halted: bool = False
    """Whether it was told to stop before it came to anything."""


def scheduled(
    setup: Setup,
    names: tuple[str, ...],
    full: frozenset[str],
    progress: CycleProgress,
    shutdown: Shutdown,
    ended: Callable[[Run], None],
) -> Result:
    """Do a cycle that is due. Raises StateError; everything else that goes wrong is in the result."""
    result = Result()

    def done(run: Run) -> None:
        result.runs.append(run)
        ended(run)

    try:
        with StateFile(setup.state) as state:
            targets = [
                target for target in setup.targets if target.name in names and _usable(setup, target, state, result)
            ]
            if targets:
                cycle(setup, state, targets, progress, shutdown, done, full=full | _empty(state, targets))
                result.source = ""
    except Halted:
        result.halted = True
    except SourceError as error:
        result.source = str(error)
    except StateError:
        raise
    except SyncdError as error:
        result.faults[""] = str(error)
    return result


def _usable(setup: Setup, target: Target, state: StateFile, result: Result) -> bool:
    """Return whether a target's token can be read and nobody has paused it; one that can't stops no other."""
    try:
        target.token()
        demand_not_paused(state, [target.name], setup.settings.schedule.zone)
    except TargetPaused:
        return False
    except SyncdError as error:
        result.faults[target.name] = str(error)
        return False
    return True


def _empty(state: StateFile, targets: list[Target]) -> frozenset[str]:
    """Return the targets of which nothing is known: what is there already must be found, not made again."""
    found = set()
    for target in targets:
        snapshot = state.snapshot(target.name)
        if not any(snapshot.counts().values()) and not snapshot.groups():
            found.add(target.name)
    return frozenset(found)


def told(setup: Setup, result: Result, faults: Mapping[str, str] | None) -> int:
    """Write down what people have to be told after a cycle, and what is over; returns how many notices that is.

    `faults`: by target ("": all), what went wrong last; None: no cycle has ended yet. Raises StateError.
    """
    settings = setup.settings
    of_targets = faults or {}
    concerns = Concerns(
        tuple(TargetConcern(each.name, each.token_expires, of_targets.get(each.name, "")) for each in settings.target),
        source=result.source,
        fault=faults.get("", "") if faults is not None else None,
        pending_after=settings.notify.pending_after,
        hostname=gethostname(),
    )
    with StateFile(setup.state) as state:
        return watch(state, concerns, datetime.now(UTC))


def asked(
    job: Job, setup: Setup, progress: CycleProgress, shutdown: Shutdown, ended: Callable[[Run], None]
) -> tuple[list[Run], list[Json]]:
    """Do what a person asked for; returns the runs, and the answer. Raises SyncdError."""
    with StateFile(setup.state) as state:
        done = perform(job, setup, state, progress, shutdown, ended)
    runs = [each for each in done if isinstance(each, Run)]
    return runs, [each.to_json() if isinstance(each, Run) else planned_json(each) for each in done]
