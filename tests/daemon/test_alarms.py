"""Alarms that are due after the clock has jumped."""

from __future__ import annotations

import asyncio
import re
from datetime import UTC, datetime, timedelta

import pytest
from apscheduler.triggers.interval import IntervalTrigger

from syncd.core.plan import Plan
from syncd.daemon.metrics import Metrics
from syncd.daemon.schedule import resync_schedule
from syncd.daemon.service import Daemon
from syncd.daemon.startup import recall
from syncd.settings import Settings
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
        daemon.turns.stopping.set()  # nothing is to begin here
        daemon.alarms.set(daemon.configuration.setup.settings)
        daemon.alarms.scheduler.start(paused=True)
        for alarm in daemon.alarms.scheduler.get_jobs():
            # Had the clock jumped ahead, they would lie behind us by so much; had it been set back, before us.
            alarm.modify(next_run_time=alarm.next_run_time - by)
            if isinstance(alarm.trigger, IntervalTrigger):
                alarm.trigger.start_date -= by
        daemon.set_right()
        turns = [(turn.targets, turn.full) for turn in daemon.turns.queue.next()]
        now = datetime.now(UTC)
        hourly = daemon.alarms.scheduler.get_job("hourly").next_run_time - now
        assert timedelta() < hourly <= timedelta(hours=1)
        coming = [alarm.next_run_time - now for alarm in daemon.alarms.all() if alarm.name == "sync"]
        daemon.alarms.scheduler.shutdown(wait=False)
        return turns, coming

    for by, due in ((timedelta(days=365), 1), (timedelta(hours=8), 1), (-timedelta(days=1), 0)):
        turns, coming = asyncio.run(jump(by))
        assert len(turns) == due, by
        assert all(targets == ("sandbox",) for targets, _ in turns)
        assert all(timedelta() < each <= timedelta(minutes=15) for each in coming), by


def test_when_the_next_run_is_due_is_said_in_the_configured_zone_and_with_its_day(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD__SCHEDULE__TIMEZONE", "America/New_York")
    monkeypatch.setenv("SYNCD__SCHEDULE__RESYNC", "never")
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)

    async def said(schedule: str) -> str:
        monkeypatch.setenv("SYNCD__SCHEDULE__SYNC", schedule)
        daemon = Daemon(read(admin.folder / "syncd.toml"))
        daemon.alarms.set(daemon.configuration.setup.settings)
        daemon.alarms.scheduler.start(paused=True)
        sentence = daemon.status_line()
        daemon.alarms.scheduler.shutdown(wait=False)
        return sentence

    assert re.fullmatch(r"next run \d{4}-01-15 12:30:00 EST", asyncio.run(said("30 12 15 1 *")))
    assert re.fullmatch(r"next run (\d{4}-\d\d-\d\d )?\d\d:\d\d:00 E[SD]T", asyncio.run(said("* * * * *")))
    monkeypatch.delenv("SYNCD__SCHEDULE__TIMEZONE")
    assert re.fullmatch(r"next run \d{4}-01-15 12:30:00 UTC", asyncio.run(said("30 12 15 1 *")))


def test_a_full_resync_that_is_due_each_so_often_is_so_across_restarts(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)
    now = datetime.now(UTC)

    def overdue(schedule: str) -> list[str]:
        monkeypatch.setenv("SYNCD__SCHEDULE__RESYNC", schedule)
        return recall(read(admin.folder / "syncd.toml"), Metrics(list), now)

    def resynced(days: int, error: str = "") -> None:
        with StateFile(read(admin.folder / "syncd.toml").state) as state, state.atomic():
            journal, at = state.journal("sandbox"), now - timedelta(days=days)
            journal.end(journal.begin(Plan("sandbox", "resync", at, 0, ()), at), at, 1, 0.1, error)

    assert overdue("7d") == ["sandbox"], "there never was one"
    resynced(8)
    assert overdue("9d") == []
    assert overdue("7d") == ["sandbox"]
    assert overdue("0 0 * * *") == overdue("never") == [], "cron's hours have passed"
    resynced(6, "the target did not answer")
    assert overdue("7d") == ["sandbox"]
    resynced(5)
    assert overdue("7d") == []


# -- the daily resync, where nothing is configured -----------------------------------------------------


def loaded(admin: Administrator) -> Settings:
    return read(admin.folder / "syncd.toml").settings


def due(settings: Settings, name: str = "") -> str | None:
    """Return when the target is read whole; `name`: as if it were called so."""
    (target,) = settings.target
    return resync_schedule(settings, target.model_copy(update={"name": name or target.name}))


def test_a_full_resync_is_due_each_night_at_a_minute_of_its_own(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)
    settings = loaded(admin)
    minutes = [due(settings, f"target-{number}") for number in range(200)]
    assert minutes == [due(loaded(admin), f"target-{number}") for number in range(200)], "also after a restart"
    assert all(re.fullmatch(r"[1-5]?\d [0-5] \* \* \*", minute or "") for minute in minutes), minutes
    assert len({(minute or "").split()[1] for minute in minutes}) == 6, "all of the night"
    assert len(set(minutes)) > 120, "targets are not read at one moment"
    monkeypatch.setattr("syncd.daemon.schedule.gethostname", lambda: "another")
    assert minutes != [due(settings, f"target-{number}") for number in range(200)], "nor are installations"


def test_a_schedule_replaces_the_daily_resync_and_never_switches_it_off(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)
    general, own = "SYNCD__SCHEDULE__RESYNC", "SYNCD__TARGET__SANDBOX__SCHEDULE__RESYNC"
    monkeypatch.setenv(own, "never")
    assert due(loaded(admin)) is None
    monkeypatch.setenv(general, "17 2 * * *")
    assert due(loaded(admin)) is None
    monkeypatch.delenv(own)
    assert due(loaded(admin)) == "17 2 * * *"
    monkeypatch.setenv(general, "never")
    assert due(loaded(admin)) is None
    monkeypatch.setenv(own, "7d")
    assert due(loaded(admin)) == "7d"


def test_status_has_the_moment_of_the_daily_resync(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)
    monkeypatch.setenv("SYNCD__SCHEDULE__TIMEZONE", "Asia/Kolkata")

    async def coming() -> object:
        daemon = Daemon(read(admin.folder / "syncd.toml"))
        daemon.alarms.set(daemon.configuration.setup.settings)
        daemon.alarms.scheduler.start(paused=True)
        found = daemon.alarms.next_of("sandbox")["resync"]
        daemon.alarms.scheduler.shutdown(wait=False)
        return found

    before = datetime.now(UTC)
    moment = datetime.fromisoformat(str(asyncio.run(coming())))
    assert before < moment <= before + timedelta(days=1, minutes=1)
    minute, hour, *_ = (due(loaded(admin)) or "").split()
    india = moment.astimezone(loaded(admin).schedule.zone)
    assert (india.hour, india.minute) == (int(hour), int(minute))


def test_a_daily_resync_that_was_missed_is_made_up_for_at_the_start(
    admin: Administrator, sandbox: Sandbox, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv("SYNCD_TOKEN", sandbox.token)
    minute, hour, *_ = (due(loaded(admin)) or "").split()
    night = datetime(2026, 11, 10, int(hour), int(minute), tzinfo=UTC)

    def overdue(at: datetime) -> list[str]:
        return recall(read(admin.folder / "syncd.toml"), Metrics(list), at)

    def resynced(at: datetime, error: str = "") -> None:
        with StateFile(read(admin.folder / "syncd.toml").state) as state, state.atomic():
            journal = state.journal("sandbox")
            journal.end(journal.begin(Plan("sandbox", "resync", at, 0, ()), at), at, 1, 0.1, error)

    day = timedelta(days=1)
    assert overdue(night) == ["sandbox"], "there never was one"
    resynced(night + timedelta(minutes=5))
    assert overdue(night + timedelta(hours=12)) == []
    assert overdue(night + day - timedelta(minutes=1)) == []
    assert overdue(night + day) == ["sandbox"]
    assert overdue(night + 30 * day) == ["sandbox"]
    resynced(night + day, "the target did not answer")
    assert overdue(night + day + timedelta(hours=1)) == ["sandbox"]
    resynced(night + day + timedelta(hours=9))
    assert overdue(night + day + timedelta(hours=10)) == [], "by hand, or at a start: that is enough for this night"
    assert overdue(night + 2 * day) == ["sandbox"]
    monkeypatch.setenv("SYNCD__SCHEDULE__RESYNC", "never")
    assert overdue(night + 30 * day) == []
