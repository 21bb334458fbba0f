"""The lease: one process at a time, whoever it is and however it ends."""

from __future__ import annotations

import signal
import subprocess
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.errors import LeaseHeld, StateUnwritable
from syncd.store import Lease

HOLDER = """
import sys
sys.path[:0] = {path!r}
from pathlib import Path
from syncd.store import Lease
with Lease(Path({state!r}), "sync"):
    print("held", flush=True)
    sys.stdin.read()
"""


@pytest.fixture
def state(tmp_path: Path) -> Path:
    return tmp_path / "syncd.db"


@contextmanager
def held_elsewhere(state: Path) -> Iterator[subprocess.Popen[str]]:
    """Let another process hold the lease until its input ends."""
    program = HOLDER.format(path=sys.path, state=str(state))
    with subprocess.Popen(
        [sys.executable, "-c", program], stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True
    ) as process:
        assert process.stdout is not None
        assert process.stdout.readline() == "held\n"
        yield process


def test_a_lease_that_another_process_holds_is_refused_and_names_it(state: Path) -> None:
    with held_elsewhere(state) as process:
        with pytest.raises(LeaseHeld) as refused, Lease(state, "sync"):
            pass
        assert str(refused.value) == (
            f"{state}: another process works on it (process {process.pid}, syncd sync)\n"
            "  wait for it to finish, or stop it"
        )
        assert refused.value.exit_code == 5


def test_a_lease_is_free_again_when_its_process_ends(state: Path) -> None:
    with held_elsewhere(state) as process:
        process.communicate("")
        with Lease(state, "sync"):
            pass


def test_a_lease_is_free_again_when_its_process_is_killed(state: Path) -> None:
    with held_elsewhere(state) as process:
        process.send_signal(signal.SIGKILL)
        process.wait()
        with Lease(state, "run"):
            pass


def test_a_lease_that_was_refused_stays_with_its_holder(state: Path) -> None:
    with held_elsewhere(state):
        for _ in range(2):
            with pytest.raises(LeaseHeld), Lease(state, "sync"):
                pass


def test_one_process_can_hold_it_once_only(state: Path) -> None:
    with Lease(state, "run"), pytest.raises(LeaseHeld), Lease(state, "sync"):
        pass


def test_a_lease_ends_with_its_block_even_when_that_fails(state: Path) -> None:
    with pytest.raises(RuntimeError), Lease(state, "sync"):
        raise RuntimeError
    with Lease(state, "sync"):
        pass


def test_a_child_process_does_not_inherit_it(state: Path) -> None:
    lease = Lease(state, "sync")
    lease.__enter__()
    program = [sys.executable, "-c", "print(flush=True); input()"]
    with subprocess.Popen(program, stdin=subprocess.PIPE, stdout=subprocess.PIPE, close_fds=False) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == b"\n"
        lease.__exit__(None, None, None)
        with Lease(state, "sync"):
            pass
        child.communicate(b"\n")


def test_nobody_else_may_read_it(state: Path) -> None:
    with Lease(state, "sync"):
        (file,) = state.parent.iterdir()
        assert file.stat().st_mode & 0o777 == 0o600


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    with pytest.raises(StateUnwritable, match="nowhere"), Lease(tmp_path / "nowhere" / "syncd.db", "sync"):
        pass


def test_a_full_disk_keeps_nobody_from_the_lease(state: Path) -> None:
    state.with_name("syncd.db.lease").symlink_to("/dev/full")
    with Lease(state, "sync"), pytest.raises(LeaseHeld), Lease(state, "sync"):
        pass
