"""The steps for a managed user, from the known state, the source's answer and the target's answer. A table.

The states and their transitions are those of the README's picture: absent, pending, active, deactivated.
"""

from __future__ import annotations

from enum import StrEnum
from typing import Final

from syncd.core.model import State


class Says(StrEnum):
    """The source's answer about a key."""

    ACTIVE = "active"
    EXTERNAL = "external"
    """Active, with an address outside the verified domains."""
    OFF = "off"
    """Present, and disabled or out of scope."""
    GONE = "gone"
    """Absent, with proof."""


class Shows(StrEnum):
    """The account at the target, as last acknowledged or as seen in a full resync."""

    ON = "on"
    OFF = "off"
    NOTHING = "nothing"
    """No account: none was found for an entry that is not linked, or the linked one is lost."""


class Step(StrEnum):
    """One step for a user."""

    NOTHING = "nothing"
    CREATE = "create"
    INVITE = "invite"
    """Create as pending."""
    ADOPT = "adopt"
    """Take over the account that is there."""
    ADOPT_OFF = "adopt_off"
    """Link the account that is there, and see that it is off."""
    UPDATE = "update"
    """Bring attributes into line; the state stays."""
    ADMIT = "admit"
    """End the pending state: the user accepted, or the address is now in a verified domain."""
    REACTIVATE = "reactivate"
    DEACTIVATE = "deactivate"
    WITHDRAW = "withdraw"
    """Take an invitation back."""
    INVITE_AGAIN = "invite_again"
    """Leave the decision to a person: an outsider's account was deleted at the target."""
    FORGET = "forget"
    """Forget the user: neither source nor target has the user any more."""
    IMPOSSIBLE = "impossible"


_ON, _OFF, _NO = Shows.ON, Shows.OFF, Shows.NOTHING

#  known, source says    target shows: on, off, nothing -> steps
_ROWS: Final[dict[tuple[State | None, Says], tuple[Step, Step, Step]]] = {
    # Somebody new gets an account, and an outsider's is an invitation; unless there is one already.
    (None, Says.ACTIVE): (Step.ADOPT, Step.ADOPT, Step.CREATE),
    (None, Says.EXTERNAL): (Step.ADOPT, Step.ADOPT, Step.INVITE),
    # A disabled or unwanted person never gets an account. An account with our mark was ours, and must be off.
    (None, Says.OFF): (Step.ADOPT_OFF, Step.ADOPT_OFF, Step.NOTHING),
    # Neither known nor there: nobody could have asked.
    (None, Says.GONE): (Step.IMPOSSIBLE, Step.IMPOSSIBLE, Step.IMPOSSIBLE),
    # Switched off at the target, and wanted: an update corrects this along with all other differences.
    (State.ACTIVE, Says.ACTIVE): (Step.UPDATE, Step.UPDATE, Step.CREATE),
    # The user accepted long ago; an address that moved outside is for policy to judge, not a second invitation.
    (State.ACTIVE, Says.EXTERNAL): (Step.UPDATE, Step.UPDATE, Step.INVITE_AGAIN),
    # Leavers lose access first.
    (State.ACTIVE, Says.OFF): (Step.DEACTIVATE, Step.DEACTIVATE, Step.FORGET),
    (State.ACTIVE, Says.GONE): (Step.DEACTIVATE, Step.DEACTIVATE, Step.FORGET),
    (State.PENDING, Says.ACTIVE): (Step.ADMIT, Step.ADMIT, Step.CREATE),
    # Never activated by us, never invited again.
    (State.PENDING, Says.EXTERNAL): (Step.UPDATE, Step.UPDATE, Step.INVITE_AGAIN),
    (State.PENDING, Says.OFF): (Step.WITHDRAW, Step.WITHDRAW, Step.FORGET),
    (State.PENDING, Says.GONE): (Step.WITHDRAW, Step.WITHDRAW, Step.FORGET),
    # Back again: the same account, with everything it had. (`diff` makes a user pending again who never accepted.)
    (State.DEACTIVATED, Says.ACTIVE): (Step.REACTIVATE, Step.REACTIVATE, Step.CREATE),
    (State.DEACTIVATED, Says.EXTERNAL): (Step.REACTIVATE, Step.REACTIVATE, Step.INVITE_AGAIN),
    # Drift: the account was switched on at the target.
    (State.DEACTIVATED, Says.OFF): (Step.DEACTIVATE, Step.NOTHING, Step.FORGET),
    (State.DEACTIVATED, Says.GONE): (Step.DEACTIVATE, Step.NOTHING, Step.FORGET),
}
_TABLE: Final[dict[tuple[State | None, Says, Shows], Step]] = {
    (known, says, shows): step
    for (known, says), steps in _ROWS.items()
    for shows, step in zip((_ON, _OFF, _NO), steps, strict=True)
}


def step(known: State | None, says: Says, shows: Shows) -> Step:
    """Return the steps for a user. Raises ValueError for an impossible combination."""
    found = _TABLE[known, says, shows]
    if found is Step.IMPOSSIBLE:
        raise ValueError(f"no user can be {known or 'unknown'} and {says} where the target shows {shows}")
    return found
