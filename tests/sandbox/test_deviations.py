"""Endpoints that answer as if all were well: each rule's effect on what is stored, and on what is answered."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.sandbox.database import APPLICATION_ID
from syncd.sandbox.habits import HABITS, NO_BULK
from tests.sandbox.process import Json, Sandbox
from tests.sandbox.scim_bodies import ENTERPRISE, GROUP, USER, add_members, group, patch, remove_member, unused, user

_OBSERVER = {"X-Sandbox-Observer": "1"}


@pytest.fixture(scope="module")
def running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(running: Sandbox) -> Iterator[Sandbox]:
    yield running
    running.faults()


def create(sandbox: Sandbox, kind: str, body: Json) -> str:
    answer = sandbox.scim("POST", f"/{kind}", body, headers=_OBSERVER)
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def truth(sandbox: Sandbox, path: str) -> Json:
    """Return a resource as it really is."""
    answer = sandbox.scim("GET", path, headers=_OBSERVER)
    assert answer.status_code == 200, answer.text
    found: Json = answer.json()
    return found


def member_ids(resource: Json) -> set[str]:
    return {each["value"] for each in resource.get("members", [])}


def replace(path: str, value: Any) -> Json:
    return patch({"op": "replace", "path": path, "value": value})


# Matching


@pytest.mark.parametrize(
    ("matching", "met"),
    [
        ({"op": "remove"}, ["remove"]),
        ({"op": "remove", "op_path": "members["}, ["remove"]),
        ({"op": "add", "op_path": "members["}, []),
        ({"op_path": "members"}, ["add", "remove"]),
        ({"op_path": ""}, ["without path", "two"]),
        ({"operations": 2}, ["two"]),
        ({"operations": 1}, ["add", "remove", "without path", "two"]),
        ({"lacks": "displayName"}, ["add", "remove"]),
        ({"of": "special group"}, ["add", "remove", "without path", "two"]),
        ({"of": "another group"}, []),
    ],
)
def test_a_rule_matches_operations_missing_text_and_what_is_stored(
    sandbox: Sandbox, matching: Json, met: list[str]
) -> None:
    ada = create(sandbox, "Users", user())
    team = create(sandbox, "Groups", group(unused("special group ")))
    named = {"op": "Replace", "value": {"displayName": unused("special group ")}}
    bodies = {
        "add": patch({"op": "Add", "path": "members", "value": [{"value": ada}]}),
        "remove": remove_member(ada),
        "without path": patch(named),
        "two": patch(named, {"op": "replace", "path": "externalId", "value": "x"}),
    }
    sandbox.faults({"fault": "status", "status": 418, **matching})
    answers = {name: sandbox.scim("PATCH", f"/Groups/{team}", body).status_code for name, body in bodies.items()}
    assert [name for name, status in answers.items() if status == 418] == met


def test_a_body_that_is_no_patch_has_no_operations(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "status", "status": 418, "op": "add"}, {"fault": "status", "status": 418, "of": "x"})
    assert sandbox.scim("POST", "/Users", user()).status_code == 201
    assert sandbox.scim("PATCH", "/Users/none", [1]).status_code == 400
    assert sandbox.scim("PATCH", "/Users/none", patch({"path": "title"})).status_code == 400


def test_an_error_has_the_words_and_the_type_of_its_rule(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "status", "status": 400, "scim_type": "invalidPath", "detail": "no such path"})
    body = sandbox.scim("GET", "/Users").json()
    assert (body["status"], body["scimType"], body["detail"]) == ("400", "invalidPath", "no such path")


def test_a_rate_limit_says_when_it_ends_in_the_header_of_its_rule(sandbox: Sandbox) -> None:
    limit = {"fault": "status", "status": 403, "retry_after": 60}
    sandbox.faults(
        {**limit, "retry_after_header": "RateLimit-Reset", "nth": 1},
        {**limit, "retry_after_header": "X-RateLimit-Reset", "retry_after_form": "epoch", "nth": 2},
    )
    seconds, epoch = (sandbox.scim("GET", "/Users").headers for _ in range(2))
    assert seconds["RateLimit-Reset"] == "60"
    assert time.time() + 55 <= int(epoch["X-RateLimit-Reset"]) <= time.time() + 65
    assert "Retry-After" not in seconds
    assert "Retry-After" not in epoch


# Writes without effect


@pytest.mark.parametrize(
    ("answer", "status", "title"), [("as_is", 200, None), ("as_asked", 200, "Boss"), ("nothing", 204, None)]
)
@pytest.mark.parametrize("method", ["PATCH", "PUT"])
def test_a_write_without_effect_is_answered_with_success(
    sandbox: Sandbox, method: str, answer: str, status: int, title: str | None
) -> None:
    name = unused()
    path = f"/Users/{create(sandbox, 'Users', user(name))}"
    before = truth(sandbox, path)
    sandbox.faults({"fault": "ineffective", "answer": answer})

    body = replace("title", "Boss") if method == "PATCH" else user(name, title="Boss")
    answered = sandbox.scim(method, path, body)

    assert answered.status_code == status
    assert (answered.json().get("title") if answered.content else None) == title
    assert truth(sandbox, path) == before


def test_a_refused_write_is_refused_also_where_it_would_have_no_effect(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "ineffective"})
    assert sandbox.scim("PATCH", "/Users/none", replace("title", "x")).status_code == 404
    assert sandbox.scim("DELETE", "/Users/none").status_code == 404


def test_a_deletion_without_effect_leaves_everything_there(sandbox: Sandbox) -> None:
    ada = create(sandbox, "Users", user())
    team = create(sandbox, "Groups", group("", ada))
    sandbox.faults({"fault": "ineffective", "method": "DELETE"})
    assert sandbox.scim("DELETE", f"/Users/{ada}").status_code == 204
    assert sandbox.scim("DELETE", f"/Groups/{team}").status_code == 204
    assert member_ids(truth(sandbox, f"/Groups/{team}")) == {ada}


def test_a_creation_without_effect_names_an_account_that_is_nowhere(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "ineffective", "method": "POST"})
    answer = sandbox.scim("POST", "/Users", user())
    assert answer.status_code == 201
    assert sandbox.scim("GET", f"/Users/{answer.json()['id']}").status_code == 404


def test_one_form_of_removal_has_no_effect_and_another_has(sandbox: Sandbox) -> None:
    ada, bob = create(sandbox, "Users", user()), create(sandbox, "Users", user())
    path = f"/Groups/{create(sandbox, 'Groups', group('', ada, bob))}"
    sandbox.faults({"habit": "removal-ignored"})
    assert member_ids(sandbox.scim("PATCH", path, remove_member(ada)).json()) == {ada, bob}
    assert sandbox.scim("PATCH", path, replace("members", [{"value": bob}])).status_code == 204
    assert member_ids(truth(sandbox, path)) == {bob}


@pytest.mark.parametrize(
    "attributes", [["title", f"{ENTERPRISE}:department", "name.givenName"], ["title", ENTERPRISE, "name"]]
)
@pytest.mark.parametrize("method", ["POST", "PATCH", "PUT"])
def test_ignored_attributes_stay_as_they_are(sandbox: Sandbox, method: str, attributes: list[str]) -> None:
    name = unused()
    new: Json = {"title": "Boss", ENTERPRISE: {"department": "Sales"}, "name": {"givenName": "Ann"}, "nickName": "Nick"}
    old: Json = {"title": "Staff", ENTERPRISE: {"department": "IT"}, "name": {"givenName": "Ada"}, "nickName": "N"}
    rule = {"fault": "ignored", "attributes": attributes}
    if method == "POST":
        sandbox.faults(rule)
        path = f"/Users/{sandbox.scim('POST', '/Users', {**user(name), **new}).json()['id']}"
        old = {}
    else:
        path = f"/Users/{create(sandbox, 'Users', {**user(name), **old})}"
        sandbox.faults(rule)
        body = patch({"op": "replace", "value": new}) if method == "PATCH" else {**user(name), **new}
        assert sandbox.scim(method, path, body).is_success
    kept = truth(sandbox, path)
    assert [kept.get(each) for each in ("title", ENTERPRISE, "name")] == [
        old.get(each) for each in ("title", ENTERPRISE, "name")
    ]
    assert kept["nickName"] == "Nick"


def test_an_ignored_active_leaves_the_account_on_and_the_false_one_off(sandbox: Sandbox) -> None:
    on, off = (f"/Users/{create(sandbox, 'Users', {**user(), 'active': active})}" for active in (True, False))
    sandbox.faults({"fault": "ignored", "attributes": ["active"]})
    for path, asked in ((on, False), (off, True)):
        assert sandbox.scim("PATCH", path, replace("active", asked)).is_success
    assert (truth(sandbox, on)["active"], truth(sandbox, off)["active"]) == (True, False)


def test_ignored_members_stay_in_and_others_stay_out(sandbox: Sandbox) -> None:
    ada, bob = create(sandbox, "Users", user()), create(sandbox, "Users", user())
    path = f"/Groups/{create(sandbox, 'Groups', group('', ada))}"
    sandbox.faults({"fault": "ignored", "attributes": ["members"]})
    name = unused("Renamed ")
    assert member_ids(sandbox.scim("PUT", path, group(name, bob)).json()) == {ada}
    for body in (remove_member(ada), add_members(bob), patch({"op": "remove", "path": "members"})):
        assert sandbox.scim("PATCH", path, body).status_code == 204
    assert member_ids(truth(sandbox, path)) == {ada}
    assert truth(sandbox, path)["displayName"] == name


def test_what_no_account_can_be_without_is_kept_in_a_new_one(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "ignored", "attributes": ["userName"]})
    answer = sandbox.scim("POST", "/Users", user("kept"))
    assert (answer.status_code, answer.json()["userName"]) == (201, "kept@example.com")


# Drift that comes back


def test_a_change_is_undone_when_a_list_is_read(sandbox: Sandbox) -> None:
    ada, bob = create(sandbox, "Users", user()), create(sandbox, "Users", user())
    team = f"/Groups/{create(sandbox, 'Groups', group('', ada))}"
    before = truth(sandbox, team)
    sandbox.faults({"fault": "reverts", "listed": True, "path": "/Groups/*"})
    sandbox.scim("PATCH", team, add_members(bob))
    sandbox.scim("PATCH", team, remove_member(ada))
    assert member_ids(sandbox.scim("GET", team).json()) == {bob}
    listed = {each["id"]: each for each in sandbox.scim("GET", "/Groups").json()["Resources"]}
    assert member_ids(listed[before["id"]]) == member_ids(truth(sandbox, team)) == {ada}
    assert truth(sandbox, team)["meta"]["version"] != before["meta"]["version"]


def test_a_change_is_undone_after_some_requests(sandbox: Sandbox) -> None:
    path = f"/Users/{create(sandbox, 'Users', user())}"
    sandbox.faults({"fault": "reverts", "requests": 2, "method": "PATCH"})
    sandbox.scim("PATCH", path, replace("active", False))
    seen = [sandbox.scim("GET", path).json()["active"] for _ in range(4)]
    assert seen == [False, False, True, True]


def test_a_change_stays_when_its_rule_is_taken_back(sandbox: Sandbox) -> None:
    path = f"/Users/{create(sandbox, 'Users', user())}"
    sandbox.faults({"fault": "reverts", "requests": 1, "method": "PATCH"})
    sandbox.scim("PATCH", path, replace("title", "Boss"))
    sandbox.faults()
    assert [sandbox.scim("GET", path).json()["title"] for _ in range(3)] == ["Boss"] * 3


def test_a_change_is_undone_after_a_while(sandbox: Sandbox) -> None:
    path = f"/Users/{create(sandbox, 'Users', user())}"
    sandbox.faults({"fault": "reverts", "milliseconds": 0, "method": "PATCH"})
    sandbox.scim("PATCH", path, replace("title", "Boss"))
    assert "title" not in truth(sandbox, path)


def test_a_creation_and_a_deletion_are_undone(sandbox: Sandbox) -> None:
    ada = create(sandbox, "Users", user(title="Countess"))
    team = f"/Groups/{create(sandbox, 'Groups', group('', ada))}"
    before = truth(sandbox, f"/Users/{ada}")
    sandbox.faults({"fault": "reverts", "requests": 1})
    new = sandbox.scim("POST", "/Users", user()).json()["id"]
    assert [sandbox.scim("GET", f"/Users/{new}").status_code for _ in range(2)] == [200, 404]
    sandbox.scim("DELETE", f"/Users/{ada}")
    assert [sandbox.scim("GET", f"/Users/{ada}").status_code for _ in range(2)] == [404, 200]
    again = truth(sandbox, f"/Users/{ada}")
    assert {**again, "meta": ""} == {**before, "meta": ""}
    assert member_ids(truth(sandbox, team)) == {ada}


# Lists


@pytest.mark.parametrize(
    "operation",
    [
        {"op": "add", "path": "emails", "value": [{"value": "b@example.org", "type": "home"}]},
        {"op": "Add", "path": "emails", "value": {"value": "b@example.org", "type": "home"}},
        {"op": "add", "path": 'emails[type eq "home"].value', "value": "b@example.org"},
        {"op": "add", "path": 'emails[type eq "home"]', "value": {"value": "b@example.org"}},
        {"op": "add", "value": {"emails": [{"value": "b@example.org", "type": "home"}], "title": "Boss"}},
    ],
)
def test_what_is_added_to_a_list_is_all_that_is_left(sandbox: Sandbox, operation: Json) -> None:
    path = f"/Users/{create(sandbox, 'Users', user())}"
    sandbox.faults({"fault": "add_replaces"})
    assert sandbox.scim("PATCH", path, patch(operation)).status_code == 204
    kept = truth(sandbox, path)
    assert kept["emails"] == [{"value": "b@example.org", "type": "home"}]
    assert kept.get("title") == (operation["value"] if "path" not in operation else {}).get("title")


def test_other_additions_add(sandbox: Sandbox) -> None:
    ada, bob = create(sandbox, "Users", user()), create(sandbox, "Users", user())
    path = f"/Groups/{create(sandbox, 'Groups', group('', ada))}"
    sandbox.faults({"fault": "add_replaces"})
    sandbox.scim("PATCH", path, add_members(bob))
    assert member_ids(truth(sandbox, path)) == {ada, bob}
    sandbox.faults({"fault": "add_replaces", "attributes": ["members"]})
    sandbox.scim("PATCH", path, add_members(bob))
    assert member_ids(truth(sandbox, path)) == {bob}


def test_elements_lose_their_type_and_their_path_finds_nothing(sandbox: Sandbox) -> None:
    sandbox.faults({"fault": "trimmed", "attribute": "emails", "without": ["type"]})
    created = sandbox.scim("POST", "/Users", user("typeless")).json()
    assert created["emails"] == [{"value": "typeless@example.com", "primary": True}]
    answer = sandbox.scim("PATCH", f"/Users/{created['id']}", replace('emails[type eq "work"].value', "x@example.com"))
    assert (answer.status_code, answer.json()["scimType"]) == (400, "noTarget")


def test_only_one_of_several_is_kept(sandbox: Sandbox) -> None:
    two = [{"value": f"{name}@example.com", "type": name} for name in ("work", "home")]
    sandbox.faults({"fault": "trimmed", "attribute": "emails", "most": 1})
    created = sandbox.scim("POST", "/Users", user(emails=two)).json()
    assert truth(sandbox, f"/Users/{created['id']}")["emails"] == two[:1]


# What is answered


@pytest.mark.parametrize(
    ("rule", "on", "off"),
    [
        ({"on": 1, "off": 0}, 1, 0),
        ({"on": "True", "off": "False"}, "True", "False"),
        ({"on": "yes", "off": "no"}, "yes", "no"),
        ({}, None, None),
        ({"on": True}, True, None),
    ],
)
def test_active_is_shown_in_another_form(sandbox: Sandbox, rule: Json, on: Any, off: Any) -> None:
    ada, bob = create(sandbox, "Users", user()), create(sandbox, "Users", {**user(), "active": False})
    sandbox.faults({"fault": "shown", "attribute": "active", **rule})
    shown = {each["id"]: each for each in sandbox.scim("GET", "/Users", params={"count": "900"}).json()["Resources"]}
    for id_, expected in ((ada, on), (bob, off)):
        alone = sandbox.scim("GET", f"/Users/{id_}").json()
        assert (alone.get("active"), shown[id_].get("active")) == (expected, expected)
        assert ("active" in alone) is (expected is not None)
    listed = sandbox.scim("GET", "/Users", params={"filter": f'id eq "{bob}" and active eq false'}).json()
    assert listed["totalResults"] == 1
    assert truth(sandbox, f"/Users/{bob}")["active"] is False


@pytest.mark.parametrize(("body", "status"), [(True, 200), (False, 204)])
def test_patch_and_put_are_answered_with_a_body_or_without(sandbox: Sandbox, body: bool, status: int) -> None:
    name = unused()
    path = f"/Users/{create(sandbox, 'Users', user(name))}"
    sandbox.faults({"fault": "answered", "body": body})
    patched = sandbox.scim("PATCH", path, replace("title", "Boss"))
    put = sandbox.scim("PUT", path, user(name, title="Head"))
    assert (patched.status_code, put.status_code) == (status, status)
    assert [answer.json()["title"] if answer.content else "" for answer in (patched, put)] == (
        ["Boss", "Head"] if body else ["", ""]
    )
    assert truth(sandbox, path)["title"] == "Head"
    assert sandbox.scim("PATCH", path, replace("title", 7)).status_code == 400
    assert sandbox.scim("POST", "/Users", user()).status_code == 201


@pytest.mark.parametrize("status", [409, 400, 404])
def test_what_is_so_already_is_refused(sandbox: Sandbox, status: int) -> None:
    ada, bob = create(sandbox, "Users", user()), create(sandbox, "Users", {**user(), "active": False})
    path = f"/Groups/{create(sandbox, 'Groups', group('', ada))}"
    sandbox.faults({"fault": "redundant", "status": status})
    writes: list[tuple[str, Json]] = [
        (path, add_members(ada)),
        (path, remove_member(bob)),
        (f"/Users/{bob}", replace("active", False)),
    ]
    assert [sandbox.scim("PATCH", where, body).status_code for where, body in writes] == [status] * 3
    assert sandbox.scim("PATCH", path, add_members(ada, bob)).status_code == status, "one of them is in"
    assert member_ids(truth(sandbox, path)) == {ada}
    assert sandbox.scim("PATCH", path, add_members(bob)).status_code == 204
    assert member_ids(truth(sandbox, path)) == {ada, bob}
    assert [sandbox.scim("DELETE", f"/Users/{bob}").status_code for _ in range(2)] == [204, status]
    assert sandbox.scim("GET", f"/Users/{bob}").status_code == 404


# What is stored otherwise


def test_who_is_switched_off_leaves_all_groups(sandbox: Sandbox) -> None:
    ada, bob = create(sandbox, "Users", user()), create(sandbox, "Users", user())
    paths = [f"/Groups/{create(sandbox, 'Groups', group('', ada, bob))}" for _ in range(2)]
    sandbox.faults({"fault": "off_leaves_groups"})
    sandbox.scim("PATCH", f"/Users/{ada}", replace("active", False))
    sandbox.scim("PATCH", f"/Users/{bob}", replace("title", "Boss"))
    assert [member_ids(truth(sandbox, path)) for path in paths] == [{bob}, {bob}]


def test_a_deleted_user_hangs_in_groups_and_spoils_whole_lists(sandbox: Sandbox) -> None:
    name = unused()
    ada, bob = create(sandbox, "Users", user(name)), create(sandbox, "Users", user())
    path = f"/Groups/{create(sandbox, 'Groups', group('', ada))}"
    sandbox.faults({"fault": "deleted_stays"})
    assert sandbox.scim("DELETE", f"/Users/{ada}").status_code == 204
    assert sandbox.scim("GET", f"/Users/{ada}").status_code == 404
    shown = sandbox.scim("GET", path).json()["members"]
    assert [(each["value"], each["type"]) for each in shown] == [(ada, "User")]

    both = [{"value": ada}, {"value": bob}]
    for refused in (patch({"op": "replace", "path": "members", "value": both}), add_members(bob, ada)):
        answer = sandbox.scim("PATCH", path, refused)
        assert (answer.status_code, answer.json()["scimType"]) == (400, "invalidValue")
    assert sandbox.scim("PATCH", path, add_members(bob)).status_code == 204
    assert member_ids(truth(sandbox, path)) == {ada, bob}
    assert sandbox.scim("PATCH", path, remove_member(ada)).status_code == 204
    assert member_ids(truth(sandbox, path)) == {bob}
    assert sandbox.scim("POST", "/Users", user(name)).status_code == 201, "the name is free again"


def test_users_and_groups_are_numbered_apart_and_members_are_users() -> None:
    with Sandbox() as sandbox:
        sandbox.faults({"fault": "numbered_apart"})
        users = [sandbox.scim("POST", "/Users", user()).json()["id"] for _ in range(2)]
        staff = sandbox.scim("POST", "/Groups", group("Staff", "1")).json()
        admins = sandbox.scim("POST", "/Groups", group("Admins", staff["id"])).json()
        assert (users, staff["id"], admins["id"]) == (["1", "2"], "1", "2")
        assert admins["members"][0]["type"] == "User"
        assert sandbox.scim("PATCH", "/Groups/2", add_members("2")).status_code == 204
        assert sandbox.scim("PATCH", "/Groups/2", add_members("3")).status_code == 400, "no user has that number"
        assert member_ids(truth(sandbox, "/Groups/2")) == {"1", "2"}
        assert (truth(sandbox, "/Users/1")["meta"], truth(sandbox, "/Groups/1")["displayName"]) != ("", "")
        sandbox.scim("DELETE", "/Groups/1")
        assert truth(sandbox, "/Users/1")["id"] == "1", "it was the group of that number"
        sandbox.scim("DELETE", "/Users/2")
        assert sandbox.scim("POST", "/Users", user()).json()["id"] == "3", "no number is used twice"


@pytest.mark.parametrize("status", [200, 201])
@pytest.mark.parametrize("merged", [False, True])
@pytest.mark.parametrize("by", ["userName", "emails", "externalId"])
def test_a_creation_is_answered_with_the_account_that_was_there(
    sandbox: Sandbox, by: str, merged: bool, status: int
) -> None:
    name, mark = unused(), unused("key")
    there = user(name, externalId=mark, title="Owner", nickName="Old")
    id_ = create(sandbox, "Users", there)
    before = truth(sandbox, f"/Users/{id_}")
    wanted = user(unused(), title="Staff", externalId=unused("key"))
    wanted[by] = there[by]
    sandbox.faults({"fault": "taken_over", "status": status, "merged": merged})

    answer = sandbox.scim("POST", "/Users", wanted)

    assert (answer.status_code, answer.json()["id"]) == (status, id_)
    assert answer.json()["meta"]["created"] == before["meta"]["created"]
    assert answer.json()["title"] == ("Staff" if merged else "Owner")
    kept = truth(sandbox, f"/Users/{id_}")
    assert (kept["title"], kept["nickName"]) == ("Staff" if merged else "Owner", "Old")
    assert sandbox.scim("POST", "/Users", user()).status_code == 201, "nobody is like this one"


def test_two_accounts_have_one_name(sandbox: Sandbox) -> None:
    name = unused()
    sandbox.faults({"fault": "not_unique"})
    ids = {sandbox.scim("POST", "/Users", user(name)).json()["id"] for _ in range(2)}
    found = sandbox.scim("GET", "/Users", params={"filter": f'userName eq "{name}@example.com"'}).json()
    assert {each["id"] for each in found["Resources"]} == ids
    assert len(ids) == 2
    sandbox.faults()
    assert sandbox.scim("POST", "/Users", user(name)).status_code == 409


# Habits


def test_a_habit_stands_for_its_rules_and_keeps_bulk_out(sandbox: Sandbox) -> None:
    sandbox.faults({"habit": "no-new-users"}, {"fault": "reset", "nth": 99}, {"habit": "members-required"})
    rules = [rule["fault"] for rule in sandbox.admin("GET", "/faults")["faults"]]
    assert rules == ["status", "status", "reset", "status"], "the rule about bulk once"
    assert sandbox.scim("POST", "/Users", user()).status_code == 403
    assert sandbox.scim("POST", "/Bulk", {}).status_code == 501
    added = sandbox.admin("POST", "/faults", {"habit": "bodies"})["faults"]
    assert [rule["fault"] for rule in added[4:]] == ["answered", "status"]


def test_an_unknown_habit_is_refused_with_the_nearest(sandbox: Sandbox) -> None:
    answer = sandbox.client.put("/admin/faults", json=[{"habit": "removal-ignord"}])
    assert (answer.status_code, "did you mean removal-ignored?" in answer.json()["error"]) == (400, True)


def test_the_habits_are_listed_for_people_and_programs(sandbox: Sandbox) -> None:
    assert sandbox.admin("GET", "/habits") == {name: habit.sentence for name, habit in HABITS.items()}


def test_a_habit_is_given_at_the_start() -> None:
    with Sandbox(habits=["no-bodies", "read-only"]) as sandbox:
        rules = sandbox.admin("GET", "/faults")["faults"]
    assert [rule["fault"] for rule in rules] == ["answered", "status", "status"]
    assert rules[1].items() >= NO_BULK.items()


@pytest.fixture(scope="module")
def emptied() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture(scope="module")
def usual() -> list[Any]:
    with Sandbox() as sandbox:
        return seen(sandbox)


@pytest.mark.parametrize("habit", HABITS)
def test_every_habit_changes_something(emptied: Sandbox, usual: list[Any], habit: str) -> None:
    """The same requests are answered, or end, in another way than at an endpoint without habits."""
    emptied.faults()
    for kind, resources in (("Groups", emptied.groups()), ("Users", emptied.users())):
        for each in resources:
            emptied.scim("DELETE", f"/{kind}/{each['id']}", headers=_OBSERVER)
    assert seen(emptied, {"habit": habit}) != usual


def seen(sandbox: Sandbox, *rules: Json) -> list[Any]:
    """Return the answers to a little of everything under these rules, without ids, times and versions."""
    names: dict[str, str] = {}
    log: list[Any] = []

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {name: plain(each) for name, each in value.items() if name not in ("meta", "$ref", "id")}
        if isinstance(value, list):
            return [plain(each) for each in value]
        return names.get(value, value) if isinstance(value, str) else value

    def ask(method: str, path: str, body: Json | None = None) -> Json:
        answer = sandbox.scim(method, path, body)
        is_json = "json" in answer.headers.get("Content-Type", "")
        log.append((method, answer.status_code, plain(answer.json()) if is_json and answer.content else answer.text))
        found: Json = answer.json() if is_json and answer.content else {}
        return found

    two = [{"value": "ada@example.com", "type": "work"}, {"value": "ada@example.org", "type": "home"}]
    ada = {**user("ada"), "emails": two, "title": "Countess", "externalId": "1", ENTERPRISE: {"department": "IT"}}
    ids = [sandbox.scim("POST", "/Users", body, headers=_OBSERVER).json()["id"] for body in (ada, user("owner"))]
    team = create(sandbox, "Groups", group("Team", *ids))
    names.update(zip([*ids, team], ("ada", "bob", "team"), strict=True))
    sandbox.faults(*rules)
    new = ask("POST", "/Users", {**user("eve"), "externalId": "2", "title": "Boss", ENTERPRISE: {"department": "X"}})
    ask("POST", "/Users", {**user("ada"), "title": "Other"})
    ask("POST", "/Groups", {"schemas": [GROUP], "displayName": "Without"})
    ask("POST", "/Groups", group("Other", ids[0]))
    path = f"/Users/{ids[0]}"
    for operation in (
        {"op": "replace", "value": {"title": "Duchess"}},
        {"op": "replace", "path": "title", "value": "Princess"},
        {"op": "replace", "path": "title", "value": "Princess"},
        {"op": "replace", "path": f"{ENTERPRISE}:department", "value": "HR"},
        {"op": "add", "path": "emails", "value": [{"value": "c@example.com", "type": "other"}]},
        {"op": "replace", "path": 'emails[type eq "work"].value', "value": "new@example.com"},
        {"op": "replace", "path": "active", "value": False},
    ):
        ask("PATCH", path, patch(operation))
        ask("GET", path)
    two_operations = [{"op": "replace", "path": name, "value": "x"} for name in ("nickName", "profileUrl")]
    ask("PATCH", path, patch(two_operations[0], {"op": "replace", "path": "displayName", "value": "x"}))
    ask("PUT", f"/Users/{ids[1]}", {"schemas": [USER], "userName": "owner@example.com", "nickName": "B"})
    ask("GET", f"/Groups/{team}")
    for body in (remove_member(ids[1]), add_members(ids[0], ids[1]), add_members(new.get("id", ids[0]))):
        ask("PATCH", f"/Groups/{team}", body)
        ask("GET", f"/Groups/{team}")
    ask("PATCH", f"/Groups/{team}", patch({"op": "remove", "path": "members"}))
    ask("PUT", f"/Groups/{team}", group("Team", ids[0]))
    ask("GET", "/Users")
    ask("DELETE", path)
    ask("GET", "/Groups")
    waiting = [rule["met"] for rule in sandbox.admin("GET", "/faults")["faults"] if rule.get("milliseconds")]
    return [*log, waiting]


def test_a_state_file_of_the_first_format_is_taken_over(tmp_path: Path) -> None:
    file = tmp_path / "old.db"
    with Sandbox(state=file) as sandbox:
        ada = create(sandbox, "Users", user())
        team = create(sandbox, "Groups", group("Old", ada))
    with sqlite3.connect(file) as old:
        (schema,) = old.execute("SELECT sql FROM sqlite_schema WHERE name = 'resource'").fetchone()
        first = schema.replace("UNIQUE (id, type)", "UNIQUE (id)").replace('"resource"', "resource")
        old.executescript(
            f"PRAGMA foreign_keys = OFF; {first.replace('TABLE resource', 'TABLE first')};"
            "INSERT INTO first SELECT * FROM resource; DROP TABLE resource; ALTER TABLE first RENAME TO resource;"
            "CREATE UNIQUE INDEX user_name ON resource (name_key) WHERE type = 'User'; PRAGMA user_version = 1;"
        )
        assert old.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
    old.close()
    with Sandbox(state=file) as sandbox:
        assert member_ids(truth(sandbox, f"/Groups/{team}")) == {ada}
        sandbox.faults({"fault": "not_unique"}, {"fault": "numbered_apart"})
        name = truth(sandbox, f"/Users/{ada}")["userName"].removesuffix("@example.com")
        assert sandbox.scim("POST", "/Users", user(name)).status_code == 201
        assert sandbox.scim("POST", "/Groups", group("Same number")).json()["id"] == "1"
        sandbox.scim("DELETE", f"/Users/{ada}")
        assert member_ids(truth(sandbox, f"/Groups/{team}")) == set(), "references still hold"
