"""Judge what was read of a target: in what it differs from what was acknowledged, and who accepted an invitation.

What the endpoint doesn't show proves nothing, and is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence, Set
from dataclasses import dataclass, field, replace
from typing import Final

from syncd.compare.rules import TargetRules
from syncd.core.drift import Drift, DriftClass, Reaction, group_drift, user_drift
from syncd.core.model import Json, Kind, Known, KnownGroup, Observed, ObservedGroup, State, is_on
from syncd.core.schema import MANAGER
from syncd.store import Observation, Snapshot

NAMED: Final = 3
"""So many of those that a doubt is about are named in it."""


@dataclass
class Reading:
    """What was found, beside the resources themselves."""

    compared: dict[Kind, frozenset[str]]
    """The paths that syncd writes, and the endpoint shows."""
    doubts: list[str] = field(default_factory=list)
    """Why something may not be what it seems, in sentences for a person."""
    gone: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources that are proven not to be there."""
    unclear: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources of which the endpoint doesn't say whether they are there."""
    hidden: set[str] = field(default_factory=set)
    """Keys of users whose accounts are off and not listed: groups may not show them either."""
    discovered: dict[str, Json] = field(default_factory=dict)
    """What is to be remembered of the endpoint."""
    shows_members: bool = False
    """Whether any group showed any member."""
    active_as: set[bool] = field(default_factory=set)
    """What the endpoint ever said of anybody's being active."""


def reconcile(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, observation: Observation
) -> tuple[list[Drift], list[str]]:
    """Compare what was acknowledged with what is there; return the drift, and who accepted an invitation.

    The snapshot given (a scratch copy) then says what is there, as far as it is to be put back.
    """
    drift: list[Drift] = []
    pending: list[tuple[Known, Observed]] = []
    # Where a manager's account is made again it has another id: references to the former one mean nobody.
    remade = reading.gone[Kind.USER] if rules.drift.to(DriftClass.USER_DELETED) is Reaction.ENFORCE else set()
    for batch in snapshot.all_users():
        seen = observation.users([known.id for known in batch])
        _name_managers(seen.values(), snapshot, remade)
        for known in batch:
            found = seen.get(known.id)
            if known.lost or (found is None and known.key not in reading.gone[Kind.USER]):
                continue
            if found is not None and known.state is State.PENDING and not known.accepted:
                pending.append((known, found))
            drift += user_drift(*_comparable(known, found, reading), rules.drift)
    accepted = _accepted(rules, reading, snapshot, pending)
    drift += _Groups(rules, reading, snapshot, observation).drift()
    for each in drift:
        if each.reaction is Reaction.ENFORCE:
            snapshot.observe(each)
    for key in accepted:
        snapshot.accept(key, seen=True)
    return drift, accepted


def _comparable(known: Known, found: Observed | None, reading: Reading) -> tuple[Known, Observed | None]:
    """Return both with what the endpoint shows and the mapping speaks of.

    An `active` that isn't shown is as acknowledged; but where only false is ever said, whoever is on is left out, and
    that somebody is on again whom we switched off must not be missed.
    """
    paths = reading.compared[Kind.USER] | {"active"}
    compared = {path: value for path, value in known.attributes.items() if path in paths}
    if found is not None and "active" not in found.attributes:
        active = reading.active_as == {False} or is_on(known.attributes.get("active"))
        found = replace(found, attributes={**found.attributes, "active": active})
    return replace(known, attributes=compared), found


def to_be_shown(members: tuple[set[str], set[str]], reading: Reading) -> tuple[set[str], set[str]]:
    """Leave out of a group's members those who are gone, and those of whom the endpoint doesn't show as much as that
    they are there: that their groups don't show them says nothing."""
    gone, unclear = reading.gone, reading.unclear
    people = members[0] - gone[Kind.USER] - unclear[Kind.USER] - reading.hidden
    return people, members[1] - gone[Kind.GROUP] - unclear[Kind.GROUP]


def _accepted(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, pending: Sequence[tuple[Known, Observed]]
) -> list[str]:
    """Return who accepted: whom we keep out and who is in; or, where the endpoint shows the pending as inactive, who
    is shown as active. Where it never showed one so, nothing can be told; nor of one that doesn't say."""
    if rules.profile.pending_by_endpoint:
        shown = snapshot.discovery.get("pending_shown") == "inactive"
        if not shown and any(not found.active for _, found in pending):
            reading.discovered["pending_shown"] = "inactive"
            shown = True
        if not shown:
            return []
    return [known.key for known, found in pending if found.attributes.get("active") is True]


def _name_managers(seen: Iterable[Observed], snapshot: Snapshot, remade: Set[str]) -> None:
    """Put the source's key in the place of a manager's id, as the snapshot has it; a stranger's id stays."""
    managed = [each for each in seen if each.attributes.get(MANAGER) is not None]
    keys = snapshot.keys_of(Kind.USER, [str(each.attributes[MANAGER]) for each in managed])
    for each in managed:
        id_ = str(each.attributes[MANAGER])
        key = keys.get(id_, id_)
        each.attributes[MANAGER] = id_ if key in remade else key


class _Groups:
    """The groups of a snapshot beside what was found of them."""

    def __init__(self, rules: TargetRules, reading: Reading, snapshot: Snapshot, observation: Observation) -> None:
        self._rules = rules
        self._profile = rules.profile
        self._reading = reading
        self._snapshot = snapshot
        self._observation = observation
        self._strange: list[str] = []
        """Names of groups whose members can't be recognised."""

    def drift(self) -> list[Drift]:
        """Return all drift; what can't be told is said in the reading's doubts."""
        drift: list[Drift] = []
        for known in self._snapshot.groups().values():
            found = self._observation.groups([known.id]).get(known.id)
            if known.lost or (found is None and known.key not in self._reading.gone[Kind.GROUP]):
                continue
            members = self._still_there(self._snapshot.members(known.key))
            shown = to_be_shown(members, self._reading)
            there = None
            if found is not None:
                there = self._members(found, known, any(shown))
                found = self._as_named(found, known)
            if there is not None:
                there = there[0] | (members[0] - shown[0]), there[1] | (members[1] - shown[1])
            compared = self._reading.compared[Kind.GROUP]
            attributes = {path: value for path, value in known.attributes.items() if path in compared}
            drift += group_drift(replace(known, attributes=attributes), members, found, there, self._rules.drift)
        if self._strange:
            some = ", ".join(sorted(self._strange)[:NAMED])
            self._reading.doubts.append(
                f"{count_of(len(self._strange), Kind.GROUP)} shown with members that are neither users nor groups "
                f"({some}): the members are left as they are"
            )
        return drift

    def _members(self, found: ObservedGroup, known: KnownGroup, expected: bool) -> tuple[set[str], set[str]] | None:
        """Return the keys of the managed members; None where the endpoint doesn't say who they are.

        Some endpoints show other values than ids: then none of them is a managed one, nor anybody at all.
        """
        ids = found.members
        if ids is None:
            return None
        users = self._snapshot.keys_of(Kind.USER, ids)
        # An id that is a user's is the user: some endpoints give the same to a user and a group.
        groups = self._snapshot.keys_of(Kind.GROUP, [id_ for id_ in ids if id_ not in users])
        if ids and expected and not (users or groups or self._observed(ids)):
            self._strange.append(known.name)
            return None
        live = (
            self._snapshot.ids(kind, list(keys.values())) for kind, keys in ((Kind.USER, users), (Kind.GROUP, groups))
        )
        people, subgroups = map(set, live)
        if self._profile.members_read == "filter":  # a filter over users finds no groups
            subgroups = self._snapshot.members(known.key)[1]
        return self._still_there((people, subgroups))

    def _observed(self, ids: Sequence[str]) -> bool:
        return bool(self._observation.users(ids) or self._observation.groups(ids))

    def _still_there(self, members: tuple[set[str], set[str]]) -> tuple[set[str], set[str]]:
        """Leave out who is gone: that is a drift of its own, and its groups follow from it."""
        return members[0] - self._reading.gone[Kind.USER], members[1] - self._reading.gone[Kind.GROUP]

    def _as_named(self, found: ObservedGroup, known: KnownGroup) -> ObservedGroup:
        """Return a group by the name that it was given, where what is shown means the same, or can't be changed.

        The suffix was taken off in reading; the source's own name may end with it.
        """
        name = str(known.attributes.get("displayName", known.name))
        same = found.name + self._profile.group_suffix == name
        if not self._profile.group_name_case:
            same = same or found.name.casefold() == name.casefold()
        return replace(found, name=name) if same or not self._profile.group_rename else found


def count_of(number: int, kind: Kind) -> str:
    """Return a number with its noun and verb: `1 group is`, `2 users are`."""
    return f"{number:,} {kind.value} is" if number == 1 else f"{number:,} {kind.value}s are"


__all__ = ["NAMED", "Reading", "count_of", "reconcile", "to_be_shown"]
