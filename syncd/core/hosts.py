"""Addresses of servers: taken apart, and told apart from this machine. Pure.

Text that is no address is never repeated in an error: a secret may stand in its place.
"""

from __future__ import annotations

import re
from collections.abc import Collection
from ipaddress import ip_address
from urllib.parse import SplitResult, urlsplit


def address(text: str, schemes: Collection[str], example: str) -> SplitResult:
    """Take an address apart. Raises ValueError with a sentence that describes the expected form."""
    try:
        parts = urlsplit(text)
        usable = parts.scheme in schemes and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        usable = False
    if not usable or re.search(r"[\s\x00-\x1f\x7f]", text):
        raise ValueError(f"not an address such as {example}")
    if parts.username is not None:
        raise ValueError("an address without a user's name and password is wanted")
    return parts


def is_loopback(host: str) -> bool:
    """Return whether a host name or address is this machine."""
    try:
        return ip_address(host).is_loopback
    except ValueError:
        return host.casefold() == "localhost"


__all__ = ["address", "is_loopback"]
