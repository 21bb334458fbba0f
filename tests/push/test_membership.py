"""Changes of members are looked at; where a form has no effect, another one is tried, and no other member is lost."""

from __future__ import annotations

import json
from collections.abc import Collection, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.groups import Nesting
from syncd.core.model import Kind
from syncd.core.plan import Action, Result, Run
from syncd.scim.profiles import Profile
from tests.endpoints import Endpoint, Reply, Request, error
from tests.push.pushing import NAME, PROFILE, Pushing, detail, pushing, results, said
from tests.world import group, person, source_rules, target_rules

LIMITED = replace(PROFILE, members_per_patch=100)
FILTER, VALUES, ADD, REPLACE, PUT = "filter", "values", "add", "replace", "put"


class Peculiar(Endpoint):
    """An endpoint with habits in changes of members.

    `ignores`: forms that are answered with success and do nothing. `refuses`: forms that are refused, with the answer.
    `answers`: what a PATCH is answered with: "nothing" (204), "group" (as it is now), "before" (as it was), "empty".
    """

    def __init__(
        self, *, ignores: Collection[str] = (), refuses: Mapping[str, Reply] | None = None, answers: str = "nothing"
    ) -> None:
        super().__init__(silent=True)
        self.ignores = set(ignores)
        self.refuses = dict(refuses or {})
        self.answers = answers
        self.sent: list[str] = []

    def answer(self, request: Request) -> Reply:
        form = form_of(request)
        if form is None:
            return super().answer(request)
        self.sent.append(form)
        if form in self.refuses:
            return self.refuses[form]
        before = json.loads(json.dumps(self.groups[request.path.rpartition("/")[2]]))
        reply = self._without(before["id"], request) if form == VALUES else super().answer(request)
        if reply.status < 300 and form in self.ignores:
            self.groups[before["id"]] = before
        if form == PUT:
            return Reply(200, self._shown(self.groups[before["id"]])) if reply.status == 200 else reply
        if reply.status >= 300 or self.answers == "nothing":
            return reply
        shown = {"group": self.groups[before["id"]], "before": before, "empty": {}}[self.answers]
        return Reply(200, self._shown(shown))

    def _without(self, id_: str, request: Request) -> Reply:
        """Remove a list of members, which is not the RFC's."""
        gone = [each["value"] for each in request.body["Operations"][0]["value"]]
        self.groups[id_]["members"] = [each for each in self.groups[id_]["members"] if each["value"] not in gone]
        return Reply(204)

    def looks(self) -> int:
        return sum(line.startswith("GET /Groups/") for line in self.log())


def form_of(request: Request) -> str | None:
    """Return the form in which a request changes members, None where it changes none."""
    if "/Groups/" not in request.path or request.method not in ("PATCH", "PUT"):
        return None
    if request.method == "PUT":
        return PUT
    operation: dict[str, Any] = request.body["Operations"][0]
    if not str(operation.get("path")).startswith("members"):
        return None
    if operation["op"] == "remove":
        return FILTER if "[" in operation["path"] else VALUES
    return ADD if operation["op"] == "add" else REPLACE


@contextmanager
def three_in_a_group(
    folder: Path, scim: Endpoint, *, profile: Profile = LIMITED, others: Collection[str] = ()
) -> Iterator[Pushing]:
    """Yield a world in which 1, 2, 3 and `others` have accounts, and 1, 2 and 3 are in a group."""
    with pushing(folder, scim, target_rules(NAME, profile=profile)) as world:
        world.hold(*(person(key) for key in ["1", "2", "3", *others]))
        world.groups = [group("a", members=["1", "2", "3"])]
        world.settle()
        if isinstance(scim, Peculiar):
            scim.sent.clear()
        yield world


def leave(world: Pushing, *leaving: str) -> Run:
    world.groups = [group("a", members=[key for key in ["1", "2", "3"] if key not in leaving])]
    return world.push()


# -- looks -------------------------------------------------------------------------------------------


def test_a_removal_that_is_answered_with_nothing_is_looked_at_once_for_all_chunks(tmp_path: Path) -> None:
    people = [f"{number:03}" for number in range(251)]
    everybody = group("b", members=people)
    with pushing(tmp_path, Peculiar(), target_rules(NAME, profile=LIMITED)) as world:
        world.hold(*map(person, people))
        world.groups = [group("a", members=people), everybody]
        world.settle()
        world.groups = [group("a", members=["250"]), everybody]
        assert world.push().results == {Result.APPLIED: 1}
        assert [line.partition(" ")[0] for line in world.scim.log()] == ["PATCH", "PATCH", "PATCH", "GET"]
        assert world.scim.members("Group a") == {"u250"}
        assert world.snapshot.members("a")[0] == {"250"}


def test_a_removal_whose_answer_shows_the_group_is_not_looked_at(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar(answers="group")) as world:
        assert leave(world, "1").results == {Result.APPLIED: 1}
        assert world.scim.log() == [line for line in world.scim.log() if line.startswith("PATCH")]
        assert leave(world, "1", "2", "3").results == {Result.APPLIED: 1}
        assert scim.looks() == 0
        assert scim.members("Group a") == set()


def test_an_endpoint_that_was_seen_to_add_is_not_believed_against_its_own_answer(tmp_path: Path) -> None:
    class Closed(Endpoint):
        """Answers with the group; from some time on nobody can be added."""

        closed = False

        def answer(self, request: Request) -> Reply:
            if self.closed and request.method in ("PATCH", "PUT") and "/Groups/" in request.path:
                return Reply(200, next(iter(self.groups.values())))
            return super().answer(request)

    with pushing(tmp_path, scim := Closed(), target_rules(NAME, profile=LIMITED)) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1"])]
        world.settle()
        scim.closed = True
        world.groups = [group("a", members=["1", "2"])]
        assert world.push().results == {Result.INEFFECTIVE: 1}
        assert world.snapshot.members("a")[0] == {"1"}


def test_additions_are_looked_at_until_the_endpoint_was_seen_to_add(tmp_path: Path) -> None:
    with pushing(tmp_path, scim := Peculiar(), target_rules(NAME, profile=LIMITED)) as world:
        world.hold(person("1"), person("2"), person("3"))
        for members, looks in ((["1"], 1), (["1", "2"], 0), (["1", "2", "3"], 0)):
            world.groups = [group("a", members=members)]
            scim.requests.clear()
            plan = world.plan()
            assert set(world.push(plan).results) == {Result.APPLIED}
            assert scim.looks() == looks
            assert len(scim.requests) == plan.estimate.requests or looks


@pytest.mark.parametrize("answers", ["nothing", "before", "empty"])
def test_a_removal_that_is_ignored_is_done_in_another_form_which_is_remembered(tmp_path: Path, answers: str) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar(ignores=[FILTER], answers=answers)) as world:
        native = scim.add_user(userName="native")
        (held,) = scim.groups.values()
        held["members"].append({"value": native})
        assert leave(world, "1").results == {Result.APPLIED: 1}
        assert scim.members("Group a") == {"u2", "u3", "native"}
        assert scim.sent == [FILTER, REPLACE]
        scim.sent.clear()
        plan_requests = None
        world.groups = [group("a", members=["3"])]
        plan = world.plan()
        plan_requests = plan.estimate.requests
        scim.requests.clear()
        assert world.push(plan).results == {Result.APPLIED: 1}
        assert scim.sent == [REPLACE]
        assert len(scim.requests) == plan_requests
        assert scim.members("Group a") == {"u3", "native"}
        assert world.snapshot.discovery["dialect"]["forms"] == {"members.remove": "whole"}


def test_where_no_form_has_an_effect_the_change_is_without_effect_and_she_is_still_a_member(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar(ignores=[FILTER, REPLACE, PUT])) as world:
        run = leave(world, "1", "2")
        (outcome,) = run.outcomes
        assert (outcome.result, outcome.status) == (Result.INEFFECTIVE, 204)
        assert outcome.detail == "was answered with success, and 2 of 2 are still in the group (1, 2)"
        assert scim.sent == [FILTER, REPLACE, PUT]
        assert world.snapshot.members("a")[0] == {"1", "2", "3"}
        (kept,) = world.state.quarantine(NAME).all()
        assert kept.change.members == ["1", "2"]
        assert world.snapshot.discovery["dialect"]["forms"] == {}


def test_where_the_first_of_several_operations_alone_is_done_the_others_are_sent_one_by_one(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar(ignores=[REPLACE, PUT])) as world:
        real = scim._patched

        def first_alone(held: dict[str, dict[str, Any]], id_: str, body: Any) -> Reply:
            return real(held, id_, {**body, "Operations": body["Operations"][:1]})

        scim._patched = first_alone  # type: ignore[method-assign]
        assert leave(world, "1", "2").results == {Result.APPLIED: 1}
        assert scim.members("Group a") == {"u3"}
        assert scim.sent == [FILTER, REPLACE, PUT, FILTER]


def test_additions_that_are_ignored_are_made_in_another_form(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar(), others=["4"]) as world:
        scim.ignores = {ADD}
        world.state.snapshot(NAME).discover({"patch": True, "shows_members": True})
        world.groups = [group("a", members=["1", "2", "3", "4"])]
        assert world.push().results == {Result.APPLIED: 1}
        assert scim.sent == [ADD, REPLACE]
        assert scim.members("Group a") == {"u1", "u2", "u3", "u4"}


@pytest.mark.parametrize("answers", ["nothing", "group"])
def test_the_first_members_ever_are_in_the_group_whatever_the_endpoint_answers(tmp_path: Path, answers: str) -> None:
    with pushing(tmp_path, scim := Peculiar(ignores=[ADD], answers=answers)) as world:
        world.hold(person("1"))
        world.groups = [group("a", members=["1"])]
        assert set(world.push().results) == {Result.APPLIED}
        assert scim.members("Group a") == {"u1"}
        assert scim.sent == [ADD, REPLACE]


def test_an_endpoint_that_never_shows_members_is_doubted_once_in_a_run(tmp_path: Path) -> None:
    scim = Peculiar()
    scim.shows_members = False
    with pushing(tmp_path, scim) as world:
        world.concurrency = 1
        world.hold(person("1"))
        world.groups = [group(key, members=["1"]) for key in "abc"]
        run = world.push()
        assert set(run.results) == {Result.APPLIED}
        assert {detail(run, Action.ADD_MEMBERS, key).partition(":")[0] for key in "abc"} == {"could not be looked at"}
        assert scim.sent == [ADD, REPLACE, ADD, ADD]
        assert scim.members("Group a") == {"u1"}


def test_a_group_that_takes_no_put_is_not_put(tmp_path: Path) -> None:
    profile = replace(LIMITED, put_groups=False)
    with three_in_a_group(tmp_path, scim := Peculiar(ignores=[FILTER, REPLACE]), profile=profile) as world:
        assert leave(world, "1").results == {Result.INEFFECTIVE: 1}
        assert scim.sent == [FILTER, REPLACE]


def test_where_the_whole_list_is_refused_the_group_is_put(tmp_path: Path) -> None:
    refusal = error(400, "no replace", "invalidPath")
    with three_in_a_group(tmp_path, scim := Peculiar(ignores=[FILTER], refuses={REPLACE: refusal})) as world:
        assert leave(world, "1").results == {Result.APPLIED: 1}
        assert scim.sent == [FILTER, REPLACE, PUT]
        assert scim.members("Group a") == {"u2", "u3"}


def test_an_endpoint_that_shows_the_state_before_a_write_is_looked_at_twice(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar()) as world:
        (held,) = scim.groups.values()
        scim.instead("GET", "/Groups/", Reply(200, json.loads(json.dumps(held))))
        assert leave(world, "1").results == {Result.APPLIED: 1}
        assert scim.sent == [FILTER]


def test_a_look_that_fails_leaves_the_change_open_and_the_next_run_looks(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar()) as world:
        scim.instead("GET", "/Groups/", error(400, "not now"))
        (outcome,) = leave(world, "1").outcomes
        assert (outcome.result, outcome.open) == (Result.FAILED, True)
        assert world.snapshot.members("a")[0] == {"1", "2", "3"}
        assert world.look() == 0
        assert world.snapshot.members("a")[0] == {"2", "3"}


# -- what can't be seen ------------------------------------------------------------------------------


def test_the_last_member_is_out_where_the_endpoint_is_known_to_show_members(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar()) as world:
        run = leave(world, "1", "2", "3")
        assert said(run) == [("remove_members", "a", "applied", 204, "")]
        assert scim.members("Group a") == set()


@pytest.mark.parametrize(("how", "remark"), [("nothing", ""), (None, "could not be looked at")])
def test_where_members_are_not_shown_the_endpoint_is_taken_at_its_word_with_a_remark(
    tmp_path: Path, how: Any, remark: str
) -> None:
    scim = Peculiar()
    scim.shows_members = False
    with three_in_a_group(tmp_path, scim, profile=replace(LIMITED, members_read=how)) as world:
        run = leave(world, "1")
        assert run.results == {Result.APPLIED: 1}
        assert detail(run, Action.REMOVE_MEMBERS, "a").startswith(remark)
        assert bool(detail(run, Action.REMOVE_MEMBERS, "a")) is bool(remark)
        assert scim.looks() == (how is None)
        assert set(scim.sent) == {FILTER}


class Naming(Peculiar):
    """Shows the names of members in the place of their ids."""

    def _shown(self, resource: dict[str, Any]) -> dict[str, Any]:
        shown = dict(super()._shown(resource))
        if "displayName" in shown and shown.get("members"):
            shown["members"] = [{"value": self.users[each["value"]]["userName"]} for each in shown["members"]]
        return shown


@pytest.mark.parametrize("ignores", [[FILTER], []], ids=["ignored", "done"])
def test_members_who_are_shown_by_name_are_known_by_name(tmp_path: Path, ignores: list[str]) -> None:
    with three_in_a_group(tmp_path, scim := Naming()) as world:
        world.hold(*(person(key, f"{key}@example.com") for key in ["1", "2", "3"]))
        world.settle()
        scim.ignores = set(ignores)
        run = leave(world, "1")
        assert run.results == ({Result.INEFFECTIVE: 1} if ignores else {Result.APPLIED: 1})
        assert scim.members("Group a") >= {"2@example.com", "3@example.com"}
        assert {REPLACE, PUT}.isdisjoint(scim.sent), "a list of names would have removed everybody"


class Shortening(Peculiar):
    """Shows the first twenty members of a group."""

    def _shown(self, resource: dict[str, Any]) -> dict[str, Any]:
        shown = dict(super()._shown(resource))
        if shown.get("members"):
            shown["members"] = shown["members"][:20]
        return shown


def test_a_list_that_is_cut_short_is_no_proof_and_is_never_sent_back(tmp_path: Path) -> None:
    people = [f"{number:02}" for number in range(30)]
    with pushing(tmp_path, scim := Shortening(), target_rules(NAME, profile=LIMITED)) as world:
        world.hold(*map(person, people))
        world.groups = [group("a", members=people)]
        run = world.push()
        assert detail(run, Action.ADD_MEMBERS, "a").startswith("could not be looked at")
        held = [each["value"] for each in scim.groups["g31"]["members"]]
        last = next(key for key, id_ in world.snapshot.ids(Kind.USER, people).items() if id_ == held[-1])
        first = next(key for key, id_ in world.snapshot.ids(Kind.USER, people).items() if id_ == held[0])
        scim.ignores, scim.sent = {FILTER}, []
        world.groups = [group("a", members=[key for key in people if key != last])]
        assert detail(world.push(), Action.REMOVE_MEMBERS, "a").startswith("could not be looked at")
        world.groups = [group("a", members=[key for key in people if key not in (first, last)])]
        assert results(world.push()) == {"remove_members a": "ineffective"}
        assert set(scim.sent) == {FILTER}
        assert len(scim.members("Group a")) == 30


class ByFilter(Peculiar):
    """Shows members nowhere but in a list of users, by a filter."""

    everybody = False

    def _list(self, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        text = request.query.get("filter", "")
        if not text.startswith("groups.value eq "):
            return super()._list(held, request)
        there = self.groups.get(json.loads(text.removeprefix("groups.value eq ")), {}).get("members") or []
        ids = list(self.users) if self.everybody else [each["value"] for each in there]
        found = [{"id": id_, "userName": self.users[id_]["userName"]} for id_ in ids]
        return Reply(200, {"totalResults": len(found), "Resources": found})


@pytest.mark.parametrize("everybody", [False, True], ids=["filters", "ignores filters"])
def test_members_that_are_read_by_a_filter_are_looked_at_by_it(tmp_path: Path, everybody: bool) -> None:
    scim = ByFilter()
    scim.shows_members = False
    profile = replace(LIMITED, members_read="filter", put_groups=False)
    with three_in_a_group(tmp_path, scim, profile=profile) as world:
        assert leave(world, "1").results == {Result.APPLIED: 1}
        assert scim.members("Group a") == {"u2", "u3"}
        scim.ignores, scim.everybody = {FILTER}, everybody
        run = leave(world, "1", "2")
        # An endpoint that lists everybody, of a group that doesn't exist too, shows nothing.
        assert run.results == ({Result.APPLIED: 1} if everybody else {Result.INEFFECTIVE: 1})
        assert detail(run, Action.REMOVE_MEMBERS, "a").startswith("could not be" if everybody else "was answered")
        assert {REPLACE, PUT}.isdisjoint(scim.sent)


# -- refusals ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("status", [405, 500, 501])
def test_a_removal_that_is_refused_as_a_form_says_nothing_about_additions(tmp_path: Path, status: int) -> None:
    refuses = {FILTER: error(status, "not implemented")}
    with three_in_a_group(tmp_path, scim := Peculiar(ignores=[PUT, REPLACE], refuses=refuses), others=["4"]) as world:
        (outcome,) = leave(world, "1").outcomes
        assert (outcome.result, outcome.status) == (Result.FAILED, status)
        assert world.snapshot.members("a")[0] == {"1", "2", "3"}
        world.groups = [group("a", members=["1", "2", "3", "4"])]
        scim.sent.clear()
        assert world.push().results == {Result.APPLIED: 1}
        assert scim.sent == [ADD]
        world.target = replace(world.target, profile=replace(LIMITED, member_removal="values"))
        world.groups = [group("a", members=["2", "3", "4"])]
        scim.sent.clear()
        assert world.push().results == {Result.APPLIED: 1}
        assert scim.sent == [VALUES]
        assert scim.members("Group a") == {"u2", "u3", "u4"}


def test_a_list_of_values_is_not_sent_unless_the_profile_says_so(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar(ignores=[FILTER, REPLACE, PUT])) as world:
        leave(world, "1")
        assert VALUES not in scim.sent


def test_who_is_kept_in_the_group_keeps_nobody_else_in(tmp_path: Path) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar()) as world:
        owner = next(id_ for id_, user in scim.users.items() if user["userName"] == "u2")
        real = scim._route

        def keep_the_owner(request: Request) -> Reply:
            text = request.content.decode()
            if form_of(request) == FILTER and owner in text:
                return error(409, "the owner stays")
            if form_of(request) in (REPLACE, PUT) and owner not in text:
                return error(409, "the owner stays")
            return real(request)

        scim._route = keep_the_owner  # type: ignore[method-assign]
        run = leave(world, "1", "2", "3")
        assert said(run) == [
            ("remove_members", "a", "failed", 409, "refuses 1 of the members (2): the owner stays"),
        ]
        assert scim.members("Group a") == {"u2"}
        assert world.snapshot.members("a")[0] == {"2"}


@pytest.mark.parametrize("status", [400, 404, 409])
def test_adding_somebody_who_is_in_already_is_no_failure(tmp_path: Path, status: int) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar(), others=["4"]) as world:
        (held,) = scim.groups.values()
        held["members"].append({"value": world.snapshot.ids(Kind.USER, ["4"])["4"]})
        scim.refuses = {ADD: error(status, "is a member already")}
        world.groups = [group("a", members=["1", "2", "3", "4"])]
        assert results(world.push()) == {"add_members a": "applied"}
        assert world.snapshot.members("a")[0] == {"1", "2", "3", "4"}


@pytest.mark.parametrize("status", [400, 404, 409])
def test_removing_somebody_who_is_out_already_is_no_failure(tmp_path: Path, status: int) -> None:
    with three_in_a_group(tmp_path, scim := Peculiar()) as world:
        (held,) = scim.groups.values()
        held["members"] = held["members"][1:]
        scim.refuses = {FILTER: error(status, "is no member")}
        assert results(leave(world, "1")) == {"remove_members a": "applied"}
        assert world.snapshot.members("a")[0] == {"2", "3"}
        assert set(scim.sent) == {FILTER}


@pytest.mark.parametrize("form", [ADD, REPLACE])
def test_a_member_whom_nobody_has_any_more_keeps_nobody_out(tmp_path: Path, form: str) -> None:
    """The endpoint checks all members of a group whenever one is added, and some were deleted."""
    with three_in_a_group(tmp_path, scim := Peculiar(), others=["4"]) as world:
        (held,) = scim.groups.values()
        native = scim.add_user(userName="native")
        held["members"] += [{"value": "dead1"}, {"value": native}]
        real = scim._route
        if form is REPLACE:
            scim.ignores = {ADD}
            world.snapshot.discover({"patch": True, "shows_members": True})

        def check_everybody(request: Request) -> Reply:
            sent = form_of(request)
            if sent == ADD and form == ADD:
                return error(400, "a member does not exist")
            if sent in (REPLACE, PUT) and "dead1" in request.content.decode():
                return error(404, "a member does not exist")
            return real(request)

        scim._route = check_everybody  # type: ignore[method-assign]
        world.groups = [group("a", members=["1", "2", "3", "4"])]
        assert results(world.push()) == {"add_members a": "applied"}
        assert scim.members("Group a") == {"u1", "u2", "u3", "u4", "native"}


# -- members and types in requests -------------------------------------------------------------------


class Typed(Peculiar):
    """Demands the type of each member that is added."""

    def _route(self, request: Request) -> Reply:
        if form_of(request) == ADD and any("type" not in each for each in request.body["Operations"][0]["value"]):
            return error(400, "type is required", "invalidValue")
        return super()._route(request)


@pytest.mark.parametrize("member_type", [None, True])
def test_members_are_sent_with_their_type_where_the_profile_or_the_endpoint_asks_for_it(
    tmp_path: Path, member_type: bool | None
) -> None:
    profile = replace(LIMITED, member_type=member_type)
    with pushing(tmp_path, scim := Typed(), target_rules(NAME, profile=profile)) as world:
        world.rules = source_rules({"userName": "{uid}"}, nesting=Nesting.KEEP)
        world.hold(person("1"), person("2"))
        world.groups = [group("b"), group("a", members=["1"], subgroups=["b"])]
        world.settle()
        assert scim.sent == ([ADD] if member_type else [ADD, ADD])
        scim.requests.clear()
        world.groups = [group("b", members=["2"]), group("a", members=["1"], subgroups=["b"])]
        world.settle()
        assert scim.sent[-1:] == [ADD]
        types = {each["type"] for held in scim.groups.values() for each in held.get("members") or []}
        assert types == {"User", "Group"}


class Demanding(Peculiar):
    """Makes no group without a list of members."""

    said = "members is required"

    def _create(self, collection: str, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        if collection == "Groups" and "members" not in request.body:
            return error(400, self.said, "invalidValue")
        return super()._create(collection, held, request)


def test_a_group_is_made_with_an_empty_list_of_members_where_the_endpoint_asks_for_it(tmp_path: Path) -> None:
    with pushing(tmp_path, scim := Demanding()) as world:
        world.hold(person("1"))
        world.groups = [group("a", members=["1"])]
        world.settle()
        assert scim.members("Group a") == {"u1"}
        world.groups.append(group("b"))
        world.concurrency = 1
        assert world.push().results == {Result.APPLIED: 1}
        assert [request.body["members"] for request in scim.requests if request.method == "POST"] == [[]]


def test_a_group_is_made_with_an_empty_list_of_members_where_the_profile_says_so(tmp_path: Path) -> None:
    profile = replace(LIMITED, group_members_required=True)
    with pushing(tmp_path, scim := Endpoint(), target_rules(NAME, profile=profile)) as world:
        world.hold(person("1"))
        world.groups = [group("a")]
        world.push()
        assert [request.body.get("members") for request in scim.requests if request.method == "POST"] == [None, []]


def test_a_group_that_is_refused_for_another_reason_is_sent_once(tmp_path: Path) -> None:
    scim = Demanding()
    scim.said = "the name is too long"
    with pushing(tmp_path, scim) as world:
        world.groups = [group("a")]
        assert results(world.push()) == {"create_group a": "failed"}
        assert scim.log().count("POST /Groups") == 1


# -- groups in groups --------------------------------------------------------------------------------


class Numbering(Peculiar):
    """Numbers users and groups apart, and takes every member for a user."""

    def _create(self, collection: str, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        id_ = str(len(held) + 1)
        held[id_] = {**request.body, "id": id_}
        return Reply(201, held[id_])


@pytest.mark.parametrize("managed", [True, False], ids=["of somebody managed", "of the target's own"])
def test_a_group_whose_id_is_an_accounts_as_well_is_not_put_into_a_group(tmp_path: Path, managed: bool) -> None:
    with pushing(tmp_path, scim := Numbering()) as world:
        world.rules = source_rules({"userName": "{uid}"}, nesting=Nesting.KEEP)
        world.hold(person("1"), *([person("2")] if managed else []))
        world.settle()
        if not managed:
            scim.users["2"] = {"id": "2", "userName": "native"}
        world.concurrency = 1
        world.groups = [group("a", members=["1"], subgroups=["b"]), group("b")]
        run = world.push()
        why = detail(run, Action.ADD_MEMBERS, "a")
        assert results(run)["add_members a"] == "failed"
        assert why.startswith("not sent: b: an account ")
        assert [each["value"] for each in scim.groups["1"]["members"]] == ["1"]
        assert not scim.groups["2"].get("members")


def test_a_group_whose_id_is_nobody_elses_is_put_into_a_group(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.rules = source_rules({"userName": "{uid}"}, nesting=Nesting.KEEP)
        world.hold(person("1"))
        world.groups = [group("a", members=["1"]), group("b")]
        world.settle()
        world.groups = [group("a", members=["1"], subgroups=["b"]), group("b")]
        plan = world.plan()
        assert world.push(plan).results == {Result.APPLIED: 1}
        assert len(world.scim.requests) == plan.estimate.requests == 2
        assert world.scim.members("Group a") == {"u1", "Group b"}
