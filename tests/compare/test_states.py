"""Source against snapshot, people who are pending and people who have managers: rows worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.core.plan import Plan
from syncd.core.schema import MANAGER
from syncd.scim.profiles import Profile
from syncd.store import StateFile
from tests.world import World, brief, person, said, target_rules, withheld


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def world(state: StateFile) -> World:
    return World(state)


def user(plan: Plan, key: str) -> tuple[str, Any, Any]:
    """Return action, before and after of the one change of a user."""
    (found,) = [change for change in plan.changes if change.action.about_user and change.key == key]
    return found.action.value, found.before, found.after


# -- outsiders -----------------------------------------------------------------------------------


@pytest.mark.parametrize(("by_endpoint", "active"), [(False, False), (True, True)])
def test_who_is_outside_the_verified_domains_is_pending(state: StateFile, by_endpoint: bool, active: bool) -> None:
    profile = Profile("p", pending_by_endpoint=by_endpoint)
    world = World(state, target_rules(verified=["example.com"], profile=profile))
    world.hold(person("1", mail="a@example.org"), person("2", mail="b@example.com"))
    world.sync()
    assert world.endpoint.states() == {"1": "pending", "2": "active"}
    assert world.endpoint.users["1"][1]["active"] is active
    world.assert_settled()
    # Withdrawn and invited again they are pending again, never active.
    world.hold(person("1", mail="a@example.org", status="left"), person("2", mail="b@example.com"))
    world.sync()
    assert world.endpoint.states() == {"1": "deactivated", "2": "active"}
    world.assert_settled()
    world.hold(person("1", mail="a@example.org"), person("2", mail="b@example.com"))
    world.sync()
    assert world.endpoint.states() == {"1": "pending", "2": "active"}
    assert world.endpoint.users["1"][1]["active"] is active
    world.assert_settled()
    world.hold(person("1", mail="a@example.com"), person("2", mail="b@example.com"))
    world.sync()
    assert world.endpoint.states() == {"1": "active", "2": "active"}
    world.assert_settled()


@pytest.mark.parametrize(
    ("before", "after"),
    [
        pytest.param({"mail": "a@example.com"}, {"mail": "a@example.org"}, id="another address"),
        pytest.param(
            {"uid": "a@example.com"}, {"uid": "a@example.org"}, id="another userName, where that is the address"
        ),
        pytest.param(
            {"uid": "a@example.org", "mail": "a@example.com"}, {"uid": "a@example.org"}, id="no address any more"
        ),
    ],
)
def test_an_active_user_whose_address_moves_outside_is_held(
    state: StateFile, before: dict[str, str], after: dict[str, str]
) -> None:
    world = World(state, target_rules(verified=["example.com"]))
    world.hold(person("1", **before))
    world.sync()
    world.hold(person("1", **after))
    plan = world.sync()
    assert (brief(plan), withheld(plan)) == ([], ["external_domain: update_user 1"])
    assert world.endpoint.states() == {"1": "active"}


def test_an_active_user_stays_active_when_a_domain_is_no_longer_verified(state: StateFile) -> None:
    world = World(state, target_rules(verified=["example.com"]))
    world.hold(person("1", mail="a@example.com"))
    world.sync()
    world.target = target_rules(verified=["example.org"])
    assert (brief(world.sync()), withheld(world.plan())) == ([], [])


@pytest.mark.parametrize("by_endpoint", [False, True])
def test_who_waits_for_a_domain_to_be_verified_is_admitted_then(state: StateFile, by_endpoint: bool) -> None:
    profile = Profile("p", pending_by_endpoint=by_endpoint)
    world = World(state, target_rules(verified=["example.com"], profile=profile))
    # The manager has no account: that must not keep anybody pending.
    world.hold(person("1", mail="a@example.org", boss="7"))
    world.sync()
    world.target = target_rules(verified=["example.com", "example.org"], profile=profile)
    world.sync()
    assert world.endpoint.states() == {"1": "active"}
    assert brief(world.plan()) == []


def test_an_address_without_a_domain_is_a_problem_not_an_outsider(state: StateFile) -> None:
    world = World(state, target_rules(verified=["example.com"]))
    world.hold(person("1", mail="nonsense"))
    plan = world.sync()
    assert brief(plan) == []
    assert "has no domain that could be compared" in plan.problems[0].problem


# -- managers ------------------------------------------------------------------------------------


def test_a_manager_who_is_there_is_named_at_once(world: World) -> None:
    world.hold(person("7"))
    world.sync()
    world.people.append(person("1", boss="7"))
    plan = world.sync()
    assert brief(plan) == ["create_user 1"]
    assert user(plan, "1")[2][MANAGER] == "7"
    world.assert_settled()


def test_a_manager_who_is_created_in_the_same_plan_is_named_when_both_are_there(world: World) -> None:
    world.hold(person("1", boss="7"), person("7", boss="1"), person("8", boss="8"))
    plan = world.sync()
    assert brief(plan) == [
        *("create_user 1", "create_user 7", "create_user 8"),
        *("update_user 1", "update_user 7", "update_user 8"),
    ]
    assert [change.after for change in plan.changes[3:]] == [{MANAGER: "7"}, {MANAGER: "1"}, {MANAGER: "8"}]
    assert plan.estimate.requests == 6
    world.assert_settled()


def test_a_manager_who_is_never_there_is_left_out_until_they_come(world: World) -> None:
    world.hold(person("1", boss="7", display="Ada"))
    plan = world.sync()
    assert said(plan) == [
        ("create_user", "1", {}, {"userName": "u1", "displayName": "Ada", "externalId": "1", "active": True})
    ]
    assert plan.problems == ()
    for _ in range(2):
        assert brief(world.sync()) == []
    world.people.append(person("7"))
    plan = world.sync()
    assert brief(plan) == ["create_user 7", "update_user 1"]
    assert user(plan, "1") == ("update_user", {MANAGER: None}, {MANAGER: "7"})
    world.assert_settled()


def test_a_manager_who_is_off_and_never_had_an_account_is_left_out(world: World) -> None:
    world.hold(person("1", boss="7"), person("7", status="left"))
    assert brief(world.sync()) == ["create_user 1"]
    assert brief(world.plan()) == []


def test_the_rest_of_an_update_does_not_wait_for_a_manager_who_is_never_there(world: World) -> None:
    world.hold(person("1", display="Ada", boss="7"), person("7"))
    world.sync()
    world.hold(person("1", display="Ada King", boss="8"), person("7"))
    plan = world.sync()
    assert user(plan, "1") == (
        "update_user",
        {"displayName": "Ada", MANAGER: "7"},
        {"displayName": "Ada King", MANAGER: None},
    )
    assert brief(world.plan()) == []
    world.people.append(person("8"))
    world.sync()
    assert world.endpoint.users["1"][1][MANAGER] == "8"
    world.assert_settled()


def test_a_manager_who_left_stays_the_manager_as_long_as_the_source_says_so(world: World) -> None:
    world.hold(person("1", boss="7"), person("7"))
    world.sync()
    world.hold(person("1", boss="7"))
    assert brief(world.sync()) == ["deactivate_user 7"]
    assert world.endpoint.users["1"][1][MANAGER] == "7"
    world.assert_settled()


def test_who_is_back_with_a_manager_who_is_new_is_reactivated_first(world: World) -> None:
    world.hold(person("1"))
    world.sync()
    world.hold(person("1", status="left"))
    world.sync()
    world.hold(person("1", boss="7"), person("7"))
    assert brief(world.sync()) == ["reactivate_user 1", "create_user 7", "update_user 1"]
    world.assert_settled()
