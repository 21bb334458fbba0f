"""The estimate: the exact number of requests of a run without errors, and their duration."""

from __future__ import annotations

from collections.abc import Container, Iterable, Mapping, Sequence
from dataclasses import replace
from itertools import groupby
from math import ceil
from typing import Final

from syncd.compare.moves import Movers, apart, leaves_first, movers
from syncd.compare.rules import TargetRules
from syncd.core.actions import Effect
from syncd.core.drift import Drift
from syncd.core.model import Json, Kind, State
from syncd.core.plan import Action, Change, Estimate, Held, Plan
from syncd.core.returning import doubted_resources
from syncd.place.looking import MARKS, glances
from syncd.scim.bulk import LEAST, MOST
from syncd.scim.dialect import AREAS, Dialect, Form, ability_of, forms_of, member_form
from syncd.scim.profiles import Profile
from syncd.scim.resources import needs_reading
from syncd.store import Snapshot

_RANDOM_LENGTH: Final = 20
_ACTIVE: Final = "users.active"


def estimate(
    changes: Sequence[Change],
    target: TargetRules,
    snapshot: Snapshot,
    drift: Iterable[Drift] = (),
    withheld: Iterable[Held] = (),
) -> Estimate:
    """Return the requests, and the seconds at the target's rate; `drift`: the drift that some changes correct.

    `withheld`: the changes that are held or rejected.
    """
    if not changes:
        return Estimate(0, 0.0)
    doubted = doubted_resources(drift)
    # What the first look of this run will show counts for the others.
    discovery, dialect = snapshot.discovery, Dialect.known(snapshot.discovery, target.profile)
    requests = int(asks_first(target.profile, discovery)) + _look_ups(changes, target.profile, snapshot)
    requests += _looks_at_place(target, snapshot) + _looks_at_marks(changes, target.profile, snapshot)
    come_back = returning(changes, withheld, target.profile, snapshot)
    requests += sum(_reads_of_members(group, target.profile, snapshot) for group in come_back)
    moving = movers(changes, target.room, snapshot) if leaves_first(target.profile, dialect) else {}
    changes = apart(changes, moving, snapshot)
    requests += _looks_at_members(changes, target.profile, snapshot, dialect, moving)
    for _, phase in groupby(changes, key=lambda change: target.room.place(change.phase, change.name)):
        together = list(phase)
        count = sum(
            _requests(each, target, snapshot, _per_update(each, target, discovery, dialect), moving)
            for each in together
        )
        operations = bulk_operations(target.profile, discovery.get("bulk"), together)
        requests += ceil(count / min(operations[0], MOST)) if operations else count
        if operations:
            requests += _looks_in_bulk(together, target.profile, dialect)
        else:
            requests += sum(_looks(each, target.profile, dialect, doubted) for each in together)
    return Estimate(requests, round(requests / target.rate, 1))


def _looks_at_place(target: TargetRules, snapshot: Snapshot) -> int:
    """Return the requests that see, before the first write, whether the target is the place."""
    return glances(snapshot, target.profile) + (target.recognizes_integration and snapshot.is_empty)


def _looks_at_marks(changes: Iterable[Change], profile: Profile, snapshot: Snapshot) -> int:
    """Return the request that sees, once, whether the endpoint shows marks: where removing SSO removes them."""
    if not profile.sso_removal or MARKS in snapshot.discovery or snapshot.sample_users([State.ACTIVE], 1):
        return 0
    begun = (each for each in changes if each.action.about_user and (each.action.creates or each.action.adopts))
    return int(any(each.state is State.ACTIVE for each in begun))


def returning(
    changes: Iterable[Change], withheld: Iterable[Held], profile: Profile, snapshot: Snapshot
) -> dict[str, set[str]]:
    """Return the people who come back by group: each group is read, in case the endpoint has taken them out.

    Not the groups that the plan deletes or takes them out of, at once or when a person approves.
    """
    people = [change.key for change in changes if change.action is Action.REACTIVATE_USER]
    if not people or profile.members_read == "nothing":
        return {}
    everything = [*changes, *(each.change for each in withheld)]
    deleted = {change.key for change in everything if change.action is Action.DELETE_GROUP}
    removed = {
        (change.key, key) for change in everything if change.action is Action.REMOVE_MEMBERS for key in change.members
    }
    found: dict[str, set[str]] = {}
    for key in people:
        for group in snapshot.holding(Kind.USER, key):
            if group not in deleted and (group, key) not in removed:
                found.setdefault(group, set()).add(key)
    return found


def _reads_of_members(group: str, profile: Profile, snapshot: Snapshot) -> int:
    """Return the requests of one look at a group's members."""
    if profile.members_read != "filter":
        return 1
    return max(ceil(len(snapshot.members(group)[0]) / profile.page_size), 1)


def _emptied(change: Change, profile: Profile, snapshot: Snapshot, moving: Movers) -> int:
    """Return how many members are removed from a group before its deletion; those who move have left it by then."""
    if not profile.group_emptied_first or change.action is not Action.DELETE_GROUP:
        return 0
    moved = sum(change.key in former for former in moving.values())
    return sum(map(len, snapshot.members(change.key))) - moved


def _looks_at_members(
    changes: Iterable[Change], profile: Profile, snapshot: Snapshot, dialect: Dialect, moving: Movers
) -> int:
    """Return the requests that look at changes of members, by what is known of the endpoint's answers; and those that
    ask whether a subgroup's id is an account's as well.
    """
    requests = 0
    for change in changes:
        removes = change.action is Action.REMOVE_MEMBERS or _emptied(change, profile, snapshot, moving) > 0
        ability = "members.remove" if removes else "members.add"
        if profile.members_read != "nothing" and (removes or change.action is Action.ADD_MEMBERS):
            # Of the first removal nothing is known but how additions are answered.
            like_additions = removes and ability not in dialect.truthful and "members.add" in dialect.silent
            shows = profile.answers_updates and profile.members_read != "filter"
            looked_at = dialect.looks(ability, always=removes, shows=shows) or like_additions
            requests += _reads_of_members(change.key, profile, snapshot) if looked_at else 0
            requests += _reads_before(change, profile, snapshot)
            if looked_at and not removes:
                dialect.trust(ability)
        if change.action is Action.ADD_MEMBERS and change.subgroups:
            ids = snapshot.ids(Kind.GROUP, change.subgroups)
            requests += sum(may_collide(ids.get(key, next(iter(ids.values()), ""))) for key in change.subgroups)
    return requests


def _reads_before(change: Change, profile: Profile, snapshot: Snapshot) -> int:
    """Return the requests that look whether foreign members are still in a group, before they are taken out."""
    if not change.foreign or profile.members_read == "nothing":
        return 0
    return _reads_of_members(change.key, profile, snapshot)


def may_collide(id_: str) -> bool:
    """Return whether a group's id may be an account's as well: an id that is as long as this is drawn at random."""
    return 0 < len(id_) < _RANDOM_LENGTH


def bulk_operations(profile: Profile, offered: Json, phase: Sequence[Change]) -> tuple[int, int] | None:
    """Return how many writes, and how many bytes, one bulk request may hold; None: each write of a phase goes alone.

    `offered`: the endpoint's announcement. Bulk pays off for many writes that each take a PATCH or POST.
    """
    if any(change.first for change in phase):
        return None  # each write waits for what comes before it, and none for another's
    if profile.bulk is False or profile.patch is False or not profile.patch_paths or len(phase) < LEAST:
        return None
    if not isinstance(offered, dict) and not profile.bulk:
        return None
    if profile.one_group_per_user and any(each.action.of_members for each in phase):
        return None  # a move changes two groups, one after the other
    limits = offered if isinstance(offered, dict) else {}
    operations, size = limits.get("maxOperations") or MOST, limits.get("maxPayloadSize") or profile.body_bytes
    return (operations, min(size, profile.body_bytes)) if operations > 1 else None


def lists_groups(creates: int, profile: Profile, snapshot: Snapshot) -> bool:
    """Return whether listing all groups once takes fewer requests than looking up each group before its creation."""
    return creates > _group_pages(profile, snapshot)


def _group_pages(profile: Profile, snapshot: Snapshot) -> int:
    return max(ceil(len(snapshot.groups()) / profile.page_size), 1)


def _look_ups(changes: Sequence[Change], profile: Profile, snapshot: Snapshot) -> int:
    """Return the requests that keep groups from being created twice, if the target has only the known groups."""
    creates = sum(change.action is Action.CREATE_GROUP and "externalId" in change.after for change in changes)
    if lists_groups(creates, profile, snapshot):
        return _group_pages(profile, snapshot)
    can_be_asked = profile.group_filters is None or "externalId" in profile.group_filters
    return creates if can_be_asked else 0


def asks_first(profile: Profile, discovery: Mapping[str, Json]) -> bool:
    """Return whether a push begins with a discovery request: sent once, where the profile leaves a capability open."""
    return profile.patch is None and "patch" not in discovery


def _per_update(change: Change, target: TargetRules, discovery: Mapping[str, Json], dialect: Dialect) -> int:
    """Return the requests of one update: one by PATCH, two where it is read first."""
    profile, kind = target.profile, change.action.kind
    patch = profile.patch if profile.patch is not None else discovery.get("patch") is not False
    # A group is deleted by one request; its updates are those that empty it first.
    if change.action.of_members or (change.action.deletes and not change.action.about_user):
        form = member_form(profile, patch=patch, dialect=dialect, adding=change.action.adds)
        return 2 if form in (Form.WHOLE, Form.PUT) else 1
    after = change.differences[1] if change.action.adopts else change.after
    forms = {path: forms_of(kind, path, profile, patch=patch, dialect=dialect)[0] for path in after}
    objects = {path: after[path] for path, form in forms.items() if form is Form.OBJECT}
    reads = {Form.PUT, Form.WHOLE} & set(forms.values()) or needs_reading(kind, objects)
    return 2 if reads else 1


def _looks(change: Change, profile: Profile, dialect: Dialect, doubted: Container[tuple[Kind, str]]) -> int:
    """Return the looks at the effect of a change, as far as the endpoint's answers are known.

    #  change                     looked at
    #  deletion                      always
    #  of what is in doubt           always (`core/returning.py`)
    #  creation, update              where the answers show no effect, until one was found to be true
    #  of `active`                   where the answers don't show it
    #  of members                    see `_looks_at_members`
    """
    if change.action.deletes or (change.action.alters and (change.action.kind, change.key) in doubted):
        return 1
    abilities = _abilities(change, profile) - dialect.dropped
    shows = change.action.creates or profile.answers_updates
    if not any(dialect.looks(each, always=each == _ACTIVE, shows=shows) for each in abilities):
        return 0
    for each in abilities:
        dialect.trust(each)
    return 1


def _looks_in_bulk(changes: Iterable[Change], profile: Profile, dialect: Dialect) -> int:
    """Return the same of changes in bulk requests, whose answers show no effect: one look for each new ability."""
    always, new = 0, set[str]()
    for each in changes:
        abilities = _abilities(each, profile)
        always += each.action.deletes or _ACTIVE in abilities
        new |= abilities - dialect.truthful - {_ACTIVE}
    return always + len(new)


def _abilities(change: Change, profile: Profile) -> set[str]:
    """Return the abilities that a change of a resource's attributes needs, as far as their effect may be looked at."""
    kind = change.action.kind
    if change.action.creates:
        return {f"{AREAS[kind]}.create"}
    if change.action.of_members or change.action.deletes:
        return set()
    after = change.differences[1] if change.action.adopts else change.after
    abilities = {ability_of(kind, path) for path in after}
    return abilities - {_ACTIVE} if profile.shows_active is False else abilities


def read_just_now(plan: Plan, target: TargetRules, snapshot: Snapshot) -> Plan:
    """Return a plan that is carried out right after its target was read: no account or group is read again before."""
    adoptions = [each for each in plan.changes if each.action.adopts]
    reads = sum(_reads_before(each, target.profile, snapshot) for each in plan.changes)
    return _with_fewer(plan, reads + sum(_is_looked_at(each, snapshot) for each in adoptions), target)


def place_seen(plan: Plan, target: TargetRules, snapshot: Snapshot) -> Plan:
    """Return a plan that is carried out right after its target was seen to be the place: nobody glances at it again."""
    return _with_fewer(plan, _looks_at_place(target, snapshot) if plan.changes else 0, target)


def _with_fewer(plan: Plan, requests: int, target: TargetRules) -> Plan:
    left = plan.estimate.requests - requests
    return replace(plan, estimate=Estimate(left, round(left / target.rate, 1)))


def _is_looked_at(change: Change, snapshot: Snapshot) -> bool:
    """Return whether an account is read again before its adoption: an account without our mark is."""
    return change.takes_over and snapshot.key_of(change.action.kind, change.resource) in (None, change.key)


def _is_sent_whole(change: Change, snapshot: Snapshot) -> bool:
    """Return whether everything is sent to an adopted account, for the target to manage it again."""
    lost = snapshot.user(change.key) if change.action.about_user else None
    return lost is not None and lost.unmanaged


def _requests(change: Change, target: TargetRules, snapshot: Snapshot, per_update: int, moving: Movers) -> int:
    match change.action.effect:
        case Effect.CREATE:
            restored = target.profile.groups_restored and target.profile.members_read != "nothing"
            return 2 if restored and not change.action.about_user else 1
        case Effect.DELETE:
            count = _emptied(change, target.profile, snapshot, moving)
            return 1 + ceil(count / target.profile.members_per_patch) * per_update
        case Effect.ADD_MEMBERS | Effect.REMOVE_MEMBERS:
            count = len(change.members) + len(change.subgroups) + len(change.foreign)
            return ceil(count / target.profile.members_per_patch) * per_update
        case Effect.ADOPT:
            sent = change.differences[1] or _is_sent_whole(change, snapshot)
            return int(_is_looked_at(change, snapshot)) + (per_update if sent else 0)
        case Effect.ALTER:
            return per_update if change.after else 0
