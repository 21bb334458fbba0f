"""What is to be done with a managed user, given what is known and what the source says. A table, and nothing else.

The states and their transitions are those of the README's picture: absent, pending, active, deactivated.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from syncd.core.model import State


class Says(StrEnum):
    """What the source says of a key."""

    ACTIVE = "active"
    EXTERNAL = "external"
    """Active, with an address outside the verified domains."""
    OFF = "off"
    """There, and disabled or out of scope."""
    GONE = "gone"
    """Not there, and nothing suggests that it was merely unread."""


class Step(StrEnum):
    """What follows."""

    NOTHING = "nothing"
    CREATE = "create"
    INVITE = "invite"
    """Create as pending."""
    UPDATE = "update"
    """Bring attributes into line; the state stays."""
    ADMIT = "admit"
    """Pending no longer: the address is now in a verified domain."""
    REACTIVATE = "reactivate"
    DEACTIVATE = "deactivate"
    IMPOSSIBLE = "impossible"


#  known          source says    -> step
_TABLE: Final[dict[tuple[State | None, Says], Step]] = {
    # Somebody new gets an account; an outsider's is an invitation.
    (None, Says.ACTIVE): Step.CREATE,
    (None, Says.EXTERNAL): Step.INVITE,
    # Who is disabled or not wanted never gets an account in the first place.
    (None, Says.OFF): Step.NOTHING,
    # Neither known nor there: nobody could have asked.
    (None, Says.GONE): Step.IMPOSSIBLE,
    (State.ACTIVE, Says.ACTIVE): Step.UPDATE,
    # They accepted long ago; that the address moved outside is for policy to look at, not a second invitation.
    (State.ACTIVE, Says.EXTERNAL): Step.UPDATE,
    # Leavers lose access first.
    (State.ACTIVE, Says.OFF): Step.DEACTIVATE,
    (State.ACTIVE, Says.GONE): Step.DEACTIVATE,
    (State.PENDING, Says.ACTIVE): Step.ADMIT,
    # Never activated by us, never invited again.
    (State.PENDING, Says.EXTERNAL): Step.UPDATE,
    # The invitation is withdrawn.
    (State.PENDING, Says.OFF): Step.DEACTIVATE,
    (State.PENDING, Says.GONE): Step.DEACTIVATE,
    # Back again: the same account, with everything it had. (Who never accepted is pending again: `diff`.)
    (State.DEACTIVATED, Says.ACTIVE): Step.REACTIVATE,
    (State.DEACTIVATED, Says.EXTERNAL): Step.REACTIVATE,
    (State.DEACTIVATED, Says.OFF): Step.NOTHING,
    (State.DEACTIVATED, Says.GONE): Step.NOTHING,
}


def step(known: State | None, says: Says) -> Step:
    """Return what follows for a user. Raises ValueError for a pair that can't be."""
    found = _TABLE[known, says]
    if found is Step.IMPOSSIBLE:
        raise ValueError(f"no user can be {known or 'unknown'} and {says}")
    return found
