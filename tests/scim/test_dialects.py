"""The effect of a profile on the client: each of its rules, by the requests that the endpoint gets."""

from __future__ import annotations

import json
from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from scim2_models import EnterpriseUser, PatchOp, User

from syncd.core.model import Flat, Kind
from syncd.errors import ScimError
from syncd.scim.client import Client, chunks_of_members
from syncd.scim.dialect import Dialect, Form
from syncd.scim.profiles import PROFILES, Profile
from tests.endpoints import Endpoint, Reply, Request, Server, error
from tests.scim.asking import ask_as
from tests.scim.strategies import ENTERPRISE, MANAGER, WORK

Json = Any
PATCH_OP = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
PLAIN = Profile("plain", patch=True)


def title(client: Client) -> Any:
    return client.update(Kind.USER, "u1", {"title": "a"}, {"title": "b"}, {"title": "a"})


def name(client: Client) -> Any:
    return client.update(Kind.GROUP, "g1", {"displayName": "a"}, {"displayName": "b"}, {"displayName": "a"})


def join(client: Client) -> Any:
    return client.add_members("g1", ["u1"], has_members=False)


def populated(**options: Any) -> Endpoint:
    """Return an endpoint with one user and one group."""
    endpoint = Endpoint(**options)
    endpoint.users["u1"] = {"id": "u1", "userName": "ada@example.com", "title": "a", "nickName": "theirs"}
    endpoint.groups["g1"] = {"id": "g1", "displayName": "a"}
    return endpoint


def methods(server: Server) -> list[str]:
    return [request.method for request in server.requests]


# -- PATCH or PUT --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("said", "learnt", "asked"),
    [
        (True, False, ["PATCH"]),
        (True, None, ["PATCH"]),
        (False, True, ["GET", "PUT"]),
        (False, None, ["GET", "PUT"]),
        (None, True, ["PATCH"]),
        (None, False, ["GET", "PUT"]),
        (None, None, ["PATCH"]),
    ],
)
def test_the_profile_says_whether_to_patch_before_what_was_learnt(
    said: bool | None, learnt: bool | None, asked: list[str]
) -> None:
    with populated() as endpoint:
        ask_as(Profile("test", patch=said), endpoint.url, title, patch=learnt)
        assert methods(endpoint) == asked


def test_what_is_announced_later_gives_way_to_the_profile_too() -> None:
    async def learn(client: Client) -> None:
        client.learn(patch=False, etags=True)
        await title(client)

    with populated() as endpoint:
        ask_as(Profile("test", patch=True), endpoint.url, learn)
        assert methods(endpoint) == ["PATCH"]
    with populated() as endpoint:
        ask_as(Profile("test"), endpoint.url, learn)
        assert methods(endpoint) == ["GET", "PUT"]


@pytest.mark.parametrize("said", [None, True])
@pytest.mark.parametrize("ability", ["users", "users.title"])
def test_the_form_that_was_learned_is_used(said: bool | None, ability: str) -> None:
    with populated() as endpoint:
        dialect = Dialect({ability: Form.PUT})
        ask_as(Profile("test", patch=said), endpoint.url, title, dialect=dialect)
        ask_as(Profile("test", patch=said), endpoint.url, name, dialect=dialect)
        assert methods(endpoint) == ["GET", "PUT", "PATCH"]


# -- groups that take no PUT ---------------------------------------------------------------------------


@pytest.mark.parametrize("change", [name, join])
def test_a_group_that_takes_no_put_gets_none_whatever_was_learnt(change: Callable[[Client], Any]) -> None:
    with populated() as endpoint:
        profile = Profile("test", put_groups=False)
        dialect = Dialect({"groups": Form.PUT, "members.add": Form.PUT})
        ask_as(profile, endpoint.url, change, patch=False, dialect=dialect)
        assert methods(endpoint) == ["PATCH"]


# -- operations without paths --------------------------------------------------------------------------

THERE: dict[str, Json] = {
    "id": "u1",
    "userName": "ada@example.com",
    "title": "Countess",
    "nickName": "theirs",
    "name": {"givenName": "Ada", "familyName": "King", "middleName": "Augusta"},
    "emails": [
        {"type": "work", "value": "old@example.com", "primary": True},
        {"type": "home", "value": "theirs@x.example"},
    ],
    ENTERPRISE: {
        "department": "Engines",
        "division": "theirs",
        "manager": {"value": "u7", "displayName": "Charles", "$ref": "https://x/Users/u7"},
    },
}
SHOWN_EXTENSION = {"division": "theirs", "manager": {"value": "u7"}}
WHOLE_NAME = {"givenName": "Ada", "familyName": "Lovelace", "middleName": "Augusta"}


@pytest.mark.parametrize(
    ("after", "value", "reads"),
    [
        pytest.param({"title": "Programmer"}, {"title": "Programmer"}, False, id="one value"),
        pytest.param({"title": None}, {"title": None}, False, id="removed: null"),
        pytest.param({"title": "P", "active": False}, {"title": "P", "active": False}, False, id="several at once"),
        pytest.param({"roles": [{"value": "a"}]}, {"roles": [{"value": "a"}]}, False, id="a list that is ours"),
        pytest.param({"name.familyName": "Lovelace"}, {"name": WHOLE_NAME}, True, id="a part, with all others"),
        pytest.param(
            {"name.familyName": None},
            {"name": {"givenName": "Ada", "familyName": None, "middleName": "Augusta"}},
            True,
            id="a part removed: null, for what is left out may stay",
        ),
        pytest.param(
            {f"{WORK}.value": "new@example.com"},
            {
                "emails": [
                    {"type": "work", "value": "new@example.com", "primary": True},
                    {"type": "home", "value": "theirs@x.example"},
                ]
            },
            True,
            id="an element, with all others",
        ),
        pytest.param(
            {f"{WORK}.value": None},
            {"emails": [{"type": "home", "value": "theirs@x.example"}]},
            True,
            id="an element removed: the others",
        ),
        pytest.param(
            {f"{ENTERPRISE}:department": "Looms"},
            {ENTERPRISE: {"department": "Looms", **SHOWN_EXTENSION}},
            True,
            id="an extension, with all others and without what is readOnly",
        ),
        pytest.param(
            {f"{ENTERPRISE}:department": None},
            {ENTERPRISE: {"department": None, **SHOWN_EXTENSION}},
            True,
            id="a part of an extension removed",
        ),
        pytest.param(
            {MANAGER: "u8"},
            {ENTERPRISE: {"department": "Engines", "division": "theirs", "manager": {"value": "u8"}}},
            True,
            id="another manager",
        ),
        pytest.param(
            {MANAGER: None},
            {ENTERPRISE: {"department": "Engines", "division": "theirs", "manager": None}},
            True,
            id="no manager",
        ),
    ],
)
def test_without_paths_one_replace_holds_the_attributes_each_whole(after: Flat, value: Json, reads: bool) -> None:
    def answer(request: Request) -> Reply:
        return Reply(200, THERE) if request.method == "GET" else Reply(204)

    before: Flat = {f"{WORK}.value": "old@example.com", "title": "Countess", "name.familyName": "King"}
    with Server(answer) as server:
        profile = replace(PLAIN, patch_paths=False)
        ask_as(profile, server.url, lambda client: client.update(Kind.USER, "u1", before, after, before))
    assert methods(server) == (["GET", "PATCH"] if reads else ["PATCH"])
    assert server.requests[-1].body == {"schemas": [PATCH_OP], "Operations": [{"op": "replace", "value": value}]}


class Pathless(Endpoint):
    """Refuses paths. `merging`: a complex attribute keeps the parts that a replace leaves out (RFC 7644 section
    3.5.2.3, by scim2-models); else it is taken as it came."""

    def __init__(self, *, merging: bool) -> None:
        super().__init__()
        self.merging = merging
        self.users["u1"] = json.loads(json.dumps(THERE))

    def _patched(self, held: dict[str, dict[str, Json]], id_: str, body: Json) -> Reply:
        if any("path" in operation for operation in body["Operations"]):
            return error(400, "paths are not supported", "invalidPath")
        if self.merging:
            core = "urn:ietf:params:scim:schemas:core:2.0:User"
            user = User[EnterpriseUser].model_validate({"schemas": [core, ENTERPRISE], **held[id_]})
            PatchOp[User[EnterpriseUser]].model_validate(body).patch(user)
            held[id_] = user.model_dump()
            held[id_].pop("schemas")
        else:
            for operation in body["Operations"]:
                held[id_] = _without_null({**held[id_], **operation["value"]})
        return Reply(204)


def _without_null(value: Json) -> Json:
    if isinstance(value, dict):
        return {key: _without_null(each) for key, each in value.items() if each is not None}
    return value


@pytest.mark.parametrize("merging", [True, False])
def test_without_paths_nothing_is_lost_and_nothing_stays_that_was_removed(merging: bool) -> None:
    before: Flat = {
        "title": "Countess",
        "name.givenName": "Ada",
        "name.familyName": "King",
        f"{WORK}.value": "old@example.com",
        f"{ENTERPRISE}:department": "Engines",
    }
    after: Flat = {
        "title": None,
        "name.givenName": None,
        "name.familyName": "Lovelace",
        f"{WORK}.value": "new@example.com",
        f"{ENTERPRISE}:department": None,
    }
    with Pathless(merging=merging) as endpoint:
        profile = replace(PLAIN, patch_paths=False)
        ask_as(profile, endpoint.url, lambda client: client.update(Kind.USER, "u1", before, after, before))
        user = endpoint.users["u1"]
    assert user.pop(ENTERPRISE)["division"] == "theirs"
    assert user == {
        "id": "u1",
        "userName": "ada@example.com",
        "nickName": "theirs",
        "name": {"familyName": "Lovelace", "middleName": "Augusta"},
        "emails": [
            {"type": "work", "value": "new@example.com", "primary": True},
            {"type": "home", "value": "theirs@x.example"},
        ],
    }


def test_without_paths_members_are_added_as_an_attribute_and_leave_by_their_path() -> None:
    async def change(client: Client) -> None:
        await client.add_members("g1", ["u1", "u2"], has_members=True)
        await client.remove_members("g1", ["u3"])

    with Server(lambda _: Reply(204)) as server:
        ask_as(replace(PLAIN, patch_paths=False), server.url, change)
    assert [request.body["Operations"] for request in server.requests] == [
        [{"op": "add", "value": {"members": [{"value": "u1"}, {"value": "u2"}]}}],
        [{"op": "remove", "path": 'members[value eq "u3"]'}],
    ]


def test_what_is_put_anyway_is_read_once_where_patches_have_no_paths() -> None:
    with populated() as endpoint:
        change: Flat = {"name.givenName": "Ada"}
        ask_as(
            Profile("test", patch_paths=False),
            endpoint.url,
            lambda client: client.update(Kind.USER, "u1", {}, change, {}),
            dialect=Dialect({"users": Form.PUT}),
        )
        assert methods(endpoint) == ["GET", "PUT"]


# -- members -------------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("removal", "operations"),
    [
        (
            "filter",
            [{"op": "remove", "path": 'members[value eq "u1"]'}, {"op": "remove", "path": 'members[value eq "u2"]'}],
        ),
        ("values", [{"op": "remove", "path": "members", "value": [{"value": "u1"}, {"value": "u2"}]}]),
    ],
)
def test_members_leave_in_the_way_that_the_endpoint_knows(removal: Any, operations: Json) -> None:
    with Server(lambda _: Reply(204)) as server:
        profile = replace(PLAIN, member_removal=removal)
        ask_as(profile, server.url, lambda client: client.remove_members("g1", ["u1", "u2"]))
    assert server.requests[0].body == {"schemas": [PATCH_OP], "Operations": operations}


def parts(profile: Profile, ids: Iterable[str], *, adding: bool = True) -> list[list[str]]:
    return [list(part) for part in chunks_of_members(profile, list(ids), adding=adding)]


def test_no_request_holds_more_members_than_the_endpoint_allows() -> None:
    ids = ["a", "b", "c", "d", "e"]
    assert parts(replace(PLAIN, members_per_patch=2), ids) == [["a", "b"], ["c", "d"], ["e"]]
    assert parts(replace(PLAIN, members_per_patch=5), ids) == [ids]
    assert parts(replace(PLAIN, members_per_patch=1), ids, adding=False) == [["a"], ["b"], ["c"], ["d"], ["e"]]
    assert parts(PLAIN, []) == []


HEAD = '{"schemas":["urn:ietf:params:scim:api:messages:2.0:PatchOp"],"Operations":['
TWO_MEMBERS = '[{"value":"u1"},{"value":"ü2"}]'


@pytest.mark.parametrize(
    ("profile", "adding", "two"),
    [
        (PLAIN, True, '{"op":"add","path":"members","value":' + TWO_MEMBERS + "}"),
        (replace(PLAIN, patch_paths=False), True, '{"op":"add","value":{"members":' + TWO_MEMBERS + "}}"),
        (
            PLAIN,
            False,
            r'{"op":"remove","path":"members[value eq \"u1\"]"},{"op":"remove","path":"members[value eq \"ü2\"]"}',
        ),
        (
            replace(PLAIN, member_removal="values"),
            False,
            '{"op":"remove","path":"members","value":' + TWO_MEMBERS + "}",
        ),
    ],
)
def test_a_request_holds_as_many_members_as_its_body_has_room_for(profile: Profile, adding: bool, two: str) -> None:
    size = len(f"{HEAD}{two}]}}".encode())
    ids = ["u1", "ü2", "ü3", "u4"]
    assert parts(replace(profile, body_bytes=size), ids, adding=adding) == [["u1", "ü2"], ["ü3", "u4"]]
    assert parts(replace(profile, body_bytes=size - 1), ids, adding=adding) == [["u1"], ["ü2"], ["ü3"], ["u4"]]


def _body(profile: Profile, ids: Sequence[str], *, adding: bool) -> bytes:
    """Return a request's body as RFC 7644 section 3.5.2 has it, written another way than syncd writes it."""
    members = [{"value": id_} for id_ in ids]
    operations: list[dict[str, Json]]
    if adding:
        operations = [{"op": "add", "path": "members", "value": members}]
    elif profile.member_removal == "values":
        operations = [{"op": "remove", "path": "members", "value": members}]
    else:
        quoted = (json.dumps(id_, ensure_ascii=False) for id_ in ids)
        operations = [{"op": "remove", "path": f"members[value eq {id_}]"} for id_ in quoted]
    body = {"schemas": [PATCH_OP], "Operations": operations}
    return json.dumps(body, ensure_ascii=False, separators=(",", ":")).encode()


@given(
    st.lists(st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\x7f"), min_size=1, max_size=40)),
    st.integers(1, 5),
    st.integers(100, 400),
    st.booleans(),
    st.sampled_from(["filter", "values"]),
)
def test_members_are_sent_in_as_few_requests_as_fit_in_order_and_all(
    ids: list[str], number: int, size: int, adding: bool, removal: Any
) -> None:
    profile = replace(PLAIN, members_per_patch=number, body_bytes=size, member_removal=removal)
    found = parts(profile, ids, adding=adding)
    assert [id_ for part in found for id_ in part] == ids
    for part in found:
        assert 1 <= len(part) <= number
        assert len(part) == 1 or len(_body(profile, part, adding=adding)) <= size
    for part, following in pairwise(found):
        fuller = [*part, following[0]]
        assert len(fuller) > number or len(_body(profile, fuller, adding=adding)) > size


def test_what_is_sent_is_as_large_as_was_reckoned() -> None:
    profile = replace(PLAIN, members_per_patch=1000, body_bytes=2000)
    ids = [f"user-{number:05}" for number in range(300)]

    async def change(client: Client) -> None:
        for part in chunks_of_members(profile, ids, adding=True):
            await client.add_members("g1", part, has_members=True)

    with Server(lambda _: Reply(204)) as server:
        ask_as(profile, server.url, change)
    # 116 bytes around them and 23 for each: 81 members take 1,979 bytes, 82 would take 2,002.
    assert [len(request.body["Operations"][0]["value"]) for request in server.requests] == [81, 81, 81, 57]
    assert [len(request.content) for request in server.requests] == [1979, 1979, 1979, 1427]


@pytest.mark.parametrize(
    "change",
    [
        lambda client: client.add_members("g1", ["u" * 1000], has_members=True),
        lambda client: client.remove_members("g1", ["u" * 1000]),
        lambda client: client.create(Kind.USER, {"userName": "u" * 1000}),
        lambda client: client.update(Kind.USER, "u1", {"title": "a"}, {"title": "x" * 1000}, {}),
    ],
)
def test_what_is_larger_than_a_body_may_be_is_not_sent(change: Callable[[Client], Any]) -> None:
    with Server(lambda _: Reply(204)) as server:
        with pytest.raises(
            ScimError, match=r"not sent: it takes 1,[01].. bytes, and body_bytes allows 1,000"
        ) as caught:
            ask_as(replace(PLAIN, body_bytes=1000), server.url, change)
        assert caught.value.status == 413
        assert server.requests == []


def test_a_resource_that_others_made_large_is_put_back_as_large_as_it_is() -> None:
    with populated() as endpoint:
        endpoint.users["u1"]["nickName"] = "x" * 1000
        ask_as(Profile("test", patch=False, body_bytes=1000), endpoint.url, title)
        assert endpoint.users["u1"]["title"] == "b"


# -- what can be asked for -----------------------------------------------------------------------------

FILTERS = replace(PLAIN, user_filters=("userName",), group_filters=("displayName",))


@pytest.mark.parametrize(
    ("profile", "kind", "attribute", "can"),
    [
        (FILTERS, Kind.USER, "userName", True),
        (FILTERS, Kind.USER, "externalId", False),
        (FILTERS, Kind.USER, "displayName", False),
        (FILTERS, Kind.GROUP, "displayName", True),
        (FILTERS, Kind.GROUP, "externalId", False),
        (PLAIN, Kind.USER, "externalId", True),
        (PLAIN, Kind.GROUP, "externalId", True),
        (replace(PLAIN, user_filters=()), Kind.USER, "userName", False),
        (PROFILES["lucid-admin"], Kind.GROUP, "externalId", False),
        (PROFILES["aws-identity-center"], Kind.GROUP, "externalId", True),
    ],
)
def test_only_what_an_endpoint_can_be_asked_for_is_asked(
    profile: Profile, kind: Kind, attribute: str, can: bool
) -> None:
    async def find(client: Client) -> None:
        assert await client.find(kind, attribute, "x", exact=True) == ([] if can else None)

    with Endpoint() as endpoint:
        ask_as(profile, endpoint.url, find)
        assert len(endpoint.requests) == can
