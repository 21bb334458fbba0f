"""The table of a user's life, row by row, as the design has it."""

from __future__ import annotations

from itertools import product

import pytest

from syncd.core.lifecycle import Says, Step, step
from syncd.core.model import State

ROWS = [
    (None, Says.ACTIVE, Step.CREATE),
    (None, Says.EXTERNAL, Step.INVITE),
    (None, Says.OFF, Step.NOTHING),
    (State.ACTIVE, Says.ACTIVE, Step.UPDATE),
    (State.ACTIVE, Says.EXTERNAL, Step.UPDATE),
    (State.ACTIVE, Says.OFF, Step.DEACTIVATE),
    (State.ACTIVE, Says.GONE, Step.DEACTIVATE),
    (State.PENDING, Says.ACTIVE, Step.ADMIT),
    (State.PENDING, Says.EXTERNAL, Step.UPDATE),
    (State.PENDING, Says.OFF, Step.DEACTIVATE),
    (State.PENDING, Says.GONE, Step.DEACTIVATE),
    (State.DEACTIVATED, Says.ACTIVE, Step.REACTIVATE),
    (State.DEACTIVATED, Says.EXTERNAL, Step.REACTIVATE),
    (State.DEACTIVATED, Says.OFF, Step.NOTHING),
    (State.DEACTIVATED, Says.GONE, Step.NOTHING),
]


@pytest.mark.parametrize(("known", "says", "follows"), ROWS)
def test_what_follows(known: State | None, says: Says, follows: Step) -> None:
    assert step(known, says) is follows


def test_nobody_can_be_unknown_and_gone() -> None:
    with pytest.raises(ValueError, match="no user can be unknown and gone"):
        step(None, Says.GONE)


def test_every_pair_has_its_row() -> None:
    rows = {(known, says) for known, says, _ in ROWS} | {(None, Says.GONE)}
    assert rows == set(product([None, *State], Says))
