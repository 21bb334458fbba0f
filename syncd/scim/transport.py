"""Requests to one target: authentication, pace, retries, and the meaning of answers. The only place that retries.

A request that is not idempotent and may have taken effect is never retried here: the caller gets `OutcomeUnclear`.
Refuses to follow a redirect to another origin: the token must not go there.
"""

from __future__ import annotations

import asyncio
import platform
from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, field, replace
from datetime import UTC, datetime
from pathlib import Path
from types import TracebackType
from typing import TYPE_CHECKING, Any, Final
from urllib.parse import quote, urlencode, urljoin, urlsplit

import orjson

from syncd import __version__
from syncd.core.model import Json, Kind
from syncd.errors import (
    OutcomeUnclear,
    ScimError,
    TargetError,
    TargetFailing,
    TargetRedirected,
    TargetRefused,
    TargetUnreachable,
    TargetUnusable,
)
from syncd.redaction import secret_forms
from syncd.scim.pace import Pace, back_off
from syncd.scim.profiles import PROFILES
from syncd.scim.throttling import is_rate_limit, pause_asked_for
from syncd.scim.words import is_page, title_of, words_of

if TYPE_CHECKING:
    from syncd.scim.wire import Raw

MEDIA_TYPE: Final = "application/scim+json"
USER_AGENT: Final = f"syncd/{__version__} (directory to SCIM; Python {platform.python_version()})"
_MAX_REDIRECTS: Final = 3
_MAX_DETAIL_CHARACTERS: Final = 500
_IDEMPOTENT: Final = ("GET", "PUT", "DELETE")
"""RFC 9110 section 9.2.2."""
_AGAIN: Final = (429, 502, 503, 504)
_REFUSED: Final = (401, 403)
_PROBE: Final = "Users?startIndex=1&count=1"
"""The smallest read that every endpoint answers to a token that it accepts."""
_MOST_GIVEN_UP: Final = 5
"""Number of permanent failures without a successful write after which the target counts as failing."""
_KINDS: Final = {"Users": Kind.USER, "Groups": Kind.GROUP}


@dataclass(frozen=True, slots=True)
class Answer:
    """An answer: HTTP status, the parsed body (None when it is empty or no JSON), Location, ETag and Date headers."""

    status: int
    body: Json
    location: str = ""
    etag: str = ""
    date: str = field(default="", compare=False)


@dataclass(frozen=True, slots=True)
class Patience:
    """Limits of retries. All times are seconds."""

    attempts: int = 6
    """Limit for one request, while others succeed."""
    outage: float = 30.0
    """A target that has failed for this time, without one good answer, is left alone."""
    base: float = 0.5
    cap: float = 20.0
    longest_pause: float = 300.0
    """A target that asks for a longer pause is left alone too."""


@dataclass(frozen=True, slots=True)
class Traffic:
    """The requests sent to a target, by whether they may write; those that were sent again are among them.

    `retries`: requests that were sent again. `waited`: seconds that requests waited before they were sent, in total.
    """

    reads: int = 0
    writes: int = 0
    retries: int = 0
    waited: float = 0.0

    @property
    def requests(self) -> int:
        return self.reads + self.writes

    def __add__(self, other: Traffic) -> Traffic:
        return Traffic(
            self.reads + other.reads,
            self.writes + other.writes,
            self.retries + other.retries,
            self.waited + other.waited,
        )


class Transport:
    """The connection to one target. An async context manager; `traffic` counts what was sent."""

    def __init__(
        self,
        name: str,
        base_url: str,
        token: str,
        *,
        ca_file: Path | None = None,
        proxy: str = "",
        proxy_auth: tuple[str, str] | None = None,
        http2: bool = True,
        timeout: float = 60.0,
        pace: Pace | None = None,
        patience: Patience | None = None,
    ) -> None:
        """`base_url` is the endpoint's root, such as `https://users.lucid.app/scim/v2`, with or without a slash.

        `timeout`: seconds that one request may take from beginning to end. Raises TargetUnreachable when `ca_file`
        can't be used.
        """
        # Imported here, for the import is slow, and a run without requests does not need it.
        from syncd.scim.wire import Wire

        self.name = name
        self.pace = pace or Pace(PROFILES["generic"])
        self.answers: Counter[tuple[str, int]] = Counter()
        """Number of answers by method and status; 0: no answer came."""
        self._secrets = dict.fromkeys(secret_forms(token), "(the token)")
        if proxy_auth:
            self._secrets |= dict.fromkeys(secret_forms(proxy_auth[1]), "(the proxy's password)")
        self._base = base_url.rstrip("/") + "/"
        self._host = urlsplit(base_url).hostname or base_url
        self._address = urlsplit(base_url).netloc.rpartition("@")[2] or base_url
        self._patience = patience or Patience()
        self._wire = Wire(name, ca_file=ca_file, proxy=proxy, proxy_auth=proxy_auth, http2=http2, deadline=timeout)
        self._headers = {
            "Authorization": f"Bearer {token}",
            "Accept": f"{MEDIA_TYPE}, application/json;q=0.9",
            "Accept-Encoding": "gzip, deflate",
            "User-Agent": USER_AGENT,
        }
        self._headers_of_body = {**self._headers, "Content-Type": MEDIA_TYPE}
        self._reached = False
        self._good = 0
        self._given_up = 0
        self._failing_since: tuple[float, datetime] | None = None
        self._failed: TargetFailing | None = None
        self._probing = asyncio.Lock()
        self._probed: tuple[float, int] | None = None
        """When the last probe of the token began, and how it was answered."""

    @property
    def traffic(self) -> Traffic:
        """The requests sent so far."""
        reads = sum(count for (method, _), count in self.answers.items() if method == "GET")
        waits = self.pace.waits
        return Traffic(reads, self.answers.total() - reads, waits.retries, waits.seconds)

    async def __aenter__(self) -> Transport:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self._wire.close()

    async def send(
        self,
        method: str,
        path: str,
        *,
        query: Mapping[str, str] | None = None,
        body: Json = None,
        repeatable: bool | None = None,
        if_match: str = "",
        weight: int = 1,
    ) -> Answer:
        """Send one request, again where it was certainly not carried out or may be repeated; return a 2xx answer.

        `repeatable`: whether sending it twice does what sending it once does; None: as its method says (RFC 9110
        section 9.2.2), so POST and PATCH are not. `if_match`: the version that it is meant for. `weight`: as how many
        requests it counts for the rate.

        Raises ScimError for an answer about this resource (4xx, 5xx; status 0 when none came), OutcomeUnclear where
        it may have taken effect. About the target as a whole: TargetRefused where the token is refused (`refusal`),
        TargetUnusable for a web page, TargetRedirected, TargetUnreachable, and TargetFailing when patience is at an
        end; or OutcomeUnclear with one of them, where a write may have taken effect before.
        """
        url = self._base + path
        if query:
            # A blank is `%20`, which every endpoint decodes, not `+`, which many take literally.
            url += "?" + urlencode(query, quote_via=quote)
        content = None if body is None else orjson.dumps(body)
        headers = self._headers if content is None else self._headers_of_body
        if if_match:
            headers = {**headers, "If-Match": if_match}
        again = repeatable if repeatable is not None else method in _IDEMPOTENT
        for _ in range(_MAX_REDIRECTS):
            raw = await self._exchange(method, url, content, headers, again, weight)
            if raw.status in _REFUSED:
                raise await self.refusal(self._error(raw))
            if raw.status not in (301, 302, 303, 307, 308):
                return self._answer(method, path, raw, again)
            url = self._redirected(method, url, raw.status, raw.headers.get("Location", ""))
        raise TargetRedirected(self.name, f"{self._host} redirects in circles", hint="check base_url")

    # -- retries ---------------------------------------------------------------------------------

    async def _exchange(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], again: bool, weight: int
    ) -> Raw:
        """Send one request until it has an answer that is final.

        Raises ScimError, OutcomeUnclear, TargetUnreachable or TargetFailing.
        """
        attempt, good, doubtful = 0, self._good, False
        while True:
            attempt += 1
            try:
                answer = await self._attempt(method, url, content, headers, weight)
                if not isinstance(answer, ScimError) and answer.status not in _AGAIN:
                    self._note_good(method)
                    return answer
                certain = isinstance(answer, _NotSent) or answer.status == 429
                doubtful = doubtful or not (certain or method == "GET")
                pause = self._pause(answer)
                if pause is not None:
                    self.pace.pause(pause)
                if not (again or certain):
                    self._note_failing()
                    raise _unclear(self._error(answer))
                await self._give_up(answer, attempt, others_succeed=self._good > good)
            except TargetError as error:
                raise (_left_unclear(error) if doubtful else error) from None
            self.pace.waits.retries += 1
            if pause is None or attempt > 1:  # "retry at once", again and again, gets a growing backoff
                await self.back_off(attempt, everybody=certain and not isinstance(answer, ScimError))

    async def back_off(self, attempt: int, *, everybody: bool = False) -> None:
        """Wait before a retry, by the number of attempts so far; `everybody`: all other requests wait as well."""
        seconds = back_off(attempt, self._patience.base, self._patience.cap)
        if self._failing_since is not None:  # not beyond the moment at which the request is given up
            left = self._failing_since[0] + self._patience.outage - asyncio.get_running_loop().time()
            seconds = min(seconds, max(left, self._patience.base))
        if everybody:
            self.pace.pause(seconds)
        else:
            self.pace.waits.seconds += seconds
            await asyncio.sleep(seconds)

    @property
    def attempts(self) -> int:
        """Number of attempts of a request whose outcome was unclear, and then found not to have taken effect."""
        return self._patience.attempts

    async def _attempt(
        self, method: str, url: str, content: bytes | None, headers: Mapping[str, str], weight: int
    ) -> Raw | ScimError:
        """Send it once, in its turn; no answer is a ScimError of status 0, and `_NotSent` where it was not sent."""
        from syncd.scim.wire import Broken, NotSent, TooLarge, Unsendable

        kind = _KINDS.get(url[len(self._base) :].partition("/")[0].partition("?")[0])
        window, clock = self.pace.window, asyncio.get_running_loop().time
        async with window:
            await self.pace.turn(method, kind, weight)
            if self._failed is not None:
                raise self._failed
            self.answers[method, 0] += 1
            started = clock()
            try:
                raw = await self._wire.exchange(method, url, content, headers)
            except NotSent as error:
                return _NotSent(0, self.told(str(error)))
            except Broken as error:
                self._reached = True
                return ScimError(0, f"no complete answer: {self.told(str(error))}")
            except TooLarge as error:
                raise (ScimError if method == "GET" else OutcomeUnclear)(0, str(error)) from None
            except Unsendable as error:
                raise ScimError(0, f"not sent: no server takes this address: {self.told(str(error))}") from None
            self.answers[method, 0] -= 1
            self.answers[method, raw.status] += 1
            self._reached = True
            now = datetime.now(UTC)
            if is_rate_limit(raw.status, raw.headers, raw.data, now):
                raw = replace(raw, status=429)  # also where it came as 403: from here on there is one rule for both
            if raw.status == 429 or (raw.status == 503 and pause_asked_for(503, raw.headers, now) is not None):
                window.cut(started, clock())
            elif raw.status not in _AGAIN:
                window.answered(f"{method} {kind}", started, clock())
            return raw

    def _pause(self, answer: Raw | ScimError) -> float | None:
        """Return for how many seconds the target asks to be left alone. Raises TargetFailing where that is too long."""
        if isinstance(answer, ScimError):
            return None
        said = pause_asked_for(answer.status, answer.headers, datetime.now(UTC))
        if said is not None and said > self._patience.longest_pause:
            raise self._fail(f"answers {answer.status} and asks to be left alone for {said:.0f} s")
        return said

    def _note_good(self, method: str) -> None:
        self._good += 1
        self._failing_since = None
        if method != "GET":
            self._given_up = 0

    def _note_failing(self) -> tuple[float, datetime]:
        if self._failing_since is None:
            self._failing_since = asyncio.get_running_loop().time(), datetime.now(UTC)
        return self._failing_since

    async def _give_up(self, answer: Raw | ScimError, attempt: int, *, others_succeed: bool) -> None:
        """Raises ScimError where this request alone fails, TargetUnreachable or TargetFailing where the target does."""
        error = self._error(answer)
        if isinstance(answer, _NotSent) and not self._reached and attempt > 1:
            from syncd.scim.causes import hint_for

            problem = f"{self._address} can't be reached: {answer.detail}"
            raise TargetUnreachable(self.name, problem, hint=hint_for(answer.detail))
        since, moment = self._note_failing()
        patience = self._patience.longest_pause if error.status == 429 else self._patience.outage
        if others_succeed:
            if attempt < self._patience.attempts:
                return
        elif attempt == 1 or asyncio.get_running_loop().time() - since < patience:
            return
        elif not await self._answers():
            raise self._fail(f"has failed since {moment:%H:%M:%S} UTC without one good answer; the last: {error}")
        self._given_up += 1
        if self._given_up >= _MOST_GIVEN_UP:
            raise self._fail(f"fails {self._given_up} requests in a row, each tried again and again; the last: {error}")
        raise error

    async def _answers(self) -> bool:
        """Send a small request, to tell a failing target from one failing request."""
        answer = await self._attempt("GET", self._base + _PROBE, None, self._headers, 1)
        good = not isinstance(answer, ScimError) and answer.status not in _AGAIN
        if good:
            self._note_good("GET")
        return good

    def _fail(self, problem: str) -> TargetFailing:
        """Open the circuit: nothing more is sent."""
        self._failed = self._failed or TargetFailing(
            self.name, problem, hint="nothing more is sent now; what is left is done by the next run"
        )
        return self._failed

    # -- the meaning of answers ------------------------------------------------------------------

    async def refusal(self, error: ScimError) -> ScimError | TargetError:
        """Return what a 401 or 403 is about: this one resource (ScimError), or the token (TargetRefused).

        #  answer   a small read after it             -> it is about
        #  401      is not sent                          the token
        #  403      401, 403                             the token
        #  403      any other answer, or fails alone     this resource, or requests of this kind
        #  403      shows that the target fails          the target: its TargetError

        Answers that come while a probe goes on share the next one.
        """
        if error.status == 403:
            came = asyncio.get_running_loop().time()
            async with self._probing:
                if self._probed is None or self._probed[0] < came:
                    began = asyncio.get_running_loop().time()
                    try:
                        self._probed = began, await self._probe()
                    except TargetError as failure:
                        return failure
                answered = self._probed[1]
            if answered not in _REFUSED:
                return error
        said = f": {error.detail}" if error.detail else ""
        return TargetRefused(
            self.name,
            f"refuses the token ({error.status}{said})",
            hint="see whether the token has expired or lacks rights, and make a new one",
            status=401,
        )

    async def _probe(self) -> int:
        """Return the status of a small read, 0 where this read alone fails. Raises TargetError."""
        try:
            return (await self._exchange("GET", self._base + _PROBE, None, self._headers, again=True, weight=1)).status
        except ScimError as error:
            return error.status

    def _answer(self, method: str, path: str, raw: Raw, again: bool) -> Answer:
        """Return a final answer, parsed.

        Raises ScimError, OutcomeUnclear or, where something was only read, TargetUnusable.
        """
        if not 200 <= raw.status < 300:
            error = self._error(raw)
            # A request that fails with 500 may have taken effect; 501 says that it can't.
            raise _unclear(error) if raw.status >= 500 and raw.status != 501 and not again else error
        try:
            body: Any = orjson.loads(raw.data) if raw.data.strip() else None
        except orjson.JSONDecodeError:
            sort = raw.headers.get("Content-Type", "")
            title = self.told(title_of(sort, raw.data)) if is_page(sort, raw.data) else ""
            called = f" ({title})" if title else ""
            if "html" in sort.casefold():
                page = TargetUnusable(
                    self.name,
                    f"{self._host} answers with an HTML page{called}, not with SCIM",
                    hint="check base_url, and whether a proxy or a sign-in page stands in between",
                )
                raise (page if method == "GET" else _left_unclear(page)) from None
            unreadable = f"{method} {path} was answered {raw.status} with something that is no JSON{called}"
            raise (ScimError if again else OutcomeUnclear)(0, unreadable) from None
        headers = (raw.headers.get(name, "") for name in ("Location", "ETag", "Date"))
        return Answer(raw.status, body, *headers)

    def _error(self, raw: Raw | ScimError) -> ScimError:
        """Return the error message of an answer (RFC 7644 section 3.12, as far as the endpoint keeps to it)."""
        if isinstance(raw, ScimError):
            return raw
        words, scim_type = words_of(raw.headers.get("Content-Type", ""), raw.data)
        return ScimError(raw.status, self.told(words), self.told(scim_type))

    def told(self, text: str) -> str:
        """Return an endpoint's message, shortened and with secrets redacted."""
        for form, instead in self._secrets.items():
            text = text.replace(form, instead)
        return text if len(text) <= _MAX_DETAIL_CHARACTERS else f"{text[: _MAX_DETAIL_CHARACTERS - 1]}…"

    def _redirected(self, method: str, url: str, status: int, location: str) -> str:
        hint = "put the final address into base_url"
        try:
            there = urlsplit(urljoin(url, location))
            here, port = urlsplit(url), there.port
        except ValueError:
            raise TargetRedirected(self.name, f"{self._host} redirects to no address", hint=hint) from None
        if (there.scheme, there.hostname, port or _PORTS.get(there.scheme)) != (
            here.scheme,
            here.hostname,
            here.port or _PORTS.get(here.scheme),
        ):
            origin = self.told(f"{there.scheme}://{there.hostname}{f':{port}' if port else ''}")
            problem = f"{self._host} redirects to {origin}; the token must not go there"
            raise TargetRedirected(self.name, problem, hint=hint)
        if method != "GET" and status in (301, 302, 303):
            # Clients of these three turn the request into a GET (RFC 9110 section 15.4): it would be lost.
            problem = f"{self._host} answers {method} with a redirect ({status})"
            raise TargetRedirected(self.name, problem, hint=hint)
        return there.geturl()


class _NotSent(ScimError):
    """No connection could be made."""


def _unclear(error: ScimError) -> OutcomeUnclear:
    return OutcomeUnclear(error.status, error.detail, error.scim_type)


def _left_unclear(stop: TargetError) -> OutcomeUnclear:
    return OutcomeUnclear(stop.status, stop.problem, stop=stop)


_PORTS: Final = {"http": 80, "https": 443}


__all__ = ["MEDIA_TYPE", "USER_AGENT", "Answer", "Patience", "Traffic", "Transport"]
