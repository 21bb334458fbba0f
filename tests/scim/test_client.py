"""Requests of syncd to an endpoint, and the interpretation of real endpoints' answers."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.core.model import Flat, Kind
from syncd.errors import ScimError, TargetRefused
from syncd.scim.client import Client
from tests.endpoints import Endpoint, Reply, Server, error
from tests.scim.asking import ask

ADA: Flat = {"userName": "ada@example.com", "externalId": "1001", "active": True}
WORK = 'emails[type eq "work"]'


def find(endpoint: Server, attribute: str, value: str, *, exact: bool = False) -> list[str] | None:
    found = ask(endpoint.url, lambda client: client.find(Kind.USER, attribute, value, exact=exact))
    return None if found is None else [each.id for each in found]


# -- create ------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "location", "id_"),
    [
        ({"id": "u1"}, "https://x/scim/v2/Users/other", "u1"),
        ({"ID": "u1"}, "", "u1"),
        ({"id": 1234}, "", "1234"),
        ({"id": 0}, "", "0"),
        (None, "https://x/scim/v2/Users/u1", "u1"),
        (None, "/scim/v2/Users/u1/", "u1"),
        (None, "Users/u1", "u1"),
        (None, "https://x/scim/v2/users/a%2Fb%20c?x=1#y", "a/b c"),
        ({"id": ""}, "https://x/scim/v2/Users/u1", "u1"),
        ({"id": None}, "https://x/scim/v2/Users/u1", "u1"),
        ([], "https://x/scim/v2/Users/u1", "u1"),
    ],
)
def test_the_id_of_a_new_resource_is_in_the_body_or_in_location(body: Any, location: str, id_: str) -> None:
    with Server(lambda _: Reply(201, body, {"Location": location} if location else {})) as server:
        assert ask(server.url, lambda client: client.create(Kind.USER, ADA)).id == id_


@pytest.mark.parametrize(
    "location",
    ["", "https://x/scim/v2/Users", "https://x/scim/v2/Users/", "https://x/scim/v2/Groups/g1", "https://x/", "//["],
)
def test_without_an_id_a_create_is_an_error_with_the_status_of_success(location: str) -> None:
    with (
        Server(lambda _: Reply(201, None, {"Location": location} if location else {})) as server,
        pytest.raises(ScimError, match="neither body nor Location") as caught,
    ):
        ask(server.url, lambda client: client.create(Kind.USER, ADA))
    assert caught.value.status == 201


# -- find --------------------------------------------------------------------------------------------

HOSTILE = [
    'quo"te@example.com',
    "back\\slash@example.com",
    "plus+tag@example.com",
    "per%cent%22@example.com",
    "amp&equals=#hash@example.com",
    'x" or userName pr or userName eq "y',
    "ünïcode 名前 😀",
    "tab\tnew\nline",
    " leading and trailing ",
]


@pytest.mark.parametrize("name", HOSTILE)
def test_a_filter_finds_every_name_as_it_is(name: str) -> None:
    with Endpoint() as endpoint:
        id_ = endpoint.add_user(userName=name)
        endpoint.add_user(userName="somebody.else@example.com")
        assert find(endpoint, "userName", name) == [id_]


def test_a_filter_is_sent_as_rfc_7644_writes_it_with_blanks_everybody_reads() -> None:
    with Endpoint() as endpoint:
        find(endpoint, "userName", 'a"b\\c+d@example.com')
    (request,) = endpoint.requests
    assert request.query == {"filter": r'userName eq "a\"b\\c+d@example.com"', "startIndex": "1", "count": "10"}
    assert "filter=userName%20eq%20%22a%5C%22b%5C%5Cc%2Bd%40example.com%22" in request.target


@pytest.mark.parametrize(
    ("attribute", "value", "exact", "found"),
    [
        ("userName", "ADA@example.com", False, True),
        ("userName", "ada@example.co", False, False),
        ("externalId", "Key-1", True, True),
        ("externalId", "key-1", True, False),
    ],
)
def test_an_ignored_filter_finds_true_matches_only(attribute: str, value: str, exact: bool, found: bool) -> None:
    with Endpoint(filters="ignored") as endpoint:
        endpoint.add_user(userName="bob@example.com", externalId="Key-2")
        ada = endpoint.add_user(userName="ada@example.com", externalId="Key-1")
        endpoint.add_user(userName="eve@example.com")
        assert find(endpoint, attribute, value, exact=exact) == ([ada] if found else None)


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"totalResults": 0}),
        Reply(200, {"totalResults": "0", "Resources": None}),
        Reply(200, {"Resources": []}),
    ],
)
def test_no_match_is_no_match_however_the_endpoint_says_it(reply: Reply) -> None:
    with Server(lambda _: reply) as server:
        assert find(server, "userName", "ada@example.com") == []


@pytest.mark.parametrize(
    "reply",
    [
        Reply(200, {"Resources": {}}),
        Reply(200, {"totalResults": 1}),
        Reply(200, {"Resources": [None, 5, "x", {}, {"id": "u1"}, {"userName": "ada@example.com"}]}),
        Reply(200, {"Resources": [{"id": "", "userName": "ada@example.com"}]}),
        Reply(200, []),
        Reply(204),
        *[error(status, "no such filter") for status in (400, 404, 500, 501)],
    ],
)
def test_an_answer_that_does_not_say_who_matches_is_no_proof_that_nobody_does(reply: Reply) -> None:
    with Server(lambda _: reply) as server:
        assert find(server, "userName", "ada@example.com") is None


def test_a_match_is_one_in_any_spelling_of_names_and_ids_and_counts_once() -> None:
    ada = {"ID": 17, "username": "Ada@Example.com"}
    with Server(lambda _: Reply(200, {"resources": [ada, ada]})) as server:
        assert find(server, "userName", "ada@example.com") == ["17"]


@pytest.mark.parametrize("status", [402, 409, 410])
def test_any_other_refusal_to_look_is_an_error(status: int) -> None:
    with Server(lambda _: error(status, "no")) as server, pytest.raises(ScimError) as caught:
        find(server, "userName", "ada@example.com")
    assert caught.value.status == status


# -- update, delete ----------------------------------------------------------------------------------


def test_a_patch_changes_what_is_asked_and_nothing_else() -> None:
    with Endpoint() as endpoint:
        id_ = endpoint.add_user(userName="ada@example.com", title="Countess", nickName="theirs")
        before, after = {"title": "Countess"}, {"title": "Programmer"}
        assert ask(endpoint.url, lambda client: client.update(Kind.USER, id_, before, after, before)).status == 200
        assert endpoint.users[id_] == {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": id_,
            "userName": "ada@example.com",
            "title": "Programmer",
            "nickName": "theirs",
        }
    (request,) = endpoint.requests
    assert request.body == {
        "schemas": ["urn:ietf:params:scim:api:messages:2.0:PatchOp"],
        "Operations": [{"op": "replace", "path": "title", "value": "Programmer"}],
    }


def test_a_put_carries_what_is_not_ours_along() -> None:
    with Endpoint(patch=False) as endpoint:
        id_ = endpoint.add_user(
            userName="ada@example.com",
            title="Countess",
            nickName="theirs",
            emails=[{"type": "home", "value": "ada@home.example"}],
            meta={"resourceType": "User"},
        )
        before, after = {"title": "Countess"}, {"title": None, f"{WORK}.value": "ada@example.com"}
        ask(endpoint.url, lambda client: client.update(Kind.USER, id_, before, after, before), patch=False)
        assert endpoint.users[id_] == {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": id_,
            "userName": "ada@example.com",
            "nickName": "theirs",
            "emails": [{"type": "home", "value": "ada@home.example"}, {"type": "work", "value": "ada@example.com"}],
        }
    assert endpoint.log() == [f"GET /Users/{id_}", f"PUT /Users/{id_}"]


def test_an_update_without_a_difference_asks_nothing() -> None:
    with Endpoint() as endpoint:
        assert ask(endpoint.url, lambda client: client.update(Kind.USER, "u1", {}, {}, {})).status == 0
        assert endpoint.requests == []


@pytest.mark.parametrize(("status", "gone"), [(200, True), (204, True), (404, True), (400, False), (409, False)])
def test_a_delete_wants_the_resource_gone_by_whomever(status: int, gone: bool) -> None:
    reply = Reply(status) if status < 300 else error(status, "no")
    with Server(lambda _: reply) as server:
        if gone:
            assert ask(server.url, lambda client: client.delete(Kind.USER, "u1")) == status
        else:
            with pytest.raises(ScimError):
                ask(server.url, lambda client: client.delete(Kind.USER, "u1"))


@pytest.mark.parametrize("reply", [Reply(200), Reply(200, []), Reply(200, "u1")])
def test_a_read_that_holds_no_resource_is_an_error(reply: Reply) -> None:
    with Server(lambda _: reply) as server, pytest.raises(ScimError, match="the answer holds none"):
        ask(server.url, lambda client: client.read(Kind.USER, "u1"))


def test_a_refused_token_ends_a_find_too() -> None:
    with Server(lambda _: error(403)) as server, pytest.raises(TargetRefused):
        find(server, "userName", "ada@example.com")


# -- members -----------------------------------------------------------------------------------------


def group(endpoint: Endpoint, *ids: str) -> str:
    return endpoint.add_group(displayName="Engines", members=[{"value": id_} for id_ in ids])


def members(endpoint: Endpoint, id_: str) -> list[str]:
    return [member["value"] for member in endpoint.groups[id_].get("members") or []]


@pytest.mark.parametrize("patch", [True, False])
def test_members_are_added_and_removed_and_everybody_else_stays(patch: bool) -> None:
    async def change(client: Client) -> None:
        await client.add_members(id_, ["u3", "u4"], has_members=True)
        await client.remove_members(id_, ["u1", "u3"])

    with Endpoint(patch=patch) as endpoint:
        id_ = group(endpoint, "u1", "u2")
        ask(endpoint.url, change, patch=patch)
        assert sorted(members(endpoint, id_)) == ["u2", "u4"]


def test_removing_sends_a_filter_per_member_never_the_bare_attribute() -> None:
    with Endpoint() as endpoint:
        id_ = group(endpoint, "u1", "u2", "u3")
        ask(endpoint.url, lambda client: client.remove_members(id_, ["u1", "u2"]))
    (request,) = endpoint.requests
    assert request.body["Operations"] == [
        {"op": "remove", "path": 'members[value eq "u1"]'},
        {"op": "remove", "path": 'members[value eq "u2"]'},
    ]


def test_another_refusal_of_a_removal_is_an_error() -> None:
    with Endpoint() as endpoint:
        id_ = group(endpoint, "u1")
        endpoint.instead("PATCH", f"/Groups/{id_}$", error(400, "bad path", "invalidPath"))
        with pytest.raises(ScimError, match="bad path"):
            ask(endpoint.url, lambda client: client.remove_members(id_, ["u1"]))


@pytest.mark.parametrize("change", ["add", "remove", "rename"])
def test_a_group_that_hides_its_members_is_never_put_back_without_them(change: str) -> None:
    async def try_it(client: Client) -> None:
        if change == "add":
            await client.add_members(id_, ["u3"], has_members=True)
        elif change == "remove":
            await client.remove_members(id_, ["u1"])
        else:
            await client.update(Kind.GROUP, id_, {}, {"displayName": "Motors"}, {}, has_members=True)

    with Endpoint(patch=False, shows_members=False) as endpoint:
        id_ = group(endpoint, "u1", "u2")
        with pytest.raises(ScimError, match="the endpoint shows none"):
            ask(endpoint.url, try_it, patch=False)
        assert members(endpoint, id_) == ["u1", "u2"]
    assert [request.method for request in endpoint.requests] == ["GET"]


def test_the_first_members_of_a_group_are_put_even_where_it_shows_none() -> None:
    with Endpoint(patch=False) as endpoint:
        id_ = endpoint.add_group(displayName="Engines")
        ask(endpoint.url, lambda client: client.add_members(id_, ["u1"], has_members=False), patch=False)
        assert members(endpoint, id_) == ["u1"]


# -- what the endpoint is ----------------------------------------------------------------------------


@pytest.mark.parametrize(("total", "count"), [(7, 7), ("7", 7), (0, 0)])
def test_the_number_of_resources_is_the_endpoints_own(total: object, count: int) -> None:
    with Server(lambda _: Reply(200, {"totalResults": total})) as server:
        assert ask(server.url, lambda client: client.count(Kind.GROUP)) == count
    assert server.requests[0].target == "/scim/v2/Groups?startIndex=1&count=1"


@pytest.mark.parametrize("body", [{}, [], "users", {"totalResults": None}, {"totalResults": "many"}])
def test_what_is_no_list_of_resources_is_said_to_be_none(body: Any) -> None:
    with Server(lambda _: Reply(200, body)) as server, pytest.raises(ScimError, match="no list of SCIM resources"):
        ask(server.url, lambda client: client.count(Kind.USER))
