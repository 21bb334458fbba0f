"""The HTML page as markup: no outside text becomes markup, nothing is fetched. `tests/browser` tests its behaviour."""

from __future__ import annotations

import re
import subprocess
import sys
from base64 import b64encode
from hashlib import sha256
from html.parser import HTMLParser
from importlib.resources import files
from typing import Any

import orjson
import pytest
from hypothesis import given
from jinja2 import UndefinedError

from syncd.core.plan import Plan, Run
from syncd.report.html import environment, page
from syncd.report.review import review
from syncd.report.words import visible
from tests.report import hostile, plans, samples


class Read(HTMLParser):
    """A page, read as a browser would: elements with attributes, and the text of each kind of element."""

    def __init__(self, text: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.texts: list[tuple[str, str]] = []
        self._open: list[str] = []
        self.feed(text)
        self.close()
        assert self._open == []

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))
        if tag != "meta":
            self._open.append(tag)

    def handle_endtag(self, tag: str) -> None:
        assert self._open.pop() == tag

    def handle_data(self, data: str) -> None:
        self.texts.append((self._open[-1] if self._open else "", data))

    def handle_comment(self, data: str) -> None:
        raise AssertionError(f"a comment: {data}")

    def text(self, tag: str) -> list[str]:
        return [text for element, text in self.texts if element == tag]


_ALLOWED = set(
    "html head meta title style body a header section h1 h2 h3 bdi p time div figure figcaption svg rect ul li span b"
    " table thead tbody tr th td main details summary code strong del ins footer script nav".split()
)
_SUBJECTS = [plans.PLAN, plans.RUN, samples.NOTHING, hostile.PLAN, hostile.RUN]


@pytest.mark.parametrize("subject", _SUBJECTS, ids=["plan", "run", "nothing", "hostile plan", "hostile run"])
def test_nothing_from_outside_becomes_markup(subject: Plan | Run) -> None:
    read = Read(page(subject))
    assert {tag for tag, _ in read.elements} <= _ALLOWED
    assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")]
    assert not [name for _, attributes in read.elements for name in attributes if name in ("src", "style")]
    links = [attributes["href"] or "" for _, attributes in read.elements if "href" in attributes]
    assert all(link.startswith("#") for link in links)
    assert [attributes.get("type") for tag, attributes in read.elements if tag == "script"] == [
        "application/json",
        None,
    ]


@given(plans.plans)
def test_no_plan_becomes_markup(plan: Plan) -> None:
    assert {tag for tag, _ in Read(page(plan)).elements} <= _ALLOWED


def made(template: str, **values: Any) -> str:
    """Return what the environment of the pages makes of a template."""
    return environment().from_string(template).render(**values)


def test_an_attribute_can_not_be_left() -> None:
    text = made(
        """<p title="{{ title }}" aria-label="{{ label }}">x</p>""",
        title='"><script>alert(1)</script>',
        label="a & 'b'",
    )
    (tag, attributes), *others = Read(text).elements
    assert (tag, attributes, others) == ("p", {"title": '"><script>alert(1)</script>', "aria-label": "a & 'b'"}, [])


TEMPLATES = {
    each.name: each.read_text(encoding="utf-8") for each in files("syncd.report").joinpath("templates").iterdir()
}


def test_there_are_templates() -> None:
    assert set(TEMPLATES) == {"page.html", "head.html", "changes.html"}


def test_nothing_but_our_own_style_and_script_is_kept_from_being_escaped() -> None:
    safe = [found for text in TEMPLATES.values() for found in re.findall(r"{{ [^}]*\bsafe\b[^}]* }}", text)]
    assert safe == ["{{ style | safe }}", "{{ script | safe }}"]
    assert not [name for name, text in TEMPLATES.items() if "autoescape" in text or "Markup" in text]


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_attribute_that_is_filled_in_is_quoted(name: str) -> None:
    assert not re.findall(r"\s[\w-]+=\s*{{.*", TEMPLATES[name])  # escaping keeps a value inside its quotes alone


def test_a_name_that_nothing_stands_for_is_an_error_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        made("{{ misspelt }}")


def test_jinja_is_imported_only_when_a_page_is_made() -> None:
    code = "import sys, syncd.report.html, syncd.daemon.keeping, syncd.cli; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"


def data_of(text: str) -> Any:
    """Return what the script reads."""
    found = re.search(r'<script type="application/json" id="data">(.*?)</script>', text, re.DOTALL)
    assert found is not None
    return orjson.loads(found[1])


def test_what_the_script_reads_can_not_end_its_element() -> None:
    text = made("{{ value | tojson }}", value={"name": "</script><script>alert(1)</script><!-- & \u2028 \u2029"})
    assert not set("<>&\u2028\u2029") & set(text)
    assert orjson.loads(text) == {"name": "</script><script>alert(1)</script><!-- & \u2028 \u2029"}


def test_the_script_gets_every_text_as_it_is_to_be_read() -> None:
    data = data_of(page(hostile.PLAN))
    shown = review(hostile.PLAN)
    assert [item["name"] for item in data["items"]] == [item.name for item in shown.items]
    assert {visible(name) for name in hostile.NAMES} <= {item["name"] for item in data["items"]}
    assert all(text.isprintable() for text in data["texts"])


def test_the_policy_allows_the_script_and_the_style_of_the_page_and_nothing_else() -> None:
    text = page(plans.PLAN)
    read = Read(text)
    (policy,) = [
        attributes["content"] or ""
        for _, attributes in read.elements
        if attributes.get("http-equiv") == "Content-Security-Policy"
    ]
    rules = dict(rule.strip().split(" ", 1) for rule in policy.split(";"))
    script, style = text.rpartition("<script>")[2].partition("</script>")[0], "".join(read.text("style"))
    assert rules == {
        "default-src": "'none'",
        "script-src": f"'sha256-{b64encode(sha256(script.encode()).digest()).decode()}'",
        "style-src": f"'sha256-{b64encode(sha256(style.encode()).digest()).decode()}'",
        "base-uri": "'none'",
        "form-action": "'none'",
    }
    first = [tag for tag, _ in read.elements].index("style")
    policies = [attributes.get("http-equiv") for _, attributes in read.elements[:first]]
    assert "Content-Security-Policy" in policies  # what stands before it isn't bound by it


def test_without_the_script_the_unusual_is_there_and_the_rest_is_counted() -> None:
    text = page(samples.many(312))
    read = Read(text)
    opened = [attributes["id"] for tag, attributes in read.elements if tag == "details"]
    shown = review(samples.many(312))
    assert opened == [f"change-{item.id}" for item in shown.unusual]
    (missing,) = [text for text in read.text("p") if text.startswith("Not shown without JavaScript")]
    # 311 and a problem are in all; of those the script alone shows 29 new and 268 changed people and one membership.
    assert missing.startswith("Not shown without JavaScript: 298 others of 313.")


def test_of_very_many_unusual_ones_the_page_without_script_says_how_many_are_missing() -> None:
    shown = review(plan := samples.withheld(samples.many(12_000)))
    text = page(plan)
    sizes = {section.code: len(items) for section, items in shown.sections() if section.unusual}
    # Of each sort there are some: three hundred held ones don't hide who is renamed.
    assert text.count("<details") == sum(min(size, 100) for size in sizes.values())
    assert sizes["held"] == 300
    assert "Held: 200 more" in text
    assert '<h3 class="held">Held <span class="count">300</span></h3>' in text


def test_several_targets_are_told_in_a_line_each_before_any_of_them_at_length() -> None:
    read = Read(page([plans.PLAN, samples.NOTHING]))
    assert read.text("h1") == ["Plans for 2 targets"]
    links = [attributes.get("href") for tag, attributes in read.elements if tag == "a"]
    assert links[1:] == ["#target-0", "#target-1"]
    assert [tag for tag, _ in read.elements].index("nav") < [tag for tag, _ in read.elements].index("section")


def test_the_same_change_at_two_targets_has_two_places() -> None:
    first, second = samples.many(40), plans.PLAN
    data = data_of(page([first, first, second]))
    anchors = [item["anchor"] for item in data["items"]]
    assert len(anchors) == len(set(anchors)) == 2 * len(review(first).items) + len(review(second).items)
    assert data["targets"] == ["lucid-content", "lucid-content", "lucid"]
    assert sorted(data["orders"]["gravity"]) == sorted(data["orders"]["execution"]) == list(range(len(anchors)))
    sections = [data["items"][index]["section"] for index in data["orders"]["gravity"]]
    assert sections == sorted(sections)


def test_differing_characters_are_marked() -> None:
    read = Read(page(plans.PLAN))
    assert ".new" in read.text("ins")
    assert "Chief" in read.text("del")
