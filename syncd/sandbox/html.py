"""Build HTML from Python without ever forgetting to escape: what isn't `Html` is text.

Text comes from whoever writes to the sandbox. Control characters and those that turn the direction of the text
around are shown as what they are: something that doesn't belong there.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from html import escape

_HOSTILE = re.compile("[\x00-\x08\x0b-\x1f\x7f-\x9f\u200e\u200f\u202a-\u202e\u2066-\u2069]")
_VOID = {"input", "link", "meta", "br"}

Attribute = str | int | bool | None


class Html(str):
    """Text that is HTML already."""

    __slots__ = ()


Content = Html | str | int | None | Iterable["Content"]


def text(value: str) -> str:
    """Return text without the characters that a browser would act on instead of showing."""
    return _HOSTILE.sub("\N{REPLACEMENT CHARACTER}", value)


def render(content: Content) -> Html:
    """Return content as HTML: text escaped, HTML as it is, None as nothing, an iterable joined."""
    if content is None:
        return Html("")
    if isinstance(content, Html):
        return content
    if isinstance(content, str | int):
        return Html(escape(text(str(content))))
    return Html("".join(render(each) for each in content))


def el(tag: str, /, *content: Content, **attributes: Attribute) -> Html:
    """Return an element. `class_` stands for `class`, `aria_label` for `aria-label`; False and None leave one out."""
    written = "".join(_attribute(key.rstrip("_").replace("_", "-"), value) for key, value in attributes.items())
    if tag in _VOID:
        return Html(f"<{tag}{written}>")
    return Html(f"<{tag}{written}>{render(content)}</{tag}>")


def _attribute(name: str, value: Attribute) -> str:
    if value is None or value is False:
        return ""
    return f" {name}" if value is True else f' {name}="{escape(text(str(value)))}"'
