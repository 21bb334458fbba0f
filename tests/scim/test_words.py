"""The words of endpoints about failures, in the forms in which they come."""

from __future__ import annotations

import json
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.errors import ScimError, TargetUnusable
from syncd.scim.words import UNTITLED, folded, words_of
from tests.endpoints import ERROR, Reply, Server
from tests.scim.asking import ask

HTML = "text/html; charset=utf-8"
FIREWALL = """<!DOCTYPE html>
<html><head><title>
    Access Denied &ndash; Cloud\tFirewall
</title><style>h1 { color: red }</style></head><body><h1>Blocked</h1></body></html>"""


@pytest.mark.parametrize(
    ("body", "words"),
    [
        ({"schemas": [ERROR], "status": "400", "detail": "no such value", "message": "x"}, "no such value"),
        ({"schemas": [ERROR], "status": "400", "detail": ""}, ""),
        ({"message": "no"}, "no"),
        ({"Message": "no"}, "no"),
        ({"error": "invalid_scope", "error_description": "the scope is too narrow"}, "the scope is too narrow"),
        ({"error": "forbidden"}, "forbidden"),
        ({"error": {"code": 403, "message": "the caller lacks permission"}}, "the caller lacks permission"),
        ({"Errors": [{"description": "user_not_found", "code": 404}]}, "user_not_found"),
        ({"errors": [{"title": "Forbidden", "detail": "owners stay"}]}, "owners stay"),
        ({"errors": ["owners stay"]}, "owners stay"),
        ({"type": "about:blank", "title": "Forbidden"}, "Forbidden"),
        ({"code": 7}, '{"code":7}'),
        ([1], "[1]"),
    ],
)
def test_an_error_in_json_says_its_message(body: Any, words: str) -> None:
    said, _ = words_of("application/json", json.dumps(body, separators=(",", ":")).encode())
    assert said == words


def test_a_scim_error_says_its_type() -> None:
    body = {"schemas": [ERROR], "scimType": "muta\nbility", "detail": "a\x1b[31mb\u202ec  d"}
    assert words_of("application/scim+json", json.dumps(body).encode()) == ("a [31mbc d", "muta bility")


@pytest.mark.parametrize(
    ("sort", "page", "words"),
    [
        (HTML, FIREWALL, "Access Denied – Cloud Firewall"),
        ("", FIREWALL, "Access Denied – Cloud Firewall"),
        ("application/json", f"  {FIREWALL}", "Access Denied – Cloud Firewall"),
        (HTML, "<HTML><TITLE lang=en>No</TITLE>", "No"),
        (HTML, "<html><title> </title><h1>Not <b>here</b></h1>", "Not here"),
        (HTML, "<html><body>Oops</body></html>", UNTITLED),
        (HTML, "", UNTITLED),
        ("text/plain", "try  later\r\n", "try later"),
        ("", "", ""),
    ],
)
def test_of_a_page_its_title_is_said(sort: str, page: str, words: str) -> None:
    assert words_of(sort, page.encode()) == (words, "")


@pytest.mark.parametrize(
    ("charset", "words"), [("iso-8859-1", "Größe"), ("utf-8", "Gr\ufffd\ufffde"), ("x-none", "Gr\ufffd\ufffde")]
)
def test_a_page_is_read_in_its_charset(charset: str, words: str) -> None:
    assert words_of(f"text/html; charset={charset}", "<title>Größe</title>".encode("latin-1")) == (words, "")


@given(st.text(), st.binary())
def test_whatever_is_answered_is_one_line(text: str, data: bytes) -> None:
    for words in (folded(text), *words_of("text/html", text.encode("utf-8", "replace")), *words_of("", data)):
        assert words == " ".join(words.split())
        assert all(ord(char) >= 32 and not 0x7F <= ord(char) < 0xA0 for char in words)


def test_nesting_without_end_ends() -> None:
    body: Any = "deep"
    for _ in range(50):
        body = {"error": body}
    said, _ = words_of("", json.dumps(body).encode())
    assert said.startswith('{"error"')


def test_the_refusal_of_a_firewall_is_its_title_with_the_status() -> None:
    with (
        Server(lambda _: Reply(406, FIREWALL.encode(), {"Content-Type": "text/html"})) as server,
        pytest.raises(ScimError) as caught,
    ):
        ask(server.url, lambda client: client.transport.send("GET", "Users/u1"))
    assert str(caught.value) == "406 Access Denied – Cloud Firewall"


def test_a_page_in_place_of_an_answer_is_named_with_its_title() -> None:
    page = Reply(200, b"<title>Sign in to Example</title>", {"Content-Type": "text/html"})
    with (
        Server(lambda _: page) as server,
        pytest.raises(TargetUnusable, match=r"an HTML page \(Sign in to Example\), not"),
    ):
        ask(server.url, lambda client: client.transport.send("GET", "Users/u1"))
