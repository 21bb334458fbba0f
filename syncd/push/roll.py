"""The roll of a group: the members that the endpoint shows of it, and what they prove. Pure.

#  a member is        and the roll is                          -> a removal      an addition
#  shown                                                          has no effect  is done
#  not shown          whole                                       is done        has no effect
#  not shown          short, or shows nobody who is known         nobody knows   nobody knows
#  not shown          perhaps the beginning of a longer one       nobody knows   nobody knows

A roll is whole where it shows at least as many members as the group must have, and known ones among them: some
endpoints show nobody's members, some the first hundred, and some names in the place of ids.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass
from typing import Final

from syncd.core.model import Json
from syncd.scim.resources import field

_A_PART: Final = 20
"""The fewest members that an endpoint shows of a group that it shows in part."""
_ROUND: Final = 5


@dataclass(frozen=True)
class Roll:
    """The members that a group shows: what stands in the place of their ids, each with its type ("" for none)."""

    shown: Mapping[str, str]
    believed: bool
    """Whether the endpoint is known to show members: an empty roll is an empty group then."""

    def is_whole(self, others: Collection[str]) -> bool:
        """Return whether all members are shown; `others`: the ids that the group must have beside those asked about."""
        if not self.shown:
            return self.believed and not others
        if len(self.shown) < len(others):
            return False
        return not self.shown.keys().isdisjoint(others) if others else self.believed

    def shows_all(self, others: Collection[str]) -> bool:
        """Return whether every single one of some ids is shown."""
        return all(id_ in self.shown for id_ in others)

    @property
    def may_be_cut(self) -> bool:
        """Return whether the roll may be the beginning of a longer one: these end at a round number."""
        return len(self.shown) >= _A_PART and len(self.shown) % _ROUND == 0


@dataclass(frozen=True)
class Seen:
    """What a roll shows of some members: those that are as wanted, those that are not, and those it can't tell of."""

    reached: list[str]
    left: list[str]
    unknown: list[str]


def seen(roll: Roll | None, names: Mapping[str, str], others: Collection[str], *, adding: bool) -> Seen:
    """Return what a roll shows of members, whose ids and names are given; None: there is no roll."""
    if roll is None:
        return Seen([], [], list(names))
    strangers = {each.casefold() for each in roll.shown if each not in names and each not in others}
    there = [id_ for id_, name in names.items() if id_ in roll.shown or (name and name.casefold() in strangers)]
    present = set(there)
    absent = [id_ for id_ in names if id_ not in present]
    if adding:
        enough = roll.is_whole(others) or (bool(there) and len(roll.shown) >= len(others) + len(there))
        told = enough and not roll.may_be_cut
        return Seen(there, absent if told else [], [] if told else absent)
    told = roll.is_whole(others) if not there else roll.shows_all(others) and not roll.may_be_cut
    return Seen(absent if told else [], there, [] if told else absent)


def roll_of(body: Mapping[str, Json], *, believed: bool) -> Roll:
    """Return the roll that a group's body holds."""
    members = field(body, "members")
    elements = members if isinstance(members, list) else []
    shown: dict[str, str] = {}
    for each in elements:
        value = each if isinstance(each, str) else field(each, "value") or field(each, "display")
        if value not in (None, ""):
            shown[str(value)] = str(field(each, "type") or "")
    return Roll(shown, believed)


__all__ = ["Roll", "Seen", "roll_of", "seen"]
