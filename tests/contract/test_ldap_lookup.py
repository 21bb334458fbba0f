"""Is who was not read there all the same? What counts as proof, and what doesn't."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.model import Entry, GroupEntry, Wanted
from syncd.sources.ldap import LdapSource
from tests.contract.ldap_directory import options
from tests.contract.source_contract import read_through
from tests.servers import ldif
from tests.servers.ldif import BASE, GROUPS, PEOPLE, group, key, record
from tests.servers.slapd import Slapd

NOTHING = Wanted(frozenset(), frozenset())
ELSEWHERE = f"ou=elsewhere,{BASE}"


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
    """Return a directory with ada and bob, a branch beside theirs, and one group of both."""
    branch = record(ELSEWHERE, {"objectClass": "organizationalUnit", "ou": "elsewhere"})
    return [
        ldif.base(),
        branch,
        ldif.person("ada"),
        ldif.person("bob"),
        group("staff", [dn("ada"), dn("bob")]),
        *further,
    ]


@pytest.fixture
def narrow() -> dict[str, str]:
    """What is read in the tests below: people of one branch, with a title or without, but no contractors."""
    return {
        "user_base_dn": PEOPLE,
        "group_base_dn": GROUPS,
        "user_filter": "(&(objectClass=inetOrgPerson)(!(title=Contractor)))",
    }


def test_who_left_the_branch_or_the_filter_is_there_and_who_was_deleted_is_not(
    tmp_path: Path, narrow: dict[str, str]
) -> None:
    moved, filtered = ldif.person("mo", dn=dn("mo", ELSEWHERE)), ldif.person("fil", {"title": "Contractor"})
    group_elsewhere = group("moved", [dn("ada")], dn=f"cn=moved,{ELSEWHERE}")
    with Slapd(tmp_path / "slapd", small(moved, filtered, group_elsewhere)) as server:
        server.administrator().delete(dn("bob"))
        found = look_up(
            LdapSource(options(server, **narrow)),
            key(dn("mo", ELSEWHERE)), key(dn("fil")), key(f"cn=moved,{ELSEWHERE}"), key(dn("bob")), key(dn("ada")),
        )  # fmt: skip
    assert list(found.values()) == [True, True, True, False, True]


def test_keys_are_looked_up_below_the_base_whatever_the_filter_says(company: Slapd) -> None:
    with LdapSource(options(company)).pull(NOTHING) as pull:
        everyone = {user.key for user in pull.users() if isinstance(user, Entry)}
    [outside, *_] = sorted(everyone)
    absent = [uuid(number) for number in range(1000)]
    narrowed = options(company, user_filter=f"(!(entryUUID={outside}))", user_base_dn=PEOPLE)
    found = look_up(LdapSource(narrowed), *absent, outside, *sorted(everyone)[:60], "no-uuid", "*")
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
