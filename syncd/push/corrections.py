"""Corrections: the changes that put drift back, remembered for the next full resync.

#  a change                                            was done  -> outcome      remembered
#  corrects drift                                        yes          applied      put back now
#  corrects drift that had been put back before          yes          ineffective  put back now; came back since …
#  corrects drift                                        no           its own      -
#  is about the same attributes or members, by the source  yes        applied      no longer: another value is wanted

Drift that comes back is corrected all the same, each time: a leaver whom somebody lets in again is switched off again.
"""

from __future__ import annotations

from collections import defaultdict
from collections.abc import Callable, Iterable
from dataclasses import replace
from datetime import datetime

from syncd.core.drift import Drift
from syncd.core.model import Kind
from syncd.core.plan import Change, Outcome
from syncd.core.returning import corrected, touches, undone
from syncd.errors import Ineffective
from syncd.push.outcomes import Done
from syncd.store import Correction, PutBack


class Corrections:
    """Judges and remembers the changes of one run that correct drift."""

    def __init__(self, drift: Iterable[Drift], put_back: PutBack, run: int, clock: Callable[[], datetime]) -> None:
        self._put_back = put_back
        self._run = run
        self._clock = clock
        self._drift: defaultdict[tuple[Kind, str], list[Drift]] = defaultdict(list)
        for each in drift:
            self._drift[each.kind, each.key].append(each)
        self._known: defaultdict[tuple[Kind, str], list[Correction]] = defaultdict(list)
        for correction in put_back.all():
            self._known[correction.drift.kind, correction.drift.key].append(correction)

    def judged(self, change: Change, done: Done) -> Done:
        """Return what was done; as a failure, where the drift that it corrects had been put back before."""
        reasons = [reason for drift in self._of(change) if (reason := undone(drift, change))]
        if not reasons or done.failure is not None or not done.status:
            return done
        return replace(done, failure=Ineffective(done.status, "; ".join(reasons)))

    def write(self, outcome: Outcome) -> None:
        """Write what a change that was done has put back; belongs inside the state file's `atomic()`."""
        change = outcome.change
        known = self._known.get((change.action.kind, change.key), [])
        over = [each.drift for each in known if touches(change, each.drift)]
        if over:
            self._put_back.forget(over)
        for drift in self._of(change):
            part = corrected(drift, change)
            if part is None:
                continue
            reason, now = undone(drift, change), self._clock()
            since = next((each.since for each in known if each.drift.class_ is drift.class_ and each.since), now)
            self._put_back.add(Correction(part, change, self._run, now, since if reason else None, reason))

    def _of(self, change: Change) -> list[Drift]:
        return self._drift.get((change.action.kind, change.key), [])


__all__ = ["Corrections"]
