"""A push that is killed with SIGKILL at every commit, and at random moments: the next runs find out and finish."""

from __future__ import annotations

import json
import random
import subprocess
import sys
from collections.abc import Callable, Iterator
from pathlib import Path
from time import perf_counter
from typing import Any

import pytest

from tests.faults.world import TOKEN, World
from tests.sandbox.process import Sandbox
from tests.scim.asking import IMPATIENT

MOMENTS = 50
SEED = 20261123
Bear = Callable[[dict[str, Any]], str]


@pytest.fixture
def lucidlink() -> Iterator[Sandbox]:
    """An endpoint for each test: what all of them left at one would be read whole again and again."""
    with Sandbox("lucidlink", verified_domains=["example.com"]) as sandbox:
        yield sandbox


@pytest.fixture
def lucid_content() -> Iterator[Sandbox]:
    """Groups carry no mark of ours here, and their names are unique: one that nobody remembers is somebody else's."""
    with Sandbox("lucid-content") as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "sandbox-token")
    monkeypatch.setattr("syncd.settings.build.targets.Patience", lambda **_: IMPATIENT)


@pytest.fixture
def bear(impatient: None) -> Iterator[Bear]:
    """Yield what runs a push to its violent end, and says how it ended."""
    root = Path(__file__).parents[2]
    process = subprocess.Popen(
        [sys.executable, "-m", "tests.faults.nursery"],
        cwd=root,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
    )
    assert process.stdin is not None
    assert process.stdout is not None

    def one(order: dict[str, Any]) -> str:
        assert process.stdin is not None
        assert process.stdout is not None
        process.stdin.write(json.dumps(order) + "\n")
        process.stdin.flush()
        return process.stdout.readline().strip()

    try:
        yield one
    finally:
        process.stdin.close()
        process.wait(30)
        process.stdout.close()


def changed(folder: Path, sandbox: Sandbox, name: str, profile: str = "lucidlink") -> World:
    """Return a company that is in line, and then changes in every way at once; at LucidLink somebody is invited too."""
    world = World(folder / name, sandbox, name, profile)
    world.converge()
    if profile == "lucidlink":
        world.but(outsider={})
    world.but(
        eve={"boss": "ada"},
        ada={"title": "Doctor"},
        bob={"status": "left"},
        off={"status": "active"},
        cyd={"boss": "ada"},
    )
    world.company.groups = {"g": "Renamed g", "k": "Group k"}
    world.company.members = {("g", "ada"), ("g", "eve"), ("k", "cyd"), ("k", "off")}
    if profile == "lucidlink":
        world.company.members.add(("g", "outsider"))
    world.write()
    return world


def in_line(world: World) -> None:
    world.converge()
    world.check()
    if "outsider" in world.company.people:
        assert world.invitations()[world.mail("outsider")] == 1


@pytest.mark.parametrize("profile", ["lucidlink", "lucid-content"])
@pytest.mark.parametrize("when", ["before", "after"])
@pytest.mark.parametrize("what", ["commit", "write"])
def test_killed_at_any_step_the_next_runs_finish_and_nothing_is_done_twice(
    tmp_path: Path, request: pytest.FixtureRequest, bear: Bear, what: str, when: str, profile: str
) -> None:
    sandbox = request.getfixturevalue(profile.replace("-", "_"))
    whole = changed(tmp_path, sandbox, f"{what}-{when}-whole", profile)
    steps = json.loads(bear({"folder": str(tmp_path / f"{what}-{when}-whole")}))[f"{what}s"]
    in_line(whole)
    assert steps > 10
    for step in range(1, steps + 1):
        name = f"{what}-{when}-{step}"
        world = changed(tmp_path, sandbox, name, profile)
        ended = bear({"folder": str(tmp_path / name), what: step, "when": when})
        # How many commits there are depends on who answers first: near the end there may be fewer.
        assert ended == "killed" or (what == "commit" and step > steps // 2), ended
        in_line(world)


def test_killed_at_random_moments_the_next_runs_finish_and_nothing_is_done_twice(
    tmp_path: Path, lucidlink: Sandbox, bear: Bear
) -> None:
    for name in ("random-first", "random-whole"):  # the first waits until everything is loaded
        whole = changed(tmp_path, lucidlink, name)
        began = perf_counter()
        bear({"folder": str(tmp_path / name)})
        seconds = perf_counter() - began
        in_line(whole)
    chance = random.Random(SEED)
    killed = 0
    for moment in range(MOMENTS):
        name = f"random-{moment}"
        world = changed(tmp_path, lucidlink, name)
        killed += bear({"folder": str(tmp_path / name), "seconds": chance.uniform(0, seconds)}) == "killed"
        in_line(world)
    assert killed > MOMENTS // 3, "most moments lie inside the run"
