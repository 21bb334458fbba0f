"""What was learned of an endpoint: told in words, and forgotten when a person says so."""

from __future__ import annotations

from typing import Final

from syncd.core.model import Json
from syncd.scim.dialect import Dialect
from syncd.settings.build import Setup
from syncd.store import StateFile

_KEPT: Final = ("protected", "me")
"""Accounts that are never switched off: forgetting them would let them be switched off until the next full resync."""
_LEARNED: Final = {
    "concurrency": "how many requests at a time it bears",
    "shown": "which attributes it shows",
    "shows_members": "that it shows members",
    "active_as": "how it shows who is switched off",
    "pending_shown": "that it shows who has not accepted",
}


def relearn(setup: Setup, state: StateFile, target: str | None) -> list[Json]:
    """Forget what was learned of the endpoint of a target, or of all targets; return it in words (`forgotten`).

    The accounts that the endpoint protects stay known.
    """
    done: list[Json] = []
    with state.atomic():
        for each in setup.chosen(target):
            snapshot = state.snapshot(each.name)
            known = snapshot.discovery
            forgotten = Dialect.known(known, each.rules.profile).in_words()
            forgotten += [words for name, words in _LEARNED.items() if known.get(name)]
            snapshot.discover({name: fact for name, fact in known.items() if name in _KEPT})
            done.append({"target": each.name, "forgotten": forgotten})
    return done
