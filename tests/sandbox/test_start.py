"""Starting a sandbox: the output, and the errors of refused starts."""

from __future__ import annotations

import re
import socket
import sqlite3
import subprocess
import sys
import time
from pathlib import Path

import pytest

from tests.sandbox.process import Sandbox

ROOT = Path(__file__).parents[2]


def run(*options: str) -> subprocess.CompletedProcess[str]:
    command = [sys.executable, "-m", "syncd.sandbox", *options]
    return subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)


def test_one_line_says_where_it_listens_and_with_which_token() -> None:
    with Sandbox(tokens=("secret",)) as sandbox:
        pattern = (
            r"sandbox: http://127\.0\.0\.1:\d+/scim/v2 profile generic, token secret \(generic\), page http://\S+/\n"
        )
        assert re.fullmatch(pattern, sandbox.greeting)
        assert sandbox.scim("GET", "/Users").status_code == 200


def test_no_answer_waits_for_the_clients_delayed_acknowledgement() -> None:
    with Sandbox() as sandbox:
        for _ in range(20):
            sandbox.scim("GET", "/Users")
        seconds = []
        for _ in range(20):
            began = time.perf_counter()
            sandbox.scim("GET", "/Users")
            seconds.append(time.perf_counter() - began)
    assert min(seconds) < 0.03, "Nagle's algorithm is on: the acknowledgement comes after 0.04 s"


def test_state_is_temporary_when_no_file_is_named(tmp_path: Path) -> None:
    command = [sys.executable, "-m", "syncd.sandbox", "--port", "0"]
    environment = {"TMPDIR": str(tmp_path), "PATH": "/usr/bin:/bin"}
    with subprocess.Popen(command, stdout=subprocess.PIPE, text=True, cwd=ROOT, env=environment) as process:
        assert process.stdout is not None
        assert process.stdout.readline().startswith("sandbox: http://127.0.0.1:")
        assert [path.name for path in tmp_path.glob("syncd-sandbox-*/*.db")] == ["sandbox.db"]
        process.terminate()
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["--profile", "lucidlinc"], "--profile: there is no profile 'lucidlinc'; did you mean lucidlink?"),
        (["--profile", "lucidlink", "--set", "colour=red"], "--set colour: profile lucidlink has no such option; it"),
        (["--profile", "lucidlink", "--set", "owner=shot"], "--set owner: 'shot' is none of refused, done"),
        (["--set", "owner"], "--set: 'owner' is not NAME=ANSWER"),
        (
            ["--profile", "lucid-admin", "--token", "same", "--token", "same"],
            "--token: every integration needs a token of its own",
        ),
        (["--faults", "nowhere.json"], "nowhere.json: 1 fault"),
        (["--habit", "removal-ignord"], "habit: there is no habit 'removal-ignord'; did you mean removal-ignored?"),
        (["--state", "/nowhere/at/all.db"], "/nowhere/at/all.db: the sandbox's state file can't be opened"),
        (["--host", "203.0.113.1"], "the sandbox can't listen on 203.0.113.1:0"),
    ],
)
def test_a_wrong_option_is_refused_with_what_to_do(options: list[str], message: str) -> None:
    ended = run("--port", "0", *options)
    assert (ended.returncode, ended.stdout) == (1, "")
    assert message in ended.stderr
    assert "Traceback" not in ended.stderr


def test_a_port_that_is_taken_is_named() -> None:
    with socket.create_server(("127.0.0.1", 0)) as taken:
        port = taken.getsockname()[1]
        ended = run("--port", str(port))
    assert f"the sandbox can't listen on 127.0.0.1:{port}" in ended.stderr
    assert "choose another port with --port" in ended.stderr


def test_a_file_that_is_no_state_of_a_sandbox_is_left_alone(tmp_path: Path) -> None:
    text, database, newer = (tmp_path / name for name in ("text.db", "other.db", "newer.db"))
    text.write_text("this is not a database, and long enough for SQLite to see that it is none" * 20)
    with sqlite3.connect(database) as other:
        other.execute("CREATE TABLE mine (x)")
    other.close()
    with Sandbox(state=newer):
        pass
    with sqlite3.connect(newer) as changed:
        changed.execute("PRAGMA user_version = 99")
    changed.close()

    for file, message in (
        (text, "not a sandbox's state file"),
        (database, "a database, but not a sandbox's state file"),
        (newer, "written by a newer sandbox (format 99, this one knows 2)"),
    ):
        before = file.read_bytes()
        ended = run("--port", "0", "--state", str(file))
        assert (ended.returncode, "Traceback" in ended.stderr) == (1, False)
        assert message in ended.stderr
        assert file.read_bytes() == before


@pytest.mark.parametrize(
    ("content", "message"),
    [
        ('[{"fault": "reset"},]', "line 1, column 20: not JSON"),
        ('[{"fault": "delay"}]', "rule 1, milliseconds: Field required"),
    ],
)
def test_a_faults_file_is_refused_by_name_line_and_key(tmp_path: Path, content: str, message: str) -> None:
    file = tmp_path / "faults.json"
    file.write_text(content)
    ended = run("--port", "0", "--faults", str(file))
    assert (ended.returncode, str(file) in ended.stderr, message in ended.stderr) == (1, True, True)


@pytest.mark.parametrize("library", ["scim2_server", "starlette", "uvicorn"])
def test_a_missing_library_says_how_to_install_it(library: str) -> None:
    program = (
        f"import sys; sys.modules[{library!r}] = None; sys.argv = ['syncd.sandbox'];"
        "from syncd.sandbox.__main__ import main; main()"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=False)
    assert ended.returncode == 1
    assert ended.stderr == (
        f"error: the sandbox needs the library {library}, which is not installed\n"
        "  install it with: pip install 'syncd[sandbox]'\n"
    )


def test_the_help_names_every_profile() -> None:
    from syncd.sandbox.profiles import PROFILES

    shown = " ".join(run("--help").stdout.split())
    assert [name for name in PROFILES if name not in shown] == []


def test_naming_the_command_loads_no_scim_library() -> None:
    program = (
        "import sys, syncd.sandbox.command, syncd.sandbox.server, syncd.sandbox.options;"
        "print([name for name in sys.modules if name.split('.')[0] in {'scim2_models', 'scim2_server', 'uvicorn'}])"
    )
    command = [sys.executable, "-c", program]
    ended = subprocess.run(command, capture_output=True, text=True, cwd=ROOT, timeout=60, check=True)
    assert ended.stdout == "[]\n"


def test_the_habits_are_listed_and_completed() -> None:
    from click.shell_completion import ShellComplete

    from syncd.sandbox.command import sandbox
    from syncd.sandbox.habits import HABITS

    listed = run("--habit", "list")
    assert (listed.returncode, [line.split()[0] for line in listed.stdout.splitlines()]) == (0, list(HABITS))
    completed = ShellComplete(sandbox, {}, "sandbox", "_SANDBOX_COMPLETE").get_completions(["--habit"], "active-h")
    assert [each.value for each in completed] == ["active-hidden", "active-hidden-when-off"]
