"""A full resync of real servers, each a process of its own: nothing that is right is drift, nor is any of it sent."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import httpx
import pytest

from syncd import log
from syncd.core.plan import Plan, Run
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans
from syncd.settings.build import read
from syncd.store import StateFile
from tests.contract.endpoint_contract import EXTRAS, TOKEN, Endpoint, World, person
from tests.sandbox.process import Sandbox
from tests.servers import others

PATCH = "urn:ietf:params:scim:api:messages:2.0:PatchOp"


@dataclass
class Kind:
    """A server to be tried, and what it does otherwise."""

    name: str
    profile: str = "generic"
    emails: str = "'emails[type eq \"work\"].value'"
    settings: dict[str, str] = field(default_factory=dict)
    suffix: str = ""
    overrides: str = ""
    extras: Iterable[str] = tuple(EXTRAS)
    started: Callable[[], AbstractContextManager[Endpoint]] | None = None
    """How a server is started that isn't the sandbox."""

    @contextmanager
    def running(self) -> Iterator[Endpoint]:
        if self.started is not None:
            with self.started() as endpoint:
                yield endpoint
            return
        with Sandbox(self.profile, settings=self.settings) as sandbox:
            yield Endpoint(sandbox.base_url, sandbox.token)


KINDS = [
    Kind("generic"),
    Kind("lucidlink", "lucidlink"),
    Kind("lucidlink-suffix", "lucidlink", settings={"suffix-in-api": "yes"}, suffix=" (SCIM)"),
    Kind("lucid-content", "lucid-content", emails="emails"),
    Kind("lucid-admin", "lucid-admin", emails="emails"),
    Kind("scim2-server", started=others.scim2_server),
    Kind("scimmy", started=others.scimmy),
    # A user and a group of it may have the same id.
    Kind(
        "django-scim", "generic", "emails", overrides='member_removal = "values"', extras=(), started=others.django_scim
    ),
]


class Resyncing(World):
    """A world that also reads its endpoint whole."""

    def resync(self, *, push: bool = True) -> Run | Plan:
        setup = read(self.folder / "syncd.toml")
        with StateFile(setup.state) as state:
            (planned,) = make_plans(setup, state, setup.targets, Progress(), full=True)
            assert planned.failure is None
            return carry_out(planned, state, Progress()) if push else planned.plan

    def plan(self) -> Plan:
        plan = self.resync(push=False)
        assert isinstance(plan, Plan)
        return plan

    def run(self) -> Run:
        run = self.resync()
        assert isinstance(run, Run)
        assert {outcome.result.value for outcome in run.outcomes} <= {"applied"}
        assert run.error == ""
        return run

    def edit(self, path: str, *operations: dict[str, Any]) -> None:
        """Change a resource as somebody else does."""
        headers = {"Authorization": f"Bearer {self.endpoint.token}", "Content-Type": "application/scim+json"}
        with httpx.Client(headers=headers, timeout=30, trust_env=False) as client:
            url = f"{self.endpoint.base_url}/{path}"
            if operations:
                answer = client.patch(url, json={"schemas": [PATCH], "Operations": list(operations)})
            else:
                answer = client.delete(url)
            answer.raise_for_status()


@pytest.fixture(params=KINDS, ids=lambda kind: kind.name)
def world(request: pytest.FixtureRequest, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Resyncing]:
    kind: Kind = request.param
    with kind.running() as endpoint:
        monkeypatch.setenv(TOKEN, endpoint.token)
        log.configure("error")
        names = (kind.profile, kind.emails, kind.suffix)
        yield Resyncing(tmp_path, endpoint, *names, extras=kind.extras, overrides=kind.overrides)


def drift(plan: Plan) -> list[tuple[str, str, Any]]:
    return [(each.class_.value, each.key, each.found) for each in plan.drift]


def test_what_was_just_written_is_no_drift(world: Resyncing) -> None:
    world.people.append(person(4))
    world.sync()
    world.people[3] = person(4, status="left")  # some hide those who are off
    world.sync()
    run = world.run()
    assert (drift(run.plan), run.plan.problems, run.outcomes, run.writes) == ([], (), (), 0)


def test_what_somebody_changed_is_found_and_put_back(world: Resyncing) -> None:
    world.sync()
    ids = {name: user["id"] for name, user in world.users().items()}
    (group,) = world.endpoint.listed("Groups")
    world.edit(f"Users/{ids['p1@example.com']}", {"op": "replace", "path": "name.givenName", "value": "Zoe"})
    world.edit(f"Users/{ids['p2@example.com']}", {"op": "replace", "path": "active", "value": False})
    joining = {"op": "add", "path": "members", "value": [{"value": ids["p3@example.com"]}]}
    world.edit(f"Groups/{group['id']}", joining)
    assert sorted(drift(world.plan())) == [
        ("member_added", "g1", {"members": ["3"]}),
        ("user_activation", "2", {"active": False}),
        ("user_attributes", "1", {"name.givenName": "Zoe"}),
    ]
    assert world.run().plan.problems == ()
    users = world.users()
    assert (users["p1@example.com"]["name"]["givenName"], users["p2@example.com"]["active"]) == ("First1", True)
    assert world.members_of("Engineering") == {"p1@example.com", "p2@example.com"}
    again = world.run()
    assert (drift(again.plan), again.writes) == ([], 0)


def test_with_the_state_file_gone_everything_is_linked_again_and_nothing_written(world: Resyncing) -> None:
    world.people.append(person(4))
    world.sync()
    ids = {name: user["id"] for name, user in world.users().items()}
    for file in world.folder.glob("syncd.db*"):
        file.unlink()
    run = world.run()
    linked = {change.key: change.resource for change in run.plan.changes if change.action.about_user}
    assert linked == {str(key): ids[f"p{key}@example.com"] for key in (1, 2, 3, 4)}
    # Nothing was sent; a group without our mark waits for a person.
    assert {outcome.status for outcome in run.outcomes} == {0}
    assert drift(world.plan()) == []


def test_where_every_page_is_the_first_nobody_is_lost_and_nobody_made_twice(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """scimmy-routers on Express 5 shows the first 20, whatever startIndex and count say: 25 of 45 are in no list."""
    with others.scimmy() as endpoint:
        monkeypatch.setenv(TOKEN, endpoint.token)
        log.configure("error")
        world = Resyncing(tmp_path, endpoint, "generic", Kind.emails, "")
        world.people = [person(key) for key in range(1, 46)]
        world.sync()
        before = found(endpoint, "p45@example.com")
        run = world.run()
        assert (drift(run.plan), run.writes) == ([], 0)
        unlisted = "the endpoint lists 20 of 45 users: nobody counts as deleted for not being listed"
        assert [each.problem for each in run.plan.problems] == [unlisted]
        for file in world.folder.glob("syncd.db*"):
            file.unlink()
        world.run()
        world.people[44] = person(45, status="left")
        world.sync()
        assert found(endpoint, "p45@example.com") == before | {"active": False}
        assert listed(endpoint)["totalResults"] == 45


def found(endpoint: Endpoint, user_name: str) -> dict[str, Any]:
    """Return the only user of a name, without what the endpoint says about its changes."""
    (user,) = listed(endpoint, filter=f'userName eq "{user_name}"')["Resources"]
    return {name: value for name, value in user.items() if name != "meta"}


def listed(endpoint: Endpoint, **query: str) -> dict[str, Any]:
    headers = {"Authorization": f"Bearer {endpoint.token}"}
    answer = httpx.get(f"{endpoint.base_url}/Users", params=query, headers=headers, trust_env=False)
    body: dict[str, Any] = answer.raise_for_status().json()
    return body
