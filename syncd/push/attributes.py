"""Attributes as the snapshot holds them, and as a target shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from syncd.core.model import Flat, Json, Kind
from syncd.scim.resources import flatten


def shown(kind: Kind, body: dict[str, Json], paths: Iterable[str], group_suffix: str) -> Flat:
    """Return a resource's values at these paths; `group_suffix`, which the endpoint adds, is no part of a name."""
    there = flatten(kind, body, paths)
    if kind is Kind.GROUP and group_suffix and "displayName" in there:
        there["displayName"] = str(there["displayName"]).removesuffix(group_suffix)
    return there


def merged(attributes: Flat, after: Flat) -> Flat:
    """Return attributes after a change of some of them; None removes an attribute."""
    return {path: value for path, value in {**attributes, **after}.items() if value is not None}


def still_kept_as(known: Flat, sent: Flat, kept_as: Flat) -> Flat:
    """Return the attributes that the target keeps in its own form; the answer decides about those sent now."""
    return {path: value for path, value in known.items() if path not in sent} | kept_as
