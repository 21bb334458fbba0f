"""Retries: repeated requests, requests never repeated, and targets left alone. Small servers; pauses are noted."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Awaitable, Callable
from datetime import UTC, datetime, timedelta
from typing import Any, Literal

import pytest

from syncd.errors import OutcomeUnclear, ScimError, TargetFailing, TargetRefused, TargetUnreachable
from syncd.scim import transport as module
from syncd.scim import wire
from syncd.scim.pace import Pace
from syncd.scim.profiles import Profile
from syncd.scim.transport import Patience, Transport
from tests.endpoints import PATIENCE_SECONDS, TOKEN, Reply, Request, Server, error, raw_server

BROKEN = Reply(0)
GOOD = Reply(200, {"id": "u1", "userName": "ada@example.com"})
IN_NO_TIME = Patience(attempts=3, outage=0, base=0, cap=0, longest_pause=300)
"""The second failure is the end of it."""


class Noting(Pace):
    """Notes the pauses that are asked for, and makes none."""

    def __init__(self, most: int = 8) -> None:
        super().__init__(Profile("test", requests_per_second=1e6), most=most)
        self.pauses: list[float] = []

    def pause(self, seconds: float) -> None:
        self.pauses.append(seconds)


class Talk(Transport):
    """A transport whose clock goes forward by ten seconds for each time that it would wait; `waiting` happens then."""

    waiting: Callable[[], Awaitable[object]] | None = None

    def __init__(self, url: str, patience: Patience = IN_NO_TIME, *, most: int = 8, timeout: float = 20.0) -> None:
        self.noting = Noting(most)
        super().__init__("lucid", url, TOKEN, pace=self.noting, patience=patience, timeout=timeout)

    async def back_off(self, attempt: int, *, everybody: bool = False) -> None:
        loop = asyncio.get_running_loop()
        now = loop.time() + 10
        started = asyncio.BaseEventLoop.time(loop)  # type: ignore[arg-type]
        loop.time = lambda: now + asyncio.BaseEventLoop.time(loop) - started  # type: ignore[method-assign, arg-type]
        if self.waiting is not None:
            await self.waiting()


def talk(
    url: str, story: Callable[[Talk], Awaitable[Any]], patience: Patience = IN_NO_TIME, **options: Any
) -> tuple[Any, Talk]:
    """Return what a story gets, or the error that ends it, and the transport."""

    async def told() -> tuple[Any, Talk]:
        async with Talk(url, patience, **options) as transport:
            try:
                return await story(transport), transport
            except Exception as fault:
                return fault, transport

    return asyncio.run(told())


def in_turn(*replies: Reply) -> Callable[[Request], Reply]:
    left = list(replies)
    return lambda _: left.pop(0)


SORTS: dict[str, Callable[[Transport], Awaitable[Any]]] = {
    "GET": lambda transport: transport.send("GET", "Users/u1"),
    "PUT": lambda transport: transport.send("PUT", "Users/u1", body={"a": 1}, if_match='W/"7"'),
    "DELETE": lambda transport: transport.send("DELETE", "Users/u1"),
    "PATCH that may be repeated": lambda transport: transport.send("PATCH", "Users/u1", body={"a": 1}, repeatable=True),
    "PATCH": lambda transport: transport.send("PATCH", "Users/u1", body={"a": 1}),
    "PATCH that may not": lambda transport: transport.send("PATCH", "Users/u1", body={"a": 1}, repeatable=False),
    "POST": lambda transport: transport.send("POST", "Users", body={"a": 1}),
}
REPEATABLE = ["GET", "PUT", "DELETE", "PATCH that may be repeated"]
ONCE = ["PATCH", "PATCH that may not", "POST"]
UNCLEAR = [
    pytest.param(error(502), id="502"),
    pytest.param(error(503), id="503"),
    pytest.param(error(504), id="504"),
    pytest.param(BROKEN, id="reset"),
]


# -- what is sent again --------------------------------------------------------------------------------


@pytest.mark.parametrize("sort", SORTS)
@pytest.mark.parametrize("seconds", ["0", "7", "2.5", "300"])
def test_what_came_too_fast_is_sent_again_after_the_pause_that_was_asked_for(sort: str, seconds: str) -> None:
    too_fast = Reply(429, None, {"Retry-After": seconds})
    with Server(in_turn(too_fast, too_fast, GOOD)) as server:
        answer, transport = talk(server.url, SORTS[sort])
    assert answer.status == 200
    assert transport.noting.pauses == [float(seconds)] * 2
    assert (transport.traffic.requests, transport.pace.waits.retries, len(server.requests)) == (3, 2, 3)
    first, *others = server.requests
    assert others == [first, first], "the same, to the last header"


def test_a_pause_may_be_asked_for_until_a_moment(monkeypatch: pytest.MonkeyPatch) -> None:
    class Clock(datetime):
        @classmethod
        def now(cls, tz: Any = None) -> Any:
            return datetime(2026, 11, 23, 11, 59, 55, 500_000, tzinfo=UTC)

    monkeypatch.setattr(module, "datetime", Clock)
    date = {"Retry-After": "Mon, 23 Nov 2026 12:00:00 GMT"}
    with Server(in_turn(Reply(429, None, date), Reply(503, None, date), GOOD)) as server:
        answer, transport = talk(server.url, SORTS["GET"], Patience())
    assert (answer.status, transport.noting.pauses) == (200, [4.5, 4.5])


@pytest.mark.parametrize("said", [{}, {"Retry-After": "soon"}])
def test_what_came_too_fast_without_a_word_of_a_pause_waits_too(said: dict[str, str]) -> None:
    with Server(in_turn(Reply(429, None, said), GOOD)) as server:
        answer, transport = talk(server.url, SORTS["POST"])
    assert (answer.status, transport.noting.pauses, len(server.requests)) == (200, [], 2)


def test_nobody_sends_while_somebody_backs_off_from_a_429() -> None:
    with Server(in_turn(error(429), error(503), GOOD)) as server:
        noting = Noting()

        async def story() -> None:
            patience = Patience(base=0.01, cap=0.01)
            async with Transport("lucid", server.url, TOKEN, pace=noting, patience=patience) as transport:
                await transport.send("GET", "Users/u1")

        asyncio.run(story())
    # One pause for all: of the 429. What is merely not answered waits alone.
    assert len(noting.pauses) == 1
    assert 0 <= noting.pauses[0] <= 0.01
    assert 0 <= noting.waits.seconds <= 0.011


@pytest.mark.parametrize("reply", UNCLEAR)
@pytest.mark.parametrize("sort", REPEATABLE)
def test_what_does_the_same_twice_is_sent_again_when_the_answer_says_nothing(sort: str, reply: Reply) -> None:
    with Server(in_turn(reply, GOOD)) as server:
        answer, _ = talk(server.url, SORTS[sort])
    assert answer.status == 200
    assert len(server.requests) == 2
    assert server.requests[0] == server.requests[1]


@pytest.mark.parametrize("reply", UNCLEAR)
@pytest.mark.parametrize("sort", ONCE)
def test_what_would_take_effect_twice_is_sent_once_and_its_outcome_is_unclear(sort: str, reply: Reply) -> None:
    with Server(in_turn(reply, GOOD)) as server:
        fault, transport = talk(server.url, SORTS[sort])
    assert isinstance(fault, OutcomeUnclear)
    assert fault.status == reply.status
    assert (len(server.requests), transport.traffic.requests, transport.pace.waits.retries) == (1, 1, 0)


def test_an_unclear_outcome_pauses_all_others_where_a_pause_was_asked_for() -> None:
    with Server(in_turn(Reply(503, None, {"Retry-After": "9"}), GOOD)) as server:
        fault, transport = talk(server.url, SORTS["POST"])
    assert isinstance(fault, OutcomeUnclear)
    assert (transport.noting.pauses, len(server.requests)) == ([9], 1)


@pytest.mark.parametrize(
    ("sort", "status", "unclear"),
    [
        ("POST", 500, True),
        ("PATCH", 500, True),
        ("POST", 507, True),
        ("POST", 501, False),
        ("POST", 400, False),
        ("POST", 404, False),
        ("POST", 409, False),
        ("POST", 413, False),
        ("PUT", 500, False),
        ("GET", 500, False),
        ("PATCH that may be repeated", 500, False),
    ],
)
def test_a_failure_that_may_have_done_it_is_unclear_and_no_refusal_is(sort: str, status: int, unclear: bool) -> None:
    with Server(in_turn(error(status, "no", "invalidValue"))) as server:
        fault, _ = talk(server.url, SORTS[sort])
    assert type(fault) is (OutcomeUnclear if unclear else ScimError)
    assert (fault.status, fault.detail, fault.scim_type) == (status, "no", "invalidValue")
    assert len(server.requests) == 1


@pytest.mark.parametrize(("sort", "unclear"), [("POST", True), ("PATCH", True), ("PUT", False), ("GET", False)])
def test_a_success_that_cannot_be_read_is_unclear_where_it_would_take_effect_twice(sort: str, unclear: bool) -> None:
    with Server(lambda _: Reply(201, b"{")) as server:
        fault, _ = talk(server.url, SORTS[sort])
    assert type(fault) is (OutcomeUnclear if unclear else ScimError)
    assert (fault.status, len(server.requests)) == (0, 1)


@pytest.mark.parametrize(("status", "asked"), [(401, ["GET /Users/u1"]), (403, ["GET /Users/u1", "GET /Users"])])
def test_a_refused_token_is_not_tried_again(status: int, asked: list[str]) -> None:
    with Server(lambda _: error(status)) as server:
        fault, _ = talk(server.url, SORTS["GET"])
        assert isinstance(fault, TargetRefused)
        assert server.log() == asked


# -- no connection -------------------------------------------------------------------------------------


def refusing() -> socket.socket:
    """Return a socket that refuses connections until it listens."""
    taken = socket.socket()
    taken.bind(("127.0.0.1", 0))
    return taken


def address(bound: socket.socket) -> str:
    return f"http://127.0.0.1:{bound.getsockname()[1]}/scim/v2"


@pytest.mark.parametrize("sort", SORTS)
def test_a_target_that_nobody_serves_is_tried_twice(sort: str) -> None:
    with refusing() as bound:
        fault, transport = talk(address(bound), SORTS[sort], Patience())
    assert isinstance(fault, TargetUnreachable)
    assert "can't be reached: the connection was refused" in str(fault)
    assert transport.traffic.requests == 2


def test_what_was_never_sent_is_sent_when_there_is_somebody_also_a_post() -> None:
    with refusing() as bound:
        answering: list[threading.Thread] = []

        def answer() -> None:
            connection, _ = bound.accept()
            with connection:
                connection.settimeout(PATIENCE_SECONDS)
                connection.recv(65536)
                connection.sendall(b'HTTP/1.1 201 Created\r\nContent-Length: 11\r\n\r\n{"id":"u1"}')

        async def story(transport: Talk) -> Any:
            async def appear() -> None:
                bound.listen()
                answering.append(threading.Thread(target=answer))
                answering[0].start()

            transport.waiting = appear
            return await transport.send("POST", "Users", body={})

        answer_, transport = talk(address(bound), story)
        answering[0].join()
    assert (answer_.status, transport.traffic.requests, transport.pace.waits.retries) == (201, 2, 1)


@pytest.mark.parametrize("sort", ["GET", "POST"])
def test_a_target_that_went_away_is_waited_for_and_what_was_not_sent_is_not_unclear(sort: str) -> None:
    async def story(transport: Talk) -> Any:
        await transport.send("GET", "Users/u1")
        server.__exit__(None, None, None)
        return await SORTS[sort](transport)

    server = Server(lambda _: Reply(200, {"id": "u1"}, {"Connection": "close"}))
    server.__enter__()
    fault, transport = talk(server.url, story, Patience(outage=30))
    assert isinstance(fault, TargetFailing)
    # At 0, 10, 20 and 30 s, and a last question.
    assert transport.traffic.requests == 1 + 4 + 1
    assert len(server.requests) == 1


def test_a_connection_that_nobody_takes_was_never_made() -> None:
    with refusing() as bound, socket.socket() as first:
        bound.listen(0)
        first.connect(bound.getsockname())  # fills the queue: the next one is not answered at all
        fault, transport = talk(address(bound), SORTS["POST"], Patience(), timeout=0.2)
    assert isinstance(fault, TargetUnreachable)
    assert transport.traffic.requests == 2


# -- whose fault it is ---------------------------------------------------------------------------------


@pytest.mark.parametrize("reply", UNCLEAR)
def test_a_target_that_fails_for_longer_than_an_outage_is_left_alone(reply: Reply) -> None:
    async def story(transport: Talk) -> Any:
        with pytest.raises(TargetFailing) as first:
            await transport.send("GET", "Users/u1")
        sent = len(server.requests)
        for send in SORTS.values():
            with pytest.raises(TargetFailing) as later:
                await send(transport)
            assert later.value is first.value
        assert len(server.requests) == sent
        return first.value

    with Server(lambda _: reply) as server:
        fault, transport = talk(server.url, story, Patience(outage=30))
    assert "without one good answer" in str(fault)
    assert fault.hint == "nothing more is sent now; what is left is done by the next run"
    # At 0, 10, 20 and 30 s, and a last question.
    assert (transport.traffic.requests, transport.pace.waits.retries) == (5, 3)
    assert server.requests[-1].target == "/scim/v2/Users?startIndex=1&count=1"


def test_those_who_wait_for_their_turn_are_not_sent_either() -> None:
    async def story(transport: Talk) -> Any:
        return await asyncio.gather(
            *(transport.send("GET", f"Users/u{number}") for number in range(20)), return_exceptions=True
        )

    with Server(lambda _: error(503)) as server:
        faults, transport = talk(server.url, story, most=1)
    assert {type(fault) for fault in faults} == {TargetFailing}
    # One at a time: each is sent, each is sent again, and the first asks whether anybody answers. No other does.
    assert transport.traffic.requests == len(server.requests) == 20 + 20 + 1


def test_a_target_that_is_too_busy_is_waited_for_as_long_as_a_pause_may_be() -> None:
    with Server(lambda _: error(429)) as server:
        fault, transport = talk(server.url, SORTS["POST"], Patience(outage=10, longest_pause=50))
    assert isinstance(fault, TargetFailing)
    # At 0, 10, ... 50 s, and a last question.
    assert transport.traffic.requests == len(server.requests) == 7


@pytest.mark.parametrize("sort", ["GET", "POST"])
@pytest.mark.parametrize("status", [429, 503])
@pytest.mark.parametrize("form", ["seconds", "date", "endless"])
def test_a_target_that_asks_for_too_long_a_pause_is_left_alone_at_once(
    sort: str, status: int, form: Literal["seconds", "date", "endless"]
) -> None:
    later = datetime.now(UTC) + timedelta(hours=1)
    said = {"seconds": "300.5", "date": f"{later:%a, %d %b %Y %H:%M:%S} GMT", "endless": "9" * 400}[form]
    with Server(lambda _: Reply(status, None, {"Retry-After": said})) as server:
        fault, transport = talk(server.url, SORTS[sort])
        if status == 503 and sort != "GET":
            assert isinstance(fault, OutcomeUnclear)
            fault = fault.stop
        assert isinstance(fault, TargetFailing)
        assert f"answers {status} and asks to be left alone for " in str(fault)
        assert (len(server.requests), transport.noting.pauses) == (1, [])


def test_a_target_is_left_alone_for_one_reason() -> None:
    together = threading.Barrier(2)
    pauses = ["400", "500"]

    def answer(request: Request) -> Reply:
        together.wait(PATIENCE_SECONDS)
        return Reply(429, None, {"Retry-After": pauses.pop()})

    async def story(transport: Talk) -> Any:
        return await asyncio.gather(*(SORTS[sort](transport) for sort in ("GET", "POST")), return_exceptions=True)

    with Server(answer) as server:
        (one, other), _ = talk(server.url, story)
    assert isinstance(one, TargetFailing)
    assert one is other


def bad_ones(request: Request) -> Reply:
    return error(503, "no") if "bad" in request.path else GOOD


def test_one_request_that_alone_keeps_failing_is_that_one_s_error() -> None:
    async def story(transport: Talk) -> Any:
        with pytest.raises(ScimError) as caught:
            await transport.send("GET", "Users/bad")
        await transport.send("GET", "Users/good")
        return caught.value

    with Server(bad_ones) as server:
        fault, _ = talk(server.url, story)
    assert (type(fault), fault.status) == (ScimError, 503)
    assert server.log() == ["GET /Users/bad", "GET /Users/bad", "GET /Users", "GET /Users/good"]


def test_each_request_that_alone_fails_is_tried_for_as_long() -> None:
    async def story(transport: Talk) -> None:
        for number in (1, 2):
            with pytest.raises(ScimError):
                await transport.send("GET", f"Users/bad{number}")

    with Server(bad_ones) as server:
        talk(server.url, story, Patience(outage=30))
    # At 0, 10, 20 and 30 s each; then it is asked whether anybody answers.
    assert server.log() == [*["GET /Users/bad1"] * 4, "GET /Users", *["GET /Users/bad2"] * 4, "GET /Users"]


def test_while_others_succeed_one_request_is_tried_only_so_often() -> None:
    async def story(transport: Talk) -> Any:
        transport.waiting = lambda: transport.send("GET", "Users/good")
        await transport.send("GET", "Users/bad")

    with Server(bad_ones) as server:
        fault, _ = talk(server.url, story, Patience(attempts=4, outage=1000))
    assert type(fault) is ScimError
    assert server.log() == ["GET /Users/bad", "GET /Users/good"] * 3 + ["GET /Users/bad"]


@pytest.mark.parametrize(("answered", "attempts"), [(False, 2), (True, 4)])
def test_an_outage_lasts_from_the_first_failure_since_the_last_good_answer(answered: bool, attempts: int) -> None:
    replies = [error(503)]

    async def story(transport: Talk) -> Any:
        with pytest.raises(OutcomeUnclear):
            await transport.send("POST", "Users", body={})
        if answered:
            replies[0] = GOOD
            await transport.send("GET", "Users/good")
            replies[0] = error(503)
        for _ in range(2):
            await transport.back_off(1)
        await transport.send("GET", "Users/u1")

    with Server(lambda _: replies[0]) as server:
        fault, _ = talk(server.url, story, Patience(outage=30))
    assert isinstance(fault, TargetFailing)
    # At 20 s and 30 s; else at 20, 30, 40 and 50 s, for it fails since 20 s.
    assert server.log().count("GET /Users/u1") == attempts


def test_five_requests_that_fail_in_a_row_are_the_target_s_fault() -> None:
    async def story(transport: Talk) -> Any:
        for number in range(1, 5):
            with pytest.raises(ScimError):
                await transport.send("GET", f"Users/bad{number}")
            await transport.send("GET", "Users/good")  # to read says nothing about writes
        await transport.send("GET", "Users/bad5")

    with Server(bad_ones) as server:
        fault, _ = talk(server.url, story)
    assert isinstance(fault, TargetFailing)
    assert "fails 5 requests in a row, each tried again and again; the last: 503 no" in str(fault)
    assert server.log().count("GET /Users/bad5") == 2


def test_a_write_that_succeeds_in_between_ends_the_row() -> None:
    async def story(transport: Talk) -> int:
        for number in range(1, 10):
            with pytest.raises(ScimError):
                await transport.send("GET", f"Users/bad{number}")
            if number == 4:
                await transport.send("PUT", "Users/good", body={})
            if number == 8:
                return number
        return 0

    with Server(bad_ones) as server:
        assert talk(server.url, story)[0] == 8


def test_refusals_are_answers_and_end_nothing() -> None:
    async def story(transport: Talk) -> int:
        for number in range(20):
            with pytest.raises(ScimError):
                await transport.send("GET", f"Users/u{number}")
        return len(server.requests)

    with Server(lambda _: error(500)) as server:
        assert talk(server.url, story)[0] == 20


# -- how much and how long -----------------------------------------------------------------------------


@pytest.mark.parametrize(("sort", "fault"), [("GET", TargetFailing), ("POST", OutcomeUnclear)])
def test_a_whole_request_has_a_deadline_however_steadily_bytes_drip(sort: str, fault: type[Exception]) -> None:
    gone = threading.Event()
    connections = []

    def drip(connection: socket.socket) -> None:
        connections.append(connection)
        try:
            connection.sendall(b"HTTP/1.1 200 OK\r\nContent-Length: 100000\r\n\r\n{")
            while not gone.wait(0.005):
                connection.sendall(b" ")
        except OSError:
            return

    with raw_server(drip) as url:
        caught, transport = talk(url, SORTS[sort], timeout=0.15)
        gone.set()
    assert type(caught) is fault
    assert "no complete answer within 0.15 s" in str(caught)
    # Once, once more, and a last question.
    assert len(connections) == transport.traffic.requests == (3 if sort == "GET" else 1)


@pytest.mark.parametrize(("sort", "fault"), [("GET", ScimError), ("POST", OutcomeUnclear), ("PUT", OutcomeUnclear)])
def test_an_answer_that_is_too_large_is_not_asked_for_again(
    sort: str, fault: type[Exception], monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(wire, "MAX_ANSWER_BYTES", 1 << 20)
    with Server(lambda _: Reply(200, b" " * ((1 << 20) + 1))) as server:
        caught, _ = talk(server.url, SORTS[sort])
        assert type(caught) is fault
        assert len(server.requests) == 1
    with Server(lambda _: Reply(200, b" " * (1 << 20))) as server:
        answer, _ = talk(server.url, SORTS[sort])
        assert answer.status == 200


# -- how many at a time --------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("reply", "limit"),
    [
        (Reply(429), 4.25),
        (Reply(429, None, {"Retry-After": "1"}), 4.25),
        (Reply(503, None, {"Retry-After": "1"}), 4.25),
        (Reply(503), 8),
        (BROKEN, 8),
        (GOOD, 8),
    ],
)
def test_fewer_are_in_flight_when_the_target_says_that_it_is_too_much(reply: Reply, limit: float) -> None:
    with Server(in_turn(reply, GOOD)) as server:
        _, transport = talk(server.url, SORTS["GET"])
    # Half of eight; then one good answer.
    assert transport.pace.window.limit == limit


def test_an_answer_that_is_none_makes_no_more_be_in_flight() -> None:
    async def story(transport: Talk) -> None:
        transport.pace.window.limit = 4
        await transport.send("GET", "Users/u1")

    with Server(in_turn(error(503), GOOD)) as server:
        _, transport = talk(server.url, story)
    assert transport.pace.window.limit == 4.25


def test_no_more_are_in_flight_than_the_window_holds() -> None:
    arrived = threading.Semaphore(0)
    going_on = threading.Event()

    def answer(request: Request) -> Reply:
        arrived.release()
        assert going_on.wait(PATIENCE_SECONDS)
        return GOOD

    async def story(transport: Talk) -> None:
        asked = [asyncio.create_task(transport.send("GET", f"Users/u{number}")) for number in range(10)]
        for _ in range(3):
            assert await asyncio.to_thread(arrived.acquire, timeout=PATIENCE_SECONDS)
        going_on.set()
        await asyncio.gather(*asked)

    with Server(answer) as server:
        talk(server.url, story, most=3)
        assert (server.most_at_once, len(server.requests)) == (3, 10)
