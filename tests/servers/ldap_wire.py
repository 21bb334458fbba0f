"""An LDAP server with scripted answers to every request, for behaviour that no real server can be made to show."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Callable, Iterable, Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from threading import Event, Thread
from typing import Self

from tests.servers.tls import Certificate

BIND, UNBIND, SEARCH, EXTENDED = 0x60, 0x42, 0x63, 0x77
PAGED_RESULTS = b"1.2.840.113556.1.4.319"


@dataclass(frozen=True)
class Request:
    """One request as it came: message id, the tag of its operation, and everything in it."""

    id: int
    operation: int
    content: bytes


Answer = Callable[[Request], Iterable[bytes]]


def ber(tag: int, content: bytes) -> bytes:
    """Return one BER element."""
    length = len(content)
    if length < 0x80:
        return bytes([tag, length]) + content
    octets = length.to_bytes((length.bit_length() + 7) // 8, "big")
    return bytes([tag, 0x80 | len(octets)]) + octets + content


def message(number: int, operation: bytes, controls: bytes = b"") -> bytes:
    identifier = ber(0x02, number.to_bytes(4, "big"))
    return ber(0x30, identifier + operation + (ber(0xA0, controls) if controls else b""))


def result(operation: int, code: int = 0, text: str = "", *, matched: str = "", referral: str = "") -> bytes:
    """Return an LDAPResult as the answer of that tag."""
    content = ber(0x0A, bytes([code])) + ber(0x04, matched.encode()) + ber(0x04, text.encode())
    return ber(operation, content + (ber(0xA3, ber(0x04, referral.encode())) if referral else b""))


def bound(request: Request, code: int = 0, text: str = "") -> bytes:
    return message(request.id, result(0x61, code, text))


def entry(request: Request, dn: str, attributes: Mapping[str, Iterable[bytes]]) -> bytes:
    listed = b"".join(
        ber(0x30, ber(0x04, name.encode()) + ber(0x31, b"".join(ber(0x04, value) for value in values)))
        for name, values in attributes.items()
    )
    return message(request.id, ber(0x64, ber(0x04, dn.encode()) + ber(0x30, listed)))


def reference(request: Request, url: str) -> bytes:
    return message(request.id, ber(0x73, ber(0x04, url.encode())))


def done(
    request: Request,
    code: int = 0,
    text: str = "",
    *,
    cookie: bytes | None = b"",
    matched: str = "",
    referral: str = "",
) -> bytes:
    """Return the end of a search; without a cookie (None) there is no paged-results control."""
    controls = b""
    if cookie is not None:
        value = ber(0x30, ber(0x02, b"\0") + ber(0x04, cookie))
        controls = ber(0x30, ber(0x04, PAGED_RESULTS) + ber(0x04, value))
    return message(request.id, result(0x65, code, text, matched=matched, referral=referral), controls)


def person(request: Request, number: int) -> bytes:
    """Return an entry with a uid and an entryUUID made of the number."""
    dn = f"uid=u{number},ou=people,dc=example,dc=com"
    key = f"00000000-0000-4000-8000-{number:012d}".encode()
    return entry(request, dn, {"entryUUID": [key], "uid": [f"u{number}".encode()]})


@dataclass
class Scripted:
    """Listens on loopback; binds are granted, and `answer` says what is sent for anything else. A context manager.

    An answer that raises ConnectionAbortedError closes the connection at that point. With a certificate it speaks
    TLS from the first byte. `requests` and `received` hold what came, over all connections.
    """

    answer: Answer
    certificate: Certificate | None = None
    bind: Answer = field(default=lambda request: [bound(request)])
    host: str = "127.0.0.1"
    requests: list[Request] = field(default_factory=list)
    received: bytearray = field(default_factory=bytearray)
    connections: int = 0
    closing: Event = field(default_factory=Event)
    """Set when the test is over: what an answer that takes its time waits for."""

    def __enter__(self) -> Self:
        self._listener = socket.create_server(
            (self.host, 0), family=socket.AF_INET6 if ":" in self.host else socket.AF_INET
        )
        self._open: list[socket.socket] = []
        self._threads: list[Thread] = []
        self._context = None
        if self.certificate is not None:
            self._context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            self._context.load_cert_chain(self.certificate.certificate, self.certificate.key)
        self._start(self._accept)
        return self

    def __exit__(self, *exc: object) -> None:
        self.closing.set()
        for opened in (self._listener, *self._open):
            with suppress(OSError):
                opened.shutdown(socket.SHUT_RDWR)
            opened.close()
        for thread in self._threads:
            thread.join(10)
            assert not thread.is_alive()

    @property
    def port(self) -> int:
        port: int = self._listener.getsockname()[1]
        return port

    @property
    def url(self) -> str:
        host = f"[{self.host}]" if ":" in self.host else self.host
        return f"{'ldaps' if self.certificate else 'ldap'}://{host}:{self.port}"

    @property
    def operations(self) -> list[int]:
        return [request.operation for request in self.requests]

    def _start(self, target: Callable[..., None], *arguments: object) -> None:
        thread = Thread(target=target, args=arguments, daemon=True)
        self._threads.append(thread)
        thread.start()

    def _accept(self) -> None:
        while True:
            try:
                connection, _ = self._listener.accept()
            except OSError:
                return
            self.connections += 1
            self._open.append(connection)
            self._start(self._serve, connection)

    def _serve(self, connection: socket.socket) -> None:
        try:
            if self._context is not None:
                connection = self._context.wrap_socket(connection, server_side=True)
                self._open.append(connection)
            for request in self._incoming(connection):
                self.requests.append(request)
                if request.operation == UNBIND:
                    break
                answer = self.bind if request.operation == BIND else self.answer
                for piece in answer(request):
                    connection.sendall(piece)
        except OSError:
            pass
        finally:
            connection.close()

    def _incoming(self, connection: socket.socket) -> Iterator[Request]:
        buffer = b""
        while True:
            while (whole := _request(buffer)) is None:
                more = connection.recv(65536)
                if not more:
                    return
                self.received += more
                buffer += more
                if buffer[:1] != b"\x30":  # TLS, where a script speaks in clear
                    return
            request, length = whole
            buffer = buffer[length:]
            yield request


def _request(buffer: bytes) -> tuple[Request, int] | None:
    """Return the first request in a buffer and its length, or None while it isn't all there."""
    content = _element(buffer)
    if content is None:
        return None
    start, end = content
    identifier = _element(buffer[start:end])
    assert identifier is not None
    number = int.from_bytes(buffer[start + identifier[0] : start + identifier[1]], "big")
    operation = start + identifier[1]
    return Request(number, buffer[operation], buffer[operation:end]), end


def _element(buffer: bytes) -> tuple[int, int] | None:
    """Return where the content of the first BER element begins and ends, or None while it isn't all there."""
    if len(buffer) < 2:
        return None
    start, length = 2, buffer[1]
    if length >= 0x80:
        start += length & 0x7F
        length = int.from_bytes(buffer[2:start], "big")
    return (start, start + length) if len(buffer) >= start + length else None
