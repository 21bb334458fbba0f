"""Wrap the SCIM endpoints: log every request, and inject the faults of the rules.

Owns the effect of a fault on a request and its response. A request with the observer header is neither logged nor
faulted: a check of a result must neither change the counts nor trigger a fault.
"""

from __future__ import annotations

import asyncio
import time
from datetime import UTC, datetime, timedelta
from email.utils import format_datetime
from typing import Any, get_args
from urllib.parse import parse_qsl, urlencode

import orjson

from syncd.sandbox.answer import Answer, App, Receive, Scope, Send, Wording, scim_error
from syncd.sandbox.behaviour import Behaviour
from syncd.sandbox.connection import KEY, Connection
from syncd.sandbox.deviations import AnyDeviation
from syncd.sandbox.faults import (
    AnyFault,
    Delay,
    Empty,
    Faults,
    NotJson,
    OmittedRow,
    PageCap,
    RepeatedRow,
    Reset,
    Stale,
    Status,
    Truncated,
    Unauthorized,
)
from syncd.sandbox.requestlog import Entry, RequestLog
from syncd.sandbox.resources import Resources
from syncd.sandbox.rules import Request
from syncd.sandbox.staleness import Staleness

OBSERVER = b"x-sandbox-observer"

_HTML = b"<!doctype html><html><head><title>Error</title></head><body><h1>Something went wrong</h1></body></html>"
_DEVIATIONS = get_args(AnyDeviation)


class Cut(Exception):
    """The connection is to be reset instead of a response."""


class Interference:
    """The SCIM application with its log and its faults; `wording` puts an error into the service's words."""

    def __init__(self, app: App, resources: Resources, log: RequestLog, faults: Faults, wording: Wording) -> None:
        self.app = app
        self.behaviour = Behaviour(app, resources, wording)
        self.wording = wording
        self.log = log
        self.faults = faults
        self.staleness = Staleness(resources.database)

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Serve one request."""
        headers = dict(scope["headers"])
        method, path = scope["method"], scope["path"].removeprefix(scope.get("root_path", "")) or "/"
        self.behaviour.pass_time(self.faults.rules, scope, path, counted=OBSERVER not in headers)
        if OBSERVER in headers:
            await self.app(scope, receive, send)
            return
        began = time.perf_counter()
        body = await _read(receive)
        query = scope["query_string"].decode("latin-1")
        agent = headers.get(b"user-agent", b"").decode("latin-1")
        entry = self.log.begin(method, path, dict(parse_qsl(query, keep_blank_values=True)), body, agent)
        status = 0
        try:
            # Requests are served one by one. Yield first, so that the log counts concurrent requests as in flight.
            await asyncio.sleep(0)
            answer = await self._answer(scope, body, entry)
            status = answer.status
            await answer.deliver(send)
        except Cut:
            connection: Connection = scope["state"][KEY]
            connection.reset()
            await receive()
        finally:
            self.log.end(entry, status, began)

    async def _answer(self, scope: Scope, body: bytes, entry: Entry) -> Answer:
        """Return the response to a request after its faults. Raises Cut."""
        query = scope["query_string"].decode("latin-1")
        request = Request(entry.method, entry.path, query, body, lambda: self.behaviour.stored(entry.path))
        faults = self.faults.met(request)
        entry.faults = [fault.fault for fault in faults]
        for fault in faults:
            await _before(fault)
            if isinstance(fault, Status) and not fault.applied:
                return _error(fault, self.wording)
            if isinstance(fault, PageCap):
                scope = {**scope, "query_string": _capped(scope["query_string"], fault.size)}
            if isinstance(fault, Unauthorized):
                kept = [header for header in scope["headers"] if header[0] != b"authorization"]
                scope = {**scope, "headers": kept}
        with self._view(entry, faults):
            deviations = [fault for fault in faults if isinstance(fault, _DEVIATIONS)]
            answer = await self.behaviour.answer(scope, entry.path, body, deviations)
        for fault in faults:
            answer = await _after(fault, answer, self.wording)
        return answer

    def _view(self, entry: Entry, faults: list[AnyFault]) -> Any:
        """Return the context that selects the state for a request: a stale read sees an older state."""
        if entry.method == "GET":
            stale = any(isinstance(fault, Stale) for fault in faults)
            return self.staleness.reading(stale=stale)
        lags = [fault.milliseconds for fault in self.faults.rules if isinstance(fault, Stale)]
        return self.staleness.writing(max(lags, default=0))


async def _read(receive: Receive) -> bytes:
    body, more = b"", True
    while more:
        message = await receive()
        body += message.get("body", b"")
        more = message.get("more_body", False)
    return body


async def _before(fault: AnyFault) -> None:
    """Apply a fault before the request takes effect. Raises Cut."""
    if isinstance(fault, Delay) and not fault.applied:
        await asyncio.sleep(fault.milliseconds / 1000)
    if isinstance(fault, Reset) and not fault.applied:
        raise Cut


async def _after(fault: AnyFault, answer: Answer, wording: Wording) -> Answer:
    """Apply a fault to the response, after the request took effect. Raises Cut."""
    if isinstance(fault, Delay) and fault.applied:
        await asyncio.sleep(fault.milliseconds / 1000)
    elif isinstance(fault, Reset):
        raise Cut
    elif isinstance(fault, Status):
        return _error(fault, wording)
    elif isinstance(fault, Truncated) and answer.body:
        answer.replace_body(answer.body[: len(answer.body) // 2])
    elif isinstance(fault, NotJson):
        answer.replace_body(_HTML, b"text/html; charset=utf-8")
    elif isinstance(fault, Empty):
        answer.replace_body(b"")
        if not fault.location:
            gone = (b"location", b"content-location")
            answer.headers = [header for header in answer.headers if header[0].lower() not in gone]
    elif isinstance(fault, RepeatedRow | OmittedRow):
        _change_rows(answer, fault)
    return answer


def _error(fault: Status, wording: Wording) -> Answer:
    """Return the error response of a rule."""
    if fault.body == "scim":
        answer = scim_error(fault.status, wording, fault.detail, fault.scim_type)
    else:
        answer = Answer(fault.status)
        answer.replace_body(_HTML if fault.body == "html" else b"", b"text/html; charset=utf-8")
    if fault.retry_after is not None:
        answer.headers.append((fault.retry_after_header.encode(), _retry_after(fault).encode()))
    return answer


def _retry_after(fault: Status) -> str:
    """Return when to come again: whole seconds, an HTTP date (RFC 9110 section 10.2.3), or Unix time, rounded up."""
    seconds = -int(-(fault.retry_after or 0) // 1)
    if fault.retry_after_form == "epoch":
        return str(int(time.time()) + seconds + 1)
    if fault.retry_after_form == "seconds":
        return str(seconds)
    when = datetime.now(UTC).replace(microsecond=0) + timedelta(seconds=seconds + 1)
    return format_datetime(when, usegmt=True)


def _capped(query: bytes, size: int) -> bytes:
    """Return a query string that requests at most `size` resources."""
    parameters = dict(parse_qsl(query.decode("latin-1"), keep_blank_values=True))
    asked = parameters.get("count", "")
    if not (asked.lstrip("-").isdigit() and int(asked) <= size):
        parameters["count"] = str(size)
    return urlencode(parameters).encode()


def _change_rows(answer: Answer, fault: RepeatedRow | OmittedRow) -> None:
    """Repeat or omit a row of a list, so that the list's counts are wrong."""
    try:
        page = orjson.loads(answer.body)
        rows = page["Resources"]
    except (orjson.JSONDecodeError, KeyError, TypeError):
        return
    if rows:
        page["Resources"] = [*rows, rows[0]] if isinstance(fault, RepeatedRow) else rows[:-1]
        page["itemsPerPage"] = len(page["Resources"])
        answer.replace_body(orjson.dumps(page))
