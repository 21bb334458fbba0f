"""The figures in the head of a report's page: bars, meters, and the patterns worth showing. Numbers and words alone."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Final

from syncd.core.context import LimitUse
from syncd.report.items import Meaning, Pattern, Picture, Tally

_WIDTH: Final = 1000
"""The width of a picture, in units of its own; `templates/head.html` has the same."""
_LEAST: Final = 6
"""The width in units that any count above 0 gets: one leaver among ten thousand must be seen."""
_GAP: Final = 2
"""The units between two bars."""
_SIGNS: Final = {
    Meaning.CREATE: "+",
    Meaning.CHANGE: "~",
    Meaning.DEACTIVATE: "−",
    Meaning.HELD: "‖",
    Meaning.TROUBLE: "!",
    Meaning.QUIET: "·",
}
_PATTERNS_SHOWN: Final = 6
_EXAMPLE_SHOWN: Final = 60
"""The characters shown of an example's value."""


@dataclass(frozen=True, slots=True)
class Bar:
    """One part of a picture, from `start` on, in the picture's units."""

    of: Tally
    start: float
    drawn: float
    """The width without the gap behind it."""
    border: float | None
    """The position of the border between the managed and the new, before the first bar of the new."""

    @property
    def sign(self) -> str:
        return _SIGNS[self.of.meaning]


def bars(picture: Picture) -> list[Bar]:
    """Return the bars of the managed, by their state, followed by the bars of the new."""
    tallies = [*picture.inside, Tally("same", "not touched", picture.untouched, Meaning.QUIET), *picture.outside]
    shown = [each for each in tallies if each.count]
    found, start = [], 0.0
    for each, width in zip(shown, _widths([each.count for each in shown]), strict=True):
        border = start - _GAP if each in picture.outside[:1] and start else None
        found.append(Bar(each, start, max(width - _GAP, 1), border))
        start += width
    return found


def _widths(counts: Sequence[int]) -> list[float]:
    """Share the width by counts; no part is too narrow to be visible."""
    total = sum(counts)
    if not total:
        return []
    widths = [max(count * _WIDTH / total, _LEAST) for count in counts]
    widest = max(range(len(widths)), key=widths.__getitem__)
    widths[widest] -= sum(widths) - _WIDTH
    return widths


def used_percent(use: LimitUse) -> float:
    """Return how far a limit's meter is filled: from 0 to 100."""
    if not use.affected:
        return 0.0
    return 100 * min(use.affected / use.most, 1) if use.most else 100.0


def shown_patterns(patterns: Sequence[Pattern]) -> list[Pattern]:
    """Return the first patterns and all rare patterns, up to a readable number."""
    found = [each for index, each in enumerate(patterns) if index < _PATTERNS_SHOWN or each.rare]
    return found[: 3 * _PATTERNS_SHOWN]


def example(pattern: Pattern) -> str:
    """Return the commonest values of a pattern, in words."""
    if pattern.example_count == 1 and pattern.count > 1:
        return "to different values"
    before, after = pattern.example.before, pattern.example.after
    times = f" ({pattern.example_count:,} times)" if pattern.example_count not in (1, pattern.count) else ""
    return f"{_begun(before)} → {_begun(after)}{times}"


def _begun(value: str | None) -> str:
    if not value:
        return "nothing"
    return value if len(value) <= _EXAMPLE_SHOWN else f"{value[:_EXAMPLE_SHOWN]}…"
