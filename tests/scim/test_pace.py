"""When a request may go, by a clock that leaps: every moment is worked out by hand, and nobody waits."""

from __future__ import annotations

import asyncio
import random
from collections import Counter
from collections.abc import Awaitable, Callable
from dataclasses import replace
from itertools import pairwise

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.model import Kind
from syncd.scim.pace import Pace, Pacer, Window, back_off
from syncd.scim.profiles import PROFILES, Profile
from tests.scim.clock import now, run

EACH_SECOND = 1.02
"""Requests per second that make one request a second: 2 % are kept back, for clocks differ."""
UNHURRIED = Profile("test", requests_per_second=1e6)


# -- places at a rate ----------------------------------------------------------------------------------


def places(pacer: Pacer, *comings: float) -> list[float]:
    """Return when each got a place, of those who come at these moments."""

    async def come(moment: float, pacer: Pacer) -> float:
        await asyncio.sleep(moment)
        await pacer.place()
        return now()

    async def all_come() -> list[float]:
        return list(await asyncio.gather(*(come(moment, pacer) for moment in comings)))

    return run(all_come())


def test_places_come_one_after_the_other_and_never_a_second_s_worth_at_once() -> None:
    assert places(Pacer(EACH_SECOND), 0, 0, 0, 0) == [0, 0.99, 1.99, 2.99]


def test_who_comes_when_a_place_is_free_does_not_wait() -> None:
    assert places(Pacer(EACH_SECOND), 0, 5, 7) == [0, 5, 7]


def test_a_rest_saves_up_as_many_places_as_the_burst_and_no_more() -> None:
    moments = places(Pacer(EACH_SECOND, burst=3), *[0] * 5, *[100] * 5)
    assert sorted(moments) == [0, 0, 0, 0.99, 1.99, 100, 100, 100, 100.99, 101.99]


def test_a_place_that_is_taken_a_little_late_makes_the_next_no_later() -> None:
    # The second comes 5 ms after its place at 0.99: the third still goes at 1.99.
    assert places(Pacer(EACH_SECOND), 0, 0.995, 0.995) == [0, 0.995, 1.99]
    # Who is later than 10 ms has lost the rest.
    assert places(Pacer(EACH_SECOND), 0, 1.25, 1.25) == [0, 1.25, 2.24]


def test_a_place_tells_the_seconds_that_were_waited() -> None:
    async def three() -> list[float]:
        pacer = Pacer(EACH_SECOND)
        return [round(await pacer.place(), 6) for _ in range(3)]

    assert run(three()) == [0, 0.99, 1]


def test_places_are_given_in_the_order_of_coming() -> None:
    moments = places(Pacer(EACH_SECOND), 0.3, 0.1, 0.2)
    assert moments == [2.09, 0.1, 1.09]


@given(st.integers(1, 60), st.lists(st.floats(0, 3), min_size=1, max_size=40))
def test_no_second_has_more_requests_than_the_rate(rate: int, pauses: list[float]) -> None:
    comings = [sum(pauses[:number]) for number in range(len(pauses))] + [sum(pauses)] * rate
    moments = sorted(places(Pacer(rate), *comings))
    assert all(later - first > 1 for first, later in zip(moments, moments[rate:], strict=False))


@given(st.integers(1, 5), st.lists(st.floats(0, 5), min_size=1, max_size=30))
def test_a_burst_is_saved_up_by_resting_alone(burst: int, pauses: list[float]) -> None:
    comings = [sum(pauses[:number]) for number in range(len(pauses))] + [sum(pauses)] * 10
    moments = sorted(places(Pacer(EACH_SECOND, burst), *comings))
    for start, first in enumerate(moments):
        for number, moment in enumerate(moments[start:], 1):
            # 0.02 s: what a late one may make up for, and what rounding adds.
            assert number <= moment - first + burst + 0.02


# -- how many at a time --------------------------------------------------------------------------------


def test_a_window_begins_with_all_or_where_an_earlier_run_ended() -> None:
    assert [Window(8).limit, Window(8, 3.5).limit, Window(8, 99).limit, Window(8, 0.2).limit] == [8, 3.5, 8, 1]


def test_a_refusal_halves_the_window_once_for_all_that_were_in_flight_together() -> None:
    window = Window(16)
    window.cut(started=0, now=10)
    assert window.limit == 8
    for started in (0, 5, 9.9):  # sent before the window was cut: they say nothing new
        window.cut(started=started, now=11)
    assert window.limit == 8
    window.cut(started=10, now=12)
    assert window.limit == 4


def test_the_window_never_closes() -> None:
    window = Window(3)
    for moment in range(5):
        window.cut(started=moment, now=moment + 0.5)
    assert window.limit == 1


def test_the_window_grows_by_one_for_as_many_good_answers_as_it_holds_and_not_beyond_the_most() -> None:
    window = Window(3, 1)
    grown = []
    for number in range(6):
        window.answered("GET user", number, number + 0.1)
        grown.append(round(window.limit, 4))
    # 1 + 1/1; 2 + 1/2; 2.5 + 1/2.5; 2.9 + 1/2.9 would be 3.24.
    assert grown == [2, 2.5, 2.9, 3, 3, 3]


@pytest.mark.parametrize(
    ("usual", "seconds", "cut"),
    [
        pytest.param(0.25, 1.03, True, id="more than four times as long as usual, and more than a second"),
        pytest.param(0.25, 1.01, False, id="four times 0.25 s and what is usual grows by"),
        pytest.param(0.01, 0.99, False, id="a hundred times as long as usual, but under a second"),
        pytest.param(2.0, 7.9, False, id="long, but so is the usual"),
        pytest.param(2.0, 8.2, True, id="longer than long"),
    ],
)
def test_answers_that_are_slow_for_their_sort_halve_the_window(usual: float, seconds: float, cut: bool) -> None:
    window = Window(8)
    window.answered("GET user", 0, usual)
    window.answered("GET user", 100, 100 + seconds)
    assert window.limit == (4 if cut else 8)


def test_each_sort_of_request_has_its_own_usual_time() -> None:
    window = Window(8)
    window.answered("GET user", 0, 0.01)
    window.answered("PATCH group", 100, 130)
    assert window.limit == 8
    window.answered("GET user", 200, 230)
    assert window.limit == 4


def test_one_quick_answer_does_not_make_all_others_slow_for_ever() -> None:
    window = Window(8, 8)
    window.answered("GET user", 0, 0.1)
    slow = 0
    for number in range(1, 200):
        before = window.limit
        window.answered("GET user", number * 10, number * 10 + 1.5)
        slow += window.limit < before or before == window.limit == 1
    # 0.1 s grow by 2 % each until 1.5 s are less than four times as long: 0.1 * 1.02^67 = 0.377.
    assert slow == 66
    assert window.limit == 8


async def settle() -> None:
    """Let all others do what they can."""
    for _ in range(5):
        await asyncio.sleep(0)


class Visitors:
    """Tasks that stay in a window until they are told to leave."""

    def __init__(self, window: Window) -> None:
        self.window = window
        self.inside: list[str] = []
        self.most = 0
        self._leave: dict[str, asyncio.Event] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}

    async def _visit(self, name: str) -> None:
        async with self.window:
            self.inside.append(name)
            self.most = max(self.most, len(self.inside))
            try:
                await self._leave[name].wait()
            finally:
                self.inside.remove(name)

    async def come(self, names: str) -> None:
        for name in names:
            self._leave[name] = asyncio.Event()
            self._tasks[name] = asyncio.create_task(self._visit(name))
        await settle()

    def leave(self, name: str) -> None:
        self._leave[name].set()

    def cancel(self, name: str) -> None:
        self._tasks[name].cancel()

    async def end(self) -> None:
        for event in self._leave.values():
            event.set()
        await asyncio.gather(*self._tasks.values(), return_exceptions=True)


def in_window(limit: float, story: Callable[[Visitors], Awaitable[None]]) -> None:
    async def told() -> None:
        visitors = Visitors(Window(8, limit))
        await story(visitors)
        await visitors.end()
        # Whatever happened, as many as before may enter.
        again = Visitors(visitors.window)
        await again.come("123456789")
        assert len(again.inside) == int(visitors.window.limit)
        await again.end()

    run(told())


def test_as_many_as_the_limit_are_inside_and_the_others_enter_in_the_order_of_coming() -> None:
    async def story(visitors: Visitors) -> None:
        await visitors.come("abcde")
        assert visitors.inside == ["a", "b"]
        visitors.leave("b")
        await settle()
        assert visitors.inside == ["a", "c"]
        await visitors.come("f")
        visitors.leave("a")
        visitors.leave("c")
        await settle()
        assert visitors.inside == ["d", "e"]
        visitors.leave("d")
        await settle()
        assert visitors.inside == ["e", "f"]
        assert visitors.most == 2

    in_window(2.9, story)


def test_who_comes_does_not_overtake_who_waits() -> None:
    async def story(visitors: Visitors) -> None:
        await visitors.come("ab")
        visitors.leave("a")
        # a leaves and c comes before b, whose turn it is, has moved.
        await visitors.come("c")
        assert visitors.inside == ["b"]

    in_window(1, story)


def test_who_comes_as_the_window_grows_does_not_overtake_who_waits_either() -> None:
    async def story(visitors: Visitors) -> None:
        await visitors.come("ab")
        visitors.window.answered("GET user", 0, 0.1)
        await visitors.come("c")
        assert visitors.inside == ["a"]
        visitors.leave("a")
        await settle()
        assert visitors.inside == ["b", "c"]

    in_window(1, story)


def test_who_gives_up_waiting_takes_no_place_along() -> None:
    async def story(visitors: Visitors) -> None:
        await visitors.come("abc")
        visitors.cancel("b")
        await settle()
        assert visitors.inside == ["a"]
        visitors.leave("a")
        await settle()
        assert visitors.inside == ["c"]

    in_window(1, story)


def test_who_gives_up_as_the_turn_comes_passes_it_on() -> None:
    async def story(visitors: Visitors) -> None:
        await visitors.come("abc")
        visitors.cancel("a")  # leaves, and so gives b the turn ...
        await asyncio.sleep(0)
        visitors.cancel("b")  # ... that b doesn't take any more
        await settle()
        assert visitors.inside == ["c"]

    in_window(1, story)


def test_a_window_that_was_cut_lets_nobody_in_until_enough_have_left() -> None:
    async def story(visitors: Visitors) -> None:
        await visitors.come("abcde")
        assert visitors.inside == ["a", "b", "c", "d"]
        visitors.window.cut(started=0, now=1)
        for name, inside in (("a", ["b", "c", "d"]), ("b", ["c", "d"]), ("c", ["d", "e"])):
            visitors.leave(name)
            await settle()
            assert visitors.inside == inside

    in_window(4, story)


def test_a_window_that_has_grown_lets_several_in_at_once() -> None:
    async def story(visitors: Visitors) -> None:
        await visitors.come("abcde")
        for number in range(3):
            visitors.window.answered("GET user", number, number + 0.1)  # 1, 2, 2.5, 2.9
        for number in range(3):
            visitors.window.answered("GET user", number, number + 0.1)  # 3.24, 3.55, 3.83
        visitors.leave("a")
        await settle()
        assert visitors.inside == ["b", "c", "d"]

    in_window(1, story)


# -- the pace of one target ----------------------------------------------------------------------------


def turns(pace: Pace, *asked: tuple[str, Kind | None]) -> dict[str, list[float]]:
    """Return when the requests of each sort may go, that are all asked for at once."""

    async def turn(method: str, kind: Kind | None) -> tuple[str, float]:
        await pace.turn(method, kind)
        return f"{method} {kind}", now()

    async def all_turns() -> dict[str, list[float]]:
        moments: dict[str, list[float]] = {}
        for sort, moment in await asyncio.gather(*(turn(*each) for each in asked)):
            moments.setdefault(sort, []).append(round(moment, 3))
        return moments

    return run(all_turns())


READ, WRITE, WRITE_GROUP = ("GET", Kind.USER), ("PATCH", Kind.USER), ("PATCH", Kind.GROUP)


@pytest.mark.parametrize(
    ("profile", "slowed"),
    [
        (replace(UNHURRIED, reads_per_second=EACH_SECOND), {"GET user"}),
        (replace(UNHURRIED, user_writes_per_second=EACH_SECOND), {"PATCH user"}),
        (replace(UNHURRIED, group_writes_per_second=EACH_SECOND), {"PATCH group"}),
        (UNHURRIED, set()),
    ],
)
def test_each_rate_of_a_profile_slows_what_it_is_about_and_nothing_else(profile: Profile, slowed: set[str]) -> None:
    moments = turns(Pace(profile), *[READ, WRITE, WRITE_GROUP] * 3)
    slow, fast = [0, 0.99, 1.99], [0, 0, 0]
    assert moments == {sort: slow if sort in slowed else fast for sort in ("GET user", "PATCH user", "PATCH group")}


def test_reads_of_users_groups_and_anything_else_share_one_rate() -> None:
    pace = Pace(replace(UNHURRIED, reads_per_second=EACH_SECOND))
    assert turns(pace, ("GET", Kind.USER), ("GET", Kind.GROUP), ("GET", None)) == {
        "GET user": [0],
        "GET group": [0.99],
        "GET None": [1.99],
    }


@pytest.mark.parametrize("method", ["POST", "PUT", "PATCH", "DELETE"])
def test_every_write_counts(method: str) -> None:
    pace = Pace(replace(UNHURRIED, user_writes_per_second=EACH_SECOND))
    assert turns(pace, *[(method, Kind.USER)] * 3) == {f"{method} user": [0, 0.99, 1.99]}


def test_the_rate_of_all_counts_for_everything_together() -> None:
    pace = Pace(replace(UNHURRIED, requests_per_second=EACH_SECOND))
    assert turns(pace, READ, WRITE, WRITE_GROUP, ("POST", None)) == {
        "GET user": [0],
        "PATCH user": [0.99],
        "PATCH group": [1.99],
        "POST None": [2.99],
    }


def test_a_rate_that_is_configured_goes_before_the_profile_s() -> None:
    assert turns(Pace(UNHURRIED, rate=EACH_SECOND), *[READ] * 2) == {"GET user": [0, 0.99]}


def test_a_burst_is_of_writes_alone() -> None:
    profile = Profile(
        "test",
        requests_per_second=1e6,
        reads_per_second=EACH_SECOND,
        user_writes_per_second=EACH_SECOND,
        group_writes_per_second=EACH_SECOND,
        burst=2,
    )
    assert turns(Pace(profile), *[READ, WRITE, WRITE_GROUP] * 3) == {
        "GET user": [0, 0.99, 1.99],
        "PATCH user": [0, 0, 0.99],
        "PATCH group": [0, 0, 0.99],
    }
    assert turns(Pace(replace(profile, requests_per_second=EACH_SECOND)), *[WRITE] * 3) == {
        "PATCH user": [0, 0.99, 1.99]
    }


@pytest.mark.parametrize(
    ("name", "sort", "number", "seconds"),
    [
        # 1.02 s for as many as a second allows, less the 10 ms that a late one may make up for.
        ("generic", READ, 51, 1.01),
        ("lucid-admin", WRITE, 11, 1.01),
        ("slack", READ, 301, 60 * 1.02 - 0.01),
        # 20 at once, then 3 a second.
        ("slack", WRITE, 20 + 180, 60 * 1.02 - 0.01),
        # 100 at once, then 900 an hour.
        ("github-emu", WRITE, 100 + 900, 3600 * 1.02 - 0.01),
    ],
)
def test_the_rates_of_the_profiles(name: str, sort: tuple[str, Kind], number: int, seconds: float) -> None:
    (moments,) = turns(Pace(PROFILES[name]), *[sort] * number).values()
    assert moments[-1] == pytest.approx(seconds, abs=0.002)


def test_a_request_of_many_operations_counts_as_many() -> None:
    pace = Pace(UNHURRIED, rate=EACH_SECOND)

    async def heavy() -> float:
        await pace.turn("POST", None, weight=4)
        return now()

    assert run(heavy()) == 2.99


@pytest.fixture
def latest(monkeypatch: pytest.MonkeyPatch) -> None:
    """Make every random wait as long as it can be."""
    monkeypatch.setattr(random, "uniform", lambda _, most: most)


def paused(*pauses: tuple[float, float], comings: tuple[float, ...]) -> tuple[list[float], float]:
    """Return when those who come may go, and the seconds waited; `pauses`: when somebody asks for how long a pause."""
    pace = Pace(UNHURRIED)

    async def pause(moment: float, seconds: float) -> None:
        await asyncio.sleep(moment)
        pace.pause(seconds)

    async def come(moment: float) -> float:
        await asyncio.sleep(moment)
        await pace.turn("GET", Kind.USER)
        return now()

    async def story() -> list[float]:
        asked = [asyncio.create_task(pause(*each)) for each in pauses]
        moments = list(await asyncio.gather(*(come(moment) for moment in comings)))
        await asyncio.gather(*asked)
        return moments

    return run(story()), pace.waits.seconds


@pytest.mark.usefixtures("latest")
def test_a_pause_for_one_is_a_pause_for_all() -> None:
    # All but at once: up to a quarter of a second is added.
    moments, waited = paused((0, 5), comings=(1, 2, 4.8, 5, 6))
    assert moments == pytest.approx([5.25, 5.25, 5.05, 5, 6], abs=1e-4)
    assert waited == pytest.approx(4 + 3 + 0.2, abs=1e-4)


@pytest.mark.usefixtures("latest")
def test_the_longest_pause_counts_also_for_those_who_wait_already() -> None:
    moments, _ = paused((0, 5), (1, 1), (4, 6), comings=(0.5, 3))
    # At 5.25 s it isn't over: to the tenth second, and a quarter. The one second of the second pause counts for nobody.
    assert moments == pytest.approx([10.25, 10.25], abs=1e-4)


def test_after_a_pause_they_do_not_all_come_at_the_same_instant() -> None:
    moments, _ = paused((0, 5), comings=(1,) * 20)
    assert all(5 <= moment <= 5.2501 for moment in moments)
    assert Counter(moments).most_common(1)[0][1] < 5


# -- backing off ---------------------------------------------------------------------------------------


@given(st.integers(1, 10_000), st.floats(0, 60), st.floats(0, 600))
def test_nobody_waits_less_than_nothing_or_longer_than_the_cap(attempt: int, base: float, cap: float) -> None:
    assert 0 <= back_off(attempt, base, cap) <= min(base * 2 ** min(attempt - 1, 20), cap)


@pytest.mark.usefixtures("latest")
def test_the_longest_wait_doubles_up_to_the_cap() -> None:
    assert [back_off(attempt, 0.5, 20) for attempt in range(1, 9)] == [0.5, 1, 2, 4, 8, 16, 20, 20]


def test_waits_differ() -> None:
    waits = sorted(back_off(5, 1, 20) for _ in range(50))
    assert waits[0] < 8 < waits[-1]
    assert all(one < other for one, other in pairwise(waits))
