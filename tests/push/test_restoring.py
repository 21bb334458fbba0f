"""A create that is answered with a group which has members already: brought into line in the same run."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.drift import DriftClass, Reaction, Reactions
from syncd.core.model import Kind
from syncd.core.plan import Action, Result
from syncd.core.policy import Class, Limit
from tests.endpoints import Reply, Request, error
from tests.push.pushing import NAME, PROFILE, Pushing, detail, pushing, results
from tests.push.test_predating import LONG_AGO, Obliging
from tests.world import group, person, source_rules, target_rules

RESTORING = replace(PROFILE, groups_restored=True)


class Archive(Obliging):
    """Answers a create with the group that it has under the name. `answers`: whether it shows the members then."""

    def __init__(self) -> None:
        super().__init__(201)
        self.answers = True
        self.lies: list[str] | None = None

    def _create(self, collection: str, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        reply = super()._create(collection, held, request)
        body = dict(reply.body)
        if collection == "Groups" and not self.answers:
            body.pop("members", None)
        if collection == "Groups" and self.lies is not None:
            body["members"] = [{"value": each} for each in self.lies]
        return replace(reply, body=body)


@contextmanager
def archive(folder: Path, *old: str, adopt: bool = False, **limits: Any) -> Iterator[Pushing]:
    """Yield four people, and a group at the target that once held some of them, by key, and some strangers."""
    profile = PROFILE if adopt else RESTORING
    rules = target_rules(NAME, profile=profile, limits={Class.ADOPT: Limit(count=9), **limits})
    with pushing(folder, Archive(), replace(rules, adopt_groups=adopt)) as world:
        world.rules = source_rules({"userName": "{uid}", "externalId": "{uid}"})
        world.hold(*(person(key) for key in "1234"))
        world.settle()
        ids = world.snapshot.ids(Kind.USER, list(old))
        members = [{"value": ids.get(each) or world.scim.add_user(userName=each), "display": each} for each in old]
        world.scim.add_group(displayName="Group a", members=members, meta={"created": LONG_AGO})
        world.groups = [group("a", members=["2", "4"])]
        yield world


def there(world: Pushing) -> set[str]:
    """Return the names of the group's members."""
    (held,) = world.scim.groups.values()
    return {world.scim.users[each["value"]]["userName"] for each in held.get("members", [])}


@pytest.mark.parametrize("answers", [True, False])
def test_a_group_that_is_restored_keeps_who_belongs_and_nobody_else(tmp_path: Path, answers: bool) -> None:
    with archive(tmp_path, "1", "2", "stranger") as world:
        scim: Any = world.scim
        scim.answers = answers
        run = world.push()
        assert results(run) == {"create_group a": "applied", "add_members a": "applied"}
        assert detail(run, Action.CREATE_GROUP, "a") == "was restored with 3 members, 2 of them taken out"
        assert there(world) == {"u2", "u4"}
        assert world.snapshot.members("a") == ({"2", "4"}, set())
        assert world.plan().changes == ()
        assert not any("/Users/" in each for each in world.scim.log())


def test_who_is_there_already_is_not_added_again(tmp_path: Path) -> None:
    with archive(tmp_path, "2", "4") as world:
        run = world.push()
        assert [(each.result, each.detail) for each in run.outcomes] == [
            (Result.APPLIED, "was restored with 2 members, all of whom belong"),
            (Result.APPLIED, "the group was restored with them"),
        ]
        assert [each for each in world.scim.log() if each.startswith("PATCH")] == []


def test_an_answer_that_shows_other_members_than_there_are_is_not_believed(tmp_path: Path) -> None:
    with archive(tmp_path, "1") as world:
        scim: Any = world.scim
        scim.lies = list(world.snapshot.ids(Kind.USER, ["2", "4"]).values())
        run = world.push()
        assert detail(run, Action.CREATE_GROUP, "a") == "was restored with 1 member, who was taken out"
        assert there(world) == {"u2", "u4"}


def test_no_limit_withholds_it_since_nobody_had_what_the_group_gives(tmp_path: Path) -> None:
    with archive(tmp_path, "1", "3", "stranger", **{Class.REMOVE_MEMBERS: Limit(count=0)}) as world:
        run = world.push()
        assert detail(run, Action.CREATE_GROUP, "a") == "was restored with 3 members, 3 of them taken out"
        assert there(world) == {"u2", "u4"}


def test_guests_stay_where_they_are_only_reported(tmp_path: Path) -> None:
    with archive(tmp_path, "1", "guest") as world:
        world.target = replace(world.target, drift=Reactions(by_class={DriftClass.FOREIGN_MEMBER: Reaction.REPORT}))
        run = world.push()
        assert detail(run, Action.CREATE_GROUP, "a") == (
            "was restored with 2 members, 1 of them taken out, 1 whom nobody manages stays"
        )
        assert there(world) == {"u2", "u4", "guest"}


def test_a_member_who_is_held_back_for_now_stays(tmp_path: Path) -> None:
    with archive(tmp_path, "2", "3") as world:
        world.hold(*(person(key) for key in "12345"))
        world.groups = [group("a", members=["2", "5"])]
        run = world.push()
        assert results(run)["create_group a"] == "applied"
        assert there(world) == {"u2", "u5"}


def test_a_group_that_cannot_be_looked_at_is_linked_and_says_so(tmp_path: Path) -> None:
    with archive(tmp_path, "1") as world:
        (id_,) = world.scim.groups
        world.scim.instead("GET", f"/Groups/{id_}", *[error(403, "not you")] * 9)
        run = world.push()
        outcome = next(each for each in run.outcomes if each.change.action is Action.CREATE_GROUP)
        assert (outcome.result, outcome.status) == (Result.FAILED, 403)
        assert outcome.detail.startswith("its members can't be looked at")
        assert world.snapshot.ids(Kind.GROUP, ["a"]) == {"a": id_}


def test_whoever_cannot_be_taken_out_is_said(tmp_path: Path) -> None:
    with archive(tmp_path, "1", "2") as world:
        (id_,) = world.scim.groups
        for method in ("PATCH", "PUT"):
            world.scim.instead(method, f"/Groups/{id_}", *[error(403, "owner")] * 9)
        run = world.push()
        outcome = next(each for each in run.outcomes if each.change.action is Action.CREATE_GROUP)
        assert outcome.result is Result.FAILED
        assert outcome.detail.startswith("was restored with 2 members, and not all who don't belong could be taken out")
        assert world.snapshot.members("a")[0] == {"1", "2"}
        world.scim.relent()
        world.push()
        assert there(world) == {"u2", "u4"}


@pytest.mark.parametrize("limit", [2, 1])
def test_a_group_that_was_in_use_loses_no_more_than_the_limit_allows(tmp_path: Path, limit: int) -> None:
    with archive(tmp_path, "1", "2", "stranger", adopt=True, **{Class.REMOVE_MEMBERS: Limit(count=limit)}) as world:
        run = world.push()
        said = detail(run, Action.CREATE_GROUP, "a")
        assert said.startswith("is managed from now on; had 3 members")
        if limit == 2:
            assert said.endswith("2 of them taken out")
            assert there(world) == {"u2", "u4"}
        else:
            hint = "more than `limits.remove_members` allows; `syncd resync` holds them"
            assert said.endswith(f"2 who don't belong stay: {hint}")
            assert there(world) == {"u1", "u2", "u4", "stranger"}


def test_a_new_group_costs_no_look_where_groups_are_not_restored(tmp_path: Path) -> None:
    with archive(tmp_path) as world:
        world.scim.groups.clear()
        world.target = replace(world.target, profile=PROFILE)
        plan = world.plan()
        run = world.push(plan)
        assert set(run.results) == {Result.APPLIED}
        creation = world.scim.log().index("POST /Groups")
        assert not world.scim.log()[creation + 1].startswith("GET")


def test_where_a_person_can_be_in_one_group_alone_who_belongs_elsewhere_stays_until_then(tmp_path: Path) -> None:
    with archive(tmp_path, "1", "2") as world:
        world.target = replace(world.target, profile=replace(RESTORING, one_group_per_user=True))
        run = world.push()
        said = detail(run, Action.CREATE_GROUP, "a")
        assert said == "was restored with 2 members, 1 of them stays until joining another group"
        assert there(world) == {"u1", "u2", "u4"}
