"""E-mail over SMTP, to a real server on loopback: encrypted, to whom it was meant, and told apart when it fails."""

from __future__ import annotations

import asyncio
import traceback
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import structlog

from syncd.notify.channel import Undelivered
from syncd.notify.mail import Mail, MailServer
from syncd.notify.notice import email_subject, email_text
from tests.notify.servers import Mailbox, smtp_server, talking
from tests.notify.test_notice import NOTICE, TO, text_of, titled
from tests.servers.tls import Authority

PASSWORD = "correct horse"


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


@pytest.fixture
def stranger(tmp_path: Path) -> Authority:
    return Authority(tmp_path, "Stranger")


def mail(port: int, security: Any = "none", *, host: str = "127.0.0.1", **facts: Any) -> Mail:
    limits = {name: facts.pop(name) for name in ("silence", "deadline") if name in facts}
    server = MailServer(host, port, security, **facts)
    return Mail(server, "syncd@example.com", TO, hostname="id1.example.com", **limits)


def login(password: str = PASSWORD) -> dict[str, Any]:
    return {"user": "syncd", "password": lambda: password}


def delivered(certificate: Any = None, security: str = "none", *, auth: bool = False, **facts: Any) -> Mailbox:
    """Send the notice to a server that is as told; return its mailbox."""

    async def go() -> Mailbox:
        async with smtp_server(certificate, security, auth=auth) as mailbox:
            await mail(mailbox.port, security, **facts).send(NOTICE)
        return mailbox

    return asyncio.run(go())


def refusal(
    certificate: Any = None,
    security: str = "none",
    *,
    offered: str = "",
    auth: bool = False,
    change: Callable[[Mailbox], None] = lambda mailbox: None,
    **facts: Any,
) -> str:
    """Return why it was not delivered; `offered`: what the server does where that differs from what is asked of it."""

    async def go() -> Mailbox:
        async with smtp_server(certificate, offered or security, auth=auth) as mailbox:
            change(mailbox)
            with pytest.raises(Undelivered) as caught:
                await mail(mailbox.port, security, **facts).send(NOTICE)
            assert PASSWORD not in "".join(traceback.format_exception(caught.value))
            said.append(str(caught.value))
        return mailbox

    said: list[str] = []
    mailbox = asyncio.run(go())
    assert mailbox.took == []
    return said[0]


def test_a_notice_arrives_at_everybody_it_is_for() -> None:
    mailbox = delivered()
    (message,) = mailbox.took
    assert message["Subject"] == email_subject(NOTICE)
    assert text_of(message) == email_text(NOTICE)
    assert mailbox.to == [TO]


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_it_is_encrypted_and_handed_in_by_user_and_password(authority: Authority, security: str) -> None:
    certificate = authority.issue("127.0.0.1")
    mailbox = delivered(certificate, security, auth=True, ca_file=authority.file, **login())
    assert (mailbox.encrypted, mailbox.users) == ([True], ["syncd"])


@pytest.mark.parametrize("security", ["starttls", "tls"])
def test_nobody_else_is_told_anything(authority: Authority, stranger: Authority, security: str) -> None:
    for certificate, ca_file in (
        (authority.issue("127.0.0.1"), None),
        (authority.issue("127.0.0.1"), stranger.file),
        (authority.issue("mail.example.com"), authority.file),
        (authority.issue("127.0.0.1", expired=True), authority.file),
    ):
        said = refusal(certificate, security, auth=True, ca_file=ca_file, **login())
        assert said.startswith("127.0.0.1: the certificate is not accepted: ")


def test_where_no_encryption_is_offered_nothing_is_sent() -> None:
    assert refusal(security="starttls", offered="none") == "127.0.0.1: STARTTLS extension not supported by server."


def test_a_wrong_password_is_said_without_it(authority: Authority) -> None:
    certificate = authority.issue("127.0.0.1")
    said = refusal(certificate, "starttls", auth=True, ca_file=authority.file, **login("correct horse battery"))
    assert said == "127.0.0.1 refuses user and password (535)"


def test_a_password_that_can_not_be_read_is_said() -> None:
    def missing() -> str:
        raise ValueError("notify.email.password: /etc/x is empty")

    assert refusal(user="syncd", password=missing) == "notify.email.password: /etc/x is empty"


def test_what_a_server_answers_is_said_in_one_visible_line() -> None:
    def full(mailbox: Mailbox) -> None:
        mailbox.answer = "452 4.3.1 the disk\x1b[2J   is full"

    assert refusal(change=full) == "127.0.0.1 answers 452 4.3.1 the disk\\u001b[2J is full"


def test_who_is_refused_keeps_it_from_nobody_else(capsys: pytest.CaptureFixture[str]) -> None:
    async def go() -> Mailbox:
        async with smtp_server() as mailbox:
            mailbox.refused = frozenset({TO[0]})
            with structlog.testing.capture_logs() as logs:
                await mail(mailbox.port).send(NOTICE)
            assert logs == [
                {
                    "event": "email_recipients_refused",
                    "log_level": "warning",
                    "to": [TO[0]],
                    "host": "127.0.0.1",
                }
            ]
        return mailbox

    assert asyncio.run(go()).to == [[TO[1]]]


def test_where_all_are_refused_it_is_not_delivered() -> None:
    def nobody(mailbox: Mailbox) -> None:
        mailbox.refused = frozenset(TO)

    assert refusal(change=nobody) == "127.0.0.1 takes mail for none of `to`: 550 5.1.1 no such user"


def test_what_was_taken_is_delivered_though_nobody_says_goodbye() -> None:
    async def curt(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        while (line := await reader.readline()) and not line.startswith(b"quit"):
            if line.startswith(b"data"):
                writer.write(b"354 go on\r\n")
                await reader.readuntil(b"\r\n.\r\n")
                taken.append(True)
            writer.write(b"250 OK\r\n")

    taken: list[bool] = []

    async def go() -> None:
        async with talking(curt) as port:
            await mail(port).send(NOTICE)

    asyncio.run(go())
    assert taken == [True]


def test_a_hostile_name_reaches_the_mailbox_as_text() -> None:
    async def go() -> Mailbox:
        async with smtp_server() as mailbox:
            await mail(mailbox.port).send(titled("Ada\r\nBcc: mallory@example.com", ".", "..", "From me\r\n.\r\nQUIT"))
        return mailbox

    (message,) = asyncio.run(go()).took
    assert "Bcc" not in message
    assert message["Subject"] == "[syncd] Ada\\u000d\\u000aBcc: mallory@example.com"
    assert text_of(message).splitlines()[2:5] == [".", "..", "From me\\u000d\\u000a.\\u000d\\u000aQUIT"]


def test_who_never_greets_is_waited_for_no_longer_than_that() -> None:
    async def silent(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        await reader.read()

    async def go(**limits: float) -> str:
        async with talking(silent) as port:
            with pytest.raises(Undelivered) as caught:
                await mail(port, **limits).send(NOTICE)
        return str(caught.value).replace(str(port), "PORT")

    assert asyncio.run(go(silence=0.2)) == "127.0.0.1:PORT: no answer in time"
    assert asyncio.run(go(deadline=0.2)) == "no answer in time"


def test_who_hangs_up_in_the_middle_has_not_taken_it() -> None:
    async def dies(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"220 mail.example.com\r\n")
        while (line := await reader.readline()) and not line.startswith(b"data"):
            writer.write(b"250 OK\r\n")
        writer.write(b"354 go on\r\n")
        await reader.readline()

    async def go() -> str:
        async with talking(dies) as port:
            with pytest.raises(Undelivered) as caught:
                await mail(port).send(NOTICE)
            return str(caught.value).replace(str(port), "PORT")

    assert asyncio.run(go()) in (
        "127.0.0.1:PORT: the connection was broken off",
        "127.0.0.1:PORT: Connection reset by peer",
    )


def test_what_is_no_mail_server_is_said() -> None:
    async def web(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        await reader.read()

    async def go() -> str:
        async with talking(web) as port:
            with pytest.raises(Undelivered) as caught:
                await mail(port).send(NOTICE)
            return str(caught.value).replace(str(port), "PORT")

    assert asyncio.run(go()) == "what answers at 127.0.0.1:PORT is no mail server"


def test_where_nobody_listens_that_is_said() -> None:
    async def go() -> str:
        async with smtp_server() as mailbox:
            pass
        with pytest.raises(Undelivered) as caught:
            await mail(mailbox.port).send(NOTICE)
        return str(caught.value).replace(str(mailbox.port), "PORT")

    assert asyncio.run(go()) == "127.0.0.1:PORT: Connection refused"
