"""Posts notices to a webhook: JSON whose `text` is what Slack shows. The address is a secret and is never repeated.

TLS is verified. No redirect is followed: a report must not go to an address that nobody configured. No proxy is used
but a configured one. Of an answer only the beginning is read.
"""

from __future__ import annotations

import asyncio
import logging
import re
import ssl
from collections.abc import Callable
from pathlib import Path
from typing import Final

import httpx
import orjson

from syncd.notify.channel import Undelivered, tls_problem, trusting
from syncd.notify.notice import Notice, webhook_body

_SECONDS: Final = 10.0
"""The longest time for connecting, and the longest silence …"""
_DEADLINE: Final = 30.0
"""… and the longest time for everything together."""
_ANSWER_BYTES: Final = 4096
_WORDS: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")
"""The form of Slack's reasons: `channel_is_archived`. Other answers may repeat the address, a secret."""

# These loggers write the address of every request, and the address is a secret.
for _name in ("httpx", "httpcore"):
    logging.getLogger(_name).setLevel(logging.WARNING)


class Webhook:
    """A webhook. `url` and `proxy_auth` are called for each notice; their ValueError repeats no secret."""

    name = "webhook"

    def __init__(
        self,
        url: Callable[[], str],
        *,
        ca_file: Path | None = None,
        proxy: str = "",
        proxy_auth: Callable[[], tuple[str, str] | None] = lambda: None,
        silence: float = _SECONDS,
        deadline: float = _DEADLINE,
    ) -> None:
        self._url = url
        self._ca_file = ca_file
        self._proxy = proxy
        self._proxy_auth = proxy_auth
        self._silence = silence
        self._deadline = deadline

    async def send(self, notice: Notice) -> None:
        """Post one notice. Raises Undelivered."""
        try:
            url, login = self._url(), self._proxy_auth()
        except ValueError as error:
            raise Undelivered(str(error)) from None
        try:
            async with asyncio.timeout(self._deadline):
                await self._post(url, login, orjson.dumps(webhook_body(notice)), notice.id)
        except (TimeoutError, httpx.TimeoutException):
            raise Undelivered("no answer in time") from None
        except (httpx.HTTPError, httpx.InvalidURL, httpx.CookieConflict, OSError) as error:
            raise Undelivered(_said(error)) from None

    async def _post(self, url: str, login: tuple[str, str] | None, body: bytes, id_: str) -> None:
        encrypted = httpx.URL(self._proxy).scheme == "https"
        # The system's authorities take a while to load. A context without any accepts no server at all.
        verified = encrypted or self._ca_file is not None or httpx.URL(url).scheme == "https"
        tls = trusting(self._ca_file) if verified else ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT)
        proxy = httpx.Proxy(self._proxy, auth=login, ssl_context=tls if encrypted else None) if self._proxy else None
        headers = {"Content-Type": "application/json", "User-Agent": "syncd", "Idempotency-Key": id_}
        async with (
            httpx.AsyncClient(
                verify=tls, timeout=self._silence, follow_redirects=False, trust_env=False, proxy=proxy
            ) as client,
            client.stream("POST", url, content=body, headers=headers) as response,
        ):
            if response.is_success:
                return
            if response.has_redirect_location:
                raise Undelivered(
                    f"it redirects ({response.status_code}), which is not followed: configure the address itself"
                )
            start = b""
            async for chunk in response.aiter_raw(_ANSWER_BYTES):
                start += chunk
                if len(start) >= _ANSWER_BYTES:
                    break
        word = start.decode("ascii", "replace").strip()
        reason = f": {word}" if _WORDS.fullmatch(word) and len(word) <= 60 and word not in url else ""
        raise Undelivered(
            f"it answers {response.status_code}{reason}", retry_after=_retry_after(response.headers.get("Retry-After"))
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
