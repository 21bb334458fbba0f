"""A plan never contains a change that the endpoint's profile forbids: rows worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.compare.comparison import Comparison
from syncd.compare.plan import make_plan
from syncd.core.model import Kind, ObservedGroup
from syncd.core.plan import Plan, Trouble
from syncd.cycle.gathering import gather
from syncd.cycle.progress import Progress
from syncd.scim.profiles import Deletes, Profile
from syncd.store import StateFile
from tests.world import NOON, World, brief, group, person, said, target_rules


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


# -- groups that can't be renamed --------------------------------------------------------------------

FIXED = Profile("p", patch=True, group_rename=False)


def with_design(state: StateFile, profile: Profile) -> World:
    """Return a world with one group, `Design`, that is at the target and has one member."""
    world = World(state, target_rules(profile=profile))
    world.hold(person("1"), person("2"))
    world.groups = [group("g", "Design", ["1"])]
    world.sync()
    return world


def test_a_group_that_cannot_be_renamed_keeps_its_name_and_that_is_said_once(state: StateFile) -> None:
    world = with_design(state, FIXED)
    world.groups = [group("g", "Design EU", ["1", "2"])]
    plan = world.sync()
    assert said(plan) == [("add_members", "g", {}, {"members": ["2"]})]
    assert plan.changes[0].name == "Design"
    problem = "this endpoint can't rename groups: the group stays `Design`, and is not called `Design EU`"
    assert plan.problems == (Trouble("g", problem, plan.problems[0].where, "group"),)
    assert world.snapshot.groups()["g"].name == "Design"
    world.assert_settled()
    assert world.plan().problems == plan.problems


def test_a_group_that_is_called_as_before_again_is_no_problem(state: StateFile) -> None:
    world = with_design(state, FIXED)
    world.groups = [group("g", "Design EU", ["1"])]
    assert len(world.sync().problems) == 1
    world.groups = [group("g", "Design", ["1"])]
    plan = world.sync()
    assert (said(plan), plan.problems) == ([], ())


@pytest.mark.parametrize("case_matters", [False, True])
def test_a_name_in_another_case_is_a_problem_only_where_case_matters(state: StateFile, case_matters: bool) -> None:
    world = with_design(state, replace(FIXED, group_name_case=case_matters))
    world.groups = [group("g", "DESIGN", ["1"])]
    plan = world.sync()
    assert (said(plan), len(plan.problems)) == ([], int(case_matters))


def test_a_name_in_another_case_is_sent_where_groups_can_be_renamed(state: StateFile) -> None:
    world = with_design(state, Profile("p", patch=True))
    world.groups = [group("g", "DESIGN", ["1"])]
    assert said(world.sync()) == [("update_group", "g", {"displayName": "Design"}, {"displayName": "DESIGN"})]


def test_a_new_group_has_the_name_that_the_source_has(state: StateFile) -> None:
    world = with_design(state, FIXED)
    world.groups += [group("h", "Sales")]
    plan = world.sync()
    assert (brief(plan), plan.problems) == (["create_group h"], ())


def test_a_group_that_was_deleted_at_the_target_is_made_under_its_new_name(state: StateFile) -> None:
    world = with_design(state, FIXED)
    with state.atomic():
        world.snapshot.lose(Kind.GROUP, "g")
    world.groups = [group("g", "Design EU")]
    plan = world.plan()
    assert said(plan) == [("create_group", "g", {}, {"externalId": "g", "displayName": "Design EU"})]
    assert plan.problems == ()


def resync(world: World, *groups: ObservedGroup) -> Plan:
    """Return the plan of a full resync that found these groups."""
    with world.state.scratch() as scratch:
        observation = scratch.observation(world.target.name)
        with scratch.atomic():
            observation.put_groups(groups)
        comparison = Comparison(
            world.rules, world.target, scratch.snapshot(world.target.name), world.now, observation=observation
        )
        (differences,) = gather(world.setup(), [comparison], Progress())
        return make_plan(comparison, differences, "resync")


def test_a_group_with_our_mark_that_cannot_be_renamed_is_taken_over_as_it_is_called(state: StateFile) -> None:
    world = World(state, target_rules(profile=FIXED))
    world.groups = [group("g", "Design EU")]
    there = ObservedGroup("t1", "Design", "g", {"displayName": "Design", "externalId": "g"}, [])
    plan = resync(world, there)
    (change,) = plan.changes
    assert (change.action.value, change.name, change.differences) == ("adopt_group", "Design", ({}, {}))
    assert [problem.problem for problem in plan.problems] == [
        "this endpoint can't rename groups: the group stays `Design`, and is not called `Design EU`"
    ]


# -- accounts that can't be deleted ------------------------------------------------------------------


@pytest.mark.parametrize(("deletes", "planned"), [("deletes", ["delete_user 1"]), ("deactivates", []), ("nothing", [])])
def test_nobody_is_deleted_where_delete_does_not_delete(state: StateFile, deletes: Deletes, planned: list[str]) -> None:
    profile = Profile("p", patch=True, deletes=deletes)
    world = World(state, replace(target_rules(profile=profile), delete_after=timedelta(days=10)))
    world.hold(person("1"), person("2"))
    world.sync()
    world.hold(person("1", status="left"), person("2"))
    world.sync()
    known = world.snapshot.user("1")
    assert known is not None
    with state.atomic():
        world.snapshot.put_user(replace(known, since=NOON))
    world.later(days=3650)
    assert brief(world.plan()) == planned
    world.hold(person("2"))
    assert brief(world.plan()) == planned


@pytest.mark.parametrize(
    ("deletes", "withdrawn"),
    [("deletes", "delete_user 1"), ("deactivates", "deactivate_user 1"), ("nothing", "deactivate_user 1")],
)
@pytest.mark.parametrize("leaves", ["is disabled", "is gone"])
def test_an_invitation_is_not_withdrawn_by_a_delete_that_does_not_delete(
    state: StateFile, deletes: Deletes, withdrawn: str, leaves: str
) -> None:
    profile = Profile("p", patch=True, pending_by_endpoint=True, withdrawn_by_delete=True, deletes=deletes)
    world = World(state, target_rules(profile=profile, verified=["elsewhere.example"]))
    world.hold(person("1", mail="1@outside.example"), person("2", mail="2@elsewhere.example"))
    world.sync()
    assert world.endpoint.states() == {"1": "pending", "2": "active"}
    gone = [person("2", mail="2@elsewhere.example")]
    world.hold(*([person("1", mail="1@outside.example", status="left")] if leaves == "is disabled" else []), *gone)
    assert brief(world.plan()) == [withdrawn]
