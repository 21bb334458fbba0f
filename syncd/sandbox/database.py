"""The sandbox's only access to SQLite: the file, its tables and its transactions.

A commit per request in WAL mode with synchronous NORMAL: a killed process loses nothing that was answered, and
the file always opens consistently. Writes are serialised, because one connection carries them all.
"""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import contextmanager
from contextvars import ContextVar
from dataclasses import dataclass
from pathlib import Path
from threading import RLock

from syncd.errors import StateCorrupt, StateNewer, StateUnwritable

FORMAT = 2
APPLICATION_ID = 0x53594E58  # "SYNX": tells a sandbox's file from syncd's own state file.

ENTERPRISE = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
MANAGER = f"json_extract(data, '$.\"{ENTERPRISE}\".manager.value')"
"""Spelt the same in the index and in the queries: SQLite compares the text of expressions."""

RESOURCE = """
CREATE TABLE resource (
    seq         INTEGER PRIMARY KEY AUTOINCREMENT,
    id          TEXT NOT NULL,
    type        TEXT NOT NULL,                 -- User | Group | Deleted
    space       TEXT NOT NULL DEFAULT '',      -- what kind of group, where two integrations see different ones
    name        TEXT NOT NULL,                 -- userName | displayName
    name_key    TEXT NOT NULL,                 -- as it compares
    external_id TEXT,
    data        TEXT NOT NULL,                 -- the attributes as JSON, without id, meta, members and groups
    version     INTEGER NOT NULL DEFAULT 1,
    created     TEXT NOT NULL,
    modified    TEXT NOT NULL,
    managed     INTEGER NOT NULL DEFAULT 1,    -- by SCIM; 0: native
    active      INTEGER NOT NULL DEFAULT 1,
    accepted    INTEGER NOT NULL DEFAULT 1,    -- 0: an invitation is out
    archived    INTEGER NOT NULL DEFAULT 0,
    owner       INTEGER NOT NULL DEFAULT 0,    -- of the account
    invitations INTEGER NOT NULL DEFAULT 0,    -- how many were sent
    password    INTEGER NOT NULL DEFAULT 0,    -- whether there is one; never which
    permission  TEXT NOT NULL DEFAULT '',
    UNIQUE (id, type)
);
"""
INDEXES = f"""
CREATE INDEX user_name ON resource (name_key) WHERE type = 'User';
CREATE INDEX group_name ON resource (name_key) WHERE type = 'Group';
CREATE INDEX resource_external_id ON resource (external_id) WHERE external_id IS NOT NULL;
CREATE INDEX report ON resource ({MANAGER}) WHERE type = 'User';
"""
OTHERS = """
CREATE TABLE email (
    resource INTEGER NOT NULL REFERENCES resource ON DELETE CASCADE,
    address  TEXT NOT NULL,                    -- as it compares
    PRIMARY KEY (resource, address)
) WITHOUT ROWID;
CREATE INDEX email_address ON email (address);
CREATE TABLE member (
    container INTEGER NOT NULL REFERENCES resource ON DELETE CASCADE,
    member    INTEGER NOT NULL REFERENCES resource ON DELETE CASCADE,
    PRIMARY KEY (container, member)
) WITHOUT ROWID;
CREATE INDEX member_of ON member (member);
CREATE TABLE setting (
    name  TEXT PRIMARY KEY,
    value TEXT NOT NULL
) WITHOUT ROWID;
"""
_FROM_1 = f"""
PRAGMA foreign_keys = OFF;
BEGIN;
{RESOURCE.replace("TABLE resource", "TABLE resource_2")}
INSERT INTO resource_2 SELECT * FROM resource;
DROP TABLE resource;
ALTER TABLE resource_2 RENAME TO resource;
{INDEXES}
PRAGMA user_version = 2;
COMMIT;
PRAGMA foreign_keys = ON;
"""  # noqa: S608 - no text from outside
"""Format 1 let no user and no group have the same id, and no two users the same name: now `resources` sees to it."""

_SEEN_FROM: ContextVar[sqlite3.Connection | None] = ContextVar("_SEEN_FROM", default=None)


@dataclass(slots=True)
class Trial:
    """Changes that may be undone."""

    kept: bool = False


class _Undone(Exception):
    """The changes of a trial are to be undone."""


class Database:
    """One sandbox's state file, opened and ready."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self._lock = RLock()
        self._depth = 0
        try:
            self._connection = sqlite3.connect(path, isolation_level=None, check_same_thread=False)
            new = self._check()
            self._set_up(self._connection)
            if new:
                self._create()
            elif self._version() == 1:
                self._connection.executescript(_FROM_1)
        except sqlite3.OperationalError as error:
            raise StateUnwritable(
                f"{path}: the sandbox's state file can't be opened: {error}",
                hint="name a file in a directory that you may write to",
            ) from error
        except sqlite3.DatabaseError as error:
            raise StateCorrupt(
                f"{path}: not a sandbox's state file: {error}", hint="name another file, or delete this one"
            ) from error

    @staticmethod
    def _set_up(connection: sqlite3.Connection) -> None:
        connection.row_factory = sqlite3.Row
        connection.execute("PRAGMA journal_mode = WAL")
        connection.execute("PRAGMA synchronous = NORMAL")
        connection.execute("PRAGMA foreign_keys = ON")
        connection.execute("PRAGMA busy_timeout = 5000")

    @property
    def connection(self) -> sqlite3.Connection:
        """The connection to use: the connection of the state, or of a snapshot inside `seen_from`."""
        return _SEEN_FROM.get() or self._connection

    def snapshot(self) -> sqlite3.Connection:
        """Return a connection that keeps seeing the current state; the caller closes the connection."""
        connection = sqlite3.connect(self.path, isolation_level=None, check_same_thread=False)
        self._set_up(connection)
        connection.execute("BEGIN")
        connection.execute("SELECT count(*) FROM setting").fetchone()
        return connection

    @contextmanager
    def seen_from(self, connection: sqlite3.Connection) -> Iterator[None]:
        """Let all reads of this task in the block use a snapshot."""
        token = _SEEN_FROM.set(connection)
        try:
            yield
        finally:
            _SEEN_FROM.reset(token)

    def _check(self) -> bool:
        """Return whether the file is new; refuse a file of another program before any change of the file."""
        if self._connection.execute("SELECT 1 FROM sqlite_schema").fetchone() is None:
            return True
        (found,) = self._connection.execute("PRAGMA application_id").fetchone()
        version = self._version()
        if found != APPLICATION_ID:
            raise StateCorrupt(f"{self.path}: a database, but not a sandbox's state file", hint="name another file")
        if version > FORMAT:
            raise StateNewer(
                f"{self.path}: written by a newer sandbox (format {version}, this one knows {FORMAT})",
                hint="delete the file, or use the newer syncd",
            )
        return False

    def _version(self) -> int:
        (version,) = self._connection.execute("PRAGMA user_version").fetchone()
        return int(version)

    def _create(self) -> None:
        marks = f"PRAGMA application_id = {APPLICATION_ID}; PRAGMA user_version = {FORMAT};"
        self._connection.executescript(f"BEGIN; {RESOURCE} {INDEXES} {OTHERS} {marks} COMMIT;")

    @contextmanager
    def transaction(self) -> Iterator[sqlite3.Connection]:
        """Commit all changes of the block, or none. Nested transactions join the outermost transaction."""
        with self._lock:
            if self._depth or _SEEN_FROM.get():
                yield self.connection
                return
            self._connection.execute("BEGIN")
            self._depth = 1
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            else:
                self._connection.execute("COMMIT")
            finally:
                self._depth = 0

    @contextmanager
    def trial(self) -> Iterator[Trial]:
        """Undo all changes of the block when it ends, unless the block keeps them."""
        trial = Trial()
        try:
            with self.transaction():
                yield trial
                if not trial.kept:
                    raise _Undone
        except _Undone:
            pass

    def setting(self, name: str, default: str = "") -> str:
        """Return the value stored under a name, or the default."""
        row = self.connection.execute("SELECT value FROM setting WHERE name = ?", (name,)).fetchone()
        return default if row is None else str(row["value"])

    def set_setting(self, name: str, value: str) -> None:
        """Store a value under a name."""
        with self.transaction() as connection:
            connection.execute(
                "INSERT INTO setting VALUES (?, ?) ON CONFLICT (name) DO UPDATE SET value = excluded.value",
                (name, value),
            )

    def close(self) -> None:
        """Close the file; an open transaction is lost."""
        self._connection.close()
