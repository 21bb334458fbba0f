"""The room for a person: which groups are shared, and the order that follows."""

from __future__ import annotations

from dataclasses import replace

import pytest

from syncd.core.actions import Action, Phase
from syncd.core.plan import Change, ordered
from syncd.core.room import Room

ONE = Room(one_group=True, default_group="All users", shared=("Guests *",))


@pytest.mark.parametrize(
    ("room", "name", "exclusive"),
    [
        (Room(), "Design", False),
        (ONE, "Design", True),
        (ONE, "All users", False),
        # Lucid's names differ in case (L-OAS), and a name is no pattern.
        (ONE, "All Users", True),
        (ONE, "Guests of 2026", False),
        (Room(one_group=True, default_group="All [users]"), "All [users]", False),
        (Room(one_group=True, default_group="All *"), "All others", True),
        (Room(one_group=True), "", True),
        (replace(ONE, one_group=False), "Design", False),
    ],
)
def test_which_groups_have_their_members_alone(room: Room, name: str, exclusive: bool) -> None:
    assert room.is_exclusive(name) is exclusive


CHANGES = [
    Change(Action.DELETE_GROUP, "x", "Old", {}, {}, ""),
    Change(Action.REMOVE_MEMBERS, "a", "A", {"members": ["1"]}, {}, ""),
    Change(Action.REMOVE_MEMBERS, "z", "All users", {"members": ["1"]}, {}, ""),
    Change(Action.ADD_MEMBERS, "a", "A", {}, {"members": ["1"]}, ""),
    Change(Action.ADD_MEMBERS, "z", "All users", {}, {"members": ["1"]}, ""),
    Change(Action.CREATE_GROUP, "a", "A", {}, {}, ""),
    Change(Action.CREATE_GROUP, "z", "All users", {}, {}, ""),
    Change(Action.CREATE_USER, "1", "u1", {}, {}, ""),
    Change(Action.DEACTIVATE_USER, "2", "u2", {}, {}, ""),
]
BEFORE = ["deactivate_user 2", "create_user 1"]


@pytest.mark.parametrize(
    ("room", "order"),
    [
        # Leavers lose first, where nobody needs a group to keep what they have.
        (
            Room(),
            "create_group a, create_group z, remove_members a, remove_members z, add_members a, add_members z",
        ),
        # The shared group first; nobody leaves a group before the new one was joined.
        (
            ONE,
            "create_group z, create_group a, add_members z, add_members a, remove_members a, remove_members z",
        ),
    ],
)
def test_the_order_of_execution(room: Room, order: str) -> None:
    said = [f"{change.action.value} {change.key}" for change in ordered(CHANGES, room)]
    assert said == [*BEFORE, *order.split(", "), "delete_group x"]


def test_each_phase_keeps_its_place_but_for_the_members() -> None:
    for room in (Room(), ONE):
        places = [room.place(phase, "Design") // 2 for phase in Phase]
        members = {Phase.REMOVE_MEMBERS, Phase.ADD_MEMBERS}
        assert [each for phase, each in zip(Phase, places, strict=True) if phase not in members] == [0, 1, 2, 3, 6]
