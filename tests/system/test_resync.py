"""Drift at the target, and a target that is gone, with the installed command: resync, relink, status."""

from __future__ import annotations

import json
from typing import Any

from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"
UNSEEN = {"X-Sandbox-Observer": "1"}


def somebody_edits(sandbox: Sandbox, user: dict[str, Any], **changes: Any) -> None:
    """Change a user at the target, as a person there would: not in the request log."""
    operations = [{"op": "replace", "path": path, "value": value} for path, value in changes.items()]
    body = {"schemas": [PATCH], "Operations": operations}
    sandbox.scim("PATCH", f"/Users/{user['id']}", body, headers=dict(UNSEEN)).raise_for_status()


def by_key(sandbox: Sandbox) -> dict[str, dict[str, Any]]:
    return {user["externalId"]: user for user in sandbox.users()}


def methods(sandbox: Sandbox) -> set[str]:
    """Return the methods of the requests since the log was cleared."""
    return {each["method"] for each in sandbox.requests()}


def everything_goes(sandbox: Sandbox) -> None:
    """Delete all that is at the target, as the end of an SSO integration does."""
    for group in sandbox.groups():
        sandbox.scim("DELETE", f"/Groups/{group['id']}", headers=dict(UNSEEN)).raise_for_status()
    for user in sandbox.users():
        sandbox.scim("DELETE", f"/Users/{user['id']}", headers=dict(UNSEEN)).raise_for_status()


# -- a full resync -----------------------------------------------------------------------------------


def test_what_was_changed_at_the_target_is_shown_and_put_back(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    before = admin.syncd("status", "--json").json
    assert before["last_resync"]["drift"] == {}, "the first run read the target too"
    somebody_edits(sandbox, by_key(sandbox)["1"], title="Chief")
    somebody_edits(sandbox, by_key(sandbox)["2"], active=False)
    sandbox.clear_requests()

    planned = admin.syncd("plan", "--full", "--json")
    assert planned.code == 2, planned.err
    assert methods(sandbox) == {"GET"}
    assert planned.json["kind"] == "resync"
    assert [(each["class"], each["key"], each["found"]) for each in planned.json["drift"]] == [
        ("user_attributes", "1", {"title": "Chief"}),
        ("user_activation", "2", {"active": False}),
    ]
    assert 'found "Chief", puts back "Engineer"' in admin.syncd("plan", "--full").out
    assert admin.syncd("status", "--json").json == before

    done = admin.syncd("resync")
    assert done.code == 0, done.err
    assert "2 drifted" in done.out
    users = by_key(sandbox)
    assert (users["1"]["title"], users["2"]["active"]) == ("Engineer", True)

    status = admin.syncd("status", "--json").json["last_resync"]
    assert status["drift"] == {"user_activation": 1, "user_attributes": 1}
    assert status["run"] == admin.syncd("runs", "1", "--json").json[0]["run"]
    assert "drift: accounts switched on or off (1), people's attributes edited (1)" in admin.syncd("status").out
    again = admin.syncd("sync", "--full", "--json")
    assert (again.code, again.json["drift"], again.json["outcomes"]) == (0, [], [])


def test_a_class_of_drift_can_be_left_as_it_is(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    somebody_edits(sandbox, by_key(sandbox)["1"], title="Chief")
    done = admin.syncd("resync", environment={"SYNCD__TARGET__SANDBOX__DRIFT__USER_ATTRIBUTES": "report"})
    assert done.code == 0, done.err
    assert "only reported" in done.out
    assert by_key(sandbox)["1"]["title"] == "Chief"


def test_a_reviewed_full_plan_is_applied_as_it_was_shown(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    somebody_edits(sandbox, by_key(sandbox)["1"], title="Chief")
    saved = admin.syncd("plan", "--full", "-o", "plan.json")
    assert saved.code == 2, saved.err
    assert "written to plan.json" in saved.out
    done = admin.syncd("apply", "plan.json", "--json")
    assert done.code == 0, done.err
    assert [(o["action"], o["key"], o["result"]) for o in done.json["outcomes"]] == [("update_user", "1", "applied")]
    assert by_key(sandbox)["1"]["title"] == "Engineer"


def test_with_the_state_lost_everything_is_linked_again_and_nothing_is_written(
    admin: Administrator, sandbox: Sandbox
) -> None:
    admin.syncd("sync")
    there = sandbox.users(), sandbox.groups()
    for path in admin.folder.glob("syncd.db*"):
        path.unlink()
    sandbox.clear_requests()

    done = admin.syncd("resync", "--json")

    assert done.code == 0, done.out
    assert methods(sandbox) == {"GET"}
    assert (sandbox.users(), sandbox.groups()) == there
    assert admin.syncd("status", "--json").json["users"] == {"active": 5, "pending": 0, "deactivated": 0}


def test_a_target_that_can_t_be_read_is_an_error_and_no_plan(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    sandbox.faults({"fault": "not_json", "method": "GET", "path": "/Users*"})
    planned = admin.syncd("plan", "--full", "-o", "plan.json")
    assert planned.code == 1
    assert "nothing is planned" in planned.out
    assert not (admin.folder / "plan.json").exists()
    assert "error" in admin.syncd("plan", "--full", "--json").json
    assert admin.syncd("resync").code == 1
    assert "HTML page" in admin.syncd("status", "--json").json["last_run"]["error"]


# -- a target that is gone ---------------------------------------------------------------------------


def test_all_gone_is_one_incident_until_a_person_relinks(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    everything_goes(sandbox)
    sandbox.clear_requests()

    gone = admin.syncd("resync", "--json")
    assert gone.code == 1
    assert "none of the 6 managed users and groups is there any more" in gone.json["error"]
    assert gone.json["outcomes"] == []
    stopped = admin.syncd("status", "--json").json["stopped"]
    assert stopped["cause"] == "gone"
    status = admin.syncd("status").out
    assert "sandbox: stopped since " in status
    assert "nothing is sent until `syncd relink`" in status

    admin.people([*(person(key) for key in range(1, 6)), person(7)])
    assert admin.syncd("sync").code == 1
    planned = admin.syncd("plan")
    assert planned.code == 2
    assert "nothing is sent until `syncd relink`" in planned.out
    assert methods(sandbox) == {"GET"}
    assert sandbox.users() == []

    relinked = admin.syncd("relink", "-o", "plan.json")
    assert relinked.code == 2, relinked.err
    assert "nothing was sent; `syncd resync` carries it out, or `syncd apply plan.json`" in relinked.err
    assert methods(sandbox) == {"GET"}
    plan = json.loads((admin.folder / "plan.json").read_text())
    assert (plan["summary"]["create_user"], plan["summary"]["create_group"]) == (6, 1)
    assert admin.syncd("status", "--json").json["stopped"] is None

    done = admin.syncd("apply", "plan.json")
    assert done.code == 0, done.out
    assert set(by_key(sandbox)) == {"1", "2", "3", "4", "5", "7"}
    assert admin.syncd("resync").code == 0


def test_what_is_there_again_is_linked_and_not_made_twice(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    everything_goes(sandbox)
    assert admin.syncd("resync").code == 1
    body = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "p1@example.com"}
    there = sandbox.scim("POST", "/Users", body).json()

    relinked = admin.syncd("relink", "--json")
    assert relinked.code == 2, relinked.err
    assert admin.syncd("resync").code == 0
    assert by_key(sandbox)["1"]["id"] == there["id"]
    assert len(sandbox.users()) == 5


def test_a_refused_token_stops_the_target_until_it_is_taken_again(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    admin.people([person(1, title="Director"), *(person(key) for key in range(2, 6))])
    refused = admin.syncd("sync", environment={"SYNCD_TOKEN": "wrong-secret-token"})
    assert refused.code == 1
    assert admin.syncd("status", "--json").json["stopped"]["cause"] == "refused"
    assert "until it takes the token again, which every run tries" in admin.syncd("status").out

    done = admin.syncd("sync")
    assert done.code == 0, done.out
    assert by_key(sandbox)["1"]["title"] == "Director"
    assert admin.syncd("status", "--json").json["stopped"] is None


# -- where things stand ------------------------------------------------------------------------------


def test_what_keeps_failing_is_shown_and_tried_at_once_for_who_is_asked_for(
    admin: Administrator, sandbox: Sandbox
) -> None:
    sandbox.faults({"fault": "status", "status": 400, "method": "POST", "contains": "p2@example.com"})
    assert admin.syncd("sync").code == 4
    (poison,) = admin.syncd("status", "--json").json["quarantined"]
    assert (poison["change"]["name"], poison["status"], poison["failures"]) == ("p2@example.com", 400, 1)
    assert "1 quarantined: create p2@example.com (400, next try 20" in admin.syncd("status").out
    sandbox.faults()
    sandbox.clear_requests()
    assert admin.syncd("sync").code == 3
    assert sandbox.requests() == []
    assert "quarantine" in admin.syncd("explain", "p2@example.com").out

    done = admin.syncd("sync", "--user", "2", "--json")
    assert done.code == 0, done.out
    assert "2" in by_key(sandbox)
    assert admin.syncd("status", "--json").json["quarantined"] == []


def test_status_says_since_when_invitations_are_out(admin: Administrator, sandbox: Sandbox) -> None:
    assert admin.syncd("status", "--json").json["pending_since"] is None
    admin.people([person(1), person(2, mail="kim@partner.org")])
    admin.syncd("sync", environment={"SYNCD__TARGET__SANDBOX__VERIFIED_DOMAINS": '["example.com"]'})
    status = admin.syncd("status", "--json").json
    assert status["users"] == {"active": 1, "pending": 1, "deactivated": 0}
    assert status["pending_since"] >= status["last_run"]["started"]
    assert "sandbox: 1 invited and pending, the longest since 20" in admin.syncd("status").out


def test_explain_says_why_without_a_request(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    sandbox.clear_requests()
    told = admin.syncd("explain", "P1@EXAMPLE.COM")
    assert told.code == 0, told.err
    assert told.out.splitlines()[0] == "First1 Last1 (1) is active at sandbox, as the source has it."
    data = admin.syncd("explain", "1", "--json").json
    assert (data["target"], data["kind"], data["key"]) == ("sandbox", "user", "1")
    assert admin.syncd("explain", "Engineering", "--json").json["kind"] == "group"
    nobody = admin.syncd("explain", "nobody@example.com")
    assert nobody.code == 1
    assert "nothing is known of `nobody@example.com`" in nobody.err
    assert sandbox.requests() == []


def test_check_says_who_is_protected_and_who_of_them_is_nobody(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync")
    environment = {
        "SYNCD__TARGET__SANDBOX__PROTECT": '["1", "P2@example.com", "typo@example.com"]',
        "SYNCD__TARGET__SANDBOX__VERIFIED_DOMAINS": '["example.com"]',
    }
    found = admin.syncd("check", "--json", environment=environment).json["target sandbox"]
    assert found["protected"] == "nobody who is managed is called typo@example.com: see `protect`"
    assert found["verified"] == "example.com"
    assert found["members"] == "can be read"
    assert "protect" in found["own account"]


def test_check_takes_a_page_or_a_refusal_in_place_of_something_optional_for_its_absence(
    admin: Administrator, sandbox: Sandbox
) -> None:
    sandbox.faults(
        {"fault": "status", "status": 403, "method": "GET", "path": "/Me"},
        {"fault": "not_json", "method": "GET", "path": "/ServiceProviderConfig"},
    )
    done = admin.syncd("check", "--json")
    assert done.code == 0, done.out
    found = done.json["target sandbox"]
    assert "not told by the endpoint" in found["own account"]
    assert found["announces"].startswith("nothing")

    sandbox.faults({"fault": "status", "status": 403, "method": "GET", "path": "/Users"})
    done = admin.syncd("check", "--json")
    assert done.code == 1
    assert "refuses the token (403" in done.json["target sandbox"]["error"]
