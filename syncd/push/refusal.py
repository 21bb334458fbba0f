"""Refusals: a change whose precondition no longer holds is not tried."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.core.model import Flat, Json
from syncd.core.plan import Change, Result


@dataclass
class Refusal(Exception):
    """A change that is not tried: its precondition fails (REFUSED), or an earlier event prevents it (SKIPPED)."""

    result: Result
    reason: str


def expect(change: Change, attributes: Flat) -> None:
    """Raise Refusal where an attribute that the change replaces is no longer what the plan expects."""
    for path, value in change.before.items():
        if attributes.get(path) != value:
            raise moved(path, value, attributes.get(path))


def moved(path: str, expected: Json, found: Json) -> Refusal:
    """Return the refusal of a change because of one attribute."""
    return Refusal(Result.REFUSED, f"{path} has changed since: the plan expects {expected!r}, it is {found!r}")
