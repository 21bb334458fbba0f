"""The accounts that must never be switched off: the owner's, and the account that the token belongs to."""

from __future__ import annotations

from typing import Final

from syncd.errors import ScimError, TargetError
from syncd.observe.bodies import id_of
from syncd.observe.model import Reading, Subject

_NO_ME: Final = (400, 403, 404, 405, 501)
"""Statuses of endpoints that have no /Me, or none for this token (RFC 7644 section 3.11)."""


async def protect_own_account(subject: Subject, reading: Reading) -> None:
    """Add to the owners the account that the token belongs to, and the accounts protected before that are not listed.

    /Me is asked for once, and not again at an endpoint that has none.
    """
    known = subject.snapshot.discovery
    own = known.get("me")
    if own != "":
        try:
            own = id_of((await subject.client.transport.send("GET", "Me")).body)
            reading.discovered["me"] = own
        except (ScimError, TargetError) as error:
            if error.status in _NO_ME:
                own = reading.discovered["me"] = ""
    before: dict[str, str] = known.get("protected") or {}
    unseen = before.keys() - subject.observation.users(list(before)).keys()
    reading.protected = {id_: before[id_] for id_ in sorted(unseen)} | reading.protected
    if own:
        reading.protected[own] = "the account that the token belongs to"
