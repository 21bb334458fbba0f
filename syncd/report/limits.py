"""Limits in words: the subject of each limit, the number that the limit lets through, and the reason."""

from __future__ import annotations

from typing import Final

from syncd.core.context import LimitUse
from syncd.core.limits import Class

LIMIT_WORDS: Final = {class_.value: class_.on for class_ in Class}


def on(use: LimitUse) -> str:
    """Return the subject of a limit; for a limit that this version doesn't know, its name."""
    return LIMIT_WORDS.get(use.limit, use.limit.replace("_", " "))


#  always   percent   managed     most    -> words
#  yes      any       any         0          every one is held
#  no       none      any         none       no limit
#  no       10        below 20    none       the limit of 10 % begins at 20 managed people
#  no       10        below 20    50         50; the limit of 10 % begins at 20 managed people
#  no       10        any         10         10 (10 % of 100)
#  no       any       any         50         50
def limit_words(use: LimitUse) -> str:
    """Return the number that a limit lets through, and the reason."""
    if use.always:
        return "every one is held"
    later = ""
    if use.percent is not None and use.base is not None and use.managed < use.base:
        managed = "managed groups" if use.limit == Class.DELETE_GROUP else "managed people"
        later = f"the limit of {use.percent:g} % begins at {use.base:,} {managed}"
    if use.most is None:
        return later or "no limit"
    if later:
        return f"{use.most:,}; {later}"
    share = f" ({use.percent:g} % of {use.managed:,})" if use.percent is not None and use.most != use.count else ""
    return f"{use.most:,}{share}"


__all__ = ["LIMIT_WORDS", "limit_words", "on"]
