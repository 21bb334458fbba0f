"""Lists as endpoints give them: honest, short, repeated, refused, endless. Every page by hand, over a real socket."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

import pytest

from syncd.errors import ScimError, TargetRefused, TargetUnusable
from syncd.scim import listing
from syncd.scim.client import Client
from syncd.scim.listing import Listing
from syncd.scim.profiles import Profile
from tests.endpoints import LIST, Reply, Request, Server, error
from tests.scim.asking import ask

Json = Any
Answer = Callable[[Request], Reply]
PAGE = 2


def page(ids: Sequence[Json], total: Json = None, cursor: str | None = None, **more: Json) -> Reply:
    """Return a list response; without totalResults or nextCursor unless they are given."""
    body = {"schemas": [LIST], "Resources": [{"id": id_, "userName": f"n{id_}"} for id_ in ids], **more}
    if total is not None:
        body["totalResults"] = total
    if cursor is not None:
        body["nextCursor"] = cursor
    return Reply(200, body)


def indexed(ids: Sequence[str], total: Json = None, *, most: int = PAGE) -> Answer:
    """Return an endpoint that pages as RFC 7644 section 3.4.2.4 has it, with at most so many on a page."""

    def answer(request: Request) -> Reply:
        start = int(request.query["startIndex"]) - 1
        return page(ids[start : start + min(most, int(request.query["count"]))], len(ids) if total is None else total)

    return answer


def in_turn(*replies: Reply) -> Answer:
    """Return an endpoint that gives these answers, one after the other."""
    left = list(replies)
    return lambda _: left.pop(0)


def read(server: Server, page_size: int = PAGE, endpoint: str = "Users") -> tuple[list[str], str]:
    """Return the ids that a listing yields, as they came, and its doubt."""

    async def question(client: Client) -> tuple[list[str], str]:
        reading = Listing(client.transport, endpoint, Profile("test", page_size=page_size))
        ids = [str(body["id"]) async for page in reading.pages() for body in page]
        return ids, reading.doubt

    return ask(server.url, question)


def listed(answer: Answer, page_size: int = PAGE) -> tuple[list[str], str, list[dict[str, str]]]:
    """Return ids, doubt and the queries that were asked."""
    with Server(answer) as server:
        ids, doubt = read(server, page_size)
        return ids, doubt, [request.query for request in server.requests]


def starts(queries: list[dict[str, str]]) -> list[str]:
    return [query["startIndex"] for query in queries]


# -- by index ----------------------------------------------------------------------------------------


def test_pages_follow_each_other_until_all_that_was_announced_is_there() -> None:
    ids, doubt, queries = listed(indexed(["a", "b", "c", "d", "e"]))
    assert (ids, doubt) == (["a", "b", "c", "d", "e"], "")
    assert queries == [{"startIndex": str(start), "count": "2"} for start in (1, 3, 5)]


def test_nobody_is_a_complete_list() -> None:
    assert listed(indexed([])) == ([], "", [{"startIndex": "1", "count": "2"}])


def test_a_server_may_give_fewer_than_asked_for_and_the_index_goes_on_by_what_came() -> None:
    ids, doubt, queries = listed(indexed(["a", "b", "c"], most=1), page_size=50)
    assert (ids, doubt, starts(queries)) == (["a", "b", "c"], "", ["1", "2", "3"])


@pytest.mark.parametrize("total", ["3", 3])
def test_a_total_may_be_text(total: Json) -> None:
    ids, doubt, queries = listed(indexed(["a", "b", "c"], total))
    assert (ids, doubt, len(queries)) == (["a", "b", "c"], "", 2)


def test_numbers_as_ids_are_their_digits() -> None:
    assert listed(lambda _: page([7, 8], 2), page_size=50)[:2] == (["7", "8"], "")


def test_names_of_members_come_in_any_case_and_resources_may_be_missing() -> None:
    body = {"totalresults": 1, "resources": [{"ID": "a"}]}

    async def question(client: Client) -> list[Json]:
        return [
            body
            async for page in Listing(client.transport, "Users", Profile("test", page_size=50)).pages()
            for body in page
        ]

    with Server(lambda _: Reply(200, body)) as server:
        assert ask(server.url, question) == [{"ID": "a"}]
    assert listed(lambda _: Reply(200, {"totalResults": 0}))[:2] == ([], "")
    assert listed(lambda _: Reply(200, {"totalResults": 3}))[:2] == ([], "the endpoint lists 0 of 3 users")


def test_a_repeated_row_is_one_resource_and_the_one_it_displaced_is_missed() -> None:
    ids, doubt, _ = listed(in_turn(page(["a", "b"], 4), page(["b", "c"], 4), page([], 4)))
    assert (ids, doubt) == (["a", "b", "c"], "the endpoint lists 3 of 4 users")


def test_a_start_index_that_is_ignored_ends_the_list_in_doubt() -> None:
    ids, doubt, queries = listed(lambda _: page(["a", "b"], 5))
    assert (ids, doubt) == (["a", "b"], "the endpoint lists 2 of 5 users")
    assert [query.get("startIndex") for query in queries] == ["1", "3", None]


def test_a_first_page_that_comes_again_past_the_end_adds_nothing() -> None:
    def answer(request: Request) -> Reply:
        return page({"1": ["a", "b"], "3": ["c"]}.get(request.query.get("startIndex", ""), ["a", "b"]))

    assert listed(answer)[:2] == (["a", "b", "c"], "the endpoint gives the same 3 users again and again")


def test_a_list_without_a_total_ends_with_an_empty_page() -> None:
    ids, doubt, queries = listed(in_turn(page(["a", "b"]), page(["c"]), page([])))
    assert (ids, doubt, starts(queries)) == (["a", "b", "c"], "", ["1", "3", "4"])


def test_one_that_gives_everything_at_once_is_asked_once() -> None:
    ids, doubt, queries = listed(lambda _: page(["a", "b", "c"], 3))
    assert (ids, doubt, len(queries)) == (["a", "b", "c"], "", 1)


def test_a_total_that_is_too_large_is_a_doubt() -> None:
    ids, doubt, _ = listed(indexed(["a", "b", "c"], 1000))
    assert (ids, doubt) == (["a", "b", "c"], "the endpoint lists 3 of 1,000 users")


def test_a_total_that_is_the_pages_own_number_hides_nobody() -> None:
    def answer(request: Request) -> Reply:
        start = int(request.query["startIndex"]) - 1
        ids = ["a", "b", "c", "d"][start : start + 2]
        return page(ids, len(ids) or 2)

    assert listed(answer)[:2] == (["a", "b", "c", "d"], "")


@pytest.mark.parametrize("total", [0, 1, 2])
def test_a_total_that_is_too_small_hides_nobody(total: int) -> None:
    assert listed(indexed(["a", "b", "c", "d"], total))[:2] == (["a", "b", "c", "d"], "")


def test_a_total_that_was_passed_is_not_to_be_believed() -> None:
    everybody = ["a", "b", "c", "d"]
    ids, doubt, queries = listed(indexed(everybody, 1, most=3), page_size=50)
    assert (ids, doubt, starts(queries)) == (everybody, "", ["1", "4", "5"])


def test_one_that_fails_when_asked_for_more_than_it_announced_is_complete() -> None:
    ids, doubt, queries = listed(in_turn(page(["a", "b"], 2), error(400, "startIndex is out of range")))
    assert (ids, doubt, starts(queries)) == (["a", "b"], "", ["1", "3"])


def test_a_total_that_changes_while_paging_is_a_doubt_even_where_it_fits() -> None:
    # Of a, b, c, d the first one goes after page 1: c moves to where page 1 was, and nobody sees it.
    ids, doubt, _ = listed(in_turn(page(["a", "b"], 4), page(["d"], 3)))
    assert (ids, doubt) == (["a", "b", "d"], "the endpoint's number of users changed from 4 while they were read")


@pytest.mark.parametrize("total", ["many", -1, 2.5, True, "9" * 5000, [3]])
def test_a_total_that_is_none_is_passed_over(total: Json) -> None:
    ids, doubt, _ = listed(in_turn(page(["a", "b"], total), page(["c"], total), page([], total)))
    assert (ids, doubt) == (["a", "b", "c"], "")


def test_items_per_page_says_nothing() -> None:
    ids, doubt, queries = listed(in_turn(page(["a"], 2, itemsPerPage=1000), page(["b"], 2, itemsPerPage="x")))
    assert (ids, doubt, starts(queries)) == (["a", "b"], "", ["1", "2"])


@pytest.mark.parametrize("bad", [None, "", {"x": 1}, True])
def test_a_resource_without_an_id_is_a_doubt(bad: Json) -> None:
    assert listed(lambda _: page(["a", bad], 2), page_size=50)[0] == ["a"]
    ids, doubt, _ = listed(in_turn(page(["a", bad]), page([])), page_size=50)
    assert (ids, doubt) == (["a"], "the endpoint lists users without an id")


def test_a_resource_that_is_no_object_is_a_doubt() -> None:
    replies = [Reply(200, {"Resources": ["a", None, {"id": "b"}]}), Reply(200, {"Resources": []})]
    assert listed(in_turn(*replies), page_size=50)[:2] == (["b"], "the endpoint lists users without an id")


# -- what is refused ---------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [400, 500, 501])
def test_a_count_that_is_refused_is_left_out(status: int) -> None:
    def answer(request: Request) -> Reply:
        if "count" in request.query:
            return error(status)
        return page({"1": ["a", "b"], "3": ["c"]}[request.query["startIndex"]], 3)

    ids, doubt, queries = listed(answer)
    assert (ids, doubt) == (["a", "b", "c"], "")
    assert queries == [{"startIndex": "1", "count": "2"}, {"startIndex": "1"}, {"startIndex": "3"}]


def test_a_start_index_that_is_refused_is_left_out() -> None:
    def answer(request: Request) -> Reply:
        if "startIndex" in request.query:
            return error(400)
        return page(["b"], 2) if request.query.get("cursor") == "x" else page(["a"], 2, "x")

    ids, doubt, queries = listed(answer)
    assert (ids, doubt, queries[2:]) == (["a", "b"], "", [{}, {"cursor": "x"}])


@pytest.mark.parametrize("failure", [error(500), error(400), error(400, "", "invalidCursor"), error(404)])
def test_a_failure_in_the_middle_is_no_end(failure: Reply) -> None:
    with pytest.raises(ScimError) as caught:
        listed(in_turn(page(["a", "b"], 3), failure))
    assert caught.value.status == failure.status


@pytest.mark.parametrize("failure", [error(429), error(502), error(503), error(504)])
def test_a_page_that_is_not_ready_is_asked_for_again(failure: Reply) -> None:
    ids, doubt, _ = listed(in_turn(page(["a", "b"], 3), failure, failure, page(["c"], 3)))
    assert (ids, doubt) == (["a", "b", "c"], "")


def test_a_failure_at_the_beginning_is_no_empty_list() -> None:
    for failure in (error(404), error(500)):
        with pytest.raises(ScimError, match=str(failure.status)):
            listed(in_turn(*[failure] * 3))


def test_a_token_that_is_refused_in_the_middle_concerns_the_target() -> None:
    with pytest.raises(TargetRefused):
        listed(in_turn(page(["a", "b"], 3), error(401)))


@pytest.mark.parametrize("body", [[], {}, "text", 7, None, {"Resources": {"id": "a"}}, {"detail": "not now"}])
def test_an_answer_that_is_no_list_is_no_empty_list(body: Json) -> None:
    with pytest.raises(ScimError, match="no list of SCIM resources"):
        listed(lambda _: Reply(200, body))


def test_a_page_cut_short_is_no_end() -> None:
    whole = page(["a", "b"], 4).content
    with pytest.raises(ScimError):
        listed(in_turn(page(["a", "b"], 4), Reply(200, whole[:-20])))


def test_a_web_page_is_no_list() -> None:
    html = Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
    with pytest.raises(TargetUnusable):
        listed(in_turn(page(["a", "b"], 4), html))


# -- by cursor (RFC 9865) ----------------------------------------------------------------------------


def test_cursors_are_followed_to_the_page_without_one() -> None:
    ids, doubt, queries = listed(in_turn(page(["a"], cursor="x"), page(["b"], cursor="y"), page(["c"])))
    assert (ids, doubt) == (["a", "b", "c"], "")
    assert queries == [
        {"startIndex": "1", "count": "2"},
        {"cursor": "x", "count": "2"},
        {"cursor": "y", "count": "2"},
    ]


def test_a_cursor_is_percent_encoded_whatever_it_holds() -> None:
    cursor = "a+b/c==&count=1 é#?"
    with Server(in_turn(page(["a"], cursor=cursor), page(["b"]))) as server:
        assert read(server) == (["a", "b"], "")
    target = server.requests[1].target
    assert "cursor=a%2Bb%2Fc%3D%3D%26count%3D1%20%C3%A9%23%3F&" in target
    assert server.requests[1].query["cursor"] == cursor


def test_a_page_with_a_cursor_and_nobody_on_it_is_not_the_last() -> None:
    ids, doubt, _ = listed(in_turn(page([], cursor="x"), page(["a"], cursor="y"), page([], cursor="z"), page(["b"])))
    assert (ids, doubt) == (["a", "b"], "")


def test_a_null_or_empty_cursor_is_the_end() -> None:
    for last in ({"nextCursor": None}, {"nextCursor": ""}):
        ids, doubt, queries = listed(in_turn(page(["a"], cursor="x"), page(["b"], **last)))
        assert (ids, doubt, len(queries)) == (["a", "b"], "", 2)


def test_a_total_counts_with_cursors_too() -> None:
    ids, doubt, _ = listed(in_turn(page(["a"], 3, "x"), page(["b"], 3)))
    assert (ids, doubt) == (["a", "b"], "the endpoint lists 2 of 3 users")


@pytest.mark.parametrize("scim_type", ["invalidCursor", "expiredCursor", "invalidCount"])
def test_a_cursor_that_is_lost_makes_the_list_incomplete(scim_type: str) -> None:
    ids, doubt, _ = listed(in_turn(page(["a"], cursor="x"), error(400, "", scim_type)))
    assert (ids, doubt) == (["a"], "the endpoint lost its place in the list of users after 1")


def test_another_failure_on_a_cursor_is_no_end() -> None:
    for failure in (error(400), error(500)):
        with pytest.raises(ScimError):
            listed(in_turn(page(["a"], 1, "x"), failure))


def on_demand(ids: Sequence[str], total: Json = None) -> Answer:
    """Return an endpoint that pages by cursors alone, and only where it is asked for them (AWS IAM Identity Center)."""

    def answer(request: Request) -> Reply:
        if "cursor=" not in request.target:
            return page(ids[: PAGE - 1], total)
        start = int(request.query.get("cursor", "0"))
        following = str(start + PAGE) if start + PAGE < len(ids) else None
        return page(ids[start : start + PAGE], cursor=following)

    return answer


@pytest.mark.parametrize("total", [None, 5])
def test_where_the_start_index_is_ignored_cursors_are_asked_for(total: Json) -> None:
    ids, doubt, queries = listed(on_demand("abcde", total))
    assert (ids, doubt) == (["a", "b", "c", "d", "e"], "")
    assert queries[2:] == [{"count": "2"}, {"cursor": "2", "count": "2"}, {"cursor": "4", "count": "2"}]


def test_cursors_are_not_asked_for_where_the_list_is_whole_or_the_index_goes_on() -> None:
    with Server(on_demand("a", 1)) as server:
        assert read(server) == (["a"], "")
    assert len(server.requests) == 1
    ids, doubt, queries = listed(lambda _: page(["a", "b"], 2))
    assert (ids, doubt, starts(queries)) == (["a", "b"], "", ["1", "3"])
    assert starts(listed(indexed("abc", 5))[2]) == ["1", "3", "4"]


@pytest.mark.parametrize("refusal", [error(400, "", "invalidCursor"), error(501), page(["a", "b"], 5)])
def test_an_endpoint_without_cursors_leaves_the_doubt(refusal: Reply) -> None:
    ids, doubt, queries = listed(lambda request: refusal if "cursor=" in request.target else page(["a", "b"], 5))
    assert (ids, doubt, len(queries)) == (["a", "b"], "the endpoint lists 2 of 5 users", 3)


def test_cursors_on_demand_that_are_lost_leave_a_doubt() -> None:
    answer = on_demand("abcde")
    lost = error(400, "", "expiredCursor")
    ids, doubt, _ = listed(lambda request: lost if request.query.get("cursor") == "4" else answer(request))
    assert (ids, doubt) == (["a", "b", "c", "d"], "the endpoint lost its place in the list of users after 4")


def test_cursors_that_lead_in_a_circle_end() -> None:
    pages = {None: page(["a"], cursor="x"), "x": page(["b"], cursor="y"), "y": page(["c"], cursor="x")}
    ids, doubt, queries = listed(lambda request: pages[request.query.get("cursor")])
    assert (ids, doubt, len(queries)) == (["a", "b", "c"], "the endpoint gives the same 3 users again and again", 3)


def test_a_cursor_that_is_ignored_ends_the_list() -> None:
    numbers = iter(range(10))
    ids, doubt, queries = listed(lambda _: page(["a", "b"], cursor=str(next(numbers))))
    assert (ids, doubt, len(queries)) == (["a", "b"], "the endpoint gives the same 2 users again and again", 2)


def test_cursors_without_end_and_with_nobody_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_EMPTY_PAGES", 4)
    numbers = iter(range(10))
    ids, doubt, queries = listed(lambda _: page([], cursor=str(next(numbers))))
    assert (ids, doubt, len(queries)) == ([], "the list has no end: 0 users were read", 5)


def test_an_endless_list_ends(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(listing, "_MOST_RESOURCES", 5)

    def answer(request: Request) -> Reply:
        start = int(request.query["startIndex"])
        return page([str(start), str(start + 1)])

    ids, doubt, _ = listed(answer)
    assert (ids, doubt) == (["1", "2", "3", "4", "5", "6"], "the list has no end: 6 users were read")


def test_a_doubt_names_what_is_listed() -> None:
    with Server(lambda _: page(["a", "b"], 5)) as server:
        assert read(server, endpoint="Groups") == (["a", "b"], "the endpoint lists 2 of 5 groups")
    assert [str(request) for request in server.requests] == ["GET /scim/v2/Groups"] * 3
