"""Moves: at an endpoint that has room for one group a person, nobody who has a group is ever without one.

The endpoint notes after each write who is in which group. It moves whoever joins a second group, or refuses that.
"""

from __future__ import annotations

import copy
import re
import signal
import tempfile
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.compare.estimate import bulk_operations
from syncd.compare.moves import apart, movers
from syncd.core.model import Kind
from syncd.core.plan import Action, Change, Result
from syncd.cycle.planned import Planned
from syncd.cycle.sync import carry_out_all
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.moves import tells_of_second_group
from syncd.push.shutdown import Shutdown
from syncd.scim.bulk import LEAST
from syncd.scim.dialect import Dialect
from syncd.scim.profiles import Profile
from tests.endpoints import Endpoint, Gate, Json, Reply, Request, error
from tests.push.pushing import NAME, Pushing, detail, pushing, results, said
from tests.push.test_killed import started, synced
from tests.world import brief, group, person, target_rules

PROFILE = Profile("test", patch=True, one_group_per_user=True, group_emptied_first=True, members_per_patch=3)
SHARED = "All users"
KEYS = [str(number) for number in range(1, 9)]
REFUSED = "{user} is in the organizational group {group!r} already"


class OneGroup(Endpoint):
    """An endpoint with room for one group a person, beside the shared one.

    `second`: "moved" or "refused". `detail`: the words of the refusal. `after` holds the groups of each person after
    each write, by userName.
    """

    def __init__(
        self, second: str = "moved", *, detail: str = REFUSED, status: int = 400, silent: bool = False
    ) -> None:
        super().__init__(silent=silent)
        self.second = second
        self.detail = detail
        self.status = status
        self.after: list[dict[str, set[str]]] = []
        self.stubborn: set[str] = set()
        """Ids of users whom no other group takes than the one that they were in first."""
        self._first: dict[str, str] = {}

    def _route(self, request: Request) -> Reply:
        before = copy.deepcopy(self.groups)
        reply = super()._route(request)
        refusal = self._second_groups(before)
        if refusal is not None:
            self.groups = before
            reply = refusal
        if request.method != "GET":
            self.after.append(self.places())
        return reply

    def _second_groups(self, before: dict[str, dict[str, Json]]) -> Reply | None:
        for id_, each in self.groups.items():
            was = _ids(before.get(id_, {}))
            for user in sorted(_ids(each) - was) if each["displayName"] != SHARED else ():
                if user in self.stubborn and self._first[user] != id_:
                    return error(self.status, self.detail.format(user=user, group="another"))
                self._first.setdefault(user, id_)
                for other in self.groups.values():
                    if other is each or other["displayName"] == SHARED or user not in _ids(other):
                        continue
                    if self.second == "refused":
                        return error(self.status, self.detail.format(user=user, group=other["displayName"]))
                    other["members"] = [member for member in other["members"] if member["value"] != user]
        return None

    def observe(self) -> None:
        """Forget what was noted, but for who is where now."""
        self.after = [self.places()]

    def places(self) -> dict[str, set[str]]:
        """Return the groups of everybody, the shared one apart."""
        return {
            user["userName"]: {
                each["displayName"]
                for each in self.groups.values()
                if id_ in _ids(each) and each["displayName"] != SHARED
            }
            for id_, user in self.users.items()
        }

    def without_a_group(self) -> set[str]:
        """Return the people who were in no group after some write after one in which they were in one."""
        seen: set[str] = set()
        gone: set[str] = set()
        for places in self.after:
            seen |= {name for name, groups in places.items() if groups}
            gone |= {name for name in seen if not places[name]}
        return gone

    def moves(self) -> list[tuple[str, str]]:
        """Return what was written to groups: "leave" or "join", and the ids of the members."""
        found = []
        for request in self.requests:
            if request.method == "PATCH" and "/Groups/" in request.path:
                text = request.content.decode()
                how = "leave" if '"remove"' in text else "join"
                found.append((how, " ".join(re.findall(r"u\d+", text))))
        return found


def _ids(resource: dict[str, Json]) -> set[str]:
    members = resource.get("members") or []
    assert isinstance(members, list)
    return {member["value"] for member in members}


@contextmanager
def world_of(folder: Path, scim: OneGroup, profile: Profile = PROFILE, default_group: str = "") -> Iterator[Pushing]:
    """Yield a world whose target has room for one group a person."""
    with pushing(folder, scim, replace(target_rules(NAME, profile=profile), default_group=default_group)) as world:
        yield world


def two_groups(world: Pushing) -> None:
    """Put 1 to 4 into A, 5 to 8 into B, settle, and note from then on who is where."""
    world.hold(*(person(key) for key in KEYS))
    world.groups = [group("a", members=KEYS[:4]), group("b", members=KEYS[4:])]
    world.settle()
    assert isinstance(world.scim, OneGroup)
    world.scim.observe()


def id_of(world: Pushing, key: str) -> str:
    """Return the id of a group at the endpoint."""
    return world.snapshot.ids(Kind.GROUP, [key])[key]


def swap(world: Pushing) -> None:
    """Let 1 and 2 go from A to B, 5 and 6 from B to A."""
    world.groups = [group("a", members=["3", "4", "5", "6"]), group("b", members=["1", "2", "7", "8"])]


def swapped(scim: Endpoint) -> bool:
    return (scim.members("Group a"), scim.members("Group b")) == (
        {"u3", "u4", "u5", "u6"},
        {"u1", "u2", "u7", "u8"},
    )


# -- the endpoint moves people itself ------------------------------------------------------------------


@pytest.mark.parametrize("silent", [False, True])
def test_people_join_the_new_group_before_they_leave_the_old_one(tmp_path: Path, silent: bool) -> None:
    with world_of(tmp_path, scim := OneGroup(silent=silent)) as world:
        two_groups(world)
        swap(world)
        plan = world.plan()
        assert [change.action.value for change in plan.changes] == ["add_members"] * 2 + ["remove_members"] * 2
        run = world.push(plan)
        assert set(run.results) == {Result.APPLIED}, said(run)
        assert scim.without_a_group() == set()
        assert swapped(scim)
        assert [how for how, _ in scim.moves()] == ["join", "join", "leave", "leave"]
        assert run.requests == plan.estimate.requests
        assert not world.plan().changes


def test_the_shared_group_is_made_and_joined_first_and_is_nobodys_second_group(tmp_path: Path) -> None:
    scim = OneGroup("refused")
    with world_of(tmp_path, scim, default_group=SHARED) as world:
        world.concurrency = 1
        world.hold(*(person(key) for key in KEYS[:3]))
        world.groups = [group("a", "A", ["1", "2", "3"]), group("z", SHARED, ["1", "2", "3"])]
        plan = world.plan()
        assert plan.problems == ()
        assert brief(plan)[3:] == ["create_group z", "create_group a", "add_members z 1 2 3", "add_members a 1 2 3"]
        assert set(world.push(plan).results) == {Result.APPLIED}
        names = [each["displayName"] for each in scim.groups.values()]
        assert names == [SHARED, "A"]
        assert scim.members(SHARED) == scim.members("A") == {"u1", "u2", "u3"}


def test_a_default_group_that_is_not_pushed_is_a_problem(tmp_path: Path) -> None:
    with world_of(tmp_path, OneGroup(), default_group="All Users") as world:
        world.hold(person("1"))
        world.groups = [group("a", SHARED, ["1"])]
        (problem,) = world.plan().problems
        assert problem.problem.startswith("no group that is pushed is called `All Users`, as `default_group` says; ")
        assert "there is `All users`" in problem.problem
        world.target = replace(world.target, default_group="Everybody")
        assert world.plan().problems[0].problem.startswith("no group that is pushed is called `Everybody`")
        selection = replace(world.target.selection, groups=("All *",))
        world.target = replace(world.target, selection=selection)
        assert world.plan().problems == (), "it isn't to be pushed"


def test_people_have_joined_the_new_group_when_the_old_one_is_emptied_and_deleted(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup()) as world:
        two_groups(world)
        world.groups = [group("b", members=KEYS)]
        plan = world.plan()
        assert brief(plan) == ["add_members b 1 2 3 4", "delete_group a"]
        assert set(world.push(plan).results) == {Result.APPLIED}
        assert scim.without_a_group() == set()
        assert [each["displayName"] for each in scim.groups.values()] == ["Group b"]


@pytest.mark.parametrize("second", ["moved", "refused"])
def test_a_group_whose_members_could_not_join_another_one_is_not_deleted(tmp_path: Path, second: str) -> None:
    with world_of(tmp_path, scim := OneGroup(second)) as world:
        two_groups(world)
        world.groups = [group("b", members=KEYS)]
        scim.instead("PATCH", "/Groups/", *[error(403, "this unit is locked")] * 99)
        run = world.push()
        assert results(run) == {"add_members b": "failed", "delete_group a": "skipped"}
        assert detail(run, Action.DELETE_GROUP, "a").endswith("stay until their new groups are joined")
        assert scim.members("Group a") == {"u1", "u2", "u3", "u4"}
        assert scim.without_a_group() == set()
        scim.relent()
        assert set(world.push().results) == {Result.APPLIED}
        assert scim.members("Group b") == {f"u{key}" for key in KEYS}


def test_who_could_not_join_the_new_group_stays_in_the_old_one(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup()) as world:
        two_groups(world)
        world.groups = [group("a", members=["3"]), group("b", members=["1", "2", *KEYS[4:]])]
        scim.instead("PATCH", f"/Groups/{id_of(world, 'b')}$", *[error(403, "this unit is locked")] * 99)
        run = world.push()
        # 4 leaves all groups, and waits for nobody.
        assert results(run) == {"add_members b": "failed", "remove_members a": "applied"}
        assert detail(run, Action.REMOVE_MEMBERS, "a") == "1, 2 stay until their new groups are joined"
        assert scim.members("Group a") == {"u1", "u2", "u3"}
        assert scim.without_a_group() == {"u4"}


# -- the endpoint refuses a second group -----------------------------------------------------------------


@pytest.mark.parametrize("concurrency", [1, 8])
@pytest.mark.parametrize("silent", [False, True])
@pytest.mark.parametrize(
    ("status", "words"),
    [(400, REFUSED), (409, "a user can only be in one organizational group"), (400, "{user} belongs to {group}")],
)
def test_where_a_second_group_is_refused_one_after_the_other_leaves_and_joins(
    tmp_path: Path, status: int, words: str, silent: bool, concurrency: int
) -> None:
    with world_of(tmp_path, scim := OneGroup("refused", detail=words, status=status, silent=silent)) as world:
        two_groups(world)
        swap(world)
        world.concurrency = concurrency
        run = world.push()
        assert set(run.results) == {Result.APPLIED}, said(run)
        assert swapped(scim)
        alone_at_most_for_a_request(scim, concurrency)
        assert not world.plan().changes
        # It is remembered, and the estimate follows.
        dialect = Dialect.known(world.snapshot.discovery, PROFILE)
        assert "a second group is refused, so people leave one group before they join another" in dialect.in_words()
        scim.requests.clear()
        scim.observe()
        world.groups = [group("a", members=KEYS[:4]), group("b", members=KEYS[4:])]
        plan = world.plan()
        run = world.push(plan)
        assert set(run.results) == {Result.APPLIED}, said(run)
        assert run.requests == plan.estimate.requests
        assert [how for how, _ in scim.moves()].count("leave") == [how for how, _ in scim.moves()].count("join") == 4
        alone_at_most_for_a_request(scim, concurrency)


def alone_at_most_for_a_request(scim: OneGroup, concurrency: int = 1) -> None:
    """Fail where somebody was without a group for longer than one write of each change under way, or at the end."""
    for name in scim.without_a_group():
        without = "".join("x" if not places[name] else " " for places in scim.after)
        assert len(max(without.split())) <= concurrency, (name, without)
        assert not without.endswith("x"), name


def test_who_can_join_no_other_group_after_leaving_is_put_back_and_both_changes_fail(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup("refused")) as world:
        two_groups(world)
        swap(world)
        scim.stubborn = {"u1"}
        world.concurrency = 1
        run = world.push()
        why = "1 is back in Group a: refuses 1 of the members (1): u1 is in the organizational group 'another' already"
        assert detail(run, Action.ADD_MEMBERS, "b") == why
        assert detail(run, Action.REMOVE_MEMBERS, "a") == why
        assert results(run) == {
            "add_members a": "applied",
            "add_members b": "failed",
            "remove_members a": "failed",
            "remove_members b": "applied",
        }
        assert "u1" in scim.members("Group a")
        assert world.snapshot.members("a")[0] >= {"1"}
        alone_at_most_for_a_request(scim, 2)  # the join, which is refused, and the way back
        assert brief(world.plan()) == ["add_members b 1", "remove_members a 1"]


def test_a_first_move_that_fails_is_the_last_and_nothing_is_learned_of_it(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup("refused")) as world:
        two_groups(world)
        world.groups = [group("a"), group("b", members=KEYS)]
        scim.stubborn = {"u1", "u2", "u3", "u4"}
        run = world.push()
        assert results(run) == {"add_members b": "failed", "remove_members a": "failed"}
        assert [how for how, _ in scim.moves()].count("leave") == 1
        assert scim.members("Group a") == {"u1", "u2", "u3", "u4"}
        assert "leaves_first" not in world.snapshot.discovery["dialect"]


def test_nobody_leaves_where_the_refusal_tells_of_no_other_group(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup("refused", detail="invalid")) as world:
        two_groups(world)
        swap(world)
        run = world.push()
        assert results(run) == {
            "add_members a": "failed",
            "add_members b": "failed",
            "remove_members a": "skipped",
            "remove_members b": "skipped",
        }
        assert "`leaves_first = true` in `profile_overrides`" in detail(run, Action.ADD_MEMBERS, "a")
        assert scim.without_a_group() == set()
        world.target = replace(world.target, profile=replace(PROFILE, leaves_first=True))
        assert set(world.push().results) == {Result.APPLIED}
        assert swapped(scim)


def test_a_stop_of_the_target_between_leave_and_join_is_made_up_for_by_the_next_run(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup("refused"), replace(PROFILE, leaves_first=True)) as world:
        two_groups(world)
        swap(world)
        world.concurrency = 1

        def refuse_from_now_on(request: Request) -> None:
            if '"remove"' in request.content.decode():
                scim.token = "another"

        scim.done = refuse_from_now_on
        assert world.push().error
        scim.done, scim.token = lambda _: None, world.token
        assert len(scim.without_a_group()) == 1
        assert world.look() == 0
        assert set(world.push().results) == {Result.APPLIED}
        assert swapped(scim)


def test_a_person_is_put_back_by_the_next_run_where_the_source_has_changed_its_mind(tmp_path: Path) -> None:
    """The push ends between leave and join, and the snapshot doesn't say that the person has left."""
    with world_of(tmp_path, scim := OneGroup("refused"), replace(PROFILE, leaves_first=True)) as world:
        two_groups(world)
        former = world.groups
        swap(world)
        world.concurrency = 1

        def refuse_from_now_on(request: Request) -> None:
            if '"remove"' in request.content.decode():
                scim.token = "another"

        scim.done = refuse_from_now_on
        scim.instead("PATCH", "/never", Reply(200))
        assert world.push().error
        (left,) = scim.without_a_group()
        with world.state.atomic():  # as a kill would have left it
            world.snapshot.change_members("a" if left in ("u1", "u2") else "b", Kind.USER, [left[1:]])
        scim.done, scim.token = lambda _: None, world.token
        world.groups = former
        assert world.look() == 0
        assert set(world.push().results) == {Result.APPLIED}
        assert scim.members("Group a") == {"u1", "u2", "u3", "u4"}


# -- killed ------------------------------------------------------------------------------------------


def company(folder: Path, url: str, members: Mapping[str, Sequence[str]]) -> Path:
    """Write a configuration and its CSV files."""
    (folder / "people.csv").write_text("id,mail\n" + "".join(f"{key},u{key}\n" for key in KEYS))
    (folder / "groups.csv").write_text("id,name\na,Group a\nb,Group b\n")
    rows = [f"{name},{key}" for name, keys in members.items() for key in keys]
    (folder / "members.csv").write_text("\n".join(["group,member", *rows, ""]))
    file = folder / "syncd.toml"
    file.write_text(
        f"""
        state = "syncd.db"
        [source]
        type = "csv"
        users = "people.csv"
        key = "id"
        groups = "groups.csv"
        members = "members.csv"
        [mapping.user]
        userName = "{{mail}}"
        [[target]]
        name = "target"
        base_url = "{url}"
        rate = 10000
        token = {{ env = "TARGET_TOKEN" }}
        limits.remove_members = {{ percent = 100 }}
        [target.profile_overrides]
        one_group_per_user = true
        """
    )
    return file


@pytest.mark.parametrize("minds", ["kept", "changed"])
@pytest.mark.parametrize("half", ["leave", "join"])
@pytest.mark.parametrize("second", ["moved", "refused"])
def test_a_move_that_is_killed_is_ended_by_the_next_run(tmp_path: Path, second: str, half: str, minds: str) -> None:
    """Whatever the source says by then: `minds` "changed" puts everybody back to where they were."""
    gate = Gate(
        lambda request: request.method == "PATCH" and ('"remove"' in request.content.decode()) is (half == "leave")
    )
    there = {"a": KEYS[:4], "b": KEYS[4:]}
    with OneGroup(second) as scim:
        config = company(tmp_path, scim.url, there)
        synced(config)
        scim.observe()
        moved = {"a": KEYS[2:6], "b": [*KEYS[:2], *KEYS[6:]]}
        company(tmp_path, scim.url, moved)
        scim.done = gate.hold
        with started(config) as process:
            gate.wait_for(1)
            process.send_signal(signal.SIGKILL)
            assert process.wait(30) == -signal.SIGKILL
        gate.open()
        scim.done = lambda _: None
        now = moved if minds == "kept" else there
        company(tmp_path, scim.url, now)
        synced(config)
        assert scim.members("Group a") == {f"u{key}" for key in now["a"]}
        assert scim.members("Group b") == {f"u{key}" for key in now["b"]}
        if second == "moved":
            assert scim.without_a_group() == set()


# -- a life of moves -----------------------------------------------------------------------------------

PLACES = st.fixed_dictionaries({key: st.sampled_from(["a", "b", "c", ""]) for key in KEYS[:5]})
"""The group of each of five people, "" for none; a group with nobody in it isn't in the source."""


@pytest.mark.parametrize(
    ("second", "profile"),
    [("moved", PROFILE), ("refused", PROFILE), ("refused", replace(PROFILE, leaves_first=True))],
    ids=["moved", "refused", "refused and known"],
)
def test_whoever_has_a_group_before_and_after_has_one_throughout(second: str, profile: Profile) -> None:
    @settings(max_examples=25)
    @given(st.lists(PLACES, min_size=2, max_size=4))
    def play(life: list[dict[str, str]]) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            world_of(Path(folder), scim := OneGroup(second), profile) as world,
        ):
            world.hold(*(person(key) for key in KEYS[:5]))
            former = dict.fromkeys(KEYS[:5], "")
            for places in life:
                filled = sorted({each for each in places.values() if each})
                world.groups = [group(each, members=[key for key in places if places[key] == each]) for each in filled]
                plan = world.plan()
                scim.requests.clear()
                scim.observe()
                run = world.push(plan)
                assert set(run.results) <= {Result.APPLIED}, said(run)
                there = {name[1:]: groups for name, groups in scim.places().items()}
                assert there == {key: {f"Group {each}"} if each else set() for key, each in places.items()}
                assert not world.plan().changes
                assert scim.overlapping == []
                without = {name[1:] for name in scim.without_a_group()}
                if second == "moved":
                    assert all(not former[key] or not places[key] for key in without)
                if second == "moved" or profile.leaves_first:
                    assert run.requests == plan.estimate.requests
                former = places

    play()


# -- what the snapshot, the source and the endpoint leave open ---------------------------------------------


def test_a_move_is_two_changes_for_the_estimate(tmp_path: Path) -> None:
    with world_of(tmp_path, OneGroup("refused"), replace(PROFILE, leaves_first=True)) as world:
        two_groups(world)
        world.groups = [group("b", members=[*KEYS[:2], *KEYS[4:]])]
        plan = world.plan()
        moving = movers(plan.changes, world.target.room, world.snapshot)
        assert moving == {"1": ["a"], "2": ["a"]}
        steps = apart(plan.changes, moving, world.snapshot)
        assert [" ".join([each.action.value, each.key, *each.members]) for each in steps] == [
            "remove_members a 1",
            "add_members b 1",
            "remove_members a 2",
            "add_members b 2",
            "delete_group a",
        ]
        # Two moves, the others of the group, its deletion and the look at it.
        assert plan.estimate.requests == 4 + 1 + 2
        assert world.push(plan).requests == 7


def test_changes_of_members_are_in_no_bulk_where_a_move_changes_two_groups() -> None:
    change = Change.of_members(Action.ADD_MEMBERS, "a", "A", ["1"], [])
    offered = {"maxOperations": 100}
    profile = replace(PROFILE, bulk=True)
    assert bulk_operations(profile, offered, [change] * LEAST) is None
    assert bulk_operations(replace(profile, one_group_per_user=False), offered, [change] * LEAST) is not None


def test_nobody_joins_a_group_while_the_list_of_their_former_one_is_incomplete(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup()) as world:
        two_groups(world)
        world.groups = [group("a", members=["2"], incomplete=True), group("b", members=["1", "3", *KEYS[4:]])]
        plan = world.plan()
        assert brief(plan) == []
        assert {each.key for each in plan.problems} == {"1", "3"}
        assert scim.members("Group a") == {"u1", "u2", "u3", "u4"}


def test_nobody_joins_a_group_while_nobody_knows_whether_their_former_one_is_there(tmp_path: Path) -> None:
    with world_of(tmp_path, OneGroup()) as world:
        two_groups(world)
        world.absence = False
        world.groups = [group("b", members=["1", *KEYS[4:]])]
        assert brief(world.plan()) == []
        world.absence = True
        assert brief(world.plan()) == ["add_members b 1", "delete_group a"]


def test_members_who_left_a_group_that_was_to_be_deleted_are_known_after_a_kill(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup()) as world:
        two_groups(world)
        world.groups = [group("b", members=KEYS[4:])]
        plan = world.plan()
        scim.instead("DELETE", "/Groups/", *[error(500, "not now")] * 99)
        assert results(world.push(plan)) == {"delete_group a": "failed"}
        with world.state.atomic():  # as a kill would have left it: the members went, and nobody wrote that down
            (deletion,) = plan.changes
            world.snapshot.change_members("a", Kind.USER, KEYS[:4])
            world.state.journal(NAME).intend(2, deletion, world.now)
        assert world.look() == 0
        assert world.snapshot.members("a")[0] == set()


def test_syncd_is_told_to_stop_between_two_moves(tmp_path: Path) -> None:
    with world_of(tmp_path, scim := OneGroup("refused"), replace(PROFILE, leaves_first=True)) as world:
        two_groups(world)
        world.groups = [group("a"), group("b", members=KEYS)]
        shutdown = Shutdown()

        def stop(request: Request) -> None:
            if '"remove"' in request.content.decode():
                shutdown.request()

        scim.done = stop
        plan = world.plan()
        planned = Planned(world.reached(), plan, world.snapshot_updates)
        (run,) = carry_out_all([planned], world.state, world.progress, shutdown)
        assert scim.members("Group b") == {"u1", *(f"u{key}" for key in KEYS[4:])}
        assert detail(run, Action.ADD_MEMBERS, "b") == "syncd was told to stop before everybody had moved: 3 of them"
        assert results(run)["remove_members a"] == "skipped"
        scim.done = lambda _: None
        assert world.look() == 0
        assert set(world.push().results) == {Result.APPLIED}
        assert len(scim.members("Group b")) == 8


@pytest.mark.parametrize(
    ("status", "words", "told"),
    [
        (400, "lucid-1001 is in the organizational group 'Design' already", True),
        (400, "conflict with g-7", True),
        (409, "A user can only be in one organizational group", True),
        (422, "user belongs to another team", True),
        (400, "at most one group is allowed for each user", True),
        (400, "Design", True),
        (400, "", False),
        (409, "conflict", False),
        (400, "one of the members of the group was not found", False),
        (400, "the group is locked", False),
        (403, "the token is for another group", False),
        (404, "already in another group", False),
        (500, "already in another group", False),
    ],
)
def test_which_refusal_tells_of_a_second_group(status: int, words: str, told: bool) -> None:
    assert tells_of_second_group(ScimError(status, words), ["Design", "g-7", ""]) is told
    assert not tells_of_second_group(OutcomeUnclear(status, words), ["Design", "g-7"])
