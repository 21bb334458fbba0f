"""One drift in words: the finding, and its consequence."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Sequence
from typing import Final

from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.foreign import foreign_in
from syncd.core.model import Flat
from syncd.core.returning import came_back
from syncd.report.words import label, shortened, value_text, visible

DRIFTS: Final = {
    DriftClass.USER_DELETED: "accounts deleted",
    DriftClass.USER_ACTIVATION: "accounts switched on or off",
    DriftClass.USER_ATTRIBUTES: "people's attributes edited",
    DriftClass.GROUP_DELETED: "groups deleted",
    DriftClass.GROUP_RENAMED: "groups renamed",
    DriftClass.MEMBER_ADDED: "members added",
    DriftClass.MEMBER_REMOVED: "members removed",
    DriftClass.FOREIGN_MEMBER: "members whom nobody manages",
}


def _keys(flat: Flat) -> Sequence[str]:
    """Return the keys of a membership: people first, groups named as such; foreign members by name."""
    groups = (f"group {visible(key)}" for key in flat.get("groups", ()))
    return [*map(visible, flat.get("members", ())), *groups, *foreign_names(flat)]


def foreign_names(flat: Flat) -> list[str]:
    """Return the names of foreign members, escaped; with the id where several are called alike."""
    members = foreign_in(flat)
    times = Counter(each.called for each in members)
    return [
        f"{visible(each.called)} ({visible(each.id)})" if times[each.called] > 1 else visible(each.called)
        for each in members
    ]


def drift_details(drift: Drift, members: Callable[[Flat], Sequence[str]] = _keys) -> Iterator[str]:
    """Yield one drift's differences, escaped: the finding, and its consequence; `members` names the members."""
    enforced = drift.reaction is Reaction.ENFORCE
    match drift.class_:
        case DriftClass.USER_DELETED | DriftClass.GROUP_DELETED:
            noun = "account" if drift.class_ is DriftClass.USER_DELETED else "group"
            what = "what the source says is put back" if enforced else "only reported"
            yield f"the {noun} is gone; {what}"
        case DriftClass.MEMBER_ADDED:
            yield f"added: {shortened(members(drift.found))}; {'taken out again' if enforced else 'only reported'}"
        case DriftClass.FOREIGN_MEMBER:
            names = members(drift.found)
            verb = "is" if len(names) == 1 else "are"
            what = "taken out" if enforced else "only reported"
            yield f"{shortened(names)} {verb} in {visible(drift.name)} and nobody manages them: {what}"
        case DriftClass.MEMBER_REMOVED:
            yield f"removed: {shortened(members(drift.expected))}; {'put back' if enforced else 'only reported'}"
        case _:
            for path, expected in drift.expected.items():
                found, wanted = value_text(drift.found.get(path)), value_text(expected)
                what = f"puts back {wanted}" if enforced else f"only reported (was {wanted})"
                yield f"{label(path)}: found {found}, {what}"
    if drift.returned is not None:
        yield visible(came_back(drift))
