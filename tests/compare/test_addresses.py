"""One address, one person: duplicates, people hired again, and people who are merely renamed."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.compare.decisions import Decisions
from syncd.core.plan import Action
from syncd.store import StateFile
from tests.world import WORK_MAIL, World, brief, group, person, withheld


@pytest.fixture
def world(tmp_path: Path) -> Iterator[World]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield World(state)


def problems(world: World) -> dict[str, str]:
    return {problem.key: problem.problem for problem in world.plan().problems}


def clash(address: str, other: str) -> str:
    return f"{address} is the address of {other} as well: neither of the two is changed"


# -- two keys, one address ---------------------------------------------------------------------------


@pytest.mark.parametrize(
    "second",
    [
        person("2", "ADA", mail="other@example.com"),
        person("2", "other", mail="Ada@Example.com"),
        person("2", "ada@example.com"),
    ],
    ids=["userName", "e-mail", "the userName of one is the e-mail of the other"],
)
def test_of_two_newcomers_with_one_address_neither_gets_an_account(world: World, second: object) -> None:
    world.hold(person("1", "ada", mail="ada@example.com"), second, person("3"))  # type: ignore[arg-type]
    assert brief(world.plan()) == ["create_user 3"]
    assert problems(world).keys() == {"1", "2"}


def test_a_newcomer_with_the_address_of_somebody_who_is_there_changes_neither(world: World) -> None:
    world.hold(person("1", "ada", display="Ada"))
    world.sync()
    world.hold(person("1", "ada", display="Ada"), person("2", "Ada"))
    assert brief(world.plan()) == []
    assert problems(world) == {"1": clash("ada", "2"), "2": clash("ada", "1")}
    # Also what else changed of the first one waits: which of the two is right is not known.
    world.hold(person("1", "ada", display="Countess"), person("2", "Ada"))
    assert brief(world.sync()) == []
    assert problems(world) == {"1": clash("ada", "2"), "2": clash("ada", "1")}


def test_who_clashes_keeps_every_group(world: World) -> None:
    world.hold(person("1", "ada"))
    world.groups = [group("g", members=["1"])]
    world.sync()
    world.hold(person("1", "ada"), person("2", "ada"))
    world.groups = [group("g", members=["1", "2"])]
    assert brief(world.plan()) == []


def test_as_soon_as_the_source_is_mended_both_go_on(world: World) -> None:
    world.hold(person("1", "ada"), person("2", "ada"))
    world.sync()
    world.hold(person("1", "ada"), person("2", "bob"))
    assert brief(world.sync()) == ["create_user 1", "create_user 2"]
    assert problems(world) == {}


# -- renamed -----------------------------------------------------------------------------------------


def test_the_same_key_with_a_new_address_is_a_rename(world: World) -> None:
    world.hold(person("1", "ada", mail="ada@example.com"))
    world.sync()
    world.hold(person("1", "lovelace", mail="lovelace@example.com"))
    (change,) = world.plan().changes
    assert (change.action, change.reason) == (Action.UPDATE_USER, "renamed in the source (was ada)")


def test_an_address_that_is_given_up_may_be_taken_in_the_same_run(world: World) -> None:
    world.hold(person("1", "ada"), person("2", "bob"))
    world.sync()
    world.hold(person("1", "lovelace"), person("2", "ada"))
    assert sorted(brief(world.plan())) == ["update_user 1", "update_user 2"]
    assert problems(world) == {}


# -- hired again -------------------------------------------------------------------------------------


def left(world: World) -> None:
    """Let Ada, who is in a group, have left, with her account switched off."""
    world.hold(person("1", "ada", mail="ada@example.com"), person("3"))
    world.groups = [group("g", members=["1", "3"])]
    world.sync()
    world.hold(person("1", "ada", mail="ada@example.com", status="left"), person("3"))
    world.groups = [group("g", members=["3"])]
    world.sync()


def test_a_new_key_with_the_address_of_somebody_who_left_waits_for_a_person(world: World) -> None:
    left(world)
    world.hold(
        person("1", "ada", mail="ada@example.com", status="left"),
        person("2", "ada", mail="ada@example.com"),
        person("3"),
    )
    world.groups = [group("g", members=["2", "3"])]
    plan = world.plan()
    assert brief(plan) == []
    (held,) = plan.held
    assert (held.limit, held.change.action, held.change.key, held.change.resource) == (
        "rehire",
        Action.ADOPT_USER,
        "2",
        "id-1",
    )
    assert held.reason == (
        "hired again? 1, who is switched off, has an account with this address; approve if it is the same person: "
        "the account is handed over with all that is in it"
    )
    assert plan.problems == ()
    # What is approved is that very change, and it brings the account on again.
    world.decisions = Decisions(approved=frozenset({held.id}))
    assert brief(world.plan()) == ["adopt_user 2"]
    (change,) = world.plan().changes
    assert change.differences == (
        {"externalId": "1", "active": False},
        {"externalId": "2", "active": True},
    )


@pytest.mark.parametrize("absence", ["gone", "disabled in this very run"])
def test_it_makes_no_difference_how_the_former_one_left(world: World, absence: str) -> None:
    world.hold(person("1", "ada"), person("3"))
    world.sync()
    former = [] if absence == "gone" else [person("1", "ada", status="left")]
    world.hold(*former, person("2", "ada"), person("3"))
    plan = world.plan()
    assert withheld(plan) == ["rehire: adopt_user 2"]
    assert brief(plan) == ["deactivate_user 1"]


def test_who_has_an_account_and_takes_the_address_of_somebody_who_left_waits(world: World) -> None:
    left(world)
    world.hold(person("1", "ada", status="left"), person("3", "u3", mail="ada@example.com"))
    plan = world.plan()
    assert brief(plan) == []
    (held,) = plan.held
    assert (held.limit, held.change.key, held.change.after) == ("address", "3", {WORK_MAIL: "ada@example.com"})
    assert held.reason == "ada@example.com still is the address of the account of 1 (deactivated)"


def test_an_unproven_absence_is_no_succession_to_be_sure_of(world: World) -> None:
    world.hold(person("1", "ada"), person("3"))
    world.sync()
    world.hold(person("2", "ada"), person("3"))
    world.elsewhere = {"1": None}
    plan = world.plan()
    assert brief(plan) == []
    assert withheld(plan) == ["rehire: adopt_user 2"]
