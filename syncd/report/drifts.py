"""One drift in words: the finding, and its consequence."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Final

from syncd.core.drift import Drift, DriftClass, Reaction
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
}


def _keys(flat: Flat) -> Sequence[str]:
    """Return the keys of a membership: people first, groups named as such."""
    return [*map(visible, flat.get("members", ())), *(f"group {visible(key)}" for key in flat.get("groups", ()))]


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
        case DriftClass.MEMBER_REMOVED:
            yield f"removed: {shortened(members(drift.expected))}; {'put back' if enforced else 'only reported'}"
        case _:
            for path, expected in drift.expected.items():
                found, wanted = value_text(drift.found.get(path)), value_text(expected)
                what = f"puts back {wanted}" if enforced else f"only reported (was {wanted})"
                yield f"{label(path)}: found {found}, {what}"
    if drift.returned is not None:
        yield visible(came_back(drift))
