"""Every fault of the sandbox, before and after it takes effect, in every kind of change: at the end all is in line.

A fault meets the first request of one run that would change something. At most two runs later, the target
holds the source's state, each account and group once, nobody is invited twice, and a full resync finds no drift.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, Final

import pytest

from tests.faults.world import TOKEN, World
from tests.sandbox.process import Sandbox
from tests.scim.asking import IMPATIENT

Fault = dict[str, Any]

_EITHER_WAY: Final[dict[str, Fault]] = {
    "500": {"fault": "status", "status": 500},
    "502 as a web page": {"fault": "status", "status": 502, "body": "html"},
    "503 without a body": {"fault": "status", "status": 503, "body": "empty"},
    "503 and when to come again": {"fault": "status", "status": 503, "retry_after": 0},
    "504": {"fault": "status", "status": 504},
    "cut off": {"fault": "reset"},
    "too late": {"fault": "delay", "milliseconds": 1500},
}
FAULTS: Final[dict[str, Fault]] = {
    **{f"{name}, {when}": {**fault, "applied": applied} for name, fault in _EITHER_WAY.items()
       for when, applied in (("not done", False), ("done", True))},
    "429": {"fault": "status", "status": 429},
    "429 in seconds": {"fault": "status", "status": 429, "retry_after": 0},
    "429 with a date": {"fault": "status", "status": 429, "retry_after": 0, "retry_after_form": "date"},
    "403 in place of 429": {"fault": "status", "status": 403, "retry_after": 0},
    "half an answer": {"fault": "truncated"},
    "no JSON": {"fault": "not_json"},
    "an empty answer": {"fault": "empty"},
    "an empty answer that says no id": {"fault": "empty", "location": False},
    "the token refused": {"fault": "unauthorized"},
    "the state of before": {"fault": "stale", "milliseconds": 300},
}  # fmt: skip


def create(world: World) -> None:
    world.but(eve={"boss": "ada"})
    world.company.members.add(("g", "eve"))


def update(world: World) -> None:
    world.but(ada={"title": "Doctor"})


def deactivate(world: World) -> None:
    world.but(bob={"status": "left"})
    world.company.members.discard(("g", "bob"))


def reactivate(world: World) -> None:
    world.but(off={"status": "active"})


def vanish(world: World) -> None:
    world.but(cyd=None)
    world.company.members.discard(("h", "cyd"))


def manager(world: World) -> None:
    world.but(cyd={"boss": "ada"})


def new_group(world: World) -> None:
    world.company.groups["k"] = "Group k"
    world.company.members |= {("k", "ada"), ("k", "cyd")}


def rename(world: World) -> None:
    world.company.groups["g"] = "Renamed g"


def drop_group(world: World) -> None:
    del world.company.groups["h"]
    world.company.members.discard(("h", "cyd"))


def join(world: World) -> None:
    world.company.members |= {("g", "cyd"), ("h", "ada")}


def leave(world: World) -> None:
    world.company.members -= {("g", "bob"), ("h", "cyd")}


CHANGES: Final[tuple[Callable[[World], None], ...]] = (
    create, update, deactivate, reactivate, vanish, manager, new_group, rename, drop_group, join, leave,
)  # fmt: skip


@pytest.fixture(scope="module")
def _generic() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def generic(_generic: Sandbox) -> Iterator[Sandbox]:
    """An empty endpoint: what hundreds of tests left would be read whole again and again."""
    yield _generic
    _generic.faults()
    for group in _generic.groups():
        _generic.scim("DELETE", f"/Groups/{group['id']}").raise_for_status()
    for user in _generic.users():
        _generic.scim("DELETE", f"/Users/{user['id']}").raise_for_status()


@pytest.fixture(scope="module")
def lucidlink() -> Iterator[Sandbox]:
    with Sandbox("lucidlink", verified_domains=["example.com"]) as sandbox:
        yield sandbox


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "sandbox-token")
    monkeypatch.setattr("syncd.settings.build.targets.Patience", lambda **_: IMPATIENT)


def met(sandbox: Sandbox, fault: Fault) -> None:
    """Let the first request that would change something meet a fault."""
    sandbox.faults({"method": ["POST", "PATCH", "PUT", "DELETE"], "nth": 1, **fault})


@pytest.mark.parametrize("change", CHANGES, ids=lambda change: change.__name__)
@pytest.mark.parametrize("fault", FAULTS)
def test_after_any_fault_in_any_change_all_is_in_line(
    tmp_path: Path, generic: Sandbox, fault: str, change: Callable[[World], None]
) -> None:
    world = World(tmp_path, generic, f"{list(FAULTS).index(fault)}-{change.__name__}")
    world.converge()
    change(world)
    met(generic, FAULTS[fault])
    world.sync()
    generic.faults()
    world.converge(2)
    world.check()


@pytest.mark.parametrize("fault", FAULTS)
def test_nobody_is_invited_twice(tmp_path: Path, lucidlink: Sandbox, fault: str) -> None:
    world = World(tmp_path, lucidlink, f"{list(FAULTS).index(fault)}-invited", "lucidlink")
    world.converge()
    world.but(outsider={})
    world.company.members.add(("g", "outsider"))
    met(lucidlink, FAULTS[fault])
    world.sync()
    lucidlink.faults()
    world.converge(2)
    world.check()
    assert world.invitations()[world.mail("outsider")] == 1


@pytest.mark.parametrize("fault", FAULTS)
def test_an_account_is_deleted_once_whatever_happens(tmp_path: Path, generic: Sandbox, fault: str) -> None:
    world = World(tmp_path, generic, f"{list(FAULTS).index(fault)}-deleted", delete_after="0s")
    world.converge()
    world.but(bob={"status": "left"})
    world.company.members.discard(("g", "bob"))
    world.sync()  # switched off
    met(generic, FAULTS[fault])
    world.sync()
    generic.faults()
    world.converge(2)
    world.check()
    assert world.mail("bob") not in {user["userName"] for user in generic.users()}
