"""A create that is answered with a resource that was there before is a takeover: said, counted, brought into line."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime, timedelta, timezone
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Kind
from syncd.core.plan import Result
from syncd.core.policy import Class, Limit
from syncd.push.predating import Habits, predates
from syncd.scim.client import Written
from syncd.scim.profiles import Profile
from tests.endpoints import Endpoint, Reply, Request
from tests.push.pushing import NAME, PROFILE, Pushing, pushing, results, said
from tests.world import group, person, source_rules, target_rules

NOW = datetime.now(UTC)
LONG_AGO = "2020-01-01T00:00:00Z"
SENT = {
    "userName": "ada@example.com",
    "externalId": "1",
    "title": "",
    "active": True,
    'emails[type eq "work"].value': "ada@x.example",
}
TAKEN = "was there already, and is managed from now on"


class Obliging(Endpoint):
    """Answers a create with what it has under that name, with the values of the request put over it."""

    def __init__(self, status: int) -> None:
        super().__init__()
        self.status = status

    def _create(self, collection: str, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        name = "userName" if collection == "Users" else "displayName"
        there = next((each for each in held.values() if each[name] == request.body[name]), None)
        if there is None:
            return super()._create(collection, held, request)
        mark = {"externalId": request.body["externalId"]} if "externalId" in request.body else {}
        held[there["id"]] = there | mark
        return Reply(self.status, held[there["id"]])


@contextmanager
def obliging(folder: Path, status: int, *, limit: int = 10, profile: Profile = PROFILE) -> Iterator[Pushing]:
    limits = {Class.ADOPT: Limit(count=limit)}
    with pushing(folder, Obliging(status), target_rules(NAME, profile=profile, limits=limits)) as world:
        world.rules = source_rules({"userName": "{uid}", "externalId": "{uid}", "title": "{title}"})
        world.hold(person("1"))
        world.settle()
        yield world


@pytest.mark.parametrize(
    ("status", "attributes"),
    [
        (200, {}),
        (201, {"meta": {"created": LONG_AGO}}),
        (201, {"title": "Owner", "emails": [{"value": "theirs@x.example"}]}),
        (201, {"phoneNumbers": [{"value": "+49 30 1", "type": "work"}]}),
    ],
    ids=["200", "older", "other values", "another number"],
)
def test_an_account_that_was_there_is_taken_over_and_brought_into_line(
    tmp_path: Path, status: int, attributes: dict[str, Any]
) -> None:
    with obliging(tmp_path, status) as world:
        id_ = world.scim.add_user(userName="u2", active=False, **attributes)
        world.hold(person("1"), person("2", title="Dr"))
        run = world.push()
        assert said(run) == [("create_user", "2", "applied", 200, TAKEN)]
        there = world.scim.users[id_]
        assert (there["title"], there["active"], there["externalId"]) == ("Dr", True, "u2")
        assert world.snapshot.ids(Kind.USER, ["2"]) == {"2": id_}
        assert not world.plan().changes


def test_no_more_are_taken_over_than_the_limit_says_and_the_others_are_tried_ever_more_rarely(tmp_path: Path) -> None:
    with obliging(tmp_path, 201, limit=1) as world:
        for name in ("u2", "u3"):
            world.scim.add_user(userName=name, active=True, title="Owner", meta={"created": LONG_AGO})
        world.concurrency = 1
        world.hold(person("1"), person("2", title="Dr"), person("3", title="Dr"))
        run = world.push()
        assert results(run) == {"create_user 2": "applied", "create_user 3": "failed"}
        why = run.outcomes[1].detail
        assert why.startswith("was answered with an account that was there before (it was made at 2020-01-01 00:00); ")
        assert "`limits.adopt`" in why
        assert world.scim.by_name()["u3"]["title"] == "Owner"
        assert world.snapshot.user("3") is None
        assert [each.change.key for each in world.state.quarantine(NAME).all()] == ["3"]


def test_an_account_of_another_mark_is_somebody_elses(tmp_path: Path) -> None:
    with obliging(tmp_path, 201) as world:
        id_ = world.scim.add_user(userName="u2", externalId="theirs")
        world.scim.instead("POST", "/Users$", Reply(201, world.scim.users[id_]))
        world.hold(person("1"), person("2"))
        run = world.push()
        assert results(run) == {"create_user 2": "failed"}
        assert "carries another externalId (theirs)" in run.outcomes[0].detail
        assert world.snapshot.user("2") is None


def test_a_new_account_is_no_takeover(tmp_path: Path) -> None:
    with obliging(tmp_path, 201, limit=0) as world:
        world.hold(person("1"), person("2", title="Dr"))
        assert said(world.push()) == [("create_user", "2", "applied", 201, "")]


@pytest.mark.parametrize("adopted", [False, True])
def test_a_group_that_was_there_is_taken_over_where_the_configuration_says_so(tmp_path: Path, adopted: bool) -> None:
    with obliging(tmp_path, 201) as world:
        world.target = replace(world.target, adopt_groups=adopted)
        id_ = world.scim.add_group(displayName="Group a", meta={"created": LONG_AGO})
        world.groups = [group("a")]
        (outcome,) = world.push().outcomes
        if adopted:
            assert (outcome.result, outcome.detail) == (Result.APPLIED, "is managed from now on")
            assert world.snapshot.ids(Kind.GROUP, ["a"]) == {"a": id_}
        else:
            assert (outcome.result, outcome.status) == (Result.FAILED, 409)
            assert "was answered with a group that was there before" in outcome.detail
            assert world.snapshot.group("a") is None


def test_a_team_that_is_brought_back_is_no_takeover(tmp_path: Path) -> None:
    with obliging(tmp_path, 201, profile=replace(PROFILE, groups_restored=True)) as world:
        id_ = world.scim.add_group(displayName="Group a", meta={"created": LONG_AGO})
        world.groups = [group("a")]
        assert results(world.push()) == {"create_group a": "applied"}
        assert world.snapshot.ids(Kind.GROUP, ["a"]) == {"a": id_}


# -- the table ---------------------------------------------------------------------------------------


def judged(status: int = 201, at: datetime | None = None, *, known: bool = True, **body: Any) -> bool:
    """Return whether an answer counts as one about an account that was there before."""
    written = Written("u7", status, {"id": "u7", "userName": "ada@example.com", **body}, at)
    habits = Habits({Kind.USER}, {Kind.USER}) if known else Habits()
    return bool(predates(Kind.USER, SENT, written, NOW, NOW + timedelta(seconds=1), habits))


def made(ago: timedelta) -> dict[str, Any]:
    return {"created": (NOW - ago).isoformat()}


def test_an_account_is_as_old_as_the_endpoints_own_clock_says() -> None:
    assert not judged(meta=made(timedelta(seconds=90)))
    assert judged(meta=made(timedelta(minutes=3)))
    # The endpoint's clock is an hour behind, and the account is new.
    behind = NOW - timedelta(hours=1)
    assert not judged(at=behind, meta=made(timedelta(hours=1)))
    assert judged(at=behind, meta=made(timedelta(hours=1, minutes=3)))
    # A local time that doesn't say its zone.
    local = (NOW - timedelta(hours=9)).replace(tzinfo=None).isoformat()
    assert not judged(meta={"created": local})
    assert judged(meta={"created": "2020-01-01T00:00:00"})
    assert not judged(meta={"created": NOW.astimezone(timezone(timedelta(hours=5))).isoformat()})
    assert not judged(meta={"created": "yesterday"})


def test_status_200_means_something_where_201_is_usual() -> None:
    assert judged(200)
    assert not judged(200, known=False)
    assert not judged(200, known=False, active=True)
    assert judged(200, known=False, active=False)


def test_another_mark_means_something_where_ours_is_kept() -> None:
    assert judged(externalId="2")
    assert not judged(externalId="2", known=False)


def test_values_that_an_endpoint_makes_up_are_no_other_persons() -> None:
    usual = {
        "displayName": "Ada",
        "active": True,
        "externalId": "1",
        "groups": [{"value": "everybody"}],
        "roles": [{"value": "user"}],
        "locale": "en",
        "emails": [{"value": "ADA@x.example"}, {"value": "ada@example.com", "primary": True}],
        "title": "",
    }
    for count in range(len(usual) + 1):
        for names in itertools.combinations(usual, count):
            assert not judged(**{name: usual[name] for name in names}), names
    assert judged(title="Owner")
    assert judged(emails=[{"value": "other@x.example"}])
