"""Look-up of entries that a reading didn't return: the proof of absence, and answers without proof."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import replace
from pathlib import Path

import ldap3
import pytest

from syncd.core.model import Entry, GroupEntry, Wanted
from syncd.errors import SourceIncomplete
from syncd.sources.ldap.options import LdapOptions
from syncd.sources.ldap.source import LdapSource
from tests.contract.ldap_directory import options
from tests.contract.source_contract import read_through
from tests.servers import ldap_wire as wire
from tests.servers import ldif
from tests.servers.ldap_wire import Request, Scripted, done, person, reference
from tests.servers.ldif import BASE, GROUPS, PEOPLE, READER, group, key, record
from tests.servers.slapd import Slapd

NOTHING = Wanted(frozenset(), frozenset())
ELSEWHERE = f"ou=elsewhere,{BASE}"
APART = f"ou=apart,{BASE}"


def look_up(source: LdapSource, *keys: str) -> dict[str, bool | None]:
    """Read everything, then ask."""
    with source.pull(NOTHING) as pull:
        read_through(pull)
        return pull.look_up(keys)


def uuid(number: int) -> str:
    return f"00000000-0000-4000-8000-{number:012d}"


# -- a real server -------------------------------------------------------------------------------


def dn(uid: str, parent: str = PEOPLE) -> str:
    return f"uid={uid},{parent}"


def small(*further: str) -> list[str]:
    """Return a directory with ada and bob, two branches beside theirs, and one group of both."""
    branches = [
        record(branch, {"objectClass": "organizationalUnit", "ou": branch[3:].partition(",")[0]})
        for branch in (ELSEWHERE, APART)
    ]
    staff = group("staff", [dn("ada"), dn("bob")])
    return [ldif.base(), *branches, ldif.person("ada"), ldif.person("bob"), staff, *further]


def narrow(server: Slapd) -> LdapOptions:
    """Return options that read the people of one branch, and of these no contractors."""
    employees = "(&(objectClass=inetOrgPerson)(!(title=Contractor)))"
    return options(server, user_base_dn=PEOPLE, group_base_dn=GROUPS, user_filter=employees)


def administer(server: Slapd, action: Callable[[ldap3.Connection], object]) -> None:
    administrator = server.administrator()
    try:
        action(administrator)
    finally:
        administrator.strategy.close()


def test_who_left_the_branch_or_the_filter_is_there_and_who_was_deleted_is_not(tmp_path: Path) -> None:
    with Slapd(tmp_path / "slapd", small(ldif.person("cy"), ldif.person("eve"))) as server:
        administer(server, lambda at: at.modify_dn(dn("ada"), "uid=ada", new_superior=ELSEWHERE))
        administer(server, lambda at: at.modify(dn("cy"), {"title": [(ldap3.MODIFY_REPLACE, ["Contractor"])]}))
        administer(server, lambda at: at.modify_dn(f"cn=staff,{GROUPS}", "cn=staff", new_superior=ELSEWHERE))
        administer(server, lambda at: at.delete(dn("bob")))
        asked = [key(dn("ada")), key(dn("cy")), key(f"cn=staff,{GROUPS}"), key(dn("bob")), key(dn("eve"))]
        found = look_up(LdapSource(narrow(server)), *asked)
    assert list(found.values()) == [True, True, True, False, True]


def test_what_became_something_else_than_a_person_is_there(tmp_path: Path) -> None:
    person = ldif.person("ada2", {"objectClass": ["organizationalRole", "uidObject"]}).replace("sn: ada2\n", "")
    with Slapd(tmp_path / "slapd", small(person)) as server:
        assert look_up(LdapSource(narrow(server)), key(dn("ada2"))) == {key(dn("ada2")): True}


@pytest.mark.parametrize("where", ["user_base_dn", "group_base_dn"])
def test_branches_that_lie_beside_the_base_are_looked_into_as_well(tmp_path: Path, where: str) -> None:
    there, outside = ldif.person("there", dn=dn("there", APART)), ldif.person("out", dn=dn("out", ELSEWHERE))
    with Slapd(tmp_path / "slapd", small(there, outside)) as server:
        given = {"user_base_dn": PEOPLE, "group_base_dn": GROUPS, where: APART}
        source = LdapSource(options(server, base_dn=PEOPLE, **given, user_filter="(!(title=Contractor))"))
        if where == "user_base_dn":
            # What is there, and is what would be read, was read here.
            source = LdapSource(options(server, base_dn=PEOPLE, user_base_dn=APART, group_base_dn=GROUPS))
        found = look_up(source, key(dn("there", APART)), key(dn("out", ELSEWHERE)), key(f"cn=staff,{GROUPS}"))
    staff = where == "user_base_dn"
    assert list(found.values()) == [True, False, staff]


def test_keys_are_looked_up_below_the_base_whatever_the_filter_says(company: Slapd) -> None:
    with LdapSource(options(company)).pull(NOTHING) as pull:
        everyone = {user.key for user in pull.users() if isinstance(user, Entry)}
    [outside, *_] = sorted(everyone)
    absent = [uuid(number) for number in range(1000)]
    narrowed = options(company, user_filter=f"(!(entryUUID={outside}))", user_base_dn=PEOPLE)
    with LdapSource(narrowed).pull(NOTHING) as pull:
        read_through(pull)
        found = pull.look_up([*absent, outside, *everyone, "no-uuid", "*"])
    assert found == {
        **dict.fromkeys(absent, False),
        **dict.fromkeys(everyone, True),
        "no-uuid": None,
        "*": None,
    }


def test_groups_are_found_by_key_too(company: Slapd) -> None:
    with LdapSource(options(company, user_base_dn=PEOPLE)).pull(NOTHING) as pull:
        list(pull.users())
        groups = [entry.key for entry in pull.groups() if isinstance(entry, GroupEntry)]
        assert pull.look_up(groups) == dict.fromkeys(groups, True)


def test_what_an_access_rule_hides_looks_like_what_is_gone(tmp_path: Path) -> None:
    # No answer tells the two apart: the grace and the limits are all there is against such a rule.
    hidden = f'access to dn.subtree="{ELSEWHERE}" by * none'
    eve = ldif.person("eve", dn=dn("eve", ELSEWHERE))
    with Slapd(tmp_path / "slapd", small(eve), access=hidden) as server:
        assert look_up(LdapSource(narrow(server)), key(dn("eve", ELSEWHERE))) == {key(dn("eve", ELSEWHERE)): False}


@pytest.mark.parametrize(
    "access",
    [
        pytest.param(f'access to attrs=entryUUID by dn.exact="{READER}" =r', id="keys may be read, not searched by"),
        pytest.param(
            f'access to dn.subtree="{PEOPLE}" filter=(objectClass=inetOrgPerson) attrs=entryUUID '
            f'by dn.exact="{READER}" =r',
            id="so for people alone",
        ),
        pytest.param(
            f'access to dn.subtree="{GROUPS}" attrs=entryUUID by dn.exact="{READER}" =r', id="so for groups alone"
        ),
    ],
)
def test_who_cannot_find_those_just_read_proves_nothing(tmp_path: Path, access: str) -> None:
    with Slapd(tmp_path / "slapd", small(), access=access) as server:
        assert look_up(LdapSource(options(server)), uuid(1)) == {uuid(1): None}


def test_a_match_that_does_not_show_its_key_may_be_anybody_asked_for(tmp_path: Path) -> None:
    shy = f'access to dn.subtree="{ELSEWHERE}" attrs=entryUUID by dn.exact="{READER}" =s'
    eve = ldif.person("eve", dn=dn("eve", ELSEWHERE))
    with Slapd(tmp_path / "slapd", small(eve), access=shy) as server:
        found = look_up(LdapSource(narrow(server)), uuid(1), key(dn("eve", ELSEWHERE)), key(dn("ada")))
    assert list(found.values()) == [None, None, True]


def test_while_an_entry_without_a_readable_key_exists_nobody_is_proven_gone(tmp_path: Path) -> None:
    keyless = f'access to dn.exact="{dn("bob")}" attrs=entryUUID by * none'
    with Slapd(tmp_path / "slapd", small(), access=keyless) as server, LdapSource(narrow(server)).pull(NOTHING) as pull:
        read_through(pull)
        assert pull.look_up([uuid(1), key(dn("bob")), key(dn("ada"))]) == {
            uuid(1): None,
            key(dn("bob")): None,
            key(dn("ada")): True,
        }
        assert not pull.evidence().absence


def test_a_key_that_is_compared_exactly_is_not_missed_for_its_spelling(tmp_path: Path) -> None:
    exact = """
attributetype ( 1.3.6.1.4.1.55555.1 NAME 'staffCode'
  EQUALITY caseExactMatch SYNTAX 1.3.6.1.4.1.1466.115.121.1.15 SINGLE-VALUE )

"""
    people = [
        ldif.person(uid, {"objectClass": ["inetOrgPerson", "extensibleObject"], "staffCode": code})
        for uid, code in (("cy", "AB1"), ("eve", "cd2"), *((f"u{number}", f"u{number}") for number in range(50)))
    ]
    with Slapd(tmp_path / "slapd", small(*people), top=exact) as server:
        source = LdapSource(options(server, key="staffCode", user_filter="(staffCode=*)", group_filter=""))
        # Where AB1 is not found as ab1, neither would XY9 be as xy9. What no key can look like isn't asked for.
        assert look_up(source, "xy9", "cd2", "AB1") == {"xy9": None, "cd2": True, "AB1": None}


# -- scripted ------------------------------------------------------------------------------------

CHILD = f"ldap://eu.example.com/dc=eu,{BASE}"

Answer = Callable[[Request], Iterable[bytes]]


def scripted(look_up: Answer, *, read: Iterable[int] = (1, 2), references: Sequence[str] = ()) -> Scripted:
    """Return a server whose people are read as numbered, and that answers any other search as given."""

    def answer(request: Request) -> Iterator[bytes]:
        if wire.PAGED_RESULTS in request.content:
            yield from (reference(request, url) for url in references)
            yield from (person(request, number) for number in read)
            yield done(request)
        else:
            yield from look_up(request)

    return Scripted(answer)


def source(server: Scripted, **changes: str) -> LdapSource:
    return LdapSource(replace(LdapOptions(urls=(server.url,), base_dn=BASE, group_filter=""), **changes))


def answers_with(*numbers: int, code: int = 0, references: Iterable[str] = ()) -> Answer:
    """Answer a look-up with those of the people who were asked for, and with the result `code`."""

    def answer(request: Request) -> Iterator[bytes]:
        for url in references:
            yield reference(request, url)
        for number in numbers:
            if uuid(number).encode() in request.content:
                yield person(request, number)
        yield done(request, code, cookie=None)

    return answer


def test_found_is_there_and_not_found_is_not() -> None:
    with scripted(answers_with(1, 2)) as server:
        assert look_up(source(server), uuid(1), uuid(9)) == {uuid(1): True, uuid(9): False}


@pytest.mark.parametrize("code", [1, 3, 4, 10, 11, 32, 50, 51, 53, 80])
def test_a_refused_look_up_is_no_proof(code: int) -> None:
    with scripted(answers_with(1, 2, code=code)) as server:
        assert look_up(source(server), uuid(9)) == {uuid(9): None}


def test_a_thousand_keys_are_five_searches() -> None:
    with scripted(answers_with(1, 2)) as server:
        absent = [uuid(number) for number in range(1000, 2000)]
        assert look_up(source(server), *absent) == dict.fromkeys(absent, False)
        assert server.operations.count(wire.SEARCH) == 1 + 5


@pytest.mark.parametrize(
    ("base", "users", "groups", "searched"),
    [
        (BASE, PEOPLE, GROUPS, [BASE]),
        (PEOPLE, BASE, GROUPS, [BASE]),
        (PEOPLE, f"OU=People, {BASE}", f"ou=x,{PEOPLE}", [PEOPLE]),
        (PEOPLE, APART, GROUPS, [PEOPLE, APART, GROUPS]),
        (f"ou=x,{PEOPLE}", APART, BASE, [BASE]),
    ],
)
def test_no_branch_is_searched_twice(base: str, users: str, groups: str, searched: list[str]) -> None:
    with scripted(answers_with(1, 2)) as server:
        beside = source(server, base_dn=base, user_base_dn=users, group_base_dn=groups)
        assert look_up(beside, uuid(9)) == {uuid(9): False}
        contents = [request.content for request in server.requests if request.operation == wire.SEARCH][1:]
    # The base comes first in a search request (RFC 4511 section 4.5.1).
    assert len(contents) == len(searched)
    assert all(wire.ber(0x04, base.encode()) in content for base, content in zip(searched, contents, strict=True))


def test_a_base_that_is_refused_leaves_nobody_proven_gone_whatever_the_others_say() -> None:
    def answer(request: Request) -> Iterable[bytes]:
        return answers_with(1, 2, code=50 if b"ou=people" in request.content else 0)(request)

    with scripted(answer) as server:
        beside = source(server, base_dn=PEOPLE, user_base_dn=APART)
        assert look_up(beside, uuid(9)) == {uuid(9): None}


def test_a_reference_met_while_reading_says_nothing_of_a_look_up_that_meets_none() -> None:
    with scripted(answers_with(1, 2), references=[CHILD]) as server:
        assert look_up(source(server), uuid(9)) == {uuid(9): False}


def test_who_came_before_a_limit_was_reached_is_there() -> None:
    with scripted(answers_with(1, 2, code=4)) as server:
        assert look_up(source(server), uuid(1), uuid(9)) == {uuid(1): True, uuid(9): None}


def test_without_the_witnesses_nothing_is_proven() -> None:
    with scripted(answers_with(1)) as server:
        assert look_up(source(server), uuid(9)) == {uuid(9): None}


def test_a_look_up_that_breaks_off_is_refused() -> None:
    def hang_up(request: Request) -> Iterator[bytes]:
        yield person(request, 1)
        raise ConnectionAbortedError

    with scripted(hang_up) as server, source(server).pull(NOTHING) as pull:
        read_through(pull)
        with pytest.raises(SourceIncomplete, match="looking up keys broke off"):
            pull.look_up([uuid(9)])
        # And there is no going on as if nothing had happened.
        with pytest.raises(SourceIncomplete):
            pull.look_up([uuid(9)])


def test_whom_the_reading_missed_is_not_taken_for_out_of_scope() -> None:
    # 3 matches what was read, and was in none of its pages: the server hid them, or they moved meanwhile.
    with scripted(answers_with(1, 2, 3)) as server:
        assert look_up(source(server), uuid(3), uuid(9)) == {uuid(3): None, uuid(9): False}


@pytest.mark.parametrize("code", [4, 11, 18, 53])
def test_where_the_filter_is_refused_nobody_counts_as_out_of_scope(code: int) -> None:
    def answer(request: Request) -> Iterable[bytes]:
        asks_for_people = b"inetOrgPerson" in request.content
        return answers_with(code=code)(request) if asks_for_people else answers_with(1, 2, 3)(request)

    with scripted(answer) as server:
        assert look_up(source(server), uuid(3)) == {uuid(3): None}


def test_who_does_not_match_is_out_of_scope() -> None:
    def answer(request: Request) -> Iterable[bytes]:
        people = () if b"inetOrgPerson" in request.content else (1, 2, 3)
        return answers_with(*people)(request)

    with scripted(answer) as server:
        assert look_up(source(server), uuid(3)) == {uuid(3): True}


def test_what_a_server_hides_for_good_after_its_first_page_looks_gone() -> None:
    # It says that it is done, and nothing in LDAP contradicts it: the grace and the limits remain.
    with scripted(answers_with(1), read=(1,)) as server:
        assert look_up(source(server), uuid(2), uuid(3)) == {uuid(2): False, uuid(3): False}


OWN = [
    "ldap://ForestDnsZones.example.com/DC=ForestDnsZones,DC=example,DC=com",
    "ldap://DomainDnsZones.example.com/DC=DomainDnsZones,DC=example,DC=com",
    "ldap://example.com/CN=Configuration,DC=example,DC=com",
]


@pytest.mark.parametrize(
    ("references", "proven"),
    [
        pytest.param([CHILD], False, id="a domain below"),
        pytest.param([*OWN, CHILD], False, id="a domain below, among others"),
        pytest.param(["ldap://elsewhere.example.com"], False, id="a server without a name in its tree"),
        pytest.param(["ldap://elsewhere.example.com/no-name??sub"], False, id="no DN"),
        pytest.param([""], False, id="nothing"),
        pytest.param([f"ldap://x/ou=y,DC=DomainDnsZones,{BASE}"], False, id="a branch of one of these"),
        pytest.param(OWN, True, id="what Active Directory keeps apart and holds nobody"),
        pytest.param([OWN[0].replace("=F", "%3DF") + "??sub"], True, id="escaped, with a scope"),
    ],
)
def test_what_may_be_on_another_server_is_not_proven_gone(references: list[str], proven: bool) -> None:
    with scripted(answers_with(1, 2, references=references)) as server:
        found = look_up(source(server), uuid(1), uuid(9))
    assert found == {uuid(1): True, uuid(9): False if proven else None}


def test_a_reference_of_which_nothing_is_told_may_lead_anywhere() -> None:
    def nowhere(request: Request) -> Iterator[bytes]:
        yield wire.message(request.id, wire.ber(0x73, b""))
        yield from answers_with(1, 2)(request)

    with scripted(nowhere) as server:
        assert look_up(source(server), uuid(9)) == {uuid(9): None}
