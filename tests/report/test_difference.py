"""Differences between a plan and its review: worked out by hand."""

from __future__ import annotations

from dataclasses import replace

import pytest
from hypothesis import given

from syncd.core.context import Context, LimitUse
from syncd.core.plan import Action, Change, Held, Plan
from syncd.errors import PlanFileError
from syncd.report.difference import Status, compare, lines, markdown
from syncd.report.review import review
from tests.report import plans

OLD = replace(
    plans.PLAN, changes=(plans.CREATE, plans.RENAME), held=(), rejected=(), drift=(), problems=(), accepted=()
)


def keys(items: object) -> list[str]:
    return [item.key for item in items]  # type: ignore[attr-defined]


def test_the_same_plan_has_not_changed() -> None:
    found = compare(OLD, replace(OLD, created=plans.NOON.replace(hour=18), base_serial=99))
    assert found.is_none
    assert found.sentence == "Nothing has changed since the review: 2 items are the same."
    assert [line.plain for line in lines(found)] == [
        f"lucid (2026-11-22 12:00 UTC -> 2026-11-22 18:00 UTC): {found.sentence}"
    ]


def test_what_is_new_and_what_is_no_longer_needed() -> None:
    found = compare(OLD, replace(OLD, changes=(plans.RENAME, plans.INVITE)))
    assert (keys(found.added), keys(found.dropped), found.same) == (["1002"], ["1001"], 1)
    assert found.sentence == "Since the review: 1 new and 1 no longer needed; 1 the same."


def test_something_else_for_the_same_person_is_told_as_a_pair() -> None:
    other = replace(plans.RENAME, after={"userName": "other@x.org", plans.WORK_MAIL: "fay.new@x.org"})
    found = compare(OLD, replace(OLD, changes=(plans.CREATE, other)))
    (pair,) = found.altered
    assert (pair.before.id, pair.after.id) == (plans.RENAME.id, other.id)
    assert not found.added
    assert not found.dropped
    text = "\n".join(line.plain for line in lines(found))
    assert 'was userName: "fay@x.org" -> "fay.new@x.org"' in text
    assert 'userName: "fay@x.org" -> "other@x.org"' in text


def test_what_holds_many_is_said_once() -> None:
    held = tuple(Held(replace(plans.STAY, key=key), "deactivate", "two of three") for key in ("1", "2"))
    found = compare(OLD, replace(OLD, changes=(*OLD.changes, plans.INVITE), held=held))
    text = [line.plain for line in lines(found)]
    assert [line.strip() for line in text if "held" in line or "two of three" in line] == [
        "2 deactivations wait for approval: two of three.",
        "not held:",
    ]
    assert markdown(found).count("two of three") == 1
    assert "\n\n\n" not in markdown(found)


def test_another_action_for_the_same_person_says_what_it_was() -> None:
    leave = replace(plans.LEAVE, key=plans.RENAME.key)
    found = compare(OLD, replace(OLD, changes=(plans.CREATE, leave)))
    assert "was update user" in markdown(found)


def test_people_and_groups_of_one_key_are_not_taken_for_each_other() -> None:
    group = Change(Action.CREATE_GROUP, plans.CREATE.key, "g", {}, {"displayName": "g"}, "new")
    found = compare(OLD, replace(OLD, changes=(plans.RENAME, group)))
    assert (keys(found.added), keys(found.dropped), found.altered) == (["1001"], ["1001"], ())


def test_who_joins_and_who_leaves_a_group_are_two_things() -> None:
    old = replace(OLD, changes=(plans.JOIN,))
    part = Change.of_members(Action.REMOVE_MEMBERS, "g2", "Sales", ["1"], [])
    more = Change.of_members(Action.ADD_MEMBERS, "g2", "Sales", [*plans.JOIN.members, "77"], ["g1"])
    found = compare(old, replace(OLD, changes=(part, more)))
    assert keys(found.added) == ["g2"]
    assert [pair.after.action for pair in found.altered] == ["add_members"]
    assert "        also 77" in [line.plain for line in lines(found)]


@pytest.mark.parametrize(
    ("old", "new", "statuses"),
    [
        ({"changes": (plans.LEAVE,)}, {"held": plans.HELD[:1]}, (Status.PLANNED, Status.HELD)),
        ({"held": plans.HELD[:1]}, {"changes": (plans.LEAVE,)}, (Status.HELD, Status.PLANNED)),
        (
            {"held": plans.HELD[:1]},
            {"rejected": (Held(plans.LEAVE, "rejected", "by ada"),)},
            (Status.HELD, Status.REJECTED),
        ),
    ],
)
def test_what_is_held_or_released_since_counts_as_changed(
    old: dict[str, object], new: dict[str, object], statuses: tuple[Status, Status]
) -> None:
    bare = replace(OLD, changes=())
    found = compare(replace(bare, **old), replace(bare, **new))  # type: ignore[arg-type]
    (moved,) = found.moved
    assert (moved.before, moved.after) == statuses
    assert not found.is_none


def test_limits_that_are_used_otherwise_are_told() -> None:
    def with_use(affected: int) -> Plan:
        return replace(OLD, context=Context(2, (LimitUse("deactivate", affected, 100, 10, 10),)))

    found = compare(with_use(3), with_use(12))
    assert [line.plain for line in lines(found)][
        -1
    ] == "  limit people deactivated: 3 -> 12 of at most 10, over the limit"
    assert compare(with_use(3), with_use(3)).limits == ()


def test_plans_for_two_targets_are_not_compared() -> None:
    with pytest.raises(PlanFileError, match="one plan is for the target `lucid`, the other for `aws`"):
        compare(OLD, replace(OLD, target="aws"))


@given(plans.plans, plans.plans)
def test_every_item_of_both_plans_is_accounted_for(old: Plan, new: Plan) -> None:
    new = replace(new, target=old.target)
    found = compare(old, new)
    before, after = ({item.id for item in review(plan).items} for plan in (old, new))
    both = found.same + len(found.moved) + len(found.altered)
    assert both + len(found.dropped) == len(before)
    assert both + len(found.added) == len(after)
    assert compare(old, old).is_none
