"""Do a cycle in its thread: the same functions as the commands call, with a handle of its own on the state file."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field

from syncd.core.model import Json
from syncd.core.plan import Run
from syncd.cycle.jobs import Job, perform
from syncd.cycle.sync import sync
from syncd.daemon.progress import CycleProgress, Halted
from syncd.errors import SourceError, StateError, SyncdError, TargetPaused
from syncd.operations import demand_not_paused
from syncd.push.shutdown import Shutdown
from syncd.settings.build import Setup, Target
from syncd.store import StateFile


@dataclass
class Result:
    """The result of a cycle."""

    runs: list[Run] = field(default_factory=list)
    source: str | None = None
    """Why the source could not be read (the targets stay unchanged); "": it was read; None: no attempt was made."""
    faults: dict[str, str] = field(default_factory=dict)
    """Other errors by target ("": all targets)."""
    halted: bool = False
    """Whether the cycle was told to stop before it had done anything."""


def scheduled(
    setup: Setup,
    names: tuple[str, ...],
    full: frozenset[str],
    progress: CycleProgress,
    shutdown: Shutdown,
    ended: Callable[[Run], None],
) -> Result:
    """Run a scheduled cycle. Raises StateError; every other error is in the result."""
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
                sync(setup, state, targets, progress, shutdown, done, full=full)
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
    """Return whether a target is not paused and its token can be read; an unusable target stops no other."""
    try:
        target.token()
        demand_not_paused(state, [target.name], setup.settings.schedule.zone)
    except TargetPaused:
        return False
    except SyncdError as error:
        result.faults[target.name] = str(error)
        return False
    return True


def asked(
    job: Job, setup: Setup, progress: CycleProgress, shutdown: Shutdown, ended: Callable[[Run], None]
) -> tuple[list[Run], list[Json]]:
    """Do a person's job; return the runs and the answer. Raises SyncdError."""
    with StateFile(setup.state) as state:
        done = perform(job, setup, state, progress, shutdown, ended)
    runs = [each for each in done if isinstance(each, Run)]
    return runs, [each.to_json() for each in done]
