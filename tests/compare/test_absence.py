"""Absence from the source: proof, empty and shrunken sources, accounts that are deleted in the end, protection."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.compare.rules import TargetRules
from syncd.core.model import Kind, State
from syncd.core.policy import Class, Limit
from syncd.scim.profiles import Profile
from syncd.store import StateFile
from tests.world import NOON, World, brief, faulty, group, person, target_rules, withheld

DAY = timedelta(hours=24)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


def world_of(state: StateFile, rules: TargetRules | None = None) -> World:
    """Return a world in which Ada (1), in the group g, and Bob (2) are."""
    world = World(state, rules)
    world.hold(person("1", "ada", mail="ada@example.com"), person("2"))
    world.groups = [group("g", members=["1"])]
    world.sync()
    return world


# -- proof -------------------------------------------------------------------------------------------


def test_who_is_proven_gone_waits_out_the_grace(state: StateFile) -> None:
    world = world_of(state, target_rules(grace=DAY))
    world.hold(person("2"))
    world.elsewhere = {"1": False}
    assert withheld(world.sync()) == ["missing_grace: deactivate_user 1", "missing_grace: remove_members g 1"]
    world.later(hours=24)
    assert brief(world.sync()) == ["deactivate_user 1", "remove_members g 1"]


def test_who_may_be_there_after_all_is_left_alone_and_named(state: StateFile) -> None:
    world = world_of(state)
    world.hold(person("2"))
    world.groups = [group("g")]
    world.elsewhere = {"1": None}
    plan = world.sync()
    assert (brief(plan), plan.held) == ([], ())
    (problem,) = plan.problems
    assert problem.problem == (
        "1 managed people (1) were not seen, and the source doesn't say whether they are there: none of them counts "
        "as gone"
    )
    # Nor does the grace begin to count.
    known = world.snapshot.user("1")
    assert known is not None
    assert known.missing_since is None


def test_who_is_there_and_no_longer_among_the_people_loses_access_at_once(state: StateFile) -> None:
    world = world_of(state, target_rules(grace=DAY))
    world.hold(person("2"))
    world.elsewhere = {"1": True}
    plan = world.sync()
    assert brief(plan) == ["deactivate_user 1"]
    assert plan.changes[0].reason == (
        "the source has the entry, and no longer among the people it returns (moved, or filtered out)"
    )


def test_a_group_that_may_be_there_is_not_deleted(state: StateFile) -> None:
    world = world_of(state)
    world.groups = []
    world.elsewhere = {"g": None}
    assert brief(world.plan()) == []
    world.elsewhere = {"g": False}
    assert brief(world.plan()) == ["delete_group g"]


def test_nobody_is_asked_about_who_is_switched_off_or_lost_already(state: StateFile) -> None:
    world = world_of(state)
    world.hold(person("1", status="left"), person("2"))
    world.sync()
    with state.atomic():
        world.snapshot.lose(Kind.USER, "2")
    world.hold(person("3"))
    world.elsewhere = {"1": None, "2": None}
    plan = world.sync()
    assert brief(plan) == ["create_user 3", "remove_members g 1"]
    assert plan.problems == ()
    assert world.snapshot.user("2") is None  # neither side has them


# -- sources that are not to be believed -------------------------------------------------------------


@pytest.mark.parametrize("people", [[], [faulty("9")]], ids=["empty", "nothing but a faulty row"])
def test_from_an_empty_source_nothing_follows_whatever_is_configured(state: StateFile, people: list[object]) -> None:
    world = world_of(state)
    world.people = list(people)  # type: ignore[arg-type]
    world.groups = []
    plan = world.sync()
    assert brief(plan) == []
    assert withheld(plan) == [
        "empty_source: deactivate_user 1",
        "empty_source: deactivate_user 2",
        "empty_source: delete_group g",
    ]


def crowd(state: StateFile, count: int = 20) -> World:
    world = World(state)
    world.hold(*(person(str(number)) for number in range(count)))
    world.groups = [group("g", members=[str(number) for number in range(count)])]
    world.sync()
    return world


def test_a_source_that_holds_less_than_half_of_last_time_is_not_believed_until_a_person_says_so(
    state: StateFile,
) -> None:
    world = crowd(state)
    world.hold(*(person(str(number)) for number in range(9)))
    plan = world.sync()
    assert brief(plan) == []
    assert {held.limit for held in plan.held} == {"shrunk_source"}
    assert plan.held[0].reason == "memory holds 9 people, the last time 20: less than half"
    # The next reading is measured against the one that was believed, not against this one.
    assert {held.limit for held in world.sync().held} == {"shrunk_source"}
    world.decisions = replace(world.decisions, approved=frozenset(held.id for held in plan.held))
    assert len(world.sync().changes) == len(plan.held)
    world.decisions = replace(world.decisions, approved=frozenset())
    world.assert_settled()


def test_half_of_it_is_still_believed(state: StateFile) -> None:
    world = crowd(state)
    world.hold(*(person(str(number)) for number in range(10)))
    world.groups = [group("g", members=[str(number) for number in range(10)])]
    assert len(brief(world.plan())) == 11


def test_memberships_that_vanish_by_half_take_nobody_out_of_a_group(state: StateFile) -> None:
    world = crowd(state)
    world.groups = [group("g", members=["1"])]
    plan = world.sync()
    assert brief(plan) == []
    assert {held.limit for held in plan.held} == {"shrunk_source"}
    assert plan.held[0].reason == "memory holds 1 memberships, the last time 20: less than half"


def test_who_is_disabled_in_a_shrunken_source_was_seen(state: StateFile) -> None:
    world = crowd(state)
    world.hold(person("0", status="left"), *(person(str(number)) for number in range(1, 9)))
    assert brief(world.plan()) == ["deactivate_user 0"]


# -- deleted in the end ------------------------------------------------------------------------------


def test_accounts_stay_switched_off_for_ever_unless_told_otherwise(state: StateFile) -> None:
    world = world_of(state)
    world.hold(person("2"))
    world.sync()
    world.later(days=3650)
    assert (brief(world.plan()), world.plan().held) == ([], ())


def deleting(state: StateFile) -> World:
    """Return a world in which Ada was switched off at NOON, and accounts are deleted after ten days."""
    world = world_of(state, replace(target_rules(), delete_after=timedelta(days=10)))
    world.hold(person("1", "ada", status="left"), person("2"))
    world.sync()
    known = world.snapshot.user("1")
    assert known is not None
    with state.atomic():
        world.snapshot.put_user(replace(known, since=NOON))
    return world


def test_an_account_that_was_off_for_long_enough_is_deleted(state: StateFile) -> None:
    world = deleting(state)
    world.later(days=10, seconds=-1)
    assert brief(world.plan()) == []
    world.later(seconds=1)
    plan = world.plan()
    assert brief(plan) == ["delete_user 1"]
    assert plan.changes[0].reason == "switched off since 2026-11-22, and delete_after is over"


def test_who_is_back_in_time_is_not_deleted(state: StateFile) -> None:
    world = deleting(state)
    world.later(days=11)
    world.hold(person("1", "ada"), person("2"))
    assert brief(world.plan()) == ["reactivate_user 1"]


@pytest.mark.parametrize("doubt", ["unproven", "a faulty row", "no absence"])
def test_who_may_be_back_is_not_deleted(state: StateFile, doubt: str) -> None:
    world = deleting(state)
    world.later(days=11)
    world.hold(person("2"))
    if doubt == "unproven":
        world.elsewhere = {"1": None}
    elif doubt == "a faulty row":
        world.hold(person("2"), faulty("1"))
    else:
        world.absence = False
    assert brief(world.plan()) == []


def test_deletions_have_a_limit_of_their_own(state: StateFile) -> None:
    rules = replace(target_rules(limits={Class.DELETE: Limit(count=0)}), delete_after=timedelta(days=10))
    world = world_of(state, rules)
    world.hold(person("1", "ada", status="left"), person("2"))
    world.sync()
    known = world.snapshot.user("1")
    assert known is not None
    with state.atomic():
        world.snapshot.put_user(replace(known, since=NOON))
    world.later(days=10)
    assert withheld(world.plan()) == ["delete: delete_user 1"]


# -- protected ---------------------------------------------------------------------------------------


@pytest.mark.parametrize("named", ["1", "ada", "ada@example.com"])
def test_who_is_named_in_protect_is_never_switched_off(state: StateFile, named: str) -> None:
    world = world_of(state, replace(target_rules(), protect=frozenset({named})))
    world.hold(person("1", "ada", status="left"), person("2", status="left"))
    plan = world.plan()
    assert brief(plan) == ["deactivate_user 2"]
    assert [(held.limit, held.reason) for held in plan.held] == [
        ("protected", f"ada is protected: the configuration names {named} in `protect`")
    ]


def test_the_account_that_the_token_belongs_to_is_never_switched_off(state: StateFile) -> None:
    world = world_of(state)
    with state.atomic():
        world.snapshot.discover({"protected": {"id-1": "the account that the token belongs to"}})
    world.hold(person("2"))
    # Who keeps the account keeps the groups.
    assert withheld(world.plan()) == ["protected: deactivate_user 1", "protected: remove_members g 1"]


# -- pending -----------------------------------------------------------------------------------------

OUTSIDE = person("9", "guest", mail="guest@elsewhere.org")


def invited(state: StateFile, *, by_endpoint: bool = False, memberships: bool = True) -> World:
    profile = Profile("p", patch=True, pending_by_endpoint=by_endpoint, pending_memberships=memberships)
    world = World(state, target_rules(verified=["example.com"], profile=profile))
    world.hold(person("1", "ada", mail="ada@example.com"), OUTSIDE)
    world.groups = [group("g", members=["1", "9"])]
    world.sync()
    return world


@pytest.mark.parametrize("by_endpoint", [True, False])
def test_who_accepted_is_active_from_the_next_run_on(state: StateFile, *, by_endpoint: bool) -> None:
    world = invited(state, by_endpoint=by_endpoint)
    with state.atomic():
        world.snapshot.accept("9", seen=False)
        world.snapshot.bump()
    (change,) = world.sync().changes
    assert (change.reason, change.state) == ("accepted the invitation", State.ACTIVE)
    assert change.after == ({} if by_endpoint else {"active": True})
    assert world.endpoint.states()["9"] == "active"
    world.assert_settled()


def test_the_invited_join_their_groups_at_once_or_once_they_accept(state: StateFile) -> None:
    world = invited(state, memberships=False)
    assert world.endpoint.members_of("g") == {"1"}
    world.assert_settled()
    with state.atomic():
        world.snapshot.accept("9", seen=False)
        world.snapshot.bump()
    assert brief(world.sync()) == ["update_user 9", "add_members g 9"]
    world.assert_settled()


def test_an_outsider_who_was_deleted_at_the_target_is_not_invited_again(state: StateFile) -> None:
    world = invited(state)
    with state.atomic():
        world.snapshot.lose(Kind.USER, "9")
    plan = world.plan()
    assert brief(plan) == []
    assert withheld(plan) == ["invitation: create_user 9", "invitation: add_members g 9"]


# -- one group per user ------------------------------------------------------------------------------

ALONE = Profile("admin", patch=True, one_group_per_user=True)


def test_who_would_be_in_two_groups_stays_where_they_are_and_is_named_with_both(state: StateFile) -> None:
    world = World(state, target_rules(profile=ALONE))
    world.hold(person("1"), person("2"))
    world.groups = [group("a", "Design", ["1", "2"])]
    world.sync()
    world.groups = [group("a", "Design", ["2"]), group("b", "Sales", ["1", "2"])]
    plan = world.sync()
    assert brief(plan) == ["create_group b", "add_members b 1", "remove_members a 1"]
    assert [(problem.key, problem.problem.partition(";")[0]) for problem in plan.problems] == [
        ("2", "is in 2 groups (Design, Sales), and admin takes a user in one alone: these memberships stay as they are")
    ]
    assert brief(world.plan()) == []


def test_a_group_that_may_hold_everybody_is_left_out_of_that(state: StateFile) -> None:
    world = World(state, replace(target_rules(profile=ALONE), overlapping_groups=("All *",)))
    world.hold(person("1"))
    world.groups = [group("a", "Design", ["1"]), group("b", "All users", ["1"])]
    plan = world.plan()
    assert plan.problems == ()
    assert brief(plan)[-2:] == ["add_members b 1", "add_members a 1"]
