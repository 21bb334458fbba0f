"""A reading is whole or it is refused: limits, lies, silence, and servers that die."""

from __future__ import annotations

import socket
import struct
from collections.abc import Callable, Iterable, Iterator, Sequence
from datetime import timedelta
from pathlib import Path
from threading import Thread
from time import monotonic
from typing import Any

import pytest

from syncd.core.model import Entry, Wanted
from syncd.errors import SourceError, SourceIncomplete, SourceMismatch, SourceRefused, SourceUnreachable
from syncd.sources.ldap.options import LdapOptions
from syncd.sources.ldap.source import LdapSource
from tests.contract.ldap_directory import options
from tests.contract.source_contract import open_handles, read
from tests.servers import ldap_wire as wire
from tests.servers.ldap_wire import Request, Scripted, done, entry, message, person, reference, result
from tests.servers.ldif import BASE, GROUPS, PASSWORD, READER, base, company, record
from tests.servers.slapd import Slapd, free_port

NOTHING = Wanted(frozenset(), frozenset())


def scripted_options(server: Scripted, **changes: Any) -> LdapOptions:
    given: dict[str, Any] = {"urls": (server.url,), "base_dn": BASE, "group_filter": "", "page_size": 2, **changes}
    return LdapOptions(**given)


def pages(*answers: Callable[[Request], Iterable[bytes]]) -> Callable[[Request], Iterable[bytes]]:
    """Answer the first search with the first of these, and so on; the last one for ever."""
    remaining = list(answers)

    def answer(request: Request) -> Iterable[bytes]:
        return (remaining.pop(0) if len(remaining) > 1 else remaining[0])(request)

    return answer


def refused(server: Scripted, **changes: Any) -> SourceError:
    """Return what a reading of that server is refused with."""
    with pytest.raises(SourceError) as error:
        read(LdapSource(scripted_options(server, **changes)), NOTHING)
    return error.value


# -- what limits do on a real server -------------------------------------------------------------


@pytest.mark.parametrize(
    ("limits", "words"),
    [
        pytest.param("size.soft=30 size.hard=30", "sizeLimitExceeded (4)", id="size"),
        pytest.param(
            "size.soft=unlimited size.hard=unlimited size.prtotal=30", "sizeLimitExceeded (4)", id="paged total"
        ),
        pytest.param("size.prtotal=disabled", "adminLimitExceeded (11)", id="no paging"),
        pytest.param("size.unchecked=10", "adminLimitExceeded (11)", id="candidates"),
    ],
)
def test_a_limit_of_the_server_is_no_end_of_the_directory(tmp_path: Path, limits: str, words: str) -> None:
    with Slapd(tmp_path / "slapd", company(60), limits=limits) as server:
        with pytest.raises(SourceIncomplete) as error:
            read(LdapSource(options(server, page_size=10)), NOTHING)
        assert words in str(error.value)
        assert server.url in str(error.value)
        assert "size.prtotal" in str(error.value) or "without limits" in str(error.value)


def test_an_account_that_may_read_nothing_is_no_company_without_people(tmp_path: Path) -> None:
    with Slapd(tmp_path / "slapd", company(5)) as server:
        with pytest.raises(SourceError) as error:
            read(LdapSource(options(server, bind_dn="", password=None)), NOTHING)
        assert "noSuchObject (32)" in str(error.value)


def test_an_account_that_sees_no_person_is_refused(tmp_path: Path) -> None:
    hidden = f'access to dn.subtree="ou=people,{BASE}" by * none'
    with (
        Slapd(tmp_path / "slapd", company(5), access=hidden) as server,
        pytest.raises(SourceIncomplete, match="came back empty"),
    ):
        read(LdapSource(options(server)), NOTHING)


def test_a_filter_that_nobody_matches_is_refused(company: Slapd) -> None:
    with pytest.raises(SourceIncomplete, match=r"came back empty: nothing below .* matches \(uid=nobody\)"):
        read(LdapSource(options(company, user_filter="(uid=nobody)")), NOTHING)


def test_a_base_that_is_not_there_is_named_with_how_far_it_goes(company: Slapd) -> None:
    with pytest.raises(SourceMismatch) as error:
        read(LdapSource(options(company, base_dn=f"ou=staff,ou=europe,{BASE}")), NOTHING)
    assert "noSuchObject (32)" in str(error.value)
    assert f"it exists only down to {BASE}" in str(error.value)


def test_a_group_base_that_is_not_there_is_refused(company: Slapd) -> None:
    with pytest.raises(SourceMismatch, match=r"reading groups: noSuchObject"):
        read(LdapSource(options(company, group_base_dn=f"ou=teams,{BASE}")), NOTHING)


@pytest.mark.parametrize("killed_after", [1, 10, 25])
def test_a_server_killed_in_mid_reading_ends_it(tmp_path: Path, killed_after: int) -> None:
    with (
        Slapd(tmp_path / "slapd", company(60)) as server,
        LdapSource(options(server, page_size=10)).pull(NOTHING) as pull,
    ):
        users = pull.users()
        for _ in range(killed_after):
            next(users)
        server.kill()
        with pytest.raises(SourceIncomplete, match=r"reading users broke off after \d+ entries: the "):
            list(users)
        with pytest.raises(SourceIncomplete):
            pull.evidence()


def test_another_server_does_not_take_over_in_mid_reading(tmp_path: Path, company: Slapd) -> None:
    with Slapd(tmp_path / "slapd", _other_company()) as first:
        source = LdapSource(options(first, urls=(first.url, company.url), page_size=5))
        with source.pull(NOTHING) as pull:
            users = pull.users()
            next(users)
            first.kill()
            with pytest.raises(SourceIncomplete, match=str(first.port)):
                list(users)
        # The next reading begins with the server that is left.
        assert read(source, NOTHING).evidence.source == company.url


def _other_company() -> Iterator[str]:
    return company(20)


# -- which server, and what it is told -----------------------------------------------------------


def test_servers_are_tried_in_turn(company: Slapd) -> None:
    dead = f"ldap://127.0.0.1:{free_port()}"
    assert read(LdapSource(options(company, urls=(dead, company.url))), NOTHING).evidence.source == company.url


def test_when_no_server_answers_each_is_named_with_its_reason() -> None:
    urls = (f"ldap://127.0.0.1:{free_port()}", f"ldap://127.0.0.1:{free_port()}")
    with pytest.raises(SourceUnreachable) as error:
        LdapSource(LdapOptions(urls=urls, base_dn=BASE)).pull(NOTHING)
    for url in urls:
        assert f"{url}: can't connect: Connection refused" in str(error.value)


def test_a_name_without_an_address_is_unreachable() -> None:
    with pytest.raises(SourceUnreachable, match=r"no address is known for dc1\.example\.invalid"):
        LdapSource(LdapOptions(urls=("ldaps://dc1.example.invalid",), base_dn=BASE)).pull(NOTHING)


def test_a_wrong_password_is_not_tried_on_the_next_server(company: Slapd) -> None:
    with Scripted(lambda request: []) as other:
        before = open_handles()
        wrong = options(company, urls=(company.url, other.url), password=lambda: "guess")
        with pytest.raises(SourceRefused) as error:
            LdapSource(wrong).pull(NOTHING)
        assert f"refuses the bind as {READER}: invalidCredentials (49)" in str(error.value)
        assert "so as not to lock the account" in str(error.value)
        assert "guess" not in str(error.value)
        assert other.connections == 0
        assert [name for name in open_handles() if name not in before] == []


def test_active_directory_s_reason_is_put_into_words() -> None:
    said = "80090308: LdapErr: DSID-0C09041C, comment: AcceptSecurityContext error, data 775, v4563\0"
    with Scripted(lambda request: [], bind=lambda request: [wire.bound(request, 49, said)]) as server:
        error = refused(server, bind_dn="syncd@example.com", password=lambda: "x")
    assert isinstance(error, SourceRefused)
    assert "that means: the account is locked" in str(error)
    assert "\0" not in str(error)


def test_a_busy_server_gives_way_to_the_next(company: Slapd) -> None:
    with Scripted(lambda request: [], bind=lambda request: [wire.bound(request, 51, "later")]) as busy:
        source = LdapSource(options(company, urls=(busy.url, company.url)))
        assert read(source, NOTHING).evidence.source == company.url
        assert isinstance(refused(busy), SourceUnreachable)


def test_an_empty_password_is_not_sent(company: Slapd) -> None:
    # RFC 4513 section 5.1.2: the server would take it for an anonymous bind, and say that it succeeded.
    with Scripted(lambda request: []) as server:
        error = refused(server, bind_dn=READER, password=lambda: "")
        assert "the password is empty" in str(error)
        assert server.requests == []


def test_a_password_that_can_t_be_read_leaves_nothing_open(company: Slapd) -> None:
    def unreadable() -> str:
        raise SourceRefused("credential", "is not there")

    before = open_handles()
    with pytest.raises(SourceRefused, match="is not there"):
        LdapSource(options(company, password=unreadable)).pull(NOTHING)
    assert open_handles() == before


def test_the_password_is_asked_for_at_each_bind_and_kept_nowhere(company: Slapd) -> None:
    asked = []

    def password() -> str:
        asked.append(1)
        return PASSWORD

    source = LdapSource(options(company, password=password))
    assert asked == []
    for _ in range(2):
        read(source, NOTHING)
    assert len(asked) == 2
    with source.pull(NOTHING) as pull:
        connection = pull._session._connection
        assert PASSWORD not in repr(vars(connection))


# -- referrals -----------------------------------------------------------------------------------


def test_a_base_on_another_server_is_refused_and_the_stranger_gets_nothing(tmp_path: Path) -> None:
    with Scripted(lambda request: []) as stranger:
        remote = record(
            f"ou=remote,{BASE}",
            {
                "objectClass": ["referral", "extensibleObject"],
                "ou": "remote",
                "ref": f"{stranger.url}/ou=remote,{BASE}",
            },
        )
        with Slapd(tmp_path / "slapd", [base(), remote]) as server, pytest.raises(SourceMismatch) as error:
            read(LdapSource(options(server, base_dn=f"ou=remote,{BASE}")), NOTHING)
        assert "referral (10)" in str(error.value)
        assert stranger.url in str(error.value)
        assert stranger.connections == 0


def test_a_reference_below_the_base_is_counted_and_not_followed(tmp_path: Path) -> None:
    with Scripted(lambda request: []) as stranger:
        remote = record(
            f"ou=remote,{BASE}",
            {"objectClass": ["referral", "extensibleObject"], "ou": "remote", "ref": f"{stranger.url}/"},
        )
        with (
            Slapd(tmp_path / "slapd", [*company(5), remote]) as server,
            LdapSource(options(server)).pull(NOTHING) as pull,
        ):
            assert len(list(pull.users())) == 5
            assert len(list(pull.groups())) == 2
            assert pull.evidence().users == 5
            # One for the search for users, one for that for groups.
            assert pull.references == 2
        assert stranger.connections == 0


# -- lies ----------------------------------------------------------------------------------------


def two_people(request: Request, *, cookie: bytes | None, first: int = 1, code: int = 0) -> list[bytes]:
    return [person(request, first), person(request, first + 1), done(request, code, cookie=cookie)]


def test_an_honest_script_is_read() -> None:
    honest = pages(
        lambda request: two_people(request, cookie=b"more"),
        lambda request: [person(request, 3), reference(request, "ldap://elsewhere"), done(request)],
    )
    with Scripted(honest) as server:
        reading = read(LdapSource(scripted_options(server)), NOTHING)
    assert sorted(reading.users) == [f"00000000-0000-4000-8000-{number:012d}" for number in (1, 2, 3)]


def test_what_is_asked_for_is_the_preset_s_attributes_and_critical_paging() -> None:
    with Scripted(lambda request: two_people(request, cookie=b"")) as server:
        wanted = Wanted(frozenset({"mail"}), None)
        read(LdapSource(scripted_options(server, page_size=777)), wanted)
        [search] = [request.content for request in server.requests if request.operation == wire.SEARCH]
        assert b"inetOrgPerson" in search
        assert search.count(b"entryUUID") == search.count(b"mail") == 1
        assert b"*" not in search
        # The control, critical (TRUE), asking for 777 (0x0309) entries.
        assert wire.ber(0x04, wire.PAGED_RESULTS) + b"\x01\x01\xff" in search
        assert b"\x02\x02\x03\x09" in search


@pytest.mark.parametrize("preset", ["openldap", "389ds"])
def test_locks_are_asked_for_by_name_with_all_attributes(preset: str) -> None:
    def keyed(request: Request) -> list[bytes]:
        return [entry(request, "cn=ada", {"entryUUID": [b"1"], "nsUniqueId": [b"1"]}), done(request)]

    with Scripted(keyed) as server:
        read(LdapSource(scripted_options(server, preset=preset)), Wanted(None, None))
        [search] = [request.content for request in server.requests if request.operation == wire.SEARCH]
    assert {"openldap": b"pwdAccountLockedTime", "389ds": b"nsAccountLock"}[preset] in search
    assert b"memberOf" in search


def test_a_page_without_its_control_is_refused() -> None:
    with Scripted(lambda request: two_people(request, cookie=None)) as server:
        error = refused(server)
    assert isinstance(error, SourceIncomplete)
    assert "without the paged-results control" in str(error)


def test_a_second_page_without_its_control_is_refused() -> None:
    lie = pages(
        lambda request: two_people(request, cookie=b"more"), lambda request: two_people(request, cookie=None, first=3)
    )
    with Scripted(lie) as server:
        assert "without the paged-results control" in str(refused(server))


@pytest.mark.parametrize(
    ("code", "name"),
    [
        (1, "operationsError"),
        (3, "timeLimitExceeded"),
        (4, "sizeLimitExceeded"),
        (10, "referral"),
        (11, "adminLimitExceeded"),
        (32, "noSuchObject"),
        (50, "insufficientAccessRights"),
        (51, "busy"),
        (52, "unavailable"),
        (53, "unwillingToPerform"),
        (80, "other"),
    ],
)
@pytest.mark.parametrize("page", [1, 2])
def test_any_other_result_refuses_the_reading(code: int, name: str, page: int) -> None:
    def failing(request: Request) -> list[bytes]:
        return [person(request, 9), done(request, code, "so it is", cookie=b"")]

    script = failing if page == 1 else pages(lambda request: two_people(request, cookie=b"more"), failing)
    with Scripted(script) as server:
        error = refused(server)
        assert isinstance(error, SourceIncomplete)
        assert f"broke off after {1 if page == 1 else 3} entries: {name} ({code}): “so it is”" in str(error)
        assert server.url in str(error)
        assert error.hint


@pytest.mark.parametrize(
    ("code", "kind"),
    [
        (1, SourceRefused),
        (3, SourceIncomplete),
        (4, SourceIncomplete),
        (10, SourceMismatch),
        (11, SourceIncomplete),
        (12, SourceMismatch),
        (32, SourceMismatch),
        (49, SourceRefused),
        (50, SourceRefused),
        (51, SourceUnreachable),
        (52, SourceUnreachable),
        (53, SourceIncomplete),
        (80, SourceIncomplete),
    ],
)
def test_a_refusal_before_the_first_entry_says_what_kind_it_is(code: int, kind: type[SourceError]) -> None:
    with Scripted(lambda request: [done(request, code, cookie=b"")]) as server:
        assert type(refused(server)) is kind


@pytest.mark.parametrize(
    "pieces",
    [
        pytest.param(lambda request: [b"HTTP/1.1 400 Bad Request\r\n\r\n"], id="HTTP"),
        pytest.param(lambda request: [b"\x30\x80\x00\x00"], id="indefinite length"),
        pytest.param(lambda request: [b"\x30\x89" + b"\xff" * 9], id="absurd length"),
        pytest.param(lambda request: [message(request.id, b"\x64\x05\x04\x7f")], id="entry cut short"),
        pytest.param(lambda request: [message(request.id, wire.ber(0x64, b""))], id="empty entry"),
        pytest.param(lambda request: [message(request.id, wire.ber(0x64, wire.ber(0x04, b"cn=x")))], id="only a name"),
        pytest.param(lambda request: [message(request.id, wire.ber(0x65, b""))], id="empty result"),
        pytest.param(lambda request: [message(request.id, wire.ber(0x65, wire.ber(0x0A, b"\x7b")))], id="no such code"),
        pytest.param(lambda request: [message(request.id, result(0x61))], id="the answer to a bind"),
        pytest.param(lambda request: [message(request.id, wire.ber(0x6F, b""))], id="an answer of no kind"),
        pytest.param(lambda request: [message(request.id + 1, result(0x65))], id="another request's answer"),
        pytest.param(lambda request: [person(Request(0, 0, b""), 1)], id="an unsolicited entry"),
    ],
)
def test_what_is_not_ldap_is_refused(pieces: Callable[[Request], Sequence[bytes]]) -> None:
    with Scripted(pieces) as server:
        error = refused(server)
    assert isinstance(error, SourceIncomplete)
    assert "reading users broke off" in str(error)


def test_a_message_larger_than_any_group_is_not_waited_for() -> None:
    with Scripted(lambda request: [b"\x30\x84\x7f\xff\xff\xff"]) as server:
        assert "announces a message of 2147483653 octets" in str(refused(server))


def test_the_same_page_for_ever_is_refused() -> None:
    with Scripted(lambda request: two_people(request, cookie=b"again")) as server:
        error = refused(server)
    assert "entryUUID 00000000-0000-4000-8000-000000000001 came twice" in str(error)


def test_a_notice_of_disconnection_is_passed_on() -> None:
    def notice(request: Request) -> list[bytes]:
        name = wire.ber(0x8A, b"1.3.6.1.4.1.1466.20036")
        content = wire.ber(0x0A, b"\x34") + wire.ber(0x04, b"") + wire.ber(0x04, b"shutting down") + name
        return [person(request, 1), message(0, wire.ber(0x78, content))]

    with Scripted(notice) as server:
        error = refused(server)
    assert "the server ended the session: unavailable (52): “shutting down”" in str(error)


def test_a_server_s_words_are_shown_on_one_line_without_control_characters() -> None:
    words = "no\x1b[2J\r\nERROR all is well\u202e " + "x" * 1000
    with Scripted(lambda request: [done(request, 80, words)]) as server:
        shown = str(refused(server)).partition("\n")[0]
    assert "\x1b" not in shown
    assert "\u202e" not in shown
    assert "ERROR all is well" in shown
    assert len(shown) < 450


# -- time ----------------------------------------------------------------------------------------


def test_a_server_that_falls_silent_is_given_up() -> None:
    def silent(request: Request) -> Iterator[bytes]:
        yield person(request, 1)
        server.closing.wait(20)

    with Scripted(silent) as server:
        error = refused(server, receive_timeout=timedelta(seconds=1))
    assert "reading users broke off after 1 entries: sent nothing for 1 seconds" in str(error)


def test_a_server_that_drips_is_given_up_at_the_deadline() -> None:
    def dripping(request: Request) -> Iterator[bytes]:
        for octet in person(request, 1):
            yield bytes([octet])
            if server.closing.wait(0.2):
                return

    with Scripted(dripping) as server:
        started = monotonic()
        error = refused(server, deadline=timedelta(seconds=1), receive_timeout=timedelta(seconds=1))
        assert monotonic() - started < 3
    assert isinstance(error, SourceIncomplete)
    assert "reading users was given up: 1 seconds have passed, more than `deadline` allows" in str(error)


def test_the_deadline_is_kept_where_silence_would_be_borne_for_longer() -> None:
    def silent(request: Request) -> Iterator[bytes]:
        yield person(request, 1)
        server.closing.wait(20)

    with Scripted(silent) as server:
        started = monotonic()
        assert "more than `deadline` allows" in str(
            refused(server, deadline=timedelta(seconds=1), receive_timeout=timedelta(seconds=30))
        )
        assert monotonic() - started < 3


def test_endless_empty_pages_are_given_up_at_the_deadline() -> None:
    with Scripted(lambda request: [done(request, cookie=b"more")]) as server:
        assert "more than `deadline` allows" in str(refused(server, deadline=timedelta(seconds=1)))


def test_a_server_that_never_answers_the_bind_gives_way_to_the_next(company: Slapd) -> None:
    def silent(request: Request) -> Iterator[bytes]:
        server.closing.wait(20)
        yield b""

    with Scripted(lambda request: [], bind=silent) as server:
        source = LdapSource(options(company, urls=(server.url, company.url), connect_timeout=timedelta(seconds=1)))
        assert read(source, NOTHING).evidence.source == company.url
        assert "no answer to the bind: sent nothing for 1 seconds" in str(
            refused(server, connect_timeout=timedelta(seconds=1))
        )


def test_a_server_that_hangs_up_at_once_is_unreachable(company: Slapd) -> None:
    # With a reset, so that not even the address of the other end can be asked for any more.
    at_once = struct.pack("ii", 1, 0)
    with socket.create_server(("127.0.0.1", 0)) as listener:
        listener.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, at_once)
        hanging_up = Thread(target=lambda: listener.accept()[0].close())
        hanging_up.start()
        url = f"ldap://127.0.0.1:{listener.getsockname()[1]}"
        reading = read(LdapSource(options(company, urls=(url, company.url))), NOTHING)
        hanging_up.join()
    assert reading.evidence.source == company.url


def test_a_server_that_hangs_up_at_the_bind_is_unreachable() -> None:
    def hang_up(request: Request) -> Iterator[bytes]:
        raise ConnectionAbortedError

    with Scripted(lambda request: [], bind=hang_up) as server:
        error = refused(server)
    assert isinstance(error, SourceUnreachable)
    assert "the server closed the connection" in str(error)


def test_entries_are_decoded_however_they_are_cut_into_packets() -> None:
    def in_pieces(request: Request) -> Iterator[bytes]:
        whole = b"".join(two_people(request, cookie=b""))
        for start in range(0, len(whole), 7):
            yield whole[start : start + 7]

    with Scripted(in_pieces) as server:
        assert len(read(LdapSource(scripted_options(server)), NOTHING).users) == 2


# -- ranges --------------------------------------------------------------------------------------


def dn(number: int) -> bytes:
    return f"uid=u{number},ou=people,dc=example,dc=com".encode()


class ActiveDirectory:
    """People, and one group whose members come in ranges of `size`: [MS-ADTS] 3.1.1.3.1.3.3."""

    def __init__(self, people: int, size: int) -> None:
        self.people, self.size = people, size
        self.ranges: list[str] = []

    def __call__(self, request: Request) -> Iterable[bytes]:
        if b"inetOrgPerson" in request.content:
            return [*(person(request, number) for number in range(self.people)), done(request)]
        if b"groupOfNames" in request.content:
            attributes = {"entryUUID": [b"g"], "member": [], **self.range(0)}
            return [entry(request, f"cn=all,{GROUPS}", attributes), done(request)]
        low = int(request.content.rpartition(b"member;range=")[2].partition(b"-")[0])
        return self.further(request, low)

    def further(self, request: Request, low: int) -> Iterable[bytes]:
        return [entry(request, f"cn=all,{GROUPS}", self.range(low)), done(request, cookie=None)]

    def range(self, low: int) -> dict[str, list[bytes]]:
        high = low + self.size
        name = f"member;range={low}-{'*' if high >= self.people else high - 1}"
        self.ranges.append(name)
        return {name: [dn(number) for number in range(low, min(high, self.people))]}


@pytest.mark.parametrize(
    ("people", "ranges"),
    [
        (5, ["0-*"]),
        (10, ["0-*"]),
        (11, ["0-9", "10-*"]),
        (35, ["0-9", "10-19", "20-29", "30-*"]),
    ],
)
def test_members_that_come_in_ranges_are_all_read(people: int, ranges: list[str]) -> None:
    script = ActiveDirectory(people, size=10)
    with Scripted(script) as server:
        reading = read(LdapSource(scripted_options(server, group_filter=None)), NOTHING)
    assert script.ranges == [f"member;range={part}" for part in ranges]
    assert sorted(reading.groups["g"].members) == sorted(reading.users)
    assert reading.evidence.memberships == people
    assert reading.problems == []


class _Refusing(ActiveDirectory):
    def further(self, request: Request, low: int) -> Iterable[bytes]:
        return [done(request, 1, "range past the end", cookie=None)]


class _Empty(ActiveDirectory):
    def further(self, request: Request, low: int) -> Iterable[bytes]:
        return [entry(request, f"cn=all,{GROUPS}", {f"member;range={low}-*": []}), done(request, cookie=None)]


class _Gone(ActiveDirectory):
    def further(self, request: Request, low: int) -> Iterable[bytes]:
        return [done(request, cookie=None)]


class _WithoutRange(ActiveDirectory):
    def further(self, request: Request, low: int) -> Iterable[bytes]:
        return [entry(request, f"cn=all,{GROUPS}", {"member": [dn(1)]}), done(request, cookie=None)]


class _Skipping(ActiveDirectory):
    def further(self, request: Request, low: int) -> Iterable[bytes]:
        return super().further(request, low + 1)


class _BeginningLate(ActiveDirectory):
    def range(self, low: int) -> dict[str, list[bytes]]:
        return {"member;range=1-*": [dn(1)]}


class _HangingUp(ActiveDirectory):
    def further(self, request: Request, low: int) -> Iterable[bytes]:
        raise ConnectionAbortedError


@pytest.mark.parametrize(
    ("script", "problem"),
    [
        (_Refusing, "member;range=10-* of cn=all,ou=groups,dc=example,dc=com was refused: operationsError (1)"),
        (_Empty, "the values of member from number 10 on are missing in cn=all"),
        (_Gone, "the values of member from number 10 on are missing in cn=all"),
        (_WithoutRange, "the values of member from number 10 on are missing in cn=all"),
        (_Skipping, "the values of member from number 10 on are missing in cn=all"),
        (_BeginningLate, "the values of member from number 0 on are missing in cn=all"),
        (_HangingUp, "broke off: the server closed the connection"),
    ],
)
def test_a_range_that_does_not_come_refuses_the_reading(script: type[ActiveDirectory], problem: str) -> None:
    with Scripted(script(25, size=10)) as server:
        error = refused(server, group_filter=None)
    assert isinstance(error, SourceIncomplete)
    assert "reading groups" in str(error)
    assert problem in str(error)


def test_a_value_that_looks_like_a_range_is_a_value() -> None:
    def odd(request: Request) -> list[bytes]:
        return [entry(request, "cn=ada", {"entryUUID": [b"1"], "title": [b"x;range=0-1"]}), done(request)]

    with Scripted(odd) as server:
        reading = read(LdapSource(scripted_options(server)), Wanted(frozenset({"title"}), None))
    assert reading.users["1"] == Entry("1", {"title": ["x;range=0-1"]}, "cn=ada")
