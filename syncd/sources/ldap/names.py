"""Names in a directory: the equality of DNs, and the key that a name leads to. Pure.

Owns the normal form of a DN and the tables that lead from a name to a key. Knows no schema: every attribute in a
DN is compared as caseIgnoreMatch does (RFC 4517 section 4.2.11), and attribute types by the name they are written
with, which is the short one for all those that RFC 4514 section 3 lists.
"""

from __future__ import annotations

import re
import unicodedata
from typing import Final, Protocol

AMBIGUOUS: Final = ""
"""Stands in a table for a name that belongs to an entry without a readable key, or to several."""

# Everything that makes the normal form more than lower case: escapes and quotes, several attributes in one RDN,
# hexadecimal values, spaces that mean nothing, anything beyond ASCII, `OID.` before a type.
_INVOLVED: Final = re.compile(rb'[^ -~]|[\\"+;#<>]|  | [,=]|[,=] |^ | $|^$|[oO][iI][dD]\.')
_ATTRIBUTE: Final = re.compile(
    r"""
    \s*+ (?:oid\.)? ([a-z0-9][a-z0-9.-]*+) \s*+ = \s*+                   # the type
    (?: "((?:[^"\\]|\\.)*+)" \s*+ | ((?:[^"\\,;+]|\\.)*+) )             # a value, in quotes (RFC 2253) or not
    ( [,;+] | $ )                                                       # what comes next
    """,
    re.IGNORECASE | re.DOTALL | re.VERBOSE,
)
_ESCAPES: Final = re.compile(r"((?:\\[0-9a-fA-F]{2})+)|\\(.)", re.DOTALL)
_HEXADECIMAL: Final = re.compile(r"#(?:[0-9a-fA-F]{2})+")
_SPECIAL: Final = re.compile(r'[\\",;+<>]|^#')
_OPTIONAL_UID: Final = re.compile(rb"#'[01]*'B$")


def normal(dn: bytes) -> bytes | None:
    """Return the one form that every spelling of a DN has, or None for a text that is no DN.

    Two DNs have the same normal form if they differ only in case, in spaces that mean nothing, in how a
    character is escaped, in the order within a multi-valued RDN, or in Unicode composition.
    """
    return _parsed(dn) if _INVOLVED.search(dn) else dn.lower()


def is_dn(text: str) -> bool:
    """Return whether a text is a DN (RFC 4514); the empty one is that of the root."""
    return _parsed(text.encode()) is not None


def is_below(dn: str, base: str) -> bool:
    """Return whether an entry with this DN would be found below that base, or is it; both are DNs."""
    name, above = normal(dn.encode()), normal(base.encode())
    if name is None or above is None:
        return False
    return not above or name == above or name.endswith(b"," + above)


def _parsed(dn: bytes) -> bytes | None:
    try:
        text = dn.decode()
    except UnicodeDecodeError:
        return None
    if not text.strip():
        return b""
    parts: list[list[str]] = [[]]
    position, following = 0, ""
    while position < len(text) or following:
        found = _ATTRIBUTE.match(text, position)
        if found is None:
            return None
        type_, quoted, plain, following = found.groups()
        value = _value(quoted if quoted is not None else plain, quoted is not None)
        if value is None:
            return None
        parts[-1].append(f"{type_.lower()}={value}")
        position = found.end()
        if following in (",", ";"):
            parts.append([])
    return ",".join("+".join(sorted(part)) for part in parts).encode()


def _value(text: str, quoted: bool) -> str | None:
    """Return a value's normal form, or None where its escapes are not UTF-8."""
    if not quoted and _HEXADECIMAL.fullmatch(text.strip()):
        return text.strip().lower()
    try:
        plain = _ESCAPES.sub(_unescaped, text)
    except UnicodeDecodeError:
        return None
    # RFC 4518: compatibility composition, case folding, and runs of spaces as one.
    folded = unicodedata.normalize("NFKC", unicodedata.normalize("NFKC", plain).casefold())
    return _SPECIAL.sub(lambda found: f"\\{ord(found[0]):02x}", " ".join(folded.split()))


def _unescaped(found: re.Match[str]) -> str:
    return bytes.fromhex(found[1].replace("\\", "")).decode() if found[1] else found[2]


class NameTable(Protocol):
    """Leads from the values of a member attribute to keys."""

    def add(self, name: bytes, key: str) -> None:
        """Record the key of a name; a name of two keys becomes ambiguous."""

    def find(self, name: bytes) -> str | None:
        """Return the key of a name, AMBIGUOUS, or None for an unknown name."""

    def identity(self, name: bytes) -> bytes:
        """Return the form that all spellings of a name have in common."""


class DnTable:
    """Keys by DN: about 200 bytes for an entry, next to the key itself."""

    def __init__(self) -> None:
        self._keys: dict[bytes, str] = {}

    def add(self, name: bytes, key: str) -> None:
        identity = self.identity(name)
        self._put(identity, key)
        # Members are mostly spelled as their entry is: found at once, even where the normal form is another one.
        lowered = name.lower()
        if lowered != identity:
            self._put(lowered, key)

    def find(self, name: bytes) -> str | None:
        key = self._keys.get(name.lower())
        return key if key is not None else self._keys.get(self.identity(name))

    def identity(self, name: bytes) -> bytes:
        """Return the normal form; of `Name and Optional UID` (RFC 4517 section 3.3.21) without the UID."""
        if name.endswith(b"'B"):
            name = _OPTIONAL_UID.sub(b"", name)
        form = normal(name)
        return form if form is not None else name

    def _put(self, name: bytes, key: str) -> None:
        self._keys[name] = key if self._keys.get(name, key) == key else AMBIGUOUS


class UidTable:
    """Keys by `uid`, for `memberUid`: compared exactly, as RFC 2307 says (caseExactIA5Match)."""

    def __init__(self) -> None:
        self._keys: dict[bytes, str] = {}

    def add(self, name: bytes, key: str) -> None:
        self._keys[name] = key if self._keys.get(name, key) == key else AMBIGUOUS

    def find(self, name: bytes) -> str | None:
        return self._keys.get(name)

    def identity(self, name: bytes) -> bytes:
        return name
