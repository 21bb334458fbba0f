"""A failure of one resource stops nobody else; a failure of the target stops everything."""

from __future__ import annotations

from itertools import count
from pathlib import Path

import pytest

from syncd.core.model import State
from syncd.core.plan import Action, Outcome, Result
from syncd.cycle.progress import Progress
from syncd.errors import StateUnwritable
from tests.endpoints import TOKEN, Endpoint, Reply, Request, error
from tests.push.pushing import detail, pushing, results, said
from tests.scim.asking import IMPATIENT
from tests.world import group, person


def refusing(endpoint: Endpoint, user_name: str, reply: Reply) -> None:
    """Let the endpoint refuse to create one person."""

    def hold(request: Request) -> None:
        if request.method == "POST" and request.body.get("userName") == user_name:
            endpoint.instead("POST", "/Users$", reply)

    endpoint.held = hold


def test_one_person_who_cannot_be_created_stops_nobody_else(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2", boss="3"), person("3"), person("4", boss="2"))
        world.groups = [group("a", members=["1", "2"]), group("b", members=["2"])]
        world.concurrency = 1
        refusing(world.scim, "u2", error(400, "this name is not allowed", "invalidValue"))
        run = world.push()
        assert said(run) == [
            ("create_user", "1", "applied", 201, ""),
            ("create_user", "2", "failed", 400, "this name is not allowed"),
            ("create_user", "3", "applied", 201, ""),
            ("create_user", "4", "applied", 201, ""),
            ("update_user", "2", "skipped", 0, "an earlier change of the same person did not succeed"),
            ("update_user", "4", "skipped", 0, "the manager 2 has no account"),
            ("create_group", "a", "applied", 201, ""),
            ("create_group", "b", "applied", 201, ""),
            ("add_members", "a", "applied", 200, "without 1 who has no account yet (2)"),
            ("add_members", "b", "skipped", 0, "the only member has no account"),
        ]
        assert run.error == ""
        assert world.scim.members("Group a") == {"u1"}
        world.scim.held = lambda _: None
        # The rest follows by itself once that is mended: the person, both references and both memberships.
        assert set(world.push().results) == {Result.APPLIED}
        assert world.scim.members("Group a") == {"u1", "u2"}
        assert world.scim.members("Group b") == {"u2"}
        assert not world.plan().changes


def test_a_group_that_cannot_be_created_has_its_members_skipped_not_refused(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.groups = [group("a", members=["1"]), group("b", members=["1"])]
        world.scim.instead("POST", "/Groups$", *[error(500, "no")] * IMPATIENT.attempts)
        world.concurrency = 1
        run = world.push()
        assert results(run) == {
            "create_user 1": "applied",
            "create_group a": "failed",
            "create_group b": "applied",
            "add_members a": "skipped",
            "add_members b": "applied",
        }
        assert detail(run, Action.ADD_MEMBERS, "a") == "the group could not be created"


def test_a_rename_that_is_refused_does_not_keep_anybody_in_the_group(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1", "2"])]
        world.settle()
        world.groups = [group("a", "Other", members=["1"])]
        world.scim.instead("PATCH", "/Groups/", error(409, "that name is taken"))
        world.concurrency = 1
        assert results(world.push()) == {"update_group a": "failed", "remove_members a": "applied"}
        assert world.scim.members("Group a") == {"u1"}


@pytest.mark.parametrize("reply", [error(500), error(503, "later"), Reply(200, b"<html>")])
def test_a_failed_change_leaves_the_snapshot_as_it_was_and_is_tried_again(tmp_path: Path, reply: Reply) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        before = world.snapshot.user("1")
        world.hold(person("1", title="Dr"))
        world.scim.refuse_updates("/Users/", reply)
        assert world.push().results == {Result.FAILED: 1}
        assert world.snapshot.user("1") == before
        world.scim.relent()
        assert world.push().results == {Result.APPLIED: 1}
        assert world.scim.by_name()["u1"]["title"] == "Dr"


# -- the target as a whole ---------------------------------------------------------------------------


@pytest.mark.parametrize(("concurrency", "refused"), [(1, 1), (4, 4)])
def test_a_token_refused_in_the_middle_stops_the_target(tmp_path: Path, concurrency: int, refused: int) -> None:
    taken = count()

    class Revoking(Endpoint):
        def answer(self, request: Request) -> Reply:
            return super().answer(request) if next(taken) < 8 else error(401, "the token is not accepted")

    with pushing(tmp_path, Revoking()) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(20)))
        world.concurrency = concurrency
        run = world.push()
        assert run.results[Result.APPLIED] == 8
        assert 1 <= run.results[Result.FAILED] <= refused
        assert run.results[Result.SKIPPED] == 12 - run.results[Result.FAILED]
        assert len(world.scim.requests) == run.requests == 8 + run.results[Result.FAILED]
        told = "refuses the token (401: the token is not accepted)"
        failed = [outcome.detail for outcome in run.outcomes if outcome.result is Result.FAILED]
        skipped = {outcome.detail for outcome in run.outcomes if outcome.result is Result.SKIPPED}
        assert failed == [told] * len(failed)
        assert skipped == {f"the target stopped: {told}"}
        assert run.error.startswith(f"target: {told}\n  see whether the token has expired")
        assert world.snapshot.counts()[State.ACTIVE] == 8
        kept = world.state.journal("target").run(run.number)
        assert kept is not None
        assert (kept.results, kept.error, kept.requests) == (run.results, run.error, run.requests)


def test_a_token_refused_at_once_costs_one_request(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.scim.instead("GET", "/ServiceProviderConfig$", error(401, "who are you?"))
        run = world.push()
        assert run.results == {Result.SKIPPED: 2}
        assert world.scim.log() == ["GET /ServiceProviderConfig"]
        assert TOKEN not in str(said(run)) + run.error


def test_a_redirect_to_another_host_stops_the_target(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.concurrency = 1
        world.hold(person("1"), person("2"))
        world.scim.instead("POST", "/Users$", Reply(307, None, {"Location": "https://stranger.example.com/Users"}))
        run = world.push()
        assert results(run) == {"create_user 1": "failed", "create_user 2": "skipped"}
        assert "put the final address into base_url" in run.error


def test_a_target_that_nobody_serves_has_everything_skipped(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        with Endpoint() as gone:
            pass
        world.scim.url = gone.url
        run = world.push()
        assert run.results == {Result.SKIPPED: 2}
        assert "can't be reached: the connection was refused" in run.error


def test_a_run_that_is_stopped_goes_on_where_it_was(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(str(number)) for number in range(6)))
        world.groups = [group("a", members=[str(number) for number in range(6)])]
        world.token = "wrong"
        assert world.push().results == {Result.SKIPPED: 8}
        world.token = TOKEN
        world.settle()
        assert world.scim.members("Group a") == {f"u{number}" for number in range(6)}


# -- the state file ----------------------------------------------------------------------------------


class Failing(Progress):
    """Lets the state file refuse to be written once so many outcomes are told."""

    def __init__(self, fail: object, after: int) -> None:
        self._fail = fail
        self._left = after

    def outcome(self, target: str, outcome: Outcome) -> None:
        self._left -= 1
        if self._left == 0:
            assert callable(self._fail)
            self._fail()


def test_a_state_file_that_cannot_be_written_stops_the_push_before_the_next_request(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(9)))
        world.groups = [group("a", members=["0"])]
        world.concurrency = 1
        world.progress = Failing(lambda: world.state.db.conn.execute("PRAGMA query_only = ON"), after=3)
        with pytest.raises(StateUnwritable, match=r"syncd\.db: attempt to write a readonly database"):
            world.push()
        # The outcome of the third could not be written down: nothing was sent after it.
        assert len(world.scim.requests) == 3
        world.state.db.conn.execute("PRAGMA query_only = OFF")
        assert sorted(known.key for known in map(world.snapshot.user, map(str, range(9))) if known) == ["0", "1"]
        world.progress = Progress()
        assert world.look() == 0
        run = world.push()
        assert set(run.results) == {Result.APPLIED}
        assert "create_user 2" not in results(run)
        assert len(world.scim.users) == 9


def test_side_by_side_nothing_new_is_sent_once_the_state_file_fails(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(40)))
        world.groups = [group("a", members=["0"])]
        world.concurrency = 4
        world.progress = Failing(lambda: world.state.db.conn.execute("PRAGMA query_only = ON"), after=3)
        with pytest.raises(StateUnwritable):
            world.push()
        assert len(world.scim.requests) <= 3 + 4
        assert not [line for line in world.scim.log() if line != "POST /Users"]


# -- nothing to do -----------------------------------------------------------------------------------


def test_a_quiet_run_sends_nothing_and_reads_no_token(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1", boss="2"), person("2"))
        world.groups = [group("a", members=["1", "2"])]
        world.settle()
        world.tokens_read = 0
        run = world.push()
        assert (run.requests, run.outcomes, world.scim.requests, world.tokens_read) == (0, (), [], 0)
