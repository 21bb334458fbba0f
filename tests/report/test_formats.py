"""Every format as it is kept in `golden/`, and hostile texts in Markdown and CSV (in HTML: `test_html`).

`SYNCD_UPDATE_GOLDEN=1` writes the golden files anew; review the changes before the commit.
"""

from __future__ import annotations

import csv
import os
import re
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st
from markdown_it import MarkdownIt
from markdown_it.token import Token

import syncd.report.csv as as_csv
from syncd.core.plan import Plan, Run, dump
from syncd.report import difference, html, markdown
from syncd.report.review import review
from syncd.report.text import render
from syncd.report.words import visible
from tests.report import hostile, plans, samples

GOLDEN = Path(__file__).parent / "golden"
LATER = replace(
    plans.PLAN,
    created=plans.NOON.replace(hour=18),
    changes=(*plans.PLAN.changes[1:4], plans.LEAVE, replace(plans.RENAME, after={"userName": "fay.other@x.org"})),
    held=plans.HELD[1:],
)


def _html(subject: Plan | Run) -> str:
    """Return a page without its script and style, which are files of their own."""
    text = re.sub(r"(?s)(<style>|<script>).*?(</style>|</script>)", r"\1\2", html.page(subject))
    return re.sub(r"sha256-[\w+/]+=*", "sha256-", text)


FILES: dict[str, Callable[[], str]] = {
    "plan.html": lambda: _html(plans.PLAN),
    "run.html": lambda: _html(plans.RUN),
    "plan.md": lambda: markdown.document(plans.PLAN),
    "run.md": lambda: markdown.document(plans.RUN),
    "many.md": lambda: markdown.document(samples.withheld(samples.many(60))),
    "plan.csv": lambda: as_csv.document(plans.PLAN),
    "run.csv": lambda: as_csv.document(plans.RUN),
    "plan.json": lambda: dump(plans.PLAN.to_json()),
    "run.json": lambda: dump(plans.RUN.to_json()),
    "difference.txt": lambda: render(difference.lines(difference.compare(plans.PLAN, LATER))),
    "difference.md": lambda: difference.markdown(difference.compare(plans.PLAN, LATER)),
    "difference.json": lambda: dump(difference.compare(plans.PLAN, LATER).to_json()),
}


@pytest.mark.parametrize("name", FILES)
def test_the_format_is_as_it_is_kept(name: str) -> None:
    file = GOLDEN / name
    made = FILES[name]().encode()
    if os.environ.get("SYNCD_UPDATE_GOLDEN"):
        file.write_bytes(made)
    assert made.decode() == file.read_bytes().decode()


# -- Markdown --------------------------------------------------------------------------------------------


def tokens(text: str) -> list[Token]:
    """Return every token of a text, as a forge reads it: tables, raw HTML and struck-out text among them."""
    parser = MarkdownIt("commonmark", {"html": True}).enable(["table", "strikethrough"])
    return [inner for token in parser.parse(text) for inner in (token, *(token.children or ()))]


_OURS = re.compile(r"<!-- -->|</?details>|<details><summary>[\w ]+: [\d,]+</summary>")
_MARKDOWNS = {
    "a plan": lambda: markdown.document(hostile.PLAN),
    "a run": lambda: markdown.document(hostile.RUN),
    "a difference": lambda: difference.markdown(difference.compare(replace(hostile.PLAN, changes=()), hostile.PLAN)),
}


@pytest.mark.parametrize("what", _MARKDOWNS)
def test_nothing_from_outside_is_markdown(what: str) -> None:
    found = tokens(_MARKDOWNS[what]())
    for token in found:
        if token.type in ("html_inline", "html_block"):
            for line in token.content.strip().splitlines():
                assert _OURS.fullmatch(line.strip()), line
        assert token.type not in ("link_open", "image", "s_open", "hr", "blockquote_code", "fence", "code_block")
    kept = [token.content.replace("\\|", "|") for token in found if token.type == "code_inline"]
    for name in hostile.NAMES:
        assert any(visible(name).strip() == text.strip() for text in kept), name


@pytest.mark.parametrize("what", _MARKDOWNS)
def test_nobody_is_called_and_nothing_becomes_a_link(what: str) -> None:
    for token in tokens(_MARKDOWNS[what]()):
        if token.type == "text":
            assert not re.search(r"(?<![\w@])@\w|(?<![\w#])#\d|://|www\.", token.content), token.content


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from("`*_<>[]|\\&#@ "), max_size=20))
def test_any_text_in_a_code_span_is_that_text(text: str) -> None:
    text = text.strip()
    found = [token.content for token in tokens(f"a {markdown.code(text)} b") if token.type == "code_inline"]
    assert found == ([text] if text else [])


@given(st.text(st.characters(exclude_categories=["C", "Z"]) | st.sampled_from("`*_<>[]|\\&#@ "), max_size=20))
def test_any_text_in_prose_is_that_text(text: str) -> None:
    inner = [
        token for token in tokens(f"a: {markdown.prose(text)} b") if token.type not in ("inline", "paragraph_open")
    ]
    assert {token.type for token in inner} <= {"text", "html_inline", "paragraph_close", "text_special", "softbreak"}
    assert "".join(token.content for token in inner if token.type != "html_inline") == f"a: {text} b"


def test_what_is_not_unusual_is_folded_in_a_long_plan() -> None:
    short, long = (markdown.document(samples.many(count)) for count in (100, 312))
    assert "<details>" not in short
    assert "<details><summary>Changed people: 268</summary>" in long
    assert "<details><summary>Deactivations" not in long


# -- CSV -----------------------------------------------------------------------------------------------------


def lines(text: str) -> list[dict[str, str]]:
    return list(csv.DictReader(text.splitlines()))


@pytest.mark.parametrize("subject", [hostile.PLAN, hostile.RUN], ids=["a plan", "a run"])
def test_no_cell_is_a_formula(subject: Plan | Run) -> None:
    text = as_csv.document(subject)
    assert all(char.isprintable() or char in "\r\n" for char in text)
    found = lines(text)
    assert len(text.splitlines()) == 1 + len(found)
    for line in found:
        assert tuple(line) == as_csv.COLUMNS
        for cell in line.values():
            assert not re.match(r"""[\s"]*[=+@|%＝＋－＠-]""", cell), cell


@pytest.mark.parametrize(
    ("cell", "harmless"),
    [
        ("=1+1", "'=1+1"),
        ("+1", "'+1"),
        ("-1", "'-1"),
        ("@SUM(1)", "'@SUM(1)"),
        (" =1", "' =1"),
        ('"=1', "'\"=1"),
        ("'=1", "''=1"),
        ("＝1", "'＝1"),
        ("ada@x.org", "ada@x.org"),
        ("a=b", "a=b"),
        ("", ""),
    ],
)
def test_what_could_be_a_formula_gets_an_apostrophe(cell: str, harmless: str) -> None:
    assert as_csv.harmless(cell) == harmless


def test_csv_has_a_row_per_change() -> None:
    found = [line for line in lines(as_csv.document(plans.PLAN)) if line["name"] in ("fay.new@x.org", "Sales")]
    told = [(line["action"], line["changes"], line["joining"], line["leaving"], line["members"]) for line in found]
    assert told[:2] == [
        ("remove_members", "", "", "1", "leaves: gil@x.org (1007)"),
        (
            "update_user",
            f"userName: fay@x.org -> fay.new@x.org; {plans.WORK_MAIL}: fay@x.org -> fay.new@x.org",
            "",
            "",
            "",
        ),
    ]
    (added,) = [each for each in told if each[0] == "add_members"]
    assert added[1:4] == ("", "11", "")
    assert added[4].startswith("joins: ")
    assert added[4].endswith(" and 3 more")
    assert len(lines(as_csv.document(plans.PLAN))) == len(review(plans.PLAN).items)


def test_csv_shortens_what_is_long_and_says_so() -> None:
    values = {f"a{number:02}": "x" for number in range(25)} | {"a00": "x" * 200}
    change = replace(plans.CREATE, after=values)
    (line,) = lines(
        as_csv.document(
            replace(plans.PLAN, changes=(change,), held=(), rejected=(), drift=(), problems=(), accepted=())
        )
    )
    assert line["changes"].startswith(f"a00: {'x' * 80}… (200 characters); a01: x; ")
    assert line["changes"].endswith("; a19: x; and 5 more attributes")


@given(plans.plans)
def test_every_item_of_any_plan_is_in_every_format(plan: Plan) -> None:
    ids = {item.id for item in review(plan).items}
    assert {line["id"] for line in lines(as_csv.document(plan))} == ids
    assert markdown.document(plan).count("\n- ") >= len(review(plan).items)
