"""The carriers of requests under httpx's transport API: HTTP/2 where it is offered, else HTTP/1.1 by aiohttp.

httpx's own carrier of HTTP/1.1 costs five times as much CPU per request, and looks at all its connections for each.
aiohttp speaks HTTP/1.1 alone. So the first request over TLS negotiates the protocol, and decides.

TLS is verified, no proxy but a configured one is used, no cookie is kept, no redirect followed here.
"""

from __future__ import annotations

import asyncio
import ssl
from base64 import b64encode
from collections.abc import AsyncIterator, Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx
from aiohttp import ClientError, ClientResponse, ClientSession, ClientTimeout, DummyCookieJar, TCPConnector
from aiohttp.client_exceptions import (
    ClientConnectorError,
    ClientHttpProxyError,
    ClientProxyConnectionError,
    ConnectionTimeoutError,
)
from yarl import URL

from syncd.errors import TargetUnreachable
from syncd.scim.causes import cause_of

MAX_ANSWER_BYTES: Final = 64 * 1024 * 1024
_CONNECT_SECONDS: Final = 10.0


@dataclass(frozen=True, slots=True)
class Raw:
    """An answer as it came: status, headers, and the decoded body."""

    status: int
    headers: httpx.Headers
    data: bytes


class Broken(Exception):
    """No complete answer came; the request may have taken effect."""


class TooLarge(Exception):
    """An answer larger than anybody should send."""


class NotSent(Exception):
    """No connection could be made: the request can't have taken effect."""


class Unsendable(Exception):
    """The address is invalid."""


class Http1(httpx.AsyncBaseTransport):
    """HTTP/1.1 by aiohttp. Raises aiohttp's own exceptions, which identify requests that were never sent."""

    def __init__(self, tls: ssl.SSLContext, timeout: ClientTimeout, proxy: str, proxy_auth: tuple[str, str] | None):
        connector = TCPConnector(limit=0, ssl=tls)
        self._session = ClientSession(
            connector=connector, cookie_jar=DummyCookieJar(), trust_env=False, timeout=timeout, auto_decompress=False
        )
        self._proxy = proxy or None
        # RFC 7617 section 2.1; in UTF-8, as httpx has it.
        basic = b64encode(":".join(proxy_auth).encode()).decode() if proxy_auth else ""
        self._proxy_headers = {"Proxy-Authorization": f"Basic {basic}"} if basic else None

    async def handle_async_request(self, request: httpx.Request) -> httpx.Response:
        headers = request.headers.multi_items()
        if request.url.scheme == "http" and self._proxy_headers:
            headers += self._proxy_headers.items()  # there is no tunnel: the proxy gets the request itself
        response = await self._session.request(
            request.method,
            # Without normalization: an id in the path must not be read as anything else.
            URL(str(request.url), encoded=True),
            headers=headers,
            data=request.content or None,
            allow_redirects=False,
            proxy=self._proxy,
            proxy_headers=self._proxy_headers,
        )
        return httpx.Response(response.status, headers=response.raw_headers, stream=_Stream(response), request=request)

    async def aclose(self) -> None:
        await self._session.close()


class _Stream(httpx.AsyncByteStream):
    def __init__(self, response: ClientResponse) -> None:
        self._response = response

    async def __aiter__(self) -> AsyncIterator[bytes]:
        async for chunk in self._response.content.iter_any():
            yield chunk

    async def aclose(self) -> None:
        self._response.release()


class Wire:
    """Sends single requests. `deadline`: seconds that one may take from beginning to end."""

    def __init__(
        self,
        name: str,
        *,
        ca_file: Path | None = None,
        proxy: str = "",
        proxy_auth: tuple[str, str] | None = None,
        http2: bool = True,
        deadline: float = 60.0,
    ) -> None:
        """Raises TargetUnreachable when `ca_file` can't be used."""
        self._tls: ssl.SSLContext | None = None
        if ca_file is not None:  # read now, so that a faulty file is reported before anything is sent
            try:
                self._tls = ssl.create_default_context(cafile=ca_file)
            except OSError as error:  # ssl.SSLError is one
                hint = "`ca_file` is to be a file of certificates in PEM form"
                raise TargetUnreachable(name, f"{ca_file}: {error.strerror or error}", hint=hint) from None
        self._proxy, self._proxy_auth = proxy, proxy_auth
        self._http2 = http2
        self._deadline = deadline
        # Half at most: at the deadline itself it would be unclear whether anything was sent.
        self._connect = min(_CONNECT_SECONDS, deadline / 2)
        self._carrier: httpx.AsyncBaseTransport | None = None
        self._deciding = asyncio.Lock()

    async def close(self) -> None:
        """Close all connections."""
        if self._carrier is not None:
            await self._carrier.aclose()
            self._carrier = None

    async def exchange(self, method: str, url: str, content: bytes | None, headers: Mapping[str, str]) -> Raw:
        """Send one request and read its answer whole. Raises NotSent, Broken, TooLarge or Unsendable."""
        extensions = {
            "timeout": {"connect": self._connect, "read": self._deadline, "write": self._deadline, "pool": None}
        }
        try:
            request = httpx.Request(method, url, headers=headers, content=content, extensions=extensions)
            async with asyncio.timeout(self._deadline):
                if self._carrier is None:
                    async with self._deciding:
                        if (raw := await self._first(request)) is not None:
                            return raw
                assert self._carrier is not None
                return await _read(await self._carrier.handle_async_request(request))
        except (httpx.InvalidURL, httpx.UnsupportedProtocol) as error:
            raise Unsendable(cause_of(error)) from None
        except (httpx.HTTPError, ClientError, TimeoutError) as error:
            # First: aiohttp's time-out of connecting is a TimeoutError too.
            if _was_never_connected(error):
                at_proxy = self._proxy and isinstance(error, (ClientProxyConnectionError, httpx.ConnectError))
                raise NotSent(("the proxy is not reached: " if at_proxy else "") + cause_of(error)) from None
            late = isinstance(error, TimeoutError)
            raise Broken(f"no complete answer within {self._deadline:g} s" if late else cause_of(error)) from None

    async def _first(self, request: httpx.Request) -> Raw | None:
        """Choose the carrier of all requests: by negotiating with this request, unless there is no choice.

        Returns the request's answer, None where it is still to be sent. All other requests wait for the choice alone.
        """
        if self._carrier is not None:  # chosen while this request waited
            return None
        if not self._http2 or request.url.scheme != "https":
            self._carrier = self._http1(request.url.scheme)
            return None
        proxy = httpx.Proxy(self._proxy, auth=self._proxy_auth) if self._proxy else None
        negotiating = httpx.AsyncHTTPTransport(verify=self._authorities(), http2=True, proxy=proxy, trust_env=False)
        try:
            response = await negotiating.handle_async_request(request)
            raw = await _read(response)
        except BaseException:
            await negotiating.aclose()
            raise
        if response.extensions.get("http_version") == b"HTTP/2":
            self._carrier = negotiating
        else:
            await negotiating.aclose()
            self._carrier = self._http1(request.url.scheme)
        return raw

    def _http1(self, scheme: str) -> httpx.AsyncBaseTransport:
        timeout = ClientTimeout(total=None, sock_connect=self._connect, sock_read=self._deadline)
        encrypted = scheme == "https" or URL(self._proxy).scheme == "https"
        # A context without authorities accepts no server: it only fills the place where nothing is encrypted.
        tls = self._authorities() if encrypted else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        return Http1(tls, timeout, self._proxy, self._proxy_auth)

    def _authorities(self) -> ssl.SSLContext:
        """Return the context that verifies servers: by `ca_file`, or by the system's authorities, loaded at first use.

        The authorities are read anew for each Wire, so that renewed ones count from the next run on.
        """
        if self._tls is None:
            self._tls = ssl.create_default_context()
        return self._tls


async def _read(response: httpx.Response) -> Raw:
    """Read an answer to its end. Raises TooLarge."""
    try:
        data = bytearray()
        async for chunk in response.aiter_bytes():
            data += chunk
            if len(data) > MAX_ANSWER_BYTES:
                raise TooLarge(f"an answer of more than {MAX_ANSWER_BYTES >> 20} MiB was cut off")
        return Raw(response.status_code, response.headers, bytes(data))
    finally:
        await response.aclose()


def _was_never_connected(error: Exception) -> bool:
    never = (ClientConnectorError, ClientHttpProxyError, ConnectionTimeoutError)
    return isinstance(error, (*never, httpx.ConnectError, httpx.ConnectTimeout, httpx.ProxyError))


__all__ = ["MAX_ANSWER_BYTES", "Broken", "NotSent", "Raw", "TooLarge", "Unsendable", "Wire"]
