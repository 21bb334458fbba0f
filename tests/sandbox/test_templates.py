"""The templates of the sandbox's pages: foreign text stays text. `test_page` tests them in a browser."""

from __future__ import annotations

import re
import subprocess
import sys
import unicodedata
from html.parser import HTMLParser
from importlib.resources import files

import httpx
import pytest
from jinja2 import UndefinedError

from syncd.sandbox.html import environment
from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import group, unused, user

TEMPLATES = {
    each.name: each.read_text(encoding="utf-8") for each in files("syncd.sandbox").joinpath("templates").iterdir()
}
HOSTILE = "<script>alert(1)</script>\x07\x1b[31m\x7f\x85\u200e\u202egnp.exe\u2066\"'><b onclick=x>&amp;"
SHOWN = "<script>alert(1)</script>\ufffd\ufffd[31m\ufffd\ufffd\ufffd\ufffdgnp.exe\ufffd\"'><b onclick=x>&amp;"


def test_there_are_templates() -> None:
    pages = {"members.html", "groups.html", "requests.html", "account.html"}
    assert set(TEMPLATES) == pages | {"frame.html", "parts.html"}


@pytest.mark.parametrize("name", TEMPLATES)
def test_nothing_is_kept_from_being_escaped(name: str) -> None:
    assert not re.findall(r"\bsafe\b|autoescape|Markup", TEMPLATES[name])


@pytest.mark.parametrize("name", TEMPLATES)
def test_every_attribute_that_is_filled_in_is_quoted(name: str) -> None:
    assert not re.findall(r"\s[\w-]+=\s*{{.*", TEMPLATES[name])  # escaping keeps a value inside its quotes alone


def test_a_name_that_nothing_stands_for_is_an_error_not_a_gap() -> None:
    with pytest.raises(UndefinedError):
        environment().from_string("{{ misspelt }}").render()


class Read(HTMLParser):
    """The elements, attributes and texts of a page, as a browser reads them."""

    def __init__(self, page: str) -> None:
        super().__init__(convert_charrefs=True)
        self.elements: list[tuple[str, dict[str, str | None]]] = []
        self.text = ""
        self.feed(page)
        self.close()

    def handle_starttag(self, tag: str, attrs: list[tuple[str, str | None]]) -> None:
        self.elements.append((tag, dict(attrs)))

    def values(self, name: str) -> list[str | None]:
        return [attributes[name] for _, attributes in self.elements if name in attributes]

    def handle_data(self, data: str) -> None:
        self.text += data


def test_hostile_texts_are_shown_as_text_in_every_place() -> None:
    with Sandbox("lucidlink", verified_domains=["example.com"]) as sandbox:
        sandbox.scim("POST", "/Users", user(unused("hostile"), displayName=HOSTILE))
        sandbox.scim("POST", "/Groups", group(HOSTILE))
        sandbox.scim("GET", "/Users", params={"filter": HOSTILE})
        for path in ("/", "/ui/groups", "/ui/requests"):
            page = httpx.get(sandbox.url + path, params={"q": HOSTILE}, trust_env=False).text
            read = Read(page)
            assert SHOWN in read.text if path != "/" else SHOWN in read.values("value"), path
            assert {char for char in page if unicodedata.category(char) in ("Cc", "Cf")} == {"\n"}, path
            scripts = [attributes for tag, attributes in read.elements if tag == "script"]
            assert scripts == [{"src": "/ui/script.js", "defer": None}], path
            assert not [name for _, attributes in read.elements for name in attributes if name.startswith("on")], path
        names = Read(httpx.get(sandbox.url, trust_env=False).text)
        assert SHOWN in names.text


def test_jinja_is_imported_only_when_a_page_is_asked_for() -> None:
    code = "import sys, syncd.sandbox.server, syncd.sandbox.application; print('jinja2' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
