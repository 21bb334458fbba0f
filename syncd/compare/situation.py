"""The facts that policy needs beside the changes: managed, missing, doubtful, protected and decided resources."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from typing import Final

from syncd.compare.comparison import Comparison, Differences
from syncd.compare.decisions import Decisions
from syncd.compare.preparing import accounts_to_delete
from syncd.compare.protection import protection
from syncd.core.limits import BEFORE_DELETE, CONTENT_MOVES, MOVES_CONTENT
from syncd.core.matching import Doubt
from syncd.core.model import Evidence, Kind
from syncd.core.plan import Action, Change
from syncd.core.policy import DEFAULT_LIMITS, EMPTY_SOURCE, Class, Situation

SHRUNK_SOURCE: Final = "shrunk_source"
_ENOUGH_TO_JUDGE: Final = 20
"""From this many people or memberships on, a reading with less than half of the last count is not believed."""


def situation(comparison: Comparison, differences: Differences, changes: Sequence[Change]) -> Situation:
    """Return the facts that policy needs about these changes of one target."""
    snapshot, decisions, managed = comparison.snapshot, comparison.decisions, comparison.managed
    members_of = {
        change.key: snapshot.members(change.key)[0] for change in changes if change.action is Action.DELETE_GROUP
    }
    doubts, declined = _earlier(changes, decisions)
    return Situation(
        now=comparison.now,
        managed_users=managed,
        managed_groups=len(comparison.known_groups),
        missing=differences.missing,
        missing_groups=differences.missing_groups,
        doubts={**doubts[Kind.USER], **differences.doubts},
        group_doubts={**doubts[Kind.GROUP], **differences.group_doubts},
        protected=_protected(changes, comparison),
        absences=_absences(differences.evidence, snapshot.source_counts, managed),
        quarantined={**decisions.quarantined, **_refused(changes, decisions)},
        unprepared=_unprepared(changes, comparison),
        approved=decisions.approved,
        approved_for=decisions.approved_for,
        rejected={**decisions.rejected, **declined},
        groups_of=_groups_of(changes, members_of, comparison),
        members_of=members_of,
        room=comparison.target.room,
        crowded=differences.crowded,
    )


def _earlier(changes: Iterable[Change], decisions: Decisions) -> tuple[dict[Kind, dict[str, Doubt]], dict[str, str]]:
    """Return the doubts and rejections of adoptions that this run would replace by creations.

    The doubts are by kind and key; the rejections by the id of the change.
    """
    doubts: dict[Kind, dict[str, Doubt]] = {kind: {} for kind in Kind}
    declined: dict[str, str] = {}
    if not decisions.declined and not decisions.doubted:
        return doubts, declined
    for change in changes:
        if not change.action.creates:
            continue
        kind, key = change.action.kind, change.key
        if (doubt := decisions.doubted.get((kind, key))) is not None:
            doubts[kind][key] = doubt
        if (rejection := decisions.declined.get((kind, key))) is not None:
            declined[change.id] = rejection
    return doubts, declined


def _refused(changes: Iterable[Change], decisions: Decisions) -> dict[str, str]:
    """Return by id why creations wait: each would replace an adoption that the target refused."""
    if not decisions.refused:
        return {}
    creations = [(change.id, (change.action.kind, change.key)) for change in changes if change.action.creates]
    return {id_: decisions.refused[subject] for id_, subject in creations if subject in decisions.refused}


def _protected(changes: Iterable[Change], comparison: Comparison) -> dict[str, str]:
    """Return the people who are never switched off, with the reason, among those whom a change would shut out."""
    snapshot, protect = comparison.snapshot, comparison.target.protect
    if not snapshot.discovery.get("protected") and not protect:
        return {}
    known = snapshot.users([change.key for change in changes if change.shuts_out])
    reasons = {key: protection(protect, snapshot, key, user.id, user) for key, user in known.items()}
    return {key: reason for key, reason in reasons.items() if reason}


def _unprepared(changes: Iterable[Change], comparison: Comparison) -> dict[str, Doubt]:
    """Return by key of a user why a deletion waits for what must come first, or for a person where nothing does.

    #  before_delete   it failed, and is not due   the profile's content moves   -> the deletion
    #  named           yes                         any                              waits
    #  named           no                          any                              may be tried
    #  not named       -                           yes                              a person decides
    #  not named       -                           no                               may be done
    """
    target = comparison.target
    if target.before_delete is None and not target.profile.delete_moves_content:
        return {}
    found: dict[str, Doubt] = {}
    for key, known in accounts_to_delete(changes, comparison.snapshot).items():
        if target.before_delete is None:
            found[key] = Doubt(MOVES_CONTENT, CONTENT_MOVES)
        elif (failed := comparison.decisions.unprepared.get(key)) is not None and failed.is_for(known):
            found[key] = Doubt(BEFORE_DELETE, failed.said)
    return found


def _absences(evidence: Evidence, last: Mapping[str, int], managed: int) -> dict[Kind, Doubt]:
    """Return why no absence is believed: the source is empty, or much smaller than last time.

    `last`: the counts of the last believed reading.
    """
    found = {}
    if evidence.users == 0 and managed:
        found[Kind.USER] = Doubt(EMPTY_SOURCE, f"{evidence.source} holds nobody at all: nothing is taken away")
    elif _halved(evidence.users, last.get("users", 0)):
        reason = f"{evidence.source} holds {evidence.users} people, the last time {last['users']}: less than half"
        found[Kind.USER] = Doubt(SHRUNK_SOURCE, reason)
    for what, count in (("groups", evidence.groups), ("memberships", evidence.memberships)):
        if _halved(count, last.get(what, 0)):
            reason = f"{evidence.source} holds {count} {what}, the last time {last[what]}: less than half"
            found[Kind.GROUP] = Doubt(SHRUNK_SOURCE, reason)
    return found


def _halved(now: int, before: int) -> bool:
    return before >= _ENOUGH_TO_JUDGE and now * 2 < before


def _groups_of(
    changes: Iterable[Change], members_of: Mapping[str, Collection[str]], comparison: Comparison
) -> dict[str, int]:
    """Return the number of groups of each person who leaves some, where these people are enough to matter."""
    leaving: set[str] = set().union(*members_of.values())
    people: set[str] = set()
    for change in changes:
        if change.action is Action.REMOVE_MEMBERS:
            leaving.update(change.members)
        elif change.action is Action.DEACTIVATE_USER:
            people.add(change.key)
    limit = comparison.target.policy.limits.get(Class.DEACTIVATE, DEFAULT_LIMITS[Class.DEACTIVATE])
    if not leaving or not limit.exceeded(len(leaving | people), comparison.managed):
        return {}
    return comparison.snapshot.groups_of(sorted(leaving))
