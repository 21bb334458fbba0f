"""How a secret looks where others repeat it: in an address, in JSON, in HTML, in a header. Pure; knows no secret."""

from __future__ import annotations

import html
import json
import re
from base64 import b64encode, urlsafe_b64encode
from typing import Final
from urllib.parse import quote, quote_plus

SHORTEST: Final = 4
"""What has fewer characters can't be told from other text."""
_SHORTEST_PART: Final = 8
"""Characters of base64 that are no accident."""
_DEEPEST: Final = 3
"""So often is JSON put into JSON as text, by gateways that pass on what they were answered."""


def disguises(secret: str) -> list[str]:
    """Return the texts that give a secret away, itself among them, the longest first: one may be part of another."""
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
    """Return what is the same in base64 whatever stands before and after, such as `user:` of RFC 7617."""
    found = set()
    for before, shared in ((0, 0), (1, 2), (2, 3)):
        padded = bytes(before) + content
        for encode in (b64encode, urlsafe_b64encode):
            # The last character holds bits of what follows, unless three bytes are full.
            text = encode(padded).decode().rstrip("=")[shared : None if len(padded) % 3 == 0 else -1]
            if len(text) >= _SHORTEST_PART:
                found.add(text)
    return found
