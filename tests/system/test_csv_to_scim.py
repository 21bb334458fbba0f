"""The main job as an administrator does it: CSV files, a real SCIM server on loopback, the installed command."""

from __future__ import annotations

import json

import pytest

from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person

USER = "urn:ietf:params:scim:schemas:core:2.0:User"


def changes_sent(sandbox: Sandbox) -> list[str]:
    """Return `METHOD /path` of every request that may change something, without ids."""
    log = sandbox.requests()
    return [
        f"{each['method']} /{each['path'].split('/scim/v2/')[-1].split('/')[0]}"
        for each in log
        if each["method"] not in ("GET", "HEAD")
    ]


def test_people_and_groups_are_planned_reviewed_and_applied(admin: Administrator, sandbox: Sandbox) -> None:
    planned = admin.syncd("plan", "-o", "plan.json")
    assert planned.code == 2, planned.err
    assert {each["method"] for each in sandbox.requests()} == {"GET"}, "nothing was known of it"
    sandbox.clear_requests()
    plan = json.loads((admin.folder / "plan.json").read_text())
    assert plan["summary"] == {
        "create_user": 5,
        "create_group": 1,
        "add_members": 1,
        "held": 0,
        "drift": 0,
        "problems": 0,
    }
    assert [change["key"] for change in plan["changes"]] == ["1", "2", "3", "4", "5", "eng", "eng"]
    assert plan["changes"][-1]["after"] == {"members": ["1", "2"]}

    applied = admin.syncd("apply", "plan.json", "--json")
    assert applied.code == 0, applied.err
    assert {outcome["result"] for outcome in applied.json["outcomes"]} == {"applied"}
    assert applied.json["requests"] == plan["estimate"]["requests"] == len(sandbox.requests())
    assert {user["userName"]: user["externalId"] for user in sandbox.users()} == {
        f"p{key}@example.com": str(key) for key in range(1, 6)
    }
    (group,) = sandbox.groups()
    names = {user["id"]: user["userName"] for user in sandbox.users()}
    assert group["displayName"] == "Engineering"
    assert {names[member["value"]] for member in group["members"]} == {"p1@example.com", "p2@example.com"}


def test_a_changed_csv_makes_exactly_the_right_changes_and_then_it_is_quiet(
    admin: Administrator, sandbox: Sandbox
) -> None:
    assert admin.syncd("sync").code == 0
    ids = {user["externalId"]: user["id"] for user in sandbox.users()}
    sandbox.clear_requests()
    admin.people(
        [
            person(1, title="Director"),
            person(2, mail="renamed@example.com"),
            person(3, status="left"),
            person(4),
            person(5, manager_id="7"),
            person(6, status="left"),
            person(7),
        ]
    )
    admin.members([("eng", "1"), ("eng", "7")])

    done = admin.syncd("sync", "--json")

    assert done.code == 0, done.err
    assert [(o["action"], o["key"]) for o in done.json["outcomes"]] == [
        ("deactivate_user", "3"),
        ("update_user", "1"),
        ("create_user", "7"),
        ("update_user", "2"),
        ("update_user", "5"),
        ("remove_members", "eng"),
        ("add_members", "eng"),
    ]
    users = {user["externalId"]: user for user in sandbox.users()}
    assert {key: user["id"] for key, user in users.items() if key != "7"} == ids
    assert users["2"]["userName"] == "renamed@example.com"
    assert users["1"]["title"] == "Director"
    assert users["3"]["active"] is False
    assert (
        users["5"]["urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"]["manager"]["value"] == users["7"]["id"]
    )
    assert {m["value"] for m in sandbox.groups()[0]["members"]} == {ids["1"], users["7"]["id"]}

    sandbox.clear_requests()
    quiet = admin.syncd("sync", "--json")
    assert quiet.code == 0
    assert (quiet.json["outcomes"], quiet.json["requests"]) == ([], 0)
    assert sandbox.requests() == []


def test_disabled_people_come_back_to_the_same_account(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    before = {user["externalId"]: user["id"] for user in sandbox.users()}
    admin.people([*(person(key) for key in range(1, 5)), person(5, status="left")])
    assert admin.syncd("sync").code == 0
    admin.people([person(key) for key in range(1, 6)])
    back = admin.syncd("sync", "--json")
    assert [(o["action"], o["key"]) for o in back.json["outcomes"]] == [("reactivate_user", "5")]
    users = {user["externalId"]: user for user in sandbox.users()}
    assert users["5"]["id"] == before["5"]
    assert users["5"]["active"] is True


def test_who_vanishes_from_the_file_keeps_the_account_until_the_grace_ends(
    admin: Administrator, sandbox: Sandbox
) -> None:
    admin.syncd("sync")
    sandbox.clear_requests()
    admin.people([person(key) for key in range(2, 6)])
    admin.members([("eng", "2")])

    held = admin.syncd("sync", "--json")
    assert held.code == 3
    assert [(each["change"]["key"], each["limit"]) for each in held.json["held"]] == [
        ("1", "missing_grace"),
        ("eng", "missing_grace"),
    ]
    assert sandbox.requests() == []

    over = admin.syncd("sync", "--json", environment={"SYNCD__TARGET__SANDBOX__MISSING_GRACE": "0s"})
    assert over.code == 0, over.err
    assert [(o["action"], o["key"]) for o in over.json["outcomes"]] == [
        ("deactivate_user", "1"),
        ("remove_members", "eng"),
    ]
    assert {user["externalId"] for user in sandbox.users() if not user["active"]} == {"1"}
    again = admin.syncd("sync", environment={"SYNCD__TARGET__SANDBOX__MISSING_GRACE": "0s"})
    assert again.code == 0


def test_a_mass_removal_is_held_and_the_rest_goes_on(admin: Administrator, sandbox: Sandbox) -> None:
    admin.people([person(key) for key in range(1, 31)])
    admin.syncd("sync")
    sandbox.clear_requests()
    rows = [person(key, status="left") for key in range(1, 5)] + [person(key) for key in range(5, 32)]
    admin.people(rows)

    done = admin.syncd("sync", "--json")

    assert done.code == 3
    assert {each["reason"] for each in done.json["held"]} == {"4 of 30 people would be deactivated; the limit is 10 %"}
    assert [(o["action"], o["key"]) for o in done.json["outcomes"]] == [("create_user", "31")]
    assert all(user["active"] for user in sandbox.users())


def test_half_a_file_is_refused_and_changes_nothing(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    sandbox.clear_requests()
    path = admin.folder / "people.csv"
    path.write_bytes(path.read_bytes()[:-25])

    refused = admin.syncd("sync")

    assert refused.code == 1
    assert "people.csv" in refused.err
    assert sandbox.requests() == []


def test_one_bad_row_stops_nobody_else_and_its_person_is_protected(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    text = (admin.folder / "people.csv").read_text()
    lines = text.splitlines()
    lines[1] += ",one cell too many"
    lines.append("8,New,Person,,new@example.com,active,Engineering,Engineer,")
    admin.write("people.csv", "\n".join(lines) + "\n")

    done = admin.syncd("sync", "--json", environment={"SYNCD__TARGET__SANDBOX__MISSING_GRACE": "0s"})

    assert done.code == 0, done.err
    assert [(o["action"], o["key"]) for o in done.json["outcomes"]] == [("create_user", "8")]
    assert [problem["where"] for problem in done.json["problems"]] == ["people.csv:2"]
    assert all(user["active"] for user in sandbox.users())


def test_an_account_that_was_there_is_adopted_when_it_is_the_same_person(
    admin: Administrator, sandbox: Sandbox
) -> None:
    native = sandbox.scim("POST", "/Users", {"schemas": [USER], "userName": "P1@example.com", "title": "Boss"}).json()
    other = {"schemas": [USER], "userName": "p2@example.com", "externalId": "somebody-else"}
    sandbox.scim("POST", "/Users", other).raise_for_status()

    done = admin.syncd("sync", "--json")

    assert done.code == 3
    results = {(o["action"], o["key"]): o["result"] for o in done.json["outcomes"]}
    assert results["adopt_user", "1"] == "applied"
    held = {(each["change"]["action"], each["change"]["key"]): each["limit"] for each in done.json["held"]}
    assert held["create_user", "2"] == "adopt"
    users = {user.get("externalId"): user for user in sandbox.users()}
    assert users["1"]["id"] == native["id"]
    assert users["1"]["title"] == "Engineer"
    assert users["somebody-else"]["userName"] == "p2@example.com"
    assert "2" not in users


def test_the_state_lost_and_synced_again_makes_nobody_twice(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    before = {user["id"] for user in sandbox.users()}, {group["id"] for group in sandbox.groups()}
    for path in admin.folder.glob("syncd.db*"):
        path.unlink()

    done = admin.syncd("sync", "--json")

    assert done.code == 0, done.out
    assert ({user["id"] for user in sandbox.users()}, {group["id"] for group in sandbox.groups()}) == before


def test_a_stale_plan_is_refused_change_by_change(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    admin.people([person(1, title="Director"), person(2, title="Director"), *(person(key) for key in range(3, 6))])
    admin.syncd("plan", "-o", "plan.json")
    admin.people([person(1, title="Chair"), *(person(key) for key in range(2, 6))])
    admin.syncd("sync")

    done = admin.syncd("apply", "plan.json", "--json")

    assert done.code == 4
    assert {o["key"]: o["result"] for o in done.json["outcomes"]} == {"1": "refused", "2": "applied"}
    assert "'Engineer'" in next(o["detail"] for o in done.json["outcomes"] if o["key"] == "1")
    titles = {user["externalId"]: user["title"] for user in sandbox.users()}
    assert (titles["1"], titles["2"]) == ("Chair", "Director")


def test_an_edited_plan_is_refused_whole(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("plan", "-o", "plan.json")
    text = (admin.folder / "plan.json").read_text()
    admin.write("plan.json", text.replace("p1@example.com", "evil@example.com"))
    refused = admin.syncd("apply", "plan.json")
    assert refused.code == 1
    assert "changed after it was made" in refused.err
    assert changes_sent(sandbox) == []


@pytest.mark.parametrize("who", ["3", "p3@example.com", "P3@EXAMPLE.com"])
def test_one_person_on_demand(admin: Administrator, sandbox: Sandbox, who: str) -> None:
    done = admin.syncd("sync", "--user", who, "--json")
    assert done.code == 0, done.err
    assert [(o["action"], o["key"]) for o in done.json["outcomes"]] == [("create_user", "3")]
    assert [user["externalId"] for user in sandbox.users()] == ["3"]


def test_one_person_on_demand_needs_nothing_that_was_left_out(admin: Administrator, sandbox: Sandbox) -> None:
    admin.people([person(1), person(2, manager_id="1")])
    alone = admin.syncd("sync", "--user", "2", "--json")
    assert alone.code == 0, alone.out
    assert [(o["action"], o["key"]) for o in alone.json["outcomes"]] == [("create_user", "2")]
    rest = admin.syncd("sync", "--json")
    assert [(o["action"], o["key"]) for o in rest.json["outcomes"]] == [
        ("create_user", "1"),
        ("update_user", "2"),
        ("create_group", "eng"),
        ("add_members", "eng"),
    ]


def test_nobody_of_that_name_is_an_error(admin: Administrator) -> None:
    done = admin.syncd("sync", "--user", "nobody@example.com")
    assert done.code == 1
    assert "nobody@example.com" in done.err


def test_a_refused_token_is_one_error_and_does_nothing(admin: Administrator, sandbox: Sandbox) -> None:
    done = admin.syncd("sync", environment={"SYNCD_TOKEN": "wrong-secret-token"})
    assert done.code == 1
    assert done.out.count("refuses the token") == 1
    assert "wrong-secret-token" not in done.out + done.err
    assert sandbox.users() == []
    recovered = admin.syncd("sync")
    assert recovered.code == 0


def test_an_endpoint_that_is_down_is_an_error_that_says_where(admin: Administrator, sandbox: Sandbox) -> None:
    sandbox.kill()
    try:
        done, check = admin.syncd("sync"), admin.syncd("check")
    finally:
        sandbox.start()
    assert done.code == check.code == 1
    assert "127.0.0.1" in done.out
    assert "127.0.0.1" in check.out


def test_check_says_what_each_end_can_do_and_writes_to_neither(admin: Administrator, sandbox: Sandbox) -> None:
    done = admin.syncd("check")
    assert done.code == 0, done.out
    assert "people" in done.out
    assert "PATCH" in done.out
    assert changes_sent(sandbox) == []


def test_a_wrong_configuration_lists_every_fault_at_once(admin: Administrator) -> None:
    text = (admin.folder / "syncd.toml").read_text()
    text = text.replace('title = "{title}"', 'titel = "{title|uper}"').replace("key = ", "kee = ")
    admin.write("syncd.toml", text)
    done = admin.syncd("plan")
    assert done.code == 1
    assert "titel" in done.err
    assert "did you mean `title`" in done.err
    assert "source.kee" in done.err
    assert "source.key" in done.err


@pytest.mark.parametrize("arguments", [("nonsense",), ("plan", "--nonsense"), ("apply",), ("plan", "-o", "plan.pdf")])
def test_wrong_usage_is_64(admin: Administrator, arguments: tuple[str, ...]) -> None:
    assert admin.syncd(*arguments).code == 64


def test_a_second_process_is_refused_with_5(admin: Administrator) -> None:
    from syncd.store import Lease

    with Lease(admin.folder / "syncd.db", "test"):
        assert admin.syncd("sync").code == 5
        assert admin.syncd("plan").code == 2
    assert admin.syncd("sync").code == 0


def test_status_runs_and_show_tell_what_happened(admin: Administrator) -> None:
    assert "no run yet" in admin.syncd("status").out
    admin.syncd("sync")
    status = admin.syncd("status", "--json").json
    assert status["users"] == {"active": 5, "pending": 0, "deactivated": 0}
    assert (status["groups"], status["memberships"]) == (1, 2)
    (run,) = admin.syncd("runs", "--json").json
    assert run["results"] == {"applied": 7}
    shown = admin.syncd("show", str(run["run"]), "--json").json
    assert len(shown["outcomes"]) == 7
    assert "p1@example.com" in admin.syncd("show", str(run["run"])).out
    missing = admin.syncd("show", "99")
    assert missing.code == 1
    assert "no run 99" in missing.err


def test_init_overwrites_nothing(admin: Administrator) -> None:
    admin.write("syncd.toml", "mine")
    done = admin.syncd("init", ".")
    assert done.code == 0
    assert (admin.folder / "syncd.toml").read_text() == "mine"
    assert "kept  syncd.toml" in done.out


def test_hostile_text_from_the_source_reaches_no_terminal(admin: Administrator) -> None:
    admin.people([person(1, title="\x1b[31mred\u202e")])
    out = admin.syncd("plan").out
    admin.syncd("sync")
    admin.people([person(1, title="plain")])
    out += admin.syncd("plan").out
    assert "\x1b" not in out
    assert "\u202e" not in out
    assert "\\u001b[31mred\\u202e" in out


def test_files_that_are_the_same_as_when_all_was_in_line_are_not_read_again(
    admin: Administrator, sandbox: Sandbox
) -> None:
    admin.syncd("sync")
    quiet = admin.syncd("sync", "--log-level", "info")
    assert "source_unchanged" in quiet.err
    # The same people in another order: read, compared, and just as quiet.
    text = (admin.folder / "people.csv").read_text().splitlines()
    admin.write("people.csv", "\n".join([text[0], *reversed(text[1:])]) + "\n")
    again = admin.syncd("sync", "--log-level", "info")
    assert "source_unchanged" not in again.err
    assert again.code == 0


def test_unchanged_files_are_read_again_while_something_is_held_or_the_configuration_changed(
    admin: Administrator, sandbox: Sandbox
) -> None:
    admin.syncd("sync")
    admin.people([person(key) for key in range(2, 6)])
    admin.members([("eng", "2")])
    assert [admin.syncd("sync").code for _ in range(2)] == [3, 3]
    over = admin.syncd("sync", environment={"SYNCD__TARGET__SANDBOX__MISSING_GRACE": "0s"})
    assert over.code == 0
    assert admin.syncd("sync").code == 0
    wider = admin.syncd("sync", "--json", environment={"SYNCD__TARGET__SANDBOX__GROUPS": "[]"})
    assert [(o["action"], o["key"]) for o in wider.json["outcomes"]] == [("delete_group", "eng")]
    scoped = {"SYNCD__TARGET__SANDBOX__GROUPS": "[]", "SYNCD__TARGET__SANDBOX__SCOPE": 'employee_id != "3"'}
    assert [(o["action"], o["key"]) for o in admin.syncd("sync", "--json", environment=scoped).json["outcomes"]] == [
        ("deactivate_user", "3")
    ]
