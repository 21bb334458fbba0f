"""Effects: the answer to a write, or a look after an incomplete answer, shows the values that the target keeps."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Flat, Kind
from syncd.core.schema import ENTERPRISE_SCHEMA, MANAGER
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.effects import Answer, Effects, WriteEffect
from syncd.push.gate import Gate
from syncd.scim.client import Client, Written
from tests.endpoints import Endpoint
from tests.push.pushing import Pushing, pushing
from tests.scim.asking import ask
from tests.world import group, person

PERSON = (Kind.USER, "1")
GROUP = (Kind.GROUP, "a")
NOTHING = OutcomeUnclear(503, "no answer came")


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Pushing]:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", "Sales", members=["1"])]
        world.settle()
        yield world


def effect(
    world: Pushing,
    wanted: Flat,
    answer: Answer,
    of: tuple[Kind, str] = PERSON,
    *,
    drifted: bool = False,
    echoes: bool = False,
) -> WriteEffect:
    """Return the effect of a write to what is linked; `drifted`: it puts drift back."""

    async def question(client: Client) -> WriteEffect:
        gate = Gate(client, world.snapshot)
        put_back = frozenset({of} if drifted else ())
        effects = Effects(gate, world.snapshot, " (SCIM)", drifted=put_back, echoes=echoes)
        return await effects.of(gate.linked(*of), wanted, answer)

    world.scim.requests.clear()
    return ask(world.scim.url, question)


def answered(status: int = 200, **body: Any) -> Written:
    return Written("u1", status, {"id": "u1", "userName": "u1", **body} if body else None)


@pytest.mark.parametrize(
    ("wanted", "answer", "expected"),
    [
        ({"title": "Dr"}, answered(204), WriteEffect(204)),
        ({"title": "Dr"}, answered(title="Dr"), WriteEffect(200)),
        ({"title": "Dr"}, answered(title="Mr"), WriteEffect(200, {"title": "Mr"})),
        ({"title": "Dr"}, answered(active=True), WriteEffect(200, {"title": None})),
        ({"title": None}, answered(title="Mr"), WriteEffect(200, {"title": "Mr"})),
        ({"title": "Dr"}, NOTHING, WriteEffect(503)),
        # A deletion, and a change of members.
        ({}, answered(204), WriteEffect(204)),
        ({}, answered(title="Mr"), WriteEffect(200)),
        # Shown as off: told, and no way of keeping it.
        ({"active": True}, answered(active=False), WriteEffect(200, off=True)),
        ({"active": False}, answered(active="False"), WriteEffect(200)),
    ],
)
def test_the_answer_tells_it_without_another_request(
    world: Pushing, wanted: Flat, answer: Answer, expected: WriteEffect
) -> None:
    assert effect(world, wanted, answer) == expected
    assert world.scim.log() == []


@pytest.mark.parametrize(
    ("answer", "echoes", "looks"),
    [
        (answered(204), False, True),
        (answered(204), True, True),
        (answered(title="Dr"), False, True),
        (answered(title="Dr"), True, False),
        (answered(0), False, False),
        (NOTHING, False, False),
    ],
)
def test_where_drift_is_put_back_an_answer_that_may_say_too_little_is_followed_by_a_look(
    world: Pushing, answer: Answer, echoes: bool, looks: bool
) -> None:
    kept_as = {"title": None} if looks else {}
    assert effect(world, {"title": "Dr"}, answer, drifted=True, echoes=echoes).kept_as == kept_as
    assert world.scim.log() == (["GET /Users/u1"] if looks else [])


def test_members_and_deletions_are_never_looked_at(world: Pushing) -> None:
    assert effect(world, {}, answered(204), GROUP, drifted=True) == WriteEffect(204)
    assert world.scim.log() == []


@pytest.mark.parametrize(("there", "is_on"), [(True, True), (None, True), (False, False), ("false", False)])
def test_an_account_that_was_to_be_off_fails_only_if_a_second_look_finds_it_on(
    world: Pushing, there: object, is_on: bool
) -> None:
    world.scim.users["u1"]["active"] = there
    if is_on:
        with pytest.raises(ScimError, match="the account is still active"):
            effect(world, {"active": False}, answered(active=True))
    else:
        assert effect(world, {"active": False}, answered(active=True)) == WriteEffect(200)
    assert world.scim.log() == ["GET /Users/u1"]


@pytest.mark.parametrize(
    ("shown", "kept_as"), [("Sales", {}), ("Sales (SCIM)", {}), ("Other", {"displayName": "Other"})]
)
def test_the_suffix_that_an_endpoint_adds_to_a_groups_name_is_no_difference(
    world: Pushing, shown: str, kept_as: Flat
) -> None:
    answer = Written("g3", 200, {"id": "g3", "displayName": shown})
    assert effect(world, {"displayName": "Sales"}, answer, GROUP).kept_as == kept_as


@pytest.mark.parametrize(("shown", "kept_as"), [("u2", "2"), ("native", None)])
def test_a_manager_that_is_kept_is_told_by_key(world: Pushing, shown: str, kept_as: str | None) -> None:
    answer = answered(**{ENTERPRISE_SCHEMA: {"manager": {"value": shown}}})
    assert effect(world, {MANAGER: "u1"}, answer).kept_as == {MANAGER: kept_as}
