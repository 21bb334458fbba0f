"""The lists of users and groups, read to the end."""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Final

from syncd.core.model import Kind
from syncd.errors import ScimError, TargetUnusable
from syncd.observe.bodies import observed_group, observed_user
from syncd.observe.model import Reading, Subject
from syncd.scim.client import ENDPOINTS, Body
from syncd.scim.listing import Listing

_NOT_SERVED: Final = (403, 404, 405, 501)
_NO_MEMBERS: Final = {"excludedAttributes": "members"}
"""Excluded from lists: the members of large groups make up most of the data (RFC 7644 section 3.9)."""
_REFUSED: Final = (400, 500, 501)
"""Statuses with which endpoints refuse a parameter."""


async def list_users(subject: Subject, reading: Reading) -> None:
    """Read all users into the observation. Raises TargetError."""
    async for page in _listed(subject, reading, Kind.USER):
        subject.observation.put_users([observed_user(body, subject.owned[Kind.USER].paths, reading) for body in page])


async def list_groups(subject: Subject, reading: Reading) -> None:
    """Read all groups into the observation. An endpoint without groups has none, unless some are linked.

    Raises TargetError.
    """
    async for page in _listed(subject, reading, Kind.GROUP):
        groups = [observed_group(body, subject.owned[Kind.GROUP].paths, subject.profile, reading) for body in page]
        subject.observation.put_groups(groups)


async def _listed(subject: Subject, reading: Reading, kind: Kind) -> AsyncIterator[list[Body]]:
    """Yield the pages of one list; a list that may be incomplete is a doubt. Raises TargetError."""
    transport, profile = subject.client.transport, subject.profile
    unwanted = kind is Kind.GROUP and profile.members_read in ("filter", "nothing")
    listing = Listing(transport, ENDPOINTS[kind], profile, _NO_MEMBERS if unwanted else None)
    try:
        try:
            async for page in listing.pages():
                yield page
        except ScimError as error:
            if not unwanted or error.status not in _REFUSED:
                raise
            listing = Listing(transport, ENDPOINTS[kind], profile)
            async for page in listing.pages():
                yield page
    except ScimError as error:
        if kind is Kind.GROUP and error.status in _NOT_SERVED and not any(subject.groups()):
            return
        hint = "nothing was inferred from what was read so far; a normal run needs no such reading"
        if error.status == 404:
            hint = f"check base_url: nothing serves {ENDPOINTS[kind]} there; {hint}"
        raise TargetUnusable(
            transport.name,
            f"its {ENDPOINTS[kind]} can't be read: {error}",
            hint=hint,
            status=error.status,
        ) from None
    if listing.doubt:
        nobody = "nobody counts" if kind is Kind.USER else "no group counts"
        reading.doubts.append(f"{listing.doubt}: {nobody} as deleted for not being listed")
