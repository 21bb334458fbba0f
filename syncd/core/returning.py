"""Returning drift: what a change puts back, and what of a drift had been put back before. Pure.

#  class of the drift                 a change corrects it that           the same part of it came back
#  user_deleted, group_deleted          creates or adopts the resource      the resource is gone again
#  member_added, foreign_member         removes such a member               a member that was removed is there again
#  member_removed                       adds such a member                  a member that was added is gone again
#  any other                            restores such a path                a path was restored, and is as before
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from syncd.core.drift import Drift, DriftClass, Reaction, Returned, alike
from syncd.core.foreign import PART, foreign_in
from syncd.core.model import Flat, Json, Kind, is_on
from syncd.core.plan import Change

_DELETED: Final = (DriftClass.USER_DELETED, DriftClass.GROUP_DELETED)
_CAME: Final = (DriftClass.MEMBER_ADDED, DriftClass.FOREIGN_MEMBER)
_OF_MEMBERS: Final = (*_CAME, DriftClass.MEMBER_REMOVED)
_NAMED: Final = 3
"""Number of paths or members that a sentence names; the others are counted."""
_MISSING: Final = object()


def corrected(drift: Drift, change: Change) -> Drift | None:
    """Return the part of a drift that a change puts back; None where it puts nothing of it back.

    A change to another value than the one that was lost is the source's, and puts nothing back.
    """
    action, same = change.action, (drift.kind, drift.key) == (change.action.kind, change.key)
    if not same or drift.reaction is not Reaction.ENFORCE:
        return None
    part: tuple[Flat, Flat] | None = None
    if drift.class_ in _DELETED and action.begins:
        part = drift.expected, drift.found
    elif drift.class_ in _CAME and action.removes:
        part = {}, _common(drift.found, _members(change))
    elif drift.class_ is DriftClass.MEMBER_REMOVED and action.adds:
        part = _common(drift.expected, _members(change)), {}
    elif action.alters:
        paths = [path for path, value in drift.expected.items() if change.after.get(path, _MISSING) == value]
        part = _at(drift.expected, paths), _at(drift.found, paths)
    if part is None or not any(part):
        return None
    return replace(drift, expected=part[0], found=part[1])


def touches(change: Change, drift: Drift) -> bool:
    """Return whether a change is about the same resource and the same paths or members as a drift."""
    if (drift.kind, drift.key) != (change.action.kind, change.key):
        return False
    if change.action.of_members:
        return any(any(_common(part, _members(change)).values()) for part in (drift.expected, drift.found))
    if change.action.alters:
        return not change.after.keys().isdisjoint(drift.expected)
    return True


def returned(drift: Drift, former: Drift, run: int, at: datetime) -> Returned | None:
    """Return the part of a drift that was put back before, as `former`; None where nothing of it was."""
    if (drift.class_, drift.kind, drift.key) != (former.class_, former.kind, former.key):
        return None
    if drift.class_ in _DELETED:
        return Returned(run, at, drift.expected, drift.found)
    if drift.class_ in _OF_MEMBERS:
        part = _common(drift.expected, former.expected), _common(drift.found, former.found)
    else:
        paths = [
            path
            for path, value in drift.expected.items()
            if path in former.expected
            and alike(path, value, former.expected[path])
            and alike(path, drift.found.get(path), former.found.get(path))
        ]
        part = _at(drift.expected, paths), _at(drift.found, paths)
    return Returned(run, at, *part) if any(part) else None


def doubted_resources(drift: Iterable[Drift]) -> frozenset[tuple[Kind, str]]:
    """Return kind and key of each resource whose changes are always looked at, whatever the answers show.

    #  drift that is put back                       because
    #  it came back                                    putting it back had no effect, or didn't last
    #  an account is on that was acknowledged as off   perhaps the answer was not true
    """
    return frozenset(
        (each.kind, each.key)
        for each in drift
        if each.reaction is Reaction.ENFORCE and (each.returned or each.class_ is DriftClass.USER_ACTIVATION)
    )


def undone(drift: Drift, change: Change) -> str:
    """Return in a sentence why a change is without effect, that corrects drift which came back; "" where it isn't.

    The moment in it is in UTC.
    """
    past = drift.returned
    if past is None or corrected(replace(drift, expected=past.expected, found=past.found), change) is None:
        return ""
    return f"{came_back(drift)}: the endpoint, or somebody there, undoes it"


def came_back(drift: Drift) -> str:
    """Return in a clause when drift was put back that came back; "" where it is new. The moment is in UTC."""
    past = drift.returned
    if past is None:
        return ""
    at = f"at {past.at.astimezone(UTC):%Y-%m-%d %H:%M} UTC"
    match drift.class_:
        case DriftClass.USER_DELETED | DriftClass.GROUP_DELETED:
            return f"it was made anew {at}, and was gone again"
        case DriftClass.USER_ACTIVATION:
            wanted, found = ("on", "off") if is_on(past.expected.get("active")) else ("off", "on")
            return f"it was switched {wanted} {at}, and was {found} again"
        case DriftClass.MEMBER_ADDED | DriftClass.FOREIGN_MEMBER:
            who, several = _named(_keys(past.found))
            return f"{who} {_were(several)} taken out {at}, and {_were(several)} in again"
        case DriftClass.MEMBER_REMOVED:
            who, several = _named(_keys(past.expected))
            return f"{who} {_were(several)} added {at}, and {_were(several)} gone again"
    what, several = _named([path.rpartition(":")[2] for path in past.expected])
    return f"{what} {_were(several)} put back {at}, and {_were(several)} as before"


def _members(change: Change) -> Flat:
    foreign = [each.to_json() for each in change.foreign]
    return {"members": change.members, "groups": change.subgroups, PART: foreign}


def _common(part: Flat, other: Flat) -> Flat:
    """Return the members that two parts have in common: by key, foreign ones by id, whatever they are called."""
    both: Flat = {}
    for name, members in part.items():
        if isinstance(members, list):
            known = {_identity(each) for each in other.get(name, ())}
            both[name] = [each for each in members if _identity(each) in known]
    return {name: members for name, members in both.items() if members}


def _identity(member: Json) -> str:
    return str(member["id"] if isinstance(member, dict) else member)


def _at(flat: Flat, paths: Collection[str]) -> Flat:
    return {path: flat.get(path) for path in paths}


def _keys(part: Flat) -> list[str]:
    foreign = (each.called for each in foreign_in(part))
    return [*part.get("members", ()), *(f"group {key}" for key in part.get("groups", ())), *foreign]


def _were(several: bool) -> str:
    return "were" if several else "was"


def _named(names: Collection[str]) -> tuple[str, bool]:
    """Return some names in a list, and whether there are several."""
    more = f" and {len(names) - _NAMED} more" if len(names) > _NAMED else ""
    return f"{', '.join(list(names)[:_NAMED])}{more}", len(names) > 1


__all__ = ["came_back", "corrected", "doubted_resources", "returned", "touches", "undone"]
