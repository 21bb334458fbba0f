"""Accounts and groups that a full resync found: taken over as they were seen, or not at all."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.compare.decisions import Decisions
from syncd.compare.estimate import estimate, place_seen, read_just_now
from syncd.core.mapping import Spec
from syncd.core.model import Kind, State
from syncd.core.plan import Action, Change, Plan, Result
from syncd.core.policy import Class, Limit
from syncd.core.schema import MANAGER
from syncd.cycle.progress import Progress
from syncd.cycle.sync import make_plans
from syncd.scim.profiles import Profile
from tests.endpoints import Endpoint, Json, error
from tests.push.pushing import NAME, PROFILE, Pushing, adoption, detail, plan_of, pushing, results, said
from tests.world import WORK_MAIL, group, person, source_rules, target_rules

MINE = {"userName": "ada@example.com", "externalId": "1", "title": "Dr", "active": True}
"""The account as it is to be."""
THEIRS = {"userName": "ada@example.com", "title": "Ms", "active": True}
"""The account as it was when a person looked at the plan."""


def estimated(world: Pushing, plan: Plan) -> int:
    requests = estimate(plan.changes, world.target, world.snapshot)
    return place_seen(replace(plan, estimate=requests), world.target, world.snapshot).estimate.requests


def take_over(world: Pushing, change: Change) -> tuple[str, str]:
    """Carry out one adoption; returns what came of it, and checks that it took as many requests as were announced."""
    world.learnt(patch=True)
    plan = plan_of(world, change)
    announced = estimated(world, plan)
    run = world.push(plan)
    (outcome,) = run.outcomes
    if outcome.result is Result.APPLIED:
        assert run.requests == announced
    return outcome.result.value, outcome.detail


# -- ours --------------------------------------------------------------------------------------------


def test_an_account_that_is_ours_and_right_is_linked_without_a_request(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(**MINE)
        assert take_over(world, adoption("1", id_, MINE, MINE)) == ("applied", "")
        assert world.scim.requests == []
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.id, known.state, known.attributes, known.accepted) == (id_, State.ACTIVE, MINE, True)


def test_of_an_account_that_is_ours_only_what_differs_is_sent(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(**MINE | {"title": "Ms", "nickName": "theirs"})
        assert take_over(world, adoption("1", id_, MINE | {"title": "Ms"}, MINE)) == ("applied", "")
        assert world.scim.log() == [f"PATCH /Users/{id_}"]
        assert world.scim.requests[0].body["Operations"] == [{"op": "replace", "path": "title", "value": "Dr"}]
        assert world.scim.users[id_]["nickName"] == "theirs"


def test_one_that_is_ours_and_gone_meanwhile_fails_and_is_lost_again(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        assert take_over(world, adoption("1", "native1", MINE | {"title": "Ms"}, MINE)) == (
            "failed",
            "Users/native1 is not there",
        )
        known = world.snapshot.user("1")
        assert known is not None
        assert known.lost


@pytest.mark.parametrize("active", [True, False])
def test_an_account_of_somebody_who_is_not_wanted_is_switched_off_if_it_is_on(tmp_path: Path, active: bool) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(**MINE | {"active": active})
        change = replace(adoption("1", id_, {"active": active}, MINE), after={"active": False})
        change = replace(change, before={"active": active}, state=State.DEACTIVATED, name="ada@example.com")
        assert take_over(world, change) == ("applied", "")
        assert len(world.scim.requests) == active, "it carries our mark: nothing is looked at"
        assert world.scim.users[id_]["active"] is False
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.state, known.accepted) == (State.DEACTIVATED, False)


# -- not ours yet ------------------------------------------------------------------------------------


def test_an_account_that_is_not_ours_is_looked_at_once_more_and_brought_into_line(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(**THEIRS, nickName="theirs")
        assert take_over(world, adoption("1", id_, THEIRS, MINE)) == ("applied", "")
        assert world.scim.log() == [f"GET /Users/{id_}", f"PATCH /Users/{id_}"]
        assert {name: world.scim.users[id_].get(name) for name in (*MINE, "nickName")} == MINE | {"nickName": "theirs"}
        assert len(world.scim.users) == 1


def test_where_accounts_carry_no_mark_one_that_is_right_is_only_looked_at(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(**THEIRS)
        assert take_over(world, adoption("1", id_, THEIRS, THEIRS)) == ("applied", "")
        assert world.scim.log() == [f"GET /Users/{id_}"]


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({"title": "Prof"}, "title has changed since: the plan expects 'Ms', it is 'Prof'"),
        ({"title": None}, "title has changed since: the plan expects 'Ms', it is None"),
        ({"userName": "bob@example.com"}, "userName has changed since: the plan expects 'ada@example.com', it is 'bob"),
        ({"externalId": "2"}, "externalId has changed since: the plan expects None, it is '2'"),
        ({"active": False}, "active has changed since: the plan expects True, it is False"),
    ],
)
def test_an_account_that_is_no_longer_what_was_seen_is_not_taken_over(
    tmp_path: Path, changed: dict[str, Json], reason: str
) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        there = {name: value for name, value in (THEIRS | changed).items() if value is not None}
        id_ = world.scim.add_user(**there)
        result, why = take_over(world, adoption("1", id_, THEIRS, MINE))
        assert (result, why[: len(reason)]) == ("refused", reason)
        assert world.scim.log() == [f"GET /Users/{id_}"]
        assert world.snapshot.user("1") is None


def test_an_account_that_is_gone_meanwhile_is_not_taken_over(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        assert take_over(world, adoption("1", "native1", THEIRS, MINE)) == ("refused", "is no longer at the target")


def test_an_endpoint_that_can_not_say_leaves_it_for_the_next_run(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(**THEIRS)
        world.scim.instead("GET", "/Users/", *[error(503, "later")] * 99)
        change = adoption("1", id_, THEIRS, MINE)
        assert take_over(world, change) == ("failed", "later")
        world.scim.relent()
        assert take_over(world, change) == ("applied", "")


@pytest.mark.parametrize(
    "there",
    [
        THEIRS | {"userName": "ADA@Example.com"},
        THEIRS | {"nickName": "new"},
        {name: value for name, value in THEIRS.items() if name != "active"},
        THEIRS | {"emails": [{"type": "work", "value": "ADA@example.com", "primary": True}]},
    ],
    ids=["userName in another case", "something of no concern", "on without saying so", "e-mail in another case"],
)
def test_values_that_mean_the_same_are_the_same(tmp_path: Path, there: dict[str, Json]) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        mail = {WORK_MAIL: "ada@example.com"} if "emails" in there else {}
        id_ = world.scim.add_user(**there)
        assert take_over(world, adoption("1", id_, THEIRS | mail, MINE | mail)) == ("applied", "")
        assert world.scim.users[id_]["externalId"] == "1"


def linked_to_the_key(world: Pushing) -> str:
    world.hold(person("1", "other"))
    return "has an account already"


def linked_to_another_key(world: Pushing) -> str:
    world.hold(person("2", "ada@example.com", title="Ms"))
    return "externalId has changed since: the plan expects None, it is '2'"


@pytest.mark.parametrize("happens", [linked_to_the_key, linked_to_another_key])
def test_an_account_linked_meanwhile_is_not_taken_over(tmp_path: Path, happens: Callable[[Pushing], str]) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(**THEIRS)
        reason = happens(world)
        world.settle()
        before = dict(world.scim.users[id_])
        assert take_over(world, adoption("1", id_, THEIRS, MINE)) == ("refused", reason)
        assert (world.scim.users[id_], world.scim.requests) == (before, [])


def test_a_lost_account_may_be_found_again_under_another_id(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1", "ada@example.com", title="Dr"))
        world.settle()
        with world.state.atomic():
            world.snapshot.lose(Kind.USER, "1")
        id_ = world.scim.add_user(**MINE)
        assert take_over(world, adoption("1", id_, MINE, MINE)) == ("applied", "")
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.id, known.lost) == (id_, False)


# -- hired again -------------------------------------------------------------------------------------


def hired_again(world: Pushing) -> Plan:
    """Let ada leave, and be back under another key; return the plan in which a person handed the account over."""
    world.hold(person("1", "ada", title="Dr"), person("3"))
    world.groups = [group("a", members=["1", "3"])]
    world.settle()
    world.hold(person("1", "ada", status="left"), person("3"))
    world.settle()
    world.hold(person("1", "ada", status="left"), person("2", "ada", title="Prof"), person("3"))
    (held,) = world.plan().held
    assert (held.limit, held.change.action, held.change.resource) == ("rehire", Action.ADOPT_USER, "u1")
    world.decisions = Decisions(frozenset({held.id}))
    return world.plan()


def test_a_person_hired_again_gets_the_account_with_all_that_is_in_it(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = hired_again(world)
        with world.state.atomic():
            # They stayed in the group, as after a switched-off account that nobody removed.
            world.snapshot.change_members("a", Kind.USER, added=["1"])
        run = world.push(plan)
        assert said(run) == [("adopt_user", "2", "applied", 200, "")]
        assert run.requests == plan.estimate.requests == 1
        assert world.scim.log() == ["PATCH /Users/u1"]
        assert {path: world.scim.users["u1"][path] for path in ("userName", "externalId", "title", "active")} == {
            "userName": "ada",
            "externalId": "2",
            "title": "Prof",
            "active": True,
        }
        assert world.snapshot.user("1") is None
        known = world.snapshot.user("2")
        assert known is not None
        assert (known.id, known.state, known.accepted) == ("u1", State.ACTIVE, True)
        assert world.snapshot.members("a")[0] == {"2", "3"}


def test_what_the_new_entry_does_not_have_goes_with_the_former_one(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1", "ada", title="Dr", boss="3"), person("3"))
        world.settle()
        world.hold(person("1", "ada", status="left"), person("3"))
        world.settle()
        world.hold(person("1", "ada", status="left"), person("2", "ada"), person("3"))
        (held,) = world.plan().held
        assert held.change.differences == (
            {"externalId": "1", "active": False, "title": "Dr", MANAGER: "3"},
            {"externalId": "2", "active": True, "title": None, MANAGER: None},
        )
        world.decisions = Decisions(frozenset({held.id}))
        assert results(world.push()) == {"adopt_user 2": "applied"}
        assert "title" not in world.scim.users["u1"]
        assert not world.plan().changes


@pytest.mark.parametrize("applied_twice", [False, True])
def test_an_account_that_moved_since_is_not_handed_over(tmp_path: Path, applied_twice: bool) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = hired_again(world)
        if applied_twice:
            world.push(plan)
            reason = "has an account already"
        else:
            # The former key is back before the plan is carried out: the account is in use again.
            world.decisions = Decisions()
            world.hold(person("1", "ada", title="Dr"), person("3"))
            world.settle()
            reason = "active has changed since: the plan expects False, it is True"
        world.scim.requests.clear()
        run = world.push(plan)
        assert [(outcome.result, outcome.detail) for outcome in run.outcomes] == [(Result.REFUSED, reason)]
        assert world.scim.requests == []


# -- groups ------------------------------------------------------------------------------------------


def group_adoption(id_: str, before: dict[str, Any], name: str = "Group a", **after: str) -> Change:
    return Change(Action.ADOPT_GROUP, "a", name, before, {"displayName": name, **after}, "", resource=id_)


def test_a_group_is_taken_over_with_the_managed_members_it_has(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"), person("3"))
        world.settle()
        native = world.scim.add_user(userName="native")
        members = [{"value": id_} for id_ in ("u1", "u2", native)]
        id_ = world.scim.add_group(displayName="Group a", members=members)
        change = group_adoption(
            id_, {"displayName": "Group a", "externalId": None, "members": ["1", "2"]}, externalId="a"
        )
        plan = plan_of(world, change)
        assert estimated(world, plan) == 2
        assert said(world.push(plan)) == [("adopt_group", "a", "applied", 200, "")]
        assert world.scim.log() == [f"GET /Groups/{id_}", f"PATCH /Groups/{id_}"]
        assert world.scim.requests[1].body["Operations"] == [{"op": "add", "path": "externalId", "value": "a"}]
        assert world.snapshot.members("a") == ({"1", "2"}, set())
        world.groups = [group("a", members=["2", "3"])]
        world.settle()
        assert world.scim.members("Group a") == {"u2", "u3", "native"}


def test_a_group_that_is_ours_and_right_is_linked_without_a_request(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        id_ = world.scim.add_group(displayName="Group a", externalId="a", members=[{"value": "u1"}])
        there = {"displayName": "Group a", "externalId": "a"}
        assert results(world.push(plan_of(world, group_adoption(id_, {**there, "members": ["1"]}, externalId="a"))))
        assert world.scim.requests == []
        world.groups = [group("a", members=["1"])]
        assert not world.plan().changes


@pytest.mark.parametrize(
    ("there", "reason"),
    [
        ({"displayName": "Other"}, "displayName has changed since: the plan expects 'Group a', it is 'Other'"),
        (
            {"displayName": "Group a", "externalId": "b"},
            "externalId has changed since: the plan expects None, it is 'b'",
        ),
        (None, "is no longer at the target"),
    ],
)
def test_a_group_that_is_no_longer_what_was_seen_is_not_taken_over(
    tmp_path: Path, there: dict[str, Json] | None, reason: str
) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        id_ = world.scim.add_group(**there) if there else "native1"
        change = group_adoption(id_, {"displayName": "Group a", "externalId": None}, externalId="a")
        joins = Change.of_members(Action.ADD_MEMBERS, "a", "Group a", ["1"], [])
        assert said(world.push(plan_of(world, change, joins))) == [
            ("adopt_group", "a", "refused", 0, reason),
            ("add_members", "a", "skipped", 0, "the group could not be created"),
        ]
        assert world.scim.log() == [f"GET /Groups/{id_}"]


def test_a_suffix_of_the_endpoints_own_is_no_rename(tmp_path: Path) -> None:
    rules = target_rules(NAME, profile=replace(PROFILE, group_suffix=" (SCIM)"))
    with pushing(tmp_path, Endpoint(), rules) as world:
        world.learnt(patch=True)
        id_ = world.scim.add_group(displayName="Group a (SCIM)")
        change = group_adoption(id_, {"displayName": "Group a", "externalId": None}, externalId="a")
        assert results(world.push(plan_of(world, change))) == {"adopt_group a": "applied"}
        assert [operation["path"] for operation in world.scim.requests[-1].body["Operations"]] == ["externalId"]
        assert world.scim.groups[id_]["displayName"] == "Group a (SCIM)"


# -- a whole target whose state file is gone ---------------------------------------------------------


def resync(world: Pushing) -> Plan:
    """Return the plan of a full resync."""
    target = world.reached()
    (planned,) = make_plans(replace(world.setup(), targets=(target,)), world.state, [target], Progress(), full=True)
    world.snapshot_updates = planned.snapshot_updates
    return planned.plan


@pytest.mark.parametrize("concurrency", [1, 4])
@pytest.mark.parametrize("nested", [False, True])
def test_with_the_state_file_gone_everything_is_linked_again_and_nothing_written(
    tmp_path: Path, nested: bool, concurrency: int
) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.rules = replace(world.rules, nesting=world.rules.nesting.KEEP)
        world.hold(person("1", boss="2"), person("2", boss="3"), person("3"), person("4", status="left"))
        world.groups = [
            group("a", members=["1", "2"], subgroups=["b", "c"] if nested else []),
            group("b", members=["3"]),
            group("c", subgroups=["b"] if nested else []),
        ]
        world.settle()
        world.scim.add_user(userName="native")
        with world.state.atomic():
            for key in "1234":
                world.snapshot.forget_user(key)
            for key in "abc":
                world.snapshot.forget_group(key)
        world.concurrency = concurrency
        plan = resync(world)
        assert plan.estimate.requests == 0
        world.scim.requests.clear()
        run = world.push(plan)
        assert (set(results(run).values()), world.scim.requests) == ({"applied"}, [])
        assert world.snapshot.members("a") == ({"1", "2"}, {"b", "c"} if nested else set())
        assert not world.plan().changes


def forget_everything(world: Pushing) -> None:
    """Lose the state file's contents about people."""
    with world.state.atomic():
        for batch in list(world.snapshot.all_users()):
            for known in batch:
                world.snapshot.forget_user(known.key)


def resynced(world: Pushing) -> dict[str, str]:
    """Carry out a full resync; checks that it takes as many requests as announced, and leaves nothing to do."""
    plan = place_seen(read_just_now(resync(world), world.target, world.snapshot), world.target, world.snapshot)
    world.scim.requests.clear()
    run = world.push(plan, read_just_now=True)
    assert run.requests == len(world.scim.requests) == plan.estimate.requests
    assert not world.plan().changes
    assert not resync(world).changes
    world.scim.requests.clear()
    return results(run)


def test_what_the_source_does_not_have_is_emptied_once_the_state_file_is_gone(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(person("1", boss="2", mail="u1@example.com"), person("2"), person("3", title="Dr"))
        world.settle()
        world.scim.users["u1"]["title"] = "Owner"
        world.scim.users["u2"][MANAGER.rpartition(":")[0]] = {"manager": {"value": "u3"}}
        world.hold(person("1"), person("2"), person("3", title="Dr"))
        forget_everything(world)
        plan = resync(world)
        assert [change.differences[0] for change in plan.changes] == [
            {"title": "Owner", WORK_MAIL: "u1@example.com", MANAGER: "2"},
            {MANAGER: "3"},
            {},
        ]
        assert (plan.estimate.requests, plan.held) == (2, ())
        assert resynced(world) == {"adopt_user 1": "applied", "adopt_user 2": "applied", "adopt_user 3": "applied"}
        assert not {"title", "emails"} & world.scim.users["u1"].keys()
        assert [known.attributes.get("title") for known in world.snapshot.users(["1", "3"]).values()] == [None, "Dr"]


def test_somebody_who_was_off_when_the_state_file_was_lost_comes_back_with_one_address(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1", mail="old@example.com", title="Dr", boss="2"), person("2"))
        world.settle()
        left = person("1", status="left")
        world.hold(left, person("2"))
        world.settle()
        forget_everything(world)
        assert resynced(world) == {"adopt_user 1": "applied", "adopt_user 2": "applied"}
        assert world.scim.log() == []
        known = world.snapshot.user("1")
        assert known is not None
        there = {"title": "Dr", WORK_MAIL: "old@example.com", MANAGER: "2", "active": False}
        assert {path: known.attributes.get(path) for path in there} == there
        world.hold(person("1", mail="new@example.com"), person("2"))
        assert results(world.push()) == {"reactivate_user 1": "applied"}
        assert [each["value"] for each in world.scim.users["u1"]["emails"]] == ["new@example.com"]
        assert "title" not in world.scim.users["u1"]
        assert resynced(world) == {}


def test_a_stranger_s_account_that_would_lose_values_waits_for_a_person(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        id_ = world.scim.add_user(userName="u1", title="Chief")
        world.hold(person("1", mail="u1@example.com"))
        (held,) = resync(world).held
        assert (held.limit, held.change.action) == ("adopt", Action.ADOPT_USER)
        assert held.reason == "taking over the account of u1 would empty title (Chief): the source has no value there"
        assert [each.id for each in resync(world).held] == [held.id]
        holds = world.state.holds(NAME)
        with world.state.atomic():
            holds.add([held], world.now)
            holds.reject([held.id], "ada", world.now)
        plan = resync(world)
        assert (plan.changes, plan.held, [each.id for each in plan.rejected]) == ((), (), [held.id])
        with world.state.atomic():
            holds.approve([held.id], "ada", world.now, world.now.replace(year=2999))
        assert resynced(world) == {"adopt_user 1": "applied"}
        assert "title" not in world.scim.users[id_]
        assert world.scim.users[id_]["externalId"] == "1"


# -- values that are kept, or written once -----------------------------------------------------------

_KEPT: dict[str, Spec] = {
    "userName": "{uid}",
    "title": {"template": "{title}", "when_empty": "keep"},
    "locale": {"template": "{locale}", "apply": "create"},
    WORK_MAIL: {"template": "{mail}", "when_empty": "keep"},
}


@contextmanager
def keeping(folder: Path) -> Iterator[Pushing]:
    """Yield a world whose mapping keeps titles and addresses when empty, and writes a locale once."""
    with pushing(folder, Endpoint()) as world:
        world.rules = source_rules(_KEPT)
        world.learnt(patch=True)
        yield world


def test_what_is_kept_is_neither_emptied_nor_drift_while_the_source_is_empty(tmp_path: Path) -> None:
    with keeping(tmp_path) as world:
        world.hold(person("1", title="Staff", mail="a@example.com", locale="de"), person("2", title="Staff"))
        world.settle()
        world.hold(person("1", locale="en"), person("2", title="Staff"))
        assert not world.plan().changes
        for user in ("u1", "u2"):
            world.scim.users[user] |= {"title": "Boss", "locale": "fr"}
        plan = resync(world)
        assert [(each.key, each.expected, each.found) for each in plan.drift] == [
            ("2", {"title": "Staff"}, {"title": "Boss"})
        ]
        assert resynced(world) == {"update_user 2": "applied"}
        assert (world.scim.users["u1"]["title"], world.scim.users["u2"]["title"]) == ("Boss", "Staff")
        # Lost, and found again: nothing is taken away, and a new value replaces what is there.
        forget_everything(world)
        assert resynced(world) == {"adopt_user 1": "applied", "adopt_user 2": "applied"}
        world.hold(person("1", title="Dr", mail="b@example.com", locale="en"), person("2", title="Staff"))
        assert resynced(world) == {"update_user 1": "applied"}
        there = world.scim.users["u1"]
        assert (there["title"], there["locale"]) == ("Dr", "fr")
        assert [each["value"] for each in there["emails"]] == ["b@example.com"]
        # The mapping keeps nothing any more: what the source lacks is emptied.
        world.rules = source_rules({**_KEPT, "title": "{title}"})
        world.target = replace(world.target, scheme="mapping 2")
        world.hold(person("1", locale="en"), person("2", title="Staff"))
        assert resynced(world) == {"update_user 1": "applied"}
        assert ("title" in world.scim.users["u1"], "emails" in world.scim.users["u1"]) == (False, True)


def test_an_account_that_loses_nothing_is_taken_over_at_once(tmp_path: Path) -> None:
    with keeping(tmp_path) as world:
        theirs = {"title": "Chief", "locale": "fr", "emails": [{"type": "work", "value": "c@example.com"}]}
        world.scim.add_user(userName="u1", **theirs)
        world.scim.add_user(userName="u2", **theirs)
        world.hold(person("1", locale="en"))
        assert resynced(world) == {"adopt_user 1": "applied"}
        world.hold(person("1", locale="en"), person("2", locale="en"))
        assert results(world.push()) == {"create_user 2": "applied"}
        for key, account in (("1", world.scim.by_name()["u1"]), ("2", world.scim.by_name()["u2"])):
            assert {name: account[name] for name in (*theirs, "externalId")} == {**theirs, "externalId": key}
        world.hold(*(person(key, mail=f"new{key}@example.com") for key in "12"))
        assert resynced(world) == {"update_user 1": "applied", "update_user 2": "applied"}
        for name in ("u1", "u2"):
            assert len(world.scim.by_name()[name]["emails"]) == 1


# -- creates that collide ----------------------------------------------------------------------------


def test_a_create_that_meets_our_own_account_empties_what_the_source_does_not_have(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("2"))
        world.settle()
        id_ = world.scim.add_user(userName="u1", externalId="1", title="Owner", nickName="theirs")
        world.scim.users[id_][MANAGER.rpartition(":")[0]] = {"manager": {"value": "u2"}}
        world.hold(person("1"), person("2"))
        assert results(world.push()) == {"create_user 1": "applied"}
        assert ("title" in world.scim.users[id_], world.scim.users[id_]["nickName"]) == (False, "theirs")
        assert not (world.scim.users[id_].get(MANAGER.rpartition(":")[0]) or {}).get("manager")
        assert resynced(world) == {}


def test_a_create_that_meets_a_stranger_s_account_empties_nothing(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(userName="u1", title="Owner")
        before = dict(world.scim.users[id_])
        world.hold(person("1"))
        run = world.push()
        assert results(run) == {"create_user 1": "failed"}
        assert detail(run, Action.CREATE_USER, "1") == (
            "userName is taken; taking over the account would empty title (Owner): `syncd resync` finds it, and lets a "
            "person decide"
        )
        assert (world.scim.users[id_], world.snapshot.user("1")) == (before, None)
        assert [each.limit for each in resync(world).held] == ["adopt"]


def test_a_manager_who_is_to_follow_is_not_emptied_before(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(userName="u1")
        world.scim.users[id_][MANAGER.rpartition(":")[0]] = {"manager": {"value": "theirs"}}
        world.hold(person("1", boss="2"), person("2"))
        assert results(world.push()) == {
            "create_user 1": "applied",
            "create_user 2": "applied",
            "update_user 1": "applied",
        }
        manager = world.scim.users[id_][MANAGER.rpartition(":")[0]]["manager"]
        assert manager["value"] == world.scim.by_name()["u2"]["id"]


def test_no_more_accounts_are_taken_over_in_a_run_than_the_limit_says(tmp_path: Path) -> None:
    rules = target_rules(NAME, profile=PROFILE, limits={Class.ADOPT: Limit(count=2)})
    with pushing(tmp_path, Endpoint(), rules) as world:
        for key in "12345":
            world.scim.add_user(userName=f"u{key}", **({"externalId": key} if key in "23" else {}))
        world.hold(*(person(key) for key in "123456"))
        world.concurrency = 1
        run = world.push()
        # Those with our mark take nothing from anybody, and are not counted.
        assert results(run) == {f"create_user {key}": "failed" if key == "5" else "applied" for key in "123456"}
        assert detail(run, Action.CREATE_USER, "5") == (
            "userName is taken; more accounts would be taken over than `limits.adopt` allows: `syncd plan --full` "
            "shows them all"
        )
        assert "externalId" not in world.scim.by_name()["u5"]


def test_where_a_person_decides_about_each_nobody_is_taken_over_by_a_create(tmp_path: Path) -> None:
    rules = target_rules(NAME, profile=PROFILE, limits={Class.ADOPT: Limit(always=True)})
    with pushing(tmp_path, Endpoint(), rules) as world:
        world.scim.add_user(userName="u1")
        world.hold(person("1"))
        assert results(world.push()) == {"create_user 1": "failed"}
        assert "externalId" not in world.scim.by_name()["u1"]


@pytest.mark.parametrize(("active", "state"), [(True, State.ACTIVE), (False, State.PENDING)])
def test_an_outsider_who_is_in_already_is_not_locked_out(tmp_path: Path, active: bool, state: State) -> None:
    rules = target_rules(NAME, profile=PROFILE, verified=["example.com"])
    with pushing(tmp_path, Endpoint(), rules) as world:
        id_ = world.scim.add_user(userName="eve@elsewhere.example", active=active)
        world.hold(person("1", "eve@elsewhere.example"))
        (change,) = world.plan().changes
        assert (change.state, change.after["active"]) == (State.PENDING, False)
        assert results(world.push()) == {"create_user 1": "applied"}
        assert world.scim.users[id_]["active"] is active
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.state, known.attributes["active"], known.accepted) == (state, active, active)
        assert not world.plan().changes


def test_an_outsider_whose_id_had_to_be_looked_up_is_kept_out(tmp_path: Path) -> None:
    class Eager(Endpoint):
        def _create(self, *args: Any) -> Any:
            reply = super()._create(*args)
            list(self.users.values())[-1].pop("active", None)
            return reply

    rules = target_rules(NAME, profile=PROFILE, verified=["example.com"])
    with pushing(tmp_path, Eager(ids="nowhere"), rules) as world:
        world.hold(person("1", "eve@elsewhere.example"))
        assert results(world.push()) == {"create_user 1": "applied"}
        assert world.scim.by_name()["eve@elsewhere.example"]["active"] is False


# -- creates of groups that collide ------------------------------------------------------------------


def taking_groups(profile: Profile = PROFILE) -> Any:
    return replace(target_rules(NAME, profile=profile), adopt_groups=True)


def test_a_native_group_of_the_same_name_is_taken_over_where_the_configuration_says_so(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(), taking_groups()) as world:
        native = world.scim.add_user(userName="native")
        id_ = world.scim.add_group(displayName="Group a", members=[{"value": native}])
        world.hold(person("1"))
        world.groups = [group("a", members=["1"])]
        run = world.push()
        assert set(results(run).values()) == {"applied"}
        assert detail(run, Action.CREATE_GROUP, "a") == "is managed from now on"
        assert list(world.scim.groups) == [id_]
        assert world.scim.groups[id_]["externalId"] == "a"
        assert world.scim.members("Group a") == {"native", "u1"}
        assert not world.plan().changes


@pytest.mark.parametrize("name", ["group a", "Group A", "Group a "])
def test_a_group_is_taken_over_by_its_exact_name_alone(tmp_path: Path, name: str) -> None:
    with pushing(tmp_path, Endpoint(filters="ignored"), taking_groups()) as world:
        id_ = world.scim.add_group(displayName=name)
        world.groups = [group("a")]
        world.scim.instead("POST", "/Groups$", error(409, "displayName is taken"))
        assert results(world.push()) == {"create_group a": "failed"}
        assert world.scim.groups[id_] == {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
            "id": id_,
            "displayName": name,
        }


def test_of_two_groups_of_one_name_none_is_taken_over(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(), taking_groups(replace(PROFILE, group_suffix=" (SCIM)"))) as world:
        world.scim.add_group(displayName="Group a")
        world.scim.add_group(displayName="Group a (SCIM)")
        world.groups = [group("a")]
        run = world.push()
        assert detail(run, Action.CREATE_GROUP, "a").startswith("displayName is taken; 2 ")
        assert not [each for each in world.scim.groups.values() if "externalId" in each]


def test_of_two_groups_of_one_name_the_one_that_belongs_to_nobody_is_taken_over(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(forgets=("externalId",)), taking_groups()) as world:
        world.groups = [group("b", "Group a")]
        world.settle()
        native = world.scim.add_group(displayName="Group a")
        world.groups = [group("a"), group("b", "Group a")]
        assert results(world.push()) == {"create_group a": "applied"}
        assert world.snapshot.key_of(Kind.GROUP, native) == "a"


def test_a_group_that_is_linked_to_another_key_is_not_taken_over_by_name(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(forgets=("externalId",)), taking_groups()) as world:
        world.groups = [group("b", "Group a")]
        world.settle()
        world.groups = [group("a"), group("b", "Group a")]
        assert results(world.push()) == {"create_group a": "failed"}
        assert world.snapshot.group("a") is None


def test_the_account_that_a_key_had_before_is_no_stranger_s_and_no_limit_counts_it(tmp_path: Path) -> None:
    rules = target_rules(NAME, profile=PROFILE, limits={Class.ADOPT: Limit(count=0)})
    with pushing(tmp_path, Endpoint(), rules) as world:
        world.hold(person("1"))
        world.settle()
        (id_,) = world.scim.users
        with world.state.atomic():
            world.snapshot.lose(Kind.USER, "1")
        del world.scim.users[id_]["externalId"]
        assert results(world.push()) == {"create_user 1": "applied"}
        assert list(world.scim.users) == [id_]
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.id, known.lost) == (id_, False)
