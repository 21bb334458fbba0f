"""A 401 is about the token; a 403 is about one resource while other requests are answered, else about the token."""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from typing import Any

import pytest

from syncd.errors import ScimError, TargetFailing, TargetRefused
from tests.endpoints import Reply, Request, Server, error
from tests.scim.test_patience import BROKEN, GOOD, SORTS, talk

NO = error(403, "the owner stays", "mutability")


def refusing(probe: Callable[[int], Reply]) -> Callable[[Request], Reply]:
    """Refuse everything but the list of users, which is answered with what `probe` returns for its number."""
    probes: list[Request] = []

    def answer(request: Request) -> Reply:
        if (request.method, request.path) != ("GET", "/scim/v2/Users"):
            return NO
        probes.append(request)
        return probe(len(probes))

    return answer


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("answer", [GOOD, error(404), error(500), Reply(302, None, {"Location": "/"})])
def test_a_403_is_about_the_resource_while_another_read_is_answered(sort: str, answer: Reply) -> None:
    with Server(refusing(lambda _: answer)) as server:
        fault, transport = talk(server.url, SORTS[sort])
    assert type(fault) is ScimError
    assert (fault.status, fault.detail, fault.scim_type) == (403, "the owner stays", "mutability")
    assert server.requests[1].query == {"startIndex": "1", "count": "1"}
    assert (len(server.requests), transport.traffic.requests) == (2, 2)


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("status", [401, 403])
def test_a_403_is_about_the_token_where_reads_are_refused_as_well(sort: str, status: int) -> None:
    with Server(refusing(lambda _: error(status, "revoked"))) as server:
        fault, _ = talk(server.url, SORTS[sort])
    assert isinstance(fault, TargetRefused)
    assert (fault.status, fault.problem) == (401, "refuses the token (403: the owner stays)")


def test_a_401_is_about_the_token_and_nothing_is_asked_besides() -> None:
    with Server(lambda request: GOOD if request.method == "GET" else error(401)) as server:
        fault, _ = talk(server.url, SORTS["POST"])
    assert isinstance(fault, TargetRefused)
    assert server.log() == ["POST /Users"]


def test_a_token_that_is_revoked_in_between_is_noticed() -> None:
    with Server(refusing(lambda number: GOOD if number == 1 else error(401))) as server:

        async def twice(transport: Any) -> list[BaseException | Any]:
            return [
                *await asyncio.gather(SORTS["POST"](transport), return_exceptions=True),
                *await asyncio.gather(SORTS["POST"](transport), return_exceptions=True),
            ]

        faults, _ = talk(server.url, twice)
    assert [type(fault) for fault in faults] == [ScimError, TargetRefused]


def test_a_probe_that_comes_too_fast_is_sent_again() -> None:
    too_fast = Reply(429, None, {"Retry-After": "7"})
    with Server(refusing(lambda number: too_fast if number == 1 else GOOD)) as server:
        fault, transport = talk(server.url, SORTS["PATCH"])
    assert type(fault) is ScimError
    assert transport.noting.pauses == [7]
    assert server.log() == ["PATCH /Users/u1", "GET /Users", "GET /Users"]


@pytest.mark.parametrize("answer", [error(503), BROKEN])
def test_where_nothing_else_is_answered_the_target_is_to_blame_and_not_the_resource(answer: Reply) -> None:
    with Server(refusing(lambda _: answer)) as server:
        fault, _ = talk(server.url, SORTS["POST"])
    assert isinstance(fault, TargetFailing)


def test_refusals_at_the_same_time_share_probes() -> None:
    """The first asks; all who come while it waits share one more (or its own, where the clock didn't move)."""
    refused = ScimError(403, "the owner stays", "mutability")
    with Server(refusing(lambda _: GOOD)) as server:

        async def many(transport: Any) -> list[BaseException | Any]:
            return [*await asyncio.gather(*(transport.refusal(refused) for _ in range(8)))]

        faults, _ = talk(server.url, many)
    assert faults == [refused] * 8
    assert set(server.log()) == {"GET /Users"}
    assert 1 <= len(server.requests) <= 2
