"""A directory that is read in part: a real OpenLDAP server, and everybody keeps their account."""

from __future__ import annotations

import socket
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from threading import Thread

import pytest

from tests.failures.house import WRITES
from tests.sandbox.process import Sandbox
from tests.servers.ldif import BASE, PASSWORD, READER, company
from tests.servers.slapd import Slapd
from tests.system.commands import Administrator

CONFIGURATION = f"""
state = "syncd.db"
[source]
type = "ldap"
urls = ["URL"]
bind_dn = "{READER}"
password = {{ file = "password" }}
base_dn = "{BASE}"
preset = "openldap"
page_size = 20
[mapping.user]
userName = "{{mail|lower}}"
externalId = "{{entryUUID}}"
[[target]]
name = "target"
base_url = "ENDPOINT"
rate = 10000
token = {{ env = "SYNCD_TOKEN" }}
missing_grace = "0s"
[target.limits]
deactivate = {{ percent = 100 }}
"""
PEOPLE = 120


@pytest.fixture
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("generic") as sandbox:
        yield sandbox


@pytest.fixture
def admin(tmp_path: Path, sandbox: Sandbox) -> Administrator:
    """Everybody of a company has an account, and nothing was asked since. No limit holds anything."""
    folder = tmp_path / "syncd"
    folder.mkdir()
    admin = Administrator(folder, SYNCD_TOKEN=sandbox.token)
    admin.write("password", PASSWORD).chmod(0o600)
    with Slapd(tmp_path / "whole", company(PEOPLE)) as slapd:
        read_from(admin, slapd.url, sandbox)
        done = admin.syncd("sync")
        assert done.code == 0, done.out + done.err
    assert len(sandbox.users()) == PEOPLE
    sandbox.clear_requests()
    return admin


def read_from(admin: Administrator, url: str, sandbox: Sandbox) -> None:
    admin.write("syncd.toml", CONFIGURATION.replace("URL", url).replace("ENDPOINT", sandbox.base_url))


@contextmanager
def line(to: int, after: int, then: Callable[[], None]) -> Iterator[str]:
    """Yield the address of a line to a server's port: `then` happens once `after` bytes of its answers have passed."""
    with socket.create_server(("127.0.0.1", 0)) as listening:
        listening.settimeout(60)

        def carry() -> None:
            here, _ = listening.accept()
            with here, socket.create_connection(("127.0.0.1", to)) as there:
                Thread(target=_pass_on, args=(here, there), daemon=True).start()
                passed = 0
                while passed < after and (some := there.recv(1024)):
                    here.sendall(some)
                    passed += len(some)
                then()
                here.shutdown(socket.SHUT_RDWR)

        carrying = Thread(target=carry, daemon=True)
        carrying.start()
        yield f"ldap://127.0.0.1:{listening.getsockname()[1]}"
        carrying.join(60)
        assert not carrying.is_alive()


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    try:
        while some := here.recv(4096):
            there.sendall(some)
    except OSError:
        return


def nobody_lost_anything(sandbox: Sandbox) -> bool:
    written = [each for each in sandbox.requests() if each["method"] in WRITES]
    return written == [] and sum(user["active"] for user in sandbox.users()) == PEOPLE


@pytest.mark.parametrize("after", [4_000, 20_000])
def test_a_directory_server_that_dies_in_the_midst_of_a_search_takes_nothing_from_anybody(
    tmp_path: Path, admin: Administrator, sandbox: Sandbox, after: int
) -> None:
    with Slapd(tmp_path / "dying", company(PEOPLE)) as slapd:
        with line(slapd.port, after, slapd.kill) as url:
            read_from(admin, url, sandbox)
            done = admin.syncd("sync")
        assert done.code == 1, done.out
        assert "broke off" in done.err
        assert nobody_lost_anything(sandbox)


@pytest.mark.parametrize("limits", ["size.soft=50 size.hard=50", "size.prtotal=50", "size.unchecked=10"])
def test_a_limit_of_the_directory_server_takes_nothing_from_anybody(
    tmp_path: Path, admin: Administrator, sandbox: Sandbox, limits: str
) -> None:
    with Slapd(tmp_path / "limited", company(PEOPLE), limits=limits) as slapd:
        read_from(admin, slapd.url, sandbox)
        done = admin.syncd("sync")
    assert done.code == 1, done.out
    assert "imit" in done.err
    assert nobody_lost_anything(sandbox)


def test_an_account_that_may_no_longer_read_people_takes_nothing_from_anybody(
    tmp_path: Path, admin: Administrator, sandbox: Sandbox
) -> None:
    access = f'access to dn.children="ou=people,{BASE}" by * none'
    with Slapd(tmp_path / "hiding", company(PEOPLE), access=access) as slapd:
        read_from(admin, slapd.url, sandbox)
        done = admin.syncd("sync")
    assert done.code == 1, done.out
    assert nobody_lost_anything(sandbox)
