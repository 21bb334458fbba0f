"""The small notations of the configuration: durations, schedules, addresses, names. Pure.

Every function takes the text of a value, and returns it or its meaning; or raises ValueError with a sentence that says
what is wanted. Text that may hold a secret is never repeated in the sentence.
"""

from __future__ import annotations

import re
from datetime import timedelta
from ipaddress import ip_address
from typing import Any, Final
from urllib.parse import SplitResult, urlsplit
from zoneinfo import ZoneInfo, ZoneInfoNotFoundError

from syncd.core.hosts import address, is_loopback

_UNITS: Final = {"s": "seconds", "m": "minutes", "h": "hours", "d": "days", "w": "weeks"}
_LONGEST: Final = timedelta(days=36_500)

_CRON: Final = (
    ("minute", 0, 59, ()),
    ("hour", 0, 23, ()),
    ("day", 1, 31, ()),
    ("month", 1, 12, ("", *"jan feb mar apr may jun jul aug sep oct nov dec".split())),
    ("weekday", 0, 7, tuple("sun mon tue wed thu fri sat".split())),
)
_LONGEST_MONTH: Final = {2: 29, 4: 30, 6: 30, 9: 30, 11: 30}
_CRON_PART: Final = re.compile(r"(?:\*|(?P<first>\w+)(?:-(?P<last>\w+))?)(?:/(?P<step>\d+))?")


def duration(value: Any) -> timedelta:
    """Parse `90d`, `24h`, `15m`, `30s`, `0s` or `1h30m`. A number without a unit is refused."""
    if isinstance(value, timedelta):
        return value
    text = value.strip() if isinstance(value, str) else ""
    parts = re.findall(r"(\d+)\s*([smhdw])", text)
    if not parts or re.sub(r"\d+\s*[smhdw]\s*", "", text):
        raise ValueError(f'`{value}` is not a duration such as "30s", "15m", "24h" or "90d"')
    try:
        total = sum((timedelta(**{_UNITS[unit]: int(number)}) for number, unit in parts), timedelta())
    except (OverflowError, ValueError):
        total = timedelta.max
    if total > _LONGEST:
        raise ValueError(f"`{value}` is longer than a hundred years")
    return total


def positive_duration(value: Any) -> timedelta:
    """Parse a duration that is not zero."""
    found = duration(value)
    if not found:
        raise ValueError(f"`{value}` is not longer than 0s")
    return found


def duration_or_never(value: Any) -> timedelta | None:
    """Parse a duration, or `never`: None."""
    return None if value in (None, "never") else duration(value)


def schedule(text: str) -> str:
    """Check cron's five fields (minute, hour, day, month, weekday) or a duration between runs."""
    if cron(text):
        return text
    try:
        positive_duration(text)
    except ValueError:
        raise ValueError(f'`{text}` is neither cron ("*/15 * * * *") nor a duration ("15m")') from None
    return text


def cron(text: str) -> list[list[int]]:
    """Return the numbers that each of cron's five fields stands for, Sunday as 0; nothing where there are not five.

    Raises ValueError also for a day that never comes, such as the 30th of February.
    """
    fields = text.split()
    if len(fields) != len(_CRON):
        return []
    found = [_cron_numbers(text, kind, field) for kind, field in zip(_CRON, fields, strict=True)]
    _, _, days, months, _ = found
    if not cron_takes_either_day(text) and min(days) > max(_LONGEST_MONTH.get(month, 31) for month in months):
        raise ValueError(f"`{text}`: there is no such day in any such month")
    return found


def cron_takes_either_day(text: str) -> bool:
    """Return whether day or weekday is enough: both are restricted (crontab(5)). If not, both must match."""
    _, _, day, _, weekday = text.split()
    return not day.startswith("*") and not weekday.startswith("*")


def schedule_or_never(value: Any) -> Any:
    """Check a schedule, or `never`."""
    return schedule(value) if isinstance(value, str) and value != "never" else value


def socket_address(text: str) -> str:
    """Check `ADDRESS:PORT` to listen on. A name is refused: it may mean several addresses."""
    host, _, port = text.rpartition(":")
    try:
        ip_address(host.removeprefix("[").removesuffix("]"))
        usable = port.isdecimal() and 0 < int(port) < 65536
    except ValueError:
        usable = False
    if not usable:
        raise ValueError("not an address and port such as 127.0.0.1:9464 or [::1]:9464")
    return text


def _cron_numbers(text: str, kind: tuple[str, int, int, tuple[str, ...]], field: str) -> list[int]:
    name, low, high, names = kind
    found: set[int] = set()
    for part in field.split(","):
        match = _CRON_PART.fullmatch(part)
        numbers = [_cron_number(match[end], names) for end in ("first", "last") if match[end]] if match else [None]
        step = match["step"] if match else None
        usable = [number for number in numbers if number is not None and low <= number <= high]
        if usable != numbers or usable != sorted(usable) or (step and (int(step) == 0 or len(numbers) == 1)):
            raise ValueError(
                f"`{text}`: `{part}` is not a {name} of cron: {low} to {high}, `*`, `*/2`, `1-5` or a list"
            )
        first, last = (usable[0], usable[-1]) if usable else (low, high)
        found |= set(range(first, last + 1, int(step or 1)))
    return sorted({number % 7 for number in found} if name == "weekday" else found)


def _cron_number(text: str, names: tuple[str, ...]) -> int | None:
    if text.lower() in names:
        return names.index(text.lower())
    return int(text) if text.isdecimal() else None


def time_zone(name: str) -> str:
    """Check a time zone's name."""
    try:
        ZoneInfo(name)
    except (ZoneInfoNotFoundError, ValueError, OSError):
        raise ValueError(f'`{name}` is not a time zone such as "Europe/Berlin"') from None
    return name


def base_url(text: str) -> str:
    """Check the address of a SCIM service provider: the token must never travel in clear."""
    parts = address(text, ("http", "https"), "https://users.lucid.app/scim/v2")
    if parts.query or parts.fragment:
        raise ValueError("an address without query and fragment is wanted")
    return _encrypted(text, parts, "the token")


def webhook_url(text: str) -> str:
    """Check the address that notices are posted to. All of it may be secret, and it may have a query."""
    return _encrypted(text, address(text, ("http", "https"), "https://hooks.example.com/…"), "the notices")


def hook_url(text: str) -> str:
    """Check the address that facts about a person are posted to. All of it may be secret, and it may have a query."""
    return _encrypted(text, address(text, ("http", "https"), "https://hooks.example.com/…"), "people's data")


def _encrypted(text: str, parts: SplitResult, what: str) -> str:
    if parts.scheme == "http" and not is_loopback(parts.hostname or ""):
        raise ValueError(f"http:// would send {what} in clear: use https://")
    return text


def proxy_url(text: str) -> str:
    """Check the address of a proxy. Unreadable text may be a password in the wrong place, and is not repeated."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in ("http", "https") and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", text) or parts.path.strip("/") or parts.query or parts.fragment:
        raise ValueError("not an address such as http://proxy.example.com:3128")
    if parts.username is not None:
        raise ValueError("an address without a user's name and password is wanted: those come as `proxy_auth`")
    return text.rstrip("/")


def user_and_password(text: str) -> tuple[str, str]:
    """Take `user:password` apart (RFC 7617 section 2: the user's name has no colon, neither has control characters)."""
    match = re.fullmatch(r"([^:\x00-\x1f\x7f]+):([^\x00-\x1f\x7f]+)", text)
    if match is None:
        raise ValueError("the secret is not of the form user:password, on one line")
    return match[1], match[2]


def some_name(text: str) -> str:
    """Check that a name is not empty: an empty one could match nobody, or everybody."""
    if not text.strip():
        raise ValueError("a name is wanted, and this one is empty")
    return text


def environment_name(name: str) -> str:
    """Check the name of an environment variable; a secret written in its place is not repeated."""
    if not re.fullmatch(r"[A-Za-z_][A-Za-z0-9_]*", name):
        raise ValueError("the name of an environment variable is wanted: letters, digits and `_`")
    return name


def argument(text: str) -> str:
    """Check one argument of a command."""
    if not text or "\0" in text:
        raise ValueError("an argument is a text that is not empty, without a NUL character")
    return text


def credential_name(name: str) -> str:
    """Check the name of a systemd credential, as `LoadCredential=NAME:PATH` has it."""
    if not re.fullmatch(r"[A-Za-z0-9_][A-Za-z0-9_.@:-]*", name):
        raise ValueError("the name of a credential is wanted, as in LoadCredential=NAME:PATH")
    return name
