"""Markup, escaped in one place: text becomes markup here and nowhere else."""

from __future__ import annotations

from collections.abc import Iterable
from html import escape
from typing import Final

_VOID: Final = frozenset({"meta"})


class Markup(str):
    """Text that is markup already."""

    __slots__ = ()


Content = Markup | str | Iterable["Markup | str"]


def join(parts: Content) -> Markup:
    """Return parts as markup: what isn't yet is escaped."""
    if isinstance(parts, Markup):
        return parts
    if isinstance(parts, str):
        return Markup(escape(parts))
    return Markup("".join(map(join, parts)))


def element(tag: str, content: Content = "", /, **attributes: str) -> Markup:
    """Return an element; `class_` and `aria_label` stand for `class` and `aria-label`, an empty value for none."""
    written = "".join(
        f' {name.rstrip("_").replace("_", "-")}="{escape(value)}"' for name, value in attributes.items() if value
    )
    end = "" if tag in _VOID else f"</{tag}>"
    return Markup(f"<{tag}{written}>{join(content)}{end}")
