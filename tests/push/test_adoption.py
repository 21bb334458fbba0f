"""Creates that collide: an account or group is taken over if it is the only match; else a person decides."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.model import State
from syncd.core.plan import Action, Result
from tests.endpoints import Endpoint, Gate, Json, Reply, error
from tests.push.pushing import Pushing, detail, joined, meanwhile, planned_before, pushing, results, said
from tests.world import group, person

ADOPTED = "was there already, and is managed from now on"


def adopt(world: Pushing, user_name: str = "ada@example.com") -> tuple[str, str]:
    """Push one new person; returns what came of it."""
    world.hold(person("1001", user_name, title="Programmer"))
    run = world.push()
    (outcome,) = run.outcomes
    return outcome.result.value, outcome.detail


def test_an_account_with_our_external_id_is_ours_from_an_earlier_run(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        id_ = world.scim.add_user(userName="ada@example.com", externalId="1001", title="Programmer", active=True)
        assert adopt(world) == ("applied", ADOPTED)
        assert [request.method for request in world.scim.requests] == ["GET", "POST", "GET"]
        known = world.snapshot.user("1001")
        assert known is not None
        assert (known.id, known.state) == (id_, State.ACTIVE)
        assert not world.plan().changes


@pytest.mark.parametrize(
    ("there", "attributes"),
    [
        ("ada@example.com", {}),
        ("Ada@Example.COM", {}),
        ("ada@example.com", {"externalId": ""}),
        ("ada@example.com", {"externalId": "1001"}),
        ("ada@example.com", {"externalId": None}),
    ],
)
def test_an_account_of_the_same_user_name_in_any_case_is_brought_into_line(
    tmp_path: Path, there: str, attributes: dict[str, Json]
) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        mine = {name: value for name, value in attributes.items() if value is not None}
        id_ = world.scim.add_user(userName=there, active=False, nickName="theirs", **mine)
        assert adopt(world) == ("applied", ADOPTED)
        adopted = world.scim.users[id_]
        assert {name: adopted.get(name) for name in ("userName", "externalId", "title", "active", "nickName")} == {
            "userName": "ada@example.com",
            "externalId": "1001",
            "title": "Programmer",
            "active": True,
            "nickName": "theirs",
        }
        assert len(world.scim.users) == 1
        assert not world.plan().changes


def test_only_the_differences_are_sent_to_an_adopted_account(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.scim.add_user(userName="ada@example.com", title="Programmer", active=True)
        assert adopt(world) == ("applied", ADOPTED)
        assert world.scim.requests[-1].body["Operations"] == [{"op": "add", "path": "externalId", "value": "1001"}]


def test_where_our_external_id_is_found_the_user_name_is_not_asked_for(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        ours = world.scim.add_user(userName="old-name@example.com", externalId="1001")
        theirs = world.scim.add_user(userName="ada@example.com", title="theirs")
        # The endpoint wants externalId to be unique as well: it is our renamed account that collides.
        world.scim.instead("POST", "/Users$", error(409, "externalId is taken"))
        assert adopt(world) == ("applied", ADOPTED)
        known = world.snapshot.user("1001")
        assert known is not None
        assert known.id == ours
        assert world.scim.users[theirs]["title"] == "theirs"


def refused(world: Pushing, user_name: str = "ada@example.com") -> str:
    """Push one new person, who must not be matched with anybody; returns why."""
    accounts = [dict(user) for user in world.scim.users.values()]
    result, why = adopt(world, user_name)
    assert result == "failed"
    assert list(world.scim.users.values()) == accounts, "somebody else's account was written"
    assert world.snapshot.user("1001") is None
    assert {request.method for request in world.scim.requests} <= {"GET", "POST"}
    return why


def test_an_account_that_carries_another_external_id_is_somebody_elses(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.scim.add_user(userName="ada@example.com", externalId="2002")
        assert refused(world) == (
            "userName is taken; the account with this userName (native1) carries another externalId (2002)"
        )


def test_an_external_id_is_compared_to_the_letter(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(filters="ignored")) as world:
        world.hold(person("key-a", "ada@example.com"))
        world.scim.add_user(userName="ada@example.com", externalId="KEY-A")
        run = world.push()
        assert detail(run, Action.CREATE_USER, "key-a").endswith("carries another externalId (KEY-A)")


def test_an_external_id_in_another_case_does_not_hide_the_right_account(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(filters="ignored")) as world:
        world.hold(person("key-a", "ada@example.com"))
        world.scim.add_user(userName="bob@example.com", externalId="KEY-A")
        ada = world.scim.add_user(userName="ada@example.com")
        assert world.push().results == {Result.APPLIED: 1}
        assert world.scim.users[ada]["externalId"] == "key-a"


def test_two_accounts_that_match_are_for_a_person_to_tell_apart(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.scim.add_user(userName="ada@example.com")
        world.scim.add_user(userName="ADA@example.com")
        assert refused(world) == "userName is taken; 2 accounts at the target have this userName (native1, native2)"


def test_two_accounts_with_our_external_id_are_not_taken_either(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        for name in ("ada@example.com", "other@example.com"):
            world.scim.add_user(userName=name, externalId="1001")
        assert refused(world) == "userName is taken; 2 accounts at the target have this externalId (native1, native2)"


def test_an_account_that_is_linked_to_another_key_stays_theirs(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(forgets=("externalId",))) as world:
        plan = planned_before(world, person("1001", "ADA@example.com"))
        world.hold(person("1000", "ada@example.com"))
        world.settle()
        run = world.push(plan)
        assert said(run) == [
            (
                "create_user",
                "1001",
                "failed",
                409,
                "userName is taken; the account with this userName (u1) belongs to the source's key 1000",
            )
        ]


def test_an_account_that_can_not_be_found_is_said_to_be_hidden(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.scim.instead("POST", "/Users$", error(409, "the e-mail is in use"))
        assert refused(world) == "the e-mail is in use; but neither externalId nor userName finds it"


@pytest.mark.parametrize("reply", [error(409), Reply(409, b"<html>", {"Content-Type": "text/html"})])
def test_a_conflict_without_a_reason_is_told_in_our_words(tmp_path: Path, reply: Reply) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.scim.instead("POST", "/Users$", reply)
        assert "neither externalId nor userName finds it" in refused(world)


def test_other_refusals_of_a_create_look_for_nothing(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.scim.add_user(userName="ada@example.com")
        world.scim.instead("POST", "/Users$", error(400, "uniqueness", "uniqueness"))
        assert refused(world) == "uniqueness"
        assert world.scim.log() == ["POST /Users"]


@pytest.mark.parametrize("filters", ["ignored", "404"])
def test_an_endpoint_with_a_filter_of_its_own_kind_is_coped_with(tmp_path: Path, filters: str) -> None:
    with pushing(tmp_path, Endpoint(filters=filters)) as world:
        other = world.scim.add_user(userName="bob@example.com", title="theirs")
        id_ = world.scim.add_user(userName="ada@example.com")
        assert adopt(world) == ("applied", ADOPTED)
        known = world.snapshot.user("1001")
        assert known is not None
        assert known.id == id_
        assert world.scim.users[other]["title"] == "theirs"


@pytest.mark.parametrize("status", [400, 500, 501])
def test_an_attribute_that_can_not_be_filtered_by_does_not_end_an_adoption(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.scim.add_user(userName="ada@example.com")
        world.scim.instead("GET", "/Users$", error(status, "externalId can't be filtered by"))
        assert adopt(world) == ("applied", ADOPTED)


def test_an_endpoint_without_filters_leaves_a_conflict_a_conflict(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(filters="refused")) as world:
        world.scim.add_user(userName="ada@example.com")
        assert refused(world) == "userName is taken; but neither externalId nor userName finds it"


@pytest.mark.parametrize("status", [429, 503])
def test_an_endpoint_too_busy_to_say_is_asked_again_next_time(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.scim.add_user(userName="ada@example.com")
        world.scim.instead("GET", "/Users$", *[error(status, "later")] * 99)
        assert refused(world).endswith("later")
        world.scim.relent()
        assert adopt(world) == ("applied", ADOPTED)


def test_where_a_create_tells_no_id_it_is_looked_up(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(ids="nowhere")) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1", "2"])]
        run = world.push()
        assert set(run.results) == {Result.APPLIED}
        assert detail(run, Action.CREATE_USER, "1") == "its id was looked up"
        assert detail(run, Action.CREATE_GROUP, "a") == "its id was looked up"
        assert world.scim.members("Group a") == {"u1", "u2"}
        assert not world.plan().changes


def test_ids_from_location_serve_as_well(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint(ids="location")) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1", "2"])]
        world.settle()
        assert world.scim.members("Group a") == {"u1", "u2"}


# -- two entries, one account ------------------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
def test_two_people_with_one_user_name_never_share_an_account(tmp_path: Path, concurrency: int) -> None:
    with pushing(tmp_path, Endpoint(forgets=("externalId",))) as world:
        world.concurrency = concurrency
        run = world.push(
            joined(planned_before(world, person("1", "same"), person("3")), planned_before(world, person("2", "same")))
        )
        assert run.results == {Result.APPLIED: 2, Result.FAILED: 1}
        assert results(run)["create_user 3"] == "applied"
        assert len(world.scim.users) == 2
        linked = [known.id for known in world.snapshot.users(["1", "2", "3"]).values()]
        assert len(set(linked)) == 2


def test_two_people_who_match_one_account_at_the_same_moment_do_not_both_take_it(tmp_path: Path) -> None:
    both_have_asked = Gate(lambda request: "userName" in request.query.get("filter", ""))

    def let_them_find_it() -> None:
        both_have_asked.wait_for(2)
        both_have_asked.open()

    with pushing(tmp_path, Endpoint()) as world:
        native = world.scim.add_user(userName="same")
        plan = joined(*(planned_before(world, person(key, "same")) for key in ("1", "2")))
        world.scim.held = both_have_asked.hold
        with meanwhile(let_them_find_it):
            run = world.push(plan)
        assert run.results == {Result.APPLIED: 1, Result.FAILED: 1}
        assert world.scim.log().count(f"PATCH /Users/{native}") == 1
        (known,) = world.snapshot.users(["1", "2"]).values()
        assert world.scim.users[native]["externalId"] == known.key


def test_an_endpoint_that_answers_a_create_with_what_it_has_links_nobody_twice(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        world.hold(person("1"), person("2"), person("3"))
        taken = world.scim.by_name()["u1"]["id"]
        world.concurrency = 1
        world.scim.instead("POST", "/Users$", Reply(200, {"id": taken, "userName": "u1"}))
        run = world.push()
        assert results(run) == {"create_user 2": "failed", "create_user 3": "applied"}
        assert detail(run, Action.CREATE_USER, "2") == (
            "the endpoint answered with another account; the account belongs to the source's key 1; but neither "
            "externalId nor userName finds it"
        )
        assert world.look() == 0
        assert results(world.push()) == {"create_user 2": "applied"}


# -- groups ------------------------------------------------------------------------------------------


def test_a_native_group_of_the_same_name_is_never_taken_over(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        native = world.scim.add_group(displayName="Group A", members=[{"value": "theirs"}])
        world.hold(person("1"))
        world.groups = [group("a", members=["1"])]
        why = (
            "displayName is taken; a group of that name is the target's own and stays untouched: rename one of the "
            "two, or set `adopt_groups = true`"
        )
        assert said(world.push())[1:] == [
            ("create_group", "a", "failed", 409, why),
            ("add_members", "a", "skipped", 0, "the group could not be created"),
        ]
        assert world.scim.groups == {
            native: {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:Group"],
                "id": native,
                "displayName": "Group A",
                "members": [{"value": "theirs"}],
            }
        }


def test_of_two_groups_that_carry_our_external_id_none_is_taken_and_no_third_is_made(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        for name in ("Old name", "Older name"):
            world.scim.add_group(displayName=name, externalId="a")
        world.groups = [group("a")]
        why = "2 groups at the target carry its externalId (native1, native2); keep one of them"
        assert said(world.push()) == [("create_group", "a", "failed", 409, why)]
        assert sorted(world.scim.groups) == ["native1", "native2"]
        assert {each["displayName"] for each in world.scim.groups.values()} == {"Old name", "Older name"}


@pytest.mark.parametrize("their_key", ["b", "A", ""])
def test_a_group_with_another_external_id_is_native_too(tmp_path: Path, their_key: str) -> None:
    with pushing(tmp_path, Endpoint(filters="ignored")) as world:
        world.scim.add_group(displayName="Group a", externalId=their_key)
        world.groups = [group("a")]
        assert results(world.push()) == {"create_group a": "failed"}


def test_a_group_that_an_earlier_run_made_is_linked_again_not_made_twice(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        made = world.scim.add_group(displayName="Old name", externalId="a")
        world.hold(person("1"))
        world.groups = [group("a", members=["1"])]
        run = world.push()
        assert results(run) == {"create_user 1": "applied", "create_group a": "applied", "add_members a": "applied"}
        assert detail(run, Action.CREATE_GROUP, "a") == "was there already from an earlier run"
        assert list(world.scim.groups) == [made]
        assert world.scim.members("Group a") == {"u1"}
        assert not world.plan().changes
