"""The progress of a cycle, as its steps report it."""

from __future__ import annotations

from collections.abc import Mapping
from types import TracebackType
from typing import Self

from syncd.core.plan import Outcome


class Progress:
    """Follows a cycle, from entering to leaving. This one ignores what it is told; a terminal has its own."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        return

    def waiting(self, sentence: str) -> None:
        """Something else has to end first."""

    def pulled(self, people: int) -> None:
        """So many people were read from the source."""

    def pushing(self, target: str, changes: int) -> None:
        """A push of so many changes begins."""

    def reading(self, target: str) -> None:
        """A target is being read whole."""

    def outcome(self, target: str, outcome: Outcome) -> None:
        """One change is done."""

    def pushed(self, target: str, changes: int) -> None:
        """So many changes are done, where somebody else counts them."""

    def answered(self, target: str, answers: Mapping[tuple[str, int], int], retries: int, waited: float) -> None:
        """How requests to a target were answered: counts by method and status (0: no answer), requests that were sent
        again, and seconds waited."""

    def took(self, phase: str, target: str, seconds: float) -> None:
        """A phase has ended: `pull` (of all targets: ""), `read`, `compare`, `push`."""
