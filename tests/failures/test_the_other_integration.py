"""Lucid has two integrations at one address, and the token alone decides which one answers. The wrong one is named."""

from __future__ import annotations

import json
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path

import pytest

from tests.failures.house import WRITES
from tests.sandbox.process import Json, Sandbox
from tests.system.commands import Administrator, Done, person

ADMIN, CONTENT = "lucid-admin", "lucid-content"
TOKENS = {ADMIN: "admin-token", CONTENT: "content-token"}
NAMES = {ADMIN: "Lucid's admin management", CONTENT: "Lucid's content access"}
KINDS = {ADMIN: "organizational groups", CONTENT: "teams"}
CONFIGURATION = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "employee_id"
groups = "groups.csv"
members = "members.csv"
[mapping.user]
userName = "{mail|lower}"
externalId = "{employee_id}"
'emails[type eq "work"].value' = "{mail|lower}"
"""
TARGET = """
[[target]]
name = "{name}"
profile = "{profile}"
base_url = "{url}"
rate = 10000
token = {{ file = "{name}.token" }}
{more}
"""


class Account:
    """A Lucid account, and targets of it, each called like its profile."""

    def __init__(self, folder: Path, sandbox: Sandbox, profiles: tuple[str, ...], more: Mapping[str, str]) -> None:
        self.sandbox = sandbox
        self.admin = Administrator(folder)
        url = sandbox.base_url
        self._tables = {
            name: TARGET.format(name=name, profile=name, url=url, more=more.get(name, "")) for name in profiles
        }
        self.configure()
        for name in profiles:
            self.token(name, name)
        self.groups = {"eng": "Engineering", "sales": "Sales"}
        self.members = {"eng": {1, 2, 3}, "sales": {4, 5}}
        self.write()

    def configure(self, more: str = "") -> None:
        self.admin.write("syncd.toml", CONFIGURATION + "".join(self._tables.values()) + more)

    def token(self, target: str, of: str) -> None:
        """Let a target have the token of an integration."""
        self.admin.write(f"{target}.token", TOKENS[of]).chmod(0o600)

    def write(self, **titles: str) -> None:
        self.admin.people(person(key, last=titles.get(f"p{key}", "Last")) for key in range(1, 8))
        self.admin.write("groups.csv", "id,name\n" + "".join(f"{key},{name}\n" for key, name in self.groups.items()))
        self.admin.members((group, str(key)) for group, keys in self.members.items() for key in sorted(keys))

    def syncd(self, *arguments: str) -> Done:
        return self.admin.syncd(*arguments)

    def people(self, integration: str) -> list[str]:
        """Create the people of the source by another client; returns their ids."""
        bodies = (
            {
                "schemas": ["urn:ietf:params:scim:schemas:core:2.0:User"],
                "userName": f"p{key}@example.com",
                "emails": [{"value": f"p{key}@example.com"}],
            }
            for key in range(1, 8)
        )
        return [self._made("/Users", body, integration) for body in bodies]

    def group(self, integration: str, name: str, *members: str) -> str:
        """Create a group by another client; returns its id."""
        schemas = ["urn:ietf:params:scim:schemas:core:2.0:Group"]
        body = {"schemas": schemas, "displayName": name, "members": [{"value": each} for each in members]}
        return self._made("/Groups", body, integration)

    def _made(self, path: str, body: Json, integration: str) -> str:
        answer = self.sandbox.scim("POST", path, body, token=TOKENS[integration])
        assert answer.status_code == 201, answer.text
        self.sandbox.clear_requests()
        return str(answer.json()["id"])

    def kinds(self) -> dict[str, str]:
        """Return the kind of each group, by name."""
        return {each["name"]: each["kind"] for each in self.sandbox.admin("GET", "/groups")}

    def refused(self, *arguments: str) -> str:
        """Run a command that must end with exit code 1 and without a write; returns what it says."""
        self.sandbox.clear_requests()
        done = self.syncd(*arguments)
        said = done.out + done.err
        assert done.code == 1, said
        assert [each for each in self.sandbox.requests() if each["method"] in WRITES] == []
        return said


@contextmanager
def account(folder: Path, *profiles: str, **more: str) -> Iterator[Account]:
    with Sandbox(ADMIN, tokens=list(TOKENS.values())) as sandbox:
        yield Account(folder, sandbox, profiles, {name.replace("_", "-"): text for name, text in more.items()})


def other(profile: str) -> str:
    return CONTENT if profile == ADMIN else ADMIN


def names(said: str, profile: str) -> bool:
    """Return whether a message names the integration that answers, and the one that the profile wants."""
    answers = f"this token answers for {NAMES[other(profile)]}: its groups are {KINDS[other(profile)]}"
    wants = f"the profile {profile} wants the token of {NAMES[profile]}, whose groups are {KINDS[profile]}"
    return answers in said and wants in said


def guesses(said: str, profile: str) -> bool:
    return f"the token is probably that of {NAMES[other(profile)]}" in said


FIRST = ("check", "plan", "sync", "resync", "relink")


# -- the first run -----------------------------------------------------------------------------------


def test_a_first_run_with_the_token_of_admin_management_names_it_by_a_group_in_a_group(tmp_path: Path) -> None:
    with account(tmp_path, CONTENT) as it:
        it.token(CONTENT, ADMIN)
        first, *_ = it.people(ADMIN)
        it.group(ADMIN, "Everywhere", it.group(ADMIN, "Here", first))
        for command in FIRST:
            said = it.refused(command)
            assert names(said, CONTENT)
            assert "(`Everywhere` contains a group)" in said
        it.token(CONTENT, CONTENT)
        done = it.syncd("sync")
        assert done.code == 0, done.out + done.err
        assert it.kinds()["Engineering"] == "team"
        assert "stopped since" not in it.syncd("status").out


def test_a_first_run_with_the_token_of_content_access_names_it_by_people_in_two_teams(tmp_path: Path) -> None:
    with account(tmp_path, ADMIN) as it:
        it.token(ADMIN, CONTENT)
        first, second, third, *_ = it.people(CONTENT)
        it.group(CONTENT, "Football", first, second)
        it.group(CONTENT, "Chess", second, third)
        for command in ("check", "sync"):
            said = it.refused(command)
            assert names(said, ADMIN)
            assert "have people in common)" in said
        it.token(ADMIN, ADMIN)
        assert it.syncd("sync").code == 0
        assert it.kinds()["Engineering"] == "organizational group"


@pytest.mark.parametrize("profile", [ADMIN, CONTENT])
def test_a_first_run_names_the_token_by_the_groups_of_the_other_target(tmp_path: Path, profile: str) -> None:
    with account(tmp_path, ADMIN, CONTENT) as it:
        assert it.syncd("sync", "--target", other(profile)).code == 0
        it.token(profile, other(profile))
        for command in ("check", "sync"):
            assert f"has the same token as the target {other(profile)}" in it.refused(command, "--target", profile)
        it.admin.write(f"{other(profile)}.token", "none")  # the other one was exchanged already
        for command in ("check", "sync"):
            said = it.refused(command, "--target", profile)
            assert names(said, profile)
            assert f"is managed by the target {other(profile)}" in said
        it.token(other(profile), other(profile))
        it.token(profile, profile)
        assert it.syncd("sync").code == 0


@pytest.mark.parametrize("profile", [ADMIN, CONTENT])
def test_groups_that_tell_nothing_refuse_no_token(tmp_path: Path, profile: str) -> None:
    with account(tmp_path, profile) as it:
        first, *others = it.people(profile)
        it.group(profile, "All users", first, *others)
        it.group(profile, "Some", *others)
        it.group(profile, "Nobody")
        if profile == ADMIN:
            it.group(profile, "Above", it.group(profile, "Below", first))
        assert it.syncd("check").code == 0
        done = it.syncd("sync")
        assert done.code in (0, 3), done.out + done.err  # accounts may be taken over by a person alone
        assert "this token answers" not in done.out + done.err


@pytest.mark.parametrize("profile", [ADMIN, CONTENT])
def test_an_account_without_groups_takes_either_token(tmp_path: Path, profile: str) -> None:
    with account(tmp_path, profile) as it:
        it.people(profile)
        assert it.syncd("check").code == 0
        assert it.syncd("plan", "--full").code in (2, 3)


def test_the_default_group_by_another_name_is_no_evidence_once_it_is_named(tmp_path: Path) -> None:
    with account(tmp_path, ADMIN) as it:
        it.token(ADMIN, CONTENT)  # only a team may have people of another one in the sandbox
        first, second, third, *_ = it.people(CONTENT)
        it.group(CONTENT, "Staff", first, second)
        it.group(CONTENT, "Chess", second, third)
        assert names(it.refused("plan"), ADMIN)
        it.configure('overlapping_groups = ["Staff"]\n')
        assert it.syncd("plan").code in (2, 3)


def test_a_person_may_say_that_the_token_is_the_right_one(tmp_path: Path) -> None:
    with account(tmp_path, CONTENT) as it:
        it.token(CONTENT, ADMIN)
        it.group(ADMIN, "Everywhere", it.group(ADMIN, "Here"))
        assert 'sibling = ""' in it.refused("sync")
        it.configure('[target.profile_overrides]\nsibling = ""\n')
        assert it.syncd("check").code == 0
        assert it.syncd("sync").code == 0


def test_where_no_group_is_pushed_either_token_will_do(tmp_path: Path) -> None:
    with account(tmp_path, CONTENT, lucid_content="groups = []") as it:
        it.token(CONTENT, ADMIN)
        it.group(ADMIN, "Everywhere", it.group(ADMIN, "Here"))
        assert it.syncd("check").code == 0
        assert it.syncd("sync").code == 0


# -- later -------------------------------------------------------------------------------------------

LATER = {
    ADMIN: [("check",), ("sync",), ("resync",)],
    CONTENT: [("check",), ("sync",), ("plan",), ("plan", "--full"), ("resync",), ("sync", "--user", "1")],
}


@pytest.mark.parametrize("profile", [ADMIN, CONTENT])
def test_a_later_change_to_the_other_token_is_named_and_the_way_back_needs_nobody(tmp_path: Path, profile: str) -> None:
    with account(tmp_path, profile) as it:
        assert it.syncd("sync").code == 0
        it.write(p1="Changed")
        it.members["eng"].add(6)
        it.write()
        assert it.syncd("plan", "-o", "old.json").code == 2
        it.token(profile, other(profile))
        for command in (*LATER[profile], ("apply", "old.json")):
            said = it.refused(*command)
            assert "the token is another one" in said, command
            assert guesses(said, profile), command
        assert "may be another place" in it.syncd("status").out
        it.token(profile, profile)
        assert it.syncd("check").code == 0
        assert it.syncd("sync").code == 0
        assert "stopped since" not in it.syncd("status").out
        assert {name for name, kind in it.kinds().items() if kind.startswith(("org", "team"))} == {
            "Engineering",
            "Sales",
        }


@pytest.mark.parametrize("profile", [ADMIN, CONTENT])
def test_a_later_change_is_proven_by_the_groups_of_the_other_target(tmp_path: Path, profile: str) -> None:
    with account(tmp_path, ADMIN, CONTENT) as it:
        assert it.syncd("sync").code == 0
        it.members["eng"].add(6)
        it.write()
        it.token(profile, other(profile))
        it.token(other(profile), profile)  # exchanged by mistake
        for command in ("check", "sync", "resync"):
            assert names(it.refused(command, "--target", profile), profile), command


@pytest.mark.parametrize("profile", [ADMIN, CONTENT])
def test_the_first_plan_is_not_applied_with_the_token_of_the_other_target(tmp_path: Path, profile: str) -> None:
    with account(tmp_path, ADMIN, CONTENT) as it:
        assert it.syncd("sync", "--target", other(profile)).code == 0
        assert it.syncd("plan", "--full", "--target", profile, "-o", "old.json").code in (2, 3)
        it.token(profile, other(profile))
        it.token(other(profile), profile)
        assert names(it.refused("apply", "old.json"), profile)


@pytest.mark.parametrize("profile", [ADMIN, CONTENT])
def test_a_first_plan_says_how_many_requests_its_look_at_the_groups_takes(tmp_path: Path, profile: str) -> None:
    with account(tmp_path, profile) as it:
        assert it.syncd("plan", "--full", "-o", "first.json").code == 2
        announced = json.loads((tmp_path / "first.json").read_text())["estimate"]["requests"]
        done = it.syncd("apply", "first.json", "--json")
        assert (done.code, done.json["requests"]) == (0, announced)


def test_people_alone_tell_no_integration_from_the_other_but_groups_of_the_other_kind_do(tmp_path: Path) -> None:
    with account(tmp_path, CONTENT) as it:
        it.admin.environment["SYNCD__TARGET__0__GROUPS"] = '["None so far"]'
        assert it.syncd("sync").code == 0
        it.token(CONTENT, ADMIN)
        del it.admin.environment["SYNCD__TARGET__0__GROUPS"]
        it.group(ADMIN, "Everywhere", it.group(ADMIN, "Here"))
        for command in ("check", "sync", "resync"):
            assert names(it.refused(command), CONTENT)
