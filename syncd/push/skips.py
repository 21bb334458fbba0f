"""Skips: changes that are not tried because of earlier events in this run.

#  before                                              -> a change is skipped
#  the target as a whole stopped                          every one
#  syncd was told to stop                                 every one
#  nothing of a person's change was done                  the later changes of the same person
#  an earlier run's create is open                        a create of the same person or group
#  20 changes with one action failed in a row             the others with that action
#  all changes with one action met 403: at 3 resources    the others with that action
#      where the action takes access away: at 20          the others with that action

A 403 is about one resource, such as the owner's account, unless it meets every resource: then the token lacks a right.
That is believed late of actions that take access away, since a leaver who is skipped can still get in.

Where 20 in a row fail and nothing ever succeeded, the target stops. The transport stops by itself where nothing is
answered well; this is for an endpoint that can be read and not written to.
"""

from __future__ import annotations

from collections import Counter, defaultdict
from collections.abc import Set
from typing import Final

from syncd.core.actions import Access
from syncd.core.model import Kind
from syncd.core.plan import UNRECOVERED, Action, Change, Outcome, Result
from syncd.errors import TargetError, TargetFailing
from syncd.push.outcomes import skipped_for

_SERVER_ERROR: Final = 500
"""RFC 9110 section 15.6: from here on it is the server's fault, not the request's."""
_MOST_IN_A_ROW: Final = 20
_FORBIDDEN: Final = 403
_MOST_FORBIDDEN: Final = {Access.GIVES: 3, Access.KEEPS: 3, Access.TAKES: 20}
"""Number of resources refused with 403, by the action's effect on access, after which the token lacks the right."""


class Skips:
    """The consequences of the outcomes so far for the remaining changes."""

    def __init__(self, target: str) -> None:
        self.stopped: TargetError | None = None
        """Why the target as a whole stopped; None while it goes on."""
        self._target = target
        self._draining = False
        self._unrecovered: Set[tuple[Kind, str]] = frozenset()
        self._failed_people: set[str] = set()
        self._unmade_groups: set[str] = set()
        self._streaks = _Streaks()
        self._rights = _Rights()

    @property
    def unmade_groups(self) -> Set[str]:
        """Keys of the groups whose creation did not succeed, as far as this run got."""
        return self._unmade_groups

    @property
    def ends(self) -> bool:
        """Whether nothing more is sent in this run."""
        return self._draining or self.stopped is not None

    def drain(self) -> None:
        """Skip everything from now on: syncd was told to stop."""
        self._draining = True

    def stop(self, why: TargetError | None) -> None:
        """Skip everything from now on, if there is a reason; the first one counts."""
        self.stopped = self.stopped or why

    def leave_open(self, creates: Set[tuple[Kind, str]]) -> None:
        """Skip the creates of these kinds and keys: earlier creates are open, and would perhaps be done twice."""
        self._unrecovered = creates

    def of(self, change: Change) -> Outcome | None:
        """Return the outcome of a change that is not tried; None: the change is tried."""
        if self.stopped is not None:
            return skipped_for(change, self.stopped)
        if self._draining:
            return Outcome(change, Result.SKIPPED, detail="syncd was told to stop")
        if change.action.about_user and change.key in self._failed_people:
            return Outcome(change, Result.SKIPPED, detail="an earlier change of the same person did not succeed")
        if change.action.creates and (change.action.kind, change.key) in self._unrecovered:
            return Outcome(change, Result.SKIPPED, detail=UNRECOVERED)
        if (count := self._streaks.failed_in_a_row(change.action)) >= _MOST_IN_A_ROW:
            detail = f"{count} like it failed in a row; the last: {self._streaks.last_failure(change.action)}"
            return Outcome(change, Result.SKIPPED, detail=detail)
        if (lacking := self._rights.lacking(change.action)) is not None:
            return Outcome(change, Result.SKIPPED, detail=lacking)
        return None

    def note(self, outcome: Outcome, *, is_done: bool) -> None:
        """Take an outcome into account. `is_done`: whether the change was done, if only in part."""
        change = outcome.change
        if outcome.unprepared:  # nothing was sent: it says nothing of the endpoint
            self._failed_people.add(change.key)
            return
        self._streaks.count(outcome, is_done=is_done)
        self._rights.count(outcome, is_done=is_done)
        if self._streaks.nothing_succeeds(change.action) and not self._draining:
            problem = (
                f"fails every change, {_MOST_IN_A_ROW} in a row; the last: {self._streaks.last_failure(change.action)}"
            )
            hint = "nothing more is sent now; what is left is done by the next run"
            self.stop(TargetFailing(self._target, problem, hint=hint))
        if is_done:
            return
        if change.action.about_user:
            self._failed_people.add(change.key)
        elif change.action.begins:
            self._unmade_groups.add(change.key)


class _Streaks:
    """Failures in a row, by action: each of them was tried again and again by the transport."""

    def __init__(self) -> None:
        self._in_a_row: Counter[Action] = Counter()
        self._last: dict[Action, str] = {}
        self._some_succeeded = False

    def count(self, outcome: Outcome, *, is_done: bool) -> None:
        """Count an outcome. A refusal of one resource (4xx) is no failure of the endpoint."""
        action = outcome.change.action
        if is_done and outcome.status:
            self._in_a_row[action] = 0
            self._some_succeeded = True
        if outcome.result is Result.FAILED and (outcome.status == 0 or outcome.status >= _SERVER_ERROR):
            self._in_a_row[action] += 1
            self._last[action] = f"{outcome.status or ''} {outcome.detail}".strip()

    def failed_in_a_row(self, action: Action) -> int:
        """Return how many changes with this action failed since the last one that succeeded."""
        return self._in_a_row[action]

    def last_failure(self, action: Action) -> str:
        """Return status and detail of the last failure of this action, for messages."""
        return self._last[action]

    def nothing_succeeds(self, action: Action) -> bool:
        """Return whether a whole streak of this action failed, and nothing at all succeeded."""
        return self._in_a_row[action] >= _MOST_IN_A_ROW and not self._some_succeeded


class _Rights:
    """What the token may do, by action: nothing of a kind where each of several resources is refused with 403."""

    def __init__(self) -> None:
        self._done: set[Action] = set()
        self._refused: defaultdict[Action, dict[str, str]] = defaultdict(dict)

    def count(self, outcome: Outcome, *, is_done: bool) -> None:
        """Count an outcome; the endpoint's words of each refusal are kept by key."""
        action = outcome.change.action
        if is_done and outcome.status:
            self._done.add(action)
        elif outcome.result is Result.FAILED and outcome.status == _FORBIDDEN:
            self._refused[action][outcome.change.key] = outcome.detail

    def lacking(self, action: Action) -> str | None:
        """Return why no more changes with an action are tried, in the endpoint's words; None: the token may do it."""
        refused = self._refused[action]
        if action in self._done or len(refused) < _MOST_FORBIDDEN[action.access]:
            return None
        *_, words = refused.values()
        return f"this token may not {action.of_many} (403 for {len(refused)} {action.words.subject[1]}: {words})"
