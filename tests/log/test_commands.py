"""No secret is in anything that the commands leave behind: output, logs, tracebacks, state file, plans, figures.

Real processes, real files, and endpoints that say back all that they are told, in every form that they can think of.
"""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from base64 import b64encode
from collections.abc import Iterator
from pathlib import Path
from urllib.parse import quote, quote_plus

import pytest

from syncd.cli.starter import write
from tests.daemon.running import Running
from tests.endpoints import LIST, Reply, Request, Server, error
from tests.servers.ldif import BASE, READER, base
from tests.servers.ldif import person as entry
from tests.servers.slapd import Slapd
from tests.system.commands import Administrator, person

TOKEN = 'Tk/q7"Zx\\w+3%25=mN'
"""With everything that is written in another way in an address, in JSON or in Python."""
PASSWORD = 'pW&r"9\\u%é/+ok'
USER = "proxy-user"


def forms(secret: str) -> set[bytes]:
    """Return what a secret looks like wherever it may turn up."""
    texts = {secret, quote(secret, safe=""), quote(secret), quote_plus(secret)}
    texts |= {re.sub("%..", lambda code: code[0].lower(), text) for text in texts - {secret}}
    texts |= {json.dumps(secret)[1:-1], json.dumps(secret, ensure_ascii=False)[1:-1], repr(secret)[1:-1]}
    texts |= {b64encode(before + secret.encode()).decode().rstrip("=") for before in (b"", b"proxy-user:", b"Bearer ")}
    return {text.encode() for text in texts} | {secret.encode("latin-1"), secret.encode("utf-16-le")}


def everything(secret: str) -> str:
    """Return all that an endpoint can make of a header, as one text."""
    return " | ".join(form.decode("latin-1") for form in forms(secret) if b"\0" not in form)


@pytest.fixture
def admin(tmp_path: Path) -> Administrator:
    """Three people, and the starter configuration; where its endpoint is, is said by each test."""
    folder = tmp_path / "syncd"
    list(write(folder))
    admin = Administrator(folder, SYNCD_TOKEN=TOKEN)
    admin.people(person(key) for key in range(1, 4))
    admin.write("groups.csv", "id,name\neng,Engineering\n")
    admin.members([("eng", "1")])
    return admin


def run(admin: Administrator, *arguments: str) -> str:
    """Run a command, whatever comes of it, and return what it printed."""
    done = admin.syncd(*arguments)
    return f"$ {' '.join(arguments)}\n{done.out}{done.err}"


def every_command(admin: Administrator) -> str:
    """Run whatever reads, sends, or shows what came of it, and return all that was printed."""
    return "".join(
        run(admin, *arguments)
        for arguments in (
            ("check",),
            ("sync", "--log-level", "debug"),
            ("plan", "--full", "--log-level", "debug", "-o", "plan.json"),
            ("status", "--json"),
            ("runs", "--json"),
            ("show", "1", "--json"),
            ("explain", "p1@example.com"),
        )
    )


def assert_nowhere(admin: Administrator, printed: str, *secrets: str) -> None:
    """Search every byte that was printed, and of every file in the administrator's folder."""
    files = [path for path in admin.folder.rglob("*") if path.is_file()]
    assert any(path.name == "syncd.db" for path in files), "there is a state file to search"
    left = {path.name: path.read_bytes() for path in files} | {"what was printed": printed.encode()}
    for secret in secrets:
        for form in forms(secret):
            for name, content in left.items():
                at = content.find(form)
                assert at < 0, f"{form!r} is in {name}: {content[max(0, at - 100) : at + 60]!r}"


def answering(request: Request) -> str:
    """Return the secret that a request came with, as an endpoint reads it from the header."""
    return request.headers.get("authorization", "").removeprefix("Bearer ")


def refusing(request: Request) -> Reply:
    return error(401, f"no such token: {everything(answering(request))}")


def failing(request: Request) -> Reply:
    """Be an empty endpoint that takes nothing, and says why in JSON that is none of SCIM's."""
    if request.method == "GET":
        return Reply(200, {"schemas": [LIST], "totalResults": 0, "Resources": []})
    return Reply(400, {"message": "bad request", "headers": request.headers, "forms": everything(answering(request))})


def babbling(request: Request) -> Reply:
    """Fail with text, in which a few characters of the header come first."""
    if request.method == "GET":
        return Reply(200, {"schemas": [LIST], "totalResults": 0, "Resources": []})
    text = f"{request.headers}\n{everything(answering(request))}"
    return Reply(422, text.encode(), {"Content-Type": "text/plain"})


def redirecting(request: Request) -> Reply:
    return Reply(302, None, {"Location": f"https://elsewhere.example.com/{quote(answering(request), safe='')}"})


@pytest.mark.parametrize("answer", [refusing, failing, babbling, redirecting])
def test_an_endpoint_may_say_the_token_back(answer: object, admin: Administrator) -> None:
    with Server(answer) as server:  # type: ignore[arg-type]
        admin.environment["SYNCD__TARGET__SANDBOX__BASE_URL"] = server.url
        printed = every_command(admin)
        assert {answering(request) for request in server.requests} == {TOKEN}, "it was sent as it is"
    assert_nowhere(admin, printed, TOKEN)
    assert "sandbox" in printed


def test_the_daemon_keeps_it_too(admin: Administrator) -> None:
    with Server(failing) as server:
        admin.environment["SYNCD__TARGET__SANDBOX__BASE_URL"] = server.url
        with Running(admin, "--log-level", "debug", "--log-format", "json") as running:
            running.do("sync")
            printed = every_command(admin)
            printed += json.dumps(running.status(), ensure_ascii=False)
    assert "changes_failed" in running.logged() or "run_ended" in running.logged()
    assert_nowhere(admin, printed, TOKEN)


def test_a_proxy_may_say_its_password_back(admin: Administrator) -> None:
    def proxy(request: Request) -> Reply:
        given = request.headers.get("proxy-authorization", "")
        return Reply(400, f"{request.headers} {given} {everything(PASSWORD)}".encode(), {"Content-Type": "text/plain"})

    with Server(proxy) as server:
        admin.environment |= {
            "SYNCD__TARGET__SANDBOX__BASE_URL": "http://127.0.0.1:9/scim/v2",
            "SYNCD__TARGET__SANDBOX__PROXY": f"http://127.0.0.1:{server.port}",
            "SYNCD__TARGET__SANDBOX__PROXY_AUTH__ENV": "PROXY_PASSWORD",
            "PROXY_PASSWORD": f"{USER}:{PASSWORD}",
        }
        printed = every_command(admin)
        assert any("proxy-authorization" in request.headers for request in server.requests)
    assert_nowhere(admin, printed, TOKEN, PASSWORD)


@pytest.fixture
def slapd(tmp_path: Path) -> Iterator[Slapd]:
    with Slapd(tmp_path / "slapd", [base(), entry("zoe", {"mail": "zoe@example.com", "sn": "Z"})]) as slapd:
        yield slapd


def test_a_wrong_password_of_a_directory_is_not_repeated(admin: Administrator, slapd: Slapd) -> None:
    admin.write(
        "syncd.toml",
        f"""
state = "syncd.db"
[source]
type = "ldap"
urls = ["{slapd.url}"]
bind_dn = "{READER}"
password = {{ env = "LDAP_PASSWORD" }}
base_dn = "{BASE}"
[mapping.user]
userName = "{{mail|lower}}"
[[target]]
name = "sandbox"
base_url = "http://127.0.0.1:9/scim/v2"
token = {{ env = "SYNCD_TOKEN" }}
""",
    )
    admin.environment["LDAP_PASSWORD"] = PASSWORD
    printed = every_command(admin)
    assert "check bind_dn and password" in printed
    assert_nowhere(admin, printed, TOKEN, PASSWORD)


FAULT = """
import sys
from syncd.scim.transport import Transport
from syncd.cli import main

async def send(self, *arguments, **more):
    try:
        {}[self._headers["Authorization"]]
    except KeyError as error:
        raise RuntimeError(f"headers {self._headers}", repr(self._headers).encode()) from error

Transport.send = send
sys.argv[0] = "syncd"
main()
"""


def test_not_even_a_fault_of_syncd_itself_says_it(admin: Administrator) -> None:
    admin.environment["SYNCD__TARGET__SANDBOX__BASE_URL"] = "http://127.0.0.1:9/scim/v2"
    done = subprocess.run(
        [sys.executable, "-c", FAULT, "sync", "--log-level", "debug"],
        cwd=admin.folder,
        env=admin.environment | {"SYNCD_DEBUG": "1", "PYTHONPATH": os.pathsep.join(sys.path)},
        capture_output=True,
        text=True,
        check=False,
        timeout=60,
    )
    assert done.returncode == 1
    assert "Traceback" in done.stderr
    assert "RuntimeError" in done.stderr
    assert_nowhere(admin, done.stdout + done.stderr + run(admin, "status", "--json"), TOKEN)
