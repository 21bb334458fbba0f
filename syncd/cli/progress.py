"""Progress on a terminal: a counter while reading, bars with the time left while pushing."""

from __future__ import annotations

from types import TracebackType
from typing import Any, Self

from rich.console import Console
from rich.progress import (
    BarColumn,
    MofNCompleteColumn,
    ProgressColumn,
    SpinnerColumn,
    Task,
    TaskID,
    TextColumn,
    TimeRemainingColumn,
)
from rich.progress import Progress as Bar
from rich.text import Text

from syncd.core.plan import Outcome
from syncd.cycle.progress import Progress


class _Rate(ProgressColumn):
    """The number of changes per second."""

    def render(self, task: Task) -> Text:
        return Text(f"{task.speed:.0f}/s" if task.speed and task.total else "", style="progress.data.speed")


class TerminalProgress(Progress):
    """Draws on stderr, a bar for each target, and leaves nothing behind."""

    def __init__(self) -> None:
        columns = (SpinnerColumn(), TextColumn("{task.description}"), BarColumn(), MofNCompleteColumn(), _Rate())
        self._bar = Bar(*columns, TimeRemainingColumn(), console=Console(stderr=True), transient=True)
        self._reading: TaskID | None = self._bar.add_task("reading the source", total=None)
        self._pushes: dict[str, TaskID] = {}

    def __enter__(self) -> Self:
        self._bar.start()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._bar.stop()

    def pulled(self, people: int) -> None:
        self._read(description="reading the source", completed=people)

    def reading(self, target: str) -> None:
        self._read(description=f"reading {target}")

    def waiting(self, sentence: str) -> None:
        self._read(description=sentence)

    def _read(self, **shown: Any) -> None:
        if self._reading is not None:
            self._bar.update(self._reading, **shown)

    def pushing(self, target: str, changes: int) -> None:
        if self._reading is not None:
            self._bar.remove_task(self._reading)
            self._reading = None
        self._pushes[target] = self._bar.add_task(f"pushing to {target}", total=changes)

    def outcome(self, target: str, outcome: Outcome) -> None:
        self._bar.advance(self._pushes[target])

    def pushed(self, target: str, changes: int) -> None:
        self._bar.update(self._pushes[target], completed=changes)
