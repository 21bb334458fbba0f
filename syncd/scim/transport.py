"""One request to one target: authentication, time-outs, bounds, and what an answer means. No retries here.

Refuses to follow a redirect to another origin: the token must not go there.
"""

from __future__ import annotations

import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from types import TracebackType
from typing import Any, Final
from urllib.parse import quote, urlencode, urljoin

import httpx
import orjson

from syncd import __version__
from syncd.core.model import Json
from syncd.errors import ScimError, TargetRedirected, TargetRefused, TargetUnreachable, TargetUnusable
from syncd.scim.resources import field

MEDIA_TYPE: Final = "application/scim+json"
MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_MAX_REDIRECTS: Final = 3
_MAX_DETAIL_CHARACTERS: Final = 500
_TIMEOUT: Final = httpx.Timeout(connect=10, read=60, write=30, pool=None)


@dataclass(frozen=True, slots=True)
class Answer:
    """What came back: HTTP status, the parsed body (None when it is empty or no JSON), and the Location header."""

    status: int
    body: Json
    location: str = ""


class Transport:
    """The connection to one target. An async context manager; `requests` counts what was sent."""

    def __init__(self, name: str, base_url: str, token: str, *, ca_file: Path | None = None) -> None:
        """`base_url` is the endpoint's root, such as `https://users.lucid.app/scim/v2`, with or without a slash.

        Raises TargetUnreachable when `ca_file` can't be used.
        """
        self.name = name
        self._token = token
        self._base = httpx.URL(base_url.rstrip("/") + "/")
        self.requests = 0
        try:
            verify = ssl.create_default_context(cafile=ca_file)
        except OSError as error:  # ssl.SSLError is one
            hint = "`ca_file` is to be a file of certificates in PEM form"
            raise TargetUnreachable(name, f"{ca_file}: {error.strerror or error}", hint=hint) from None
        self._new_client = partial(
            httpx.AsyncClient,
            verify=verify,
            timeout=_TIMEOUT,
            limits=httpx.Limits(max_connections=1, max_keepalive_connections=1),
            follow_redirects=False,
            trust_env=False,
            headers={
                "Authorization": f"Bearer {token}",
                "Accept": f"{MEDIA_TYPE}, application/json;q=0.9",
                "User-Agent": f"syncd/{__version__}",
            },
        )
        # One connection each, as many as there ever are requests at a time: httpx's own pool looks at all its
        # connections for every request, and that costs more than the request where there are many.
        self._clients: list[httpx.AsyncClient] = []
        self._idle: list[httpx.AsyncClient] = []

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        for client in self._clients:
            await client.aclose()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json = None,
        repeatable: bool | None = None,
        if_match: str = "",
    ) -> Answer:
        """Send one request and return a successful (2xx) answer.

        `repeatable`: whether sending it twice does what sending it once does; None: as its method says (RFC 9110
        section 9.2.2), so POST and PATCH are not. `if_match`: the version that it is meant for.

        Raises ScimError for an answer about this resource (4xx, 5xx; status 0 when none came and the request may
        have taken effect). About the target as a whole: TargetRefused for 401 and 403, TargetUnusable for a web page,
        TargetRedirected, and TargetUnreachable when it is certain that the target never got the request.
        """
        url = self._url(path, query)
        content = None if body is None else orjson.dumps(body)
        headers = {} if content is None else {"Content-Type": MEDIA_TYPE}
        if if_match:
            headers["If-Match"] = if_match
        for _ in range(_MAX_REDIRECTS):
            status, answer_headers, data = await self._exchange(method, url, content, headers)
            if status not in (301, 302, 303, 307, 308):
                return self._answer(method, path, status, answer_headers, data)
            url = self._redirected(method, url, status, answer_headers.get("Location", ""))
        raise TargetRedirected(self.name, f"{url.host} redirects in circles", hint="check base_url")

    def _url(self, path: str, query: Mapping[str, str] | None) -> httpx.URL:
        """Put an address together; a blank is `%20`, which everybody reads, not `+`, which many take as it is."""
        try:
            url = self._base.join(path)
            return url.copy_with(query=urlencode(query, quote_via=quote).encode()) if query else url
        except httpx.InvalidURL:
            raise ScimError(0, "not sent: the address would be longer than any server takes") from None

    async def _exchange(
        self, method: str, url: httpx.URL, content: bytes | None, headers: Mapping[str, str]
    ) -> tuple[int, httpx.Headers, bytes]:
        self.requests += 1
        if not self._idle:
            self._clients.append(self._new_client())
            self._idle.append(self._clients[-1])
        client = self._idle.pop()
        try:
            async with client.stream(method, url, content=content, headers=headers) as response:
                data = bytearray()
                async for chunk in response.aiter_bytes():
                    data += chunk
                    if len(data) > MAX_ANSWER_BYTES:
                        raise ScimError(0, f"an answer of more than {MAX_ANSWER_BYTES >> 20} MiB was cut off")
                return response.status_code, response.headers, bytes(data)
        except (httpx.ConnectError, httpx.ConnectTimeout) as error:
            raise TargetUnreachable(
                self.name, f"{url.host} can't be reached: {self._told(_reason(error))}", hint=_connect_hint(error)
            ) from None
        except httpx.UnsupportedProtocol:
            raise TargetUnreachable(self.name, f"{url} is no http(s) address", hint="check base_url") from None
        except (httpx.HTTPError, httpx.InvalidURL) as error:
            raise ScimError(0, f"no complete answer: {self._told(_reason(error))}") from None
        finally:
            self._idle.append(client)

    def _answer(self, method: str, path: str, status: int, headers: httpx.Headers, data: bytes) -> Answer:
        try:
            body: Any = orjson.loads(data) if data.strip() else None
            readable = True
        except orjson.JSONDecodeError:
            body, readable = None, False
        if 200 <= status < 300:
            if not readable and "html" in headers.get("Content-Type", ""):
                raise TargetUnusable(
                    self.name,
                    f"{self._base.host} answers with an HTML page, not with SCIM",
                    hint="check base_url, and whether a proxy or a sign-in page stands in between",
                )
            if not readable:
                raise ScimError(0, f"{method} {path} was answered {status} with something that is no JSON")
            return Answer(status, body, headers.get("Location", ""))
        detail = self._told(str(field(body, "detail") or "") or _plain(data, headers))
        if status in (401, 403):
            raise TargetRefused(
                self.name,
                f"refuses the token ({status}{f': {detail}' if detail else ''})",
                hint="see whether the token has expired or lacks rights, and make a new one",
                status=status,
            )
        raise ScimError(status, detail, self._told(str(field(body, "scimType") or "")))

    def _told(self, text: str) -> str:
        """Return what an endpoint said, fit to be passed on: not endless, and without the token if it repeats that."""
        return text.replace(self._token, "(the token)")[:_MAX_DETAIL_CHARACTERS]

    def _redirected(self, method: str, url: httpx.URL, status: int, location: str) -> httpx.URL:
        hint = "put the final address into base_url"
        there = httpx.URL(urljoin(str(url), location))  # one that is no address didn't come through httpx
        if (there.scheme, there.host, there.port) != (url.scheme, url.host, url.port):
            origin = self._told(f"{there.scheme}://{there.host}{f':{there.port}' if there.port else ''}")
            problem = f"{url.host} redirects to {origin}; the token must not go there"
            raise TargetRedirected(self.name, problem, hint=hint)
        if method != "GET" and status in (301, 302, 303):
            # Clients of these three turn the request into a GET (RFC 9110 section 15.4): it would be lost.
            problem = f"{url.host} answers {method} with a redirect ({status})"
            raise TargetRedirected(self.name, problem, hint=hint)
        return there


def _plain(data: bytes, headers: httpx.Headers) -> str:
    """Return an answer that is no SCIM error as text, or say what it is."""
    if "html" in headers.get("Content-Type", ""):
        return "an HTML page instead of a SCIM error"
    return data.decode(errors="replace").strip()


def _reason(error: Exception) -> str:
    return str(error) or type(error).__name__


def _connect_hint(error: Exception) -> str:
    if "CERTIFICATE_VERIFY_FAILED" in str(error):
        return "its certificate is not trusted: name its CA with `ca_file` in the [[target]]"
    return "check base_url, the network and any firewall"
