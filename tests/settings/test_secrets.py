"""Secrets: named in the configuration, read when they are used, never repeated."""

from __future__ import annotations

import os
import subprocess
import sys
import traceback
from pathlib import Path

import pytest

from syncd.errors import ConfigurationError
from syncd.settings.build import Setup, compile_settings
from tests.configurations import LDAP, MAPPING, SECRET, SMALLEST, TARGET, faults, loaded


@pytest.fixture
def file(tmp_path: Path) -> Path:
    return tmp_path / "syncd.toml"


# -- secrets -----------------------------------------------------------------------------------------


def setup_with(tmp_path: Path, token: str) -> Setup:
    file = tmp_path / "syncd.toml"
    return compile_settings(loaded(file, SMALLEST.replace('{ env = "LUCID_TOKEN" }', token)), file)


def refusal(setup: Setup) -> str:
    """Return why the token can't be read, making sure that nothing of it is said."""
    with pytest.raises(ConfigurationError) as caught:
        setup.targets[0].token()
    (fault,) = caught.value.faults
    assert fault.key == "target[lucid].token"
    assert SECRET not in str(caught.value)
    return fault.problem


def secret_file(path: Path, content: bytes = SECRET.encode() + b"\n", mode: int = 0o600) -> Path:
    path.write_bytes(content)
    path.chmod(mode)
    return path


def test_a_secret_comes_from_the_environment(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = setup_with(tmp_path, '{ env = "LUCID_TOKEN" }')
    monkeypatch.setenv("LUCID_TOKEN", f" {SECRET}\n")
    assert setup.targets[0].token().get_secret_value() == SECRET
    for empty in ("", " \n"):
        monkeypatch.setenv("LUCID_TOKEN", empty)
        assert refusal(setup) == "the environment variable LUCID_TOKEN is not set"


def test_a_secret_comes_from_a_credential_of_systemd(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    setup = setup_with(tmp_path, '{ credential = "lucid-token" }')
    monkeypatch.delenv("CREDENTIALS_DIRECTORY", raising=False)
    assert refusal(setup).startswith("the credential lucid-token is there only under systemd (LoadCredential=)")
    folder = tmp_path / "credentials"
    folder.mkdir()
    monkeypatch.setenv("CREDENTIALS_DIRECTORY", str(folder))
    assert refusal(setup) == f"{folder}/lucid-token: No such file or directory"
    secret_file(folder / "lucid-token", mode=0o440)  # as systemd has it for a service's own user
    assert setup.targets[0].token().get_secret_value() == SECRET


@pytest.mark.parametrize("name", ["../etc/shadow", "/etc/shadow", ".", "", "a b"])
def test_a_credential_is_a_name_not_a_path(file: Path, name: str) -> None:
    found = faults(file, SMALLEST.replace('{ env = "LUCID_TOKEN" }', f'{{ credential = "{name}" }}'))
    assert found == {
        "target[lucid].token.credential": "the name of a credential is wanted, as in LoadCredential=NAME:PATH"
    }


def test_a_secret_comes_from_a_file_beside_the_configuration(tmp_path: Path) -> None:
    setup = setup_with(tmp_path, '{ file = "token" }')
    assert refusal(setup) == f"{tmp_path}/token: No such file or directory"
    secret_file(tmp_path / "token")
    assert setup.targets[0].token().get_secret_value() == SECRET
    secret_file(tmp_path / "token", b"\xef\xbb\xbf" + SECRET.encode() + b"\r\n")
    assert setup.targets[0].token().get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("mode", "owner", "refused"),
    [
        (0o600, 0, False),
        (0o400, 0, False),
        (0o640, 0, False),  # root:syncd, the way to hand a service its secret
        (0o644, 0, True),
        (0o604, 0, True),
        (0o666, 0, True),
        (0o600, 1234, False),
        (0o640, 1234, True),
        (0o644, 1234, True),
    ],
)
def test_a_secret_that_others_can_read_is_refused(tmp_path: Path, mode: int, owner: int, refused: bool) -> None:
    file = secret_file(tmp_path / "token", mode=mode)
    os.chown(file, owner, -1)
    setup = setup_with(tmp_path, '{ file = "token" }')
    if refused:
        assert refusal(setup) == f"{file} can be read by others: chmod 600 {file}"
    else:
        assert setup.targets[0].token().get_secret_value() == SECRET


@pytest.mark.parametrize(
    ("content", "problem"),
    [
        (b"", "is empty"),
        (b" \n", "is empty"),
        (b"\xff\xfe" + SECRET.encode(), "is not text in UTF-8"),
        (f"# the token\n{SECRET}\n".encode(), "a token is one line of visible ASCII characters"),
        (f"Bearer {SECRET}".encode(), "a token is one line of visible ASCII characters"),
        (f"{SECRET}ü".encode(), "a token is one line of visible ASCII characters"),
        (f"{SECRET}\x00".encode(), "a token is one line of visible ASCII characters"),
    ],
)
def test_a_file_without_a_usable_secret_is_refused(tmp_path: Path, content: bytes, problem: str) -> None:
    secret_file(tmp_path / "token", content)
    assert problem in refusal(setup_with(tmp_path, '{ file = "token" }'))


@pytest.mark.parametrize(
    "written",
    [
        f'"{SECRET}"',
        f'["{SECRET}"]',
        f'{{ value = "{SECRET}" }}',
        f'{{ env = "{SECRET}=" }}',
        f'{{ credential = "/{SECRET}" }}',
        f'{{ env = ["{SECRET}"] }}',
    ],
)
def test_a_secret_written_into_the_file_is_refused_and_never_repeated(file: Path, written: str) -> None:
    text = SMALLEST.replace('{ env = "LUCID_TOKEN" }', written)
    with pytest.raises(ConfigurationError) as caught:
        loaded(file, text)
    assert all(fault.key.startswith("target[lucid].token") for fault in caught.value.faults)
    assert SECRET not in "".join(traceback.format_exception(caught.value))


def test_not_even_a_traceback_repeats_it(file: Path) -> None:
    file.write_text(SMALLEST.replace('{ env = "LUCID_TOKEN" }', f'"{SECRET}"'))
    done = subprocess.run(
        [sys.executable, "-m", "syncd", "check", "-c", str(file)],
        env={**os.environ, "SYNCD_DEBUG": "1"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 1
    assert SECRET not in done.stdout + done.stderr


def test_a_number_for_a_password_is_not_repeated_either(file: Path) -> None:
    found = faults(file, LDAP + "password = 271828\n" + MAPPING + TARGET)
    assert found["source.password"].startswith("a secret is named here, not written")
    assert "271828" not in str(found)


def test_settings_show_no_secret(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv("LUCID_TOKEN", SECRET)
    setup = setup_with(tmp_path, '{ env = "LUCID_TOKEN" }')
    assert SECRET not in repr(setup) + repr(setup.targets[0].token())
