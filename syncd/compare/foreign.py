"""Foreign members of managed groups: whom a plan takes out, and who belongs to the source after all.

#  a member that is not linked                                            -> is
#  is taken over in this plan                                                the source's
#  was compared with an entry that is not linked, whatever came of it        the source's: a person decides first
#  resembles an entry that is left out                                       perhaps the source's: left
#  any other                                                                 foreign: taken out of the group

Nobody is taken out of a group whose members the source doesn't tell completely, that the source or the target no longer
wants, that can't be used, or that the endpoint puts everybody into (`core/room.py`): such foreign members are
only reported.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace

from syncd.compare.comparison import Comparison
from syncd.core.drift import Drift, DriftClass, Reaction, Reactions
from syncd.core.foreign import ForeignMember, as_part
from syncd.core.model import Kind, Observed, ObservedGroup
from syncd.core.plan import Change
from syncd.store import Observation


class Strangers:
    """Finds the foreign members of each group. `found` holds them by the group's key, whatever becomes of them."""

    def __init__(self, comparison: Comparison, claimed: Collection[str], left_out: Collection[str]) -> None:
        """`claimed`: ids that some entry was compared with, or takes over. `left_out`: texts in folded case of the
        entries that are left out, their keys and their attributes.
        """
        self._comparison = comparison
        self._claimed = claimed
        self._left_out = left_out
        self.found = {key: some for key, each in comparison.foreign.items() if (some := self._free(each))}

    def look_into(self, key: str, group: ObservedGroup) -> None:
        """Find the foreign members of a group that is taken over."""
        snapshot, observation = self._comparison.snapshot, self._comparison.observation
        if observation is None:
            return
        ids = group.members or []
        linked = {id_ for kind in Kind for id_ in snapshot.ids(kind, [*snapshot.keys_of(kind, ids).values()]).values()}
        if found := self._free(foreign_members(group, linked, observation)[0]):
            self.found[key] = found

    def removal(self, key: str, name: str) -> list[Change]:
        """Return the change that takes the foreign members out of a group; empty where there is nothing to do."""
        target, found = self._comparison.target, self.found.get(key)
        if not found or target.drift.to(DriftClass.FOREIGN_MEMBER) is Reaction.REPORT:
            return []
        if target.room.one_group and target.room.is_shared(name):
            return []  # the endpoint itself puts everybody into such a group
        accounts: Mapping[str, str] = self._comparison.snapshot.discovery.get("protected") or {}
        named = {each.id: "named in `protect`" for each in found if each.name.casefold() in target.protect}
        return [Change.of_foreign(key, name, found, {**accounts, **named})]

    def _free(self, members: Sequence[ForeignMember]) -> list[ForeignMember]:
        """Return the members who belong to nobody in the source."""
        free, observation = [each for each in members if each.id not in self._claimed], self._comparison.observation
        if not free or not self._left_out or observation is None:
            return free
        resembling = {
            id_
            for id_, account in observation.users([each.id for each in free]).items()
            if any(text.casefold() in self._left_out for text in _texts_of(account))
        }
        return [each for each in free if each.id not in resembling]


def _texts_of(account: Observed) -> list[str]:
    return [text for text in (account.external_id, account.name, *account.emails) if text]


def foreign_members(
    group: ObservedGroup, managed: Collection[str], observation: Observation
) -> tuple[list[ForeignMember], list[str]]:
    """Return the foreign members of a group that was read, and the ids of the members who are nobody that was read.

    `managed`: ids that are linked to what is there.
    """
    ids = list(dict.fromkeys(id_ for id_ in group.members or () if id_ not in managed))
    if not ids:
        return [], []
    # An id that is a user's is the user: some endpoints give the same to a user and a group.
    users = observation.users(ids)
    groups = observation.groups([id_ for id_ in ids if id_ not in users])
    found = [ForeignMember(id_, user.name or group.displays.get(id_) or id_) for id_, user in users.items()]
    found += [
        ForeignMember(id_, each.name or group.displays.get(id_) or id_, Kind.GROUP) for id_, each in groups.items()
    ]
    return found, [id_ for id_ in ids if id_ not in users and id_ not in groups]


def with_foreign(
    drift: Sequence[Drift],
    found: Mapping[str, Sequence[ForeignMember]],
    changes: Sequence[Change],
    reactions: Reactions,
) -> list[Drift]:
    """Return drift with the foreign members that the comparison found, by key of the group, and no others.

    What no change takes out is only reported. A group that is taken over has no other drift yet.
    """
    taken_out = {change.key for change in changes if change.foreign}
    names = {change.key: change.name for change in changes if not change.action.about_user}
    known = {each.key: each for each in drift if each.class_ is DriftClass.FOREIGN_MEMBER}
    result = [each for each in drift if each.class_ is not DriftClass.FOREIGN_MEMBER]
    for key, members in found.items():
        reaction = reactions.to(DriftClass.FOREIGN_MEMBER) if key in taken_out else Reaction.REPORT
        new = Drift(DriftClass.FOREIGN_MEMBER, Kind.GROUP, key, names.get(key, key), {}, {})
        result.append(replace(known.get(key, new), found=as_part(members), reaction=reaction))
    return result


__all__ = ["Strangers", "foreign_members", "with_foreign"]
