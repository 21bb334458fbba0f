"""One comparison from top to bottom: one reading of the source against the snapshot of each target.

```
 source ──pull──> people ──> absence ──> addresses ──> managers ──> groups ──> Differences ──> plan.py
```

Owns the order of the steps. Each step is a module of its own, and is given what the steps before it returned.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator, Mapping, Sequence
from dataclasses import replace
from itertools import islice
from typing import Final, TypeVar

from syncd.compare.absence import deletions, judge_absence, worth_asking
from syncd.compare.addresses import settle_claims
from syncd.compare.comparison import Comparison, Differences, SourceReading
from syncd.compare.groups import compare_groups, unread_groups
from syncd.compare.managers import with_managers
from syncd.compare.people import People
from syncd.compare.snapshot_updates import SnapshotUpdates
from syncd.compare.unclaimed import unclaimed_accounts
from syncd.core.model import GroupEntry, Kind, Problem, Pull
from syncd.core.plan import Change

_BATCH: Final = 1000
_Item = TypeVar("_Item")


def compare(
    pull: Pull, comparisons: Sequence[Comparison], pulled: Callable[[int], None] = lambda _: None
) -> list[Differences]:
    """Read the source once, to its end, and return what differs for each target, in the order given.

    `pulled` is told how many people were read so far. Raises SourceError: then nothing may be planned.
    """
    everybody = [People(each) for each in comparisons]
    count = 0
    for batch in _batches(pull.users()):
        for people in everybody:
            people.compare(batch)
        count += len(batch)
        pulled(count)
    reading = _finish(pull, comparisons, everybody)
    return [_differences(*each, reading) for each in zip(comparisons, everybody, strict=True)]


def _finish(pull: Pull, comparisons: Sequence[Comparison], everybody: Sequence[People]) -> SourceReading:
    """Read the groups, prove that the reading is complete, and ask the source for everything that was not seen."""
    groups: dict[str, GroupEntry] = {}
    problems: list[Problem] = []
    for item in pull.groups():
        if isinstance(item, Problem):
            problems.append(item)
        else:
            groups[item.key] = item
    evidence = pull.evidence()
    unseen: dict[Kind, set[str]] = {kind: set() for kind in Kind}
    for comparison, people in zip(comparisons, everybody, strict=True):
        unseen[Kind.USER].update(worth_asking(comparison.snapshot.unseen(people.digests.seen), comparison.due))
        unseen[Kind.GROUP].update(unread_groups(comparison.known_groups, groups))
    found = {
        kind: pull.look_up(sorted(keys), kind) if keys and evidence.absence else {} for kind, keys in unseen.items()
    }
    return SourceReading(groups, problems, evidence, found)


def _differences(comparison: Comparison, people: People, reading: SourceReading) -> Differences:
    """Return what follows for one target, once everybody has been seen."""
    snapshot, draft, accounts = comparison.snapshot, people.draft, people.accounts
    for problem in reading.problems:
        people.report(problem)
    # Nobody is gone without proof; an account that was switched off for long enough may be deleted.
    absence = judge_absence(
        snapshot.unseen(people.digests.seen),
        reading.evidence,
        reading.found[Kind.USER],
        comparison.due,
        comparison.target.pending,
        comparison.source.users.ownership,
        comparison.now,
    )
    draft.changes |= absence.changes
    deleted = deletions(comparison.due, (draft.changes, people.unusable, absence.unproven))
    draft.changes |= deleted
    for key in deleted:
        accounts.discard(key)
    # An address belongs to one person; a manager is named once there is an account.
    clashes = settle_claims(people.claims, snapshot, absence, draft, accounts, comparison.source.users.ownership)
    changes = [
        change
        for each in draft.changes.values()
        for change in with_managers(each, accounts, snapshot, people.adoption.owner)
    ]
    unusable = people.unusable | {problem.key for problem in people.problems}
    unclaimed = unclaimed_accounts(comparison, people.adoption.claimed, unusable)
    # Groups come last: only people with an account can be in them.
    groups = compare_groups(comparison, reading, accounts, absence.gone, people.adoption.adopted)
    return Differences(
        changes=[_with_groups(change, groups.found_in) for change in changes + groups.changes],
        doubts=draft.doubts,
        group_doubts=groups.doubts,
        missing=absence.missing.since,
        missing_groups=groups.missing.since,
        problems=[*people.problems, *absence.problems, *clashes, *groups.problems, *unclaimed],
        evidence=reading.evidence,
        kept=draft.kept,
        crowded=groups.crowded,
        snapshot_updates=SnapshotUpdates(
            digests=draft.digests,
            missing=absence.missing.new,
            missing_groups=groups.missing.new,
            back=people.digests.back,
            back_groups=groups.back,
            forgotten=draft.forgotten + absence.forgotten,
            forgotten_groups=groups.forgotten,
            entries=True,
        ),
    )


def _with_groups(change: Change, found_in: Mapping[tuple[Kind, str], Sequence[str]]) -> Change:
    """Return an adoption with the linked groups that its resource was found in; any other change as it is."""
    groups = found_in.get((change.action.kind, change.key)) if change.action.adopts else None
    return replace(change, found_in=tuple(sorted(groups))) if groups else change


def _batches(items: Iterable[_Item]) -> Iterator[list[_Item]]:
    remaining = iter(items)
    while batch := list(islice(remaining, _BATCH)):
        yield batch
