"""The changes that a report's page has without its script: the first unusual ones, and a count of all others."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import groupby
from typing import Final

from syncd.report.items import Item, Review, Row, Section
from syncd.report.words import counted

_MOST_ITEMS: Final = 100
"""The changes shown of each unusual section of a target; the script shows all."""

Anchored = tuple[str, Item]
"""An item, preceded by its anchor."""


@dataclass(frozen=True, slots=True)
class SectionPart:
    """The beginning of one section."""

    section: Section
    count: int
    """All items of the section."""
    clusters: list[tuple[str, list[Anchored]]]
    """Items below their shared sentence; "" for items without a shared sentence."""


@dataclass(frozen=True, slots=True)
class Part:
    """The static part of the page for one target."""

    where: str
    """The target's name after " at "; "" on a page about one target."""
    missing: str
    """The number of changes that are not shown, in words."""
    sections: list[SectionPart]


def parts(reviews: Sequence[Review], anchors: Sequence[Sequence[str]]) -> list[Part]:
    """Return the part of each target; `anchors` as from `anchors_of`."""
    return [
        _part(each, own, f" at {each.target}" if len(reviews) > 1 else "")
        for each, own in zip(reviews, anchors, strict=True)
    ]


def _part(review: Review, anchors: Sequence[str], where: str) -> Part:
    anchor = dict(zip(map(id, review.items), anchors, strict=True))
    left, shown = [], []
    for section, items in review.sections():
        first = items[:_MOST_ITEMS] if section.unusual else []
        if count := len(items) - len(first):
            left.append((f"{section.title}: {count:,}{' more' if first else ''}", count))
        if first:
            shown.append(SectionPart(section, len(items), _clusters([(anchor[id(item)], item) for item in first])))
    if not left:
        return Part(where, "", shown)
    others = counted(sum(count for _, count in left), "other", "others")
    missing = f"Not shown without JavaScript{where}: {others} of {len(review.items):,}."
    return Part(where, f"{missing} {'; '.join(words for words, _ in left)}.", shown)


def _clusters(items: Sequence[Anchored]) -> list[tuple[str, list[Anchored]]]:
    return [(cluster, list(each)) for cluster, each in groupby(items, key=lambda anchored: anchored[1].cluster)]


def sides(rows: Sequence[Row]) -> list[int]:
    """Return which sides any row has a value on: 0 before, 1 after."""
    return [side for side in (0, 1) if any(row.parts[side] for row in rows)]
