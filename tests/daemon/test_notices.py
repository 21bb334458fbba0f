"""Notices of a running daemon: each is sent once, also after a kill before the sending."""

from __future__ import annotations

import json
import signal
import threading
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler, HTTPServer
from queue import Queue
from typing import Any

import pytest

from tests.daemon.running import Running
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person


class Hook:
    """A webhook on loopback."""

    def __init__(self) -> None:
        self.got: Queue[dict[str, Any]] = Queue()
        self.status = 204
        hook = self

        class Handler(BaseHTTPRequestHandler):
            def do_POST(self) -> None:
                body = json.loads(self.rfile.read(int(self.headers["Content-Length"])))
                self.send_response(hook.status)
                self.end_headers()
                hook.got.put(body)

            def log_message(self, *_: object) -> None:
                return

        self.server = HTTPServer(("127.0.0.1", 0), Handler)
        self.url = f"http://127.0.0.1:{self.server.server_port}/hook/s3cret-path"


@pytest.fixture
def hook(admin: Administrator) -> Iterator[Hook]:
    found = Hook()
    thread = threading.Thread(target=found.server.serve_forever)
    thread.start()
    admin.environment["SYNCD__NOTIFY__WEBHOOK__URL"] = found.url
    yield found
    found.server.shutdown()
    thread.join()
    found.server.server_close()


def test_a_source_that_comes_and_goes_and_changes_that_wait(admin: Administrator, sandbox: Sandbox, hook: Hook) -> None:
    admin.people(person(key) for key in range(1, 31))
    with Running(admin, SYNCD__SCHEDULE__SYNC="1s") as running:
        running.until(lambda status: status["users"]["active"] == 30)
        people = (admin.folder / "people.csv").read_text()
        (admin.folder / "people.csv").unlink()
        assert hook.got.get(timeout=60)["event"] == "source_down"
        running.until(lambda status: status["incidents"])
        admin.write("people.csv", people)
        assert hook.got.get(timeout=60)["event"] == "source_recovered"
        admin.people(person(key, status="left" if key <= 9 else "active") for key in range(1, 31))
        told = hook.got.get(timeout=60)
        assert (told["event"], told["facts"]["count"]) == ("changes_held", 9)
        last = running.status()["last_run"]["run"]
        running.until(lambda status: status["last_run"]["run"] > last + 2)
        assert hook.got.empty(), "once"
        assert "s3cret-path" not in running.logged()


def test_killed_before_it_could_tell_it_tells_after_its_next_start(
    admin: Administrator, sandbox: Sandbox, hook: Hook
) -> None:
    admin.people(person(key) for key in range(1, 31))
    hook.status = 503
    with Running(admin, SYNCD__SCHEDULE__SYNC="100d") as running:
        running.do("sync")
        admin.people(person(key, status="left" if key <= 9 else "active") for key in range(1, 31))
        running.do("sync")
        first = hook.got.get(timeout=60)
        running.signal(signal.SIGKILL)
        running.ended()
        hook.status = 204
        running.start()
        again = hook.got.get(timeout=60)
    assert first["event"] == again["event"] == "changes_held"
    assert first["id"] == again["id"], "whoever got it can tell that it is the same"


def test_somebody_asks_whether_notices_arrive(admin: Administrator, sandbox: Sandbox, hook: Hook) -> None:
    done = admin.syncd("check", "--notices")
    assert done.code == 0
    assert "notices by webhook: ok" in done.out
    assert hook.got.get(timeout=60)["event"] == "test"
    hook.status = 500
    done = admin.syncd("check", "--notices")
    assert done.code == 1
    assert "s3cret-path" not in done.out + done.err
    del admin.environment["SYNCD__NOTIFY__WEBHOOK__URL"]
    assert "no way is configured" in admin.syncd("check", "--notices").out
