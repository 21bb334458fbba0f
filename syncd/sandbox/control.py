"""The instruments under /admin: the request log, and the faults."""

from __future__ import annotations

from typing import Any

import orjson
from starlette.requests import Request
from starlette.responses import JSONResponse, Response
from starlette.routing import BaseRoute, Route

from syncd.errors import ConfigurationError
from syncd.sandbox.faults import AnyFault, Faults, parse
from syncd.sandbox.habits import HABITS
from syncd.sandbox.requestlog import RequestLog


def control_routes(log: RequestLog, faults: Faults) -> list[BaseRoute]:
    """Return the routes of both instruments, relative to /admin."""

    async def requests(request: Request) -> Response:
        if request.method == "DELETE":
            log.clear()
            return Response(status_code=204)
        query = request.query_params
        since = query.get("since", "0")
        if not since.isascii() or not since.isdigit():
            return JSONResponse({"error": f"since: {since!r} is not a request's number"}, 400)
        report = log.report(method=query.get("method", ""), path=query.get("path", ""), since=int(since))
        return json_response(report)

    async def rules(request: Request) -> Response:
        if request.method in ("PUT", "POST"):
            given = _given(await request.body())
            faults.rules = given if request.method == "PUT" else [*faults.rules, *given]
        elif request.method == "DELETE":
            faults.rules = []
        return json_response({"faults": [rule.report() for rule in faults.rules]})

    async def habits(request: Request) -> Response:
        return json_response({name: habit.sentence for name, habit in HABITS.items()})

    async def guarded_rules(request: Request) -> Response:
        try:
            return await rules(request)
        except ConfigurationError as error:
            return JSONResponse({"error": str(error)}, 400)

    return [
        Route("/requests", requests, methods=["GET", "DELETE"]),
        Route("/habits", habits),
        Route("/faults", guarded_rules, methods=["GET", "PUT", "POST", "DELETE"]),
    ]


def _given(body: bytes) -> list[AnyFault]:
    """Return the rules in a request's body: a list, or a single rule. Raises ConfigurationError."""
    try:
        value = orjson.loads(body)
    except orjson.JSONDecodeError:
        value = body.decode(errors="replace")
    return parse([value] if isinstance(value, dict) and {"fault", "habit"} & value.keys() else value, "/admin/faults")


def json_response(value: Any, status: int = 200) -> Response:
    """Return a value as JSON, indented for a person with curl."""
    return Response(orjson.dumps(value, option=orjson.OPT_INDENT_2), status, media_type="application/json")
