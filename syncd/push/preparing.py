"""What comes before the deletion of an account: `before_delete` must have succeeded, for this very deletion.

#  the account         before_delete   the plan   held for, and approved   -> the deletion
#  never accepted         any             any        any                        is sent
#  any other              named           any        before_delete              is sent, without the call
#                         named           any        -                          is sent once a call has succeeded
#                         not named       first      before_delete, content     is sent
#                         not named       first      -                          refused: plan anew
#                         not named       -          before_delete, content     is sent
#                         not named       -          -                          refused where content would move

Each attempt is on disk before it is made, and a success before the deletion is sent. A success counts for this account,
since it is off: killed after it, the next run sends the deletion; killed before, it makes the same call again, with the
same idempotency key.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable
from dataclasses import dataclass
from datetime import datetime, timedelta
from functools import partial
from typing import Final

import structlog

from syncd.compare.preparing import has_content
from syncd.core.limits import BEFORE_DELETE, CONTENT_MOVES, MOVES_CONTENT
from syncd.core.model import Known
from syncd.core.plan import UNPREPARED, Change, Result
from syncd.hooks.hook import Call, Hook, HookFailed
from syncd.push.facts import facts_of
from syncd.push.refusal import Refusal
from syncd.store import Commits, Snapshot, StateFile

log = structlog.get_logger()

_PAUSES: Final = (1.0, 5.0)
"""Seconds between the attempts of one run, of which there is one more."""
_LONGEST_PAUSE: Final = 30.0
"""A receiver that asks for longer is left to a later run."""
_AT_ONCE: Final = 4
_ENOUGH: Final = 3
"""From this many failures in a row on, of a cause that may pass, it is left to the next run."""


class Unprepared(Refusal):
    """What must succeed before a change has failed: the change waits."""


@dataclass(frozen=True, slots=True)
class DeletionRules:
    """What comes first, by the configuration of now."""

    hook: Hook | None = None
    content_moves: bool = False
    """Whether a deletion hands the account's content to somebody else."""
    delete_after: timedelta | None = None


class Preparing:
    """Sees to what must succeed before the deletions of one run."""

    def __init__(
        self,
        state: StateFile,
        snapshot: Snapshot,
        commits: Commits,
        rules: DeletionRules,
        clock: Callable[[], datetime],
    ) -> None:
        self._snapshot = snapshot
        self._preparations = state.preparations(snapshot.name)
        self._commits = commits
        self._rules = rules
        self._clock = clock
        self._approved_for = state.holds(snapshot.name).approved_for(clock())
        self._room = asyncio.Semaphore(_AT_ONCE)
        self._in_a_row = 0
        self._last = ""

    async def before_delete(self, change: Change, known: Known) -> None:
        """Return once the deletion may be sent. Raises Refusal, Unprepared, StateError."""
        if not has_content(known):
            return
        approved = self._approved_for.get(change.id)
        if self._rules.hook is None:
            self._demand_nothing_first(change, approved)
        elif approved != BEFORE_DELETE:
            await self._prepare(change, known, self._rules.hook)

    def _demand_nothing_first(self, change: Change, approved: str | None) -> None:
        """Raise Refusal where something had to come first, and nothing is named any more."""
        if approved in (BEFORE_DELETE, MOVES_CONTENT):
            return
        if change.first:
            reason = f"planned with `before_delete` ({change.first}), and the configuration names none now: plan anew"
            raise Refusal(Result.REFUSED, reason)
        if self._rules.content_moves:
            raise Refusal(Result.REFUSED, CONTENT_MOVES)

    async def _prepare(self, change: Change, known: Known, hook: Hook) -> None:
        before = self._preparations.of(known)
        if before is not None and before.done is not None:
            return
        async with self._room:
            if self._in_a_row >= _ENOUGH:
                problem = f"before_delete failed for {self._in_a_row} people in a row; the last: {self._last}"
                raise Refusal(Result.SKIPPED, problem)
            try:
                await self._call(change, known, hook)
            except HookFailed as failure:
                self._last = str(failure)
                self._in_a_row = self._in_a_row + 1 if failure.passing else 0
                raise await self._failed(known, failure) from None
            self._in_a_row = 0

    async def _call(self, change: Change, known: Known, hook: Hook) -> None:
        """Make the call, again where the cause of a failure may pass. Raises HookFailed of the last attempt."""
        for pause in (*_PAUSES, None):
            attempt = partial(self._preparations.attempt, change, known, self._clock())
            preparation = await self._commits.write(attempt)
            facts = facts_of(change, known, preparation, self._snapshot, self._rules.delete_after)
            bound = log.bind(target=self._snapshot.name, change=change.id[:12], attempt=preparation.attempts)
            try:
                await hook.call(Call(preparation.id, facts))
            except HookFailed as failure:
                bound.warning("before_delete_failed", reason=str(failure))
                if pause is None or not failure.passing or failure.retry_after > _LONGEST_PAUSE:
                    raise
                await wait(max(pause, failure.retry_after))
            else:
                await self._commits.write(partial(self._preparations.succeeded, known.key, self._clock()))
                bound.info("before_delete_succeeded")
                return

    async def _failed(self, known: Known, failure: HookFailed) -> Unprepared:
        preparation = await self._commits.write(
            partial(
                self._preparations.failed,
                known.key,
                str(failure),
                self._clock(),
                passing=failure.passing,
                retry_after=failure.retry_after,
            )
        )
        return Unprepared(Result.FAILED, f"{UNPREPARED}{preparation.said}")


async def wait(seconds: float) -> None:
    """Wait between two attempts."""
    await asyncio.sleep(seconds)


__all__ = ["DeletionRules", "Preparing", "Unprepared"]
