"""A value that an endpoint doesn't show is unknown: no drift, and no repeated request in every full resync."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Kind, State
from tests.endpoints import Endpoint, error
from tests.targets import Managed, managed

Json = Any
OFF = State.DEACTIVATED


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Managed]:
    with managed(tmp_path) as world:
        yield world


def without(held: dict[str, dict[str, Json]], *names: str) -> None:
    """Let an endpoint have something of nobody."""
    for body in held.values():
        for name in names:
            body.pop(name, None)


def only(scim: Endpoint, group: str, ids: Sequence[str]) -> None:
    """Let a group show these members and no other."""
    scim.groups[group]["members"] = [{"value": id_} for id_ in ids]


# -- whether somebody is on --------------------------------------------------------------------------


def test_whoever_is_not_said_to_be_on_or_off_is_as_acknowledged(world: Managed) -> None:
    """Some endpoints never show `active`; some leave out a false one, as Go's JSON does with `omitempty`."""
    world.users("1", "2")
    world.user("3", OFF)
    without(world.scim.users, "active")
    assert world.read().drift == []


def test_where_only_false_is_ever_said_who_is_on_again_is_found(world: Managed) -> None:
    """Some endpoints leave out what is RFC 7643's default: a leaver who was let in again looks like that."""
    world.users("1")
    world.user("2", OFF)
    without({"id-1": world.scim.users["id-1"]}, "active")
    found = world.read()
    assert found.drift == []
    world.discovered(**found.reading.discovered)
    without(world.scim.users, "active")
    assert world.read().said() == [("user_activation", "2", {"active": False}, {"active": True})]


def test_other_differences_of_whom_is_not_said_to_be_on_or_off_are_drift(world: Managed) -> None:
    world.user("1", title="Countess")
    world.scim.users["id-1"] |= {"title": "Baroness"}
    without(world.scim.users, "active")
    assert world.read().said() == [("user_attributes", "1", {"title": "Countess"}, {"title": "Baroness"})]


# -- attributes --------------------------------------------------------------------------------------

UNSHOWN = "the endpoint shows no title of any user: that is not compared"


def test_an_attribute_that_is_shown_of_nobody_is_no_drift(world: Managed) -> None:
    """Endpoints drop attributes without a word: sending them again would have no end."""
    for key in ("1", "2", "3"):
        world.user(key, title="Countess")
    without(world.scim.users, "title")
    found = world.read()
    assert (found.drift, found.reading.doubts) == ([], [UNSHOWN])


def test_what_else_differs_where_an_attribute_is_shown_of_nobody_is_drift(world: Managed) -> None:
    for key in ("1", "2", "3"):
        world.user(key, title="Countess")
    without(world.scim.users, "title")
    world.scim.users["id-2"] |= {"userName": "other"}
    assert world.read().said() == [("user_attributes", "2", {"userName": "u2"}, {"userName": "other"})]


def test_one_or_two_may_have_lost_an_attribute(world: Managed) -> None:
    for key in ("1", "2"):
        world.user(key, title="Countess")
    world.users("3")
    without(world.scim.users, "title")
    found = world.read()
    assert found.classes() == ["user_attributes 1", "user_attributes 2"]
    assert found.reading.doubts == []


def test_an_attribute_that_is_shown_of_anybody_is_compared(world: Managed) -> None:
    for key in ("1", "2", "3"):
        world.user(key, title="Countess")
    without(world.scim.users, "title")
    world.scim.add_user(userName="native", title="Baroness")
    assert world.read().classes() == ["user_attributes 1", "user_attributes 2", "user_attributes 3"]


def test_an_attribute_that_was_shown_before_is_compared_for_ever(world: Managed) -> None:
    for key in ("1", "2", "3"):
        world.user(key, title="Countess")
    world.discovered(**world.read().reading.discovered)
    without(world.scim.users, "title")
    assert world.read().classes() == ["user_attributes 1", "user_attributes 2", "user_attributes 3"]


def test_who_is_off_has_nothing_that_could_be_missed(world: Managed) -> None:
    """Of whom we switched off nothing but that is compared, and so it proves nothing either."""
    for key in ("1", "2", "3"):
        world.user(key, OFF, title="Countess")
    without(world.scim.users, "title")
    found = world.read()
    assert (found.drift, found.reading.doubts) == ([], [])


def test_an_attribute_that_is_shown_of_no_group_is_no_drift(world: Managed) -> None:
    """Endpoints whose groups have no externalId drop it."""
    for key in ("a", "b", "c"):
        world.group(key)
        known = world.snapshot.group(key)
        assert known is not None
        known.attributes["externalId"] = key
        with world.state.atomic():
            world.snapshot.put_group(known)
    found = world.read()
    assert found.drift == []
    assert found.reading.doubts == ["the endpoint shows no externalId of any group: that is not compared"]
    world.scim.add_group(displayName="Native", externalId="x")
    assert world.read().classes() == ["group_renamed a", "group_renamed b", "group_renamed c"]


def test_a_path_that_the_mapping_no_longer_speaks_of_is_left_alone(world: Managed) -> None:
    world.user("1", nickName="Ada")
    world.scim.users["id-1"] |= {"nickName": "Countess"}
    assert world.read().drift == []


# -- members -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("off", ["by id", "nowhere"])
def test_groups_need_not_show_members_whose_accounts_are_off_and_hidden(world: Managed, off: str) -> None:
    world.scim.off = off
    world.users("1", "2")
    world.user("3", OFF)
    world.group("g", ["1", "3"])
    only(world.scim, "id-g", ["id-1"])
    found = world.read()
    assert found.drift == []
    assert found.snapshot.members("g") == ({"1", "3"}, set())


def test_groups_that_show_them_all_the_same_have_got_no_new_members(world: Managed) -> None:
    world.scim.off = "by id"
    world.users("1")
    world.user("2", OFF)
    world.group("g", ["1", "2"])
    assert world.read().drift == []


def test_somebody_hidden_who_was_in_no_group_and_is_shown_in_one_was_put_there(world: Managed) -> None:
    world.scim.off = "by id"
    world.users("1")
    world.user("2", OFF)
    world.group("g", ["1"])
    only(world.scim, "id-g", ["id-1", "id-2"])
    assert world.read().said() == [("member_added", "g", {}, {"members": ["2"]})]


def test_members_whose_accounts_are_on_are_missed_beside_those_that_are_hidden(world: Managed) -> None:
    world.scim.off = "by id"
    world.users("1", "2")
    world.user("3", OFF)
    world.group("g", ["1", "2", "3"])
    only(world.scim, "id-g", ["id-1"])
    assert world.read().said() == [("member_removed", "g", {"members": ["2"]}, {})]


def test_members_whose_accounts_are_off_and_listed_are_missed(world: Managed) -> None:
    world.users("1")
    world.user("2", OFF)
    world.group("g", ["1", "2"])
    only(world.scim, "id-g", ["id-1"])
    assert world.read().said() == [("member_removed", "g", {"members": ["2"]}, {})]


def test_members_of_whom_nobody_says_whether_they_are_there_are_not_missed(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.scim.unlisted = {"id-2"}
    world.scim.by_id["id-2"] = error(500, "try later")
    only(world.scim, "id-g", ["id-1"])
    assert world.read().drift == []


def test_a_group_that_was_emptied_is_believed_where_members_were_shown_before(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.discovered(**world.read().reading.discovered)
    only(world.scim, "id-g", [])
    found = world.read()
    assert found.said() == [("member_removed", "g", {"members": ["1", "2"]}, {})]
    assert found.reading.doubts == []


def test_that_members_were_shown_is_not_remembered_of_an_endpoint_that_never_did(world: Managed) -> None:
    world.scim.members_in = "nowhere"
    world.users("1")
    world.group("g", ["1"])
    discovered = world.read().reading.discovered
    world.discovered(**discovered)
    assert world.read().drift == []
    assert "shows_members" not in discovered


def test_the_managed_are_as_they_were_after_all_that(world: Managed) -> None:
    """Nothing that isn't shown is taken out of the snapshot."""
    world.scim.off = "nowhere"
    world.user("1", OFF, title="Countess")
    world.user("2", title="Countess")
    world.group("g", ["1", "2"])
    without(world.scim.users, "active")
    only(world.scim, "id-g", ["id-2"])
    world.scim.users["id-1"]["active"] = False
    found = world.read()
    known = found.snapshot.user("1")
    assert known is not None
    assert (known.lost, known.attributes["active"], known.attributes["title"]) == (False, False, "Countess")
    assert found.snapshot.members("g") == ({"1", "2"}, set())
    assert found.snapshot.ids(Kind.USER, ["1", "2"]) == {"1": "id-1", "2": "id-2"}
