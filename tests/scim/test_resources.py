"""Flat attributes and SCIM resources; scim2-models, an implementation of its own, judges the PATCH operations."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given, settings
from scim2_models import EnterpriseUser, PatchOp, User

from syncd.core.diff import differing
from syncd.core.drift import with_unlabelled
from syncd.core.model import Flat, Kind
from syncd.scim.resources import (
    flatten,
    merge,
    patch,
    remove_members,
    resource,
    unlabelled_values,
    whole_attributes,
    with_members,
)
from tests.scim.strategies import ENTERPRISE, HOME, MANAGER, WORK, flats

WORK_VALUE, HOME_VALUE = f"{WORK}.value", f"{HOME}.value"

CORE = "urn:ietf:params:scim:schemas:core:2.0:User"

ADA: Flat = {
    "userName": "ada@example.com",
    "externalId": "1001",
    "name.givenName": "Ada",
    "name.familyName": "Lovelace",
    f"{WORK}.value": "ada@example.com",
    f"{WORK}.primary": True,
    f"{HOME}.value": "ada@home.example",
    "roles": [{"value": "Developer"}, {"value": "Admin"}],
    f"{ENTERPRISE}:department": "Engines",
    MANAGER: "u7",
    "active": True,
}
ADA_RESOURCE: dict[str, Any] = {
    "schemas": [CORE, ENTERPRISE],
    "userName": "ada@example.com",
    "externalId": "1001",
    "name": {"givenName": "Ada", "familyName": "Lovelace"},
    "emails": [
        {"type": "work", "value": "ada@example.com", "primary": True},
        {"type": "home", "value": "ada@home.example"},
    ],
    "roles": [{"value": "Developer"}, {"value": "Admin"}],
    ENTERPRISE: {"department": "Engines", "manager": {"value": "u7"}},
    "active": True,
}


def test_a_resource_has_each_path_in_its_place() -> None:
    assert resource(Kind.USER, ADA) == ADA_RESOURCE


def test_what_is_none_is_absent_and_an_unused_extension_is_not_named() -> None:
    assert resource(Kind.USER, {"userName": "a", "title": None, MANAGER: None}) == {
        "schemas": [CORE],
        "userName": "a",
    }
    assert resource(Kind.GROUP, {"displayName": "Engines"}) == {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Engines",
    }


@pytest.mark.parametrize(
    ("path", "body", "value"),
    [
        ("displayName", {"DISPLAYNAME": "Ada"}, "Ada"),
        ("name.givenName", {"Name": {"GivenName": "Ada"}}, "Ada"),
        ("name.givenName", {"name": None}, None),
        ("name.givenName", {"name": "Ada"}, None),
        (f"{WORK}.value", {"emails": [{"type": "Work", "value": "a@b"}]}, "a@b"),
        (f"{WORK}.value", {"emails": [{"type": "home", "value": "a@b"}]}, None),
        (f"{WORK}.value", {"emails": None}, None),
        (f"{WORK}.value", {"emails": {"type": "work", "value": "a@b"}}, None),
        (f"{WORK}.value", {"emails": ["a@b", None, {"type": "work", "value": "c@d"}]}, "c@d"),
        ("roles", {"roles": [{"value": "Dev", "display": "Developer", "type": "x"}]}, [{"value": "Dev"}]),
        ("roles", {"roles": ["Dev"]}, [{"value": "Dev"}]),
        ("roles", {"roles": []}, None),
        ("roles", {"roles": [{"display": "no value"}]}, None),
        (MANAGER, {ENTERPRISE: {"manager": {"value": "u7", "displayName": "Grace"}}}, "u7"),
        (MANAGER, {ENTERPRISE.upper(): {"manager": "u7"}}, "u7"),
        (MANAGER, {ENTERPRISE: None}, None),
        (MANAGER, {}, None),
    ],
)
def test_a_resource_is_read_in_every_shape_that_endpoints_give_it(path: str, body: Any, value: Any) -> None:
    assert flatten(Kind.USER, body, [path]) == ({} if value is None else {path: value})


@pytest.mark.parametrize(
    ("before", "after", "operations"),
    [
        pytest.param(
            {"title": "Countess"},
            {"title": "Programmer"},
            [{"op": "replace", "path": "title", "value": "Programmer"}],
            id="changed: replace",
        ),
        pytest.param({}, {"title": "A"}, [{"op": "add", "path": "title", "value": "A"}], id="new: add"),
        pytest.param({"title": "A"}, {"title": None}, [{"op": "remove", "path": "title"}], id="gone: remove"),
        pytest.param(
            {"active": True},
            {"active": False},
            [{"op": "replace", "path": "active", "value": False}],
            id="a boolean stays one",
        ),
        pytest.param(
            {f"{WORK}.value": "a@b"},
            {f"{WORK}.value": "c@d"},
            [{"op": "replace", "path": f"{WORK}.value", "value": "c@d"}],
            id="part of an element that is there: its path",
        ),
        pytest.param(
            {},
            {f"{WORK}.value": "a@b", f"{WORK}.primary": True},
            [{"op": "add", "path": "emails", "value": [{"type": "work", "value": "a@b", "primary": True}]}],
            id="element that is not there: added whole, for a filter would select nothing",
        ),
        pytest.param(
            {f"{WORK}.value": "a@b", f"{WORK}.primary": True},
            {f"{WORK}.value": None, f"{WORK}.primary": None},
            [{"op": "remove", "path": WORK}],
            id="element of which nothing is left: removed whole",
        ),
        pytest.param(
            {f"{WORK}.value": "a@b", f"{WORK}.display": "Ada"},
            {f"{WORK}.display": None},
            [{"op": "remove", "path": f"{WORK}.display"}],
            id="element of which something is left: only the part",
        ),
        pytest.param(
            {f"{WORK}.value": "a@b"},
            {f"{WORK}.display": "Ada"},
            [{"op": "add", "path": f"{WORK}.display", "value": "Ada"}],
            id="another part of an element that is there",
        ),
        pytest.param(
            {f"{WORK}.value": "a@b"},
            {f"{HOME}.value": "c@d"},
            [{"op": "add", "path": "emails", "value": [{"type": "home", "value": "c@d"}]}],
            id="another element beside one that is there",
        ),
        pytest.param(
            {"roles": [{"value": "a"}]},
            {"roles": [{"value": "a"}, {"value": "b"}]},
            [{"op": "replace", "path": "roles", "value": [{"value": "a"}, {"value": "b"}]}],
            id="a list that is ours as a whole",
        ),
        pytest.param(
            {f"{ENTERPRISE}:department": "A"},
            {f"{ENTERPRISE}:department": "B"},
            [{"op": "replace", "path": f"{ENTERPRISE}:department", "value": "B"}],
            id="an extension by its URN",
        ),
        pytest.param(
            {},
            {MANAGER: "u7"},
            [{"op": "add", "path": MANAGER, "value": {"value": "u7"}}],
            id="a manager is a reference",
        ),
        pytest.param({MANAGER: "u7"}, {MANAGER: None}, [{"op": "remove", "path": MANAGER}], id="no manager"),
        pytest.param({"title": "A"}, {}, [], id="nothing asked: nothing sent"),
    ],
)
def test_a_difference_is_one_operation_per_changed_attribute(
    before: Flat, after: Flat, operations: list[dict[str, Any]]
) -> None:
    assert patch(Kind.USER, {path: before.get(path) for path in after}, after, before) == operations


def test_a_merge_keeps_everything_that_is_not_ours() -> None:
    there = {
        "schemas": [CORE, "urn:example:theirs"],
        "id": "u1",
        "meta": {"version": 'W/"1"'},
        "UserName": "ada@example.com",
        "nickName": "Countess",
        "name": None,
        "emails": [
            {"type": "Work", "value": "old@example.com", "display": "Ada"},
            {"type": "home", "primary": True},
            "loose@example.com",
        ],
        "urn:example:theirs": {"badge": 7},
    }
    merged = merge(
        Kind.USER,
        there,
        {
            "userName": "ada@new.example",
            "name.givenName": "Ada",
            f"{WORK}.value": "ada@new.example",
            f"{ENTERPRISE}:department": "Engines",
        },
    )
    assert merged == {
        "schemas": [CORE, "urn:example:theirs", ENTERPRISE],
        "id": "u1",
        "UserName": "ada@new.example",
        "nickName": "Countess",
        "name": {"givenName": "Ada"},
        "emails": [
            {"type": "Work", "value": "ada@new.example", "display": "Ada"},
            {"type": "home", "primary": True},
            "loose@example.com",
        ],
        "urn:example:theirs": {"badge": 7},
        ENTERPRISE: {"department": "Engines"},
    }
    assert there["name"] is None, "what was read is left as it was read"


@pytest.mark.parametrize(
    ("there", "removed", "left"),
    [
        ({"Title": "x"}, "title", {}),
        ({"name": {"givenName": "A", "familyName": "B"}}, "name.givenName", {"name": {"familyName": "B"}}),
        (
            {"emails": [{"type": "work", "value": "a", "primary": True}, {"type": "home"}]},
            f"{WORK}.value",
            {"emails": [{"type": "home"}]},
        ),
        (
            {"emails": [{"type": "work", "value": "a", "theirs": 1}]},
            f"{WORK}.value",
            {"emails": [{"type": "work", "theirs": 1}]},
        ),
        ({"emails": None}, f"{WORK}.value", {"emails": None}),
        ({}, MANAGER, {}),
        ({ENTERPRISE: {"manager": {"value": "u7"}, "division": "x"}}, MANAGER, {ENTERPRISE: {"division": "x"}}),
        ({"nickName": "n"}, "title", {"nickName": "n"}),
    ],
)
def test_a_merge_takes_away_what_was_asked_and_no_more(there: Any, removed: str, left: Any) -> None:
    assert merge(Kind.USER, {"schemas": [CORE]} | there, {removed: None}) == {"schemas": [CORE]} | left


def test_members_come_and_go_and_everybody_else_stays() -> None:
    there = {
        "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
        "displayName": "Engines",
        "Members": [{"value": "u1", "display": "Ada"}, {"value": "u2"}, {"value": "theirs", "$ref": "x"}],
    }
    merged = with_members(there, add=["u4", "u1"], remove=["u2", "u9"])
    assert merged["Members"] == [{"value": "theirs", "$ref": "x"}, {"value": "u1"}, {"value": "u4"}]
    assert "members" not in merged
    assert with_members({"members": None}, add=["u1"], remove=[])["members"] == [{"value": "u1"}]


@pytest.mark.parametrize(
    ("id_", "path"),
    [
        ("u1", 'members[value eq "u1"]'),
        ('a"] or value pr or members[value eq "', 'members[value eq "a\\"] or value pr or members[value eq \\""]'),
        ("back\\slash", 'members[value eq "back\\\\slash"]'),
        ("two\nlines", 'members[value eq "two\\nlines"]'),
    ],
)
def test_no_id_can_end_the_filter_that_selects_a_member(id_: str, path: str) -> None:
    assert remove_members([id_], "filter") == [{"op": "remove", "path": path}]


# -- properties --------------------------------------------------------------------------------------

NATIVE: dict[str, Any] = {
    "preferredLanguage": "de",
    "emails": [{"type": "other", "value": "theirs@example.com"}],
    "ims": [{"type": "xmpp", "value": "theirs"}],
}


def _with_native(flat: Flat) -> dict[str, Any]:
    body = resource(Kind.USER, flat)
    return {**body, **NATIVE, "emails": NATIVE["emails"] + body.get("emails", [])}


def _comparable(body: dict[str, Any]) -> dict[str, Any]:
    """Sort what has no order, and leave out what is empty."""
    comparable: dict[str, Any] = {}
    for name, value in body.items():
        if name in ("schemas", "id") or value in (None, [], {}):
            continue
        typed = isinstance(value, list) and all("type" in each for each in value)
        comparable[name] = sorted(value, key=lambda each: each["type"]) if typed else value
    return comparable


@given(flats())
def test_what_is_written_flat_is_read_flat_again(flat: Flat) -> None:
    assert flatten(Kind.USER, _with_native(flat), flat) == flat


@settings(max_examples=150)
@given(flats(), flats())
def test_the_operations_of_a_difference_turn_the_one_resource_into_the_other(old: Flat, new: Flat) -> None:
    before, after = differing(old, new)
    operations = patch(Kind.USER, before, after, old)
    there = User[EnterpriseUser].model_validate(_with_native(old))
    if operations:
        schema = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
        PatchOp[User[EnterpriseUser]].model_validate({"schemas": [schema], "Operations": operations}).patch(there)
    assert _comparable(there.model_dump()) == _comparable(_with_native(new))
    assert len(operations) <= len(after)


@given(flats(), flats())
def test_a_merge_turns_the_one_resource_into_the_other_and_keeps_what_is_theirs(old: Flat, new: Flat) -> None:
    _, after = differing(old, new)
    merged = merge(Kind.USER, _with_native(old), after)
    assert _comparable(merged) == _comparable(_with_native(new))


# -- elements without their label ------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("emails", "wanted", "found"),
    [
        # The only element is ours, unless its value belongs to the other path.
        (["a@x"], {WORK_VALUE: "b@x"}, {WORK_VALUE: "a@x"}),
        (["a@x"], {WORK_VALUE: "b@x", HOME_VALUE: "a@x"}, {HOME_VALUE: "a@x"}),
        # Of several, its value tells.
        (["a@x", "b@x"], {WORK_VALUE: "b@x", HOME_VALUE: "a@x"}, {WORK_VALUE: "b@x", HOME_VALUE: "a@x"}),
        (["a@x", "b@x"], {WORK_VALUE: "c@x"}, {}),
    ],
)
def test_an_element_without_its_label_is_known_by_its_value(emails: list[str], wanted: Flat, found: Flat) -> None:
    body = {"emails": [{"value": each} for each in emails]}
    assert flatten(Kind.USER, body, wanted) == found


def test_where_values_are_not_known_two_paths_share_no_element() -> None:
    body = {"emails": [{"value": "a@x"}]}
    assert flatten(Kind.USER, body, [WORK_VALUE]) == {WORK_VALUE: "a@x"}
    assert flatten(Kind.USER, body, [WORK_VALUE, HOME_VALUE]) == {}
    there = unlabelled_values(Kind.USER, body, [WORK_VALUE, HOME_VALUE])
    assert there == {"emails[not (type pr)].value": ["a@x"]}
    assert with_unlabelled(there, {WORK_VALUE: "A@x", HOME_VALUE: "b@x"}) == {**there, WORK_VALUE: "A@x"}


def test_a_whole_list_changes_the_element_that_had_the_former_value() -> None:
    body = {"emails": [{"value": "theirs@x"}, {"value": "a@x"}]}
    (operation,) = whole_attributes(Kind.USER, body, {WORK_VALUE: "b@x"}, {WORK_VALUE: "a@x"})
    assert operation["value"] == [{"value": "theirs@x"}, {"value": "b@x", "type": "work"}]
