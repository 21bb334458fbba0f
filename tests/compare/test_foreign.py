"""Foreign members of managed groups: whom a plan takes out, and who belongs to the source after all. Rows by hand."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.compare.decisions import Decisions
from syncd.core.drift import Drift, DriftClass, Reaction, Reactions
from syncd.core.foreign import ForeignMember, as_part
from syncd.core.groups import Nesting
from syncd.core.limits import Class, Limit
from syncd.core.model import Entry, Kind, Observed, ObservedGroup
from syncd.core.plan import Change, Plan
from syncd.store import StateFile
from tests.compare.test_adoption import account, resync, there
from tests.world import World, attributes, brief, faulty, group, person, source_rules, target_rules, withheld

Json = Any
STRANGER = ForeignMember("n1", "stranger@example.org")
ANOTHER = ForeignMember("n9", "another@example.org")
GUEST = ForeignMember("n2", "guest@example.org")


def nameless(key: str, **values: str) -> Entry:
    """Return somebody whose userName can't be mapped."""
    return Entry(key, attributes(**values), f"people.csv:{key}")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def world(state: StateFile) -> World:
    """Return two people and a group that holds them, in line with the target."""
    world = World(state)
    world.hold(person("1", "ada"), person("2", "bob"))
    world.groups = [group("g", "Admins", ["1", "2"])]
    world.sync()
    return world


def found(world: World, *foreign: ForeignMember, also: Sequence[Observed] = (), groups: Sequence[str] = ()) -> Plan:
    """Return the plan of a full resync that found these in the group."""
    users = [account("id-1", "ada"), account("id-2", "bob"), *also]
    users += [account(each.id, each.name) for each in foreign if each.id not in {user.id for user in also}]
    admins = there("id-g", "Admins", "", ["id-1", "id-2", *(each.id for each in foreign)])
    drift = Drift(DriftClass.FOREIGN_MEMBER, Kind.GROUP, "g", "Admins", {}, as_part(foreign))
    reaction = world.target.drift.to(DriftClass.FOREIGN_MEMBER)
    natives = [ObservedGroup(name, name, "", {"displayName": name}, []) for name in groups]
    return resync(world, users, [admins, *natives], [replace(drift, reaction=reaction)])


def taken_out(plan: Plan) -> list[str]:
    return [each.name for change in plan.changes for each in change.foreign]


def reported(plan: Plan) -> list[tuple[str, list[str]]]:
    """Return the reaction to each drift, and the ids of the foreign members in it."""
    return [(each.reaction.value, [member["id"] for member in each.found["foreign"]]) for each in plan.drift]


def test_whom_nobody_manages_is_taken_out_and_named(world: World) -> None:
    plan = found(world, STRANGER, GUEST)
    (change,) = plan.changes
    assert change.before == as_part([STRANGER, GUEST])
    assert (change.members, change.subgroups, change.after) == ([], [], {})
    assert change.reason == "guest@example.org, stranger@example.org are in Admins, and nobody manages them"
    assert reported(plan) == [("enforce", ["n2", "n1"])]
    assert Change.from_json(change.to_json()) == change


def test_one_change_takes_out_managed_and_foreign_members_of_a_group(world: World) -> None:
    world.groups = [group("g", "Admins", ["1"])]
    plan = found(world, STRANGER)
    assert brief(plan) == ["remove_members g 2"]
    assert plan.changes[0].before == {"members": ["2"], **as_part([STRANGER])}
    assert [part.before for part in plan.changes[0].parts] == [{"members": ["2"]}, as_part([STRANGER])]
    assert plan.changes[0].reason == (
        "1 person no longer in the group; stranger@example.org is in Admins, and nobody manages that account"
    )


def test_what_is_only_reported_stays(world: World) -> None:
    world.target = replace(world.target, drift=Reactions(by_class={DriftClass.FOREIGN_MEMBER: Reaction.REPORT}))
    plan = found(world, STRANGER)
    assert (plan.changes, reported(plan)) == ((), [("report", ["n1"])])


@pytest.mark.parametrize(
    ("newcomer", "there_is"),
    [
        (person("3", "eve"), [account("n1", "eve")]),  # taken over in this plan
        (person("3", "eve"), [account("n1", "Eve"), account("n3", "eve")]),  # two match: a person decides
        (person("3", "eve", status="left"), [account("n1", "eve")]),  # disabled, and the account is nobody's
    ],
)
def test_whose_account_it_is_decides(world: World, newcomer: Any, there_is: list[Observed]) -> None:
    world.people.append(newcomer)
    plan = found(world, ForeignMember("n1", "eve"), also=there_is)
    own = newcomer.attributes.get("status") != ["left"]
    assert taken_out(plan) == ([] if own else ["eve"])
    assert reported(plan) == ([] if own else [("enforce", ["n1"])])


@pytest.mark.parametrize(
    ("left_out", "user"),
    [
        (nameless("3", mail="Eve@Example.com"), account("n1", "eve@example.com")),
        (faulty("3"), account("n1", "somebody", "3")),
    ],
)
def test_who_resembles_an_entry_that_is_left_out_stays(world: World, left_out: Any, user: Observed) -> None:
    world.people.append(left_out)
    plan = found(world, ForeignMember("n1", user.name), ANOTHER, also=[user])
    assert taken_out(plan) == ["another@example.org"]
    assert reported(plan) == [("enforce", ["n9"])]


def test_nobody_is_taken_out_of_a_group_that_the_source_does_not_tell_completely(world: World) -> None:
    world.groups = [group("g", "Admins", ["1", "2"], incomplete=True)]
    plan = found(world, STRANGER)
    assert (plan.changes, reported(plan)) == ((), [("report", ["n1"])])


def test_nobody_is_taken_out_of_a_group_that_leaves_or_cannot_be_used(world: World) -> None:
    world.groups = [group("h", "Others", ["1"])]
    plan = found(world, STRANGER)
    assert (taken_out(plan), reported(plan)) == ([], [("report", ["n1"])])
    assert "delete_group g" in brief(plan)
    world.groups = [faulty("g", kind=Kind.GROUP), group("h", "Others", ["1"])]
    plan = found(world, STRANGER)
    assert (taken_out(plan), reported(plan)) == ([], [("report", ["n1"])])


def test_a_native_subgroup_is_taken_out(state: StateFile) -> None:
    world = World(state, source=source_rules(nesting=Nesting.KEEP))
    world.hold(person("1", "ada"), person("2", "bob"))
    world.groups = [group("g", "Admins", ["1", "2"])]
    world.sync()
    plan = found(world, ForeignMember("Natives", "Natives", Kind.GROUP), groups=["Natives"])
    assert plan.changes[0].reason == "group Natives is in Admins, and nobody manages that group"
    assert taken_out(plan) == ["Natives"]


def test_a_protected_account_is_named_and_taken_out(world: World) -> None:
    world.target = replace(world.target, protect=frozenset({"guest@example.org"}))
    with world.state.atomic():
        world.snapshot.discover({"protected": {"n1": "the owner of the account at the target"}})
    plan = found(world, STRANGER, GUEST)
    assert plan.changes[0].reason == (
        "guest@example.org (named in `protect`), stranger@example.org (the owner of the account at the target) are in "
        "Admins, and nobody manages them"
    )
    assert taken_out(plan) == ["guest@example.org", "stranger@example.org"]


def test_a_group_that_is_taken_over_is_rid_of_them_too(state: StateFile) -> None:
    world = World(state, replace(target_rules(), adopt_groups=True))
    world.hold(person("1", "ada"))
    world.groups = [group("g", "Admins", ["1"])]
    users = [account("u1", "ada"), account("n1", "stranger@example.org")]
    plan = resync(world, users, [there("t1", "Admins", "", ["u1", "n1", "unknown"])])
    assert brief(plan) == ["adopt_user 1", "adopt_group g", "remove_members g"]
    assert taken_out(plan) == ["stranger@example.org"]
    assert reported(plan) == [("enforce", ["n1"])]


# -- limits and decisions ------------------------------------------------------------------------------


def one_at_most(world: World) -> None:
    world.target = replace(
        world.target, policy=replace(world.target.policy, limits={Class.REMOVE_MEMBERS: Limit(count=1)})
    )


def test_foreign_members_count_as_people_and_are_held_apart_from_managed_ones(world: World) -> None:
    one_at_most(world)
    world.groups = [group("g", "Admins", ["1"])]
    plan = found(world, STRANGER)
    assert plan.changes == ()
    assert withheld(plan) == ["remove_members: remove_members g 2", "remove_members: remove_members g"]
    assert {held.reason for held in plan.held} == {"2 of 2 people would be removed from groups; the limit is 1"}
    assert plan.held[1].change.before == as_part([STRANGER])


@pytest.mark.parametrize("chosen", [(0,), (1,), (0, 1)])
def test_an_approval_releases_exactly_its_part(world: World, chosen: tuple[int, ...]) -> None:
    one_at_most(world)
    world.groups = [group("g", "Admins", ["1"])]
    parts = [held.change for held in found(world, STRANGER).held]
    approved = {parts[each].id: "approved by ada" for each in chosen}
    world.decisions = Decisions(approved=frozenset(approved), approvals=approved)
    plan = found(world, STRANGER)
    (change,) = plan.changes
    assert [part.id for part in change.parts] == list(approved)
    assert change.reason.count("approved by ada") == len(chosen)
    assert {held.id for held in plan.held} == {each.id for each in parts} - approved.keys()


def test_what_was_refused_as_a_whole_waits_in_its_parts(world: World) -> None:
    world.groups = [group("g", "Admins", ["1"])]
    (whole,) = found(world, STRANGER).changes
    world.decisions = Decisions(quarantined={whole.id: "was refused"})
    plan = found(world, STRANGER)
    assert plan.changes == ()
    assert [(held.limit, held.reason) for held in plan.held] == [("quarantine", "was refused")] * 2


def test_what_a_person_rejects_is_not_asked_again(world: World) -> None:
    (change,) = found(world, STRANGER).changes
    world.decisions = Decisions(rejected={change.id: "rejected by ada"})
    plan = found(world, STRANGER)
    assert (plan.changes, [each.id for each in plan.rejected]) == ((), [change.id])
