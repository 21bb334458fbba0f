"""What must succeed before a change is said wherever the change is shown."""

from __future__ import annotations

from dataclasses import replace

import pytest
from markdown_it import MarkdownIt

from syncd.core.limits import BEFORE_DELETE
from syncd.core.plan import UNPREPARED, Action, Change, Held, Outcome, Plan, Result, Run
from syncd.report import html, markdown
from syncd.report.html_data import anchors_of, data
from syncd.report.review import review
from syncd.report.text import plan_lines, render, run_lines
from tests.report.plans import NOON

FIRST = "POST https://hooks.example.com/…"
DELETION = Change(Action.DELETE_USER, "1", "ada@example.com", {"active": False}, {}, "off for long", first=FIRST)
PLAN = Plan("lucid", "sync", NOON, 1, (DELETION,))
HELD = replace(PLAN, changes=(), held=(Held(DELETION, BEFORE_DELETE, "the webhook: it answers 503"),))


@pytest.mark.parametrize("plan", [PLAN, HELD])
def test_every_format_says_what_comes_first(plan: Plan) -> None:
    said = f"{FIRST} ({BEFORE_DELETE})"
    assert f"        first: {said}" in render(plan_lines(plan))
    assert f"  - first: `{said}`" in markdown.document(plan)
    assert "<li>first: <code>" in MarkdownIt().render(markdown.document(plan))
    assert f'<p class="first">first: <code>{said}</code></p>' in html.page(plan)
    reviewed = [review(plan)]
    (item,) = data(reviewed, anchors_of(reviewed))["items"]
    assert item["first"] == said


def test_it_is_part_of_the_plan_and_not_of_the_changes_identity() -> None:
    assert Plan.from_json(PLAN.to_json(), "plan.json") == PLAN
    assert DELETION.id == replace(DELETION, first="").id
    assert "first" not in replace(DELETION, first="").to_json()


def test_a_hold_says_what_it_waits_for_and_what_an_approval_does() -> None:
    text = render(plan_lines(HELD))
    assert "1 change waits for `before_delete` to succeed: the webhook: it answers 503." in text
    (item,) = review(HELD).items
    assert item.means.endswith("tried again, or deleted without it when a person approves that")


def test_an_outcome_says_that_it_is_held() -> None:
    outcome = Outcome(DELETION, Result.FAILED, detail=f"{UNPREPARED}the webhook: it answers 503", unprepared=True)
    run = Run(1, PLAN, NOON, (outcome,), 0, 0.1)
    text = render(run_lines(run))
    assert "FAILED: before_delete: the webhook: it answers 503" in text
    assert "held, and tried again: `syncd holds`" in text
