"""One request: its content, the meaning of its answer, and the protection of the token."""

from __future__ import annotations

import gzip
import logging
import socket
import ssl
from pathlib import Path

import pytest

from syncd.core.model import Kind
from syncd.errors import (
    ScimError,
    SyncdError,
    TargetFailing,
    TargetRedirected,
    TargetRefused,
    TargetUnreachable,
    TargetUnusable,
)
from syncd.scim import wire as module
from syncd.scim.client import Client
from syncd.scim.transport import USER_AGENT, Transport
from tests.endpoints import TOKEN, Endpoint, Reply, Request, Server, error, raw_server, reset
from tests.scim.asking import ask
from tests.servers.tls import Authority

ADA = {"userName": "ada@example.com"}


def read(url: str, id_: str = "u1", *, ca_file: Path | None = None) -> object:
    return ask(url, lambda client: client.read(Kind.USER, id_), ca_file=ca_file).body


# -- what is sent ------------------------------------------------------------------------------------


def test_a_request_says_who_asks_what_it_sends_and_what_it_takes() -> None:
    with Endpoint() as endpoint:
        ask(endpoint.url, lambda client: client.create(Kind.USER, ADA))
        read(endpoint.url)
    post, get = endpoint.requests
    assert post.headers["authorization"] == f"Bearer {TOKEN}"
    assert post.headers["user-agent"] == USER_AGENT
    assert post.headers["accept"] == "application/scim+json, application/json;q=0.9"
    assert post.headers["content-type"] == "application/scim+json"
    assert "content-type" not in get.headers


@pytest.mark.parametrize("ending", ["", "/", "//"])
def test_the_base_address_joins_with_and_without_a_slash(ending: str) -> None:
    with Endpoint() as endpoint:
        ask(endpoint.url + ending, lambda client: client.count(Kind.USER))
    assert [request.path for request in endpoint.requests] == ["/scim/v2/Users"]


@pytest.mark.parametrize(
    ("id_", "target"),
    [
        ("lucid-1234", "/scim/v2/Users/lucid-1234"),
        ("a/b", "/scim/v2/Users/a%2Fb"),
        ("../Groups/g1", "/scim/v2/Users/..%2FGroups%2Fg1"),
        ("a?b#c", "/scim/v2/Users/a%3Fb%23c"),
        ("50%25", "/scim/v2/Users/50%2525"),
        ("ü @+", "/scim/v2/Users/%C3%BC%20%40%2B"),
        ("http://stranger/", "/scim/v2/Users/http%3A%2F%2Fstranger%2F"),
        ("...", "/scim/v2/Users/..."),
    ],
)
def test_an_id_is_one_segment_of_the_path_whatever_it_holds(id_: str, target: str) -> None:
    with Server(lambda _: Reply(200, {"id": "x"})) as server:
        read(server.url, id_)
    assert [request.target for request in server.requests] == [target]


@pytest.mark.parametrize("id_", ["", ".", ".."])
def test_an_id_that_would_turn_into_another_address_is_never_sent(id_: str) -> None:
    with Server(lambda _: Reply(204)) as server:
        with pytest.raises(ScimError, match="not sent"):
            ask(server.url, lambda client: client.delete(Kind.USER, id_))
        assert server.requests == []


def test_proxies_of_the_environment_are_not_used(monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda _: Reply(500)) as proxy, Endpoint() as endpoint:
        for name in ("HTTP_PROXY", "http_proxy", "HTTPS_PROXY", "ALL_PROXY", "all_proxy"):
            monkeypatch.setenv(name, f"http://127.0.0.1:{proxy.port}")
        monkeypatch.delenv("NO_PROXY", raising=False)
        monkeypatch.delenv("no_proxy", raising=False)
        assert ask(endpoint.url, lambda client: client.count(Kind.USER)) == 0
    assert proxy.requests == []


def test_an_address_longer_than_any_server_takes_is_an_error_of_that_resource() -> None:
    with Endpoint() as endpoint:
        with pytest.raises(ScimError, match="not sent"):
            ask(endpoint.url, lambda client: client.find(Kind.USER, "userName", "x" * 70_000, exact=False))
        assert endpoint.requests == []


# -- what an answer means ----------------------------------------------------------------------------


@pytest.mark.parametrize("number", [False, True])
def test_an_error_says_status_detail_and_type_with_its_status_as_text_or_number(number: bool) -> None:
    reply = error(409, "userName is taken", "uniqueness", number=number)
    with Server(lambda _: reply) as server, pytest.raises(ScimError) as caught:
        read(server.url)
    assert (caught.value.status, caught.value.detail, caught.value.scim_type) == (
        409,
        "userName is taken",
        "uniqueness",
    )


@pytest.mark.parametrize(
    ("reply", "status", "detail"),
    [
        (
            Reply(500, b"<html><body>Oops</body></html>", {"Content-Type": "text/html"}),
            500,
            "an HTML page instead of a SCIM error",
        ),
        (Reply(500), 500, ""),
        (Reply(500, b"  \n"), 500, ""),
        (Reply(500, b"try later", {"Content-Type": "text/plain"}), 500, "try later"),
        (Reply(400, {"message": "no"}), 400, "no"),
        (Reply(400, [1]), 400, "[1]"),
        (Reply(400, {"Detail": {"nested": True}}), 400, '{"Detail": {"nested": true}}'),
        (Reply(404, b"\xff\xfe"), 404, "\ufffd\ufffd"),
    ],
)
def test_an_error_in_any_other_shape_is_still_an_error_of_its_status(reply: Reply, status: int, detail: str) -> None:
    with Server(lambda _: reply) as server, pytest.raises(ScimError) as caught:
        read(server.url)
    assert (caught.value.status, caught.value.detail) == (status, detail)


def test_an_endless_error_is_cut() -> None:
    with Server(lambda _: error(400, "x" * 100_000)) as server, pytest.raises(ScimError) as caught:
        read(server.url)
    assert caught.value.detail == "x" * 499 + "…"


@pytest.mark.parametrize("body", [b"<html>Please sign in</html>", b'{"id": "u1"', b"OK"])
def test_a_success_that_is_no_json_is_no_success(body: bytes) -> None:
    with Server(lambda _: Reply(200, body)) as server, pytest.raises(ScimError, match="no JSON") as caught:
        read(server.url)
    assert caught.value.status == 0


def test_a_web_page_stops_the_target_and_is_not_one_persons_fault() -> None:
    page = Reply(200, b"<html>Please sign in</html>", {"Content-Type": "text/html; charset=utf-8"})
    with Server(lambda _: page) as server, pytest.raises(TargetUnusable, match="HTML page"):
        read(server.url)


def test_an_empty_success_is_one() -> None:
    with Server(lambda _: Reply(204)) as server:
        assert ask(server.url, lambda client: client.delete(Kind.USER, "u1")) == 204


def test_an_answer_cut_short_is_no_answer() -> None:
    def half(connection: socket.socket) -> None:
        connection.sendall(b'HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{"id": "u1"}')

    with raw_server(half) as url, pytest.raises(TargetFailing, match="no complete answer") as caught:
        read(url)
    assert caught.value.status == 0


@pytest.mark.parametrize("how", ["reset", "closed", "garbage"])
def test_a_connection_that_breaks_off_leaves_it_open_what_happened(how: str) -> None:
    def break_off(connection: socket.socket) -> None:
        if how == "reset":
            reset(connection)
        elif how == "garbage":
            connection.sendall(b"\x16\x03\x01\x02\x00\r\n\r\n")

    with raw_server(break_off) as url, pytest.raises(ScimError, match="no complete answer") as caught:
        ask(url, lambda client: client.create(Kind.USER, ADA))
    assert caught.value.status == 0


def test_an_answer_larger_than_the_bound_is_not_read_to_its_end(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1 << 20)
    with (
        Server(lambda _: Reply(200, {"id": "x" * (1 << 21)})) as server,
        pytest.raises(ScimError, match="more than 1 MiB") as caught,
    ):
        read(server.url)
    assert caught.value.status == 0


def test_a_compressed_answer_is_bounded_by_what_it_expands_to(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(module, "MAX_ANSWER_BYTES", 1 << 20)
    bomb = Reply(200, gzip.compress(b" " * (1 << 24)), {"Content-Encoding": "gzip"})
    with Server(lambda _: bomb) as server, pytest.raises(ScimError, match="more than 1 MiB"):
        read(server.url)


@pytest.mark.parametrize("status", [401, 403])
def test_a_refused_token_is_an_error_of_the_target_not_of_a_resource(status: int) -> None:
    with Server(lambda _: error(status, "expired")) as server, pytest.raises(TargetRefused) as caught:
        read(server.url)
    assert str(caught.value) == (
        f"lucid: refuses the token ({status}: expired)\n"
        "  see whether the token has expired or lacks rights, and make a new one"
    )


def test_a_target_that_nobody_serves_is_unreachable_with_what_to_check() -> None:
    with Endpoint() as endpoint:
        pass
    with pytest.raises(TargetUnreachable, match="check base_url, the network and any firewall"):
        read(endpoint.url)


# -- redirects ---------------------------------------------------------------------------------------


def redirect(status: int, location: str) -> Reply:
    return Reply(status, None, {"Location": location})


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
def test_a_redirect_within_the_same_origin_is_followed_when_reading(status: int) -> None:
    def answer(request: Request) -> Reply:
        moved = redirect(status, "/other/Users/u1?x=1")
        return Reply(200, {"id": "u1"}) if request.path == "/other/Users/u1" else moved

    with Server(answer) as server:
        assert read(server.url) == {"id": "u1"}
    assert [request.target for request in server.requests] == ["/scim/v2/Users/u1", "/other/Users/u1?x=1"]
    assert {request.headers["authorization"] for request in server.requests} == {f"Bearer {TOKEN}"}


@pytest.mark.parametrize("status", [301, 302, 303, 307, 308])
@pytest.mark.parametrize("method", ["GET", "POST"])
@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
def test_the_token_never_goes_to_another_origin(status: int, method: str, host: str) -> None:
    with Server(lambda _: Reply(200, {"id": "u1"})) as stranger:
        origin = f"http://{host}:{stranger.port}"
        with Server(lambda _: redirect(status, f"{origin}/scim/v2/Users/u1")) as server:
            with pytest.raises(TargetRedirected) as caught:
                ask(server.url, lambda client: client.transport.send(method, "Users/u1"))
            assert f"redirects to {origin}; the token must not go there" in str(caught.value)
            assert len(server.requests) == 1
        assert stranger.requests == []


@pytest.mark.parametrize(
    "location",
    ["https://127.0.0.1:{port}/scim/v2/", "//127.0.0.2:{port}/scim/v2/", "http://127.0.0.1/scim/v2/", "ftp://x/"],
)
def test_another_scheme_host_or_port_is_another_origin(location: str) -> None:
    with Server(lambda request: redirect(307, location.format(port=server.port))) as server:
        with pytest.raises(TargetRedirected, match="the token must not go there"):
            read(server.url)
        assert len(server.requests) == 1


@pytest.mark.parametrize("location", ["http://[::1", "http://host:port/", "http://\x7f/"])
def test_a_redirect_to_no_address_is_an_error_not_a_fault(location: str) -> None:
    with Server(lambda _: redirect(302, location)) as server, pytest.raises(TargetRedirected):
        read(server.url)


def test_redirects_in_circles_end() -> None:
    with Server(lambda _: redirect(302, "/scim/v2/Users/u1")) as server:
        with pytest.raises(TargetRedirected, match="in circles"):
            read(server.url)
        assert len(server.requests) == 3


@pytest.mark.parametrize(("status", "followed"), [(301, False), (302, False), (303, False), (307, True), (308, True)])
def test_a_write_follows_only_a_redirect_that_keeps_its_method(status: int, followed: bool) -> None:
    def answer(request: Request) -> Reply:
        return Reply(201, {"id": "u9"}) if request.path == "/v3/Users" else redirect(status, "/v3/Users")

    with Server(answer) as server:
        if followed:
            assert ask(server.url, lambda client: client.create(Kind.USER, ADA)).id == "u9"
            assert server.requests[1].body["userName"] == "ada@example.com"
        else:
            with pytest.raises(TargetRedirected, match=f"answers POST with a redirect \\({status}\\)"):
                ask(server.url, lambda client: client.create(Kind.USER, ADA))


# -- certificates ------------------------------------------------------------------------------------


@pytest.fixture(scope="module")
def authority(tmp_path_factory: pytest.TempPathFactory) -> Authority:
    return Authority(tmp_path_factory.mktemp("authority"))


def context(authority: Authority, *names: str, expired: bool = False) -> ssl.SSLContext:
    issued = authority.issue(*names, expired=expired)
    tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    tls.load_cert_chain(issued.certificate, issued.key)
    return tls


def test_a_certificate_of_an_unknown_authority_is_refused_and_the_error_names_ca_file(authority: Authority) -> None:
    with Endpoint(tls=context(authority, "127.0.0.1")) as endpoint:
        with pytest.raises(TargetUnreachable) as caught:
            read(endpoint.url)
        assert "name its CA with `ca_file` in the [[target]]" in str(caught.value)
        assert endpoint.requests == []


def test_a_certificate_of_the_authority_in_ca_file_is_accepted(authority: Authority) -> None:
    with Endpoint(tls=context(authority, "127.0.0.1")) as endpoint:
        assert ask(endpoint.url, lambda client: client.count(Kind.USER), ca_file=authority.file) == 0


@pytest.mark.parametrize(("names", "expired"), [(("other.example",), False), (("127.0.0.1",), True)])
def test_a_certificate_for_another_host_or_of_yesterday_is_refused_all_the_same(
    authority: Authority, names: tuple[str, ...], expired: bool
) -> None:
    with Endpoint(tls=context(authority, *names, expired=expired)) as endpoint:
        with pytest.raises(TargetUnreachable, match="its certificate is refused"):
            read(endpoint.url, ca_file=authority.file)
        assert endpoint.requests == []


@pytest.mark.parametrize("content", [None, b"", b"no certificate"])
def test_a_ca_file_that_cannot_be_used_is_named(tmp_path: Path, content: bytes | None) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_bytes(content)
    with pytest.raises(TargetUnreachable, match="certificates in PEM form") as caught:
        Transport("lucid", "https://127.0.0.1/", TOKEN, ca_file=file)
    assert str(file) in str(caught.value)


def test_without_tls_no_authorities_are_loaded(monkeypatch: pytest.MonkeyPatch) -> None:
    loaded: list[object] = []
    monkeypatch.setattr(ssl, "create_default_context", lambda **named: loaded.append(named))
    with Endpoint() as endpoint:
        assert ask(endpoint.url, lambda client: client.count(Kind.USER)) == 0
    assert loaded == []


# -- the token stays secret --------------------------------------------------------------------------


@pytest.mark.parametrize(
    "reply",
    [
        error(400, f"I don't know Bearer {TOKEN}", TOKEN),
        error(401, f"no such token: {TOKEN}"),
        Reply(500, f"Authorization: Bearer {TOKEN}".encode(), {"Content-Type": "text/plain"}),
        Reply(500, ("x" * 490 + TOKEN).encode()),
        redirect(302, f"http://{TOKEN}.example.com/?t={TOKEN}"),
        redirect(302, f"http://user:{TOKEN}@example.com/"),
    ],
)
def test_what_an_endpoint_repeats_of_the_token_goes_no_further(
    reply: Reply, caplog: pytest.LogCaptureFixture, capfd: pytest.CaptureFixture[str]
) -> None:
    caplog.set_level(logging.INFO)  # below that, httpcore shows what came; syncd never switches it on
    with Server(lambda _: reply) as server, pytest.raises((ScimError, SyncdError)) as caught:
        read(server.url)
    said = [str(caught.value), repr(caught.value), repr(vars(caught.value)), caplog.text, *capfd.readouterr()]
    assert not any(TOKEN[:12] in text for text in said)


def test_no_part_of_the_client_shows_the_token(caplog: pytest.LogCaptureFixture) -> None:
    caplog.set_level(logging.DEBUG)

    async def look(client: Client) -> list[str]:
        await client.count(Kind.USER)
        return [repr(client), repr(client.transport)]

    with Endpoint() as endpoint:
        shown = ask(endpoint.url, look)
    assert not any(TOKEN in text for text in [*shown, caplog.text])


def test_requests_are_counted_as_they_are_sent() -> None:
    async def three(client: Client) -> int:
        for _ in range(3):
            await client.count(Kind.USER)
        return client.transport.traffic.requests

    with Endpoint() as endpoint:
        assert ask(endpoint.url, three) == len(endpoint.requests) == 3
