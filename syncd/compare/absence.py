"""The second step: users whom the source didn't return. Nobody is gone without proof.

Owns the proof of absence, and the deletions that are due; how long a grace lasts is policy's.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime

from syncd.core.diff import PendingRule, user_changes
from syncd.core.model import Desired, Evidence, Known, KnownGroup, State
from syncd.core.ownership import Ownership
from syncd.core.plan import Action, Change, Trouble


@dataclass
class Missing:
    """Since when keys are missing: the grace counts from then."""

    now: datetime
    since: dict[str, datetime] = field(default_factory=dict)
    new: dict[str, datetime] = field(default_factory=dict)
    """Keys that are missing for the first time."""

    def note(self, known: Known | KnownGroup) -> None:
        """Note that a key is missing."""
        self.since[known.key] = known.missing_since or self.now
        if known.missing_since is None:
            self.new[known.key] = self.now


@dataclass(frozen=True)
class Absence:
    """The consequences of users' absence, by key."""

    missing: Missing
    gone: set[str] = field(default_factory=set)
    """Users whose absence is proven."""
    unproven: set[str] = field(default_factory=set)
    """Users who were not seen, and may be there all the same."""
    moved: set[str] = field(default_factory=set)
    """Users whose entry is there, and no longer among the people that the source returns."""
    changes: dict[str, list[Change]] = field(default_factory=dict)
    forgotten: list[str] = field(default_factory=list)
    """Users who are neither in the source nor at the target any more."""
    problems: list[Trouble] = field(default_factory=list)


def worth_asking(unseen: Iterable[Known], due: Collection[str]) -> list[str]:
    """Return the keys that the source is asked for directly: of users whose absence would change something.

    `unseen`: the managed users who were not seen. `due`: keys of users who are to be deleted.
    """
    return [
        known.key
        for known in unseen
        if not known.lost
        and (
            known.state is not State.DEACTIVATED
            or known.attributes.get("active") is not False  # switched on again at the target
            or known.key in due
        )
    ]


def judge_absence(
    unseen: Iterable[Known],
    evidence: Evidence,
    found: Mapping[str, bool | None],
    due: Collection[str],
    pending: PendingRule,
    owned: Ownership,
    now: datetime,
) -> Absence:
    """Return what follows for the managed users who were not seen.

    `found` holds the source's answers by key. A key without an answer counts as absent from the source.

    #  absence means something   answer        -> result
    #  no                        -                unproven: nothing follows
    #  yes                       can't say        unproven: nothing follows
    #  yes                       there            moved: as somebody out of scope, at once
    #  yes                       not there        gone: missing since now or longer, subject to the grace
    """
    result = Absence(Missing(now))
    unread = 0
    for known in unseen:
        # An entry without a readable key may be anybody's.
        if not evidence.absence:
            unread += known.state is not State.DEACTIVATED
            result.unproven.add(known.key)
            continue
        there = found.get(known.key, False)
        # The source refuses to say, or a faulty row may belong to this key.
        if there is None:
            result.unproven.add(known.key)
            continue
        desired = None
        if there:
            reason = "the source has the entry, and no longer among the people it returns (moved, or filtered out)"
            desired = Desired(known.key, "", State.DEACTIVATED, {}, reason)
            result.moved.add(known.key)
        else:
            result.gone.add(known.key)
        following = user_changes(desired, known, pending, "", (), owned)
        if following.forget:
            result.forgotten.append(known.key)
        if following.changes:
            result.changes[known.key] = following.changes
        # A deletion that is due follows from the absence as well, and is subject to the same grace.
        if not there and (following.changes or known.key in due):
            result.missing.note(known)
    if unread:
        doubt = "were not seen, but an entry without a readable key was: nobody counts as gone"
        result.problems.append(Trouble("", f"{unread} managed people {doubt}", evidence.source))
    if evidence.absence and result.unproven:
        doubt = "were not seen, and the source doesn't say whether they are there: none of them counts as gone"
        some = ", ".join(sorted(result.unproven)[:3])
        result.problems.append(Trouble("", f"{len(result.unproven)} managed people ({some}) {doubt}", evidence.source))
    return result


def deletions(due: Mapping[str, Known], spared: Sequence[Container[str]]) -> dict[str, list[Change]]:
    """Return the deletions, by key, of users who have been deactivated for longer than `delete_after`.

    `spared`: keys of users who have another change, or about whom too little is known.
    """
    return {
        key: [
            Change(
                Action.DELETE_USER,
                key,
                known.name,
                dict(known.attributes),
                {},
                f"switched off since {known.since:%Y-%m-%d}, and delete_after is over",
            )
        ]
        for key, known in due.items()
        if not any(key in each for each in spared)
    }
