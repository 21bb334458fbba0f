"""What comes before the deletion of an account: which deletions it concerns, and the words of it in a plan."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import replace

from syncd.compare.comparison import Comparison
from syncd.core.limits import BEFORE_DELETE
from syncd.core.model import Known, State
from syncd.core.plan import Action, Change
from syncd.store import Snapshot


def has_content(known: Known) -> bool:
    """Return whether an account may have content: an invitation that nobody has accepted has none.

    Withdrawing it takes access away, and waits for nothing.
    """
    return known.state is not State.PENDING or known.accepted


def accounts_to_delete(changes: Iterable[Change], snapshot: Snapshot) -> dict[str, Known]:
    """Return by key the accounts that would be deleted, and may have content."""
    keys = [change.key for change in changes if change.action is Action.DELETE_USER]
    return {key: known for key, known in snapshot.users(keys).items() if has_content(known)} if keys else {}


def with_what_comes_first(changes: Sequence[Change], comparison: Comparison) -> Sequence[Change]:
    """Return the changes, each deletion with what must succeed first; not where a person approved it without."""
    words = comparison.target.before_delete
    if words is None:
        return changes
    concerned = accounts_to_delete(changes, comparison.snapshot)
    if not concerned:
        return changes
    without = {id_ for id_, reason in comparison.decisions.approved_for.items() if reason == BEFORE_DELETE}
    first = words()
    return [
        replace(change, first=first)
        if change.action is Action.DELETE_USER and change.key in concerned and change.id not in without
        else change
        for change in changes
    ]


__all__ = ["accounts_to_delete", "has_content", "with_what_comes_first"]
