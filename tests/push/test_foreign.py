"""Foreign members taken out of groups: what a push sends, what it records, and what an interrupted one left open."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.core.foreign import ForeignMember
from syncd.core.model import Kind
from syncd.core.plan import Change, Result
from tests.endpoints import Endpoint, error
from tests.push.pushing import NAME, Pushing, plan_of, pushing
from tests.world import group, person


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Pushing]:
    """Yield two people in a group, in line with the target, and a stranger in it."""
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("g", "Admins", ["1", "2"])]
        world.settle()
        stranger = world.scim.add_user(userName="stranger")
        next(iter(world.scim.groups.values()))["members"].append({"value": stranger})
        yield world


def removal(world: Pushing) -> Change:
    return Change.of_foreign("g", "Admins", [ForeignMember(world.scim.by_name()["stranger"]["id"], "stranger")])


def test_nothing_is_recorded_of_a_stranger_and_nothing_is_read_twice(world: Pushing) -> None:
    run = world.push(plan_of(world, removal(world)), read_just_now=True)
    assert [each.result for each in run.outcomes] == [Result.APPLIED]
    assert world.scim.members("Admins") == {"u1", "u2"}
    assert world.snapshot.members("g") == ({"1", "2"}, set())
    (id_,) = world.scim.groups
    assert world.scim.log()[0] == f"PATCH /Groups/{id_}", "the target was read just now"


def test_a_group_that_is_gone_is_lost_and_no_failure_of_the_look(world: Pushing) -> None:
    change = removal(world)
    world.scim.groups.clear()
    (outcome,) = world.push(plan_of(world, change)).outcomes
    assert (outcome.result, outcome.status) == (Result.FAILED, 404)
    assert world.snapshot.ids(Kind.GROUP, ["g"]) == {}


def test_an_endpoint_that_cannot_be_looked_at_takes_nobody_out(world: Pushing) -> None:
    (id_,) = world.scim.groups
    world.scim.instead("GET", f"/Groups/{id_}", *[error(403, "not you")] * 9)
    (outcome,) = world.push(plan_of(world, removal(world))).outcomes
    assert (outcome.result, outcome.status) == (Result.FAILED, 403)
    assert "stranger" in world.scim.members("Admins")


@pytest.mark.parametrize("done", [True, False])
def test_what_an_interrupted_run_left_open_is_looked_at(world: Pushing, done: bool) -> None:
    change = removal(world)
    journal = world.state.journal(NAME)
    with world.state.atomic():
        journal.intend(journal.begin(plan_of(world, change), world.now), change, world.now)
    if done:
        members = next(iter(world.scim.groups.values()))["members"]
        members[:] = [each for each in members if each["value"] != change.foreign[0].id]
    assert world.look() == 0
    (past,) = journal.outcomes_of(Kind.GROUP, "g", 1)
    assert past.outcome.result is (Result.APPLIED if done else Result.FAILED)
    assert world.snapshot.members("g") == ({"1", "2"}, set())
