"""Reading a target whole: the resources read, gone resources, doubts, and everything gone at once."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Kind, Observed, ObservedGroup, State
from syncd.core.schema import MANAGER
from syncd.errors import TargetError, TargetFailing, TargetGone, TargetRefused, TargetUnreachable, TargetUnusable
from syncd.scim.client import Client
from tests.endpoints import Reply, error
from tests.targets import PROFILE, Managed, managed
from tests.world import WORK_MAIL

Json = Any
HTML = Reply(200, b"<html>Sign in</html>", {"Content-Type": "text/html"})
OFF, PENDING = State.DEACTIVATED, State.PENDING


@pytest.fixture
def world(tmp_path: Path) -> Iterator[Managed]:
    with managed(tmp_path) as world:
        yield world


# -- what is taken in --------------------------------------------------------------------------------


def test_users_are_taken_in_with_what_syncd_writes_and_no_more(world: Managed) -> None:
    id_ = world.scim.add_user(
        userName="Ada",
        externalId="x1",
        title="Countess",
        nickName="not ours",
        emails=[{"type": "home", "value": "h@x"}, {"type": "work", "value": "w@x"}, "bare@x", {"value": None}, 7],
        active=True,
        **{"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User": {"manager": {"value": "id-9"}}},
    )
    attributes = {"userName": "Ada", "title": "Countess", WORK_MAIL: "w@x", MANAGER: "id-9", "active": True}
    assert world.read().user(id_) == Observed(id_, "Ada", "x1", ("h@x", "w@x", "bare@x"), attributes)


def test_a_user_who_says_next_to_nothing_is_taken_in(world: Managed) -> None:
    ids = [
        world.scim.add_user(),
        world.scim.add_user(userName=None, emails="e@x", roles="owner", externalId=False),
        world.scim.add_user(emails={"value": "e@x"}, roles=[None, [], 3, {"value": {}}]),
    ]
    found = world.read()
    assert [found.user(id_) for id_ in ids] == [Observed(id_, "", "", (), {}) for id_ in ids]
    assert found.user(ids[0]).active


@pytest.mark.parametrize(
    ("shown", "active"),
    [(True, True), (False, False), ("True", True), ("False", False), ("false ", False), (1, True), (0, False)],
)
def test_an_active_that_is_text_or_a_number_is_understood(world: Managed, shown: Json, active: bool) -> None:
    found = world.read() if (id_ := world.scim.add_user(userName="a", active=shown)) else None
    assert found is not None
    assert (found.user(id_).active, found.user(id_).attributes["active"]) == (active, active)


def test_groups_are_taken_in_with_their_members(world: Managed) -> None:
    members = [{"value": "u1", "display": "A"}, {"value": 7}, "u8", {"display": "no id"}, None]
    id_ = world.scim.add_group(displayName="Design", externalId="g1", members=members)
    attributes = {"displayName": "Design", "externalId": "g1"}
    assert world.read().group(id_) == ObservedGroup(id_, "Design", "g1", attributes, ["u1", "7", "u8"])


def test_a_suffix_that_the_endpoint_adds_is_no_part_of_the_name(world: Managed) -> None:
    world.profile = replace(PROFILE, group_suffix=" (SCIM)")
    ids = [world.scim.add_group(displayName=name) for name in ("Design (SCIM)", "Native")]
    found = world.read()
    assert [found.group(id_).name for id_ in ids] == ["Design", "Native"]
    assert found.group(ids[0]).attributes == {"displayName": "Design"}


def test_nothing_is_written(world: Managed) -> None:
    world.users("1", "2", "3")
    world.group("g", ["1", "2"])
    world.scim.add_user(userName="native")
    world.goes("3")
    world.read()
    assert {request.method for request in world.scim.requests} == {"GET"}


def test_what_is_as_it_was_acknowledged_is_no_drift_and_costs_a_list_each(world: Managed) -> None:
    world.user("1", title="Boss")
    world.user("2", **{MANAGER: "1"})
    world.user("3", OFF)
    world.group("g", ["1", "2"], ["h"])
    world.group("h", ["3"])
    found = world.read()
    assert (found.drift, found.accepted, found.reading.doubts) == ([], [], [])
    assert sorted(world.scim.log()) == ["GET /Groups", "GET /Me", "GET /Users"]


# -- what the lists don't show -----------------------------------------------------------------------


def test_who_is_not_listed_is_asked_for_by_id(world: Managed) -> None:
    world.users("1", "2", "3")
    world.group("g", ["1"])
    world.scim.unlisted = {"id-2", "id-g"}
    found = world.read()
    assert world.scim.asked() == ["GET /Users/id-2", "GET /Groups/id-g"]
    assert (found.user("id-2").name, found.group("id-g").members) == ("u2", ["id-1"])
    assert (found.drift, found.reading.gone) == ([], {Kind.USER: set(), Kind.GROUP: set()})


def test_who_is_not_there_when_asked_by_id_is_gone(world: Managed) -> None:
    world.users("1", "2", "3")
    world.group("g", ["1"])
    world.group("h", ["1"])
    world.goes("2", "h")
    found = world.read()
    assert found.reading.gone == {Kind.USER: {"2"}, Kind.GROUP: {"h"}}
    assert found.said() == [
        ("user_deleted", "2", {"userName": "u2", "active": True}, {}),
        ("group_deleted", "h", {"displayName": "Group h"}, {}),
    ]
    assert {key: user.lost for key, user in found.snapshot.users(["1", "2"]).items()} == {"1": False, "2": True}
    assert found.snapshot.groups()["h"].lost
    assert found.reading.doubts == []


@pytest.mark.parametrize(
    "answer",
    [
        error(500),
        error(429),
        error(403),
        error(400),
        Reply(200, {}),
        Reply(200, {"id": "id-1", "userName": "u1"}),
        Reply(200, {"schemas": [], "status": "404", "detail": "not found"}),
        Reply(204),
        Reply(200, []),
        Reply(200, b"not JSON"),
    ],
    ids=lambda reply: f"{reply.status} {reply.body}"[:40],
)
def test_who_may_be_there_or_not_is_left_as_before(world: Managed, answer: Reply) -> None:
    world.users("1", "2")
    world.scim.unlisted = {"id-2"}
    world.scim.by_id = {"id-2": answer}
    found = world.read()
    assert found.reading.unclear == {Kind.USER: {"2"}, Kind.GROUP: set()}
    assert (found.drift, found.snapshot.ids(Kind.USER, ["2"])) == ([], {"2": "id-2"})
    assert found.reading.doubts == ["1 user is neither shown nor known to be gone (2): left as before"]


def test_a_group_that_may_be_there_or_not_is_left_as_before(world: Managed) -> None:
    world.users("1")
    world.group("g", ["1"])
    world.scim.unlisted = {"id-g"}
    world.scim.by_id = {"id-g": error(500)}
    found = world.read()
    assert (found.drift, found.reading.unclear[Kind.GROUP], found.snapshot.members("g")) == ([], {"g"}, ({"1"}, set()))
    assert found.reading.doubts == ["1 group is neither shown nor known to be gone (g): left as before"]


def test_an_id_that_comes_back_in_another_case_is_the_same(world: Managed) -> None:
    world.users("1", "2")
    world.scim.unlisted = {"id-2"}
    world.scim.by_id = {"id-2": Reply(200, {"id": "ID-2", "userName": "u2", "active": True, "emails": []})}
    assert world.read().user("id-2").name == "u2"


@pytest.mark.parametrize(
    ("answer", "failure"), [(error(401), TargetRefused), (HTML, TargetUnusable)], ids=["401", "HTML"]
)
def test_a_failure_of_the_target_ends_the_reading(world: Managed, answer: Reply, failure: type[TargetError]) -> None:
    world.users("1", "2", "3", "4")
    world.scim.unlisted = {"id-2", "id-3"}
    world.scim.by_id = {"id-2": answer, "id-3": answer}
    with pytest.raises(failure):
        world.read()


def test_ids_are_asked_for_a_few_at_a_time(world: Managed, monkeypatch: pytest.MonkeyPatch) -> None:
    world.users("0", *(f"x{n}" for n in range(30)))
    world.scim.unlisted = {f"id-x{n}" for n in range(30)}
    world.concurrency = 3
    under_way: list[str] = []
    most = 0

    async def read(client: Client, kind: Kind, id_: str, read: Any = Client.read) -> Any:
        nonlocal most
        under_way.append(id_)
        most = max(most, len(under_way))
        try:
            return await read(client, kind, id_)
        finally:
            under_way.remove(id_)

    monkeypatch.setattr(Client, "read", read)
    assert world.read().drift == []
    assert (len(world.scim.asked()), most) == (30, 3)


def test_who_is_known_to_be_lost_is_not_asked_for(world: Managed) -> None:
    world.users("1", "2")
    world.group("g")
    world.goes("2", "g")
    world.is_lost(Kind.USER, "2")
    world.is_lost(Kind.GROUP, "g")
    found = world.read()
    assert (found.drift, world.scim.asked()) == ([], [])


def test_an_incomplete_list_is_said_to_be_one_and_nobody_is_gone_for_it(world: Managed) -> None:
    world.users("1", "2", "3")
    world.group("g")
    short = [body for body in world.scim.users.values() if body["id"] != "id-3"]
    world.scim.instead("GET", "/Users$", *[Reply(200, {"totalResults": 1000, "Resources": short})] * 2)
    world.scim.instead("GET", "/Groups$", *[Reply(200, {"totalResults": "5", "Resources": []})] * 2)
    found = world.read()
    assert found.reading.doubts == [
        "the endpoint lists 2 of 1,000 users: nobody counts as deleted for not being listed",
        "the endpoint lists 0 of 5 groups: no group counts as deleted for not being listed",
    ]
    assert world.scim.asked() == ["GET /Users/id-3", "GET /Groups/id-g"]
    assert found.drift == []


AGAIN_AND_AGAIN = 1000


@pytest.mark.parametrize(
    ("path", "status"), [("/Users$", 404), ("/Users$", 500), *(("/Groups$", each) for each in (404, 500, 503, 429))]
)
def test_a_list_that_fails_is_an_error_and_nothing_follows(world: Managed, path: str, status: int) -> None:
    world.users("1")
    world.group("g")
    world.scim.instead("GET", path, *[error(status)] * AGAIN_AND_AGAIN)
    with pytest.raises(TargetUnusable, match=f"{path[1:-1]} can't be read: {status}") as caught:
        world.read()
    assert "nothing was inferred" in caught.value.hint
    assert ("check base_url: nothing serves" in caught.value.hint) is (status == 404)


@pytest.mark.parametrize("status", [503, 429])
def test_a_target_that_does_not_get_as_far_as_a_list_is_failing(world: Managed, status: int) -> None:
    world.users("1")
    world.scim.instead("GET", "/Users$", *[error(status)] * AGAIN_AND_AGAIN)
    with pytest.raises(TargetFailing, match=f"without one good answer; the last: {status}"):
        world.read()


def test_a_list_that_fails_in_the_middle_is_an_error(world: Managed) -> None:
    world.users("1", "2")
    world.profile = replace(PROFILE, page_size=1)
    first = Reply(200, {"totalResults": 2, "Resources": [world.scim.users["id-1"]]})
    world.scim.instead("GET", "/Users$", first, error(500))
    with pytest.raises(TargetUnusable, match="500"):
        world.read()


@pytest.mark.parametrize("status", [403, 404, 405, 501])
def test_an_endpoint_without_groups_has_none(world: Managed, status: int) -> None:
    world.users("1")
    world.scim.instead("GET", "/Groups$", error(status))
    found = world.read()
    assert (found.drift, found.reading.doubts, found.observation.count(Kind.GROUP)) == ([], [], 0)


def test_an_endpoint_that_no_longer_serves_groups_is_an_error_where_some_are_managed(world: Managed) -> None:
    world.group("g")
    for status in (404, 403):
        world.scim.instead("GET", "/Groups$", error(status))
        with pytest.raises(TargetUnusable, match=f"its Groups can't be read: {status}"):
            world.read()


def test_a_token_that_is_refused_is_that(world: Managed) -> None:
    world.scim.token = "another"
    with pytest.raises(TargetRefused):
        world.read()


def test_an_endpoint_that_does_not_answer_is_that(world: Managed) -> None:
    world.scim.url = "http://127.0.0.1:9/scim/v2"
    with pytest.raises(TargetUnreachable):
        world.read()


# -- accounts that are switched off ------------------------------------------------------------------


def test_who_is_off_may_be_hidden_from_lists(world: Managed) -> None:
    """Lucid: deactivated users are neither listed nor counted."""
    world.scim.off = "by id"
    world.users("1")
    world.user("2", OFF)
    world.user("3", OFF)
    world.goes("3")
    found = world.read()
    assert found.classes() == ["user_deleted 3"]  # the other one is shown by its id: so 404 is an answer
    assert not found.user("id-2").active


def test_who_is_off_and_answered_404_may_be_there(world: Managed) -> None:
    """Atlassian: what is asked of a deactivated user is answered 404."""
    world.scim.off = "nowhere"
    world.users("1")
    world.user("2", OFF)
    world.user("3", PENDING, accepted=False, active=False)  # kept out by us
    found = world.read()
    assert (found.drift, found.reading.gone[Kind.USER]) == ([], set())
    assert found.reading.unclear[Kind.USER] == {"2", "3"}
    assert found.reading.doubts == ["2 users are neither shown nor known to be gone (2, 3): left as before"]
    assert found.snapshot.ids(Kind.USER, ["2", "3"]) == {"2": "id-2", "3": "id-3"}


@pytest.mark.parametrize("unlisted", [set(), {"id-3"}])
def test_who_is_off_and_shown_as_on_does_not_prove_that_the_others_would_be_shown(
    world: Managed, unlisted: set[str]
) -> None:
    world.scim.off = "nowhere"
    world.scim.unlisted = unlisted
    world.user("2", OFF)
    world.user("3", OFF)
    world.scim.users["id-3"]["active"] = True
    found = world.read()
    assert found.classes() == ["user_activation 3"]
    assert found.reading.unclear[Kind.USER] == {"2"}


def test_who_is_off_and_answered_404_is_gone_where_others_that_are_off_are_listed(world: Managed) -> None:
    world.user("2", OFF)
    world.user("3", OFF)
    world.goes("3")
    assert world.read().classes() == ["user_deleted 3"]


def test_who_waits_at_the_endpoint_and_is_answered_404_is_gone(world: Managed) -> None:
    world.users("1")
    world.user("2", PENDING, accepted=False)
    world.goes("2")
    assert world.read().classes() == ["user_deleted 2"]


# -- everything gone ---------------------------------------------------------------------------------


def gone(world: Managed) -> str:
    with pytest.raises(TargetGone) as caught:
        world.read()
    assert "syncd relink" in caught.value.hint
    return caught.value.problem


def test_all_users_and_groups_gone_is_one_incident(world: Managed) -> None:
    world.users("1", "2")
    world.group("g", ["1"])
    world.scim.add_user(userName="native")
    world.goes("1", "2", "g")
    assert gone(world) == "none of the 3 managed users and groups is there any more"


def test_all_users_gone_is_one_incident_and_so_are_all_groups(world: Managed) -> None:
    world.users("1", "2", "3")
    for key in ("f", "g", "h"):
        world.group(key)
    world.goes("1", "2", "3")
    assert gone(world) == "none of the 3 managed users is there any more"
    for key in ("1", "2", "3"):
        world.user(key)
    world.goes("f", "g", "h")
    assert gone(world) == "none of the 3 managed groups is there any more"


def test_one_or_two_may_have_been_deleted_by_somebody(world: Managed) -> None:
    world.users("1", "2")
    world.goes("1", "2")
    assert world.read().classes() == ["user_deleted 1", "user_deleted 2"]


def test_one_that_is_left_makes_it_ordinary(world: Managed) -> None:
    world.users("1", "2", "3", "4")
    world.goes("1", "2", "3")
    assert world.read().classes() == ["user_deleted 1", "user_deleted 2", "user_deleted 3"]


def test_where_nothing_is_listed_a_few_are_asked_for_before_it_is_said(world: Managed) -> None:
    keys = [f"x{number:02}" for number in range(50)]
    world.users(*keys)
    world.goes(*keys)
    assert gone(world) == "none of the 50 managed users is there any more"
    assert world.scim.asked() == [f"GET /Users/id-{key}" for key in (*keys[:10], *keys[-10:])]


def test_a_list_that_shows_nobody_is_no_incident_while_the_ids_answer(world: Managed) -> None:
    world.users("1", "2", "3", "4")
    world.scim.unlisted = set(world.scim.users)
    found = world.read()
    assert (found.drift, found.observation.count(Kind.USER)) == ([], 4)


def test_a_list_that_shows_nobody_and_some_who_are_gone_is_ordinary(world: Managed) -> None:
    world.users("1", "2", "3", "4")
    world.scim.unlisted = set(world.scim.users)
    world.goes("1", "2", "3")
    assert world.read().classes() == ["user_deleted 1", "user_deleted 2", "user_deleted 3"]


def test_ids_that_are_not_answered_are_no_incident(world: Managed) -> None:
    world.users("1", "2", "3")
    world.scim.unlisted = set(world.scim.users)
    world.scim.by_id = dict.fromkeys(world.scim.users, error(500))
    found = world.read()
    assert (found.drift, found.reading.unclear[Kind.USER]) == ([], {"1", "2", "3"})


def test_some_gone_and_the_others_not_answered_is_an_incident(world: Managed) -> None:
    world.users("1", "2", "3", "4")
    world.goes("1", "2", "3")
    world.scim.unlisted = {"id-4"}
    world.scim.by_id = {"id-4": error(500)}
    assert gone(world) == "none of the 4 managed users is there any more"


def test_the_owner_and_whose_token_it_is_outlive_the_integration(world: Managed) -> None:
    """LucidLink deletes all deactivated users "except the Owner"."""
    world.users("0", "1", "2", "3", "4")
    world.scim.users["id-0"]["roles"] = [{"value": "Owner"}]
    world.scim.me = Reply(200, {"id": "id-1"})
    world.goes("2", "3", "4")
    assert gone(world) == "none of the 3 managed users is there any more"


def test_accounts_that_are_off_or_waiting_say_nothing(world: Managed) -> None:
    world.scim.off = "nowhere"
    for key in ("1", "2", "3", "4"):
        world.user(key, OFF)
    for key in ("5", "6", "7"):
        world.user(key, PENDING, accepted=False, active=False)
    assert world.read().drift == []
    world.user("8")
    assert world.read().drift == []


def test_what_is_already_lost_is_no_incident(world: Managed) -> None:
    world.users("1", "2", "3")
    world.goes("1", "2", "3")
    for key in ("1", "2", "3"):
        world.is_lost(Kind.USER, key)
    assert world.read().drift == []


def test_where_it_is_known_everything_counts_as_gone_the_switched_off_as_well(world: Managed) -> None:
    world.users("1", "2", "3")
    world.user("4", OFF)
    world.group("g", ["1"])
    world.goes("1", "2", "3", "4", "g")
    found = world.read(expect_gone=True)
    assert found.classes() == [f"user_deleted {key}" for key in "1234"] + ["group_deleted g"]
    assert found.snapshot.ids(Kind.USER, ["1", "2", "3", "4"]) == {}


def test_where_it_was_said_and_is_not_so_the_switched_off_stay_linked(world: Managed) -> None:
    world.scim.off = "nowhere"
    world.users("1")
    world.user("4", OFF)
    assert world.read(expect_gone=True).drift == []


# -- whose token it is, and who owns the account -----------------------------------------------------


def protected(world: Managed) -> Json:
    return world.read().reading.discovered["protected"]


def test_the_tokens_own_account_is_protected_and_asked_for_once(world: Managed) -> None:
    world.scim.me = Reply(200, {"id": "id-7", "userName": "admin"})
    assert protected(world) == {"id-7": "the account that the token belongs to"}
    assert world.scim.log().count("GET /Me") == 1


@pytest.mark.parametrize("status", [400, 403, 404, 405, 501])
def test_an_endpoint_without_me_is_not_asked_again(world: Managed, status: int) -> None:
    world.scim.me = error(status)
    found = world.read()
    assert found.reading.discovered == {"me": "", "protected": {}, "active_as": []}
    world.discovered(**found.reading.discovered)
    world.scim.requests.clear()
    world.read()
    assert "GET /Me" not in world.scim.log()


@pytest.mark.parametrize("answer", [error(500), error(429), HTML, Reply(200, b"{")], ids=["500", "429", "HTML", "cut"])
def test_a_me_that_fails_now_says_nothing_and_may_be_asked_again(world: Managed, answer: Reply) -> None:
    world.discovered(me="id-7")
    world.scim.me = answer
    found = world.read()
    assert found.reading.discovered == {
        "protected": {"id-7": "the account that the token belongs to"},
        "active_as": [],
    }


def test_another_token_is_another_account(world: Managed) -> None:
    world.scim.add_user(userName="former")
    world.discovered(me="native1", protected={"native1": "the account that the token belongs to"})
    world.scim.me = Reply(200, {"id": "id-8"})
    found = world.read()
    discovered = found.reading.discovered
    assert (discovered["me"], discovered["protected"]) == ("id-8", {"id-8": "the account that the token belongs to"})


@pytest.mark.parametrize(
    ("role", "owns"),
    [
        ({"value": "owner"}, True),
        ({"value": "Account Owner"}, True),
        ({"value": "WORKSPACE_OWNER", "primary": True}, True),
        ("account-owner", True),
        ({"value": "document owner"}, False),
        ({"value": "member"}, False),
        ({"display": "owner"}, False),
    ],
)
def test_a_role_names_the_owner(world: Managed, role: Json, owns: bool) -> None:
    id_ = world.scim.add_user(userName="a", roles=[{"value": "user"}, role])
    assert protected(world) == ({id_: "the owner of the account at the target"} if owns else {})


def test_an_owner_who_is_not_listed_stays_protected(world: Managed) -> None:
    why = "the owner of the account at the target"
    world.discovered(protected={"id-5": why, "id-1": why})
    world.users("1")  # listed, and no longer the owner
    assert protected(world) == {"id-5": why}


def test_an_owner_who_is_found_by_id_is_protected(world: Managed) -> None:
    world.users("1", "2")
    world.scim.users["id-2"]["roles"] = [{"value": "owner"}]
    world.scim.unlisted = {"id-2"}
    assert protected(world) == {"id-2": "the owner of the account at the target"}
