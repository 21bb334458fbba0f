"""Posts notices to a webhook: JSON whose `text` is what Slack shows. The address is a secret and is never repeated.

How it is posted (TLS, proxy, redirects, the time it may take) is `hooks/posting.py`.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from pathlib import Path
from typing import Final

import orjson

from syncd.hooks.posting import NotPosted, Receiver, post
from syncd.notify.channel import Undelivered
from syncd.notify.notice import Notice, webhook_body

_SECONDS: Final = 10.0
"""The longest time for connecting, and the longest silence …"""
_DEADLINE: Final = 30.0
"""… and the longest time for everything together."""
_WORDS: Final = re.compile(r"[a-z]+(?:_[a-z]+)+")
"""The form of Slack's reasons: `channel_is_archived`. Other answers may repeat the address, a secret."""


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
            receiver = Receiver(self._url(), self._ca_file, self._proxy, self._proxy_auth())
        except ValueError as error:
            raise Undelivered(str(error)) from None
        body, headers = orjson.dumps(webhook_body(notice)), {"Idempotency-Key": notice.id}
        try:
            await post(receiver, body, headers, silence=self._silence, deadline=self._deadline)
        except NotPosted as error:
            reason = _word(error.start, receiver.url)
            raise Undelivered(f"{error}{reason}", retry_after=error.retry_after) from None


def _word(start: str, url: str) -> str:
    word = start.strip()
    return f": {word}" if _WORDS.fullmatch(word) and len(word) <= 60 and word not in url else ""
