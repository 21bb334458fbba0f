"""Invariant 4 with a real process and a real SIGKILL, at whichever request fate chooses."""

from __future__ import annotations

import os
import signal
import subprocess
import sys
import tempfile
import threading
from pathlib import Path

from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from tests.invariants.service import Service
from tests.invariants.test_ends import as_the_source_says
from tests.invariants.world import Person, World

PATIENCE_SECONDS = 60


def killed_at(world: World, number: int, *, answered: bool) -> None:
    """Run `syncd sync` in a process of its own, and kill it while it waits for its n-th answer, or let it end."""
    command = [sys.executable, "-m", "syncd", "sync", "-c", str(world.folder / "syncd.toml")]
    with world.service.holding(number, answered=answered) as came:
        process = subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, env=os.environ)

        def ends() -> None:
            process.wait(PATIENCE_SECONDS)
            came.set()

        watching = threading.Thread(target=ends, daemon=True)
        watching.start()
        assert came.wait(PATIENCE_SECONDS)
        process.send_signal(signal.SIGKILL)
        watching.join(PATIENCE_SECONDS)
    world.service.drain()


@given(moments=st.lists(st.tuples(st.integers(1, 12), st.booleans()), min_size=1, max_size=2))
@settings(
    max_examples=int(os.environ.get("SYNCD_EXAMPLES", "0")) // 10 or 4,
    deadline=None,
    derandomize=True,
    database=None,
    phases=(Phase.generate,),
    suppress_health_check=list(HealthCheck),
)
def test_04_a_process_killed_with_sigkill_is_made_up_for(service: Service, moments: list[tuple[int, bool]]) -> None:
    with tempfile.TemporaryDirectory() as folder, World(service, Path(folder)) as world:
        for key in "1234":
            world.source.people[key] = Person(f"u{key}@example.com", f"Person {key}", boss="1" if key != "1" else "")
        world.source.groups["a"] = "Design"
        world.source.members = {("a", key) for key in "123"}
        for number, answered in moments:
            world.write_source()
            killed_at(world, number, answered=answered)
        world.converge()
        as_the_source_says(world)
        assert len(world.sight().users) == 4
        assert len(world.sight().groups) == 1
