"""Accounts and groups that are at the target already, and are taken over by entries that are not linked.

Only a full resync can take over: a normal run doesn't read the target. `core/matching.py` decides whether a found
account matches an entry.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping
from typing import Literal

from syncd.compare.rules import TargetRules
from syncd.core.mapping import EntryUnusable, Selection, UserMapping, email_of
from syncd.core.matching import ADOPT, Doubt, Match, first, judge
from syncd.core.model import Desired, Entry, Flat, Kind, KnownGroup, ObservedGroup, State
from syncd.store import Observation, Snapshot

Members = tuple[set[str], set[str]]
"""Keys of users, keys of groups."""


class UserAdoption:
    """Finds the account that a person takes over, and notes which accounts are taken over in this plan."""

    def __init__(
        self, mapping: UserMapping, target: TargetRules, snapshot: Snapshot, observation: Observation | None
    ) -> None:
        self._mapping = mapping
        self._target = target
        self._snapshot = snapshot
        self._observation = observation
        self._adopted: dict[str, str] = {}
        self.claimed: set[str] = set()
        """Ids of the accounts that some entry was compared with, whatever came of it."""

    @property
    def adopted(self) -> Mapping[str, str]:
        """Ids of accounts at the target that are taken over, each with the key that takes it over."""
        return self._adopted

    def match(self, entry: Entry, desired: Desired) -> Match | Doubt | None:
        """Return the account that an entry without a link takes over, or why a person decides; None: there is none.

        An account of somebody who is disabled or not wanted is only linked where it carries our own mark.
        """
        observation = self._observation
        if observation is None:
            return None
        key, off = desired.key, desired.state is State.DEACTIVATED
        external_id = self._mapping.external_id(key, entry.attributes)
        target = self._target

        def judged_by(by: Literal["externalId", "userName", "e-mail"], value: str) -> Match | Doubt | None:
            found = observation.find_users(by, value)
            self.claimed.update(each.id for each in found)
            return judge(by, found, key, external_id, self.owner)

        def judged() -> Iterator[Match | Doubt | None]:
            if external_id:
                yield judged_by("externalId", external_id)
            if not off:
                yield judged_by("userName", desired.name)
            if not off and target.profile.adopt_by_email and _is_verified(target.selection, desired.attributes):
                yield judged_by("e-mail", self._mapping.email(desired.attributes))

        match = first(judged())
        return match if isinstance(match, Match) or not off else None

    def take(self, match: Match, key: str) -> None:
        """Note that a key takes over an account."""
        self._adopted[match.account.id] = key

    def owner(self, id_: str) -> str | None:
        """Return the key that an account is linked to, or that takes it over in this plan."""
        return self._adopted.get(id_) or self._snapshot.key_of(Kind.USER, id_)


def _is_verified(selection: Selection, flat: Flat) -> bool:
    """Return whether a person's address lies in a verified domain; nobody's does where no domain is listed."""
    domains = selection.domains
    try:
        return bool(domains.patterns) and not domains.is_external(email_of(flat))
    except EntryUnusable:
        return False


class GroupAdoption:
    """Finds the groups that are taken over. `found` holds them by key, `doubts` why a person decides about others."""

    def __init__(
        self, target: TargetRules, snapshot: Snapshot, observation: Observation, adopted_users: Mapping[str, str]
    ) -> None:
        """`adopted_users`: ids of accounts that are taken over, each with its key."""
        self._target = target
        self._snapshot = snapshot
        self._observation = observation
        self._adopted_users = adopted_users
        self._adopted: dict[str, str] = {}
        """Ids of groups at the target that are taken over, each with its key."""
        self._ids_by_name: dict[str, list[str]] = {}
        """Ids of the groups at the target, by name without case."""
        self.found: dict[str, ObservedGroup] = {}
        self.claimed: set[str] = set()
        """Ids of the groups that some group of the source takes over, or was compared with."""
        self.doubts: dict[str, Doubt] = {}

    def look_for(self, key: str, flat: Flat) -> None:
        """Find the group at the target that is ours, or may become ours, for one that is not linked."""
        name, mark = str(flat["displayName"]), flat.get("externalId")
        if mark is not None:
            there = self._observation.find_groups("externalId", mark)
            self.claimed.update(each.id for each in there)
            found = self._free(there, key)
            if len(found) == 1:
                self._take(key, found[0])
                return
            if found:
                self._doubt(key, f"{len(found)} groups at the target carry its externalId", found)
                return
        named = [each for each in self._free(self._named(name), key) if each.external_id == ""]
        if not named:
            return
        if not self._target.adopt_groups:
            if mark is None:  # else two groups may well have one name (RFC 7643 section 4.2)
                self._doubt(key, "a group of this name is the target's own; `adopt_groups = true` takes it over", named)
        elif len(named) > 1:
            self._doubt(key, f"{len(named)} groups at the target have this name", named)
        else:
            self._take(key, named[0])

    def members(self, found: ObservedGroup) -> Members:
        """Return the managed members of a group at the target; to be asked once every group has been looked for."""
        ids = found.members or []
        users, groups = self._adopted_users, self._adopted
        people = self._snapshot.keys_of(Kind.USER, ids) | {id_: users[id_] for id_ in ids if id_ in users}
        # An id that is a user's is the user: some endpoints give the same to a user and a group.
        ids = [id_ for id_ in ids if id_ not in people]
        subgroups = self._snapshot.keys_of(Kind.GROUP, ids) | {id_: groups[id_] for id_ in ids if id_ in groups}
        return set(people.values()), set(subgroups.values())

    def newcomers(self, group: KnownGroup) -> Members:
        """Return the members of a linked group that are taken over in this plan; to be asked as `members`."""
        if not self._adopted_users and not self._adopted:
            return set(), set()
        seen = self._observation.groups([group.id]).get(group.id)
        ids = seen.members or [] if seen is not None else []
        users = {self._adopted_users[id_] for id_ in ids if id_ in self._adopted_users}
        return users, {self._adopted[id_] for id_ in ids if id_ in self._adopted and id_ not in self._adopted_users}

    def _take(self, key: str, found: ObservedGroup) -> None:
        self.found[key] = found
        self.claimed.add(found.id)
        self._adopted[found.id] = key

    def _doubt(self, key: str, reason: str, found: Collection[ObservedGroup]) -> None:
        self.claimed.update(each.id for each in found)
        self.doubts[key] = Doubt(ADOPT, f"{reason} ({', '.join(sorted(each.id for each in found))})")

    def _named(self, name: str) -> list[ObservedGroup]:
        """Return the groups at the target that have a name; where case means nothing there, in any case."""
        if self._target.profile.group_name_case:
            return self._observation.find_groups("displayName", name)
        if not self._ids_by_name:
            for id_, there in self._observation.group_names():
                self._ids_by_name.setdefault(there.casefold(), []).append(id_)
        return list(self._observation.groups(self._ids_by_name.get(name.casefold(), [])).values())

    def _free(self, found: Iterable[ObservedGroup], key: str) -> list[ObservedGroup]:
        """Leave out the groups that belong to another key."""
        free = []
        for each in found:
            owner = self._adopted.get(each.id) or self._snapshot.key_of(Kind.GROUP, each.id)
            if owner in (None, key):
                free.append(each)
        return free
