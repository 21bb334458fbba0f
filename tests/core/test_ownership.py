"""Ownership: which of a resource's values the source decides, worked out by hand."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.core.mapping import GroupMapping, MappingFault, Spec, UserMapping, compile_assignment
from syncd.core.model import Kind
from syncd.core.ownership import Ownership, emptied

HOME, HOME_PRIMARY = 'emails[type eq "home"].value', 'emails[type eq "home"].primary'
ALWAYS = {"userName", "externalId", "active"}


def users(**lines: Spec) -> Ownership:
    return of_users({"userName": "{uid}", **lines})


def of_users(lines: dict[str, Spec]) -> Ownership:
    return UserMapping([compile_assignment(path, spec, Kind.USER) for path, spec in lines.items()]).ownership


@pytest.mark.parametrize(
    ("spec", "decided", "kept", "at_creation"),
    [
        ("{x}", True, False, False),
        ({"template": "{x}"}, True, False, False),
        ({"template": ["{x}", "{y}"], "when_empty": "clear", "apply": "always"}, True, False, False),
        ({"template": "{x}", "when_empty": "keep"}, True, True, False),
        ({"cel": "x", "when_empty": "keep"}, True, True, False),
        ({"template": "{x}", "apply": "create"}, False, False, True),
        ({"cel": "x", "apply": "create", "when_empty": "keep"}, False, False, True),
    ],
)
def test_a_line_says_how_far_the_source_decides(spec: Spec, decided: bool, kept: bool, at_creation: bool) -> None:
    owned = users(title=spec)
    assert ("title" in owned.decided, "title" in owned.kept, "title" in owned.at_creation) == (
        decided,
        kept,
        at_creation,
    )
    assert owned.paths == ALWAYS | {"title"}


@pytest.mark.parametrize("path", ["roles", "entitlements"])
def test_privileges_are_kept_only_where_the_mapping_says_so(path: str) -> None:
    assert users(**{path: "{x}"}).kept == frozenset()
    assert users(**{path: {"template": "{x}", "when_empty": "keep"}}).kept == {path}


def test_the_labels_of_an_element_stay_with_its_value() -> None:
    line = {"template": "{home}", "when_empty": "keep"}
    assert of_users({"userName": "{uid}", HOME: line, HOME_PRIMARY: True}).kept == {HOME, HOME_PRIMARY}


def test_a_group_has_a_name_and_a_mark() -> None:
    assert GroupMapping([compile_assignment("displayName", "{x}", Kind.GROUP)]).ownership == Ownership(
        frozenset({"displayName", "externalId"})
    )


@pytest.mark.parametrize(
    ("path", "spec", "said"),
    [
        ("title", {"template": "{x}", "when_emtpy": "keep"}, "`when_emtpy`; did you mean `when_empty`?"),
        ("title", {"template": "{x}", "colour": "red"}, "no such key in the table: `colour`"),
        ("title", {"template": "{x}", "when_empty": "keeep"}, 'must be "clear" or "keep"; did you mean `keep`?'),
        ("title", {"template": "{x}", "when_empty": True}, '`when_empty` must be "clear" or "keep"'),
        ("title", {"template": "{x}", "apply": "created"}, 'must be "always" or "create"; did you mean `create`?'),
        ("title", {"when_empty": "keep"}, "a table takes one of `template` and `cel`"),
        ("title", {"template": "{x}", "cel": "x"}, "a table takes one of `template` and `cel`"),
        ("title", {"template": True}, "`template` takes a template"),
        ("title", {"template": ["{x}", True]}, "`template` takes a template"),
        ("title", {"template": []}, "an empty list maps nothing"),
        ("title", {"template": "{x|lowr}"}, "did you mean `lower`?"),
        ("title", {"cel": ["x"]}, "`cel` takes a rule in quotes"),
        ("userName", {"template": "{x}", "apply": "create"}, "`userName` is how syncd finds what is its own"),
        ("externalId", {"template": "{x}", "when_empty": "keep"}, "`externalId` is how syncd finds what is its own"),
    ],
)  # fmt: skip
def test_a_wrong_table_is_a_fault_of_the_configuration(path: str, spec: Any, said: str) -> None:
    with pytest.raises(MappingFault) as fault:
        compile_assignment(path, spec, Kind.USER)
    assert said in str(fault.value)


def test_the_name_of_a_group_is_always_written() -> None:
    with pytest.raises(MappingFault, match="`displayName` is how syncd finds"):
        compile_assignment("displayName", {"template": "{x}", "apply": "create"}, Kind.GROUP)


@pytest.mark.parametrize(
    ("wanted", "there", "settled"),
    [
        ({"title": "x"}, {"title": "y", "nickName": "z"}, {"title": "x", "nickName": "z"}),
        ({"locale": "en", "nickName": "n"}, {"locale": "de"}, {"nickName": "n", "locale": "de"}),
        ({"title": "x", "locale": "en"}, {"nickName": ""}, {"title": "x"}),
        ({}, {"title": "y"}, {}),
    ],
)  # fmt: skip
def test_what_is_left_alone_is_as_it_is_there(wanted: Any, there: Any, settled: Any) -> None:
    owned = Ownership(frozenset({"userName", "title", "nickName"}), frozenset({"nickName"}), frozenset({"locale"}))
    assert owned.settled(wanted, there) == settled


def test_only_a_value_without_another_in_its_place_is_emptied() -> None:
    before = {"title": "x", "nickName": "y", "locale": "", "roles": [], "userType": None}
    assert emptied(before, {"nickName": "z"}) == {"title": "x"}
    assert emptied({"roles": [{"value": "x"}]}, {"roles": []}) == {"roles": [{"value": "x"}]}
