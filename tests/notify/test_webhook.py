"""A webhook: the posted body, no redirects, and no trace of the address in messages."""

from __future__ import annotations

import asyncio
import logging
import socket
import ssl
import traceback
from collections.abc import Iterator
from http.server import BaseHTTPRequestHandler
from pathlib import Path
from typing import Any

import pytest

from syncd.notify.channel import Undelivered
from syncd.notify.notice import webhook_body
from syncd.notify.webhook import Webhook
from tests.notify.servers import PATH, Hook, proxy_server, reply, talking, webhook_server
from tests.notify.test_notice import NOTICE
from tests.servers.tls import Authority


@pytest.fixture
def hook() -> Iterator[Hook]:
    with webhook_server() as hook:
        yield hook


def send(url: str, **options: Any) -> None:
    asyncio.run(Webhook(lambda: url, **options).send(NOTICE))


def refusal(url: str, **options: Any) -> str:
    """Return why it was not delivered, making sure that nothing of the address is said, by whatever way."""
    with pytest.raises(Undelivered) as caught:
        send(url, **options)
    assert "s3cr3t" not in "".join(traceback.format_exception(caught.value))
    return str(caught.value)


def answer(hook: Hook, status: int, body: bytes = b"ok", **headers: str) -> None:
    hook.answer = lambda handler: reply(handler, status, body, **headers)


def test_a_notice_is_posted_as_json_with_its_id(hook: Hook) -> None:
    send(hook.url)
    assert hook.got == [webhook_body(NOTICE)]
    (headers,) = hook.headers
    assert headers["Content-Type"] == "application/json"
    assert headers["Idempotency-Key"] == NOTICE.id
    assert headers["User-Agent"] == "syncd"


@pytest.mark.parametrize("status", [200, 201, 202, 204])
def test_any_success_is_one(hook: Hook, status: int) -> None:
    answer(hook, status, b"" if status == 204 else b"ok")
    send(hook.url)


@pytest.mark.parametrize(
    ("status", "body", "said"),
    [
        (500, b"<html>oh no</html>", "it answers 500"),
        (404, b"no_team", "it answers 404: no_team"),
        (410, b"channel_is_archived\n", "it answers 410: channel_is_archived"),
        (404, f"Cannot POST {PATH}".encode(), "it answers 404"),
        (400, b"invalid_\x1b[2J", "it answers 400"),
        (400, b"a_" * 4000, "it answers 400"),
        (503, b"", "it answers 503"),
    ],
)
def test_what_it_answers_is_said_where_it_holds_nothing_of_the_address(
    hook: Hook, status: int, body: bytes, said: str
) -> None:
    answer(hook, status, body)
    assert refusal(hook.url) == said


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_no_redirect_is_followed(hook: Hook, status: int) -> None:
    with webhook_server() as elsewhere:
        answer(hook, status, Location=elsewhere.url)
        said = refusal(hook.url)
        assert elsewhere.got == []
    assert said == f"it redirects ({status}), which is not followed: configure the address itself"
    assert len(hook.got) == 1


@pytest.mark.parametrize(
    ("value", "seconds"), [("120", 120.0), ("0", 0.0), ("soon", 0.0), ("-5", 0.0), ("9" * 400, 0.0), ("nan", 0.0)]
)
def test_who_asks_to_be_left_alone_is_understood(hook: Hook, value: str, seconds: float) -> None:
    answer(hook, 429, b"rate_limited", Retry_After=value)
    with pytest.raises(Undelivered) as caught:
        send(hook.url)
    assert caught.value.retry_after == seconds


def test_who_never_answers_is_waited_for_no_longer_than_that(hook: Hook) -> None:
    def hang(handler: BaseHTTPRequestHandler) -> None:
        hook.over.wait()

    hook.answer = hang
    assert refusal(hook.url, silence=0.2) == "no answer in time"


def test_who_answers_ever_so_slowly_neither() -> None:
    async def drip(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        writer.write(b"HTTP/1.1 200 OK\r\n")
        while True:
            writer.write(b"X: y\r\n")
            await writer.drain()
            await asyncio.sleep(0.01)

    async def go() -> None:
        async with talking(drip) as port:
            await Webhook(lambda: f"http://127.0.0.1:{port}{PATH}", deadline=0.3).send(NOTICE)

    with pytest.raises(Undelivered, match="no answer in time"):
        asyncio.run(go())


def test_of_an_endless_answer_no_more_is_read_than_it_takes(hook: Hook) -> None:
    written = 0

    def endless(handler: BaseHTTPRequestHandler) -> None:
        nonlocal written
        handler.send_response(500)
        handler.send_header("Content-Encoding", "gzip")
        handler.end_headers()
        try:
            while not hook.over.is_set():
                written += handler.wfile.write(b"x" * 65536)
        except OSError:
            pass

    hook.answer = endless
    assert refusal(hook.url) == "it answers 500"
    assert written < 64 * 1024 * 1024


def test_who_hangs_up_has_not_taken_it(hook: Hook) -> None:
    hook.answer = lambda handler: handler.connection.shutdown(socket.SHUT_RDWR)
    assert refusal(hook.url) == "the connection was broken off before it had answered"
    hook.answer = _half
    assert refusal(hook.url) == "the connection was broken off before it had answered"


def _half(handler: BaseHTTPRequestHandler) -> None:
    handler.wfile.write(b"HTTP/1.1 2")
    handler.wfile.flush()
    handler.connection.shutdown(socket.SHUT_RDWR)


def test_where_nobody_listens_that_is_said() -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        assert refusal(f"http://127.0.0.1:{port}{PATH}").startswith("it can't be reached")


def test_a_name_that_nobody_has_can_not_be_reached() -> None:
    assert refusal(f"https://nobody.invalid{PATH}").startswith("it can't be reached")


def test_without_tls_no_authorities_are_loaded(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(ssl, "create_default_context", lambda **named: loaded.append(named))
    send(hook.url)
    assert loaded == []


def test_no_proxy_of_the_environment_is_used(hook: Hook, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("HTTP_PROXY", "http_proxy", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://127.0.0.1:9")
    send(hook.url)
    assert len(hook.got) == 1


def test_the_address_is_in_no_log_however_much_is_logged(hook: Hook, caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)
    send(hook.url)
    answer(hook, 500)
    refusal(hook.url)
    assert "s3cr3t" not in caplog.text


def test_an_address_that_can_not_be_read_is_said_without_it() -> None:
    def missing() -> str:
        raise ValueError("notify.webhook.url: the environment variable HOOK is not set")

    with pytest.raises(Undelivered, match="the environment variable HOOK is not set"):
        asyncio.run(Webhook(missing).send(NOTICE))


# -- TLS -------------------------------------------------------------------------------------------------


def test_a_server_that_an_authority_vouches_for_is_told(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    with webhook_server(authority.issue("127.0.0.1")) as hook:
        send(hook.url, ca_file=authority.file)
        assert hook.got == [webhook_body(NOTICE)]


def test_any_other_server_is_told_nothing(tmp_path: Path) -> None:
    authority, stranger = Authority(tmp_path), Authority(tmp_path, "Stranger")
    for certificate, ca_file in (
        (authority.issue("127.0.0.1"), None),
        (authority.issue("127.0.0.1"), stranger.file),
        (authority.issue("elsewhere.example"), authority.file),
        (authority.issue("127.0.0.1", expired=True), authority.file),
    ):
        with webhook_server(certificate) as hook:
            assert refusal(hook.url, ca_file=ca_file).startswith("the certificate is not accepted: ")
            assert hook.got == []


def test_a_file_of_authorities_that_is_none_is_said(tmp_path: Path) -> None:
    missing, empty = tmp_path / "missing.pem", tmp_path / "empty.pem"
    empty.write_text("nothing\n")
    hint = "`ca_file` is to be a file of certificates in PEM form"
    assert refusal("https://127.0.0.1/", ca_file=missing) == f"{missing}: No such file or directory; {hint}"
    assert refusal("https://127.0.0.1/", ca_file=empty).endswith(hint)


def test_what_speaks_no_tls_is_no_server() -> None:
    with webhook_server() as hook:
        assert refusal(hook.url.replace("http:", "https:")).startswith("TLS fails: ")


def test_a_configured_proxy_sees_where_it_goes_and_nothing_of_the_address(tmp_path: Path) -> None:
    authority = Authority(tmp_path)
    login = ("syncd", "s3cr3tlogin")
    with webhook_server(authority.issue("127.0.0.1")) as hook, proxy_server(":".join(login)) as proxy:
        through = {"ca_file": authority.file, "proxy": f"http://127.0.0.1:{proxy.port}"}
        send(hook.url, **through, proxy_auth=lambda: login)
        assert hook.got == [webhook_body(NOTICE)]
        assert "Proxy-Authorization" not in hook.headers[0]
        assert refusal(hook.url, **through) == "the proxy answers 407"
        assert proxy.asked == [f"127.0.0.1:{hook.port}"] * 2
        assert len(hook.got) == 1
    assert refusal(hook.url, **through).startswith("it can't be reached")
