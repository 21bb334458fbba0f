"""One cycle, read from top to bottom: gather, plan, push, record. The daemon and the commands call nothing else."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace
from datetime import UTC, datetime
from itertools import islice
from time import monotonic
from types import TracebackType
from typing import Final, Self, TypeVar

import structlog

from syncd.compare import Bookkeeping, Comparison, estimate
from syncd.core.model import Evidence, GroupEntry, Kind, Problem
from syncd.core.plan import Action, Change, Outcome, Plan, Result, Run
from syncd.core.schema import MANAGER
from syncd.errors import PlanFileError, SyncdError
from syncd.push import Push
from syncd.setup import Setup, Target
from syncd.store import Snapshot, StateFile

log = structlog.get_logger()
_BATCH: Final = 1000
_T = TypeVar("_T")


class Progress:
    """Who follows a cycle, from entering to leaving. This one looks away; a terminal has its own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def pulled(self, people: int) -> None:
        """So many people were read from the source."""

    def pushing(self, target: str, changes: int) -> None:
        """A push of so many changes begins."""

    def outcome(self, outcome: Outcome) -> None:
        """One change is done."""


def now() -> datetime:
    """Return the time, to the microsecond, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Planned:
    """A plan with what else is to be remembered when it is carried out."""

    target: Target
    plan: Plan
    bookkeeping: Bookkeeping
    mark: bytes | None = None
    """What stood for the source while it was read, when it stood still."""


def gather(setup: Setup, comparisons: Sequence[Comparison], progress: Progress) -> Evidence:
    """Pull the source once and feed every comparison. Raises SourceError: then nothing may be planned."""
    started = monotonic()
    people = 0
    with _no_collection(), setup.source.pull(setup.wanted) as pull:
        for batch in _batches(pull.users()):
            people += len(batch)
            for comparison in comparisons:
                comparison.users(batch)
            progress.pulled(people)
        groups: dict[str, GroupEntry] = {}
        problems: list[Problem] = []
        for item in pull.groups():
            if isinstance(item, Problem):
                problems.append(item)
            else:
                groups[item.key] = item
        evidence = pull.evidence()
    for comparison in comparisons:
        comparison.groups(groups, problems, evidence)
    log.info(
        "pulled",
        source=evidence.source,
        users=evidence.users,
        groups=evidence.groups,
        memberships=evidence.memberships,
        problems=evidence.problems,
        seconds=round(monotonic() - started, 3),
    )
    return evidence


@contextmanager
def _no_collection() -> Iterator[None]:
    """Keep the garbage collector from walking, again and again, over millions of objects that hold no cycle."""
    enabled = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if enabled:
            gc.enable()


def _batches(items: Iterable[_T]) -> Iterator[list[_T]]:
    iterator = iter(items)
    while batch := list(islice(iterator, _BATCH)):
        yield batch


def make_plans(
    setup: Setup, state: StateFile, targets: Sequence[Target], progress: Progress, who: str | None = None
) -> list[Planned]:
    """Pull and compare; nothing is written anywhere. `who` limits the plans to one person. Raises SyncdError."""
    moment = now()
    with state.explained():
        comparisons = {
            target.name: Comparison(setup.rules, target.rules, state.snapshot(target.name), moment)
            for target in targets
        }
        # While source, rules and snapshot are what they were when everything was in line, nothing need be read.
        mark = setup.source.mark(setup.wanted) if who is None else None
        waiting = [target for target in targets if not _is_in_line(target, state, mark)]
        if waiting:
            gather(setup, [comparisons[target.name] for target in waiting], progress)
            if mark is not None and setup.source.mark(setup.wanted) != mark:
                mark = None
        plans = []
        for target in targets:
            comparison = comparisons[target.name]
            plan = comparison.plan() if target in waiting else comparison.unchanged()
            plans.append(Planned(target, plan, comparison.bookkeeping, mark))
        if who is not None:
            plans = [_only(planned, who, state) for planned in plans]
    return plans


def _is_in_line(target: Target, state: StateFile, mark: bytes | None) -> bool:
    snapshot = state.snapshot(target.name)
    if mark is None or snapshot.mark != target.rules.standing(mark, snapshot.serial):
        return False
    log.info("source_unchanged", target=target.name)
    return True


def _note_in_line(planned: Planned, run: Run, state: StateFile) -> None:
    """Remember with what everything was in line, so that the next run needn't read it all again.

    Not while anything is held, unusable or undone: that has to be looked at again, if only for the time that passes.
    """
    done = all(outcome.result is Result.APPLIED and not outcome.detail for outcome in run.outcomes)
    if planned.mark is None or not done or run.error or run.plan.held or run.plan.problems:
        return
    snapshot = state.snapshot(planned.target.name)
    with state.atomic():
        snapshot.set_mark(planned.target.rules.standing(planned.mark, snapshot.serial))


def _only(planned: Planned, who: str, state: StateFile) -> Planned:
    """Keep what concerns one person: a key, userName or e-mail. Raises SyncdError when nobody or several match."""
    plan, snapshot = planned.plan, state.snapshot(planned.target.name)
    folded = who.casefold()
    everything = [*plan.changes, *(held.change for held in plan.held)]
    keys = {known.key for known in snapshot.find(who)} | {
        change.key
        for change in everything
        if change.action.about_user and (change.key == who or folded in _names(change))
    }
    keys |= {problem.key for problem in plan.problems if problem.key == who and problem.kind == Kind.USER.value}
    if len(keys) != 1:
        found = (
            f"{len(keys)} people match: {', '.join(sorted(keys))}"
            if keys
            else "nobody has that key, userName or e-mail"
        )
        hint = "give the source's key" if keys else "or they are out of scope, disabled, or unusable in the source"
        raise SyncdError(f"{who}: {found} ({plan.target})", hint=hint)
    key = keys.pop()
    parts = [part for change in plan.changes if (part := _part(change, key)) is not None]
    changes = [change for change in parts if _stands_alone(change, snapshot)]
    limited = replace(
        plan,
        kind="user",
        changes=tuple(changes),
        held=tuple(held for held in plan.held if held.change.key == key and held.change.action.about_user),
        problems=tuple(problem for problem in plan.problems if problem.key == key),
        estimate=estimate(changes, planned.target.rules, snapshot),
    )
    return Planned(planned.target, limited, Bookkeeping())


def _stands_alone(change: Change, snapshot: Snapshot) -> bool:
    """Return whether a change needs nothing of what was left out: its group is there, and the manager it names."""
    if not change.action.about_user:
        return snapshot.group(change.key) is not None
    manager = change.after.get(MANAGER)
    return manager is None or bool(snapshot.ids(Kind.USER, [manager]))


def _names(change: Change) -> set[str]:
    texts = [change.name, *(value for path, value in change.after.items() if path.startswith(("userName", "emails")))]
    return {text.casefold() for text in texts if isinstance(text, str)}


def _part(change: Change, key: str) -> Change | None:
    """Return as much of a change as concerns one person, or None."""
    if change.action.about_user:
        return change if change.key == key else None
    if change.action in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS) and key in change.members:
        return change.with_members([key], [])
    return None


def carry_out(planned: Planned, state: StateFile, progress: Progress) -> Run:
    """Push a plan and record what came of it. The caller holds the lease. Raises SyncdError."""
    target, plan = planned.target, planned.plan
    started, clock = now(), monotonic()
    snapshot, journal = state.snapshot(target.name), state.journal(target.name)
    bound = log.bind(target=target.name)
    if not plan.changes:
        # Quiet: no connection, no token.
        with state.atomic():
            planned.bookkeeping.write(snapshot)
            number = journal.begin(plan, started)
            journal.end(number, now(), 0, monotonic() - clock, "")
        bound.info("run_quiet", run=number, held=len(plan.held), problems=len(plan.problems))
        run = Run(number, plan, started, (), 0, monotonic() - clock)
        _note_in_line(planned, run, state)
        return run
    transport = target.transport()
    with state.atomic():
        planned.bookkeeping.write(snapshot)
        number = journal.begin(plan, started)
    bound = bound.bind(run=number)
    bound.info("run_started", kind=plan.kind, changes=len(plan.changes), requests=plan.estimate.requests)
    progress.pushing(target.name, len(plan.changes))

    async def push() -> tuple[Push, tuple[Outcome, ...]]:
        async with transport:
            patch = snapshot.discovery.get("patch")
            pushing = Push(
                state,
                snapshot,
                journal,
                target.client(transport, patch=patch),
                target.rules.profile,
                clock=now,
                concurrency=target.concurrency,
                on_outcome=progress.outcome,
            )
            return pushing, await pushing.carry_out(plan, number)

    pushed, outcomes = asyncio.run(push())
    seconds = monotonic() - clock
    error = str(pushed.stopped) if pushed.stopped else ""
    with state.atomic():
        journal.end(number, now(), transport.requests, seconds, error)
    run = Run(number, plan, started, outcomes, transport.requests, seconds, error)
    _note_in_line(planned, run, state)
    bound.info(
        "run_ended",
        requests=run.requests,
        seconds=round(seconds, 3),
        error=error,
        **{r.value: n for r, n in run.results.items()},
    )
    return run


def saved_plan(setup: Setup, plan: Plan, name: str) -> Planned:
    """Return a reviewed plan, ready to be carried out. Raises PlanFileError when its target is not configured."""
    found = [target for target in setup.targets if target.name == plan.target]
    if not found:
        names = ", ".join(target.name for target in setup.targets)
        raise PlanFileError(f"{name}: made for the target `{plan.target}`, but configured are {names}")
    return Planned(found[0], plan, Bookkeeping())
