"""Which integration answers, where two of them have one address and the token alone decides (Lucid).

The groups there tell, or nothing does: no token is refused on a guess.

#  the groups that are listed                                                    -> the token
#  include one that this target manages, by the profile that is recorded            is not the other integration's
#  include one that a target of the other integration manages                       is the other integration's
#  include one with a group in it, where groups of this kind contain none           is the other integration's
#  have people in two of them, where people are in one group of this kind at most   is the other integration's
#  otherwise                                                                        tells nothing
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Final

from syncd.core.model import Kind
from syncd.core.place import GROUPS, USERS, Tally
from syncd.core.room import ANY_NUMBER, Room
from syncd.errors import ScimError, TargetElsewhere
from syncd.scim.client import ENDPOINTS, Body, Client
from syncd.scim.listing import Listing
from syncd.scim.profiles import PROFILES, Profile
from syncd.scim.resources import field as member
from syncd.store import Snapshot, StateFile

_EVERYBODY: Final = 0.9
"""From this share of all members on, a group may be the account's default group, which people are in beside another."""


@dataclass(frozen=True, slots=True)
class ListedGroup:
    """A group as a list shows it."""

    id: str
    name: str
    members: Collection[str] = ()
    """Ids of users and groups; none where the list shows no members."""

    @classmethod
    def of(cls, body: Body) -> ListedGroup:
        """Read a group of any form."""
        members = member(body, "members")
        values = [member(each, "value") for each in members] if isinstance(members, list) else []
        id_, name = member(body, "id"), member(body, "displayName")
        return cls(str(id_ or ""), str(name or ""), frozenset(each for each in values if isinstance(each, str)))


@dataclass(frozen=True)
class Integration:
    """The integration that a target's profile names, and what tells it from the other one at the same address."""

    profile: Profile
    room: Room = ANY_NUMBER
    """Which groups people may be in beside another."""
    others: Mapping[str, str] | None = None
    """By the id of each group that a target of the other integration manages, that target's name."""
    same_token: Collection[str] = ()
    """The targets of the other integration that have the same token."""

    def demand(self, target: str, groups: Sequence[ListedGroup], snapshot: Snapshot, reasons: Collection[str]) -> None:
        """Raise TargetElsewhere where the listed groups show that the token is the other integration's.

        `reasons`: why the target may have become another place. The kinds of groups count for a target that never had
        a group only on its first run, and where it may have become another place.
        """
        linked = {known.id for known in snapshot.groups().values() if not known.lost}
        recorded = snapshot.place
        if any(group.id in linked for group in groups) and not (recorded and recorded.profile == self.profile.sibling):
            return
        if found := self._of_other_target(target, groups):
            raise self._wrong(target, found)
        if not linked and not reasons and not snapshot.is_empty:
            return
        if found := self._with_subgroup(groups) or self._with_people_in_two(groups):
            apart = ", or name the group that everybody is in (`default_group`)" if self.room.one_group else ""
            nevertheless = f'[target.profile_overrides] sibling = ""{apart}'
            raise self._wrong(target, found, f"; if the token is the right one nevertheless, say so by {nevertheless}")

    async def look(self, client: Client, snapshot: Snapshot, reasons: Collection[str]) -> None:
        """List the groups there, and demand that they are no other integration's.

        Raises TargetElsewhere, TargetError. A list that can't be read tells nothing.
        """
        groups: list[ListedGroup] = []
        try:
            async for page in Listing(client.transport, ENDPOINTS[Kind.GROUP], self.profile).pages():
                groups += map(ListedGroup.of, page)
        except ScimError:
            return
        self.demand(client.transport.name, groups, snapshot, reasons)

    def _of_other_target(self, target: str, groups: Iterable[ListedGroup]) -> str:
        """Return the evidence. Raises TargetElsewhere where both targets have the token: nobody knows whose it is."""
        for group in groups:
            other = (self.others or {}).get(group.id)
            if other in self.same_token:
                raise TargetElsewhere(
                    target,
                    f"has the same token as the target {other}, which manages `{group.name}` there; the token alone "
                    "decides which integration answers, so one of the two is wrong: nothing was written",
                    hint=f"give the profile {self.profile.name} {_right_token(self.profile)}, and the profile "
                    f"{self.profile.sibling} {_right_token(_other(self.profile))}",
                )
            if other is not None:
                return f"`{group.name}` is managed by the target {other}"
        return ""

    def _with_subgroup(self, groups: Sequence[ListedGroup]) -> str:
        if self.profile.subgroups or not _other(self.profile).subgroups:
            return ""
        ids = {group.id for group in groups}
        return next((f"`{group.name}` contains a group" for group in groups if not ids.isdisjoint(group.members)), "")

    def _with_people_in_two(self, groups: Sequence[ListedGroup]) -> str:
        if not self.profile.one_group_per_user or _other(self.profile).one_group_per_user:
            return ""
        ids = {group.id for group in groups}
        everybody = {each for group in groups for each in group.members} - ids
        group_of: dict[str, str] = {}
        for group in groups:
            people = set(group.members) - ids
            if len(people) >= _EVERYBODY * len(everybody) or self.room.is_shared(group.name):
                continue
            if (both := next((group_of[each] for each in sorted(people) if each in group_of), None)) is not None:
                return f"`{both}` and `{group.name}` have people in common"
            group_of |= dict.fromkeys(people, group.name)
        return ""

    def _wrong(self, target: str, found: str, way_out: str = "") -> TargetElsewhere:
        other, own = _other(self.profile), self.profile
        right = _right_token(own)
        kind = f", whose groups are {own.group_kind}" if own.group_kind else ""
        return TargetElsewhere(
            target,
            f"this token answers for {other.integration}: its groups are {other.group_kind} ({found}); the profile "
            f"{own.name} wants {right}{kind}: nothing was written",
            hint=f'enter {right}, or set profile = "{other.name}"{way_out}',
        )


def likely_cause(profile: Profile, tallies: Iterable[Tally]) -> str:
    """Return the likely cause, as a clause, where users are there and groups aren't; "" where there is none.

    The two integrations have the users in common, and no groups.
    """
    there = {each.what: each for each in tallies}
    users, groups = there.get(USERS), there.get(GROUPS)
    if not profile.sibling or users is None or groups is None:
        return ""
    if not users.ours or groups.ours or not groups.missing:
        return ""
    other = _other(profile)
    return (
        f"the users are there, and the groups are not: the token is probably that of {other.integration}, whose "
        f"groups are {other.group_kind}; the profile {profile.name} wants {_right_token(profile)}"
    )


def groups_of(state: StateFile, targets: Iterable[str]) -> dict[str, str]:
    """Return by id the groups that some targets manage, with the target's name."""
    return {known.id: name for name in targets for known in state.snapshot(name).groups().values() if not known.lost}


def _right_token(profile: Profile) -> str:
    return f"the token of {profile.integration}" if profile.integration else "another token"


def _other(profile: Profile) -> Profile:
    return PROFILES[profile.sibling]


__all__ = ["Integration", "ListedGroup", "groups_of", "likely_cause"]
