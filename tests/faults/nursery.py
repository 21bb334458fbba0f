"""Runs pushes that are to be killed: a process of its own that has everything loaded, and forks for each.

Reads lines of JSON: `{"folder": …, "commit": N, "when": "before" | "after"}`, the same with `write` (a request that
changes something), or `{"folder": …, "seconds": S}`: then the run is killed with SIGKILL, at the latest so many seconds
after it began. Answers with a line each: `killed`, or JSON with how many commits and writes there were.
"""

from __future__ import annotations

import json
import os
import select
import signal
import sys
from collections.abc import Iterator
from contextlib import contextmanager
from functools import partial
from pathlib import Path
from typing import Any

import syncd.scim.wire  # loaded once, not after each fork
import syncd.settings.build.targets
from syncd import log
from syncd.cycle.progress import Progress
from syncd.cycle.recovering import recover, with_recovery
from syncd.cycle.sync import carry_out, make_plans
from syncd.scim.transport import Answer, Transport
from syncd.store import StateFile
from tests.scim.asking import IMPATIENT


def cycle(folder: Path) -> None:
    """Do what `syncd sync` does."""
    setup = syncd.settings.build.read(folder / "syncd.toml")
    with StateFile(setup.state) as state:
        failures = recover(state, setup.targets)
        (planned,) = with_recovery(make_plans(setup, state, setup.targets, Progress()), failures)
        carry_out(planned, state, Progress())


def dying(order: dict[str, Any]) -> dict[str, int]:
    """Run, and die at the commit or the write that was ordered; return how many there were."""
    commits = writes = 0
    atomic, send = StateFile.atomic, Transport.send

    async def counted_send(self: Transport, method: str, *args: Any, **named: Any) -> Answer:
        nonlocal writes
        writes += method != "GET"
        mine = method != "GET" and writes == order.get("write")
        if mine and order["when"] == "before":
            os.kill(os.getpid(), signal.SIGKILL)
        answer = await send(self, method, *args, **named)
        if mine:
            os.kill(os.getpid(), signal.SIGKILL)
        return answer

    @contextmanager
    def counted(self: StateFile) -> Iterator[None]:
        nonlocal commits
        with atomic(self):
            yield
            commits += 1
            if commits == order.get("commit") and order["when"] == "before":
                os.kill(os.getpid(), signal.SIGKILL)
        if commits == order.get("commit"):
            os.kill(os.getpid(), signal.SIGKILL)

    StateFile.atomic = counted  # type: ignore[method-assign]
    Transport.send = counted_send  # type: ignore[method-assign, assignment]
    cycle(Path(order["folder"]))
    return {"commits": commits, "writes": writes}


def bear(order: dict[str, Any]) -> str:
    """Fork, let it run, and see how it ended."""
    told, tell = os.pipe()
    child = os.fork()
    if child == 0:
        code = 1
        try:
            os.write(tell, json.dumps(dying(order)).encode())
            code = 0
        finally:
            os._exit(code)
    os.close(tell)
    ended = os.pidfd_open(child)
    if not select.select([ended], [], [], order.get("seconds", 60))[0]:
        os.kill(child, signal.SIGKILL)
    _, status = os.waitpid(child, 0)
    os.close(ended)
    said = os.read(told, 100).decode()
    os.close(told)
    if os.WIFSIGNALED(status):
        return "killed"
    return said if os.waitstatus_to_exitcode(status) == 0 else "failed"


def main() -> None:
    log.configure("error")
    syncd.settings.build.targets.Patience = partial(_impatient)  # type: ignore[misc, assignment]
    for line in sys.stdin:
        print(bear(json.loads(line)), flush=True)


def _impatient(**_: float) -> Any:
    return IMPATIENT


if __name__ == "__main__":
    main()
