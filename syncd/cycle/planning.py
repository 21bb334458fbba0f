"""From source, snapshot and, in a full resync, the target to plans. Nothing is written here but what is thrown away."""

from __future__ import annotations

import asyncio
import gc
from collections.abc import Collection, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from itertools import chain
from time import monotonic
from types import TracebackType
from typing import Final, Self

import structlog

from syncd.compare.compare import compare
from syncd.compare.comparison import Comparison, Differences
from syncd.compare.decisions import Decisions
from syncd.compare.estimate import estimate
from syncd.compare.plan import make_plan, nothing_to_do, snapshot_updates
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.matching import Doubt
from syncd.core.model import Json, Kind
from syncd.core.plan import Change, Outcome, Plan
from syncd.core.schema import MANAGER
from syncd.errors import SyncdError, TargetError
from syncd.observe.reading import Paths, Reading, read_target, reconcile
from syncd.settings.build import Setup, Target
from syncd.store import Decision, Hold, Observation, Snapshot, StateFile

log = structlog.get_logger()
RESYNC_ONLY: Final = frozenset({"adopt"})
"""The limits of which only a full resync can tell, for only it knows what is at the target."""


class Progress:
    """Who follows a cycle, from entering to leaving. This one looks away; a terminal has its own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def waiting(self, sentence: str) -> None:
        """Something else has to end first."""

    def pulled(self, people: int) -> None:
        """So many people were read from the source."""

    def pushing(self, target: str, changes: int) -> None:
        """A push of so many changes begins."""

    def reading(self, target: str) -> None:
        """A target is being read whole."""

    def outcome(self, target: str, outcome: Outcome) -> None:
        """One change is done."""

    def pushed(self, target: str, changes: int) -> None:
        """So many changes are done, where somebody else counts them."""

    def answered(self, target: str, answers: Mapping[tuple[str, int], int], retries: int, waited: float) -> None:
        """What requests to a target came to: by method and status (0: no answer), sent again, and seconds waited."""

    def took(self, phase: str, target: str, seconds: float) -> None:
        """A phase has ended: `pull` (of all targets: ""), `read`, `compare`, `push`."""


def now() -> datetime:
    """Return the time, to the microsecond, in UTC."""
    return datetime.now(UTC)


@dataclass(frozen=True)
class Planned:
    """A plan with what else is to be remembered when it is carried out."""

    target: Target
    plan: Plan
    snapshot_updates: SnapshotUpdates = field(default_factory=SnapshotUpdates)
    mark: bytes | None = None
    """What stood for the source while it was read, when it stood still."""
    complete: bool = False
    """Whether it was made just now, of everybody: what it doesn't hold is no longer to be done."""
    discovered: Mapping[str, Json] | None = None
    """What reading the target whole taught of it; None where it wasn't read."""
    proven: bool = False
    """Whether reading the target left no doubt about whether what is managed is there."""
    failure: TargetError | None = None
    """Why the target could not be read; the plan is empty then."""


@dataclass(frozen=True)
class _Found:
    """What a full resync found at one target, beside a snapshot that says so."""

    snapshot: Snapshot
    observation: Observation | None = None
    drift: Sequence[Drift] = ()
    accepted: Sequence[str] = ()
    doubts: Sequence[str] = ()
    discovered: Mapping[str, Json] | None = None
    proven: bool = False
    failure: TargetError | None = None


def gather(setup: Setup, comparisons: Sequence[Comparison], progress: Progress) -> list[Differences]:
    """Pull the source once and compare every target with it. Raises SourceError: then nothing may be planned."""
    started = monotonic()
    with _no_collection(), setup.source.pull(setup.wanted) as pull:
        differences = compare(pull, comparisons, progress.pulled)
    evidence = differences[0].evidence
    progress.took("pull", "", monotonic() - started)
    log.info(
        "pulled",
        source=evidence.source,
        users=evidence.users,
        groups=evidence.groups,
        memberships=evidence.memberships,
        problems=evidence.problems,
        seconds=round(monotonic() - started, 3),
    )
    return differences


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


def make_plans(
    setup: Setup,
    state: StateFile,
    targets: Sequence[Target],
    progress: Progress,
    who: str | None = None,
    *,
    full: bool | Collection[str] = False,
    expect_gone: bool = False,
) -> list[Planned]:
    """Pull once and compare; nothing is written anywhere. `who` limits the plans to one person. Raises SyncdError.

    `full` also reads the targets, all or those named; one that can't be read fails by itself (`failure`).
    `expect_gone`: that everything managed is gone at a target is known, and no reason to stop.
    """
    moment = now()
    whole = frozenset(full if not isinstance(full, bool) else [target.name for target in targets if full])
    with state.explained(), state.scratch() if whole else _same(state) as workplace:
        found = {
            target.name: _read(setup, target, workplace, progress, expect_gone=expect_gone)
            if target.name in whole
            else _Found(state.snapshot(target.name))
            for target in targets
        }
        # While source, rules and snapshot are what they were when everything was in line, nothing need be read.
        mark = setup.source.mark(setup.wanted) if who is None else None
        comparisons = {
            target.name: _comparison(setup, target, state, found[target.name], moment, everybody=who is None)
            for target in targets
        }
        waiting = [
            target
            for target in targets
            if found[target.name].failure is None
            and (target.name in whole or not _is_in_line(target, state, mark, moment))
        ]
        differences: dict[str, Differences] = {}
        if waiting:
            compared = gather(setup, [comparisons[target.name] for target in waiting], progress)
            differences = dict(zip((target.name for target in waiting), compared, strict=True))
            if mark is not None and setup.source.mark(setup.wanted) != mark:
                mark = None
        plans = []
        for target in targets:
            started = monotonic()
            comparison, seen = comparisons[target.name], found[target.name]
            kind = "resync" if target.name in whole else "sync"
            if target.name in differences:
                found_here = differences[target.name]
                plan = make_plan(
                    comparison, found_here, kind, drift=seen.drift, accepted=seen.accepted, doubts=seen.doubts
                )
                updates = snapshot_updates(found_here, plan)
            else:
                plan, updates = nothing_to_do(comparison, kind), SnapshotUpdates(entries=True)
            plans.append(
                Planned(
                    target,
                    plan,
                    updates,
                    mark,
                    who is None,
                    seen.discovered,
                    seen.proven,
                    seen.failure,
                )
            )
            progress.took("compare", target.name, monotonic() - started)
        if who is not None:
            key = _whom(plans, who, state)
            plans = [_only(planned, key, state) for planned in plans]
    return plans


@contextmanager
def _same(state: StateFile) -> Iterator[StateFile]:
    yield state


def _comparison(
    setup: Setup, target: Target, state: StateFile, found: _Found, moment: datetime, *, everybody: bool
) -> Comparison:
    """Return the comparison of one target, with what people decided; who is asked for by name is tried at once."""
    snapshot, holds = state.snapshot(target.name), state.holds(target.name)
    snapshot.begin_staging()
    known, approvals, rejected = holds.all(), holds.approvals(moment), holds.rejected()
    unseen = [
        hold for hold in known if found.observation is None and hold.limit in RESYNC_ONLY and hold.change.action.begins
    ]
    decisions = Decisions(
        frozenset(approvals),
        rejected,
        state.quarantine(target.name).waiting(moment) if everybody else {},
        doubted={
            _who(hold): Doubt(hold.limit, hold.reason) for hold in unseen if hold.decision is not Decision.REJECTED
        },
        declined={
            _who(hold): rejected[hold.id]
            for hold in unseen
            if hold.decision is Decision.REJECTED and hold.change.action.adopts
        },
        undecided=frozenset(hold.change.key for hold in known if hold.change.action.about_user),
        approvals=approvals,
    )
    return Comparison(
        setup.rules,
        target.rules,
        found.snapshot,
        moment,
        decisions=decisions,
        observation=found.observation,
        remember=snapshot.stage_entries,
    )


def _who(hold: Hold) -> tuple[Kind, str]:
    return hold.change.action.kind, hold.change.key


def _read(setup: Setup, target: Target, scratch: StateFile, progress: Progress, *, expect_gone: bool) -> _Found:
    """Read one target whole, and let the scratch snapshot say what is there now."""
    snapshot, observation = scratch.snapshot(target.name), scratch.observation(target.name)
    paths = Paths(setup.rules.users.paths, setup.rules.groups.paths)
    progress.reading(target.name)
    started = monotonic()

    async def read() -> Reading:
        async with target.transport(snapshot.discovery) as transport:
            client = target.client(transport, snapshot.discovery)
            try:
                return await read_target(
                    client,
                    target.rules,
                    paths,
                    snapshot,
                    observation,
                    concurrency=target.concurrency,
                    expect_gone=expect_gone,
                )
            finally:
                waits = transport.pace.waits
                progress.answered(target.name, transport.answers, waits.retries, waits.seconds)

    rules = target.rules
    if expect_gone:  # what is gone is to be forgotten then, whatever is done about it otherwise
        deleted = dict.fromkeys((DriftClass.USER_DELETED, DriftClass.GROUP_DELETED), Reaction.ENFORCE)
        rules = replace(rules, drift=replace(rules.drift, by_class={**rules.drift.by_class, **deleted}))
    try:
        with scratch.atomic():
            reading = asyncio.run(read())
            drift, accepted = reconcile(rules, reading, snapshot, observation)
            discovered = {**snapshot.discovery, **reading.discovered}
            snapshot.discover(discovered)
    except TargetError as error:
        log.info("target_unreadable", target=target.name, error=error.problem)
        return _Found(snapshot, failure=error)
    progress.took("read", target.name, monotonic() - started)
    log.info(
        "target_read",
        target=target.name,
        users=observation.count(Kind.USER),
        groups=observation.count(Kind.GROUP),
        drift=len(drift),
        accepted=len(accepted),
        doubts=len(reading.doubts),
        seconds=round(monotonic() - started, 3),
    )
    proven = not any(reading.unclear.values())
    return _Found(snapshot, observation, drift, accepted, reading.doubts, discovered, proven)


def _is_in_line(target: Target, state: StateFile, mark: bytes | None, moment: datetime) -> bool:
    snapshot, after = state.snapshot(target.name), target.rules.delete_after
    if mark is None or snapshot.mark != target.rules.plan_mark(mark, snapshot.serial):
        return False
    if after is not None and snapshot.deactivated_before(moment - after):
        return False  # nothing changed but the time that passed
    log.info("source_unchanged", target=target.name)
    return True


def _whom(plans: Sequence[Planned], who: str, state: StateFile) -> str:
    """Return the one key that is meant by a key, userName or e-mail, at whichever target: not every one wants or knows
    everybody. Raises SyncdError when nobody or several match."""
    keys = {key for planned in plans for key in _called(planned.plan, who, state.snapshot(planned.target.name))}
    if who in keys:
        return who
    if len(keys) == 1:
        return keys.pop()
    for planned in plans:
        if planned.failure is not None and not keys:
            raise planned.failure  # who would have been found there, nobody knows
    found = (
        f"{len(keys)} people match: {', '.join(sorted(keys))}" if keys else "nobody has that key, userName or e-mail"
    )
    hint = "give the source's key" if keys else "or they are out of scope, disabled, or unusable in the source"
    raise SyncdError(f"{who}: {found} ({', '.join(planned.target.name for planned in plans)})", hint=hint)


def _called(plan: Plan, who: str, snapshot: Snapshot) -> set[str]:
    """Return the keys of everybody who is called that at one target."""
    folded = who.casefold()
    everything = [*plan.changes, *(held.change for held in chain(plan.held, plan.rejected))]
    return (
        {known.key for known in snapshot.find(who)}
        | {
            change.key
            for change in everything
            if change.action.about_user and (change.key == who or folded in _names(change))
        }
        | {problem.key for problem in plan.problems if problem.key == who and problem.kind == Kind.USER.value}
    )


def _only(planned: Planned, key: str, state: StateFile) -> Planned:
    """Keep what concerns one person."""
    plan, snapshot = planned.plan, state.snapshot(planned.target.name)
    parts = [part for change in plan.changes if (part := _part(change, key)) is not None]
    changes = [change for change in parts if _stands_alone(change, snapshot)]
    limited = replace(
        plan,
        kind="user",
        changes=tuple(changes),
        held=tuple(held for held in plan.held if held.change.key == key and held.change.action.about_user),
        rejected=tuple(held for held in plan.rejected if held.change.key == key and held.change.action.about_user),
        drift=tuple(drift for drift in plan.drift if drift.key == key and drift.kind is Kind.USER),
        accepted=tuple(each for each in plan.accepted if each == key),
        problems=tuple(problem for problem in plan.problems if problem.key == key),
        estimate=estimate(changes, planned.target.rules, snapshot, plan.drift),
        context=plan.context.only({key}, {change.key for change in changes if not change.action.about_user}),
    )
    return replace(planned, plan=limited, snapshot_updates=SnapshotUpdates(), complete=False)


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
    if change.action.of_members and key in change.members:
        return change.with_members([key], [])
    return None
