"""Listings: a target's resources of one kind, read once and searched many times, where filters give no answer."""

from __future__ import annotations

import asyncio
from collections.abc import Container

from syncd.core.model import Json, Kind
from syncd.errors import ScimError
from syncd.push.gate import Gate
from syncd.scim.client import Found, has
from syncd.scim.resources import field


class TargetListing:
    """A target's resources of one kind, listed at the first search.

    A list that may lack some (`_doubt`) proves nobody's absence. A listing that failed is not tried again.
    """

    def __init__(self, gate: Gate, kind: Kind, names: Container[str] | None = None) -> None:
        """`names`, in folded case: only resources that carry one of them are kept; None: all are."""
        self._gate = gate
        self._kind = kind
        self._names = names
        self._reading = asyncio.Lock()
        self._listed: list[Found] | None = None
        self._doubt = ""
        self._failure: ScimError | None = None
        self._by: dict[str, dict[str, list[Found]]] = {}
        """By attribute and its value, in folded case."""

    async def find(self, attribute: str, value: str, *, exact: bool) -> list[Found] | None:
        """Return the resources whose attribute has a value; None: none is listed, and there may be more than that.

        Raises ScimError.
        """
        async with self._reading:
            listed = await self._list()
            if attribute not in self._by:
                by_value: dict[str, list[Found]] = {}
                self._by[attribute] = by_value
                for each in listed:
                    by_value.setdefault(text(field(each.body, attribute)).casefold(), []).append(each)
        alike = self._by[attribute].get(value.casefold(), [])
        found = [each for each in alike if has(each.body, attribute, value, exact=exact)]
        return None if self._doubt and not found else found

    async def _list(self) -> list[Found]:
        """Return the listed resources. Raises ScimError."""
        if self._failure is not None:
            raise self._failure
        if self._listed is None:
            try:
                self._listed, self._doubt = await self._gate.listed(self._kind, self._names)
            except ScimError as failure:
                self._failure = failure
                raise
        return self._listed


async def find(
    gate: Gate, kind: Kind, attribute: str, value: str, listing: TargetListing | None, *, exact: bool
) -> list[Found] | None:
    """Find resources by one attribute; None where neither endpoint nor listing can say. Raises ScimError."""
    found = await gate.find(kind, attribute, value, exact=exact)
    return await listing.find(attribute, value, exact=exact) if found is None and listing is not None else found


def text(value: Json) -> str:
    """Return an attribute as text, "" where there is none."""
    return str(value) if value is not None else ""
