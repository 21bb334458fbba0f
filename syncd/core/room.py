"""The room that a target has for a person: any number of groups, or one beside those that everybody may be in. Pure.

The order of the changes of groups and members follows from it.

#  a person can be in    the order                             because
#  any number of groups     leave, join                           whoever loses access loses it before anything else
#                                                                 can go wrong, and no join undoes another membership
#  one                      shared groups made, the others made,  the join takes a person out of the former group, or is
#                           shared joined, the others joined,     refused: leaving first would leave the person without
#                           leave                                 a group, and without a licence, for a moment
"""

from __future__ import annotations

from dataclasses import dataclass
from fnmatch import fnmatchcase
from glob import escape
from typing import Final

from syncd.core.actions import Phase

_PLACES: Final = {
    False: {phase: 2 * phase for phase in Phase},
    True: {phase: 2 * phase for phase in Phase}
    | {Phase.ADD_MEMBERS: 2 * Phase.REMOVE_MEMBERS, Phase.REMOVE_MEMBERS: 2 * Phase.ADD_MEMBERS},
}
"""The place of each phase in the order of execution, by whether a person can be in one group alone."""
_SHARED_FIRST: Final = (Phase.GROUPS, Phase.ADD_MEMBERS)


@dataclass(frozen=True, slots=True)
class Room:
    """A target's room for a person."""

    one_group: bool = False
    """Whether a person can be in one group alone, the shared groups apart."""
    default_group: str = ""
    """The name of the group that holds everybody; "" where none is named."""
    shared: tuple[str, ...] = ()
    """Patterns of the names of other groups that everybody may be in."""

    def is_shared(self, name: str) -> bool:
        """Return whether everybody may be in a group beside their own."""
        patterns = [escape(self.default_group), *self.shared] if self.default_group else self.shared
        return any(fnmatchcase(name, pattern) for pattern in patterns)

    def is_exclusive(self, name: str) -> bool:
        """Return whether the members of a group can be in no other group that isn't shared."""
        return self.one_group and not self.is_shared(name)

    def place(self, phase: Phase, name: str) -> int:
        """Return the place of a change in the order of execution: of its phase, of the resource of this name."""
        place = _PLACES[self.one_group][phase]
        return place + (phase in _SHARED_FIRST and self.is_exclusive(name))


ANY_NUMBER: Final = Room()

__all__ = ["ANY_NUMBER", "Room"]
