"""Requests of a run: everything that was sent, reads and writes apart, as the endpoint counts them."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.plan import Run
from syncd.cycle.progress import Progress
from syncd.cycle.recovering import recover, with_recovery
from syncd.cycle.sync import carry_out, make_plans
from syncd.report.text import render, run_lines
from syncd.scim.transport import Traffic
from syncd.store import StateFile
from tests.endpoints import Endpoint, Reply, error
from tests.push.pushing import NAME, Pushing, pushing
from tests.world import NOON, person

PEOPLE = 3


class Counting(Progress):
    """Counts what it is told, by method and status."""

    def __init__(self) -> None:
        self.answers: Counter[tuple[str, int]] = Counter()

    def answered(self, target: str, answers: Mapping[tuple[str, int], int], traffic: Traffic) -> None:
        self.answers.update(answers)


def cycle(world: Pushing, *, full: bool) -> tuple[Run, Counting]:
    """Recover, plan and push, as a cycle does; returns the run, and what its progress was told."""
    target, progress = world.reached(), Counting()
    setup = replace(world.setup(), targets=(target,))
    recovered = recover(world.state, [target], progress)
    plans = make_plans(setup, world.state, [target], progress, full=full)
    (planned,) = with_recovery(plans, recovered)
    return carry_out(planned, world.state, progress), progress


def is_what_was_received(world: Pushing, run: Run, progress: Counting) -> None:
    """Fail unless run, journal and progress say what the endpoint received."""
    received = Counter(request.method == "GET" for request in world.scim.requests)
    assert (run.requests, run.reads, run.writes) == (received.total(), received[True], received[False])
    (head,) = world.state.journal(NAME).heads(1)
    assert (head.requests, head.reads) == (run.requests, run.reads)
    assert progress.answers.total() == run.requests


@pytest.mark.parametrize("full", [True, False])
def test_a_run_counts_what_it_reads_and_what_it_writes(tmp_path: Path, full: bool) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(str(number)) for number in range(PEOPLE)))
        run, progress = cycle(world, full=full)
        is_what_was_received(world, run, progress)
        assert run.writes == PEOPLE
        world.scim.requests.clear()
        quiet, progress = cycle(world, full=full)
        is_what_was_received(world, quiet, progress)
        assert quiet.writes == 0
        assert bool(quiet.reads) is full, "a plain run with nothing to do sends nothing"


def test_what_is_sent_again_counts_again(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(person("1"))
        world.scim.instead("POST", "/Users$", Reply(429, None, {"Retry-After": "0"}))
        run, progress = cycle(world, full=False)
        is_what_was_received(world, run, progress)
        assert (run.writes, run.retries) == (2, 1)


def test_a_target_that_could_not_be_read_was_asked_all_the_same(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.scim.instead("GET", "/Users$", error(500), error(500), error(500))
        run, progress = cycle(world, full=True)
        assert run.error
        assert run.requests > 0
        is_what_was_received(world, run, progress)


def test_what_a_recovery_looks_at_counts_for_the_run_that_follows(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(person("1"))
        plan = world.plan()
        with world.state.atomic():
            journal = world.state.journal(NAME)
            journal.intend(journal.begin(plan, NOON), plan.changes[0], NOON)
        run, progress = cycle(world, full=False)
        is_what_was_received(world, run, progress)
        assert run.reads, "it was looked whether the create was done"
        assert run.writes == 1


def test_of_a_run_of_an_earlier_version_the_reads_are_unknown(tmp_path: Path) -> None:
    with StateFile(tmp_path / "syncd.db") as state, pushing(tmp_path / "other", Endpoint()) as world:
        journal = state.journal(NAME)
        with state.atomic():
            number = journal.begin(world.plan(), NOON)
            journal.end(number, NOON, 7, 0.5, "")
        run = journal.run(number)
        assert run is not None
        said = run.to_json()
        assert (said["requests"], said["reads"], said["writes"]) == (7, None, None)
        assert Run.from_json(said).reads is None
        assert "7 requests (reads were not counted) in 0.5 s" in render(run_lines(run))
        (head,) = journal.heads(1)
        assert head.to_json()["writes"] is None
