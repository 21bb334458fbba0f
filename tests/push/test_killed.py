"""Killed in the middle of a push: the state file holds the acknowledged changes, and the next run completes the rest.

The real command in a process of its own, killed with SIGKILL while the endpoint holds its requests back.
"""

from __future__ import annotations

import os
import re
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.core.plan import Result
from syncd.cycle.progress import Progress
from syncd.cycle.sync import make_plans
from syncd.settings.build import read
from syncd.store import StateFile
from tests.endpoints import TOKEN, Endpoint, Gate

KEYS = [f"{number:02}" for number in range(1, 13)]
CONCURRENCY = 3


def configured(folder: Path, url: str) -> Path:
    """Write a configuration and its CSV files."""
    rows = [f"{key},u{key}@example.com,active,{'01' if key != '01' else ''}" for key in KEYS]
    (folder / "people.csv").write_text("\n".join(["id,mail,status,boss", *rows, ""]))
    (folder / "groups.csv").write_text("id,name\na,Engineering\nb,Design\n")
    members = [f"{'a' if int(key) % 2 else 'b'},{key}" for key in KEYS]
    (folder / "members.csv").write_text("\n".join(["group,member", *members, ""]))
    file = folder / "syncd.toml"
    file.write_text(
        f"""
        state = "syncd.db"
        [source]
        type = "csv"
        users = "people.csv"
        key = "id"
        active = 'status == "active"'
        groups = "groups.csv"
        members = "members.csv"
        [mapping.user]
        userName = "{{mail}}"
        "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:manager" = "{{boss}}"
        [[target]]
        name = "target"
        base_url = "{url}"
        rate = 10000
        token = {{ env = "TARGET_TOKEN" }}
        concurrency = {CONCURRENCY}
        """
    )
    return file


def started(config: Path) -> subprocess.Popen[str]:
    return subprocess.Popen(
        [sys.executable, "-m", "syncd", "sync", "-c", str(config)],
        env={**os.environ, "TARGET_TOKEN": TOKEN},
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )


def synced(config: Path) -> None:
    """Run to the end; everything has to be applied."""
    with started(config) as process:
        output, _ = process.communicate(timeout=60)
    assert process.returncode == 0, output


def complete(endpoint: Endpoint) -> None:
    """Fail unless everybody is there once, with manager and group."""
    names = [f"u{key}@example.com" for key in KEYS]
    assert sorted(user["userName"] for user in endpoint.users.values()) == sorted(names)
    assert sorted(group["displayName"] for group in endpoint.groups.values()) == ["Design", "Engineering"]
    assert endpoint.members("Engineering") == set(names[0::2])
    assert endpoint.members("Design") == set(names[1::2])
    boss = endpoint.by_name()["u01@example.com"]["id"]
    enterprise = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
    assert {(user.get(enterprise) or {}).get("manager", {}).get("value") for user in endpoint.users.values()} == {
        None,
        boss,
    }


@pytest.mark.parametrize(
    ("when", "matching", "after"),
    [
        ("before it took effect", r"POST .*u(05|06|07|08|09|1\d)@", 4),
        ("after it took effect", r"POST .*u(05|06|07|08|09|1\d)@", 4),
        ("after it took effect", r"PATCH .*manager", 12),
        ("after it took effect", r"POST .*displayName", 12),
        ("after it took effect", r"PATCH .*members", 12),
    ],
)
def test_a_push_that_is_killed_is_made_up_for_and_nobody_is_made_twice(
    tmp_path: Path, when: str, matching: str, after: int
) -> None:
    gate = Gate(lambda request: re.search(matching, f"{request.method} {request.content.decode()}") is not None)
    with Endpoint() as endpoint:
        config = configured(tmp_path, endpoint.url)
        if when == "before it took effect":
            endpoint.held = gate.hold
        else:
            endpoint.done = gate.hold
        # Two groups are worked on at once, people by as many workers as there are: all of them wait, and what was
        # answered before is written down.
        waiting = 2 if "displayName" in matching or "members" in matching else CONCURRENCY
        with started(config) as process:
            gate.wait_for(waiting)
            acknowledged = {user["userName"] for user in endpoint.users.values()}
            process.send_signal(signal.SIGKILL)
            assert process.wait(30) == -signal.SIGKILL
        with StateFile(tmp_path / "syncd.db") as state:
            snapshot, journal = state.snapshot("target"), state.journal("target")
            known = snapshot.users(KEYS)
            (head,) = journal.heads(5)
            run = journal.run(head.number)
            assert head.finished is None
            assert run is not None
            creating = [outcome for outcome in run.outcomes if outcome.change.action == "create_user"]
            assert set(known) == {outcome.change.key for outcome in creating if outcome.result is Result.APPLIED}
            assert len(journal.intents()) == waiting, "what was in flight is known"
            assert len(known) == after
            assert {user.name for user in known.values()} <= acknowledged
            assert {user.id for user in known.values()} <= set(endpoint.users)
            assert len(snapshot.groups()) == (2 if "members" in matching else 0)
            assert snapshot.count_members() == 0
        gate.open()
        synced(config)
        complete(endpoint)
    with StateFile(tmp_path / "syncd.db") as state:
        setup = read(config)
        (planned,) = make_plans(setup, state, setup.targets, Progress())
        assert not planned.plan.changes, "the run after that is quiet"
