"""A complete response, held back until rules have changed it."""

from __future__ import annotations

from collections.abc import Awaitable, Callable, MutableMapping
from dataclasses import dataclass, field
from typing import Any

import orjson

Scope = MutableMapping[str, Any]
Message = MutableMapping[str, Any]
Receive = Callable[[], Awaitable[Message]]
Send = Callable[[Message], Awaitable[None]]
App = Callable[[Scope, Receive, Send], Awaitable[None]]
Wording = Callable[[dict[str, Any]], dict[str, Any]]

_ERROR = "urn:ietf:params:scim:api:messages:2.0:Error"
_JSON = b"application/scim+json"


@dataclass(slots=True)
class Answer:
    """A response as it is to be sent."""

    status: int = 500
    headers: list[tuple[bytes, bytes]] = field(default_factory=list)
    body: bytes = b""

    @property
    def succeeded(self) -> bool:
        """Whether the status says success."""
        return 200 <= self.status < 300

    @property
    def json(self) -> Any:
        """The body as JSON; None for a body that is not JSON."""
        try:
            return orjson.loads(self.body)
        except orjson.JSONDecodeError:
            return None

    async def collect(self, message: Message) -> None:
        """Take an ASGI message in place of `send`."""
        if message["type"] == "http.response.start":
            self.status = message["status"]
            self.headers = list(message.get("headers", []))
        else:
            self.body += message.get("body", b"")

    def replace_body(self, body: bytes, content_type: bytes | None = None) -> None:
        """Replace the body and its Content-Length."""
        dropped = {b"content-length"} | ({b"content-type"} if content_type else set())
        self.headers = [(name, value) for name, value in self.headers if name.lower() not in dropped]
        if content_type:
            self.headers.append((b"Content-Type", content_type))
        self.headers.append((b"Content-Length", str(len(body)).encode()))
        self.body = body

    def replace_json(self, value: Any) -> None:
        """Replace the body by JSON."""
        self.replace_body(orjson.dumps(value))

    async def deliver(self, send: Send) -> None:
        """Send the held response."""
        await send({"type": "http.response.start", "status": self.status, "headers": self.headers})
        await send({"type": "http.response.body", "body": self.body})


def no_content(headers: list[tuple[bytes, bytes]]) -> Answer:
    """Return a 204 with the headers of another response that are not about its body."""
    about_body = (b"content-length", b"content-type", b"content-location", b"location")
    return Answer(204, [header for header in headers if header[0].lower() not in about_body])


def scim_error(status: int, wording: Wording, detail: str = "", scim_type: str = "") -> Answer:
    """Return an error (RFC 7644 section 3.12) in the words of the service."""
    message: dict[str, Any] = {"schemas": [_ERROR], "status": str(status)}
    if scim_type:
        message["scimType"] = scim_type
    message["detail"] = detail or "A fault of the sandbox, on demand"
    answer = Answer(status)
    answer.replace_body(orjson.dumps(wording(message)), _JSON)
    return answer
