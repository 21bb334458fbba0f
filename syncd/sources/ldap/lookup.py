"""Look up entries of a directory by their keys, to find whether an entry that was not read exists all the same.

Owns the validity of an answer. An answer proves nothing if the server could not search everything that was read:
because of refusals, limits, parts of the tree on other servers, or a key without a filter.

No directory reports hidden entries: an entry that our account may not see looks like a missing one, and
hasSubordinates or numSubordinates don't separate entries that were always hidden from newly hidden ones. So each
search also asks for the witnesses, a few entries that were just read: an answer without the witnesses proves nothing.
A rule that hid people before the reading began remains unnoticed: the grace for missing people and the limits on
changes protect against such a rule.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Final
from urllib.parse import unquote_to_bytes

from syncd.sources.ldap import answers
from syncd.sources.ldap.ber import RawAttributes
from syncd.sources.ldap.entries import AttributeReader, KeyAttribute, KeyUnreadable
from syncd.sources.ldap.filters import any_of
from syncd.sources.ldap.names import is_below, normal
from syncd.sources.ldap.options import Layout
from syncd.sources.ldap.session import Query, Session

_BATCH: Final = 200
"""Keys in one search: some 12 KB of filter, and fewer entries than any usual size limit even if all are there."""

# A search of an Active Directory forest's root domain refers to these in any case. They hold its DNS, and its own
# configuration: nobody moves there.
_WITHOUT_PEOPLE: Final = frozenset({b"dc=domaindnszones", b"dc=forestdnszones", b"cn=configuration"})


class LookUp:
    """Questions to the server that was read, as the account that read it."""

    def __init__(
        self, session: Session, layout: Layout, was_read: Callable[[str], bool], witnesses: Sequence[str]
    ) -> None:
        """`was_read`: whether the reading returned the entry of a key; `witnesses`: a few of those keys."""
        self._session = session
        self._layout = layout
        self._was_read = was_read
        self._witnesses = witnesses
        self._key = KeyAttribute(layout.key)
        self._reader = AttributeReader(frozenset(), withheld=[layout.key])

    def answers(self, keys: Sequence[str]) -> dict[str, bool | None]:
        """Return for every key whether an entry has it. Raises SourceIncomplete when the connection breaks.

        True: the entry exists, and does not match the reading's filter. False: the server searched everything below
        every base, found the witnesses, and nothing with that key. None: anything else; also an entry that exists and
        matches the reading's filter, which the reading must have missed.
        """
        found: dict[str, bool | None] = dict.fromkeys(keys)
        askable = [key for key in found if self._key.assertion(key) is not None]
        for start in range(0, len(askable), _BATCH):
            batch = askable[start : start + _BATCH]
            present, proven = self._present([*batch, *self._witnesses])
            proven = proven and present.issuperset(self._witnesses)
            missed = self._missed([key for key in batch if key in present and not self._was_read(key)])
            for key in batch:
                if key in present:
                    found[key] = None if key in missed else True
                elif proven:
                    found[key] = False
        return found

    def _present(self, keys: Sequence[str]) -> tuple[set[str], bool]:
        """Return the keys that exist below any base; and whether all other keys are proven absent."""
        present: set[str] = set()
        proven = True
        for base in _outermost(self._layout):
            here, whole = self._search(base, "", keys)
            present |= here
            proven = proven and whole
        return present, proven

    def _missed(self, keys: Sequence[str]) -> set[str]:
        """Return the keys that match the reading's filter, or may match it."""
        layout = self._layout
        missed: set[str] = set()
        for base, filter_ in ((layout.user_base, layout.user_filter), (layout.group_base, layout.group_filter)):
            if filter_ and keys:
                here, whole = self._search(base, filter_, keys)
                missed.update(here if whole else keys)
        return missed

    def _search(self, base: str, filter_: str, keys: Sequence[str]) -> tuple[set[str], bool]:
        """Return the keys found below a base, and whether the search was complete."""
        values = [value for key in dict.fromkeys(keys) if (value := self._key.assertion(key)) is not None]
        either = any_of(self._layout.key, values)
        query = Query("looking up keys", base, f"(&{filter_}{either})" if filter_ else either, (self._layout.key,))
        found, result, referred = self._session.found(query, self._key_of)
        present = {key for key in found if key}
        whole = result["result"] == answers.SUCCESS and "" not in found
        return present, whole and not any(map(_may_hold_people, referred))

    def _key_of(self, _: bytes, raw: RawAttributes) -> str:
        """Return an entry's key, or nothing where the key is hidden: the entry may have any of the keys asked for."""
        try:
            return self._key.read(self._reader.read(raw).special.get(self._layout.key.casefold(), []))
        except KeyUnreadable:
            return ""


def _outermost(layout: Layout) -> list[str]:
    """Return the bases of a layout, without those that lie below another."""
    outermost: list[str] = []
    for base in (layout.base, layout.user_base, layout.group_base):
        if not any(is_below(base, other) for other in outermost):
            outermost = [*(other for other in outermost if not is_below(other, base)), base]
    return outermost


def _may_hold_people(url: bytes) -> bool:
    """Return whether a part of the tree on another server may hold somebody: an LDAP URL (RFC 4516)."""
    path = url.partition(b"://")[2].partition(b"/")[2].partition(b"?")[0]
    name = normal(unquote_to_bytes(path))
    return name is None or name.partition(b",")[0] not in _WITHOUT_PEOPLE
