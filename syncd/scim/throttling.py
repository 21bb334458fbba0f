"""Rate limits, as endpoints tell them: whether an answer is one, and for how long the target is to be left alone.

#  header                                      says when to come again
#  Retry-After                                    seconds or a date (RFC 9110 section 10.2.3)
#  RateLimit-Reset, X-RateLimit-Reset,            seconds, or a moment: seconds or milliseconds since 1970, a date
#      X-Rate-Limit-Reset
#  RateLimit: limit=…, remaining=0, reset=5       seconds (draft-ietf-httpapi-ratelimit-headers, up to 07)
#  RateLimit: "name";r=0;t=5                      seconds (the same draft, from 08 on)

Retry-After takes precedence. A reset says nothing while requests remain: many endpoints send it with every answer.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from datetime import UTC, datetime
from email.utils import parsedate_to_datetime
from typing import Final

_RESETS: Final = ("RateLimit-Reset", "X-RateLimit-Reset", "X-Rate-Limit-Reset")
_REMAINING: Final = ("RateLimit-Remaining", "X-RateLimit-Remaining", "X-Rate-Limit-Remaining")
_TOLD_OF_LIMITS: Final = (403, 429, 503)
"""Statuses with which endpoints refuse one request too many; a reset in any other answer is about later requests."""
_LEFT: Final = re.compile(r"\b(?:remaining|r)\s*=\s*(\d{1,15})", re.IGNORECASE | re.ASCII)
_RESET: Final = re.compile(r"\b(?:reset|t)\s*=\s*(\d{1,15})", re.IGNORECASE | re.ASCII)
_NUMBER: Final = re.compile(r"\b\d{1,15}\b", re.ASCII)
_WORDS: Final = re.compile(rb"rate.?limit|too.many|throttl|quota", re.IGNORECASE)
_READ_BYTES: Final = 4096
"""The part of a body that is searched for words."""
_SECONDS_SINCE_1970: Final = 1e9
"""Numbers from here on are moments: as a number of seconds to wait, this is 31 years."""
_MILLISECONDS_SINCE_1970: Final = 1e11


def is_rate_limit(status: int, headers: Mapping[str, str], data: bytes, now: datetime) -> bool:
    """Return whether an answer refuses one request too many, and not what was asked for; `headers` in any case.

    #  status   says when to come again   remaining   words of a limit in the body   -> is a rate limit
    #  429                                                                              yes
    #  403      Retry-After                                                             yes
    #  403      reset                     0                                             yes
    #  403      reset                     unsaid      yes                               yes
    #  any other                                                                        no
    """
    if status != 403:
        return status == 429
    if retry_after(headers.get("Retry-After", ""), now) is not None:
        return True
    left, resets = _limits(headers, now)
    return bool(resets) and (left == 0 or (left is None and _WORDS.search(data[:_READ_BYTES]) is not None))


def pause_asked_for(status: int, headers: Mapping[str, str], now: datetime) -> float | None:
    """Return for how many seconds an answer asks to be left alone, None where it doesn't; `headers` in any case."""
    said = retry_after(headers.get("Retry-After", ""), now)
    if said is not None or status not in _TOLD_OF_LIMITS:
        return said
    left, resets = _limits(headers, now)
    return max(resets, default=None) if not left else None


def retry_after(text: str, now: datetime) -> float | None:
    """Return the seconds until what a header says, None where it says nothing: a number of seconds, or a moment.

    A moment is a date, or seconds or milliseconds since 1970. Okta's own client knows numbers alone, so some endpoints
    send only those.
    """
    text = text.strip()
    if text.isascii() and text.replace(".", "", 1).isdecimal():
        number = float(text)
        if number < _SECONDS_SINCE_1970:
            return number
        moment = number / 1000 if number >= _MILLISECONDS_SINCE_1970 else number
        return max(moment - now.timestamp(), 0.0)
    date = _date(text)
    return None if date is None else max((date.replace(tzinfo=date.tzinfo or UTC) - now).total_seconds(), 0.0)


def _date(text: str) -> datetime | None:
    for read in (parsedate_to_datetime, datetime.fromisoformat):
        try:
            return read(text)
        except (ValueError, OverflowError):
            continue
    return None


def _limits(headers: Mapping[str, str], now: datetime) -> tuple[int | None, list[float]]:
    """Return how many requests remain, None where it is unsaid, and the seconds until each limit is lifted."""
    left = [int(number) for name in _REMAINING for number in _NUMBER.findall(headers.get(name, ""))]
    resets = [said for name in _RESETS if (said := retry_after(headers.get(name, ""), now)) is not None]
    combined = headers.get("RateLimit", "")
    for limit in combined.split(",") if ";" in combined else [combined]:
        remaining, reset = _LEFT.search(limit), _RESET.search(limit)
        if remaining is not None:
            left.append(int(remaining[1]))
        if reset is not None and (remaining is None or int(remaining[1]) == 0):
            resets.append(retry_after(reset[1], now) or 0.0)
    return min(left, default=None), resets


__all__ = ["is_rate_limit", "pause_asked_for", "retry_after"]
