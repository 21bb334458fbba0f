"""ldap3 with the changes that a pull needs: TLS with verification, and a fast reader with a deadline.

Owns everything that touches ldap3's insides; it is pinned to 2.9, and the tests of this folder run against real
servers. ldap3 still writes every request, and decodes every answer but the entries of a search.

The differences from ldap3, and their reasons:
- ldap3's own TLS verifies nothing by default, and its matcher of host names knows no IP addresses: here OpenSSL
  checks the chain and the name, and is told the name in time for SNI.
- ldap3 bounds each read, not the operation: a server that drips a byte at a time is read for ever.
- ldap3 builds every value twice, as text and raw, and joins received data in quadratic time: half of a
  pull's time, and most of it for a group of 100,000 members. Entries are handed on one by one, raw, instead.
- A socket that can't connect is closed at once instead of by the garbage collector.
"""

from __future__ import annotations

import ssl
from collections.abc import Callable
from pathlib import Path
from time import monotonic
from typing import Any, Final

from ldap3 import ANONYMOUS, NONE, SYNC, Connection, Server, Tls
from ldap3.strategy.base import RESPONSE_COMPLETE
from ldap3.strategy.sync import SyncStrategy
from ldap3.utils.asn1 import decode_message_fast

from syncd.sources.ldap import ber
from syncd.sources.ldap.answers import plain, words
from syncd.sources.ldap.options import Endpoint

RawEntry = tuple[bytes, ber.RawAttributes]
"""DN and attributes, as the server sent them."""

_RECEIVE: Final = 256 * 1024
_LARGEST_MESSAGE: Final = 1 << 29
"""512 MiB: a group of five million members. A server that announces more is no directory."""


class Broken(Exception):
    """The connection can't be used any more; the text says why."""


class DeadlinePassed(Broken):
    """A reading took longer than its deadline."""


class VerifiedTls(Tls):
    """TLS in which OpenSSL verifies the certificate and the name (or address) that it was issued for."""

    def __init__(self, ca_file: Path | None) -> None:
        """Load the certificate authorities. Raises OSError (ssl.SSLError is one)."""
        super().__init__(validate=ssl.CERT_REQUIRED)
        self.context = ssl.create_default_context(cafile=ca_file)
        self.failure: Exception | None = None

    def wrap_socket(self, connection: Any, do_handshake: bool = False) -> None:
        """Agree on TLS now, whatever `do_handshake` says, or raise and keep the reason in `failure`."""
        try:
            # Data that came in clear after the answer to StartTLS was not sent by the holder of the certificate.
            if connection.strategy.unread:
                raise Broken("sent more than its answer before TLS began")
            connection.socket = self.context.wrap_socket(connection.socket, server_hostname=connection.server.host)
        except Exception as error:
            self.failure = error
            raise


class Receiver(SyncStrategy):
    """ldap3's synchronous strategy with a reading half of its own.

    `on_entry(dn, attributes)` is called for every entry of a search as it arrives. Entries that hold a range
    (`member;range=0-1499`) come into `ranged` instead: more must be asked for before they are complete.
    """

    def __init__(self, connection: Connection, deadline: float) -> None:
        super().__init__(connection)
        self.deadline = deadline
        """On `monotonic`'s clock."""
        self.timeout: float = 1
        """Seconds of silence after which the server counts as gone."""
        self.on_entry: Callable[[bytes, ber.RawAttributes], None] | None = None
        self.ranged: list[RawEntry] = []
        self.references = 0
        """Number of references to other servers; none is ever followed."""
        self.referred: set[bytes] = set()
        """The URLs of the last search's references."""
        self.failures: list[Exception] = []
        """Why the server's addresses could not be connected to, one by one."""
        self._buffer = b""
        self._start = 0

    @property
    def unread(self) -> bool:
        return self._start < len(self._buffer)

    def _open_socket(self, address: Any, use_ssl: bool = False, unix_socket: bool = False) -> None:
        try:
            super()._open_socket(address, use_ssl, unix_socket)  # type: ignore[misc]
        except Exception as error:
            if self.connection.socket is not None:
                self.connection.socket.close()
            cause = error.__context__
            self.failures.append(cause if isinstance(cause, Exception) else error)
            raise

    def _get_response(self, message_id: int, timeout: float | None) -> list[Any]:
        """Read the answer to one request. Raises Broken."""
        try:
            while True:
                buffer, start, end = self._message()
                number, tag, position, stop = ber.operation(buffer, start)
                if number != message_id:
                    raise Broken(self._unasked(buffer[start:end], number))
                if tag == ber.SEARCH_ENTRY:
                    entry = ber.entry(buffer, position, stop)
                    if buffer.find(b";range=", position, stop) >= 0:
                        self.ranged.append(entry)
                    elif self.on_entry is not None:
                        self.on_entry(*entry)
                elif tag == ber.SEARCH_REFERENCE:
                    self.references += 1
                    self.referred.update(ber.references(buffer, position, stop) or (b"",))
                elif tag != ber.INTERMEDIATE:
                    return [self._decoded(buffer[start:end]), RESPONSE_COMPLETE]
        except ber.NotLdap as error:
            raise Broken(f"sent something that is not LDAP: {error}") from None

    def _message(self) -> tuple[bytes, int, int]:
        """Return the next whole message: the buffer that holds it, where it begins and where it ends."""
        start = self._start
        end = ber.end_of_message(self._buffer, start)
        while end is None or end > len(self._buffer):
            self._fill(0 if end is None else end - start)
            start = 0
            end = ber.end_of_message(self._buffer, 0)
        self._start = end
        return self._buffer, start, end

    def _fill(self, wanted: int) -> None:
        """Drop the data already read, and receive at least `wanted` octets in all; any more at all where that is 0."""
        if wanted > _LARGEST_MESSAGE:
            raise Broken(f"announces a message of {wanted} octets")
        pieces = [self._buffer[self._start :]]
        total = len(pieces[0])
        # Joined once at the end: adding up piece by piece is quadratic, and a group of 100,000 is one message.
        while not (pieces[1:] and total >= wanted):
            pieces.append(self._received())
            total += len(pieces[-1])
        self._buffer, self._start = b"".join(pieces), 0

    def _received(self) -> bytes:
        left = self.deadline - monotonic()
        if left <= 0:
            raise DeadlinePassed("the deadline for the whole reading has passed")
        try:
            self.connection.socket.settimeout(min(self.timeout, left))
            received: bytes = self.connection.socket.recv(_RECEIVE)
        except TimeoutError:
            if left <= self.timeout:
                raise DeadlinePassed("the deadline for the whole reading has passed") from None
            raise Broken(f"sent nothing for {self.timeout:g} seconds") from None
        except (OSError, AttributeError) as error:
            raise Broken(f"the connection broke: {plain(str(error))}") from None
        if not received:
            raise Broken("the server closed the connection")
        return received

    def _decoded(self, message: bytes) -> dict[str, Any]:
        try:
            decoded = decode_message_fast(message)  # type: ignore[no-untyped-call]
            response: dict[str, Any] = self.decode_response_fast(decoded)  # type: ignore[no-untyped-call]
        except Exception as error:  # ldap3 raises any error of its indexing
            raise Broken(f"sent an answer that can't be read ({type(error).__name__})") from None
        return response

    def _unasked(self, message: bytes, number: int) -> str:
        """Return the meaning of an unsolicited message. RFC 4511 section 4.4: a notice of disconnection."""
        if number == 0:
            notice = self._decoded(message)
            if "result" in notice:
                return f"the server ended the session: {words(notice)}"
        return f"answered a request that was not made (message {number})"


class DirectConnection(Connection):
    """One connection to one server: synchronous, read-only, following no referral, completing no range by itself."""

    def __init__(self, server: Endpoint, tls: VerifiedTls | None, connect_timeout: int, deadline: float) -> None:
        super().__init__(
            Server(
                server.host,
                server.port,
                use_ssl=server.tls,
                tls=tls,
                get_info=NONE,
                connect_timeout=connect_timeout,
                allowed_referral_hosts=[],
            ),
            authentication=ANONYMOUS,
            client_strategy=SYNC,
            auto_referrals=False,
            auto_range=False,
            check_names=False,
            read_only=True,
            return_empty_attributes=False,
            raise_exceptions=False,
            # Bounds the TLS handshake and each request; the receiver sets its own time before every read.
            receive_timeout=connect_timeout,
            # Filters are checked and escaped before they come here: ldap3 guesses what needs escaping.
            auto_escape=False,
        )
        self.receiver = Receiver(self, deadline)
        self.receiver.timeout = connect_timeout
        self.strategy = self.receiver
        self.send = self.receiver.send
        self.open = self.receiver.open
        self.get_response = self.receiver.get_response
        self.post_send_single_response = self.receiver.post_send_single_response
        self.post_send_search = self.receiver.post_send_search
