"""Servers on loopback that take notices, or don't: a webhook's, and an SMTP server."""

from __future__ import annotations

import asyncio
import socket
import ssl
import threading
import warnings
from base64 import b64encode
from collections.abc import AsyncIterator, Callable, Iterator
from contextlib import asynccontextmanager, contextmanager, suppress
from dataclasses import dataclass, field
from email import message_from_bytes
from email.message import EmailMessage
from email.policy import default
from http.server import BaseHTTPRequestHandler, ThreadingHTTPServer
from typing import Any

import orjson
from aiosmtpd.smtp import SMTP, AuthResult, Envelope, LoginPassword, Session

from tests.servers.tls import Certificate

PATH = "/services/T00/B00/s3cr3tpath"
"""What nobody but the server may ever see of a webhook's address."""


def serving(certificate: Certificate) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate.certificate, certificate.key)
    return context


# -- HTTP ------------------------------------------------------------------------------------------------


@dataclass
class Hook:
    """A webhook's server: what it was sent, and how it answers from now on."""

    port: int = 0
    scheme: str = "http"
    got: list[dict[str, Any]] = field(default_factory=list)
    headers: list[dict[str, str]] = field(default_factory=list)
    answer: Callable[[BaseHTTPRequestHandler], None] = field(default=lambda handler: reply(handler, 200))
    over: threading.Event = field(default_factory=threading.Event)
    """Set when the test is over: whoever hangs until then goes on."""

    @property
    def url(self) -> str:
        return f"{self.scheme}://127.0.0.1:{self.port}{PATH}"


def reply(handler: BaseHTTPRequestHandler, status: int, body: bytes = b"ok", **headers: str) -> None:
    handler.send_response(status)
    for name, value in headers.items():
        handler.send_header(name.replace("_", "-"), value)
    handler.send_header("Content-Length", str(len(body)))
    handler.end_headers()
    handler.wfile.write(body)


@contextmanager
def webhook_server(certificate: Certificate | None = None) -> Iterator[Hook]:
    """Run a webhook's server for as long as the block lasts."""
    hook = Hook(scheme="https" if certificate else "http")

    class Handler(BaseHTTPRequestHandler):
        def do_POST(self) -> None:
            body = self.rfile.read(int(self.headers["Content-Length"]))
            assert self.path == PATH
            hook.got.append(orjson.loads(body))
            hook.headers.append(dict(self.headers))
            hook.answer(self)

        def log_message(self, *args: object) -> None:
            pass

    class Server(ThreadingHTTPServer):
        def handle_error(self, request: Any, client_address: Any) -> None:
            pass  # whoever hangs up, or speaks no TLS

    with Server(("127.0.0.1", 0), Handler) as server:
        if certificate:
            context = serving(certificate)
            server.socket = context.wrap_socket(server.socket, server_side=True, do_handshake_on_connect=False)
        hook.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield hook
        finally:
            hook.over.set()
            server.shutdown()
            thread.join()


@dataclass
class Proxy:
    """A proxy that lets through to whatever is asked for, whoever has said the right `user:password`."""

    port: int = 0
    login: str = ""
    asked: list[str] = field(default_factory=list)


@contextmanager
def proxy_server(login: str = "") -> Iterator[Proxy]:
    """Run a proxy that knows CONNECT (RFC 9110 section 9.3.6) for as long as the block lasts."""
    proxy = Proxy(login=login)

    class Handler(BaseHTTPRequestHandler):
        def do_CONNECT(self) -> None:
            proxy.asked.append(self.path)
            wanted = f"Basic {b64encode(proxy.login.encode()).decode()}" if proxy.login else None
            if self.headers["Proxy-Authorization"] != wanted:
                reply(self, 407, b"for whom? " + self.headers.as_bytes())
                return
            host, _, port = self.path.rpartition(":")
            with socket.create_connection((host, int(port))) as there:
                self.send_response(200)
                self.end_headers()
                ways = ((self.connection, there), (there, self.connection))
                threads = [threading.Thread(target=_pass_on, args=way) for way in ways]
                for thread in threads:
                    thread.start()
                for thread in threads:
                    thread.join()

        def log_message(self, *args: object) -> None:
            pass

    with ThreadingHTTPServer(("127.0.0.1", 0), Handler) as server:
        proxy.port = server.server_port
        thread = threading.Thread(target=server.serve_forever, kwargs={"poll_interval": 0.01})
        thread.start()
        try:
            yield proxy
        finally:
            server.shutdown()
            thread.join()


def _pass_on(here: socket.socket, there: socket.socket) -> None:
    with suppress(OSError):
        while data := here.recv(65_536):
            there.sendall(data)
    for each in (here, there):
        with suppress(OSError):
            each.shutdown(socket.SHUT_RDWR)


# -- SMTP ------------------------------------------------------------------------------------------------


@dataclass
class Mailbox:
    """An SMTP server: what it took, and what it answers from now on ("": it takes it)."""

    port: int = 0
    took: list[EmailMessage] = field(default_factory=list)
    to: list[list[str]] = field(default_factory=list)
    encrypted: list[bool] = field(default_factory=list)
    users: list[str] = field(default_factory=list)
    answer: str = ""
    refused: frozenset[str] = frozenset()

    async def handle_RCPT(  # noqa: N802 - aiosmtpd's name
        self, server: SMTP, session: Session, envelope: Envelope, address: str, options: list[str]
    ) -> str:
        if address in self.refused:
            return "550 5.1.1 no such user"
        envelope.rcpt_tos.append(address)
        return "250 OK"

    async def handle_DATA(self, server: SMTP, session: Session, envelope: Envelope) -> str:  # noqa: N802
        if self.answer:
            return self.answer
        assert isinstance(envelope.content, bytes)
        message = message_from_bytes(envelope.content, policy=default)
        assert isinstance(message, EmailMessage)
        self.took.append(message)
        self.to.append(list(envelope.rcpt_tos))
        transport = server.transport
        assert transport is not None
        self.encrypted.append(transport.get_extra_info("ssl_object") is not None)
        return "250 OK"

    def authenticated(
        self, server: SMTP, session: Session, envelope: Envelope, mechanism: str, data: Any
    ) -> AuthResult:
        assert isinstance(data, LoginPassword)
        good = (data.login, data.password) == (b"syncd", b"correct horse")
        if good:
            self.users.append(data.login.decode())
        return AuthResult(success=good, handled=False)


@asynccontextmanager
async def smtp_server(
    certificate: Certificate | None = None, security: str = "none", *, auth: bool = False
) -> AsyncIterator[Mailbox]:
    """Run an SMTP server in this event loop for as long as the block lasts."""
    mailbox = Mailbox()
    context = serving(certificate) if certificate else None

    def protocol() -> SMTP:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # it can't know that everything is encrypted around it
            return SMTP(
                mailbox,
                hostname="mail.example.com",
                loop=asyncio.get_running_loop(),
                tls_context=context if security == "starttls" else None,
                require_starttls=security == "starttls",
                authenticator=mailbox.authenticated if auth else None,
                auth_required=auth,
                auth_require_tls=security == "starttls",
            )

    tls = context if security == "tls" else None
    server = await asyncio.get_running_loop().create_server(protocol, "127.0.0.1", 0, ssl=tls)
    mailbox.port = server.sockets[0].getsockname()[1]
    try:
        yield mailbox
    finally:
        server.close()
        await server.wait_closed()


Talk = Callable[[asyncio.StreamReader, asyncio.StreamWriter], Any]


@asynccontextmanager
async def talking(talk: Talk) -> AsyncIterator[int]:
    """Run a server that talks to whoever connects as it likes; yields its port."""
    tasks: set[asyncio.Task[Any]] = set()

    async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        tasks.add(task)
        try:
            await talk(reader, writer)
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            writer.close()

    server = await asyncio.start_server(connected, "127.0.0.1", 0)
    try:
        yield server.sockets[0].getsockname()[1]
    finally:
        server.close()
        for task in tasks:
            task.cancel()
        await server.wait_closed()
