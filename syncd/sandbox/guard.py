"""Protect the people's side from other web sites: the people's side is on loopback and has no password.

A page that a person has open elsewhere can make their browser send requests here. Refused: requests that name
another host than this one (DNS rebinding), and those that another site's page sends (cross-site requests).
"""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from typing import Any
from urllib.parse import urlsplit

from starlette.requests import Request
from starlette.responses import JSONResponse

Scope = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[MutableMapping[str, Any]]]
Send = Callable[[MutableMapping[str, Any]], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]

PEOPLES_SIDE = ("/admin/", "/ui/")
LOOPBACK = {"127.0.0.1", "localhost", "::1"}
EVERYWHERE = {"0.0.0.0", "::"}  # noqa: S104 - addresses that a person may have configured


class Guard:
    """The application with its people's side behind the guard; `host` is the address that the sandbox listens on."""

    def __init__(self, app: App, *, host: str) -> None:
        self.app = app
        self.host = host

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Let a request pass, or refuse it with 403 and the reason."""
        peoples = scope["type"] == "http" and (scope["path"] == "/" or scope["path"].startswith(PEOPLES_SIDE))
        if peoples and (reason := self._refusal(Request(scope))):
            await JSONResponse({"error": reason}, 403)(scope, receive, send)
            return
        await self.app(scope, receive, send)

    def _refusal(self, request: Request) -> str:
        named = request.url.hostname or ""
        if named not in {*LOOPBACK, self.host} and self.host not in EVERYWHERE:
            return f"this sandbox is not {named}"
        origin = request.headers.get("origin")
        if origin is not None and urlsplit(origin).netloc != request.headers.get("host"):
            return f"a page of {origin} may not use this sandbox"
        return ""
