"""Values that an endpoint answers with success and doesn't take over: said, remembered, and not sent for ever."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.core.model import State
from syncd.core.plan import Action, Plan, Result
from syncd.cycle.progress import Progress
from syncd.cycle.sync import make_plans
from tests.endpoints import Endpoint, Reply, Request
from tests.push.pushing import Pushing, detail, pushing
from tests.world import person

IGNORED = "not taken over by the target: title"


class Silent(Endpoint):
    """Forgets titles, and answers a PATCH with 204."""

    def __init__(self) -> None:
        super().__init__(forgets=("title",))


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
        assert detail(run, Action.UPDATE_USER, "1") == IGNORED
        assert world.scim.log() == ["PATCH /Users/u1", "GET /Users/u1"]
        assert run.requests == plan.estimate.requests
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
        assert world.push().results == {Result.APPLIED: 1}, "another value is sent"
        assert not world.plan().changes


def test_an_account_switched_off_and_still_active_is_a_failure(tmp_path: Path) -> None:
    class Deaf(Endpoint):
        """Answers every PATCH with the account as it was."""

        def answer(self, request: Request) -> Reply:
            if request.method == "PATCH":
                return Reply(200, next(iter(self.users.values())))
            return super().answer(request)

    with pushing(tmp_path, Deaf()) as world:
        world.learnt(patch=True)
        world.hold(person("1"))
        world.settle()
        world.hold(person("1", status="left"))
        run = world.push()
        assert run.results == {Result.FAILED: 1}
        assert "the account is still active" in run.outcomes[0].detail
        known = world.snapshot.user("1")
        assert known is not None
        assert known.state is State.ACTIVE
        assert len(world.plan().changes) == 1, "it is tried again"
