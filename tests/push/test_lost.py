"""Lost resources: the next run makes them anew; where everything seems gone, the target stops instead."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from syncd.core.model import Kind, State
from syncd.core.plan import Action, Change, Result
from tests.endpoints import TOKEN, Endpoint, Reply, Request, error
from tests.push.pushing import Pushing, detail, plan_of, pushing, results, said
from tests.world import group, person

LOST = "the target no longer has it; the next run makes it anew"
GONE = re.compile(r"^target: none of [1-8] managed users asked for is there any more: nothing more is written\n")
KEYS = [str(number) for number in range(1, 9)]


def vanish(world: Pushing, *names: str) -> None:
    """Delete accounts and groups at the target, by userName or displayName."""
    for held, name in ((world.scim.users, "userName"), (world.scim.groups, "displayName")):
        for id_ in [id_ for id_, each in held.items() if each[name] in names]:
            del held[id_]
            for each in world.scim.groups.values():
                each["members"] = [member for member in each.get("members") or [] if member["value"] != id_]


def lost(world: Pushing) -> set[str]:
    """Return the keys of users and groups that are known to be gone."""
    users = {key for key, known in world.snapshot.users(KEYS).items() if known.lost}
    return users | {key for key, known in world.snapshot.groups().items() if known.lost}


def settled(world: Pushing, *keys: str) -> None:
    """Let the target have these people, and let everybody's title change in the source after that."""
    world.hold(*(person(key) for key in keys))
    world.settle()
    world.hold(*(person(key, title="Dr") for key in keys))
    world.concurrency = 1


def test_an_account_that_is_gone_fails_its_change_and_is_made_anew(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.groups = [group("a", members=["1", "2"])]
        settled(world, "1", "2")
        vanish(world, "u1")
        assert said(world.push()) == [
            ("update_user", "1", "failed", 404, LOST),
            ("update_user", "2", "applied", 200, ""),
        ]
        assert lost(world) == {"1"}
        # Asked for by id before it is believed; the others are looked at; and it is looked for by its mark.
        looks = ["GET /Users/u2", "GET /Groups/g3"]
        assert world.scim.log() == ["PATCH /Users/u1", "GET /Users/u1", *looks, "GET /Users", "PATCH /Users/u2"]
        assert world.snapshot.members("a")[0] == {"2"}
        run = world.push()
        assert results(run) == {"create_user 1": "applied", "add_members a": "applied"}
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.id, known.lost, known.state) == (world.scim.by_name()["u1"]["id"], False, State.ACTIVE)
        assert known.id != "u1"
        assert world.scim.members("Group a") == {"u1", "u2"}
        assert not world.plan().changes


def test_a_group_that_is_gone_is_made_anew_with_everybody_in_it(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"), person("3"))
        world.groups = [group("a", members=["1", "2"]), group("b", members=["1"])]
        world.settle()
        vanish(world, "Group a")
        world.groups = [group("a", members=["1", "2", "3"]), group("b", members=["2"])]
        run = world.push()
        assert detail(run, Action.ADD_MEMBERS, "a") == LOST
        assert lost(world) == {"a"}
        assert world.snapshot.members("a") == (set(), set())
        assert results(world.push()) == {"create_group a": "applied", "add_members a": "applied"}
        assert world.scim.members("Group a") == {"u1", "u2", "u3"}
        assert lost(world) == set()
        assert not world.plan().changes


@pytest.mark.parametrize("patch", [True, False])
@pytest.mark.parametrize("action", [Action.UPDATE_USER, Action.DEACTIVATE_USER, Action.UPDATE_GROUP])
def test_every_way_of_writing_finds_out(tmp_path: Path, action: Action, patch: bool) -> None:
    with pushing(tmp_path, Endpoint(patch=patch, announces_patch=patch)) as world:
        world.hold(person("1"))
        world.groups = [group("a", members=["1"])]
        world.settle()
        vanish(world, "u1", "Group a")
        status = "left" if action is Action.DEACTIVATE_USER else ""
        world.hold(person("1", title="Dr" if action is Action.UPDATE_USER else "", status=status))
        if action is Action.UPDATE_GROUP:
            world.groups = [group("a", "Renamed", members=["1"])]
        key = "a" if action is Action.UPDATE_GROUP else "1"
        run = world.push(plan_of(world, *(change for change in world.plan().changes if change.action is action)))
        assert said(run) == [(action.value, key, "failed", 404, LOST)]
        assert lost(world) == {key}


def test_a_leaver_whose_account_is_gone_is_forgotten(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.settle()
        vanish(world, "u1")
        world.hold(person("1", status="left"), person("2"))
        assert results(world.push()) == {"deactivate_user 1": "failed"}
        assert not world.plan().changes
        world.push()
        assert world.snapshot.user("1") is None


def test_a_404_that_is_about_something_else_loses_nobody(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, "1")
        world.scim.instead("PATCH", "/Users/u1$", error(404, "the manager is not known"))
        assert said(world.push()) == [("update_user", "1", "failed", 404, "the manager is not known")]
        assert lost(world) == set()
        assert world.push().results == {Result.APPLIED: 1}


@pytest.mark.parametrize("answer", [error(500, "no"), error(429, "later"), Reply(200, b"<html>")])
def test_where_the_endpoint_does_not_say_that_it_is_gone_nobody_is_lost(tmp_path: Path, answer: Reply) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, "1")
        world.scim.instead("PATCH", "/Users/u1$", error(404, "not now"))
        world.scim.instead("GET", "/Users/u1$", answer)
        assert said(world.push()) == [("update_user", "1", "failed", 404, "not now")]
        assert lost(world) == set()


def test_a_deletion_of_what_is_gone_is_done(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.groups = [group("a")]
        world.settle()
        vanish(world, "u1", "Group a")
        delete = Change(Action.DELETE_USER, "1", "u1", {}, {}, "long switched off")
        world.groups = []
        world.concurrency = 1
        run = world.push(plan_of(world, delete, *world.plan().changes))
        assert said(run) == [
            ("delete_group", "a", "applied", 404, ""),
            ("delete_user", "1", "applied", 404, ""),
        ]
        assert (world.snapshot.user("1"), world.snapshot.group("a")) == (None, None)
        # The first one raises the question whether the other is there.
        assert world.scim.log()[:1] == ["DELETE /Groups/g2"]
        assert sorted(world.scim.log()) == ["DELETE /Groups/g2", "DELETE /Users/u1", "GET /Users", "GET /Users/u1"]


def test_a_deletion_in_another_workspace_is_not_done(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(key) for key in KEYS))
        world.settle()
        world.scim.users.clear()
        delete = Change(Action.DELETE_USER, "1", "u1", {}, {}, "long switched off")
        run = world.push(plan_of(world, delete))
        assert GONE.search(run.error), run.error
        assert run.results == {Result.FAILED: 1}
        assert world.snapshot.user("1") is not None


def test_a_resource_known_to_be_gone_is_not_written_to(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"), person("3", title="Dr"))
        world.groups = [group("a", members=["1"]), group("b")]
        world.settle()
        world.hold(person("1", title="Dr"), person("2", status="left"), person("3"))
        world.groups = [group("a", "Renamed", members=["1", "3"])]
        plan = world.plan()
        with world.state.atomic():
            for kind, key in ((Kind.USER, "1"), (Kind.USER, "2"), (Kind.GROUP, "a"), (Kind.GROUP, "b")):
                world.snapshot.lose(kind, key)
        run = world.push(plan)
        account, its_group = "the target no longer has the account", "the target no longer has the group"
        assert {(line, text) for line, _, result, _, text in said(run) if result == "refused"} == {
            ("deactivate_user", account),
            ("update_user", account),
            ("update_group", its_group),
            ("add_members", its_group),
            ("delete_group", its_group),
        }
        assert world.scim.log() == ["PATCH /Users/u3"]


def test_a_manager_who_is_gone_is_not_named(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.settle()
        world.hold(person("1"), person("2", boss="1"))
        plan = world.plan()
        with world.state.atomic():
            world.snapshot.lose(Kind.USER, "1")
        assert said(world.push(plan)) == [("update_user", "2", "skipped", 0, "the manager 1 has no account")]


def test_nobody_who_is_gone_is_put_into_a_group(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a")]
        world.settle()
        world.groups = [group("a", members=["1", "2"])]
        plan = world.plan()
        with world.state.atomic():
            world.snapshot.lose(Kind.USER, "1")
        assert detail(world.push(plan), Action.ADD_MEMBERS, "a") == "without 1 who has no account yet (1)"
        assert world.scim.members("Group a") == {"u2"}


# -- everything gone at once -------------------------------------------------------------------------


def test_two_that_are_gone_and_nothing_else_are_two(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, "1", "2")
        world.scim.users.clear()
        run = world.push()
        assert (run.results, run.error) == ({Result.FAILED: 2}, "")
        assert lost(world) == {"1", "2"}
        assert {change.action for change in world.plan().changes} == {Action.CREATE_USER}


def test_one_that_is_gone_is_one_among_others_whom_nobody_writes_to(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, *KEYS)
        world.hold(person("1", title="Dr"), *(person(key) for key in KEYS[1:]))
        vanish(world, "u1")
        run = world.push()
        assert (run.results, run.error) == ({Result.FAILED: 1}, "")
        assert lost(world) == {"1"}


def test_one_change_a_day_is_enough_to_notice(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, *KEYS)
        world.scim.users.clear()
        for _ in range(3):
            world.hold(person("1", title="Dr"), *(person(key) for key in KEYS[1:]))
            run = world.push()
            assert run.error
            assert not [line for line in world.scim.log() if line.startswith("POST")]
        assert lost(world) == set()


@pytest.mark.parametrize("concurrency", [1, 4])
def test_five_that_are_gone_and_nothing_else_stop_the_target(tmp_path: Path, concurrency: int) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, *KEYS)
        world.concurrency = concurrency
        world.scim.users.clear()
        run = world.push()
        assert GONE.search(run.error), run.error
        assert "\n  SSO or SCIM was removed at the target, or another account answers there" in run.error
        assert run.results[Result.FAILED] >= 1
        assert run.results[Result.FAILED] + run.results[Result.SKIPPED] == 8
        assert len(run.outcomes) == 8
        # Nothing is marked: of a target that was switched off, nobody's account is to be made anew.
        assert lost(world) == set()
        assert not [line for line in world.scim.log() if line.startswith("POST")]
        stop = world.snapshot.stop
        assert stop is not None
        assert stop.cause == "gone"
        if concurrency == 1:
            assert world.scim.log()[:2] == ["PATCH /Users/u1", "GET /Users/u1"]
            # The oldest and the newest; the one that raised the question is counted, and not asked for again.
            # Nobody is there by the id, and nobody is listed.
            assert world.scim.log()[2:] == [*(f"GET /Users/u{number}" for number in (2, 3, 8, 7, 6)), "GET /Users"]
        world.scim.requests.clear()
        again = world.push()
        assert "stopped since" in again.error
        assert world.scim.requests == []


def test_leavers_who_are_all_gone_stop_the_target_as_well(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(key) for key in KEYS))
        world.settle()
        world.scim.users.clear()
        world.hold(*(person(key, status="left") for key in KEYS))
        assert GONE.search(world.push().error)
        assert lost(world) == set()


def test_one_that_is_there_settles_the_doubt(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, *KEYS)
        vanish(world, *(f"u{key}" for key in KEYS if key != "2"))
        run = world.push()
        assert (run.results, run.error) == ({Result.FAILED: 7, Result.APPLIED: 1}, "")
        assert lost(world) == set(KEYS) - {"2"}
        assert world.push().results == {Result.APPLIED: 7}


def test_one_that_is_there_and_refuses_settles_it_too_where_it_was_asked_for(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, *KEYS)
        vanish(world, *(f"u{key}" for key in KEYS if key != "2"))
        world.scim.instead("PATCH", "/Users/u2$", error(404, "the manager is not known"))
        assert (world.push().error, lost(world)) == ("", set(KEYS) - {"2"})


def test_a_resource_made_in_this_run_says_nothing_of_the_others(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        settled(world, *KEYS[:6])
        world.groups = [group("a", members=["7", "8"])]
        world.people += [person("7"), person("8", boss="7")]
        world.scim.users.clear()
        # The new person comes first by name; the first one of the others raises the question.
        world.hold(*(person(key, f"z{key}", title="Dr") for key in KEYS[:6]), person("7", "a7"), person("8", "a8"))
        run = world.push()
        assert GONE.search(run.error), run.error
        assert results(run)["create_user 7"] == results(run)["create_user 8"] == "applied"
        assert "of 4 managed users" in run.error, "those that were made in this run aren't asked for"
        assert lost(world) == set()


def test_one_group_that_is_gone_is_one_however_much_is_to_be_changed_in_it(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1"]), group("b", members=["1"])]
        world.settle()
        world.scim.groups.clear()
        world.groups = [group("a", "Other a", members=["2"]), group("b", "Other b", members=["2"])]
        world.concurrency = 1
        run = world.push()
        assert len(run.outcomes) == 6
        assert run.error == ""
        assert {outcome.detail for outcome in run.outcomes} == {LOST}
        # Beside three requests for each group: two people for each, and the other group by id and in the list.
        assert len(world.scim.requests) == 2 * 3 + 2 * 2 + 2, "what is known to be gone is not asked for again"
        assert lost(world) == {"a", "b"}
        assert set(world.push().results) == {Result.APPLIED}
        assert world.scim.members("Other a") == world.scim.members("Other b") == {"u2"}


def test_nobody_is_lost_where_the_target_stopped_for_another_reason(tmp_path: Path) -> None:
    class Revoking(Endpoint):
        def answer(self, request: Request) -> Reply:
            if request.path.endswith("/u3"):
                self.token = "another"
            return super().answer(request)

    with pushing(tmp_path, Revoking()) as world:
        settled(world, "1", "2", "4", "5")
        world.hold(*(person(key, title="Dr") for key in ("1", "2", "4")))
        vanish(world, "u1", "u2")
        run = world.push()
        assert run.results[Result.FAILED] >= 1
        assert "refuses the token" in run.error
        assert lost(world) == set()
        world.scim.token = TOKEN
        world.scim.__class__ = Endpoint
        world.push()
        assert lost(world) == {"1", "2"}
