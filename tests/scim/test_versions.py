"""Versions of resources: conditional writes, and changes by others in between."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.core.model import Kind
from syncd.errors import ScimError
from syncd.scim.client import Client
from syncd.scim.profiles import Profile
from tests.endpoints import Endpoint, Reply, Request, Server, error
from tests.scim.asking import ask_as

Json = Any
PLAIN = Profile("plain", patch=True)


def title(client: Client) -> Any:
    return client.update(Kind.USER, "u1", {"title": "a"}, {"title": "b"}, {"title": "a"})


class Versioned(Endpoint):
    """Knows versions (RFC 7644 section 3.14), said in `meta`, in a header or nowhere.

    A version that has passed is answered 412; `demands` one: without any 412, or 428. `meddling`: so many times
    somebody else changes what is about to be written.
    """

    def __init__(self, *, said_in: str = "meta", demands: int = 0, meddling: int = 0) -> None:
        super().__init__()
        self.said_in, self.demands, self.meddling = said_in, demands, meddling
        self.users["u1"] = {"id": "u1", "userName": "ada@example.com", "title": "a"}
        self.number = 1

    @property
    def version(self) -> str:
        return f'W/"{self.number}"'

    def _route(self, request: Request) -> Reply:
        if request.method in ("PUT", "PATCH"):
            if self.meddling:
                self.meddling -= 1
                self.number += 1
                self.users["u1"]["nickName"] = f"theirs {self.number}"
            said = request.headers.get("if-match")
            if said is None and self.demands:
                return error(self.demands, "which version?")
            if said not in (None, self.version):
                return error(412, "another version is there")
        reply = super()._route(request)
        if request.method in ("PUT", "PATCH"):
            self.number += 1
        return Reply(reply.status, reply.body, {"ETag": self.version} if self.said_in == "header" else {})

    def _shown(self, resource: dict[str, Json]) -> dict[str, Json]:
        shown = super()._shown(resource)
        return {**shown, "meta": {"version": self.version}} if self.said_in == "meta" else shown


def versions(server: Server) -> list[str]:
    """Return the requests by method, with the version that they were meant for."""
    return [f"{each.method} {each.headers.get('if-match', '')}".strip() for each in server.requests]


@pytest.mark.parametrize("said_in", ["meta", "header"])
@pytest.mark.parametrize(
    ("said", "learnt", "put"),
    [
        (True, None, 'PUT W/"1"'),
        (True, False, 'PUT W/"1"'),
        (None, True, 'PUT W/"1"'),
        (None, False, "PUT"),
        (None, None, "PUT"),
        (False, True, "PUT"),
    ],
)
def test_a_put_says_which_version_it_replaces_where_the_endpoint_knows_versions(
    said_in: str, said: bool | None, learnt: bool | None, put: str
) -> None:
    with Versioned(said_in=said_in) as endpoint:
        ask_as(Profile("test", patch=False, etags=said), endpoint.url, title, etags=learnt)
        assert versions(endpoint) == ["GET", put]


def test_where_no_version_is_said_none_is_sent() -> None:
    with Versioned(said_in="nowhere") as endpoint:
        ask_as(Profile("test", patch=False, etags=True), endpoint.url, title)
        assert versions(endpoint) == ["GET", "PUT"]


@pytest.mark.parametrize("said_in", ["meta", "header"])
def test_whoever_changes_it_in_between_is_heard(said_in: str) -> None:
    with Versioned(said_in=said_in, meddling=2) as endpoint:
        ask_as(Profile("test", patch=False, etags=True), endpoint.url, title)
        assert versions(endpoint) == ["GET", 'PUT W/"1"', "GET", 'PUT W/"2"', "GET", 'PUT W/"3"']
        assert (endpoint.users["u1"]["title"], endpoint.users["u1"]["nickName"]) == ("b", "theirs 3")


def test_what_is_changed_again_and_again_is_left_to_the_next_run() -> None:
    with Versioned(meddling=9) as endpoint:
        with pytest.raises(ScimError, match="another version") as caught:
            ask_as(Profile("test", patch=False, etags=True), endpoint.url, title)
        assert caught.value.status == 412
        assert versions(endpoint) == ["GET", 'PUT W/"1"', "GET", 'PUT W/"2"', "GET", 'PUT W/"3"']
        assert endpoint.users["u1"]["title"] == "a"


@pytest.mark.parametrize("status", [412, 428])
@pytest.mark.parametrize("said_in", ["meta", "header"])
def test_an_endpoint_that_demands_a_version_gets_the_one_that_is_there(status: int, said_in: str) -> None:
    with Versioned(demands=status, said_in=said_in) as endpoint:
        ask_as(PLAIN, endpoint.url, title)
        assert versions(endpoint) == ["PATCH", "GET", 'PATCH W/"1"']
        assert endpoint.users["u1"]["title"] == "b"
    with Versioned(demands=status, said_in=said_in) as endpoint:
        ask_as(Profile("test", patch=False), endpoint.url, title)
        assert versions(endpoint) == ["GET", "PUT", "GET", 'PUT W/"1"']


def test_a_patch_is_sent_with_a_version_once() -> None:
    with Versioned(demands=412, meddling=9) as endpoint:
        with pytest.raises(ScimError, match="another version"):
            ask_as(PLAIN, endpoint.url, title)
        assert versions(endpoint) == ["PATCH", "GET", 'PATCH W/"2"']


def test_a_demand_for_a_version_that_nobody_says_is_a_refusal() -> None:
    with Versioned(demands=428, said_in="nowhere") as endpoint:
        with pytest.raises(ScimError, match="which version") as caught:
            ask_as(PLAIN, endpoint.url, title)
        assert caught.value.status == 428
        assert versions(endpoint) == ["PATCH", "GET"]
