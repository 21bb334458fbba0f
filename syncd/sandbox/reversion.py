"""Let a resource become again as it was before a write: after some requests, after a while, or when a list is read."""

from __future__ import annotations

import time
from collections.abc import Sequence
from dataclasses import dataclass

from syncd.sandbox.database import Database
from syncd.sandbox.deviations import Reverts
from syncd.sandbox.memories import Memory, restore
from syncd.sandbox.rules import Rule


@dataclass(slots=True)
class Reversion:
    """One resource to restore, and when."""

    memory: Memory
    rule: Reverts
    written: float
    requests: int = 0
    """The number of requests since the write."""

    def is_due(self, listing: bool) -> bool:
        """Whether the resource is restored before the present request."""
        rule = self.rule
        lasted = (time.monotonic() - self.written) * 1000
        return (
            (rule.requests is not None and self.requests > rule.requests)
            or (rule.milliseconds is not None and lasted >= rule.milliseconds)
            or (rule.listed and listing)
        )


class Reversions:
    """The resources that are to be restored."""

    def __init__(self, database: Database) -> None:
        self._database = database
        self._waiting: list[Reversion] = []

    def plan(self, memory: Memory, rule: Reverts) -> None:
        """Restore a resource later. The state before the first of several writes is the one restored."""
        same = (memory.type, memory.id)
        if all((each.memory.type, each.memory.id) != same for each in self._waiting):
            self._waiting.append(Reversion(memory, rule, time.monotonic()))

    def carry_out(self, rules: Sequence[Rule], *, counted: bool, listing: bool) -> None:
        """Restore what is due at the beginning of a request; `counted` False: an observer's.

        `rules`: those in force. A reversion ends with its rule.
        """
        if not self._waiting:
            return
        self._waiting = [each for each in self._waiting if any(rule is each.rule for rule in rules)]
        for each in self._waiting:
            each.requests += counted
        due = [each for each in self._waiting if each.is_due(listing and counted)]
        self._waiting = [each for each in self._waiting if each not in due]
        for each in due:
            restore(self._database, each.memory)
