"""The progress of a cycle, as its steps report it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from syncd.core.plan import Outcome
from syncd.scim.transport import Traffic


class Progress:
    """Follows a cycle, from entering to leaving. This class ignores all reports; a terminal has its own class."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def waiting(self, sentence: str) -> None:
        """The cycle waits for something else to end."""

    def pulled(self, people: int) -> None:
        """Report the number of people read from the source so far."""

    def pushing(self, target: str, changes: int) -> None:
        """Report that a push begins, with its number of changes."""

    def reading(self, target: str) -> None:
        """Report that a target is being read whole."""

    def outcome(self, target: str, outcome: Outcome) -> None:
        """Report that one change is done."""

    def pushed(self, target: str, changes: int) -> None:
        """Report the number of changes done, where another process counts them."""

    def answered(self, target: str, answers: Mapping[tuple[str, int], int], traffic: Traffic) -> None:
        """Report the answers of a target: counts by method and status (0: no answer), and all its requests."""

    def took(self, phase: str, target: str, seconds: float) -> None:
        """Report the end of a phase: `pull` (of all targets: ""), `read`, `compare`, `push`."""
