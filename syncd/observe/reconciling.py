"""Judge a reading of a target: the drift from the acknowledged state, and the accepted invitations.

A value that the endpoint doesn't show proves nothing, and is no difference.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence, Set
from dataclasses import replace

from syncd.compare.rules import TargetRules
from syncd.core.drift import Drift, DriftClass, Reaction, group_drift, user_drift
from syncd.core.model import Kind, Known, KnownGroup, Observed, ObservedGroup, State, is_on
from syncd.core.schema import MANAGER
from syncd.observe.model import Reading, count_of, some_of
from syncd.scim.profiles import Profile
from syncd.store import Observation, Snapshot

Members = tuple[set[str], set[str]]
"""The keys of the users and of the groups in a group."""


def reconcile(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, observation: Observation
) -> tuple[list[Drift], list[str]]:
    """Compare the acknowledged state with the present one; return the drift, and the users who accepted.

    The snapshot given (a scratch copy) then holds the present state, as far as drift is to be corrected.
    """
    pending: list[tuple[Known, Observed]] = []
    unsure: list[Known] = []
    drift: list[Drift] = []
    for known, found in _linked_users(rules, reading, snapshot, observation):
        if found is not None and known.state is State.PENDING and not known.accepted:
            pending.append((known, found))
        found = found and _with_active(known, found, reading)
        moved = list(user_drift(known, found, reading.compared[Kind.USER], rules.drift))
        if any(reading.compared[Kind.USER].kept & each.expected.keys() for each in moved):
            unsure.append(known)
        drift += moved
    accepted = _accepted(rules, reading, snapshot, pending)
    drift += _drift_of_groups(rules, reading, snapshot, observation)
    # Whether a value that the mapping keeps is the source's at the moment, only the source's entry tells: it is mapped.
    for known in unsure:
        snapshot.put_user(replace(known, digest=b""))
    for each in drift:
        if each.reaction is Reaction.ENFORCE:
            snapshot.observe(each)
    for key in accepted:
        snapshot.accept(key, seen=True)
    return drift, accepted


# -- users -------------------------------------------------------------------------------------------


def _linked_users(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, observation: Observation
) -> Iterator[tuple[Known, Observed | None]]:
    """Yield each linked user who was found, or is proven to be gone (None)."""
    # A manager whose account is created again gets another id: a reference to the former id means nobody.
    remade = reading.gone[Kind.USER] if rules.drift.to(DriftClass.USER_DELETED) is Reaction.ENFORCE else set()
    for batch in snapshot.all_users():
        seen = observation.users([known.id for known in batch])
        _name_managers(seen.values(), snapshot, remade)
        for known in batch:
            found = None if (Kind.USER, known.id) in reading.strangers else seen.get(known.id)
            if not known.lost and (found is not None or known.key in reading.gone[Kind.USER]):
                yield known, found


def _name_managers(seen: Iterable[Observed], snapshot: Snapshot, remade: Set[str]) -> None:
    """Put the source's key in the place of a manager's id, as the snapshot has it; a stranger's id stays."""
    managed = [each for each in seen if each.attributes.get(MANAGER) is not None]
    keys = snapshot.keys_of(Kind.USER, [str(each.attributes[MANAGER]) for each in managed])
    for each in managed:
        id_ = str(each.attributes[MANAGER])
        key = keys.get(id_, id_)
        each.attributes[MANAGER] = id_ if key in remade else key


def _with_active(known: Known, found: Observed, reading: Reading) -> Observed:
    """Return an account with its `active`: one that isn't shown is as acknowledged.

    An endpoint that only ever says false is the exception: it leaves `active` out of accounts that are on, and an
    account that somebody switched on again must not be missed.
    """
    if "active" in found.attributes:
        return found
    active = reading.shown.active_as == {False} or is_on(known.attributes.get("active"))
    return replace(found, attributes={**found.attributes, "active": active})


def _accepted(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, pending: Sequence[tuple[Known, Observed]]
) -> list[str]:
    """Return the keys of the pending users who accepted.

    #  the pending are kept out by        shown as    -> accepted
    #  syncd                              active         yes
    #  the endpoint, shows them as off    active         yes
    #  the endpoint, never showed one so  active         unknown: it shows everybody as active
    #  any                                not shown      unknown

    After a removal of SSO many are pending at once, and one who is shown as off may have been switched off by hand:
    then most of them must be shown so.
    """
    if rules.profile.pending_by_endpoint:
        shown = snapshot.discovery.get("pending_shown") == "inactive"
        off = sum(not found.active for _, found in pending)
        least = len(pending) // 2 if any(known.uninvited for known, _ in pending) else 0
        if not shown and off > least:
            reading.discovered["pending_shown"] = "inactive"
            shown = True
        if not shown:
            return []
    return [known.key for known, found in pending if found.attributes.get("active") is True]


# -- groups ------------------------------------------------------------------------------------------


def _drift_of_groups(
    rules: TargetRules, reading: Reading, snapshot: Snapshot, observation: Observation
) -> Iterator[Drift]:
    """Yield the drift of each linked group; groups whose members can't be recognised are a doubt."""
    compared = reading.compared[Kind.GROUP]
    unrecognised: list[str] = []
    for known in snapshot.groups().values():
        found = observation.groups([known.id]).get(known.id)
        if (Kind.GROUP, known.id) in reading.strangers:
            found = None
        if known.lost or (found is None and known.key not in reading.gone[Kind.GROUP]):
            continue
        members = reading.still_there(snapshot.members(known.key))
        shown = reading.to_be_shown(members)
        there = None
        if found is not None and found.members is not None:
            linked = _linked(found.members, snapshot)
            if any(shown) and found.members and not (any(linked) or _observed(found.members, observation)):
                unrecognised.append(known.name)  # some endpoints show other values than ids
            else:
                there = _managed(linked, known, rules.profile, reading, snapshot)
                # The endpoint need not show all members; the members that it need not show count as unchanged.
                there = there[0] | (members[0] - shown[0]), there[1] | (members[1] - shown[1])
        yield from group_drift(
            known,
            members,
            found and _as_named(found, known, rules.profile),
            there,
            compared,
            rules.drift,
        )
    if unrecognised:
        reading.doubts.append(
            f"{count_of(len(unrecognised), Kind.GROUP)} shown with members that are neither users nor groups "
            f"({some_of(unrecognised)}): the members are left as they are"
        )


def _linked(ids: Sequence[str], snapshot: Snapshot) -> tuple[Mapping[str, str], Mapping[str, str]]:
    """Return by id the keys of the users and of the groups among some members."""
    users = snapshot.keys_of(Kind.USER, ids)
    # An id that is a user's is the user: some endpoints give the same to a user and a group.
    return users, snapshot.keys_of(Kind.GROUP, [id_ for id_ in ids if id_ not in users])


def _observed(ids: Sequence[str], observation: Observation) -> bool:
    return bool(observation.users(ids) or observation.groups(ids))


def _managed(
    linked: tuple[Mapping[str, str], Mapping[str, str]],
    known: KnownGroup,
    profile: Profile,
    reading: Reading,
    snapshot: Snapshot,
) -> Members:
    """Return the keys of the members that are managed and still there."""
    people = set(snapshot.ids(Kind.USER, list(linked[0].values())))
    subgroups = set(snapshot.ids(Kind.GROUP, list(linked[1].values())))
    if profile.members_read == "filter":  # a filter over users finds no groups
        subgroups = snapshot.members(known.key)[1]
    return reading.still_there((people, subgroups))


def _as_named(found: ObservedGroup, known: KnownGroup, profile: Profile) -> ObservedGroup:
    """Return a group with the acknowledged name, where the shown name means the same, or can't be changed.

    The reading removed the suffix; the source's own name may end with the suffix.
    """
    name = str(known.attributes.get("displayName", known.name))
    same = found.name + profile.group_suffix == name
    if not profile.group_name_case:
        same = same or found.name.casefold() == name.casefold()
    return replace(found, name=name) if same or not profile.group_rename else found


__all__ = ["reconcile"]
