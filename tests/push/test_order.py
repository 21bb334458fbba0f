"""Order: each phase waits for the one before it, and some requests are never in flight together."""

from __future__ import annotations

from pathlib import Path

from syncd.core.plan import Result
from tests.endpoints import Endpoint, Gate, Request
from tests.push.pushing import Pushing, meanwhile, pushing, results, said
from tests.world import group, person


def phase(request: Request) -> str:
    """Return which part of a push a request belongs to, by nothing but the request."""
    collection = request.path.split("/")[3]
    if request.method == "DELETE":
        return "deletions"
    if request.method == "GET":
        return "look-ups"
    text = request.content.decode()
    if collection == "Groups":
        if '"members' not in text:
            return "groups"
        return "members leave" if '"remove"' in text else "members join"
    if '"path":"active","value":false' in text:
        return "deactivations"
    return "managers" if "manager" in text else "users"


def play_everything(world: Pushing) -> None:
    """Leave a source behind that differs from the target in every way there is."""
    world.hold(person("1", boss="2"), person("2"), person("3"), person("4"), person("5"))
    world.groups = [group("a", members=["1", "2"]), group("b", members=["3", "4"]), group("c", members=["1"])]
    world.settle()
    world.hold(
        person("1", boss="6"),
        person("2", "renamed"),
        person("3", status="left"),
        person("4", title="Dr"),
        person("6"),
        person("7", boss="6"),
    )
    world.groups = [
        group("a", "Renamed", members=["1", "6"]),
        group("b", members=["4", "7"]),
        group("d", members=["6", "7"]),
    ]


def test_one_after_the_other_the_requests_come_in_this_order(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        play_everything(world)
        world.concurrency = 1
        run = world.push()
        assert set(run.results) == {Result.APPLIED}
        phases = [phase(request) for request in world.scim.requests]
        assert [f"{name}: {line}" for name, line in zip(phases, world.scim.log(), strict=True)] == [
            "deactivations: PATCH /Users/u3",
            "deactivations: PATCH /Users/u5",
            "users: PATCH /Users/u2",
            "users: PATCH /Users/u4",
            "users: POST /Users",
            "users: POST /Users",
            "managers: PATCH /Users/u1",
            "managers: PATCH /Users/u10",
            "look-ups: GET /Groups",
            "groups: POST /Groups",
            "groups: PATCH /Groups/g6",
            "members leave: PATCH /Groups/g7",
            "members leave: PATCH /Groups/g6",
            "members join: PATCH /Groups/g7",
            "members join: PATCH /Groups/g11",
            "members join: PATCH /Groups/g6",
            "deletions: DELETE /Groups/g8",
            "look-ups: GET /Groups/g8",
        ]


def test_side_by_side_no_phase_begins_before_the_last_has_ended(tmp_path: Path) -> None:
    order = ["deactivations", "users", "managers", "look-ups", "groups", "members leave", "members join", "deletions"]
    with pushing(tmp_path, Endpoint()) as world:
        play_everything(world)
        world.concurrency = 16
        assert set(world.push().results) == {Result.APPLIED}
        places = [order.index(phase(request)) for request in world.scim.requests]
        looked_up = order.index("look-ups")
        assert [place for place in places if place != looked_up] == sorted(p for p in places if p != looked_up)


def test_nobody_is_created_while_a_leaver_still_has_access(tmp_path: Path) -> None:
    gate = Gate(lambda request: request.method == "PATCH")

    def look() -> None:
        gate.wait_for(1)
        assert [request.method for request in world.scim.requests] == ["PATCH"]
        gate.open()

    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.settle()
        world.hold(person("1", status="left"), person("2"), person("3"), person("4"))
        world.scim.held = gate.hold
        with meanwhile(look):
            run = world.push()
        assert results(run) == {
            "deactivate_user 1": "applied",
            "create_user 3": "applied",
            "create_user 4": "applied",
        }


def test_as_many_requests_are_under_way_as_allowed_and_no_more(tmp_path: Path) -> None:
    gate = Gate(lambda request: request.method == "POST")

    def let_them_through() -> None:
        gate.wait_for(5)
        gate.open()

    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        world.hold(*(person(str(number)) for number in range(40)))
        world.scim.held = gate.hold
        world.concurrency = 5
        with meanwhile(let_them_through):
            run = world.push()
        assert run.results == {Result.APPLIED: 40}
        assert world.scim.most_at_once == 5


def test_one_resource_never_has_two_requests_under_way(tmp_path: Path) -> None:
    gate = Gate()

    def crowd() -> None:
        gate.wait_for(16)
        gate.open()

    with pushing(tmp_path, Endpoint(patch=False, announces_patch=False)) as world:
        play_everything(world)
        world.hold(*(person(str(number), boss="6", title="Dr") for number in range(1, 30)))
        world.groups = [group(key, members=[str(n) for n in range(1, 30)]) for key in "abd"]
        world.concurrency = 16
        world.scim.held = gate.hold
        with meanwhile(crowd):
            run = world.push()
        assert set(run.results) == {Result.APPLIED}, said(run)
        assert world.scim.most_at_once == 16
        assert world.scim.overlapping == []


def test_outcomes_are_told_as_they_happen_and_returned_in_the_plans_order(tmp_path: Path) -> None:
    told: list[str] = []
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(*(person(str(number)) for number in range(9)))
        world.progress.outcome = lambda _, outcome: told.append(outcome.change.key)  # type: ignore[method-assign]
        plan = world.plan()
        run = world.push(plan)
        assert [outcome.change for outcome in run.outcomes] == list(plan.changes)
        assert sorted(told) == [str(number) for number in range(9)]
        assert {outcome.status for outcome in run.outcomes} == {201}
