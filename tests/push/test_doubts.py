"""The gate's doubts: the meaning of a 404, the proof by resources created in this run, the links of a match."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.model import Kind
from syncd.core.plan import Action, Change, Result
from syncd.push.gate import Gate, Taken
from syncd.scim.client import Found
from tests.endpoints import Endpoint, Reply, Request, error
from tests.push.pushing import PROFILE, Pushing, adoption, detail, plan_of, pushing, results, said
from tests.world import group, person, target_rules

LOST = "the target no longer has it; the next run makes it anew"


def is_lost(world: Pushing, key: str) -> bool:
    known = world.snapshot.user(key)
    assert known is not None
    return known.lost


# -- what a 404 is about -----------------------------------------------------------------------------


def test_a_404_about_something_else_that_the_request_names_loses_nobody(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        world.hold(person("1", title="Dr"))
        world.scim.instead("PATCH", "/Users/", error(404, "there is no such manager"))
        assert said(world.push()) == [("update_user", "1", "failed", 404, "there is no such manager")]
        assert world.scim.log() == ["PATCH /Users/u1", "GET /Users/u1"]
        assert not is_lost(world, "1")
        assert world.push().results == {Result.APPLIED: 1}


@pytest.mark.parametrize("answer", [error(503, "later"), error(400, "no"), Reply(200, b"<html>")])
def test_an_endpoint_that_does_not_say_whether_somebody_is_there_loses_nobody(tmp_path: Path, answer: Reply) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        world.hold(person("1", title="Dr"))
        world.scim.instead("PATCH", "/Users/", error(404, "what?"))
        world.scim.instead("GET", "/Users/", answer)
        assert said(world.push()) == [("update_user", "1", "failed", 404, "what?")]
        assert not is_lost(world, "1")


def test_an_account_gone_in_both_answers_is_lost_and_made_anew(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        del world.scim.users["u1"]
        world.hold(person("1", title="Dr"))
        assert said(world.push()) == [("update_user", "1", "failed", 404, LOST)]
        assert is_lost(world, "1")
        assert results(world.push()) == {"create_user 1": "applied"}
        assert [user["title"] for user in world.scim.users.values()] == ["Dr"]
        assert not world.plan().changes


def test_whether_the_group_is_there_is_asked_once_however_many_members_it_refuses(tmp_path: Path) -> None:
    def refuse(request: Request) -> None:
        if request.method == "PATCH" and "u2" in request.content.decode():
            world.scim.instead("PATCH", "/Groups/", error(404, "no such member"))

    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(str(number)) for number in range(1, 4)))
        world.groups = [group("a")]
        world.settle()
        world.groups = [group("a", members=["1", "2", "3"])]
        world.scim.held = refuse
        run = world.push()
        assert said(run) == [("add_members", "a", "failed", 404, "refuses 1 of the members (2): no such member")]
        # Three, one of them, the other two, one, one; and whether it is the group that is not there, at first, and
        # whether the refused one is in it already, at the end.
        assert world.scim.log() == [
            "PATCH /Groups/g4",
            "GET /Groups/g4",
            *["PATCH /Groups/g4"] * 4,
            "GET /Groups/g4",
        ]
        assert world.scim.members("Group a") == {"u1", "u3"}
        assert world.snapshot.members("a")[0] == {"1", "3"}


# -- everything gone ---------------------------------------------------------------------------------


def emptied(world: Pushing) -> None:
    """Let five people be known and the endpoint lose them all; they now report to somebody new, who has a superior."""
    known = [person(str(number)) for number in range(1, 6)]
    world.hold(*known)
    world.settle()
    world.scim.users.clear()
    new = [person("a", "a", boss="b"), person("b", "b")]
    world.hold(*new, *(person(each.key, boss="b") for each in known))


def test_an_account_made_in_this_run_says_nothing_of_lost_ones(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        emptied(world)
        world.concurrency = 1
        run = world.push()
        assert [(line[1], line[2]) for line in said(run) if line[0] == "update_user"] == [
            ("a", "applied"),
            ("1", "failed"),
            *((str(number), "skipped") for number in range(2, 6)),
        ]
        assert "none of 4 managed users asked for is there any more" in run.error
        assert not any(is_lost(world, str(number)) for number in range(1, 6))


def test_one_who_is_still_there_makes_the_others_deleted_people(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(str(number)) for number in range(8)))
        world.settle()
        world.scim.users = {"u1": world.scim.users["u1"]}
        world.hold(*(person(str(number), title="Dr") for number in range(8)))
        world.concurrency = 1
        run = world.push()
        assert run.error == ""
        assert run.results == {Result.APPLIED: 1, Result.FAILED: 7}
        assert [is_lost(world, str(number)) for number in range(8)] == [False, *[True] * 7]


# -- what may be linked ------------------------------------------------------------------------------


def test_an_account_with_our_mark_is_not_handed_over_from_another_key(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1", "ada"))
        world.settle()
        held = {"userName": "ada", "externalId": "2", "active": True}
        with world.state.atomic():
            known = world.snapshot.user("1")
            assert known is not None
            # As if it had been marked for another key behind our back, and that is known.
            world.snapshot.put_user(replace(known, attributes=held))
        plan = plan_of(world, adoption("2", known.id, held, held))
        assert said(world.push(plan)) == [
            ("adopt_user", "2", "refused", 0, "the account belongs to the source's key 1"),
        ]
        assert world.scim.requests == []
        assert world.snapshot.key_of(Kind.USER, known.id) == "1"


@pytest.mark.parametrize(
    ("concurrency", "reason"),
    [
        (1, "externalId has changed since: the plan expects None, it is '1'"),
        (2, "the account belongs to the source's key 1"),
    ],
)
def test_two_keys_do_not_adopt_one_account(tmp_path: Path, concurrency: int, reason: str) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(userName="ada", active=True)
        there = {"userName": "ada", "active": True}
        plan = plan_of(world, *(adoption(key, id_, there, {**there, "externalId": key}) for key in ("1", "2")))
        world.concurrency = concurrency
        run = world.push(plan)
        assert results(run) == {"adopt_user 1": "applied", "adopt_user 2": "refused"}
        assert detail(run, Action.ADOPT_USER, "2") == reason
        assert world.scim.users[id_]["externalId"] == "1"


def test_an_adoption_that_names_no_account_is_refused(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        plan = plan_of(world, adoption("1", "", {}, {"userName": "ada", "active": True}))
        assert detail(world.push(plan), Action.ADOPT_USER, "1") == "the change names no account to take over"


@pytest.mark.parametrize("mark", ["2", "K1", 1])
def test_the_gate_links_nothing_that_carries_another_mark_whatever_matched(tmp_path: Path, mark: object) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        gate = Gate(None, world.snapshot)  # type: ignore[arg-type]  # nothing is asked for
        with pytest.raises(Taken, match=f"carries another externalId \\({mark}\\)"):
            gate.collided(Kind.USER, Found("native1", {"externalId": mark}), "k1", "k1")
        assert gate.collided(Kind.USER, Found("native1", {"externalId": "k1"}), "k1", "k1").id == "native1"


def test_a_member_who_is_not_linked_is_not_written_down_with_an_adopted_group(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(person("1"))
        world.settle()
        theirs = world.scim.add_user(userName="u2")
        id_ = world.scim.add_group(displayName="Group a", members=[{"value": "u1"}, {"value": theirs}])
        before = {"displayName": "Group a", "members": ["1", "2"]}
        adopts = Change(Action.ADOPT_GROUP, "a", "Group a", before, {"displayName": "Group a"}, "", resource=id_)
        # The account of 2 was to be taken over by the same plan, and that was left out of it.
        assert results(world.push(plan_of(world, adopts))) == {"adopt_group a": "applied"}
        assert world.snapshot.members("a")[0] == {"1"}


# -- groups of the same name -------------------------------------------------------------------------


def test_a_suffix_that_the_endpoint_adds_is_neither_a_reason_nor_something_to_mend(tmp_path: Path) -> None:
    rules = target_rules("target", profile=replace(PROFILE, group_suffix=" (SCIM)"))
    with pushing(tmp_path, Endpoint(), replace(rules, adopt_groups=True)) as world:
        world.learnt(patch=True)
        id_ = world.scim.add_group(displayName="Group a (SCIM)")
        world.groups = [group("a")]
        world.scim.instead("POST", "/Groups$", error(409, "taken"))
        run = world.push()
        assert said(run) == [("create_group", "a", "applied", 200, "is managed from now on")]
        assert world.scim.groups[id_]["displayName"] == "Group a (SCIM)"
        assert world.scim.groups[id_]["externalId"] == "a"
        assert world.snapshot.key_of(Kind.GROUP, id_) == "a"
        assert not world.plan().changes


def test_a_group_that_carries_another_mark_is_nobodys_to_take_over(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(), replace(target_rules("target", profile=PROFILE), adopt_groups=True)) as world:
        world.scim.add_group(displayName="Group a", externalId="theirs")
        world.groups = [group("a")]
        assert detail(world.push(), Action.CREATE_GROUP, "a") == (
            "displayName is taken; none of the target's own groups could be meant by that name"
        )
        assert {request.method for request in world.scim.requests} == {"GET", "POST"}
