"""Decoder for the messages of a directory server that a pull needs: message frames and search entries. Pure.

Owns the hot loop of a pull; ldap3 decodes all other messages. Refuses everything but the definite-length BER that
RFC 4511 section 5.1 allows.
"""

from __future__ import annotations

from typing import Final

SEARCH_ENTRY: Final = 0x64
"""[APPLICATION 4] SearchResultEntry, RFC 4511 section 4.5.2."""
SEARCH_REFERENCE: Final = 0x73
INTERMEDIATE: Final = 0x79

_SEQUENCE: Final = 0x30
_SET: Final = 0x31
_INTEGER: Final = 0x02
_OCTET_STRING: Final = 0x04

RawAttributes = dict[bytes, list[bytes]]
"""Attribute description to values, both as the server sent them."""


class NotLdap(ValueError):
    """The bytes are no LDAP message."""


def end_of_message(buffer: bytes, start: int) -> int | None:
    """Return where the message that starts at `start` ends, or None while its length is not all there."""
    if len(buffer) < start + 2:
        return None
    if buffer[start] != _SEQUENCE:
        raise NotLdap("a message does not begin with a sequence")
    length = buffer[start + 1]
    if length < 0x80:
        return start + 2 + length
    octets = length & 0x7F
    if octets == 0 or octets > 8:
        raise NotLdap("a message of indefinite or absurd length")
    if len(buffer) < start + 2 + octets:
        return None
    return start + 2 + octets + int.from_bytes(buffer[start + 2 : start + 2 + octets], "big")


def operation(buffer: bytes, start: int) -> tuple[int, int, int, int]:
    """Return a whole message's id, the tag of its operation, and where the content of that begins and ends."""
    try:
        position, _ = _length(buffer, start + 1)
        if buffer[position] != _INTEGER:
            raise NotLdap("a message without an id")
        position, length = _length(buffer, position + 1)
        number = int.from_bytes(buffer[position : position + length], "big")
        position += length
        tag = buffer[position]
        position, length = _length(buffer, position + 1)
    except IndexError:
        raise NotLdap("a message that ends too early") from None
    return number, tag, position, position + length


def entry(buffer: bytes, position: int, end: int) -> tuple[bytes, RawAttributes]:
    """Return DN and attributes of a search entry whose content lies from `position` to `end`.

    The lengths are read in line: this runs for every value of the directory.
    """
    attributes: RawAttributes = {}
    try:
        if buffer[position] != _OCTET_STRING:
            raise NotLdap("an entry without a name")
        position, length = _length(buffer, position + 1)
        dn = buffer[position : position + length]
        position += length
        if buffer[position] != _SEQUENCE:
            raise NotLdap("an entry without a list of attributes")
        position, length = _length(buffer, position + 1)
        if position + length != end:
            raise NotLdap("an entry whose lengths contradict each other")
        while position < end:
            if buffer[position] != _SEQUENCE:
                raise NotLdap("an attribute that is no sequence")
            length = buffer[position + 1]
            position += 2
            if length >= 0x80:
                position, length = _length(buffer, position - 1)
            attribute_end = position + length
            length = buffer[position + 1]
            if buffer[position] != _OCTET_STRING or length >= 0x80:
                raise NotLdap("an attribute without a name")
            name = buffer[position + 2 : position + 2 + length]
            position += 2 + length
            if buffer[position] != _SET:
                raise NotLdap("an attribute without a set of values")
            length = buffer[position + 1]
            position += 2
            if length >= 0x80:
                position, length = _length(buffer, position - 1)
            if position + length != attribute_end:
                raise NotLdap("an attribute whose lengths contradict each other")
            values = []
            while position < attribute_end:
                if buffer[position] != _OCTET_STRING:
                    raise NotLdap("a value that is no octet string")
                length = buffer[position + 1]
                position += 2
                if length >= 0x80:
                    position, length = _length(buffer, position - 1)
                values.append(buffer[position : position + length])
                position += length
            if position != attribute_end:
                raise NotLdap("a value that is longer than its attribute")
            attributes[name] = values
    except IndexError:
        raise NotLdap("an entry that ends too early") from None
    if position != end:
        raise NotLdap("an attribute that is longer than its entry")
    return dn, attributes


def references(buffer: bytes, position: int, end: int) -> list[bytes]:
    """Return the URLs of a search reference (RFC 4511 section 4.5.3) whose content lies from `position` to `end`."""
    urls = []
    try:
        while position < end:
            if buffer[position] != _OCTET_STRING:
                raise NotLdap("a reference that is no URL")
            position, length = _length(buffer, position + 1)
            urls.append(buffer[position : position + length])
            position += length
    except IndexError:
        raise NotLdap("a reference that ends too early") from None
    if position != end:
        raise NotLdap("a reference that is longer than its message")
    return urls


def _length(buffer: bytes, position: int) -> tuple[int, int]:
    """Return where the content begins whose length stands at `position`, and that length."""
    length = buffer[position]
    position += 1
    if length < 0x80:
        return position, length
    octets = length & 0x7F
    if octets == 0 or octets > 8 or position + octets > len(buffer):
        raise NotLdap("an indefinite or absurd length")
    return position + octets, int.from_bytes(buffer[position : position + octets], "big")
