"""Drift at a target: users, managers, groups and members; and acceptances. Rows by hand, real HTTP."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.drift import DriftClass, Reaction, Reactions
from syncd.core.foreign import ForeignMember, as_part
from syncd.core.model import Kind, State
from syncd.core.ownership import Ownership
from syncd.core.schema import MANAGER
from tests.endpoints import Reply, error
from tests.targets import OWNED, PROFILE, Hiding, Managed, managed

Json = Any
PENDING = State.PENDING
LEFT = "left there; take out at the target whoever doesn't belong"
BLIND = (
    "1 group is shown without any member, and so is every other: this endpoint may not show members at all, "
    "so they are left as they are"
)


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Managed]:
    with managed(tmp_path) as world:
        yield world


def joins(scim: Hiding, group: str, *ids: str) -> None:
    """Let somebody be added at the target."""
    scim.groups[group].setdefault("members", []).extend({"value": id_} for id_ in ids)


def leaves(scim: Hiding, group: str, *ids: str) -> None:
    """Let somebody be removed at the target."""
    scim.groups[group]["members"] = [each for each in scim.groups[group]["members"] if each["value"] not in ids]


# -- users -------------------------------------------------------------------------------------------


def test_an_edited_and_a_switched_off_user_are_drift_and_the_scratch_snapshot_says_what_is_there(
    world: Managed,
) -> None:
    world.user("1", title="Engineer")
    world.users("2", "3")
    world.scim.users["id-1"].update(title="Chief", nickName="Ada")
    world.scim.users["id-2"]["active"] = "False"
    found = world.read()
    assert found.said() == [
        ("user_attributes", "1", {"title": "Engineer"}, {"title": "Chief"}),
        ("user_activation", "2", {"active": True}, {"active": False}),
    ]
    there = found.snapshot.users(["1", "2", "3"])
    assert there["1"].attributes["title"] == "Chief"
    assert there["2"].attributes["active"] is False
    assert [there[key].digest for key in "123"] == [b"", b"", b"in line"]
    assert [known.digest for known in world.snapshot.users(["1", "2", "3"]).values()] == [b"in line"] * 3


def test_what_is_only_reported_is_not_written(world: Managed) -> None:
    world.reactions = Reactions(by_class={DriftClass.USER_ATTRIBUTES: Reaction.REPORT})
    world.user("1", title="Engineer")
    world.scim.users["id-1"].update(title="Chief", active=False)
    found = world.read()
    assert [(each.class_.value, each.reaction.value) for each in found.drift] == [
        ("user_activation", "enforce"),
        ("user_attributes", "report"),
    ]
    known = found.snapshot.users(["1"])["1"]
    assert (known.attributes["title"], known.attributes["active"]) == ("Engineer", False)


def test_who_was_switched_off_by_us_and_on_again_by_somebody_is_drift(world: Managed) -> None:
    world.user("1", State.DEACTIVATED)
    world.scim.users["id-1"]["active"] = True
    assert world.read().said() == [("user_activation", "1", {"active": False}, {"active": True})]


def test_native_users_are_no_drift(world: Managed) -> None:
    world.users("1")
    world.scim.add_user(userName="native", externalId="9", active=False)
    assert world.read().drift == []


@pytest.mark.parametrize("reaction", list(Reaction))
def test_a_value_that_the_source_does_not_have_is_drift_once_somebody_sets_it(
    world: Managed, reaction: Reaction
) -> None:
    world.owned = owning("title", "roles")
    world.reactions = Reactions(by_class={DriftClass.USER_ATTRIBUTES: reaction})
    world.users("1", "2", "3")
    world.user("4", roles=[{"value": "dev"}])
    world.scim.users["id-1"].update(roles=[{"value": "admin"}], nickName="theirs")
    world.scim.users["id-2"].update(title="", roles=[])  # means the same as none
    world.scim.users["id-3"].update(title="Chief", active=False)
    world.scim.users["id-4"]["roles"].append({"value": "admin"})
    found = world.read()
    assert found.said() == [
        ("user_attributes", "1", {"roles": None}, {"roles": [{"value": "admin"}]}),
        ("user_activation", "3", {"active": True}, {"active": False}),
        ("user_attributes", "3", {"title": None}, {"title": "Chief"}),
        ("user_attributes", "4", {"roles": [{"value": "dev"}]}, {"roles": [{"value": "dev"}, {"value": "admin"}]}),
    ]
    there = found.snapshot.users(["1"])["1"]
    enforced = reaction is Reaction.ENFORCE
    assert ("roles" in there.attributes, there.digest) == (enforced, b"" if enforced else b"in line")


def test_what_is_kept_when_empty_or_written_at_creation_alone_is_no_drift(world: Managed) -> None:
    world.owned = owning("roles", kept=("title",), at_creation=("locale",))
    world.users("1")
    world.user("2", title="Staff", locale="de")
    world.user("3", title="Staff", locale="de")
    world.scim.users["id-1"].update(title="Chief", locale="en")
    world.scim.users["id-2"].update(locale="en")
    world.scim.users["id-3"].update(title="Chief")
    # The snapshot can't tell whether the source still has the title: its entry is to be mapped again.
    for reaction in Reaction:
        world.reactions = Reactions(by_class={DriftClass.USER_ATTRIBUTES: reaction})
        found = world.read()
        assert found.said() == [("user_attributes", "3", {"title": "Staff"}, {"title": "Chief"})]
        assert [known.digest for known in found.snapshot.users(["1", "2", "3"]).values()] == [
            b"in line",
            b"in line",
            b"",
        ]


def test_somebody_who_is_off_may_hold_what_the_source_does_not_have(world: Managed) -> None:
    world.owned = owning("title")
    world.user("1", State.DEACTIVATED)
    world.scim.users["id-1"]["title"] = "Chief"
    assert world.read().drift == []


def test_a_default_that_the_target_gives_again_is_no_drift(world: Managed) -> None:
    world.owned = owning("roles")
    world.users("1")
    known = world.snapshot.user("1")
    assert known is not None
    with world.state.atomic():
        world.snapshot.put_user(replace(known, kept_as={"roles": [{"value": "member"}]}))
    world.scim.users["id-1"]["roles"] = [{"value": "member"}]
    assert world.read().drift == []
    world.scim.users["id-1"]["roles"].append({"value": "admin"})
    assert world.read().classes() == ["user_attributes 1"]


def owning(*paths: str, kept: Sequence[str] = (), at_creation: Sequence[str] = ()) -> dict[Kind, Ownership]:
    """Return the ownership of a mapping that names these paths beside the usual ones."""
    decided = OWNED[Kind.USER].decided - {"title"} | {*paths, *kept}
    return {**OWNED, Kind.USER: Ownership(decided, frozenset(kept), frozenset(at_creation))}


# -- managers ----------------------------------------------------------------------------------------


def test_a_manager_is_compared_as_the_person_that_the_id_belongs_to(world: Managed) -> None:
    world.users("1", "2")
    world.user("3", **{MANAGER: "1"})
    world.user("4", **{MANAGER: "1"})
    world.user("5", **{MANAGER: "1"})
    enterprise = MANAGER.rpartition(":")[0]
    world.scim.users["id-4"][enterprise]["manager"] = {"value": "id-2"}
    world.scim.users["id-5"][enterprise]["manager"] = {"value": "stranger"}
    assert world.read().said() == [
        ("user_attributes", "4", {MANAGER: "1"}, {MANAGER: "2"}),
        ("user_attributes", "5", {MANAGER: "1"}, {MANAGER: "stranger"}),
    ]


def test_a_manager_whom_the_source_does_not_name_is_drift(world: Managed) -> None:
    world.users("1", "2", "3")
    enterprise = MANAGER.rpartition(":")[0]
    world.scim.users["id-2"][enterprise] = {"manager": {"value": "id-1"}}
    world.scim.users["id-3"][enterprise] = {"manager": {"value": "stranger"}}
    assert world.read().said() == [
        ("user_attributes", "2", {MANAGER: None}, {MANAGER: "1"}),
        ("user_attributes", "3", {MANAGER: None}, {MANAGER: "stranger"}),
    ]


def test_a_manager_whose_account_is_made_again_must_be_named_again(world: Managed) -> None:
    world.users("1", "2")
    world.user("3", **{MANAGER: "1"})
    world.goes("1")
    found = world.read()
    assert found.said() == [
        ("user_deleted", "1", {"userName": "u1", "active": True}, {}),
        ("user_attributes", "3", {MANAGER: "1"}, {MANAGER: "id-1"}),
    ]
    world.reactions = Reactions(by_class={DriftClass.USER_DELETED: Reaction.REPORT})
    assert world.read().classes() == ["user_deleted 1"]


# -- groups ------------------------------------------------------------------------------------------


def test_a_renamed_group_is_drift_and_a_suffix_is_no_rename(world: Managed) -> None:
    world.profile = replace(PROFILE, group_suffix=" (SCIM)")
    world.group("f")
    world.group("g")
    world.scim.groups["id-g"]["displayName"] = "Other (SCIM)"
    assert world.read().said() == [
        ("group_renamed", "g", {"displayName": "Group g"}, {"displayName": "Other"}),
    ]


def test_a_mark_that_the_source_does_not_give_a_group_is_drift(world: Managed) -> None:
    world.group("f")
    world.scim.groups["id-f"]["externalId"] = "theirs"
    assert world.read().said() == [("group_renamed", "f", {"externalId": None}, {"externalId": "theirs"})]
    world.owned = {**OWNED, Kind.GROUP: OWNED[Kind.GROUP].without("externalId")}
    assert world.read().drift == []


def test_a_group_whose_own_name_ends_with_the_suffix_is_not_renamed(world: Managed) -> None:
    world.profile = replace(PROFILE, group_suffix=" (SCIM)")
    world.group("f", name="Tests (SCIM)")
    assert world.scim.groups["id-f"]["displayName"] == "Tests (SCIM) (SCIM)"
    assert world.read().drift == []
    world.scim.groups["id-f"]["displayName"] = "Tests (SCIM)"  # an endpoint that adds it for people's eyes alone
    assert world.read().drift == []


# -- members -----------------------------------------------------------------------------------------


def test_members_who_came_and_went_are_drift(world: Managed) -> None:
    world.users("1", "2", "3")
    world.group("g", ["1", "2"], ["h"])
    world.group("h", ["1"])
    world.group("i", ["1"])
    leaves(world.scim, "id-g", "id-2", "id-h")
    joins(world.scim, "id-g", "id-3", "id-i")
    found = world.read()
    assert found.said() == [
        ("member_added", "g", {}, {"members": ["3"], "groups": ["i"]}),
        ("member_removed", "g", {"members": ["2"], "groups": ["h"]}, {}),
    ]
    assert found.snapshot.members("g") == ({"1", "3"}, {"i"})


def test_members_whom_nobody_manages_are_drift_and_places_in_native_groups_are_none(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1"])
    native = world.scim.add_user(userName="native")
    group = world.scim.add_group(displayName="Native", members=[{"value": "id-2"}])
    joins(world.scim, "id-g", group, native, native)
    found = world.read()
    assert found.said() == [("foreign_member", "g", {}, foreign((native, "native"), (group, "Native", Kind.GROUP)))]
    assert found.snapshot.members("g") == ({"1"}, set())
    world.reactions = Reactions(by_class={DriftClass.FOREIGN_MEMBER: Reaction.REPORT})
    assert [each.reaction for each in world.read().drift] == [Reaction.REPORT]


def test_a_member_whom_no_list_shows_is_asked_for_by_id(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1"])
    world.group("h", ["2"])
    unlisted = world.scim.add_user(userName="unlisted")
    world.scim.unlisted.add(unlisted)
    world.scim.by_id = {"taken": Reply(200, {"id": "id-2", "userName": "u2"}), "broken": error(500)}
    for id_ in (unlisted, "nobody", "taken", "broken"):
        joins(world.scim, "id-g", id_)
    world.scim.groups["id-g"]["members"][2]["display"] = "Casper"
    found = world.read()
    assert found.said() == [("foreign_member", "g", {}, foreign((unlisted, "unlisted")))]
    some = "Casper in Group g (g), taken in Group g (g), broken in Group g (g)"
    assert found.reading.doubts == [f"3 members of managed groups are neither managed nor found by id ({some}): {LEFT}"]
    asked = [each for each in world.scim.asked() if "id-" not in each]
    assert sorted(asked) == sorted(
        [f"GET /Users/{unlisted}", "GET /Users/nobody", "GET /Groups/nobody", "GET /Users/taken", "GET /Users/broken"]
    )


def test_no_more_than_a_hundred_unknown_members_are_asked_for(world: Managed) -> None:
    world.users("1")
    world.group("g", ["1"])
    joins(world.scim, "id-g", *(f"x{number}" for number in range(120)))
    found = world.read()
    assert found.drift == []
    assert len({each for each in world.scim.asked() if "/Users/x" in each}) == 100
    assert found.reading.doubts[0].startswith("120 members of managed groups are neither managed nor found by id")


def test_an_id_that_is_a_users_and_a_groups_is_the_users(world: Managed) -> None:
    world.users("1")
    world.group("g", ["1"])
    native = world.scim.add_user(userName="native")
    world.scim.groups[native] = {"id": native, "displayName": "Natives"}
    joins(world.scim, "id-g", native)
    assert world.read().said() == [("foreign_member", "g", {}, foreign((native, "native")))]


def test_who_was_lost_and_is_there_again_is_nobodys_until_somebody_is_matched(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.is_lost(Kind.USER, "2")
    assert world.read().said() == [("foreign_member", "g", {}, foreign(("id-2", "u2")))]


def foreign(*members: tuple[Any, ...]) -> Json:
    """Return the part of a drift that names these foreign members, each by id, name and kind."""
    return as_part(ForeignMember(*each) for each in members)


def test_a_member_that_stands_twice_is_one(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1", "2"])
    joins(world.scim, "id-g", "id-1")
    assert world.read().drift == []


def test_who_is_gone_has_left_no_group_besides(world: Managed) -> None:
    world.users("1", "2", "3")
    world.group("g", ["1", "2"], ["h"])
    world.group("h", ["1"])
    world.goes("2", "h")
    for dead in ("id-2", "id-h"):
        leaves(world.scim, "id-g", dead)
        assert world.read().classes() == ["user_deleted 2", "group_deleted h"]


def test_the_dead_id_of_somebody_lost_is_no_new_member(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.goes("2")
    world.is_lost(Kind.USER, "2")
    assert [each["value"] for each in world.scim.groups["id-g"]["members"]] == ["id-1", "id-2"]
    assert world.read().drift == []


def test_members_that_lists_leave_out_are_looked_for_in_the_groups(world: Managed) -> None:
    world.scim.members_in = "by id"
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.group("h")
    world.group("i", ["1"])
    joins(world.scim, "id-h", "id-1")
    leaves(world.scim, "id-i", "id-1")
    found = world.read()
    assert world.scim.asked() == ["GET /Groups/id-g", "GET /Groups/id-i", "GET /Groups/id-h"]
    assert found.said() == [
        ("member_added", "h", {}, {"members": ["1"]}),
        ("member_removed", "i", {"members": ["1"]}, {}),
    ]
    assert found.reading.doubts == []


def test_members_that_lists_cut_short_are_looked_for_in_the_groups(world: Managed) -> None:
    world.scim.listed_members = 2
    world.users("1", "2", "3", "4")
    world.group("g", ["1", "2", "3"])
    world.group("h", ["1", "2"])
    found = world.read()
    assert (found.drift, world.scim.asked()) == ([], ["GET /Groups/id-g"])


def test_a_group_whose_members_cannot_be_asked_for_is_left_as_it_is(world: Managed) -> None:
    world.scim.members_in = "by id"
    world.users("1")
    world.group("g", ["1"])
    world.group("h", ["1"])
    world.scim.by_id = {"id-g": error(500)}
    found = world.read()
    assert (found.drift, found.group("id-g").members, found.group("id-h").members) == ([], None, ["id-1"])


def test_members_that_are_never_shown_are_unknown(world: Managed) -> None:
    """AWS: a group's members are always empty."""
    world.scim.members_in = "nowhere"
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.group("h")
    found = world.read()
    assert (found.drift, found.reading.doubts) == ([], [BLIND])
    assert found.group("id-g").members is None
    assert found.snapshot.members("g") == ({"1", "2"}, set())


def test_no_members_are_believed_of_an_endpoint_that_has_shown_some(world: Managed) -> None:
    world.users("1")
    world.group("g", ["1"])
    leaves(world.scim, "id-g", "id-1")
    assert world.read().reading.doubts == [BLIND]
    world.scim.add_group(displayName="Native", members=[{"value": "somebody"}])
    found = world.read()
    assert found.said() == [("member_removed", "g", {"members": ["1"]}, {})]
    assert found.reading.doubts == []


def test_no_members_are_believed_of_an_endpoint_that_is_known_to_show_them(world: Managed) -> None:
    world.profile = replace(PROFILE, members_read="group")
    world.users("1")
    world.group("g", ["1"])
    leaves(world.scim, "id-g", "id-1")
    found = world.read()
    assert found.said() == [("member_removed", "g", {"members": ["1"]}, {})]


def test_members_are_not_looked_for_where_they_are_known_not_to_be_shown(world: Managed) -> None:
    world.profile = replace(PROFILE, members_read="nothing")
    world.users("1", "2")
    world.group("g", ["1", "2"])
    leaves(world.scim, "id-g", "id-1")
    found = world.read()
    assert (found.drift, found.reading.doubts, world.scim.asked()) == ([], [], [])
    assert found.group("id-g").members is None


def test_members_that_are_no_ids_are_not_understood(world: Managed) -> None:
    world.users("1", "2")
    for key in ("g", "h"):
        world.group(key, ["1", "2"])
    world.scim.groups["id-g"]["members"] = [{"value": "u1"}, {"value": "u2"}]
    found = world.read()
    assert found.drift == []
    assert found.reading.doubts == [
        "1 group is shown with members that are neither users nor groups (Group g): the members are left as they are"
    ]
    # A native user, though nobody managed is left: that is an answer.
    world.scim.groups["id-g"]["members"] = [{"value": world.scim.add_user(userName="native")}, {"value": "u2"}]
    assert world.read().classes() == ["member_removed g", "foreign_member g"]


# -- who accepted ------------------------------------------------------------------------------------


def waiting(world: Managed, key: str, *, shown: Json, ours: bool = False) -> None:
    """Invite somebody who is then shown in some way; `ours`: it is us who keep them out."""
    world.user(key, PENDING, accepted=False, active=not ours)
    world.scim.users[f"id-{key}"]["active"] = shown


def accepted(world: Managed) -> list[str]:
    found = world.read()
    assert found.drift == []
    for known in found.snapshot.users([*found.accepted]).values():
        assert (known.accepted, known.attributes["active"], known.digest) == (True, True, b"")
    return found.accepted


def test_whom_we_keep_out_and_who_is_in_has_accepted(world: Managed) -> None:
    waiting(world, "1", shown=True, ours=True)
    waiting(world, "2", shown=False, ours=True)
    waiting(world, "3", shown="True", ours=True)
    assert accepted(world) == ["1", "3"]


def test_who_does_not_say_has_not_accepted(world: Managed) -> None:
    waiting(world, "1", shown=None, ours=True)
    del world.scim.users["id-1"]["active"]
    assert accepted(world) == []


def test_where_the_endpoint_shows_everybody_as_active_nothing_can_be_told(world: Managed) -> None:
    world.profile = replace(PROFILE, pending_by_endpoint=True)
    waiting(world, "1", shown=True)
    waiting(world, "2", shown=True)
    found = world.read()
    assert (found.accepted, found.drift, found.reading.discovered.get("pending_shown")) == ([], [], None)


def test_where_the_endpoint_shows_one_as_inactive_the_active_ones_have_accepted(world: Managed) -> None:
    world.profile = replace(PROFILE, pending_by_endpoint=True)
    waiting(world, "1", shown=True)
    waiting(world, "2", shown=False)
    assert accepted(world) == ["1"]
    assert world.read().reading.discovered["pending_shown"] == "inactive"


def test_that_it_once_showed_one_as_inactive_is_remembered(world: Managed) -> None:
    world.profile = replace(PROFILE, pending_by_endpoint=True)
    world.discovered(pending_shown="inactive")
    waiting(world, "1", shown=True)
    assert accepted(world) == ["1"]


def test_who_accepted_before_does_not_accept_again(world: Managed) -> None:
    world.user("1", PENDING, accepted=True, active=False)
    world.scim.users["id-1"]["active"] = True
    assert world.read().accepted == []


def test_an_invitation_that_is_unclear_is_not_accepted(world: Managed) -> None:
    waiting(world, "1", shown=True, ours=True)
    world.scim.unlisted = {"id-1"}
    world.scim.by_id = {"id-1": Reply(200, {"active": True})}
    assert accepted(world) == []
