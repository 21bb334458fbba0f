"""Members: in chunks, each written down when it is acknowledged; and endpoints that know no PATCH."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.plan import Action, Result
from tests.endpoints import Endpoint, error
from tests.push.pushing import PROFILE, detail, pushing, results
from tests.world import group, person, source_rules

EVERYBODY = [str(number) for number in range(8)]
PER_REQUEST = PROFILE.members_per_patch


@pytest.mark.parametrize("patch", [True, False])
def test_members_go_in_chunks_of_what_the_profile_allows(tmp_path: Path, patch: bool) -> None:
    with pushing(tmp_path, Endpoint(patch=patch, announces_patch=patch)) as world:
        world.hold(*(person(key) for key in EVERYBODY))
        world.settle()
        world.groups = [group("a", members=EVERYBODY)]
        assert world.push().results == {Result.APPLIED: 2}
        assert world.scim.members("Group a") == {f"u{key}" for key in EVERYBODY}
        changes = [request for request in world.scim.requests if request.method in ("PATCH", "PUT")]
        if patch:
            sizes = [len(request.body["Operations"][0]["value"]) for request in changes]
            assert sizes == [3, 3, 2]
        else:
            assert [len(request.body["members"]) for request in changes] == [3, 6, 8]
        world.scim.requests.clear()
        world.groups = [group("a", members=["0"])]
        assert world.push().results == {Result.APPLIED: 1}
        assert world.scim.members("Group a") == {"u0"}
        changes = [request for request in world.scim.requests if request.method in ("PATCH", "PUT")]
        assert len(changes) == 3
        if patch:
            assert [len(request.body["Operations"]) for request in changes] == [3, 3, 1]


def test_a_chunk_that_fails_leaves_the_ones_before_it_done(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(key) for key in EVERYBODY))
        world.groups = [group("a")]
        world.settle()
        world.groups = [group("a", members=EVERYBODY)]
        failed: list[str] = []

        def fail_the_second(request: object) -> None:
            if len(world.scim.requests) == 2 and not failed:
                failed.append("once")
                world.scim.instead("PATCH", "/Groups/", error(409, "not now"))

        world.scim.held = fail_the_second
        run = world.push()
        assert results(run) == {"add_members a": "failed"}
        assert world.snapshot.members("a")[0] == {"0", "1", "2"} == {name[1:] for name in world.scim.members("Group a")}
        (change,) = world.plan().changes
        assert change.members == ["3", "4", "5", "6", "7"]
        assert world.push().results == {Result.APPLIED: 1}
        assert len(world.scim.members("Group a")) == 8


def test_members_who_have_no_account_yet_are_left_out_with_a_remark_and_follow_later(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(key) for key in EVERYBODY))
        world.groups = [group("a", members=EVERYBODY)]
        world.concurrency = 1
        world.scim.instead("POST", "/Users$", *(error(400, "no") for _ in range(5)))
        run = world.push()
        assert detail(run, Action.ADD_MEMBERS, "a") == "without 5 who have no account yet (0, 1, 2)"
        assert world.scim.members("Group a") == {"u5", "u6", "u7"}
        world.settle()
        assert len(world.scim.members("Group a")) == 8


@pytest.mark.parametrize("patch", [True, False])
def test_native_members_of_a_managed_group_stay(tmp_path: Path, patch: bool) -> None:
    with pushing(tmp_path, Endpoint(patch=patch, announces_patch=patch)) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1"])]
        world.settle()
        native = world.scim.add_user(userName="native")
        (made,) = world.scim.groups.values()
        made["members"].append({"value": native, "display": "theirs"})
        world.groups = [group("a", "Renamed", members=["2"])]
        assert set(world.push().results) == {Result.APPLIED}
        assert world.scim.members("Renamed") == {"u2", "native"}


def test_groups_are_members_of_groups_by_their_ids_at_the_target(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.rules = source_rules({"userName": "{uid}"}, nesting=world.rules.nesting.KEEP)
        # One key for a person and a group: the two are never confused.
        world.hold(person("b", "ada"))
        world.groups = [group("a", members=["b"], subgroups=["b"]), group("b")]
        world.settle()
        assert world.scim.members("Group a") == {"ada", "Group b"}
        world.groups = [group("a", members=["b"]), group("b")]
        assert set(world.push().results) == {Result.APPLIED}
        assert world.scim.members("Group a") == {"ada"}


def test_a_member_whom_the_target_lost_does_not_keep_the_others_in(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"), person("3"))
        world.groups = [group("a", members=["1", "2", "3"])]
        world.settle()
        (made,) = world.scim.groups.values()
        made["members"] = [member for member in made["members"] if member["value"] != "u1"]
        world.scim.instead("PATCH", "/Groups/", error(400, "no such member", "noTarget"))
        world.groups = [group("a", members=["3"])]
        assert results(world.push()) == {"remove_members a": "applied"}
        assert world.scim.members("Group a") == {"u3"}


def test_an_endpoint_that_hides_members_keeps_them_and_the_change_fails(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(patch=False, announces_patch=False, shows_members=False)) as world:
        world.hold(*(person(key) for key in EVERYBODY))
        world.groups = [group("a", members=["0", "1"])]
        world.settle()
        world.groups = [group("a", "Renamed", members=["0", "2"])]
        run = world.push()
        assert set(results(run).values()) == {"failed"}
        assert "the endpoint shows none" in detail(run, Action.UPDATE_GROUP, "a")
        assert world.scim.members("Group a") == {"u0", "u1"}


# -- PATCH or PUT ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("announced", "works", "methods"),
    [
        (True, True, {"PATCH"}),
        (None, True, {"PATCH"}),
        (False, True, {"PUT"}),
        (False, False, {"PUT"}),
        (True, False, {"PATCH", "PUT"}),
        (None, False, {"PATCH", "PUT"}),
    ],
)
def test_updates_go_the_way_that_the_endpoint_announces_or_turns_out_to_have(
    tmp_path: Path, announced: bool | None, works: bool, methods: set[str]
) -> None:
    with pushing(tmp_path, Endpoint(patch=works, announces_patch=announced)) as world:
        world.hold(person("1"), person("2"), person("3"))
        world.groups = [group("a", members=["1"])]
        assert set(world.push().results) == {Result.APPLIED}
        assert world.scim.log()[0] == "GET /ServiceProviderConfig"
        world.scim.requests.clear()
        world.hold(person("1", title="Dr"), person("2", title="Dr"), person("3", title="Dr"))
        assert world.push().results == {Result.APPLIED: 3}
        assert {user["title"] for user in world.scim.users.values()} == {"Dr"}
        # Memberships and people are learnt apart: some endpoints know PATCH for one and not for the other.
        assert {request.method for request in world.scim.requests} - {"GET"} == methods
        assert "GET /ServiceProviderConfig" not in world.scim.log()
        world.scim.requests.clear()
        world.hold(person("1"), person("2"), person("3"))
        assert world.push().results == {Result.APPLIED: 3}
        assert {request.method for request in world.scim.requests} - {"GET"} == (
            {"PATCH"} if works and announced is not False else {"PUT"}
        )


def test_that_patch_does_not_exist_is_remembered_even_where_the_change_fails_after_all(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(patch=False)) as world:
        world.hold(*(person(key) for key in EVERYBODY))
        world.groups = [group("a", members=EVERYBODY)]
        puts: list[str] = []

        def fail_the_second_put(request: object) -> None:
            if str(request).startswith("PUT"):
                puts.append("one")
                if len(puts) == 2:
                    world.scim.instead("PUT", "/Groups/", error(500, "no"))

        world.scim.held = fail_the_second_put
        assert results(world.push())["add_members a"] == "failed"
        assert world.snapshot.discovery["dialect"]["forms"] == {"members.add": "put"}
