"""Limits in words: what each is on, how many it lets through, and why so many."""

from __future__ import annotations

from typing import Final

from syncd.core.context import LimitUse

LIMIT_WORDS: Final = {
    "deactivate": "people deactivated",
    "delete": "people deleted",
    "delete_group": "groups deleted",
    "remove_members": "people taken out of groups",
    "rename": "other userName or e-mail",
    "adopt": "accounts taken over",
}


def limit_words(use: LimitUse) -> str:
    """Say how many a limit lets through, and why so many."""
    if use.always:
        return "every one is held"
    if use.most is None:
        return "no limit"
    share = f" ({use.percent:g} % of {use.managed:,})" if use.percent is not None and use.most != use.count else ""
    return f"{use.most:,}{share}"
