"""An endpoint's words about a failure: what its answer says, shortened, in whichever form it says it. Pure.

#  the answer                                        its words
#  a SCIM error (RFC 7644 section 3.12)                 its `detail`
#  other JSON                                           its message: the first of `_MESSAGES` that says something
#  an HTML page                                         its title, else its first heading
#  anything else                                        the text as it is
"""

from __future__ import annotations

import html
import re
import unicodedata
from typing import Any, Final

import orjson

from syncd.core.model import Json
from syncd.scim.resources import field

_MESSAGES: Final = ("detail", "message", "error_description", "description", "error", "errors", "title", "reason")
"""In this order: OAuth's `error` is a code beside its description, and a `title` only sums up (RFC 9457)."""
_READ_BYTES: Final = 64 * 1024
_DEEPEST: Final = 4
_TAG: Final = re.compile(r"<[^>]*>")
_HEADINGS: Final = tuple(
    re.compile(rf"<{name}\b[^>]*>(.*?)</{name}\s*>", re.IGNORECASE | re.DOTALL) for name in ("title", "h1", "h2")
)
_PAGE: Final = re.compile(rb"\s*(<!doctype html|<html\b|<head\b)", re.IGNORECASE)
_CHARSET: Final = re.compile(r"charset\s*=\s*\"?([\w-]+)", re.IGNORECASE)
UNTITLED: Final = "an HTML page instead of a SCIM error"


def words_of(content_type: str, data: bytes) -> tuple[str, str]:
    """Return what the answer to a refused request says, and its scimType; each "" where it says nothing."""
    if is_page(content_type, data):
        return title_of(content_type, data) or UNTITLED, ""
    try:
        body: Any = orjson.loads(data)
    except orjson.JSONDecodeError:
        return folded(_text(content_type, data)), ""
    said, scim_type = message_of(body), field(body, "scimType")
    if not said and field(body, "schemas") is None:
        said = folded(_text(content_type, data))  # of an unknown form: better all of it than nothing
    return said, folded(scim_type) if isinstance(scim_type, str) else ""


def message_of(body: Json, depth: int = 0) -> str:
    """Return the message of a JSON error, "" where there is none."""
    if isinstance(body, str):
        return folded(body)
    if depth > _DEEPEST:
        return ""
    parts = body if isinstance(body, list) else [field(body, name) for name in _MESSAGES]
    return next(filter(None, (message_of(part, depth + 1) for part in parts)), "")


def is_page(content_type: str, data: bytes) -> bool:
    """Return whether an answer is an HTML page."""
    return "html" in content_type.casefold() or _PAGE.match(data[:_READ_BYTES]) is not None


def title_of(content_type: str, data: bytes) -> str:
    """Return the title of an HTML page, or its first heading; "" where it has neither."""
    text = _text(content_type, data)
    for heading in _HEADINGS:
        if (found := heading.search(text)) and (words := folded(html.unescape(_TAG.sub(" ", found[1])))):
            return words
    return ""


def folded(text: str) -> str:
    """Return a text in one line, without characters that a terminal would obey or nobody would see."""
    kept = (" " if unicodedata.category(char) in ("Cc", "Zl", "Zp") else char for char in text)
    return " ".join("".join(char for char in kept if unicodedata.category(char) not in ("Cf", "Cs")).split())


def _text(content_type: str, data: bytes) -> str:
    named = _CHARSET.search(content_type)
    try:
        return data[:_READ_BYTES].decode(named[1] if named else "utf-8", errors="replace")
    except LookupError:
        return data[:_READ_BYTES].decode(errors="replace")


__all__ = ["folded", "is_page", "message_of", "title_of", "words_of"]
