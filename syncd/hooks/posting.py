"""Posts JSON to a receiver whose address is a secret, and is never repeated.

TLS is verified. No redirect is followed: what is posted must not go to an address that nobody configured. No proxy is
used but a configured one. Of an answer only the beginning is read.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path
from typing import Final

import httpx

from syncd.hooks.tls import Untrusted, tls_problem, trusting

_ANSWER_BYTES: Final = 4096

# These loggers write the address of every request, and the address is a secret.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class NotPosted(Exception):
    """The receiver did not accept what was posted, or its acceptance is unknown. `str()` is the reason, in syncd's own
    words.

    `status`: the receiver's HTTP status, 0 without an answer. `retry_after`: seconds for which the receiver asks to be
    left alone. `start`: the beginning of its answer, which may repeat the address.
    """

    def __init__(self, problem: str, *, status: int = 0, retry_after: float = 0.0, start: str = "") -> None:
        super().__init__(problem)
        self.status = status
        self.retry_after = retry_after
        self.start = start


@dataclass(frozen=True, slots=True)
class Receiver:
    """Where to post, and how it is reached."""

    url: str
    ca_file: Path | None = None
    proxy: str = ""
    login: tuple[str, str] | None = None
    """The proxy's user and password."""


async def post(receiver: Receiver, body: bytes, headers: Mapping[str, str], *, silence: float, deadline: float) -> None:
    """Post once; any 2xx is acceptance. Raises NotPosted.

    `silence`: the longest time in seconds for connecting, and between two signs of life. `deadline`: for everything.
    """
    try:
        async with asyncio.timeout(deadline):
            await _post(receiver, body, headers, silence)
    except (TimeoutError, httpx.TimeoutException):
        raise NotPosted("no answer in time") from None
    except Untrusted as error:
        raise NotPosted(str(error)) from None
    except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, OSError) as error:
        raise NotPosted(_said(error)) from None


async def _post(receiver: Receiver, body: bytes, headers: Mapping[str, str], silence: float) -> None:
    encrypted = httpx.URL(receiver.proxy).scheme == "https"
    # The system's authorities take a while to load. A context without any accepts no server at all.
    verified = encrypted or receiver.ca_file is not None or httpx.URL(receiver.url).scheme == "https"
    tls = trusting(receiver.ca_file) if verified else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
    proxy = None
    if receiver.proxy:
        proxy = httpx.Proxy(receiver.proxy, auth=receiver.login, ssl_context=tls if encrypted else None)
    sent = {"Content-Type": "application/json", "User-Agent": "syncd", **headers}
    async with (
        httpx.AsyncClient(verify=tls, timeout=silence, follow_redirects=False, trust_env=False, proxy=proxy) as client,
        client.stream("POST", receiver.url, content=body, headers=sent) as response,
    ):
        if response.is_success:
            return
        status = response.status_code
        if response.has_redirect_location:
            problem = f"it redirects ({status}), which is not followed: configure the address itself"
            raise NotPosted(problem, status=status)
        start = b""
        async for chunk in response.aiter_raw(_ANSWER_BYTES):
            start += chunk
            if len(start) >= _ANSWER_BYTES:
                break
    raise NotPosted(
        f"it answers {status}",
        status=status,
        retry_after=_retry_after(response.headers.get("Retry-After")),
        start=start[:_ANSWER_BYTES].decode("utf-8", "replace"),
    )


def _retry_after(value: str | None) -> float:
    return float(value) if value and re.fullmatch(r"[0-9]{1,6}", value) else 0.0


def _said(error: Exception) -> str:
    """Return the failure in syncd's own words: the messages of the libraries may hold the address."""
    cause: BaseException | None = error
    while cause is not None:
        if isinstance(cause, ssl.SSLError):
            return tls_problem(cause)
        if isinstance(cause, OSError) and cause.strerror:
            return f"it can't be reached: {cause.strerror}"
        cause = cause.__cause__ or cause.__context__
    if isinstance(error, httpx.ProxyError):
        status = re.match(r"\d{3}\b", str(error))
        return f"the proxy answers {status[0]}" if status else "the proxy does not let it through"
    if isinstance(error, httpx.ConnectError):
        return "it can't be reached"
    if isinstance(error, httpx.InvalidURL | httpx.UnsupportedProtocol):
        return "its address is not one that can be used"
    return "the connection was broken off before it had answered"


__all__ = ["NotPosted", "Receiver", "post"]
