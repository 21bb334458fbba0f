"""Why no connection came about, as an administrator reads it."""

from __future__ import annotations

import asyncio
import socket
import ssl
from pathlib import Path

import pytest

from syncd.scim.causes import hint_for
from syncd.scim.wire import NotSent, Wire
from tests.servers.tls import Authority


def refusal(url: str, *, ca_file: Path | None = None, proxy: str = "") -> str:
    """Return why a request could not be sent."""

    async def send() -> None:
        wire = Wire("target", ca_file=ca_file, proxy=proxy)
        try:
            await wire.exchange("GET", url, None, {})
        finally:
            await wire.close()

    with pytest.raises(NotSent) as caught:
        asyncio.run(send())
    return str(caught.value)


@pytest.fixture
def nobody_listens() -> int:
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        port: int = free.getsockname()[1]
    return port


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_refused_connection_is_called_that(nobody_listens: int, scheme: str) -> None:
    said = refusal(f"{scheme}://127.0.0.1:{nobody_listens}/Users")
    assert said == "the connection was refused: nothing listens there"
    assert hint_for(said) == "check base_url, the network and any firewall"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_proxy_that_is_not_there_is_named_as_the_proxy(nobody_listens: int, scheme: str) -> None:
    said = refusal(f"{scheme}://scim.example.com/Users", proxy=f"http://127.0.0.1:{nobody_listens}")
    assert said == "the proxy is not reached: the connection was refused: nothing listens there"


@pytest.mark.parametrize("scheme", ["http", "https"])
def test_a_name_that_nobody_knows(scheme: str) -> None:
    assert refusal(f"{scheme}://nobody.invalid/Users").startswith("its name is not known here: ")


@pytest.mark.parametrize(
    ("names", "expired", "trusted", "said", "hint"),
    [
        (("127.0.0.1",), False, False, "unable to get local issuer", "its certificate is not trusted: name its CA"),
        (("127.0.0.1",), True, True, "certificate has expired", "its certificate is out of date"),
        (("other.example.com",), False, True, "not valid for '127.0.0.1'", "its certificate is for another name"),
    ],
)
def test_a_certificate_that_is_refused(
    tmp_path: Path, names: tuple[str, ...], expired: bool, trusted: bool, said: str, hint: str
) -> None:
    authority = Authority(tmp_path)
    issued = authority.issue(*names, expired=expired)

    async def ask() -> str:
        tls = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
        tls.load_cert_chain(issued.certificate, issued.key)
        server = await asyncio.start_server(lambda reader, writer: writer.close(), "127.0.0.1", 0, ssl=tls)
        async with server:
            port = server.sockets[0].getsockname()[1]
            wire = Wire("target", ca_file=authority.file if trusted else None)
            try:
                await wire.exchange("GET", f"https://127.0.0.1:{port}/Users", None, {})
            except NotSent as error:
                return str(error)
            finally:
                await wire.close()
        raise AssertionError("it was sent")

    cause = asyncio.run(ask())
    assert cause.startswith("its certificate is refused: ")
    assert said in cause
    assert hint_for(cause).startswith(hint)
