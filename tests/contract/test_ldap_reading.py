"""Reading an LDAP directory, as OpenLDAP serves it: values, keys, managers, members."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import ldap3
import pytest

from syncd.core.model import Entry, GroupEntry, Kind, Problem, Wanted
from syncd.errors import SourceIncomplete, SourceMismatch
from syncd.sources.ldap.pull import LdapPull
from syncd.sources.ldap.source import LdapSource
from tests.contract.ldap_directory import options
from tests.contract.source_contract import ALL, Reading, open_handles, read, read_through
from tests.servers.ldif import BASE, GROUPS, PEOPLE, READER, base, group, key, person, person_dn, record
from tests.servers.slapd import Slapd

NOTHING = Wanted(frozenset(), frozenset())
MANAGER = Wanted(frozenset({"manager"}), frozenset())


@contextmanager
def directory(folder: Path, *entries: str, **further: Any) -> Iterator[Slapd]:
    with Slapd(folder / "slapd", [base(), *entries], **further) as server:
        yield server


def read_entries(folder: Path, *entries: str, wanted: Wanted = ALL, access: str = "", **changes: Any) -> Reading:
    """Return what is read from a directory that holds these entries."""
    with directory(folder, *entries, access=access) as server:
        return read(LdapSource(options(server, **changes)), wanted)


def dn(uid: str) -> str:
    return f"uid={uid},{PEOPLE}"


def members(reading: Reading, cn: str) -> tuple[set[str], set[str]]:
    """Return the uids and group names that a group's keys stand for."""
    by_key = {entry.key: entry.where.partition(",")[0].partition("=")[2] for entry in reading.users.values()}
    by_key |= {entry.key: entry.where.partition(",")[0].partition("=")[2] for entry in reading.groups.values()}
    entry = reading.groups[key(f"cn={cn},{GROUPS}")]
    return {by_key[member] for member in entry.members}, {by_key[member] for member in entry.subgroups}


# -- people --------------------------------------------------------------------------------------


def test_everybody_is_read_over_all_pages(company: Slapd) -> None:
    wanted = Wanted(frozenset({"mail", "L", "telephoneNumber"}), frozenset({"cn"}))
    for page_size in (1, 7, 60, 61, 1000):
        reading = read(LdapSource(options(company, page_size=page_size)), wanted)
        assert len(reading.users) == 60
        assert reading.users[key(person_dn(41))] == Entry(
            key(person_dn(41)),
            {"mail": ["u000041@example.com"], "L": ["Austin"], "telephoneNumber": ["+49 30 0000041"]},
            person_dn(41),
        )
        assert sorted(len(entry.members) for entry in reading.groups.values()) == [20, 20, 20, 60]
        assert reading.evidence.memberships == 120
        assert reading.problems == []


def test_people_come_with_nothing_but_what_is_wanted(tmp_path: Path) -> None:
    reading = read_entries(tmp_path, person("ada", {"mail": "ada@example.com", "title": "Countess"}), wanted=NOTHING)
    assert reading.users == {key(dn("ada")): Entry(key(dn("ada")), {}, dn("ada"))}


def test_all_attributes_include_those_that_must_be_asked_for_by_name(tmp_path: Path) -> None:
    locked: dict[str, str | bytes] = {
        "pwdAccountLockedTime": "000001010000Z",
        "jpegPhoto": b"\xff\xd8\xff",
        "userPassword": "secret",
    }
    # The account sees the password; what is read doesn't hold it.
    shown = f'access to attrs=userPassword by dn.exact="{READER}" read by anonymous auth'
    [ada] = read_entries(tmp_path, person("ada", locked), access=shown).users.values()
    assert ada.attributes == {
        "objectClass": ["inetOrgPerson"],
        "uid": ["ada"],
        "cn": ["ada"],
        "sn": ["ada"],
        "entryUUID": [key(dn("ada"))],
        "pwdAccountLockedTime": ["000001010000Z"],
    }


def test_the_key_can_be_wanted_too(tmp_path: Path) -> None:
    wanted = Wanted(frozenset({"entryuuid"}), frozenset({"EntryUUID"}))
    reading = read_entries(tmp_path, person("ada"), group("all", [dn("ada")]), wanted=wanted)
    assert reading.users[key(dn("ada"))].attributes == {"entryuuid": [key(dn("ada"))]}
    [everyone] = reading.groups.values()
    assert everyone.attributes == {"EntryUUID": [everyone.key]}


def test_another_attribute_can_be_the_key(tmp_path: Path) -> None:
    entries = [person("ada", {"employeeNumber": "A17"}), group("all", [dn("ada")], {"description": "G1"})]
    reading = read_entries(tmp_path, *entries, key="employeeNumber", group_filter="", wanted=MANAGER)
    assert list(reading.users) == ["a17"]


def test_a_picture_that_is_wanted_as_text_is_a_problem_of_that_entry(tmp_path: Path) -> None:
    wanted = Wanted(frozenset({"jpegPhoto", "mail"}), frozenset())
    entries = [person("ada", {"jpegPhoto": b"\xff\xd8\xff"}), person("bob", {"mail": "bob@example.com"})]
    reading = read_entries(tmp_path, *entries, group("all", [dn("ada"), dn("bob")]), wanted=wanted)
    ada = key(dn("ada"))
    assert reading.problems == [Problem(dn("ada"), "not text in UTF-8: jpegPhoto", ada, Kind.USER, (ada,))]
    assert list(reading.users) == [key(dn("bob"))]
    [everyone] = reading.groups.values()
    # The entry can't be used, but whose membership it is can be said.
    assert sorted(everyone.members) == sorted([ada, key(dn("bob"))])
    assert reading.evidence.absence


def test_an_entry_without_a_key_protects_everyone(tmp_path: Path) -> None:
    entries = [
        person("ada", {"employeeNumber": "1", "manager": dn("eve")}),
        person("eve"),
        person("bob", {"employeeNumber": "2", "manager": dn("ada")}),
        group(
            "with", [dn("ada"), dn("eve")], {"employeeNumber": "3", "objectClass": ["groupOfNames", "extensibleObject"]}
        ),
        group("without", [dn("ada")], {"employeeNumber": "4", "objectClass": ["groupOfNames", "extensibleObject"]}),
    ]
    reading = read_entries(tmp_path, *entries, key="employeeNumber", wanted=MANAGER)
    assert reading.problems == [Problem(dn("eve"), "its key employeeNumber is missing, or may not be read")]
    assert not reading.evidence.absence
    assert reading.users["1"].attributes == {}
    assert reading.users["2"].attributes == {"manager": ["1"]}
    assert (reading.groups["3"].members, reading.groups["3"].incomplete) == (["1"], True)
    assert (reading.groups["4"].members, reading.groups["4"].incomplete) == (["1"], False)


def test_a_group_without_a_key_leaves_those_above_it_incomplete(tmp_path: Path) -> None:
    numbered = {"objectClass": ["groupOfNames", "extensibleObject"]}
    entries = [
        person("ada", {"employeeNumber": "1"}),
        group("inner", [dn("ada")], numbered),
        group("outer", [dn("ada"), f"cn=inner,{GROUPS}"], {**numbered, "employeeNumber": "2"}),
    ]
    reading = read_entries(tmp_path, *entries, key="employeeNumber", wanted=NOTHING)
    assert (reading.groups["2"].members, reading.groups["2"].incomplete) == (["1"], True)
    assert [(problem.where, problem.key) for problem in reading.problems] == [
        (f"cn=inner,{GROUPS}", ""),
        (f"cn=outer,{GROUPS}", "2"),
    ]
    assert not reading.evidence.absence


def test_no_key_at_all_is_a_wrong_preset(company: Slapd) -> None:
    with pytest.raises(SourceMismatch, match="has a readable objectGUID") as refused:
        read(LdapSource(options(company, preset="ad", user_filter="(uid=*)")))
    assert "`preset` or `key`" in str(refused.value)


def test_a_key_that_comes_twice_is_refused(company: Slapd) -> None:
    with pytest.raises(SourceIncomplete, match="departmentNumber 000 came twice"):
        read(LdapSource(options(company, key="departmentNumber", user_filter="(departmentNumber=000)")), NOTHING)


def test_an_alias_leads_nowhere(tmp_path: Path) -> None:
    # RFC 4512 section 2.6.2; dereferenced, it would bring in Ada, who is not below the base.
    alias = {"objectClass": ["alias", "extensibleObject"], "cn": "alias", "aliasedObjectName": dn("ada")}
    bob = f"uid=bob,{GROUPS}"
    entries = [person("ada"), person("bob", dn=bob), record(f"cn=alias,{GROUPS}", alias)]
    assert list(read_entries(tmp_path, *entries, user_base_dn=GROUPS).users) == [key(bob)]


# -- managers ------------------------------------------------------------------------------------


def test_managers_are_keys_wherever_they_stand_in_the_directory(company: Slapd) -> None:
    # Everybody is listed before their manager.
    users = read(LdapSource(options(company, page_size=7)), MANAGER).users
    assert {uid: users[key(person_dn(uid))].attributes for uid in range(60)} == {
        0: {},
        **{uid: {"manager": [key(person_dn((uid - 1) // 8))]} for uid in range(1, 60)},
    }


def test_a_manager_is_a_key_under_the_name_it_is_wanted_by(company: Slapd) -> None:
    users = read(LdapSource(options(company)), Wanted(frozenset({"Manager"}), frozenset())).users
    assert users[key(person_dn(1))].attributes == {"Manager": [key(person_dn(0))]}
    assert read(LdapSource(options(company)), ALL).users[key(person_dn(1))].attributes["manager"] == [key(person_dn(0))]


def test_a_manager_who_was_not_read_is_left_out(tmp_path: Path) -> None:
    entries = [
        person("ada", {"manager": dn("nobody")}),
        person("bob", {"manager": [dn("nobody"), dn("ada")]}),
        person("eve", {"manager": dn("guest")}),
        person("guest", {"employeeType": "guest"}),
    ]
    reading = read_entries(
        tmp_path, *entries, user_filter="(&(objectClass=inetOrgPerson)(!(employeeType=guest)))", wanted=MANAGER
    )
    attributes = {user.where: user.attributes for user in reading.users.values()}
    assert attributes == {dn("ada"): {}, dn("bob"): {"manager": [key(dn("ada"))]}, dn("eve"): {}}


def test_thousands_may_wait_for_their_manager(tmp_path: Path) -> None:
    people = [person(f"u{number:04d}", {"manager": dn("zoe")}) for number in range(2500)]
    reading = read_entries(tmp_path, *people, person("zoe"), wanted=MANAGER, page_size=100)
    assert len(reading.users) == 2501
    assert sum(user.attributes == {"manager": [key(dn("zoe"))]} for user in reading.users.values()) == 2500


def test_leaving_while_thousands_wait_leaves_nothing_open(tmp_path: Path) -> None:
    people = [person(f"u{number:04d}", {"manager": dn("zoe")}) for number in range(2500)]
    with directory(tmp_path, *people, person("zoe")) as server:
        before = open_handles()
        with LdapSource(options(server)).pull(MANAGER) as pull:
            users = pull.users()
            assert isinstance(next(users), Entry)  # Zoe, who comes last, and first of those who needn't wait
            next(users)
            assert len(open_handles()) == len(before) + 2  # the connection, and those who wait
        assert open_handles() == before
        del users


# -- groups --------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("rdn", "attributes"),
    [
        (r"cn=King\, Ada", {"cn": "King, Ada"}),
        (r"cn=\22Ada\22 \3CCountess\3E\; x\\y \+ c=d \#1", {"cn": r'"Ada" <Countess>; x\y + c=d #1'}),
        (r"cn=\#Ada", {"cn": "#Ada"}),
        ("cn=Žofie Ångström", {"cn": "Žofie Ångström"}),
        ("cn=李小龍", {"cn": "李小龍"}),
        ("cn=Ada+uid=ada", {"cn": "Ada"}),
        ("uid=ada+cn=Zoë+sn=King", {"cn": "Zoë", "sn": "King"}),
    ],
)
def test_members_and_managers_are_found_under_any_name(tmp_path: Path, rdn: str, attributes: dict[str, str]) -> None:
    ada = f"{rdn},{PEOPLE}"
    entries = [
        person("ada", attributes, dn=ada),
        person("bob", {"manager": ada}),
        group("all", [ada, dn("bob")]),
    ]
    reading = read_entries(tmp_path, *entries, wanted=MANAGER)
    assert sorted(reading.groups[key(f"cn=all,{GROUPS}")].members) == sorted([key(ada), key(dn("bob"))])
    assert reading.users[key(dn("bob"))].attributes == {"manager": [key(ada)]}
    assert reading.problems == []


def test_members_are_found_in_whatever_case_they_are_written(tmp_path: Path) -> None:
    entries = [person("ada"), person("zoë"), group("all", [f"UID=ADA,OU=People,{BASE.upper()}", f"Uid=ZOË,{PEOPLE}"])]
    reading = read_entries(tmp_path, *entries)
    assert members(reading, "all") == ({"ada", "zoë"}, set())
    assert reading.problems == []


def test_groups_in_groups_are_subgroups_in_circles_too(tmp_path: Path) -> None:
    entries = [
        person("ada"),
        group("a", [dn("ada"), f"cn=b,{GROUPS}"]),
        group("b", [f"cn=c,{GROUPS}"]),
        group("c", [f"cn=a,{GROUPS}", f"cn=c,{GROUPS}"]),
    ]
    reading = read_entries(tmp_path, *entries)
    assert members(reading, "a") == ({"ada"}, {"b"})
    assert members(reading, "b") == (set(), {"c"})
    assert members(reading, "c") == (set(), {"a", "c"})
    assert reading.evidence.memberships == 5


def test_members_that_are_nobody_are_counted_and_named(tmp_path: Path) -> None:
    lost = [f"uid=lost{number},{PEOPLE}" for number in range(5)]
    entries = [person("ada"), group("inner", [dn("ada")]), group("all", [dn("ada"), f"cn=inner,{GROUPS}", *lost])]
    reading = read_entries(tmp_path, *entries)
    assert members(reading, "all") == ({"ada"}, {"inner"})
    [problem] = reading.problems
    everyone = key(f"cn=all,{GROUPS}")
    assert (problem.kind, problem.key, problem.protects) == (Kind.GROUP, everyone, (everyone,))
    assert problem.where == f"cn=all,{GROUPS}"
    assert problem.problem == (
        f"5 of 7 members are neither users nor groups that were read: {'; '.join(lost[:3])} and 2 more"
    )
    assert not reading.groups[everyone].incomplete
    assert reading.evidence.problems == 1


def test_a_group_of_thousands_is_one_message(tmp_path: Path) -> None:
    people = [person(f"u{number:05d}") for number in range(6000)]
    everyone = group("all", [dn(f"u{number:05d}") for number in range(6000)])
    reading = read_entries(tmp_path, *people, everyone, wanted=NOTHING)
    assert set(reading.groups[key(f"cn=all,{GROUPS}")].members) == set(reading.users)


def test_a_group_comes_without_its_members_as_text(tmp_path: Path) -> None:
    reading = read_entries(tmp_path, person("ada"), group("all", [dn("ada")], {"description": "Everyone"}))
    [everyone] = reading.groups.values()
    assert everyone.attributes == {
        "objectClass": ["groupOfNames"],
        "cn": ["all"],
        "description": ["Everyone"],
        "entryUUID": [everyone.key],
    }


def test_without_a_group_filter_there_are_no_groups(company: Slapd) -> None:
    reading = read(LdapSource(options(company, group_filter="")), NOTHING)
    assert (len(reading.users), reading.groups) == (60, {})


def test_users_and_groups_may_have_a_base_each(tmp_path: Path) -> None:
    entries = [
        record(f"ou=old,{PEOPLE}", {"objectClass": "organizationalUnit", "ou": "old"}),
        person("ada"),
        person("eve", dn=f"uid=eve,ou=old,{PEOPLE}"),
        group("all", [dn("ada"), f"uid=eve,ou=old,{PEOPLE}"]),
    ]
    reading = read_entries(
        tmp_path, *entries, user_base_dn=f"ou=old,{PEOPLE}", group_base_dn=GROUPS, base_dn=f"cn=nowhere,{BASE}"
    )
    assert [user.where for user in reading.users.values()] == [f"uid=eve,ou=old,{PEOPLE}"]
    assert members(reading, "all") == ({"eve"}, set())


# -- POSIX and 389 DS ----------------------------------------------------------------------------


def posix_person(uid: str, **further: str) -> str:
    account = {"objectClass": ["inetOrgPerson", "posixAccount", "shadowAccount"], "uidNumber": "1", "gidNumber": "1"}
    return person(uid, {**account, "homeDirectory": "/", **further})


def posix_group(cn: str, *uids: str) -> str:
    return record(
        f"cn={cn},{GROUPS}", {"objectClass": "posixGroup", "cn": cn, "gidNumber": "1", "memberUid": list(uids)}
    )


def test_posix_members_are_uids(tmp_path: Path) -> None:
    entries = [
        posix_person("ada", shadowExpire="1"),
        posix_person("bob", title="x"),
        person("eve"),
        posix_group("staff", "ada", "bob", "eve", "BOB"),
        record(f"cn=empty,{GROUPS}", {"objectClass": "posixGroup", "cn": "empty", "gidNumber": "2"}),
    ]
    wanted = Wanted(frozenset({"shadowExpire", "title"}), frozenset({"cn"}))
    with directory(tmp_path, *entries, schemas=["nis"]) as server:
        reading = read(LdapSource(options(server, preset="posix")), wanted)
    assert {user.where: user.attributes for user in reading.users.values()} == {
        dn("ada"): {"shadowExpire": ["1"]},
        dn("bob"): {"title": ["x"]},
    }
    assert members(reading, "staff") == ({"ada", "bob"}, set())
    assert members(reading, "empty") == (set(), set())
    assert [problem.problem for problem in reading.problems] == [
        "2 of 4 members are neither users nor groups that were read: eve; BOB"
    ]


def test_a_uid_of_two_people_is_nobody_s_and_removes_nobody(tmp_path: Path) -> None:
    entries = [
        posix_person("ada"),
        person(
            "ada",
            {
                "objectClass": ["inetOrgPerson", "posixAccount"],
                "uidNumber": "2",
                "gidNumber": "1",
                "homeDirectory": "/",
            },
            dn=f"uid=ada,{GROUPS}",
        ),
        posix_person("bob"),
        posix_group("staff", "ada", "bob"),
    ]
    with directory(tmp_path, *entries, schemas=["nis"]) as server:
        reading = read(LdapSource(options(server, preset="posix")), Wanted(frozenset({"uid"}), frozenset()))
    assert members(reading, "staff") == ({"bob"}, set())
    assert reading.groups[key(f"cn=staff,{GROUPS}")].incomplete
    assert reading.users[key(dn("bob"))].attributes == {"uid": ["bob"]}


_DS_SCHEMA = """
attributetype ( 2.16.840.1.113730.3.1.542 NAME 'nsUniqueId'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )
attributetype ( 2.16.840.1.113730.3.1.610 NAME 'nsAccountLock'
  EQUALITY caseIgnoreMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )

"""


def test_389_ds_has_keys_and_locks_of_its_own(tmp_path: Path) -> None:
    present, absent = "3bb1c401-8de911e4-90c0eea3-c4b3fec8", "3bb1c401-8de911e4-90c0eea3-c4b3fec9"
    own = {"objectClass": ["inetOrgPerson", "extensibleObject"], "nsUniqueId": present.upper(), "nsAccountLock": "TRUE"}
    with directory(tmp_path, person("ada", own), top=_DS_SCHEMA) as server:
        source = LdapSource(options(server, preset="389ds"))
        assert read(source).users[present].attributes["nsAccountLock"] == ["TRUE"]
        with source.pull(NOTHING) as pull:
            read_through(pull)
            assert pull.look_up([present, absent]) == {present: True, absent: False}


# -- changes while it is read --------------------------------------------------------------------


def rename(server: Slapd, before: str, uid: str) -> str:
    """Rename a person and everything that refers to them, as a server with referential integrity does."""
    after = f"uid={uid},{PEOPLE}"
    administrator = server.administrator()
    administrator.modify_dn(before, f"uid={uid}")
    for attribute in ("member", "manager"):
        administrator.search(BASE, f"({attribute}={before})", attributes=["1.1"])
        for entry in administrator.response:
            change = {attribute: [(ldap3.MODIFY_DELETE, [before]), (ldap3.MODIFY_ADD, [after])]}
            administrator.modify(entry["dn"], change)
    administrator.unbind()
    return after


def finished(pull: LdapPull, users: Iterable[Entry | Problem]) -> tuple[dict[str, Entry], dict[str, GroupEntry]]:
    """Read to the end; return people by where, and groups likewise. Fails for any problem."""
    people = {user.where: user for user in users if isinstance(user, Entry)}
    groups = {entry.where: entry for entry in pull.groups() if isinstance(entry, GroupEntry)}
    assert pull.evidence().problems == 0
    return people, groups


def test_who_is_renamed_between_users_and_groups_stays_a_member(tmp_path: Path) -> None:
    entries = [person("ada"), person("bob"), group("all", [dn("ada"), dn("bob")])]
    with directory(tmp_path, *entries) as server, LdapSource(options(server)).pull(NOTHING) as pull:
        users = list(pull.users())
        rename(server, dn("ada"), "countess")
        _, groups = finished(pull, users)
        assert sorted(groups[f"cn=all,{GROUPS}"].members) == sorted([key(dn("ada")), key(dn("bob"))])


def test_a_manager_who_is_renamed_while_people_are_read_stays_the_manager(tmp_path: Path) -> None:
    entries = [person("ada"), person("bob", {"manager": dn("ada")})]
    source_options = {"page_size": 1, "group_filter": ""}
    with directory(tmp_path, *entries) as server, LdapSource(options(server, **source_options)).pull(MANAGER) as pull:
        users = pull.users()
        first = next(users)
        rename(server, dn("ada"), "countess")
        people, _ = finished(pull, [first, *users])
        assert people[dn("bob")].attributes == {"manager": [key(dn("ada"))]}


def test_who_comes_while_it_is_read_waits_for_the_next_reading(tmp_path: Path) -> None:
    with (
        directory(tmp_path, person("ada"), group("all", [dn("ada")])) as server,
        LdapSource(options(server)).pull(NOTHING) as pull,
    ):
        list(pull.users())
        administrator = server.administrator()
        administrator.add(dn("new"), "inetOrgPerson", {"cn": "new", "sn": "new"})
        administrator.modify(f"cn=all,{GROUPS}", {"member": [(ldap3.MODIFY_ADD, [dn("new")])]})
        administrator.unbind()
        problem, everyone = pull.groups()
        assert isinstance(everyone, GroupEntry)
        assert everyone.members == [key(dn("ada"))]
        assert isinstance(problem, Problem)
        assert problem.problem == f"1 of 2 members are neither users nor groups that were read: {dn('new')}"


def test_posix_members_who_are_renamed_stay_members(tmp_path: Path) -> None:
    entries = [posix_person("ada"), posix_group("staff", "ada", "countess")]
    with (
        directory(tmp_path, *entries, schemas=["nis"]) as server,
        LdapSource(options(server, preset="posix")).pull(NOTHING) as pull,
    ):
        users = list(pull.users())
        administrator = server.administrator()
        administrator.modify_dn(dn("ada"), "uid=countess")
        administrator.unbind()
        _, groups = finished(pull, users)
        assert set(groups[f"cn=staff,{GROUPS}"].members) == {key(dn("ada"))}


# -- order ---------------------------------------------------------------------------------------


def test_a_reading_goes_once_and_in_order(company: Slapd) -> None:
    with LdapSource(options(company)).pull(NOTHING) as pull:
        with pytest.raises(SourceIncomplete):
            next(pull.groups())
        list(pull.users())
        with pytest.raises(SourceIncomplete):
            next(pull.users())
        list(pull.groups())
        with pytest.raises(SourceIncomplete):
            next(pull.groups())
        assert pull.evidence().users == 60


def test_a_closed_reading_reads_nothing_more(company: Slapd) -> None:
    with LdapSource(options(company, page_size=10)).pull(NOTHING) as pull:
        users = pull.users()
        next(users)
    with pytest.raises(SourceIncomplete, match="the reading was closed"):
        list(users)
    with pytest.raises(SourceIncomplete):
        pull.evidence()
