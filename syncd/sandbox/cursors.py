"""The cursors of list pages: opaque text that encodes after which resource a page begins.

Cursors contain "+", "/", "=" and ":", as AWS's cursors do. A client that doesn't percent-encode a cursor sends a
different cursor.
"""

from __future__ import annotations

import base64
import binascii

import orjson
from scim2_models import InvalidCursorException

_PREFIX = "page:"
_SALT = b"\xfb\xff"
"""In base64 this begins with "+/"."""


def sealed(seq: int, type_: str) -> str:
    """Return the cursor of the page that begins after a resource of a type."""
    return _PREFIX + base64.b64encode(_SALT + orjson.dumps([type_, seq])).decode()


def opened(cursor: str, type_: str) -> int:
    """Return after which resource a page begins; an empty cursor is the first page (RFC 9865 section 2).

    Raises InvalidCursorException for a cursor that was never issued, or a cursor of another resource type.
    """
    if not cursor:
        return 0
    try:
        packed = base64.b64decode(cursor.removeprefix(_PREFIX), validate=True)
        _, seq = orjson.loads(packed.removeprefix(_SALT))
    except (binascii.Error, ValueError, TypeError):
        raise InvalidCursorException(detail="the cursor was not given by this service") from None
    if not isinstance(seq, int) or sealed(seq, type_) != cursor:
        raise InvalidCursorException(detail="the cursor is for another list")
    return seq
