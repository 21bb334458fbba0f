"""Connect: choose a server, agree on TLS, bind.

Owns the safety of the password: the password is read and sent only over verified TLS (or to this very machine),
and never sent to a second server after a first has refused it.
"""

from __future__ import annotations

import ssl
from contextlib import suppress
from time import monotonic

from ldap3 import SIMPLE
from ldap3.core.exceptions import LDAPException

from syncd.core.hosts import is_loopback
from syncd.errors import SourceError, SourceMismatch, SourceRefused, SourceUnreachable
from syncd.sources.ldap import answers
from syncd.sources.ldap.connection import Broken, DirectConnection, VerifiedTls
from syncd.sources.ldap.options import Endpoint, LdapOptions, endpoint
from syncd.sources.ldap.session import Session


class TryNext(Exception):
    """This server can't be used, another one may be. Holds the error to raise without another server."""

    def __init__(self, error: SourceError) -> None:
        super().__init__(str(error))
        self.error = error


def connect(options: LdapOptions) -> Session:
    """Return a session with the first of the servers that can be used. Raises SourceError.

    Another server is tried when one can't be reached or doesn't prove its identity, for then no password was sent.
    No other server is tried after a refused password, for each try counts towards locking the account.
    """
    faults = options.faults()
    if faults:
        raise SourceMismatch(
            options.urls[0],
            "; ".join(str(fault) for fault in faults),
            hint="correct the configuration",
        )
    started = monotonic()
    failed: list[SourceError] = []
    for url in options.urls:
        try:
            return _connected(endpoint(url), options, started)
        except TryNext as reason:
            failed.append(reason.error)
    if len(failed) == 1:
        raise failed[0]
    kind = SourceRefused if any(isinstance(error, SourceRefused) for error in failed) else SourceUnreachable
    reasons = "".join(f"\n  {error.source}: {error.problem}" for error in failed)
    hints = dict.fromkeys(error.hint for error in failed if error.hint)
    raise kind(options.urls[0], f"none of the {len(failed)} servers can be used{reasons}", hint="; ".join(hints))


def _connected(server: Endpoint, options: LdapOptions, started: float) -> Session:
    """Connect, agree on TLS, bind. Raises TryNext, or SourceError where no other server may be tried."""
    tls = _tls(server, options)
    connection = DirectConnection(
        server, tls, int(options.connect_timeout.total_seconds()), started + options.deadline.total_seconds()
    )
    try:
        _open(server, connection, tls)
        if options.start_tls and not server.tls:
            _start_tls(server, connection, tls)
        _demand_safety(server, connection)
        _bind(server, connection, options)
    except BaseException:
        with suppress(Exception):
            connection.strategy.close()
        raise
    return Session(server.url, connection, options, started)


def _tls(server: Endpoint, options: LdapOptions) -> VerifiedTls | None:
    if not (server.tls or options.start_tls):
        return None
    try:
        return VerifiedTls(options.ca_file)
    except OSError as error:
        reason = (
            error.strerror if error.errno and not isinstance(error, ssl.SSLError) else "holds no certificate in PEM"
        )
        raise SourceRefused(
            server.url,
            f"ca_file {options.ca_file}: {reason}",
            hint="name the file of the certificate authority that signed the server's certificate",
        ) from None


def _open(server: Endpoint, connection: DirectConnection, tls: VerifiedTls | None) -> None:
    try:
        connection.open(read_server_info=False)
    except (LDAPException, OSError):
        if tls is not None and tls.failure is not None:
            raise TryNext(_tls_error(server, tls.failure)) from None
        reasons = dict.fromkeys(_reason(failure) for failure in connection.receiver.failures)
        problem = "; ".join(reasons) or f"no address is known for {server.host}"
        hint = f"check the address and that port {server.port} is reachable from here"
        raise TryNext(SourceUnreachable(server.url, f"can't connect: {problem}", hint=hint)) from None


def _reason(failure: Exception) -> str:
    if isinstance(failure, TimeoutError):
        return "no answer in time"
    return answers.plain(getattr(failure, "strerror", None) or str(failure))


def _start_tls(server: Endpoint, connection: DirectConnection, tls: VerifiedTls | None) -> None:
    try:
        connection.start_tls(read_server_info=False)
    except (LDAPException, OSError, Broken) as error:
        if tls is not None and tls.failure is not None:
            raise TryNext(_tls_error(server, tls.failure)) from None
        result = connection.result
        problem = answers.words(result) if result and result["result"] != answers.SUCCESS else answers.plain(str(error))
        raise TryNext(
            SourceRefused(
                server.url,
                f"refuses StartTLS: {problem}",
                hint="give the server a certificate, or use ldaps:// if it has one there; nothing was sent in clear",
            )
        ) from None


def _tls_error(server: Endpoint, failure: Exception) -> SourceError:
    if isinstance(failure, ssl.SSLCertVerificationError):
        return SourceRefused(
            server.url,
            f"its certificate is not accepted: {answers.plain(failure.verify_message)}",
            hint=f"it must be valid now, issued for {server.host}, and signed by an authority in `ca_file` "
            "(or of the system); no password was sent",
        )
    if isinstance(failure, TimeoutError):
        return SourceUnreachable(server.url, "no answer to TLS in time", hint="is it TLS that this port speaks?")
    if isinstance(failure, Broken):
        return SourceRefused(
            server.url, f"TLS refused: {failure}", hint="someone may be interfering; no password was sent"
        )
    reason = getattr(failure, "reason", None) or str(failure)
    return SourceUnreachable(
        server.url, f"TLS failed: {answers.plain(str(reason))}", hint="is it TLS that this port speaks, 1.2 or newer?"
    )


def _demand_safety(server: Endpoint, connection: DirectConnection) -> None:
    """Refuse an unencrypted connection, unless to this very machine. Checks the socket, not the configuration."""
    if isinstance(connection.socket, ssl.SSLSocket):
        return
    try:
        peer = connection.socket.getpeername()[0]
    except OSError:
        raise TryNext(
            SourceUnreachable(server.url, "it hung up at once", hint="is it LDAP that this port speaks?")
        ) from None
    if not is_loopback(peer):
        raise SourceRefused(
            server.url,
            "the connection is not encrypted",
            hint="use ldaps:// or start_tls = true; no password was sent",
        )


def _bind(server: Endpoint, connection: DirectConnection, options: LdapOptions) -> None:
    """Bind with name and password, or anonymously (RFC 4513 section 5.1)."""
    if options.bind_dn:
        password = options.password() if options.password is not None else ""
        if not password:
            # RFC 4513 section 5.1.2: many servers treat this as an anonymous bind, and report success.
            raise SourceRefused(server.url, "the password is empty", hint="give the password of bind_dn")
        connection.user, connection.password, connection.authentication = options.bind_dn, password, SIMPLE
    try:
        connection.bind(read_server_info=False)
    except (LDAPException, OSError, Broken) as error:
        raise TryNext(
            SourceUnreachable(
                server.url, f"no answer to the bind: {answers.plain(str(error))}", hint="see the server's log"
            )
        ) from None
    finally:
        connection.password = connection.request = None
    if connection.result["type"] != "bindResponse":
        raise TryNext(
            SourceUnreachable(
                server.url, "answered the bind with something else", hint="is it LDAP that this port speaks?"
            )
        )
    if connection.result["result"] != answers.SUCCESS:
        problem = answers.bind_error(server.url, options.bind_dn, connection.result)
        raise TryNext(problem) if isinstance(problem, SourceUnreachable) else problem
