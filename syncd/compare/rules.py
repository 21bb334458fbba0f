"""The synchronization rules of a comparison: how a source's entries are read, and which of them a target gets.

Values alone, made from the configuration by `settings/build/`. Decisions by these rules are in the steps that
take them. (`core/rules.py` holds the conditions, in CEL, of which some of these rules consist.)
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from datetime import timedelta
from functools import cached_property

from syncd.core.diff import PendingRule
from syncd.core.digest import fingerprint
from syncd.core.drift import Reactions
from syncd.core.groups import Nesting
from syncd.core.mapping import GroupMapping, Selection, UserMapping
from syncd.core.model import Json
from syncd.core.ownership import Ownership
from syncd.core.policy import Policy
from syncd.core.room import Room
from syncd.core.rules import Rule
from syncd.scim.profiles import Profile


@dataclass(frozen=True)
class SourceRules:
    """Rules of reading the source's entries, the same for every target."""

    users: UserMapping
    groups: GroupMapping
    active: Rule | None
    nesting: Nesting


@dataclass(frozen=True)
class TargetRules:
    """One target's part of the configuration: which people and groups the target gets, and how.

    Fourteen fields, for the configuration has as many independent keys: each field is one of them (`selection` and
    `policy` are several), and no step needs more than a few. `scheme` and `group_scheme` stand for the others.
    """

    name: str
    profile: Profile
    selection: Selection
    policy: Policy
    rate: float
    """Requests per second."""
    scheme: Json
    """Everything that decides how an entry is mapped."""
    group_scheme: Json
    """Everything that decides how a group and its members are mapped."""
    drift: Reactions = field(default_factory=Reactions)
    protect: frozenset[str] = frozenset()
    """Keys, userNames and e-mails, folded, of people who are never switched off."""
    adopt_groups: bool = False
    """Whether a native group of the same name is taken over."""
    overlapping_groups: tuple[str, ...] = ()
    """Patterns of groups that may share people with others, where a user can be in one group at most."""
    before_delete: Callable[[], str] | None = None
    """The words for what must succeed before an account is deleted; None: nothing is named."""
    default_group: str = ""
    """The name of the account's default group, which everybody may be in beside their own; "" where none is named."""
    delete_after: timedelta | None = None
    """How long a deactivated account is kept; None: for ever."""

    @cached_property
    def mapping_fingerprint(self) -> bytes:
        """Key of the entries' digests: 16 bytes that differ as soon as an entry may be mapped differently."""
        return fingerprint(self.scheme)

    @cached_property
    def room(self) -> Room:
        """The room that the target has for a person."""
        return Room(self.profile.one_group_per_user, self.default_group, self.overlapping_groups)

    def owned_of_groups(self, mapping: GroupMapping) -> Ownership:
        """Return how far the source decides about groups, where the endpoint may have no externalId of theirs."""
        return mapping.ownership if self.profile.group_external_id else mapping.ownership.without("externalId")

    @property
    def deletes(self) -> bool:
        """Whether a DELETE at this endpoint deletes."""
        return self.profile.deletes == "deletes"

    @property
    def recognizes_integration(self) -> bool:
        """Whether the token may be that of another integration, whose groups are others: groups are pushed."""
        return bool(self.profile.sibling) and self.selection.groups != ()

    @cached_property
    def pending(self) -> PendingRule:
        """The treatment of invitations: never withdrawn by a DELETE that doesn't delete."""
        return PendingRule(self.profile.pending_by_endpoint, self.profile.withdrawn_by_delete and self.deletes)

    def plan_mark(self, source: bytes, serial: int) -> bytes:
        """Return bytes that stand for a source, these rules and a snapshot: while they are the same, so is every plan.

        `source`: the source's mark. `serial`: the snapshot's.
        """
        profile = repr(self.profile)
        return fingerprint([source.hex(), self.scheme, self.group_scheme, profile, repr(self.room), serial])
