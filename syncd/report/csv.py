"""Changes as CSV for spreadsheets: a row per change, every cell a text that no spreadsheet executes.

A row is for reading, sorting and filtering: long values, many attributes and long lists of members are shortened, with
the number of omitted parts. The plan as JSON is complete.

RFC 4180: CRLF, every cell in quotes. Write text as `ENCODING`: spreadsheets recognise UTF-8 by the byte order mark.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Iterator, Sequence
from typing import Final

from syncd.report.items import SECTION, Item, Row
from syncd.report.review import Subject, review
from syncd.report.words import counted, shortened

ENCODING: Final = "utf-8-sig"
COLUMNS: Final = (
    "target", "class", "unusual", "action", "kind", "name", "key", "state", "department", "changes", "joining",
    "leaving", "members", "reason", "notes", "held by", "result", "status", "said", "means", "id",
)  # fmt: skip
VALUE_SHOWN: Final = 80
"""Characters of one value in a cell."""
ATTRIBUTES_SHOWN: Final = 20
"""Attributes in a cell."""
_FORMULA: Final = ("=", "+", "-", "@", "|", "%", "＝", "＋", "－", "＠")
"""The first characters by which spreadsheets recognise a formula or a command."""


def harmless(cell: str) -> str:
    """Return a cell that a spreadsheet shows and doesn't execute: an apostrophe precedes a possible formula.

    Tabs and line breaks, which would begin another cell, are escapes already (`visible`).
    """
    return f"'{cell}" if cell.lstrip(" '\"").startswith(_FORMULA) else cell


def rows(subjects: Subject | Sequence[Subject]) -> Iterator[tuple[str, ...]]:
    """Yield the rows below the headings: the items of a report, in the order of the report."""
    for subject in subjects if isinstance(subjects, Sequence) else [subjects]:
        shown = review(subject)
        for item in shown.items:
            yield tuple(map(harmless, _row(shown.target, item)))


def _row(target: str, item: Item) -> tuple[str, ...]:
    section = SECTION[item.section]
    joining, leaving = 0 if item.were_there else len(item.came), len(item.went)
    members = "; ".join(f"{verb}: {shortened(names)}" for verb, names in item.people)
    return (
        target, section.title, "yes" if section.unusual else "", item.action, item.kind, item.name, item.key,
        item.state, item.department, _changes(item.rows), str(joining or ""), str(leaving or ""), members,
        item.reason, "; ".join(item.notes), item.limit, item.result, str(item.status or ""), item.said, item.means,
        item.id,
    )  # fmt: skip


def _changes(differences: Sequence[Row]) -> str:
    """Return attributes as one cell: "title: Engineer -> Head of Design; nickName: Ada -> nothing"."""
    parts = [
        f"{row.label}: {_cut(row.after)}"
        if row.before is None
        else f"{row.label}: {_cut(row.before)} -> {_cut(row.after)}"
        for row in differences[:ATTRIBUTES_SHOWN]
    ]
    if len(differences) > ATTRIBUTES_SHOWN:
        parts.append(f"and {counted(len(differences) - ATTRIBUTES_SHOWN, 'more attribute', 'more attributes')}")
    return "; ".join(parts)


def _cut(value: str | None) -> str:
    """Return a value, or its beginning and its length."""
    if not value:
        return "nothing" if value is None else "empty"
    if len(value) <= VALUE_SHOWN:
        return value
    return f"{value[:VALUE_SHOWN]}… ({len(value):,} characters)"


def document(subjects: Subject | Sequence[Subject]) -> str:
    """Return the whole file as text, headings first."""
    file = io.StringIO(newline="")
    writer = csv.writer(file, quoting=csv.QUOTE_ALL, lineterminator="\r\n")
    writer.writerow(COLUMNS)
    writer.writerows(rows(subjects))
    return file.getvalue()


__all__ = ["ATTRIBUTES_SHOWN", "COLUMNS", "ENCODING", "VALUE_SHOWN", "document", "harmless", "rows"]
