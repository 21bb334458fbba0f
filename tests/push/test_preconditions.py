"""Preconditions: a change with a failed precondition is refused by itself, and the rest goes on."""

from __future__ import annotations

from collections.abc import Callable
from copy import deepcopy
from pathlib import Path

import pytest

from syncd.core.plan import Action, Change, Plan
from tests.endpoints import Endpoint
from tests.push.pushing import Pushing, detail, pushing, results, without
from tests.world import group, person


def only(plan: Plan, *actions: Action) -> Plan:
    return without(plan, lambda change: change.action not in actions)


def test_a_plan_applied_twice_does_nothing_the_second_time(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2", boss="1"), person("3"), person("4"))
        world.groups = [group("a", members=["1", "3"]), group("b", members=["2"])]
        world.settle()
        world.hold(person("1", title="Dr"), person("2"), person("3", status="left"), person("5", boss="1"))
        world.groups = [group("a", "Other", members=["1", "5"]), group("c", members=["1"])]
        plan = world.plan()
        assert {change.action for change in plan.changes} == set(Action) - {
            Action.ADOPT_USER,
            Action.ADOPT_GROUP,
            Action.DELETE_USER,
            Action.REACTIVATE_USER,
        }
        world.push(plan)
        world.scim.requests.clear()
        before = deepcopy((world.scim.users, world.scim.groups))
        again = world.push(plan)
        assert set(results(again).values()) == {"refused"}
        assert world.scim.requests == []
        assert (world.scim.users, world.scim.groups) == before


@pytest.mark.parametrize(
    ("change", "meanwhile", "key", "reason"),
    [
        pytest.param(
            Action.UPDATE_USER,
            lambda world: world.hold(person("1", title="Prof"), person("2"), person("3"), person("4")),
            "1",
            "title has changed since: the plan expects None, it is 'Prof'",
            id="the attribute was changed by another run",
        ),
        pytest.param(
            Action.DEACTIVATE_USER,
            lambda world: world.hold(person("1"), person("2", status="left"), person("3"), person("4")),
            "2",
            "active has changed since: the plan expects True, it is False",
            id="the account is switched off already",
        ),
        pytest.param(
            Action.CREATE_USER,
            lambda world: world.hold(person("1"), person("2"), person("3"), person("4"), person("9")),
            "9",
            "has an account already",
            id="the account is there already",
        ),
    ],
)
def test_a_stale_change_is_refused_and_the_rest_goes_on(
    tmp_path: Path, change: Action, meanwhile: Callable[[Pushing], None], key: str, reason: str
) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"), person("3"), person("4"))
        world.settle()
        world.hold(
            person("1", title="Dr"), person("2", status="left"), person("3", title="Dr"), person("4"), person("9")
        )
        plan = world.plan()
        meanwhile(world)
        world.push()
        run = world.push(plan)
        assert detail(run, change, key) == reason
        expected = {
            "deactivate_user 2": "applied",
            "update_user 1": "applied",
            "update_user 3": "applied",
            "create_user 9": "applied",
        }
        assert results(run) == expected | {f"{change.value} {key}": "refused"}


def test_a_resource_no_longer_linked_is_not_written(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1"]), group("b", members=["1"])]
        world.settle()
        world.hold(person("1", title="Dr"), person("2", title="Dr"))
        world.groups = [group("a", "Other", members=["1", "2"])]
        plan = world.plan()
        with world.state.atomic():
            world.snapshot.forget_user("1")
            world.snapshot.forget_group("a")
            world.snapshot.forget_group("b")
        run = world.push(plan)
        assert detail(run, Action.UPDATE_USER, "1") == "no longer linked to an account"
        assert detail(run, Action.UPDATE_GROUP, "a") == "no longer linked to a group"
        assert detail(run, Action.ADD_MEMBERS, "a") == "no longer linked to a group"
        assert detail(run, Action.DELETE_GROUP, "b") == "no longer linked to a group"
        assert {line: result for line, result in results(run).items() if result != "refused"} == {
            "update_user 2": "applied"
        }
        assert world.scim.log() == ["PATCH /Users/u2"]


def test_of_a_membership_change_only_what_is_still_missing_is_sent(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(str(number)) for number in range(1, 6)))
        world.groups = [group("a", members=["1", "2"])]
        world.settle()
        world.groups = [group("a", members=["3", "4", "5"])]
        plan = world.plan()
        world.groups = [group("a", members=["2", "3"])]
        world.push()
        world.scim.requests.clear()
        assert results(world.push(plan)) == {"remove_members a": "applied", "add_members a": "applied"}
        remove, add = (request.body["Operations"] for request in world.scim.requests)
        assert [operation["path"] for operation in remove] == ['members[value eq "u2"]']
        assert [member["value"] for member in add[0]["value"]] == ["u4", "u5"]
        assert world.scim.members("Group a") == {"u3", "u4", "u5"}
        again = world.push(plan)
        assert {outcome.detail for outcome in again.outcomes} == {"the members are as they should be already"}


def test_a_manager_who_has_no_account_keeps_one_person_back_and_nobody_else(tmp_path: Path) -> None:
    def is_the_manager(change: Change) -> bool:
        return change.key == "1"

    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2", boss="1"), person("3"))
        plan = without(world.plan(), is_the_manager)
        run = world.push(plan)
        assert results(run) == {"create_user 2": "applied", "create_user 3": "applied", "update_user 2": "skipped"}
        assert detail(run, Action.UPDATE_USER, "2") == "the manager 1 has no account"
        world.settle()
        manager = world.scim.by_name()["u2"]["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["manager"]
        assert manager == {"value": world.scim.by_name()["u1"]["id"]}


def test_native_resources_are_never_written(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        user = world.scim.add_user(userName="native@example.com", title="theirs")
        team = world.scim.add_group(displayName="Natives", members=[{"value": user}])
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1"])]
        world.settle()
        world.hold(person("1", status="left"))
        world.groups = []
        world.push()
        assert world.scim.users[user]["title"] == "theirs"
        assert world.scim.groups[team]["members"] == [{"value": user}]
        assert not [request for request in world.scim.requests if "native" in request.path]


def test_only_what_a_plan_holds_is_done(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1"])]
        run = world.push(only(world.plan(), Action.CREATE_GROUP))
        assert results(run) == {"create_group a": "applied"}
        assert world.scim.users == {}
