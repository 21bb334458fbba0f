"""Reading and judging a target by its profile. Rows by hand, real HTTP."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.errors import TargetRefused
from syncd.scim.profiles import MembersRead
from tests.endpoints import Reply, Request, error
from tests.targets import PROFILE, Managed, managed


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Managed]:
    with managed(tmp_path) as world:
        yield world


@pytest.fixture
def by_filter(world: Managed) -> Managed:
    """Return a target whose groups show nobody, and whose users can be asked for by group."""
    world.profile = replace(PROFILE, members_read="filter")
    world.scim.members_in = "nowhere"
    return world


def filters(world: Managed) -> list[str]:
    """Return by which groups users were asked for, but for the first: that one is made up."""
    asked = [request.query.get("filter") for request in world.scim.requests if str(request) == "GET /scim/v2/Users"]
    return sorted(text for text in asked[2:] if text is not None)


def is_about(world: Managed, key: str, reply: Reply) -> None:
    """Answer the question who is in a group otherwise."""
    answer = world.scim.answer

    def otherwise(request: Request) -> Reply:
        asked = request.query.get("filter") == f'groups.value eq "id-{key}"'
        return reply if asked else answer(request)

    world.scim.answer = otherwise  # type: ignore[method-assign]


# -- who is in a group, asked of the users -----------------------------------------------------------


def test_users_are_asked_for_by_group_where_groups_do_not_show_them(by_filter: Managed) -> None:
    world = by_filter
    world.users("1", "2", "3")
    native = world.scim.add_user(userName="native")
    world.group("g", ["1", "2"], ["h"])
    world.group("h", ["3"])
    world.group("i")
    world.scim.groups["id-g"]["members"] = [{"value": id_} for id_ in ("id-2", "id-3", native)]
    found = world.read()
    assert found.said() == [
        ("member_added", "g", {}, {"members": ["3"]}),
        ("member_removed", "g", {"members": ["1"]}, {}),
        ("foreign_member", "g", {}, {"foreign": [{"id": native, "name": "native", "kind": "user"}]}),
    ]
    assert found.reading.doubts == []
    assert filters(world) == [f'groups.value eq "id-{key}"' for key in "ghi"]
    assert found.snapshot.members("g") == ({"2", "3"}, {"h"})  # of groups a filter over users says nothing
    assert world.scim.asked() == []


@pytest.mark.parametrize("answer", [error(500), error(400), error(404), error(403), Reply(200, {"error": "busy"})])
def test_members_of_a_group_that_is_not_answered_for_are_left_as_they_are(by_filter: Managed, answer: Reply) -> None:
    world = by_filter
    world.users("1", "2")
    for key in ("g", "h"):
        world.group(key, ["1", "2"])
        world.scim.groups[f"id-{key}"]["members"] = [{"value": "id-1"}]
    is_about(world, "g", answer)
    found = world.read()
    assert found.said() == [("member_removed", "h", {"members": ["2"]}, {})]
    assert found.reading.doubts == [
        (
            "1 group is not answered for, or not to the end, when users are asked for by group (g): the members are "
            "left as they are"
        )
    ]


def test_members_of_a_group_that_is_answered_for_in_part_are_left_as_they_are(by_filter: Managed) -> None:
    world = by_filter
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.scim.groups["id-g"]["members"] = [{"value": "id-1"}]
    is_about(world, "g", Reply(200, {"totalResults": 2, "Resources": [world.scim.users["id-1"]]}))
    found = world.read()
    assert found.drift == []
    assert found.group("id-g").members is None
    assert len(found.reading.doubts) == 1


def test_a_filter_that_is_ignored_says_nothing_of_anybody(by_filter: Managed) -> None:
    world = by_filter
    world.users("1", "2")
    world.group("g", ["1"])
    world.scim.filters = "ignored"
    found = world.read()
    assert found.drift == []
    assert found.reading.doubts == [
        (
            "the endpoint doesn't look whether users are in the group that they are asked for by (a group that doesn't "
            "exist has members): members are left as they are"
        )
    ]
    assert filters(world) == []


def test_a_filter_that_is_refused_says_nothing_of_anybody(by_filter: Managed) -> None:
    world = by_filter
    world.users("1", "2")
    world.group("g", ["1"])
    world.group("h")
    world.scim.filters = "refused"
    found = world.read()
    assert found.drift == []
    assert found.reading.doubts == [
        (
            "2 groups are not answered for, or not to the end, when users are asked for by group (g, h): the members "
            "are left as they are"
        )
    ]


def test_a_token_that_is_refused_ends_the_reading(by_filter: Managed) -> None:
    world = by_filter
    world.users("1")
    world.group("g", ["1"])
    is_about(world, "g", error(401))
    with pytest.raises(TargetRefused):
        world.read()


def test_whoever_is_gone_has_left_no_group_besides(by_filter: Managed) -> None:
    world = by_filter
    world.users("1", "2")
    world.group("g", ["1", "2"])
    world.goes("1")
    assert world.read().classes() == ["user_deleted 1"]


def test_groups_are_asked_a_few_at_a_time(by_filter: Managed) -> None:
    world = by_filter
    world.users("1")
    for number in range(12):
        world.group(f"g{number}", ["1"])
    assert world.read().drift == []
    assert len(filters(world)) == 12
    assert world.scim.most_at_once <= world.concurrency


def test_without_groups_nobody_is_asked_for_by_one(by_filter: Managed) -> None:
    world = by_filter
    world.users("1")
    world.scim.add_group(displayName="native")
    assert world.read().drift == []
    assert len([each for each in world.scim.requests if "filter" in each.query]) == 0


# -- what lists of groups are asked with -------------------------------------------------------------


def of_groups(world: Managed) -> list[str | None]:
    """Return which attributes lists of groups were asked to leave out."""
    lists = [request for request in world.scim.requests if str(request) == "GET /scim/v2/Groups"]
    return [request.query.get("excludedAttributes") for request in lists]


@pytest.mark.parametrize(
    ("members_read", "excluded"), [(None, None), ("group", None), ("filter", "members"), ("nothing", "members")]
)
def test_members_are_left_out_of_lists_where_nobody_looks_at_them(
    world: Managed, members_read: MembersRead | None, excluded: str | None
) -> None:
    world.profile = replace(PROFILE, members_read=members_read)
    world.users("1")
    world.group("g", ["1"])
    world.read()
    assert of_groups(world) == [excluded]


def test_an_endpoint_that_leaves_nothing_out_is_asked_for_all(world: Managed) -> None:
    world.profile = replace(PROFILE, members_read="nothing")
    world.scim.knows_excluded = False
    world.group("g")
    found = world.read()
    assert (found.drift, found.reading.doubts) == ([], [])
    assert of_groups(world)[-2:] == ["members", None]
    world.goes("g")
    assert world.read().classes() == ["group_deleted g"]


def test_no_word_is_said_of_members_that_are_never_shown(world: Managed) -> None:
    world.profile = replace(PROFILE, members_read="nothing")
    world.users("1")
    world.group("g", ["1"])
    world.scim.groups["id-g"]["members"] = []
    found = world.read()
    assert (found.drift, found.reading.doubts, world.scim.asked()) == ([], [], [])


# -- names of groups ---------------------------------------------------------------------------------


@pytest.mark.parametrize("case_matters", [False, True])
def test_a_name_in_another_case_is_drift_only_where_case_matters(world: Managed, case_matters: bool) -> None:
    world.profile = replace(PROFILE, group_name_case=case_matters)
    world.group("g", name="Sales Straße")
    world.scim.groups["id-g"]["displayName"] = "SALES STRASSE"
    renamed = ("group_renamed", "g", {"displayName": "Sales Straße"}, {"displayName": "SALES STRASSE"})
    assert world.read().said() == ([renamed] if case_matters else [])


def test_another_name_is_no_drift_where_groups_cannot_be_renamed(world: Managed) -> None:
    world.profile = replace(PROFILE, group_rename=False)
    world.users("1")
    world.group("g", ["1"])
    world.scim.groups["id-g"] |= {"displayName": "Other", "members": []}
    world.scim.add_group(displayName="native", members=[{"value": "id-1"}])
    assert world.read().said() == [("member_removed", "g", {"members": ["1"]}, {})]
