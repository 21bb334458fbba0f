"""The table of a user's life, row by row, as the design has it."""

from __future__ import annotations

from itertools import product

import pytest

from syncd.core.lifecycle import Says, Shows, Step, step
from syncd.core.model import State

ACTIVE, PENDING, DEACTIVATED = State.ACTIVE, State.PENDING, State.DEACTIVATED
ROWS = """
known        source says   on           off          nothing
-            active        adopt        adopt        create
-            external      adopt        adopt        invite
-            off           adopt_off    adopt_off    nothing
active       active        update       update       create
active       external      update       update       invite_again
active       off           deactivate   deactivate   forget
active       gone          deactivate   deactivate   forget
pending      active        admit        admit        create
pending      external      update       update       invite_again
pending      off           withdraw     withdraw     forget
pending      gone          withdraw     withdraw     forget
deactivated  active        reactivate   reactivate   create
deactivated  external      reactivate   reactivate   invite_again
deactivated  off           deactivate   nothing      forget
deactivated  gone          deactivate   nothing      forget
"""


def rows() -> dict[tuple[State | None, Says, Shows], Step]:
    found = {}
    for line in ROWS.strip().splitlines()[1:]:
        known, says, *steps = line.split()
        for shows, follows in zip((Shows.ON, Shows.OFF, Shows.NOTHING), steps, strict=True):
            found[State(known) if known != "-" else None, Says(says), shows] = Step(follows)
    return found


@pytest.mark.parametrize("row", rows().items(), ids=lambda row: "-".join(str(part) for part in row[0]))
def test_what_follows(row: tuple[tuple[State | None, Says, Shows], Step]) -> None:
    situation, follows = row
    assert step(*situation) is follows


@pytest.mark.parametrize("shows", Shows)
def test_nobody_can_be_unknown_and_gone(shows: Shows) -> None:
    with pytest.raises(ValueError, match="no user can be unknown and gone"):
        step(None, Says.GONE, shows)


def test_every_combination_has_its_row() -> None:
    impossible = {(None, Says.GONE, shows) for shows in Shows}
    assert rows().keys() | impossible == set(product([None, *State], Says, Shows))
    assert rows().keys().isdisjoint(impossible)
