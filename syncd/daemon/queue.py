"""Whose turn it is: what is due by the schedule, what people have asked for, and what may begin now.

Never two cycles of one target; what is due together shares one pull; what is due twice is done once. Pure.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable
from dataclasses import dataclass, field


@dataclass(eq=False)
class Turn:
    """One cycle that is to be begun. `asked`: by a person, for exactly this; else by the schedule."""

    targets: tuple[str, ...]
    full: frozenset[str] = frozenset()
    """Which of the targets are read whole."""
    asked: object = None
    left: set[str] = field(init=False)
    """The targets that it is not done with."""

    def __post_init__(self) -> None:
        self.left = set(self.targets)


class RunQueue:
    """Decides what begins when; does nothing itself."""

    def __init__(self) -> None:
        self._due: dict[str, bool] = {}
        self._asked: list[Turn] = []
        self._busy: dict[str, Turn] = {}
        self.paused: set[str] = set()
        """Targets that nothing is done about by the schedule."""

    def due(self, targets: Iterable[str], *, full: bool) -> None:
        """Let targets have their turn as soon as they can; a full resync is worth a plain one."""
        for target in targets:
            self._due[target] = full or self._due.get(target, False)

    def ask(self, turn: Turn) -> None:
        """Let what a person asked for have its turn as soon as its targets are free, before what is due."""
        self._asked.append(turn)

    def next(self) -> list[Turn]:
        """Return what may begin now, and let it have its targets."""
        turns = []
        waited_for: set[str] = set()
        for turn in list(self._asked):
            if not waited_for.isdisjoint(turn.targets) or not self._busy.keys().isdisjoint(turn.targets):
                waited_for |= turn.left  # first come, first served
                continue
            self._asked.remove(turn)
            turns.append(self._taken(turn))
        for target in self.paused & self._due.keys():
            del self._due[target]  # `resume` makes it due again
        ready = [target for target in self._due if target not in self._busy and target not in waited_for]
        if ready:
            full = frozenset(target for target in ready if self._due.pop(target))
            turns.append(self._taken(Turn(tuple(ready), full)))
        return turns

    def _taken(self, turn: Turn) -> Turn:
        self._busy |= dict.fromkeys(turn.targets, turn)
        return turn

    def free(self, turn: Turn, target: str | None = None) -> None:
        """A turn is done with one target, or with all of them."""
        for each in [target] if target is not None else list(turn.left):
            turn.left.discard(each)
            if self._busy.get(each) is turn:
                del self._busy[each]

    def withdraw(self, asked: object) -> None:
        """Let go of what was asked for and has not begun."""
        self._asked = [turn for turn in self._asked if turn.asked is not asked]

    def forget(self, known: Collection[str]) -> None:
        """Only these targets are configured from now on."""
        self._due = {target: full for target, full in self._due.items() if target in known}
        self.paused &= set(known)

    @property
    def busy(self) -> dict[str, Turn]:
        """By target, what goes on."""
        return dict(self._busy)

    def before(self, turn: Turn) -> list[str]:
        """Return the targets of a turn that something else is at work on, or was asked for earlier."""
        earlier = self._asked[: self._asked.index(turn)] if turn in self._asked else []
        others = set(self._busy).union(*(each.left for each in earlier))
        return sorted(others & set(turn.targets))
