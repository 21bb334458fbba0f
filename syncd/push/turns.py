"""The turn of each change: skipped, or its intent, its requests, its outcome."""

from __future__ import annotations

import asyncio
from collections.abc import Callable

from syncd.core.plan import Change, Outcome
from syncd.errors import ScimError, TargetError
from syncd.push.corrections import Corrections
from syncd.push.execution import Execution
from syncd.push.learning import Learning
from syncd.push.outcomes import Done, cut_off, ended, failed, stop_in
from syncd.push.presence import Lost
from syncd.push.recording import Recording
from syncd.push.refusal import Refusal
from syncd.push.skips import Skips


class Turns:
    """Gives each change of a run its turn, and keeps the outcomes as they happen."""

    def __init__(
        self,
        execution: Execution,
        recording: Recording,
        skips: Skips,
        learning: Learning,
        corrections: Corrections,
        on_outcome: Callable[[Outcome], None],
    ) -> None:
        self._execution = execution
        self._recording = recording
        self._skips = skips
        self._learning = learning
        self._corrections = corrections
        self._on_outcome = on_outcome
        self.outcomes: list[Outcome] = []

    async def take(self, change: Change) -> None:
        """Carry out one change, or skip it. Raises StateError; CancelledError where it is cut off."""
        skipped = self._skips.of(change)
        if skipped is not None:
            self._recording.skipped(skipped)
            self._note(skipped)
            return
        try:
            intent = await self._recording.intend(change)
            outcome, done = await self._try(change)
        except asyncio.CancelledError:
            self._note(cut_off(change))  # the intent stays on disk
            raise
        self._recording.ended(intent, outcome, done)
        self._note(outcome, is_done=done is not None)

    async def _try(self, change: Change) -> tuple[Outcome, Done | None]:
        """Do one change; returns the outcome and the update to the snapshot."""
        try:
            done = self._corrections.judged(change, await self._execution.carry_out(change))
        except (Refusal, Lost, ScimError, TargetError) as failure:
            outcome = failed(change, failure, self._skips.stopped)
            self._skips.stop(stop_in(failure))
            return outcome, None
        finally:
            self._learning.note_dialect()
        return ended(change, done), done

    def _note(self, outcome: Outcome, *, is_done: bool = False) -> None:
        self._skips.note(outcome, is_done=is_done)
        self.outcomes.append(outcome)
        self._on_outcome(outcome)
