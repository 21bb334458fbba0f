"""Plans and runs as one HTML file that needs nothing beside it: head and what is unusual as markup, the rest by script.

Escaping happens in one place each: `element` for markup, `embedded` for the data that the script reads (and the script
makes nothing but text of it). The policy lets nothing run but the script whose hash it names, and nothing be fetched.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Iterable, Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import Final

import orjson

from syncd.core.model import Json
from syncd.report.characters import Parts
from syncd.report.html_head import head, overview
from syncd.report.items import SECTIONS, Item, Review, Row, Section
from syncd.report.markup import Markup, element, join
from syncd.report.review import Subject, review
from syncd.report.words import counted

_SHOWN_WITHOUT_SCRIPT: Final = 100
"""Of each unusual section of a target, changes that are in the page itself; the script shows all."""
_PEOPLE_SHOWN: Final = 500
"""Of one membership change, who is listed; the others are counted."""


@cache
def _asset(name: str) -> str:
    return files("syncd.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    return b64encode(sha256(text.encode()).digest()).decode()


def page(subjects: Subject | Sequence[Subject]) -> str:
    """Return one page about a plan or run, or about those of several targets."""
    reviews = [review(each) for each in (subjects if isinstance(subjects, Sequence) else [subjects])]
    script, style = _asset("page.js"), _asset("page.css")
    policy = (
        f"default-src 'none'; script-src 'sha256-{_hash(script)}'; style-src 'sha256-{_hash(style)}';"
        " base-uri 'none'; form-action 'none'"
    )
    names = ", ".join(each.target for each in reviews)
    titles = ", ".join(dict.fromkeys(each.title for each in reviews))
    anchors = _anchors(reviews)
    body = [
        element("a", "To the changes", class_="skip", href="#changes"),
        element(
            "header",
            [
                *([overview(reviews)] if len(reviews) > 1 else []),
                *(head(each, index, single=len(reviews) == 1) for index, each in enumerate(reviews)),
            ],
        ),
        element("main", _main(reviews, anchors), id="changes", tabindex="-1"),
        element(
            "footer", element("p", "Made by syncd. This file holds everything it shows, and asks nothing of anybody.")
        ),
    ]
    document = element(
        "html",
        [
            element(
                "head",
                [
                    element("meta", charset="utf-8"),
                    element("meta", http_equiv="Content-Security-Policy", content=policy),
                    element("meta", name="viewport", content="width=device-width, initial-scale=1"),
                    element("meta", name="color-scheme", content="light dark"),
                    element("meta", name="referrer", content="no-referrer"),
                    element("meta", name="robots", content="noindex"),
                    element("title", f"{titles}: {names}"),
                    element("style", Markup(style)),
                ],
            ),
            element(
                "body",
                [
                    *body,
                    element("script", embedded(_data(reviews, anchors)), type="application/json", id="data"),
                    element("script", Markup(script)),
                ],
            ),
        ],
        lang="en",
    )
    return f"<!doctype html>\n{document}\n"


RESULTS: Final = {"applied": "done", "failed": "failed", "refused": "refused", "skipped": "not tried"}
"""Outcomes in words, with the script and without."""
_IN_SCRIPT: Final = {"<": "\\u003c", ">": "\\u003e", "&": "\\u0026", "\u2028": "\\u2028", "\u2029": "\\u2029"}


def embedded(value: Json) -> Markup:
    """Return JSON that can stand in a script element: nothing in it can end that, or begin a comment or another one."""
    text = orjson.dumps(value).decode()
    for char, escaped in _IN_SCRIPT.items():
        text = text.replace(char, escaped)
    return Markup(text)


def _anchors(reviews: Iterable[Review]) -> list[list[str]]:
    """Return for each item of each review what links to it: `change-ID`; the same change elsewhere gets a number."""
    taken: dict[str, int] = {}
    anchors = []
    for each in reviews:
        own = []
        for item in each.items:
            times = taken[item.id] = taken.get(item.id, 0) + 1
            own.append(f"change-{item.id}" if times == 1 else f"change-{item.id}-{times}")
        anchors.append(own)
    return anchors


# -- what the script reads ---------------------------------------------------------------------------


class _Texts:
    """Texts that stand again and again, by number."""

    def __init__(self) -> None:
        self.numbers: dict[str, int] = {}

    def __call__(self, text: str) -> int:
        return self.numbers.setdefault(text, len(self.numbers))


def _data(reviews: Sequence[Review], anchors: Sequence[Sequence[str]]) -> Json:
    texts = _Texts()
    texts("")  # 0 is nothing
    items = [
        _packed(item, anchor, target, texts)
        for target, each in enumerate(reviews)
        for item, anchor in zip(each.items, anchors[target], strict=True)
    ]
    everything = [item for each in reviews for item in each.items]
    places = range(len(everything))
    execution, offset = [], 0
    for each in reviews:
        execution += [offset + index for index in each.execution]
        offset += len(each.items)
    if len(reviews) > 1:  # one list: the sections of all targets together, in order
        rank = {section.code: index for index, section in enumerate(SECTIONS)}
        gravest = sorted(places, key=lambda index: rank[everything[index].section])
    else:
        gravest = list(places)
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
        "orders": {
            "gravity": gravest,
            "execution": execution,
            "name": sorted(places, key=lambda index: (everything[index].name.casefold(), everything[index].key)),
            "department": sorted(
                places,
                key=lambda index: (
                    not everything[index].department,
                    everything[index].department.casefold(),
                    everything[index].name.casefold(),
                ),
            ),
        },
        "texts": list(texts.numbers),
    }


def _packed(item: Item, anchor: str, target: int, texts: _Texts) -> Json:
    """Return an item as the script reads it; what it doesn't have isn't there."""
    packed: dict[str, Json] = {
        "anchor": anchor,
        "target": target,
        "section": _SECTION_NUMBERS[item.section],
        "meaning": item.meaning.value,
        "sign": _SIGNS.get(item.sign, item.sign),
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
        "people": [[verb, names[:_PEOPLE_SHOWN], max(0, len(names) - _PEOPLE_SHOWN)] for verb, names in item.people],
        "resource": item.resource,
        "command": item.command,
        "result": item.result,
        "status": item.status,
        "said": item.said,
        "means": texts(item.means),
    }
    return {name: value for name, value in packed.items() if value or name in ("target", "section")}


_SIGNS: Final = {"-": "−", "x": "×"}
_SECTION_NUMBERS: Final = {section.code: index for index, section in enumerate(SECTIONS)}

# -- what is there without the script ----------------------------------------------------------------


def _main(reviews: Sequence[Review], anchors: Sequence[Sequence[str]]) -> list[Markup]:
    static = []
    for target, each in enumerate(reviews):
        anchor = dict(zip(map(id, each.items), anchors[target], strict=True))
        where = f" at {each.target}" if len(reviews) > 1 else ""
        left = [
            (section.title, len(items) - (_SHOWN_WITHOUT_SCRIPT if section.unusual else 0), section.unusual)
            for section, items in each.sections()
        ]
        missing = [f"{title}: {count:,}{' more' if more else ''}" for title, count, more in left if count > 0]
        if missing:
            others = sum(count for _, count, _ in left if count > 0)
            what = f"Not shown without JavaScript{where}: {counted(others, 'other', 'others')} of {len(each.items):,}."
            static.append(element("p", f"{what} {'; '.join(missing)}.", class_="missing"))
        for section, items in each.sections():
            if section.unusual:
                static.append(_section(section, items, anchor, where))
    return [element("h2", "Changes", class_="out-of-sight"), element("div", static, id="static")]


def _section(section: Section, items: Sequence[Item], anchors: dict[int, str], where: str) -> Markup:
    parts: list[Markup] = []
    cluster = ""
    for item in items[:_SHOWN_WITHOUT_SCRIPT]:
        if item.cluster != cluster:
            cluster = item.cluster
            parts.append(element("p", cluster, class_="cluster"))
        parts.append(_item(item, anchors[id(item)]))
    title = [section.title + where, " ", element("span", f"{len(items):,}", class_="count")]
    heading = element("h3", title, class_=section.meaning.value)
    return element("section", [heading, element("p", section.why, class_="why"), *parts], class_="part")


def _item(item: Item, anchor: str) -> Markup:
    rest = [
        element("span", item.name, class_="name"),
        element("span", item.key if item.key != item.name else "", class_="key"),
        element("span", item.department, class_="department"),
        element("span", f"{RESULTS[item.result]} {item.status or ''}" if item.result else "", class_="result"),
        *(element("span", note, class_="note") for note in item.telling),
        element("span", item.reason, class_="reason"),
    ]
    summary = element(
        "summary",
        [
            element("span", _SIGNS.get(item.sign, item.sign), class_="sign", aria_hidden="true"),
            element("span", item.words, class_="words"),
            element("span", rest, class_="rest"),
        ],
    )
    body = [element("p", [element("strong", item.said), " " if item.said else "", item.means], class_="means")]
    if item.rows:
        body.append(_rows(item.rows, item.columns))
    if item.command:
        body.append(element("p", element("code", item.command)))
    for verb, people in item.people:
        more = len(people) - _PEOPLE_SHOWN
        names = ", ".join(people[:_PEOPLE_SHOWN]) + (f" and {more:,} more" if more > 0 else "")
        body.append(element("p", [element("strong", f"{verb}: "), names]))
    return element("details", [summary, element("div", body, class_="body")], id=anchor, class_=f"item {item.meaning}")


def _rows(rows: Sequence[Row], columns: tuple[str, str]) -> Markup:
    """Return differences as a table; of what is new, or goes, one column is enough."""
    sides = [side for side in (0, 1) if any(row.parts[side] for row in rows)]
    titles = [element("th", text, scope="col") for text in ("attribute", *(columns[side] for side in sides))]
    lines = [
        element(
            "tr",
            [
                element("th", row.label, scope="row"),
                *(
                    element("td", _marked(row.parts[side], _TAGS[side]), class_=("before", "after")[side])
                    for side in sides
                ),
            ],
        )
        for row in rows
    ]
    return element("table", [element("thead", element("tr", titles)), element("tbody", lines)])


_TAGS: Final = ("del", "ins")


def _marked(parts: Parts, tag: str) -> Markup:
    if not parts:
        return element("span", "nothing", class_="nothing")
    pieces = [element(tag, part) if index % 2 else element("span", part) for index, part in enumerate(parts) if part]
    return join(pieces) if pieces else element("span", "empty", class_="nothing")


__all__ = ["embedded", "page"]
