"""Rate limits in the forms in which endpoints tell them: a pause, never an error of what was asked for."""

from __future__ import annotations

from datetime import UTC, datetime

import httpx
import pytest
from hypothesis import example, given
from hypothesis import strategies as st

from syncd.errors import ScimError, TargetFailing, TargetRefused
from syncd.scim.throttling import is_rate_limit, pause_asked_for, retry_after
from tests.endpoints import Reply, Request, Server
from tests.scim.test_patience import GOOD, SORTS, in_turn, talk

# -- Retry-After ---------------------------------------------------------------------------------------

NOON = datetime(2026, 11, 23, 12, tzinfo=UTC)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("120", 120),
        ("0", 0),
        (" 7 ", 7),
        ("1.5", 1.5),
        ("Mon, 23 Nov 2026 12:00:30 GMT", 30),
        ("Mon, 23 Nov 2026 13:00:30 +0100", 30),
        ("Monday, 23-Nov-26 12:00:30 GMT", 30),  # RFC 9110 section 5.6.7: obsolete, and to be understood
        ("Mon Nov 23 12:00:30 2026", 30),
        ("Mon, 23 Nov 2026 11:59:59 GMT", 0),
        ("Mon, 01 Jan 0001 00:00:00 GMT", 0),
        ("2026-11-23T12:00:30Z", 30),
        ("2026-11-23T12:00:30", 30),
        ("1795435230", 30),  # seconds since 1970
        ("1795435230.5", 30.5),
        ("1795435230500", 30.5),  # milliseconds
        ("1795435199", 0),
        ("999999999", 999_999_999),
        ("-5", None),
        ("", None),
        (".", None),
        ("soon", None),
        ("30 s", None),
        ("1e3", None),
        ("inf", None),
        ("nan", None),
        ("1.5.2", None),
        ("１２", None),
        ("Mon, 99 Nov 2026 12:00:30 GMT", None),
        ("Mon, 23 Nov 99999999999 12:00:30 GMT", None),
    ],
)
def test_retry_after_is_seconds_or_a_date_and_anything_else_says_nothing(text: str, seconds: float | None) -> None:
    assert retry_after(text, NOON) == seconds


def test_more_seconds_than_there_are_is_longer_than_anybody_waits() -> None:
    assert retry_after("9" * 400, NOON) == float("inf")


@given(
    st.text()
    | st.from_regex(r"[0-9.+-]{0,30}", fullmatch=True)
    | st.from_regex(r"\AMon, [0-9]{1,12} Nov [0-9]{1,12} [0-9]{1,12}:[0-9]{1,12}:[0-9]{1,12} ([+-][0-9]{1,9}|GMT)\Z")
)
@example("Mon, 23 Nov 2026 " + "9" * 5000 + ":00:30 GMT")
def test_no_text_of_an_endpoint_breaks_off_a_run(text: str) -> None:
    seconds = retry_after(text, NOON)
    assert seconds is None or seconds >= 0


# -- the headers ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("headers", "seconds"),
    [
        ({"Retry-After": "7"}, 7),
        ({"retry-after": "7", "ratelimit-reset": "90"}, 7),
        ({"Retry-After": "soon", "RateLimit-Reset": "9"}, 9),
        ({"RateLimit-Reset": "5"}, 5),
        ({"RATELIMIT-RESET": "1795435230"}, 30),
        ({"X-RateLimit-Reset": "1795435230"}, 30),
        ({"x-ratelimit-reset": "1795435230000"}, 30),
        ({"X-Rate-Limit-Reset": "1795435230"}, 30),
        ({"X-RateLimit-Reset": "2026-11-23T12:00:30Z"}, 30),
        ({"X-RateLimit-Reset": "5", "X-RateLimit-Remaining": "0"}, 5),
        ({"X-RateLimit-Reset": "5", "X-RateLimit-Remaining": "12"}, None),
        ({"RateLimit": "limit=100, remaining=0, reset=5"}, 5),
        ({"ratelimit": "limit=100,reset=5,remaining=0"}, 5),
        ({"RateLimit": "limit=100, remaining=12, reset=5"}, None),
        ({"RateLimit": '"default";r=0;t=5'}, 5),
        ({"RateLimit": '"burst";r=9;t=900, "daily";r=0;t=30'}, 30),
        ({"RateLimit": '"burst";r=9;t=900'}, None),
        ({"RateLimit-Remaining": "0"}, None),
        ({"X-RateLimit-Reset": "soon"}, None),
        ({}, None),
    ],
)
@pytest.mark.parametrize("status", [403, 429, 503])
def test_a_pause_is_told_in_many_forms(status: int, headers: dict[str, str], seconds: float | None) -> None:
    assert pause_asked_for(status, httpx.Headers(headers), NOON) == seconds


@pytest.mark.parametrize("status", [502, 504])
def test_a_reset_in_an_answer_about_something_else_is_no_pause(status: int) -> None:
    assert pause_asked_for(status, httpx.Headers({"RateLimit-Reset": "5"}), NOON) is None
    assert pause_asked_for(status, httpx.Headers({"RateLimit-Reset": "5", "Retry-After": "2"}), NOON) == 2


@pytest.mark.parametrize(
    ("status", "headers", "body", "expected"),
    [
        (429, {}, b"", True),
        (403, {"Retry-After": "7"}, b"", True),
        (403, {"Retry-After": "soon"}, b"", False),
        (403, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "1795435230"}, b"", True),
        (403, {"X-RateLimit-Remaining": "7", "X-RateLimit-Reset": "1795435230"}, b"rate limit", False),
        (403, {"RateLimit": "limit=9, remaining=0, reset=5"}, b"", True),
        (403, {"RateLimit": '"default";r=0;t=5'}, b"", True),
        (403, {"RateLimit-Reset": "5"}, b'{"detail": "API Rate Limit exceeded"}', True),
        (403, {"RateLimit-Reset": "5"}, b"<title>Too many requests</title>", True),
        (403, {"RateLimit-Reset": "5"}, b'{"detail": "you are not allowed to"}', False),
        (403, {"X-RateLimit-Remaining": "0"}, b"rate limit", False),
        (403, {}, b"API rate limit exceeded", False),
        (401, {"Retry-After": "7"}, b"", False),
        (503, {"Retry-After": "7"}, b"", False),
    ],
)
def test_a_403_is_a_rate_limit_only_where_a_header_says_so(
    status: int, headers: dict[str, str], body: bytes, expected: bool
) -> None:
    assert is_rate_limit(status, httpx.Headers(headers), body, NOON) is expected


@given(st.text() | st.from_regex(r"[rtelimnasg=;,\"0-9 -]{0,60}", fullmatch=True))
def test_no_header_breaks_off_a_run(text: str) -> None:
    for name in ("RateLimit", "RateLimit-Reset", "X-RateLimit-Remaining"):
        headers = {"X-RateLimit-Reset": "5", name: text}
        seconds = pause_asked_for(429, headers, NOON)
        assert seconds is None or seconds >= 0
        assert isinstance(is_rate_limit(403, headers, b"", NOON), bool)


# -- over the wire -------------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize(
    ("status", "headers"),
    [
        (403, {"Retry-After": "7"}),
        (403, {"x-ratelimit-remaining": "0", "x-ratelimit-reset": "7"}),
        (429, {"RateLimit-Reset": "7"}),
        (429, {"RateLimit": "limit=5, remaining=0, reset=7"}),
    ],
)
def test_a_rate_limit_is_waited_for_whatever_was_asked_for(sort: str, status: int, headers: dict[str, str]) -> None:
    with Server(in_turn(Reply(status, None, headers), GOOD)) as server:
        answer, transport = talk(server.url, SORTS[sort])
    assert answer.status == 200
    assert transport.noting.pauses == [7]
    assert transport.pace.window.limit < 8, "fewer at a time"
    assert transport.answers[server.requests[0].method, status] == 1, "counted as it came"


def test_a_rate_limit_that_lasts_too_long_leaves_the_target_alone_and_blames_no_token() -> None:
    reply = Reply(403, None, {"X-RateLimit-Remaining": "0", "X-RateLimit-Reset": "301"})
    with Server(lambda _: reply) as server:
        fault, transport = talk(server.url, SORTS["POST"])
    assert isinstance(fault, TargetFailing)
    assert "asks to be left alone for 301 s" in str(fault)
    assert transport.traffic.requests == 1


def test_one_that_is_always_too_fast_is_given_up_as_such_and_not_as_refused() -> None:
    def answer(request: Request) -> Reply:
        return GOOD if request.method == "GET" else Reply(403, None, {"Retry-After": "0"})

    with Server(answer) as server:
        fault, _ = talk(server.url, SORTS["PATCH"])
    assert not isinstance(fault, TargetRefused)
    assert isinstance(fault, ScimError)
    assert fault.status == 429, "no refusal for good"
