"""Decisions about changes, as input of one comparison: approvals, rejections, and quarantined changes."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from syncd.core.matching import Doubt
from syncd.core.model import Kind
from syncd.store import Preparation


@dataclass(frozen=True)
class Decisions:
    """Decisions by the ids of changes; by kind and key where the change itself can't be known."""

    approved: frozenset[str] = frozenset()
    rejected: Mapping[str, str] = field(default_factory=dict)
    """With the person who rejected the change, and when."""
    quarantined: Mapping[str, str] = field(default_factory=dict)
    """Quarantined changes, with the reason."""
    doubted: Mapping[tuple[Kind, str], Doubt] = field(default_factory=dict)
    """Creations and adoptions that a full resync held: a run that doesn't read the target can't see why, and waits."""
    declined: Mapping[tuple[Kind, str], str] = field(default_factory=dict)
    """Adoptions that a person rejected: a run that doesn't read the target must not create the account instead."""
    refused: Mapping[tuple[Kind, str], str] = field(default_factory=dict)
    """Quarantined adoptions, with the reason: a run that doesn't read the target must not create instead."""
    approved_for: Mapping[str, str] = field(default_factory=dict)
    """By the id of an approved change, the reason for which it was held then."""
    unprepared: Mapping[str, Preparation] = field(default_factory=dict)
    """By key of a user, the calls of `before_delete` that failed and are not repeated yet."""
    undecided: frozenset[str] = frozenset()
    """Keys of users with a held change: their entries are kept even where nothing differs any more."""
    approvals: Mapping[str, str] = field(default_factory=dict)
    """With the person who approved the change, and when: the record of the run keeps both."""
