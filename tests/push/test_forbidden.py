"""Refusals with 403: of one person, of a kind of change, of everything; what stops, and what goes on."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path

import pytest

from syncd.core.plan import Result
from tests.endpoints import TOKEN, Endpoint, Reply, Request, error
from tests.push.pushing import NAME, Pushing, pushing, results, said
from tests.world import group, person

PAGE = Reply(403, b"<html><title>Access Denied - Cloud Firewall</title></html>", {"Content-Type": "text/html"})
CREATE = ("POST", "/Users")


class Guarded(Endpoint):
    """Refuses what `forbids` refuses, and does the rest."""

    def __init__(self) -> None:
        super().__init__()
        self.forbids: Callable[[Request], Reply | None] = lambda _: None

    def answer(self, request: Request) -> Reply:
        return self.forbids(request) or super().answer(request)


def writes_to(method: str, path: str, reply: Reply) -> Callable[[Request], Reply | None]:
    return lambda request: reply if request.method == method and path in request.path else None


def leaving(world: Pushing, *keys: str) -> None:
    """Hold five people who are there, of whom some are to leave."""
    world.learnt(patch=True)
    world.hold(*(person(str(number)) for number in range(5)))
    world.settle()
    world.hold(*(person(str(number), status="left" if str(number) in keys else "here") for number in range(5)))
    world.scim.requests.clear()


@pytest.mark.parametrize(
    ("reply", "words"), [(error(403, "the owner stays"), "the owner stays"), (PAGE, "Access Denied - Cloud Firewall")]
)
def test_one_person_who_may_not_be_changed_stops_nobody_else(tmp_path: Path, reply: Reply, words: str) -> None:
    scim = Guarded()
    with pushing(tmp_path, scim) as world:
        leaving(world, "1", "3")
        id_ = world.snapshot.user("1").id  # type: ignore[union-attr]
        scim.forbids = writes_to("PATCH", f"/Users/{id_}", reply)
        run = world.push()
        assert results(run) == {"deactivate_user 1": "failed", "deactivate_user 3": "applied"}
        assert said(run)[0] == ("deactivate_user", "1", "failed", 403, words)
        assert (run.error, world.snapshot.stop) == ("", None)
        (kept,) = world.state.quarantine(NAME).all()
        assert (kept.change.key, kept.status, kept.detail) == ("1", 403, words)
        assert run.reads == 1, "one small read told it apart from a refused token"


def test_a_member_who_may_not_be_added_keeps_no_other_group_waiting(tmp_path: Path) -> None:
    scim = Guarded()
    with pushing(tmp_path, scim) as world:
        world.learnt(patch=True)
        world.hold(person("1"), person("2"))
        world.groups = [group("a"), group("b")]
        world.settle()
        world.groups = [group("a", members=["1"]), group("b", members=["2"])]
        id_ = world.snapshot.group("a").id  # type: ignore[union-attr]
        scim.forbids = writes_to("PATCH", f"/Groups/{id_}", error(403, "managed elsewhere"))
        run = world.push()
        assert results(run) == {"add_members a": "failed", "add_members b": "applied"}
        assert scim.members("Group b") == {"u2"}


def test_a_token_that_may_not_create_still_switches_off_leavers(tmp_path: Path) -> None:
    scim = Guarded()
    with pushing(tmp_path, scim) as world:
        leaving(world, "1")
        world.hold(*(person(str(number), status="left" if number == 1 else "here") for number in range(30)))
        world.concurrency = 1
        scim.forbids = writes_to(*CREATE, error(403, "insufficient scope"))
        run = world.push()
        assert run.results == {Result.APPLIED: 1, Result.FAILED: 3, Result.SKIPPED: 22}
        assert {outcome.detail for outcome in run.outcomes if outcome.result is Result.SKIPPED} == {
            "this token may not create users (403 for 3 people: insufficient scope)"
        }
        assert world.scim.log().count("POST /Users") == 3
        assert (run.error, world.snapshot.stop) == ("", None)
        quarantined = {each.change.key for each in world.state.quarantine(NAME).all()}
        assert quarantined == {outcome.change.key for outcome in run.outcomes if outcome.result is Result.FAILED}


def test_the_next_run_asks_again_first_of_others(tmp_path: Path) -> None:
    scim = Guarded()
    with pushing(tmp_path, scim) as world:
        world.learnt(patch=True)
        world.hold(*(person(f"{number:02}") for number in range(10)))
        world.concurrency = 1
        scim.forbids = writes_to(*CREATE, error(403))
        tried = [{each.change.key for each in world.push().outcomes if each.result is Result.FAILED} for _ in range(2)]
        assert tried == [{"00", "01", "02"}, {"03", "04", "05"}]


@pytest.mark.parametrize("status", [401, 403])
def test_a_token_that_is_revoked_in_the_middle_stops_the_target_and_quarantines_nobody(
    tmp_path: Path, status: int
) -> None:
    scim = Guarded()
    with pushing(tmp_path, scim) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(20)))
        world.concurrency = 1
        scim.forbids = lambda request: error(status, "revoked") if len(scim.users) >= 5 else None
        run = world.push()
        assert run.results == {Result.APPLIED: 5, Result.FAILED: 1, Result.SKIPPED: 14}
        assert run.error.startswith(f"target: refuses the token ({status}: revoked)")
        assert world.snapshot.stop is not None
        assert world.snapshot.stop.cause == "refused"
        assert world.state.quarantine(NAME).all() == []
        scim.forbids = lambda _: None
        world.settle()
        assert len(scim.users) == 20


def test_a_token_without_any_right_to_write_is_not_tried_at_everybody(tmp_path: Path) -> None:
    scim = Guarded()
    with pushing(tmp_path, scim) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(30)))
        world.groups = [group(f"g{number}", members=["1"]) for number in range(30)]
        world.concurrency = 1
        scim.forbids = lambda request: None if request.method == "GET" else error(403, "read only")
        run = world.push()
        assert run.results == {Result.FAILED: 6, Result.SKIPPED: 84}
        assert run.writes == 6
        assert TOKEN not in str(run)
