"""TLS to a receiver that the configuration names: whom to trust, and a fault in a sentence."""

from __future__ import annotations

import ssl
from pathlib import Path


class Untrusted(Exception):
    """The file of authorities can't be used; `str()` says why."""


def trusting(ca_file: Path | None) -> ssl.SSLContext:
    """Return the TLS context that verifies a server by the system's authorities, or by those of a file.

    Raises Untrusted where the file can't be used. The file is read each time, for it may be renewed.
    """
    try:
        return ssl.create_default_context(cafile=ca_file)
    except OSError as error:  # ssl.SSLError is one
        problem = f"{ca_file}: {error.strerror or error}; `ca_file` is to be a file of certificates in PEM form"
        raise Untrusted(problem) from None


def tls_problem(error: ssl.SSLError) -> str:
    """Return the fault of a TLS connection, in a sentence."""
    if isinstance(error, ssl.SSLCertVerificationError):
        return f"the certificate is not accepted: {error.verify_message}"
    return f"TLS fails: {error.reason or 'the connection was broken off'}"
