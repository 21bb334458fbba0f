"""The shape of the state file, from version 1 on. A released migration is never edited: a new one follows it."""

from __future__ import annotations

from typing import Final

from sqlite_utils import Database, Migrations

APPLICATION_ID: Final = 0x73796E64
"""`synd`: tells a state file of ours from any other SQLite database."""

migrations = Migrations("syncd")


@migrations(name="1")
def snapshot_and_journal(db: Database) -> None:
    """Create everything: targets, users, groups, members, runs, outcomes."""
    db.conn.execute(f"PRAGMA application_id = {APPLICATION_ID}")
    db.table("targets").create(
        {
            "id": int,
            "name": str,
            "serial": int,  # raised with every acknowledged change
            "discovery": str,  # JSON: what the endpoint said or proved it can do
            "mark": bytes,  # the source, rules and serial with which everything was last in line
        },
        pk="id",
        not_null={"name", "serial"},
        defaults={"serial": 0},
    )
    db.table("targets").create_index(["name"], unique=True)
    db.table("users").create(
        {
            "ref": int,  # small and dense: the index of the bitmap of those seen in a pull
            "target": int,
            "key": str,
            "id": str,
            "name": str,
            "state": str,
            "accepted": int,
            "attributes": str,
            "digest": bytes,
            "missing_since": str,
        },
        pk="ref",
        not_null={"target", "key", "id", "name", "state", "accepted", "attributes", "digest"},
        foreign_keys=[("target", "targets", "id")],
    )
    db.table("users").create_index(["target", "key"], unique=True)
    db.table("users").create_index(["target", "id"], unique=True)
    db.table("groups").create(
        {
            "ref": int,
            "target": int,
            "key": str,
            "id": str,
            "name": str,
            "attributes": str,
            "members_digest": bytes,
            "missing_since": str,
        },
        pk="ref",
        not_null={"target", "key", "id", "name", "attributes", "members_digest"},
        foreign_keys=[("target", "targets", "id")],
    )
    db.table("groups").create_index(["target", "key"], unique=True)
    db.table("groups").create_index(["target", "id"], unique=True)
    # Millions of rows: the primary key is the table (sqlite-utils has no way to say WITHOUT ROWID).
    db.conn.execute(
        "CREATE TABLE members ("
        " target INTEGER NOT NULL, group_key TEXT NOT NULL, kind TEXT NOT NULL, member_key TEXT NOT NULL,"
        " PRIMARY KEY (target, group_key, kind, member_key)) WITHOUT ROWID"
    )
    db.table("runs").create(
        {
            "id": int,
            "target": int,
            "kind": str,
            "started": str,
            "finished": str,
            "plan": str,  # JSON: the plan without its changes, which are the outcomes' own
            "requests": int,
            "seconds": float,
            "error": str,
        },
        pk="id",
        not_null={"target", "kind", "started", "plan"},
        foreign_keys=[("target", "targets", "id")],
    )
    db.table("runs").create_index(["target", "id"])
    db.table("outcomes").create(
        {
            "id": int,
            "run": int,
            "key": str,
            "change": str,
            "result": str,
            "status": int,
            "detail": str,
            "at": str,
        },
        pk="id",
        not_null={"run", "key", "change", "result", "status", "detail", "at"},
        foreign_keys=[("run", "runs", "id")],
    )
    db.table("outcomes").create_index(["run"])
    db.table("outcomes").create_index(["key"])
