"""The circumstances of one user or group: holds, quarantine, problems, drift, outcomes, and a stop of the target.

Each circumstance is a fact of the state file, a part of the answer, and perhaps the reason why a change is not made.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime
from typing import Final

from syncd.core.drift import Drift
from syncd.core.limits import NEVER_RELEASED, QUARANTINE, in_words, on_approval
from syncd.core.matching import ADOPT
from syncd.core.model import Kind
from syncd.core.plan import Change, Result, Trouble, timestamp
from syncd.report.explanation import Part
from syncd.report.text import drift_details
from syncd.report.words import END_OF_STOP, label
from syncd.store import Correction, Decision, Hold, Quarantined, StateFile, Stop
from syncd.store.journal import PastOutcome, PastPlan
from syncd.store.lookup import awaited, holds_naming, unapproved

_OUTCOMES_SHOWN: Final = 5
_ID_SHOWN: Final = 8
_AWAITED_SHOWN: Final = 3


def spoken(moment: datetime) -> str:
    """Return a moment as it stands in a sentence."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def doing(change: Change) -> str:
    """Return a change as the subject of a sentence."""
    return change.action.words.doing


@dataclass(frozen=True)
class Circumstances:
    """Everything about one user or group that is neither its entry nor its account.

    Each field is one answer of the state file; the verdict weighs them against each other (`hindrance`).
    """

    kind: Kind
    key: str
    now: datetime
    holds: tuple[Hold, ...]
    """Oldest first. A person's holds include the membership changes that name the person."""
    awaited: Mapping[str, Sequence[Hold]]
    """By a hold's id the holds that it waits for: these holds have to be approved as well."""
    quarantined: tuple[Quarantined, ...]
    undone: tuple[Correction, ...]
    """What full resyncs put back, and found undone again; a person's include the memberships that name the person."""
    last: PastPlan | None
    """The last run that was not limited to one person."""
    drift: tuple[Drift, ...]
    """The drift that the last full resync found."""
    outcomes: tuple[PastOutcome, ...]
    """Newest first."""
    stop: Stop | None

    @classmethod
    def of(cls, state: StateFile, target: str, kind: Kind, key: str, now: datetime) -> Circumstances:
        """Read the circumstances from the state file."""
        about_user = kind is Kind.USER
        journal = state.journal(target)
        last, resync = journal.last_plan(), journal.last_plan("resync")
        known = state.holds(target)
        holds = tuple(hold for hold in holds_naming(known, key) if _concerns(hold.change, kind, key))
        return cls(
            kind=kind,
            key=key,
            now=now,
            holds=holds,
            awaited=awaited(holds, unapproved(known, now))
            if any(_is_of_members(hold.change) for hold in holds)
            else {},
            quarantined=tuple(state.quarantine(target).of(key, about_user)),
            undone=tuple(each for each in state.put_back(target).without_effect() if _concerns(each.change, kind, key)),
            last=last,
            drift=tuple(each for each in (resync.drift if resync else ()) if each.key == key and each.kind is kind),
            outcomes=tuple(journal.outcomes_of(kind, key, _OUTCOMES_SHOWN)),
            stop=state.snapshot(target).stop,
        )

    @property
    def problems(self) -> list[Trouble]:
        """The problems that the last run met in the source."""
        problems = self.last.problems if self.last else ()
        return [each for each in problems if each.key == self.key and each.kind == self.kind]

    @property
    def own_holds(self) -> list[Hold]:
        """The holds of changes to the resource itself."""
        return [hold for hold in self.holds if hold.change.key == self.key and not _is_of_members(hold.change)]

    def name(self) -> str:
        """Return the name of the resource by its changes, for a resource that has neither entry nor account."""
        changes = [
            *(hold.change for hold in self.own_holds),
            *(each.change for each in self.quarantined),
            *(each.outcome.change for each in self.outcomes),
        ]
        return next((change.name for change in changes), "")

    def hindrance(self, change: Change | None) -> str:
        """Say, as the rest of a sentence, why a change has not been made yet: the gravest reason, or the next run."""
        if self.stop is not None:
            return f"waits for the stopped target ({self.stop.reason})"
        held = {hold.id: hold for hold in self.own_holds}
        if change is not None and change.id in held:
            return self.hindrance_of(held[change.id])
        if self.problems:
            return f"is left alone for a problem in the source ({self.problems[0].problem})"
        if self.own_holds:
            return self.hindrance_of(self.own_holds[0])
        if self.quarantined:
            return f"is quarantined: it {self.quarantined[0].reason}"
        if failure := self.failure:
            return f"{failure}; the next run tries again"
        return "is for the next run to do"

    @property
    def failure(self) -> str:
        """The failure of the last attempt, as the rest of a sentence; "" after a success."""
        if not self.outcomes or self.outcomes[0].outcome.result is Result.APPLIED:
            return ""
        return _failure(self.outcomes[0])

    def not_looked_for(self) -> str:
        """Say, as the rest of a sentence, that nobody looked for an account or group where none is linked.

        "" where the last run read the target, or an earlier one held what it found there.
        """
        found = any(hold.limit == ADOPT for hold in self.own_holds)
        found = found or any(each.change.action.adopts for each in self.quarantined)
        if found or (self.last is not None and self.last.target_read):
            return ""
        return "; syncd has not looked whether there is one"

    def hindrance_of(self, hold: Hold) -> str:
        """Return the state of a held change as the rest of a sentence."""
        return _hold(hold, self.now)

    # -- parts -----------------------------------------------------------------------------------

    def parts(self) -> Iterator[Part]:
        """Yield the parts of the answer, in the order of a reader's questions."""
        yield from self._stop()
        yield from self._problems()
        yield from self._holds()
        yield from self._quarantine()
        yield from self._undone()
        yield from self._drift()
        yield from self._outcomes()

    def _stop(self) -> Iterator[Part]:
        if self.stop is None:
            return
        sentence = f"stopped since {spoken(self.stop.since)}: {self.stop.reason}; {END_OF_STOP[self.stop.cause]}"
        facts = {"cause": self.stop.cause, "reason": self.stop.reason, "since": timestamp(self.stop.since)}
        yield Part("stopped", "The target is stopped", (sentence,), facts)

    def _problems(self) -> Iterator[Part]:
        if not self.problems or self.last is None:
            return
        sentences = tuple(": ".join(filter(None, (each.where, each.problem))) for each in self.problems)
        facts = {"run": self.last.run, "problems": [each.to_json() for each in self.problems]}
        yield Part("problems", f"Problems in the source (run {self.last.run}), left alone for them", sentences, facts)

    def _holds(self) -> Iterator[Part]:
        if self.holds:
            sentences = tuple(_held(hold, self.awaited.get(hold.id, ()), self.now) for hold in self.holds)
            yield Part("holds", "Held", sentences, {"holds": [hold.to_json() for hold in self.holds]})

    def _quarantine(self) -> Iterator[Part]:
        if self.quarantined:
            sentences = tuple(f"{_doing_what(each.change)} {each.reason}" for each in self.quarantined)
            facts = {"quarantined": [each.to_json() for each in self.quarantined]}
            yield Part("quarantine", "Quarantined, and stops nobody else", sentences, facts)

    def _undone(self) -> Iterator[Part]:
        if self.undone:
            sentences = tuple(
                f"{each.change.action.of(each.change.name)}, sent again by each full resync: {each.detail}"
                for each in self.undone
            )
            facts = {
                "changes": [
                    {"change": each.change.to_json(), "since": timestamp(each.since or each.at), "reason": each.detail}
                    for each in self.undone
                ]
            }
            yield Part("ineffective", "Without effect: what is put back doesn't last", sentences, facts)

    def _drift(self) -> Iterator[Part]:
        if self.drift:
            sentences = tuple(f"{each.class_.value}: {text}" for each in self.drift for text in drift_details(each))
            facts = {"drift": [each.to_json() for each in self.drift]}
            yield Part("drift", "Changed at the target, as the last full resync found it", sentences, facts)

    def _outcomes(self) -> Iterator[Part]:
        if self.outcomes:
            sentences = tuple(
                f"{spoken(each.at)}, run {each.run}: {each.outcome.change.action.label} {_result(each)}"
                for each in self.outcomes
            )
            yield Part("outcomes", "Last outcomes", sentences, {"outcomes": [each.to_json() for each in self.outcomes]})


def _doing_what(change: Change) -> str:
    """Return a change as the subject of a sentence, with the attributes that it is about."""
    if not change.action.alters or change.action.ends:
        return doing(change)
    return f"{doing(change)} ({', '.join(map(label, change.after))})"


def _is_of_members(change: Change) -> bool:
    return change.action.of_members


def _concerns(change: Change, kind: Kind, key: str) -> bool:
    if change.action.about_user is (kind is Kind.USER) and change.key == key:
        return True
    return _is_of_members(change) and key in (change.members if kind is Kind.USER else change.subgroups)


def _hold(hold: Hold, now: datetime) -> str:
    """Return the state of a held change, as the rest of a sentence."""
    match hold.decision:
        case Decision.REJECTED:
            return f"was rejected by {hold.by}" + (f" on {spoken(hold.decided)}" if hold.decided else "")
        case Decision.APPROVED if hold.expires is None or hold.expires > now:
            until = f" (until {spoken(hold.expires)})" if hold.expires else ""
            return f"was approved by {hold.by}{until}: the next run does it"
        case Decision.APPROVED:
            return f"is held ({in_words(hold.reason)}); the approval by {hold.by} has expired"
        case _:
            return f"{'is in quarantine' if hold.limit == QUARANTINE else 'is held'} ({in_words(hold.reason)})"


def _held(hold: Hold, awaited: Sequence[Hold], now: datetime) -> str:
    """Return a sentence with the held change, the time since when it is held, and the way to approve it."""
    change = hold.change
    what = f"{hold.id[:_ID_SHOWN]}: {change.action.of(change.name)}, since {spoken(hold.since)}"
    sentence = f"{what}: {_hold(hold, now)}"
    if hold.limit in NEVER_RELEASED:
        return f"{sentence}; no approval releases that"
    if awaited:
        ids = " ".join(each.id[:_ID_SHOWN] for each in awaited[:_AWAITED_SHOWN])
        more = f" and {len(awaited) - _AWAITED_SHOWN} more" if len(awaited) > _AWAITED_SHOWN else ""
        return f"{sentence}; it waits until {ids}{more} {'is' if len(awaited) == 1 else 'are'} approved as well"
    return sentence if hold.decision else f"{sentence}; `syncd approve {hold.id[:_ID_SHOWN]}` {on_approval(hold.limit)}"


def _result(past: PastOutcome) -> str:
    outcome = past.outcome
    status = f" {outcome.status}" if outcome.status else ""
    detail = f": {outcome.detail}" if outcome.detail else ""
    return f"{outcome.result.value}{status}{detail}"


def _failure(past: PastOutcome) -> str:
    outcome = past.outcome
    detail = ": ".join(filter(None, (str(outcome.status or ""), outcome.detail)))
    because = f" with {detail}" if outcome.status else f": {detail}" if detail else ""
    verb = {
        Result.FAILED: "failed",
        Result.INEFFECTIVE: "had no effect",
        Result.SKIPPED: "was skipped",
        Result.REFUSED: "was refused",
    }[outcome.result]
    return f"{verb} in run {past.run}{because}"
