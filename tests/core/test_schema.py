"""SCIM paths as a person may write them: every form, the one spelling that comes of it, every refusal."""

from __future__ import annotations

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.model import Kind
from syncd.core.schema import MANAGER, Path, PathError, Type, parse_path, quote

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
CORE = "urn:ietf:params:scim:schemas:core:2.0:User"


@pytest.mark.parametrize(
    ("written", "path"),
    [
        ("title", Path("", "title", None, "", Type.STRING, multi=False)),
        ("name.givenName", Path("", "name", None, "givenName", Type.STRING, multi=False)),
        ('emails[type eq "work"].value', Path("", "emails", ("type", "work"), "value", Type.STRING, multi=False)),
        ('emails[type eq "work"].primary', Path("", "emails", ("type", "work"), "primary", Type.BOOLEAN, multi=False)),
        (
            'addresses[type eq "work"].locality',
            Path("", "addresses", ("type", "work"), "locality", Type.STRING, multi=False),
        ),
        ("emails", Path("", "emails", None, "", Type.STRING, multi=True)),
        ("roles.value", Path("", "roles", None, "", Type.STRING, multi=True)),
        (f"{ENTERPRISE}:department", Path(ENTERPRISE, "department", None, "", Type.STRING, multi=False)),
        (f"{ENTERPRISE}:manager", Path(ENTERPRISE, "manager", None, "", Type.REFERENCE_TO_USER, multi=False)),
        (f"{ENTERPRISE}:manager.value", Path(ENTERPRISE, "manager", None, "", Type.REFERENCE_TO_USER, multi=False)),
        (f"{CORE}:userName", Path("", "userName", None, "", Type.STRING, multi=False)),
    ],
)
def test_every_form_of_a_path_is_understood(written: str, path: Path) -> None:
    assert parse_path(written) == path


@pytest.mark.parametrize(
    ("written", "spelling"),
    [
        ("USERNAME", "userName"),
        ("  title ", "title"),
        ("NAME.givenname", "name.givenName"),
        ('EMAILS[ TYPE  EQ  "work" ].VALUE', 'emails[type eq "work"].value'),
        ("phonenumbers.VALUE", "phoneNumbers"),
        ("emails.value", "emails"),
        (f"{CORE.upper()}:NAME.FAMILYNAME", "name.familyName"),
        (f"{ENTERPRISE.upper()}:COSTCENTER", f"{ENTERPRISE}:costCenter"),
        (f"{ENTERPRISE}:Manager.Value", MANAGER),
        (r'ims[type eq "a\"b\\c"].value', r'ims[type eq "a\"b\\c"].value'),
        (r'ims[type eq "\u0041\n"].value', r'ims[type eq "A\n"].value'),
    ],
)
def test_equal_paths_have_one_spelling(written: str, spelling: str) -> None:
    path = parse_path(written)
    assert str(path) == spelling
    assert parse_path(str(path)) == path


def test_the_value_of_a_filter_keeps_its_case() -> None:
    assert parse_path('emails[type eq "Work"].value').filter == ("type", "Work")


def test_the_parts_of_one_element_name_the_same_element() -> None:
    value, primary = parse_path('emails[type eq "work"].value'), parse_path('emails[type eq "work"].primary')
    assert value.element == primary.element == 'emails[type eq "work"]'
    assert parse_path('emails[type eq "home"].value').element == 'emails[type eq "home"]'


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("", "not a SCIM path"),
        ("emails[type eq work].value", "not a SCIM path"),
        ('emails[type ne "work"].value', "not a SCIM path"),
        ('emails[type eq "work"', "not a SCIM path"),
        ('emails[type eq "a" and primary eq true].value', "not a SCIM path"),
        ("name..givenName", "not a SCIM path"),
        ("name.givenName.first", "not a SCIM path"),
        (r'ims[type eq "\x"].value', r'`"\x"` is not a text in JSON'),
        ("usrName", "no attribute `usrName`; did you mean `userName`?"),
        ("zzz", f"the schema {CORE} has no attribute `zzz`"),
        ("name.givenname2", "`name` has no part `givenname2`; did you mean `givenName`?"),
        ('emails[tpye eq "work"].value', "`emails` has no part `tpye`; did you mean `type`?"),
        (
            f"{ENTERPRISE}:departmnt",
            f"the schema {ENTERPRISE} has no attribute `departmnt`; did you mean `department`?",
        ),
        (
            "urn:ietf:params:scim:schemas:extension:enterprise:2.1:User:department",
            f"extension:enterprise:2.1:User` is not known for a user; did you mean `{ENTERPRISE}`?",
        ),
        ("urn:example:x", "the schema `urn:example` is not known for a user"),
        ("active", "set by the source's `active` rule"),
        ("ACTIVE", "set by the source's `active` rule"),
        ("password", "never sends passwords"),
        ("groups", "memberships are written to the groups"),
        ("id", "the target makes it"),
        ("meta", "the target makes it"),
        ("name", "`name` is complex: map its parts, such as `name.familyName`"),
        ('name[type eq "work"].givenName', "`name` has one value"),
        ("title.value", "`title` is a simple attribute"),
        ('title[type eq "work"]', "`title` is a simple attribute"),
        ('emails[type eq "work"]', "names a whole element"),
        ('emails[type eq "work"].type', "the filter already fixes `type`"),
        ('emails[primary eq "true"].value', "`primary` is true or false"),
        ("emails.type", '`emails` has several values: say which, as in `emails[type eq "work"].type`'),
        ("emails.nonsense", "`emails` has no part `nonsense`"),
        ("addresses", '`addresses` has several values: say which, as in `addresses[type eq "work"].formatted`'),
        ("addresses.locality", '`addresses` has several values: say which, as in `addresses[type eq "work"].locality`'),
        (f"{ENTERPRISE}:manager.displayName", "only the whole can be mapped"),
        (f'{ENTERPRISE}:manager[value eq "x"]', "only the whole can be mapped"),
    ],
)
def test_what_cannot_be_mapped_is_refused_with_the_reason(written: str, said: str) -> None:
    with pytest.raises(PathError) as refused:
        parse_path(written)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("written", "said"),
    [
        ("members", "from the source's memberships"),
        ("userName", "has no attribute `userName`"),
        ("displayname2", "did you mean `displayName`?"),
        (f"{ENTERPRISE}:department", "is not known for a group"),
    ],
)
def test_a_group_has_paths_of_its_own(written: str, said: str) -> None:
    assert str(parse_path("displayname", Kind.GROUP)) == "displayName"
    with pytest.raises(PathError) as refused:
        parse_path(written, Kind.GROUP)
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("text", "literal"),
    [("a", '"a"'), ('a"b', r'"a\"b"'), ("a\\", r'"a\\"'), ("a\nb\x00", r'"a\nb\u0000"'), ("Zoë 👩‍🚀", '"Zoë 👩‍🚀"')],
)
def test_a_text_is_quoted_as_in_json(text: str, literal: str) -> None:
    assert quote(text) == literal


@given(st.text(st.characters(exclude_categories=["Cs"])))
def test_whatever_stands_in_a_filter_can_be_read_back(text: str) -> None:
    assert orjson.loads(quote(text)) == text
    assert parse_path(f"ims[type eq {quote(text)}].value").filter == ("type", text)
