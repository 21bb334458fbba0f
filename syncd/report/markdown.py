"""Plans and runs as Markdown, for a pull request or a ticket: unusual changes, and the rest, folded if long.

Text from outside is in code spans, which contain no markup, or is escaped character by character.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Sequence
from itertools import groupby
from typing import Final

from syncd.report.items import ONCE_STORED, Item, Review, Row, Section
from syncd.report.limits import limit_words, on
from syncd.report.review import Subject, review
from syncd.report.words import counted, shortened

FOLDED_FROM: Final = 200
"""From this many changes on, usual changes are folded."""
_PUNCTUATION: Final = re.compile(r"([\\`*_\[\]<>#|~&$])")
_CALLS: Final = re.compile(r"(?<![\w@#])(@|\\#)(?=\w)")
"""Text that would mention a person, or refer to another ticket."""
_LINKS: Final = re.compile(r"(:)(?=//)|(www)(?=\.)", re.IGNORECASE)
"""Text that would become a link without markup."""
_TICKS: Final = re.compile(r"`+")


def code(text: str) -> str:
    """Return text as a code span that the text can't end, also in a table."""
    if not text:
        return "*empty*"
    longest = max((len(run) for run in _TICKS.findall(text)), default=0)
    fence = "`" * (longest + 1)
    space = " " if text.startswith(("`", " ")) or text.endswith(("`", " ")) else ""
    return f"{fence}{space}{text}{space}{fence}"


def prose(text: str) -> str:
    """Return text as literal text: no markup, no mention, no reference to a ticket."""
    return _LINKS.sub(r"\g<0><!-- -->", _CALLS.sub(r"\1<!-- -->", _PUNCTUATION.sub(r"\\\1", text)))


def document(subjects: Subject | Sequence[Subject], *, keys: bool = False) -> str:
    """Return one document about a plan or run, or about those of several targets; `keys` as of `review`."""
    reviews = [review(each, keys=keys) for each in (subjects if isinstance(subjects, Sequence) else [subjects])]
    return "\n".join(line for each in reviews for line in _lines(each))


def _lines(shown: Review) -> Iterator[str]:
    yield f"## {shown.title}: {code(shown.target)}"
    yield ""
    yield f"{prose(shown.kind_words)}, {shown.moment:%Y-%m-%d %H:%M} UTC. **{prose(shown.sentence)}**"
    yield ""
    if shown.effort:
        yield f"{'Took' if shown.run is not None else 'Takes'} {prose(shown.effort)}."
    if shown.evidence:
        yield f"The source was {prose(shown.evidence)}." + (f" **{prose(shown.doubt)}.**" if shown.doubt else "")
    for line in shown.error:
        yield f"> **{prose(line)}**"
    if shown.unreached:
        yield f"> {counted(shown.unreached, 'change was', 'changes were')} not done for that."
    yield ""
    yield from _pictures(shown)
    yield from _limits(shown)
    sections = shown.sections()
    for section, items in sections:
        if section.unusual:
            yield from _section(section, items)
    rest = [(section, items) for section, items in sections if not section.unusual]
    folded = len(shown.items) > FOLDED_FROM
    for section, items in rest:
        if folded:
            yield f"<details><summary>{section.title}: {len(items):,}</summary>"
            yield ""
        yield from _section(section, items, heading=not folded)
        if folded:
            yield "</details>"
            yield ""


def _table(titles: Sequence[str], rows: Iterable[Sequence[str]], numbers: int) -> Iterator[str]:
    """Yield a table; `numbers`: how many columns after the first are numbers."""
    yield f"| {' | '.join(titles)} |"
    yield f"| --- |{' ---: |' * numbers}{' --- |' * (len(titles) - 1 - numbers)}"
    for row in rows:
        yield f"| {' | '.join(row)} |"
    yield ""


def _pictures(shown: Review) -> Iterator[str]:
    rows = []
    for picture in shown.pictures:
        parts = [f"{part.count:,} {part.words}" for part in (*picture.inside, *picture.outside)]
        parts += [f"{picture.untouched:,} not touched"] if picture.untouched or not parts else []
        rows.append([picture.caption, ", ".join(parts)])
    if rows:
        yield from _table(["of", "what happens"], rows, 0)


def _limits(shown: Review) -> Iterator[str]:
    rows = [
        [
            prose(on(use)),
            f"{use.affected:,}",
            prose(limit_words(use)),
            "**over the limit**" if use.exceeded else "",
        ]
        for use in shown.limits
    ]
    if rows:
        yield from _table(["limit on", "used", "of at most", ""], rows, 2)


def _section(section: Section, items: Sequence[Item], *, heading: bool = True) -> Iterator[str]:
    if heading:
        yield f"### {section.title}: {len(items):,}"
        yield ""
        yield f"{section.why[0].upper()}{section.why[1:]}."
        yield ""
    for cluster, some in groupby(items, key=lambda item: item.cluster):
        if cluster:
            yield f"**{prose(cluster)}**"
            yield ""
        for item in some:
            yield from _item(item)
        yield ""


def _item(item: Item) -> Iterator[str]:
    name = f" {code(item.name)}" if item.name else ""
    key = f" {code(item.shown_key)}" if item.shown_key else ""
    parts = [f"- {item.words}{name}{key}: {prose(item.reason)}"]
    if item.result:
        status = f" {item.status}" if item.status else ""
        said = f": {code(item.said)}" if item.said else ""
        parts.append(f" — {'done' if item.result == 'applied' else f'**{item.result}{status}**'}{said}")
    if item.telling:
        parts.append(f" — *{prose('; '.join(item.telling))}*")
    if item.command:
        parts.append(f" — {code(item.command)}")
    elif item.can_be_approved:
        parts.append(f" — can be approved {ONCE_STORED}")
    yield "".join(parts)
    if item.result not in ("", "applied") or item.section == "rejected":
        yield f"  - {prose(item.means)}"
    if item.first and not item.result:
        yield f"  - first: {code(item.first)}"
    if item.compares:
        for row in item.rows:
            yield f"  - {_difference(row)}"
    for verb, people in item.people:
        yield f"  - {verb}: {shortened([code(who) for who in people])}"


def _difference(row: Row) -> str:
    before, after = (("*nothing*" if value is None else code(value)) for value in (row.before, row.after))
    return f"{code(row.label)}: {before} → {after}"


__all__ = ["FOLDED_FROM", "code", "document", "prose"]
