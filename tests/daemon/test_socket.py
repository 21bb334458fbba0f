"""The daemon's socket: permitted callers, and the answers to malformed requests."""

from __future__ import annotations

import grp
import http.client
import os
import socket
import stat
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import orjson
import pytest

from syncd.daemon.peer import Peer, Rights, listen, peer_of
from syncd.errors import DaemonError
from tests.daemon.running import Running
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator

NEVER = {"SYNCD__SCHEDULE__SYNC": "100d"}
NOBODY = 65534
_CALL = """
import http.client, socket, sys
class Connection(http.client.HTTPConnection):
    def connect(self):
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.connect(sys.argv[1])
connection = Connection("syncd")
connection.request("POST", "/v1/" + sys.argv[2], b"{}", {"Syncd-Behind": "ada"})
response = connection.getresponse()
print(response.status, response.read().decode())
"""


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can enter: what keeps somebody out is the socket."""
    with tempfile.TemporaryDirectory(prefix="syncd-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


def call_as(uid: int, groups: list[int], path: Path, operation: str) -> subprocess.CompletedProcess[str]:
    """Call as another user, who belongs to these groups."""
    # Not this interpreter's packages: they may lie where that user can't read.
    python = Path(sys.base_prefix) / "bin" / "python3"
    usable = python if os.access("/usr/bin/python3", os.X_OK) is False else Path("/usr/bin/python3")
    return subprocess.run(
        [str(usable), "-I", "-c", _CALL, str(path), operation],
        user=uid,
        group=NOBODY,
        extra_groups=groups,
        cwd="/",
        env={},
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


def request(path: Path, method: str, target: str, body: bytes = b"") -> tuple[int, Any]:
    class Connection(http.client.HTTPConnection):
        def connect(self) -> None:
            self.sock = socket.socket(socket.AF_UNIX)
            self.sock.connect(os.path.relpath(path))

    connection = Connection("syncd", timeout=30)
    connection.request(method, target, body)
    response = connection.getresponse()
    found = response.status, orjson.loads(response.read())
    connection.close()
    return found


needs_root = pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")


@needs_root
def test_a_caller_without_rights_gets_nowhere(admin: Administrator, sandbox: Sandbox, place: Path) -> None:
    path = place / "syncd.sock"
    admin.environment["SYNCD__CONTROL__SOCKET"] = str(path)
    with Running(admin, **NEVER, SYNCD__CONTROL__GROUP="nobody-has-this") as running:
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
        assert "Permission denied" in call_as(NOBODY, [], path, "status").stderr
        # And should somebody open the socket by mistake, the caller is asked who they are.
        path.chmod(0o666)
        for operation in ("status", "approve", "jobs", "reload", "daemon"):
            assert call_as(NOBODY, [], path, operation).stdout.startswith("403 ")
        assert call_as(0, [], path, "status").stdout.startswith("200 ")
        path.chmod(0o600)
        logged = running.logged()
    assert f"event=caller_refused operation=approve uid={NOBODY}" in logged
    assert "event=told" not in logged


@needs_root
def test_members_of_the_group_may(admin: Administrator, sandbox: Sandbox, place: Path) -> None:
    path, group = place / "syncd.sock", grp.getgrnam("games")
    admin.environment |= {"SYNCD__CONTROL__SOCKET": str(path), "SYNCD__CONTROL__GROUP": group.gr_name}
    with Running(admin, **NEVER) as running:
        status = path.stat()
        assert (stat.S_IMODE(status.st_mode), status.st_gid) == (0o660, group.gr_gid)
        assert call_as(NOBODY, [group.gr_gid], path, "status").stdout.startswith("200 ")
        assert "Permission denied" in call_as(NOBODY, [], path, "status").stderr
        assert call_as(NOBODY, [group.gr_gid], path, "pause").stdout.startswith("200 ")
        assert "event=told operation=pause by=nobody" in running.logged()
        # Who doesn't call as root can't say that it is for somebody else.
        assert running.status()["paused"]["by"] == "nobody"


@needs_root
def test_who_may_not_is_told_so_by_the_command(admin: Administrator, sandbox: Sandbox, place: Path) -> None:
    path = place / "syncd.sock"
    with socket.socket(socket.AF_UNIX) as listening:
        listening.bind(str(path))
        listening.listen()
        path.chmod(0o600)
        code = f"""
import os, sys
from pathlib import Path
from syncd.daemon.client import find
from syncd.errors import DaemonError
os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
try:
    find([Path({str(path)!r})], Path("/nowhere"))
except DaemonError as error:
    print(error)
"""
        done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=60, check=True)
    assert "you may not talk to the daemon" in done.stdout
    assert "members of its group" in done.stdout


def test_questions_that_make_no_sense(admin: Administrator, sandbox: Sandbox) -> None:
    with Running(admin, **NEVER) as running:
        path = admin.folder / "syncd.sock"
        assert request(path, "GET", "/v1/status?target=sandbox")[0] == 200
        assert request(path, "GET", "/v1/runs?count=1")[0] == 200
        status, answer = request(path, "GET", "/v1/nonsense")
        assert (status, answer["error"].split(":")[0]) == (404, "GET /v1/nonsense")
        status, answer = request(path, "GET", "/v1/approve")
        assert (status, answer["error"]) == (405, "GET /v1/approve: this is asked for by another method")
        assert request(path, "DELETE", "/v1/status")[0] == 405
        assert request(path, "POST", "/v1/status", b"{")[0] == 400
        assert request(path, "POST", "/v1/status", b"[]")[0] == 400
        status, answer = request(path, "POST", "/v1/status", b'{"target": "elsewhere"}')
        assert (status, "none is called `elsewhere`" in answer["error"]) == (400, True)
        status, answer = request(path, "POST", "/v1/runs", b'{"count": 0, "more": 1}')
        assert status == 422
        assert answer["error"].startswith("runs: ")
        assert "count" in answer["error"]
        assert "more" in answer["error"]
        assert request(path, "POST", "/v1/jobs", b'{"kind": "apply"}')[0] == 422
        assert request(path, "POST", "/v1/jobs", b'{"kind": "relink", "who": "ada"}')[0] == 422
        assert request(path, "POST", "/v1/approve", b'{"holds": []}')[0] == 422
        assert request(path, "POST", "/v1/show", b'{"run": 4711}') == (
            400,
            {"error": "there is no run 4711", "hint": "`syncd runs` lists them", "exit_code": 1},
        )
        assert running.status()["paused"] is None


# -- the socket itself ---------------------------------------------------------------------------------


def test_a_socket_that_was_left_behind_is_taken_over_and_nothing_else_is(tmp_path: Path) -> None:
    path = tmp_path / "syncd.sock"
    with listen(path, Rights(None)):
        pass
    assert path.is_socket()
    with listen(path, Rights(None)):
        assert stat.S_IMODE(path.stat().st_mode) == 0o600
    with listen(path, Rights(None)), pytest.raises(DaemonError, match=r"syncd\.sock: another daemon listens there"):
        listen(path, Rights(None))
    path.unlink()
    path.write_text("mine")
    with pytest.raises(DaemonError, match=r"syncd\.sock: Address already in use"):
        listen(path, Rights(None))
    assert path.read_text() == "mine"


def test_a_path_that_is_too_long_for_the_kernel_is_not(tmp_path: Path) -> None:
    folder = tmp_path / ("x" * 120)
    folder.mkdir()
    with listen(folder / "syncd.sock", Rights(None)):
        assert (folder / "syncd.sock").is_socket()


def test_the_kernel_says_who_is_there() -> None:
    here, there = socket.socketpair(socket.AF_UNIX)
    with here, there:
        peer = peer_of(here)
    assert (peer.pid, peer.uid) == (os.getpid(), os.geteuid())
    assert peer.groups == {os.getegid(), *os.getgroups()}


def test_rights() -> None:
    group = Rights(1234)
    assert group.allow(Peer(1, 0, frozenset()))
    assert group.allow(Peer(1, os.geteuid(), frozenset()))
    assert group.allow(Peer(1, NOBODY, frozenset({1234})))
    assert not group.allow(Peer(1, NOBODY, frozenset({1233})))
    assert not Rights(None).allow(Peer(1, NOBODY, frozenset({1234})))
    assert Rights.of_group("nobody-has-this") == Rights(None)
