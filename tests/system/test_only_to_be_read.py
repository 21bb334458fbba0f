"""Commands that only look, where neither the state file nor its folder may be written to."""

from __future__ import annotations

import subprocess
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, Done, person

NOBODY = 65534
AS_NOBODY = f"""
import os, sys
import syncd.cli
# Everything is imported first, by a plan with a state of its own: Python may lie where that user can't read.
state, os.environ["SYNCD__STATE"] = os.environ["SYNCD__STATE"], sys.argv.pop(1)
try:
    syncd.cli.cli.main(["plan", "--full", "-o", os.environ["SYNCD__STATE"] + ".html"], standalone_mode=False)
except SystemExit:
    pass
import _strptime, syncd.cli.asking, syncd.operations, syncd.report.explanation, syncd.store.readonly
os.environ["SYNCD__STATE"] = state
sys.stdout.write(chr(0))
if os.geteuid() == 0:
    os.setgroups([]); os.setgid({NOBODY}); os.setuid({NOBODY})
syncd.cli.main()
"""


@pytest.fixture
def place(admin: Administrator, sandbox: Sandbox) -> Iterator[Path]:
    """A folder with configuration, source and state, of which everybody may read everything and write nothing."""
    admin.people(person(key) for key in range(1, 31))
    assert admin.syncd("sync").code == 0
    admin.people(person(key, status="left" if key < 5 else "active") for key in range(1, 31))
    with tempfile.TemporaryDirectory(prefix="syncd-") as name:
        folder = Path(name)
        for file in admin.folder.iterdir():
            if file.is_file():
                (folder / file.name).write_bytes(file.read_bytes())
                (folder / file.name).chmod(0o444)
        folder.chmod(0o555)
        yield folder
        folder.chmod(0o755)


def looks(place: Path, admin: Administrator, *arguments: str) -> Done:
    """Run a command as somebody who may only read."""
    done = subprocess.run(
        [sys.executable, "-c", AS_NOBODY, str(admin.folder / "elsewhere.db"), *arguments],
        cwd=place,
        env=admin.environment | {"SYNCD__STATE": str(place / "syncd.db")},
        capture_output=True,
        text=True,
        timeout=120,
        check=False,
    )
    assert "Traceback" not in done.stderr, done.stderr
    return Done(done.returncode, done.stdout.rpartition("\0")[2], done.stderr)


def test_plans_and_answers_need_nothing_that_can_be_written_to(place: Path, admin: Administrator) -> None:
    before = {file.name: file.read_bytes() for file in place.iterdir()}
    plan = looks(place, admin, "plan", "--json")
    assert (plan.code, [each["change"]["key"] for each in plan.json["held"]]) == (3, ["1", "2", "3", "4"]), plan.err
    full = looks(place, admin, "plan", "--full", "--json")
    assert (full.code, full.json["kind"], full.json["drift"]) == (3, "resync", []), full.err
    assert looks(place, admin, "status", "--json").json["target"] == "sandbox"
    assert "p1@example.com" in looks(place, admin, "explain", "p1@example.com").out
    assert {file.name: file.read_bytes() for file in place.iterdir()} == before


def test_a_command_that_writes_names_the_folder(place: Path, admin: Administrator) -> None:
    done = looks(place, admin, "approve", "all")
    assert done.code == 1
    assert f"{place / 'syncd.db'}: " in done.err
    assert f"permissions of {place}" in done.err or "the folder's permissions" in done.err
    assert done.out == ""
