"""The clock, the word to systemd, the shutdown, and how far a cycle is."""

from __future__ import annotations

import os
import socket
from pathlib import Path

import pytest

from syncd.core.plan import Action, Change, Outcome, Result
from syncd.daemon.clock import Clock
from syncd.daemon.progress import CycleProgress, Halted, Told
from syncd.daemon.systemd import Systemd
from syncd.push.shutdown import Shutdown


class Hands:
    """Two clocks that a test sets."""

    def __init__(self) -> None:
        self.of_day, self.steady = 1_000_000.0, 50.0

    def pass_(self, seconds: float, *, asleep: bool = False) -> None:
        self.of_day += seconds
        self.steady += 0 if asleep else seconds


def test_time_that_passes_is_no_jump() -> None:
    hands = Hands()
    clock = Clock(lambda: hands.of_day, lambda: hands.steady)
    for _ in range(100):
        hands.pass_(3600)
        hands.of_day += 0.01  # slewed by NTP
        assert clock.jumped() == 0.0


@pytest.mark.parametrize("seconds", [-86_400.0, -30.0, 30.0, 8 * 3600.0])
def test_a_clock_that_is_set_has_jumped_once(seconds: float) -> None:
    hands = Hands()
    clock = Clock(lambda: hands.of_day, lambda: hands.steady)
    hands.of_day += seconds
    assert clock.jumped() == seconds
    assert clock.jumped() == 0.0


def test_a_machine_that_slept_has_jumped() -> None:
    hands = Hands()
    clock = Clock(lambda: hands.of_day, lambda: hands.steady)
    hands.pass_(8 * 3600, asleep=True)
    assert clock.jumped() == 8 * 3600


# -- systemd -------------------------------------------------------------------------------------------


@pytest.fixture
def told(tmp_path: Path) -> socket.socket:
    channel = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
    channel.bind(str(tmp_path / "notify"))
    channel.setblocking(False)
    return channel


def heard(channel: socket.socket) -> list[str]:
    found = []
    while True:
        try:
            found.append(channel.recv(4096).decode())
        except BlockingIOError:
            return found


def test_what_systemd_is_told(told: socket.socket, tmp_path: Path) -> None:
    with told:
        systemd = Systemd({"NOTIFY_SOCKET": str(tmp_path / "notify"), "WATCHDOG_USEC": "30000000"})
        systemd.ready()
        systemd.status("pushing to lucid: 1 of 2")
        systemd.status("pushing to lucid: 1 of 2")
        systemd.status("forged\nREADY=1")
        systemd.status("long " * 1000)
        systemd.alive()
        systemd.reloading()
        systemd.stopping(40.5)
        *said, reloading, stopping = heard(told)
    cut = said.pop(3)
    assert said == ["READY=1", "STATUS=pushing to lucid: 1 of 2", "STATUS=forged READY=1", "WATCHDOG=1"]
    assert (len(cut), cut[-2:]) == (1007, "g…")
    assert reloading.startswith("RELOADING=1\nMONOTONIC_USEC=")
    assert stopping == "STOPPING=1\nEXTEND_TIMEOUT_USEC=40500000"


def test_the_watchdog_is_fed_where_it_is_ours() -> None:
    assert Systemd({"WATCHDOG_USEC": "30000000"}).watchdog == 30.0
    assert Systemd({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": str(os.getpid())}).watchdog == 30.0
    assert Systemd({"WATCHDOG_USEC": "30000000", "WATCHDOG_PID": "1"}).watchdog is None
    assert Systemd({}).watchdog is None


def test_nobody_listens_and_nothing_is_wrong(tmp_path: Path) -> None:
    Systemd({}).ready()
    Systemd({"NOTIFY_SOCKET": str(tmp_path / "nobody")}).ready()


# -- how far a cycle is --------------------------------------------------------------------------------

DONE = Outcome(Change(Action.DELETE_USER, "1", "a@example.com", {}, {}, "gone"), Result.APPLIED)


def test_a_follower_hears_of_everything_once() -> None:
    progress, told = CycleProgress(("t",), Shutdown()), Told()
    assert progress.news(told) == [{"event": "waiting", "for": "waiting for its turn"}]
    progress.pulled(1000)
    progress.pulled(2000)
    assert progress.news(told) == [{"event": "pulling", "people": 2000}]
    assert progress.news(told) == []
    progress.pushing("t", 2)
    progress.outcome("t", DONE)
    assert progress.news(told) == [
        {"event": "pushing", "target": "t", "changes": 2},
        {"event": "pushed", "target": "t", "changes": 1},
    ]
    assert progress.news(told) == []
    late = Told()
    assert [event["event"] for event in progress.news(late)] == ["pushing", "pushed"], (
        "who comes late hears where it is"
    )


def test_what_only_reads_ends_when_nothing_is_to_follow() -> None:
    shutdown = Shutdown()
    progress = CycleProgress(("a", "b"), shutdown)
    shutdown.request("a")
    progress.pulled(1)
    shutdown.request("b")
    with pytest.raises(Halted):
        progress.pulled(2)
