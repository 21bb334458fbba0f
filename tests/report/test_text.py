"""Plans and runs as text: as they are kept in `golden/`, and nothing of any plan is left out of it.

`SYNCD_UPDATE_GOLDEN=1` writes the golden texts anew; read what changed before it is committed.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from rich.text import Text

from syncd.core.drift import Drift, DriftClass
from syncd.core.plan import Action, Change, Held, Plan
from syncd.report.text import plan_lines, render, run_lines, value_text, visible
from tests.report import plans, samples

GOLDEN = Path(__file__).parent / "golden"
_QUIET = replace(plans.PLAN, changes=(), held=(), rejected=(), drift=(), accepted=(), problems=())
TEXTS = {
    "plan": lambda: plan_lines(plans.PLAN),
    "plan-held": lambda: plan_lines(replace(_QUIET, kind="sync", held=plans.HELD)),
    "plan-rejected": lambda: plan_lines(replace(_QUIET, kind="sync", rejected=plans.REJECTED)),
    "plan-drift": lambda: plan_lines(replace(_QUIET, drift=plans.DRIFT)),
    "plan-quiet": lambda: plan_lines(_QUIET),
    "run": lambda: run_lines(plans.RUN),
    "run-stopped": lambda: run_lines(replace(plans.RUN, error="the token is refused (401)\nrun `syncd relink`")),
}


@pytest.mark.parametrize("name", TEXTS)
def test_the_text_is_as_it_is_kept(name: str) -> None:
    file = GOLDEN / f"{name}.txt"
    text = render(TEXTS[name]())
    if os.environ.get("SYNCD_UPDATE_GOLDEN"):
        file.write_text(text, encoding="utf-8")
    assert text == file.read_text(encoding="utf-8")


def lines(found: Iterable[Text]) -> list[str]:
    return [line.plain.strip() for line in found]


@given(plans.plans)
def test_everything_in_a_plan_is_in_its_text(plan: Plan) -> None:
    text = lines(plan_lines(plan))
    shown = Counter(text)
    for change in plan.changes:
        assert any(line.startswith(_SIGN[change.action]) and _says(line, change) for line in text)
    for held in plan.held:
        assert any(line[:8] == held.id[:8] and _says(line, held.change) for line in text)
        assert f"held by {visible(held.limit)}: {visible(held.reason)}".rstrip() in shown
    for held in plan.rejected:
        ending = f"; {visible(held.reason)}".rstrip()
        assert any(line[:8] == held.id[:8] and _says(line, held.change) and line.endswith(ending) for line in text)
    for drift in plan.drift:
        assert any(line.startswith(f"{drift.kind.value} {visible(drift.name)}".strip()) for line in text)
        for value in _found(drift):
            assert any(value in line for line in text)
    for problem in plan.problems:
        assert f"! {visible(': '.join([problem.where, problem.key, problem.problem]))}".strip() in shown
    for key in plan.accepted:
        assert any(visible(key).strip() in line for line in text if line.startswith("Accepted the invitation"))
    # A line each, however alike two of them are.
    assert sum(" ".join(line.split()).startswith(tuple(_SIGN.values())) for line in text) >= len(plan.changes)


_SIGN = {
    Action.CREATE_USER: "+ create_user",
    Action.ADOPT_USER: "& adopt_user",
    Action.UPDATE_USER: "~ update_user",
    Action.DEACTIVATE_USER: "- deactivate_user",
    Action.REACTIVATE_USER: "+ reactivate_user",
    Action.DELETE_USER: "x delete_user",
    Action.CREATE_GROUP: "+ create_group",
    Action.ADOPT_GROUP: "& adopt_group",
    Action.UPDATE_GROUP: "~ update_group",
    Action.DELETE_GROUP: "x delete_group",
    Action.ADD_MEMBERS: "+ add_members",
    Action.REMOVE_MEMBERS: "- remove_members",
}


def _says(line: str, change: Change) -> bool:
    parts = [change.action.value, visible(change.name), visible(change.key), f": {visible(change.reason)}"]
    return all(part.strip() in line for part in parts) and (" taken over" in line) >= change.takes_over


def _found(drift: Drift) -> list[str]:
    """Return what must be read of one drift: each value that was found and each that was expected."""
    match drift.class_:
        case DriftClass.USER_DELETED | DriftClass.GROUP_DELETED:
            return ["is gone"]
        case DriftClass.MEMBER_ADDED:
            return [visible(key).strip() for key in drift.found["members"]]
        case DriftClass.MEMBER_REMOVED:
            return [visible(key).strip() for key in drift.expected["members"]]
        case _:
            pairs = ((path, value) for path, value in drift.expected.items())
            return [f"found {value_text(drift.found.get(path))}" for path, _ in pairs] + [
                value_text(value) for value in drift.expected.values()
            ]


@given(plans.plans)
def test_no_text_from_outside_moves_the_cursor_or_adds_a_line(plan: Plan) -> None:
    yielded = list(plan_lines(plan))
    text = render(yielded)
    assert text.count("\n") == len(yielded)
    assert all(char == "\n" or char.isprintable() for char in text)


def test_ids_are_as_long_as_it_takes_to_tell_them_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    ids = {plans.LEAVE.key: "abcdef0123456789", plans.PART.key: "abcdef0123999999"}
    monkeypatch.setattr(Change, "id", property(lambda change: ids[change.key]))
    text = lines(plan_lines(replace(_QUIET, held=plans.HELD[:2])))
    assert [line.split()[0] for line in text if "1007" in line and line.startswith("abc")] == ["abcdef01234"]
    assert any(line.startswith("abcdef01239  - remove_members") for line in text)


def test_a_source_that_proves_no_absence_says_so() -> None:
    unsure = replace(plans.EVIDENCE, absence=False)
    text = render(plan_lines(replace(_QUIET, evidence=unsure)))
    assert "nobody counts as gone" in text
    assert "nobody counts as gone" not in render(plan_lines(_QUIET))


def test_the_unusual_comes_before_the_rest() -> None:
    text = lines(plan_lines(samples.many(312)))
    headings = [line for line in text if "): " in line and line[0].isupper()]
    assert [heading.partition(" (")[0] for heading in headings] == [
        "Deactivations",
        "Groups that lose most of their members",
        "Another userName or e-mail",
        "Invited",
        "The only ones of their kind",
        "New people",
        "Changed people",
        "Memberships",
    ]


def test_where_the_rest_is_long_it_is_counted() -> None:
    text = lines(plan_lines(samples.many(312), 12))
    # 12 among three sections are 4 each; 29 new people are not unusual, 268 changed ones, one membership.
    assert sum(line.startswith("+ create_user") for line in text) == 4 + 2
    assert "… and 25 more (25 create user)" in text
    assert "… and 264 more (264 update user)" in text
    assert '245 × department changed, 245 times "Sales" -> "Revenue"' in text
    assert "all of it, to search and to filter: `-o FILE.html`" in text
    assert sum(line.startswith("- deactivate_user") for line in text) == 7
    everything = lines(plan_lines(samples.many(312)))
    assert not [line for line in everything if line.startswith("…")]


def test_a_short_plan_is_shown_whole() -> None:
    assert lines(plan_lines(plans.PLAN, 12)) == lines(plan_lines(plans.PLAN))


@pytest.mark.parametrize("width", [40, 80, 120])
def test_on_a_narrow_terminal_lines_go_on_further_in(width: int) -> None:
    text = render(plan_lines(plans.PLAN), width=width)
    assert max(map(len, text.splitlines())) <= width
    assert "".join(text.split()) == "".join(render(plan_lines(plans.PLAN)).split())
    first, second = text.splitlines()[:2]
    assert first.startswith("lucid (resync")
    assert second.startswith("        ")


def test_limits_that_are_used_are_told() -> None:
    text = lines(plan_lines(samples.withheld(samples.many(312))))
    assert "limits: deactivate 7 of at most 5, remove_members 9 of at most 496, rename 3 of at most 496" in text


def test_differing_characters_are_underlined_on_a_terminal() -> None:
    text = render(plan_lines(replace(_QUIET, changes=(plans.RENAME,))), color=True)
    assert "\x1b[4m.new\x1b[0m" in text


def test_a_drift_in_the_title_is_counted_apart_from_changes() -> None:
    (title, *_) = lines(plan_lines(plans.PLAN))
    assert title == (
        "lucid (resync, 2026-11-22 12:00:00 UTC): 2 create_user, 2 adopt_user, 1 update_user, 1 adopt_group,"
        " 1 add_members; 3 held; 1 rejected; 8 drifted; 9 requests, under a second"
    )


def test_a_run_that_was_stopped_before_its_first_change_had_something_to_do() -> None:
    stopped = replace(plans.RUN, outcomes=(), error="the token is refused (401)")
    title, *_ = run_lines(stopped)
    assert ": nothing done, " in title.plain


def test_an_id_that_cannot_be_approved_yet_is_not_shown() -> None:
    later = replace(plans.HELD[0], stored=False)
    stored = Held(plans.STAY, "deactivate", later.reason)
    shown = render(plan_lines(replace(_QUIET, kind="sync", held=(later, stored)))).splitlines()
    heading = shown.index("Held (2):")
    assert shown[heading + 1] == (
        "  a change without an id can be approved once the next run (`syncd sync`) has stored it"
    )
    assert later.id[:8] not in "\n".join(shown)
    (line,) = [line for line in shown if later.change.name in line]
    (other,) = [line for line in shown if stored.change.name in line]
    assert other.startswith(f"  {stored.id[:8]}  ")
    assert line.startswith(" " * 12)
    assert line.index("deactivate_user") == other.index("deactivate_user")
