"""The head of the HTML report: what it is about, in a sentence and as a picture, and how far limits were used."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Final

from syncd.core.context import LimitUse
from syncd.report.items import Meaning, Pattern, Picture, Review, Tally
from syncd.report.limits import LIMIT_WORDS, limit_words
from syncd.report.markup import Markup, element
from syncd.report.words import counted

_WIDTH: Final = 1000
"""Of a picture, in its own units."""
_LEAST: Final = 6
"""Units that anything gets that is there at all: one leaver among ten thousand is to be seen."""
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
"""Characters of an example's value."""


def head(review: Review, index: int, *, single: bool) -> Markup:
    """Return the head of one plan or run; `single`: the only one on the page."""
    moment = f"{review.moment:%Y-%m-%d %H:%M} UTC"
    title = element(
        "h1" if single else "h2", [f"{review.title}: ", element("bdi", review.target)], id=f"target-{index}"
    )
    about = [f"{review.kind_words}, ", element("time", moment, datetime=f"{review.moment:%Y-%m-%dT%H:%M:%SZ}")]
    parts = [
        element("p", about, class_="about"),
        title,
        element("p", _said(review), class_="sentence"),
        _effort(review),
        *([_stopped(review)] if review.error else []),
        element("div", list(map(_picture, review.pictures)), class_="pictures"),
    ]
    below = "h2" if single else "h3"
    figures = [
        *([_limits(review.limits, below)] if review.limits else []),
        *([_patterns(review.patterns, below)] if review.patterns else []),
    ]
    if figures:
        parts.append(element("div", figures, class_="figures"))
    return element("section", parts, aria_labelledby=f"target-{index}", class_="head")


def overview(reviews: Sequence[Review]) -> Markup:
    """Return what happens at each of several targets in a line, that leads to the rest of it."""
    title = "Plans" if all(each.run is None for each in reviews) else "Runs"
    lines = [
        element("li", [element("a", element("bdi", each.target), href=f"#target-{index}"), " ", *_said(each)])
        for index, each in enumerate(reviews)
    ]
    return element(
        "nav",
        [element("h1", f"{title} for {len(reviews):,} targets"), element("ul", lines)],
        class_="overview",
        aria_label="Overview",
    )


def _said(review: Review) -> list[Markup]:
    """Return the sentences of a review; what waits, and what went wrong, is to be seen at once."""
    stress = (Meaning.HELD, Meaning.TROUBLE)
    return [
        element("strong" if meaning in stress else "span", f"{sentence} ", class_=meaning if meaning in stress else "")
        for sentence, meaning in review.said
    ]


def _stopped(review: Review) -> Markup:
    lines = [element("strong", "Stopped: "), *(element("span", line) for line in review.error)]
    if review.unreached:
        changes = counted(review.unreached, "change was", "changes were")
        lines.append(element("span", f"{changes} not done for that; the next run plans what is still needed."))
    return element("div", lines, class_="stopped", role="note")


def _picture(picture: Picture) -> Markup:
    """Return a bar of everybody managed, what happens to whom in it, and behind it who comes to them."""
    parts = [*picture.inside, Tally("same", "not touched", picture.untouched, Meaning.QUIET), *picture.outside]
    shown = [part for part in parts if part.count]
    widths = _widths([part.count for part in shown])
    bars, at = [], 0.0
    for part, width in zip(shown, widths, strict=True):
        if part in picture.outside[:1] and at:
            bars.append(element("rect", x=f"{at - 2:.1f}", y="0", width="2", height="22", class_="border"))
        bars.append(
            element(
                "rect", x=f"{at:.1f}", y="0", width=f"{max(width - 2, 1):.1f}", height="22", class_=part.meaning.value
            )
        )
        at += width
    words = ", ".join(f"{part.count:,} {part.words}" for part in shown)
    bar = element(
        "svg",
        bars,
        viewBox=f"0 0 {_WIDTH} 22",
        preserveAspectRatio="none",
        role="img",
        aria_label=f"{picture.caption}: {words}",
        class_="bar",
    )
    legend = [
        element(
            "li",
            [
                element("span", _SIGNS[part.meaning], class_="sign", aria_hidden="true"),
                element("b", f"{part.count:,}"),
                f" {part.words}",
            ],
            class_=part.meaning.value,
        )
        for part in shown
    ]
    return element(
        "figure",
        [element("figcaption", picture.caption), bar, element("ul", legend, class_="legend")],
        class_="picture",
    )


def _widths(counts: list[int]) -> list[float]:
    """Share the width by counts, nothing that is there narrower than can be seen."""
    total = sum(counts)
    if not total:
        return []
    widths = [max(count * _WIDTH / total, _LEAST) for count in counts]
    over = sum(widths) - _WIDTH
    widest = max(range(len(widths)), key=widths.__getitem__)
    widths[widest] -= over
    return widths


def _effort(review: Review) -> Markup:
    """Return what it takes or took, and what it rests on."""
    facts = [f"{'Took' if review.run is not None else 'Takes'} {review.effort}."] if review.effort else []
    if review.evidence:
        facts.append(f" The source was {review.evidence}.")
    doubt = [element("strong", f" {review.doubt}.", class_="trouble")] if review.doubt else []
    return element("p", [*facts, *doubt], class_="effort")


def _limits(limits: tuple[LimitUse, ...], heading: str) -> Markup:
    share = element("span", "share", class_="out-of-sight")
    titles = element("tr", [element("th", text, scope="col") for text in ("limit on", "used", "of at most", share)])
    rows = [_limit(use) for use in limits]
    table = element("table", [element("thead", titles), element("tbody", rows)])
    return element("div", [element(heading, "Limits"), table], class_="limits")


def _limit(use: LimitUse) -> Markup:
    share = 0.0 if not use.affected else 1.0 if not use.most else min(use.affected / use.most, 1)
    state = "held" if use.exceeded else "quiet"
    meter = element(
        "svg",
        [
            element("rect", x="0", y="0", width="100", height="8", class_="track"),
            element("rect", x="0", y="0", width=f"{share * 100:.1f}", height="8", class_=state),
        ],
        viewBox="0 0 100 8",
        preserveAspectRatio="none",
        aria_hidden="true",
        class_="meter",
    )
    verdict = element("b", "over the limit", class_="held") if use.exceeded else ""
    return element(
        "tr",
        [
            element("th", LIMIT_WORDS.get(use.limit, use.limit), scope="row"),
            element("td", f"{use.affected:,}", class_="number"),
            element("td", limit_words(use), class_="number" if use.always or use.most is None else "number most"),
            element("td", element("div", [meter, verdict], class_="used")),
        ],
        class_="" if use.affected else "unused",
    )


def _patterns(patterns: tuple[Pattern, ...], heading: str) -> Markup:
    """Return what changes have in common, and always what hardly any other does."""
    shown = [each for index, each in enumerate(patterns) if index < _PATTERNS_SHOWN or each.rare][: 3 * _PATTERNS_SHOWN]
    rows = [
        element(
            "tr",
            [
                element("td", f"{each.count:,}", class_="number"),
                element("th", f"{each.label} {each.verb}", scope="row"),
                element("td", [*([_only(each), " "] if each.rare else []), element("span", _example(each))]),
            ],
        )
        for each in shown
    ]
    left = len(patterns) - len(shown)
    more = [element("p", f"and {left:,} other kinds", class_="why")] if left else []
    table = element("table", element("tbody", rows))
    return element("div", [element(heading, "What is changed of people"), table, *more], class_="patterns")


def _only(each: Pattern) -> Markup:
    return element("b", "the only one" if each.count == 1 else "rare", class_="note")


def _example(each: Pattern) -> str:
    if each.example_count == 1 and each.count > 1:
        return "to different values"
    before, after = each.example.before, each.example.after
    times = f" ({each.example_count:,} times)" if each.example_count not in (1, each.count) else ""
    return f"{_begun(before)} → {_begun(after)}{times}"


def _begun(value: str | None) -> str:
    if not value:
        return "nothing"
    return value if len(value) <= _EXAMPLE_SHOWN else f"{value[:_EXAMPLE_SHOWN]}…"
