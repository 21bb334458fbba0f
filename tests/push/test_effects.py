"""Effects: the answer to a write, or a look after an incomplete answer, shows the values that the target keeps."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Flat, Kind
from syncd.core.schema import ENTERPRISE_SCHEMA, MANAGER
from syncd.errors import Ineffective, OutcomeUnclear
from syncd.push.effects import Answer, Effects, Update, WriteEffect
from syncd.push.gate import Gate
from syncd.scim.client import Client, Written
from syncd.scim.dialect import Dialect
from syncd.scim.profiles import Profile
from tests.endpoints import Endpoint, Reply, error
from tests.push.pushing import PROFILE as USUAL
from tests.push.pushing import Pushing, pushing
from tests.scim.asking import ask
from tests.world import WORK_MAIL, group, person

PROFILE = replace(USUAL, group_suffix=" (SCIM)")
HOME_MAIL = 'emails[type eq "home"].value'

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
    before: Flat | None = None,
    siblings: Flat | None = None,
    dialect: Dialect | None = None,
    profile: Profile = PROFILE,
    doubted: bool = False,
) -> WriteEffect:
    """Return the effect of an update of a linked resource."""

    async def question(client: Client) -> WriteEffect:
        client.dialect = dialect or Dialect()
        gate = Gate(client, world.snapshot)
        effects = Effects(gate, world.snapshot, profile, doubted=frozenset({of} if doubted else ()))
        return await effects.of_update(Update(gate.linked(*of), before or {}, wanted, siblings or {}), answer)

    world.scim.requests.clear()
    return ask(world.scim.url, question)


def answered(status: int = 200, **body: Any) -> Written:
    return Written("u1", status, {"id": "u1", "userName": "u1", **body} if body else None)


def untaken(status: int, kept_as: Flat, *paths: str, off: bool = False) -> WriteEffect:
    return WriteEffect(status, kept_as, off=off, untaken=frozenset(paths))


@pytest.mark.parametrize(
    ("wanted", "answer", "expected"),
    [
        ({"title": "Dr"}, answered(title="Dr"), WriteEffect(200)),
        # In another form: neither the former value nor nothing.
        ({"title": "Dr"}, answered(title="DR."), WriteEffect(200, {"title": "DR."})),
        ({"title": None}, answered(title=""), WriteEffect(200)),
        ({"active": False}, answered(active="False"), WriteEffect(200)),
        ({"active": False}, answered(active=0), WriteEffect(200)),
        ({"active": True}, answered(active="yes"), WriteEffect(200)),
        # No request was needed; or its answer is missing, and a look has shown everything.
        ({"title": "Dr"}, answered(0), WriteEffect(0)),
        ({"title": "Dr"}, NOTHING, WriteEffect(503)),
    ],
)
def test_an_answer_that_shows_the_effect_takes_no_other_request(
    world: Pushing, wanted: Flat, answer: Answer, expected: WriteEffect
) -> None:
    assert effect(world, wanted, answer, before={"title": "Mr"}) == expected
    assert world.scim.log() == []


@pytest.mark.parametrize(
    ("wanted", "answer", "there", "expected"),
    [
        # As things were, or nothing: a look decides.
        ({"title": "Dr"}, answered(title="Mr"), {"title": "Dr"}, WriteEffect(200)),
        ({"title": "Dr"}, answered(active=True), {"title": "Dr"}, WriteEffect(200)),
        ({"title": "Dr"}, answered(title="Mr"), {"title": "Mr"}, untaken(200, {"title": "Mr"}, "title")),
        ({"title": "Dr"}, answered(active=True), {}, untaken(200, {"title": None}, "title")),
        ({"title": None}, answered(title="Mr"), {"title": "Mr"}, untaken(200, {"title": "Mr"}, "title")),
        ({"active": False}, answered(active=True), {"active": False}, WriteEffect(200)),
        ({"active": True}, answered(active=False), {"active": True}, WriteEffect(200)),
    ],
)
def test_an_answer_that_contradicts_is_followed_by_a_look(
    world: Pushing, wanted: Flat, answer: Answer, there: Flat, expected: WriteEffect
) -> None:
    world.scim.users["u1"] = {"id": "u1", "userName": "u1", **there}
    assert effect(world, wanted, answer, before={"title": "Mr"}) == expected
    assert world.scim.log() == ["GET /Users/u1"]


@pytest.mark.parametrize("wanted", [{"title": "Dr"}, {"active": False}, {"active": True}])
def test_without_the_resource_in_the_answer_there_is_a_look(world: Pushing, wanted: Flat) -> None:
    dialect = Dialect()
    world.scim.users["u1"] |= wanted
    assert effect(world, wanted, answered(204), dialect=dialect) == WriteEffect(204)
    assert world.scim.log() == ["GET /Users/u1"]
    again = effect(world, wanted, answered(204), dialect=dialect)
    assert again == WriteEffect(204)
    looks = "active" in wanted
    assert world.scim.log() == (["GET /Users/u1"] if looks else []), "only who is on or off is looked at each time"


def test_an_endpoint_that_was_found_untrue_is_looked_at_again(world: Pushing) -> None:
    dialect = Dialect(truthful={"users.title"}, silent={"users.title"})
    assert effect(world, {"title": "Dr"}, answered(204), dialect=dialect) == WriteEffect(204)
    assert world.scim.log() == [], "taken at its word"
    found = effect(world, {"title": "Dr"}, answered(204), dialect=dialect, doubted=True)
    assert found.untaken == {"title"}
    assert dialect.truthful == set()


def test_what_is_doubted_is_looked_at_whatever_the_answer_shows(world: Pushing) -> None:
    assert effect(world, {"title": "Dr"}, answered(title="Dr"), doubted=True).untaken == {"title"}


def test_what_an_endpoint_keeps_in_no_form_is_not_looked_at(world: Pushing) -> None:
    dialect = Dialect(dropped={"users.title"})
    found = effect(world, {"title": "Dr"}, answered(active=True), dialect=dialect)
    assert found == untaken(200, {"title": None}, "title")
    assert world.scim.log() == []


@pytest.mark.parametrize(
    ("home", "lost"), [([], {HOME_MAIL: "ada@home.example"}), ([{"type": "home", "value": "ada@home.example"}], {})]
)
def test_an_element_of_the_same_list_that_is_gone_since_is_told(world: Pushing, home: list[Any], lost: Flat) -> None:
    work = {"type": "work", "value": "ada@example.com"}
    world.scim.users["u1"]["emails"] = [work, *home]
    answer = answered(emails=[work, *home])
    siblings = {HOME_MAIL: "ada@home.example"}
    assert effect(world, {WORK_MAIL: "ada@example.com"}, answer, siblings=siblings).lost == lost


# -- on or off -----------------------------------------------------------------------------------------


@pytest.mark.parametrize("answer", [answered(204), answered(active=True), answered(title="Dr")])
def test_an_account_that_is_still_on_is_told_after_two_looks(world: Pushing, answer: Answer) -> None:
    found = effect(world, {"active": False}, answer)
    assert found == untaken(answer.status, {}, "active")
    assert world.scim.log()[-1] == "GET /Users/u1"


@pytest.mark.parametrize(("by_endpoint", "paths"), [(False, ["active"]), (True, [])])
def test_an_account_that_stays_off_is_told_unless_the_endpoint_decides_about_it(
    world: Pushing, by_endpoint: bool, paths: list[str]
) -> None:
    world.scim.users["u1"]["active"] = False
    profile = replace(PROFILE, pending_by_endpoint=by_endpoint)
    found = effect(world, {"active": True}, answered(active=False), profile=profile)
    assert found == untaken(200, {}, *paths, off=True)


@pytest.mark.parametrize(("listed", "expected"), [("off", WriteEffect(204)), ("on", untaken(204, {}, "active"))])
def test_where_an_account_does_not_show_it_a_filter_may(world: Pushing, listed: str, expected: WriteEffect) -> None:
    del world.scim.users["u1"]["active"]

    found = Reply(200, {"totalResults": 1, "Resources": [world.scim.users["u1"]]})
    none = Reply(200, {"totalResults": 0})
    world.scim.instead("GET", "/Users$", *((found, none) if listed == "on" else (none, found)))
    assert effect(world, {"active": False}, answered(204)) == expected


@pytest.mark.parametrize("filters", ["ignored", "refused"])
def test_where_nothing_shows_it_it_stays_unclear_whether_an_account_is_off(world: Pushing, filters: str) -> None:
    del world.scim.users["u1"]["active"]
    world.scim.filters = filters
    with pytest.raises(OutcomeUnclear, match="doesn't show whether the account is off; where it never does"):
        effect(world, {"active": False}, answered(204))
    assert effect(world, {"active": True}, answered(204)) == WriteEffect(204)


def test_a_profile_may_take_the_endpoint_at_its_word(world: Pushing) -> None:
    del world.scim.users["u1"]["active"]
    profile = replace(PROFILE, shows_active=False)
    assert effect(world, {"active": False}, answered(204), profile=profile) == WriteEffect(204)
    assert world.scim.log() == []


# -- creates -------------------------------------------------------------------------------------------


def test_a_create_without_the_resource_in_its_answer_is_looked_at_until_one_was_true(world: Pushing) -> None:
    dialect = Dialect()

    def made(wanted: Flat) -> WriteEffect:
        async def question(client: Client) -> WriteEffect:
            client.dialect = dialect
            gate = Gate(client, world.snapshot)
            effects = Effects(gate, world.snapshot, PROFILE)
            return await effects.of_create(gate.linked(*PERSON), wanted, answered(201))

        world.scim.requests.clear()
        return ask(world.scim.url, question)

    assert made({"userName": "u1", "title": "Dr"}) == WriteEffect(201, {"title": None})
    assert made({"userName": "u1"}) == WriteEffect(201)
    assert world.scim.log() == ["GET /Users/u1"]
    assert made({"userName": "u1"}) == WriteEffect(201)
    assert world.scim.log() == []


# -- deletions -----------------------------------------------------------------------------------------


def deletion(world: Pushing, status: int = 204) -> WriteEffect:
    async def question(client: Client) -> WriteEffect:
        gate = Gate(client, world.snapshot)
        return await Effects(gate, world.snapshot, PROFILE).of_delete(gate.linked(*PERSON), answered(status))

    world.scim.requests.clear()
    return ask(world.scim.url, question)


def test_a_deletion_is_looked_at(world: Pushing) -> None:
    del world.scim.users["u1"]
    assert deletion(world) == WriteEffect(204)
    assert world.scim.log() == ["GET /Users/u1"]
    assert deletion(world, 404) == WriteEffect(404)
    assert world.scim.log() == [], "gone already"


@pytest.mark.parametrize(("active", "told"), [(True, "still there$"), (False, "still there, switched off$")])
def test_a_deletion_without_effect_is_told(world: Pushing, active: bool, told: str) -> None:
    world.scim.users["u1"]["active"] = active
    with pytest.raises(Ineffective, match=told):
        deletion(world)


def test_a_deletion_that_nobody_can_look_at_is_unclear(world: Pushing) -> None:
    world.scim.instead("GET", "/Users/u1", error(400, "no"))
    with pytest.raises(OutcomeUnclear, match="looking for it: 400 no"):
        deletion(world)


# -- groups and managers -------------------------------------------------------------------------------


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
