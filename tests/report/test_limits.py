"""Limits in words: how many changes one lets through, and why so many."""

from __future__ import annotations

import pytest

from syncd.core.context import LimitUse
from syncd.core.limits import Class, Limit
from syncd.core.policy import Policy, Situation, decide
from syncd.report.limits import limit_words
from tests.report.plans import NOON


@pytest.mark.parametrize(
    ("limit", "managed", "words"),
    [
        (Limit(always=True), 100, "every one is held"),
        (Limit(), 100, "no limit"),
        (Limit(percent=10, base=20), 19, "the limit of 10 % begins at 20 managed people"),
        (Limit(percent=10, count=50, base=20), 0, "50; the limit of 10 % begins at 20 managed people"),
        (Limit(percent=10, count=50, base=20), 20, "2 (10 % of 20)"),
        (Limit(percent=10, count=50, base=20), 5_000, "50"),
        (Limit(count=5), 0, "5"),
    ],
)
def test_how_many_a_limit_lets_through(limit: Limit, managed: int, words: str) -> None:
    situation = Situation(NOON, managed, 0)
    uses = decide([], Policy({Class.DEACTIVATE: limit}), situation).limits
    (use,) = [each for each in uses if each.limit == "deactivate"]
    assert words == limit_words(use)


def test_a_limit_on_groups_begins_at_a_number_of_groups() -> None:
    use = LimitUse("delete_group", 0, 3, None, percent=10, base=20)
    assert limit_words(use) == "the limit of 10 % begins at 20 managed groups"


def test_a_plan_saved_before_does_not_say_where_a_limit_begins() -> None:
    assert limit_words(LimitUse("deactivate", 0, 3, None, percent=10)) == "no limit"
