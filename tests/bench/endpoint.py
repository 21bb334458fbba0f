"""A small fast SCIM endpoint to push against: it answers after a latency, keeps nothing, and counts.

    python -m tests.bench.endpoint [--latency SECONDS] [--limit PER_SECOND]

`--limit`: the number of requests accepted in any second; every other request is answered 429. `GET /stats` returns the
counts. For load alone; the sandbox imitates the behaviour of endpoints.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import socket
import subprocess
import sys
from collections import Counter, deque
from collections.abc import Awaitable, Callable
from time import monotonic
from types import TracebackType
from typing import Any, Self
from urllib.request import urlopen

import uvicorn

Send = Callable[[dict[str, Any]], Awaitable[None]]
Receive = Callable[[], Awaitable[dict[str, Any]]]


class Endpoint:
    """The ASGI application."""

    def __init__(self, latency: float, limit: int) -> None:
        self._latency = latency
        self._limit = limit
        self._recent: deque[float] = deque()
        self._made = 0
        self._counts: Counter[str] = Counter()
        self._first = self._last = 0.0

    async def __call__(self, scope: dict[str, Any], receive: Receive, send: Send) -> None:
        if scope["type"] != "http":
            return
        path, method = scope["path"], scope["method"]
        content = b""
        while True:
            message = await receive()
            content += message.get("body", b"")
            if not message.get("more_body"):
                break
        if path == "/stats":
            seconds = self._last - self._first
            await _answer(send, 200, json.dumps({**self._counts, "seconds": seconds}).encode())
            return
        now = monotonic()
        self._first = self._first or now
        self._counts[f"{method} {path.split('/')[3]}"] += 1
        if self._refuses(now):
            self._counts["429"] += 1
            await _answer(send, 429, b"{}")
            return
        if self._latency:
            await asyncio.sleep(self._latency)
        self._last = monotonic()
        if method == "POST":
            self._made += 1
            await _answer(send, 201, b'{"id":"%d",' % self._made + content[1:])
        elif method == "GET":
            await _answer(send, 200, b'{"totalResults":0,"Resources":[],"patch":{"supported":true}}')
        else:
            await _answer(send, 204, b"")

    def _refuses(self, now: float) -> bool:
        if not self._limit:
            return False
        while self._recent and self._recent[0] <= now - 1.0:
            self._recent.popleft()
        if len(self._recent) >= self._limit:
            return True
        self._recent.append(now)
        return False


async def _answer(send: Send, status: int, body: bytes) -> None:
    headers = [(b"content-type", b"application/scim+json"), (b"content-length", b"%d" % len(body))]
    await send({"type": "http.response.start", "status": status, "headers": headers})
    await send({"type": "http.response.body", "body": body})


class Running:
    """The endpoint in a process of its own."""

    def __init__(self, *, latency: float = 0.0, limit: int = 0) -> None:
        with socket.socket() as free:
            free.bind(("127.0.0.1", 0))
            self._port = free.getsockname()[1]
        command = [sys.executable, "-m", "tests.bench.endpoint", "--port", str(self._port)]
        command += ["--latency", str(latency), "--limit", str(limit)]
        self._process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
        assert self._process.stdout is not None
        assert self._process.stdout.readline() == "ready\n"
        self.base_url = f"http://127.0.0.1:{self._port}/scim/v2"

    def stats(self) -> dict[str, float]:
        """Return what came, by method and kind; `429`; and `seconds` from the first to the last."""
        with urlopen(f"http://127.0.0.1:{self._port}/stats") as answer:  # our own, on loopback
            stats: dict[str, float] = json.load(answer)
            return stats

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._process.terminate()
        self._process.communicate()


def main() -> None:
    parser = argparse.ArgumentParser()
    parser.add_argument("--port", type=int, required=True)
    parser.add_argument("--latency", type=float, default=0.0)
    parser.add_argument("--limit", type=int, default=0)
    options = parser.parse_args()

    class Server(uvicorn.Server):
        async def startup(self, sockets: list[socket.socket] | None = None) -> None:
            await super().startup(sockets)
            print("ready", flush=True)

    app = Endpoint(options.latency, options.limit)
    config = uvicorn.Config(
        app, port=options.port, http="httptools", log_level="error", access_log=False, lifespan="off"
    )
    Server(config).run()


if __name__ == "__main__":
    main()
