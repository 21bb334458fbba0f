"""Recording: the intent of each change is on disk before its first request, and its outcome when it is known.

After a kill in between, the next run recovers the open intents (`recovery.py`).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from datetime import datetime
from functools import partial

from syncd.core.actions import Action
from syncd.core.limits import BEFORE_DELETE
from syncd.core.plan import UNPREPARED, Change, Held, Outcome, Result
from syncd.core.quarantine import is_permanent
from syncd.push.corrections import Corrections
from syncd.push.outcomes import Done
from syncd.store import Commits, Journal, Snapshot, StateFile


class Recording:
    """Writes down the intents and outcomes of one run, each outcome with the snapshot's new row."""

    def __init__(
        self,
        state: StateFile,
        snapshot: Snapshot,
        journal: Journal,
        commits: Commits,
        run: int,
        clock: Callable[[], datetime],
        corrections: Corrections,
    ) -> None:
        self._snapshot = snapshot
        self._journal = journal
        self._commits = commits
        self._run = run
        self._clock = clock
        self._corrections = corrections
        self._follow_up = _FollowUp(state, snapshot.name, clock)
        self._begun: dict[str, int] = {}
        """Intents of changes that were begun before their turn, by the change's id."""

    async def intend(self, change: Change) -> int:
        """Write down that a change is about to be sent; it is on disk then. Returns the intent's id."""
        if (begun := self._begun.pop(change.id, None)) is not None:
            return begun
        return await self._commits.write(partial(self._journal.intend, self._run, change, self._clock()))

    async def begin(self, change: Change) -> None:
        """Write down that a part of a change is about to be sent before the change has its turn in this run."""
        if change.id not in self._begun:
            self._begun[change.id] = await self.intend(change)

    def skipped(self, outcome: Outcome) -> None:
        """Write down, soon, that a change was not tried; one that was begun stays open: the next run looks."""
        begun = self._begun.pop(outcome.change.id, None)
        outcome = outcome if begun is None else replace(outcome, open=True)
        self._commits.write_soon(partial(self._journal.record, self._run, outcome, self._clock(), begun))

    def ended(self, intent: int, outcome: Outcome, done: Done | None) -> None:
        """Write down, soon, the outcome of an intent; `done`: the update to the snapshot."""
        self._commits.write_soon(partial(self._end, intent, outcome, done))

    async def finish(self) -> None:
        """Wait until everything is on disk. Raises StateError."""
        await self._commits.finish()

    def _end(self, intent: int, outcome: Outcome, done: Done | None) -> None:
        if done is not None and done.acknowledge is not None:
            done.acknowledge()
            self._snapshot.bump()
        if done is not None:
            self._corrections.write(outcome)
        self._journal.record(self._run, outcome, self._clock(), intent)
        self._follow_up.write(outcome, is_done=done is not None)


class _FollowUp:
    """The consequences of an outcome for later runs: a permanent refusal is quarantined, an approval is spent, and a
    deletion before which `before_delete` failed is held.

    A change that was done, if only in part, is not quarantined: what is left of it is another change.
    """

    def __init__(self, state: StateFile, target: str, clock: Callable[[], datetime]) -> None:
        self._holds = state.holds(target)
        self._quarantine = state.quarantine(target)
        self._clock = clock
        self._approved = self._holds.approved(clock())
        self._quarantined = {each.id for each in self._quarantine.all()}

    def write(self, outcome: Outcome, *, is_done: bool) -> None:
        """Record the consequences; an approval is spent on a change that was tried.

        `is_done`: whether the snapshot holds what was done of it.
        """
        change, id_ = outcome.change, outcome.change.id
        if outcome.unprepared:
            reason = outcome.detail.removeprefix(UNPREPARED)
            self._holds.renew(Held(change, BEFORE_DELETE, reason), self._clock())
            return
        permanent = is_permanent(outcome.result, outcome.status) and not outcome.open and not is_done
        if permanent:
            self._quarantine.failed(change, outcome.status, outcome.detail, self._clock(), outcome.result)
        elif is_done and id_ in self._quarantined:
            self._quarantine.succeeded(id_)
        approved = id_ in self._approved and (permanent or is_done or outcome.result is Result.REFUSED)
        prepared = is_done and change.action is Action.DELETE_USER  # held while what comes first had failed
        if approved or prepared:
            self._holds.spend(id_)
