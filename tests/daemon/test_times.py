"""Times are shown to people in the configured zone, with or without a daemon; programs get UTC."""

from __future__ import annotations

import re

import pytest

from tests.daemon.running import Running
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator, person

INDIA = {"SYNCD__SCHEDULE__TIMEZONE": "Asia/Kolkata"}
"""It is always UTC+05:30 there."""


@pytest.fixture
def held(admin: Administrator, sandbox: Sandbox) -> Administrator:
    """An administrator in India, nine of whose thirty people would be deactivated."""
    admin.environment |= INDIA
    admin.people(person(key) for key in range(1, 31))
    assert admin.syncd("sync").code == 0
    admin.people(person(key, status="left" if key <= 9 else "active") for key in range(1, 31))
    assert admin.syncd("sync").code == 3
    return admin


def test_text_is_in_the_zone_and_json_in_utc(held: Administrator) -> None:
    for command in ("status", "runs", "holds"):
        text, json = held.syncd(command).out, held.syncd(command, "--json").out
        assert re.search(r"20\d\d-\d\d-\d\d \d\d:\d\d(:\d\d)? IST", text), text
        assert "UTC" not in text
        assert re.search(r"20\d\d-\d\d-\d\dT\d\d:\d\d:\d\dZ", json), json
        assert "IST" not in json
    assert re.search(r"good until 20\d\d-\d\d-\d\d \d\d:\d\d IST", held.syncd("approve", "all").out)
    assert re.search(r"approved by \S+ on 20\d\d-\d\d-\d\d \d\d:\d\d IST", held.syncd("holds").out)
    assert " IST" in held.syncd("pause").out
    assert re.search(r"paused since 20\d\d-\d\d-\d\d \d\d:\d\d IST", held.syncd("sync").err)
    assert " IST" in held.syncd("explain", "p1@example.com").out
    assert "paused since" in held.syncd("resume").out
    assert held.syncd("sync").code == 0
    run = held.syncd("runs", "1", "--json").json[0]["run"]
    shown, json = held.syncd("show", str(run)).out, held.syncd("show", str(run), "--json").out
    assert re.search(r"approved by \S+ on 20\d\d-\d\d-\d\d \d\d:\d\d IST", shown)
    assert re.search(r"approved by \S+ on 20\d\d-\d\d-\d\d \d\d:\d\d UTC", json)


def test_a_daemon_tells_its_zone_to_who_can_not_read_it_any_more(held: Administrator) -> None:
    with Running(held, SYNCD__SCHEDULE__SYNC="1h") as running:
        running.do("sync")
        assert re.search(r"next run (\S+ )?\d\d:\d\d:\d\d IST", running.wait_for("next run"))
        held.write("syncd.toml", "nonsense = 1\n")
        del held.environment["SYNCD__SCHEDULE__TIMEZONE"]
        assert re.search(r"the daemon runs since 20\d\d-\d\d-\d\d \d\d:\d\d IST", held.syncd("status").out)
        assert running.status()["daemon"]["timezone"] == "Asia/Kolkata"
