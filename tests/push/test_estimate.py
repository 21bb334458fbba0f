"""A plan's estimate is exact: the push sends the announced number of requests, and reaches the desired state."""

from __future__ import annotations

import tempfile
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.core.model import Entry, GroupEntry
from syncd.core.plan import Result
from tests.endpoints import Endpoint
from tests.push.pushing import Pushing, pushing, said
from tests.world import group, person

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
KEYS = [str(number) for number in range(6)]
_BOSSES = ["", *KEYS[:3]]


@st.composite
def people(draw: st.DrawFn) -> list[Entry]:
    """Some of six people: named, titled, led, with an address, or gone."""
    return [
        person(
            key,
            f"u{key}{draw(st.sampled_from(['', 'x']))}",
            title=draw(st.sampled_from(["", "Dr", "Prof"])),
            mail=draw(st.sampled_from(["", f"{key}@a.example", f"{key}@b.example"])),
            boss=draw(st.sampled_from(_BOSSES)),
            status=draw(st.sampled_from(["", "", "left"])),
        )
        for key in sorted(draw(st.sets(st.sampled_from(KEYS), min_size=2)))
    ]


@st.composite
def groups(draw: st.DrawFn) -> list[GroupEntry]:
    """Some of three groups, of any six people."""
    return [
        group(key, draw(st.sampled_from(["", f"Other {key}"])), sorted(draw(st.sets(st.sampled_from(KEYS)))))
        for key in sorted(draw(st.sets(st.sampled_from("abc"))))
    ]


def check(world: Pushing) -> None:
    """Compare what the target holds with what the source says."""
    entries = {each.key: each for each in world.people if isinstance(each, Entry)}
    ids = {key: known.id for key, known in world.snapshot.users(KEYS).items()}
    assert sorted(ids.values()) == sorted(world.scim.users)
    for key, id_ in ids.items():
        there, entry = world.scim.users[id_], entries.get(key)
        if entry is None or entry.attributes.get("status") == ["left"]:
            assert there["active"] is False
            continue
        values = {name: next(iter(entry.attributes.get(name, [])), None) for name in ("uid", "title", "mail", "boss")}
        manager = (there.get(ENTERPRISE) or {}).get("manager") or {}
        assert there["active"] is True
        assert (there["userName"], there.get("title")) == (values["uid"], values["title"])
        assert [mail["value"] for mail in there.get("emails") or []] == [mail for mail in [values["mail"]] if mail]
        assert manager.get("value") == ids.get(values["boss"] or "")
    wanted = {
        each.attributes["name"][0]: {
            world.scim.users[ids[key]]["userName"] for key in each.members if key in ids and (key in entries)
        }
        for each in world.groups
        if isinstance(each, GroupEntry)
    }
    assert {
        each["displayName"]: world.scim.members(each["displayName"]) for each in world.scim.groups.values()
    } == wanted


@pytest.mark.parametrize("patch", [True, False])
def test_a_plan_takes_as_many_requests_as_it_says_and_does_what_was_wanted(patch: bool) -> None:
    @settings(max_examples=12, deadline=None)
    @given(st.lists(st.tuples(people(), groups()), min_size=2, max_size=3))
    def play(steps: list[tuple[list[Entry], list[GroupEntry]]]) -> None:
        with (
            tempfile.TemporaryDirectory() as folder,
            pushing(Path(folder), Endpoint(patch=patch, announces_patch=patch)) as world,
        ):
            world.learnt(patch=patch)
            for entries, teams in steps:
                world.people, world.groups = list(entries), list(teams)
                plan = world.plan()
                world.scim.requests.clear()
                run = world.push(plan)
                assert set(run.results) <= {Result.APPLIED}, said(run)
                assert len(world.scim.requests) == run.requests == plan.estimate.requests
                assert world.scim.overlapping == []
                check(world)
                assert not world.plan().changes

    play()


def test_the_first_run_counts_the_question_that_it_asks_first(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1", boss="2"), person("2"))
        world.groups = [group("a", members=["1"])]
        plan = world.plan()
        # The question, two people, the manager, the group's look-up and creation, its members.
        assert plan.estimate.requests == 1 + 2 + 1 + 2 + 1
        assert world.push(plan).requests == 7


@pytest.mark.parametrize(("patch", "requests"), [(True, 3 + 3 + 1), (False, 6 + 6 + 2)])
def test_each_chunk_of_members_is_counted(tmp_path: Path, patch: bool, requests: int) -> None:
    with pushing(tmp_path, Endpoint(patch=patch)) as world:
        world.learnt(patch=patch)
        world.hold(*(person(str(number)) for number in range(15)))
        world.groups = [group("a", members=[str(number) for number in range(8)]), group("b")]
        world.settle()
        # Eight leave and eight join the one, one joins the other; three per request.
        world.groups = [group("a", members=[str(number) for number in range(7, 15)]), group("b", members=["0"])]
        plan = world.plan()
        assert plan.estimate.requests == requests
        assert world.push(plan).requests == requests
