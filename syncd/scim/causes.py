"""The causes of failed connections, in words of the system, the name service or TLS, without a library's frame.

Pure: turns an exception into the rest of a sentence and a hint.
"""

from __future__ import annotations

import os
import socket
import ssl
from collections.abc import Iterator

from aiohttp.client_exceptions import ClientConnectorError


def cause_of(error: BaseException) -> str:
    """Return the cause of a broken request, such as "the connection was refused"."""
    return next((said for each in _chain(error) if (said := _said(each))), str(error) or type(error).__name__)


def hint_for(cause: str) -> str:
    """Return the advice for such a cause."""
    if "certificate" not in cause:
        return "check base_url, the network and any firewall"
    if "expired" in cause or "not yet valid" in cause:
        return "its certificate is out of date: it is to be renewed there, or this machine's clock is wrong"
    if "mismatch" in cause or "not valid for" in cause:
        return "its certificate is for another name: base_url must name the host as the certificate does"
    return "its certificate is not trusted: name its CA with `ca_file` in the [[target]]"


def _said(error: BaseException) -> str:
    match error:
        case ssl.SSLCertVerificationError():
            return f"its certificate is refused: {error.verify_message}"
        case ssl.SSLError():
            return f"TLS failed: {error.reason or error}"
        case socket.gaierror():
            return f"its name is not known here: {error.strerror}"
        case ConnectionRefusedError():
            return "the connection was refused: nothing listens there"
        case ConnectionResetError():
            return "the connection was cut off"
        case ClientConnectorError():
            return ""  # this error frames the system's message, which comes next
        case OSError() if error.errno:
            return os.strerror(error.errno)
    return ""


def _chain(error: BaseException) -> Iterator[BaseException]:
    """Yield an error and those that it was raised for, the outermost first."""
    current: BaseException | None = error
    seen: set[int] = set()
    while current is not None and id(current) not in seen:
        seen.add(id(current))
        yield current
        inner = getattr(current, "certificate_error", None) or getattr(current, "os_error", None)
        current = inner if isinstance(inner, BaseException) else current.__cause__ or current.__context__
