"""People who come back are put back into the groups that the endpoint had taken them out of."""

from __future__ import annotations

from collections.abc import Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.plan import Action, Held, Result
from tests.endpoints import Endpoint, Reply, Request, error
from tests.push.pushing import NAME, PROFILE, detail, pushing, results, said, without
from tests.world import group, person, target_rules

PUT_BACK = "had been taken out of Group a at the target: is put back"


class Forgetful(Endpoint):
    """Takes whoever is switched off out of all groups."""

    def _route(self, request: Request) -> Reply:
        reply = super()._route(request)
        off = {id_ for id_, user in self.users.items() if user.get("active") is False}
        for each in self.groups.values():
            each["members"] = [member for member in each.get("members") or [] if member["value"] not in off]
        return reply


def on(*keys: str, off: Sequence[str] = ()) -> list[Any]:
    return [person(key, status="left" if key in off else "") for key in keys]


@contextmanager
def some_off(folder: Path, scim: Endpoint, off: Sequence[str], **profile: Any) -> Any:
    """Yield a world in which 1, 2 and 3 are in the group a, and some of them were switched off since."""
    with pushing(folder, scim, target_rules(NAME, profile=replace(PROFILE, **profile))) as world:
        world.hold(*on("1", "2", "3"))
        world.groups = [group("a", members=["1", "2", "3"]), group("b", members=["1"])]
        world.settle()
        world.hold(*on("1", "2", "3", off=off))
        world.settle()
        yield world


def test_who_comes_back_is_in_the_groups_again_with_the_same_run(tmp_path: Path) -> None:
    with some_off(tmp_path, scim := Forgetful(), ["2"]) as world:
        assert scim.members("Group a") == {"u1", "u3"}
        world.hold(*on("1", "2", "3"))
        run = world.push()
        assert said(run) == [("reactivate_user", "2", "applied", 200, PUT_BACK)]
        assert scim.members("Group a") == {"u1", "u2", "u3"}
        assert scim.log() == ["PATCH /Users/u2", "GET /Groups/g4", "PATCH /Groups/g4"]
        assert scim.overlapping == []
        assert world.snapshot.members("a")[0] == {"1", "2", "3"}
        assert not world.plan().changes


@pytest.mark.parametrize("off", [["1", "2"], ["1", "2", "3"]], ids=["two", "everybody"])
def test_however_many_come_back_each_group_is_read_once(tmp_path: Path, off: list[str]) -> None:
    with some_off(tmp_path, scim := Forgetful(), off) as world:
        world.hold(*on("1", "2", "3"))
        assert set(world.push().results) == {Result.APPLIED}
        assert scim.members("Group a") == {"u1", "u2", "u3"}
        assert scim.members("Group b") == {"u1"}
        assert [scim.log().count(f"GET /Groups/{id_}") for id_ in scim.groups] == [1, 1]
        assert [scim.log().count(f"PATCH /Groups/{id_}") for id_ in scim.groups] == [1, 1]


def test_where_memberships_stay_nothing_is_added_and_the_plan_counts_the_reads(tmp_path: Path) -> None:
    with some_off(tmp_path, Endpoint(), ["1", "2"]) as world:
        world.hold(*on("1", "2", "3"))
        plan = world.plan()
        run = world.push(plan)
        assert {o.detail for o in run.outcomes} == {""}
        assert len(world.scim.requests) == plan.estimate.requests == 2 + 2


def test_a_group_that_the_plan_takes_them_out_of_is_left_alone(tmp_path: Path) -> None:
    with some_off(tmp_path, scim := Forgetful(), ["2"]) as world:
        world.hold(*on("1", "2", "3"))
        world.groups = [group("a", members=["1", "3"]), group("b", members=["1"])]
        plan = world.plan()
        run = world.push(plan)
        assert results(run) == {"reactivate_user 2": "applied", "remove_members a": "applied"}
        assert detail(run, Action.REACTIVATE_USER, "2") == ""
        assert scim.members("Group a") == {"u1", "u3"}


def test_a_group_that_they_are_to_leave_once_a_person_approves_is_left_alone(tmp_path: Path) -> None:
    with some_off(tmp_path, scim := Forgetful(), ["2"]) as world:
        world.hold(*on("1", "2", "3"))
        world.groups = [group("a", members=["1", "3"]), group("b", members=["1"])]
        plan = world.plan()
        (removal,) = [change for change in plan.changes if change.action is Action.REMOVE_MEMBERS]
        withheld = replace(
            without(plan, lambda change: change == removal), held=(Held(removal, "remove_members", "too many"),)
        )
        world.push(withheld)
        assert scim.members("Group a") == {"u1", "u3"}


@pytest.mark.parametrize("how", ["nothing", None])
def test_a_group_that_shows_no_members_proves_nothing(tmp_path: Path, how: Any) -> None:
    scim = Forgetful(shows_members=False)
    with some_off(tmp_path, scim, ["2"], members_read=how) as world:
        world.hold(*on("1", "2", "3"))
        plan = world.plan()
        assert said(world.push(plan)) == [("reactivate_user", "2", "applied", 200, "")]
        assert len(scim.requests) == plan.estimate.requests == (1 if how else 2)


def test_what_can_not_be_put_back_is_planned_by_the_next_run(tmp_path: Path) -> None:
    with some_off(tmp_path, scim := Forgetful(), ["2"]) as world:
        world.hold(*on("1", "2", "3"))
        scim.instead("PATCH", "/Groups/", error(422, "not now"))
        assert said(world.push()) == [("reactivate_user", "2", "applied", 200, PUT_BACK)]
        (change,) = world.plan().changes
        assert (change.action, change.members) == (Action.ADD_MEMBERS, ["2"])
        world.push()
        assert scim.members("Group a") == {"u1", "u2", "u3"}


def test_after_a_kill_the_memberships_are_compared_by_the_next_run(tmp_path: Path) -> None:
    with some_off(tmp_path, scim := Forgetful(), ["2"]) as world:
        world.hold(*on("1", "2", "3"))
        scim.instead("GET", "/Groups/", error(400, "not now"))
        (outcome,) = world.push().outcomes
        assert (outcome.result, outcome.open) == (Result.FAILED, True)
        assert world.look() == 0
        (change,) = world.plan().changes
        assert (change.action, change.members) == (Action.ADD_MEMBERS, ["2"])
        world.push()
        assert scim.members("Group a") == {"u1", "u2", "u3"}
