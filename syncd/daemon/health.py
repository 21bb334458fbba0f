"""The network endpoints: liveness, readiness and metrics. Shows no personal data."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route

from syncd.core.model import Json
from syncd.notify.lasting import FAULT, SOURCE

_INCIDENTS: Final = {SOURCE: "the source can't be read", FAULT: "runs fail"}
"""Incidents that keep the daemon from being ready; a token that will expire does not."""


def reasons_against_ready(rows: Sequence[Json] | None, *, first_is_over: bool, refused: bool) -> list[str]:
    """Return in words why the daemon is not ready.

    `rows`: each target's row of `syncd status --json`, None where the state file can't be used. `refused`: whether a
    configuration was refused.
    """
    wrong = set() if first_is_over else {"the first run has not ended"}
    if rows is None:
        wrong.add("the state file can't be used")
    for row in rows or ():
        if stopped := row["stopped"]:
            wrong.add(f"{row['target']} is stopped ({stopped['cause']})")
        if row["paused"]:
            wrong.add(f"{row['target']} is paused")
        kinds = {each["kind"] for each in row["incidents"]}
        wrong |= {words for kind, words in _INCIDENTS.items() if kind in kinds}
    if refused:
        wrong.add("a configuration was refused")
    return sorted(wrong)


def application(registry: CollectorRegistry, wrong: Callable[[], list[str]]) -> Starlette:
    """Return the ASGI application. `wrong` returns in words why the daemon is not ready; called in a thread."""

    async def healthz(request: Request) -> Response:
        return Response(b"ok\n", media_type="text/plain")

    async def readyz(request: Request) -> Response:
        reasons = await run_in_threadpool(wrong)
        body = orjson.dumps({"ready": not reasons, "reasons": reasons})
        return Response(body, 503 if reasons else 200, media_type="application/json")

    async def metrics(request: Request) -> Response:
        encode, media_type = choose_encoder(request.headers.get("accept", ""))
        return Response(await run_in_threadpool(encode, registry), headers={"Content-Type": media_type})

    return Starlette(routes=[Route("/healthz", healthz), Route("/readyz", readyz), Route("/metrics", metrics)])
