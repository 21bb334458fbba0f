"""Redaction: every form of a secret in foreign messages is removed."""

from __future__ import annotations

import base64
import html
import json
from urllib.parse import quote

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.redaction import secret_forms

SECRETS = st.text(st.characters(min_codepoint=33, max_codepoint=126), min_size=9, max_size=40)


def is_found(secret: str, text: str) -> bool:
    return any(form in text for form in secret_forms(secret))


@given(SECRETS, st.binary(max_size=9), st.binary(max_size=9))
def test_it_is_found_in_base64_whatever_stands_around_it(secret: str, before: bytes, after: bytes) -> None:
    content = before + secret.encode() + after
    assert is_found(secret, base64.b64encode(content).decode())
    assert is_found(secret, base64.urlsafe_b64encode(content).decode())


@given(SECRETS)
def test_it_is_found_in_addresses_in_json_and_in_html(secret: str) -> None:
    for text in (secret, quote(secret, safe=""), quote(secret), html.escape(secret), repr({"token": secret})):
        assert is_found(secret, f"before {text} after")
    text = secret
    for _ in range(3):
        text = json.dumps({"token": text})
        assert is_found(secret, text)


def test_forms_that_were_worked_out_by_hand() -> None:
    found = secret_forms("a/b&é")
    assert {"a/b&é", "a%2Fb%26%C3%A9", "a%2fb%26%c3%a9", "a/b&amp;é", "a/b&\\u00e9", "YS9iJsOp", "YS9iJuk="} <= set(
        found
    )
    lengths = [len(form) for form in found]
    assert lengths == sorted(lengths, reverse=True)


@pytest.mark.parametrize("secret", ["", "a", "abc"])
def test_what_is_short_is_looked_for_as_it_is_only(secret: str) -> None:
    assert secret_forms(secret) == [secret]
