"""Opening the state file: permissions, version, damage. Everything else in the store works on what this opened."""

from __future__ import annotations

import os
import sqlite3
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager, suppress
from pathlib import Path
from types import TracebackType
from typing import Final

from sqlite_utils import Database

from syncd.errors import StateCorrupt, StateError, StateNewer, StateUnwritable
from syncd.store.holds import Holds
from syncd.store.incidents import Incidents
from syncd.store.journal import Journal
from syncd.store.lease import Lease, give_to_owner
from syncd.store.migrations import APPLICATION_ID, migrations
from syncd.store.observation import Observation
from syncd.store.outbox import Outbox
from syncd.store.preparations import Preparations
from syncd.store.put_back import PutBack
from syncd.store.quarantine import Quarantine
from syncd.store.snapshot import Snapshot

_REBUILD = (
    "move it away (keep it) and run `syncd resync`: accounts that exist already at the target are matched again by "
    "externalId and userName, never made twice"
)
_COMPARED: Final = ("targets", "users", "groups", "members", "holds", "quarantine", "put_back")
"""The tables that a comparison reads."""
_SMALLEST: Final = 512
"""Bytes of the smallest page that an SQLite database can have."""


class StateFile:
    """An open state file. SQLite handles belong to their thread: open one per run.

    Raises StateUnwritable, StateNewer or StateCorrupt.
    """

    def __init__(self, path: Path, *, called: Path | None = None) -> None:
        """`called`: the file that messages name, where `path` is a copy of it."""
        self.path = path
        self._called = called or path
        with explained(self._called):
            _create(path)
            if not path.is_file():  # a device would be taken for an empty file, and from everybody else
                raise StateUnwritable(
                    f"{self._called}: not a file", hint="`state` names a file, which is made where none is"
                )
            if 0 < path.stat().st_size < _SMALLEST:
                # SQLite treats such a file as empty, and overwrites its content.
                raise StateCorrupt(f"{self._called}: not readable as a state file (too short)", hint=_REBUILD)
            conn = sqlite3.connect(path, isolation_level=None, timeout=10)
            try:
                self.db = Database(conn)
                self._prepare()
            except BaseException:
                conn.close()
                raise

    def _prepare(self) -> None:
        conn = self.db.conn
        tables = self.db.table_names()  # first, for another process may be making them now, along with the id
        (application,) = conn.execute("PRAGMA application_id").fetchone()
        if application != APPLICATION_ID and tables:
            raise StateCorrupt(
                f"{self._called}: a database of something else", hint="check `state` in the configuration"
            )
        known = {migration.name for migration in migrations.pending(self.db)} | {
            migration.name for migration in migrations.applied(self.db)
        }
        mine = {migration.name for migration in migrations._migrations}
        if newer := known - mine:
            theirs, ours = max(newer, key=int), max(mine, key=int)
            raise StateNewer(
                f"{self._called}: written by a newer syncd (format {theirs}; this one knows {ours})",
                hint="install that version again, or move the file away",
            )
        _take_from_others(self.path)
        conn.execute("PRAGMA journal_mode = WAL")
        # FULL: an acknowledged change must be on disk before the next one is sent; 0.2 ms each.
        conn.execute("PRAGMA synchronous = FULL")
        conn.execute("PRAGMA foreign_keys = ON")
        if migrations.pending(self.db):
            self._migrate()

    def _migrate(self) -> None:
        """Bring the file to this version's form, whole or not at all; a second process that also wants to, waits."""
        conn = self.db.conn
        conn.execute("BEGIN IMMEDIATE")
        try:
            migrations.apply(self.db)
            conn.execute("COMMIT")
        except BaseException:
            self.db.rollback()
            raise

    def check(self) -> None:
        """Look for damage inside. Raises StateCorrupt."""
        with explained(self._called):
            (answer,) = self.db.conn.execute("PRAGMA quick_check(1)").fetchone()
        if answer != "ok":
            raise StateCorrupt(f"{self._called}: damaged ({answer})", hint=_REBUILD)

    def explained(self) -> AbstractContextManager[None]:
        """Turn every fault of the file inside the block into a StateError with advice."""
        return explained(self._called)

    def lease(self, purpose: str) -> Lease:
        """Return the guard that one process at a time works on this file."""
        return Lease(self.path, purpose)

    @contextmanager
    def atomic(self) -> Iterator[None]:
        """Keep all writes inside the block, or none. Raises StateError."""
        conn = self.db.conn
        with explained(self._called):
            if conn.in_transaction:
                with self.db.atomic():
                    yield
                return
            # Another handle may be writing: wait for it here. A transaction that has begun by reading can't wait any
            # more when it comes to write.
            conn.execute("BEGIN IMMEDIATE")
            try:
                yield
                conn.execute("COMMIT")
            except BaseException:
                self.db.rollback()
                raise

    def snapshot(self, target: str) -> Snapshot:
        """Return the snapshot of `target`."""
        return Snapshot(self.db, self._target(target), target)

    def journal(self, target: str) -> Journal:
        """Return the journal of `target`."""
        return Journal(self.db, self._target(target), target)

    def holds(self, target: str) -> Holds:
        """Return the holds of `target`."""
        return Holds(self.db, self._target(target), target)

    def quarantine(self, target: str) -> Quarantine:
        """Return the quarantine of `target`."""
        return Quarantine(self.db, self._target(target), target)

    def preparations(self, target: str) -> Preparations:
        """Return what came before the deletions of `target`."""
        return Preparations(self.db, self._target(target), target)

    def put_back(self, target: str) -> PutBack:
        """Return what full resyncs put back at `target`."""
        return PutBack(self.db, self._target(target), target)

    def incidents(self) -> Incidents:
        """Return the incidents."""
        return Incidents(self.db)

    def outbox(self) -> Outbox:
        """Return the outbox of notices."""
        return Outbox(self.db)

    def observation(self, target: str) -> Observation:
        """Return the observation of `target` by a full resync; in a scratch file alone."""
        return Observation(self.db, self._target(target), target)

    @contextmanager
    def scratch(self) -> Iterator[StateFile]:
        """Open a private copy of the tables that a comparison reads, as last committed; removed after the block.

        On disk, in the system's folder for temporary files. Writes to the copy never reach this file.
        """
        with explained(self._called):
            conn = sqlite3.connect("", isolation_level=None, uri=True)
        try:
            with explained(self._called):
                copy = _Scratch(self, Database(conn))
            yield copy
        finally:
            conn.close()

    def targets(self) -> list[str]:
        """Return the names of all targets that the file knows, also of those no longer configured."""
        return [name for (name,) in self.db.conn.execute("SELECT name FROM targets ORDER BY name")]

    def target_of_run(self, run: int) -> str | None:
        """Return the name of the target that a run was for."""
        row = self.db.conn.execute(
            "SELECT targets.name FROM runs JOIN targets ON targets.id = runs.target WHERE runs.id = ?", [run]
        ).fetchone()
        return row[0] if row else None

    def _target(self, name: str) -> int:
        with explained(self._called):
            found = self.db.conn.execute("SELECT id FROM targets WHERE name = ?", [name]).fetchone()
            if found is None:
                self.db.table("targets").insert({"name": name, "serial": 0}, ignore=True)
                found = self.db.conn.execute("SELECT id FROM targets WHERE name = ?", [name]).fetchone()
        return int(found[0])

    def close(self) -> None:
        """Close the file; uncommitted writes are lost."""
        self.db.conn.close()

    def __enter__(self) -> StateFile:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()


class _Scratch(StateFile):
    """A copy that no other handle can see, and that needs no care: it is made anew for every comparison."""

    def __init__(self, original: StateFile, db: Database) -> None:
        self.path, self._called = original.path, original._called
        self.db = db
        db.conn.execute("PRAGMA synchronous = OFF")
        migrations.apply(db)
        # Equal tables without foreign keys are copied as they lie on disk, row by row not looked at.
        db.conn.execute("PRAGMA foreign_keys = OFF")
        db.conn.execute("ATTACH ? AS original", [f"{self.path.absolute().as_uri()}?mode=ro"])
        with db.atomic():
            for table in _COMPARED:
                db.conn.execute(f"INSERT INTO main.{table} SELECT * FROM original.{table}")
        db.conn.execute("DETACH original")


def _create(path: Path) -> None:
    """Create the file with mode 0600 where there is none.

    An existing one is never opened here: closing it again would drop the locks (POSIX record locks belong to
    the process) that another handle of this process has on it, and with them its write-ahead log.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with suppress(FileExistsError):
        handle = os.open(path, os.O_RDWR | os.O_CREAT | os.O_EXCL | os.O_CLOEXEC, 0o600)
        try:
            give_to_owner(handle, path.parent)
        finally:
            os.close(handle)


def _take_from_others(path: Path) -> None:
    """Remove other users' permissions from a file that has proved to be a state file."""
    with suppress(PermissionError):  # somebody else's file that we may write: theirs to protect
        path.chmod(0o600)


@contextmanager
def explained(path: Path) -> Iterator[None]:
    """Turn an error of SQLite or the operating system into an error with advice."""
    try:
        yield
    except StateError:
        raise
    except OSError as error:
        hint = "check `state` and the folder's permissions"
        if isinstance(error, PermissionError):
            hint += ": its owner and root may open it; a running daemon answers the members of its group as well"
        raise StateUnwritable(f"{path}: {error.strerror}", hint=hint) from None
    except sqlite3.OperationalError as error:
        problem = str(error)
        hint = (
            f"check free space and permissions of {path.parent}: SQLite writes a log beside the file; nothing that was "
            "acknowledged is lost"
        )
        if "locked" in problem:
            hint = "another program has it open; close that, or wait"
        raise StateUnwritable(f"{path}: {problem}", hint=hint) from None
    except sqlite3.DatabaseError as error:
        if type(error) is not sqlite3.DatabaseError:
            raise  # ProgrammingError and the like are faults of ours, not of the file
        raise StateCorrupt(f"{path}: not readable as a state file ({error})", hint=_REBUILD) from None
