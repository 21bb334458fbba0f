"""Mapping from an entry to the desired state: values worked out by hand for every kind of line."""

from __future__ import annotations

from typing import Any

import pytest

from syncd.core.mapping import (
    EntryUnusable,
    GroupMapping,
    MappingFault,
    Selection,
    Spec,
    UserMapping,
    compile_assignment,
    conflicts,
    desired_user,
    union,
)
from syncd.core.model import Attributes, Desired, Entry, GroupEntry, Kind, State
from syncd.core.rules import Rule
from syncd.core.schema import MANAGER
from tests.world import domains

WORK, WORK_PRIMARY = 'emails[type eq "work"].value', 'emails[type eq "work"].primary'
ADA: Attributes = {"uid": ["ada"], "mail": ["Ada@Example.com", "ada@home.example"], "boss": ["7"], "age": ["36"]}


def users(**lines: Spec) -> UserMapping:
    return user_mapping({"userName": "{uid}", **lines})


def user_mapping(lines: dict[str, Spec]) -> UserMapping:
    return UserMapping([compile_assignment(path, spec, Kind.USER) for path, spec in lines.items()])


def mapped(path: str, spec: Spec, attributes: Attributes = ADA) -> Any:
    """Map one line beside a userName; None where the path is left out."""
    return users(**{path: spec}).flat("1001", attributes).get(path)


@pytest.mark.parametrize(
    ("path", "spec", "value"),
    [
        ("title", "{uid|upper}", "ADA"),
        ("title", "Countess", "Countess"),
        ("title", "{absent}", None),
        ("title", ["{absent}", "{uid}"], "ada"),
        ("title", ["{absent}", "{missing}"], None),
        ("title", ["{absent}", "{missing}", "nobody"], "nobody"),
        ("title", {"cel": 'uid == "ada" ? "Countess" : ""'}, "Countess"),
        ("title", {"cel": 'uid != "ada" ? "Countess" : ""'}, None),
        ("title", {"cel": "int(age) + 1"}, "37"),
        ("title", {"cel": "null"}, None),
        (WORK, "{mail|lower}", "ada@example.com"),
        (MANAGER, "{boss}", "7"),
        (MANAGER, "{absent}", None),
        # Several values stay several where the path has room for them.
        ("emails", "{mail|lower}", [{"value": "ada@example.com"}, {"value": "ada@home.example"}]),
        ("roles", ["{absent}", "{uid}"], [{"value": "ada"}]),
        ("roles", "{absent}", None),
        ("roles", {"cel": '["b", "a", "b", ""]'}, [{"value": "b"}, {"value": "a"}]),
        (
            "roles",
            {"cel": 'attrs["mail"].map(m, m.lowerAscii())'},
            [{"value": "ada@example.com"}, {"value": "ada@home.example"}],
        ),
        ("roles", {"cel": '"one"'}, [{"value": "one"}]),
        ("roles", {"cel": "[]"}, None),
        ("roles", {"cel": '["", ""]'}, None),
    ],
)
def test_a_line_gives_its_value_or_is_left_out(path: str, spec: Spec, value: Any) -> None:
    assert mapped(path, spec) == value


@pytest.mark.parametrize("truth", [True, False])
def test_a_boolean_may_be_a_constant_or_a_rule(truth: bool) -> None:
    lines = {"userName": "{uid}", WORK: "{mail}"}
    assert user_mapping({**lines, WORK_PRIMARY: truth}).flat("1", ADA)[WORK_PRIMARY] is truth
    rule = {"cel": 'uid == "ada"' if truth else 'uid == "bob"'}
    assert user_mapping({**lines, WORK_PRIMARY: rule}).flat("1", ADA)[WORK_PRIMARY] is truth


def test_values_that_differ_in_nothing_are_one() -> None:
    assert mapped("emails", "{mail|domain|lower}", {"uid": ["x"], "mail": ["a@B.c", "d@b.C"]}) == [{"value": "b.c"}]


def test_an_element_without_its_value_is_left_out_whole() -> None:
    mapping = user_mapping(
        {
            "userName": "{uid}",
            WORK: "{mail|lower}",
            WORK_PRIMARY: True,
            'emails[type eq "work"].display': "{uid}",
            'emails[type eq "home"].value': "{home}",
            'emails[type eq "home"].primary': False,
            'phoneNumbers[type eq "work"].value': "{phone}",
        }
    )
    assert mapping.flat("1001", {"uid": ["ada"], "home": ["a@home.example"]}) == {
        "userName": "ada",
        'emails[type eq "home"].value': "a@home.example",
        'emails[type eq "home"].primary': False,
        "externalId": "1001",
    }
    assert mapping.flat("1001", {"uid": ["ada"], "mail": ["Ada@Example.com"]}) == {
        "userName": "ada",
        WORK: "ada@example.com",
        WORK_PRIMARY: True,
        'emails[type eq "work"].display': "ada",
        "externalId": "1001",
    }


def test_the_external_id_is_the_key_unless_it_is_mapped() -> None:
    assert users().flat("1001", ADA) == {"userName": "ada", "externalId": "1001"}
    assert users(externalId="x-{uid}").flat("1001", ADA) == {"userName": "ada", "externalId": "x-ada"}
    assert users(externalId="{absent}").flat("1001", ADA) == {"userName": "ada"}
    assert users(EXTERNALID="x-{uid}").flat("1001", ADA) == {"userName": "ada", "externalId": "x-ada"}


@pytest.mark.parametrize("attributes", [{}, {"uid": [""]}, {"mail": ["x@y.z"]}])
def test_nobody_is_pushed_without_a_user_name(attributes: Attributes) -> None:
    with pytest.raises(EntryUnusable, match="no value for userName"):
        users().flat("1001", attributes)


@pytest.mark.parametrize(
    ("path", "spec", "said"),
    [
        ("title", {"cel": "int(uid)"}, "`int(uid)`: "),
        ("title", {"cel": "true"}, "`true` gave True, but `title` takes a text"),
        ("title", {"cel": '["a"]'}, "but `title` takes a text"),
        ("title", {"cel": "1.5"}, "but `title` takes a text"),
        ("roles", {"cel": "1"}, "but `roles` takes a list of texts"),
        ("roles", {"cel": "[1]"}, "but `roles` takes a list of texts"),
        (WORK_PRIMARY, {"cel": '"yes"'}, f"but `{WORK_PRIMARY}` takes true or false"),
        ("roles", "{mail}-{three}", "have 2 and 3 values"),
    ],
)
def test_a_value_that_does_not_fit_makes_the_entry_unusable(path: str, spec: Spec, said: str) -> None:
    with pytest.raises(EntryUnusable) as unusable:
        mapped(path, spec, {**ADA, "three": ["a", "b", "c"]})
    assert said in str(unusable.value)


@pytest.mark.parametrize(
    ("path", "spec", "said"),
    [
        ("tittle", "{x}", "did you mean `title`?"),
        ("title", "{x", "a lone `{`"),
        ("title", "{x|lowr}", "did you mean `lower`?"),
        ("title", {"cel": "x ="}, "not valid CEL at character"),
        ("title", {"sel": "x"}, "no such key in the table: `sel`; did you mean `cel`?"),
        ("title", {"cel": "x", "also": "y"}, "no such key in the table: `also`"),
        ("title", [], "an empty list maps nothing"),
        ("title", True, "`title` takes text, not true or false"),
        (WORK_PRIMARY, "true", "takes true or false, or a rule in CEL"),
        ("active", True, "can't be mapped"),
    ],
)
def test_a_wrong_line_is_a_fault_of_the_configuration(path: str, spec: Spec, said: str) -> None:
    with pytest.raises(MappingFault) as fault:
        compile_assignment(path, spec, Kind.USER)
    assert said in str(fault.value)


@pytest.mark.parametrize(
    ("lines", "found"),
    [
        (["title", "nickName"], []),
        (["title", "TITLE"], [("title", "mapped twice (attribute names are case-insensitive)")]),
        (
            ["emails", WORK, 'phoneNumbers[type eq "work"].value'],
            [(WORK, "`emails` is mapped as a whole too; keep one of the two")],
        ),
        ([WORK, 'emails[type eq "home"].value'], []),
    ],
)
def test_two_lines_that_write_the_same_are_found(lines: list[str], found: list[tuple[str, str]]) -> None:
    assert conflicts([compile_assignment(path, "{x}", Kind.USER) for path in lines]) == found


def test_a_mapping_knows_the_attributes_it_reads() -> None:
    assert users(title=["{a}", "{b|lower}"], nickName={"cel": 'c == "" ? d : c'}).attributes == {
        *("uid", "a", "b", "c", "d")
    }
    assert users(title={"cel": "size(attrs) > 1 ? uid : uid"}).attributes is None
    assert union([]) == frozenset()
    assert union([frozenset("a"), frozenset("b")]) == {"a", "b"}
    assert union([frozenset("a"), None]) is None


@pytest.mark.parametrize(
    ("lines", "attributes", "address"),
    [
        ({WORK: "{mail|lower}"}, ADA, "ada@example.com"),
        ({"emails": "{mail|lower}"}, ADA, "ada@example.com"),
        ({WORK_PRIMARY: True, WORK: "{mail}"}, ADA, "Ada@Example.com"),
        # Without an address of their own, people are known by their userName.
        ({WORK: "{mail}"}, {"uid": ["ada@example.org"]}, "ada@example.org"),
        ({"emails": "{mail}"}, {"uid": ["ada@example.org"]}, "ada@example.org"),
        ({}, {"uid": ["ada@example.org"]}, "ada@example.org"),
    ],
)
def test_the_address_that_decides_the_domain(lines: dict[str, Spec], attributes: Attributes, address: str) -> None:
    mapping = users(**lines)
    assert mapping.email(mapping.flat("1001", attributes)) == address


ACTIVE, SCOPE = Rule('status != "left"'), Rule('department != "Contractors"')


@pytest.mark.parametrize(
    ("attributes", "desired"),
    [
        ({"uid": ["a@example.com"]}, ("a@example.com", State.ACTIVE, "")),
        ({"uid": ["a@example.org"]}, ("a@example.org", State.PENDING, "")),
        ({"uid": ["a@example.com"], "status": ["left"]}, ("", State.DEACTIVATED, "disabled in the source")),
        ({"uid": ["a@example.com"], "department": ["Contractors"]}, ("", State.DEACTIVATED, "no longer in scope")),
        (
            {"uid": ["a@example.com"], "status": ["left"], "department": ["Contractors"]},
            ("", State.DEACTIVATED, "disabled in the source"),
        ),
        # Who is to be switched off needs no userName and no address for it.
        ({"status": ["left"]}, ("", State.DEACTIVATED, "disabled in the source")),
        ({"uid": ["nonsense"], "department": ["Contractors"]}, ("", State.DEACTIVATED, "no longer in scope")),
    ],
)
def test_what_a_target_should_hold_of_one_person(attributes: Attributes, desired: tuple[str, State, str]) -> None:
    selection = Selection(SCOPE, None, domains("example.com"))
    name, state, reason = desired
    flat = {"userName": name, "externalId": "1001"} if name else {}
    assert desired_user(Entry("1001", attributes, "people.csv:2"), users(), ACTIVE, selection) == Desired(
        "1001", name, state, flat, reason
    )


@pytest.mark.parametrize(
    ("attributes", "active", "said"),
    [
        ({}, None, "no value for userName"),
        ({"uid": ["nonsense"]}, None, "has no domain that could be compared"),
        ({"uid": ["a@example.com"], "status": ["x"]}, Rule("int(status) == 1"), "`int(status) == 1`: "),
        ({"uid": ["a@example.com"]}, Rule("uid"), "neither true nor false"),
    ],
)
def test_an_entry_that_cannot_be_judged_is_unusable(attributes: Attributes, active: Rule | None, said: str) -> None:
    with pytest.raises(EntryUnusable) as unusable:
        desired_user(Entry("1001", attributes, ""), users(), active, Selection(None, None, domains("example.com")))
    assert said in str(unusable.value)


def test_a_scope_that_fails_makes_the_entry_unusable_not_unwanted() -> None:
    with pytest.raises(EntryUnusable):
        desired_user(Entry("1001", ADA, ""), users(), None, Selection(Rule("int(uid) > 1")))


def groups(**lines: Spec) -> GroupMapping:
    return GroupMapping([compile_assignment(path, spec, Kind.GROUP) for path, spec in lines.items()])


def test_a_group_has_a_name_and_the_key_as_external_id() -> None:
    design = GroupEntry("g1", {"name": ["Design"], "code": ["D"]}, "groups.csv:2")
    assert groups(displayName="{name}").flat(design) == {"externalId": "g1", "displayName": "Design"}
    assert groups(displayName="{name}", externalId="{code}").flat(design) == {
        "externalId": "D",
        "displayName": "Design",
    }
    assert groups(displayName="{name}", externalId="{absent}").flat(design) == {"displayName": "Design"}
    assert groups(displayName="{name}").attributes == {"name"}


@pytest.mark.parametrize("spec", ["{absent}", {"cel": '""'}, {"cel": "int(name)"}])
def test_a_group_without_a_name_is_unusable(spec: Spec) -> None:
    with pytest.raises(EntryUnusable):
        groups(displayName=spec).flat(GroupEntry("g1", {"name": ["Design"]}, "groups.csv:2"))


@pytest.mark.parametrize(
    ("patterns", "wanted", "unwanted"),
    [
        (None, ["Engineering", ""], []),
        ((), [], ["Engineering", ""]),
        (("Engineering", "Design*"), ["Engineering", "Design", "Design EU"], ["engineering", "EU Design", "Sales"]),
        (("*",), ["Engineering", ""], []),
        (("Team ?",), ["Team A"], ["Team AB"]),
    ],
)
def test_which_groups_are_wanted(patterns: tuple[str, ...] | None, wanted: list[str], unwanted: list[str]) -> None:
    selection = Selection(groups=patterns)
    assert selection.wants_groups is (patterns != ())
    assert all(map(selection.wants_group, wanted))
    assert not any(map(selection.wants_group, unwanted))
