"""A sandbox as a separate process, for tests of the whole project: real HTTP, a state file, a request log."""

from __future__ import annotations

import atexit
import json
import os
import select
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Mapping, Sequence
from contextlib import suppress
from functools import cache
from pathlib import Path
from typing import Any, Self

import httpx

Json = dict[str, Any]


class Process:
    """A process of `syncd.sandbox`, forked from one that has loaded it: to load it takes most of what a start takes.

    tests/sandbox/test_start.py starts the command itself.
    """

    def __init__(self, options: Sequence[str]) -> None:
        reading, writing = os.pipe()
        self.stdout = open(reading, encoding="utf-8")  # noqa: PTH123, SIM115 - a pipe, closed by `wait`
        try:
            self._descriptor = _forked(options, writing)
        finally:
            os.close(writing)

    def send_signal(self, number: int) -> None:
        with suppress(ProcessLookupError):
            signal.pidfd_send_signal(self._descriptor, number)

    def runs(self) -> bool:
        return not select.select([self._descriptor], [], [], 0)[0]

    def wait(self, seconds: float) -> None:
        """Wait for its end. Raises TimeoutError."""
        if not select.select([self._descriptor], [], [], seconds)[0]:
            raise TimeoutError(f"the sandbox did not end within {seconds} s")
        os.close(self._descriptor)
        self.stdout.close()


def _forked(options: Sequence[str], stdout: int) -> int:
    orders = _nursery()
    socket.send_fds(orders, [json.dumps({"options": options}).encode()], [stdout, 2])
    _, (process,), _, _ = socket.recv_fds(orders, 1, 1)
    return process


@cache
def _nursery() -> socket.socket:
    """Start the process that sandboxes are forked from; it ends with this one."""
    ours, theirs = socket.socketpair(type=socket.SOCK_SEQPACKET)
    command = [sys.executable, "-W", "error", "-m", "tests.sandbox.nursery"]
    process = subprocess.Popen(command, stdin=theirs.fileno(), cwd=Path(__file__).parents[2])
    theirs.close()

    def end() -> None:
        ours.close()
        process.wait(60)

    atexit.register(end)
    return ours


class Sandbox:
    """One sandbox process on a free port; a context manager, or `start()` and `stop()`.

    The port stays the same over `restart()`, so that a client keeps its address.
    """

    def __init__(
        self,
        profile: str = "generic",
        *,
        state: Path | None = None,
        tokens: Sequence[str] = ("sandbox-token",),
        verified_domains: Sequence[str] = (),
        faults: Path | None = None,
        habits: Sequence[str] = (),
        settings: Mapping[str, str] | None = None,
        port: int = 0,
    ) -> None:
        self.profile = profile
        self._folder = None if state else tempfile.TemporaryDirectory(prefix="sandbox-test-")
        self.state = state or Path(self._folder.name if self._folder else "") / "sandbox.db"
        self.tokens = tuple(tokens)
        self.token = self.tokens[0]
        self.port = port
        self.greeting = ""
        self._options = [
            *(part for token in self.tokens for part in ("--token", token)),
            *(part for domain in verified_domains for part in ("--verified-domain", domain)),
            *(("--faults", str(faults)) if faults else ()),
            *(part for name in habits for part in ("--habit", name)),
            *(part for name, answer in (settings or {}).items() for part in ("--set", f"{name}={answer}")),
        ]
        self._process: Process | None = None
        self._client: httpx.Client | None = None

    # Life

    def start(self) -> Self:
        """Start the process and wait for the line that says it listens."""
        self._process = Process(
            ["--profile", self.profile, "--port", str(self.port), "--state", str(self.state), *self._options]
        )
        self.greeting = self._process.stdout.readline()
        if not self.greeting.startswith("sandbox: "):
            self._reap()
            raise RuntimeError(f"the sandbox did not start: {self.greeting!r}; its stderr says why")
        self.port = httpx.URL(self.greeting.split()[1]).port or 0
        self._client = httpx.Client(base_url=self.url, timeout=60, trust_env=False)
        return self

    def stop(self) -> None:
        """End the process as a person would, with SIGTERM."""
        if self._process is not None and self._process.runs():
            self._process.send_signal(signal.SIGTERM)
        self._reap()
        if self._folder is not None:
            self._folder.cleanup()

    def kill(self) -> None:
        """End the process with SIGKILL: no chance to finish or to tidy up."""
        assert self._process is not None
        self._process.send_signal(signal.SIGKILL)
        self._reap()

    def restart(self) -> Self:
        """Start again on the same port and state file, stopping the process if it runs."""
        if self._process is not None and self._process.runs():
            self._process.send_signal(signal.SIGTERM)
        self._reap()
        return self.start()

    def _reap(self) -> None:
        if self._client is not None:
            self._client.close()
            self._client = None
        if self._process is not None:
            self._process.wait(60)
            self._process = None

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, *exc: object) -> None:
        self.stop()

    # Addresses

    @property
    def url(self) -> str:
        """The sandbox's address without a path: the page is there, `/admin` below it."""
        return f"http://127.0.0.1:{self.port}"

    @property
    def base_url(self) -> str:
        """The SCIM base URL."""
        return f"{self.url}/scim/v2"

    # The SCIM side, as a client of its own

    def scim(self, method: str, path: str, body: Any = None, *, token: str | None = None, **kw: Any) -> httpx.Response:
        """Send one SCIM request, with the token; returns whatever comes back."""
        headers = {"Authorization": f"Bearer {token or self.token}", **kw.pop("headers", {})}
        if body is not None:
            headers.setdefault("Content-Type", "application/scim+json")
        return self.client.request(method, f"/scim/v2{path}", json=body, headers=headers, **kw)

    def users(self, *, token: str | None = None) -> list[Json]:
        """Return every user that the SCIM API lists."""
        return self._all("/Users", token)

    def groups(self, *, token: str | None = None) -> list[Json]:
        """Return every group that the SCIM API lists, with its members."""
        return self._all("/Groups", token)

    def _all(self, path: str, token: str | None) -> list[Json]:
        found: list[Json] = []
        query: dict[str, Any] = {"cursor": ""} if self.profile == "aws-identity-center" else {"count": 500}
        while True:
            answer = self.scim("GET", path, token=token, params=query, headers={"X-Sandbox-Observer": "1"})
            answer.raise_for_status()
            page = answer.json()
            found += page.get("Resources", [])
            if "nextCursor" in page:
                query = {"cursor": page["nextCursor"]}
            elif not page.get("Resources") or len(found) >= page.get("totalResults", 0):
                return found
            else:
                query = {"startIndex": len(found) + 1, "count": 500}

    # The people's side

    @property
    def client(self) -> httpx.Client:
        """A client for the sandbox's address, without a token."""
        assert self._client is not None, "the sandbox is not running"
        return self._client

    def admin(self, method: str, path: str, body: Any = None, **kw: Any) -> Any:
        """Send one request to the people's API and return its JSON. Raises httpx.HTTPStatusError."""
        answer = self.client.request(method, f"/admin{path}", json=body, **kw)
        answer.raise_for_status()
        return answer.json() if answer.content else None

    def requests(self, **query: str) -> list[Json]:
        """Return the SCIM requests it received, oldest first: those that `users()` and `groups()` send do not count."""
        requests: list[Json] = self.admin("GET", "/requests", params=query)["requests"]
        return requests

    def counts(self) -> dict[str, int]:
        """Return how many SCIM requests it received, by method."""
        counts: dict[str, int] = self.admin("GET", "/requests")["counts"]
        return counts

    def clear_requests(self) -> None:
        """Forget the requests received so far."""
        self.admin("DELETE", "/requests")

    def faults(self, *rules: Json) -> None:
        """Make these the faults from now on; none: it works again."""
        self.admin("PUT", "/faults", list(rules))
