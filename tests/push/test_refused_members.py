"""Members that the endpoint refuses: found by halving, and named; the others are added."""

from __future__ import annotations

from collections.abc import Collection, Iterator
from contextlib import contextmanager
from dataclasses import replace
from math import ceil, log2
from pathlib import Path

import pytest

from syncd.core.model import Kind
from syncd.core.plan import Action, Result
from tests.endpoints import Endpoint, Reply, Request, error
from tests.push.pushing import NAME, PROFILE, Pushing, detail, pushing, results, said
from tests.world import group, person, target_rules


class Choosy(Endpoint):
    """Refuses every request that adds one of the unwanted (userNames) to a group, whoever else it adds."""

    def __init__(self, status: int = 400, *, patch: bool = True) -> None:
        super().__init__(patch=patch, announces_patch=patch)
        self.status = status
        self.unwanted: Collection[str] = ()

    def answer(self, request: Request) -> Reply:
        if request.method in ("PATCH", "PUT") and "/Groups/" in request.path:
            added = {name for id_, name in self._names() if f'"value":"{id_}"' in request.content.decode()}
            if added.intersection(self.unwanted):
                return error(self.status, "a member is not known")
        return super().answer(request)

    def _names(self) -> list[tuple[str, str]]:
        return [(id_, user["userName"]) for id_, user in self.users.items()]


def keys(count: int) -> list[str]:
    return [f"{number:02}" for number in range(count)]


@contextmanager
def joining(folder: Path, scim: Choosy, count: int, per_request: int, unwanted: Collection[str]) -> Iterator[Pushing]:
    """Yield a world in which so many people are about to join a group, some of whom the endpoint doesn't take."""
    rules = target_rules(NAME, profile=replace(PROFILE, members_per_patch=per_request))
    with pushing(folder, scim, rules) as world:
        world.hold(*(person(key) for key in keys(count)))
        world.groups = [group("a")]
        world.settle()
        world.groups = [group("a", members=keys(count))]
        scim.unwanted = [f"u{key}" for key in unwanted]
        yield world


def changes_sent(world: Pushing) -> int:
    return sum(request.method == "PATCH" for request in world.scim.requests)


@pytest.mark.parametrize("bad", ["00", "06", "15"])
def test_one_who_is_refused_keeps_nobody_else_out(tmp_path: Path, bad: str) -> None:
    with joining(tmp_path, Choosy(), 16, 16, [bad]) as world:
        run = world.push()
        why = f"refuses 1 of the members ({bad}): a member is not known"
        assert said(run) == [("add_members", "a", "failed", 400, why)]
        others = set(keys(16)) - {bad}
        assert world.scim.members("Group a") == {f"u{key}" for key in others}
        assert world.snapshot.members("a")[0] == others
        # All sixteen; and then two for each halving: 8, 4, 2, 1. The endpoint answers with nothing: one look.
        assert changes_sent(world) == 1 + 2 * 4
        assert len(world.scim.requests) == 1 + 2 * 4 + 1
        (change,) = world.plan().changes
        assert change.members == [bad]


@pytest.mark.parametrize("status", [400, 404])
@pytest.mark.parametrize("count", [2, 3, 7, 16, 33])
@pytest.mark.parametrize("number_of_bad", [1, 2, 5])
def test_finding_them_takes_no_more_requests_than_halving_does(
    tmp_path: Path, count: int, status: int, number_of_bad: int
) -> None:
    bad = keys(count)[:: max(1, count // number_of_bad)][:number_of_bad]
    with joining(tmp_path, Choosy(status), count, count, bad) as world:
        run = world.push()
        assert run.outcomes[0].status == status
        assert detail(run, Action.ADD_MEMBERS, "a").startswith(f"refuses {len(bad)} of the members ({', '.join(bad)}):")
        assert world.scim.members("Group a") == {f"u{key}" for key in keys(count) if key not in bad}
        assert len(world.scim.requests) <= 1 + len(bad) * (2 * ceil(log2(count)) + 2)
        # A 404 may be the group's own: that is asked once; and the members are looked at once.
        assert world.scim.log().count("GET /Groups/" + next(iter(world.scim.groups))) <= (status == 404) + 1


def test_only_the_chunk_with_the_refused_is_halved(tmp_path: Path) -> None:
    with joining(tmp_path, Choosy(), 12, 4, ["05"]) as world:
        world.push()
        changes = [request for request in world.scim.requests if request.method == "PATCH"]
        sizes = [len(request.body["Operations"][0]["value"]) for request in changes]
        assert sizes == [4, 4, 2, 1, 1, 2, 4]
        assert len(world.scim.members("Group a")) == 11


def test_five_who_are_refused_are_five(tmp_path: Path) -> None:
    bad = ["01", "03", "08", "09", "15"]
    with joining(tmp_path, Choosy(), 16, 8, bad) as world:
        run = world.push()
        why = "refuses 5 of the members (01, 03, 08, 09, 15): a member is not known"
        assert detail(run, Action.ADD_MEMBERS, "a") == why
        assert len(world.scim.members("Group a")) == 11


def test_six_who_are_refused_are_not_at_fault_and_no_more_are_tried(tmp_path: Path) -> None:
    with joining(tmp_path, Choosy(), 32, 8, keys(32)) as world:
        run = world.push()
        why = "refuses 6 of the members (00, 01, 02, 03, 04, 05): a member is not known; 26 more were not tried"
        assert said(run) == [("add_members", "a", "failed", 400, why)]
        # 8, 4, 2, 00, 01, 2, 02, 03, 4, 2, 04, 05; and whether they are in already
        assert changes_sent(world) == 12
        assert len(world.scim.requests) == 13
        assert world.snapshot.members("a") == (set(), set())


@pytest.mark.parametrize("status", [409, 422, 424])
def test_other_refusals_are_about_no_single_member(tmp_path: Path, status: int) -> None:
    with joining(tmp_path, Choosy(status), 8, 8, ["03"]) as world:
        world.learnt(patch=True)
        run = world.push()
        assert said(run) == [("add_members", "a", "failed", status, "a member is not known")]
        assert changes_sent(world) == 1
        # A conflict may mean that somebody is in the group already.
        assert len(world.scim.requests) == (2 if status == 409 else 1)


class Narrow(Choosy):
    """Has room for so many members in a request."""

    most = 1000

    def answer(self, request: Request) -> Reply:
        if request.content.count(b'"value":"') > self.most:
            return error(413, "too large")
        return super().answer(request)


def test_a_chunk_too_large_for_a_request_is_halved_and_no_other_is_as_large_again(tmp_path: Path) -> None:
    scim = Narrow()
    with joining(tmp_path, scim, 24, 8, []) as world:
        world.groups.append(group("b", members=keys(8)))
        scim.most = 5
        assert {outcome.result for outcome in world.push().outcomes} == {Result.APPLIED}
        assert len(scim.members("Group a")) == 24
        sizes = [len(request.body["Operations"][0]["value"]) for request in scim.requests if request.method == "PATCH"]
        large = [size for size in sizes if size > 4]
        # At most one of each group, for they are sent side by side.
        assert sizes[0] == 8
        assert len(large) <= 2
        assert len(sizes) == len(large) + (24 + 8) // 4
        scim.requests.clear()
        world.groups = [group("a", members=keys(12)), group("b", members=keys(8))]
        assert results(world.push()) == {"remove_members a": "applied"}
        assert scim.members("Group a") == {f"u{key}" for key in keys(12)}


def test_one_who_is_too_large_for_a_request_fails(tmp_path: Path) -> None:
    scim = Narrow()
    with joining(tmp_path, scim, 4, 4, []) as world:
        scim.most = 0
        assert said(world.push()) == [("add_members", "a", "failed", 413, "too large")]
        assert changes_sent(world) == 3


def test_a_removal_that_is_refused_as_it_is_sent_is_done_by_the_whole_list(tmp_path: Path) -> None:
    with joining(tmp_path, Choosy(), 8, 8, []) as world:
        world.push()
        world.scim.requests.clear()
        world.groups = [group("a", members=["07"])]
        world.scim.instead("PATCH", "/Groups/", error(400, "no"))
        assert results(world.push()) == {"remove_members a": "applied"}
        assert world.scim.members("Group a") == {"u07"}


def test_a_group_that_is_gone_is_not_halved(tmp_path: Path) -> None:
    with joining(tmp_path, Choosy(), 8, 8, []) as world:
        world.scim.groups.clear()
        (outcome,) = world.push().outcomes
        assert (outcome.status, outcome.detail) == (404, "the target no longer has it; the next run makes it anew")
        # Six people are looked at as well: the group may have gone with all the rest.
        assert len(world.scim.requests) == 2 + 6


def test_without_patch_they_are_found_as_well(tmp_path: Path) -> None:
    with joining(tmp_path, Choosy(patch=False), 8, 8, ["06"]) as world:
        assert results(world.push()) == {"add_members a": "failed"}
        assert world.scim.members("Group a") == {f"u{key}" for key in keys(8) if key != "06"}
        assert world.snapshot.members("a")[0] == set(keys(8)) - {"06"}


def test_a_member_refused_for_good_is_quarantined_without_the_others(tmp_path: Path) -> None:
    scim = Choosy()
    with joining(tmp_path, scim, 8, 8, ["06"]) as world:
        world.push()
        world.push()
        kept = [(each.change.members, each.status, each.failures) for each in world.state.quarantine(NAME).all()]
        assert kept == [(["06"], 400, 1)]
        assert world.scim.members("Group a") == {f"u{key}" for key in keys(8) if key != "06"}
        scim.unwanted = ()
        assert world.push().results == {Result.APPLIED: 1}
        assert not world.plan().changes


class Pedantic(Endpoint):
    """Answers 404 to the removal of anybody who is no member."""

    def answer(self, request: Request) -> Reply:
        if request.method == "PATCH" and "/Groups/" in request.path:
            held = self.groups[request.path.rpartition("/")[2]]
            ids = {member["value"] for member in held.get("members") or []}
            removed = [each["path"].split('"')[1] for each in request.body["Operations"] if each["op"] == "remove"]
            if not ids.issuperset(removed):
                return error(404, "no such member")
        return super().answer(request)


@pytest.mark.parametrize("gone", [["1"], ["1", "2"]], ids=["one of them", "all of them"])
def test_a_member_gone_from_a_group_already_keeps_nobody_else_in(tmp_path: Path, gone: list[str]) -> None:
    with pushing(tmp_path, scim := Pedantic()) as world:
        world.hold(person("1"), person("2"), person("3"))
        world.groups = [group("a", members=["1", "2", "3"])]
        world.settle()
        (held,) = scim.groups.values()
        dead = {world.snapshot.ids(Kind.USER, [key])[key] for key in gone}
        held["members"] = [each for each in held["members"] if each["value"] not in dead]
        world.groups = [group("a", members=["3"])]
        run = world.push()
        assert set(run.results) == {Result.APPLIED}
        assert scim.members("Group a") == {"u3"}
        assert not world.plan().changes


def test_where_members_are_not_shown_nobody_is_believed_to_have_left(tmp_path: Path) -> None:
    with pushing(tmp_path, scim := Pedantic()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1", "2"])]
        world.settle()
        (held,) = scim.groups.values()
        held["members"] = held["members"][1:]
        scim.shows_members = False
        world.groups = [group("a", members=["2"])]
        run = world.push()
        assert set(run.results) == {Result.FAILED}
        assert world.snapshot.members("a")[0] == {"1", "2"}
