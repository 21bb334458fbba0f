"""The queue: the turns that may begin."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from syncd.daemon.queue import RunQueue, Turn


def begun(queue: RunQueue) -> list[tuple[tuple[str, ...], frozenset[str], object]]:
    return [(turn.targets, turn.full, turn.asked) for turn in queue.next()]


def test_what_is_due_together_is_one_turn() -> None:
    queue = RunQueue()
    queue.due(["a", "b"], full=False)
    queue.due(["b", "c"], full=True)
    assert begun(queue) == [(("a", "b", "c"), frozenset({"b", "c"}), None)]
    assert begun(queue) == []


def test_what_is_due_many_times_is_done_once() -> None:
    queue = RunQueue()
    for _ in range(100):
        queue.due(["a"], full=False)
    (turn,) = queue.next()
    for _ in range(100):
        queue.due(["a"], full=False)
    assert begun(queue) == []
    queue.free(turn)
    assert begun(queue) == [(("a",), frozenset(), None)]
    assert begun(queue) == []


def test_a_full_resync_is_worth_a_plain_run_whichever_came_first() -> None:
    for order in ((False, True), (True, False)):
        queue = RunQueue()
        for full in order:
            queue.due(["a"], full=full)
        assert begun(queue) == [(("a",), frozenset({"a"}), None)]


def test_a_slow_target_keeps_no_other_waiting() -> None:
    queue = RunQueue()
    queue.due(["quick", "slow"], full=False)
    (turn,) = queue.next()
    queue.free(turn, "quick")
    queue.due(["quick", "slow"], full=False)
    assert begun(queue) == [(("quick",), frozenset(), None)]
    queue.free(turn)
    assert begun(queue) == [(("slow",), frozenset(), None)]


def test_who_is_free_already_is_not_freed_from_another_turn() -> None:
    queue = RunQueue()
    queue.due(["a", "b"], full=False)
    (first,) = queue.next()
    queue.free(first, "a")
    queue.due(["a"], full=False)
    (second,) = queue.next()
    queue.free(first)
    assert queue.busy == {"a": second}


def test_what_a_person_asked_for_comes_first_and_in_the_order_of_asking() -> None:
    queue = RunQueue()
    queue.due(["a"], full=False)
    (running,) = queue.next()
    queue.ask(Turn(("a", "b"), asked="one"))
    queue.ask(Turn(("b",), asked="two"))
    queue.due(["a", "b", "c"], full=False)
    assert begun(queue) == [(("c",), frozenset(), None)], "b is waited for by somebody who came first"
    assert queue.before(Turn(("a",))) == ["a"]
    queue.free(running)
    (one,) = queue.next()
    assert one.asked == "one"
    assert begun(queue) == []
    queue.free(one)
    assert begun(queue) == [(("b",), frozenset(), "two"), (("a",), frozenset(), None)]


def test_who_went_away_before_it_began_is_forgotten() -> None:
    queue = RunQueue()
    queue.due(["a"], full=False)
    (running,) = queue.next()
    wish = object()
    queue.ask(Turn(("a",), asked=wish))
    queue.withdraw(wish)
    queue.free(running)
    assert begun(queue) == []


def test_a_paused_target_has_no_turn_and_one_by_a_person_is_refused_elsewhere() -> None:
    queue = RunQueue()
    queue.paused = {"a"}
    queue.due(["a", "b"], full=False)
    assert begun(queue) == [(("b",), frozenset(), None)]
    queue.paused = set()
    assert begun(queue) == [], "what was due meanwhile is not made up for by itself"


def test_targets_that_are_no_longer_configured_are_forgotten() -> None:
    queue = RunQueue()
    queue.paused = {"gone"}
    queue.due(["gone", "a"], full=False)
    queue.forget({"a"})
    assert queue.paused == set()
    assert begun(queue) == [(("a",), frozenset(), None)]


TARGETS = st.sampled_from("abc")
STEPS = st.one_of(
    st.tuples(st.just("due"), st.sets(TARGETS, min_size=1), st.booleans()),
    st.tuples(st.just("ask"), st.sets(TARGETS, min_size=1), st.booleans()),
    st.tuples(st.just("free"), TARGETS, st.booleans()),
    st.tuples(st.just("end"), TARGETS, st.booleans()),
)


@given(st.lists(STEPS, max_size=40))
def test_never_two_turns_of_one_target_and_nothing_is_lost(steps: list[tuple[str, object, bool]]) -> None:
    queue = RunQueue()
    running: list[Turn] = []
    wanted: set[str] = set()
    for what, about, flag in steps:
        names = sorted(about) if isinstance(about, set) else [about]
        if what == "due":
            queue.due(names, full=flag)
            wanted |= set(names)
        elif what == "ask":
            queue.ask(Turn(tuple(names), asked=object()))
            wanted |= set(names)
        else:
            for turn in running:
                if names[0] in turn.left:
                    queue.free(turn, names[0] if what == "free" else None)
        running += queue.next()
        left = [target for turn in running for target in turn.left]
        assert len(left) == len(set(left))
        assert set(queue.busy) == set(left)
    done = {target for turn in running for target in turn.targets}
    while running:
        queue.free(running.pop())
        more = queue.next()
        running += more
        done |= {target for turn in more for target in turn.targets}
    assert done == wanted
    assert queue.busy == {}
