"""The journal: runs and outcomes come back as they were written, and the oldest go."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.model import State
from syncd.core.plan import Action, Change, Estimate, Held, Outcome, Plan, Result, Run, Trouble
from syncd.store import RunHead, StateFile
from syncd.store.journal import KEPT_QUIET, KEPT_RUNS
from tests.world import NOON

CREATE = Change(
    Action.CREATE_USER, "1", "zoë", {}, {"userName": "zoë", "active": True}, "new in the source", State.ACTIVE, "00ff"
)
REMOVE = Change.of_members(Action.REMOVE_MEMBERS, "g", "Design", ["1", "2"], ["h"])
LEAVE = Change(Action.DEACTIVATE_USER, "2", "bob", {"active": True}, {"active": False}, "gone", State.DEACTIVATED)
PLAN = Plan(
    target="t",
    kind="sync",
    created=NOON,
    base_serial=3,
    changes=(CREATE, REMOVE),
    held=(Held(LEAVE, "missing_grace", "missing from the source"),),
    problems=(Trouble("7", "no value for userName", "people.csv:8"),),
    estimate=Estimate(2, 0.2),
    managed=2,
    scheme="ab",
)
OUTCOMES = (Outcome(CREATE, Result.APPLIED, 201), Outcome(REMOVE, Result.FAILED, 500, "no \N{SNOWMAN}"))


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


def written(state: StateFile, target: str = "t", plan: Plan = PLAN) -> int:
    """Write a whole run down and return its number."""
    journal = state.journal(target)
    with state.atomic():
        run = journal.begin(plan, NOON)
    for outcome in OUTCOMES:
        with state.atomic():
            journal.record(run, outcome, NOON + timedelta(seconds=1))
    with state.atomic():
        journal.end(run, NOON + timedelta(seconds=2), 5, 2.5, "the target stopped", reads=3)
    return run


def test_a_run_comes_back_as_it_was_written(state: StateFile) -> None:
    number = written(state)
    assert state.journal("t").run(number) == Run(number, PLAN, NOON, OUTCOMES, 5, 2.5, "the target stopped", reads=3)


def test_a_run_is_summed_up_in_its_head(state: StateFile) -> None:
    number = written(state)
    assert state.journal("t").heads(10) == [
        RunHead(
            number,
            "t",
            "sync",
            NOON,
            NOON + timedelta(seconds=2),
            {"create_user": 1, "remove_members": 1, "held": 1, "drift": 0, "problems": 1},
            {"applied": 1, "failed": 1},
            5,
            2.5,
            "the target stopped",
            0,
            0.0,
            3,
        )
    ]


def test_a_run_that_was_killed_shows_what_it_had_done(tmp_path: Path) -> None:
    path = tmp_path / "killed.db"
    with StateFile(path) as state:
        journal = state.journal("t")
        with state.atomic():
            number = journal.begin(PLAN, NOON)
        with state.atomic():
            journal.record(number, OUTCOMES[0], NOON)
    with StateFile(path) as state:
        (head,) = state.journal("t").heads(1)
        assert (head.finished, head.results) == (None, {"applied": 1})
        assert head.summary["remove_members"] == 1
        run = state.journal("t").run(number)
        assert run is not None
        assert run.outcomes == OUTCOMES[:1]
        assert run.plan == replace(PLAN, changes=(CREATE,))


def test_runs_are_told_newest_first_and_by_target(state: StateFile) -> None:
    one, two, other = written(state), written(state), written(state, "other", replace(PLAN, target="other"))
    assert [head.number for head in state.journal("t").heads(10)] == [two, one]
    assert [head.number for head in state.journal("t").heads(1)] == [two]
    assert [head.number for head in state.journal("other").heads(10)] == [other]
    assert state.journal("t").run(other) is None
    assert state.journal("t").run(other + 1) is None


def test_the_oldest_runs_go_with_their_outcomes_and_only_the_targets_own(state: StateFile) -> None:
    other, first, second = written(state, "other"), written(state), written(state)
    journal, empty = state.journal("t"), replace(PLAN, changes=(), held=(), problems=())
    with state.atomic():
        for _ in range(KEPT_RUNS - 1):
            last = journal.begin(empty, NOON)
            journal.end(last, NOON, 0, 0.0, "the target did not answer")
    assert len(journal.heads(KEPT_RUNS + 10)) == KEPT_RUNS
    assert journal.run(first) is None
    assert journal.run(second) is not None
    assert state.journal("other").run(other) is not None
    runs = {run for (run,) in state.db.conn.execute("SELECT DISTINCT run FROM outcomes")}
    assert runs == {other, second}


def test_the_last_full_resync_stays_whatever_came_after_it(state: StateFile) -> None:
    journal, resync = state.journal("t"), replace(PLAN, kind="resync")
    with state.atomic():
        older, newer = (journal.begin(resync, NOON) for _ in range(2))
        for _ in range(KEPT_RUNS + 5):
            last = journal.begin(PLAN, NOON)
            journal.end(last, NOON, 0, 0.0, "the target did not answer")
    assert journal.run(older) is None
    past = journal.last_plan("resync")
    assert past is not None
    assert past.run == newer


def test_runs_in_which_nothing_was_done_go_sooner(state: StateFile) -> None:
    journal, empty = state.journal("t"), replace(PLAN, changes=(), held=(), problems=())
    resync = replace(empty, kind="resync")
    with state.atomic():
        numbers = {plan.kind: journal.begin(plan, NOON) for plan in (resync, empty)}
        journal.end(numbers["resync"], NOON, 0, 0.0, "")
        journal.end(numbers["sync"], NOON, 0, 0.0, "")
    busy = written(state)
    failed = written(state)
    with state.atomic():
        journal.end(failed, NOON, 0, 0.0, "the target did not answer")
        for _ in range(KEPT_QUIET):
            last = journal.begin(empty, NOON)
            journal.end(last, NOON, 0, 0.0, "")
    kept = [head.number for head in journal.heads(KEPT_RUNS)]
    assert numbers["resync"] in kept, "the last one of its kind"
    assert numbers["sync"] not in kept
    assert {busy, failed, last} <= set(kept)
    assert len(kept) == KEPT_QUIET + 3


def test_a_head_as_json(state: StateFile) -> None:
    number = written(state)
    (head,) = state.journal("t").heads(1)
    assert head.to_json() == {
        "run": number,
        "target": "t",
        "kind": "sync",
        "started": "2026-11-22T12:00:00Z",
        "finished": "2026-11-22T12:00:02Z",
        "summary": {"create_user": 1, "remove_members": 1, "held": 1, "drift": 0, "problems": 1},
        "results": {"applied": 1, "failed": 1},
        "requests": 5,
        "reads": 3,
        "writes": 2,
        "seconds": 2.5,
        "retries": 0,
        "waited_seconds": 0.0,
        "error": "the target stopped",
    }
