"""What may be asked from elsewhere: does it live, is it well, and its figures. Nothing of people; nothing is told."""

from __future__ import annotations

from collections.abc import Callable

import orjson
from prometheus_client import CollectorRegistry
from prometheus_client.exposition import choose_encoder
from starlette.applications import Starlette
from starlette.concurrency import run_in_threadpool
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import Route


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
