"""Source against snapshot, groups and members: rows worked out by hand; and plans limited to one person."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.core.groups import Nesting
from syncd.core.model import GroupEntry, Kind, Problem
from syncd.core.plan import Plan, Trouble
from syncd.core.policy import Class, Limit
from syncd.cycle.person import limited_to_person
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.sync import make_plans
from syncd.errors import SyncdError
from syncd.scim.profiles import Profile
from syncd.store import StateFile
from tests.world import (
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
    """Four people, who stay, and no group yet."""
    world = World(state)
    world.hold(*(person(key) for key in "1234"))
    world.sync()
    return world


def test_a_new_group_is_created_and_then_filled(world: World) -> None:
    world.groups = [group("g", "Design", ["2", "1", "2"]), group("h", "Empty")]
    plan = world.sync()
    assert said(plan) == [
        ("create_group", "g", {}, {"externalId": "g", "displayName": "Design"}),
        ("create_group", "h", {}, {"externalId": "h", "displayName": "Empty"}),
        ("add_members", "g", {}, {"members": ["1", "2"]}),
    ]
    assert plan.changes[2].reason == "2 people new in the group"
    assert world.endpoint.members_of("g") == {"1", "2"}
    world.assert_settled()


def test_members_are_those_who_have_or_get_an_account(world: World) -> None:
    world.people += [person("5"), person("6", status="left"), faulty("7")]
    world.groups = [group("g", members=["1", "5", "6", "7", "nobody"])]
    assert brief(world.sync())[-1] == "add_members g 1 5"
    world.assert_settled()


def test_a_renamed_group_keeps_id_and_members(world: World) -> None:
    world.groups = [group("g", "Design", ["1", "2"])]
    world.sync()
    world.groups = [group("g", "Design EU", ["1", "2"])]
    plan = world.sync()
    assert said(plan) == [("update_group", "g", {"displayName": "Design"}, {"displayName": "Design EU"})]
    assert world.snapshot.ids(Kind.GROUP, ["g"]) == {"g": "id-g"}
    assert world.endpoint.members_of("g") == {"1", "2"}
    world.assert_settled()


def test_who_left_is_removed_and_who_joined_is_added(world: World) -> None:
    world.groups = [group("g", members=["1", "2", "3"])]
    world.sync()
    world.groups = [group("g", members=["4", "3"])]
    assert said(world.sync()) == [
        ("remove_members", "g", {"members": ["1", "2"]}, {}),
        ("add_members", "g", {}, {"members": ["4"]}),
    ]
    world.assert_settled()


def test_who_is_disabled_stays_in_the_groups_that_the_source_has_them_in(world: World) -> None:
    world.groups = [group("g", members=["1", "2"])]
    world.sync()
    world.people[0] = person("1", status="left")
    assert brief(world.sync()) == ["deactivate_user 1"]
    assert world.endpoint.members_of("g") == {"1", "2"}
    world.groups = [group("g", members=["2"])]
    assert brief(world.sync()) == ["remove_members g 1"]
    world.assert_settled()


def test_an_incomplete_group_loses_nobody_and_still_gains(world: World) -> None:
    world.groups = [group("g", members=["1", "2"])]
    world.sync()
    world.groups = [group("g", members=["3"], incomplete=True)]
    assert brief(world.sync()) == ["add_members g 3"]
    assert world.endpoint.members_of("g") == {"1", "2", "3"}
    assert brief(world.sync()) == []
    # Not even those who are gone: who they are is known, but not that this is all.
    world.hold(person("3"))
    assert brief(world.sync()) == ["deactivate_user 1", "deactivate_user 2", "deactivate_user 4"]
    world.groups = [group("g", members=["3"])]
    assert brief(world.sync()) == ["remove_members g 1 2"]
    world.assert_settled()


def test_a_group_without_a_name_stays_as_it_is(world: World) -> None:
    world.groups = [group("g", members=["1"])]
    world.sync()
    world.groups = [GroupEntry("g", {}, "groups.csv:g", ["2"]), group("h")]
    plan = world.sync()
    assert brief(plan) == ["create_group h"]
    assert plan.problems == (Trouble("g", "no value for displayName", "groups.csv:g", "group"),)
    assert world.endpoint.members_of("g") == {"1"}


# -- gone, or no longer wanted -------------------------------------------------------------------


def test_a_group_that_vanished_waits_out_the_grace_and_is_deleted_with_its_members(state: StateFile) -> None:
    world = World(state, target_rules(grace=DAY))
    world.hold(person("1"))
    world.groups = [group("g", "Design", ["1"])]
    world.sync()
    world.groups = []
    assert (brief(world.sync()), withheld(world.plan())) == ([], ["missing_grace: delete_group g"])
    world.later(hours=23.999)
    assert brief(world.sync()) == []
    world.later(hours=0.001)
    plan = world.sync()
    assert said(plan) == [("delete_group", "g", {"externalId": "g", "displayName": "Design"}, {})]
    assert plan.changes[0].reason == "gone from the source"
    assert world.snapshot.members("g") == (set(), set())
    world.assert_settled()


def test_a_group_that_is_back_within_the_grace_was_never_away(state: StateFile) -> None:
    world = World(state, target_rules(grace=DAY))
    world.groups = [group("g")]
    world.sync()
    world.groups = []
    world.sync()
    world.later(hours=23)
    world.groups = [group("g")]
    assert (brief(world.sync()), world.plan().held) == ([], ())
    world.groups = []
    world.later(hours=23)
    assert withheld(world.sync()) == ["missing_grace: delete_group g"]


def test_a_group_that_is_no_longer_selected_is_deleted_without_a_grace(state: StateFile) -> None:
    world = World(state, target_rules(grace=DAY))
    world.groups = [group("g", "Design"), group("h", "Sales")]
    world.sync()
    world.target = target_rules(grace=DAY, groups=["Des*"])
    plan = world.sync()
    assert brief(plan) == ["delete_group h"]
    assert plan.changes[0].reason == "no longer selected by `groups`"
    world.assert_settled()


@pytest.mark.parametrize("in_source", [True, False])
def test_a_target_without_groups_gives_up_those_it_had(state: StateFile, in_source: bool) -> None:
    world = World(state)
    world.hold(person("1"))
    world.groups = [group("g", members=["1"])]
    world.sync()
    world.target = target_rules(groups=[], grace=DAY)
    world.groups = world.groups if in_source else []
    assert brief(world.sync()) == ["delete_group g"]
    world.assert_settled()


def test_groups_over_the_limit_are_not_deleted(state: StateFile) -> None:
    world = World(state, target_rules(limits={Class.DELETE_GROUP: Limit(count=1)}))
    world.groups = [group(key) for key in "abc"]
    world.sync()
    world.groups = [group("c")]
    plan = world.sync()
    assert (brief(plan), withheld(plan)) == ([], ["delete_group: delete_group a", "delete_group: delete_group b"])
    assert plan.held[0].reason == "2 of 3 groups would be deleted; the limit is 1"


def test_a_faulty_row_protects_its_group(world: World) -> None:
    world.groups = [group("g", members=["1"]), group("h")]
    world.sync()
    world.groups = [faulty("g", kind=Kind.GROUP)]
    plan = world.sync()
    assert brief(plan) == ["delete_group h"]
    assert plan.problems == (Trouble("g", "ragged row", "faulty.csv:g", "group"),)
    world.groups = [faulty("", "x", "g", kind=Kind.GROUP)]
    assert brief(world.sync()) == []


def test_a_faulty_row_of_a_group_is_a_sign_of_life(state: StateFile) -> None:
    world = World(state, target_rules(grace=DAY))
    world.groups = [group("g")]
    world.sync()
    for hours, groups in ((0, []), (23, [faulty("g", kind=Kind.GROUP)]), (2, [])):
        world.later(hours=hours)
        world.groups = list(groups)
        plan = world.sync()
    assert withheld(plan) == ["missing_grace: delete_group g"]


def test_a_problem_of_a_group_says_nothing_of_the_person_with_that_key(world: World) -> None:
    world.people[0] = person("1", display="Ada")
    world.groups = [faulty("1", kind=Kind.GROUP)]
    assert brief(world.sync()) == ["update_user 1"]


def test_a_problem_of_a_person_that_the_groups_reveal_protects_them_all_the_same(world: World) -> None:
    world.groups = [group("g", members=["1", "2"])]
    world.sync()
    world.hold(person("2"), person("3"), person("4"))
    world.groups = [group("g", members=["2"]), faulty("1")]
    assert brief(world.sync()) == []
    assert world.endpoint.members_of("g") == {"1", "2"}


def test_while_an_entry_has_no_key_no_group_counts_as_gone(world: World) -> None:
    world.groups = [group("g", "Design"), group("h", "Sales")]
    world.sync()
    world.groups = []
    world.absence = False
    plan = world.sync()
    assert (brief(plan), plan.held) == ([], ())
    assert plan.problems == (
        Trouble(
            "",
            "2 managed groups were not seen, but an entry without a readable key was: no group counts as gone",
            "memory",
            "group",
        ),
    )
    assert world.snapshot_updates.missing_groups == {}
    # What is there and not wanted is another matter.
    world.groups = [group("g", "Design"), group("h", "Sales")]
    world.target = target_rules(groups=["Design"])
    assert brief(world.sync()) == ["delete_group h"]


# -- nested --------------------------------------------------------------------------------------

NESTED = [
    group("outer", members=["1"], subgroups=["inner"]),
    group("inner", members=["2"], subgroups=["core"]),
    group("core", members=["3"]),
]


@pytest.mark.parametrize(
    ("nesting", "added"),
    [
        (Nesting.FLATTEN, ["core 3", "inner 2 3", "outer 1 2 3"]),
        (Nesting.KEEP, ["core 3", "inner 2 core", "outer 1 inner"]),
        (Nesting.IGNORE, ["core 3", "inner 2", "outer 1"]),
    ],
)
def test_a_group_in_a_group_is_flattened_kept_or_ignored(world: World, nesting: Nesting, added: list[str]) -> None:
    world.rules = source_rules(nesting=nesting)
    world.groups = list(NESTED)
    assert brief(world.sync())[3:] == [f"add_members {each}" for each in added]
    world.assert_settled()


@pytest.mark.parametrize("before", Nesting)
@pytest.mark.parametrize("after", Nesting)
def test_another_way_with_nested_groups_brings_everything_into_line(
    world: World, before: Nesting, after: Nesting
) -> None:
    expected: dict[Nesting, tuple[set[str], set[str]]] = {
        Nesting.FLATTEN: ({"1", "2", "3"}, set()),
        Nesting.KEEP: ({"1"}, {"inner"}),
        Nesting.IGNORE: ({"1"}, set()),
    }
    world.groups = list(NESTED)
    for nesting in (before, after):
        world.rules = source_rules(nesting=nesting)
        world.sync()
        assert world.snapshot.members("outer") == expected[nesting]
        world.assert_settled()


def test_a_circle_of_kept_groups_is_pushed_as_it_is_but_nobody_contains_themselves(world: World) -> None:
    world.rules = source_rules(nesting=Nesting.KEEP)
    world.groups = [group("a", subgroups=["b", "a"]), group("b", subgroups=["a"])]
    assert brief(world.sync())[2:] == ["add_members a b", "add_members b a"]
    world.assert_settled()


def test_a_nested_group_that_is_not_selected_still_lends_its_members_when_flattened(world: World) -> None:
    world.target = target_rules(groups=["Group outer"])
    world.groups = list(NESTED)
    assert brief(world.sync()) == ["create_group outer", "add_members outer 1 2 3"]


def test_a_kept_group_that_is_not_selected_is_no_member(world: World) -> None:
    world.rules = source_rules(nesting=Nesting.KEEP)
    world.groups = list(NESTED)
    world.sync()
    world.target = target_rules(groups=["Group outer", "Group core"])
    assert brief(world.sync()) == ["remove_members outer inner", "delete_group inner"]
    world.assert_settled()


def test_a_group_above_an_unknown_or_incomplete_one_loses_nobody(world: World) -> None:
    world.groups = list(NESTED)
    world.sync()
    world.groups = [group("outer", subgroups=["inner"]), NESTED[1], group("core", incomplete=True)]
    assert brief(world.sync()) == []
    world.groups = [group("outer", subgroups=["inner"]), NESTED[1], faulty("core", kind=Kind.GROUP)]
    assert brief(world.sync()) == []
    assert world.endpoint.members_of("outer") == {"1", "2", "3"}


@pytest.mark.parametrize(
    "inner",
    [
        pytest.param(faulty("inner", kind=Kind.GROUP), id="a faulty row"),
        pytest.param(GroupEntry("inner", {}, "groups.csv:inner"), id="no name"),
    ],
)
def test_a_kept_group_that_cannot_be_understood_stays_where_it_is(world: World, inner: GroupEntry | Problem) -> None:
    world.rules = source_rules(nesting=Nesting.KEEP)
    world.groups = list(NESTED)
    world.sync()
    world.groups = [NESTED[0], inner, NESTED[2]]
    assert brief(world.sync()) == []
    assert world.endpoint.subgroups_of("outer") == {"inner"}


def test_an_incomplete_group_keeps_its_groups_too(world: World) -> None:
    world.rules = source_rules(nesting=Nesting.KEEP)
    world.groups = list(NESTED)
    world.sync()
    world.groups = [group("outer", incomplete=True), *NESTED[1:]]
    assert brief(world.sync()) == []
    assert world.endpoint.subgroups_of("outer") == {"inner"}
    world.groups = [group("outer", members=["1"]), *NESTED[1:]]
    assert brief(world.sync()) == ["remove_members outer inner"]
    world.assert_settled()


def test_a_kept_group_that_vanished_stays_in_its_groups_until_it_is_deleted(state: StateFile) -> None:
    world = World(state, target_rules(grace=DAY), source_rules(nesting=Nesting.KEEP))
    world.hold(person("1"))
    world.groups = [group("outer", members=["1"], subgroups=["inner"]), group("inner")]
    world.sync()
    world.groups = [group("outer")]
    plan = world.sync()
    assert brief(plan) == ["remove_members outer 1"]
    assert withheld(plan) == ["missing_grace: delete_group inner", "missing_grace: remove_members outer inner"]
    world.later(hours=24)
    assert brief(world.sync()) == ["remove_members outer inner", "delete_group inner"]
    world.assert_settled()


def test_groups_have_no_external_id_where_the_endpoint_has_none(state: StateFile) -> None:
    world = World(state, target_rules(profile=Profile("p", patch=True, group_external_id=False)))
    world.groups = [group("g", "Design")]
    assert said(world.sync()) == [("create_group", "g", {}, {"displayName": "Design"})]
    world.assert_settled()


# -- one person ----------------------------------------------------------------------------------


def recorded(world: World) -> None:
    """Record the target's place: else the target would be looked at first, for nothing says that it is the place."""
    with world.state.atomic():
        world.snapshot.set_place(world.setup().targets[0].place(""))


def limited(world: World, who: str) -> tuple[Plan, Planned]:
    setup = world.setup()
    if world.snapshot.place is None:
        recorded(world)
    (planned,) = make_plans(setup, world.state, setup.targets, Progress(), who)
    return planned.plan, planned


@pytest.fixture
def crowd(state: StateFile) -> World:
    """Ada and Bob change in every way at once; Cid and Dot are new; somebody vanished, and one has other shoes."""
    world = World(state)
    world.hold(
        person("1", "ada", mail="ada@example.com"), person("2", "bob", mail="bob@example.com"), person("8"), person("9")
    )
    world.groups = [group("g", members=["1", "2"]), group("h"), group("i", members=["2"])]
    world.sync()
    recorded(world)
    world.hold(
        person("1", "lovelace", mail="ada@new.example"),
        person("2", "bob", mail="bob@new.example"),
        person("3", "cid", mail="cid@example.com"),
        person("4", "dot", mail="bob@example.com"),
        person("8", shoe="40"),
        faulty("5"),
    )
    world.groups = [group("g", members=["2", "3"]), group("h", members=["1", "2"]), group("i", "Renamed")]
    return world


@pytest.mark.parametrize("who", ["1", "ada", "LOVELACE", "ada@EXAMPLE.com", "ada@new.example"])
def test_a_plan_for_one_person_holds_what_concerns_them_and_nobody_else(crowd: World, who: str) -> None:
    plan, planned = limited(crowd, who)
    assert said(plan) == [
        (
            "update_user",
            "1",
            {"userName": "ada", WORK_MAIL: "ada@example.com"},
            {"userName": "lovelace", WORK_MAIL: "ada@new.example"},
        ),
        ("remove_members", "g", {"members": ["1"]}, {}),
        ("add_members", "h", {}, {"members": ["1"]}),
    ]
    assert (plan.kind, plan.held, plan.problems, plan.estimate.requests) == ("user", (), (), 2 + 3)
    # What a run would settle for everybody else is left to a run.
    assert planned.snapshot_updates == SnapshotUpdates()
    crowd.endpoint.carry_out(plan)
    crowd.endpoint.agrees_with_the_snapshot()
    assert brief(limited(crowd, "1")[0]) == []
    assert crowd.endpoint.users["2"][1][WORK_MAIL] == "bob@example.com"


def test_a_person_who_is_new_is_found_by_what_they_will_have(crowd: World) -> None:
    assert brief(limited(crowd, "CID")[0]) == ["create_user 3", "add_members g 3"]
    assert brief(limited(crowd, "3")[0]) == ["create_user 3", "add_members g 3"]


def test_a_person_whose_row_is_faulty_is_told_of_it(crowd: World) -> None:
    plan, _ = limited(crowd, "5")
    assert (brief(plan), plan.problems) == ([], (Trouble("5", "ragged row", "faulty.csv:5"),))


def test_a_person_with_nothing_to_do_has_a_plan_of_nothing(crowd: World) -> None:
    crowd.sync()
    assert brief(limited(crowd, "bob")[0]) == []


def test_who_is_a_key_is_meant_also_where_somebody_else_is_called_so(state: StateFile) -> None:
    world = World(state)
    world.hold(person("3", "carol"))
    world.sync()
    world.hold(person("1", "2"), person("2", "bob"), person("3", "carol"))
    assert brief(limited(world, "2")[0]) == ["create_user 2"]
    world.sync()
    world.hold(person("1", "2", shoe="41"), person("2", "bob", status="left"))
    assert brief(limited(world, "2")[0]) == ["deactivate_user 2"]


@pytest.mark.parametrize(
    ("who", "said"),
    [
        ("nobody", "nobody has that key, userName or e-mail (target)"),
        ("", "nobody has that key"),
        ("g", "nobody has that key"),
        ("bob@example.com", "2 people match: 2, 4 (target)"),
    ],
)
def test_who_is_nobody_or_several_is_refused(crowd: World, who: str, said: str) -> None:
    with pytest.raises(SyncdError) as refused:
        limited(crowd, who)
    assert said in str(refused.value)


def test_what_is_held_of_one_person_is_shown_and_what_is_held_of_others_is_not(state: StateFile) -> None:
    world = World(state, target_rules(limits={Class.DEACTIVATE: Limit(count=0)}))
    world.hold(person("1"), person("2"))
    world.sync()
    world.hold(person("1", status="left"), person("2", status="left"))
    assert withheld(limited(world, "u1")[0]) == ["deactivate: deactivate_user 1"]


def test_looking_at_one_person_writes_nothing(crowd: World) -> None:
    before = list(crowd.state.db.conn.iterdump())
    limited(crowd, "1")
    assert list(crowd.state.db.conn.iterdump()) == before


# -- one person, where there is room for one group --------------------------------------------------------


def alone(world: World) -> Plan:
    """Return the plan of the person whose key is 1."""
    planned = Planned(world.setup().targets[0], world.plan(), world.snapshot_updates)
    (limited,) = limited_to_person([planned], "1", world.state)
    return limited.plan


def test_a_person_leaves_no_group_for_one_that_is_not_made_for_one_person(state: StateFile) -> None:
    world = World(state, target_rules(profile=Profile("admin", patch=True, one_group_per_user=True)))
    world.hold(person("1"), person("2"))
    world.groups = [group("a", members=["1", "2"])]
    world.sync()
    world.groups = [group("a", members=["2"]), group("b", members=["1"])]
    assert brief(world.plan()) == ["create_group b", "add_members b 1", "remove_members a 1"]
    assert brief(alone(world)) == []
    world.groups = [group("a", members=["2"])]
    assert brief(alone(world)) == ["remove_members a 1"]
