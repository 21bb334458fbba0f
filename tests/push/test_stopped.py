"""A target that stopped: one incident, until a full resync or a person has settled it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path

import pytest
from pydantic import SecretStr

from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out
from syncd.settings.build import Target
from syncd.store import Stop
from tests.endpoints import TOKEN, Endpoint
from tests.push.pushing import Pushing, pushing
from tests.world import NOON, group, person


def planned(world: Pushing) -> Planned:
    target = Target(world.target, world.scim.url, lambda: SecretStr(TOKEN), None, 2)
    return Planned(target, world.plan(), world.snapshot_updates)


def stopped(world: Pushing, cause: str) -> None:
    """Let three people and groups be linked, one of the people have changed, and the target have stopped."""
    world.hold(person("1"), person("2"), person("3"))
    world.groups = [group("a"), group("b"), group("c")]
    world.settle()
    world.hold(person("1", title="Dr."), person("2"), person("3"))
    with world.state.atomic():
        world.snapshot.set_stop(Stop("gone" if cause == "gone" else "refused", "it was so", NOON))


def test_where_everything_was_gone_nothing_is_sent_until_it_is_settled(tmp_path: Path) -> None:
    with pushing(tmp_path, scim := Endpoint()) as world:
        stopped(world, "gone")
        run = carry_out(planned(world), world.state, Progress())
        assert "stopped since 2026-11-22 12:00 UTC: it was so" in run.error
        assert scim.requests == []


@pytest.mark.parametrize(("proven", "goes_on"), [(True, True), (False, False)])
def test_a_full_resync_settles_it_only_where_it_left_no_doubt(tmp_path: Path, *, proven: bool, goes_on: bool) -> None:
    with pushing(tmp_path, scim := Endpoint()) as world:
        stopped(world, "gone")
        made = replace(planned(world), discovered={"patch": True}, proven=proven)
        run = carry_out(made, world.state, Progress())
        assert (run.error == "", world.snapshot.stop is None, bool(scim.requests)) == (goes_on, goes_on, goes_on)


@pytest.mark.parametrize("gone", ["nobody", "the users", "the groups"])
def test_a_refused_token_that_is_taken_again_resumes_while_users_and_groups_are_there(
    tmp_path: Path, gone: str
) -> None:
    with pushing(tmp_path, scim := Endpoint()) as world:
        stopped(world, "refused")
        if gone == "the users":
            scim.users.clear()
        elif gone == "the groups":
            scim.groups.clear()
        run = carry_out(planned(world), world.state, Progress())
        stop = world.snapshot.stop
        if gone == "nobody":
            assert (run.error, stop) == ("", None)
            assert [request.method for request in scim.requests][-1] == "PATCH"
        else:
            assert f"none of 3 managed {gone[4:]} asked for is there any more" in run.error
            assert stop is not None
            assert stop.cause == "gone"
            assert {request.method for request in scim.requests} == {"GET"}
