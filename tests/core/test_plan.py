"""Plans: order and counts; a saved plan is read back exactly, or refused."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from typing import Any

import orjson
import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.digest import fingerprint
from syncd.core.drift import Drift, DriftClass
from syncd.core.model import Evidence, Kind, State
from syncd.core.plan import (
    Action,
    Change,
    Estimate,
    Held,
    Outcome,
    Phase,
    Plan,
    Result,
    Run,
    Trouble,
    dump,
    ordered,
    timestamp,
)
from syncd.core.schema import MANAGER
from syncd.errors import PlanFileError
from tests.world import NOON

CREATE = Change(
    Action.CREATE_USER,
    "1001",
    "ada@example.com",
    {},
    {"userName": "ada@example.com", "emails": [{"value": "ada@example.com"}], "active": True},
    "new in the source",
    State.ACTIVE,
    "00ff",
)
LEAVE = Change(Action.DEACTIVATE_USER, "1002", "bob", {"active": True}, {"active": False}, "gone", State.DEACTIVATED)
REMOVE = Change.of_members(Action.REMOVE_MEMBERS, "g", "Design", ["1002"], ["h"])
RENAMED = Drift(
    DriftClass.GROUP_RENAMED, Kind.GROUP, "g", "Design", {"displayName": "Design"}, {"displayName": "Des1gn"}
)
PLAN = Plan(
    target="lucid",
    kind="sync",
    created=NOON,
    base_serial=12,
    changes=(CREATE, REMOVE),
    held=(Held(LEAVE, "deactivate", "1 of 2 people would be deactivated; the limit is 0"),),
    drift=(RENAMED,),
    accepted=("1009",),
    evidence=Evidence("people.csv", 3, 1, 2, 0, 0.5),
    problems=(Trouble("1007", "no value for userName", "people.csv:8"), Trouble("", "ragged", "groups.csv:2", "group")),
    estimate=Estimate(3, 0.4),
    managed=2,
    scheme="abcd",
)


def test_a_plan_as_json_is_what_the_contract_shows() -> None:
    data = PLAN.to_json()
    assert data == {
        "format": 1,
        "target": "lucid",
        "kind": "sync",
        "created": "2026-11-22T12:00:00Z",
        "base_serial": 12,
        "scheme": "abcd",
        "managed": 2,
        "fingerprint": data["fingerprint"],
        "summary": {"create_user": 1, "remove_members": 1, "held": 1, "drift": 1, "problems": 2},
        "estimate": {"requests": 3, "seconds": 0.4},
        "changes": [
            {
                "id": CREATE.id,
                "action": "create_user",
                "key": "1001",
                "name": "ada@example.com",
                "state": "active",
                "before": {},
                "after": {"userName": "ada@example.com", "emails": [{"value": "ada@example.com"}], "active": True},
                "reason": "new in the source",
                "digest": "00ff",
            },
            {
                "id": REMOVE.id,
                "action": "remove_members",
                "key": "g",
                "name": "Design",
                "state": None,
                "before": {"members": ["1002"], "groups": ["h"]},
                "after": {},
                "reason": "1 person and 1 group no longer in the group",
            },
        ],
        "held": [
            {
                "id": LEAVE.id,
                "change": {
                    "id": LEAVE.id,
                    "action": "deactivate_user",
                    "key": "1002",
                    "name": "bob",
                    "state": "deactivated",
                    "before": {"active": True},
                    "after": {"active": False},
                    "reason": "gone",
                },
                "limit": "deactivate",
                "reason": "1 of 2 people would be deactivated; the limit is 0",
            }
        ],
        "rejected": [],
        "drift": [
            {
                "class": "group_renamed",
                "kind": "group",
                "key": "g",
                "name": "Design",
                "expected": {"displayName": "Design"},
                "found": {"displayName": "Des1gn"},
                "reaction": "enforce",
            }
        ],
        "accepted": ["1009"],
        "evidence": {
            "source": "people.csv",
            "users": 3,
            "groups": 1,
            "memberships": 2,
            "problems": 0,
            "seconds": 0.5,
            "absence": True,
        },
        "problems": [
            {"key": "1007", "problem": "no value for userName", "where": "people.csv:8", "kind": "user"},
            {"key": "", "problem": "ragged", "where": "groups.csv:2", "kind": "group"},
        ],
    }


def saved(plan: Plan) -> Any:
    """Return a plan as it comes back from a file."""
    return orjson.loads(dump(plan.to_json()))


def test_a_saved_plan_comes_back_as_it_was() -> None:
    assert Plan.from_json(saved(PLAN), "plan.json") == PLAN
    assert Plan.from_json(saved(PLAN), "plan.json").to_json() == PLAN.to_json()


def test_a_plan_of_nothing_comes_back_too() -> None:
    empty = Plan("t", "sync", NOON, 0, ())
    assert Plan.from_json(saved(empty), "plan.json") == empty
    assert empty.summary == {"held": 0, "drift": 0, "problems": 0}


FLATS = st.dictionaries(st.text(max_size=6), st.none() | st.booleans() | st.text() | st.lists(st.text()), max_size=3)
TEXTS = st.text(st.characters(exclude_categories=["Cs"]))
CHANGES = st.builds(
    Change, st.sampled_from(Action), TEXTS, TEXTS, FLATS, FLATS, TEXTS, st.none() | st.sampled_from(State), TEXTS
)


@given(st.lists(CHANGES, max_size=3), st.lists(st.builds(Held, CHANGES, TEXTS, TEXTS), max_size=2))
def test_any_plan_comes_back_as_it_was(changes: list[Change], held: list[Held]) -> None:
    plan = replace(PLAN, changes=tuple(changes), held=tuple(held))
    assert Plan.from_json(saved(plan), "plan.json") == plan


def edits(value: Any, path: tuple[Any, ...] = ()) -> Iterator[tuple[tuple[Any, ...], Any]]:
    """Yield every small edit of a JSON value: each leaf changed, each member dropped, each list shortened."""
    if isinstance(value, dict):
        for name, inner in value.items():
            yield (*path, name), ...
            yield from edits(inner, (*path, name))
        yield (*path, "added"), "x"
    elif isinstance(value, list):
        for index, inner in enumerate(value):
            yield (*path, index), ...
            yield from edits(inner, (*path, index))
    elif isinstance(value, bool):
        yield path, not value
        yield path, int(value)
    elif isinstance(value, int | float):
        yield path, value + 1
        yield path, str(value)
    elif isinstance(value, str):
        yield path, value + "x"
        yield path, None
    else:
        yield path, ""


def edited(data: Any, path: tuple[Any, ...], new: Any) -> Any:
    data = copy.deepcopy(data)
    holder = data
    for step in path[:-1]:
        holder = holder[step]
    if new is ...:
        del holder[path[-1]]
    else:
        holder[path[-1]] = new
    return data


EDITS = list(edits(saved(PLAN)))


@pytest.mark.parametrize(("path", "new"), EDITS, ids=[f"{'.'.join(map(str, path))}={new}" for path, new in EDITS])
def test_a_plan_that_was_edited_by_hand_is_refused(path: tuple[Any, ...], new: Any) -> None:
    with pytest.raises(PlanFileError) as refused:
        Plan.from_json(edited(saved(PLAN), path, new), "plan.json")
    assert str(refused.value).startswith("plan.json: ")
    assert "syncd plan -o" in refused.value.hint


def test_a_plan_with_its_changes_in_another_order_is_refused() -> None:
    data = saved(PLAN)
    data["changes"].reverse()
    with pytest.raises(PlanFileError, match="was changed after it was made"):
        Plan.from_json(data, "plan.json")


def test_layout_and_the_order_of_members_are_no_edit() -> None:
    data = saved(PLAN)
    assert Plan.from_json(dict(reversed(data.items())), "plan.json") == PLAN


@pytest.mark.parametrize(
    ("data", "said"),
    [
        (None, "not a plan of syncd"),
        ([], "not a plan of syncd"),
        ("plan", "not a plan of syncd"),
        ({}, "not a plan of syncd"),
        ({"changes": []}, "not a plan of syncd"),
        ({"format": 2}, "a plan of format 2; this syncd reads 1"),
        ({"format": "1"}, "a plan of format '1'; this syncd reads 1"),
        ({"format": None}, "a plan of format None"),
        ({"format": 1}, "was changed after it was made, or is cut short"),
    ],
)
def test_what_is_no_plan_is_refused(data: Any, said: str) -> None:
    with pytest.raises(PlanFileError) as refused:
        Plan.from_json(data, "plan.json")
    assert said in str(refused.value)


@pytest.mark.parametrize(
    ("path", "new"),
    [
        (("changes",), None),
        (("changes",), [7]),
        (("changes",), [{}]),
        (("changes", 0, "action"), "promote_user"),
        (("changes", 0, "state"), "asleep"),
        (("changes", 0, "key"), 7),
        (("changes", 0, "after"), []),
        (("changes", 0, "id"), "0" * 32),
        (("created",), "yesterday"),
        (("created",), 7),
        (("base_serial",), None),
        (("held",), [{"change": {}}]),
        (("problems",), [{"trouble": "x"}]),
        (("problems",), [7]),
        (("estimate",), None),
        (("target",), None),
    ],
)
def test_nonsense_under_a_right_fingerprint_is_refused_too(path: tuple[Any, ...], new: Any) -> None:
    data = edited(saved(PLAN), path, new)
    data["fingerprint"] = fingerprint({name: value for name, value in data.items() if name != "fingerprint"}).hex()
    with pytest.raises(PlanFileError, match="not a plan that syncd could have made"):
        Plan.from_json(data, "plan.json")


def test_the_same_change_has_the_same_id_in_every_plan() -> None:
    # Written down once: an id that moved would lose what was approved by it.
    assert CREATE.id == "84b0253880bf80a7f72b821a0c2c8f2d"
    assert REMOVE.id == "0bd2dd5e18dd0f9c73598ef4d5074565"
    assert replace(CREATE, reason="another reason", name="Ada", digest="").id == CREATE.id
    assert replace(CREATE, after=dict(reversed(CREATE.after.items()))).id == CREATE.id


@pytest.mark.parametrize(
    "other",
    [
        {"action": Action.ADOPT_USER},
        {"key": "1002"},
        {"before": {"title": None}},
        {"after": {"userName": "x"}},
        {"state": State.PENDING},
    ],
)
def test_another_change_has_another_id(other: dict[str, Any]) -> None:
    assert replace(CREATE, **other).id != CREATE.id


def test_each_action_has_its_phase() -> None:
    phases = {action: Change(action, "1", "", {}, {"title": "x"}, "").phase for action in Action}
    assert phases == {
        Action.DEACTIVATE_USER: Phase.DEACTIVATE,
        Action.CREATE_USER: Phase.USERS,
        Action.ADOPT_USER: Phase.USERS,
        Action.UPDATE_USER: Phase.USERS,
        Action.REACTIVATE_USER: Phase.USERS,
        Action.CREATE_GROUP: Phase.GROUPS,
        Action.ADOPT_GROUP: Phase.GROUPS,
        Action.UPDATE_GROUP: Phase.GROUPS,
        Action.REMOVE_MEMBERS: Phase.REMOVE_MEMBERS,
        Action.ADD_MEMBERS: Phase.ADD_MEMBERS,
        Action.DELETE_GROUP: Phase.DELETE,
        Action.DELETE_USER: Phase.DELETE,
    }
    assert Change(Action.UPDATE_USER, "1", "", {}, {MANAGER: "7"}, "").phase is Phase.MANAGERS
    assert Change(Action.CREATE_USER, "1", "", {}, {MANAGER: "7"}, "").phase is Phase.USERS


def test_the_order_of_execution() -> None:
    """Deactivations, users, managers, groups, who leaves a group, who joins, deletions; inside each by name and key."""

    def change(action: Action, key: str, name: str, **after: str) -> Change:
        return Change(action, key, name, {}, after, "")

    expected = [
        change(Action.DEACTIVATE_USER, "9", "zoe"),
        change(Action.CREATE_USER, "2", "Ada"),
        change(Action.UPDATE_USER, "3", "ada", title="x"),
        change(Action.REACTIVATE_USER, "1", "bob"),
        change(Action.CREATE_USER, "8", "Émile"),
        change(Action.UPDATE_USER, "5", "ada", **{MANAGER: "2"}),
        change(Action.UPDATE_GROUP, "g", "A"),
        change(Action.CREATE_GROUP, "f", "B"),
        change(Action.REMOVE_MEMBERS, "f", "B"),
        change(Action.ADD_MEMBERS, "g", "A"),
        change(Action.ADD_MEMBERS, "f", "B"),
        change(Action.DELETE_USER, "7", "a"),
        change(Action.DELETE_GROUP, "h", "C"),
    ]
    assert list(ordered(reversed(expected))) == expected
    assert list(ordered(expected[5:] + expected[:5])) == expected


def test_the_reason_of_a_membership_change_counts_whom_it_holds() -> None:
    change = Change.of_members(Action.ADD_MEMBERS, "g", "Design", ["1", "2"], ["h"])
    assert (change.before, change.after) == ({}, {"members": ["1", "2"], "groups": ["h"]})
    assert change.reason == "2 people and 1 group new in the group"
    assert (change.members, change.subgroups) == (["1", "2"], ["h"])
    part = change.with_members(["2"], [])
    assert (part.before, part.after, part.reason) == ({}, {"members": ["2"]}, "1 person new in the group")
    leaving = REMOVE.with_members([], ["h", "i"])
    assert (leaving.before, leaving.after) == ({"groups": ["h", "i"]}, {})
    assert leaving.reason == "2 groups no longer in the group"


@pytest.mark.parametrize(
    "moment",
    [
        datetime(2026, 11, 22, 18, 0, 0, 999_999, tzinfo=UTC),
        datetime(2026, 11, 22, 19, 0, tzinfo=timezone(timedelta(hours=1))),
        datetime(2026, 11, 22, 13, 30, tzinfo=timezone(timedelta(hours=-4, minutes=-30))),
    ],
)
def test_a_moment_is_written_in_utc_to_the_second(moment: datetime) -> None:
    assert timestamp(moment) == "2026-11-22T18:00:00Z"


def test_a_held_change_that_no_run_has_stored_says_so_and_is_the_same_change() -> None:
    held = replace(PLAN.held[0], stored=False)
    assert held.to_json() == {**PLAN.held[0].to_json(), "stored": False}
    plan = replace(PLAN, held=(held,))
    again = Plan.from_json(saved(plan), "plan.json")
    assert (again.held[0].stored, again.held[0], again.to_json()) == (False, PLAN.held[0], plan.to_json())
    assert "stored" not in PLAN.held[0].to_json()


def test_a_run_as_json_is_its_plan_and_what_came_of_it() -> None:
    outcomes = (Outcome(CREATE, Result.APPLIED, 201), Outcome(REMOVE, Result.FAILED, 500, "no"))
    run = Run(7, PLAN, NOON, outcomes, 3, 0.12345, "the target stopped", reads=1)
    assert run.to_json() == {
        **PLAN.to_json(),
        "run": 7,
        "started": "2026-11-22T12:00:00Z",
        "outcomes": [
            {
                "id": CREATE.id,
                "action": "create_user",
                "key": "1001",
                "name": "ada@example.com",
                "result": "applied",
                "status": 201,
                "detail": "",
            },
            {
                "id": REMOVE.id,
                "action": "remove_members",
                "key": "g",
                "name": "Design",
                "result": "failed",
                "status": 500,
                "detail": "no",
            },
        ],
        "results": {"applied": 1, "failed": 1, "ineffective": 0, "skipped": 0, "refused": 0},
        "requests": 3,
        "reads": 1,
        "writes": 2,
        "seconds": 0.123,
        "retries": 0,
        "waited_seconds": 0.0,
        "error": "the target stopped",
    }
