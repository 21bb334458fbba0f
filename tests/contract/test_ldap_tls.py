"""No password, and no directory, over a connection that isn't proven safe."""

from __future__ import annotations

import socket
import ssl
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from datetime import timedelta
from importlib.metadata import version
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Wanted
from syncd.errors import SourceError, SourceRefused, SourceUnreachable
from syncd.sources.ldap import connect as connecting
from syncd.sources.ldap.options import LdapOptions
from syncd.sources.ldap.source import LdapSource
from tests.contract.ldap_directory import options
from tests.contract.source_contract import ALL, open_handles, read
from tests.servers import ldap_wire as wire
from tests.servers.ldap_wire import Request, Scripted, done, message, person, result
from tests.servers.ldif import BASE, PASSWORD, READER
from tests.servers.ldif import company as company_ldif
from tests.servers.slapd import Slapd, free_port
from tests.servers.tls import Authority, Certificate

NOTHING = Wanted(frozenset(), frozenset())


@dataclass(frozen=True)
class Trust:
    """Certificates for a server on loopback, good and bad, and whom we trust."""

    authority: Path
    good: Certificate
    by_address: Certificate
    elsewhere: Certificate
    expired: Certificate
    stranger: Certificate


@pytest.fixture(scope="module")
def trust(tmp_path_factory: pytest.TempPathFactory) -> Trust:
    folder = tmp_path_factory.mktemp("trust")
    authority, stranger = Authority(folder), Authority(folder, "Stranger")
    return Trust(
        authority.file,
        good=authority.issue("localhost", "127.0.0.1", "::1"),
        by_address=authority.issue("127.0.0.1"),
        elsewhere=authority.issue("ldap.elsewhere.test", "127.0.0.2"),
        expired=authority.issue("localhost", "127.0.0.1", expired=True),
        stranger=stranger.issue("localhost", "127.0.0.1"),
    )


@pytest.fixture(scope="module")
def secure(trust: Trust, tmp_path_factory: pytest.TempPathFactory) -> Iterator[Slapd]:
    folder = tmp_path_factory.mktemp("secure") / "slapd"
    with Slapd(folder, company_ldif(30), certificate=trust.good) as server:
        yield server


def refused(given: LdapOptions) -> SourceError:
    with pytest.raises(SourceError) as error:
        LdapSource(given).pull(NOTHING)
    return error.value


def named(server: Slapd) -> str:
    return f"ldaps://localhost:{server.tls_port}"


# -- a server that proves who it is --------------------------------------------------------------


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost"])
@pytest.mark.parametrize("start_tls", [False, True])
def test_a_directory_is_read_over_tls(secure: Slapd, trust: Trust, host: str, start_tls: bool) -> None:
    url = f"ldap://{host}:{secure.port}" if start_tls else f"ldaps://{host}:{secure.tls_port}"
    source = LdapSource(options(secure, urls=(url,), start_tls=start_tls, ca_file=trust.authority, page_size=7))
    reading = read(source)
    assert len(reading.users) == 30
    assert reading.evidence.source == url
    facts = source.check(NOTHING)
    assert facts["TLS"] in ("TLSv1.2", "TLSv1.3")
    assert facts["certificate"].startswith("localhost, 127.0.0.1, 0:0:0:0:0:0:0:1; valid until ")
    assert facts["bound as"] == f"dn:{READER}"


def test_an_ipv6_address_is_verified_too(trust: Trust) -> None:
    answers = _one_person
    with Scripted(answers, certificate=trust.good, host="::1") as server:
        given = LdapOptions(urls=(server.url,), base_dn=BASE, group_filter="", ca_file=trust.authority)
        assert len(read(LdapSource(given), NOTHING).users) == 1
    with Scripted(answers, certificate=trust.by_address, host="::1") as server:
        assert "certificate is not accepted" in str(
            refused(LdapOptions(urls=(server.url,), base_dn=BASE, ca_file=trust.authority))
        )


def _one_person(request: Request) -> Iterable[bytes]:
    return [person(request, 1), done(request)]


def test_the_server_is_told_by_which_name_it_is_called(trust: Trust) -> None:
    names: list[str | None] = []
    with Scripted(_one_person, certificate=trust.good) as server:
        assert server._context is not None
        server._context.sni_callback = lambda socket, name, context: names.append(name)
        url = f"ldaps://localhost:{server.port}"
        read(LdapSource(LdapOptions(urls=(url,), base_dn=BASE, group_filter="", ca_file=trust.authority)), NOTHING)
    assert names == ["localhost"]


# -- servers that don't --------------------------------------------------------------------------


@pytest.mark.parametrize("start_tls", [False, True])
@pytest.mark.parametrize(
    ("certificate", "host", "problem"),
    [
        ("elsewhere", "127.0.0.1", "IP address mismatch, certificate is not valid for '127.0.0.1'"),
        ("elsewhere", "localhost", "Hostname mismatch, certificate is not valid for 'localhost'"),
        ("by_address", "localhost", "Hostname mismatch"),
        ("expired", "127.0.0.1", "certificate has expired"),
        ("stranger", "127.0.0.1", "unable to get local issuer certificate"),
    ],
)
def test_a_certificate_that_proves_nothing_is_refused_and_no_password_is_sent(
    trust: Trust, certificate: str, host: str, problem: str, start_tls: bool
) -> None:
    asked: list[str] = []

    def password() -> str:
        asked.append("asked")
        return PASSWORD

    with _TlsServer(getattr(trust, certificate), start_tls) as server:
        url = server.url.replace("127.0.0.1", host)
        given = LdapOptions(
            urls=(url,),
            base_dn=BASE,
            start_tls=start_tls,
            ca_file=trust.authority,
            bind_dn=READER,
            password=password,
        )
        error = refused(given)
        assert isinstance(error, SourceRefused)
        assert problem in str(error)
        assert f"issued for {host}" in str(error)
        assert asked == []
        assert wire.BIND not in server.operations
        assert PASSWORD.encode() not in server.received


class _TlsServer(Scripted):
    """Speaks TLS from the first byte, or from StartTLS on, and records what comes in clear."""

    def __init__(self, certificate: Certificate, start_tls: bool) -> None:
        super().__init__(self._granted, certificate=None if start_tls else certificate)
        self._later = certificate

    def _granted(self, request: Request) -> Iterator[bytes]:
        if request.operation == wire.EXTENDED:
            yield message(request.id, result(0x78))
            context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
            context.load_cert_chain(self._later.certificate, self._later.key)
            # The handshake fails on the client's side; the session ends with it.
            context.wrap_socket(self._open[-1].dup(), server_side=True).close()


def test_a_certificate_of_the_system_s_authorities_only_is_accepted_without_a_ca_file(secure: Slapd) -> None:
    error = refused(options(secure, urls=(secure.tls_url,)))
    assert "certificate is not accepted" in str(error)


def test_another_server_may_prove_itself_where_the_first_does_not(secure: Slapd, trust: Trust) -> None:
    with Scripted(_one_person, certificate=trust.expired) as bad:
        urls = (bad.url, secure.tls_url)
        source = LdapSource(options(secure, urls=urls, ca_file=trust.authority))
        assert read(source, NOTHING).evidence.source == secure.tls_url
        dead = f"ldaps://127.0.0.1:{free_port()}"
        error = refused(options(secure, urls=(bad.url, dead), ca_file=trust.authority))
    assert isinstance(error, SourceRefused)
    assert f"{urls[0]}: its certificate is not accepted" in str(error)
    assert f"{dead}: can't connect" in str(error)


@pytest.mark.parametrize(
    ("content", "problem"),
    [(None, "No such file or directory"), ("no certificate", "holds no certificate in PEM")],
)
def test_a_ca_file_that_can_t_be_used_is_named(
    secure: Slapd, tmp_path: Path, content: str | None, problem: str
) -> None:
    file = tmp_path / "ca.pem"
    if content is not None:
        file.write_text(content)
    error = refused(options(secure, urls=(secure.tls_url,), ca_file=file))
    assert isinstance(error, SourceRefused)
    assert f"ca_file {file}: {problem}" in str(error)


# -- StartTLS ------------------------------------------------------------------------------------


def test_a_server_without_start_tls_is_refused_and_nothing_is_sent_in_clear(company: Slapd, trust: Trust) -> None:
    error = refused(options(company, start_tls=True, ca_file=trust.authority))
    assert isinstance(error, SourceRefused)
    assert "refuses StartTLS: " in str(error)
    assert "nothing was sent in clear" in str(error)


@pytest.mark.parametrize("code", [0, 1, 2, 52])
def test_start_tls_that_is_refused_or_not_meant_sends_no_password(trust: Trust, code: int) -> None:
    # With code 0 the server agrees, and then goes on in clear.
    def answer(request: Request) -> Iterator[bytes]:
        yield message(request.id, result(0x78, code))
        raise ConnectionAbortedError

    with Scripted(answer) as server:
        given = LdapOptions(
            urls=(server.url,),
            base_dn=BASE,
            start_tls=True,
            ca_file=trust.authority,
            bind_dn=READER,
            password=lambda: PASSWORD,
        )
        assert isinstance(refused(given), SourceRefused if code else SourceUnreachable)
        assert server.operations == [wire.EXTENDED]
        assert PASSWORD.encode() not in server.received


def test_what_is_smuggled_in_before_tls_is_refused(trust: Trust) -> None:
    # Whoever is in between appends an answer of their own, to be read as if it had come under TLS.
    def answer(request: Request) -> list[bytes]:
        return [message(request.id, result(0x78)) + message(request.id + 1, result(0x61))]

    with Scripted(answer) as server:
        given = LdapOptions(urls=(server.url,), base_dn=BASE, start_tls=True, ca_file=trust.authority)
        error = refused(given)
    assert isinstance(error, SourceRefused)
    assert "more than its answer before TLS began" in str(error)


def test_a_connection_in_clear_is_refused_even_where_the_options_let_it_pass(
    company: Slapd, monkeypatch: pytest.MonkeyPatch
) -> None:
    # A name that only looks like this machine: the socket says otherwise.
    monkeypatch.setattr(connecting, "is_loopback", lambda host: False)
    error = refused(options(company))
    assert isinstance(error, SourceRefused)
    assert "the connection is not encrypted" in str(error)


# -- wrong ports, and what stays open ------------------------------------------------------------


def test_clear_text_where_tls_is_expected_is_told(company: Slapd, trust: Trust) -> None:
    error = refused(options(company, urls=(company.url.replace("ldap:", "ldaps:"),), ca_file=trust.authority))
    assert isinstance(error, SourceUnreachable)
    assert "is it TLS that this port speaks" in str(error)


def test_tls_where_clear_text_is_expected_is_told(secure: Slapd) -> None:
    error = refused(options(secure, urls=(secure.tls_url.replace("ldaps:", "ldap:"),)))
    assert isinstance(error, SourceUnreachable)
    assert "no answer to the bind" in str(error)


@pytest.mark.parametrize("start_tls", [False, True])
def test_a_server_that_is_slow_to_agree_on_tls_is_given_up(trust: Trust, start_tls: bool) -> None:
    def agree(request: Request) -> Iterator[bytes]:
        yield message(request.id, result(0x78))
        server.closing.wait(20)

    # What nobody accepts is connected, and never answered.
    with Scripted(agree) as server, socket.create_server(("127.0.0.1", 0)) as silent:
        url = server.url if start_tls else f"ldaps://127.0.0.1:{silent.getsockname()[1]}"
        error = refused(
            LdapOptions(
                urls=(url,),
                base_dn=BASE,
                start_tls=start_tls,
                ca_file=trust.authority,
                connect_timeout=timedelta(seconds=1),
            )
        )
    assert isinstance(error, SourceUnreachable)
    assert "no answer to TLS in time" in str(error)


@pytest.mark.parametrize("change", ["refused", "certificate", "start_tls", "password"])
def test_a_failed_connection_leaves_nothing_open(secure: Slapd, company: Slapd, trust: Trust, change: str) -> None:
    changes: dict[str, dict[str, Any]] = {
        "refused": {"urls": (f"ldap://127.0.0.1:{free_port()}",)},
        "certificate": {"urls": (secure.tls_url,)},
        "start_tls": {"urls": (company.url,), "start_tls": True},
        "password": {"urls": (secure.tls_url,), "ca_file": trust.authority, "password": lambda: "wrong"},
    }
    before = open_handles()
    refused(options(secure, **changes[change]))
    assert open_handles() == before


def test_a_reading_over_tls_leaves_nothing_open(secure: Slapd, trust: Trust) -> None:
    before = open_handles()
    read(LdapSource(options(secure, urls=(named(secure),), ca_file=trust.authority)), ALL)
    assert open_handles() == before


def test_ldap3_is_used_as_it_was_examined() -> None:
    # What connection.py takes for granted of ldap3's insides; a new version must be looked at, not trusted.
    assert version("ldap3").startswith("2.9.")
