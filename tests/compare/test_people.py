"""Source against snapshot, people: rows worked out by hand, over a real state file."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path
from typing import Any

import pytest

import syncd.compare.compare
import syncd.core.mapping
from syncd.compare.comparison import Comparison
from syncd.compare.plan import make_plan
from syncd.core.model import Kind, State
from syncd.core.plan import Estimate, Trouble
from syncd.core.policy import Class, Limit
from syncd.core.rules import Rule
from syncd.core.schema import MANAGER
from syncd.cycle.gathering import gather
from syncd.cycle.progress import Progress
from syncd.scim.profiles import Profile
from syncd.store import StateFile
from tests.world import (
    NOON,
    WORK_MAIL,
    World,
    brief,
    faulty,
    group,
    person,
    said,
    source_rules,
    target_rules,
    withheld,
)

DAY = timedelta(hours=24)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def world(state: StateFile) -> World:
    return World(state)


def test_new_people_are_created_with_what_the_mapping_says_of_them(world: World) -> None:
    world.hold(person("1", "Ada", mail="Ada@Example.com", display="Ada"), person("2", "bob"))
    plan = world.sync()
    assert said(plan) == [
        (
            "create_user",
            "1",
            {},
            {"userName": "ada", "displayName": "Ada", WORK_MAIL: "ada@example.com", "externalId": "1", "active": True},
        ),
        ("create_user", "2", {}, {"userName": "bob", "externalId": "2", "active": True}),
    ]
    assert [change.reason for change in plan.changes] == ["new in the source"] * 2
    assert (plan.managed, plan.base_serial, plan.problems, plan.estimate) == (0, 0, (), Estimate(2, 0.2))
    world.assert_settled()


def test_planning_writes_nothing(world: World) -> None:
    world.hold(person("1"), person("2"))
    world.sync()
    world.hold(person("1", title="x"))
    before = list(world.state.db.conn.iterdump())
    world.plan()
    assert list(world.state.db.conn.iterdump()) == before


def test_the_unchanged_are_not_even_mapped(world: World, monkeypatch: pytest.MonkeyPatch) -> None:
    world.hold(person("1", status="active"), person("2", status="left"), person("3"))
    world.sync()
    world.people.append(person("4"))
    mapped = []
    original = syncd.core.mapping.desired_user

    def counting(entry: Any, *rest: Any) -> Any:
        mapped.append(entry.key)
        return original(entry, *rest)

    monkeypatch.setattr("syncd.compare.people.desired_user", counting)
    world.plan()
    # Nobody remembers who never had an account.
    assert mapped == ["2", "4"]


def test_a_changed_attribute_is_updated_alone(world: World) -> None:
    world.hold(person("1", "ada", display="Ada", mail="ada@example.com"))
    world.sync()
    world.hold(person("1", "ada", display="Ada King", mail="ada@example.com"))
    plan = world.sync()
    assert said(plan) == [("update_user", "1", {"displayName": "Ada"}, {"displayName": "Ada King"})]
    assert plan.changes[0].reason == "displayName changed in the source"
    assert plan.managed == 1
    world.assert_settled()


def test_an_attribute_that_went_away_is_removed(world: World) -> None:
    world.hold(person("1", display="Ada", mail="ada@example.com"))
    world.sync()
    world.hold(person("1", mail="ada@example.com"))
    assert said(world.sync()) == [("update_user", "1", {"displayName": "Ada"}, {"displayName": None})]
    world.assert_settled()


def test_a_change_that_the_target_does_not_see_is_settled_without_one(world: World) -> None:
    world.hold(person("1", shoe="39"))
    world.sync()
    world.hold(person("1", shoe="40"))
    assert brief(world.sync()) == []
    assert list(world.snapshot_updates.digests) == ["1"]
    world.plan()
    assert world.snapshot_updates.digests == {}


def test_a_rename_keeps_the_account(world: World) -> None:
    world.hold(person("1", "ada"))
    world.sync()
    world.hold(person("1", "lovelace"))
    plan = world.sync()
    assert said(plan) == [("update_user", "1", {"userName": "ada"}, {"userName": "lovelace"})]
    assert plan.changes[0].reason == "renamed in the source (was ada)"
    known = world.snapshot.user("1")
    assert known is not None
    assert (known.id, known.name) == ("id-1", "lovelace")
    world.assert_settled()


@pytest.mark.parametrize(
    ("off", "reason"),
    [({"status": "left"}, "disabled in the source"), ({"department": "Contractors"}, "no longer in scope")],
)
def test_who_is_there_and_off_is_deactivated_at_once_and_keeps_the_rest(
    state: StateFile, off: dict[str, str], reason: str
) -> None:
    world = World(state, target_rules(scope='department != "Contractors"', grace=DAY))
    world.hold(person("1", "ada", display="Ada"), person("2"))
    world.groups = [group("g", members=["1", "2"])]
    world.sync()
    # What else changed of somebody who is off is not worth a request.
    world.hold(person("1", "lovelace", display="x", **off), person("2"))
    plan = world.sync()
    assert said(plan) == [("deactivate_user", "1", {"active": True}, {"active": False})]
    assert plan.changes[0].reason == reason
    assert plan.held == ()
    assert world.endpoint.states() == {"1": "deactivated", "2": "active"}
    assert world.endpoint.members_of("g") == {"1", "2"}
    world.assert_settled()


def test_who_was_never_wanted_gets_no_account(world: World) -> None:
    world.hold(person("1", status="left"))
    world.groups = [group("g", members=["1"])]
    assert brief(world.sync()) == ["create_group g"]
    assert world.endpoint.users == {}
    world.assert_settled()


def test_who_is_back_gets_the_same_account_with_what_changed_meanwhile(world: World) -> None:
    world.hold(person("1", "ada", display="Ada"))
    world.groups = [group("g", members=["1"])]
    world.sync()
    world.hold(person("1", "ada", display="Ada", status="left"))
    world.sync()
    world.hold(person("1", "ada", display="Ada King"))
    plan = world.sync()
    assert said(plan) == [
        (
            "reactivate_user",
            "1",
            {"displayName": "Ada", "active": False},
            {"displayName": "Ada King", "active": True},
        )
    ]
    assert world.snapshot.ids(Kind.USER, ["1"]) == {"1": "id-1"}
    world.assert_settled()


# -- vanished ------------------------------------------------------------------------------------


@pytest.fixture
def vanished(state: StateFile) -> World:
    """Ada was there with Bob, in two groups, and isn't any more; nobody noticed yet. A day's grace."""
    world = World(state, target_rules(grace=DAY))
    world.hold(person("1", "ada"), person("2", "bob"))
    world.groups = [group("g", members=["1", "2"]), group("h", members=["1"])]
    world.sync()
    world.hold(person("2", "bob"))
    world.groups = [group("g", members=["2"]), group("h")]
    return world


def test_who_vanished_keeps_account_and_groups_until_the_grace_ends(vanished: World) -> None:
    for hours in (0, 12, 23.999):
        vanished.now = NOON + timedelta(hours=hours)
        plan = vanished.sync()
        assert brief(plan) == []
        assert withheld(plan) == [
            "missing_grace: deactivate_user 1",
            "missing_grace: remove_members g 1",
            "missing_grace: remove_members h 1",
        ]
        assert vanished.endpoint.states() == {"1": "active", "2": "active"}
        assert vanished.endpoint.members_of("g") == {"1", "2"}


def test_after_the_grace_account_and_memberships_go_in_one_plan(vanished: World) -> None:
    vanished.sync()
    vanished.later(hours=24)
    plan = vanished.sync()
    assert brief(plan) == ["deactivate_user 1", "remove_members g 1", "remove_members h 1"]
    assert plan.changes[0].reason == "gone from the source"
    assert plan.held == ()
    assert vanished.endpoint.states() == {"1": "deactivated", "2": "active"}
    assert vanished.endpoint.members_of("g") == {"2"}
    vanished.assert_settled()


def test_the_grace_begins_when_a_run_first_notices(vanished: World) -> None:
    vanished.later(hours=100)
    assert brief(vanished.sync()) == []
    assert vanished.snapshot.user("1").missing_since == NOON + timedelta(hours=100)  # type: ignore[union-attr]


def test_a_plan_that_is_not_carried_out_starts_no_grace(vanished: World) -> None:
    vanished.plan()
    vanished.later(hours=48)
    assert brief(vanished.sync()) == []


def test_who_is_back_within_the_grace_was_never_away(vanished: World) -> None:
    vanished.sync()
    vanished.later(hours=23)
    vanished.people.append(person("1", "ada"))
    vanished.groups = [group("g", members=["1", "2"]), group("h", members=["1"])]
    assert (brief(vanished.sync()), withheld(vanished.plan())) == ([], [])
    # The next absence has a grace of its own.
    vanished.hold(person("2", "bob"))
    vanished.later(hours=23)
    vanished.sync()
    vanished.later(hours=23)
    assert "missing_grace: deactivate_user 1" in withheld(vanished.sync())


def test_who_is_back_after_the_grace_gets_account_and_groups_back(vanished: World) -> None:
    vanished.sync()
    vanished.later(hours=24)
    vanished.sync()
    vanished.people.append(person("1", "ada"))
    vanished.groups = [group("g", members=["1", "2"]), group("h")]
    plan = vanished.sync()
    assert brief(plan) == ["reactivate_user 1", "add_members g 1"]
    known = vanished.snapshot.user("1")
    assert known is not None
    assert (known.id, known.missing_since) == ("id-1", None)
    vanished.assert_settled()


def test_a_deactivation_over_the_limit_keeps_the_groups_too(state: StateFile) -> None:
    world = World(state, target_rules(limits={Class.DEACTIVATE: Limit(count=1)}))
    world.hold(*(person(key) for key in "123"))
    world.groups = [group("g", members=["1", "2", "3"])]
    world.sync()
    world.hold(person("3", display="x"))
    world.groups = [group("g", members=["3"])]
    plan = world.sync()
    assert brief(plan) == ["update_user 3"]
    assert withheld(plan) == [
        "deactivate: deactivate_user 1",
        "deactivate: deactivate_user 2",
        "deactivate: remove_members g 1 2",
    ]
    assert plan.held[0].reason == "2 of 3 people would be deactivated; the limit is 1"
    assert world.endpoint.members_of("g") == {"1", "2", "3"}
    # What is held is found again in every run, and nothing else is.
    assert (brief(world.sync()), len(world.plan().held)) == ([], 3)


def test_who_is_deactivated_and_gone_is_left_alone(vanished: World) -> None:
    vanished.sync()
    vanished.later(hours=24)
    vanished.sync()
    for _ in range(2):
        vanished.later(hours=24)
        plan = vanished.sync()
        assert (brief(plan), plan.held, plan.problems) == ([], (), ())
    assert vanished.snapshot_updates.missing == {}


# -- rows that can't be used ---------------------------------------------------------------------


@pytest.fixture
def known(state: StateFile) -> World:
    """Ada and Bob have accounts and are in a group."""
    world = World(state)
    world.hold(person("1", "ada"), person("2", "bob"))
    world.groups = [group("g", members=["1", "2"])]
    world.sync()
    return world


def test_a_faulty_row_protects_whom_it_belongs_to(known: World) -> None:
    known.hold(faulty("1"), person("2", "bob"))
    known.groups = [group("g", members=["2"])]
    plan = known.sync()
    assert (brief(plan), plan.held) == ([], ())
    assert plan.problems == (Trouble("1", "ragged row", "faulty.csv:1"),)
    assert known.endpoint.members_of("g") == {"1", "2"}


def test_a_faulty_row_protects_everybody_whom_it_may_belong_to(known: World) -> None:
    known.hold(faulty("", "1", "2"), person("3"))
    known.groups = [group("g", members=["3"])]
    plan = known.sync()
    assert brief(plan) == ["create_user 3", "add_members g 3"]
    assert known.endpoint.states() == {"1": "active", "2": "active", "3": "active"}
    assert known.endpoint.members_of("g") == {"1", "2", "3"}


@pytest.mark.parametrize("order", ["before", "after"])
@pytest.mark.parametrize("batch", [1, 2, 1000])
@pytest.mark.parametrize("problem", [faulty("1"), faulty("", "9", "1")], ids=["by its key", "by what it may be"])
def test_whose_row_is_in_doubt_is_not_changed_by_another_row_of_theirs(
    known: World, monkeypatch: pytest.MonkeyPatch, order: str, batch: int, problem: Any
) -> None:
    monkeypatch.setattr(syncd.compare.compare, "_BATCH", batch)
    rows = [person("1", "lovelace", status="left"), problem]
    known.hold(*(rows if order == "after" else reversed(rows)), person("2", "bob"))
    known.groups = [group("g", members=["2"]), group("h", members=["1"])]
    plan = known.sync()
    assert brief(plan) == ["create_group h"]
    assert known.snapshot_updates.digests == {}
    assert known.endpoint.states() == {"1": "active", "2": "active"}
    assert known.endpoint.members_of("g") == {"1", "2"}


@pytest.mark.parametrize("batch", [1, 1000])
def test_a_row_in_doubt_settles_nothing(known: World, monkeypatch: pytest.MonkeyPatch, batch: int) -> None:
    monkeypatch.setattr(syncd.compare.compare, "_BATCH", batch)
    known.hold(person("1", "ada", shoe="40"), faulty("1"), person("2", "bob", shoe="41"))
    assert brief(known.sync()) == []
    assert list(known.snapshot_updates.digests) == ["2"]


def test_a_new_person_whose_row_is_in_doubt_is_not_created(world: World) -> None:
    world.hold(person("1"), faulty("1"), person("2", boss="1"))
    world.groups = [group("g", members=["1", "2"])]
    assert brief(world.sync()) == ["create_user 2", "create_group g", "add_members g 2"]
    assert MANAGER not in world.endpoint.users["2"][1]


def test_a_problem_that_names_nobody_else_still_protects_its_own_key(known: World) -> None:
    known.hold(replace(faulty("1"), protects=()), person("2", "bob"))
    assert brief(known.sync()) == []


def test_a_faulty_row_is_a_sign_of_life(state: StateFile) -> None:
    world = World(state, target_rules(grace=DAY))
    world.hold(person("1"), person("2"))
    world.sync()
    world.hold(person("2"))
    world.sync()
    world.later(hours=23)
    world.hold(faulty("1"), person("2"))
    world.sync()
    world.later(hours=2)
    world.hold(person("2"))
    assert withheld(world.sync()) == ["missing_grace: deactivate_user 1"]


def test_an_entry_that_cannot_be_mapped_is_reported_and_changes_nobody(known: World) -> None:
    known.rules = source_rules({"userName": "{login}", "displayName": "{display}"})
    known.target = target_rules(scheme="another mapping")
    known.hold(person("1", display="x"), person("2", login="bob", display="Bob"), person("3"))
    plan = known.sync()
    assert brief(plan) == ["update_user 2"]
    assert plan.problems == (
        Trouble("1", "no value for userName", "people.csv:1"),
        Trouble("3", "no value for userName", "people.csv:3"),
    )
    assert known.endpoint.users["1"][1]["userName"] == "ada"
    assert known.endpoint.members_of("g") == {"1", "2"}


def test_an_entry_whose_rule_fails_is_neither_off_nor_gone(known: World) -> None:
    known.rules = replace(source_rules(), active=Rule("int(level) > 0"))
    known.target = target_rules(scheme="another rule")
    known.hold(person("1", "ada", level="high"), person("2", "bob", level="1"))
    plan = known.sync()
    assert brief(plan) == []
    assert [problem.key for problem in plan.problems] == ["1"]


def test_while_an_entry_has_no_key_nobody_counts_as_gone(known: World) -> None:
    known.hold(faulty(""), person("3"))
    known.groups = [group("g", members=["3"])]
    known.absence = False
    plan = known.sync()
    assert brief(plan) == ["create_user 3", "add_members g 3"]
    assert plan.held == ()
    assert plan.problems[-1] == Trouble(
        "", "2 managed people were not seen, but an entry without a readable key was: nobody counts as gone", "memory"
    )
    assert known.snapshot_updates.missing == {}
    assert known.endpoint.members_of("g") == {"1", "2", "3"}


def test_who_is_deactivated_already_is_not_missed_again(known: World) -> None:
    known.hold(person("2", "bob"))
    known.sync()
    known.absence = False
    assert known.plan().problems == ()


def test_a_disabled_person_is_deactivated_even_while_nobody_counts_as_gone(known: World) -> None:
    known.hold(person("1", "ada", status="left"), faulty(""))
    known.absence = False
    assert brief(known.sync()) == ["deactivate_user 1"]


# -- the configuration changes -------------------------------------------------------------------


def test_another_mapping_maps_everybody_again(known: World) -> None:
    known.rules = source_rules({"userName": "{uid|upper}", "displayName": "{display}"})
    known.target = target_rules(scheme="mapping 2")
    known.hold(person("1", "ada"), person("2", "BOB"))
    assert said(known.sync()) == [
        ("update_user", "1", {"userName": "ada"}, {"userName": "ADA"}),
        ("update_user", "2", {"userName": "bob"}, {"userName": "BOB"}),
    ]
    known.assert_settled()


def test_a_line_taken_out_of_the_mapping_leaves_the_targets_value_alone(known: World) -> None:
    known.hold(person("1", "ada", display="Ada"), person("2", "bob"))
    assert brief(known.sync()) == ["update_user 1"]
    known.rules = source_rules({"userName": "{uid|lower}"})
    known.target = target_rules(scheme="mapping 2")
    assert brief(known.sync()) == []
    assert set(known.snapshot_updates.digests) == {"1", "2"}


def test_another_mapping_with_the_same_result_is_settled_without_a_change(known: World) -> None:
    known.target = target_rules(scheme="mapping 2")
    assert brief(known.sync()) == []
    assert set(known.snapshot_updates.digests) == {"1", "2"}
    known.plan()
    assert known.snapshot_updates.digests == {}


def test_a_plan_tells_the_scheme_it_was_made_with(known: World) -> None:
    before = known.plan().scheme
    known.target = target_rules(scheme="mapping 2")
    assert known.plan().scheme != before
    assert len(bytes.fromhex(before)) == 16


def test_what_stands_for_source_rules_and_snapshot_differs_when_any_of_them_does() -> None:
    rules = target_rules()
    plan_mark = rules.plan_mark(b"source", 7)
    assert plan_mark == target_rules().plan_mark(b"source", 7)
    others = [
        rules.plan_mark(b"sourcf", 7),
        rules.plan_mark(b"source", 8),
        target_rules(scheme="another").plan_mark(b"source", 7),
        target_rules(scope="true").plan_mark(b"source", 7),
        replace(rules, group_scheme="another").plan_mark(b"source", 7),
        replace(rules, profile=Profile("another")).plan_mark(b"source", 7),
    ]
    assert len({plan_mark, *others}) == 7


# -- several targets -----------------------------------------------------------------------------


def test_two_targets_are_compared_from_one_reading_and_know_nothing_of_each_other(state: StateFile) -> None:
    everybody = World(state, target_rules("all"))
    staff = World(state, target_rules("staff", scope='department != "Contractors"'), everybody.rules)
    people = [person("1", department="R&D"), person("2", department="Contractors")]
    everybody.hold(*people)
    everybody.sync()

    comparisons = [Comparison(world.rules, world.target, world.snapshot, NOON) for world in (everybody, staff)]
    differences = gather(everybody.setup(everybody.target, staff.target), comparisons, Progress())
    plans = [make_plan(*each) for each in zip(comparisons, differences, strict=True)]

    assert [brief(plan) for plan in plans] == [[], ["create_user 1"]]
    assert [plan.target for plan in plans] == ["all", "staff"]
    assert [each.evidence.users for each in differences] == [2, 2]


def test_the_estimate_counts_requests_exactly(state: StateFile) -> None:
    profile = Profile("p", patch=True, members_per_patch=2)
    world = World(state, target_rules(profile=profile))
    world.hold(*(person(str(n)) for n in range(5)))
    world.groups = [group("g", members=[str(n) for n in range(5)])]
    # 5 users, 1 group that is looked up first, 5 members by 2.
    assert world.plan().estimate == Estimate(10, 1.0)
    # Whether PATCH works is asked first where nobody knows; where it doesn't, an update reads and writes.
    world.target = target_rules(profile=replace(profile, patch=None))
    assert world.plan().estimate.requests == 11
    world.target = target_rules(profile=replace(profile, patch=False))
    assert world.plan().estimate.requests == 13
    world.target = target_rules(profile=replace(profile, patch=None))
    world.snapshot.discover({"patch": False})
    assert world.plan().estimate.requests == 13


def test_nothing_to_do_costs_nothing(world: World) -> None:
    world.target = target_rules(profile=Profile("p", patch=None))
    assert world.plan().estimate == Estimate(0, 0.0)


def test_pending_and_active_people_are_managed_and_deactivated_ones_are_not(state: StateFile) -> None:
    world = World(state, target_rules(verified=["example.com"]))
    world.hold(person("1", mail="a@example.com"), person("2", mail="b@example.org"), person("3", mail="c@example.com"))
    world.sync()
    world.hold(*world.people[:2], person("3", status="left"))
    world.sync()
    assert world.snapshot.counts() == {State.ACTIVE: 1, State.PENDING: 1, State.DEACTIVATED: 1}
    assert world.plan().managed == 2
