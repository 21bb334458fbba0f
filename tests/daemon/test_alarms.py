"""What is due after the clock has jumped."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from syncd.core.plan import Plan
from syncd.daemon.service import Daemon
from syncd.settings.build import read
from syncd.store import StateFile
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator


@pytest.mark.parametrize("schedule", ["15m", "*/15 * * * *"])
def test_what_was_missed_is_due_once_and_the_rest_from_now_on(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch, schedule: str
) -> None:
    monkeypatch.setenv("SYNCD__SCHEDULE__SYNC", schedule)
    monkeypatch.setenv("SYNCD__SCHEDULE__RESYNC", "100d")
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)

    async def jump(by: timedelta) -> tuple[list[tuple[tuple[str, ...], frozenset[str]]], list[timedelta]]:
        daemon = Daemon(read(admin.folder / "syncd.toml"))
        daemon._stopping.set()  # nothing is to begin here
        daemon._alarms.set(daemon._setup.settings)
        daemon._alarms.scheduler.start(paused=True)
        for alarm in daemon._alarms.scheduler.get_jobs():
            # Had the clock jumped ahead, they would lie behind us by so much; had it been set back, before us.
            alarm.modify(next_run_time=alarm.next_run_time - by)
            if isinstance(alarm.trigger, IntervalTrigger):
                alarm.trigger.start_date -= by
        daemon._set_right()
        turns = [(turn.targets, turn.full) for turn in daemon._queue.next()]
        now = datetime.now(UTC)
        hourly = daemon._alarms.scheduler.get_job("hourly").next_run_time - now
        assert timedelta() < hourly <= timedelta(hours=1)
        coming = [alarm.next_run_time - now for alarm in daemon._alarms.all() if alarm.name == "sync"]
        daemon._alarms.scheduler.shutdown(wait=False)
        return turns, coming

    for by, due in ((timedelta(days=365), 1), (timedelta(hours=8), 1), (-timedelta(days=1), 0)):
        turns, coming = asyncio.run(jump(by))
        assert len(turns) == due, by
        assert all(targets == ("sandbox",) for targets, _ in turns)
        assert all(timedelta() < each <= timedelta(minutes=15) for each in coming), by


def test_when_the_next_run_is_due_is_said_in_utc_and_with_its_day(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD__SCHEDULE__TIMEZONE", "America/New_York")
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)

    async def said(schedule: str) -> str:
        monkeypatch.setenv("SYNCD__SCHEDULE__SYNC", schedule)
        daemon = Daemon(read(admin.folder / "syncd.toml"))
        daemon._alarms.set(daemon._setup.settings)
        daemon._alarms.scheduler.start(paused=True)
        sentence = daemon._sentence()
        daemon._alarms.scheduler.shutdown(wait=False)
        return sentence

    # New York is five hours behind in winter.
    assert re.fullmatch(r"next run \d{4}-01-15 17:30:00 UTC", asyncio.run(said("30 12 15 1 *")))
    assert re.fullmatch(r"next run (\d{4}-\d\d-\d\d )?\d\d:\d\d:00 UTC", asyncio.run(said("* * * * *")))


def test_a_full_resync_that_is_due_each_so_often_is_so_across_restarts(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)
    now = datetime.now(UTC)

    async def overdue(schedule: str) -> list[str]:
        monkeypatch.setenv("SYNCD__SCHEDULE__RESYNC", schedule)
        return Daemon(read(admin.folder / "syncd.toml"))._recall()

    def resynced(days: int, error: str = "") -> None:
        with StateFile(read(admin.folder / "syncd.toml").state) as state, state.atomic():
            journal, at = state.journal("sandbox"), now - timedelta(days=days)
            journal.end(journal.begin(Plan("sandbox", "resync", at, 0, ()), at), at, 1, 0.1, error)

    assert asyncio.run(overdue("7d")) == ["sandbox"], "there never was one"
    resynced(8)
    assert asyncio.run(overdue("9d")) == []
    assert asyncio.run(overdue("7d")) == ["sandbox"]
    assert asyncio.run(overdue("0 0 * * *")) == asyncio.run(overdue("never")) == [], "cron's hours have passed"
    resynced(6, "the target did not answer")
    assert asyncio.run(overdue("7d")) == ["sandbox"]
    resynced(5)
    assert asyncio.run(overdue("7d")) == []
