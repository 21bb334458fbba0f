"""The consequence of an outcome for the people concerned: an unknown outcome is reported as unknown."""

from __future__ import annotations

import pytest

from syncd.core.model import State
from syncd.core.plan import LOST, UNRECOVERED, Action, Change, Outcome, Result
from syncd.report.judging import after

NEW = Change(Action.CREATE_USER, "1", "ada", {}, {"userName": "ada"}, "", State.ACTIVE)
LEAVES = Change(Action.DEACTIVATE_USER, "1", "ada", {"active": True}, {"active": False}, "", State.DEACTIVATED)
RENAMED = Change(Action.UPDATE_GROUP, "a", "A", {"displayName": "B"}, {"displayName": "A"}, "")
QUARANTINED = "quarantined: tried again ever more rarely, until it or the source changes"
LOOKS = "the next run looks whether it was done, before it tries again"


@pytest.mark.parametrize(
    ("outcome", "means"),
    [
        (Outcome(NEW, Result.APPLIED, 201), "gets an account"),
        (Outcome(NEW, Result.FAILED, 500), "has no account yet, and can't get in; the next run tries again"),
        (Outcome(NEW, Result.FAILED, 500, open=True), f"perhaps: has no account yet, and can't get in; {LOOKS}"),
        (Outcome(NEW, Result.FAILED, 400, open=True), f"perhaps: has no account yet, and can't get in; {LOOKS}"),
        (Outcome(NEW, Result.SKIPPED, 0, UNRECOVERED), f"perhaps: has no account yet, and can't get in; {LOOKS}"),
        (Outcome(NEW, Result.FAILED, 400), f"has no account yet, and can't get in; {QUARANTINED}"),
        (Outcome(LEAVES, Result.FAILED, 0, open=True), f"perhaps: can still get in; {LOOKS}"),
        (Outcome(LEAVES, Result.FAILED, 404, LOST), "the account was deleted there"),
        (Outcome(LEAVES, Result.FAILED, 404, "no"), "can still get in; the next run tries again"),
        (Outcome(RENAMED, Result.FAILED, 404, LOST), "the group was deleted there"),
    ],
)
def test_an_outcome_means_what_is_known_and_no_more(outcome: Outcome, means: str) -> None:
    assert after(outcome) == means
