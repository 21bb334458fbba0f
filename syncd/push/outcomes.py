"""Outcomes: the outcome of a successful change, or of the error that ended a change. Pure.

#  the change ended with                     -> result   open   the target stops
#  Done                                         applied   no     no
#  Done, with a part that was not done          as the error of that part
#  Ineffective: a look shows no effect          ineffect. no     no
#  Refusal                                      its own   no     no
#  Unprepared: what must come first failed      failed    no     no     held, and tried again
#  Lost: the resource is gone                   failed    no     no     the next run makes it anew
#  OutcomeUnclear: it may have been done        failed    yes    where the target as a whole could not be looked at
#  ScimError: the target refused it             failed    no     no
#  TargetError, the first one                   failed    no     yes
#  TargetError without an answer, later on      skipped   no     it had stopped: the change was never sent
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass

from syncd.core.plan import LOST, Change, Outcome, Result
from syncd.errors import Ineffective, OutcomeUnclear, ScimError, TargetError
from syncd.push.preparing import Unprepared
from syncd.push.presence import Lost
from syncd.push.refusal import Refusal

Failure = Refusal | Lost | ScimError | TargetError
"""Every error that ends one change, and no other."""


@dataclass(frozen=True, slots=True)
class Done:
    """A change that was done, or done in part: the last HTTP status (0: no request was needed), and a remark.

    `acknowledge` writes what was done into the snapshot, in the transaction that writes the outcome into the journal.
    """

    status: int
    remark: str = ""
    acknowledge: Callable[[], None] | None = None
    finished: bool = True
    """Whether nothing of it is left to be done."""
    failure: ScimError | None = None
    """Why a part of it was not done; None where all of it was."""


def ended(change: Change, done: Done) -> Outcome:
    """Return the outcome of a change that was done, or done in part."""
    if done.failure is not None:
        return failed(change, done.failure, None)
    return Outcome(change, Result.APPLIED, done.status, done.remark, done.finished)


def failed(change: Change, failure: Failure, stopped: TargetError | None) -> Outcome:
    """Return the outcome of a change that an error ended; `stopped`: why the target had stopped by then."""
    if isinstance(failure, Refusal):
        unprepared = isinstance(failure, Unprepared)
        return Outcome(change, failure.result, detail=failure.reason, unprepared=unprepared)
    if isinstance(failure, Lost):
        return Outcome(change, Result.FAILED, 404, LOST)
    if isinstance(failure, ScimError):
        detail, unclear = failure.detail or "no reason given", isinstance(failure, OutcomeUnclear)
        result = Result.INEFFECTIVE if isinstance(failure, Ineffective) else Result.FAILED
        return Outcome(change, result, failure.status, detail, open=unclear)
    if stopped is not None and not failure.status:
        return skipped_for(change, failure)
    return Outcome(change, Result.FAILED, failure.status, failure.problem)


def stop_in(failure: Failure) -> TargetError | None:
    """Return why the target as a whole stops because of an error, None where it doesn't."""
    if isinstance(failure, TargetError):
        return failure
    return failure.stop if isinstance(failure, OutcomeUnclear) else None


def skipped_for(change: Change, stop: TargetError) -> Outcome:
    """Return the outcome of a change that is not sent because the target stopped."""
    return Outcome(change, Result.SKIPPED, detail=f"the target stopped: {stop.problem}")


def cut_off(change: Change) -> Outcome:
    """Return the outcome of a change that was cut off before its answer."""
    return Outcome(change, Result.FAILED, detail="no answer came in time; the next run looks", open=True)


def remarks(*each: str) -> str:
    """Return remarks as one; "" where there are none."""
    return "; ".join(filter(None, each))
