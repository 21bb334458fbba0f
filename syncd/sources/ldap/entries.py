"""Conversion of a server's entries to keys and attributes. Pure.

Owns names and values: LDAP's attribute names are case-insensitive, ours are spelled as the mapping spells them.
"""

from __future__ import annotations

import re
from collections.abc import Collection, Iterable
from dataclasses import dataclass, field
from typing import Final
from uuid import UUID

from syncd.core.model import Attributes
from syncd.sources.ldap.ber import RawAttributes
from syncd.sources.passwords import holds_passwords, sounds_like_a_password

_BINARY_UUIDS: Final = frozenset({"objectguid", "ms-ds-consistencyguid"})
_TEXT_UUIDS: Final = frozenset({"entryuuid", "ipauniqueid"})
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}")

_PER_SERVER: Final = frozenset(
    "lastlogon lastlogoff logoncount badpwdcount badpasswordtime usnchanged usncreated".split()
)
"""Not replicated by Active Directory ([MS-ADA1]): another controller has other values of an unchanged person.

Read only where they are wanted by name.
"""

# Servers answer with the name that they prefer (RFC 4519 section 2), whatever name the request had.
_SAME: Final = {
    "commonname": "cn",
    "surname": "sn",
    "userid": "uid",
    "rfc822mailbox": "mail",
    "gn": "givenname",
    "localityname": "l",
    "stateorprovincename": "st",
    "organizationname": "o",
    "organizationalunitname": "ou",
    "countryname": "c",
}


class KeyUnreadable(ValueError):
    """An entry's key attribute is missing or can't be understood."""


@dataclass(frozen=True, slots=True)
class KeyAttribute:
    """The attribute that keys are made of."""

    name: str

    def read(self, values: list[bytes]) -> str:
        """Return the canonical, lower-case key. Raises KeyUnreadable.

        Of objectGUID that is the text that Microsoft's tools show: the first three fields are little-endian
        ([MS-DTYP] 2.3.4.2).
        """
        if len(values) != 1:
            raise KeyUnreadable(f"has {len(values)} values" if values else "is missing, or may not be read")
        folded = self.name.casefold()
        if folded in _BINARY_UUIDS:
            if len(values[0]) != 16:
                raise KeyUnreadable(f"has {len(values[0])} octets instead of 16")
            return str(UUID(bytes_le=values[0]))
        try:
            key = values[0].decode().strip().lower()
        except UnicodeDecodeError:
            raise KeyUnreadable("is not text in UTF-8") from None
        if not key or not key.isprintable():
            raise KeyUnreadable("is empty, or no printable text")
        return key

    def assertion(self, key: str) -> bytes | None:
        """Return the value to look a key up by, or None for one that can't have come from this attribute."""
        folded = self.name.casefold()
        if folded in _BINARY_UUIDS | _TEXT_UUIDS:
            if not _UUID.fullmatch(key):
                return None
            return UUID(key).bytes_le if folded in _BINARY_UUIDS else key.encode()
        # A value that `read` would not return; a lone surrogate isn't printable either.
        if not key or not key.isprintable() or key != key.strip().lower():
            return None
        return key.encode()


@dataclass(slots=True)
class Reading:
    """One entry's attributes, as far as they are wanted, and raw values for those with a part of their own."""

    attributes: Attributes
    special: dict[str, list[bytes]] = field(default_factory=dict)
    """By lower-case name."""
    undecodable: list[str] = field(default_factory=list)


@dataclass(frozen=True, slots=True)
class _Plan:
    spellings: tuple[str, ...]
    """The names to deliver an attribute under."""
    special: str
    """The lower-case name where the raw values are needed too."""
    as_text: bool


class AttributeReader:
    """Reads the wanted attributes of entries (None: all), but never a password.

    Of `withheld` attributes, and of `raw` ones too, the values are returned raw, wanted or not. Withheld ones aren't
    returned as text: the caller decides their use.
    """

    def __init__(
        self,
        wanted: frozenset[str] | None,
        *,
        withheld: Collection[str],
        raw: Collection[str] = (),
        operational: Iterable[str] = (),
    ) -> None:
        special = [*withheld, *raw]
        self.wanted = wanted
        self._withheld = {name.casefold() for name in withheld}
        self._special = {name.casefold() for name in special}
        self._spellings: dict[str, list[str]] = {}
        for name in sorted(wanted or ()):
            for alias in {name.casefold(), _SAME.get(name.casefold(), name.casefold())}:
                self._spellings.setdefault(alias, []).append(name)
        named = sorted(name for name in wanted or () if not holds_passwords(name))
        asked = ["*", *operational, *special] if wanted is None else [*named, *special]
        self.requested = tuple({name.casefold(): name for name in asked}.values())
        self._plans: dict[bytes, _Plan] = {}

    def spellings(self, name: str) -> list[str]:
        """Return the names under which an attribute is wanted: none, one, or several that differ in case."""
        return [name] if self.wanted is None else self._spellings.get(name.casefold(), [])

    def read(self, raw: RawAttributes) -> Reading:
        """Return the wanted attributes of an entry.

        Several values are sorted: LDAP keeps no order among them (RFC 4512 section 2.2), so that one server, or
        one day, may have another than the next. "The first value" is thus the least, and always the same one.
        """
        attributes: Attributes = {}
        reading = Reading(attributes)
        plans = self._plans
        for description, values in raw.items():
            plan = plans.get(description)
            if plan is None:
                plan = plans[description] = self._plan(description)
            if plan.special:
                reading.special[plan.special] = values
            if not plan.as_text or not values:
                continue
            try:
                texts = [str(value, "utf-8") for value in values]
            except UnicodeDecodeError:
                # Under `*` come pictures and certificates, which no rule can use.
                if self.wanted is not None:
                    reading.undecodable.extend(plan.spellings)
                continue
            if len(texts) > 1:
                texts.sort()
            for spelling in plan.spellings:
                attributes[spelling] = texts
        return reading

    def _plan(self, description: bytes) -> _Plan:
        name = description.decode(errors="replace")
        folded = name.casefold()
        special = folded if folded in self._special else ""
        if self.wanted is None:
            unwanted = sounds_like_a_password(name) or folded.partition(";")[0] in _PER_SERVER
            return _Plan((name,), special, as_text=not (unwanted or folded in self._withheld))
        spellings = () if holds_passwords(name) else tuple(self._spellings.get(folded, ()))
        return _Plan(spellings, special, as_text=bool(spellings) and folded not in self._withheld)
