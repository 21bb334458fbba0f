"""The data that the script of a report reads: all items, each text once, and the orders in which items can be shown."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from typing import Final

from syncd.core.model import Json
from syncd.core.plan import Result
from syncd.report.items import SECTIONS, Item, Review

MOST_PEOPLE: Final = 500
"""The people listed of one membership change, with the script and without; the others are counted."""
RESULTS: Final = {result.value: result.words for result in Result}
"""Outcomes in words, with the script and without."""
_RANKS: Final = {section.code: index for index, section in enumerate(SECTIONS)}
_TYPOGRAPHIC: Final = {"-": "−", "x": "×"}


def typographic(sign: str) -> str:
    """Return the sign of an item as a page shows it."""
    return _TYPOGRAPHIC.get(sign, sign)


def anchors_of(reviews: Iterable[Review]) -> list[list[str]]:
    """Return the anchor of each item of each review: `change-ID`, numbered if an earlier review has that anchor."""
    taken: dict[str, int] = {}
    anchors = []
    for each in reviews:
        own = []
        for item in each.items:
            times = taken[item.id] = taken.get(item.id, 0) + 1
            own.append(f"change-{item.id}" if times == 1 else f"change-{item.id}-{times}")
        anchors.append(own)
    return anchors


class _Texts:
    """Texts that many items share, by number. 0 is the empty text."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {"": 0}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def data(reviews: Sequence[Review], anchors: Sequence[Sequence[str]]) -> Json:
    """Return the items of all reviews as one list; `anchors` as from `anchors_of`."""
    texts = _Texts()
    items = [
        _packed(item, anchor, target, texts)
        for target, each in enumerate(reviews)
        for item, anchor in zip(each.items, anchors[target], strict=True)
    ]
    return {
        "targets": [each.target for each in reviews],
        "results": RESULTS,
        "sections": [
            {
                "code": section.code,
                "title": section.title,
                "why": section.why,
                "meaning": section.meaning.value,
                "unusual": section.unusual,
            }
            for section in SECTIONS
        ],
        "items": items,
        "orders": _orders(reviews),
        "texts": list(texts.numbers),
    }


def _orders(reviews: Sequence[Review]) -> dict[str, Json]:
    """Return, by the name of each order, the indices of all items in that order."""
    items = [item for each in reviews for item in each.items]
    places = range(len(items))
    execution, offset = [], 0
    for each in reviews:
        execution += [offset + index for index in each.execution]
        offset += len(each.items)
    return {
        # The items of one review come in this order. The sections of several are put together; sorting is stable.
        "gravity": sorted(places, key=lambda index: _RANKS[items[index].section]) if len(reviews) > 1 else list(places),
        "execution": execution,
        "name": sorted(places, key=lambda index: (items[index].name.casefold(), items[index].key)),
        "department": sorted(
            places,
            key=lambda index: (
                not items[index].department,
                items[index].department.casefold(),
                items[index].name.casefold(),
            ),
        ),
    }


def _packed(item: Item, anchor: str, target: int, texts: _Texts) -> Json:
    """Return an item as the script reads it, without its empty fields."""
    packed: dict[str, Json] = {
        "anchor": anchor,
        "target": target,
        "section": _RANKS[item.section],
        "meaning": item.meaning.value,
        "sign": typographic(item.sign),
        "words": texts(item.words),
        "kind": item.kind,
        "key": item.key,
        "name": item.name,
        "reason": texts(item.reason),
        "cluster": texts(item.cluster),
        "state": item.state,
        "department": texts(item.department),
        "groups": [texts(group) for group in item.groups],
        "notes": [texts(note) for note in item.telling],
        "rows": [[texts(row.label), *row.parts] for row in item.rows],
        "columns": list(item.columns) if item.columns != ("before", "after") else None,
        "people": [[verb, names[:MOST_PEOPLE], max(0, len(names) - MOST_PEOPLE)] for verb, names in item.people],
        "resource": item.resource,
        "first": item.first,
        "command": item.command,
        "result": item.result,
        "status": item.status,
        "said": item.said,
        "means": texts(item.means),
    }
    return {name: value for name, value in packed.items() if value or name in ("target", "section")}
