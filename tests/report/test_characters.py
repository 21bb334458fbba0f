"""Differing characters of two texts: by hand, and the completeness of the result for any two texts."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.report.characters import Parts, clusters, differing


@pytest.mark.parametrize(
    ("before", "after", "parts"),
    [
        ("gray", "grey", (("gr", "a", "y"), ("gr", "e", "y"))),
        ("fay@x.org", "fay.new@x.org", (("fay", "", "@x.org"), ("fay", ".new", "@x.org"))),
        ("Engineer", "Senior Engineer", (("", "", "Engineer"), ("", "Senior ", "Engineer"))),
        ("Roth", "Roth-Meyer", (("Roth",), ("Roth", "-Meyer"))),
        ("ada", "ada", (("ada",), ("ada",))),
        ("", "", (("",), ("",))),
        ("", "ada", (("", ""), ("", "ada"))),
        # What two texts share by chance is not worth a mark.
        ("Sales", "Revenue", (("", "Sales"), ("", "Revenue"))),
        # Two differences, with enough between them to be read.
        ("ada.love@a.org", "eda.love@b.org", (("", "a", "da.love@", "a", ".org"), ("", "e", "da.love@", "b", ".org"))),
        # An accent is part of its letter, a skin tone of its hand, and a flag is one sign.
        ("Zoe\u0308 Berg", "Zoe Berg", (("Zo", "e\u0308", " Berg"), ("Zo", "e", " Berg"))),
        ("on call 👋🏽 now", "on call 👋🏿 now", (("on call ", "👋🏽", " now"), ("on call ", "👋🏿", " now"))),
        ("from 🇩🇪 to x", "from 🇩🇰 to x", (("from ", "🇩🇪", " to x"), ("from ", "🇩🇰", " to x"))),
    ],
)  # fmt: skip
def test_what_differs(before: str, after: str, parts: tuple[Parts, Parts]) -> None:
    assert differing(before, after) == parts


@pytest.mark.parametrize(
    ("text", "found"),
    [
        ("abc", ["a", "b", "c"]),
        ("e\u0301e", ["e\u0301", "e"]),
        ("👩\u200d🚀!", ["👩\u200d🚀", "!"]),
        ("🇩🇪🇫🇷", ["🇩🇪", "🇫🇷"]),
        ("नि", ["नि"]),
        ("\u0301a", ["\u0301", "a"]),
    ],
)
def test_what_a_reader_takes_for_one_character(text: str, found: list[str]) -> None:
    assert clusters(text) == found


_texts = st.one_of(st.text(max_size=30), st.text("ab e\u0301\u0308🇩🇪👋🏽", max_size=30))


@given(_texts, _texts)
def test_nothing_is_lost_and_what_is_not_marked_is_the_same(before: str, after: str) -> None:
    old, new = differing(before, after)
    assert "".join(old) == before
    assert "".join(new) == after
    assert "".join(old[::2]) == "".join(new[::2])


def test_long_texts_are_marked_between_what_they_begin_and_end_with() -> None:
    before, after = "a" * 5000 + "bc" * 2000 + "z" * 5000, "a" * 5000 + "cb" * 2000 + "z" * 5000
    old, new = differing(before, after)
    assert (old[0], old[-1]) == (new[0], new[-1]) == ("a" * 5000, "z" * 5000)
    assert len(old) == len(new) == 3
