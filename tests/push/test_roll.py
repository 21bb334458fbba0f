"""What the members that a group shows prove: a table."""

from __future__ import annotations

from collections.abc import Collection

import pytest

from syncd.push.roll import Roll, roll_of, seen

MANY = [f"m{number}" for number in range(20)]


@pytest.mark.parametrize(
    ("shown", "believed", "others", "added", "removed"),
    [
        #  shown               others             of u1: added and seen   removed and seen
        (["u1"], False, [], "done", "undone"),
        (["u1", "u2"], False, ["u2"], "done", "undone"),
        (["u2"], False, ["u2"], "undone", "done"),
        (["u2", "native"], False, ["u2"], "undone", "done"),
        ([], True, [], "undone", "done"),
        ([], False, [], "unknown", "unknown"),
        ([], True, ["u2"], "unknown", "unknown"),
        (["native"], True, [], "undone", "done"),
        (["native"], False, [], "unknown", "unknown"),
        (["u2"], True, ["u2", "u3"], "unknown", "unknown"),
        (["name2", "name3"], True, ["u2", "u3"], "unknown", "unknown"),
        (["NAME1", "name2"], False, ["u2"], "done", "undone"),
        (MANY, True, MANY, "unknown", "done"),
        ([*MANY, "m20"], True, MANY, "undone", "done"),
    ],
)
def test_one_member(shown: Collection[str], believed: bool, others: Collection[str], added: str, removed: str) -> None:
    roll = Roll(dict.fromkeys(shown, ""), believed)
    for adding, expected in ((True, added), (False, removed)):
        look = seen(roll, {"u1": "name1"}, others, adding=adding)
        assert {"done": look.reached, "undone": look.left, "unknown": look.unknown}[expected] == ["u1"], adding


def test_without_a_roll_nobody_knows() -> None:
    assert seen(None, {"u1": ""}, [], adding=True).unknown == ["u1"]


def test_a_name_that_is_somebody_elses_id_is_no_name() -> None:
    roll = Roll({"u2": ""}, believed=True)
    assert seen(roll, {"u1": "u2"}, ["u2"], adding=False).reached == ["u1"]


def test_some_who_left_and_some_who_did_not() -> None:
    asked = {"u1": "", "u2": ""}
    assert seen(Roll({"u2": "", "u3": ""}, believed=True), asked, ["u3"], adding=False).reached == ["u1"]
    # Of a list that may go on nobody knows who else is in it.
    cut = Roll(dict.fromkeys(["u2", *MANY[:19]], ""), believed=True)
    assert seen(cut, asked, [], adding=False).unknown == ["u1"]


def test_members_are_read_in_every_form() -> None:
    body = {"MEMBERS": [{"VALUE": "u1", "type": "User"}, "u2", {"display": "ada"}, {"value": 7}, {"$ref": "x"}, None]}
    assert dict(roll_of(body, believed=False).shown) == {"u1": "User", "u2": "", "ada": "", "7": ""}
    assert roll_of({}, believed=True) == Roll({}, believed=True)
