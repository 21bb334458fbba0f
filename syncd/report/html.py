"""A plan or run, or several of them, as one self-contained HTML page.

The markup is in `templates/`. Jinja2 escapes all values there but the page's own style and script. The policy in
`templates/page.html` lets no other style or script take effect, and nothing be fetched.
"""

from __future__ import annotations

from base64 import b64encode
from collections.abc import Sequence
from functools import cache
from hashlib import sha256
from importlib.resources import files
from typing import TYPE_CHECKING, Final

import orjson

from syncd.core.model import Json
from syncd.report.html_data import MOST_PEOPLE, RESULTS, anchors_of, data, typographic
from syncd.report.html_figures import bars, example, shown_patterns, used_percent
from syncd.report.html_static import parts, sides
from syncd.report.limits import LIMIT_WORDS, limit_words
from syncd.report.review import Subject, review
from syncd.report.words import counted

if TYPE_CHECKING:
    from jinja2 import Environment

_LINE_ENDS: Final = {"\u2028": "\\u2028", "\u2029": "\\u2029"}
"""Characters that JSON doesn't escape, and at which older JavaScript ends a line."""


def page(subjects: Subject | Sequence[Subject]) -> str:
    """Return one page about a plan or run, or about those of several targets."""
    reviews = [review(each) for each in (subjects if isinstance(subjects, Sequence) else [subjects])]
    anchors = anchors_of(reviews)
    titles = ", ".join(dict.fromkeys(each.title for each in reviews))
    names = ", ".join(each.target for each in reviews)
    return (
        environment()
        .get_template("page.html")
        .render(
            title=f"{titles}: {names}",
            reviews=reviews,
            parts=parts(reviews, anchors),
            data=data(reviews, anchors),
            style=_asset("page.css"),
            script=_asset("page.js"),
        )
    )


@cache
def environment() -> Environment:
    """Return the templates with their functions. Jinja2 is imported here: most commands make no page."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("syncd.report"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.policies["json.dumps_function"] = _json
    made.policies["json.dumps_kwargs"] = {}
    made.globals |= {"results": RESULTS, "most_people": MOST_PEOPLE}
    made.filters |= {
        "thousands": "{:,}".format,
        "counted": counted,
        "sha256": _hash,
        "limit_name": lambda use: LIMIT_WORDS.get(use.limit, use.limit),
        "limit_words": limit_words,
        "bars": bars,
        "used_percent": used_percent,
        "shown_patterns": shown_patterns,
        "example": example,
        "sides": sides,
        "typographic": typographic,
    }
    return made


def _json(value: Json) -> str:
    text = orjson.dumps(value).decode()
    for char, escaped in _LINE_ENDS.items():
        text = text.replace(char, escaped)
    return text


@cache
def _asset(name: str) -> str:
    return files("syncd.report").joinpath(name).read_text(encoding="utf-8")


def _hash(text: str) -> str:
    """Return a text's hash as a Content-Security-Policy names it, without its `sha256-`."""
    return b64encode(sha256(text.encode()).digest()).decode()
