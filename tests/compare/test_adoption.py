"""Accounts and groups that a full resync found, and their adoption: rows worked out by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.compare.comparison import Comparison
from syncd.compare.decisions import Decisions
from syncd.compare.plan import make_plan
from syncd.compare.rules import TargetRules
from syncd.core.drift import Drift, DriftClass
from syncd.core.foreign import foreign_in
from syncd.core.matching import Doubt
from syncd.core.model import Kind, Observed, ObservedGroup
from syncd.core.plan import Change, Plan
from syncd.core.policy import Class, Limit
from syncd.core.schema import MANAGER
from syncd.cycle.gathering import gather
from syncd.cycle.progress import Progress
from syncd.scim.profiles import Profile
from syncd.store import StateFile
from tests.world import WORK_MAIL, World, brief, group, person, target_rules, withheld

MINE = "example.com"


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


def account(id_: str, name: str, mark: str = "", *emails: str, active: bool = True, **more: Any) -> Observed:
    """Return an account at the target, with its externalId and e-mails."""
    flat: dict[str, Any] = {"userName": name, "active": active, **more}
    if mark:
        flat["externalId"] = mark
    if emails:
        flat[WORK_MAIL] = emails[0]
    return Observed(id_, name, mark, emails, flat)


def there(id_: str, name: str, mark: str = "", members: Sequence[str] | None = ()) -> ObservedGroup:
    """Return a group at the target, with the ids of its members."""
    flat = {"displayName": name} | ({"externalId": mark} if mark else {})
    return ObservedGroup(id_, name, mark, flat, None if members is None else list(members))


def resync(
    world: World, users: Sequence[Observed] = (), groups: Sequence[ObservedGroup] = (), drift: Sequence[Drift] = ()
) -> Plan:
    """Return the plan of a full resync that found this at the target."""
    with world.state.scratch() as scratch:
        observation = scratch.observation(world.target.name)
        with scratch.atomic():
            observation.put_users(users)
            observation.put_groups(groups)
            snapshot = scratch.snapshot(world.target.name)
            for each in drift:
                assert snapshot.observe(each) is (each.class_ is not DriftClass.FOREIGN_MEMBER)
        comparison = Comparison(
            world.rules,
            world.target,
            snapshot,
            world.now,
            decisions=world.decisions,
            observation=observation,
            foreign={each.key: foreign_in(each.found) for each in drift},
        )
        (differences,) = gather(world.setup(), [comparison], Progress())
        return make_plan(comparison, differences, "resync", drift=drift)


def world_of(state: StateFile, rules: TargetRules | None = None) -> World:
    world = World(state, rules or target_rules(verified=[MINE]))
    world.hold(person("1", "ada@example.com", mail="ada@example.com"))
    return world


def only(plan: Plan) -> Change:
    (change,) = plan.changes
    assert plan.held == ()
    return change


# -- whose account -----------------------------------------------------------------------------------


def test_an_account_that_carries_our_mark_is_linked_again_and_nothing_is_sent(state: StateFile) -> None:
    change = only(resync(world_of(state), [account("u7", "ada@example.com", "1", "ada@example.com")]))
    assert (brief_of(change), change.resource, change.takes_over) == ("adopt_user 1", "u7", False)
    assert change.differences == ({}, {})


def brief_of(change: Change) -> str:
    return f"{change.action.value} {change.key}"


def test_our_mark_goes_before_the_name(state: StateFile) -> None:
    found = [account("u7", "ada@example.com"), account("u8", "countess@example.com", "1")]
    assert only(resync(world_of(state), found)).resource == "u8"


def test_an_account_of_the_same_name_in_any_case_is_taken_over(state: StateFile) -> None:
    change = only(resync(world_of(state), [account("u7", "ADA@Example.com")]))
    assert (brief_of(change), change.takes_over) == ("adopt_user 1", True)
    assert change.differences[1] == {
        "userName": "ada@example.com",
        WORK_MAIL: "ada@example.com",
        "externalId": "1",
    }


@pytest.mark.parametrize(
    ("found", "reason"),
    [
        pytest.param(
            [account("u7", "ada@example.com"), account("u8", "ADA@example.com")],
            "2 accounts at the target have this userName (u7, u8)",
            id="two of that name",
        ),
        pytest.param(
            [account("u7", "x", "1"), account("u8", "y", "1")],
            "2 accounts at the target have this externalId (u7, u8)",
            id="two with our mark",
        ),
        pytest.param(
            [account("u7", "ada@example.com", "somebody else's")],
            "the account with this userName (u7) carries another externalId (somebody else's)",
            id="another mark",
        ),
    ],
)
def test_what_is_not_certain_waits_for_a_person(state: StateFile, found: list[Observed], reason: str) -> None:
    plan = resync(world_of(state), found)
    assert (brief(plan), withheld(plan)) == ([], ["adopt: create_user 1"])
    assert plan.held[0].reason == reason


def test_an_account_that_is_linked_to_another_key_is_never_taken(state: StateFile) -> None:
    world = World(state, target_rules(verified=[MINE]))
    world.hold(person("2", "bob@example.com"))
    world.sync()  # bob's account is id-2
    world.hold(person("2", "bob@example.com"), person("1", "ada@example.com"))
    plan = resync(world, [account("id-2", "ada@example.com", "2")])
    assert brief(plan) == []
    assert plan.held[0].reason == "the account with this userName (id-2) belongs to the source's key 2"


EMAIL = Profile("p", patch=True, adopt_by_email=True)


@pytest.mark.parametrize(
    ("profile", "verified", "mail", "adopted"),
    [
        pytest.param(EMAIL, [MINE], "ada@example.com", True, id="verified"),
        pytest.param(EMAIL, [], "ada@example.com", False, id="no domain is known to be ours"),
        pytest.param(EMAIL, [MINE], "ada@elsewhere.org", False, id="an outsider's"),
        pytest.param(Profile("p", patch=True), [MINE], "ada@example.com", False, id="the profile doesn't say so"),
    ],
)
def test_an_email_hands_over_an_account_in_a_verified_domain_alone(
    state: StateFile, profile: Profile, verified: list[str], mail: str, *, adopted: bool
) -> None:
    world = World(state, target_rules(verified=verified, profile=profile))
    world.hold(person("1", "ada@example.com", mail=mail))
    plan = resync(world, [account("u7", "countess", "", mail)])
    assert brief(plan) == ["adopt_user 1" if adopted else "create_user 1"]


def test_two_entries_never_get_one_account(state: StateFile) -> None:
    world = World(state, target_rules(verified=[MINE], profile=EMAIL))
    ada = person("1", "ada@example.com", mail="ada@example.com")
    world.hold(ada, person("2", "b@example.com", mail="countess@example.com"))
    plan = resync(world, [account("u7", "ada@example.com", "", "countess@example.com")])
    assert brief(plan) == ["adopt_user 1"]
    assert withheld(plan) == ["adopt: create_user 2"]


def test_takeovers_are_limited_and_our_own_accounts_are_not(state: StateFile) -> None:
    world = World(state, target_rules(limits={Class.ADOPT: Limit(count=0)}))
    world.hold(person("1", "ada"), person("2", "bob"))
    plan = resync(world, [account("u7", "ada"), account("u8", "bob", "2")])
    assert brief(plan) == ["adopt_user 2"]
    assert withheld(plan) == ["adopt: adopt_user 1"]


# -- who is not wanted -------------------------------------------------------------------------------


def test_somebody_who_left_while_nothing_was_known_is_switched_off(state: StateFile) -> None:
    world = world_of(state)
    world.hold(person("1", "ada@example.com", status="left"), person("2", "bob@example.com"))
    plan = resync(world, [account("u7", "ada@example.com", "1"), account("u8", "bob@example.com", "2")])
    assert brief(plan) == ["adopt_user 1", "adopt_user 2"]  # leavers first
    assert plan.changes[0].differences == ({"active": True}, {"active": False})


def test_a_native_account_of_somebody_who_left_is_not_ours_to_switch_off(state: StateFile) -> None:
    world = world_of(state)
    world.hold(person("1", "ada@example.com", status="left"))
    assert resync(world, [account("u7", "ada@example.com")]).changes == ()


# -- managers ----------------------------------------------------------------------------------------


def test_a_manager_who_is_the_right_one_already_is_not_sent(state: StateFile) -> None:
    world = World(state)
    world.hold(person("1", "ada"), person("2", "bob", boss="1"))
    plan = resync(world, [account("u7", "ada", "1"), account("u8", "bob", "2", **{MANAGER: "u7"})])
    assert brief(plan) == ["adopt_user 1", "adopt_user 2"]
    assert [change.differences for change in plan.changes] == [({}, {}), ({}, {})]


def test_another_manager_is_put_right_once_everybody_is_linked(state: StateFile) -> None:
    world = World(state)
    world.hold(person("1", "ada"), person("2", "bob", boss="1"))
    plan = resync(world, [account("u7", "ada", "1"), account("u8", "bob", "2", **{MANAGER: "u9"})])
    assert brief(plan) == ["adopt_user 1", "adopt_user 2", "update_user 2"]
    assert (plan.changes[1].digest, plan.changes[2].after) == ("", {MANAGER: "1"})


# -- groups ------------------------------------------------------------------------------------------


def test_our_own_group_is_linked_again_with_the_members_it_has(state: StateFile) -> None:
    world = World(state)
    world.hold(person("1", "ada"), person("2", "bob"))
    world.groups = [group("g", "Design", ["1", "2"])]
    plan = resync(
        world,
        [account("u7", "ada", "1"), account("u8", "bob", "2"), account("n1", "native")],
        [there("t1", "Design", "g", ["u7", "n1"])],
    )
    assert brief(plan)[2:] == ["adopt_group g", "remove_members g", "add_members g 2"]
    assert [each.name for each in plan.changes[3].foreign] == ["native"]
    adoption = plan.changes[2]
    assert (adoption.resource, adoption.before["members"], adoption.differences) == ("t1", ["1"], ({}, {}))


def test_a_managed_member_whom_the_source_does_not_have_there_leaves(state: StateFile) -> None:
    world = World(state)
    world.hold(person("1", "ada"), person("2", "bob"))
    world.groups = [group("g", "Design", ["1"])]
    plan = resync(
        world,
        [account("u7", "ada", "1"), account("u8", "bob", "2")],
        [there("t1", "Design", "g", ["u7", "u8"])],
    )
    assert brief(plan)[2:] == ["adopt_group g", "remove_members g 2"]


def named(state: StateFile, *, adopt: bool, mark: bool = True) -> World:
    profile = Profile("p", patch=True, group_external_id=mark)
    world = World(state, replace(target_rules(profile=profile), adopt_groups=adopt))
    world.hold(person("1", "ada"))
    world.groups = [group("g", "Design")]
    return world


def test_a_native_group_of_the_same_name_is_never_taken_over_unasked(state: StateFile) -> None:
    assert brief(resync(named(state, adopt=False), (), [there("t1", "Design")])) == ["create_user 1", "create_group g"]


def test_where_groups_carry_no_mark_a_person_decides(state: StateFile) -> None:
    plan = resync(named(state, adopt=False, mark=False), (), [there("t1", "Design")])
    assert withheld(plan) == ["adopt: create_group g"]
    assert plan.held[0].reason == ("a group of this name is the target's own; `adopt_groups = true` takes it over (t1)")


def test_a_native_group_is_taken_over_where_the_configuration_says_so(state: StateFile) -> None:
    assert brief(resync(named(state, adopt=True), (), [there("t1", "Design")])) == ["create_user 1", "adopt_group g"]
    both = [there("t1", "Design"), there("t2", "Design")]
    assert withheld(resync(named(state, adopt=True), (), both)) == ["adopt: create_group g"]
    assert brief(resync(named(state, adopt=True), (), [there("t1", "Design", "other")]))[1] == "create_group g"


@pytest.mark.parametrize("case_matters", [False, True])
def test_a_native_group_in_another_case_has_the_name_only_where_case_means_nothing(
    state: StateFile, case_matters: bool
) -> None:
    world = named(state, adopt=True)
    world.target = replace(world.target, profile=replace(world.target.profile, group_name_case=case_matters))
    plan = resync(world, (), [there("t1", "DESIGN"), there("t2", "other")])
    assert brief(plan) == ["create_user 1", "create_group g" if case_matters else "adopt_group g"]
    if not case_matters:
        assert plan.changes[1].before["displayName"] == "DESIGN"
        assert plan.changes[1].after["displayName"] == "Design"


# -- drift -------------------------------------------------------------------------------------------


def test_what_was_changed_at_the_target_is_put_back_and_told_apart_from_what_changed_in_the_source(
    state: StateFile,
) -> None:
    world = World(state)
    world.hold(person("1", "ada", display="Ada", mail="a@example.com"), person("2", "bob", display="Bob"))
    world.sync()
    world.hold(person("1", "ada", display="Ada", mail="new@example.com"), person("2", "bob", display="Bob"))
    drift = [
        Drift(DriftClass.USER_ATTRIBUTES, Kind.USER, "1", "ada", {"displayName": "Ada"}, {"displayName": "X"}),
        Drift(DriftClass.USER_ATTRIBUTES, Kind.USER, "2", "bob", {"displayName": "Bob"}, {"displayName": None}),
    ]
    plan = resync(world, drift=drift)
    assert [(change.key, change.before, change.after, change.reason) for change in plan.changes] == [
        (
            "1",
            {"displayName": "X", WORK_MAIL: "a@example.com"},
            {"displayName": "Ada", WORK_MAIL: "new@example.com"},
            'displayName, emails[type eq "work"].value changed in the source; displayName changed at the target',
        ),
        ("2", {"displayName": None}, {"displayName": "Bob"}, "displayName changed at the target"),
    ]
    assert plan.summary["drift"] == 2


@pytest.mark.parametrize(
    ("class_", "expected", "found", "put_back"),
    [
        (DriftClass.USER_ACTIVATION, {"active": True}, {"active": False}, ["update_user 1"]),
        (DriftClass.USER_DELETED, {"userName": "ada"}, {}, ["create_user 1", "add_members g 1"]),
    ],
)
def test_what_happened_to_an_account_is_put_back(
    state: StateFile, class_: DriftClass, expected: dict[str, Any], found: dict[str, Any], put_back: list[str]
) -> None:
    world = World(state)
    world.hold(person("1", "ada"))
    world.groups = [group("g", "Design", ["1"])]
    world.sync()
    assert brief(resync(world, drift=[Drift(class_, Kind.USER, "1", "ada", expected, found)])) == put_back


@pytest.mark.parametrize(
    ("class_", "expected", "found", "put_back"),
    [
        (DriftClass.GROUP_RENAMED, {"displayName": "Design"}, {"displayName": "X"}, ["update_group g"]),
        (DriftClass.GROUP_DELETED, {"displayName": "Design"}, {}, ["create_group g", "add_members g 1"]),
        (DriftClass.MEMBER_ADDED, {}, {"members": ["2"]}, ["remove_members g 2"]),
        (DriftClass.MEMBER_REMOVED, {"members": ["1"]}, {}, ["add_members g 1"]),
    ],
)
def test_what_happened_to_a_group_is_put_back(
    state: StateFile, class_: DriftClass, expected: dict[str, Any], found: dict[str, Any], put_back: list[str]
) -> None:
    world = World(state)
    world.hold(person("1", "ada"), person("2", "bob"))
    world.groups = [group("g", "Design", ["1"])]
    world.sync()
    assert brief(resync(world, drift=[Drift(class_, Kind.GROUP, "g", "Design", expected, found)])) == put_back


def test_a_lost_account_that_is_there_again_is_taken_over(state: StateFile) -> None:
    world = World(state)
    world.hold(person("1", "ada"))
    world.sync()
    with state.atomic():
        world.snapshot.lose(Kind.USER, "1")
    assert brief(resync(world, [account("u7", "ada", "1")])) == ["adopt_user 1"]
    assert brief(resync(world)) == ["create_user 1"]


def test_what_a_full_resync_held_is_not_tried_by_the_runs_that_cannot_see_why(state: StateFile) -> None:
    world = world_of(state)
    found = [account("u7", "ada@example.com"), account("u8", "ADA@example.com")]
    (held,) = resync(world, found).held
    world.decisions = Decisions(doubted={(Kind.USER, "1"): Doubt(held.limit, held.reason)})
    plan = world.plan()
    assert (brief(plan), withheld(plan)) == ([], ["adopt: create_user 1"])
    world.decisions = replace(world.decisions, approved=frozenset({held.id}))
    assert brief(world.plan()) == ["create_user 1"]


def test_who_may_not_be_taken_over_is_not_made_instead(state: StateFile) -> None:
    world = world_of(state)
    world.decisions = Decisions(doubted={(Kind.USER, "1"): Doubt("adopt", "2 accounts would be taken over")})
    assert withheld(world.plan()) == ["adopt: create_user 1"]
    world.decisions = Decisions(declined={(Kind.USER, "1"): "rejected by eve"})
    plan = world.plan()
    assert (brief(plan), plan.held, [each.limit for each in plan.rejected]) == ([], (), ["rejected"])
