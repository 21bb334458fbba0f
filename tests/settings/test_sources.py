"""`[source]`: which values each key takes, and how others are refused."""

from __future__ import annotations

from pathlib import Path
from typing import get_args

import pytest

from syncd.settings import CsvSettings, LdapSettings
from syncd.settings.sources import KINDS
from tests.configurations import LDAP, MAPPING, SECRET, SMALLEST, SOURCE, TARGET, faults, loaded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


def test_the_kinds_are_those_that_type_may_name() -> None:
    assert (KINDS["csv"], KINDS["ldap"]) == (CsvSettings, LdapSettings)
    assert [get_args(table.model_fields["type"].annotation) for table in KINDS.values()] == [(kind,) for kind in KINDS]


NO_ADDRESS = "not an address such as ldaps://dc1.example.com or ldap://dc1.example.com:389"
HOST_AND_PORT = "an address of host and port is wanted; where to search is `base_dn`"
WRONG_IN_LDAP: dict[str, tuple[str, str]] = {
    "urls = []": ("urls", "at least one is wanted"),
    'urls = "ldaps://dc1.example.com"': ("urls", 'a list is wanted: ["…", "…"]'),
    'urls = ["dc1.example.com"]': ("urls[0]", NO_ADDRESS),
    'urls = ["ldaps://dc1.example.com", "https://dc1.example.com"]': ("urls[1]", NO_ADDRESS),
    'urls = ["ldaps://"]': ("urls[0]", NO_ADDRESS),
    'urls = ["ldaps://dc1:port"]': ("urls[0]", NO_ADDRESS),
    'urls = ["ldaps://dc1/dc=example"]': ("urls[0]", HOST_AND_PORT),
    f'urls = ["ldaps://dc1/?{SECRET}"]': ("urls[0]", HOST_AND_PORT),
    f'urls = ["ldaps://me:{SECRET}@dc1"]': ("urls[0]", "an address without a user's name and password is wanted"),
    'urls = ["ldap://localhost.example.com"]': (
        "urls",
        "ldap://localhost.example.com would send everything in clear: use ldaps://, or start_tls = true",
    ),
    'password = { env = "P" }': ("bind_dn", "missing: `password` is for the account that it names"),
    'base_dn = "example.com"': ("base_dn", "`example.com` is not a DN such as dc=example,dc=com"),
    'user_base_dn = "people"': ("user_base_dn", "`people` is not a DN such as dc=example,dc=com"),
    'group_base_dn = "groups"': ("group_base_dn", "`groups` is not a DN such as dc=example,dc=com"),
    'user_filter = "objectClass=user"': (
        "user_filter",
        "`objectClass=user`: not a filter, character 1, near `objectClass=user`: expected `(`",
    ),
    'user_filter = ""': ("user_filter", "``: not a filter, character 1, at its end: expected `(`"),
    'group_filter = "cn="': ("group_filter", "`cn=`: not a filter, character 1, near `cn=`: expected `(`"),
    'preset = "openladp"': (
        "preset",
        'must be "openldap", "ad", "389ds" or "posix"; did you mean `openldap`?',
    ),
    'key = "entry uuid"': ("key", "`entry uuid` can't be the name of an attribute"),
    'member = "member)("': ("member", "`member)(` can't be the name of an attribute"),
    'key = "userPassword"': ("key", "`userPassword` holds passwords, which are never read"),
    'member = "unicodePwd;binary"': ("member", "`unicodePwd;binary` holds passwords, which are never read"),
    'group_name = "msLAPS-Password"': ("group_name", "`msLAPS-Password` holds passwords, which are never read"),
    "page_size = 0": ("page_size", "at least 1 is wanted"),
    "page_size = 10001": ("page_size", "at most 10000 is wanted"),
    'connect_timeout = "0s"': ("connect_timeout", "`0s` is not longer than 0s"),
    'receive_timeout = "0s"': ("receive_timeout", "`0s` is not longer than 0s"),
    'deadline = "0s"': ("deadline", "`0s` is not longer than 0s"),
}


@pytest.mark.parametrize("line", WRONG_IN_LDAP)
def test_a_wrong_value_of_a_directory_is_named_with_what_is_wanted(file: Path, line: str) -> None:
    key, problem = WRONG_IN_LDAP[line]
    table = "".join(f"{each}\n" for each in LDAP.splitlines() if each.partition(" ")[0] != line.partition(" ")[0])
    found = faults(file, f"{table}{line}\n{MAPPING}{TARGET}")
    assert found == {f"source.{key}": problem}
    assert SECRET not in str(found)


def test_the_values_of_a_directory_are_checked_with_everything_else(file: Path) -> None:
    text = LDAP + 'user_filter = "x"\npage_size = 0\n' + MAPPING + TARGET + "rate = 0\n"
    assert list(faults(file, text)) == ["source.user_filter", "source.page_size", "target[lucid].rate"]


@pytest.mark.parametrize("line", ['group_filter = ""', 'key = "entryUUID"', 'user_filter = "(cn=*)"'])
def test_a_directory_takes_what_can_be_asked_for(file: Path, line: str) -> None:
    assert isinstance(loaded(file, f"{LDAP}{line}\n{MAPPING}{TARGET}").source, LdapSettings)


def test_a_base_is_needed_and_may_be_the_root(file: Path) -> None:
    without = LDAP.replace('base_dn = "dc=example,dc=com"\n', "")
    assert faults(file, without + MAPPING + TARGET) == {"source.base_dn": "missing: it has no default"}
    loaded(file, without + 'base_dn = ""\n' + MAPPING + TARGET)


@pytest.mark.parametrize(
    ("line", "key"),
    [
        ('delimiter = ";;"', "delimiter"),
        ("delimiter = '\"'", "delimiter"),
        ('members = "members.csv"', "members"),
        ('groups = "groups.csv"', "members"),
        ('multivalued = { aliases = "" }', "multivalued.aliases"),
        ('multivalued = "aliases"', "multivalued"),
    ],
)
def test_a_wrong_value_of_an_export_is_named(file: Path, line: str, key: str) -> None:
    assert list(faults(file, f"{SOURCE}{line}\n{MAPPING}{TARGET}")) == [f"source.{key}"]


def test_the_same_separators_are_for_every_file(file: Path) -> None:
    source = loaded(file, SMALLEST.replace("[mapping", 'multivalued = { aliases = ";" }\n[mapping')).source
    assert source.model_dump()["multivalued"] == {"aliases": ";"}
