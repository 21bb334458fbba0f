"""A full resync that is carried out at once: a takeover costs no second look, only the write of differing values."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

from syncd.core.plan import Result
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans
from tests.endpoints import Endpoint
from tests.push.pushing import pushing
from tests.world import person

PEOPLE = 12


def test_adoption_costs_one_list_and_one_request_for_each_that_differs(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        people = [person(str(number), title="Dr") for number in range(PEOPLE)]
        world.hold(*people)
        for each in people:
            world.scim.add_user(userName=each.attributes["uid"][0])
        target = world.reached()
        setup = replace(world.setup(), targets=(target,))
        (planned,) = make_plans(setup, world.state, [target], Progress(), full=True)
        saved = planned.plan.estimate.requests
        world.scim.requests.clear()
        run = carry_out(planned, world.state, Progress())
        assert run.results == {Result.APPLIED: PEOPLE}, [outcome.detail for outcome in run.outcomes]
        assert {request.method for request in world.scim.requests} == {"PATCH"}
        assert (run.reads, run.writes) == (3, run.plan.estimate.requests), "the target was read whole before"
        assert run.plan.estimate.requests == PEOPLE
        assert saved == 2 * PEOPLE, "a saved plan looks at each once more, for it may be days old"
