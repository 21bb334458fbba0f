"""All writes pass the gate, and go to linked resources alone; no protected account is switched off."""

from __future__ import annotations

import ast
import sys
from collections.abc import Callable, Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

import syncd
from syncd.core.model import Kind, State
from syncd.core.plan import Action, Change
from syncd.push.gate import Gate, Link
from syncd.push.refusal import Refusal
from syncd.scim.client import Client
from tests.endpoints import Endpoint, error
from tests.push.pushing import Pushing, adoption, detail, plan_of, pushing, results, said
from tests.world import group, person

WRITING = {"create", "update", "delete", "add_members", "remove_members"}
METHODS = {"POST", "PUT", "PATCH", "DELETE"}
PACKAGE = Path(syncd.__file__).parent
ALLOWED = {"push/gate.py", "scim/client.py", "scim/bulk.py"}
"""Modules that may write: the gate by the client, the client by the transport, many at once by bulk."""


def writes(source: str) -> Iterator[str]:
    """Yield what a module writes to a target: by a client's methods, by a transport, or with a link of its own."""
    for node in ast.walk(ast.parse(source)):
        if isinstance(node, ast.Attribute) and node.attr in WRITING:
            receiver = ast.unparse(node.value)
            if (
                receiver.rpartition(".")[2].strip("_").casefold() in ("client", "scim")
                or "client(" in receiver.casefold()
            ):
                yield f"{node.lineno}: {ast.unparse(node)}"
        if (
            isinstance(node, ast.Call)
            and isinstance(node.func, ast.Attribute)
            and node.func.attr == "send"
            and node.args
        ):
            method = node.args[0]
            if not isinstance(method, ast.Constant) or method.value in METHODS:
                yield f"{node.lineno}: {ast.unparse(node)}"
        if isinstance(node, ast.Name | ast.Attribute) and ast.unparse(node).rpartition(".")[2] == "_SEAL":
            yield f"{node.lineno}: {ast.unparse(node)}"


def sources() -> dict[str, str]:
    """Return the modules that could write to a target; the sandbox is one, and knows of none."""
    files = {str(file.relative_to(PACKAGE)): file for file in PACKAGE.rglob("*.py")}
    return {name: file.read_text() for name, file in files.items() if not name.startswith("sandbox/")}


def test_nobody_writes_to_a_target_but_the_gate() -> None:
    found = {name: list(writes(source)) for name, source in sources().items() if name not in ALLOWED}
    # Notices are sent by a `send` that is not the transport's.
    found = {name: [each for each in lines if "channel.send(notice)" not in each] for name, lines in found.items()}
    assert {name: lines for name, lines in found.items() if lines} == {}


@pytest.mark.parametrize(
    "planted",
    [
        "async def f(client): await client.create(kind, {})",
        "async def f(self): await self._client.update(kind, id_, {}, {}, {})",
        "delete = target.client(transport, patch=True).delete",
        "async def f(self): await self.client.add_members(id_, [])",
        "remove = Client(transport, patch=True).remove_members",
        "async def f(transport): await transport.send('DELETE', path)",
        "async def f(client): await client.transport.send(method, path)",
        "link = Link(kind, key, id_, gate._SEAL)",
        "from syncd.push import gate\nseal = gate._SEAL",
    ],
)
def test_a_write_past_the_gate_would_be_seen(planted: str) -> None:
    assert list(writes(planted))


def test_the_gate_is_seen_to_write() -> None:
    seen = {line.partition(": ")[2] for line in writes(sources()["push/gate.py"])}
    assert {f"self._client.{method}" for method in WRITING} <= seen


def test_every_write_of_a_push_comes_from_the_gate(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    callers: dict[str, set[str]] = {}

    def noting(name: str, method: Callable[..., Any]) -> Callable[..., Any]:
        def note(*args: Any, **kwargs: Any) -> Any:
            callers.setdefault(name, set()).add(sys._getframe(1).f_globals["__name__"])
            return method(*args, **kwargs)

        return note

    for name in WRITING:
        monkeypatch.setattr(Client, name, noting(name, getattr(Client, name)))
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"), person("3"))
        world.groups = [group("a", members=["1", "2"]), group("b", members=["1"])]
        world.settle()
        world.hold(person("1", title="Dr"), person("2", status="left"), person("3"))
        world.groups = [group("a", "Other", members=["3"])]
        assert set(results(world.push()).values()) == {"applied"}
    assert callers == {name: {"syncd.push.gate"} for name in WRITING}


@pytest.mark.parametrize("seal", [None, object(), "", True])
def test_a_link_can_not_be_made_elsewhere(seal: object) -> None:
    with pytest.raises(TypeError, match="only the gate links a resource"):
        Link(Kind.USER, "1", "native1", seal)


def test_the_gate_links_nothing_that_nobody_knows_of(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        gate = Gate(None, world.snapshot)  # type: ignore[arg-type]  # nothing is asked for
        assert gate.linked(Kind.USER, "1").id == "u1"
        for kind, key in ((Kind.USER, "2"), (Kind.GROUP, "1"), (Kind.USER, "u1")):
            with pytest.raises(Refusal, match="no longer linked"):
                gate.linked(kind, key)


# -- the protected -----------------------------------------------------------------------------------


def protected_by_configuration(world: Pushing) -> str:
    world.target = replace(world.target, protect=frozenset({"u1"}))
    return "protected: the configuration names u1 in `protect`"


def protected_by_key(world: Pushing) -> str:
    world.target = replace(world.target, protect=frozenset({"1"}))
    return "protected: the configuration names 1 in `protect`"


def protected_by_the_target(world: Pushing) -> str:
    with world.state.atomic():
        world.snapshot.discover({"patch": True, "protected": {"u1": "the account that the token belongs to"}})
    return "protected: the account that the token belongs to"


def switched_off(world: Pushing) -> Change:
    world.hold(person("1", status="left"))
    (change,) = world.plan().changes
    assert change.action is Action.DEACTIVATE_USER
    return change


def updated_to_be_off(world: Pushing) -> Change:
    return Change(Action.UPDATE_USER, "1", "u1", {"active": True}, {"active": False}, "", State.PENDING)


def deleted(world: Pushing) -> Change:
    return Change(Action.DELETE_USER, "1", "u1", {}, {}, "")


@pytest.mark.parametrize("protect", [protected_by_configuration, protected_by_key, protected_by_the_target])
@pytest.mark.parametrize("change", [switched_off, updated_to_be_off, deleted])
def test_a_plan_from_before_they_were_protected_does_not_shut_them_out(
    tmp_path: Path, protect: Callable[[Pushing], str], change: Callable[[Pushing], Change]
) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"))
        world.settle()
        plan = plan_of(world, change(world))
        reason = protect(world)
        run = world.push(plan)
        assert [(outcome.result, outcome.detail) for outcome in run.outcomes] == [("refused", reason)]
        assert world.scim.requests == []
        assert world.scim.by_name()["u1"]["active"] is True


def test_an_adoption_does_not_shut_a_protected_person_out(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.learnt(patch=True)
        id_ = world.scim.add_user(userName="u1", externalId="1", active=True)
        after = {"userName": "u1", "externalId": "1", "active": False}
        plan = plan_of(world, replace(adoption("1", id_, {**after, "active": True}, after), state=State.DEACTIVATED))
        reason = protected_by_key(world)
        assert said(world.push(plan)) == [("adopt_user", "1", "refused", 0, reason)]
        assert world.scim.users[id_]["active"] is True


def test_a_protected_person_is_changed_in_every_other_way(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2", title="Dr"))
        world.groups = [group("a", members=["1"])]
        world.settle()
        protected_by_key(world)
        world.hold(person("1", "renamed", title="Dr"), person("2", status="left"))
        world.groups = [group("a", members=["2"])]
        run = world.push()
        assert set(results(run).values()) == {"applied"}, said(run)
        assert world.scim.by_name()["renamed"]["title"] == "Dr"
        assert world.scim.by_name()["u2"]["active"] is False
        assert "1" not in world.snapshot.members("a")[0]


# -- what is native ----------------------------------------------------------------------------------


def test_an_endpoint_that_answers_with_a_native_resource_for_another_key_gives_nothing_away(tmp_path: Path) -> None:
    with pushing(tmp_path, Endpoint()) as world:
        world.hold(person("1"), person("2"))
        world.groups = [group("a", members=["1"])]
        world.settle()
        world.hold(person("1", title="Dr"), person("2", title="Dr"), person("3"))
        world.groups = [group("a", members=["1", "2"]), group("b", members=["1"])]
        native = world.scim.add_user(userName="theirs", title="theirs")
        team = world.scim.add_group(displayName="Theirs", members=[{"value": native}])
        world.scim.instead("POST", "/Users$", error(409, "taken"))
        world.scim.instead("POST", "/Groups$", error(409, "taken"))
        world.concurrency = 1
        run = world.push()
        assert detail(run, Action.CREATE_USER, "3") == "taken; but neither externalId nor userName finds it"
        assert world.scim.users[native] == {
            "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
            "id": native,
            "userName": "theirs",
            "title": "theirs",
        }
        assert world.scim.groups[team]["members"] == [{"value": native}]
        written = [line for line in world.scim.log() if not line.startswith(("GET", "POST"))]
        assert written == ["PATCH /Users/u1", "PATCH /Users/u2", "PATCH /Groups/g3"]
