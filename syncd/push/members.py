"""Members: changes of the members of groups; `membership.py` does each of them.

Each chunk is recorded when its effect is known, not at the end of the change: an interrupted change continues with the
remaining members.
"""

from __future__ import annotations

import sys
from collections.abc import Iterable, Sequence, Set

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, KnownGroup
from syncd.core.plan import Change, Result
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.effects import NAMED
from syncd.push.gate import Gate, Link
from syncd.push.membership import Fit, Member, Membership, Tools, acknowledge_members, ids_of
from syncd.push.outcomes import Done, remarks
from syncd.push.preconditions import linked_group
from syncd.push.refusal import Refusal
from syncd.push.sending import Sending
from syncd.scim.profiles import Profile
from syncd.store import Commits, Snapshot


class Members:
    """Changes the members of groups at one target."""

    def __init__(
        self,
        gate: Gate,
        sending: Sending,
        commits: Commits,
        snapshot: Snapshot,
        profile: Profile,
        unmade: Set[str],
    ) -> None:
        """`unmade`: keys of the groups whose creation did not succeed in this run, as far as it got."""
        self._gate = gate
        self._snapshot = snapshot
        self._profile = profile
        self._unmade = unmade
        self._tools = Tools(gate, sending, commits, snapshot, profile, Fit(sys.maxsize))

    async def change(self, change: Change) -> Done:
        """Change a group's members that are not yet as desired."""
        link, group = linked_group(self._gate, self._snapshot, self._unmade, change)
        wanted = members_to_change(self._snapshot, change)
        if not wanted:
            raise Refusal(Result.REFUSED, "the members are as they should be already")
        ids = ids_of(self._snapshot, wanted)
        left = [key for kind, key in wanted if (kind, key) not in ids]
        if len(left) == len(wanted):
            who = (
                f"none of the {len(left)} members has an account" if len(left) > 1 else "the only member has no account"
            )
            raise Refusal(Result.SKIPPED, who)
        part = self._membership(link, group, wanted, adding=change.action.adds)
        try:
            await part.carry_out()
        except OutcomeUnclear:
            raise
        except ScimError as error:
            if not part.reached:
                raise
            return Done(error.status, failure=error)
        have = "have" if len(left) > 1 else "has"
        without = f"without {len(left)} who {have} no account yet ({', '.join(left[:NAMED])})" if left else ""
        return Done(part.status, remarks(without, part.remark), finished=not left)

    async def put_back(self, group: str, people: Sequence[str]) -> None:
        """Add people who are back to a group that they are gone from. Raises Refusal, Lost, ScimError."""
        link, known = self._gate.linked(Kind.GROUP, group), self._snapshot.group(group)
        there, _ = self._snapshot.members(group)
        if known is not None and (wanted := [(Kind.USER, key) for key in people if key not in there]):
            await self._membership(link, known, wanted, adding=True).carry_out()

    async def before_deletion(self, link: Link, group: KnownGroup) -> None:
        """Remove everybody from a group that is about to be deleted, where the endpoint demands it."""
        if self._profile.group_emptied_first:
            users, groups = self._snapshot.members(group.key)
            everybody = [(Kind.USER, key) for key in sorted(users)] + [(Kind.GROUP, key) for key in sorted(groups)]
            await self._membership(link, group, everybody, adding=False).carry_out()

    def _membership(self, link: Link, group: KnownGroup, wanted: Sequence[Member], *, adding: bool) -> Membership:
        """Return the change of the members that have accounts."""
        members = {id_: member for member, id_ in ids_of(self._snapshot, wanted).items()}
        has_members = group.members_digest != NO_MEMBERS
        return Membership(self._tools, link, group.key, members, has_members=has_members, adding=adding)


def members_to_change(snapshot: Snapshot, change: Change) -> list[Member]:
    """Return the members of a change that are not yet as desired."""
    users, groups = snapshot.members(change.key)
    adding = change.action.adds
    wanted: list[Member] = []
    for kind, keys, there in ((Kind.USER, change.members, users), (Kind.GROUP, change.subgroups, groups)):
        wanted += [(kind, key) for key in keys if (key in there) is not adding]
    return wanted


async def members_reached(
    gate: Gate, snapshot: Snapshot, link: Link, wanted: Iterable[Member], *, adding: bool
) -> list[Member] | None:
    """Return the members that a change has reached already, None where the endpoint shows none. Raises ScimError."""
    shown = await gate.members_of(link.id)
    if shown is None:
        return None
    ids = ids_of(snapshot, list(wanted))
    return [member for member, id_ in ids.items() if (id_ in shown) is adding]


__all__ = ["Members", "acknowledge_members", "members_reached", "members_to_change"]
