"""The end of a change in the plan's terms: a result, whether it stays open, and whether the target stops."""

from __future__ import annotations

import pytest

from syncd.core.model import Kind
from syncd.core.plan import LOST, Action, Change, Outcome, Result
from syncd.errors import OutcomeUnclear, ScimError, TargetError, TargetFailing, TargetRefused
from syncd.push.gate import Taken
from syncd.push.outcomes import Done, Failure, ended, failed, stop_in
from syncd.push.presence import Lost
from syncd.push.refusal import Refusal
from syncd.push.sending import it_was_made

CHANGE = Change(Action.UPDATE_USER, "1", "u1", {}, {"title": "Dr"}, "")
UNREACHABLE = TargetFailing("target", "gave no answer")
REFUSED = TargetRefused("target", "refuses the token", status=401)


@pytest.mark.parametrize(
    ("failure", "stopped", "result", "status", "detail", "is_open"),
    [
        (Refusal(Result.REFUSED, "moved"), None, "refused", 0, "moved", False),
        (Refusal(Result.SKIPPED, "no manager"), None, "skipped", 0, "no manager", False),
        (Lost(Kind.USER, "1"), None, "failed", 404, LOST, False),
        (ScimError(400, "no", "invalidValue"), None, "failed", 400, "no", False),
        (ScimError(422, ""), None, "failed", 422, "no reason given", False),
        (Taken("another's"), None, "failed", 409, "another's", False),
        (OutcomeUnclear(502, ""), None, "failed", 502, "no reason given", True),
        (OutcomeUnclear(0, "cut off", stop=UNREACHABLE), None, "failed", 0, "cut off", True),
        (REFUSED, None, "failed", 401, "refuses the token", False),
        (UNREACHABLE, None, "failed", 0, "gave no answer", False),
        # Once the target has stopped, a change without an answer was never sent; one with an answer was.
        (UNREACHABLE, REFUSED, "skipped", 0, "the target stopped: gave no answer", False),
        (REFUSED, UNREACHABLE, "failed", 401, "refuses the token", False),
        (ScimError(400, "no"), REFUSED, "failed", 400, "no", False),
    ],
)
def test_each_failure_has_its_outcome(
    failure: Failure, stopped: TargetError | None, result: str, status: int, detail: str, is_open: bool
) -> None:
    expected = Outcome(CHANGE, Result(result), status, detail, open=is_open)
    assert failed(CHANGE, failure, stopped) == expected


@pytest.mark.parametrize(
    ("failure", "stop"),
    [
        (Refusal(Result.REFUSED, "moved"), None),
        (Lost(Kind.USER, "1"), None),
        (ScimError(500, "oh"), None),
        (OutcomeUnclear(502, "oh"), None),
        (OutcomeUnclear(0, "cut off", stop=UNREACHABLE), UNREACHABLE),
        (REFUSED, REFUSED),
    ],
)
def test_only_a_failure_of_the_target_as_a_whole_stops_it(failure: Failure, stop: TargetError | None) -> None:
    assert stop_in(failure) is stop


def test_a_change_that_went_through_is_applied_with_its_remark() -> None:
    done = Done(200, "without 1 who has no account yet (2)", finished=False)
    assert ended(CHANGE, done) == Outcome(CHANGE, Result.APPLIED, 200, done.remark, finished=False)


@pytest.mark.parametrize(
    ("failure", "status", "detail", "stop"),
    [
        (ScimError(404, "not there"), 404, "not there", None),
        (Taken("another's"), 409, "another's", None),
        (OutcomeUnclear(503, "later", stop=UNREACHABLE), 503, "later", UNREACHABLE),
        (REFUSED, 401, "refuses the token", REFUSED),
        (Refusal(Result.REFUSED, "protected"), 0, "protected", None),
    ],
)
def test_any_failure_after_something_was_made_leaves_the_change_open(
    failure: Exception, status: int, detail: str, stop: TargetError | None
) -> None:
    with pytest.raises(OutcomeUnclear) as unclear, it_was_made():
        raise failure
    assert (unclear.value.status, unclear.value.detail, unclear.value.stop) == (status, detail, stop)
