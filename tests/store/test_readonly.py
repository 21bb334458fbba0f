"""A state file that may only be read, in a folder that may only be read: read on a private copy."""

from __future__ import annotations

import os
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path

import pytest

from syncd.errors import StateCorrupt, StateError, StateNewer, StateUnwritable
from syncd.store import StateFile, readable
from tests.store.test_statefile import filled, folder_of_nobody, somebody, unprivileged


@pytest.fixture
def folder(monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A folder of an unprivileged user, and a folder for temporary files that the user may write to."""
    with folder_of_nobody() as folder, folder_of_nobody() as temporary:
        monkeypatch.setattr(tempfile, "tempdir", str(temporary))
        yield folder
        assert list(temporary.iterdir()) == []


@contextmanager
def only_to_be_read(folder: Path) -> Iterator[None]:
    """Let neither the folder nor a file in it be written to."""
    files = list(folder.iterdir())
    for file in files:
        file.chmod(0o400)
    folder.chmod(0o500)
    before = {file.name: file.read_bytes() for file in files}
    try:
        with unprivileged():
            yield
    finally:
        folder.chmod(0o700)
    assert {file.name: file.read_bytes() for file in folder.iterdir()} == before


def refused(path: Path) -> StateError:
    with pytest.raises(StateError) as error, readable(path):
        pass
    return error.value


def test_a_file_that_may_be_written_to_is_opened_itself(tmp_path: Path) -> None:
    filled(tmp_path / "syncd.db")
    with readable(tmp_path / "syncd.db") as state:
        assert state.path == tmp_path / "syncd.db"


def test_a_file_and_folder_that_may_only_be_read_are_left_as_they_are(folder: Path) -> None:
    path = folder / "syncd.db"
    with unprivileged():
        filled(path, users=2)
    with only_to_be_read(folder), readable(path) as state:
        assert state.snapshot("t").user("1") == somebody("1")
        with state.atomic():
            state.snapshot("another").put_user(somebody("2"))
        with state.scratch() as scratch:
            assert scratch.snapshot("t").user("1") == somebody("1")
    with StateFile(path) as state:
        assert state.targets() == ["t"]


def test_a_file_that_may_be_written_to_in_a_folder_that_may_not_is_read(folder: Path) -> None:
    path = folder / "syncd.db"
    with unprivileged():
        filled(path)
        folder.chmod(0o500)
        with readable(path) as state:
            assert state.snapshot("t").user("0") == somebody("0")
    assert [file.name for file in folder.iterdir()] == ["syncd.db"]


@pytest.mark.parametrize("index", [True, False], ids=["with its index", "without its index"])
def test_a_log_that_a_killed_process_left_is_read_too(folder: Path, index: bool) -> None:
    path = folder / "syncd.db"
    names = ["syncd.db", "syncd.db-wal", *(["syncd.db-shm"] if index else [])]
    with unprivileged():
        with StateFile(path) as state:
            with state.atomic():
                state.snapshot("t").put_user(somebody())
            left = {name: (folder / name).read_bytes() for name in names}
        for name, content in left.items():
            (folder / name).write_bytes(content)
    with only_to_be_read(folder), readable(path) as state:
        assert state.snapshot("t").user("1") == somebody()


def test_the_file_of_a_process_at_work_is_read_as_it_was_last_committed(folder: Path) -> None:
    path = folder / "syncd.db"
    with unprivileged(), StateFile(path) as writer:
        with writer.atomic():
            writer.snapshot("t").put_user(somebody("1"))
        folder.chmod(0o500)
        with writer.atomic():
            writer.snapshot("t").put_user(somebody("2"))
            with readable(path) as state:
                users = state.snapshot("t").users(["1", "2"])
        folder.chmod(0o700)
    assert users == {"1": somebody("1")}


def test_a_file_that_may_not_be_read_is_named_with_whom_to_ask(folder: Path) -> None:
    path = folder / "syncd.db"
    filled(path)
    os.chown(path, 0, 0)
    if os.geteuid() != 0:
        path.chmod(0)
    with unprivileged():
        error = refused(path)
    assert isinstance(error, StateUnwritable)
    assert str(path) in str(error)
    assert "its owner and root may open it" in error.hint


@pytest.mark.parametrize("name", ["syncd.db", "state/syncd.db"])
def test_where_there_is_none_and_none_can_be_made_an_empty_one_is_read(folder: Path, name: str) -> None:
    with only_to_be_read(folder), readable(folder / name) as state:
        assert state.targets() == []
        assert state.snapshot("t").groups() == {}
    assert list(folder.iterdir()) == []


@pytest.mark.parametrize("name", ["syncd.db", "state/syncd.db"])
def test_where_there_is_none_and_one_can_be_made_it_is_made(tmp_path: Path, name: str) -> None:
    with readable(tmp_path / name) as state:
        assert state.path == tmp_path / name
    assert (tmp_path / name).is_file()


def test_a_folder_that_is_a_file_is_named(tmp_path: Path) -> None:
    (tmp_path / "file").touch()
    assert str(tmp_path / "file") in str(refused(tmp_path / "file" / "syncd.db"))


def test_a_folder_that_may_not_be_entered_is_named(folder: Path) -> None:
    (folder / "state").mkdir(mode=0o700)
    with unprivileged():
        error = refused(folder / "state" / "syncd.db")
        assert str(folder / "state" / "syncd.db") in str(error)
    (folder / "state").rmdir()


def test_no_room_for_the_copy_is_said_with_the_folders(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = folder / "syncd.db"
    with unprivileged():
        filled(path)

    def no_room(**_: object) -> object:
        raise OSError(28, "No space left on device")

    monkeypatch.setattr(tempfile, "TemporaryDirectory", no_room)
    with only_to_be_read(folder):
        error = refused(path)
    assert isinstance(error, StateUnwritable)
    assert str(path) in str(error)
    assert "No space left on device" in str(error)
    assert f"{folder} or the file may not be written to" in error.hint
    assert "TMPDIR" in error.hint


@pytest.mark.parametrize("content", [b"rubbish", b"rubbish" * 1000], ids=["short", "long"])
def test_what_is_no_state_file_is_called_by_its_own_name(folder: Path, content: bytes) -> None:
    path = folder / "syncd.db"
    with unprivileged():
        path.write_bytes(content)
    with only_to_be_read(folder):
        error = refused(path)
    assert isinstance(error, StateCorrupt)
    assert str(path) in str(error)


def test_a_file_of_a_newer_version_is_called_by_its_own_name(folder: Path) -> None:
    path = folder / "syncd.db"
    with unprivileged():
        filled(path)
        with StateFile(path) as state:
            state.db.conn.execute(
                "INSERT INTO _sqlite_migrations (migration_set, name, applied_at) VALUES ('syncd', '999', 'later')"
            )
    with only_to_be_read(folder):
        error = refused(path)
    assert isinstance(error, StateNewer)
    assert str(path) in str(error)


def test_a_file_that_is_written_to_meanwhile_is_not_believed(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    from syncd.store import readonly

    path = folder / "syncd.db"
    with unprivileged():
        filled(path)
    versions = iter([(1, 4096), (2, 4096)])
    monkeypatch.setattr(readonly, "_version", lambda _: next(versions))
    with only_to_be_read(folder):
        error = refused(path)
    assert "written to while it was copied" in str(error)
    assert "try again" in error.hint


def test_a_pipe_is_not_waited_for(tmp_path: Path) -> None:
    os.mkfifo(tmp_path / "pipe")
    assert "not a file" in str(refused(tmp_path / "pipe"))
