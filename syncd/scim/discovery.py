"""What an endpoint announces of itself (RFC 7644 section 4), as far as it matters: hints, for many announce wrongly."""

from __future__ import annotations

from syncd.core.model import Json
from syncd.scim.resources import field


def announced(config: Json) -> dict[str, Json]:
    """Return what a /ServiceProviderConfig says, as the snapshot keeps it; `config` None: the endpoint has none.

    `patch` (assumed where nothing is said: RFC 7644's way, and many have no such endpoint), `etag`, and `bulk`:
    `{"maxOperations", "maxPayloadSize"}`, absent where bulk is not supported.
    """
    said: dict[str, Json] = {
        "patch": field(field(config, "patch"), "supported") is not False,
        "etag": field(field(config, "etag"), "supported") is True,
    }
    bulk = field(config, "bulk")
    operations, size = _number(field(bulk, "maxOperations")), _number(field(bulk, "maxPayloadSize"))
    if field(bulk, "supported") is True and operations > 0 and size > 0:
        said["bulk"] = {"maxOperations": operations, "maxPayloadSize": size}
    return said


def _number(value: Json) -> int:
    text = str(value)
    return int(text) if text.isascii() and text.isdecimal() and len(text) < 12 else 0
