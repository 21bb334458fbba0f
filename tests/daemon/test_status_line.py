"""The line of `systemctl status`."""

from __future__ import annotations

import asyncio
from datetime import UTC, datetime, timedelta
from typing import Any
from zoneinfo import ZoneInfo

from syncd.daemon.cycles import Cycle
from syncd.daemon.queue import Turn
from syncd.daemon.status_line import status_line

NOW = datetime(2026, 11, 22, 12, tzinfo=UTC)


def line(*turns: Turn, **facts: Any) -> str:
    defaults = {"paused": (), "next_run": NOW + timedelta(minutes=15), "refused": "", "now": NOW, "zone": UTC}

    async def said() -> str:
        cycles = [Cycle.of(turn, None, NOW) for turn in turns]
        for cycle in cycles:
            cycle.progress.pulled(1000)
            if "pushed" in cycle.turn.targets:
                cycle.progress.pushing("pushed", 50)
        return status_line(cycles, **{**defaults, **facts})

    return asyncio.run(said())


def test_when_nothing_goes_on_it_says_when_the_next_run_is_due_in_the_zone() -> None:
    assert line() == "next run 12:15:00 UTC"
    assert line(zone=ZoneInfo("Europe/Berlin")) == "next run 13:15:00 CET"
    assert line(next_run=NOW + timedelta(days=1)) == "next run 2026-11-23 12:00:00 UTC"
    assert line(next_run=None) == "no run is scheduled"
    assert line(paused={"lucid", "aws"}) == "paused: aws, lucid; next run 12:15:00 UTC"


def test_it_says_what_goes_on_for_each_target() -> None:
    assert line(Turn(("lucid",)), Turn(("aws",), frozenset({"aws"})), paused={"okta"}) == (
        "sync of lucid: pulling, 1000 people so far; resync of aws: pulling, 1000 people so far"
    )
    assert line(Turn(("pushed",))) == "pushing to pushed: 0 of 50, 0.0/s"


def test_a_refused_configuration_comes_first_and_in_one_line() -> None:
    refused = "syncd.toml: 1 fault\n  nonsense: unknown key"
    assert line(refused=refused) == (
        "the new configuration was refused, the old one is in force: syncd.toml: 1 fault nonsense: unknown key;"
        " next run 12:15:00 UTC"
    )
    assert line(Turn(("lucid",)), refused=refused).endswith("; sync of lucid: pulling, 1000 people so far")
