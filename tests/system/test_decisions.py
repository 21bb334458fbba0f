"""Decisions of a person, with the installed command: holds, approve, reject, accept."""

from __future__ import annotations

import getpass
import os
import sqlite3
from collections import defaultdict
from datetime import datetime, timedelta

import pytest

from syncd.core.model import State
from syncd.core.plan import Action, Change
from syncd.store import StateFile
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, Done, person

LEAVERS = (1, 2, 3, 4)


def staff(*left: int) -> list[dict[str, str]]:
    """Return thirty people, some of whom have left."""
    return [person(key, status="left" if key in left else "active") for key in range(1, 31)]


def off(sandbox: Sandbox) -> set[str]:
    """Return the keys of the accounts that are switched off."""
    return {user["externalId"] for user in sandbox.users() if not user["active"]}


def held_keys(done: Done) -> list[str]:
    """Return the keys of what `holds --json` lists."""
    return [hold["change"]["key"] for hold in done.json["holds"]]


def id_of(admin: Administrator, key: int) -> str:
    """Return the id of what is held of one person."""
    holds = admin.syncd("holds", "--json").json["holds"]
    return str(next(hold["id"] for hold in holds if hold["change"]["key"] == str(key)))


@pytest.fixture
def held(admin: Administrator, sandbox: Sandbox) -> Administrator:
    """Thirty people are managed; four are marked as having left, which is more than 10 %."""
    admin.people(staff())
    admin.members([("eng", "30")])
    assert admin.syncd("sync").code == 0
    admin.people(staff(*LEAVERS))
    assert admin.syncd("sync").code == 3
    sandbox.clear_requests()
    return admin


# -- holds -------------------------------------------------------------------------------------------


def test_what_is_held_is_listed_with_ids_reason_and_since_when(held: Administrator, sandbox: Sandbox) -> None:
    text = held.syncd("holds")
    assert text.code == 0
    assert "sandbox: 4 held until a person decides" in text.out
    assert "4 deactivations wait for approval: 4 of 30 people is over the limit of 10 % (since 20" in text.out
    assert "`syncd approve HOLD`" in text.out

    data = held.syncd("holds", "--json").json
    assert data["target"] == "sandbox"
    assert [hold["change"]["key"] for hold in data["holds"]] == ["1", "2", "3", "4"]
    for hold in data["holds"]:
        assert f"{hold['id'][:8]}  - deactivate user" in text.out
        assert (hold["limit"], hold["decision"], hold["by"], hold["expires"]) == ("deactivate", None, "", None)
    assert sandbox.requests() == []


def test_what_is_held_for_a_time_is_not_said_to_wait_for_a_person(held: Administrator, sandbox: Sandbox) -> None:
    held.people(row for row in staff(*LEAVERS) if row["employee_id"] != "7")
    assert held.syncd("sync").code == 3
    counts = {"waiting": 4, "passing": 1, "approved": 0, "rejected": 0}
    assert held.syncd("status", "--json").json["holds"] == counts
    assert "sandbox: 4 held until a person decides, 1 held for a time\n" in held.syncd("holds").out
    assert held.syncd("approve", "missing_grace").code == 0
    assert held.syncd("sync").code == 3
    assert off(sandbox) == {"7"}


def test_where_nothing_is_held_that_is_said(admin: Administrator) -> None:
    assert admin.syncd("holds").out == "sandbox: nothing is held\n"
    assert admin.syncd("holds", "--json").json == {"target": "sandbox", "holds": []}


# -- approve -----------------------------------------------------------------------------------------


def test_an_approval_releases_exactly_that_change_once(held: Administrator, sandbox: Sandbox) -> None:
    approved = held.syncd("approve", id_of(held, 2)[:6])
    assert approved.code == 0, approved.err
    assert "sandbox: 1 change approved by " in approved.out
    assert "deactivate p2@example.com (2)" in approved.out
    assert "the next run does it; `syncd sync` to do it now" in approved.out
    assert sandbox.requests() == []
    assert "1 approved and not done yet" in held.syncd("holds").out

    assert held.syncd("sync").code == 3
    assert off(sandbox) == {"2"}
    assert held_keys(held.syncd("holds", "--json")) == ["1", "3", "4"]

    # Back, and gone again with as many others: the same change, and the approval is used up.
    held.people(staff())
    assert held.syncd("sync").code == 0
    held.people(staff(*LEAVERS))
    assert held.syncd("sync").code == 3
    assert off(sandbox) == set()
    assert held_keys(held.syncd("holds", "--json")) == ["1", "2", "3", "4"]


def test_a_limit_s_name_releases_all_that_it_holds(held: Administrator, sandbox: Sandbox) -> None:
    approved = held.syncd("approve", "deactivate", "--json")
    assert approved.code == 0, approved.err
    answer = approved.json
    assert [hold["change"]["key"] for hold in answer["approved"]] == ["1", "2", "3", "4"]
    assert answer["not_approved"] == []
    for hold in answer["approved"]:
        decided, expires = (datetime.fromisoformat(hold[name]) for name in ("decided", "expires"))
        assert (hold["decision"], expires - decided) == ("approved", timedelta(hours=24))

    assert held.syncd("sync").code == 0
    assert off(sandbox) == {"1", "2", "3", "4"}
    assert held.syncd("holds").out == "sandbox: nothing is held\n"


def test_what_hangs_on_something_still_held_says_so_when_it_is_approved(held: Administrator, sandbox: Sandbox) -> None:
    held.people(staff())
    held.members([("eng", "1"), ("eng", "2"), ("eng", "30")])
    assert held.syncd("sync").code == 0
    held.people(staff(*LEAVERS))
    held.members([("eng", "30")])
    assert held.syncd("sync").code == 3
    holds = held.syncd("holds", "--json").json["holds"]
    (removal,) = (hold["id"] for hold in holds if hold["change"]["action"] == "remove_members")

    alone = held.syncd("approve", removal)
    assert alone.code == 0, alone.err
    assert f"sandbox: {removal[:8]} waits until this is approved as well\n" in alone.out
    assert f"  {id_of(held, 1)[:8]}  deactivate p1@example.com (1)" in alone.out
    assert f"  {id_of(held, 3)[:8]}" not in alone.out
    assert "the next run does it" not in alone.out
    assert held.syncd("sync").code == 3
    answer = held.syncd("approve", removal, id_of(held, 1), "--json").json["approved"]
    assert {hold["id"]: hold["waits_for"] for hold in answer} == {removal: [id_of(held, 2)], id_of(held, 1): []}

    assert "waits until" not in held.syncd("approve", "all").out
    assert held.syncd("sync").code == 0
    assert off(sandbox) == {"1", "2", "3", "4"}
    (group,) = sandbox.groups()
    (member,) = group["members"]
    assert member["value"] == next(user["id"] for user in sandbox.users() if user["externalId"] == "30")


def test_an_account_that_waits_for_a_person_is_taken_over_by_the_full_resync_after_the_approval(
    admin: Administrator, sandbox: Sandbox
) -> None:
    always = {"SYNCD__TARGET__SANDBOX__LIMITS__ADOPT": '{ hold = "always" }'}
    native = {"schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"], "userName": "p1@example.com"}
    there = sandbox.scim("POST", "/Users", native).json()
    assert admin.syncd("resync", environment=always).code == 3

    approved = admin.syncd("approve", id_of(admin, 1), environment=always)
    assert approved.code == 0, approved.err
    assert "the next full resync does it; `syncd resync` to do it now" in approved.out

    done = admin.syncd("resync", environment=always)
    assert done.code == 0, done.out
    assert "externalId" not in there
    assert {user["externalId"]: user["id"] for user in sandbox.users()}["1"] == there["id"]


def test_who_decided_is_the_person_behind_sudo(held: Administrator) -> None:
    held.syncd("approve", "all", environment={"SUDO_USER": "ada"})
    (by,) = {hold["by"] for hold in held.syncd("holds", "--json").json["holds"]}
    assert by == ("ada" if os.getuid() == 0 else getpass.getuser())


def test_how_long_an_approval_is_good_for_is_the_target_s(held: Administrator) -> None:
    week = held.syncd("approve", "all", "--json", environment={"SYNCD__TARGET__SANDBOX__APPROVAL_LASTS": "1w"})
    hold = week.json["approved"][0]
    assert datetime.fromisoformat(hold["expires"]) - datetime.fromisoformat(hold["decided"]) == timedelta(days=7)


def test_an_approval_that_has_expired_releases_nothing(held: Administrator, sandbox: Sandbox) -> None:
    held.syncd("approve", "all")
    with sqlite3.connect(held.folder / "syncd.db") as db:
        db.execute("UPDATE holds SET expires = '2026-01-01T00:00:00+00:00'")
    db.close()
    assert "is no longer)" in held.syncd("holds").out
    assert held.syncd("status", "--json").json["holds"] == {"waiting": 4, "passing": 0, "approved": 0, "rejected": 0}
    assert held.syncd("sync").code == 3
    assert off(sandbox) == set()


def test_a_changed_source_is_asked_anew(held: Administrator, sandbox: Sandbox) -> None:
    held.syncd("approve", "all")
    held.people(staff(5, 6, 7, 8))
    assert held.syncd("sync").code == 3
    assert off(sandbox) == set()
    assert held_keys(held.syncd("holds", "--json")) == ["5", "6", "7", "8"]


def test_what_is_protected_is_released_by_no_approval(admin: Administrator, sandbox: Sandbox) -> None:
    protected = {"SYNCD__TARGET__SANDBOX__PROTECT": '["P1@EXAMPLE.COM"]'}
    admin.people(staff())
    admin.members([("eng", "30")])
    admin.syncd("sync")
    admin.people(staff(*LEAVERS, 5))
    assert admin.syncd("sync", environment=protected).code == 3
    why = "p1@example.com is protected: the configuration names p1@example.com in `protect`"

    refused = admin.syncd("approve", id_of(admin, 1), environment=protected)
    assert refused.code == 1
    assert f"no approval releases this: {why}" in refused.err
    assert "`protect`" in refused.err.splitlines()[-1]
    assert {hold["decision"] for hold in admin.syncd("holds", "--json").json["holds"]} == {None}

    rest = admin.syncd("approve", "all", "--json", environment=protected)
    assert rest.code == 0
    assert [hold["change"]["key"] for hold in rest.json["approved"]] == ["2", "3", "4", "5"]
    assert [hold["reason"] for hold in rest.json["not_approved"]] == [why]
    assert admin.syncd("sync", environment=protected).code == 3
    assert off(sandbox) == {"2", "3", "4", "5"}

    alone = admin.syncd("approve", "all", environment=protected)
    assert alone.code == 1
    assert why in alone.err


def test_a_rule_can_make_every_such_change_wait_for_a_person(admin: Administrator, sandbox: Sandbox) -> None:
    always = {"SYNCD__TARGET__SANDBOX__LIMITS__DEACTIVATE": '{ hold = "always" }'}
    admin.people(staff())
    admin.members([("eng", "30")])
    admin.syncd("sync")
    admin.people(staff(1))
    assert admin.syncd("sync", environment=always).code == 3
    assert off(sandbox) == set()
    admin.syncd("approve", "deactivate")
    assert admin.syncd("sync", environment=always).code == 0
    assert off(sandbox) == {"1"}


# -- reject ------------------------------------------------------------------------------------------


def test_what_was_rejected_is_not_asked_again_until_the_source_changes(held: Administrator, sandbox: Sandbox) -> None:
    rejected = held.syncd("reject", "all")
    assert rejected.code == 0, rejected.err
    assert "sandbox: 4 changes rejected by " in rejected.out
    assert "when the source changes, what follows then is asked anew" in rejected.out
    for _ in range(2):
        done = held.syncd("sync", "--json")
        assert done.code == 0
        assert (len(done.json["held"]), len(done.json["rejected"])) == (0, 4)
    assert held.syncd("plan").code == 0
    assert off(sandbox) == set()
    assert "4 rejected" in held.syncd("holds").out

    held.people(staff())
    assert held.syncd("sync").code == 0
    assert held.syncd("holds").out == "sandbox: nothing is held\n"
    held.people(staff(*LEAVERS))
    assert held.syncd("sync").code == 3
    assert {hold["decision"] for hold in held.syncd("holds", "--json").json["holds"]} == {None}


def test_releasing_all_brings_nothing_back_that_was_rejected_and_its_id_does(
    held: Administrator, sandbox: Sandbox
) -> None:
    no = id_of(held, 3)
    answer = held.syncd("reject", no, "--json").json
    assert [(hold["change"]["key"], hold["decision"]) for hold in answer["rejected"]] == [("3", "rejected")]
    released = held.syncd("approve", "all", "--json").json["approved"]
    assert [hold["change"]["key"] for hold in released] == ["1", "2", "4"]
    assert held.syncd("sync").code == 0
    assert off(sandbox) == {"1", "2", "4"}

    nothing = held.syncd("approve", "deactivate")
    assert nothing.code == 1
    assert "all that `deactivate` means was rejected; nothing was done" in nothing.err
    assert held.syncd("approve", no).code == 0
    assert held.syncd("sync").code == 0
    assert off(sandbox) == {"1", "2", "3", "4"}


# -- what only a plan has met -------------------------------------------------------------------------


def test_a_plan_offers_for_approval_only_what_approve_takes(admin: Administrator, sandbox: Sandbox) -> None:
    later = "can be approved once the next run (`syncd sync`) has stored it"
    admin.people(staff())
    admin.syncd("sync")
    admin.people(staff(*LEAVERS))

    plan = admin.syncd("plan", "--json").json
    ids = [each["id"] for each in plan["held"]]
    assert [each["stored"] for each in plan["held"]] == [False] * 4
    assert admin.syncd("approve", ids[0]).code == 1
    reports = {form: admin.syncd("plan", "--format", form).out for form in ("text", "markdown", "html")}
    assert f"Held (4):\n  a change without an id {later}\n" in reports["text"]
    assert reports["markdown"].count(f" — {later}") == 4
    assert reports["html"].count("which is possible once the next run (`syncd sync`) has stored it") >= 4
    for text in reports.values():
        assert "syncd approve" not in text
    assert not any(id_[:8] in reports["text"] or id_[:8] in reports["markdown"] for id_ in ids)

    run = admin.syncd("sync")
    assert (run.code, all(id_[:8] in run.out for id_ in ids), later in run.out) == (3, True, False)
    again = admin.syncd("plan", "--json").json
    assert ([each["id"] for each in again["held"]], "stored" in again["held"][0]) == (ids, False)
    reports = {form: admin.syncd("plan", "--format", form).out for form in ("text", "markdown", "html")}
    assert all(id_[:8] in reports["text"] for id_ in ids)
    for form in ("markdown", "html"):
        assert all(f"syncd approve {id_[:12]}" in reports[form] for id_ in ids)
    assert not any(later in text for text in reports.values())
    assert admin.syncd("approve", ids[0]).code == 0


def test_a_saved_plan_that_is_applied_stores_what_it_holds(admin: Administrator) -> None:
    admin.people(staff())
    admin.syncd("sync")
    admin.people(staff(*LEAVERS))
    assert admin.syncd("plan", "-o", "plan.json").code == 3
    applied = admin.syncd("apply", "plan.json", "--json").json
    assert [(each["change"]["key"], "stored" in each) for each in applied["held"]] == [
        (str(key), False) for key in LEAVERS
    ]
    assert admin.syncd("approve", applied["held"][0]["id"]).code == 0


# -- what can't be meant -----------------------------------------------------------------------------


def test_an_unknown_hold_is_an_error_that_says_what_there_is_and_nothing_is_done(held: Administrator) -> None:
    known = id_of(held, 1)
    for command, unknown in (("approve", "ffff"), ("approve", known[:3]), ("reject", "delete"), ("reject", "")):
        done = held.syncd(command, known, unknown)
        assert done.code == 1
        assert f"nothing that is held is called `{unknown}`; nothing was done" in done.err
        assert f"there is {known[:8]} (deactivate p1@example.com)" in done.err
        assert "or by a limit's name: deactivate; or all" in done.err
    assert {hold["decision"] for hold in held.syncd("holds", "--json").json["holds"]} == {None}


def test_where_nothing_is_held_there_is_nothing_to_decide(admin: Administrator) -> None:
    done = admin.syncd("approve", "all")
    assert done.code == 1
    assert "nothing is held at sandbox; nothing was done" in done.err
    assert admin.syncd("approve").code == 64


def test_the_beginning_of_two_ids_is_refused_with_both(admin: Administrator) -> None:
    by_beginning: dict[str, list[tuple[int, str]]] = defaultdict(list)
    for key in range(1, 3000):
        change = Change(
            Action.DEACTIVATE_USER, str(key), "", {"active": True}, {"active": False}, "", State.DEACTIVATED
        )
        by_beginning[change.id[:4]].append((key, change.id))
    beginning, alike = next((text, found) for text, found in by_beginning.items() if len(found) == 2)
    keys = [key for key, _ in alike]
    always = {"SYNCD__TARGET__SANDBOX__LIMITS__DEACTIVATE": '{ hold = "always" }'}
    admin.members([("eng", str(keys[0]))])
    admin.people(person(key) for key in keys)
    admin.syncd("sync")
    admin.people(person(key, status="left") for key in keys)
    assert admin.syncd("sync", environment=always).code == 3

    done = admin.syncd("approve", beginning)

    assert done.code == 1
    assert f"`{beginning}` may mean 2" in done.err
    assert all(id_ in done.err for _, id_ in alike)
    assert {hold["decision"] for hold in admin.syncd("holds", "--json").json["holds"]} == {None}
    assert admin.syncd("approve", alike[0][1]).code == 0


@pytest.mark.parametrize("way", ["a saved plan", "one person"])
def test_what_a_plan_of_less_than_everything_holds_can_be_decided_about(
    admin: Administrator, sandbox: Sandbox, way: str
) -> None:
    admin.people(staff())
    assert admin.syncd("sync").code == 0
    admin.people(staff(*LEAVERS))
    assert admin.syncd("plan", "-o", "plan.json").code == 3
    command = ("apply", "plan.json") if way == "a saved plan" else ("sync", "--user", str(LEAVERS[0]))
    assert admin.syncd(*command).code == 3
    held = admin.syncd("holds", "--json").json["holds"]
    assert len(held) == (len(LEAVERS) if way == "a saved plan" else 1)
    assert admin.syncd("approve", held[0]["id"]).code == 0
    assert admin.syncd("sync").code == 3
    assert off(sandbox) == {held[0]["change"]["key"]}


def test_two_targets_are_decided_about_together_or_one_by_one(admin: Administrator, sandbox: Sandbox) -> None:
    text = (admin.folder / "syncd.toml").read_text()
    table = f'[[target]]\nname = "second"\nbase_url = "{sandbox.base_url}"\ntoken = {{ env = "SYNCD_TOKEN" }}\n'
    admin.write("syncd.toml", text + table)
    admin.people(staff())
    admin.members([("eng", "30")])
    assert admin.syncd("sync").code == 0
    admin.people(staff(*LEAVERS))
    assert admin.syncd("sync").code == 3
    assert [each["target"] for each in admin.syncd("holds", "--json").json] == ["sandbox", "second"]

    one = admin.syncd("reject", "all", "--target", "second", "--json").json
    assert one["target"] == "second"
    counts = [each["holds"] for each in admin.syncd("status", "--json").json]
    assert [(each["waiting"], each["rejected"]) for each in counts] == [(4, 0), (0, 4)]

    same = admin.syncd("holds", "--target", "sandbox", "--json").json["holds"][0]["id"]
    both = admin.syncd("approve", same, "--json").json
    assert [(each["target"], [hold["id"] for hold in each["approved"]]) for each in both] == [
        ("sandbox", [same]),
        ("second", [same]),
    ]


def test_another_process_at_work_is_not_disturbed(admin: Administrator, sandbox: Sandbox) -> None:
    with StateFile(admin.folder / "syncd.db") as state, state.lease("sync"):
        for command in (["approve", "all"], ["reject", "all"], ["accept", "1"], ["relink"], ["resync"]):
            done = admin.syncd(*command)
            assert done.code == 5
            assert "another process works on it" in done.err
    assert sandbox.requests() == []


# -- accept ------------------------------------------------------------------------------------------

VERIFIED = {"SYNCD__TARGET__SANDBOX__VERIFIED_DOMAINS": '["example.com"]'}


def test_somebody_invited_who_has_accepted_is_activated_by_the_next_run(admin: Administrator, sandbox: Sandbox) -> None:
    admin.people([person(1), person(2, mail="Kim@partner.org"), person(3, mail="lee@partner.org")])
    assert admin.syncd("sync", environment=VERIFIED).code == 0
    assert off(sandbox) == {"2", "3"}
    sandbox.clear_requests()

    told = admin.syncd("accept", "KIM@partner.org")
    assert told.code == 0, told.err
    assert told.out == (
        "sandbox: kim@partner.org (2) has accepted\nthe next run makes the account active; `syncd sync` to do it now\n"
    )
    assert sandbox.requests() == []

    assert admin.syncd("sync", environment=VERIFIED).code == 0
    assert off(sandbox) == {"3"}
    assert admin.syncd("accept", "3", "--json").json == {"target": "sandbox", "key": "3", "name": "lee@partner.org"}


def test_who_has_no_invitation_can_t_accept_one(admin: Administrator, sandbox: Sandbox) -> None:
    admin.syncd("sync", environment=VERIFIED)
    sandbox.clear_requests()
    active = admin.syncd("accept", "p1@example.com")
    assert active.code == 1
    assert "p1@example.com (1) is active at sandbox; nothing was done" in active.err
    nobody = admin.syncd("accept", "nobody@example.com")
    assert nobody.code == 1
    assert "nobody is known as `nobody@example.com`; nothing was done" in nobody.err
    assert admin.syncd("sync", environment=VERIFIED).code == 0
    assert sandbox.requests() == []
