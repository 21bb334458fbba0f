"""Skips: a change is not tried because of earlier events in the run, and its outcome has the reason."""

from __future__ import annotations

from collections.abc import Iterable

import pytest

from syncd.core.model import Kind
from syncd.core.plan import UNRECOVERED, Action, Change, Outcome, Result
from syncd.errors import TargetFailing, TargetRefused
from syncd.push.skips import Skips

MOST = 20


def change(action: Action, key: str = "1") -> Change:
    return Change(action, key, key, {}, {}, "")


def skips(*outcomes: Outcome) -> Skips:
    """Return what follows from these outcomes."""
    made = Skips("target")
    for outcome in outcomes:
        made.note(outcome, is_done=outcome.result is Result.APPLIED)
    return made


def failures(action: Action, number: int = MOST, *, status: int = 503) -> Iterable[Outcome]:
    """Yield so many outcomes of different people or groups."""
    return (Outcome(change(action, f"f{n}"), Result.FAILED, status, "oh") for n in range(number))


def said(made: Skips, of: Change) -> str | None:
    """Return why a change is skipped; None: it is tried."""
    outcome = made.of(of)
    assert outcome is None or outcome.result is Result.SKIPPED
    return outcome.detail if outcome else None


@pytest.mark.parametrize("result", [Result.FAILED, Result.SKIPPED, Result.REFUSED])
def test_a_persons_later_changes_wait_for_the_earlier_one(result: Result) -> None:
    made = skips(Outcome(change(Action.CREATE_USER), result, 400, "no"))
    why = "an earlier change of the same person did not succeed"
    assert said(made, change(Action.UPDATE_USER)) == why
    assert said(made, change(Action.UPDATE_USER, "2")) is None
    assert said(made, change(Action.UPDATE_GROUP)) is None, "a group may have a person's key"


def test_a_change_that_succeeded_keeps_nothing_waiting() -> None:
    made = skips(Outcome(change(Action.CREATE_USER), Result.APPLIED, 201))
    assert said(made, change(Action.UPDATE_USER)) is None
    assert made.unmade_groups == set()


@pytest.mark.parametrize(
    ("action", "unmade"),
    [
        (Action.CREATE_GROUP, {"1"}),
        (Action.ADOPT_GROUP, {"1"}),
        (Action.UPDATE_GROUP, set()),
        (Action.CREATE_USER, set()),
    ],
)
def test_a_group_that_is_not_made_is_known_as_such(action: Action, unmade: set[str]) -> None:
    assert skips(Outcome(change(action), Result.FAILED, 400, "no")).unmade_groups == unmade


def test_creates_that_an_earlier_run_left_open_are_skipped_by_kind_and_key() -> None:
    made = skips()
    made.leave_open({(Kind.USER, "1")})
    assert said(made, change(Action.CREATE_USER)) == UNRECOVERED
    assert said(made, change(Action.CREATE_GROUP)) is None
    assert said(made, change(Action.ADOPT_USER)) is None
    assert said(made, change(Action.CREATE_USER, "2")) is None


@pytest.mark.parametrize(
    ("number", "status", "stops"), [(19, 503, False), (20, 503, True), (20, 0, True), (20, 400, False)]
)
def test_a_target_that_never_takes_a_write_stops(number: int, status: int, stops: bool) -> None:
    made = skips(*failures(Action.CREATE_USER, number, status=status))
    assert isinstance(made.stopped, TargetFailing) is stops
    assert (said(made, change(Action.DELETE_GROUP)) is not None) is stops


def test_where_something_succeeded_only_the_action_that_fails_is_left_out() -> None:
    made = skips(Outcome(change(Action.UPDATE_GROUP), Result.APPLIED, 200), *failures(Action.CREATE_USER))
    assert made.stopped is None
    assert said(made, change(Action.CREATE_USER)) == "20 like it failed in a row; the last: 503 oh"
    assert said(made, change(Action.UPDATE_USER)) is None


def test_one_that_succeeds_ends_the_streak_and_one_without_a_request_does_not() -> None:
    begun = [Outcome(change(Action.UPDATE_GROUP), Result.APPLIED, 200), *failures(Action.UPDATE_USER)]
    asked, unasked = (Outcome(change(Action.UPDATE_USER, "x"), Result.APPLIED, status) for status in (200, 0))
    assert said(skips(*begun, asked), change(Action.UPDATE_USER)) is None
    assert said(skips(*begun, unasked), change(Action.UPDATE_USER)) is not None


def test_the_first_reason_to_stop_is_the_one_that_is_told() -> None:
    made = skips()
    first = TargetRefused("target", "refuses the token")
    for why in (None, first, TargetFailing("target", "fails")):
        made.stop(why)
    assert made.stopped is first
    assert said(made, change(Action.CREATE_USER)) == "the target stopped: refuses the token"


def test_once_told_to_stop_nothing_is_begun_and_failures_are_no_reason_of_the_target() -> None:
    made = skips()
    made.drain()
    for outcome in failures(Action.CREATE_USER):
        made.note(outcome, is_done=outcome.result is Result.APPLIED)
    assert made.stopped is None
    assert said(made, change(Action.UPDATE_USER)) == "syncd was told to stop"


# -- what the token may not do ---------------------------------------------------------------------------


def forbidden(action: Action, number: int) -> Iterable[Outcome]:
    """Yield refusals with 403 of so many different people or groups."""
    return (Outcome(change(action, f"f{n}"), Result.FAILED, 403, f"no {n}") for n in range(number))


@pytest.mark.parametrize(
    ("action", "number", "why"),
    [
        (Action.CREATE_USER, 2, None),
        (Action.CREATE_USER, 3, "this token may not create users (403 for 3 people: no 2)"),
        (Action.ADOPT_USER, 3, "this token may not adopt users (403 for 3 accounts: no 2)"),
        (Action.ADD_MEMBERS, 3, "this token may not add members to groups (403 for 3 groups: no 2)"),
        # Who takes access away goes on for longer: a leaver who is skipped can still get in.
        (Action.DEACTIVATE_USER, 19, None),
        (Action.DEACTIVATE_USER, 20, "this token may not deactivate users (403 for 20 people: no 19)"),
        (Action.REMOVE_MEMBERS, 19, None),
        (Action.DELETE_GROUP, 20, "this token may not delete groups (403 for 20 groups: no 19)"),
    ],
)
def test_an_action_that_meets_403_at_several_resources_is_not_tried_at_the_others(
    action: Action, number: int, why: str | None
) -> None:
    made = skips(*forbidden(action, number))
    assert said(made, change(action)) == why
    others = [each for each in Action if each is not action]
    assert [said(made, change(each)) for each in others] == [None] * len(others)
    assert made.stopped is None


def test_a_403_at_the_same_resource_again_counts_once() -> None:
    again = Outcome(change(Action.UPDATE_USER), Result.FAILED, 403, "no")
    assert said(skips(again, again, again), change(Action.UPDATE_USER, "2")) is None


@pytest.mark.parametrize("first", [True, False])
def test_an_action_that_succeeded_once_is_allowed(first: bool) -> None:
    refused, done = list(forbidden(Action.UPDATE_USER, 5)), Outcome(change(Action.UPDATE_USER), Result.APPLIED, 200)
    made = skips(*([done, *refused] if first else [*refused, done]))
    assert said(made, change(Action.UPDATE_USER, "2")) is None


def test_an_action_of_which_a_part_was_done_is_allowed() -> None:
    made = skips()
    for outcome in forbidden(Action.UPDATE_USER, 5):
        made.note(outcome, is_done=True)
    assert said(made, change(Action.UPDATE_USER, "2")) is None


def test_other_refusals_say_nothing_about_the_token() -> None:
    made = skips(*failures(Action.CREATE_USER, 19, status=400))
    assert said(made, change(Action.CREATE_USER)) is None


def test_a_change_that_was_done_without_effect_or_in_part_keeps_nothing_waiting() -> None:
    made = Skips("target")
    made.note(Outcome(change(Action.CREATE_USER), Result.INEFFECTIVE, 201, "gone again"), is_done=True)
    made.note(Outcome(change(Action.CREATE_GROUP), Result.FAILED, 400, "no title"), is_done=True)
    assert said(made, change(Action.UPDATE_USER)) is None
    assert made.unmade_groups == set()
