"""`syncd check`: whether a target still is the place of its links, and whether two targets are one place."""

from __future__ import annotations

import json
import os
import subprocess
import sys
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path
from typing import Any
from uuid import UUID

import pytest

from syncd.cli.check import Finding, check_all
from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, Known, KnownGroup, State
from syncd.scim.resources import resource
from syncd.settings.build import compile_settings
from syncd.store import StateFile
from syncd.store.snapshot import Stop
from tests.configurations import MAPPING, SOURCE, loaded
from tests.endpoints import Endpoint, Reply, Request

TOKEN = "t0ken"
CONFIG = {"patch": {"supported": True}, "meta": {"lastModified": "2026-11-01T10:00:00Z"}}


class Described(Endpoint):
    """An endpoint that describes itself by `config`."""

    config: Any = CONFIG

    def _route(self, request: Request) -> Reply:
        if request.path.endswith("/ServiceProviderConfig"):
            return Reply(200, self.config)
        return super()._route(request)

    def answer(self, request: Request) -> Reply:
        self.token = request.headers["authorization"].removeprefix("Bearer ")
        return super().answer(request)

    def hire(self, count: int, prefix: str = "id-", **more: Any) -> None:
        """Let people and a group be there."""
        for key in range(1, count + 1):
            body = resource(Kind.USER, {"userName": f"u{key}"})
            self.users[f"{prefix}{key}"] = {**body, "id": f"{prefix}{key}", "externalId": str(key), **more}
        self.groups[f"{prefix}g"] = {**resource(Kind.GROUP, {"displayName": "Sales"}), "id": f"{prefix}g"}


class Configured:
    """A configuration, its state file, and what is found out by `syncd check`."""

    def __init__(self, folder: Path, state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
        self.state = state
        self.file = folder / "syncd.toml"
        self._set = monkeypatch.setenv
        (folder / "people.csv").write_text("employee_id,mail\n1,a@example.com\n", encoding="utf-8")
        self._tables = ""
        self._set("TOKEN", TOKEN)

    def target(self, url: str, name: str = "tgt", variable: str = "TOKEN", more: str = "") -> None:
        """Add a target whose token is in an environment variable."""
        token = f'token = {{ env = "{variable}" }}'
        self._tables += f'[[target]]\nname = "{name}"\nbase_url = "{url}"\n{token}\n{more}\n'

    def token(self, value: str, name: str = "TOKEN") -> None:
        self._set(name, value)

    def links(self, scim: Endpoint, name: str = "tgt") -> None:
        """Link what is at an endpoint."""
        with self.state.atomic():
            snapshot = self.state.snapshot(name)
            for id_, user in scim.users.items():
                flat = {"userName": user["userName"], "externalId": user["externalId"]}
                snapshot.put_user(Known(user["externalId"], id_, user["userName"], State.ACTIVE, flat, b""))
            for id_, group in scim.groups.items():
                snapshot.put_group(
                    KnownGroup(id_, id_, group["displayName"], {"displayName": group["displayName"]}, NO_MEMBERS)
                )

    def check(self, *names: str) -> dict[str, Finding]:
        """Check all targets, or some; return what was found by target."""
        setup = compile_settings(loaded(self.file, SOURCE + MAPPING + self._tables), self.file)
        targets = [each for each in setup.targets if not names or each.name in names]
        found = check_all(setup, self.state, targets)
        return {each.what.removeprefix("target "): each for each in found if each.what.startswith("target ")}

    def place(self) -> str:
        """Return what a check without an error says of the place of the one target."""
        (found,) = self.check().values()
        assert found.error == ""
        return found.facts["place"]

    def again(self) -> None:
        """Begin another configuration with the same state file."""
        self._tables = ""

    def syncd(self, *arguments: str) -> tuple[int, str]:
        """Run a command in a process of its own; return its exit code and what it printed."""
        loaded(self.file, SOURCE + MAPPING + self._tables)
        command = [sys.executable, "-m", "syncd", *arguments, "-c", str(self.file)]
        environment = {**os.environ, "SYNCD__STATE": str(self.state.path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout


@pytest.fixture
def scim() -> Iterator[Described]:
    with Described() as scim:
        yield scim


@pytest.fixture
def it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Configured]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield Configured(tmp_path, state, monkeypatch)


# -- the place ---------------------------------------------------------------------------------------


def test_a_target_with_nothing_linked_is_new(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(2)
    assert it.place() == "new: nothing is managed there yet"


def test_an_unchanged_place_is_looked_at(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(4)
    it.links(scim)
    assert it.place() == (
        "the same, though no place is recorded in the state file yet: 4 of 4 managed users and 1 of 1 managed group "
        "asked for are there"
    )
    assert it.place() == "unchanged: 4 of 4 managed users and 1 of 1 managed group asked for are there"
    assert {request.method for request in scim.requests} == {"GET"}


def test_another_address_and_token_are_said_and_recorded_where_what_is_managed_is_seen(
    it: Configured, scim: Described
) -> None:
    it.target(scim.url)
    scim.hire(1)
    it.links(scim)
    it.place()
    it.again()
    it.target(scim.url.replace("127.0.0.1", "localhost"))
    it.token("another")
    before = f"base_url is another one (it was {scim.url}), and the token is another one"
    assert it.place().startswith(f"the same, though {before}: 1 of 1 managed user")
    assert it.place().startswith("unchanged: ")


def test_another_place_is_an_error_with_the_way_back(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(3)
    it.links(scim)
    it.place()
    it.again()
    with Described() as elsewhere:
        it.target(elsewhere.url)
        elsewhere.hire(3, "other-")
        for _ in range(2):  # what was not seen is not recorded
            found = it.check()["tgt"]
            assert found.facts["place"] == f"may be another one: base_url is another one (it was {scim.url})"
            assert found.facts["ids"] == (
                "users there look like `other-#`, the linked ones like `id-#`; "
                "groups there look like `other-g`, the linked ones like `id-g`"
            )
            assert found.error == (
                f"tgt: may be another place, for base_url is another one (it was {scim.url}); none of 4 managed users "
                "and groups asked for is there any more: nothing was written\n"
                "  put the former value back; or, if everything is to be managed there from now on, `syncd relink` "
                "matches everything anew"
            )
            assert found.facts["announces"] == "PATCH"  # everything else is said nevertheless


def test_an_address_where_nobody_answers_is_said_to_be_another_one(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(1)
    it.links(scim)
    it.place()
    it.again()
    it.target(f"{scim.url}/nowhere")
    found = it.check()["tgt"]
    assert found.error
    assert found.facts["place"] == f"may be another one: base_url is another one (it was {scim.url})"


def test_everything_gone_behind_the_same_address_is_an_error(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(5)
    it.links(scim)
    it.place()
    scim.users.clear()
    found = it.check()["tgt"]
    assert found.facts["place"] == "what is managed is gone"
    assert found.error.startswith("tgt: none of 5 managed users asked for is there any more")
    assert "syncd relink" in found.error


def test_sso_removed_and_set_up_again_is_told(it: Configured, scim: Described) -> None:
    it.target(scim.url, more='profile = "lucidlink"')
    scim.hire(5)
    it.links(scim)
    it.place()
    scim.groups.clear()
    assert it.check()["tgt"].error.startswith("tgt: the one managed group asked for is not there any more")


def test_ids_of_somebody_else_are_no_proof(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(5)
    it.links(scim)
    it.place()
    for user in scim.users.values():
        user |= {"userName": f"x{user['userName']}", "externalId": f"x{user['externalId']}"}
    assert "5 of their ids are somebody else's" in it.check()["tgt"].error


def test_a_changed_self_description_is_looked_into(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(3)
    it.links(scim)
    it.place()
    scim.config = {"meta": {"lastModified": "2026-11-30T10:00:00Z"}, "patch": {"supported": True}}
    assert it.place().startswith("unchanged: ")
    scim.config = {**CONFIG, "documentationUri": "https://other.example.com"}
    described = "the endpoint describes itself otherwise (/ServiceProviderConfig)"
    assert it.place().startswith(f"the same, though {described}: 3 of 3 managed users")
    assert it.place().startswith("unchanged: ")
    scim.config = {**CONFIG, "documentationUri": "https://third.example.com"}
    scim.users.clear()
    found = it.check()["tgt"]
    assert found.facts["place"] == f"may be another one: {described}"
    assert f"may be another place, for {described}" in found.error


def test_the_sorts_of_ids_are_told_apart(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(2, "")
    it.links(scim)
    assert "ids" not in it.check()["tgt"].facts
    with it.state.atomic():
        it.state.snapshot("tgt").put_user(Known("1", str(UUID(int=1)), "u1", State.ACTIVE, {}, b""))
        it.state.snapshot("tgt").put_user(Known("2", str(UUID(int=2)), "u2", State.ACTIVE, {}, b""))
    assert it.check()["tgt"].facts["ids"] == "users there look like `#`, the linked ones like `uuid`"


def test_a_stopped_target_is_said(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(3)
    it.links(scim)
    it.place()
    with it.state.atomic():
        it.state.snapshot("tgt").set_stop(Stop("gone", "nobody is there", datetime(2026, 11, 1, tzinfo=UTC)))
    found = it.check()["tgt"]
    assert found.facts["stopped"] == "since 2026-11-01 00:00 UTC: nobody is there; nothing is sent until `syncd relink`"
    assert found.facts["place"].startswith("unchanged: ")


def test_the_text_and_the_json_of_another_place(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    scim.hire(3)
    it.links(scim)
    it.place()
    it.token("another")
    scim.users.clear()
    scim.groups.clear()
    code, shown = it.syncd("check")
    assert code == 1
    _, _, shown = shown.partition("target tgt: ")
    error = (
        "tgt: may be another place, for the token is another one; none of 4 managed users and groups asked for is "
        "there any more: nothing was written"
    )
    hint = (
        "put the former value back; or, if everything is to be managed there from now on, `syncd relink` matches "
        "everything anew"
    )
    assert shown.splitlines() == [
        "FAILED",
        f"    address        {scim.url}",
        "    profile        generic",
        "    place          may be another one: the token is another one",
        "    holds          0 users, 0 groups",
        "    announces      PATCH",
        "    updates by     PATCH",
        "    members        unknown: there is no group yet",
        "    own account    not told by the endpoint (no /Me); name it in `protect` if the source has it",
        "    verified       no domains are listed: nobody is external",
        "    discovery      neither Schemas nor ResourceTypes",
        f"    {error}",
        f"      {hint}",
    ]
    code, shown = it.syncd("check", "--json")
    found = json.loads(shown)["target tgt"]
    assert (code, found["place"]) == (1, "may be another one: the token is another one")
    assert found["error"] == f"{error}\n  {hint}"


# -- two targets, one place --------------------------------------------------------------------------


def refusals(found: dict[str, Finding]) -> set[str]:
    """Return the targets whose error names both of the two targets."""
    return {name for name, each in found.items() if "tgt and two are one" in each.error or "two and tgt" in each.error}


@pytest.mark.parametrize(
    "spelling",
    [
        lambda url: url,
        lambda url: f"{url}/",
        lambda url: url.replace("http://", "HTTP://"),
        lambda url: url.replace("127.0.0.1", "localhost"),
    ],
    ids=["equal", "last slash", "case", "another name of the host"],
)
def test_two_targets_at_one_place_are_refused(it: Configured, scim: Described, spelling: Any) -> None:
    scim.hire(2, meta={"created": "2026-11-01T10:00:00Z"})
    it.target(scim.url)
    it.target(spelling(scim.url), "two")
    assert refusals(it.check()) == {"tgt", "two"}
    assert refusals(it.check("tgt")) == {"tgt"}


def test_two_targets_with_one_token_are_refused_where_nobody_is_there_yet(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    it.target(f"{scim.url}/", "two", "OTHER")
    it.token(TOKEN, "OTHER")
    found = it.check("two")
    assert found["two"].error == (
        "two and tgt are one place (the same address and the same token): each would put back what the other one "
        "writes\n  correct or remove one of the two; if both are wanted, say why in one of them: "
        'shares_address = "…"'
    )
    assert it.syncd("check")[0] == 1
    assert "tgt and two are one place" in json.loads(it.syncd("check", "--json")[1])["target tgt"]["error"]


def test_a_token_that_cannot_be_read_is_compared_by_its_name(
    it: Configured, scim: Described, monkeypatch: pytest.MonkeyPatch
) -> None:
    it.target(scim.url)
    it.target(scim.url, "two")
    monkeypatch.delenv("TOKEN")
    assert refusals(it.check()) == {"tgt", "two"}
    it.again()
    it.target(scim.url)
    it.target(scim.url, "two", "OTHER")
    assert refusals(it.check()) == set()


def test_two_tokens_that_show_the_same_accounts_are_refused(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    it.target(scim.url, "two", "OTHER")
    it.token("other", "OTHER")
    assert refusals(it.check()) == set()  # nobody is there: nobody can tell
    scim.hire(2)
    found = it.check()
    assert refusals(found) == {"tgt", "two"}
    assert "(the same address and the same accounts, by another token)" in found["tgt"].error
    assert refusals(it.check("two")) == {"two"}


class Workspaces(Described):
    """One address for several workspaces: the token decides, and ids are counted in each of them."""

    created = True

    def _list(self, held: dict[str, dict[str, Any]], request: Request) -> Reply:
        year = {"t0ken": 2025, "other": 2026}[self.token]
        made = {"meta": {"created": f"{year}-01-01T10:00:00Z"}} if self.created else {}
        name = "" if self.created else self.token
        shown = {
            id_: {**body, **made, "userName": f"{body['userName']}{name}"} if "userName" in body else body
            for id_, body in held.items()
        }
        return super()._list(shown, request)


@pytest.mark.parametrize("created", [True, False], ids=["told by meta.created", "told by names"])
def test_two_tokens_of_different_accounts_are_all_right(it: Configured, created: bool) -> None:
    with Workspaces() as scim:
        scim.created = created
        scim.hire(3, "")
        it.target(scim.url)
        it.target(scim.url, "two", "OTHER")
        it.token("other", "OTHER")
        assert [each.error for each in it.check().values()] == ["", ""]


def test_accounts_that_are_alike_at_another_address_by_chance_are_all_right(it: Configured, scim: Described) -> None:
    with Described() as other:
        for each in (scim, other):
            each.hire(3, "")
        it.target(scim.url)
        it.target(other.url, "two")
        assert [each.error for each in it.check().values()] == ["", ""]


def test_the_two_integrations_of_lucid_are_all_right_with_a_token_each(it: Configured, scim: Described) -> None:
    scim.hire(2, "lucid-")
    scim.groups.clear()
    it.target(scim.url, "tgt", "TOKEN", 'profile = "lucid-admin"')
    it.target(scim.url, "two", "OTHER", 'profile = "lucid-content"')
    it.token("other", "OTHER")
    assert [each.error for each in it.check().values()] == ["", ""]
    it.token(TOKEN, "OTHER")
    assert refusals(it.check()) == {"tgt", "two"}


def test_two_targets_may_share_a_place_on_purpose(it: Configured, scim: Described) -> None:
    scim.hire(2)
    it.target(scim.url)
    it.target(scim.url, "two", more='shares_address = "people of two offices, kept apart by scope"')
    said = "the same address and the same token, on purpose: people of two offices, kept apart by scope"
    found = it.check()
    assert [each.error for each in found.values()] == ["", ""]
    assert found["tgt"].facts["shared with two"] == said
    assert found["two"].facts["shared with tgt"] == said


def test_a_reason_without_another_target_is_said_to_be_needless(it: Configured, scim: Described) -> None:
    it.target(scim.url, more='shares_address = "two offices"')
    assert it.check()["tgt"].facts["shared with"] == "no other target: shares_address can be left out"


def test_a_run_warns_of_two_targets_at_one_place_and_goes_on(it: Configured, scim: Described) -> None:
    it.target(scim.url)
    it.target(scim.url, "two", more="groups = []")
    loaded(it.file, SOURCE + MAPPING + it._tables)
    command = [sys.executable, "-m", "syncd", "sync", "-c", str(it.file)]
    environment = {**os.environ, "SYNCD__STATE": str(it.state.path)}
    done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
    assert done.stderr.count("targets_are_one_place") == 1
    assert scim.by_name().keys() == {"a@example.com"}
