"""Entries kept for explanations: those read by a run that was carried out, and none of a dry run."""

from __future__ import annotations

from datetime import timedelta
from pathlib import Path

from syncd.core.model import Entry
from syncd.store import StateFile
from tests.world import NOON, person

LATER = NOON + timedelta(hours=1)


def test_what_was_staged_and_kept_comes_back(tmp_path: Path) -> None:
    with StateFile(tmp_path / "syncd.db") as state, state.atomic():
        snapshot = state.snapshot("t")
        snapshot.begin_staging()
        snapshot.stage_entries([person("1", mail="ada@example.com"), person("2")])
        assert snapshot.entry("1") is None
        snapshot.keep_staged(NOON)
        assert snapshot.entry("1") == (person("1", mail="ada@example.com"), NOON)
        assert snapshot.entry("3") is None


def test_the_last_reading_stands_and_others_stay(tmp_path: Path) -> None:
    with StateFile(tmp_path / "syncd.db") as state, state.atomic():
        snapshot = state.snapshot("t")
        snapshot.stage_entries([person("1", mail="old"), person("2")])
        snapshot.keep_staged(NOON)
        snapshot.stage_entries([person("1", mail="new"), Entry("1", {"mail": ["newest"]}, "people.csv:9")])
        snapshot.keep_staged(LATER)
        assert snapshot.entry("1") == (Entry("1", {"mail": ["newest"]}, "people.csv:9"), LATER)
        assert snapshot.entry("2") == (person("2"), NOON)


def test_a_look_leaves_no_trace(tmp_path: Path) -> None:
    path = tmp_path / "syncd.db"
    with StateFile(path) as state:
        snapshot = state.snapshot("t")
        before = path.read_bytes(), path.with_name("syncd.db-wal").read_bytes()
        snapshot.begin_staging()
        snapshot.stage_entries(person(str(number)) for number in range(2_500))
        assert (path.read_bytes(), path.with_name("syncd.db-wal").read_bytes()) == before
        # The next reading starts from nothing.
        snapshot.begin_staging()
        snapshot.stage_entries([person("new")])
        snapshot.keep_staged(NOON)
        assert snapshot.entry("1") is None
        assert snapshot.entry("new") == (person("new"), NOON)
        assert state.db.conn.execute("SELECT count(*) FROM entries").fetchone() == (1,)


def test_targets_stage_and_keep_for_themselves(tmp_path: Path) -> None:
    with StateFile(tmp_path / "syncd.db") as state, state.atomic():
        a, b = state.snapshot("a"), state.snapshot("b")
        for snapshot in (a, b):
            snapshot.begin_staging()
            snapshot.stage_entries([person("1", of=snapshot.name)])
        b.begin_staging()
        a.keep_staged(NOON)
        b.keep_staged(NOON)
        assert a.entry("1") == (person("1", of="a"), NOON)
        assert b.entry("1") is None
