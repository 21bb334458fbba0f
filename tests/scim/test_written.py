"""Answers to writes: the values that the endpoint accepted, and the PATCH requests that are idempotent."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.model import Flat, Kind
from syncd.errors import OutcomeUnclear
from syncd.scim.client import Client, Written
from syncd.scim.resources import (
    add_members,
    flatten,
    is_repeatable,
    merge,
    not_taken,
    patch,
    remove_members,
    resource,
    without_paths,
)
from tests.endpoints import Reply, Server, error
from tests.scim.asking import ask
from tests.scim.strategies import ENTERPRISE, MANAGER, WORK, flats

USER = {"id": "u1", "userName": "ada@example.com"}
GROUP = {"id": "g1", "displayName": "Engines"}


# -- which answer is a resource ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("body", "whole"),
    [
        (USER, True),
        ({"ID": 17, "USERNAME": "ada@example.com"}, True),
        ({"id": "u1"}, False),
        ({"id": "u1", "userName": ""}, False),
        ({"id": "u1", "displayName": "Ada"}, False),
        ({"userName": "ada@example.com"}, False),
        ([USER], False),
        (None, False),
    ],
)
def test_a_user_is_answered_whole_when_it_says_its_id_and_its_name(body: Any, whole: bool) -> None:
    location = {"Location": "https://x/scim/v2/Users/u1"}
    with Server(lambda _: Reply(201, body, location)) as server:
        created = ask(server.url, lambda client: client.create(Kind.USER, {"userName": "ada@example.com"}))
        updated = ask(server.url, lambda client: client.update(Kind.USER, "u1", {}, {"title": "x"}, {}))
    assert created == Written("17" if whole and "ID" in body else "u1", 201, body if whole else None)
    assert updated == Written("u1", 201, body if whole else None)


@pytest.mark.parametrize(("body", "whole"), [(GROUP, True), ({"id": "g1"}, False), (USER, False), (None, False)])
def test_a_group_is_answered_whole_when_it_says_its_id_and_its_name(body: Any, whole: bool) -> None:
    async def write(client: Client) -> list[Written]:
        return [
            await client.update(Kind.GROUP, "g1", {}, {"displayName": "Engines"}, {}),
            await client.add_members("g1", ["u1"], has_members=True),
            await client.remove_members("g1", ["u1"]),
        ]

    with Server(lambda _: Reply(200, body)) as server:
        assert ask(server.url, write) == [Written("g1", 200, body if whole else None)] * 3


def test_what_a_put_was_answered_with_is_told_too() -> None:
    def answer(request: Any) -> Reply:
        return Reply(200, USER if request.method == "GET" else {**USER, "title": "theirs"})

    with Server(answer) as server:
        written = ask(server.url, lambda client: client.update(Kind.USER, "u1", {}, {"title": "x"}, {}), patch=False)
    assert written == Written("u1", 200, {**USER, "title": "theirs"})


def test_where_nothing_had_to_be_asked_the_status_is_none() -> None:
    with Server(lambda _: error(500)) as server:
        assert ask(server.url, lambda client: client.update(Kind.USER, "u1", {}, {}, {})) == Written("u1", 0, None)


# -- what the endpoint did not take over ---------------------------------------------------------------


@pytest.mark.parametrize(
    ("sent", "body", "shown"),
    [
        pytest.param({"title": "x"}, {"title": "x"}, {}, id="as it was sent"),
        pytest.param({"title": "x"}, {"title": "y"}, {"title": "y"}, id="another value"),
        pytest.param({"title": "x"}, {"title": "X"}, {"title": "X"}, id="a title has a case"),
        pytest.param({"title": "x"}, {}, {"title": None}, id="dropped"),
        pytest.param({"title": "x"}, {"TITLE": "x"}, {}, id="names come in any case"),
        pytest.param({"title": None}, {"title": "x"}, {"title": "x"}, id="removed, and still there"),
        pytest.param({"title": None}, {}, {}, id="removed, and gone"),
        pytest.param({"title": None}, {"title": ""}, {}, id="removed, and empty"),
        pytest.param({"title": None}, {"title": None}, {}, id="removed, and null"),
        pytest.param({"roles": None}, {"roles": []}, {}, id="removed, and an empty list"),
        pytest.param({"userName": "Ada@X"}, {"userName": "ada@x"}, {}, id="a userName has no case"),
        pytest.param({f"{WORK}.value": "Ada@X"}, {"emails": [{"type": "Work", "value": "ada@x"}]}, {}, id="e-mail"),
        pytest.param(
            {f"{WORK}.value": "ada@x"},
            {"emails": [{"type": "home", "value": "ada@x"}]},
            {f"{WORK}.value": None},
            id="an e-mail of another type",
        ),
        pytest.param(
            {"roles": [{"value": "a"}, {"value": "b"}]},
            {"roles": [{"value": "b", "display": "B"}, "a"]},
            {},
            id="lists have no order, and labels are the endpoint's",
        ),
        pytest.param(
            {"roles": [{"value": "a"}, {"value": "b"}]},
            {"roles": [{"value": "a"}]},
            {"roles": [{"value": "a"}]},
            id="a part of a list",
        ),
        pytest.param({"active": False}, {"active": "False"}, {}, id="false as text"),
        pytest.param({"active": True}, {"active": "true"}, {}, id="true as text"),
        pytest.param({"active": True}, {}, {}, id="who doesn't say whether it is active is"),
        pytest.param({"active": False}, {}, {"active": None}, id="switched off, and not shown as such"),
        pytest.param({"active": False}, {"active": True}, {"active": True}, id="switched off, and on"),
        pytest.param({"active": True}, {"active": False}, {"active": False}, id="pending: switched on, and off"),
        pytest.param(
            {MANAGER: "u7"}, {ENTERPRISE: {"manager": {"value": "u7", "displayName": "G"}}}, {}, id="manager: the id"
        ),
        pytest.param(
            {MANAGER: "u7"}, {ENTERPRISE: {"manager": {"value": "u8"}}}, {MANAGER: "u8"}, id="another manager"
        ),
        pytest.param({MANAGER: "u7"}, {}, {MANAGER: None}, id="no manager"),
        pytest.param({}, {"title": "theirs"}, {}, id="what was not sent is theirs"),
    ],
)
def test_what_was_not_taken_over_is_what_the_answer_shows_otherwise(sent: Flat, body: Any, shown: Flat) -> None:
    assert not_taken(Kind.USER, sent, {**body, "id": "u1"}) == shown


def test_a_groups_name_has_a_case() -> None:
    assert not_taken(Kind.GROUP, {"displayName": "Engines"}, {"displayName": "engines"}) == {"displayName": "engines"}


def _otherwise_spelt(value: Any, turned: bool) -> Any:
    """Return a JSON value with names in capitals and, if it is to be turned, lists in the other order."""
    if isinstance(value, dict):
        return {name.upper(): _otherwise_spelt(each, turned) for name, each in value.items()}
    if isinstance(value, list):
        return [_otherwise_spelt(each, turned) for each in (reversed(value) if turned else value)]
    return value


@given(flats(), st.booleans())
def test_what_is_echoed_was_taken_over_however_it_is_spelt(flat: Flat, turned: bool) -> None:
    assert not_taken(Kind.USER, flat, _otherwise_spelt(resource(Kind.USER, flat), turned)) == {}


@given(flats(), flats(), st.data())
def test_what_was_not_taken_over_is_found_and_nothing_else(there: Flat, other: Flat, data: st.DataObject) -> None:
    ignored = data.draw(st.sets(st.sampled_from(sorted(other))))
    body = merge(Kind.USER, resource(Kind.USER, there), {path: other[path] for path in other if path not in ignored})
    found = not_taken(Kind.USER, other, body)
    assert set(found) <= ignored
    shown = flatten(Kind.USER, body, other)
    assert all(found[path] == shown.get(path) for path in found)
    # A value that the endpoint didn't have is missing, unless it means what is missing means.
    missing = {path for path in ignored if path not in shown and path != "active"}
    assert missing <= set(found)


@given(flats())
def test_what_was_removed_is_gone_from_a_resource_without_it(flat: Flat) -> None:
    removed: Flat = {path: None for path in flat if path not in ("active", "userName")}
    assert not_taken(Kind.USER, removed, {"id": "u1", "userName": flat["userName"]}) == {}
    there = resource(Kind.USER, flat)
    assert not_taken(Kind.USER, removed, there) == {path: flat[path] for path in removed}


# -- what may be sent twice ----------------------------------------------------------------------------

_ELEMENT = {f"{WORK}.value": "a@b", f"{WORK}.display": "Ada"}


@pytest.mark.parametrize(
    ("operations", "repeatable"),
    [
        pytest.param(patch(Kind.USER, {"title": "a"}, {"title": "b"}, {}), True, id="replace"),
        pytest.param(patch(Kind.USER, {}, {"title": "b"}, {}), True, id="add of one value"),
        pytest.param(patch(Kind.USER, {}, {MANAGER: "u7"}, {}), True, id="add of a reference"),
        pytest.param(patch(Kind.USER, {"title": "a"}, {"title": None}, {}), True, id="remove of one value"),
        pytest.param(patch(Kind.USER, {}, {"roles": [{"value": "a"}]}, {}), False, id="add to a list"),
        pytest.param(patch(Kind.USER, {}, {f"{WORK}.value": "a@b"}, {}), False, id="add of an element"),
        pytest.param(
            patch(Kind.USER, _ELEMENT, {f"{WORK}.value": "c@d"}, _ELEMENT), True, id="replace inside an element"
        ),
        pytest.param(
            patch(Kind.USER, _ELEMENT, {f"{WORK}.display": None}, _ELEMENT), False, id="remove inside an element"
        ),
        pytest.param(patch(Kind.USER, _ELEMENT, dict.fromkeys(_ELEMENT), _ELEMENT), False, id="remove of an element"),
        pytest.param(add_members(["u1"]), False, id="members come"),
        pytest.param(add_members(["u1"], paths=False), False, id="members come, without a path"),
        pytest.param(remove_members(["u1"], "filter"), False, id="members leave, by filter"),
        pytest.param(remove_members(["u1"], "values"), False, id="members leave, by a list"),
        pytest.param([{"op": "remove", "path": "members"}], False, id="members leave, all"),
        pytest.param(without_paths(Kind.USER, {}, {"title": "b"}), True, id="replace without a path"),
        pytest.param(
            patch(Kind.USER, {"title": "a"}, {"title": "b", "roles": [{"value": "a"}]}, {}), False, id="one is enough"
        ),
    ],
)
def test_a_patch_may_be_sent_twice_where_that_does_the_same_everywhere(
    operations: list[dict[str, Any]], repeatable: bool
) -> None:
    assert is_repeatable(operations) is repeatable


def test_a_patch_that_may_be_repeated_is_sent_again() -> None:
    left = [error(503), Reply(204)]
    with Server(lambda _: left.pop(0)) as server:
        written = ask(server.url, lambda client: client.update(Kind.USER, "u1", {"title": "a"}, {"title": "b"}, {}))
        assert (written.status, len(server.requests)) == (204, 2)


@pytest.mark.parametrize("adding", [True, False])
def test_a_change_of_members_whose_outcome_is_unclear_is_not_sent_again(adding: bool) -> None:
    async def change(client: Client) -> Written:
        if adding:
            return await client.add_members("g1", ["u1", "u2"], has_members=True)
        return await client.remove_members("g1", ["u1", "u2"])

    with Server(lambda _: error(503, "busy", "noTarget")) as server, pytest.raises(OutcomeUnclear):
        ask(server.url, change)
    assert len(server.requests) == 1
