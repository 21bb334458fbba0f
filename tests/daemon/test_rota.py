"""Whose turn it is."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.daemon.rota import Rota, Turn


def begun(rota: Rota) -> list[tuple[tuple[str, ...], frozenset[str], object]]:
    return [(turn.targets, turn.full, turn.asked) for turn in rota.next()]


def test_what_is_due_together_is_one_turn() -> None:
    rota = Rota()
    rota.due(["a", "b"], full=False)
    rota.due(["b", "c"], full=True)
    assert begun(rota) == [(("a", "b", "c"), frozenset({"b", "c"}), None)]
    assert begun(rota) == []


def test_what_is_due_many_times_is_done_once() -> None:
    rota = Rota()
    for _ in range(100):
        rota.due(["a"], full=False)
    (turn,) = rota.next()
    for _ in range(100):
        rota.due(["a"], full=False)
    assert begun(rota) == []
    rota.free(turn)
    assert begun(rota) == [(("a",), frozenset(), None)]
    assert begun(rota) == []


def test_a_full_resync_is_worth_a_plain_run_whichever_came_first() -> None:
    for order in ((False, True), (True, False)):
        rota = Rota()
        for full in order:
            rota.due(["a"], full=full)
        assert begun(rota) == [(("a",), frozenset({"a"}), None)]


def test_a_slow_target_keeps_no_other_waiting() -> None:
    rota = Rota()
    rota.due(["quick", "slow"], full=False)
    (turn,) = rota.next()
    rota.free(turn, "quick")
    rota.due(["quick", "slow"], full=False)
    assert begun(rota) == [(("quick",), frozenset(), None)]
    rota.free(turn)
    assert begun(rota) == [(("slow",), frozenset(), None)]


def test_who_is_free_already_is_not_freed_from_another_turn() -> None:
    rota = Rota()
    rota.due(["a", "b"], full=False)
    (first,) = rota.next()
    rota.free(first, "a")
    rota.due(["a"], full=False)
    (second,) = rota.next()
    rota.free(first)
    assert rota.busy == {"a": second}


def test_what_a_person_asked_for_comes_first_and_in_the_order_of_asking() -> None:
    rota = Rota()
    rota.due(["a"], full=False)
    (running,) = rota.next()
    rota.ask(Turn(("a", "b"), asked="one"))
    rota.ask(Turn(("b",), asked="two"))
    rota.due(["a", "b", "c"], full=False)
    assert begun(rota) == [(("c",), frozenset(), None)], "b is waited for by somebody who came first"
    assert rota.before(Turn(("a",))) == ["a"]
    rota.free(running)
    (one,) = rota.next()
    assert one.asked == "one"
    assert begun(rota) == []
    rota.free(one)
    assert begun(rota) == [(("b",), frozenset(), "two"), (("a",), frozenset(), None)]


def test_who_went_away_before_it_began_is_forgotten() -> None:
    rota = Rota()
    rota.due(["a"], full=False)
    (running,) = rota.next()
    wish = object()
    rota.ask(Turn(("a",), asked=wish))
    rota.withdraw(wish)
    rota.free(running)
    assert begun(rota) == []


def test_a_paused_target_has_no_turn_and_one_by_a_person_is_refused_elsewhere() -> None:
    rota = Rota()
    rota.paused = {"a"}
    rota.due(["a", "b"], full=False)
    assert begun(rota) == [(("b",), frozenset(), None)]
    rota.paused = set()
    assert begun(rota) == [], "what was due meanwhile is not made up for by itself"


def test_targets_that_are_no_longer_configured_are_forgotten() -> None:
    rota = Rota()
    rota.paused = {"gone"}
    rota.due(["gone", "a"], full=False)
    rota.forget({"a"})
    assert rota.paused == set()
    assert begun(rota) == [(("a",), frozenset(), None)]


TARGETS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("due"), st.sets(TARGETS, min_size=1), st.booleans()),
    st.tuples(st.just("ask"), st.sets(TARGETS, min_size=1), st.booleans()),
    st.tuples(st.just("free"), TARGETS, st.booleans()),
    st.tuples(st.just("end"), TARGETS, st.booleans()),
)


@given(st.lists(STEPS, max_size=40))
def test_never_two_turns_of_one_target_and_nothing_is_lost(steps: list[tuple[str, object, bool]]) -> None:
    rota = Rota()
    running: list[Turn] = []
    wanted: set[str] = set()
    for what, about, flag in steps:
        names = sorted(about) if isinstance(about, set) else [about]
        if what == "due":
            rota.due(names, full=flag)
            wanted |= set(names)
        elif what == "ask":
            rota.ask(Turn(tuple(names), asked=object()))
            wanted |= set(names)
        else:
            for turn in running:
                if names[0] in turn.left:
                    rota.free(turn, names[0] if what == "free" else None)
        running += rota.next()
        left = [target for turn in running for target in turn.left]
        assert len(left) == len(set(left))
        assert set(rota.busy) == set(left)
    done = {target for turn in running for target in turn.targets}
    while running:
        rota.free(running.pop())
        more = rota.next()
        running += more
        done |= {target for turn in more for target in turn.targets}
    assert done == wanted
    assert rota.busy == {}
