"""Pulling people from a real slapd, against ldapsearch reading the same attributes of the same entries."""

from __future__ import annotations

import subprocess
import tempfile
from pathlib import Path
from time import perf_counter
from typing import Final

from syncd.core.model import Entry, Wanted
from syncd.sources.ldap.options import LdapOptions
from syncd.sources.ldap.source import LdapSource
from tests.servers.ldif import BASE, PASSWORD, READER, company
from tests.servers.slapd import Slapd

PEOPLE: Final = 20_000
_ATTRIBUTES: Final = (
    "uid cn sn givenName displayName mail title departmentNumber employeeNumber telephoneNumber l".split()
)


def ratios(rounds: int) -> list[float]:
    """Return, for each round, our time as a multiple of ldapsearch's."""
    found = []
    with tempfile.TemporaryDirectory() as name, Slapd(Path(name) / "slapd", company(PEOPLE)) as slapd:
        options = LdapOptions(
            urls=(slapd.url,), base_dn=BASE, bind_dn=READER, password=lambda: PASSWORD, group_filter=""
        )
        _ldapsearch(slapd.url)
        for _ in range(rounds):
            theirs = _ldapsearch(slapd.url)
            found.append(_pull(options) / theirs)
    return found


def _pull(options: LdapOptions) -> float:
    started = perf_counter()
    with LdapSource(options).pull(Wanted(frozenset(_ATTRIBUTES), frozenset())) as pull:
        people = sum(isinstance(item, Entry) for item in pull.users())
        assert not list(pull.groups())
        pull.evidence()
    assert people == PEOPLE
    return perf_counter() - started


def _ldapsearch(url: str) -> float:
    command = ["ldapsearch", "-x", "-LLL", "-o", "ldif-wrap=no", "-H", url, "-D", READER, "-w", PASSWORD, "-b", BASE]
    command += ["-E", "pr=1000/noprompt", "(objectClass=inetOrgPerson)", *_ATTRIBUTES, "entryUUID"]
    started = perf_counter()
    subprocess.run(command, stdout=subprocess.DEVNULL, check=True)
    return perf_counter() - started
