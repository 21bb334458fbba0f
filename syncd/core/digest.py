"""Digests: of an entry, to pass over the unchanged without mapping them; of a member set, whatever its order.

BLAKE2b throughout. A member set's digest is the sum of its members' digests: members come and go by
addition and subtraction, in any order, and 128 bits leave no chance for an accidental match.
"""

from __future__ import annotations

from collections.abc import Iterable
from hashlib import blake2b

import orjson

from syncd.core.model import Attributes, Json, Kind

_BITS = 128
_MODULUS = 1 << _BITS


def fingerprint(value: Json) -> bytes:
    """Return 16 bytes that stand for a JSON value, whatever the order of its keys."""
    return blake2b(orjson.dumps(value, option=orjson.OPT_SORT_KEYS), digest_size=16).digest()


def entry_digest(attributes: Attributes, mapping: bytes) -> bytes:
    """Return the digest of an entry under a mapping's fingerprint: 16 bytes.

    The order of attributes counts (it is the source's, and stable); the order of keys is not worth sorting:
    a moved column costs one more mapping, and changes nothing.
    """
    return blake2b(orjson.dumps(attributes), digest_size=16, key=mapping).digest()


def member_numbers(kind: Kind, keys: Iterable[str]) -> dict[str, int]:
    """Return for each key the summand that stands for it as a member; a user and a group may have the same key."""
    empty, number = blake2b(digest_size=_BITS // 8, person=kind.encode()), int.from_bytes
    numbers = {}
    for key in keys:
        digest = empty.copy()
        digest.update(key.encode())
        numbers[key] = number(digest.digest())
    return numbers


def members_digest(numbers: Iterable[int]) -> bytes:
    """Return the digest of a member set from its members' numbers: 16 bytes."""
    return (sum(numbers) % _MODULUS).to_bytes(_BITS // 8, "big")


def members_changed(digest: bytes, added: Iterable[int] = (), removed: Iterable[int] = ()) -> bytes:
    """Return the digest after members came and went, given by their numbers."""
    return members_digest([int.from_bytes(digest, "big"), *added, *(-number for number in removed)])


NO_MEMBERS = members_digest(())
