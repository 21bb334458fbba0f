"""A hook that is a webhook: the facts are posted as JSON, and any 2xx is success.

#  the answer                                  -> the failure
#  none: no connection, broken off, no time       may pass
#  408, 425, 429, 5xx                             may pass; Retry-After is told
#  any other, a redirect too                      is the same next time
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final
from urllib.parse import unquote, urlsplit

import orjson

from syncd.errors import ConfigurationError
from syncd.hooks.hook import Call, HookFailed
from syncd.hooks.words import message_of

_PASSING: Final = (0, 408, 425, 429)
_SERVER_ERROR: Final = 500
_PART: Final = 4
"""A shorter part of an address may stand in any text."""


class Webhook:
    """A webhook. `url`, `token` and `proxy_auth` read a secret at each call; their
    ConfigurationError repeats none of it."""

    def __init__(
        self,
        url: Callable[[], str],
        *,
        token: Callable[[], str] | None = None,
        ca_file: Path | None = None,
        proxy: str = "",
        proxy_auth: Callable[[], tuple[str, str] | None] = lambda: None,
        timeout: float = 60.0,
    ) -> None:
        self._url = url
        self._token = token
        self._ca_file = ca_file
        self._proxy = proxy
        self._proxy_auth = proxy_auth
        self._timeout = timeout

    @property
    def words(self) -> str:
        """Scheme and host alone: path, query and credentials may be secret."""
        try:
            parts = urlsplit(self._url())
            port = f":{parts.port}" if parts.port else ""
        except ConfigurationError:
            return "POST to the webhook"
        return f"POST {parts.scheme}://{parts.hostname}{port}/…"

    async def call(self, call: Call) -> None:
        """Post once. Raises HookFailed."""
        # httpx takes a while to import, and most runs delete nobody.
        from syncd.hooks.posting import NotPosted, Receiver, post

        headers = {"Idempotency-Key": call.id}
        try:
            receiver = Receiver(self._url(), self._ca_file, self._proxy, self._proxy_auth())
            if self._token is not None:
                headers["Authorization"] = f"Bearer {self._token()}"
        except ConfigurationError as error:
            raise HookFailed("; ".join(map(str, error.faults))) from None
        body = orjson.dumps(call.facts)
        try:
            await post(receiver, body, headers, silence=self._timeout, deadline=self._timeout)
        except NotPosted as error:
            said = message_of(error.start)
            reason = f": {said}" if said and not _repeats(said, receiver.url) else ""
            passing = error.status in _PASSING or error.status >= _SERVER_ERROR
            raise HookFailed(f"the webhook: {error}{reason}", passing=passing, retry_after=error.retry_after) from None


def _repeats(text: str, url: str) -> bool:
    """Return whether a text repeats a part of an address that may be secret."""
    parts = urlsplit(url)
    secret = re.split(r"[/?&=#;:@]", f"{parts.path}?{parts.query}#{parts.fragment}@{parts.username}:{parts.password}")
    return any(len(part) >= _PART and (part in text or unquote(part) in text) for part in secret if part != "None")


__all__ = ["Webhook"]
