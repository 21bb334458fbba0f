"""A target is a place: nothing is written where what is managed was not seen, however small the steps are."""

from __future__ import annotations

import copy
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.model import Kind
from syncd.core.plan import Plan, Result, Run
from syncd.cycle.planned import Planned, saved_plan
from syncd.cycle.progress import Progress
from syncd.cycle.relinking import relink
from syncd.cycle.sync import carry_out, make_plans, sync
from syncd.settings.build import Setup, Target
from syncd.store import StateFile
from tests.endpoints import TOKEN, Endpoint, Reply, Request, error
from tests.push.pushing import Pushing, pushing
from tests.world import group, person

Json = Any
KEYS = [str(number) for number in range(1, 8)]


class Moving(Pushing):
    """A World that is planned and pushed as the commands do it, and whose endpoint may be exchanged."""

    profile_name = ""

    def reached(self) -> Target:
        target = super().reached()
        if not self.profile_name:
            return target
        profile = replace(target.rules.profile, name=self.profile_name)
        return replace(target, rules=replace(target.rules, profile=profile))

    def configured(self) -> Setup:
        return replace(self.setup(), targets=(self.reached(),))

    def run(self, *, full: bool = False) -> Run:
        (done,) = sync(self.configured(), self.state, [self.reached()], Progress(), full=full)
        return done

    def planned(self, *, full: bool = False) -> Planned:
        (made,) = make_plans(self.configured(), self.state, [self.reached()], Progress(), full=full)
        return made

    def apply(self, plan: Plan) -> Run:
        return carry_out(saved_plan(self.configured(), plan, "plan.json"), self.state, Progress())

    def relink(self) -> None:
        relink(self.configured(), self.state, [self.reached()], Progress())

    def cause(self) -> str:
        stop = self.snapshot.stop
        return stop.cause if stop else ""


@contextmanager
def moving(folder: Path, *keys: str) -> Iterator[Moving]:
    """Yield a world in which these people, and three groups of them, are managed."""
    with Endpoint() as scim, StateFile(folder / "syncd.db") as state:
        world = Moving(state, scim)
        world.concurrency = 1  # ids are given in the order of the keys
        world.hold(*(person(key) for key in keys))
        world.groups = [group(name, members=list(keys)) for name in ("a", "b", "c")] if keys else []
        done = world.run()
        assert set(done.results) <= {Result.APPLIED}
        scim.requests.clear()
        yield world


def writes(scim: Endpoint) -> list[str]:
    return [line for line in scim.log() if not line.startswith("GET")]


def emptied(scim: Endpoint) -> None:
    """Let another, empty workspace answer."""
    scim.users.clear()
    scim.groups.clear()


def inhabited(scim: Endpoint, *, ids: bool) -> None:
    """Let another workspace answer, in which other people live; `ids`: under the same ids."""
    for held, name in ((scim.users, "userName"), (scim.groups, "displayName")):
        there = list(held)
        held.clear()
        for number, id_ in enumerate(there):
            new = id_ if ids else f"other{number}"
            held[new] = {"id": new, name: f"Stranger {number}", "externalId": f"theirs-{number}", "active": True}


def one_more_title(world: Moving, number: int) -> None:
    world.people[0] = person("1", title=f"Title {number}")


WORKSPACES = {
    "empty": emptied,
    "of strangers": lambda scim: inhabited(scim, ids=False),
    "of strangers with the same ids": lambda scim: inhabited(scim, ids=True),
}


# -- the same address ------------------------------------------------------------------------------


@pytest.mark.parametrize("workspace", WORKSPACES)
@pytest.mark.parametrize("change", ["a title", "a leaver", "a newcomer", "a member", "nothing"])
def test_another_workspace_is_noticed_by_the_first_run_that_writes(tmp_path: Path, workspace: str, change: str) -> None:
    with moving(tmp_path, *KEYS) as world:
        WORKSPACES[workspace](world.scim)
        before = copy.deepcopy((world.scim.users, world.scim.groups))
        for day in range(10):
            if change == "a title":
                one_more_title(world, day)
            elif change == "a leaver":
                world.people[day % 7] = person(KEYS[day % 7], status="left")
            elif change == "a newcomer":
                world.people.append(person(str(100 + day)))
            elif change == "a member":
                world.groups[0] = group("a", members=KEYS[: 1 + day % 6])
            run = world.run(full=change == "nothing")
            assert "managed" in run.error
            assert world.cause() == "gone"
        assert run.requests == 0 or change == "nothing"
        assert (world.scim.users, world.scim.groups) == before
        assert writes(world.scim) == []


def test_a_run_that_writes_nothing_asks_nothing(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS) as world:
        assert world.run().requests == 0


def test_a_run_that_writes_looks_at_one_user_and_one_group_and_announces_it(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS) as world:
        one_more_title(world, 1)
        announced = world.planned().plan.estimate.requests
        run = world.run()
        assert world.scim.log() == ["GET /Users/u1", "GET /Groups/g8", "PATCH /Users/u1"]
        assert run.requests == announced == 3


def test_single_deletions_are_put_back_and_the_place_stands(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS) as world:
        for day, id_ in enumerate(["u1", "u2", "u3"]):
            del world.scim.users[id_]
            world.people[day] = person(KEYS[day], title="Dr")
            world.run()
            assert world.run().error == ""
            assert len(world.scim.users) == 7
        assert world.cause() == ""


def test_what_was_made_anew_is_no_proof(tmp_path: Path) -> None:
    with moving(tmp_path, "1", "2", "3") as world:
        world.groups = []
        world.run()
        for day, key in enumerate(("1", "2")):
            del world.scim.users[next(id_ for id_, each in world.scim.users.items() if each["externalId"] == key)]
            world.people[day] = person(key, title="Dr")
            world.run()
            assert world.run().error == ""
        # Those two are there, made by syncd itself; the third one is the last that was there before.
        kept = {id_: each for id_, each in world.scim.users.items() if each["externalId"] != "3"}
        world.scim.users.clear()
        world.scim.users.update(kept)
        world.people[2] = person("3", title="Dr")
        assert "is not there any more" in world.run().error
        assert world.cause() == "gone"
        assert len(world.scim.users) == 2


def test_a_full_resync_that_finds_most_of_it_forgets_single_losses(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS) as world:
        del world.scim.users["u1"]
        assert world.run(full=True).error == ""
        assert world.snapshot.remade(Kind.USER) == {"1"}
        assert world.run(full=True).error == ""
        assert world.snapshot.remade(Kind.USER) == set()


def test_an_id_that_is_somebody_elses_is_a_lost_link_and_no_drift(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS) as world:
        stranger = {"id": "u1", "userName": "eve", "externalId": "theirs", "active": True}
        world.scim.users["u1"] = dict(stranger)
        drift = [(each.class_.value, each.key) for each in world.planned(full=True).plan.drift]
        assert ("user_deleted", "1") in drift
        assert "user_attributes" not in dict(drift)
        assert world.run(full=True).error == ""
        assert world.scim.users["u1"] == stranger
        again = world.snapshot.user("1")
        assert again is not None
        assert again.id != "u1"


class ByList(Endpoint):
    """Lists what it has, and answers 404 to every read by id."""

    def answer(self, request: Request) -> Reply:
        if request.method == "GET" and request.path.count("/") > 3:
            return error(404, "no such route")
        return super().answer(request)


def test_an_endpoint_that_shows_nothing_by_its_id_is_believed_by_its_list(tmp_path: Path) -> None:
    with pushing(tmp_path, ByList()) as home:
        world = Moving(home.state, home.scim)
        world.hold(*(person(key) for key in KEYS))
        assert world.run().error == ""
        one_more_title(world, 1)
        assert (world.run().error, world.cause()) == ("", "")
        one_more_title(world, 2)
        world.scim.requests.clear()
        assert world.run().requests == len(world.scim.requests) == 1, "it is remembered"
        emptied(world.scim)
        assert world.run(full=True).error
        assert world.cause() == "gone"


# -- another address, token or profile --------------------------------------------------------------


def elsewhere(world: Moving, other: Endpoint, change: str) -> None:
    if change == "base_url":
        world.scim = other
    elif change == "token":
        world.token = world.scim.token = "another-token"
        emptied(world.scim)
    else:
        world.profile_name = "another"
        emptied(world.scim)


@pytest.mark.parametrize("change", ["base_url", "token", "profile"])
@pytest.mark.parametrize("doing", ["plan", "plan in full", "sync", "quiet sync", "resync", "apply"])
def test_where_the_place_changes_nothing_is_written_before_it_is_seen(tmp_path: Path, change: str, doing: str) -> None:
    with Endpoint() as other, moving(tmp_path, *KEYS) as world:
        if doing != "quiet sync":
            one_more_title(world, 1)
        plan = world.planned().plan
        elsewhere(world, other, change)
        error: str
        if doing.startswith("plan"):
            error = str(world.planned(full=doing == "plan in full").failure or "")
            assert world.cause() == "", "a dry run writes nothing down"
        else:
            error = (world.apply(plan) if doing == "apply" else world.run(full=doing == "resync")).error
            assert world.cause() == "elsewhere"
        assert f"{'the ' if change != 'base_url' else ''}{change} is another one" in error
        assert "syncd relink" in error
        assert writes(world.scim) == writes(other) == []


@pytest.mark.parametrize("full", [True, False])
def test_a_place_where_a_minority_is_there_is_another_one(tmp_path: Path, *, full: bool) -> None:
    with moving(tmp_path, *KEYS) as world:
        world.token = world.scim.token = "another-token"
        for id_ in ("u1", "u2", "u6", "u7"):
            del world.scim.users[id_]
        assert (
            "only 2 of 6 managed users" in world.run().error
            if not full
            else "only 3 of the 7" in world.run(full=True).error
        )
        assert writes(world.scim) == []


def test_a_new_token_of_the_same_place_is_taken_after_one_look(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS) as world:
        world.token = world.scim.token = "a-new-token"
        run = world.run()
        assert (run.error, writes(world.scim)) == ("", [])
        assert len(world.scim.requests) == 9, "six users and three groups"
        assert world.run().requests == 0


def test_the_place_that_comes_back_goes_on_by_itself(tmp_path: Path) -> None:
    with Endpoint() as other, moving(tmp_path, *KEYS) as world:
        home, world.scim = world.scim, other
        one_more_title(world, 1)
        assert world.run().error
        world.scim = home
        assert (world.run().error, world.cause()) == ("", "")
        assert home.users["u1"]["title"] == "Title 1"


def test_a_person_moves_everything_to_another_place(tmp_path: Path) -> None:
    with Endpoint() as other, moving(tmp_path, *KEYS) as world:
        home, world.scim = world.scim, other
        other.add_user(userName="native")
        assert world.run().error
        world.relink()
        assert world.run(full=True).error == ""
        assert len(other.users) == 8
        assert other.members("Group a") == {f"u{key}" for key in KEYS}
        assert world.run(full=True).requests == world.run(full=True).reads
        assert writes(home) == []


def test_a_person_moves_to_a_place_whose_ids_collide(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS) as world:
        inhabited(world.scim, ids=True)
        strangers = copy.deepcopy(world.scim.users)
        assert world.run(full=True).error
        world.relink()
        run = world.run(full=True)
        assert (run.error, set(run.results)) == ("", {Result.APPLIED})
        assert {id_: world.scim.users[id_] for id_ in strangers} == strangers
        assert len(world.scim.users) == 14


def test_a_token_leaves_nothing_of_itself_in_the_state_file(tmp_path: Path) -> None:
    with moving(tmp_path, *KEYS):
        pass
    for file in tmp_path.glob("syncd.db*"):
        assert TOKEN.encode() not in file.read_bytes()


def test_what_an_earlier_run_left_open_is_not_looked_for_in_another_place(tmp_path: Path) -> None:
    with Endpoint() as other, pushing(tmp_path, Endpoint()) as home:
        world = Moving(home.state, home.scim)
        world.hold(*(person(key) for key in KEYS))
        world.run()
        journal = world.state.journal(world.target.name)
        world.people.append(person("9"))
        plan = world.planned().plan
        with world.state.atomic():
            journal.intend(journal.begin(plan, world.now), plan.changes[0], world.now)
        world.scim = other
        assert world.run().error
        assert len(journal.intents()) == 1
        world.scim = home.scim
        world.run()
        assert journal.intents() == []


# -- native is never written, wherever ---------------------------------------------------------------

STEP = st.sampled_from(["title", "leave", "hire", "member", "back", "swap", "empty", "same ids", "home", "resync"])


@settings(max_examples=20, deadline=None)
@given(st.lists(STEP, min_size=3, max_size=12))
def test_native_is_never_written_in_a_world_in_which_places_change(steps: list[str]) -> None:
    """Two workspaces, with natives in both; the address leads now here, now there. No person ever relinks."""
    with TemporaryDirectory() as folder, Endpoint() as other, moving(Path(folder), *KEYS) as world:
        home = world.scim
        natives = {}
        for scim in (home, other):
            for number in range(3):
                # In the other workspace, the same ids as at home are somebody else's.
                id_ = f"u{number + 1}" if scim is other else f"native{number}"
                scim.users[id_] = {"id": id_, "userName": f"native{number}", "externalId": f"n{number}", "active": True}
                natives[scim, id_] = copy.deepcopy(scim.users[id_])
        kept = copy.deepcopy((home.users, home.groups))
        for number, step in enumerate(steps):
            if step == "title":
                one_more_title(world, number)
            elif step in ("leave", "back"):
                world.people[1] = person("2", status="left" if step == "leave" else "")
            elif step == "hire":
                world.people.append(person(str(100 + number)))
            elif step == "member":
                world.groups[0] = group("a", members=KEYS[: 1 + number % 6])
            elif step == "swap":
                world.scim = other
            elif step == "home":
                world.scim = home
            elif step in ("empty", "same ids") and world.scim is home:
                kept = copy.deepcopy((home.users, home.groups))
                if step == "empty":
                    emptied(home)
                else:
                    inhabited(home, ids=True)
                before = copy.deepcopy((home.users, home.groups))
                one_more_title(world, 1000 + number)
                world.run()
                assert (home.users, home.groups) == before
                home.users, home.groups = kept
                world.relink()
            world.run(full=step == "resync")
            for (scim, id_), native in natives.items():
                assert scim.users[id_] == native
            assert len(other.users) == 3, "nobody was made in the other workspace"
            assert other.groups == {}
