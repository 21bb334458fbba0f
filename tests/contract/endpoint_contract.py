"""The contract of every SCIM endpoint: the life of people and groups, from CSV to the endpoint's own answers.

A subclass provides the endpoint, and declares the known limitations. Everything else is asserted by the endpoint's
later answers, not by syncd's own records.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path
from typing import Any, ClassVar

import httpx
import pytest

from syncd import log
from syncd.core.plan import Result, Run
from syncd.cycle.progress import Progress
from syncd.cycle.sync import carry_out, make_plans
from syncd.settings.build import read
from syncd.store import StateFile

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
TOKEN = "SYNCD_TEST_ENDPOINT_TOKEN"

_CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "key"
active = 'status == "active"'
groups = "groups.csv"
members = "members.csv"
[mapping.user]
userName = "{{mail}}"
"name.givenName" = "{{first}}"
"name.familyName" = "{{last}}"
{emails} = "{{mail}}"
{extras}
{required}
[[target]]
name = "endpoint"
profile = "{profile}"
base_url = "{url}"
rate = 10000
token = {{ env = "SYNCD_TEST_ENDPOINT_TOKEN" }}
missing_grace = "0s"
limits = {{ delete_group = {{ count = 100 }}, remove_members = {{ count = 100 }}, deactivate = {{ count = 100 }} }}
{overrides}
"""

EXTRAS = {
    "title": 'title = "{title}"',
    "department": f'"{ENTERPRISE}:department" = "{{department}}"',
    "manager": f'"{ENTERPRISE}:manager" = "{{manager}}"',
}
"""Attributes beyond name and address, and how they are mapped."""


@dataclass(frozen=True)
class Endpoint:
    """Where it is, and how to read it as its own administrator does."""

    base_url: str
    token: str

    def client(self) -> httpx.Client:
        """Return a client that leaves no trace in a sandbox's log."""
        headers = {"Authorization": f"Bearer {self.token}", "X-Sandbox-Observer": "1"}
        return httpx.Client(base_url=self.base_url, headers=headers, timeout=30, trust_env=False)

    def listed(self, kind: str) -> list[dict[str, Any]]:
        """Return all resources that a plain list shows, each read by itself."""
        with self.client() as client:
            answer = client.get(f"/{kind}", params={"startIndex": 1, "count": 100}).raise_for_status()
            ids = [resource["id"] for resource in answer.json().get("Resources", [])]
            return [client.get(f"/{kind}/{id_}").raise_for_status().json() for id_ in ids]

    def members(self, group: dict[str, Any]) -> list[str]:
        """Return the ids of a group's members."""
        return [member["value"] for member in group.get("members", [])]


class HidingEndpoint(Endpoint):
    """An endpoint whose groups don't show their members: its users are asked which groups they are in."""

    def members(self, group: dict[str, Any]) -> list[str]:
        """Return the ids of a group's members, of which the group itself shows none."""
        assert not group.get("members")
        with self.client() as client:
            answer = client.get("/Users", params={"filter": f'groups.value eq "{group["id"]}"'}).raise_for_status()
        return [user["id"] for user in answer.json()["Resources"]]


def person(key: int, **changes: str) -> dict[str, str]:
    """Return a row of the people's file."""
    return {
        "key": str(key),
        "status": "active",
        "mail": f"p{key}@example.com",
        "first": f"First{key}",
        "last": f"Łast{key}",
        "title": "Engineer",
        "department": "R&D",
        "manager": "",
    } | changes


class World:
    """Files, a state file and an endpoint; `sync()` is what the command does."""

    def __init__(
        self,
        folder: Path,
        endpoint: Endpoint,
        profile: str,
        emails: str,
        suffix: str,
        *,
        extras: Iterable[str] = EXTRAS,
        overrides: str = "",
        required: str = "",
    ) -> None:
        self.suffix = suffix
        self.folder = folder
        self.endpoint = endpoint
        text = _CONFIGURATION.format(
            profile=profile,
            url=endpoint.base_url,
            emails=emails,
            extras="\n".join(EXTRAS[extra] for extra in extras),
            required=required,
            overrides=f"[target.profile_overrides]\n{overrides}" if overrides else "",
        )
        (folder / "syncd.toml").write_text(text, encoding="utf-8")
        self.people = [person(1), person(2, manager="1"), person(3)]
        self.groups = {"g1": "Engineering"}
        self.members = [("g1", "1"), ("g1", "2")]

    def sync(self) -> Run:
        """Write the files, plan and push; everything must have been applied, with the requests that were announced."""
        rows = [",".join(self.people[0]), *(",".join(row.values()) for row in self.people)]
        self._write("people.csv", rows)
        self._write("groups.csv", ["id,name", *(f"{key},{name}" for key, name in self.groups.items())])
        self._write("members.csv", ["group,member", *(f"{group},{member}" for group, member in self.members)])
        setup = read(self.folder / "syncd.toml")
        with StateFile(setup.state) as state:
            (planned,) = make_plans(setup, state, setup.targets, Progress())
            run = carry_out(planned, state, Progress())
        assert [o.to_json() for o in run.outcomes if o.result is not Result.APPLIED] == []
        assert run.error == ""
        assert not run.plan.problems
        return run

    def _write(self, name: str, rows: list[str]) -> None:
        (self.folder / name).write_text("\n".join(rows) + "\n", encoding="utf-8")

    def users(self) -> dict[str, dict[str, Any]]:
        return {user["userName"]: user for user in self.endpoint.listed("Users")}

    def members_of(self, name: str) -> set[str]:
        names = {user["id"]: user["userName"] for user in self.endpoint.listed("Users")}
        (group,) = (each for each in self.endpoint.listed("Groups") if each["displayName"] == name + self.suffix)
        return {names[id_] for id_ in self.endpoint.members(group)}


class EndpointContract:
    """Subclass it with a fixture `endpoint`."""

    profile: ClassVar[str] = "generic"
    emails: ClassVar[str] = "'emails[type eq \"work\"].value'"
    """How the address is mapped: some endpoints know the whole attribute only."""
    lists_deactivated: ClassVar[bool] = True
    suffix: ClassVar[str] = ""
    """What the endpoint puts behind the names of pushed groups."""
    extras: ClassVar[tuple[str, ...]] = tuple(EXTRAS)
    """Which attributes beyond name and address the endpoint keeps: the others are neither mapped nor looked at."""
    required: ClassVar[str] = ""
    """Lines of the mapping, in TOML, for what the endpoint asks for besides."""
    overrides: ClassVar[str] = ""
    """What has to be said of the endpoint below `[target.profile_overrides]`, in TOML."""

    @pytest.fixture
    def world(self, endpoint: Endpoint, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> World:
        monkeypatch.setenv(TOKEN, endpoint.token)
        log.configure("error")
        names = (self.profile, self.emails, self.suffix)
        more = {"overrides": self.overrides, "required": self.required}
        return World(tmp_path, endpoint, *names, extras=self.extras, **more)

    def shown(self, user: dict[str, Any]) -> dict[str, Any]:
        """Return the attributes beyond name and address that a user has, of those that the endpoint keeps."""
        enterprise = user.get(ENTERPRISE, {})
        there = {
            "title": user.get("title"),
            "department": enterprise.get("department"),
            "manager": enterprise.get("manager", {}).get("value"),
        }
        return {name: value for name, value in there.items() if name in self.extras and value}

    def kept(self, **extras: str) -> dict[str, Any]:
        """Return what `shown` is to show when these have been written."""
        return {name: value for name, value in extras.items() if name in self.extras}

    def test_people_groups_and_memberships_arrive(self, world: World) -> None:
        run = world.sync()
        reading = 3  # users, groups, and the token's own account
        assert run.requests == reading + run.plan.estimate.requests
        users = world.users()
        assert set(users) == {"p1@example.com", "p2@example.com", "p3@example.com"}
        ada = users["p1@example.com"]
        assert ada["name"]["familyName"] == "Łast1"
        assert ada["active"] is True
        assert [email["value"] for email in ada["emails"]] == ["p1@example.com"]
        assert self.shown(ada) == self.kept(title="Engineer", department="R&D")
        written = self.kept(title="Engineer", department="R&D", manager=ada["id"])
        assert self.shown(users["p2@example.com"]) == written
        assert world.members_of("Engineering") == {"p1@example.com", "p2@example.com"}

    def test_a_second_run_sends_nothing(self, world: World) -> None:
        world.sync()
        again = world.sync()
        assert (again.requests, again.outcomes) == (0, ())

    def test_attributes_change_and_go(self, world: World) -> None:
        world.sync()
        ids = {name: user["id"] for name, user in world.users().items()}
        world.people = [
            person(1, title="Director", first="Adam"),
            person(2, manager="3", title=""),
            person(3, mail="new@example.com"),
        ]
        run = world.sync()
        assert run.requests == run.plan.estimate.requests
        users = world.users()
        assert users["p1@example.com"]["name"]["givenName"] == "Adam"
        assert self.shown(users["p1@example.com"]) == self.kept(title="Director", department="R&D")
        assert self.shown(users["p2@example.com"]) == self.kept(department="R&D", manager=ids["p3@example.com"])
        assert users["new@example.com"]["id"] == ids["p3@example.com"]
        assert [email["value"] for email in users["new@example.com"]["emails"]] == ["new@example.com"]
        assert world.sync().requests == 0

    def test_a_leaver_is_switched_off_and_comes_back_to_the_same_account(self, world: World) -> None:
        world.sync()
        before = world.users()["p3@example.com"]["id"]
        world.people[2] = person(3, status="left")
        world.sync()
        if self.lists_deactivated:
            assert world.users()["p3@example.com"]["active"] is False
        else:
            assert "p3@example.com" not in world.users()
        assert world.sync().requests == 0
        world.people[2] = person(3, title="Back", first="Eve")
        world.sync()
        back = world.users()["p3@example.com"]
        assert (back["id"], back["active"], back["name"]["givenName"]) == (before, True, "Eve")
        assert self.shown(back) == self.kept(title="Back", department="R&D")

    def test_members_come_and_go(self, world: World) -> None:
        world.sync()
        world.members = [("g1", "2"), ("g1", "3")]
        run = world.sync()
        assert run.requests == run.plan.estimate.requests
        assert world.members_of("Engineering") == {"p2@example.com", "p3@example.com"}
        assert world.sync().requests == 0

    def test_a_group_is_renamed_and_keeps_id_and_members(self, world: World) -> None:
        world.sync()
        (before,) = world.endpoint.listed("Groups")
        world.groups = {"g1": "Engineers"}
        world.sync()
        (after,) = world.endpoint.listed("Groups")
        assert (after["id"], after["displayName"]) == (before["id"], "Engineers" + self.suffix)
        assert world.members_of("Engineers") == {"p1@example.com", "p2@example.com"}

    def test_who_joins_a_group_when_it_is_renamed_and_after_is_in_it(self, world: World) -> None:
        world.sync()
        world.groups = {"g1": "Engineers"}
        world.members = [("g1", "1"), ("g1", "3")]
        world.sync()
        assert world.members_of("Engineers") == {"p1@example.com", "p3@example.com"}
        world.members = [("g1", "1"), ("g1", "2")]
        world.sync()
        assert world.members_of("Engineers") == {"p1@example.com", "p2@example.com"}

    def test_a_group_that_is_gone_is_deleted_and_its_members_stay(self, world: World) -> None:
        world.groups = {"g1": "Engineering", "g2": "Design"}
        world.sync()
        world.groups, world.members = {"g2": "Design"}, [("g2", "3")]
        world.sync()
        assert [group["displayName"] for group in world.endpoint.listed("Groups")] == ["Design" + self.suffix]
        assert len(world.users()) == 3
