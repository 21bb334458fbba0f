"""The status in words: nothing breaks inside a word, and each fact stands once."""

from __future__ import annotations

from datetime import UTC
from typing import Any

import pytest

from syncd.cli.status_text import status_lines
from syncd.report.text import render

FAILURE = (
    "lucid: has failed since 10:04:51 UTC without one good answer; the last: no complete answer: "
    "the connection was cut off while the answer was awaited by everybody concerned"
)
RUN = {
    "run": 8,
    "started": "2026-11-30T10:05:00Z",
    "finished": "2026-11-30T10:05:26Z",
    "results": {},
    "error": f"{FAILURE}\nnothing more is sent now; what is left is done by the next run",
    "summary": {"held": 2, "problems": 1},
}


def row(**changes: Any) -> dict[str, Any]:
    """Return a target's row of `syncd status --json`."""
    plain = {
        "target": "lucid",
        "users": {"active": 20, "pending": 3, "deactivated": 2},
        "groups": 5,
        "memberships": 33,
        "last_run": None,
        "last_resync": None,
        "daemon": None,
        "paused": None,
        "stopped": None,
        "incidents": [],
        "unsettled": 0,
        "concurrency": {"now": 8, "most": 8},
        "holds": {"waiting": 0, "passing": 0, "approved": 0, "rejected": 0},
        "learned": [],
        "ineffective": [],
        "quarantined": [],
        "token_expires": None,
        "pending_since": None,
    }
    return plain | changes


def shown(*rows: dict[str, Any], width: int = 0) -> str:
    return render(list(status_lines(rows, UTC, width=width)), width=width)


def test_counts_are_a_table_where_it_fits() -> None:
    assert shown(row(), width=60).splitlines() == [
        "target  active  pending  deactivated  groups  memberships",
        "lucid   20      3        2            5       33         ",
        "lucid: no run yet",
    ]


def test_counts_are_a_line_where_it_does_not() -> None:
    assert shown(row(), width=50).splitlines()[:2] == [
        "target lucid: active 20, pending 3, deactivated 2,",
        "        groups 5, memberships 33",
    ]


@pytest.mark.parametrize("width", [0, 60, 80, 120])
def test_a_long_failure_stands_once_and_no_word_is_broken(width: int) -> None:
    text = shown(
        row(
            stopped={"cause": "failing", "reason": FAILURE, "since": "2026-11-30T10:05:26Z"},
            incidents=[{"kind": "stopped", "since": "2026-11-30T10:05:26Z", "detail": {"reason": FAILURE}}],
            last_run=RUN,
            last_resync={"run": 8, "started": RUN["started"], "error": RUN["error"], "drift": {}},
        ),
        width=width,
    )
    lines = text.splitlines()
    assert width == 0 or max(map(len, lines)) <= width
    words = " ".join(text.split())
    assert words.count("awaited by everybody concerned") == 1
    assert "last run: run 8, 2026-11-30 10:05:00 UTC: nothing done, 2 held, 1 problems; stopped (see above)" in words
    assert "last full resync 2026-11-30 10:05 UTC (run 8): stopped (see above)" in words
    assert set(words.split()) == set(
        " ".join(
            shown(
                row(
                    stopped={"cause": "failing", "reason": FAILURE, "since": "2026-11-30T10:05:26Z"},
                    last_run=RUN,
                    last_resync={"run": 8, "started": RUN["started"], "error": RUN["error"], "drift": {}},
                ),
            ).split()
        ).split()
    )


def test_another_failure_is_told_beside_the_first() -> None:
    text = shown(
        row(
            incidents=[{"kind": "source", "since": "2026-11-30T10:05:26Z", "detail": {"reason": "people.csv: gone"}}],
            last_run=RUN,
        )
    )
    assert "the source can't be read since 2026-11-30 10:05 UTC: people.csv: gone" in text
    assert f"stopped: {FAILURE}" in text


def test_changes_without_effect_stand_in_a_line_of_their_own_and_not_with_the_quarantined() -> None:
    change = {"action": "deactivate_user", "name": "cy@x.org"}
    quarantined = {"change": change, "status": 204, "next_try": "2026-11-30T10:15:00Z", "result": "ineffective"}
    refused = {"change": {"action": "update_user", "name": "bob"}, "status": 400, "result": "failed"}
    once = {"change": change, "since": "2026-11-30T10:05:26Z", "reason": "still active"}
    text = shown(
        row(
            ineffective=[
                {**once, "next_try": "2026-11-30T10:15:00Z"},
                {**once, "change": {"action": "remove_members", "name": "Design"}, "next_try": None},
            ],
            quarantined=[quarantined, {**refused, "next_try": "2099-01-01T00:00:00Z"}],
        )
    )
    assert (
        "lucid: 2 changes have no effect: deactivate cy@x.org (next try in the next run), remove members from the "
        "group Design (sent again by each full resync); `syncd explain WHO` says what was found"
    ) in text
    assert "lucid: 1 quarantined: update bob (400, next try 2099-01-01 00:00 UTC)" in text


def test_one_change_without_effect_is_counted_as_one() -> None:
    change = {"action": "deactivate_user", "name": "cy@x.org"}
    text = shown(row(ineffective=[{"change": change, "since": "", "reason": "", "next_try": None}]))
    assert "lucid: 1 change has no effect: deactivate cy@x.org (sent again by each full resync)" in text


def test_what_was_learned_of_the_endpoint_is_said() -> None:
    learned = ["members are removed by PUT of the whole resource", "accepted and not kept: title"]
    assert f"lucid: learned about the endpoint: {'; '.join(learned)}" in shown(row(learned=learned))
    assert "learned" not in shown(row())


def test_people_whom_a_removal_of_sso_concerns_are_named_up_to_ten() -> None:
    people = [{"key": str(number), "name": f"p{number}@x.org", "since": None} for number in range(12)]
    text = shown(row(pending_since="2026-11-30T10:15:00Z", relinked={"invite": people, "gone": people[:1]}))
    assert "lucid: 3 pending, the longest since 2026-11-30 10:15 UTC" in text
    assert (
        "lucid: 12 people need a new invitation from an administrator there, and can't get in before: p0@x.org, "
        "p1@x.org, p2@x.org, p3@x.org, p4@x.org, p5@x.org, p6@x.org, p7@x.org, p8@x.org, p9@x.org and 2 more"
    ) in text
    assert ("lucid: 1 account that was off is gone for good, and people who come back get new ones: p0@x.org") in text
    assert "invited and pending" in shown(row(pending_since="2026-11-30T10:15:00Z"))
