"""Find the characters in which two texts differ, for highlighting.

A character is a user-perceived character: a letter with its accents, an emoji with its modifiers, a flag. The
time is bounded: long texts that differ in many places are marked as one difference between a common beginning and end.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Sequence
from difflib import SequenceMatcher
from functools import lru_cache
from typing import Final

Parts = tuple[str, ...]
"""A text cut where a difference begins or ends: equal, differing, equal, …; the joined parts are the text."""

_MOST_PAIRS: Final = 20_000
"""The most pairs of characters to compare: two texts of 140 characters each."""
_LEAST_ALIKE: Final = 0.4
"""Texts with less similarity are marked as wholly different: the shared characters are accidental."""
_LEAST_SHARED: Final = 2
"""So many or fewer shared characters between two differences are marked too: small fragments are hard to read."""
_JOINER: Final = "\u200d"


def clusters(text: str) -> list[str]:
    """Return the characters of a text as a reader counts them: near enough to UAX #29 that none is torn apart."""
    if text.isascii():
        return list(text)
    found: list[str] = []
    flag = False
    for char in text:
        regional = "\U0001f1e6" <= char <= "\U0001f1ff"
        belongs = bool(found) and (
            unicodedata.category(char)[0] == "M"
            or char == _JOINER
            or "\U0001f3fb" <= char <= "\U0001f3ff"  # a skin tone
            or found[-1].endswith(_JOINER)
            or (regional and flag)
        )
        if belongs:
            found[-1] += char
        else:
            found.append(char)
        flag = regional and not (belongs and flag)
    return found


@lru_cache(maxsize=4096)
def differing(before: str, after: str) -> tuple[Parts, Parts]:
    """Return both texts in parts that are in turn equal to and different from the other text; the first is equal.

    `differing("gray", "grey") == (("gr", "a", "y"), ("gr", "e", "y"))`. Parts at either end may be empty.
    """
    if before == after:
        return (before,), (after,)
    old, new = clusters(before), clusters(after)
    start = _shared(old, new)
    end = _shared(old[start:][::-1], new[start:][::-1])
    inner_old, inner_new = old[start : len(old) - end], new[start : len(new) - end]
    matches = _matches(inner_old, inner_new)
    if 2 * (start + end + sum(size for *_, size in matches)) < _LEAST_ALIKE * (len(old) + len(new)):
        return ("", before), ("", after)
    blocks = [(0, 0, start), *((start + a, start + b, size) for a, b, size in matches)]
    blocks.append((len(old) - end, len(new) - end, end))
    return _cut(old, [(a, size) for a, _, size in blocks]), _cut(new, [(b, size) for _, b, size in blocks])


def _shared(old: Sequence[str], new: Sequence[str]) -> int:
    """Return the length of the common beginning."""
    for index, (a, b) in enumerate(zip(old, new, strict=False)):
        if a != b:
            return index
    return min(len(old), len(new))


def _matches(old: list[str], new: list[str]) -> list[tuple[int, int, int]]:
    """Return the common parts of two texts: (index, index, length), none where the search takes too long."""
    if not old or not new or len(old) * len(new) > _MOST_PAIRS:
        return []
    blocks = SequenceMatcher(None, old, new, autojunk=False).get_matching_blocks()
    return [(block.a, block.b, block.size) for block in blocks if block.size > _LEAST_SHARED]


def _cut(text: list[str], same: list[tuple[int, int]]) -> Parts:
    """Return a text in parts that are in turn equal and differing; `same` holds the equal ranges."""
    parts: list[str] = []
    at = 0
    for index, (start, size) in enumerate(same):
        if index:
            parts.append("".join(text[at:start]))
        parts.append("".join(text[start : start + size]))
        at = start + size
    while len(parts) > 1 and not parts[-1]:
        parts.pop()
    return tuple(parts)
