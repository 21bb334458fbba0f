"""The templates of the sandbox's pages. Text comes from any client of the sandbox, and is hostile.

Jinja2 escapes all values. In the finished page, control characters and characters that turn the direction of text
around are replaced by U+FFFD: a browser would act on them instead of showing them.
"""

from __future__ import annotations

import re
from functools import cache
from typing import TYPE_CHECKING, Any
from urllib.parse import urlencode

import orjson

if TYPE_CHECKING:
    from jinja2 import Environment

_HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")


def render(template: str, **values: Any) -> str:
    """Return a template rendered with values."""
    page = environment().get_template(template).render(**values)
    return _HOSTILE.sub("\N{REPLACEMENT CHARACTER}", page)


@cache
def environment() -> Environment:
    """Return the templates with their functions. Jinja2 is imported here: a sandbox without page views needs none."""
    from jinja2 import Environment, PackageLoader, StrictUndefined

    made = Environment(
        loader=PackageLoader("syncd.sandbox"),
        autoescape=True,
        undefined=StrictUndefined,
        trim_blocks=True,
        lstrip_blocks=True,
        auto_reload=False,
    )
    made.globals["href"] = href
    made.filters |= {"thousands": "{:,}".format, "counted": counted, "json": json_text}
    return made


def href(path: str, **query: object) -> str:
    """Return a path with a query, without the empty parameters."""
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def counted(number: int, noun: str) -> str:
    """Return a number with its noun."""
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def json_text(value: Any) -> str:
    """Return JSON to read; a text as it is."""
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
