"""Holds: a decision is about one change as it was shown, is good once, and for a while."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from pathlib import Path

import pytest

from syncd.core.foreign import ForeignMember
from syncd.core.model import State
from syncd.core.plan import Action, Change, Held, Plan
from syncd.store import Decision, Hold, Holds, StateFile
from tests.world import NOON

HOUR = timedelta(hours=1)


def deactivation(key: str) -> Change:
    return Change(
        Action.DEACTIVATE_USER, key, f"u{key}", {"active": True}, {"active": False}, "gone", State.DEACTIVATED
    )


A, B, C = (deactivation(key) for key in "abc")


def plan(*held: Change, changes: tuple[Change, ...] = (), rejected: tuple[Change, ...] = ()) -> Plan:
    return Plan(
        "t",
        "sync",
        NOON,
        0,
        changes,
        held=tuple(Held(change, "deactivate", "too many") for change in held),
        rejected=tuple(Held(change, "rejected", "no") for change in rejected),
    )


def hold(change: Change) -> Hold:
    return Hold(change.id, change, "deactivate", "too many", NOON)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def holds(state: StateFile) -> Holds:
    holds = state.holds("t")
    assert holds.refresh(plan(A, B), NOON) == [hold(A), hold(B)]
    return holds


def ids(holds: Holds) -> list[str]:
    return [each.change.key for each in holds.all()]


def test_what_is_held_is_told_once(state: StateFile, holds: Holds) -> None:
    assert holds.all() == [hold(A), hold(B)]
    later = NOON + HOUR
    assert [each.change for each in holds.refresh(plan(B, C, A), later)] == [C]
    assert holds.all() == [hold(A), hold(B), replace(hold(C), since=later)]
    assert holds.waiting() == 3
    assert state.holds("other").all() == []


def test_a_hold_shows_the_reason_of_the_last_plan(holds: Holds) -> None:
    renamed = replace(A, name="new name", digest="abc", reason="disabled")
    assert renamed.id == A.id
    newer = replace(plan(), held=(Held(renamed, "protect", "the owner"),))
    assert holds.refresh(newer, NOON + HOUR) == []
    assert holds.all() == [Hold(A.id, renamed, "protect", "the owner", NOON)]


def test_a_hold_whose_source_changed_is_gone_with_its_decision(holds: Holds) -> None:
    holds.approve([A.id], "ada", NOON, NOON + HOUR)
    holds.reject([B.id], "ada", NOON)
    assert [each.change for each in holds.refresh(plan(C), NOON)] == [C]
    assert (holds.approved(NOON), holds.rejected()) == (frozenset(), {})
    assert [each.change for each in holds.refresh(plan(A, B), NOON)] == [A, B]
    assert holds.waiting() == 2


def test_an_approval_releases_until_it_expires_or_is_spent(holds: Holds) -> None:
    holds.approve([A.id, B.id], "ada", NOON, NOON + HOUR)
    assert holds.approved(NOON + HOUR - timedelta(microseconds=1)) == {A.id, B.id}
    assert holds.approved(NOON + HOUR) == frozenset()
    assert holds.approvals(NOON) == dict.fromkeys([A.id, B.id], "approved by ada on 2026-11-22 12:00 UTC")
    assert holds.waiting() == 0
    assert holds.all()[0] == replace(hold(A), decision=Decision.APPROVED, by="ada", decided=NOON, expires=NOON + HOUR)
    # Released, it is among the changes: the approval stays until it is spent.
    assert holds.refresh(plan(changes=(A, B)), NOON) == []
    assert holds.approved(NOON) == {A.id, B.id}
    holds.spend(A.id)
    assert holds.approved(NOON) == {B.id}
    assert ids(holds) == ["b"]


def test_an_expired_approval_is_asked_again_without_being_told_again(holds: Holds) -> None:
    holds.approve([A.id], "ada", NOON, NOON + HOUR)
    assert holds.refresh(plan(A, B), NOON + HOUR) == []
    assert holds.all() == [hold(A), hold(B)]
    assert holds.waiting() == 2


def test_an_approval_stays_while_another_limit_holds_the_change(holds: Holds) -> None:
    holds.approve([A.id], "ada", NOON, NOON + HOUR)
    assert holds.refresh(plan(A, B), NOON) == []
    assert holds.approved(NOON) == {A.id}


def test_what_a_plan_cannot_tell_of_stays_as_it_is(holds: Holds) -> None:
    adoption = replace(plan(A), held=(Held(A, "adopt", "two accounts"), Held(B, "deactivate", "too many")))
    holds.refresh(adoption, NOON)
    holds.reject([A.id, B.id], "ada", NOON)
    assert holds.refresh(plan(C), NOON, unseen=["adopt"]) == [hold(C)]
    assert list(holds.rejected()) == [A.id]
    # What is done all the same is withheld no longer.
    holds.refresh(plan(changes=(A,)), NOON, unseen=["adopt"])
    assert holds.all() == []


def test_a_hold_of_foreign_members_stays_until_a_plan_can_tell(holds: Holds) -> None:
    managed = Change.of_members(Action.REMOVE_MEMBERS, "g", "Design", ["1"], [])
    foreign = Change.of_foreign("g", "Design", [ForeignMember("n1", "stranger")])
    holds.refresh(plan(managed, foreign), NOON)
    assert holds.refresh(plan(), NOON, unseen=["adopt"]) == []
    assert [each.change for each in holds.all()] == [foreign]
    # Approved, and done along with what every plan knows: it stays until it is spent.
    holds.approve([foreign.id], "ada", NOON, NOON + HOUR)
    holds.refresh(plan(changes=(managed.and_also(foreign),)), NOON)
    assert holds.approved(NOON) == {foreign.id}
    holds.refresh(plan(), NOON)
    assert holds.all() == []


def test_what_nothing_withholds_any_more_is_no_hold(holds: Holds) -> None:
    holds.approve([A.id], "ada", NOON, NOON + HOUR)
    assert holds.refresh(plan(changes=(A, B)), NOON + HOUR) == []
    assert holds.all() == []


def test_a_rejection_stays_until_the_source_changes(holds: Holds) -> None:
    holds.reject([A.id], "ada", NOON)
    assert holds.rejected() == {A.id: "rejected by ada on 2026-11-22 12:00 UTC"}
    assert holds.waiting() == 1
    for _ in range(2):
        assert holds.refresh(plan(rejected=(A,)), NOON + 100 * HOUR) == []
    assert holds.rejected() == {A.id: "rejected by ada on 2026-11-22 12:00 UTC"}
    assert holds.approved(NOON) == frozenset()
    assert holds.refresh(plan(), NOON) == []
    assert holds.rejected() == {}


def test_a_decision_can_be_changed(holds: Holds) -> None:
    holds.reject([A.id], "ada", NOON)
    holds.approve([A.id], "bob", NOON, NOON + HOUR)
    assert (holds.rejected(), holds.approved(NOON)) == ({}, {A.id})
    holds.reject([A.id], "ada", NOON)
    assert holds.all()[0] == replace(hold(A), decision=Decision.REJECTED, by="ada", decided=NOON)
    assert holds.approved(NOON) == frozenset()


def test_what_is_not_held_cannot_be_approved(state: StateFile, holds: Holds) -> None:
    holds.approve([C.id], "ada", NOON, NOON + HOUR)
    assert holds.approved(NOON) == frozenset()
    state.holds("other").approve([A.id], "ada", NOON, NOON + HOUR)
    state.holds("other").spend(A.id)
    assert (holds.approved(NOON), ids(holds)) == (frozenset(), ["a", "b"])


@pytest.mark.parametrize(
    ("text", "found"),
    [
        (A.id, "a"),
        (A.id.upper(), "a"),
        (A.id[:4], "a"),
        (A.id[:3], ""),
        ("", ""),
        ("deactivate", "ab"),
        ("delete", ""),
        ("all", "ab"),
        (C.id, ""),
        ("%%%%", ""),
        ("____", ""),
    ],
)
def test_a_hold_is_found_by_its_id_or_limit(holds: Holds, text: str, found: str) -> None:
    assert A.id[:4] != B.id[:4]
    assert [each.change.key for each in holds.find(text)] == list(found)


def test_a_short_limit_is_found_by_its_name(holds: Holds) -> None:
    holds.refresh(replace(plan(), held=(Held(A, "own", "its own account"),)), NOON)
    assert [each.id for each in holds.find("own")] == [A.id]


def test_a_hold_is_told_as_json(holds: Holds) -> None:
    holds.approve([A.id], "ada", NOON, NOON + HOUR)
    undecided = {"decision": None, "by": "", "decided": None, "expires": None}
    both = {"limit": "deactivate", "reason": "too many", "since": "2026-11-22T12:00:00Z"}
    assert [each.to_json() for each in holds.all()] == [
        {"id": A.id, "change": A.to_json(), **both}
        | {"decision": "approved", "by": "ada", "decided": "2026-11-22T12:00:00Z", "expires": "2026-11-22T13:00:00Z"},
        {"id": B.id, "change": B.to_json(), **both, **undecided},
    ]
