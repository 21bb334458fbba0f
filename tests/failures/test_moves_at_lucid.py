"""People move between Lucid's organizational groups, by every route that a change may take; replayed from the requests.

A user is in one organizational group at most, beside "All users"; licences follow the group, and somebody without one
for a moment may lose their documents to the account's owner.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from tests.failures.house import House, house

ALL = "All users"
MORE = 'missing_grace = "0s"\ndefault_group = "All users"\nlimits.remove_members = { percent = 100 }'


def by_sync(it: House) -> None:
    assert it.syncd("sync").code == 0


def by_plan_and_apply(it: House) -> None:
    assert it.syncd("plan", "-o", "plan.json").code == 2
    done = it.syncd("apply", "plan.json")
    assert done.code == 0, done.out + done.err


def by_resync(it: House) -> None:
    done = it.syncd("resync")
    assert done.code == 0, done.out + done.err


def one_by_one(it: House) -> None:
    for key in (1, 2, 11):
        done = it.syncd("sync", "--user", it.rows[key]["mail"])
        assert done.code == 0, done.out + done.err


ROUTES: tuple[Callable[[House], None], ...] = (by_sync, by_plan_and_apply, by_resync, one_by_one)


def with_all_users(it: House) -> None:
    """Put everybody of the two groups into the account's default group as well."""
    it.groups["zz"] = ALL
    it.members["zz"] = set(range(1, 16))
    it.write()


def moves(it: House) -> list[tuple[str, str, str]]:
    """Return what the endpoint did for people who went from one group to another: person, "join" or "leave", group."""
    names = {each["id"]: each["name"] for each in it.sandbox.admin("GET", "/groups")}
    done = []
    for each in it.sandbox.requests():
        path = each["path"].rpartition("/")[2]
        if each["method"] != "PATCH" or each["status"] >= 300 or path not in names:
            continue
        for operation in each["body"]["Operations"]:
            value = operation.get("value") or [{"value": operation["path"].split('"')[1]}]
            how = "join" if operation["op"] == "add" else "leave"
            done += [(member["value"], how, names[path]) for member in value]
    return done


@pytest.mark.parametrize("route", ROUTES, ids=lambda route: route.__name__)
@pytest.mark.parametrize("second", ["moved", "refused"])
def test_a_person_who_moves_has_a_group_throughout(tmp_path: Path, second: str, route: Callable[[House], None]) -> None:
    with house(tmp_path, "lucid-admin", more=MORE, settings={"second-group": second}) as it:
        with_all_users(it)
        it.settle()
        it.members["eng"] = (it.members["eng"] | {11}) - {1, 2}
        it.members["sales"] = (it.members["sales"] | {1, 2}) - {11}
        it.write()
        route(it)
        ids = {it.user(key)["id"]: key for key in (1, 2, 11)}
        done = [(ids[id_], how, name) for id_, how, name in moves(it)]
        for key, former, new in (
            (1, "Engineering", "Sales"),
            (2, "Engineering", "Sales"),
            (11, "Sales", "Engineering"),
        ):
            mine = [(how, name) for each, how, name in done if each == key]
            both = [("join", new), ("leave", former)]
            assert mine == (both if second == "moved" else both[::-1]), done
        if second == "refused":
            # One person's leave and join stand next to each other, but for what others did at the same time.
            assert [each for each, _, _ in done if each in (1, 2)] == [1, 1, 2, 2]
        for name, keys in (("Engineering", it.members["eng"]), ("Sales", it.members["sales"]), (ALL, it.members["zz"])):
            there = {member["name"] for member in it.group(name)["members"]}
            assert there == {it.rows[key]["mail"] for key in keys}
        assert not it.syncd("plan", "--full", "--json").json["changes"]


def test_all_users_is_made_and_joined_first(tmp_path: Path) -> None:
    with house(tmp_path, "lucid-admin", more=MORE, settings={"second-group": "refused"}) as it:
        with_all_users(it)
        assert it.syncd("sync").code == 0
        made = [
            each["body"]["displayName"]
            for each in it.sandbox.requests()
            if each["method"] == "POST" and each["path"].endswith("/Groups")
        ]
        assert made[0] == ALL
        joined = [name for _, how, name in moves(it) if how == "join"]
        assert joined[:15] == [ALL] * 15
        assert ALL not in joined[15:]


def test_a_removal_that_a_limit_holds_keeps_the_person_from_joining_another_group(tmp_path: Path) -> None:
    more = 'missing_grace = "0s"\nlimits.remove_members = { count = 0 }'
    with house(tmp_path, "lucid-admin", more=more) as it:
        it.settle()
        it.members["eng"].discard(1)
        it.members["sales"] |= {1, 20}
        it.write()
        done = it.syncd("sync", "--json")
        held = {(each["change"]["action"], each["limit"]): each["reason"] for each in done.json["held"]}
        assert set(held) == {("remove_members", "remove_members"), ("add_members", "remove_members")}
        assert held["add_members", "remove_members"].startswith("one of them stays in their group for now: ")
        assert it.rows[1]["mail"] in {member["name"] for member in it.group("Engineering")["members"]}
        assert it.rows[20]["mail"] in {member["name"] for member in it.group("Sales")["members"]}
        (removal,) = [each["id"] for each in done.json["held"] if each["change"]["action"] == "remove_members"]
        assert it.syncd("approve", removal).code == 0
        assert it.syncd("sync").code == 0
        assert it.rows[1]["mail"] in {member["name"] for member in it.group("Sales")["members"]}
        assert it.rows[1]["mail"] not in {member["name"] for member in it.group("Engineering")["members"]}


def test_the_members_of_a_group_that_is_no_longer_there_join_another_one_before_it_is_deleted(tmp_path: Path) -> None:
    with house(tmp_path, "lucid-admin", more=MORE, settings={"second-group": "refused"}) as it:
        it.settle()
        it.members["eng"] |= it.members.pop("sales")
        del it.groups["sales"]
        it.write()
        done = it.syncd("sync")
        assert done.code == 0, done.out + done.err
        assert len(it.group("Engineering")["members"]) == 15
        assert [each["name"] for each in it.sandbox.admin("GET", "/groups")] == ["Engineering"]
        last = [each for each in it.sandbox.requests() if each["method"] == "DELETE"]
        assert len(last) == 1
        assert not it.syncd("plan", "--full", "--json").json["changes"]
