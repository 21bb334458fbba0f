"""A run goes by the snapshot only where that knows the target; else it reads first, by command as in the daemon."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Entry, Kind, Problem
from syncd.core.plan import Change, Plan, Run
from syncd.core.policy import Class, Limit
from syncd.cycle.planned import Planned, saved_plan
from syncd.cycle.progress import Progress
from syncd.cycle.relinking import relink
from syncd.cycle.sync import carry_out, make_plans, sync
from syncd.errors import StateError
from syncd.push.recording import Recording
from syncd.settings.build import Setup
from syncd.store import StateFile
from tests.endpoints import Endpoint, error
from tests.push.pushing import NAME, PROFILE, Pushing, results
from tests.world import group, person, target_rules

Json = Any


class Careless(Endpoint):
    """Keeps no names apart: whoever is created twice is there twice."""

    unique = False


@contextmanager
def state_lost(folder: Path, scim: Endpoint, *people: Entry | Problem, **rules: Json) -> Iterator[Pushing]:
    """Yield a world in which all that was synchronized once is at the target, and the state file is new."""
    with scim:
        with StateFile(folder / "lost.db") as state:
            before = Pushing(state, scim)
            before.people, before.groups = list(people), [group("g", "Sales", [p.key for p in people])]
            run(before)
        with StateFile(folder / "syncd.db") as state:
            world = Pushing(state, scim, target_rules(NAME, profile=PROFILE, **rules))
            world.people, world.groups = list(before.people), list(before.groups)
            scim.requests.clear()
            yield world


def setup_of(world: Pushing) -> Setup:
    return replace(world.setup(), targets=(world.reached(),))


def run(world: Pushing, **options: Json) -> Run:
    """Do what `syncd sync` does."""
    (done,) = sync(setup_of(world), world.state, [world.reached()], Progress(), **options)
    return done


def planned(world: Pushing, **options: Json) -> Planned:
    """Do what `syncd plan` does."""
    (made,) = make_plans(setup_of(world), world.state, [world.reached()], Progress(), **options)
    return made


def writes(scim: Endpoint) -> list[str]:
    return [str(each) for each in scim.requests if each.method != "GET"]


def accounts(scim: Endpoint) -> list[str]:
    return sorted(user["userName"] for user in scim.users.values())


# -- nothing is known --------------------------------------------------------------------------------


def test_a_first_run_reads_the_target_and_makes_nobody_twice(tmp_path: Path) -> None:
    with state_lost(tmp_path, Careless(), person("1"), person("2")) as world:
        done = run(world)
        assert done.plan.kind == "resync"
        assert results(done) == {"adopt_user 1": "applied", "adopt_user 2": "applied", "adopt_group g": "applied"}
        assert writes(world.scim) == []
        assert accounts(world.scim) == ["u1", "u2"]


def test_who_left_meanwhile_is_switched_off_and_nothing_else_is_written(tmp_path: Path) -> None:
    with state_lost(tmp_path, Endpoint(), person("1"), person("2")) as world:
        world.people[1] = person("2", status="left")
        assert results(run(world))["adopt_user 2"] == "applied"
        assert len(writes(world.scim)) == 1
        assert world.scim.by_name()["u2"]["active"] is False


def test_the_plan_is_what_the_sync_does(tmp_path: Path) -> None:
    with state_lost(tmp_path, Careless(), person("1"), person("2")) as world:
        world.people.append(person("3"))
        plan = planned(world).plan
        reading = len(world.scim.requests)
        done = run(world)
        assert (plan.kind, plan.changes) == ("resync", done.plan.changes)
        assert done.requests == reading + plan.estimate.requests


def test_the_second_run_goes_by_the_snapshot(tmp_path: Path) -> None:
    with state_lost(tmp_path, Endpoint(), person("1")) as world:
        run(world)
        world.scim.requests.clear()
        assert run(world).plan.kind == "sync"
        assert world.scim.requests == []


def test_a_target_that_can_not_be_read_fails_and_nothing_is_made(tmp_path: Path) -> None:
    with state_lost(tmp_path, Careless(), person("1")) as world:
        world.scim.instead("GET", "/Users", *[error(403, "not with this token")] * 9)
        assert planned(world).failure is not None
        done = run(world)
        assert "not with this token" in done.error
        assert writes(world.scim) == []
        world.scim.relent()
        assert run(world).plan.kind == "resync", "still nothing is known"


def test_nobody_is_wanted_and_the_target_is_read_once(tmp_path: Path) -> None:
    with Endpoint() as scim, StateFile(tmp_path / "syncd.db") as state:
        world = Pushing(state, scim)
        assert run(world).plan.kind == "resync"
        scim.requests.clear()
        assert run(world).plan.kind == "sync"
        assert scim.requests == []


def test_nobody_was_wanted_and_the_rules_are_others_now(tmp_path: Path) -> None:
    with Careless() as scim, StateFile(tmp_path / "syncd.db") as state:
        world = Pushing(state, scim, target_rules(NAME, profile=PROFILE, scope='uid == "nobody"'))
        scim.add_user(userName="u1", active=True)
        world.hold(person("1"))
        run(world)
        assert run(world).plan.kind == "sync"
        world.target = target_rules(NAME, profile=PROFILE)
        assert run(world).plan.kind == "resync"
        assert accounts(scim) == ["u1"]


def test_of_several_targets_only_the_unknown_one_is_read(tmp_path: Path) -> None:
    with Endpoint() as scim, Endpoint() as other, StateFile(tmp_path / "syncd.db") as state:
        world = Pushing(state, scim)
        world.hold(person("1"))
        run(world)
        scim.requests.clear()
        second = replace(world.reached(), rules=replace(world.target, name="second"), base_url=other.url)
        setup = replace(setup_of(world), targets=(world.reached(), second))
        done = sync(setup, state, setup.targets, Progress())
        assert [(each.plan.target, each.plan.kind) for each in done] == [(NAME, "sync"), ("second", "resync")]
        assert scim.requests == []
        assert other.by_name().keys() == {"u1"}


# -- one person --------------------------------------------------------------------------------------


def test_one_person_alone_is_looked_for_too_and_the_others_by_the_next_run(tmp_path: Path) -> None:
    with state_lost(tmp_path, Careless(), person("1"), person("2")) as world:
        assert results(run(world, who="1")) == {"adopt_user 1": "applied"}
        done = run(world)
        assert done.plan.kind == "resync"
        assert accounts(world.scim) == ["u1", "u2"]
        assert run(world).plan.kind == "sync"


# -- a plan that is applied --------------------------------------------------------------------------


def applied(world: Pushing, plan: Plan) -> Run:
    """Do what `syncd apply` does."""
    return carry_out(saved_plan(setup_of(world), plan, "plan.json"), world.state, Progress())


def test_a_plan_that_was_made_without_a_state_file_is_applied(tmp_path: Path) -> None:
    with state_lost(tmp_path, Careless(), person("1"), person("2")) as world:
        plan = Plan.from_json(planned(world).plan.to_json(), "plan.json")
        assert set(results(applied(world, plan)).values()) == {"applied"}
        assert writes(world.scim) == []
        world.scim.requests.clear()
        assert run(world).plan.kind == "sync"
        assert world.scim.requests == []


def test_after_a_plan_that_was_made_with_an_older_state_file_the_target_is_read(tmp_path: Path) -> None:
    with state_lost(tmp_path, Careless(), person("1"), person("2")) as world:
        plan = replace(world.plan(), changes=())
        applied(world, plan)
        assert run(world).plan.kind == "resync"
        assert accounts(world.scim) == ["u1", "u2"]


# -- half way ----------------------------------------------------------------------------------------


def test_a_first_run_that_was_killed_half_way_is_followed_by_a_reading(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with state_lost(tmp_path, Careless(), person("1"), person("2"), person("3")) as world:
        intend = Recording.intend

        async def dying(self: Recording, change: Change) -> int:
            if change.key == "2":
                raise StateError("the power is gone")
            return await intend(self, change)

        monkeypatch.setattr(Recording, "intend", dying)
        world.concurrency = 1
        with pytest.raises(StateError):
            run(world)
        monkeypatch.undo()
        assert world.snapshot.ids(Kind.USER, ["1", "2", "3"]).keys() == {"1"}
        done = run(world)
        assert done.plan.kind == "resync"
        assert accounts(world.scim) == ["u1", "u2", "u3"]
        assert writes(world.scim) == []
        assert run(world).plan.kind == "sync"


def test_a_takeover_that_is_refused_for_good_is_not_made_anew_beside_it(tmp_path: Path) -> None:
    with Careless() as scim, StateFile(tmp_path / "syncd.db") as state:
        world = Pushing(state, scim)
        scim.add_user(userName="u1", title="theirs", active=True)
        world.hold(person("1", title="ours"))
        for method in ("PATCH", "PUT"):
            scim.instead(method, "/Users", *[error(400, "not this title")] * 9)
        assert results(run(world)) == {"adopt_user 1": "failed"}
        for _ in range(2):
            done = run(world)
            assert done.plan.kind == "sync", "once a day is enough"
            assert [(held.change.action.value, held.limit) for held in done.plan.held] == [
                ("create_user", "quarantine")
            ]
            assert accounts(scim) == ["u1"]
        assert "not this title" in done.plan.held[0].reason


def test_takeovers_that_are_held_are_not_made_anew_either(tmp_path: Path) -> None:
    with Careless() as scim, StateFile(tmp_path / "syncd.db") as state:
        world = Pushing(state, scim, target_rules(NAME, profile=PROFILE, limits={Class.ADOPT: Limit(count=0)}))
        scim.add_user(userName="u1", active=True)
        world.hold(person("1"), person("2"))
        assert len(run(world).plan.held) == 1
        assert run(world).plan.kind == "sync"
        assert accounts(scim) == ["u1", "u2"]


def test_after_relinking_the_target_is_read_again(tmp_path: Path) -> None:
    with state_lost(tmp_path, Careless(), *[person(str(each)) for each in range(1, 6)]) as world:
        run(world)
        scim = world.scim
        scim.users = {f"new-{id_}": {**user, "id": f"new-{id_}"} for id_, user in scim.users.items()}
        scim.groups.clear()
        relink(setup_of(world), world.state, [world.reached()], Progress())
        assert run(world).plan.kind == "resync"
        assert accounts(scim) == ["u1", "u2", "u3", "u4", "u5"]


# -- marks that nobody has ---------------------------------------------------------------------------


def unclaimed(done: Run) -> list[str]:
    return [each.problem for each in done.plan.problems if "externalId" in each.problem]


def test_accounts_with_a_mark_of_nobody_are_named_once_and_never_written(tmp_path: Path) -> None:
    with state_lost(tmp_path, Endpoint(), person("1"), person("2"), person("3")) as world:
        world.people = [person("1"), person("3", status="left")]
        world.scim.users["another"] = {"id": "another", "userName": "x", "externalId": "77", "active": True}
        world.scim.users["off"] = {"id": "off", "userName": "y", "externalId": "78", "active": False}
        world.scim.users["native"] = {"id": "native", "userName": "z", "active": True}
        (problem,) = unclaimed(run(world))
        assert problem.startswith(
            "2 accounts that can get in carry an externalId that nobody in the source has (u2, x)"
        )
        assert "switch them off at the target" in problem
        left = f"PATCH /scim/v2/Users/{world.snapshot.ids(Kind.USER, ['3'])['3']}"
        # Nobody in the source has the account: it is taken out of the managed group that it is in.
        (group_id,) = world.scim.groups
        assert writes(world.scim) == [left, f"PATCH /scim/v2/Groups/{group_id}"]
        assert unclaimed(run(world, full=True)) == []


def test_a_group_with_a_mark_of_no_group_is_named(tmp_path: Path) -> None:
    with state_lost(tmp_path, Endpoint(), person("1")) as world:
        world.groups = []
        (problem,) = unclaimed(run(world))
        assert "1 group carries an externalId that no group has which this target is to get (Sales)" in problem
        assert writes(world.scim) == []


def test_where_everybody_is_known_nobody_is_named(tmp_path: Path) -> None:
    with state_lost(tmp_path, Endpoint(), person("1")) as world:
        run(world)
        world.scim.users["another"] = {"id": "another", "userName": "x", "externalId": "77", "active": True}
        assert unclaimed(run(world, full=True)) == []


# -- members that were read --------------------------------------------------------------------------


def test_members_who_are_linked_now_and_were_read_in_a_known_group_are_not_added_again(tmp_path: Path) -> None:
    with Endpoint() as scim, StateFile(tmp_path / "syncd.db") as state:
        world = Pushing(state, scim)
        world.people, world.groups = [person("1")], [group("g", "Sales", ["1"])]
        run(world)
        (id_,) = scim.groups
        hired, gone = (scim.add_user(userName=f"u{key}", externalId=key, active=True) for key in "23")
        scim.groups[id_]["members"] += [{"value": hired}, {"value": gone}]
        world.people, world.groups = [person("1"), person("2"), person("3")], [group("g", "Sales", ["1", "2"])]
        scim.requests.clear()
        done = run(world, full=True)
        assert results(done) == {
            "adopt_user 2": "applied",
            "adopt_user 3": "applied",
            "remove_members g": "applied",
        }
        assert len(writes(scim)) == 1
        assert scim.members("Sales") == {"u1", "u2"}
        assert world.snapshot.members("g") == ({"1", "2"}, set())


def test_a_saved_plan_knows_the_groups_that_somebody_was_found_in(tmp_path: Path) -> None:
    with Endpoint() as scim, StateFile(tmp_path / "syncd.db") as state:
        world = Pushing(state, scim)
        world.people, world.groups = [person("1")], [group("g", "Sales", ["1"])]
        run(world)
        (id_,) = scim.groups
        hired = scim.add_user(userName="u2", externalId="2", active=True)
        scim.groups[id_]["members"].append({"value": hired})
        world.people, world.groups = [person("1"), person("2")], [group("g", "Sales", ["1", "2"])]
        plan = Plan.from_json(planned(world, full=True).plan.to_json(), "plan.json")
        assert results(applied(world, plan)) == {"adopt_user 2": "applied"}
        assert world.snapshot.members("g") == ({"1", "2"}, set())


# -- the estimate ------------------------------------------------------------------------------------


@contextmanager
def much_to_adopt(folder: Path, scim: Endpoint) -> Iterator[Pushing]:
    """Yield a world with accounts of ours and of strangers, right and wrong ones, groups of ours, and new ones."""
    with state_lost(folder, scim, person("1"), person("2"), person("3", status="left")) as world:
        scim.add_user(userName="u4", title="theirs", active=True)
        scim.add_user(userName="u5", active=True)
        scim.by_name()["u2"]["title"] = "edited"
        for number in range(120):
            scim.add_group(displayName=f"native {number}")
        next(each for each in scim.groups.values() if each["displayName"] == "Sales")["displayName"] = "Renamed"
        world.people = [
            person("1", boss="4"),
            person("2", title="Dr", boss="1"),
            person("3", status="left"),
            person("4", title="ours", boss="6"),
            person("5"),
            person("6", boss="1"),
        ]
        everybody = [each.key for each in world.people if isinstance(each, Entry)]
        world.groups = [group("g", "Sales", everybody), group("h", "New", ["1"]), group("i", "Newer", ["6"])]
        scim.requests.clear()
        yield world


@pytest.mark.parametrize("patch", [True, False])
def test_a_full_resync_with_adoptions_sends_what_it_announces(tmp_path: Path, patch: bool) -> None:
    with much_to_adopt(tmp_path, Endpoint(patch=patch, announces_patch=patch)) as world:
        world.learnt(patch=patch)
        planned(world)
        reading = len(world.scim.requests)
        done = run(world)
        assert set(results(done).values()) == {"applied"}
        assert done.requests == reading + done.plan.estimate.requests


def test_a_saved_full_plan_with_adoptions_sends_what_it_announces(tmp_path: Path) -> None:
    with much_to_adopt(tmp_path, Endpoint()) as world:
        plan = planned(world).plan
        done = applied(world, plan)
        assert set(results(done).values()) == {"applied"}
        assert done.requests == plan.estimate.requests
