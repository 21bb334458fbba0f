"""Accounts and groups that carry a mark which nobody in the source has, at a target of which nothing was known.

After the loss of a state file they may be syncd's own, of people who have left since; or another system's. Nothing here
tells the two apart: they are named once, and never written to.
"""

from __future__ import annotations

from collections.abc import Collection, Container, Iterable
from typing import Final

from syncd.compare.comparison import Comparison
from syncd.core.plan import Trouble

_NAMED: Final = 5


def nothing_was_known(comparison: Comparison) -> bool:
    """Return whether this is the first reading of a target since its state file began."""
    snapshot = comparison.snapshot
    return comparison.observation is not None and snapshot.read_by is None and snapshot.is_empty


def unclaimed_accounts(comparison: Comparison, claimed: Container[str], unusable: Collection[str]) -> list[Trouble]:
    """Return the problem of the active accounts with a mark of nobody in the source.

    `claimed`: ids of accounts that some entry of the source was matched with. `unusable`: keys of faulty entries.
    """
    if comparison.observation is None or not nothing_was_known(comparison):
        return []
    names = [
        user.name
        for user in comparison.observation.marked_users()
        if user.active and user.id not in claimed and user.external_id not in unusable
    ]
    if not names:
        return []
    what = "account that can get in carries" if len(names) == 1 else "accounts that can get in carry"
    problem = (
        f"{len(names)} {what} an externalId that nobody in the source has ({_some(names)}), and nothing is known of "
        "them here: they may be another system's, and are left alone; if syncd made them before its state file was "
        "lost, their people have left: switch them off at the target"
    )
    return [Trouble("", problem, comparison.target.name, "target")]


def unclaimed_groups(comparison: Comparison, claimed: Container[str]) -> list[Trouble]:
    """Return the problem of the groups with a mark of no group that the target is to have."""
    if comparison.observation is None or not nothing_was_known(comparison):
        return []
    names = [group.name for group in comparison.observation.marked_groups() if group.id not in claimed]
    if not names:
        return []
    what = "group carries" if len(names) == 1 else "groups carry"
    problem = (
        f"{len(names)} {what} an externalId that no group has which this target is to get ({_some(names)}): left "
        "alone; if syncd made them before its state file was lost, delete them at the target"
    )
    return [Trouble("", problem, comparison.target.name, "target")]


def _some(names: Iterable[str]) -> str:
    listed = sorted(names)
    more = f" and {len(listed) - _NAMED} more" if len(listed) > _NAMED else ""
    return f"{', '.join(listed[:_NAMED])}{more}"
