"""Values that an endpoint answers with success and doesn't take over: said, remembered, and not sent for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.core.model import State
from syncd.core.plan import Action, Plan, Result
from syncd.cycle.progress import Progress
from syncd.cycle.sync import make_plans
from tests.endpoints import Endpoint, Reply, Request
from tests.push.pushing import NAME, Pushing, detail, pushing, said
from tests.world import person

IGNORED = "not taken over by the target: title"
NOTHING_THERE = "was answered with success, and the target shows nothing there"


class Silent(Endpoint):
    """Forgets titles, and answers a PATCH with 204."""

    def __init__(self) -> None:
        super().__init__(forgets=("title",), silent=True)


def resync(world: Pushing) -> Plan:
    """Return the plan of a full resync."""
    target = world.reached()
    (planned,) = make_plans(replace(world.setup(), targets=(target,)), world.state, [target], Progress(), full=True)
    with world.state.atomic():
        for drift in planned.plan.drift:
            world.snapshot.observe(drift)
    return planned.plan


def test_drift_that_cannot_be_put_back_is_tried_once_and_then_known(tmp_path: Path) -> None:
    with pushing(tmp_path, Silent()) as world:
        world.hold(person("1", title="Dr"))
        world.push()
        assert not resync(world).drift, "what the endpoint made of it is known from its answer"
        known = world.snapshot.user("1")
        assert known is not None
        with world.state.atomic():
            world.snapshot.put_user(replace(known, kept_as={}))  # as after the state file was lost
        plan = resync(world)
        assert [drift.found for drift in plan.drift] == [{"title": None}]
        world.scim.requests.clear()
        run = world.push(plan)
        assert run.results == {Result.INEFFECTIVE: 1}
        assert detail(run, Action.UPDATE_USER, "1") == NOTHING_THERE
        again = resync(world)
        assert (again.drift, again.changes) == ((), ())


def test_it_is_said_and_nothing_follows_from_it(tmp_path: Path) -> None:
    with pushing(tmp_path, Silent()) as world:
        world.hold(person("1", title="Dr"))
        run = world.push()
        assert detail(run, Action.CREATE_USER, "1") == IGNORED
        known = world.snapshot.user("1")
        assert known is not None
        assert (known.attributes["title"], known.kept_as) == ("Dr", {"title": None})
        assert not world.plan().changes
        world.hold(person("1", title="Prof"))
        assert world.push().results == {Result.INEFFECTIVE: 1}, "another value is sent"
        assert not world.plan().changes, "once"


def test_an_attribute_that_is_kept_of_nobody_is_no_failure_any_more(tmp_path: Path) -> None:
    with pushing(tmp_path, Silent()) as world:
        everybody = [person(str(number)) for number in range(5)]
        world.hold(*everybody)
        world.settle()
        world.hold(*(person(str(number), title="Dr") for number in range(5)))
        world.concurrency = 1
        run = world.push()
        assert run.results == {Result.INEFFECTIVE: 3, Result.APPLIED: 2}
        assert [outcome.detail for outcome in run.outcomes] == [NOTHING_THERE] * 3 + [IGNORED] * 2
        world.hold(*(person(str(number), title="Prof") for number in range(5)))
        plan = world.plan()
        world.scim.requests.clear()
        run = world.push(plan)
        assert run.results == {Result.APPLIED: 5}
        assert run.requests == plan.estimate.requests == len(world.scim.requests)
        assert not world.plan().changes


class Deaf(Endpoint):
    """Answers updates with the account as it was. `methods`: the ones it is deaf to."""

    def __init__(self, *methods: str) -> None:
        super().__init__()
        self.methods = methods

    def answer(self, request: Request) -> Reply:
        if request.method in self.methods:
            return Reply(200, next(iter(self.users.values())))
        return super().answer(request)


def test_an_account_that_patch_does_not_switch_off_is_put(tmp_path: Path) -> None:
    with pushing(tmp_path, Deaf("PATCH")) as world:
        world.hold(person("1"), person("2"))
        world.settle()
        world.hold(person("1", status="left"), person("2"))
        assert said(world.push()) == [("deactivate_user", "1", "applied", 200, "")]
        assert world.scim.users["u1"]["active"] is False
        assert world.snapshot.discovery["dialect"]["forms"] == {"users.active": "put"}
        world.hold(person("1", status="left"), person("2", status="left"))
        plan = world.plan()
        world.scim.requests.clear()
        assert said(world.push(plan)) == [("deactivate_user", "2", "applied", 200, "")]
        assert world.scim.log() == ["GET /Users/u2", "PUT /Users/u2"]
        assert plan.estimate.requests == 2


def test_an_account_switched_off_and_still_active_is_a_failure(tmp_path: Path) -> None:
    with pushing(tmp_path, Deaf("PATCH", "PUT")) as world:
        world.hold(person("1"))
        world.settle()
        world.hold(person("1", status="left"))
        run = world.push()
        assert run.results == {Result.INEFFECTIVE: 1}
        assert "the account is still active" in run.outcomes[0].detail
        known = world.snapshot.user("1")
        assert known is not None
        assert known.state is State.ACTIVE
        assert [each.key for each in (q.change for q in world.state.quarantine(NAME).all())] == ["1"], (
            "tried ever more rarely"
        )
        assert world.snapshot.discovery.get("dialect", {"forms": {}})["forms"] == {}, "nothing had an effect"
