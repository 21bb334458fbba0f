"""Searches over one bound connection to one server, to the end of the reading.

Owns the completeness of a reading: an answer counts as complete only with proof (result code 0 and, on each
page, the paged-results control), and any other event ends the session. No server takes over from another.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from time import monotonic
from typing import Any, Final, TypeVar

from ldap3 import BASE, DEREF_NEVER, SUBTREE
from ldap3.core.exceptions import LDAPException

from syncd.errors import SourceIncomplete
from syncd.sources.ldap import answers
from syncd.sources.ldap.ber import RawAttributes
from syncd.sources.ldap.connection import Broken, DeadlinePassed, DirectConnection, RawEntry
from syncd.sources.ldap.options import LdapOptions

T = TypeVar("T")

PAGED_RESULTS: Final = "1.2.840.113556.1.4.319"
"""RFC 2696."""
NO_ATTRIBUTES: Final = "1.1"
_RANGE: Final = re.compile(rb"(?P<name>[^;]+(?:;(?!range=)[^;]+)*);range=(?P<low>\d+)-(?P<high>\d+|\*)")


@dataclass(frozen=True, slots=True)
class Query:
    """One search below a base."""

    task: str
    """For messages: `reading users`."""
    base: str
    filter: str
    attributes: tuple[str, ...]


class Session:
    """A connection that is bound and can be searched; `url` is the server that answered."""

    def __init__(self, url: str, connection: DirectConnection, options: LdapOptions, started: float) -> None:
        self.url = url
        self._connection = connection
        self._receiver = connection.receiver
        self._receiver.timeout = options.receive_timeout.total_seconds()
        self._page_size = options.page_size
        self._started = started
        self._closed = ""

    @property
    def references(self) -> int:
        """Number of references to other servers for a part of the tree; none of them is followed."""
        return self._receiver.references

    @property
    def seconds(self) -> float:
        """Time since the connection was begun."""
        return monotonic() - self._started

    @property
    def socket(self) -> Any:
        return self._connection.socket

    def close(self, why: str = "the reading was closed") -> None:
        """End the session and let go of the connection; never fails."""
        if not self._closed and self._connection.socket is not None:
            with suppress(Exception):
                self._connection.socket.settimeout(1)
                self._connection.unbind()
        self._closed = self._closed or why
        with suppress(Exception):
            self._connection.strategy.close()

    # -- searching -------------------------------------------------------------------------------

    def pages(self, query: Query, convert: Callable[[bytes, RawAttributes], T | None]) -> Iterator[list[T]]:
        """Yield what `convert` makes of every entry below the base, page by page; None is left out.

        Entries are converted while they arrive: a page of raw groups may be larger than memory.
        Raises SourceError; SourceIncomplete for an answer that is not proven complete.
        """
        cookie, read = b"", 0
        while True:
            page, entries, result = self._search(query, convert, read, SUBTREE, cookie)
            read += entries
            if result["result"] != answers.SUCCESS:
                raise answers.search_error(self.url, query.task, result, read)
            control = result.get("controls", {}).get(PAGED_RESULTS)
            if control is None:
                raise SourceIncomplete(
                    self.url,
                    f"{query.task}: a page of {entries} entries came without the paged-results control (RFC 2696), "
                    "so nothing says whether it is the last",
                    hint="something between us and the directory may cut answers short: name the server itself",
                )
            yield page
            cookie = control["value"]["cookie"]
            if not cookie:
                return

    def found(
        self, query: Query, convert: Callable[[bytes, RawAttributes], T | None]
    ) -> tuple[list[T], answers.Result, set[bytes]]:
        """Search once without paging; return the converted entries, the result of any code, and references.

        References are the URLs of parts of the tree that other servers hold. Raises SourceIncomplete when the
        connection breaks.
        """
        converted, _, result = self._search(query, convert, 0, SUBTREE, None)
        return converted, result, self._receiver.referred

    def entry(self, query: Query) -> RawEntry | None:
        """Return the one entry at the query's base. Raises SourceError where the server refuses."""
        found, _, result = self._search(query, lambda dn, attributes: (dn, attributes), 0, BASE, None)
        if result["result"] != answers.SUCCESS:
            raise answers.search_error(self.url, query.task, result, 0)
        return found[0] if found else None

    def exists(self, query: Query) -> bool:
        """Return whether anything matches. Raises SourceError."""
        _, entries, result = self._search(query, lambda dn, attributes: dn, 0, SUBTREE, None, size_limit=1)
        if result["result"] not in (answers.SUCCESS, answers.SIZE_LIMIT):
            raise answers.search_error(self.url, query.task, result, 0)
        return entries > 0

    def whoami(self) -> str:
        """Return our identity at the server (RFC 4532), or nothing where the server can't tell."""
        with self._reported("asking who we are", 0):
            self._connection.extended("1.3.6.1.4.1.4203.1.11.3")
            result = self._connection.result
            said = result.get("responseValue") or b"" if result["result"] == answers.SUCCESS else b""
            return answers.plain(said.decode(errors="replace") if isinstance(said, bytes) else str(said))

    def _search(
        self,
        query: Query,
        convert: Callable[[bytes, RawAttributes], T | None],
        read: int,
        scope: Any,
        cookie: bytes | None,
        size_limit: int = 0,
    ) -> tuple[list[T], int, answers.Result]:
        """Do one search request; return the converted entries, their number, and the result."""
        page: list[T] = []
        entries = 0

        def take(dn: bytes, attributes: RawAttributes) -> None:
            nonlocal entries
            entries += 1
            item = convert(dn, attributes)
            if item is not None:
                page.append(item)

        self._receiver.on_entry, self._receiver.referred = take, set()
        try:
            with self._reported(query.task, lambda: read + entries):
                self._connection.search(
                    query.base,
                    query.filter,
                    scope,
                    dereference_aliases=DEREF_NEVER,
                    attributes=list(query.attributes),
                    size_limit=size_limit,
                    paged_size=None if cookie is None else self._page_size,
                    paged_criticality=True,
                    paged_cookie=cookie,
                )
                if self._connection.result["type"] != "searchResDone":
                    raise Broken("answered a search with something else")
        finally:
            self._receiver.on_entry = None
        result = self._connection.result
        ranged, self._receiver.ranged = self._receiver.ranged, []
        if result["result"] == answers.SUCCESS:
            for dn, attributes in ranged:
                self._complete(query.task, dn, attributes)
                take(dn, attributes)
        return page, entries, result

    def _complete(self, task: str, dn: bytes, attributes: RawAttributes) -> None:
        """Ask for the rest of every attribute of which only a range came, until there is none left.

        [MS-ADTS] 3.1.1.3.1.3.3: beside `member;range=0-1499` there is a `member` without values, and the
        last range ends in `*`.
        """
        whole: RawAttributes = {}
        for description in list(attributes):
            found = _RANGE.fullmatch(description)
            if found is None:
                continue
            name, values = found["name"].decode(), attributes.pop(description)
            if found["low"] != b"0":
                raise self._range_missing(task, dn, name, 0)
            while found["high"] != b"*":
                following = int(found["high"]) + 1
                found, more = self._range(task, dn, name, following)
                values += more
            whole[name.encode()] = values
        attributes.update(whole)

    def _range(self, task: str, dn: bytes, name: str, low: int) -> tuple[re.Match[bytes], list[bytes]]:
        """Return one more range, with the description that it came under."""
        query = Query(task, dn.decode(errors="replace"), "(objectClass=*)", (f"{name};range={low}-*",))
        found = self._range_entries(query)
        if len(found) == 1:
            for description, values in found[0][1].items():
                match = _RANGE.fullmatch(description)
                if (
                    match is not None
                    and match["name"].lower() == name.lower().encode()
                    and int(match["low"]) == low
                    and values
                ):
                    return match, values
        raise self._range_missing(task, dn, name, low)

    def _range_entries(self, query: Query) -> list[RawEntry]:
        with self._reported(query.task, 0):
            self._connection.search(
                query.base, query.filter, BASE, dereference_aliases=DEREF_NEVER, attributes=list(query.attributes)
            )
        found, self._receiver.ranged = self._receiver.ranged, []
        result = self._connection.result
        if result["result"] != answers.SUCCESS:
            where = answers.plain(query.base)
            raise SourceIncomplete(
                self.url,
                f"{query.task}: {query.attributes[0]} of {where} was refused: {answers.words(result)}",
                hint="the entry may just have changed: the next reading begins anew",
            )
        return found

    def _range_missing(self, task: str, dn: bytes, name: str, low: int) -> SourceIncomplete:
        where = answers.plain(dn.decode(errors="replace"))
        return SourceIncomplete(
            self.url,
            f"{task}: the values of {name} from number {low} on are missing in {where}",
            hint="the entry may just have changed: the next reading begins anew",
        )

    def _reported(self, task: str, read: int | Callable[[], int]) -> _Reported:
        if self._closed:
            raise SourceIncomplete(self.url, f"{task}: {self._closed}")
        return _Reported(self, task, read)

    def broke(self, task: str, read: int, problem: BaseException) -> SourceIncomplete:
        """End the session, and return the error for a connection that broke off in mid-reading."""
        self.close(str(problem))
        after = f" after {read} entries" if read else ""
        if isinstance(problem, DeadlinePassed):
            seconds = round(monotonic() - self._started)
            return SourceIncomplete(
                self.url,
                f"{task} was given up{after}: {seconds} seconds have passed, more than `deadline` allows",
                hint="the server is too slow, or `deadline` too short for this directory",
            )
        return SourceIncomplete(
            self.url, f"{task} broke off{after}: {problem}", hint="the next reading begins anew; see the server's log"
        )


class _Reported:
    """Turns all errors of ldap3 and the receiver into SourceIncomplete."""

    def __init__(self, session: Session, task: str, read: int | Callable[[], int]) -> None:
        self._session, self._task, self._read = session, task, read

    def __enter__(self) -> None:
        pass

    def __exit__(self, _: object, error: BaseException | None, __: object) -> None:
        if error is None:
            return
        if isinstance(error, Broken | LDAPException | OSError):
            read = self._read() if callable(self._read) else self._read
            raise self._session.broke(self._task, read, error) from None
        # After any error, a part of an answer is unread.
        self._session.close("the reading failed")
