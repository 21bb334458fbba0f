"""All resources of one kind, page by page, verified against the errors of endpoints (RFC 7644 section 3.4.2.4).

Pages may lack rows or repeat them; `startIndex` may be ignored and `count` refused; totals may be wrong, change or
come as text. The listing reports a doubt where rows may be missing: an incomplete list proves no absence.
"""

from __future__ import annotations

from collections.abc import AsyncIterator, Mapping
from typing import Final

from syncd.core.model import Json
from syncd.errors import ScimError
from syncd.scim.profiles import Profile
from syncd.scim.resources import field
from syncd.scim.transport import Transport

_MOST_RESOURCES: Final = 2_000_000
_MOST_EMPTY_PAGES: Final = 100
"""Number of empty pages in a row, each with another cursor, after which the list counts as endless."""
_REFUSED: Final = (400, 500, 501)
"""Statuses of endpoints that refuse `count` or `startIndex`."""
_CURSOR_LOST: Final = ("invalidcursor", "expiredcursor", "invalidcount")
"""RFC 9865 section 2.3."""
_DIGITS: Final = 18


class Listing:
    """One reading of /Users or /Groups. After `pages()` has ended, `doubt` says whether the list is complete."""

    def __init__(
        self, transport: Transport, endpoint: str, profile: Profile, query: Mapping[str, str] | None = None
    ) -> None:
        """`query`: further parameters of every page's request, such as a filter."""
        self._transport = transport
        self._endpoint = endpoint
        self._noun = endpoint.casefold()
        self._page_size = profile.page_size
        self._paging = profile.paging
        self._query = dict(query or {})
        self._parameters: tuple[str, ...] = ("startIndex", "count")
        self._ids: set[str] = set()
        self._total: int | None = None
        self.doubt = ""
        """Why the list may be incomplete, as a clause; "" where it is complete."""

    async def pages(self) -> AsyncIterator[list[dict[str, Json]]]:
        """Yield the resources, each id once. Raises ScimError or TargetError: then nothing may be inferred."""
        start, cursor, empty = 1, "", 0
        followed: set[str] = set()
        while len(self._ids) <= _MOST_RESOURCES and empty <= _MOST_EMPTY_PAGES:
            try:
                listed, following = await self._page(start, cursor)
                following = "" if self._paging in ("index", "single") else following
            except ScimError as error:
                if cursor and error.scim_type.casefold() in _CURSOR_LOST:
                    self.doubt = f"the endpoint lost its place in the list of {self._noun} after {len(self._ids):,}"
                elif cursor or self._total is None or len(self._ids) < self._total:
                    raise
                return  # the announced total has come; this request only asked for more
            fresh = self._fresh(listed)
            if fresh:
                yield fresh
            again = bool(listed) and not fresh
            if following and following not in followed and not again:
                followed.add(following)
                cursor, empty = following, 0 if listed else empty + 1
                continue
            single = self._paging in ("single", "cursor")
            if single or following or cursor or not fresh or self._is_whole(len(listed)):
                self._judge(again=again or bool(following))
                if single or self._paging or not again or following or cursor or not (doubt := self.doubt):
                    return
                listed, cursor = await self._first_by_cursor()
                self.doubt = "" if cursor else doubt
                if not cursor:
                    return
                yield self._fresh(listed)
                continue
            start += len(listed)
        self.doubt = f"the list has no end: {len(self._ids):,} {self._noun} were read"

    async def _first_by_cursor(self) -> tuple[list[Json], str]:
        """Return the first page once more, with a cursor if the endpoint has any: some ignore `startIndex`, and give
        cursors only to those who ask with an empty one (RFC 9865; AWS)."""
        try:
            return await self._ask({"cursor": "", "count": str(self._page_size)})
        except ScimError:
            return [], ""

    async def _page(self, start: int, cursor: str) -> tuple[list[Json], str]:
        """Return a page and the cursor of the next one; the first one is asked for again without refused parameters."""
        if self._paging == "cursor" and not cursor:
            return await self._ask({"cursor": "", "count": str(self._page_size)})
        values = {"startIndex": str(start), "count": str(self._page_size)}
        while True:
            query = {name: values[name] for name in self._parameters if not (cursor and name == "startIndex")}
            try:
                return await self._ask({"cursor": cursor, **query} if cursor else query)
            except ScimError as error:
                if start > 1 or cursor or not self._parameters or error.status not in _REFUSED:
                    raise
                self._parameters = self._parameters[:-1]

    async def _ask(self, query: dict[str, str]) -> tuple[list[Json], str]:
        answer = await self._transport.send("GET", self._endpoint, query={**self._query, **query})
        listed, total, following = (field(answer.body, name) for name in ("Resources", "totalResults", "nextCursor"))
        if not isinstance(listed, list | None) or (listed is None and total is None and following is None):
            raise ScimError(answer.status, "the answer is no list of SCIM resources")
        before, now = self._total, _number(total)
        if now is not None:  # a page by cursor need not have a total (RFC 9865)
            self._total = now
        if before is not None and before != self._total:
            self.doubt = f"the endpoint's number of {self._noun} changed from {before:,} while they were read"
        return listed or [], following if isinstance(following, str) else ""

    def _fresh(self, listed: list[Json]) -> list[dict[str, Json]]:
        """Return the resources that were not listed before."""
        fresh = []
        for body in listed:
            id_ = field(body, "id")
            if not isinstance(id_, str | int) or isinstance(id_, bool) or id_ == "":
                self.doubt = f"the endpoint lists {self._noun} without an id"
            elif str(id_) not in self._ids:
                self._ids.add(str(id_))
                fresh.append(body)
        return fresh

    def _is_whole(self, listed: int) -> bool:
        """Return whether the announced total has come.

        False after a page that is exactly full: many endpoints announce the page's own number there.
        """
        full = "count" in self._parameters and listed == self._page_size
        return not full and self._total == len(self._ids)

    def _judge(self, *, again: bool) -> None:
        """Return the doubt about missing rows; without usable totals, repeated rows show that paging doesn't work."""
        count = len(self._ids)
        if self._total is not None and count < self._total:
            self.doubt = f"the endpoint lists {count:,} of {self._total:,} {self._noun}"
        elif again and self._total != count:
            self.doubt = f"the endpoint gives the same {count:,} {self._noun} again and again"


def _number(total: Json) -> int | None:
    """Return a total, which some endpoints give as text; None for anything else."""
    text = str(total)
    return int(text) if isinstance(total, int | str) and text.isdecimal() and len(text) <= _DIGITS else None


__all__ = ["Listing"]
