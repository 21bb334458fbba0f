"""The queue of cycles: targets due by the schedule, requests of people, and the turns that may begin now.

Never two cycles of one target. Targets that are due together share one pull. A target that is due twice has one cycle.
Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Turn:
    """One cycle that is to begin. `asked`: the request of a person; None: it is due by the schedule."""

    targets: tuple[str, ...]
    full: frozenset[str] = frozenset()
    """The targets that are read whole."""
    asked: object = None
    left: set[str] = field(init=False)
    """The targets whose run has not ended."""

    def __post_init__(self) -> None:
        self.left = set(self.targets)


class RunQueue:
    """Decides when each cycle begins; carries out nothing."""

    def __init__(self) -> None:
        self._due: dict[str, bool] = {}
        self._asked: list[Turn] = []
        self._busy: dict[str, Turn] = {}
        self.paused: set[str] = set()
        """Targets for which the schedule begins nothing."""

    def due(self, targets: Iterable[str], *, full: bool) -> None:
        """Let targets have a turn as soon as they are free. A full resync stands for a plain sync as well."""
        for target in targets:
            self._due[target] = full or self._due.get(target, False)

    def ask(self, turn: Turn) -> None:
        """Let a request begin as soon as its targets are free, before scheduled turns."""
        self._asked.append(turn)

    def next(self) -> list[Turn]:
        """Return the turns that may begin now; their targets are busy from now on."""
        turns = []
        waited_for: set[str] = set()
        for turn in list(self._asked):
            if not waited_for.isdisjoint(turn.targets) or not self._busy.keys().isdisjoint(turn.targets):
                waited_for |= turn.left  # first come, first served
                continue
            self._asked.remove(turn)
            turns.append(self._taken(turn))
        for target in self.paused & self._due.keys():
            del self._due[target]  # `resume` makes the target due again
        ready = [target for target in self._due if target not in self._busy and target not in waited_for]
        if ready:
            full = frozenset(target for target in ready if self._due.pop(target))
            turns.append(self._taken(Turn(tuple(ready), full)))
        return turns

    def _taken(self, turn: Turn) -> Turn:
        self._busy |= dict.fromkeys(turn.targets, turn)
        return turn

    def free(self, turn: Turn, target: str | None = None) -> None:
        """Note that a turn is done with one target, or with all of them."""
        for each in [target] if target is not None else list(turn.left):
            turn.left.discard(each)
            if self._busy.get(each) is turn:
                del self._busy[each]

    def withdraw(self, asked: object) -> None:
        """Remove a request that has not begun."""
        self._asked = [turn for turn in self._asked if turn.asked is not asked]

    def forget(self, known: Collection[str]) -> None:
        """Forget every target but these: only these are configured from now on."""
        self._due = {target: full for target, full in self._due.items() if target in known}
        self.paused &= set(known)

    @property
    def busy(self) -> dict[str, Turn]:
        """The running turn, by target."""
        return dict(self._busy)

    def before(self, turn: Turn) -> list[str]:
        """Return the targets of a turn that are busy, or that an earlier request waits for."""
        earlier = self._asked[: self._asked.index(turn)] if turn in self._asked else []
        others = set(self._busy).union(*(each.left for each in earlier))
        return sorted(others & set(turn.targets))
