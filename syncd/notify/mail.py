"""Sends notices as e-mail over SMTP, encrypted and with a verified certificate unless the server is this machine.

A thread of its own speaks SMTP, and nobody waits for it when syncd ends.
"""

from __future__ import annotations

import asyncio
import smtplib
import socket
import ssl
import threading
from collections.abc import Callable, Sequence
from contextlib import suppress
from dataclasses import dataclass
from datetime import UTC, tzinfo
from email.message import EmailMessage
from pathlib import Path
from typing import Final, Literal

import structlog

from syncd.hooks.tls import tls_problem
from syncd.notify.channel import Undelivered, trusting
from syncd.notify.notice import Notice, email
from syncd.report.words import visible

log = structlog.get_logger()

Security = Literal["starttls", "tls", "none"]
_SECONDS: Final = 15.0
"""The longest silence of the server …"""
_DEADLINE: Final = 60.0
"""… and the longest time for everything together."""
_WORDS: Final = 200


@dataclass(frozen=True)
class MailServer:
    """The server that takes the e-mail. `password` is called each time, and may raise ValueError."""

    host: str
    port: int
    security: Security
    user: str = ""
    password: Callable[[], str] | None = None
    ca_file: Path | None = None


class Mail:
    """E-mail to some people, through one server."""

    name = "email"

    def __init__(
        self,
        server: MailServer,
        sender: str,
        to: Sequence[str],
        *,
        hostname: str,
        zone: tzinfo = UTC,
        silence: float = _SECONDS,
        deadline: float = _DEADLINE,
    ) -> None:
        self._server = server
        self._sender = sender
        self._to = list(to)
        self._hostname = hostname
        self._zone = zone
        self._silence = silence
        self._deadline = deadline

    async def send(self, notice: Notice) -> None:
        """Send one notice. Raises Undelivered; one refused recipient of several is only named in the log."""
        message = email(notice, self._sender, self._to, self._hostname, self._zone)
        loop = asyncio.get_running_loop()
        ended: asyncio.Future[None] = loop.create_future()
        conversation = _Conversation(self._server, self._sender, self._to, message, self._hostname, self._silence)

        def converse() -> None:
            problem: BaseException | None = None
            try:
                conversation.run()
            except BaseException as error:
                problem = error
            with suppress(RuntimeError):  # the loop is over, and nobody waits
                loop.call_soon_threadsafe(_end, ended, problem)

        threading.Thread(target=converse, name="smtp", daemon=True).start()
        try:
            async with asyncio.timeout(self._deadline):
                await ended
        except TimeoutError:
            raise Undelivered("no answer in time") from None
        finally:
            conversation.hang_up()


def _end(future: asyncio.Future[None], problem: BaseException | None) -> None:
    if future.done():
        return
    if problem is None:
        future.set_result(None)
    else:
        future.set_exception(problem)


class _Conversation:
    """One connection to the server, from the greeting to QUIT. Any thread may hang up."""

    def __init__(
        self,
        server: MailServer,
        sender: str,
        to: Sequence[str],
        message: EmailMessage,
        hostname: str,
        silence: float,
    ) -> None:
        self._server = server
        self._sender = sender
        self._to = to
        self._message = message
        self._hostname = hostname
        self._silence = silence
        self._place = f"{server.host}:{server.port}"
        self._smtp: smtplib.SMTP | None = None

    def run(self) -> None:
        """Hold it. Raises Undelivered."""
        try:
            password = self._server.password().strip() if self._server.password is not None else ""
        except ValueError as error:
            raise Undelivered(str(error)) from None
        try:
            smtp = self._smtp = self._connected()
            try:
                if self._server.security == "starttls":
                    smtp.starttls(context=trusting(self._server.ca_file))
                if self._server.user:
                    smtp.login(self._server.user, password)
                refused = smtp.sendmail(self._sender, list(self._to), self._message.as_bytes())
                with suppress(smtplib.SMTPException, OSError):  # the message is accepted, whatever comes now
                    smtp.quit()
            finally:
                smtp.close()
        except smtplib.SMTPAuthenticationError as error:
            # Not the server's words: these may repeat secrets that the server was sent.
            raise Undelivered(f"{self._server.host} refuses user and password ({error.smtp_code})") from None
        except smtplib.SMTPRecipientsRefused as error:
            (code, words), *_ = error.recipients.values()
            raise Undelivered(f"{self._server.host} takes mail for none of `to`: {code} {_words(words)}") from None
        except smtplib.SMTPResponseException as error:
            if error.smtp_code < 0:
                raise Undelivered(f"what answers at {self._place} is no mail server") from None
            raise Undelivered(f"{self._server.host} answers {error.smtp_code} {_words(error.smtp_error)}") from None
        except smtplib.SMTPNotSupportedError as error:
            raise Undelivered(f"{self._server.host}: {error}") from None
        except ssl.SSLError as error:
            raise Undelivered(f"{self._server.host}: {tls_problem(error)}") from None
        except (OSError, smtplib.SMTPException, ValueError) as error:
            cause = error.__context__ if isinstance(error, smtplib.SMTPServerDisconnected) else error
            what = "the connection was broken off"
            if isinstance(cause, TimeoutError):
                what = "no answer in time"
            elif isinstance(cause, OSError) and cause.strerror:
                what = cause.strerror
            raise Undelivered(f"{self._place}: {what}") from None
        if refused:
            log.warning("email_recipients_refused", to=sorted(refused), host=self._server.host)

    def hang_up(self) -> None:
        """End the connection, even while another thread waits for an answer."""
        sock: socket.socket | None = getattr(self._smtp, "sock", None)
        if sock is not None:
            with suppress(OSError):
                sock.shutdown(socket.SHUT_RDWR)

    def _connected(self) -> smtplib.SMTP:
        server = self._server
        host = self._hostname.encode("ascii", "replace").decode() or "localhost"
        if server.security == "tls":
            context = trusting(server.ca_file)
            return smtplib.SMTP_SSL(
                server.host, server.port, local_hostname=host, timeout=self._silence, context=context
            )
        return smtplib.SMTP(server.host, server.port, local_hostname=host, timeout=self._silence)


def _words(answer: bytes | str) -> str:
    text = answer.decode("utf-8", "replace") if isinstance(answer, bytes) else answer
    return visible(" ".join(text.split())[:_WORDS])
