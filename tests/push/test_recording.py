"""An outcome is written with its consequences, or not at all: approvals are spent, refused changes quarantined."""

from __future__ import annotations

import sqlite3
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.model import State
from syncd.core.plan import Action, Change, Held, Plan, Result
from syncd.cycle.clock import now
from syncd.cycle.progress import Progress
from syncd.errors import StateError, StateUnwritable
from syncd.store import Holds
from syncd.store.quarantine import Quarantine
from tests.endpoints import Endpoint, Reply, error
from tests.push.pushing import NAME, Pushing, detail, plan_of, pushing, results, without
from tests.world import group, person

REFUSED = 400, 402, 405, 409, 410, 413, 422, 424
"""Statuses that the same change will be answered with the next time."""
PASSING = 404, 408, 412, 425, 429, 500, 502, 503
"""Statuses that say nothing lasting about the change."""


def approve(world: Pushing, *changes: Change, lasting: timedelta = timedelta(hours=1)) -> None:
    """Let these have been withheld, and a person have released them."""
    plan = replace(plan_of(world), held=tuple(Held(change, "deactivate", "too many") for change in changes))
    holds = world.state.holds(NAME)
    with world.state.atomic():
        holds.refresh(plan, now())
        holds.approve([change.id for change in changes], "grace", now(), now() + lasting)


def withheld(world: Pushing) -> list[str]:
    return [hold.change.key for hold in world.state.holds(NAME).all()]


def quarantined(world: Pushing) -> list[tuple[str, int, int, str]]:
    """Return key, status, failures and detail of everything that keeps failing."""
    return [(each.change.key, each.status, each.failures, each.detail) for each in world.state.quarantine(NAME).all()]


def leaving(world: Pushing, *keys: str) -> Plan:
    """Return the plan in which these people lose access, out of four."""
    everybody = ["1", "2", "3", "4"]
    world.hold(*(person(key) for key in everybody))
    world.settle()
    world.hold(*(person(key, status="left" if key in keys else "") for key in everybody))
    world.concurrency = 1
    return world.plan()


# -- approvals ---------------------------------------------------------------------------------------


def test_an_approval_is_spent_by_exactly_the_change_it_was_given_for(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1", "2")
        approve(world, *plan.changes)
        world.push(without(plan, lambda change: change.key == "2"))
        assert withheld(world) == ["2"]
        assert world.state.holds(NAME).approved(now()) == {plan.changes[1].id}


@pytest.mark.parametrize("status", REFUSED)
def test_an_approval_is_spent_where_the_target_refuses_for_good(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1")
        approve(world, *plan.changes)
        world.scim.refuse_updates("/Users/", error(status, "no"))
        assert world.push(plan).results == {Result.FAILED: 1}
        assert withheld(world) == []


@pytest.mark.parametrize("status", PASSING)
def test_an_approval_is_kept_where_it_may_go_through_later(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1")
        approve(world, *plan.changes)
        world.scim.refuse_updates("/Users/", error(status, "not now"))
        assert world.push(plan).results == {Result.FAILED: 1}
        assert withheld(world) == ["1"]
        world.scim.relent()
        assert world.push(plan).results == {Result.APPLIED: 1}
        assert withheld(world) == []


def test_an_approval_is_spent_by_a_change_that_no_longer_holds(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1")
        world.push(plan)
        approve(world, *plan.changes)
        assert world.push(plan).results == {Result.REFUSED: 1}
        assert withheld(world) == []


def test_an_approval_is_kept_for_what_was_not_tried(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1", "2")
        approve(world, *plan.changes)
        world.scim.instead("PATCH", "/Users/", error(401, "who are you?"))
        assert world.push(plan).results == {Result.FAILED: 1, Result.SKIPPED: 1}
        assert withheld(world) == ["1", "2"]


def test_a_hold_without_approval_stays_whatever_the_outcome(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1")
        approve(world, *plan.changes, lasting=timedelta(0))
        world.push(plan)
        assert withheld(world) == ["1"]


# -- quarantine --------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", REFUSED)
def test_a_change_refused_for_good_is_quarantined_and_blocks_nobody(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(person("1"), person("2"))
        world.concurrency = 1
        world.scim.instead("POST", "/Users$", error(status, "no"))
        run = world.push()
        assert results(run) == {"create_user 1": "failed", "create_user 2": "applied"}
        assert quarantined(world) == [("1", status, 1, detail(run, Action.CREATE_USER, "1"))]
        world.scim.instead("POST", "/Users$", error(status, "still not"))
        world.push()
        ((key, _, failures, last),) = quarantined(world)
        assert (key, failures, last.partition(";")[0]) == ("1", 2, "still not")
        assert world.push().results == {Result.APPLIED: 1}
        assert quarantined(world) == []


@pytest.mark.parametrize("status", PASSING)
def test_a_passing_failure_is_not_quarantined(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(person("1"))
        world.scim.instead("POST", "/Users$", *[error(status, "not now")] * 99)
        assert world.push().results == {Result.FAILED: 1}
        assert quarantined(world) == []


def test_a_change_refused_here_or_skipped_is_not_quarantined(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1", boss="2"), person("2"))
        world.groups = [group("a", members=["1"])]
        plan = world.plan()
        world.settle()
        assert set(world.push(plan).results) == {Result.REFUSED, Result.SKIPPED}
        assert quarantined(world) == []


# -- all of it or nothing ----------------------------------------------------------------------------


class NoCommit(Progress):
    """Lets no outcome be committed, as when the machine stops once the first request is answered."""

    def __init__(self, world: Pushing) -> None:
        self._conn = world.state.db.conn

    def pushing(self, target: str, changes: int) -> None:
        def authorize(action: int, first: str | None, *_: str | None) -> int:
            is_outcome = action == sqlite3.SQLITE_UPDATE and first == "outcomes"
            return sqlite3.SQLITE_DENY if is_outcome else sqlite3.SQLITE_OK

        self._conn.set_authorizer(authorize)

    def over(self) -> None:
        self._conn.set_authorizer(None)


def push_without_commit(world: Pushing, plan: Plan) -> None:
    """Push, and let the state file be given up when the first outcome is to be committed."""
    progress = world.progress = NoCommit(world)
    world.concurrency = 1
    world.scim.requests.clear()
    with pytest.raises(StateError):
        world.push(plan)
    progress.over()
    world.progress = Progress()
    assert len({request.target for request in world.scim.requests}) == 1, (
        "nothing is sent once something could not be written down"
    )


def outcomes(world: Pushing) -> int:
    journal = world.state.journal(NAME)
    (head, *_) = journal.heads(1)
    run = journal.run(head.number)
    assert run is not None
    return len(run.outcomes) - len(journal.intents())


def test_an_approval_is_not_spent_without_the_outcome(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1", "2")
        approve(world, *plan.changes)
        push_without_commit(world, plan)
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.state, outcomes(world), withheld(world)) == (State.ACTIVE, 0, ["1", "2"])
        assert world.push(plan).results == {Result.APPLIED: 2}
        assert withheld(world) == []


def test_nothing_is_set_aside_without_the_outcome(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1", "2")
        world.scim.refuse_updates("/Users/u1", error(400, "no"))
        push_without_commit(world, plan)
        assert (outcomes(world), quarantined(world)) == (0, [])
        world.push(plan)
        assert quarantined(world) == [("1", 400, 1, "no")]


def test_nothing_is_let_out_of_quarantine_without_the_outcome(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1", "2")
        world.scim.refuse_updates("/Users/", error(400, "no"))
        world.push(without(plan, lambda change: change.key == "2"))
        world.scim.relent()
        push_without_commit(world, plan)
        assert (outcomes(world), quarantined(world)) == (0, [("1", 400, 1, "no")])
        world.push(plan)
        assert quarantined(world) == []


@pytest.mark.parametrize(
    ("kept", "method", "reply"),
    [
        (Holds, "spend", None),
        (Holds, "spend", error(400, "no")),
        (Quarantine, "failed", error(400, "no")),
        (Quarantine, "succeeded", None),
    ],
)
def test_an_outcome_is_written_with_its_consequences_or_not_at_all(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, kept: type, method: str, reply: Reply | None
) -> None:
    followed = getattr(kept, method)

    def follow_and_stop(*args: object) -> None:
        followed(*args)
        raise StateUnwritable("the machine stops here")

    with pushing(tmp_path, Endpoint()) as world:
        plan = leaving(world, "1", "2")
        world.scim.refuse_updates("/Users/", error(400, "no"))
        world.push(without(plan, lambda change: change.key == "2"))
        world.scim.relent()
        approve(world, *plan.changes)
        before = quarantined(world)
        if reply is not None:
            world.scim.refuse_updates("/Users/", reply)
        with monkeypatch.context() as patch:
            patch.setattr(kept, method, follow_and_stop)
            with pytest.raises(StateUnwritable):
                world.push(without(plan, lambda change: change.key == "2"))
        known = world.snapshot.user("1")
        assert known is not None
        assert known.state is State.ACTIVE
        assert (outcomes(world), quarantined(world), withheld(world)) == (0, before, ["1", "2"])


# -- in which state, and since when ------------------------------------------------------------------


def test_since_when_somebody_is_in_a_state_is_the_moment_they_came_into_it(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        begun = now()
        world.hold(person("1"))
        world.settle()
        known = world.snapshot.user("1")
        assert known is not None
        assert known.since is not None
        assert begun <= known.since <= now()
        created = known.since
        world.hold(person("1", title="Dr"))
        world.settle()
        known = world.snapshot.user("1")
        assert known is not None
        assert known.since == created
        left = now()
        world.hold(person("1", status="left"))
        world.settle()
        known = world.snapshot.user("1")
        assert known is not None
        assert known.since is not None
        assert left <= known.since <= now()
        back = now()
        world.hold(person("1"))
        world.settle()
        known = world.snapshot.user("1")
        assert known is not None
        assert known.since is not None
        assert back <= known.since


@pytest.mark.parametrize(
    ("action", "state", "accepted"),
    [(Action.DEACTIVATE_USER, State.DEACTIVATED, False), (Action.UPDATE_USER, State.ACTIVE, True)],
)
def test_a_new_state_in_which_nothing_differs_is_written_down_without_a_request(
    tmp_path: Path, action: Action, state: State, accepted: bool
) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        known = world.snapshot.user("1")
        assert known is not None
        with world.state.atomic():
            world.snapshot.put_user(replace(known, state=State.PENDING, accepted=False))
        change = Change(action, "1", "u1", {}, {}, "", state, "0a")
        run = world.push(plan_of(world, change))
        assert [(outcome.result, outcome.status) for outcome in run.outcomes] == [(Result.APPLIED, 0)]
        assert world.scim.requests == []
        now_known = world.snapshot.user("1")
        assert now_known is not None
        assert (now_known.state, now_known.accepted, now_known.attributes) == (state, accepted, known.attributes)
        assert now_known.digest == b"\x0a"
        assert known.since is not None
        assert now_known.since is not None
        assert now_known.since > known.since
