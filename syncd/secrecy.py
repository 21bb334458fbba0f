"""What was read as a secret is never shown: every form in which it travels is replaced in whatever is about to be.

The last line of defence, behind not handing secrets to what prints. Secrets of less than four characters can't be told
from other text, and are not looked for.
"""

from __future__ import annotations

import threading
from typing import Any, Final

from syncd.disguises import SHORTEST, disguises

_INSTEAD: Final = "(secret)"
_lock = threading.Lock()
_forms: dict[str, None] = {}
"""Every text that is looked for; the longest first, for one may be part of another."""


def learn(secret: str) -> None:
    """Know a secret from here on, in every form in which others may repeat it."""
    if len(secret) < SHORTEST:
        return
    forms = set(disguises(secret))
    with _lock:
        if not forms <= _forms.keys():
            known = sorted({*_forms, *forms}, key=lambda form: (-len(form), form))
            _forms.clear()
            _forms.update(dict.fromkeys(known))


def scrub(text: str) -> str:
    """Return a text without any secret that was learnt."""
    with _lock:
        found = [form for form in _forms if form in text]
    for form in found:
        text = text.replace(form, _INSTEAD)
    return text


def scrubbed(value: Any) -> Any:
    """Return a value of JSON's kinds, or anything else as text where that holds a secret, without any secret."""
    if isinstance(value, str):
        return scrub(value)
    if isinstance(value, dict):
        return {scrubbed(key): scrubbed(item) for key, item in value.items()}
    if isinstance(value, list | tuple | set | frozenset):
        return [scrubbed(item) for item in value]
    if value is None or isinstance(value, bool | int | float):
        return value
    text = str(value)
    return value if scrub(text) == text else scrub(text)
