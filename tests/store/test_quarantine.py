"""Quarantine: a failing change waits with a growing backoff, under its own id, until it is no longer planned."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import datetime, timedelta
from pathlib import Path

import pytest

from syncd.core.model import State
from syncd.core.plan import Action, Change, Result
from syncd.store import Quarantine, Quarantined, StateFile
from tests.world import NOON

USER = Change(Action.CREATE_USER, "1", "ada", {}, {"userName": "ada"}, "new", State.ACTIVE)
CHANGED = Change(Action.CREATE_USER, "1", "ada", {}, {"userName": "ada2"}, "new", State.ACTIVE)
GROUP = Change(Action.CREATE_GROUP, "1", "Design", {}, {"displayName": "Design"}, "new")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def quarantine(state: StateFile) -> Quarantine:
    return state.quarantine("t")


def after(minutes: float) -> datetime:
    return NOON + timedelta(minutes=minutes)


def test_each_failure_makes_the_wait_longer(quarantine: Quarantine) -> None:
    first = quarantine.failed(USER, 400, "no such plan", NOON)
    assert first == Quarantined(USER.id, USER, 1, NOON, after(15), 400, "no such plan")
    assert first.reason == ("failed at 2026-11-22 12:00 UTC with 400: no such plan; next try at 2026-11-22 12:15 UTC")
    assert quarantine.waiting(after(14.99)) == {USER.id: first.reason}
    assert quarantine.waiting(after(15)) == {}
    second = quarantine.failed(USER, 409, "", after(20))
    assert second == Quarantined(USER.id, USER, 2, NOON, after(50), 409, "")
    assert second.reason == (
        "failed 2 times since 2026-11-22 12:00 UTC, the last time with 409; next try at 2026-11-22 12:50 UTC"
    )
    assert quarantine.all() == [second]


def test_the_change_itself_waits_and_nobody_else(state: StateFile, quarantine: Quarantine) -> None:
    quarantine.failed(USER, 400, "bad", NOON)
    assert CHANGED.id not in quarantine.waiting(NOON)
    assert state.quarantine("other").waiting(NOON) == {}
    assert state.quarantine("other").failed(USER, 400, "bad", NOON).failures == 1
    quarantine.failed(CHANGED, 400, "bad", after(1))
    assert list(quarantine.waiting(NOON)) == [USER.id, CHANGED.id]


def test_what_went_through_is_forgotten(state: StateFile, quarantine: Quarantine) -> None:
    quarantine.failed(USER, 400, "bad", NOON)
    state.quarantine("other").succeeded(USER.id)
    assert len(quarantine.all()) == 1
    quarantine.succeeded(USER.id)
    assert quarantine.all() == []
    assert quarantine.failed(USER, 400, "bad", NOON).failures == 1


def test_what_is_no_longer_wanted_is_forgotten(state: StateFile, quarantine: Quarantine) -> None:
    state.quarantine("other").failed(USER, 400, "bad", NOON)
    for change in (USER, CHANGED, GROUP):
        quarantine.failed(change, 400, "bad", NOON)
    quarantine.refresh({CHANGED.id, GROUP.id, "something else"})
    assert [each.change for each in quarantine.all()] == [CHANGED, GROUP]
    quarantine.refresh([])
    assert quarantine.all() == []
    assert len(state.quarantine("other").all()) == 1


def test_a_person_is_not_a_group_of_the_same_key(quarantine: Quarantine) -> None:
    for change in (USER, CHANGED, GROUP):
        quarantine.failed(change, 400, "bad", NOON)
    assert [each.change for each in quarantine.of("1", about_user=True)] == [USER, CHANGED]
    assert [each.change for each in quarantine.of("1", about_user=False)] == [GROUP]
    assert quarantine.of("2", about_user=True) == []


def test_a_quarantined_change_is_told_as_json(quarantine: Quarantine) -> None:
    each = quarantine.failed(USER, 400, "bad", NOON)
    assert each.to_json() == {
        "id": USER.id,
        "change": USER.to_json(),
        "failures": 1,
        "since": "2026-11-22T12:00:00Z",
        "next_try": "2026-11-22T12:15:00Z",
        "status": 400,
        "detail": "bad",
        "result": "failed",
        "reason": each.reason,
    }


def test_a_change_without_effect_says_so(quarantine: Quarantine) -> None:
    first = quarantine.failed(USER, 204, "still active", NOON, Result.INEFFECTIVE)
    assert first.without_effect
    assert first.reason == (
        "was sent at 2026-11-22 12:00 UTC and had no effect (204: still active); next try at 2026-11-22 12:15 UTC"
    )
    quarantine.failed(USER, 204, "still active", after(20), Result.INEFFECTIVE)
    (again,) = quarantine.all()
    assert again.reason.startswith("was sent 2 times since 2026-11-22 12:00 UTC and had no effect (204: still active)")
    assert not quarantine.failed(USER, 400, "no such user", after(60)).without_effect, "the last answer counts"
