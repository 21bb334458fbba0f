"""Killed before, or after, what comes first has succeeded: the real command, with SIGKILL while a server holds back."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd.store import StateFile
from tests.endpoints import TOKEN, Gate
from tests.push.deleting import Company, HookServer, company


@pytest.fixture
def hook() -> Iterator[HookServer]:
    with HookServer() as server:
        yield server


@pytest.fixture
def ours(tmp_path: Path, monkeypatch: pytest.MonkeyPatch, hook: HookServer) -> Iterator[Company]:
    with company(tmp_path, monkeypatch, hook.address) as made:
        # The time of the command that is killed is the real one.
        monkeypatch.undo()
        monkeypatch.setenv("TARGET_TOKEN", TOKEN)
        monkeypatch.setenv("HOOK", hook.address)
        yield made


def killed(ours: Company, gate: Gate) -> None:
    """Run `syncd sync` in a process of its own, and kill it when a request is held back."""
    ours.setup()
    process = subprocess.Popen(
        [sys.executable, "-m", "syncd", "sync", "-c", str(ours.file)],
        env=os.environ,
        stdout=subprocess.DEVNULL,
        stderr=subprocess.DEVNULL,
    )
    try:
        gate.wait_for(1)
    finally:
        process.send_signal(signal.SIGKILL)
        assert process.wait(30) == -signal.SIGKILL
    gate.open()


def due(ours: Company) -> None:
    """Let Ada be switched off for long enough."""
    ours.leave()
    with StateFile(ours.folder / "syncd.db") as state, state.atomic():
        state.db.conn.execute("UPDATE users SET since = '2026-01-01T00:00:00+00:00' WHERE state = 'deactivated'")


def test_killed_during_the_call_it_is_made_again_with_the_same_key(
    ours: Company, hook: HookServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    due(ours)
    gate = Gate()
    answer = hook.answer
    monkeypatch.setattr(hook, "answer", lambda request: (gate.hold(request), answer(request))[1])
    killed(ours, gate)
    assert ours.deleted == []
    assert [each.result.value for each in ours.sync().outcomes] == ["applied"]
    assert [facts["attempt"] for facts in hook.facts] == [1, 2]
    assert len(set(hook.keys)) == 1
    assert ours.deleted == ["u1"]


@pytest.mark.parametrize("when", ["before it took effect", "after it took effect"])
def test_killed_after_the_success_it_is_not_called_again(ours: Company, hook: HookServer, when: str) -> None:
    due(ours)
    gate = Gate(lambda request: request.method == "DELETE")
    if when == "before it took effect":
        ours.scim.held = gate.hold
    else:
        ours.scim.done = gate.hold
    killed(ours, gate)
    with StateFile(ours.folder / "syncd.db") as state:
        (row,) = state.preparations("target").all()
        assert row.done is not None
    ours.sync()
    assert "u1" not in ours.scim.users
    assert len(hook.requests) == 1
    assert ours.plan().changes == ()
