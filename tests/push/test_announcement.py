"""An endpoint that describes itself otherwise than before may be another place: a sample is seen before a write."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.place import Place, announcement_mark
from syncd.core.plan import Result
from syncd.store import StateFile
from tests.endpoints import Endpoint, Reply, Request
from tests.push.pushing import Pushing
from tests.world import person

CONFIG = {"patch": {"supported": True}}


class Described(Endpoint):
    config = CONFIG

    def _route(self, request: Request) -> Reply:
        if request.path.endswith("/ServiceProviderConfig"):
            return Reply(200, self.config)
        return super()._route(request)


class Recording(Pushing):
    def place(self) -> Place:
        return super().place().completed_by(self.snapshot.place)


@contextmanager
def recording(folder: Path, scim: Endpoint) -> Iterator[Recording]:
    with scim, StateFile(folder / "syncd.db") as state:
        yield Recording(state, scim)


def forget_what_was_announced(world: Pushing) -> None:
    """Let the next push read the endpoint's announcement again."""
    with world.state.atomic():
        world.snapshot.discover({})


def recorded(world: Pushing) -> Place:
    assert world.snapshot.place is not None
    return world.snapshot.place


@pytest.mark.parametrize("there", [True, False])
def test_a_changed_announcement_is_a_reason_to_look(tmp_path: Path, there: bool) -> None:
    with recording(tmp_path, scim := Described()) as world:
        world.hold(*(person(key) for key in "123"))
        world.settle()
        assert recorded(world).announcement == announcement_mark(CONFIG)
        forget_what_was_announced(world)
        scim.config = {**CONFIG, "documentationUri": "https://other.example.com"}  # type: ignore[dict-item]
        if not there:
            scim.users.clear()
        world.hold(person("1", title="Boss"), person("2"), person("3"))
        run = world.push()
        writes = [each for each in scim.requests if each.method != "GET"]
        if there:
            assert set(run.results) == {Result.APPLIED}
            assert recorded(world).announcement == announcement_mark(scim.config)
        else:
            assert "describes itself otherwise (/ServiceProviderConfig); none of 3 managed users" in run.error
            assert recorded(world).announcement == announcement_mark(CONFIG)
            assert writes == []


def test_an_announcement_that_was_unknown_is_recorded(tmp_path: Path) -> None:
    with recording(tmp_path, Described()) as world:
        world.hold(person("1"))
        world.settle()
        with world.state.atomic():
            world.snapshot.set_place(replace(recorded(world), announcement=""))
        forget_what_was_announced(world)
        world.hold(person("1", title="Boss"))
        assert set(world.push().results) == {Result.APPLIED}
        assert recorded(world).announcement == announcement_mark(CONFIG)
