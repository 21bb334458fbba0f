"""The shape of the state file, from version 1 on. A released migration is never edited: a new one follows it."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Final

import orjson
from sqlite_utils import Database, Migrations

from syncd.store.rows import BATCH, folded

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
            "discovery": str,  # JSON: the endpoint's announced or proven capabilities
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


@migrations(name="2")
def links_decisions_and_entries(db: Database) -> None:
    """Add lost resources, times, owners of addresses, holds, quarantine, entries, stopped targets."""
    users, groups, targets = db.table("users"), db.table("groups"), db.table("targets")
    users.add_column("since", str)
    users.add_column("lost", int, not_null_default=0)
    users.add_column("user_name", str, not_null_default="")  # in folded case
    users.add_column("email", str, not_null_default="")  # the first one, in folded case
    groups.add_column("lost", int, not_null_default=0)
    targets.add_column("source_counts", str)  # JSON: users, groups, memberships of the last believed reading
    targets.add_column("stop", str)  # JSON: why the target stopped, and since when
    _fold_addresses(db)
    # Nobody wrote down since when: from now on, so that nobody is deleted too early.
    db.conn.execute(
        "UPDATE users SET since = ? WHERE state = 'deactivated'", [datetime.now(UTC).replace(microsecond=0).isoformat()]
    )
    users.create_index(["target", "user_name"])
    users.create_index(["target", "email"])
    users.create_index(["target", "state", "since"])
    db.table("holds").create(
        {
            "target": int,
            "id": str,  # the change's
            "change": str,
            "limit_name": str,
            "reason": str,
            "since": str,
            "decision": str,  # approved, rejected; NULL while nobody has decided
            "by": str,
            "decided": str,
            "expires": str,
        },
        pk=("target", "id"),
        not_null={"change", "limit_name", "reason", "since", "by"},
        defaults={"by": ""},
        foreign_keys=[("target", "targets", "id")],
    )
    db.table("quarantine").create(
        {
            "target": int,
            "id": str,  # the change's
            "change": str,
            "failures": int,
            "since": str,
            "next_try": str,
            "status": int,
            "detail": str,
        },
        pk=("target", "id"),
        not_null={"change", "failures", "since", "next_try", "status", "detail"},
        foreign_keys=[("target", "targets", "id")],
    )
    db.table("entries").create(
        {"target": int, "key": str, "attributes": str, "place": str, "at": str},
        pk=("target", "key"),
        not_null={"attributes", "place", "at"},
        foreign_keys=[("target", "targets", "id")],
    )


@migrations(name="3")
def intents_and_readings_back(db: Database) -> None:
    """Add intents, the cost of requests, and the values that endpoints keep in another form."""
    db.table("outcomes").add_column("open", int, not_null_default=0)  # 1: sent perhaps, and nobody knows the outcome
    db.conn.execute("CREATE INDEX outcomes_open ON outcomes (run) WHERE open = 1")
    db.table("runs").add_column("retries", int, not_null_default=0)
    db.table("runs").add_column("waited", float, not_null_default=0)
    db.table("users").add_column("kept_as", str)  # JSON: by path, the value shown in place of the sent one
    db.table("groups").add_column("kept_as", str)


@migrations(name="4")
def incidents_notices_and_pauses(db: Database) -> None:
    """Add incidents, the outbox of notices, and targets that a person paused."""
    targets = db.table("targets")
    targets.add_column("paused_by", str)  # the person who paused the target; NULL without a pause
    targets.add_column("paused_since", str)
    db.table("incidents").create(
        {
            "target": str,  # its name; "" for what concerns them all (NULL would not be unique)
            "kind": str,  # source, stopped, fault, token, held, pending
            "subject": str,  # the subject, where a target can have several: a hold's id, a user's key
            "since": str,
            "ended": str,  # the end; NULL while it lasts. Kept for a while, to recognize a relapse
            "detail": str,  # JSON: the facts that people were told
        },
        pk=("target", "kind", "subject"),
        not_null={"since", "detail"},
        defaults={"detail": "{}"},
    )
    db.table("outbox").create(
        {"id": int, "notice": str, "created": str},  # JSON: the notice
        pk="id",
        not_null={"notice", "created"},
    )
    db.table("deliveries").create(
        {
            "notice": int,
            "channel": str,  # webhook, email
            "attempts": int,
            "next_try": str,
            "done": str,  # when it was delivered or given up; NULL while it waits
        },
        pk=("notice", "channel"),
        not_null={"attempts"},
        defaults={"attempts": 0},
        foreign_keys=[("notice", "outbox", "id")],
    )


@migrations(name="5")
def messages_of_the_last_hour(db: Database) -> None:
    """Add the times of sent messages, so that the hourly limit holds across a restart."""
    db.table("messages").create({"channel": str, "sent": str}, not_null={"channel", "sent"})


@migrations(name="6")
def reads_of_runs(db: Database) -> None:
    """Add how many requests of a run only read; NULL for older runs, which counted the push alone."""
    db.table("runs").add_column("reads", int)


@migrations(name="7")
def corrections_and_changes_without_effect(db: Database) -> None:
    """Add what full resyncs put back, and whether a quarantined change had no effect; forget the former dialect."""
    db.table("quarantine").add_column("result", str, not_null_default="failed")
    db.table("put_back").create(
        {
            "target": int,
            "kind": str,
            "key": str,
            "class": str,  # the drift's
            "drift": str,  # JSON: as much of it as was put back
            "change": str,  # JSON: the change that put it back
            "run": int,
            "at": str,
            "since": str,  # when a full resync first found that it had come back; NULL while it lasts
            "detail": str,  # why the change is without effect; "" while it lasts
        },
        pk=("target", "kind", "key", "class"),
        not_null={"drift", "change", "run", "at", "detail"},
        foreign_keys=[("target", "targets", "id")],
    )
    known = db.conn.execute("SELECT id, discovery FROM targets WHERE discovery IS NOT NULL").fetchall()
    for target, discovery in known:
        kept = {name: fact for name, fact in orjson.loads(discovery).items() if name not in ("by_put", "echoes")}
        db.conn.execute("UPDATE targets SET discovery = ? WHERE id = ?", [orjson.dumps(kept).decode(), target])


@migrations(name="8")
def readings(db: Database) -> None:
    """Add what is known of a target from the last time that it was read whole."""
    # NULL: nothing is known of it. "": accounts were found that are not linked yet. Else the rules it was read by.
    db.table("targets").add_column("read_by", str)


@migrations(name="9")
def places(db: Database) -> None:
    """Add the place that a target's links belong to, and what was lost since the place was last proven."""
    db.table("targets").add_column("place", str)  # JSON: address, profile, marks of token and self-description
    for table in ("users", "groups"):
        # 1: the target lost the resource; also after it was made anew, until a full resync proves the place again.
        db.table(table).add_column("remade", int, not_null_default=0)


@migrations(name="10")
def removals_of_sso(db: Database) -> None:
    """Add what the removal of SSO at a target left of its users."""
    users = db.table("users")
    users.add_column("unmanaged", int, not_null_default=0)  # 1: everything is to be sent once more
    users.add_column("uninvited", int, not_null_default=0)  # 1: an administrator there has to invite them anew


@migrations(name="11")
def what_comes_before_deletions(db: Database) -> None:
    """Add the calls of `before_delete`."""
    db.table("preparations").create(
        {
            "target": int,
            "key": str,
            "account": str,  # its id at the target
            "off_since": str,  # since when it is switched off: another deletion of the same account has another one
            "id": str,  # the idempotency key
            "attempts": int,
            "failures": int,  # runs in which all attempts failed
            "since": str,  # the first failure
            "next_try": str,
            "done": str,  # the success; NULL without one
            "detail": str,
        },
        pk=("target", "key"),
        not_null={"account", "id", "attempts", "failures", "detail"},
        defaults={"failures": 0, "detail": ""},
        foreign_keys=[("target", "targets", "id")],
    )


def _fold_addresses(db: Database) -> None:
    last = 0
    while rows := db.conn.execute(
        "SELECT ref, name, attributes FROM users WHERE ref > ? ORDER BY ref LIMIT ?", [last, BATCH]
    ).fetchall():
        db.conn.executemany(
            "UPDATE users SET user_name = ?, email = ? WHERE ref = ?",
            [(*folded(name, orjson.loads(attributes)), ref) for ref, name, attributes in rows],
        )
        last = rows[-1][0]
