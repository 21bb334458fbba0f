"""Redaction of secrets: every form of a registered secret is replaced in a text before the text is shown.

Redaction is the last line of defence: code that prints should not receive secrets at all. Secrets of less than four
characters can't be distinguished from other text and are not redacted.
"""

from __future__ import annotations

import html
import json
import re
import threading
from base64 import b64encode, urlsafe_b64encode
from typing import Any, Final
from urllib.parse import quote, quote_plus

_INSTEAD: Final = "(secret)"
_lock = threading.Lock()
_forms: dict[str, None] = {}
"""Every text to redact, the longest first, because one text may be part of another."""


def learn(secret: str) -> None:
    """Register a secret, in every form in which other systems may repeat the secret."""
    if len(secret) < SHORTEST:
        return
    forms = set(secret_forms(secret))
    with _lock:
        if not forms <= _forms.keys():
            known = sorted({*_forms, *forms}, key=lambda form: (-len(form), form))
            _forms.clear()
            _forms.update(dict.fromkeys(known))


def redact(text: str) -> str:
    """Return a text with every registered secret redacted."""
    with _lock:
        found = [form for form in _forms if form in text]
    for form in found:
        text = text.replace(form, _INSTEAD)
    return text


def redacted(value: Any) -> Any:
    """Return a JSON value with its secrets redacted; any other value with a secret becomes redacted text."""
    if isinstance(value, str):
        return redact(value)
    if isinstance(value, dict):
        return {redacted(key): redacted(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [redacted(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return value if redact(text) == text else redact(text)


# -- the forms of a secret: in an address, in JSON, in HTML, in a header ---------------------------

SHORTEST: Final = 4
"""A text with fewer characters can't be distinguished from other text."""
_SHORTEST_PART: Final = 8
"""The number of base64 characters that don't match by accident."""
_DEEPEST: Final = 3
"""The depth of JSON nested in JSON as text, by gateways that pass responses on."""


def secret_forms(secret: str) -> list[str]:
    """Return the texts that reveal a secret, also the secret, the longest first: one text may be part of another."""
    if len(secret) < SHORTEST:
        return [secret]
    quoted = {quote(secret, safe=""), quote(secret), quote_plus(secret)}
    found = {secret, html.escape(secret), repr(secret)[1:-1], *quoted}
    found |= {re.sub("%[0-9A-F]{2}", lambda code: code[0].lower(), text) for text in quoted}
    for plain in (True, False):
        text = secret
        for _ in range(_DEEPEST):
            text = json.dumps(text, ensure_ascii=plain)[1:-1]
            found.add(text)
    for content in {secret.encode(), secret.encode("latin-1", errors="replace")}:
        found |= {b64encode(content).decode(), urlsafe_b64encode(content).decode(), *_inside_base64(content)}
    return sorted(found, key=lambda text: (-len(text), text))


def _inside_base64(content: bytes) -> set[str]:
    """Return the base64 texts that don't depend on the text before and after, such as `user:` of RFC 7617."""
    found = set()
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        padded = bytes(before) + content
        for encode in (b64encode, urlsafe_b64encode):
            # The last character holds bits of the following text, unless three bytes are full.
            text = encode(padded).decode().rstrip("=")[shared : None if len(padded) % 3 == 0 else -1]
            if len(text) >= _SHORTEST_PART:
                found.add(text)
    return found
