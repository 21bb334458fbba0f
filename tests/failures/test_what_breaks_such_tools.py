"""Known failures of tools of this kind, each replayed from end to end; the names are promises."""

from __future__ import annotations

import shutil
from pathlib import Path

import pytest

from tests.failures.house import held, house

# -- a failed or partial read taken for "everyone left" ----------------------------------------------


def test_a_file_cut_off_in_the_middle_of_a_row_takes_nothing_from_anybody(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        path = it.admin.folder / "people.csv"
        text = path.read_bytes()
        path.write_bytes(text[: len(text) // 2].rpartition(b",")[0] + b',"En')
        done = it.syncd("sync", "--json")
        assert done.code in (1, 3), done.out
        assert it.writes() == []
        assert len(it.active()) == 30


def test_a_file_cut_off_at_the_end_of_a_row_takes_nothing_from_anybody(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        path = it.admin.folder / "people.csv"
        lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
        path.write_text("".join(lines[:14]), encoding="utf-8")
        done = it.syncd("sync", "--json")
        assert done.code == 3
        assert held(done) == {"shrunk_source"}
        assert it.writes() == []


@pytest.mark.parametrize("limits", ["", "[target.limits]\ndeactivate = { percent = 100 }\n"])
def test_an_empty_file_takes_nothing_from_anybody_whatever_the_limits(tmp_path: Path, limits: str) -> None:
    with house(tmp_path, more='missing_grace = "0s"\n' + limits) as it:
        it.settle()
        it.rows = {}
        it.write()
        done = it.syncd("sync")
        assert done.code == 1
        assert "people.csv" in done.err
        assert it.writes() == []


def test_an_outage_that_empties_the_groups_deletes_none(tmp_path: Path) -> None:
    with house(tmp_path, more="") as it:
        it.groups |= {f"g{number}": f"Team {number}" for number in range(10)}
        it.members |= {f"g{number}": {number + 1, number + 2} for number in range(10)}
        it.write()
        it.settle()
        before = {each["name"]: each["id"] for each in it.sandbox.admin("GET", "/groups")}
        it.groups, it.members = {}, {}
        it.write()
        assert it.syncd("sync").code == 1
        assert it.writes() == []
        it.groups, it.members = {"eng": "Engineering"}, {"eng": {1}}
        it.write()
        assert it.syncd("sync").code == 3
        assert it.writes() == []
        it.groups = {"eng": "Engineering", "sales": "Sales"} | {f"g{number}": f"Team {number}" for number in range(10)}
        it.members = {"eng": set(range(1, 11)), "sales": set(range(11, 16))}
        it.members |= {f"g{number}": {number + 1, number + 2} for number in range(10)}
        it.write()
        assert it.syncd("sync").code == 0
        assert {each["name"]: each["id"] for each in it.sandbox.admin("GET", "/groups")} == before


# -- a rename taken for delete plus create -----------------------------------------------------------


def test_a_renamed_person_and_a_renamed_group_keep_their_ids_and_each_other(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        person_id, group_id = it.user(1)["id"], it.group("Engineering")["id"]
        it.change(1, mail="ada.lovelace@example.com", last="Lovelace")
        it.groups["eng"] = "Engineering EU"
        it.write()
        assert it.syncd("sync").code == 0
        assert (it.user(1)["id"], it.group("Engineering EU")["id"]) == (person_id, group_id)
        assert it.writes() == [f"PATCH /Users/{person_id}", f"PATCH /Groups/{group_id}"]
        assert len(it.group("Engineering EU")["members"]) == 10


# -- a group's members wiped by a PATCH that the endpoint read differently ---------------------------


def test_removing_one_member_never_sends_what_an_endpoint_may_read_as_all(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        it.members["eng"].discard(3)
        it.write()
        assert it.syncd("sync").code == 0
        (request,) = [each for each in it.sandbox.requests() if each["method"] == "PATCH"]
        gone = it.user(3)["id"]
        # Each operation names its member in the path: `remove members` with a value means all to a strict reader.
        assert [(each["op"], each["path"]) for each in request["body"]["Operations"]] == [
            ("remove", f'members[value eq "{gone}"]')
        ]
        assert len(it.group("Engineering")["members"]) == 9


# -- a state file that disagrees with the target -----------------------------------------------------


@pytest.mark.parametrize("profile", ["generic", "lucidlink"])
def test_a_lost_state_file_links_everything_again_and_writes_nothing(tmp_path: Path, profile: str) -> None:
    with house(tmp_path, profile) as it:
        it.rows[99] = {**it.rows[1], "employee_id": "99", "mail": "guest@elsewhere.org"}
        it.write()
        it.settle()
        for file in it.admin.folder.glob("syncd.db*"):
            file.unlink()
        done = it.syncd("resync", "--json")
        assert done.code == 0, done.out + done.err
        assert {each["result"] for each in done.json["outcomes"]} == {"applied"}
        assert it.writes() == []
        assert it.syncd("sync", "--json").json["requests"] == 0
        assert it.syncd("resync", "--json").json["changes"] == []


def test_an_old_state_file_restored_makes_nobody_twice_and_loses_nothing(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        shutil.copy(it.admin.folder / "syncd.db", tmp_path / "backup.db")
        it.rows[31] = {**it.rows[1], "employee_id": "31", "mail": "p31@example.com"}
        it.rows[2] = {**it.rows[2], "title": "Director", "status": "active"}
        it.rows[3] = {**it.rows[3], "status": "left"}
        it.groups["new"], it.members["new"] = "New", {31, 1}
        it.write()
        assert it.syncd("sync").code == 0
        for file in it.admin.folder.glob("syncd.db*"):
            file.unlink()
        shutil.copy(tmp_path / "backup.db", it.admin.folder / "syncd.db")
        assert it.syncd("sync").code == 0
        assert it.syncd("resync").code == 0
        assert len(it.users()) == 31
        assert len(it.sandbox.admin("GET", "/groups")) == 3
        assert it.user(3)["state"] == "deactivated"
        it.sandbox.clear_requests()
        assert it.syncd("resync", "--json").json["changes"] == []
        assert it.writes() == []


def test_what_people_change_at_the_target_is_found_and_put_back(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.settle()
        it.support("PATCH", f"/users/{it.user(1)['id']}", {"active": False})
        it.support("PATCH", f"/users/{it.user(2)['id']}", {"title": "Boss"})
        it.support("DELETE", f"/users/{it.user(3)['id']}")
        it.support("PATCH", f"/groups/{it.group('Sales')['id']}", {"name": "Sails"})
        group = it.group("Engineering")["id"]
        it.support("DELETE", f"/groups/{group}/members/{it.user(4)['id']}")
        it.support("PUT", f"/groups/{group}/members/{it.user(20)['id']}")
        plan = it.syncd("plan", "--full", "--json")
        assert plan.code == 2
        assert {each["class"] for each in plan.json["drift"]} == {
            "user_activation",
            "user_attributes",
            "user_deleted",
            "group_renamed",
            "member_added",
            "member_removed",
        }
        assert it.writes() == []
        assert it.syncd("resync").code == 0
        assert len(it.active()) == 30
        members = {each["name"] for each in it.group("Engineering")["members"]}
        assert members == {it.rows[key]["mail"] for key in range(1, 11)}
        assert it.group("Sales")
        assert it.syncd("plan", "--full", "--json").code == 0


# -- one bad record that stops 50,000 ----------------------------------------------------------------


def test_one_bad_record_stops_nobody_else_and_is_tried_ever_more_rarely(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.sandbox.faults({"fault": "status", "status": 400, "method": "POST", "contains": "p7@example.com"})
        done = it.syncd("sync", "--json")
        assert done.code == 4
        assert {each["key"] for each in done.json["outcomes"] if each["result"] == "failed"} == {"7"}
        assert len(it.users()) == 29
        it.sandbox.clear_requests()
        done = it.syncd("sync", "--json")
        assert (done.code, held(done)) == (3, {"quarantine"})
        assert it.writes() == []
        assert "quarantine" in it.syncd("explain", "7").out.lower()
        # At once, when the entry changes; or when somebody asks for it by name.
        it.sandbox.faults()
        assert it.syncd("sync", "--user", "7").code == 0
        assert len(it.users()) == 30


# -- 429s --------------------------------------------------------------------------------------------


def test_an_endpoint_that_has_had_enough_loses_no_change(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.sandbox.faults({"fault": "status", "status": 429, "method": "POST", "times": 5})
        assert it.syncd("sync").code in (0, 4)
        assert it.syncd("sync").code == 0
        assert len(it.users()) == 30


# -- a timeout after which the same user is created twice --------------------------------------------


def test_an_answer_that_is_lost_makes_nobody_twice(tmp_path: Path) -> None:
    with house(tmp_path) as it:
        it.sandbox.faults({"fault": "reset", "applied": True, "method": "POST", "times": 6})
        it.syncd("sync")
        assert it.syncd("sync").code == 0
        assert len(it.users()) == 30
        assert sorted(each["name"] for each in it.sandbox.admin("GET", "/groups")) == ["Engineering", "Sales"]
        assert it.syncd("resync", "--json").json["changes"] == []
