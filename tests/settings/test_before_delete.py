"""`before_delete`: valid and refused values, and the hooks made of them."""

from __future__ import annotations

import asyncio
import stat
from pathlib import Path
from typing import Any

import pytest

from syncd.errors import ConfigurationError
from syncd.hooks.hook import Call, HookFailed
from syncd.settings.build import Target, compile_settings
from tests.configurations import SECRET, SMALLEST, faults, loaded
from tests.endpoints import Reply, Server


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


def compiled(file: Path, value: str) -> Target:
    (target,) = compile_settings(loaded(file, f"{SMALLEST}before_delete = {value}\n"), file).targets
    return target


def refused(file: Path, value: str) -> str:
    """Return the only fault of compiling a value."""
    with pytest.raises(ConfigurationError) as caught:
        compiled(file, value)
    (fault,) = caught.value.faults
    return str(fault)


def program(folder: Path, text: str = "exit 0", mode: int = stat.S_IRWXU) -> Path:
    path = folder / "bin" / "transfer"
    path.parent.mkdir(exist_ok=True)
    path.write_text(f"#!/bin/sh\n{text}\n")
    path.chmod(mode)
    return path


def call(target: Target) -> None:
    assert target.before_delete is not None
    asyncio.run(target.before_delete.call(Call("k", {"userName": "ada"})))


def test_without_a_word_nothing_comes_first(file: Path) -> None:
    (target,) = compile_settings(loaded(file, SMALLEST), file).targets
    assert (target.before_delete, target.rules.before_delete) == (None, None)


def test_a_webhook_is_posted_to_with_its_secrets(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with Server(lambda _: Reply(200)) as server:
        monkeypatch.setenv("HOOK", f"{server.url}/{SECRET}")
        (file.parent / "token").write_text("t0ken\n")
        (file.parent / "token").chmod(0o600)
        target = compiled(file, '{ webhook = { url = { env = "HOOK" }, token = { file = "token" } }, timeout = "5s" }')
        assert target.rules.before_delete is not None
        assert target.rules.before_delete() == f"POST http://127.0.0.1:{server.port}/…"
        call(target)
    assert server.requests[0].target.endswith(SECRET)
    assert server.requests[0].headers["authorization"] == "Bearer t0ken"


def test_a_secret_that_is_not_there_is_a_failure_and_not_an_end(file: Path) -> None:
    target = compiled(file, '{ webhook = { url = { credential = "transfer-hook" } } }')
    assert target.rules.before_delete is not None
    assert target.rules.before_delete() == "POST to the webhook"
    with pytest.raises(HookFailed) as caught:
        call(target)
    assert str(caught.value).startswith("target[lucid].before_delete.webhook.url: the credential transfer-hook")


def test_an_address_in_a_secret_is_checked_when_it_is_read(file: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("HOOK", f"http://hooks.example.com/{SECRET}")
    target = compiled(file, '{ webhook = { url = { env = "HOOK" } } }')
    with pytest.raises(HookFailed) as caught:
        call(target)
    problem = "http:// would send people's data in clear: use https://"
    assert str(caught.value) == f"target[lucid].before_delete.webhook.url: {problem}"


@pytest.mark.parametrize("relative", [True, False])
def test_a_program_is_run_from_where_it_is(file: Path, *, relative: bool) -> None:
    path = program(file.parent, f'echo "$SYNCD_USER_NAME $1" > "{file.parent}/ran"')
    target = compiled(file, f'{{ command = ["{"bin/transfer" if relative else path}", "--to x"] }}')
    call(target)
    assert (file.parent / "ran").read_text() == "ada --to x\n"


@pytest.mark.parametrize(
    ("value", "key", "problem"),
    [
        ("{}", "", "give either `webhook` or `command`"),
        ('{ webhook = { url = "https://h.example/" }, command = ["x"] }', "", "give either `webhook` or `command`"),
        ("{ command = [] }", ".command", "at least one is wanted"),
        ('{ command = [""] }', ".command[0]", "an argument is a text that is not empty"),
        ('{ command = "transfer --to x" }', ".command", "list"),
        ('{ command = ["x"], timeout = "0s" }', ".timeout", "between 1s and 1h is wanted"),
        ('{ webhook = { url = "http://h.example/" } }', ".webhook.url", "would send people's data in clear"),
        ("{ webhook = { url = 7 } }", ".webhook.url", "an address in quotes is wanted"),
        ('{ webhook = { url = "https://h.example/", token = "x" } }', ".webhook.token", "a secret is named here"),
        ('{ webhok = { url = "https://h.example/" } }', ".webhok", "no such key"),
    ],
)
def test_what_is_refused(file: Path, value: str, key: str, problem: str) -> None:
    found: dict[str, Any] = faults(file, f"{SMALLEST}before_delete = {value}\n")
    assert problem in found[f"target[lucid].before_delete{key}"]


def test_a_program_that_is_not_there_is_refused_with_its_key(file: Path) -> None:
    assert refused(file, '{ command = ["transfer"] }') == (
        f"target[lucid].before_delete.command: there is no program {file.parent / 'transfer'}; PATH is not searched: "
        "name it with its folder"
    )


def test_a_file_that_is_no_program_is_refused(file: Path) -> None:
    path = program(file.parent, mode=stat.S_IRUSR)
    assert "can't be run by this user" in refused(file, f'{{ command = ["{path}"] }}')


def test_where_nobody_can_be_deleted_nothing_comes_first(file: Path) -> None:
    text = f'{SMALLEST}profile = "slack"\nbefore_delete = {{ command = ["x"] }}\n'
    problem = "accounts can't be deleted there (profile `slack`): leave it out"
    assert faults(file, text) == {"target[lucid].before_delete": problem}
