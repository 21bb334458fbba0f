"""Drift that comes back after a full resync put it back: corrected each time, and never called done again."""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from copy import deepcopy
from pathlib import Path
from typing import Any

import orjson
import pytest

from syncd.core.plan import Outcome, Plan, Run, dump
from syncd.cycle.planned import saved_plan
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans, sync
from syncd.settings.build import Setup, read
from syncd.store import StateFile, without_effect
from tests.endpoints import TOKEN, Endpoint, Reply, Request, error

CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "id"
active = 'status == "active"'
groups = "groups.csv"
members = "members.csv"
[mapping.user]
userName = "{{mail}}"
title = "{{title}}"
[[target]]
name = "lucid"
base_url = "{url}"
rate = 10000
token = {{ env = "RETURNING_TOKEN" }}
missing_grace = "0s"
{more}
"""
PEOPLE = "id,mail,title,status\n1,ada@x.org,Chief,active\n2,bob@x.org,Clerk,active\n3,cy@x.org,Clerk,active\n"
MEMBERS = "group,member\ng,1\ng,2\n"
Outcomes = list[tuple[str, str, str]]


class Company:
    """A source of three people and a group, and an endpoint that somebody else works at as well."""

    def __init__(self, folder: Path, state: StateFile, scim: Endpoint, more: str = "") -> None:
        self.folder, self.state, self.scim = folder, state, scim
        (folder / "groups.csv").write_text("id,name\ng,Design\n", encoding="utf-8")
        self.people(PEOPLE)
        self.members(MEMBERS)
        file = folder / "syncd.toml"
        file.write_text(CONFIGURATION.format(url=scim.url, more=more), encoding="utf-8")
        self.setup: Setup = read(file)

    def people(self, text: str) -> None:
        (self.folder / "people.csv").write_text(text, encoding="utf-8")

    def members(self, text: str) -> None:
        (self.folder / "members.csv").write_text(text, encoding="utf-8")

    def sync(self, *, full: bool = False) -> Run:
        (run,) = sync(self.setup, self.state, self.setup.targets, Progress(), full=full)
        assert run.error == ""
        return run

    def resync(self) -> Outcomes:
        return said(self.sync(full=True))

    def plan(self) -> Plan:
        (planned,) = make_plans(self.setup, self.state, self.setup.targets, Progress(), full=True)
        return planned.plan

    def user(self, name: str) -> dict[str, Any]:
        """Return the account, to be changed by hand."""
        return next(each for each in self.scim.users.values() if each["userName"] == name)

    @property
    def design(self) -> dict[str, Any]:
        return next(iter(self.scim.groups.values()))

    def joins(self, name: str) -> None:
        """Let somebody be added to the group by hand."""
        self.design.setdefault("members", []).append({"value": self.user(name)["id"]})

    def leaves(self, name: str) -> None:
        self.design["members"] = [each for each in self.design["members"] if each["value"] != self.user(name)["id"]]

    def is_in(self, name: str) -> bool:
        return self.user(name)["id"] in [each["value"] for each in self.design.get("members", [])]


def said(run: Run) -> Outcomes:
    return [(each.change.action.value, each.change.key, each.result.value) for each in run.outcomes]


@contextmanager
def company(folder: Path, more: str = "") -> Iterator[Company]:
    with Endpoint() as scim, StateFile(folder / "syncd.db") as state:
        made = Company(folder, state, scim, more)
        made.sync()
        yield made


@pytest.fixture(autouse=True)
def token(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("RETURNING_TOKEN", TOKEN)


# -- what comes back -----------------------------------------------------------------------------------


def edits_the_title(company: Company) -> None:
    company.user("ada@x.org")["title"] = "Owner"


def empties_the_title(company: Company) -> None:
    company.user("ada@x.org").pop("title", None)


def switches_the_leaver_on(company: Company) -> None:
    company.user("cy@x.org")["active"] = True


def switches_somebody_off(company: Company) -> None:
    company.user("ada@x.org")["active"] = False


def adds_a_member(company: Company) -> None:
    company.joins("cy@x.org")


def removes_a_member(company: Company) -> None:
    company.leaves("bob@x.org")


def renames_the_group(company: Company) -> None:
    company.design["displayName"] = "Desing"


def deletes_an_account(company: Company) -> None:
    company.scim.users.pop(company.user("bob@x.org")["id"])


def deletes_the_group(company: Company) -> None:
    company.scim.groups.pop(company.design["id"])


AT = r"at \d{4}-\d\d-\d\d \d\d:\d\d UTC"
KINDS = [
    (edits_the_title, "update_user", f"title was put back {AT}, and was as before"),
    (empties_the_title, "update_user", f"title was put back {AT}, and was as before"),
    (switches_the_leaver_on, "deactivate_user", f"it was switched off {AT}, and was on again"),
    (switches_somebody_off, "update_user", f"it was switched on {AT}, and was off again"),
    (adds_a_member, "remove_members", f"3 was taken out {AT}, and was in again"),
    (removes_a_member, "add_members", f"2 was added {AT}, and was gone again"),
    (renames_the_group, "update_group", f"displayName was put back {AT}, and was as before"),
    (deletes_an_account, "create_user", f"it was made anew {AT}, and was gone again"),
    (deletes_the_group, "create_group", f"it was made anew {AT}, and was gone again"),
]


@pytest.mark.parametrize(("undo", "action", "words"), KINDS, ids=[each[0].__name__ for each in KINDS])
def test_drift_that_comes_back_is_put_back_each_time_and_is_done_once(
    tmp_path: Path, undo: Callable[[Company], None], action: str, words: str
) -> None:
    with company(tmp_path) as there:
        if undo is switches_the_leaver_on:
            there.people(PEOPLE.replace("cy@x.org,Clerk,active", "cy@x.org,Clerk,left"))
            there.sync()

        def put_back() -> Outcome:
            """Undo it, put it back, and see that nothing else waits for it."""
            undo(there)
            run = there.sync(full=True)
            (outcome,) = [each for each in run.outcomes if each.change.action.value == action]
            assert {each.result.value for each in run.outcomes if each is not outcome} <= {"applied"}
            assert there.state.quarantine("lucid").all() == []
            assert said(there.sync()) == [], "all of it was put back"
            return outcome

        assert [put_back().result.value for _ in range(3)] == ["applied", "ineffective", "ineffective"]
        detail = put_back().detail
        assert re.fullmatch(f"{words}: the endpoint, or somebody there, undoes it", detail), detail
        assert there.resync() == []  # nobody undid it: it is over
        assert there.state.put_back("lucid").all() == []
        assert [put_back().result.value for _ in range(2)] == ["applied", "ineffective"]


def test_a_member_who_is_added_again_is_told_apart_from_a_new_one(tmp_path: Path) -> None:
    with company(tmp_path) as there:
        there.people(f"{PEOPLE}4,dee@x.org,Clerk,active\n")
        there.sync()
        there.joins("cy@x.org")
        assert there.resync() == [("remove_members", "g", "applied")]
        there.joins("dee@x.org")
        assert there.resync() == [("remove_members", "g", "applied")], "another member is other drift"
        there.joins("cy@x.org")
        there.joins("dee@x.org")
        run = there.sync(full=True)
        assert said(run) == [("remove_members", "g", "ineffective")]
        assert run.outcomes[0].detail.startswith("4 was taken out at "), "cy was not in at the last full resync"
        assert not there.is_in("cy@x.org")
        assert not there.is_in("dee@x.org")


def test_another_value_than_the_last_time_is_ordinary_drift(tmp_path: Path) -> None:
    with company(tmp_path) as there:
        for title in ("Owner", "Boss", "Owner"):
            there.user("ada@x.org")["title"] = title
            assert there.resync() == [("update_user", "1", "applied")]
        assert there.resync() == []


def test_another_value_of_the_source_is_the_sources_change(tmp_path: Path) -> None:
    with company(tmp_path) as there:
        edits_the_title(there)
        there.resync()
        edits_the_title(there)
        there.people(PEOPLE.replace("Chief", "Director"))
        assert there.resync() == [("update_user", "1", "applied")]
        assert there.user("ada@x.org")["title"] == "Director"
        assert there.state.put_back("lucid").all() == []


def test_a_change_of_the_source_between_two_full_resyncs_forgets_what_was_put_back_of_it_alone(tmp_path: Path) -> None:
    with company(tmp_path) as there:
        edits_the_title(there)
        there.user("bob@x.org")["title"] = "Owner"
        there.resync()
        there.people(PEOPLE.replace("Chief", "Director"))
        assert said(there.sync()) == [("update_user", "1", "applied")]
        assert [each.drift.key for each in there.state.put_back("lucid").all()] == ["2"]


def test_what_is_held_refused_or_only_reported_was_not_put_back(tmp_path: Path) -> None:
    with company(tmp_path, "[target.limits]\nremove_members = { count = 0 }\n") as there:
        adds_a_member(there)
        assert there.resync() == []
        assert there.state.put_back("lucid").all() == []
        edits_the_title(there)
        for method in ("PATCH", "PUT"):
            there.scim.instead(method, "/Users/", *[error(400, "title is reserved")] * 9)
        assert [each[2] for each in there.resync()] == ["failed"]
        assert there.state.put_back("lucid").all() == []


def test_what_is_only_reported_was_not_put_back(tmp_path: Path) -> None:
    with company(tmp_path, '[target.drift]\ndefault = "report"\n') as there:
        edits_the_title(there)
        assert there.resync() == []
        assert there.resync() == []
        assert [each.returned for each in there.plan().drift] == [None]


def test_a_saved_plan_knows_what_came_back(tmp_path: Path) -> None:
    with company(tmp_path) as there:
        edits_the_title(there)
        there.resync()
        edits_the_title(there)
        saved = Plan.from_json(orjson.loads(dump(there.plan().to_json())), "plan.json")
        (drift,) = saved.drift
        assert drift.returned is not None
        assert drift.returned.found == {"title": "Owner"}
        run = carry_out(saved_plan(there.setup, saved, "plan.json"), there.state, Progress())
        assert said(run) == [("update_user", "1", "ineffective")]


def test_a_plan_alone_remembers_nothing(tmp_path: Path) -> None:
    with company(tmp_path) as there:
        edits_the_title(there)
        there.plan()
        assert there.resync() == [("update_user", "1", "applied")]
        there.plan()
        assert [each.drift.key for each in there.state.put_back("lucid").all()] == ["1"]


def test_a_full_resync_for_one_person_forgets_nobody_else(tmp_path: Path) -> None:
    with company(tmp_path) as there:
        edits_the_title(there)
        there.resync()
        sync(there.setup, there.state, there.setup.targets, Progress(), who="bob@x.org", full=True)
        edits_the_title(there)
        assert there.resync() == [("update_user", "1", "ineffective")]


# -- endpoints that answer what they don't do -------------------------------------------------------------


class Echoing(Endpoint):
    """An endpoint that answers an update with what it was asked for, and keeps what it has."""

    pretends = False

    def _patched(self, held: dict[str, dict[str, Any]], id_: str, body: Any) -> Reply:
        if not self.pretends:
            return super()._patched(held, id_, body)
        before = deepcopy(held[id_])
        reply = super()._patched(held, id_, body)
        shown, held[id_] = self._shown(held[id_]), before
        return Reply(200, shown) if reply.status == 204 else reply

    def _route(self, request: Request) -> Reply:
        if self.pretends and request.method == "PUT":
            return Reply(200, {**request.body, "id": request.path.rpartition("/")[2]})
        return super()._route(request)


def leaves_for_good(company: Company) -> None:
    company.people(PEOPLE.replace("cy@x.org,Clerk,active", "cy@x.org,Clerk,left"))


def leaves_the_group(company: Company) -> None:
    company.members("group,member\ng,1\n")


@pytest.mark.parametrize("wanted", [leaves_for_good, leaves_the_group])
def test_an_endpoint_that_answers_what_it_does_not_do_is_found_out_by_the_second_full_resync(
    tmp_path: Path, wanted: Callable[[Company], None]
) -> None:
    scim = Echoing()
    with scim, StateFile(tmp_path / "syncd.db") as state:
        there = Company(tmp_path, state, scim)
        there.sync()
        scim.pretends = True
        wanted(there)
        there.sync()
        there.resync()
        assert [each[2] for each in there.resync()] in (["ineffective"], [])  # tried, or in quarantine already
        found = without_effect(state.quarantine("lucid"), state.put_back("lucid"))
        assert len(found) == 1, "somebody still has what they were to lose"
