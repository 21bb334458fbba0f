"""A small company, a sandbox and the cycle of `syncd sync`, for tests in which something breaks in the middle."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from copy import deepcopy
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.core.plan import Plan, Run
from syncd.cycle.progress import Progress
from syncd.cycle.recovering import recover, with_recovery
from syncd.cycle.sync import carry_out, make_plans
from syncd.settings.build import Setup, read
from syncd.store import StateFile
from tests.sandbox.process import Sandbox

TOKEN = "SYNCD_TEST_FAULTS_TOKEN"
ONE_EMAIL = 'emails = "{mail}"'
_CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "key"
active = 'status == "active"'
groups = "groups.csv"
members = "members.csv"
{source}
[mapping.user]
userName = "{{mail}}"
externalId = "{{key}}"
{mapping}
title = "{{title}}"
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" = "{{boss}}"
[mapping.group]
externalId = "{{id}}"
[[target]]
name = "target"
profile = "{profile}"
base_url = "{url}"
rate = 10000
timeout = "1s"
token = {{ env = "SYNCD_TEST_FAULTS_TOKEN" }}
verified_domains = ["example.com"]
missing_grace = "0s"
delete_after = "{delete_after}"
concurrency = 4
[target.limits]
deactivate = {{ count = 99 }}
delete = {{ count = 99 }}
delete_group = {{ count = 99 }}
remove_members = {{ count = 99 }}
"""


@dataclass
class Company:
    """What the source says: people by name, groups by id, and who is in which."""

    people: dict[str, dict[str, str]] = field(default_factory=dict)
    groups: dict[str, str] = field(default_factory=dict)
    members: set[tuple[str, str]] = field(default_factory=set)

    @classmethod
    def usual(cls) -> Company:
        people = {name: {"status": "active", "title": "Engineer", "boss": ""} for name in ("ada", "bob", "cyd")}
        people["off"] = {"status": "left", "title": "Engineer", "boss": ""}
        return cls(people, {"g": "Group g", "h": "Group h"}, {("g", "ada"), ("g", "bob"), ("h", "cyd")})


class World:
    """One company's files and state file, with keys and names of its own: several share a sandbox."""

    def __init__(
        self,
        folder: Path,
        sandbox: Sandbox,
        prefix: str,
        profile: str = "generic",
        *,
        delete_after: str = "never",
        source: str = "",
        mapping: str = ONE_EMAIL,
    ) -> None:
        self.company = Company.usual()
        self._folder, self._sandbox, self._prefix = folder, sandbox, prefix
        folder.mkdir(parents=True, exist_ok=True)
        self.write()
        text = _CONFIGURATION.format(
            profile=profile, url=sandbox.base_url, delete_after=delete_after, source=source, mapping=mapping
        )
        (folder / "syncd.toml").write_text(text)
        self.setup: Setup = read(folder / "syncd.toml")

    def mail(self, name: str) -> str:
        domain = "elsewhere.net" if name.startswith("out") else "example.com"
        called = self.company.people.get(name, {}).get("called", name)
        return f"{self._prefix}-{called}@{domain}"

    def key(self, name: str) -> str:
        return f"{self._prefix}-{name}" if name else ""

    def group(self, key: str) -> str:
        return f"{self._prefix} {self.company.groups[key]}"

    def write(self) -> None:
        """Let the files say what the company is."""
        key = self.key
        rows = [
            f"{key(name)},{each['status']},{self.mail(name)},{each['title']},{key(each['boss'])},"
            f"{each.get('home', '')},{each.get('team', '')}"
            for name, each in self.company.people.items()
        ]
        groups = [f"{key(id_)},{self.group(id_)}" for id_ in self.company.groups]
        members = [f"{key(group)},{key(name)}" for group, name in sorted(self.company.members)]
        for file, lines in (
            ("people.csv", ["key,status,mail,title,boss,home,team", *rows]),
            ("groups.csv", ["id,name", *groups]),
            ("members.csv", ["group,member", *members]),
        ):
            (self._folder / file).write_text("\n".join(lines) + "\n", encoding="utf-8")

    def sync(self, *, full: bool = False) -> Run:
        """Do what `syncd sync` does, or `syncd resync`."""
        self.write()
        with StateFile(self.setup.state) as state:
            failures = recover(state, self.setup.targets)
            plans = make_plans(self.setup, state, self.setup.targets, Progress(), full=full)
            (planned,) = with_recovery(plans, failures)
            return carry_out(planned, state, Progress())

    def converge(self, runs: int = 3) -> None:
        """Run until nothing is to be done; more than so many runs are a failure."""
        for _ in range(runs):
            run = self.sync()
            if not run.error and not self.plan().changes:
                return
        raise AssertionError(f"not in line after {runs} runs: {run.error} {[o.to_json() for o in run.outcomes]}")

    def plan(self, *, full: bool = False) -> Plan:
        with StateFile(self.setup.state) as state:
            (planned,) = make_plans(self.setup, state, self.setup.targets, Progress(), full=full)
        assert planned.failure is None, planned.failure
        return planned.plan

    def check(self) -> None:
        """Fail unless the target holds what the source says, each of it once, and the snapshot knows."""
        mine = [user for user in self._sandbox.users() if user["userName"].startswith(f"{self._prefix}-")]
        assert max(Counter(user["userName"] for user in mine).values()) == 1
        assert max(Counter(user["externalId"] for user in mine).values()) == 1
        users = {user["userName"]: user for user in mine}
        ids = {user["id"]: name for name, user in users.items()}
        for name, wanted in self.company.people.items():
            user = users.get(self.mail(name))
            if wanted["status"] != "active":
                assert user is None or user["active"] is False, f"{name} still gets in"
                continue
            assert user is not None, f"{name} has no account"
            assert (user.get("active", True), user.get("title")) == (True, wanted["title"])
            enterprise = user.get("urn:ietf:params:scim:schemas:extension:enterprise:2.0:User") or {}
            boss = (enterprise.get("manager") or {}).get("value")
            assert ids.get(boss, "") == (self.mail(wanted["boss"]) if wanted["boss"] else "")
        gone = set(users) - {self.mail(name) for name in self.company.people}
        assert all(users[name]["active"] is False for name in gone), "somebody who left still gets in"
        named = [
            (group["displayName"].removesuffix(" (SCIM)"), group)
            for group in self._sandbox.groups()
            if group["displayName"].startswith(self._prefix + " ")
        ]
        wanted_groups = {
            self.group(key): {self.mail(name) for group, name in self.company.members if group == key}
            for key in self.company.groups
        }
        assert sorted(name for name, _ in named) == sorted(wanted_groups), "each group once"
        there = {name: {ids[each["value"]] for each in group.get("members") or []} for name, group in named}
        assert there == wanted_groups
        whole = self.plan(full=True)
        assert (whole.changes, whole.drift) == ((), ())

    def invitations(self) -> Mapping[str, int]:
        """Return how often everybody of this company was invited."""
        mine: list[dict[str, Any]] = self._sandbox.admin("GET", f"/users?q={self._prefix}-")
        return {each["userName"]: each["invitations"] for each in mine}

    def but(self, **people: dict[str, str] | None) -> None:
        """Change people, add them, or (None) let them go."""
        self.company = deepcopy(self.company)
        for name, changes in people.items():
            if changes is None:
                del self.company.people[name]
            else:
                usual = {"status": "active", "title": "Engineer", "boss": ""}
                self.company.people[name] = {**self.company.people.get(name, usual), **changes}
