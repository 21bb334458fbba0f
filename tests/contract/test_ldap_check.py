"""`syncd check` on a directory: its product, its counts, and attributes that no entry has."""

from __future__ import annotations

from collections.abc import Iterable
from pathlib import Path

import pytest

from syncd.core.model import Wanted
from syncd.errors import SourceMismatch, SourceRefused
from syncd.sources.ldap.options import LdapOptions
from syncd.sources.ldap.source import LdapSource
from tests.contract.ldap_directory import options
from tests.servers.ldap_wire import EXTENDED, Request, Scripted, done, entry, message, reference, result
from tests.servers.ldif import BASE, READER, base, group, person, person_dn
from tests.servers.slapd import Slapd

NOTHING = Wanted(frozenset(), frozenset())


def test_it_says_which_server_who_we_are_and_how_many_match(company: Slapd) -> None:
    wanted = Wanted(frozenset({"mail", "Title", "manager"}), frozenset({"cn"}))
    assert LdapSource(options(company, page_size=7)).check(wanted) == {
        "server": company.url,
        "vendor": "OpenLDAP",
        "TLS": "none (loopback)",
        "bound as": f"dn:{READER}",
        "users": f"60 match (objectClass=inetOrgPerson) below {BASE}",
        "groups": f"4 match (objectClass=groupOfNames) below {BASE}",
        "who vanishes": "is looked up by entryUUID",
    }


def test_attributes_that_nobody_has_are_named(company: Slapd) -> None:
    wanted = Wanted(frozenset({"mail", "maill", "labeledURI", "manager"}), frozenset({"cn", "displayName"}))
    facts = LdapSource(options(company)).check(wanted)
    assert facts["attributes that nobody has"].startswith("labeledURI, maill, displayName (misspelt")


def test_an_attribute_that_one_of_many_has_is_not_named(tmp_path: Path) -> None:
    people = [person(f"u{number}") for number in range(30)]
    with Slapd(tmp_path / "slapd", [base(), *people, person("ada", {"title": "Countess"})]) as server:
        source = LdapSource(options(server, page_size=10, group_filter=""))
        assert "attributes that nobody has" not in source.check(Wanted(frozenset({"title"}), frozenset()))


def test_entries_without_a_key_are_counted(tmp_path: Path) -> None:
    entries = [person("ada", {"employeeNumber": "1"}), person("bob"), group("all", [person_dn(1)])]
    with Slapd(tmp_path / "slapd", [base(), *entries]) as server:
        facts = LdapSource(options(server, key="employeeNumber")).check(NOTHING)
    assert facts["users without a readable key"] == "1 of 2 lack employeeNumber"
    assert facts["groups without a readable key"] == "1 of 1 lack employeeNumber"
    assert facts["who vanishes"].startswith("is never proven gone, while there are entries without")


def test_a_group_without_a_key_is_enough_for_nobody_to_be_proven_gone(tmp_path: Path) -> None:
    entries = [person("ada", {"employeeNumber": "1"}), group("all", [person_dn(1)])]
    with Slapd(tmp_path / "slapd", [base(), *entries]) as server:
        facts = LdapSource(options(server, key="employeeNumber")).check(NOTHING)
    assert facts["who vanishes"].startswith("is never proven gone, while there are entries without")


def test_an_account_that_may_not_search_by_the_key_is_told(tmp_path: Path) -> None:
    unsearchable = f'access to attrs=entryUUID by dn.exact="{READER}" =r'
    with Slapd(tmp_path / "slapd", [base(), person("ada")], access=unsearchable) as server:
        facts = LdapSource(options(server)).check(NOTHING)
    assert facts["who vanishes"].startswith("is never proven gone: looking up entryUUID is refused, doesn't find")


def test_without_groups_it_says_so(company: Slapd) -> None:
    assert (
        LdapSource(options(company, group_filter="")).check(NOTHING)["groups"] == "none are read: group_filter is empty"
    )


def test_it_is_refused_as_a_pull_is(company: Slapd) -> None:
    with pytest.raises(SourceRefused, match="invalidCredentials"):
        LdapSource(options(company, password=lambda: "wrong")).check(NOTHING)
    with pytest.raises(SourceMismatch, match="counting users: noSuchObject"):
        LdapSource(options(company, base_dn=f"ou=nowhere,{BASE}")).check(NOTHING)


def test_active_directory_is_known_by_its_root_and_an_anonymous_bind_is_told() -> None:
    def answer(request: Request) -> Iterable[bytes]:
        if request.operation == EXTENDED:
            return [message(request.id, result(0x78, 2))]
        if b"isGlobalCatalogReady" in request.content:
            return [entry(request, "", {"isGlobalCatalogReady": [b"TRUE"]}), done(request, cookie=None)]
        return [entry(request, "cn=ada", {"entryUUID": [b"1"]}), reference(request, "ldap://other/"), done(request)]

    with Scripted(answer) as server:
        source = LdapSource(LdapOptions(urls=(server.url,), base_dn=BASE))
        facts = source.check(NOTHING)
    assert facts["vendor"] == "Active Directory"
    assert facts["bound as"] == "anonymous"
    assert facts["parts on other servers"] == "2, which are not read"
    assert facts["who vanishes"].startswith("is never proven gone: ")


def test_what_a_server_calls_itself_is_shown_without_control_characters() -> None:
    def answer(request: Request) -> Iterable[bytes]:
        if request.operation == EXTENDED:
            return [message(request.id, result(0x78, 2))]
        if b"vendorName" in request.content:
            told = {"vendorName": [b"Example\x1b[2J\xff"], "vendorVersion": [b"1.4"]}
            return [entry(request, "", told), done(request, cookie=None)]
        return [entry(request, "cn=ada", {"entryUUID": [b"1"]}), done(request)]

    with Scripted(answer) as server:
        facts = LdapSource(LdapOptions(urls=(server.url,), base_dn=BASE)).check(NOTHING)
    assert facts["vendor"] == "Example [2J\ufffd 1.4"
