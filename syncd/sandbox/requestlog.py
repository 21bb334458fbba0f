"""What the SCIM side was asked: every request with its body, its answer's status, its time and its company.

Kept in memory: it is how a test or a person proves what was sent, not part of the state.
"""

from __future__ import annotations

import time
from collections import Counter, deque
from dataclasses import dataclass, field
from typing import Any

import orjson

from syncd.sandbox.resources import now

KEPT = 20_000
"""Requests; the counts go on."""
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
    """How many requests were in flight when this one came, itself included."""
    in_flight_here: int
    """How many of them were for this very path: more than 1 of a resource's own path is a client's mistake."""
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
        """Forget every request; those in flight finish unseen."""
        self.entries: deque[Entry] = deque(maxlen=KEPT)
        self.counts: Counter[str] = Counter()
        self.most_in_flight = 0

    @property
    def in_flight(self) -> int:
        """How many requests are being answered now."""
        return self._flying.total()

    def begin(self, method: str, path: str, query: dict[str, str], body: bytes, agent: str) -> Entry:
        """Note a request that has come in."""
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
        """Note a request's answer; `began` is what `time.perf_counter` said when it came."""
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
    """Return a body as JSON if it is JSON, without the password in it; as text otherwise."""
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
