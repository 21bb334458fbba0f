"""Failures of tools that don't know the rules of Lucid and LucidLink; the names are promises."""

from __future__ import annotations

from pathlib import Path

import pytest

from tests.failures.house import House, held, house

GUEST = {"mail": "guest@elsewhere.org"}


# -- SSO or SCIM was removed at the target -----------------------------------------------------------


def test_sso_removed_is_one_incident_and_nothing_is_made_anew_until_a_person_says_so(tmp_path: Path) -> None:
    with house(tmp_path, "lucidlink") as it:
        it.groups["third"], it.members["third"] = "Third", {1}
        it.write()
        it.settle()
        it.sandbox.admin("DELETE", "/sso")
        it.change(1, title="Director")
        it.change(2, title="Director")
        done = it.syncd("sync", "--json")
        assert done.code == 1
        assert len(it.sandbox.requests(method="PATCH")) <= 16  # those under way, and not one for everybody
        assert "refuses the token" in it.syncd("status").out
        # Set up again, with the same token: the groups are gone, and people are managed by nobody.
        it.sandbox.admin("PUT", "/sso")
        it.sandbox.clear_requests()
        for command in (("sync",), ("resync",), ("sync",)):
            done = it.syncd(*command)
            assert done.code == 1
            assert "relink" in done.out
        assert it.writes() == []
        done = it.syncd("relink", "--json")
        assert done.code == 2
        assert it.writes() == []
        assert it.syncd("sync", "--full").code == 0
        assert {each["name"] for each in it.sandbox.admin("GET", "/groups")} == {
            "Engineering",
            "Sales",
            "Third",
        }
        assert len(it.users()) == 30


def test_a_token_that_is_refused_once_is_taken_again_when_all_is_there(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        it.change(1, title="Director")
        it.sandbox.faults({"fault": "unauthorized"})
        assert it.syncd("sync").code == 1
        it.sandbox.faults()
        assert it.syncd("sync").code == 0
        assert it.resource(1)["title"] == "Director"


def test_everything_gone_at_the_target_is_one_incident(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        for user in it.users().values():
            it.support("DELETE", f"/users/{user['id']}")
        it.sandbox.clear_requests()
        done = it.syncd("resync")
        assert done.code == 1
        assert "none of the 30 managed users is there any more" in done.out
        assert it.writes() == []
        it.sandbox.clear_requests()
        it.change(1, title="Director")
        assert it.syncd("sync").code == 1
        assert it.sandbox.requests() == []
        assert "relink" in it.syncd("status").out
        assert it.syncd("relink").code == 2
        assert it.writes() == []
        assert it.syncd("sync").code == 0
        assert len(it.users()) == 30


def test_a_stopped_target_does_not_go_on_because_ids_are_not_answered(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        for user in it.users().values():
            it.support("DELETE", f"/users/{user['id']}")
        assert it.syncd("resync").code == 1
        it.sandbox.clear_requests()
        # Neither shown nor known to be gone: that proves nothing, and above all not that all is well.
        it.sandbox.faults({"fault": "status", "status": 400, "method": "GET", "path": "/Users/*"})
        it.change(1, title="Director")
        assert it.syncd("resync").code == 1
        assert it.writes() == []
        assert "relink" in it.syncd("status").out


# -- people from outside -----------------------------------------------------------------------------


def invite(it: House) -> None:
    it.rows[99] = {**it.rows[1], "employee_id": "99", **GUEST}
    it.write()
    it.settle()


def test_a_guest_at_lucidlink_is_pending_until_they_accept_and_never_invited_twice(tmp_path: Path) -> None:
    with house(tmp_path, "lucidlink", settings={"active-while-pending": "false"}) as it:
        invite(it)
        guest = it.users()[GUEST["mail"]]
        assert (guest["state"], guest["invitations"]) == ("pending", 1)
        assert it.syncd("resync", "--json").json["changes"] == []
        assert it.writes() == []
        it.sandbox.admin("POST", f"/users/{guest['id']}/accept")
        assert it.syncd("resync", "--json").json["accepted"] == ["99"]
        assert it.writes() == []
        assert it.syncd("status", "--json").json["users"]["pending"] == 0
        # They leave, and come back: the same account, and no second invitation.
        it.change(99, status="left")
        assert it.syncd("sync").code == 0
        it.change(99, status="active")
        assert it.syncd("sync").code == 0
        guest = it.users()[GUEST["mail"]]
        assert (guest["state"], guest["invitations"]) == ("active", 1)


def test_a_guest_where_the_endpoint_knows_no_invitations_is_kept_out_until_somebody_says_they_accepted(
    tmp_path: Path,
) -> None:
    with house(tmp_path) as it:
        invite(it)
        assert it.users()[GUEST["mail"]]["state"] == "deactivated"
        it.change(99, title="Adviser")
        it.settle()
        assert it.users()[GUEST["mail"]]["state"] == "deactivated"
        assert it.syncd("accept", GUEST["mail"]).code == 0
        assert it.syncd("sync").code == 0
        assert it.users()[GUEST["mail"]]["state"] == "active"


def test_a_guest_whose_account_was_deleted_is_not_invited_again(tmp_path: Path) -> None:
    with house(tmp_path, "lucidlink") as it:
        invite(it)
        it.support("DELETE", f"/users/{it.users()[GUEST['mail']]['id']}")
        done = it.syncd("resync", "--json")
        assert (done.code, held(done)) == (3, {"invitation"})
        assert (it.syncd("sync").code, it.writes()) == (3, [])


def test_an_outsiders_account_is_not_handed_over_for_its_email(tmp_path: Path) -> None:
    with house(tmp_path, "lucidlink") as it:
        it.settle()
        it.sandbox.admin("POST", "/users", {"email": "private@elsewhere.org", "name": "Somebody"})
        native = it.users()["private@elsewhere.org"]["id"]
        it.rows[50] = {**it.rows[1], "employee_id": "50", "mail": "p50@example.com"}
        it.admin.write(
            "syncd.toml",
            (it.admin.folder / "syncd.toml").read_text().replace('"{mail|lower}"\n[[', '"{title}@elsewhere.org"\n[['),
        )
        it.change(50, title="private")
        plan = it.syncd("plan", "--full", "--user", "50", "--json").json
        assert [each["action"] for each in plan["changes"]] == ["create_user"]
        assert native not in str(plan["changes"])


# -- names, groups, hidden accounts ------------------------------------------------------------------


def test_the_suffix_of_pushed_groups_is_no_rename(tmp_path: Path) -> None:
    with house(tmp_path, "lucidlink", settings={"suffix-in-api": "yes"}) as it:
        it.settle()
        done = it.syncd("resync", "--json")
        assert (done.json["drift"], done.json["changes"], it.writes()) == ([], [], [])


@pytest.mark.parametrize("profile", ["lucid-admin", "lucid-content"])
def test_who_is_switched_off_and_therefore_not_listed_is_neither_missed_nor_made_again(
    tmp_path: Path, profile: str
) -> None:
    with house(tmp_path, profile) as it:
        it.settle()
        it.change(1, status="left")
        it.settle()
        done = it.syncd("resync", "--json")
        assert (done.code, done.json["drift"], done.json["changes"], it.writes()) == (0, [], [], [])
        before = it.user(1)["id"]
        it.change(1, status="active")
        assert it.syncd("sync").code == 0
        assert (it.user(1)["id"], it.user(1)["state"]) == (before, "active")


def test_a_person_in_two_organizational_groups_is_named_with_both_before_anything_is_sent(tmp_path: Path) -> None:
    with house(tmp_path, "lucid-admin") as it:
        it.members["sales"].add(1)
        it.write()
        plan = it.syncd("plan", "--json").json
        (problem,) = [each for each in plan["problems"] if each["key"] == "1"]
        assert "Engineering" in problem["problem"]
        assert "Sales" in problem["problem"]
        assert all("1" not in each["after"].get("members", []) for each in plan["changes"])


def test_an_administrator_who_is_named_is_never_switched_off(tmp_path: Path) -> None:
    with house(tmp_path, more='missing_grace = "0s"\nprotect = ["p1@example.com"]') as it:
        it.settle()
        it.change(1, status="left")
        it.change(2, status="left")
        done = it.syncd("sync", "--json")
        assert (done.code, held(done)) == (3, {"protected"})
        assert (it.user(1)["state"], it.user(2)["state"]) == ("active", "deactivated")


# -- what is not ours --------------------------------------------------------------------------------


@pytest.mark.parametrize("profile", ["generic", "lucidlink"])
def test_native_people_and_groups_are_never_written_to_in_a_whole_life(tmp_path: Path, profile: str) -> None:
    with house(tmp_path, profile) as it:
        it.sandbox.admin("POST", "/users", {"email": "native@example.com", "name": "Native"})
        it.sandbox.admin("POST", "/groups", {"name": "Natives"})
        native = it.users()["native@example.com"]["id"]
        natives = it.group("Natives")["id"]
        it.settle()
        it.support("PUT", f"/groups/{natives}/members/{it.user(1)['id']}")
        it.support("PUT", f"/groups/{natives}/members/{native}")
        managed = next(each for each in it.sandbox.admin("GET", "/groups") if each["name"].startswith("Engineering"))
        it.support("PUT", f"/groups/{managed['id']}/members/{native}")
        before = it.users()["native@example.com"]
        it.sandbox.clear_requests()
        for step in ("resync", "change", "leave", "back", "resync"):
            if step == "change":
                it.change(1, title="Director")
            elif step == "leave":
                it.change(1, status="left")
                it.members["eng"].discard(2)
                it.write()
            elif step == "back":
                it.change(1, status="active")
            assert it.syncd("resync" if step == "resync" else "sync").code == 0
        for request in it.sandbox.requests():
            if request["method"] != "GET":
                assert native not in request["path"]
                assert natives not in request["path"]
        assert {each["name"] for each in it.group("Natives")["members"]} >= {"native@example.com", "p1@example.com"}
        again = it.sandbox.admin("GET", f"/groups/{managed['id']}")
        assert "native@example.com" not in {each["name"] for each in again["members"]}, (
            "a managed group is the source's"
        )
        assert it.users()["native@example.com"] == {**before, "groups": it.users()["native@example.com"]["groups"]}


def test_accounts_that_a_person_would_not_have_taken_over_are_not_taken_by_a_plain_run(tmp_path: Path) -> None:
    with house(tmp_path, more="[target.limits]\nadopt = { count = 1 }") as it:
        for key in (1, 2):
            it.sandbox.admin("POST", "/users", {"email": f"p{key}@example.com", "name": "Somebody"})
        natives = {it.user(key)["id"] for key in (1, 2)}
        assert it.syncd("resync").code == 3
        assert it.syncd("reject", "all").code == 0
        assert it.syncd("sync").code == 0
        assert len(it.users()) == 30
        assert not any(id_ in write for write in it.writes() for id_ in natives)
        assert all(not it.user(key)["managed"] for key in (1, 2))
        # Nor while nobody has decided; and once somebody approves, the full resync does it.
        it.change(1, title="Director")
        it.change(2, title="Director")
        assert it.syncd("resync").code == 3
        assert it.syncd("sync").code == 3
        assert not any(id_ in write for write in it.writes() for id_ in natives)
        assert it.syncd("approve", "adopt").code == 0
        assert it.syncd("resync").code == 0
        assert it.user(1)["managed"]
