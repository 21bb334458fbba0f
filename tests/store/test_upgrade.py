"""A state file of an earlier version is brought to this one's form: whole or not at all, and nothing is lost."""

from __future__ import annotations

import sqlite3
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from contextlib import closing
from datetime import UTC, datetime
from pathlib import Path

import orjson
import pytest
from sqlite_utils import Database

from syncd.core.model import Kind, Known, KnownGroup, State
from syncd.core.plan import Action, Change, Result
from syncd.errors import StateError
from syncd.store import StateFile
from syncd.store import migrations as module
from syncd.store.migrations import migrations
from tests.world import NOON, WORK_MAIL, digest_of

USERS = {
    "1": ("id-1", "Ada@Example.com", "active", {"userName": "Ada@Example.com", WORK_MAIL: "ADA@work.example"}, None),
    "2": ("id-2", "bob", "pending", {"userName": "bob", "emails": [{"value": "B@x"}, {"value": "b2@x"}]}, NOON),
    "3": ("id-3", "STRASSE", "deactivated", {}, None),
}
CHANGE = Change(Action.DEACTIVATE_USER, "1", "ada", {"active": True}, {"active": False}, "gone", State.DEACTIVATED)


def version_1(path: Path, more: int = 0) -> None:
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        migrations.apply(Database(conn), stop_before="2")
        conn.execute("BEGIN")
        conn.execute("INSERT INTO targets (id, name, serial, discovery, mark) VALUES (7, 't', 42, '{\"a\":1}', x'01')")
        write_user = (
            "INSERT INTO users (target, key, id, name, state, accepted, attributes, digest, missing_since)"
            " VALUES (7, ?, ?, ?, ?, ?, ?, x'0102', ?)"
        )
        for key, (id_, name, state, attributes, missing) in USERS.items():
            moment = missing and missing.isoformat()
            conn.execute(write_user, [key, id_, name, state, key != "2", orjson.dumps(attributes).decode(), moment])
        for number in range(more):
            conn.execute(write_user, [f"k{number}", f"i{number}", f"U{number}", "active", 1, "{}", None])
        conn.execute(
            "INSERT INTO groups (target, key, id, name, attributes, members_digest)"
            " VALUES (7, 'g', 'id-g', 'Design', '{\"displayName\":\"Design\"}', ?)",
            [digest_of(["1"])],
        )
        conn.execute("INSERT INTO members VALUES (7, 'g', 'user', '1')")
        conn.execute(
            "INSERT INTO runs (id, target, kind, started, plan, requests, seconds, error)"
            " VALUES (3, 7, 'sync', ?, '{\"summary\":{\"held\":1}}', 5, 0.5, '')",
            [NOON.isoformat()],
        )
        conn.execute("COMMIT")


def test_nothing_is_lost(tmp_path: Path) -> None:
    path = tmp_path / "syncd.db"
    version_1(path)
    before = datetime.now(UTC).replace(microsecond=0)
    with StateFile(path) as state:
        snapshot = state.snapshot("t")
        zoe = snapshot.user("3")
        assert zoe is not None
        assert zoe.since is not None
        # Since when nobody wrote down: nobody is deleted earlier for that.
        assert before <= zoe.since <= datetime.now(UTC)
        assert snapshot.users(["1", "2", "3"]) == {
            key: Known(key, id_, name, State(kind), attributes, b"\x01\x02", key != "2", missing)
            for key, (id_, name, kind, attributes, missing) in USERS.items()
            if key != "3"
        } | {"3": Known("3", "id-3", "STRASSE", State.DEACTIVATED, {}, b"\x01\x02", since=zoe.since)}
        assert snapshot.groups() == {
            "g": KnownGroup("g", "id-g", "Design", {"displayName": "Design"}, digest_of(["1"]))
        }
        assert snapshot.members("g") == ({"1"}, set())
        assert (snapshot.serial, snapshot.discovery, snapshot.mark) == (42, {"a": 1}, b"\x01")
        assert (snapshot.stop, snapshot.source_counts) == (None, {})
        assert [head.number for head in state.journal("t").heads(5)] == [3]
        assert state.holds("t").all() == []
        assert state.quarantine("t").all() == []
        assert snapshot.ids(Kind.USER, ["1", "2"]) == {"1": "id-1", "2": "id-2"}


def test_addresses_are_known_from_then_on(tmp_path: Path) -> None:
    path = tmp_path / "syncd.db"
    version_1(path, more=2_100)
    with StateFile(path) as state:
        claimants = state.snapshot("t").claimants(["ada@example.com", "ada@work.example", "b@x", "strasse", "u2099"])
        assert sorted(claimants) == [
            ("ada@example.com", "1", State.ACTIVE),
            ("ada@work.example", "1", State.ACTIVE),
            ("b@x", "2", State.PENDING),
            ("strasse", "3", State.DEACTIVATED),
            ("u2099", "k2099", State.ACTIVE),
        ]


def test_an_upgraded_file_is_like_a_new_one(tmp_path: Path) -> None:
    def shape(state: StateFile) -> set[tuple[str, str]]:
        return set(state.db.conn.execute("SELECT name, sql FROM sqlite_master"))

    version_1(tmp_path / "old.db")
    with StateFile(tmp_path / "old.db") as old, StateFile(tmp_path / "new.db") as new:
        assert shape(old) == shape(new)
        with old.scratch() as scratch:
            assert scratch.snapshot("t").members("g") == ({"1"}, set())


def test_an_upgrade_that_fails_changes_nothing(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = tmp_path / "syncd.db"
    version_1(path)

    def broken(name: str, attributes: object) -> tuple[str, str]:
        raise sqlite3.OperationalError("database or disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(module, "folded", broken)
        with pytest.raises(StateError, match="disk is full"):
            StateFile(path)
    with closing(sqlite3.connect(path)) as conn:
        assert [row[1] for row in conn.execute("PRAGMA table_info(groups)")][-1] == "missing_since"
        assert conn.execute("SELECT name FROM _sqlite_migrations").fetchall() == [("1",)]
    with StateFile(path) as state:
        assert state.snapshot("t").ids(Kind.USER, ["1"]) == {"1": "id-1"}


@pytest.mark.parametrize("make", [version_1, lambda path: None])
def test_whoever_opens_it_at_the_same_time_waits(tmp_path: Path, make: Callable[[Path], None]) -> None:
    path = tmp_path / "syncd.db"
    make(path)

    def open_it(_: int) -> list[str]:
        with StateFile(path) as state:
            return [migration.name for migration in migrations.applied(state.db)]

    with ThreadPoolExecutor(8) as pool:
        assert list(pool.map(open_it, range(8))) == [[each.name for each in migrations._migrations]] * 8


def test_what_was_learned_in_the_former_form_is_forgotten_and_a_former_quarantine_is_of_refusals(
    tmp_path: Path,
) -> None:
    path = tmp_path / "syncd.db"
    with closing(sqlite3.connect(path, isolation_level=None)) as conn:
        migrations.apply(Database(conn), stop_before="7")
        known = '{"patch":true,"by_put":["users"],"echoes":true,"concurrency":3}'
        conn.execute("INSERT INTO targets (id, name, serial, discovery) VALUES (7, 't', 42, ?)", [known])
        conn.execute("INSERT INTO targets (id, name, serial) VALUES (8, 'unknown', 0)")
        change = orjson.dumps(CHANGE.to_json()).decode()
        moment = NOON.isoformat()
        conn.execute(
            "INSERT INTO quarantine (target, id, change, failures, since, next_try, status, detail)"
            " VALUES (7, ?, ?, 1, ?, ?, 400, 'bad')",
            [CHANGE.id, change, moment, moment],
        )
    with StateFile(path) as state:
        assert state.snapshot("t").discovery == {"patch": True, "concurrency": 3}
        assert state.snapshot("unknown").discovery == {}
        (kept,) = state.quarantine("t").all()
        assert (kept.change, kept.result, kept.without_effect) == (CHANGE, Result.FAILED, False)
        assert state.put_back("t").all() == []
