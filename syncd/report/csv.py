"""Changes as CSV for spreadsheets: a line per attribute or member, every cell a text that no spreadsheet carries out.

RFC 4180: CRLF, every cell in quotes. Write it as `ENCODING`: spreadsheets take UTF-8 for what it is by its mark alone.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from syncd.core.plan import Action
from syncd.report.items import SECTION, Item
from syncd.report.review import Subject, review

ENCODING: Final = "utf-8-sig"
COLUMNS: Final = (
    "target", "class", "unusual", "action", "kind", "key", "name", "state", "department",
    "attribute", "before", "after", "reason", "notes", "held by", "result", "status", "said", "means", "id",
)  # fmt: skip
_FORMULA: Final = ("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")
"""What a cell begins with that spreadsheets take for a formula or a command."""


def harmless(cell: str) -> str:
    """Return a cell that a spreadsheet shows and doesn't carry out: an apostrophe before what could be a formula.

    Tabs and line breaks, which would begin another cell, are escapes already (`visible`).
    """
    return f"'{cell}" if cell.lstrip(" '\"").startswith(_FORMULA) else cell


def rows(subjects: Subject | Sequence[Subject]) -> Iterator[tuple[str, ...]]:
    """Yield the lines below the headings: what a report shows, in its order."""
    for subject in subjects if isinstance(subjects, Sequence) else [subjects]:
        shown = review(subject)
        for item in shown.items:
            for attribute, before, after in _differences(item):
                yield tuple(map(harmless, _row(shown.target, item, attribute, before, after)))


def _differences(item: Item) -> list[tuple[str, str, str]]:
    found = [(row.label, row.before or "", row.after or "") for row in item.rows]
    was_there = item.action == Action.ADOPT_GROUP.value
    found += [("member", who if was_there else "", who) for who in item.came]
    found += [("member", who, "") for who in item.went]
    return found or [("", "", "")]


def _row(target: str, item: Item, attribute: str, before: str, after: str) -> tuple[str, ...]:
    section = SECTION[item.section]
    return (
        target, section.title, "yes" if section.unusual else "", item.action, item.kind, item.key, item.name,
        item.state, item.department, attribute, before, after, item.reason, "; ".join(item.notes), item.limit,
        item.result, str(item.status or ""), item.said, item.means, item.id,
    )  # fmt: skip


def document(subjects: Subject | Sequence[Subject]) -> str:
    """Return the whole file as text, headings first."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(subjects))
    return file.getvalue()


__all__ = ["COLUMNS", "ENCODING", "document", "harmless", "rows"]
