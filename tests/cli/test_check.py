"""`syncd check` on a target: its profile, its announcement, and the differences between the two. Real HTTP."""

from __future__ import annotations

import json
import os
import re
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.cli.check import Finding, check_all
from syncd.core.limits import CONTENT_MOVES
from syncd.scim.dialect import Dialect, Form
from syncd.scim.profiles import PROFILES
from syncd.settings.build import compile_settings
from syncd.store import StateFile
from tests.configurations import SMALLEST, loaded
from tests.endpoints import Reply, Request, Server, error

CONFIG = {
    "patch": {"supported": True},
    "bulk": {"supported": True, "maxOperations": 100, "maxPayloadSize": 65536},
    "filter": {"supported": True, "maxResults": 200},
    "etag": {"supported": True},
}


class Announcing(Server):
    """An endpoint with nobody in it, which announces `config`."""

    config: Any = CONFIG

    def answer(self, request: Request) -> Reply:
        match request.path.removeprefix("/scim/v2/"):
            case "Users" | "Groups":
                return Reply(200, {"totalResults": 0, "Resources": []})
            case "ServiceProviderConfig" if self.config is not None:
                return Reply(200, self.config)
        return error(404, "no such endpoint")


class Checked:
    """A configuration of one target, `lucid`, and what is found out about it."""

    def __init__(self, folder: Path, state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
        self.scim = Announcing()
        self._file = folder / "syncd.toml"
        self._state = state
        (folder / "people.csv").write_text("employee_id,mail\n1,a@example.com\n", encoding="utf-8")
        monkeypatch.setenv("LUCID_TOKEN", "secret")

    def check(self, more: str = "") -> dict[str, str]:
        text = SMALLEST.replace("https://scim.example.com/v2", self.scim.url) + more
        setup = compile_settings(loaded(self._file, text), self._file)
        finding: Finding = check_all(setup, self._state, setup.targets)[-1]
        assert finding.error == ""
        return finding.facts

    def knows(self, **facts: Any) -> None:
        """Let this be known of the endpoint."""
        with self._state.atomic():
            self._state.snapshot("lucid").discover(facts)

    def syncd(self, *arguments: str) -> tuple[int, str]:
        """Run a command in a process of its own; return its exit code and what it printed."""
        command = [sys.executable, "-m", "syncd", *arguments, "-c", str(self._file)]
        environment = {**os.environ, "SYNCD__STATE": str(self._state.path)}
        done = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)
        assert done.stderr == ""
        return done.returncode, done.stdout

    @property
    def discovery(self) -> dict[str, Any]:
        return self._state.snapshot("lucid").discovery


@pytest.fixture
def checked(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Checked]:
    with StateFile(tmp_path / "syncd.db") as state:
        checked = Checked(tmp_path, state, monkeypatch)
        with checked.scim:
            yield checked


def test_a_target_is_shown_with_its_profile_and_what_it_announces(checked: Checked) -> None:
    facts = checked.check()
    assert facts["profile"] == "generic"
    assert facts["announces"] == (
        "PATCH, bulk of at most 100 operations and 65,536 bytes, filters with at most 200 results, ETags"
    )
    assert facts["updates by"] == "PATCH"
    assert "at odds" not in facts


def test_what_is_announced_is_remembered(checked: Checked) -> None:
    checked.check()
    assert checked.discovery == {
        "patch": True,
        "etag": True,
        "bulk": {"maxOperations": 100, "maxPayloadSize": 65536},
    }
    checked.scim.config = {"patch": {"supported": False}}
    assert checked.check()["updates by"] == "reading, merging and PUT (it announces no PATCH)"
    assert checked.discovery == {"patch": False, "etag": False, "bulk": None}
    checked.scim.config = None
    assert checked.check()["announces"].startswith("nothing: it has no /ServiceProviderConfig")
    assert checked.discovery == {"patch": False, "etag": False, "bulk": None}


def test_what_is_overridden_is_shown_and_counts(checked: Checked) -> None:
    facts = checked.check("[target.profile_overrides]\npatch = false\nuser_filters = ['userName']\npage_size = 50\n")
    assert facts["profile"] == 'generic, overridden: patch = false, page_size = 50, user_filters = ["userName"]'
    assert facts["updates by"] == "reading, merging and PUT (as the profile says)"
    assert facts["at odds"] == "profile_overrides say patch = false, the endpoint announces it: the override counts."


def test_a_profile_that_says_otherwise_counts_and_how_to_change_that_is_said(checked: Checked) -> None:
    facts = checked.check('profile = "okta-style"\n')
    assert facts["at odds"] == (
        "The profile says no PATCH, the endpoint announces it: the profile counts; "
        "change it with [target.profile_overrides] patch = true. "
        "The profile says no bulk, the endpoint announces it: the profile counts; "
        "change it with [target.profile_overrides] bulk = true."
    )


@pytest.mark.parametrize(
    ("read", "said"),
    [
        ("group", "can be read"),
        ("filter", "can be read by a filter over the users: a request for each group"),
        ("nothing", "are never shown: a full resync leaves them as they are"),
    ],
)
def test_how_members_are_read_is_said(checked: Checked, read: str, said: str) -> None:
    assert checked.check(f'[target.profile_overrides]\nmembers_read = "{read}"\n')["members"] == said


@pytest.mark.parametrize(
    ("more", "said"),
    [
        ("", None),
        (
            'before_delete = { webhook = { url = "https://hooks.example.com/s3cret" } }\ndelete_after = "90d"\n',
            "POST https://hooks.example.com/…, which must succeed first",
        ),
        (
            'before_delete = { command = ["/bin/true", "s3cret"] }\n',
            "run /bin/true, which must succeed first (`delete_after` is unset: nobody is deleted by age)",
        ),
        (
            'profile = "lucid-content"\ndelete_after = "90d"\n',
            f"nothing is named, so each deletion waits for a person: {CONTENT_MOVES}",
        ),
        ('delete_after = "90d"\n', None),
    ],
)
def test_what_comes_before_a_deletion_is_said(checked: Checked, more: str, said: str | None) -> None:
    assert checked.check(more).get("before delete") == said


def test_a_check_writes_nothing_to_the_target(checked: Checked) -> None:
    checked.check()
    assert {request.method for request in checked.scim.requests} == {"GET"}


# -- what was learned of the endpoint ----------------------------------------------------------------

DIALECT = Dialect({"members.remove": Form.PUT}, dropped={"title"}).to_json(PROFILES["generic"])
IN_WORDS = "members are removed by PUT of the whole resource; accepted and not kept: title"


def test_what_was_learned_is_said(checked: Checked) -> None:
    assert "learned" not in checked.check()
    checked.knows(dialect=DIALECT)
    assert checked.check()["learned"] == f"{IN_WORDS} (`syncd check --relearn` forgets it)"
    assert checked.discovery["dialect"] == DIALECT


def test_what_was_learned_under_other_overrides_is_said_to_be_forgotten(checked: Checked) -> None:
    checked.knows(dialect=DIALECT)
    facts = checked.check("[target.profile_overrides]\nmembers_per_patch = 7\n")
    assert facts["learned"] == "nothing: the profile or an override has changed since, and all of it is forgotten"


def test_relearning_drops_what_was_learned_and_keeps_who_is_never_switched_off(checked: Checked) -> None:
    checked.check()
    protected = {"id-1": "the account's owner"}
    checked.knows(dialect=DIALECT, patch=False, concurrency=3, shows_members=True, protected=protected, me="id-2")
    code, shown = checked.syncd("check", "--relearn")
    assert code == 0
    forgotten = f"{IN_WORDS}; how many requests at a time it bears; that it shows members"
    assert re.search(rf"^    forgotten +{re.escape(forgotten)}$", shown, re.MULTILINE)
    assert "    learned" not in shown
    assert checked.discovery == {
        "patch": True,
        "etag": True,
        "bulk": {"maxOperations": 100, "maxPayloadSize": 65536},
        "protected": protected,
        "me": "id-2",
    }
    found = json.loads(checked.syncd("check", "--relearn", "--json")[1])
    assert found["target lucid"]["forgotten"] == "nothing: nothing had been learned"


def test_status_says_what_was_learned_in_words_and_as_json(checked: Checked) -> None:
    checked.check()
    checked.knows(dialect=DIALECT)
    assert f"lucid: learned about the endpoint: {IN_WORDS}" in checked.syncd("status")[1]
    row = json.loads(checked.syncd("status", "--json")[1])
    assert row["learned"] == IN_WORDS.split("; ")


# -- where nothing can be checked --------------------------------------------------------------------


def refused_as_json(file: Path, *more: str) -> tuple[dict[str, Any], str]:
    """Return what `syncd check --json` prints of a configuration that it refuses, on stdout and on stderr."""
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "check", "--json", "-c", str(file), *more],
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    return json.loads(done.stdout), done.stderr


def test_a_bad_configuration_is_one_object_with_every_error(tmp_path: Path) -> None:
    file = tmp_path / "syncd.toml"
    file.write_text(SMALLEST.replace("key", "kye") + "rte = 5\n")
    found, said = refused_as_json(file)
    assert found == {
        "errors": [
            {"file": str(file), "line": 2, "key": "source.key", "message": "missing: it has no default"},
            {
                "file": str(file),
                "line": 5,
                "key": "source.kye",
                "message": "no such key; did you mean `key`?",
            },
            {
                "file": str(file),
                "line": 14,
                "key": "target[lucid].rte",
                "message": "no such key; did you mean `rate`?",
            },
        ]
    }
    assert said.startswith(f"syncd: {file}: 3 faults; nothing was done\n")


def test_an_error_without_line_or_key_is_one_too(tmp_path: Path) -> None:
    file = tmp_path / "syncd.toml"
    found, _ = refused_as_json(file)
    (error,) = found["errors"]
    assert (error["file"], error["line"], error["key"]) == (str(file), None, None)
    file.write_text(f'state = "syncd.db"\n{SMALLEST}')
    found, _ = refused_as_json(file, "--target", "slack")
    (error,) = found["errors"]
    assert (error["key"], error["message"]) == ("target", "none is called `slack`; there are: lucid")


def test_a_state_file_that_is_none_is_an_error_of_no_configuration(tmp_path: Path) -> None:
    (tmp_path / "syncd.db").write_text("not a database, and long enough to be seen as one that is damaged" * 20)
    file = tmp_path / "syncd.toml"
    file.write_text('state = "syncd.db"\n' + SMALLEST)
    found, said = refused_as_json(file)
    (error,) = found["errors"]
    assert (error["file"], error["line"], error["key"]) == (None, None, None)
    assert "syncd.db" in error["message"]
    assert said
