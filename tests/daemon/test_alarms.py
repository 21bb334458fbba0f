"""What is due after the clock has jumped."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta

import pytest

from syncd.daemon.service import Daemon
from syncd.setup import read
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
        daemon._set_alarms()
        daemon._scheduler.start(paused=True)
        now = datetime.now(UTC)
        for alarm in daemon._alarms():
            # Had the clock jumped ahead, they would lie behind us by so much; had it been set back, before us.
            alarm.modify(next_run_time=alarm.next_run_time - by)
        daemon._set_right()
        turns = [(turn.targets, turn.full) for turn in daemon._rota.next()]
        coming = [alarm.next_run_time - now for alarm in daemon._alarms() if alarm.name == "sync"]
        daemon._scheduler.shutdown(wait=False)
        return turns, coming

    for by, due in ((timedelta(days=365), 1), (timedelta(hours=8), 1), (-timedelta(days=1), 0)):
        turns, coming = asyncio.run(jump(by))
        assert len(turns) == due, by
        assert all(targets == ("sandbox",) for targets, _ in turns)
        assert all(timedelta() < each <= timedelta(minutes=15) for each in coming), by
