"""Plans and runs as text: equal to the files in `golden/`, and complete for every plan.

`SYNCD_UPDATE_GOLDEN=1` writes the golden texts anew; review the changes before the commit.
"""

from __future__ import annotations

import os
from collections import Counter
from collections.abc import Callable, Iterable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from rich.text import Text

from syncd.core.drift import Drift, DriftClass
from syncd.core.foreign import foreign_in
from syncd.core.plan import Action, Change, Held, Plan, Trouble
from syncd.report import markdown
from syncd.report.text import plan_lines, render, run_lines, value_text, visible, withheld_lines
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
    text = lines(plan_lines(plan, keys=True))
    shown = Counter(text)
    for change in plan.changes:
        assert any(line.startswith(_SIGN[change.action]) and _says(line, change) for line in text)
    for held in plan.held:
        assert any(line[:8] == held.id[:8] and _says(line, held.change) for line in text)
        assert any(line.endswith(f"{visible(held.reason)}.") for line in text)
    for held in plan.rejected:
        ending = f"; {visible(held.reason)}".rstrip()
        assert any(line[:8] == held.id[:8] and _says(line, held.change) and line.endswith(ending) for line in text)
    for drift in plan.drift:
        assert any(line.startswith(f"{drift.kind.value} {visible(drift.name)}".strip()) for line in text)
        for value in _found(drift):
            assert any(value in line for line in text)
    for problem in plan.problems:
        who = dict.fromkeys([problem.where, problem.key])  # a key that is the place itself stands once
        assert f"! {visible(': '.join([*who, problem.problem]))}".strip() in shown
    for key in plan.accepted:
        assert any(visible(key).strip() in line for line in text if line.startswith("Accepted the invitation"))
    # A line each, however alike two of them are.
    assert sum(" ".join(line.split()).startswith(tuple(_SIGN.values())) for line in text) >= len(plan.changes)


_SIGN = {
    Action.CREATE_USER: "+ create user",
    Action.ADOPT_USER: "& adopt user",
    Action.UPDATE_USER: "~ update user",
    Action.DEACTIVATE_USER: "- deactivate user",
    Action.REACTIVATE_USER: "+ reactivate user",
    Action.DELETE_USER: "x delete user",
    Action.CREATE_GROUP: "+ create group",
    Action.ADOPT_GROUP: "& adopt group",
    Action.UPDATE_GROUP: "~ update group",
    Action.DELETE_GROUP: "x delete group",
    Action.ADD_MEMBERS: "+ add members",
    Action.REMOVE_MEMBERS: "- remove members",
}


def _says(line: str, change: Change) -> bool:
    parts = [change.action.label, visible(change.name), visible(change.key), f": {visible(change.reason)}"]
    return all(part.strip() in line for part in parts) and (" taken over" in line) >= change.takes_over


def _found(drift: Drift) -> list[str]:
    """Return what must be read of one drift: each value that was found and each that was expected."""
    match drift.class_:
        case DriftClass.USER_DELETED | DriftClass.GROUP_DELETED:
            return ["is gone"]
        case DriftClass.MEMBER_ADDED:
            return [visible(key).strip() for key in drift.found["members"]]
        case DriftClass.FOREIGN_MEMBER:
            return [visible(each.name).strip() for each in foreign_in(drift.found)]
        case DriftClass.MEMBER_REMOVED:
            return [visible(key).strip() for key in drift.expected["members"]]
        case _:
            pairs = ((path, value) for path, value in drift.expected.items())
            return [f"found {value_text(drift.found.get(path))}" for path, _ in pairs] + [
                value_text(value) for value in drift.expected.values()
            ]


def _markdown(plan: Plan, keys: bool) -> str:
    return markdown.document(plan, keys=keys)


UUID = "6f1c2c0e-5f0a-4c36-9f2b-0f8f6a4c1d11"


@pytest.mark.parametrize(
    ("key", "keys", "shown"),
    [
        ("1001", False, True),
        ("E-0000012345", False, True),  # 12 characters
        ("E-00000123456", False, False),
        (UUID, False, False),
        (UUID, True, True),
        ("ada@x.org", True, False),  # the name already
    ],
)
@pytest.mark.parametrize("render_", [lambda plan, keys: render(plan_lines(plan, keys=keys)), _markdown])
def test_a_key_is_shown_where_it_is_short_or_asked_for(
    render_: Callable[[Plan, bool], str], key: str, keys: bool, shown: bool
) -> None:
    person = replace(plans.CREATE, key=key)
    group = Change.of_members(Action.ADD_MEMBERS, "g", "Sales", [key], [])
    text = render_(replace(_QUIET, changes=(person, group)), keys)
    assert text.count("ada@x.org") == 2
    assert text.count(key) == (2 if shown or key == "ada@x.org" else 0)


def test_a_problem_of_no_place_is_told_by_its_key() -> None:
    problems = (Trouble(UUID, "no value for userName"), Trouble(UUID, "no value for mail", "uid=ada,dc=x"))
    text = lines(plan_lines(replace(_QUIET, problems=problems)))
    assert f"! {UUID}: no value for userName" in text
    assert "! uid=ada,dc=x: no value for mail" in text


@pytest.mark.parametrize(
    ("held", "sentence"),
    [
        (plans.HELD[:1], "1 deactivation waits for approval: 41 of 100 people is over the limit of 10 %."),
        (
            plans.HELD[:2],
            "2 changes wait for approval: 41 of 100 people is over the limit of 10 % for deactivations.",
        ),
        ((Held(plans.LEAVE, "missing_grace", "missing"),), "1 change waits out the grace: missing."),
        ((Held(plans.LEAVE, "quarantine", "403"),), "1 change is in quarantine: 403."),
        ((Held(plans.LEAVE, "protected", "it is"),), "1 change is withheld and can't be approved: it is."),
        (
            (Held(plans.PART, "deactivate", "waits for the group: 6 of 9 groups would be deleted; the limit is 5"),),
            "1 change waits for the group: 6 of 9 groups is over the limit of 5 for group deletions.",
        ),
    ],
)
def test_what_is_held_waits_in_words(held: tuple[Held, ...], sentence: str) -> None:
    assert sentence in lines(plan_lines(replace(_QUIET, held=held)))


def test_what_was_approved_waits_for_the_next_run_alone() -> None:
    held = plans.HELD[:1]
    text = lines(withheld_lines(held, (), approved={held[0].id}))
    assert (
        "1 approved change waits for the next run: 41 of 100 people is over the limit of 10 % for deactivations."
        in text
    )


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
    assert any(line.startswith("abcdef01239  - remove members") for line in text)


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
    assert sum(line.startswith("+ create user") for line in text) == 4 + 2
    assert "… and 25 more (create 25 users)" in text
    assert "… and 264 more (update 264 users)" in text
    assert '245 × department changed, 245 times "Sales" -> "Revenue"' in text
    assert "all of it, to search and to filter: `-o FILE.html`" in text
    assert sum(line.startswith("- deactivate user") for line in text) == 7
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
    assert (
        "limits: people deactivated: 7 of at most 5; people taken out of groups: 9 of at most 496;"
        " other userName or e-mail: 3 of at most 496"
    ) in text


def test_differing_characters_are_underlined_on_a_terminal() -> None:
    text = render(plan_lines(replace(_QUIET, changes=(plans.RENAME,))), color=True)
    assert "\x1b[4m.new\x1b[0m" in text


def test_a_drift_in_the_title_is_counted_apart_from_changes() -> None:
    (title, *_) = lines(plan_lines(plans.PLAN))
    assert title == (
        "lucid (resync, 2026-11-22 12:00:00 UTC): create 2 users, adopt 2 users, update 1 user, adopt 1 group,"
        " add members to 1 group; 3 held; 1 rejected; 9 drifted; 9 requests, under a second"
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
    assert line.index("deactivate user") == other.index("deactivate user")
