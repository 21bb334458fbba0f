"""All resources of one kind, page by page, with every doubt that real endpoints earn (RFC 7644 section 3.4.2.4).

Pages may lack rows or repeat them; `startIndex` may be ignored and `count` refused; totals may be wrong, change or
come as text. What was listed is told from what may have been missed: nobody is absent from an incomplete list.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from syncd.core.model import Json
from syncd.errors import ScimError
from syncd.scim.resources import field
from syncd.scim.transport import Transport

_MOST_PAGES: Final = 100_000
_COUNT_REFUSED: Final = (400, 500, 501)
"""How endpoints answer a `count` that they don't take."""
_CURSOR_LOST: Final = ("invalidcursor", "expiredcursor", "invalidcount")
"""RFC 9865 section 2.3."""


class Listing:
    """One reading of /Users or /Groups. Go through `pages()` to the end; then `doubt` says what to think of it."""

    def __init__(self, transport: Transport, endpoint: str, page_size: int) -> None:
        self._transport = transport
        self._endpoint = endpoint
        self._page_size = page_size
        self._counted = True
        self._ids: set[str] = set()
        self._total: int | None = None
        self.doubt = ""
        """Why it may lack some, "" where it is complete."""

    async def pages(self) -> AsyncIterator[list[dict[str, Json]]]:
        """Yield the resources, each id once. Raises ScimError or TargetError: then nothing may be inferred."""
        start, cursor = 1, ""
        for _ in range(_MOST_PAGES):
            try:
                body = await self._page(start, cursor)
            except ScimError as error:
                if cursor and error.scim_type.casefold() in _CURSOR_LOST:
                    self.doubt = f"the endpoint lost its place in the list after {len(self._ids)}"
                    return
                raise
            listed = field(body, "Resources") or []
            fresh = self._fresh(listed if isinstance(listed, list) else [])
            yield fresh
            following = field(body, "nextCursor")
            if isinstance(following, str) and following and following != cursor:
                cursor = following
                continue
            if cursor or self._is_whole() or not fresh:
                self._judge(repeated=bool(listed) and not fresh)
                return
            start += len(listed)
        self.doubt = f"the list has no end: {len(self._ids)} were read"

    async def _page(self, start: int, cursor: str) -> Json:
        query = {"cursor": cursor} if cursor else {"startIndex": str(start)}
        if self._counted:
            try:
                return await self._ask(query | {"count": str(self._page_size)})
            except ScimError as error:
                if self._ids or error.status not in _COUNT_REFUSED:
                    raise
                self._counted = False
        return await self._ask(query)

    async def _ask(self, query: dict[str, str]) -> Json:
        answer = await self._transport.send("GET", self._endpoint, query=query)
        if not isinstance(answer.body, dict):
            raise ScimError(answer.status, "the answer is no list of SCIM resources")
        total = field(answer.body, "totalResults")
        if total is None and field(answer.body, "Resources") is None and field(answer.body, "nextCursor") is None:
            raise ScimError(answer.status, "the answer is no list of SCIM resources")
        if isinstance(total, int | str) and not isinstance(total, bool) and str(total).isdecimal():
            self._total = int(total)
        return answer.body

    def _fresh(self, listed: list[Json]) -> list[dict[str, Json]]:
        """Return the resources that were not listed before."""
        fresh = []
        for body in listed:
            id_ = field(body, "id")
            if not isinstance(id_, str | int) or isinstance(id_, bool) or id_ == "":
                self.doubt = "the endpoint lists a resource without an id"
            elif str(id_) not in self._ids:
                self._ids.add(str(id_))
                fresh.append(body)
        return fresh

    def _is_whole(self) -> bool:
        return self._total is not None and len(self._ids) >= self._total

    def _judge(self, *, repeated: bool) -> None:
        """Say what is missing. Without a total, only a page that came again shows that `startIndex` is ignored."""
        count = len(self._ids)
        if self._total is not None and count < self._total:
            self.doubt = f"the endpoint lists {count} of {self._total}"
        elif self._total is None and repeated:
            self.doubt = f"the endpoint gives the same {count} again and again, and no total"


__all__ = ["Listing"]
