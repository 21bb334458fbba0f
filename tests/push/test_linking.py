"""What carries our mark is linked first: whatever becomes of its attributes, somebody is in charge of it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Kind, State
from syncd.core.plan import Action, Change
from syncd.core.schema import MANAGER
from syncd.push.linking import seen_state
from tests.endpoints import Endpoint, Reply, Request, error
from tests.push.pushing import NAME, PROFILE, Pushing, adoption, plan_of, pushing, results
from tests.world import group, person, target_rules

MINE = {"userName": "ada@example.com", "externalId": "1", "title": "Dr", "active": True}
RULES = target_rules(NAME, profile=PROFILE)


class Stubborn(Endpoint):
    """Refuses a PATCH that names one of these attributes, and every PUT."""

    def __init__(self, *refuses: str, **options: Any) -> None:
        super().__init__(**options)
        self.refuses: Sequence[str] = refuses

    def _route(self, request: Request) -> Reply:
        return error(405, "PUT is not supported") if request.method == "PUT" else super()._route(request)

    def _patched(self, held: dict[str, dict[str, Any]], id_: str, body: Any) -> Reply:
        named = str(body)
        for attribute in self.refuses:
            if attribute in named:
                return error(400, f"{attribute} can not be written", "mutability")
        return super()._patched(held, id_, body)


def resynced(world: Pushing, *changes: Change) -> dict[str, str]:
    """Carry out what a full resync found."""
    world.learnt(patch=True)
    return results(world.push(plan_of(world, *changes)))


@pytest.mark.parametrize(
    ("wanted", "on", "state"),
    [
        (State.ACTIVE, True, State.ACTIVE),
        (State.ACTIVE, False, State.DEACTIVATED),
        (State.PENDING, True, State.PENDING),
        (State.PENDING, False, State.PENDING),
        (State.DEACTIVATED, True, State.ACTIVE),
        (State.DEACTIVATED, False, State.DEACTIVATED),
    ],
)
def test_an_account_is_linked_in_the_state_it_was_seen_in(wanted: State, on: bool, state: State) -> None:
    assert seen_state(wanted, {"active": on}) is state


def test_an_account_whose_attributes_are_refused_is_linked_as_it_was_seen(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("title"), RULES) as world:
        there = {key: value for key, value in MINE.items() if key != "title"}
        id_ = world.scim.add_user(**there)
        assert resynced(world, adoption("1", id_, {**there, "title": None}, MINE)) == {"adopt_user 1": "failed"}
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.id, known.state, known.attributes, known.digest) == (id_, State.ACTIVE, there, b"")


@pytest.mark.parametrize("leaves", ["disabled", "gone"])
def test_a_leaver_is_switched_off_although_an_attribute_was_refused(tmp_path: Path, leaves: str) -> None:
    with pushing(tmp_path, Stubborn("title"), RULES) as world:
        id_ = world.scim.add_user(**{**MINE, "title": "Ms"})
        resynced(world, adoption("1", id_, {**MINE, "title": "Ms"}, MINE))
        world.hold(*([person("1", "ada@example.com", status="left")] if leaves == "disabled" else []), person("2"))
        assert results(world.push())["deactivate_user 1"] == "applied"
        assert world.scim.users[id_]["active"] is False


def test_an_account_that_is_off_and_wanted_is_reactivated_by_the_next_run(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("title", "active"), RULES) as world:
        there = {**MINE, "active": False, "title": "Ms"}
        id_ = world.scim.add_user(**there)
        assert resynced(world, adoption("1", id_, there, MINE)) == {"adopt_user 1": "failed"}
        world.scim.refuses = ()
        world.hold(person("1", "ada@example.com", title="Dr"))
        assert results(world.push()) == {"reactivate_user 1": "applied"}
        assert world.scim.users[id_]["active"] is True


def test_an_account_that_is_only_to_be_off_and_stays_on_is_switched_off_by_the_next_run(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("active"), RULES) as world:
        id_ = world.scim.add_user(**MINE)
        change = Change(
            Action.ADOPT_USER, "1", "ada@example.com", {"active": True}, {"active": False}, "", State.DEACTIVATED,
            resource=id_,
        )  # fmt: skip
        assert resynced(world, change) == {"adopt_user 1": "failed"}
        world.scim.refuses = ()
        world.hold(person("1", "ada@example.com", status="left"))
        assert results(world.push()) == {"deactivate_user 1": "applied"}


def test_a_manager_who_is_seen_is_written_down_by_key(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("title", "manager"), RULES) as world:
        world.hold(person("2"), person("3"))
        world.settle()
        ids = world.snapshot.ids(Kind.USER, ["2", "3"])
        id_ = world.scim.add_user(**{**MINE, "title": "Ms"})
        before = {**MINE, "title": "Ms", MANAGER: ids["2"]}
        assert resynced(world, adoption("1", id_, before, {**MINE, MANAGER: "3"})) == {"adopt_user 1": "failed"}
        known = world.snapshot.user("1")
        assert known is not None
        assert known.attributes[MANAGER] == "2"


@pytest.mark.parametrize(("refuses", "links"), [(("title", "externalId"), False), (("title",), True)])
def test_a_stranger_is_linked_as_soon_as_anything_was_written_there(
    tmp_path: Path, refuses: tuple[str, ...], links: bool
) -> None:
    with pushing(tmp_path, Stubborn(*refuses), RULES) as world:
        theirs = {"userName": "ada@example.com", "title": "Ms", "active": True}
        id_ = world.scim.add_user(**theirs)
        assert resynced(world, adoption("1", id_, theirs, MINE)) == {"adopt_user 1": "failed"}
        assert bool(world.snapshot.user("1")) is links
        assert ("externalId" in world.scim.users[id_]) is links


# -- groups ------------------------------------------------------------------------------------------


def adopted_group(id_: str, name: str, **before: Any) -> Change:
    after = {"displayName": "Sales", "externalId": "g"}
    seen = {"displayName": name, "externalId": "g", **before}
    return Change(Action.ADOPT_GROUP, "g", "Sales", seen, after, "", resource=id_)


def test_a_group_whose_name_is_refused_is_linked_with_its_members_and_loses_who_leaves(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("displayName"), RULES) as world:
        world.hold(person("1"), person("2"))
        world.settle()
        ids = world.snapshot.ids(Kind.USER, ["1", "2"])
        id_ = world.scim.add_group(
            displayName="Old", externalId="g", members=[{"value": each} for each in ids.values()]
        )
        assert resynced(world, adopted_group(id_, "Old", members=["1", "2"])) == {"adopt_group g": "failed"}
        known = world.snapshot.group("g")
        assert known is not None
        assert (known.name, known.attributes) == ("Old", {"displayName": "Old", "externalId": "g"})
        assert world.snapshot.members("g") == ({"1", "2"}, set())
        world.groups = [group("g", "Sales", ["1"])]
        assert results(world.push()) == {"update_group g": "failed", "remove_members g": "applied"}
        assert world.scim.members("Old") == {world.scim.users[ids["1"]]["userName"]}


def test_a_group_that_joins_in_the_run_of_its_adoption_is_no_longer_without_members(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("displayName"), RULES) as world:
        world.hold(person("1"))
        world.settle()
        id_ = world.scim.add_group(displayName="Old", externalId="g")
        joins = Change.of_members(Action.ADD_MEMBERS, "g", "Sales", ["1"], [])
        assert resynced(world, adopted_group(id_, "Old"), joins) == {
            "adopt_group g": "failed",
            "add_members g": "applied",
        }


# -- in groups already -------------------------------------------------------------------------------


def test_an_adopted_account_is_a_member_where_it_was_found(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn(), RULES) as world:
        world.groups = [group("g", "Sales", ["2"])]
        world.hold(person("2"))
        world.settle()
        id_ = world.scim.add_user(**MINE)
        change = replace(adoption("1", id_, MINE, MINE), found_in=("g", "nowhere"))
        assert resynced(world, change) == {"adopt_user 1": "applied"}
        assert world.snapshot.members("g") == ({"1", "2"}, set())
        assert world.scim.requests == []


# -- a create that collides --------------------------------------------------------------------------


def test_an_account_that_a_create_collides_with_is_linked_before_its_attributes(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("title"), RULES) as world:
        world.learnt(patch=True)
        id_ = world.scim.add_user(**{**MINE, "title": "Ms"})
        world.hold(person("1", "ada@example.com", title="Dr"))
        assert results(world.push()) == {"create_user 1": "failed"}
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.id, known.attributes["title"]) == (id_, "Ms")
        assert results(world.push()) == {"update_user 1": "failed"}
        world.hold(person("1", "ada@example.com", title="Dr", status="left"))
        assert results(world.push()) == {"deactivate_user 1": "applied"}


def test_a_strangers_account_that_a_create_collides_with_is_linked_when_it_is_ours(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("title", "externalId"), RULES) as world:
        world.learnt(patch=True)
        world.scim.add_user(userName="ada@example.com", title="Ms", active=True)
        world.hold(person("1", "ada@example.com", title="Dr"))
        assert results(world.push()) == {"create_user 1": "failed"}
        assert world.snapshot.user("1") is None


# -- killed in between -------------------------------------------------------------------------------


def killed(world: Pushing, *changes: Change) -> None:
    """Leave changes as a run leaves them that is killed before it has linked anything."""
    plan = plan_of(world, *changes)
    with world.state.atomic():
        journal = world.state.journal(NAME)
        run = journal.begin(plan, world.now)
        for change in changes:
            journal.intend(run, change, world.now)


def test_what_carries_our_mark_is_linked_after_a_kill(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn(), RULES) as world:
        id_ = world.scim.add_user(**{**MINE, "title": "Ms"})
        killed(world, adoption("1", id_, {**MINE, "title": "Ms"}, MINE))
        assert world.look() == 0
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.id, known.attributes["title"], known.digest) == (id_, "Ms", b"")
        world.hold(person("1", "ada@example.com", title="Dr"))
        world.settle()
        assert world.scim.users[id_]["title"] == "Dr"


def test_a_group_that_carries_our_mark_is_linked_after_a_kill_with_the_members_it_has(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn(), RULES) as world:
        world.hold(person("1"), person("2"))
        world.settle()
        ids = world.snapshot.ids(Kind.USER, ["1", "2"])
        id_ = world.scim.add_group(displayName="Old", externalId="g", members=[{"value": ids["1"]}])
        killed(world, adopted_group(id_, "Old", members=["1", "2"]))
        assert world.look() == 0
        known = world.snapshot.group("g")
        assert known is not None
        assert (known.id, known.name) == (id_, "Old")
        assert world.snapshot.members("g") == ({"1"}, set())


def test_a_stranger_is_not_linked_after_a_kill_unless_our_mark_arrived(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn(), RULES) as world:
        theirs = {"userName": "ada@example.com", "title": "Ms", "active": True}
        first, second = world.scim.add_user(**theirs), world.scim.add_user(**MINE | {"externalId": "2"})
        killed(
            world,
            adoption("1", first, theirs, MINE),
            adoption("2", second, theirs, MINE | {"externalId": "2"}),
        )
        assert world.look() == 0
        assert world.snapshot.user("1") is None
        assert world.snapshot.ids(Kind.USER, ["2"]) == {"2": second}


# -- made anew at the target -------------------------------------------------------------------------


def test_a_leaver_who_was_made_anew_at_the_target_is_switched_off_and_nothing_else(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("title"), RULES) as world:
        world.hold(person("1", "ada@example.com", title="Dr"), person("2"))
        world.settle()
        del world.scim.users[world.snapshot.ids(Kind.USER, ["1"])["1"]]
        id_ = world.scim.add_user(**{**MINE, "title": "Ms"})
        world.hold(person("1", "ada@example.com", title="Dr", status="left"), person("2"))
        assert results(world.push()) == {"deactivate_user 1": "applied"}
        assert world.scim.users[id_]["active"] is False


def test_somebody_made_anew_at_the_target_is_linked_although_an_attribute_is_refused(tmp_path: Path) -> None:
    with pushing(tmp_path, Stubborn("title"), RULES) as world:
        world.hold(person("1", "ada@example.com"), person("2"))
        world.settle()
        del world.scim.users[world.snapshot.ids(Kind.USER, ["1"])["1"]]
        id_ = world.scim.add_user(**{**MINE, "title": "Ms"})
        world.hold(person("1", "ada@example.com", title="Dr"), person("2"))
        assert results(world.push()) == {"update_user 1": "failed"}
        assert world.snapshot.ids(Kind.USER, ["1"]) == {"1": id_}
