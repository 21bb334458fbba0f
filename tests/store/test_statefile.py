"""Opening the state file: new files, refused files, and that other people's files stay untouched."""

from __future__ import annotations

import os
import sqlite3
import subprocess
import sys
import tempfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager, suppress
from pathlib import Path

import pytest

from syncd.core.model import Known, State
from syncd.core.plan import Plan
from syncd.errors import StateCorrupt, StateError, StateNewer, StateUnwritable
from syncd.store import StateFile
from syncd.store.migrations import APPLICATION_ID, migrations
from tests.world import NOON

NOBODY = 65_534


@pytest.fixture
def path(tmp_path: Path) -> Path:
    return tmp_path / "state" / "syncd.db"


def mode(path: Path) -> int:
    return path.stat().st_mode & 0o777


@contextmanager
def umask(bits: int) -> Iterator[None]:
    before = os.umask(bits)
    try:
        yield
    finally:
        os.umask(before)


@contextmanager
def unprivileged() -> Iterator[None]:
    """Be somebody whom file permissions concern, where the tests run as root."""
    if os.geteuid() != 0:
        yield
        return
    os.seteuid(NOBODY)
    try:
        yield
    finally:
        os.seteuid(0)


@contextmanager
def folder_of_nobody() -> Iterator[Path]:
    """Make a folder that an unprivileged user can reach, which pytest's own can't be."""
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        if os.geteuid() == 0:
            os.chown(folder, NOBODY, NOBODY)
        yield folder
        folder.chmod(0o700)


def somebody(key: str = "1") -> Known:
    return Known(key, f"id-{key}", f"u{key}", State.ACTIVE, {"userName": f"u{key}", "active": True}, b"d")


def filled(path: Path, users: int = 1) -> None:
    with StateFile(path) as state, state.atomic():
        for number in range(users):
            state.snapshot("t").put_user(somebody(str(number)))


def test_an_empty_state_is_made_with_its_folder(path: Path) -> None:
    with StateFile(path) as state:
        state.check()
        assert state.targets() == []
        assert state.snapshot("t").counts() == {State.ACTIVE: 0, State.PENDING: 0, State.DEACTIVATED: 0}
        assert state.snapshot("t").serial == 0
        assert state.snapshot("t").groups() == {}
        assert state.journal("t").heads(5) == []
        assert state.targets() == ["t"]
    with closing(sqlite3.connect(path)) as conn:
        assert conn.execute("PRAGMA application_id").fetchone() == (APPLICATION_ID,)
        assert conn.execute("PRAGMA journal_mode").fetchone() == ("wal",)
        tables = {name for (name,) in conn.execute("SELECT name FROM sqlite_master WHERE type = 'table'")}
    assert tables >= {"targets", "users", "groups", "members", "runs", "outcomes"}


def test_opening_again_finds_what_was_written(path: Path) -> None:
    filled(path)
    with StateFile(path) as state:
        assert state.snapshot("t").user("0") == somebody("0")


@pytest.mark.parametrize("bits", [0o000, 0o022, 0o077])
def test_nobody_else_may_read_it_whatever_the_umask(path: Path, bits: int) -> None:
    with umask(bits), StateFile(path) as state:
        with state.atomic():
            state.snapshot("t").put_user(somebody())
        assert {file.name: mode(file) for file in path.parent.iterdir()} == {
            "syncd.db": 0o600,
            "syncd.db-wal": 0o600,
            "syncd.db-shm": 0o600,
        }


def test_rights_that_others_were_given_are_taken_from_them(path: Path) -> None:
    filled(path)
    path.chmod(0o644)
    StateFile(path).close()
    assert mode(path) == 0o600


def test_what_is_written_is_on_disk_before_the_next_step(path: Path) -> None:
    with StateFile(path) as state:
        assert state.db.conn.execute("PRAGMA synchronous").fetchone() == (2,)
        assert state.db.conn.execute("PRAGMA foreign_keys").fetchone() == (1,)


def test_all_or_nothing_of_a_transaction_is_kept(path: Path) -> None:
    with StateFile(path) as state:
        with suppress(ZeroDivisionError), state.atomic():
            state.snapshot("t").put_user(somebody())
            assert 1 / 0
        assert state.snapshot("t").user("1") is None


def test_what_was_committed_survives_a_kill(path: Path) -> None:
    """A second handle that opens and closes meanwhile must not cost the first one its write-ahead log."""
    writer = f"""
import os, signal, sys
sys.path[:0] = {sys.path!r}
from pathlib import Path
from syncd.store import StateFile
from tests.store.test_statefile import somebody
path = Path({str(path)!r})
state = StateFile(path)
StateFile(path).close()
import subprocess
subprocess.run([sys.executable, "-c", "import sqlite3; c = sqlite3.connect({str(path)!r}); "
    "c.execute('SELECT count(*) FROM users').fetchone(); c.close()"], check=True)
with state.atomic():
    state.snapshot("t").put_user(somebody("kept"))
os.kill(os.getpid(), signal.SIGKILL)
"""
    killed = subprocess.run([sys.executable, "-c", writer], check=False, capture_output=True, text=True)
    assert (killed.returncode, killed.stderr) == (-9, "")
    with StateFile(path) as state:
        assert state.snapshot("t").user("kept") == somebody("kept")


def refused(path: Path) -> StateError:
    with pytest.raises(StateError) as error:
        StateFile(path)
    assert str(path) in str(error.value)
    assert error.value.hint
    return error.value


def test_a_file_of_a_newer_version_is_refused_and_left_alone(path: Path) -> None:
    filled(path)
    known = max(int(each.name) for each in migrations._migrations)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        row = "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('syncd', ?, 'later')"
        conn.execute(row, [str(known + 1)])
    before = path.read_bytes()
    error = refused(path)
    assert isinstance(error, StateNewer)
    assert f"written by a newer syncd (format {known + 1}; this one knows {known})" in str(error)
    assert "install that version again" in error.hint
    assert path.read_bytes() == before


def foreign(path: Path) -> None:
    path.parent.mkdir(parents=True)
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        conn.execute("CREATE TABLE invoices (number)")
    path.chmod(0o644)


def text(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_text("id,name\n1,Ada\n" * 100)
    path.chmod(0o644)


def short(path: Path) -> None:
    path.parent.mkdir(parents=True)
    path.write_bytes(b"x")
    path.chmod(0o644)


@pytest.mark.parametrize(
    ("make", "hint"), [(foreign, "check `state` in the configuration"), (text, "move it away"), (short, "move it away")]
)
def test_another_programs_file_is_refused_and_left_alone(path: Path, make: Callable[[Path], None], hint: str) -> None:
    make(path)
    before = path.read_bytes()
    error = refused(path)
    assert isinstance(error, StateCorrupt)
    assert hint in error.hint
    assert (path.read_bytes(), mode(path)) == (before, 0o644)
    assert [file.name for file in path.parent.iterdir()] == ["syncd.db"]


def test_an_empty_file_is_an_empty_state(path: Path) -> None:
    path.parent.mkdir()
    path.touch()
    with StateFile(path) as state:
        state.check()


def overwrite(path: Path, start: int, content: bytes) -> None:
    with path.open("r+b") as file:
        file.seek(start)
        file.write(content)


def test_a_damaged_header_is_named_with_what_to_do(path: Path) -> None:
    filled(path)
    overwrite(path, 0, b"\xff" * 100)
    error = refused(path)
    assert isinstance(error, StateCorrupt)
    assert "not readable as a state file" in str(error)
    assert "syncd resync" in error.hint


def look_at_everything(path: Path) -> None:
    with StateFile(path) as state:
        state.check()
        with state.explained():
            list(state.snapshot("t").unseen(bytearray(10_000)))


@pytest.mark.parametrize("keep", [0.1, 0.5, 0.9])
def test_a_truncated_file_is_named_with_what_to_do(path: Path, keep: float) -> None:
    filled(path, users=2_000)
    os.truncate(path, int(path.stat().st_size * keep))
    with pytest.raises(StateCorrupt) as error:
        look_at_everything(path)
    assert str(path) in str(error.value)
    assert "syncd resync" in error.value.hint


def test_a_page_of_rubbish_is_found_and_named(path: Path) -> None:
    filled(path, users=2_000)
    overwrite(path, path.stat().st_size // 2 // 4096 * 4096, os.urandom(8192))
    with pytest.raises(StateCorrupt, match="damaged"):
        look_at_everything(path)


def test_a_folder_that_cannot_be_written_is_named() -> None:
    with folder_of_nobody() as folder:
        folder.chmod(0o500)
        with unprivileged():
            error = refused(folder / "syncd.db")
        assert isinstance(error, StateUnwritable)
        assert "Permission denied" in str(error)
        assert "the folder's permissions" in error.hint


def test_a_file_in_a_folder_that_cannot_be_written_is_named() -> None:
    with folder_of_nobody() as folder:
        path = folder / "syncd.db"
        with unprivileged():
            filled(path)
            folder.chmod(0o500)
            assert isinstance(refused(path), StateUnwritable)


def test_a_file_that_cannot_be_written_is_named() -> None:
    with folder_of_nobody() as folder:
        path = folder / "syncd.db"
        filled(path)
        os.chown(path, 0, 0)
        with unprivileged():
            assert isinstance(refused(path), StateUnwritable)


@pytest.mark.parametrize("name", ["folder", "file/syncd.db"])
def test_a_path_that_cannot_be_a_file_is_named(tmp_path: Path, name: str) -> None:
    (tmp_path / "folder").mkdir()
    (tmp_path / "file").touch()
    assert isinstance(refused(tmp_path / name), StateUnwritable)


def test_what_is_no_file_is_refused_and_keeps_its_rights(tmp_path: Path) -> None:
    device = tmp_path / "pipe"  # as /dev/null would be
    os.mkfifo(device, 0o666)
    device.chmod(0o666)
    for path in (device, tmp_path):
        before = path.stat().st_mode
        with pytest.raises(StateUnwritable, match="not a file"):
            StateFile(path)
        assert path.stat().st_mode == before


def test_a_file_that_another_program_keeps_locked_is_named(path: Path) -> None:
    filled(path)
    with closing(sqlite3.connect(path, isolation_level=None)) as other, StateFile(path) as state:
        state.db.conn.execute("PRAGMA busy_timeout = 0")
        other.execute("BEGIN IMMEDIATE")
        with pytest.raises(StateUnwritable, match="locked") as error, state.atomic():
            state.snapshot("t").put_user(somebody())
        assert "another program has it open" in error.value.hint


def test_targets_do_not_see_each_other(path: Path) -> None:
    with StateFile(path) as state:
        with state.atomic():
            state.snapshot("b").put_user(somebody())
            state.snapshot("b").bump()
        assert state.snapshot("a").user("1") is None
        assert (state.snapshot("a").serial, state.snapshot("b").serial) == (0, 1)
        assert state.targets() == ["a", "b"]


def test_the_target_of_a_run_is_found(path: Path) -> None:
    with StateFile(path) as state:
        with state.atomic():
            run = state.journal("b").begin(Plan("b", "sync", NOON, 0, ()), NOON)
        assert state.target_of_run(run) == "b"
        assert state.target_of_run(run + 1) is None


def test_a_writer_waits_for_another_handle_that_writes(path: Path) -> None:
    with StateFile(path) as one:
        one.snapshot("t")
        done = threading.Event()

        def write() -> None:
            with StateFile(path) as other, other.atomic():
                other.snapshot("t").bump()
            done.set()

        thread = threading.Thread(target=write)
        with one.atomic():
            before = one.snapshot("t").serial
            thread.start()
            assert not done.wait(0.5), "it would have written between our reading and our writing"
            one.snapshot("t").bump()
        thread.join()
        assert one.snapshot("t").serial == before + 2


@pytest.mark.skipif(os.geteuid() != 0, reason="only root makes files for others")
def test_what_root_makes_in_somebodys_folder_is_theirs(tmp_path: Path) -> None:
    folder = tmp_path / "of-nobody"
    folder.mkdir()
    os.chown(folder, 65534, 65534)
    with StateFile(folder / "syncd.db") as state, state.lease("sync"), state.atomic():
        state.snapshot("t").bump()
        owners = {path.name: path.stat().st_uid for path in folder.iterdir()}
    assert {"syncd.db", "syncd.db.lease", "syncd.db-wal"} <= owners.keys()
    assert set(owners.values()) == {65534}
