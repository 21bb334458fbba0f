"""Paging by profile, and the further parameters of every page's request."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from typing import Any

import pytest

from syncd.core.model import Kind
from syncd.errors import ScimError
from syncd.scim.client import ENDPOINTS
from syncd.scim.listing import Listing
from syncd.scim.profiles import PROFILES, Paging, Profile
from tests.endpoints import LIST, Reply, Request, Server, error
from tests.scim.asking import ask_as

Json = Any
PROFILE = Profile("test", page_size=2)


def page(ids: str, **more: Json) -> Reply:
    return Reply(200, {"schemas": [LIST], "Resources": [{"id": id_, "userName": id_} for id_ in ids], **more})


def read(
    answer: Callable[[Request], Reply], paging: Paging | None, query: dict[str, str] | None = None
) -> tuple[str, str, list[str]]:
    """Return the ids that are listed, the doubt, and what was asked as `name=value` with everything encoded."""

    async def question(client: Any) -> tuple[str, str]:
        listing = Listing(client.transport, ENDPOINTS[Kind.USER], replace(PROFILE, paging=paging), query)
        ids = "".join([str(body["id"]) async for page in listing.pages() for body in page])
        return ids, listing.doubt

    with Server(answer) as server:
        ids, doubt = ask_as(PROFILE, server.url, question)
        return ids, doubt, [request.target.partition("?")[2] for request in server.requests]


def both(request: Request) -> Reply:
    """Answer four users, two on a page, by index and by cursor alike; without either the first page."""
    if "cursor" in request.query:
        return page("cd", totalResults=4)
    if int(request.query.get("startIndex", 1)) > 1:
        return page("xy", totalResults=4)
    return page("ab", totalResults=4, nextCursor="next")


@pytest.mark.parametrize(
    ("paging", "ids"),
    [pytest.param(None, "abcd", id="as its answers show: a cursor"), pytest.param("index", "abxy", id="index")],
)
def test_cursors_are_followed_unless_lists_go_on_by_index(paging: Paging | None, ids: str) -> None:
    assert read(both, paging)[0] == ids


def test_a_list_by_index_whose_index_is_ignored_is_not_asked_for_cursors() -> None:
    def answer(request: Request) -> Reply:
        return page("ab", totalResults=4)

    assert read(answer, "index") == (
        "ab",
        "the endpoint lists 2 of 4 users",
        ["startIndex=1&count=2", "startIndex=3&count=2"],
    )
    assert read(answer, None)[2][-1] == "cursor=&count=2"


def by_cursor(request: Request) -> Reply:
    """Answer as AWS IAM Identity Center does: no totals, no startIndex, cursors that need encoding."""
    if "startIndex" in request.query:
        return error(400, "startIndex is not supported")
    pages = {"": page("ab", nextCursor="a+/=:2"), "a+/=:2": page("cd", nextCursor="&c"), "&c": page("e")}
    return pages[request.query.get("cursor", "")]


def test_a_list_by_cursor_begins_with_an_empty_one_and_ends_without() -> None:
    assert read(by_cursor, "cursor") == (
        "abcde",
        "",
        ["cursor=&count=2", "cursor=a%2B%2F%3D%3A2&count=2", "cursor=%26c&count=2"],
    )


def test_a_list_by_cursor_that_ends_early_is_doubted_by_its_total() -> None:
    assert read(lambda _: page("ab", totalResults=3), "cursor") == (
        "ab",
        "the endpoint lists 2 of 3 users",
        ["cursor=&count=2"],
    )


@pytest.mark.parametrize(
    ("more", "doubt"),
    [
        ({}, ""),
        ({"totalResults": 2}, ""),
        ({"totalResults": 3}, "the endpoint lists 2 of 3 users"),
        ({"totalResults": 2, "nextCursor": "next"}, ""),
    ],
)
def test_a_list_on_one_page_is_asked_for_once_and_doubted_only_by_its_total(more: Json, doubt: str) -> None:
    assert read(lambda _: page("ab", **more), "single") == ("ab", doubt, ["startIndex=1&count=2"])


@pytest.mark.parametrize(("size", "asked"), [(2, "2"), (100, "100")])
def test_pages_are_as_large_as_the_profile_says(size: int, asked: str) -> None:
    async def question(client: Any) -> None:
        listing = Listing(client.transport, "Users", client.profile)
        async for _ in listing.pages():
            pass

    with Server(lambda _: page("", totalResults=0)) as server:
        ask_as(replace(PROFILE, page_size=size), server.url, question)
        ask_as(replace(PROFILE, page_size=size, paging="cursor"), server.url, question)
    assert [request.query["count"] for request in server.requests] == [asked, asked]


def test_every_page_is_asked_with_the_same_question() -> None:
    query = {"filter": 'groups.value eq "g+1"', "excludedAttributes": "members"}
    encoded = "filter=groups.value%20eq%20%22g%2B1%22&excludedAttributes=members"
    assert read(by_cursor, "cursor", query)[2] == [
        f"{encoded}&cursor=&count=2",
        f"{encoded}&cursor=a%2B%2F%3D%3A2&count=2",
        f"{encoded}&cursor=%26c&count=2",
    ]
    assert read(lambda _: page("", totalResults=0), None, query)[2] == [f"{encoded}&startIndex=1&count=2"]


# -- members, by a filter over users -------------------------------------------------------------------


def members(answer: Callable[[Request], Reply], group: str = "g1") -> tuple[list[str], str, list[str]]:
    """Return the members of a group, the doubt, and the filters that were sent."""
    with Server(answer) as server:
        profile = replace(PROFILES["aws-identity-center"], page_size=2)
        ids, doubt = ask_as(profile, server.url, lambda client: client.members_by_filter(group))
        return ids, doubt, [request.query["filter"] for request in server.requests]


def test_members_are_the_users_whom_a_filter_by_group_finds_on_all_pages() -> None:
    assert members(by_cursor) == (["a", "b", "c", "d", "e"], "", ['groups.value eq "g1"'] * 3)


def test_a_groups_id_can_not_end_the_filter() -> None:
    assert members(lambda _: page(""), 'g"1\\')[2] == ['groups.value eq "g\\"1\\\\"']


def test_members_that_are_not_all_there_are_doubted() -> None:
    assert members(lambda _: page("ab", totalResults=3))[:2] == (["a", "b"], "the endpoint lists 2 of 3 users")


def test_ids_that_are_numbers_are_their_digits() -> None:
    assert members(lambda _: Reply(200, {"Resources": [{"id": 17}]}))[0] == ["17"]


@pytest.mark.parametrize(
    ("groups", "doubted"),
    [
        ([{"value": "g2"}], True),
        ([{"value": "g2"}, {"value": "g1"}], False),
        ([], False),
        (None, False),
    ],
)
def test_who_is_shown_in_other_groups_alone_was_not_asked_for(groups: Json, doubted: bool) -> None:
    found = members(lambda _: Reply(200, {"Resources": [{"id": "a", "groups": groups}, {"id": "b"}]}))
    doubt = "the endpoint lists users who are not in the group that was asked for"
    assert found[:2] == (["a", "b"], doubt if doubted else "")


@pytest.mark.parametrize("reply", [error(400, "no such filter", "invalidFilter"), Reply(200, {}), error(404)])
def test_a_refusal_to_say_who_is_a_member_is_no_empty_group(reply: Reply) -> None:
    with pytest.raises(ScimError):
        members(lambda _: reply)


@pytest.mark.parametrize(("total", "doubted"), [(1, False), (2, True)])
def test_groups_are_listed_without_their_members(total: int, doubted: bool) -> None:
    groups = [{"id": "g1", "displayName": "a"}]
    with Server(lambda _: Reply(200, {"Resources": groups, "totalResults": total})) as server:
        found, doubt = ask_as(PROFILE, server.url, lambda client: client.listed(Kind.GROUP))
    assert [each.id for each in found] == ["g1"]
    assert bool(doubt) is doubted
    assert server.requests[0].target == "/scim/v2/Groups?excludedAttributes=members&startIndex=1&count=2"
