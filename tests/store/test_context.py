"""The snapshot's facts about the people and groups that changes name."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.core import policy
from syncd.core.context import GroupSize, LimitUse, Person
from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, Known, KnownGroup, State
from syncd.core.plan import Action, Change
from syncd.core.policy import Limit
from syncd.core.schema import MANAGER
from syncd.store import Snapshot, StateFile
from syncd.store.context import DEPARTMENT, NAMED_PER_GROUP, groups_of_changes, people_of
from tests.world import NOON, World, group, person


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def snapshot(state: StateFile) -> Snapshot:
    snapshot = state.snapshot("t")
    for key, name, department in (("1", "ada", "Sales"), ("2", "bob", ""), ("3", "cy", "Legal")):
        attributes = {"userName": name} | ({DEPARTMENT: department} if department else {})
        snapshot.put_user(Known(key, f"id-{key}", name, State.ACTIVE, attributes, b""))
    for key, name in (("g1", "Zoo"), ("g2", "Art")):
        snapshot.put_group(KnownGroup(key, f"id-{key}", name, {"displayName": name}, NO_MEMBERS))
        snapshot.change_members(key, Kind.USER, ["1", "3"])
    snapshot.change_members("g1", Kind.GROUP, ["g2"])
    return snapshot


def leave(key: str) -> Change:
    return Change(Action.DEACTIVATE_USER, key, key, {"active": True}, {"active": False}, "gone", State.DEACTIVATED)


def test_who_loses_access_is_told_with_department_and_groups(snapshot: Snapshot) -> None:
    assert people_of(snapshot, [leave("1"), leave("2")]) == {
        "1": Person("ada", "Sales", ("Art", "Zoo")),
        "2": Person("bob"),
    }


def test_who_is_only_named_is_told_without_groups(snapshot: Snapshot) -> None:
    manager = Change(Action.UPDATE_USER, "2", "bob", {MANAGER: "1"}, {MANAGER: "3"}, "manager changed", State.ACTIVE)
    joins = Change.of_members(Action.ADD_MEMBERS, "g1", "Zoo", ["2", "nobody"], [])
    assert people_of(snapshot, [manager, joins]) == {
        "1": Person("ada", "Sales"),
        "2": Person("bob"),
        "3": Person("cy", "Legal"),
    }


def test_of_a_large_membership_change_only_the_first_are_looked_up(snapshot: Snapshot) -> None:
    others = [f"x{number}" for number in range(NAMED_PER_GROUP)]
    joins = Change.of_members(Action.ADD_MEMBERS, "g1", "Zoo", [*others, "1"], [])
    assert people_of(snapshot, [joins]) == {}


def test_of_very_many_people_the_first_are_told(snapshot: Snapshot, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("syncd.store.context.DESCRIBED", 1)
    assert list(people_of(snapshot, [leave("1"), leave("2")])) == ["1"]


def test_a_group_is_told_with_its_size(snapshot: Snapshot) -> None:
    deleted = Change(Action.DELETE_GROUP, "g1", "Zoo", {"displayName": "Zoo"}, {}, "gone")
    named = Change.of_members(Action.ADD_MEMBERS, "g9", "New", [], ["g2"])
    assert groups_of_changes(snapshot, [deleted, named]) == {"g1": GroupSize("Zoo", 3), "g2": GroupSize("Art", 2)}
    assert groups_of_changes(snapshot, [leave("1")]) == {}


def test_a_plan_carries_what_its_reader_wants_to_know(state: StateFile) -> None:
    world = World(state)
    world.hold(*(person(str(n), f"u{n}") for n in range(1, 6)))
    world.groups = [group("g", "Team", ["1", "2", "3"])]
    world.sync()
    world.groups = [group("g", "Team", ["3"])]
    plan = world.plan()
    context = plan.context
    assert context.managed_groups == 1
    assert context.groups == {"g": GroupSize("Team", 3)}
    assert context.people == {"1": Person("u1"), "2": Person("u2")}
    used = {use.limit: use for use in context.limits}
    assert used["remove_members"].affected == 2
    assert used["deactivate"].affected == 0
    assert used["remove_members"].managed == 5


def test_limits_say_how_far_they_were_used_when_something_is_held_for_them() -> None:
    given = policy.Situation(NOON, 100, 7)
    verdict = policy.decide([leave(str(n)) for n in range(12)], policy.Policy(), given)
    assert len(verdict.held) == 12
    assert verdict.limits[0] == LimitUse("deactivate", 12, 100, 10, 10, 50, base=20)
    assert [use.limit for use in verdict.limits] == [
        "deactivate",
        "delete",
        "delete_group",
        "remove_members",
        "rename",
        "adopt",
    ]
    assert verdict.limits[2] == LimitUse("delete_group", 0, 7, 5, None, 5)
    always = policy.Policy({policy.Class.DEACTIVATE: Limit(always=True)})
    (use, *_) = policy.decide([leave("1")], always, given).limits
    assert (use.affected, use.most, use.always, use.exceeded) == (0, 0, True, False)
