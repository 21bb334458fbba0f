"""A company with an endpoint of its own: the installed `syncd`, the sandbox as a process, and people at both ends."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from tests.sandbox.process import Json, Sandbox
from tests.system.commands import Administrator, Done, person

CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "employee_id"
active = 'status == "active"'
groups = "groups.csv"
members = "members.csv"
[mapping.user]
userName = "{{mail|lower}}"
externalId = "{{employee_id}}"
displayName = "{{first}} {{last}}"
title = "{{title}}"
'emails[type eq "work"].value' = "{{mail|lower}}"
[[target]]
name = "target"
profile = "{profile}"
base_url = "{url}"
rate = 10000
token = {{ env = "SYNCD_TOKEN" }}
verified_domains = ["example.com"]
{more}
"""
WRITES = ("POST", "PUT", "PATCH", "DELETE")


class House:
    """Thirty people in two groups. `admin` runs syncd, `sandbox` is the endpoint."""

    def __init__(self, folder: Path, sandbox: Sandbox, profile: str, more: str) -> None:
        self.sandbox = sandbox
        self.admin = Administrator(folder, SYNCD_TOKEN=sandbox.token)
        self.admin.write("syncd.toml", CONFIGURATION.format(profile=profile, url=sandbox.base_url, more=more))
        self.rows = {key: person(key) for key in range(1, 31)}
        self.groups = {"eng": "Engineering", "sales": "Sales"}
        self.members = {"eng": set(range(1, 11)), "sales": set(range(11, 16))}
        self.write()

    def write(self) -> None:
        """Write the files as the house is."""
        self.admin.people(self.rows.values())
        self.admin.write("groups.csv", "id,name\n" + "".join(f"{id_},{name}\n" for id_, name in self.groups.items()))
        self.admin.members((group, str(key)) for group, keys in self.members.items() for key in sorted(keys))

    def change(self, key: int, **changes: str) -> None:
        """Change one person's row."""
        self.rows[key] = self.rows[key] | changes
        self.write()

    def syncd(self, *arguments: str) -> Done:
        return self.admin.syncd(*arguments)

    def settle(self) -> None:
        """Sync until all is in line, and forget what was asked."""
        done = self.syncd("sync")
        assert done.code == 0, done.out + done.err
        self.sandbox.clear_requests()

    # -- the endpoint ----------------------------------------------------------------------------

    def users(self) -> dict[str, Json]:
        """Return everybody that the endpoint's people see, by userName."""
        return {user["userName"]: user for user in self.sandbox.admin("GET", "/users")}

    def user(self, key: int) -> Json:
        return self.users()[self.rows[key]["mail"]]

    def group(self, name: str) -> Json:
        """Return a group as the endpoint's people see it."""
        (found,) = [each for each in self.sandbox.admin("GET", "/groups") if each["name"] == name]
        group: Json = self.sandbox.admin("GET", f"/groups/{found['id']}")
        return group

    def resource(self, key: int) -> Json:
        """Return a user as SCIM shows it."""
        (found,) = [user for user in self.sandbox.users() if user["userName"] == self.rows[key]["mail"]]
        return found

    def active(self) -> set[str]:
        """Return the userNames of those who can get in, or could once they accept."""
        return {name for name, user in self.users().items() if user["state"] != "deactivated"}

    def writes(self) -> list[str]:
        """Return `METHOD path` of every request that writes."""
        return [f"{each['method']} {each['path']}" for each in self.sandbox.requests() if each["method"] in WRITES]

    def support(self, method: str, path: str, body: Any = None) -> Any:
        """Do at the endpoint what only its support may: what SCIM manages."""
        return self.sandbox.admin(method, path, body, params={"force": "1"})


@contextmanager
def house(
    folder: Path,
    profile: str = "generic",
    *,
    more: str = 'missing_grace = "0s"',
    settings: Mapping[str, str] | None = None,
    verified: Iterable[str] = ("example.com",),
) -> Iterator[House]:
    """Yield a house whose endpoint is of a profile; `more` goes into the [[target]]."""
    folder.mkdir(exist_ok=True)
    with Sandbox(profile, verified_domains=list(verified), settings=settings) as sandbox:
        yield House(folder, sandbox, profile, more)


def held(done: Done) -> set[str]:
    """Return the limits that hold something in a run or plan that was printed as JSON."""
    return {each["limit"] for each in done.json["held"]}
