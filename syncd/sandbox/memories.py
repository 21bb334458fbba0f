"""One resource as it was at one moment, in all tables: remembered, and restored.

Knows rows and not their meaning, so that a restored resource is what it was in every respect but its version.
"""

from __future__ import annotations

import sqlite3
from dataclasses import dataclass
from typing import Any

from syncd.sandbox.database import Database

Row = dict[str, Any]


@dataclass(frozen=True, slots=True)
class Memory:
    """The rows of a resource; none where there was no such resource."""

    type: str
    id: str
    row: Row | None
    emails: tuple[Row, ...] = ()
    members: tuple[Row, ...] = ()
    """Who is in a group."""
    memberships: tuple[Row, ...] = ()
    """The groups that a resource is in."""


def remember(database: Database, type_: str, id_: str) -> Memory:
    """Return a resource as it is now."""

    def rows(statement: str, *parameters: Any) -> tuple[Row, ...]:
        return tuple(map(dict, database.connection.execute(statement, parameters)))

    found = rows("SELECT * FROM resource WHERE type = ? AND id = ?", type_, id_)
    if not found:
        return Memory(type_, id_, None)
    seq = found[0]["seq"]
    return Memory(
        type_,
        id_,
        found[0],
        rows("SELECT * FROM email WHERE resource = ?", seq),
        rows("SELECT * FROM member WHERE container = ?", seq),
        rows("SELECT * FROM member WHERE member = ?", seq),
    )


def restore(database: Database, memory: Memory) -> None:
    """Make a resource as it was. The groups of a resource that is still there stay as they are."""
    with database.transaction() as connection:
        present = remember(database, memory.type, memory.id)
        # With the resource go its rows in the other tables.
        connection.execute("DELETE FROM resource WHERE type = ? AND id = ?", (memory.type, memory.id))
        if memory.row is None:
            return
        memberships, version = memory.memberships, memory.row["version"]
        if present.row is not None:
            memberships, version = present.memberships, present.row["version"]
        _insert(connection, "resource", {**memory.row, "version": version + 1})
        for email in memory.emails:
            _insert(connection, "email", email)
        for member in (*memory.members, *memberships):
            both = (member["container"], member["member"])
            (there,) = connection.execute("SELECT count(*) FROM resource WHERE seq IN (?, ?)", both).fetchone()
            if there == len(both):
                _insert(connection, "member", member)


def _insert(connection: sqlite3.Connection, table: str, row: Row) -> None:
    columns = ", ".join(row)
    statement = f"INSERT OR IGNORE INTO {table} ({columns}) VALUES ({', '.join('?' * len(row))})"  # noqa: S608
    connection.execute(statement, list(row.values()))
