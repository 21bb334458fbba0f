"""Following a person's job: its progress until its end. The job goes on when its follower leaves."""

from __future__ import annotations

import asyncio
import time
from collections.abc import AsyncIterator
from typing import Any, Final

import structlog

from syncd.core.model import Json
from syncd.cycle.jobs import Job
from syncd.daemon.api import error_event
from syncd.daemon.cycles import Cycle, JobRequest
from syncd.daemon.progress import Told
from syncd.daemon.queue import Turn
from syncd.daemon.turns import Turns
from syncd.errors import SyncdError
from syncd.settings.build import Setup

log = structlog.get_logger()
_FOLLOWED: Final = 0.2
"""Seconds between two looks at the progress of a cycle that somebody follows."""
_HEARTBEAT: Final = 5.0
"""Seconds after which a follower gets an event, even if nothing has happened."""


async def follow(turns: Turns, setup: Setup, job: Job, by: str) -> AsyncIterator[Json]:
    """Request a job, and yield its events; the last one is `end` or `error`."""
    try:
        targets = tuple(target.name for target in job.targets(setup))
        if turns.stopping.is_set():
            raise SyncdError("the daemon is about to stop; nothing was done")
    except SyncdError as error:
        yield error_event(error)
        return
    who = {"who": job.who} if job.who else {}
    log.info("asked", kind=job.kind, targets=list(targets), **who, by=by)
    request = JobRequest(job, setup, by)
    turn = turns.ask(request, targets)
    try:
        async for event in _until_it_begins(turns, request, turn):
            yield event
        if request.began.done():
            async for event in _until_it_ends(request.began.result()):
                yield event
        else:
            yield error_event(SyncdError("the daemon was told to stop; nothing was done"))
    finally:
        if not request.began.done():
            turns.queue.withdraw(request)


async def _until_it_begins(turns: Turns, request: JobRequest, turn: Turn) -> AsyncIterator[Json]:
    """Yield the targets that the request waits for, until its cycle begins or the daemon is told to stop."""
    stopping = asyncio.ensure_future(turns.stopping.wait())
    either: list[asyncio.Future[Any]] = [request.began, stopping]
    try:
        while not request.began.done() and not turns.stopping.is_set():
            others = ", ".join(turns.queue.before(turn)) or "others"
            yield {"event": "waiting", "for": f"waiting for what goes on: {others}"}
            await asyncio.wait(either, timeout=_HEARTBEAT, return_when=asyncio.FIRST_COMPLETED)
    finally:
        stopping.cancel()


async def _until_it_ends(cycle: Cycle) -> AsyncIterator[Json]:
    """Yield the progress of a cycle, and its result."""
    said, told = time.monotonic(), Told()
    while True:
        await asyncio.wait([cycle.done], timeout=_FOLLOWED)
        for event in cycle.progress.news(told):
            said = time.monotonic()
            yield event
        if cycle.done.done():
            break
        if time.monotonic() - said > _HEARTBEAT:
            said = time.monotonic()
            yield {"event": "alive"}
    error = cycle.done.exception()
    if isinstance(error, SyncdError):
        yield error_event(error)
    else:
        yield {"event": "end", "answer": cycle.done.result()}
