"""The control API: HTTP and JSON over the Unix socket, for the commands and for other callers that have the right.

POST /v1/status {"target": "lucid"}        every operation of `syncd.operations`; a read-only operation also as
GET  /v1/status?target=lucid
POST /v1/jobs {"kind": "resync"}           a line of JSON for each event, the last one `end` or `error`
POST /v1/reload, GET /v1/daemon
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable
from typing import Any, Final, Protocol

import orjson
import structlog
from pydantic import BaseModel, ValidationError
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response, StreamingResponse
from starlette.routing import Route
from uvicorn.protocols.http.h11_impl import H11Protocol

from syncd.core.model import Json
from syncd.cycle.jobs import Job
from syncd.daemon.client import BEHIND
from syncd.daemon.peer import Peer, Rights, peer_of
from syncd.errors import SyncdError
from syncd.operations import OPERATIONS

log = structlog.get_logger()
_LARGEST: Final = 512 * 2**20
"""Bytes of a request: a saved plan of half a million changes."""


Handler = Callable[[Request, str], Awaitable[Response]]
"""Answers a request of a caller with the right to ask, given by login name."""


class Control(Protocol):
    """The daemon, as the API needs it."""

    def answer(self, operation: str, asked: BaseModel, by: str) -> Json:
        """Answer an operation; called in a thread. Raises SyncdError."""

    def answered(self, operation: str, asked: BaseModel) -> None:
        """Apply the effects of an answered operation that writes. Called in the event loop."""

    def follow(self, job: Job, by: str) -> AsyncIterator[Json]:
        """Carry out a job, and yield its progress; the last event is `end` or `error`."""

    async def reload(self, by: str) -> Json:
        """Read the configuration again. Raises SyncdError, and the old configuration stays."""

    def about(self) -> Json:
        """Return the daemon's identity."""


class PeerProtocol(H11Protocol):
    """Puts the caller into `request.state.peer`."""

    def connection_made(self, transport: asyncio.Transport) -> None:  # type: ignore[override]
        super().connection_made(transport)
        self.app_state = {**self.app_state, "peer": peer_of(transport.get_extra_info("socket"))}


def application(control: Control, rights: Rights) -> Starlette:
    """Return the ASGI application."""
    reading = ("GET", "POST")
    handlers: list[tuple[str, tuple[str, ...], Handler]] = [
        *(
            (name, ("POST",) if each.writes else reading, _operation(control, name))
            for name, each in OPERATIONS.items()
        ),
        ("jobs", ("POST",), _jobs(control)),
        ("reload", ("POST",), _reload(control)),
        ("daemon", reading, _about(control)),
    ]
    return Starlette(
        routes=[
            Route(f"/v1/{name}", _guarded(handler, name, rights), methods=list(methods))
            for name, methods, handler in handlers
        ],
        exception_handlers={404: _unknown, 405: _by_other_means},
    )


def _guarded(handler: Handler, name: str, rights: Rights) -> Callable[[Request], Awaitable[Response]]:
    """Refuse a caller without the right to ask, and turn errors into answers."""

    async def guarded(request: Request) -> Response:
        peer: Peer | None = getattr(request.state, "peer", None)
        if peer is None or not rights.allow(peer):
            log.warning("caller_refused", operation=name, uid=peer and peer.uid, pid=peer and peer.pid)
            return _json({"error": "you may not ask this daemon", "hint": "root and members of its group may"}, 403)
        try:
            return await handler(request, _who(request, peer))
        except SyncdError as error:
            return _json(_error(error), 409 if error.exit_code != 1 else 400)
        except ValidationError as error:
            faults = "; ".join(f"{'.'.join(map(str, each['loc'])) or name}: {each['msg']}" for each in error.errors())
            return _json({"error": f"{name}: {faults}", "hint": ""}, 422)

    return guarded


def _who(request: Request, peer: Peer) -> str:
    """Return the caller's login name; root names the person behind sudo."""
    behind = request.headers.get(BEHIND, "")
    return behind if behind and peer.uid == 0 else peer.name


async def _arguments(request: Request) -> dict[str, Any]:
    if request.method == "GET":
        return dict(request.query_params)
    if int(request.headers.get("content-length", 0)) > _LARGEST:
        raise SyncdError("the request is too large")
    try:
        arguments = orjson.loads(await request.body() or b"{}")
    except orjson.JSONDecodeError as error:
        raise SyncdError(f"the request is not JSON: {error}") from None
    if not isinstance(arguments, dict):
        raise SyncdError("the request is not a JSON object")
    return arguments


def _operation(control: Control, name: str) -> Handler:
    async def answer(request: Request, by: str) -> Response:
        asked = OPERATIONS[name].arguments.model_validate(await _arguments(request))
        found = await run_in_threadpool(control.answer, name, asked, by)
        if OPERATIONS[name].writes:
            control.answered(name, asked)
        return _json(found)

    return answer


def _jobs(control: Control) -> Handler:
    async def follow(request: Request, by: str) -> Response:
        job = Job.model_validate(await _arguments(request))

        async def lines() -> AsyncIterator[bytes]:
            async for event in control.follow(job, by):
                yield orjson.dumps(event, option=orjson.OPT_APPEND_NEWLINE)

        return StreamingResponse(lines(), media_type="application/x-ndjson")

    return follow


def _reload(control: Control) -> Handler:
    async def reload(request: Request, by: str) -> Response:
        return _json(await control.reload(by))

    return reload


def _about(control: Control) -> Handler:
    async def about(request: Request, by: str) -> Response:
        return _json(control.about())

    return about


async def _unknown(request: Request, error: Exception) -> Response:
    known = ", ".join(sorted([*OPERATIONS, "jobs", "reload", "daemon"]))
    text = f"{request.method} {request.url.path}: this daemon has no such operation; there are: {known}"
    return _json({"error": text, "hint": "another version of syncd may run: `systemctl restart syncd`"}, 404)


async def _by_other_means(request: Request, error: Exception) -> Response:
    text = f"{request.method} {request.url.path}: this is asked for by another method"
    return _json({"error": text, "hint": "POST takes a JSON object; what only reads is also answered to GET"}, 405)


def _error(error: SyncdError) -> Json:
    return {"error": error.message, "hint": error.hint, "exit_code": error.exit_code}


def error_event(error: SyncdError) -> Json:
    """Return the last event of a job that could not be done."""
    return {"event": "error", **_error(error)}


def _json(value: Json, status: int = 200) -> Response:
    return Response(orjson.dumps(value), status, media_type="application/json")
