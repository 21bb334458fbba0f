"""The reports that the daemon keeps: a page for each run that changed something, or whose holds changed."""

from __future__ import annotations

import os
import re
from pathlib import Path
from typing import Self

from syncd.core.plan import Run
from syncd.report.html import page
from syncd.settings.build import Setup


class Reports:
    """A folder of pages, `TARGET-000123.html`, for the daemon's own user alone."""

    def __init__(self, folder: Path, most: int) -> None:
        self._folder = folder
        self._most = most
        self._held: dict[str, frozenset[str]] = {}
        """By target, the ids of the changes that the last run held."""

    @classmethod
    def of(cls, setup: Setup) -> Self:
        """Return the reports of a configuration."""
        return cls(setup.reports, setup.settings.reports.keep)

    def keep(self, run: Run) -> Path | None:
        """Write the report of a run if it is worth one, and delete the oldest; return the path. Raises OSError."""
        target, held = run.plan.target, frozenset(each.id for each in run.plan.held)
        before = self._held.get(target, frozenset())
        self._held[target] = held
        if not self._most or not (run.outcomes or held - before):
            return None
        content = page(run).encode()
        self._folder.mkdir(mode=0o700, parents=True, exist_ok=True)
        path = self._folder / f"{target}-{run.number:06}.html"
        draft = path.with_suffix(".draft")
        with os.fdopen(os.open(draft, os.O_WRONLY | os.O_CREAT | os.O_TRUNC | os.O_CLOEXEC, 0o600), "wb") as file:
            file.write(content)
        draft.replace(path)
        for old in self._of(target)[: -self._most]:
            old.unlink(missing_ok=True)
        return path

    def _of(self, target: str) -> list[Path]:
        """Return the reports of one target, the oldest first."""
        mine = re.compile(re.escape(target) + r"-(\d{6,})\.html")
        found = [(int(match[1]), path) for path in self._folder.iterdir() if (match := mine.fullmatch(path.name))]
        return [path for _, path in sorted(found)]
