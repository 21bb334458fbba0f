"""Creates with an unknown outcome, at endpoints that keep no name unique: nothing is made twice."""

from __future__ import annotations

import json
from collections.abc import Callable
from dataclasses import replace
from datetime import UTC, datetime, timedelta
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Kind, State
from syncd.core.plan import UNRECOVERED, Action, Result, Run
from syncd.scim.profiles import Profile
from tests.endpoints import CORE_GROUP, Endpoint, Reply, Request, error
from tests.push.pushing import NAME, PROFILE, Pushing, detail, pushing, results, said
from tests.world import group, person, target_rules

CANT_TELL = "the target can't be asked what became of it"


class Lenient(Endpoint):
    """Makes whatever it is asked to make, as often as it is asked. What is in `answers` is said of the next creates
    instead of what came of them; what `looks` returns, when something is looked up; what `lists` returns, of lists."""

    def __init__(self, *answers: Reply, dated: bool = True, **options: Any) -> None:
        super().__init__(**options)
        self.answers = list(answers)
        self.dated = dated
        self.looks: Callable[[Request], Reply | None] = lambda _: None
        self.lists: Callable[[Request], Reply | None] = lambda _: None

    def _create(self, collection: str, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        made = self._kept(request.body) | {"id": f"{collection[0].lower()}{len(held) + 1}"}
        if self.dated:
            made["meta"] = {"created": datetime.now(UTC).isoformat()}
        held[made["id"]] = made
        return self.answers.pop(0) if self.answers else Reply(201, made)

    def _list(self, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        instead = self.looks if "filter" in request.query else self.lists
        return instead(request) or super()._list(held, request)

    def posts(self) -> int:
        return sum(request.method == "POST" for request in self.requests)


def always(reply: Reply) -> Callable[[Request], Reply | None]:
    return lambda _: reply


def one_new(world: Pushing) -> Run:
    """Push one new person."""
    world.learnt(patch=True)
    world.hold(person("1"))
    return world.push()


def assert_in_line(world: Pushing) -> None:
    """Fail unless one run is enough now for everybody to be there once."""
    assert world.look() == 0
    assert {outcome.result for outcome in world.push().outcomes} <= {Result.APPLIED}
    assert not world.plan().changes
    names = [user["userName"] for user in world.scim.users.values()]
    assert len(names) == len(set(names)), "somebody was made twice"


# -- who can't be looked up --------------------------------------------------------------------------

NO_ANSWERS = [
    *[error(status, "what?") for status in (400, 403, 404, 500, 501)],
    Reply(200, {"totalResults": 7, "Resources": [{"id": "x", "userName": "other", "externalId": "other"}]}),
    Reply(200, []),
]


@pytest.mark.parametrize("looks", NO_ANSWERS)
def test_a_person_who_cannot_be_looked_up_is_found_in_the_list_before_anything_is_sent_again(
    tmp_path: Path, looks: Reply
) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh"))) as world:
        world.scim.looks = always(looks)
        run = one_new(world)
        assert said(run) == [("create_user", "1", "failed", 500, f"oh; looking for it: {CANT_TELL}")]
        assert world.scim.posts() == 1
        kept = world.state.journal(NAME).run(run.number)
        assert kept is not None
        assert kept.outcomes == run.outcomes
        assert run.outcomes[0].open
        assert_in_line(world)
        assert world.scim.posts() == 1


def test_one_attribute_that_answers_is_enough(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.scim.looks = lambda request: error(400) if "externalId" in request.query["filter"] else None
        world.scim.instead("POST", "/Users$", error(500, "not done"))
        assert one_new(world).results == {Result.APPLIED: 1}
        assert len(world.scim.users) == 1


@pytest.mark.parametrize("done", [True, False])
def test_where_the_list_cannot_tell_either_a_plain_run_leaves_it_and_a_full_one_goes_by_what_it_read(
    tmp_path: Path, done: bool
) -> None:
    with pushing(tmp_path, Lenient()) as world:
        if done:
            world.scim.answers = [error(500, "oh")]
        else:
            world.scim.instead("POST", "/Users$", error(500, "oh"))
        world.scim.looks = always(error(501))
        one_new(world)
        world.scim.lists = always(error(500, "later"))
        assert world.look() == 1
        assert said(world.push()) == [("create_user", "1", "skipped", 0, UNRECOVERED)]
        assert world.look() == 1
        world.scim.requests.clear()
        world.push()
        assert world.scim.requests == []
        world.scim.lists = lambda _: None
        if done:
            assert_in_line(world)
        else:
            assert said(world.push(read_just_now=True)) == [("create_user", "1", "applied", 201, "")]
            assert_in_line(world)
        assert len(world.scim.users) == 1


def test_a_list_that_may_lack_some_proves_nobodys_absence(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.scim.looks = always(error(501))
        world.scim.instead("POST", "/Users$", error(500, "oh"))
        one_new(world)
        world.scim.lists = always(Reply(200, {"totalResults": 5, "Resources": [{"id": "x"}]}))
        assert world.look() == 1
        world.scim.lists = lambda _: None
        assert world.look() == 0
        assert one_new(world).results == {Result.APPLIED: 1}


def test_all_that_is_open_takes_one_list(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient(*[error(500, "oh")] * 6)) as world:
        world.learnt(patch=True)
        world.scim.looks = always(error(501))
        world.hold(*(person(str(number)) for number in range(6)))
        assert world.push().results == {Result.FAILED: 6}
        world.scim.lists = always(error(422, "later"))
        world.scim.requests.clear()
        assert world.look() == 6
        assert [request.path for request in world.scim.requests if "filter" not in request.query] == ["/scim/v2/Users"]
        world.scim.lists = lambda _: None
        world.scim.requests.clear()
        assert world.look() == 0
        assert [request.path for request in world.scim.requests if "filter" not in request.query] == ["/scim/v2/Users"]
        assert_in_line(world)


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_refused_while_it_is_looked_up_leaves_it_open(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh"))) as world:
        world.scim.looks = world.scim.lists = always(error(status, "not you"))
        run = one_new(world)
        assert run.error.startswith(f"target: refuses the token ({status}: not you)")
        assert said(run) == [
            ("create_user", "1", "failed", 500, f"oh; looking for it: refuses the token ({status}: not you)")
        ]
        world.scim.looks = world.scim.lists = lambda _: None
        assert_in_line(world)
        assert world.scim.posts() == 1


def test_when_it_was_sent_is_remembered_however_long_it_was_looked_for(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh"))) as world:
        before = datetime.now(UTC)
        world.scim.looks = always(error(501))
        one_new(world)
        journal = world.state.journal(NAME)
        (intent,) = journal.intents()
        sent = next(i for i, request in enumerate(world.scim.requests) if request.method == "POST")
        assert len(world.scim.requests) > sent + 1, "it was looked for"
        late = before + timedelta(days=1)
        with world.state.atomic():
            outcome = journal.outcomes_of(intent.change.action.kind, "1", 1)[0].outcome
            journal.record(intent.run, outcome, late, intent.id)
        assert journal.intents()[0].at == intent.at
        with world.state.atomic():
            journal.record(intent.run, replace(outcome, open=False), late, intent.id)
        assert journal.outcomes_of(intent.change.action.kind, "1", 1)[0].at == late


# -- what was made, and then something failed --------------------------------------------------------


def test_an_account_made_and_not_read_back_is_not_made_again(tmp_path: Path) -> None:
    rules = target_rules(NAME, profile=PROFILE, verified=["example.com"])
    with pushing(tmp_path, Lenient(), rules) as world:
        world.learnt(patch=True)
        world.hold(person("1", "out@elsewhere.net"))
        shown = {"id": "u1", "userName": "out@elsewhere.net", "externalId": "1", "active": True}
        world.scim.answers = [Reply(201, shown)]
        world.scim.instead("GET", "/Users/", error(500, "later"))
        run = world.push()
        assert said(run) == [("create_user", "1", "failed", 500, "later")]
        assert_in_line(world)
        assert world.scim.posts() == 1
        known = world.snapshot.user("1")
        assert known is not None
        assert known.state is State.PENDING


@pytest.mark.parametrize("status", [400, 500])
def test_an_account_found_and_not_brought_into_line_is_not_made_again(tmp_path: Path, status: int) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh"), forgets=("title",))) as world:
        world.learnt(patch=True)
        world.hold(person("1", title="Dr"))
        world.scim.instead("PATCH", "/Users/", *[error(status, "not now")] * 3)
        world.scim.instead("PUT", "/Users/", error(status, "not now"))
        assert said(world.push()) == [("create_user", "1", "failed", status, "not now")]
        assert not world.state.quarantine(NAME).all(), "what it was about is for the next run to say"
        world.scim.forgets = ()
        world.scim.relent()
        assert_in_line(world)
        assert world.scim.posts() == 1
        assert world.scim.users["u1"]["title"] == "Dr"


def test_an_account_that_was_made_on_and_is_protected_meanwhile_is_not_made_again(tmp_path: Path) -> None:
    class AlwaysOn(Lenient):
        def _kept(self, body: dict[str, Any]) -> dict[str, Any]:
            return super()._kept(body) | {"active": True}

    rules = target_rules(NAME, profile=PROFILE, verified=["example.com"])
    with pushing(tmp_path, AlwaysOn(error(500, "oh")), rules) as world:
        world.learnt(patch=True)
        world.hold(person("1", "out@elsewhere.net"))
        plan = world.plan()
        world.target = replace(world.target, protect=frozenset({"1"}))
        why = "protected: the configuration names 1 in `protect`"
        assert said(world.push(plan)) == [("create_user", "1", "failed", 0, why)]
        assert world.look() == 0
        assert world.snapshot.key_of(Kind.USER, "u1") == "1"
        assert world.scim.posts() == 1
        assert world.scim.users["u1"]["active"] is True


def test_an_account_made_and_answered_as_another_is_found(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.learnt(patch=True)
        world.concurrency = 1
        world.hold(person("1"), person("2"))
        for key, other in (("1", "2"), ("2", "1")):
            shown = {"id": f"u{other}", "userName": f"u{other}", "externalId": other}
            world.scim.answers.append(Reply(201, shown, {"Location": f"/Users/u{key}"}))
        run = world.push()
        assert [(line[1], line[2], line[4]) for line in said(run)] == [
            ("1", "applied", "its id was looked up"),
            ("2", "applied", "its id was looked up"),
        ]
        assert [world.snapshot.key_of(Kind.USER, f"u{key}") for key in ("1", "2")] == ["1", "2"]
        assert world.scim.posts() == 2


@pytest.mark.parametrize(
    "shown",
    [
        {"userName": "u1", "externalId": "an id of their own"},
        {"userName": "u1.of.ours", "externalId": "1"},
        {"userName": "u1.of.ours"},
        {"userName": "U1", "externalId": "x"},
    ],
)
def test_an_endpoint_with_marks_or_names_of_its_own_is_believed(tmp_path: Path, shown: dict[str, str]) -> None:
    with pushing(tmp_path, Lenient(Reply(201, {"id": "u1", **shown}))) as world:
        assert results(one_new(world)) == {"create_user 1": "applied"}
        assert world.scim.log() == ["POST /Users"]


@pytest.mark.parametrize("answer", [Reply(201), Reply(202, {})])
def test_an_account_made_without_an_id_and_not_looked_up_is_not_made_again(tmp_path: Path, answer: Reply) -> None:
    with pushing(tmp_path, Lenient(answer)) as world:
        world.scim.looks = always(error(400, "what?"))
        assert results(one_new(world)) == {"create_user 1": "failed"}
        assert_in_line(world)
        assert world.scim.posts() == 1


def test_a_web_page_as_the_answer_to_a_create_stops_the_target_and_leaves_it_open(tmp_path: Path) -> None:
    page = Reply(200, b"<html>sign in", {"Content-Type": "text/html"})
    with pushing(tmp_path, Lenient(page)) as world:
        run = one_new(world)
        assert "answers with an HTML page" in run.error
        assert results(run) == {"create_user 1": "failed"}
        assert_in_line(world)
        assert world.scim.posts() == 1


# -- groups ------------------------------------------------------------------------------------------

BY_NAME = replace(PROFILE, group_filters=("displayName",))
WITHOUT_MARK = replace(BY_NAME, group_external_id=False)


def of(profile: Profile) -> Any:
    return target_rules(NAME, profile=profile)


def one_new_group(world: Pushing) -> Run:
    world.learnt(patch=True)
    world.groups = [group("a")]
    return world.push()


@pytest.mark.parametrize("profile", [PROFILE, BY_NAME])
@pytest.mark.parametrize("looks", NO_ANSWERS)
def test_a_group_that_cannot_be_looked_up_is_found_in_the_list(tmp_path: Path, profile: Profile, looks: Reply) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh")), of(profile)) as world:
        world.scim.looks = always(looks)
        assert said(one_new_group(world)) == [("create_group", "a", "applied", 200, "its id was looked up")]
        assert (world.scim.posts(), len(world.scim.groups)) == (1, 1)
        assert not world.plan().changes


def test_a_list_of_groups_that_may_lack_some_leaves_it_open(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh")), of(BY_NAME)) as world:
        world.scim.lists = always(Reply(200, {"totalResults": 2, "Resources": [{"id": "x", "displayName": "x"}]}))
        run = one_new_group(world)
        assert detail(run, Action.CREATE_GROUP, "a") == f"oh; looking for it: {CANT_TELL}"
        world.scim.lists = lambda _: None
        assert_in_line(world)
        assert len(world.scim.groups) == 1


def test_a_group_without_mark_that_does_not_say_when_it_was_made_is_left_open(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh"), dated=False), of(WITHOUT_MARK)) as world:
        run = one_new_group(world)
        assert results(run) == {"create_group a": "failed"}
        assert "nothing tells whether it is this one" in detail(run, Action.CREATE_GROUP, "a")
        assert world.look() == 1
        assert said(world.push()) == [("create_group", "a", "skipped", 0, UNRECOVERED)]
        assert len(world.scim.groups) == 1


def test_of_two_groups_of_one_name_the_one_that_was_made_just_now_is_it(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient(error(500, "oh")), of(WITHOUT_MARK)) as world:
        world.learnt(patch=True)
        world.groups = [group("a")]
        plan = world.plan()
        old = (datetime.now(UTC) - timedelta(days=9)).isoformat()
        world.scim.add_group(displayName="Group a", schemas=[CORE_GROUP], meta={"created": old})
        assert results(world.push(plan)) == {"create_group a": "applied"}
        known = world.snapshot.group("a")
        assert known is not None
        assert (known.id, world.scim.posts()) == ("g2", 1)


# -- what is left when a target stops ----------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 4])
def test_changes_not_sent_when_a_target_asks_to_be_left_alone_are_skipped_and_not_open(
    tmp_path: Path, concurrency: int
) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(9)))
        world.concurrency = concurrency
        world.scim.instead("POST", "/Users$", *[Reply(429, None, {"Retry-After": "3600"})] * 9)
        run = world.push()
        assert run.results == {Result.FAILED: 1, Result.SKIPPED: 8}
        assert "asks to be left alone for 3600 s" in run.error
        assert world.state.journal(NAME).intents() == []
        world.scim.relent()
        assert_in_line(world)


def test_a_create_that_may_have_been_done_when_the_target_asks_to_be_left_alone_is_open(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient(Reply(503, None, {"Retry-After": "3600"}))) as world:
        run = one_new(world)
        assert "asks to be left alone for 3600 s" in run.error
        assert_in_line(world)
        assert world.scim.posts() == 1


# -- what fails again and again ----------------------------------------------------------------------


def test_a_target_that_only_ever_fails_to_write_is_left_alone(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(40)))
        world.groups = [group("a")]
        world.concurrency = 1
        world.scim.instead("POST", "/", *[error(500, "broken")] * 999)
        run = world.push()
        assert run.results == {Result.FAILED: 20, Result.SKIPPED: 21}
        assert "fails every change, 20 in a row; the last: 500 broken" in run.error
        assert "the target stopped: " in detail(run, Action.CREATE_GROUP, "a")
        stop = world.snapshot.stop
        assert stop is not None
        assert stop.cause == "failing"
        for full in (False, True):  # that it can be read is nothing new: it is the same incident
            world.push(read_just_now=full)
            assert world.snapshot.stop == stop
        world.scim.relent()
        assert_in_line(world)
        assert world.snapshot.stop is None


def test_an_action_that_fails_again_and_again_keeps_no_other_from_being_done(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        leavers = [person(f"l{number}") for number in range(3)]
        world.hold(*leavers)
        world.settle()
        world.concurrency = 1
        world.hold(
            *(person(each.key, status="left") for each in leavers), *(person(str(number)) for number in range(40))
        )
        world.groups = [group("a", members=["l1"])]
        world.scim.instead("POST", "/Users$", *[error(500, "broken")] * 999)
        run = world.push()
        assert run.error == ""
        assert [line[:3] for line in said(run) if line[2] == "applied"] == [
            *(("deactivate_user", f"l{number}", "applied") for number in range(3)),
            ("create_group", "a", "applied"),
            ("add_members", "a", "applied"),
        ]
        skipped = [outcome for outcome in run.outcomes if outcome.result is Result.SKIPPED]
        assert len(skipped) == 20
        assert {outcome.detail for outcome in skipped} == {"20 like it failed in a row; the last: 500 broken"}
        world.scim.relent()
        assert_in_line(world)


def test_many_at_whom_an_endpoint_chokes_do_not_keep_those_after_them_out_for_ever(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.learnt(patch=True)
        bad, good = ([f"{letter}{number:02}" for number in range(45)] for letter in "ab")
        world.hold(*map(person, [*bad, *good]))
        world.concurrency = 1

        def choke(request: Request) -> None:
            if request.method == "POST" and json.loads(request.content)["externalId"] in bad:
                world.scim.instead("POST", "/Users$", error(500, "broken"))

        world.scim.held = choke
        for tried in (bad[:20], bad[20:40]):
            run = world.push()
            assert "fails every change, 20 in a row" in run.error
            assert [outcome.change.key for outcome in run.outcomes if outcome.result is Result.FAILED] == tried
            assert world.look() == 0
        run = world.push()
        assert run.error == ""
        assert {user["externalId"] for user in world.scim.users.values()} == set(good)


def test_one_that_succeeds_in_between_keeps_the_others_going(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.learnt(patch=True)
        world.hold(*(person(f"{number:02}") for number in range(40)))
        world.concurrency = 1

        def refuse(request: Request) -> None:
            if request.method == "POST" and json.loads(request.content)["externalId"] not in ("10", "25"):
                world.scim.instead("POST", "/Users$", error(500, "broken"))

        world.scim.held = refuse
        run = world.push()
        assert run.error == ""
        assert run.results == {Result.APPLIED: 2, Result.FAILED: 38}


# -- an account that comes switched off --------------------------------------------------------------


def test_an_account_that_is_made_and_shown_as_off_is_said(tmp_path: Path) -> None:
    with pushing(tmp_path, Lenient()) as world:
        world.scim.answers = [Reply(201, {"id": "u1", "userName": "u1", "externalId": "1", "active": False})]
        assert said(one_new(world)) == [
            ("create_user", "1", "applied", 201, "not taken over by the target: active"),
        ]
        known = world.snapshot.user("1")
        assert known is not None
        assert known.kept_as == {}
