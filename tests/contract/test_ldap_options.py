"""An administrator's options are checked before any connection, with plain errors."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from ldap3.operation.search import parse_filter, search_operation

from syncd.core.model import Source, Wanted
from syncd.core.rules import Rule
from syncd.errors import SourceMismatch
from syncd.sources.ldap.filters import FilterFault, any_of, check_filter, escaped
from syncd.sources.ldap.options import LdapOptions, endpoint
from syncd.sources.ldap.presets import PRESETS
from syncd.sources.ldap.source import LdapSource

GOOD = LdapOptions(urls=("ldaps://dc1.example.com",), base_dn="dc=example,dc=com")
NOTHING = Wanted(frozenset(), frozenset())


@pytest.mark.parametrize(
    "text",
    [
        "(objectClass=*)",
        "(cn=Ada Lovelace)",
        r"(cn=a\2ab\28\29\5c\00)",
        "(cn=*da*love*)",
        "(&(objectClass=person)(!(employeeType=guest)))",
        "(|(a=1)(b=2)(c=3))",
        " ( & (a=1)\n  (b>=2) (c<=3) (d~=4) ) ",
        "(cn=)",
        "(cn=a=b)",
        "(cn=Zoë)",
        "(member=cn=Ada,ou=people,dc=example,dc=com)",
        "(memberOf:1.2.840.113556.1.4.1941:=cn=x,dc=y)",
        "(userAccountControl:1.2.840.113556.1.4.803:=2)",
        "(ou:dn:=people)",
        "(:dn:2.4.6.8.10:=Dino)",
        "(cn;lang-de=Ada)",
        "(2.5.4.3=Ada)",
    ],
)
def test_a_filter_is_accepted_and_can_be_sent(text: str) -> None:
    check_filter(text)
    search_operation("", text, "SUBTREE", 0, ["1.1"], 0, 0, False, False, True)


@pytest.mark.parametrize(
    ("text", "problem"),
    [
        ("", "character 1, at its end: expected `(`"),
        ("objectClass=person", "character 1, near `objectClass=person`: expected `(`"),
        ("(objectClass=person", "character 20, at its end: expected `)` for the `(` at character 1"),
        ("(objectClass=person))", "character 21, near `)`: something follows the end of the filter"),
        ("(a=1)(b=2)", "character 6, near `(b=2)`: something follows the end of the filter"),
        ("(&)", "character 3, near `)`: `&` needs at least one filter"),
        ("(!(a=1)(b=2))", "`!` needs exactly one filter"),
        ("(&(a=1)b=2)", "character 8, near `b=2)`: expected `)`"),
        ("(a)", "expected a comparison such as attribute=value"),
        ("(=x)", "expected a comparison such as attribute=value"),
        ("(a b=x)", "expected a comparison"),
        ("(a=(x))", r"a parenthesis in a value is written \28 or \29"),
        (r"(a=\x)", "two hexadecimal digits"),
        ("(a=\\", "two hexadecimal digits"),
        ("(a:=x", "expected `)`"),
        ("(:=x)", "expected a comparison"),
        ("(a:2.5.13.5:>=x)", "expected a comparison"),
        ("(&" * 60, "levels of parentheses"),
    ],
)
def test_a_filter_that_is_none_is_explained(text: str, problem: str) -> None:
    with pytest.raises(FilterFault) as refused:
        check_filter(text)
    assert problem in str(refused.value)


_NAMES = st.from_regex(r"[A-Za-z][A-Za-z0-9-]{0,8}", fullmatch=True)
_FILTERS = st.recursive(
    st.builds(
        "({}{}{})".format,
        _NAMES,
        st.sampled_from(["=", ">=", "<=", "~=", ":=", ":caseExactMatch:=", "=*"]),
        st.text(max_size=12).map(lambda text: escaped(text.encode())),
    ),
    lambda parts: st.one_of(
        st.builds("(!{})".format, parts),
        st.builds(lambda sign, some: f"({sign}{' '.join(some)})", st.sampled_from("&|"), st.lists(parts, min_size=1)),
    ),
    max_leaves=8,
)


@given(_FILTERS)
def test_what_is_accepted_can_be_sent(text: str) -> None:
    check_filter(text)
    search_operation("", text, "SUBTREE", 0, ["1.1"], 0, 0, False, False, True)


@given(st.binary(min_size=1))
def test_an_escaped_value_arrives_as_it_was(value: bytes) -> None:
    check_filter(f"(cn={escaped(value)})")
    request = search_operation("", f"(cn={escaped(value)})", "SUBTREE", 0, ["1.1"], 0, 0, False, False, True)
    assert bytes(request["filter"]["equalityMatch"]["assertionValue"]) == value


@given(st.lists(st.binary(min_size=1), min_size=1, max_size=5))
def test_a_filter_for_several_values_has_as_many_parts(values: list[bytes]) -> None:
    text = any_of("entryUUID", values)
    check_filter(text)
    parsed = parse_filter(text, None, False, True, None, False)  # type: ignore[no-untyped-call]
    assert len(parsed.elements[0].elements) == len(values)


@pytest.mark.parametrize(
    ("change", "key", "problem"),
    [
        ({"urls": ("ldap://dc1.example.com",)}, "source.urls", "in clear: use ldaps://, or start_tls = true"),
        ({"urls": ("ldap://localhost.example.com",)}, "source.urls", "in clear"),
        ({"urls": ("ldap://127.0.0.1.example.com",)}, "source.urls", "in clear"),
        ({"bind_dn": "cn=syncd"}, "source.bind_dn", "needs a `password` beside it"),
        ({"password": lambda: "x"}, "source.bind_dn", "missing: `password` is for the account that it names"),
    ],
)
def test_options_that_contradict_each_other_are_named_and_nothing_is_connected_to(
    change: dict[str, Any], key: str, problem: str
) -> None:
    changed = replace(GOOD, **change)
    [fault] = changed.faults()
    assert fault.key == key
    assert problem in fault.problem
    with pytest.raises(SourceMismatch, match=r"source\."):
        LdapSource(changed).pull(NOTHING)


def test_every_contradiction_is_found_at_once() -> None:
    wrong = replace(GOOD, urls=("ldap://dc1.example.com",), bind_dn="cn=syncd")
    assert [fault.key for fault in wrong.faults()] == ["source.urls", "source.bind_dn"]


@pytest.mark.parametrize(
    "change",
    [
        {},
        {"urls": ("ldap://dc1.example.com",), "start_tls": True},
        {"urls": ("ldap://127.0.0.1", "ldap://localhost:1389", "ldap://[::1]:389", "ldap://127.8.9.1")},
        {"urls": ("ldaps://dc1.example.com:3269/",)},
        {"group_filter": ""},
        {"bind_dn": "syncd@example.com", "password": lambda: "x"},
        {"base_dn": ""},
        {"ca_file": Path("/nowhere")},
    ],
)
def test_options_that_can_work_have_no_fault(change: dict[str, Any]) -> None:
    assert replace(GOOD, **change).faults() == []


@pytest.mark.parametrize(
    ("url", "host", "port", "tls"),
    [
        ("ldap://dc1.example.com", "dc1.example.com", 389, False),
        ("ldaps://dc1.example.com", "dc1.example.com", 636, True),
        ("ldaps://DC1:3269", "dc1", 3269, True),
        ("ldap://[::1]:1389", "::1", 1389, False),
    ],
)
def test_an_address_is_taken_apart(url: str, host: str, port: int, tls: bool) -> None:
    server = endpoint(url)
    assert (server.host, server.port, server.tls) == (host, port, tls)


@pytest.mark.parametrize("name", ["first name", "mail)", "", "1mail", "e-mail:work", "mail\n"])
def test_an_attribute_that_can_t_exist_is_refused_before_connecting(name: str) -> None:
    with pytest.raises(SourceMismatch, match="no attribute of a directory"):
        LdapSource(GOOD).pull(Wanted(frozenset({name}), frozenset()))
    with pytest.raises(SourceMismatch, match="no attribute of a directory"):
        LdapSource(GOOD).check(Wanted(frozenset(), frozenset({name})))


def test_the_source_is_a_source() -> None:
    source: Source = LdapSource(GOOD)
    assert source.name == "ldaps://dc1.example.com"


@pytest.mark.parametrize("preset", PRESETS)
def test_a_preset_has_filters_that_can_be_sent_and_a_rule_that_compiles(preset: str) -> None:
    check_filter(PRESETS[preset].user_filter)
    check_filter(PRESETS[preset].group_filter)
    Rule(PRESETS[preset].active)


@pytest.mark.parametrize(
    ("preset", "attributes", "enabled"),
    [
        ("openldap", {}, True),
        ("openldap", {"pwdAccountLockedTime": ["000001010000Z"]}, False),
        ("openldap", {"pwdAccountLockedTime": ["20261122185900Z"]}, True),
        ("ad", {"userAccountControl": ["512"]}, True),
        ("ad", {"userAccountControl": ["514"]}, False),
        ("ad", {"userAccountControl": ["66048"]}, True),
        ("ad", {"userAccountControl": ["66050"]}, False),
        ("389ds", {}, True),
        ("389ds", {"nsAccountLock": ["true"]}, False),
        ("389ds", {"nsAccountLock": ["TRUE"]}, False),
        ("389ds", {"nsAccountLock": ["false"]}, True),
        ("posix", {}, True),
        ("posix", {"shadowExpire": ["1"]}, False),
        ("posix", {"shadowExpire": ["0"]}, False),
        ("posix", {"shadowExpire": ["-1"]}, True),
        ("posix", {"shadowExpire": ["20500"]}, True),
    ],
)
def test_a_preset_knows_who_is_enabled(preset: str, attributes: dict[str, list[str]], enabled: bool) -> None:
    assert Rule(PRESETS[preset].active).holds(attributes) is enabled
