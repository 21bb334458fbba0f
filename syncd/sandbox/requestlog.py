"""The request log of the SCIM side: every request with its body, response status, time and concurrency.

The log is kept in memory and is not part of the state. Tests and people use the log to prove which requests were sent.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from syncd.sandbox.resources import now

KEPT = 20_000
"""The number of requests that the log keeps. The counters also include older requests."""
BODY_LIMIT_BYTES = 256 * 1024


@dataclass(slots=True)
class Entry:
    """One request. `status` is None while it is in flight, 0 when the connection was cut."""

    number: int
    method: str
    path: str
    """Below the SCIM base URL."""
    query: dict[str, str]
    body: Any
    agent: str
    started: str
    in_flight: int
    """The number of requests in flight when this request arrived, this request included."""
    in_flight_here: int
    """The number of requests in flight for the same path. More than 1 for a resource's own path is a client error."""
    status: int | None = None
    milliseconds: float | None = None
    faults: list[str] = field(default_factory=list)

    def report(self) -> dict[str, Any]:
        """Return the entry as JSON."""
        return {name: getattr(self, name) for name in self.__slots__}


class RequestLog:
    """The requests since the sandbox started, or since the log was cleared."""

    def __init__(self) -> None:
        self.clear()
        self._flying: Counter[str] = Counter()

    def clear(self) -> None:
        """Forget every request. Requests in flight finish without an entry."""
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.most_in_flight = 0

    @property
    def in_flight(self) -> int:
        """The number of requests in flight."""
        return self._flying.total()

    def begin(self, method: str, path: str, query: dict[str, str], body: bytes, agent: str) -> Entry:
        """Record a new request."""
        self._flying[path] += 1
        self.counts[method] += 1
        self.most_in_flight = max(self.most_in_flight, self.in_flight)
        entry = Entry(
            number=self.counts.total(),
            method=method,
            path=path,
            query=query,
            body=_readable(body),
            agent=agent,
            started=now(),
            in_flight=self.in_flight,
            in_flight_here=self._flying[path],
        )
        self.entries.append(entry)
        return entry

    def end(self, entry: Entry, status: int, began: float) -> None:
        """Record the response to a request; `began` is the value of `time.perf_counter` when the request arrived."""
        self._flying[entry.path] -= 1
        if not self._flying[entry.path]:
            del self._flying[entry.path]
        entry.status = status
        entry.milliseconds = round((time.perf_counter() - began) * 1000, 3)

    def report(self, *, method: str = "", path: str = "", since: int = 0) -> dict[str, Any]:
        """Return the log as JSON, narrowed to a method, a path's beginning, or numbers above `since`."""
        return {
            "counts": dict(self.counts),
            "total": self.counts.total(),
            "in_flight": self.in_flight,
            "most_in_flight": self.most_in_flight,
            "requests": [
                entry.report()
                for entry in self.entries
                if entry.number > since
                and entry.path.startswith(path)
                and (not method or entry.method == method.upper())
            ],
        }


def _readable(body: bytes) -> Any:
    """Return a JSON body as parsed JSON without passwords, and any other body as text."""
    if not body:
        return None
    if len(body) > BODY_LIMIT_BYTES:
        return f"{len(body)} bytes"
    try:
        return _without_password(orjson.loads(body))
    except orjson.JSONDecodeError:
        return body.decode(errors="replace")


def _without_password(value: Any) -> Any:
    if isinstance(value, dict):
        if str(value.get("path", "")).lower().endswith("password"):
            return {**value, "value": "********"}
        return {
            name: "********" if name.lower() == "password" else _without_password(each) for name, each in value.items()
        }
    if isinstance(value, list):
        return [_without_password(each) for each in value]
    return value
