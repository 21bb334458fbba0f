"""What carrying out changes takes: exactly as many requests as will be sent if all goes well."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import ceil

from syncd.core.model import Json
from syncd.core.plan import Action, Change, Estimate
from syncd.scim.profiles import Profile
from syncd.scim.resources import needs_reading
from syncd.store import Snapshot
from syncd.terms import TargetRules


def estimate(changes: Sequence[Change], target: TargetRules, snapshot: Snapshot) -> Estimate:
    """Return the requests, and the seconds at the target's rate."""
    if not changes:
        return Estimate(0, 0.0)
    discovery = snapshot.discovery
    requests = int(asks_first(target.profile, discovery))
    requests += sum(_requests(change, target, snapshot, _per_update(change, target, discovery)) for change in changes)
    return Estimate(requests, round(requests / target.rate, 1))


def asks_first(profile: Profile, discovery: Mapping[str, Json]) -> bool:
    """Return whether a push begins by asking what the endpoint announces: once, where the profile leaves it open."""
    return profile.patch is None and "patch" not in discovery


def _per_update(change: Change, target: TargetRules, discovery: Mapping[str, Json]) -> int:
    """Return the requests of one update: one by PATCH, two where it is read first and PUT."""
    members = change.action in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS, Action.DELETE_GROUP)
    area = "users" if change.action.about_user else "members" if members else "groups"
    patch = target.profile.patch
    if patch is None:
        patch = discovery.get("patch") is not False and area not in (discovery.get("by_put") or ())
    reads = not target.profile.patch_paths and not members and needs_reading(change.action.kind, change.after)
    return 1 if patch and not reads else 2


def _requests(change: Change, target: TargetRules, snapshot: Snapshot, per_update: int) -> int:
    match change.action:
        case Action.CREATE_USER | Action.DELETE_USER:
            return 1
        case Action.DELETE_GROUP:
            count = sum(map(len, snapshot.members(change.key))) if target.profile.group_emptied_first else 0
            return 1 + ceil(count / target.profile.members_per_patch) * per_update
        case Action.CREATE_GROUP:
            # Looked up first where nobody remembers what earlier runs made.
            asked = "externalId" in change.after and not snapshot.has_links
            can_be_asked = target.profile.group_filters is None or "externalId" in target.profile.group_filters
            return 1 + (asked and can_be_asked)
        case Action.ADD_MEMBERS | Action.REMOVE_MEMBERS:
            count = len(change.members) + len(change.subgroups)
            return ceil(count / target.profile.members_per_patch) * per_update
        case Action.ADOPT_USER | Action.ADOPT_GROUP:
            # A stranger's account is looked at once more before it is taken over.
            owner = snapshot.key_of(change.action.kind, change.resource)
            looked_at = change.takes_over and owner in (None, change.key)
            return int(looked_at) + (per_update if change.differences[1] else 0)
        case _:
            return per_update if change.after else 0
