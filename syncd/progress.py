"""Progress on a terminal: a counter while reading, a bar with the time left while pushing."""

from __future__ import annotations

from types import TracebackType
from typing import Self

from rich.console import Console
from rich.progress import BarColumn, MofNCompleteColumn, SpinnerColumn, TextColumn, TimeRemainingColumn
from rich.progress import Progress as Bar

from syncd.core.plan import Outcome
from syncd.sync import Progress


class TerminalProgress(Progress):
    """Draws on stderr, and leaves nothing behind."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn())
        self._bar = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        self._task = self._bar.add_task("reading the source", total=None)

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def pulled(self, people: int) -> None:
        self._bar.update(self._task, description="reading the source", completed=people)

    def reading(self, target: str) -> None:
        self._bar.update(self._task, description=f"reading {target}")

    def pushing(self, target: str, changes: int) -> None:
        self._bar.remove_task(self._task)
        self._task = self._bar.add_task(f"pushing to {target}", total=changes)

    def outcome(self, outcome: Outcome) -> None:
        self._bar.advance(self._task)
