"""Completion in a shell: the words that fit at the cursor are offered, without side effects and without errors."""

from __future__ import annotations

import grp
import json
import os
import shutil
import signal
import subprocess
import sys
import tempfile
from collections.abc import Iterator
from datetime import UTC, datetime
from pathlib import Path

import pytest

from syncd.cli import completing
from syncd.core.model import State
from syncd.core.plan import Action, Change, Held
from syncd.core.policy import NEVER_RELEASED, PROTECTED
from syncd.settings import Settings
from syncd.settings.build import RUNTIME_SOCKET
from syncd.store import StateFile
from tests.daemon.running import Running
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person

NOON = datetime(2026, 11, 22, 12, tzinfo=UTC)
NOBODY = 65534
REASON = "3 of 24 people: \x1b[31mwould\nbe deactivated"


def deactivation(name: str) -> Change:
    return Change(
        Action.DEACTIVATE_USER, name, f"{name}@example.com", {"active": True}, {"active": False}, "", State.DEACTIVATED
    )


A, B, C, KEPT = (deactivation(name) for name in ("a", "b", "c", "kept"))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    """A configuration of two targets, and a state file in which something is held."""
    targets = "".join(f"[[target]]\nname = '{name}'\n" for name in ("lucid", "lucid $(touch x)"))
    (tmp_path / "syncd.toml").write_text(f"state = 'syncd.db'\n{targets}")
    (tmp_path / "plan.json").touch()
    with StateFile(tmp_path / "syncd.db") as state:
        state.holds("lucid").add([*(Held(each, "deactivate", REASON) for each in (A, B))], NOON)
        state.holds("lucid $(touch x)").add([Held(C, "delete", "old"), Held(KEPT, PROTECTED, "protected")], NOON)
        state.holds("gone").add([Held(deactivation("gone"), "rename", "no longer configured")], NOON)
        with state.atomic():
            state.holds("lucid").approve([A.id], "ada", NOON, datetime(9999, 1, 1, tzinfo=UTC))
            state.holds("lucid").reject([B.id], "ada", NOON)
        for number in (1, 2):
            state.db.conn.execute(
                "INSERT INTO runs (target, kind, started, plan) VALUES (1, 'sync', ?, '{}')",
                [NOON.replace(hour=number).isoformat()],
            )
    return tmp_path


def environment(**more: str) -> dict[str, str]:
    kept = {name: value for name, value in os.environ.items() if not name.startswith(("SYNCD", "COMP_"))}
    return kept | {"PATH": f"{Path(sys.executable).parent}:{os.environ['PATH']}"} | more


def in_bash(folder: Path, *lines: str, **more: str) -> list[list[str]]:
    """Return what a real bash offers at the end of each line; words as bash takes them apart."""
    asking = "".join(
        f"COMP_WORDS=({line}); COMP_CWORD=$(( ${{#COMP_WORDS[@]}} - 1 )); _syncd_completion syncd; "
        'printf "%s\\n" "${COMPREPLY[@]}" "--"\n'
        for line in lines
    )
    script = f'source <(syncd completion bash)\ncompopt() {{ shift; echo "<$1>"; }}\n{asking}'
    done = subprocess.run(
        ["bash", "--norc", "-c", script],
        cwd=folder,
        env=environment(**more),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    return [block.split() if "\\" not in block else block.splitlines() for block in done.stdout.split("--\n")[:-1]]


def asked(folder: Path, shell: str, words: str, **more: str) -> str:
    """Return what `syncd` answers to the script of a shell, which shows no error."""
    line = words.split(" ")
    done = subprocess.run(
        ["syncd"],
        cwd=folder,
        env=environment(
            _SYNCD_COMPLETE=f"{shell}_complete",
            COMP_WORDS=f"syncd {words}",
            COMP_CWORD=line[-1] if shell == "fish" else str(len(line)),
            **more,
        ),
        capture_output=True,
        text=True,
        timeout=120,
        check=True,
    )
    assert done.stderr == ""
    return done.stdout


def short(change: Change) -> str:
    return change.id[:8]


def test_bash_offers_commands_options_targets_formats_and_files(folder: Path) -> None:
    config = {"SYNCD_CONFIG": "syncd.toml"}
    assert in_bash(
        folder,
        "syncd ap",
        "syncd plan --ta",
        "syncd plan --target ''",
        "syncd plan --target = luc",
        "syncd plan --target =",
        "syncd plan --format m",
        "syncd apply ''",
        "syncd plan -c ''",
        "syncd plan --output = pl",
        "syncd init ''",
        "syncd explain a@example.com --target 'lucid '",
        "syncd completion z",
        **config,
    ) == [
        ["apply", "approve"],
        ["--target"],
        ["lucid", r"lucid\ \$\(touch\ x\)"],
        ["lucid", r"lucid\ \$\(touch\ x\)"],
        ["lucid", r"lucid\ \$\(touch\ x\)"],
        ["markdown"],
        ["<default>"],
        ["<default>"],
        ["<default>"],
        ["<dirnames>"],
        ["lucid", r"lucid\ \$\(touch\ x\)"],
        ["zsh"],
    ]
    assert not (folder / "x").exists()


def test_the_configuration_is_that_of_the_line_the_environment_or_the_default(folder: Path) -> None:
    (folder / "other.toml").write_text("[[target]]\nname = 'other'\n")
    in_place = [["lucid", r"lucid\ \$\(touch\ x\)"]]
    assert in_bash(folder, "syncd sync --target ''", SYNCD_CONFIG="syncd.toml") == in_place
    assert in_bash(folder, "syncd sync -c ~/syncd.toml --target ''", HOME=str(folder)) == in_place
    lines = ("syncd sync -c other.toml --target ''", "syncd sync --config = other.toml --target ''")
    assert in_bash(folder, *lines, SYNCD_CONFIG="syncd.toml") == [["other"], ["other"]]
    named = {"SYNCD__TARGET__0__NAME": "renamed", "SYNCD__TARGET__1__NAME": "added"}
    assert in_bash(folder, lines[0], **named) == [["renamed", "added"]]
    assert Settings.model_fields["state"].default == completing.STATE
    assert completing.SOCKET == RUNTIME_SOCKET
    assert completing.NEVER_RELEASED == NEVER_RELEASED


def test_what_can_still_be_decided_is_offered_by_limit_all_and_id(folder: Path) -> None:
    config = {"SYNCD_CONFIG": "syncd.toml"}
    assert in_bash(
        folder,
        "syncd approve ''",
        "syncd reject ''",
        "syncd approve --target lucid ''",
        f"syncd reject delete all {short(C)} ''",
        f"syncd approve {short(C)[:3]}",
        f"syncd approve {C.id[:10]}",
        "syncd approve --target nobody ''",
        **config,
    ) == [
        # What was approved needs no more, what was rejected goes by its id, and no approval releases who is protected.
        ["delete", "all", short(B), short(C)],
        ["deactivate", "delete", PROTECTED, "all", short(A), short(C), short(KEPT)],
        [short(B)],
        ["deactivate", PROTECTED, short(A), short(KEPT)],
        [short(C)],
        [C.id],
        [],
    ]


def test_shells_that_show_help_show_the_reason_on_one_line(folder: Path) -> None:
    config = {"SYNCD_CONFIG": "syncd.toml"}
    meaning = "deactivate b@example.com: rejected; 3 of 24 people: [31mwould be deactivated"
    zsh = asked(folder, "zsh", "approve ", **config).splitlines()
    assert zsh[:6] == ["plain", "delete", "1 change held", "plain", "all", "everything that is held: 1 change"]
    assert zsh[6:9] == ["plain", short(B), meaning]
    assert asked(folder, "fish", f"approve {short(B)[:4]}", **config) == f"plain,{short(B)}\t{meaning}\n"
    assert asked(folder, "fish", "plan --target=luc", **config) == "plain,lucid\nplain,lucid $(touch x)\n"
    assert asked(folder, "zsh", "apply pl", **config).splitlines()[:2] == ["file", "pl"]
    assert asked(folder, "fish", "show ", **config) == (
        "plain,2\tsync of lucid, 2026-11-22 02:00 UTC\nplain,1\tsync of lucid, 2026-11-22 01:00 UTC\n"
    )


def test_scripts_can_be_installed_where_shells_look_for_them(folder: Path) -> None:
    for shell, first in (("bash", "# bash"), ("zsh", "#compdef syncd\n"), ("fish", "# fish")):
        done = subprocess.run(
            ["syncd", "completion", shell], env=environment(PATH_TO="x"), capture_output=True, text=True, check=True
        )
        assert (done.stdout.startswith(first), done.stderr) == (True, "")
        if shutil.which(shell):
            subprocess.run([shell, "-n", "-c", done.stdout], check=True)


# -- looking changes nothing -----------------------------------------------------------------------------


def files(folder: Path) -> dict[str, tuple[bytes, int]]:
    return {path.name: (path.read_bytes(), path.stat().st_mtime_ns) for path in folder.iterdir()}


@pytest.mark.parametrize("writer", ["none", "at work", "killed", "killed, and its index lost"])
def test_asking_changes_no_file_and_takes_no_lease(folder: Path, writer: str) -> None:
    code = """
import sys
from pathlib import Path
from syncd.store import StateFile
with StateFile(Path("syncd.db")) as state, state.lease("a test"):
    state.db.conn.execute("UPDATE holds SET decision = NULL WHERE decision = 'rejected'")
    print("ready", flush=True)
    sys.stdin.readline()
"""
    expected = ["delete", "all", short(B), short(C)]
    process = None
    if writer != "none":
        expected.insert(0, "deactivate")
        process = subprocess.Popen(
            [sys.executable, "-c", code], cwd=folder, stdin=subprocess.PIPE, stdout=subprocess.PIPE
        )
        assert process.stdout is not None
        assert process.stdout.readline() == b"ready\n"
        if writer != "at work":
            process.send_signal(signal.SIGKILL)
            process.wait()
        if writer.endswith("lost"):
            (folder / "syncd.db-shm").unlink()
            expected = []  # SQLite would write another one
    before = files(folder)
    assert in_bash(folder, "syncd approve ''", SYNCD_CONFIG="syncd.toml") == [expected]
    assert files(folder) == before
    if process is not None:
        process.communicate()


@pytest.mark.parametrize(
    "text",
    [
        None,
        "not TOML",
        "target = 3",
        "state = 3\n[[target]]\nname = 3",
        "state = 'nowhere/syncd.db'",
        "state = 'text'",
        "state = 'empty'",
        "state = '/dev/zero'",
        "state = 'pipe'",
    ],
)
def test_what_can_t_be_read_gives_no_answer_and_no_error(folder: Path, text: str | None) -> None:
    (folder / "text").write_text("text " * 1000)
    (folder / "empty").touch()
    os.mkfifo(folder / "pipe")
    if text is not None:
        (folder / "bad.toml").write_text(text)
    before = {path.name for path in folder.iterdir()}
    for words in ("approve -c bad.toml ", "show -c bad.toml "):
        assert asked(folder, "bash", words).strip() == ""
    assert {path.name for path in folder.iterdir()} == before
    for file in ("pipe", "/dev/zero", ".", "nowhere"):
        assert asked(folder, "bash", f"plan -c {file} --target ").strip() == ""


def test_what_takes_long_to_import_is_not(folder: Path) -> None:
    code = """
import sys
import syncd.cli
try:
    syncd.cli.main()
finally:
    slow = {"pydantic", "sqlite_utils", "rich", "httpx", "aiohttp", "structlog", "syncd.core.plan", "syncd.core.policy"}
    print(*slow & sys.modules.keys())
"""
    for words in ("plan --target ", "approve ", "show "):
        line = {"COMP_WORDS": f"syncd {words}", "COMP_CWORD": str(len(words.split(" ")))}
        done = subprocess.run(
            [sys.executable, "-c", code],
            cwd=folder,
            env=environment(_SYNCD_COMPLETE="bash_complete", SYNCD_CONFIG="syncd.toml", **line),
            capture_output=True,
            text=True,
            check=True,
        )
        *offered, imported = done.stdout.split("\n")[:-1]
        assert (len(offered) > 1, imported, done.stderr) == (True, "", "")


def test_an_answer_that_does_not_come_is_not_waited_for() -> None:
    with pytest.raises(TimeoutError), completing._deadline(0.01):
        signal.pause()


# -- where the state file is the service's alone ---------------------------------------------------------


@pytest.fixture
def place() -> Iterator[Path]:
    """A folder that everybody can enter."""
    with tempfile.TemporaryDirectory(prefix="syncd-") as name:
        Path(name).chmod(0o755)
        yield Path(name)


@pytest.mark.skipif(os.geteuid() != 0, reason="only root can be somebody else")
def test_the_daemon_is_asked_by_those_who_may(admin: Administrator, sandbox: Sandbox, place: Path) -> None:
    group = grp.getgrnam("games")
    shutil.copy(admin.folder / "syncd.toml", place)
    (place / "syncd.toml").chmod(0o644)
    admin.environment |= {
        "SYNCD__CONTROL__SOCKET": str(place / "syncd.sock"),
        "SYNCD__CONTROL__GROUP": group.gr_name,
    }
    # Asked once before, of a state file that isn't there, for Python may lie where that user can't read.
    code = f"""
import ctypes, json, os, sys
import syncd.cli
from syncd.cli.completing import answer_shell
state, os.environ["SYNCD__STATE"] = os.environ["SYNCD__STATE"], "nowhere"
answer_shell(syncd.cli.cli, "bash_complete")
os.environ["SYNCD__STATE"] = state
os.setgroups(json.loads(sys.argv[1])); os.setgid({NOBODY}); os.setuid({NOBODY})
ctypes.CDLL(None).prctl(4, 1)  # PR_SET_DUMPABLE: else /proc/self stays root's
syncd.cli.main()
"""

    def offered(words: str, groups: list[int]) -> list[str]:
        done = subprocess.run(
            [sys.executable, "-c", code, json.dumps(groups)],
            cwd=place,
            env=environment(
                _SYNCD_COMPLETE="bash_complete",
                COMP_WORDS=f"syncd {words}",
                COMP_CWORD=str(len(words.split(" "))),
                SYNCD_CONFIG="syncd.toml",
                SYNCD__STATE=str(admin.folder / "syncd.db"),
                SYNCD__CONTROL__SOCKET=str(place / "syncd.sock"),
            ),
            capture_output=True,
            text=True,
            timeout=120,
            check=True,
        )
        assert done.stderr == ""
        return done.stdout.replace("plain,", "").split()

    with Running(admin, SYNCD__SCHEDULE__SYNC="100d") as running:
        running.do("sync")
        admin.people([person(key) for key in range(1, 5)])
        running.do("sync")
        held = running.ask("holds")[0]["holds"]
        decidable = [hold["id"][:8] for hold in held]
        assert decidable != []
        rejecting = offered("reject ", [group.gr_gid])
        assert rejecting[-len(held) :] == decidable
        assert "all" in rejecting
        assert "2" in offered("show ", [group.gr_gid])
        for words in ("reject ", "show "):
            assert offered(words, []) == []
        assert running.ask("holds")[0]["holds"] == held
