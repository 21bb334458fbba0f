"""Attributes as the snapshot holds them, and as a target shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable

from syncd.core.model import Flat, Json, Kind
from syncd.scim.resources import flatten


def shown(kind: Kind, body: dict[str, Json], paths: Iterable[str], group_suffix: str) -> Flat:
    """Return what a resource has at these paths; `group_suffix`, which the endpoint adds, is no part of a name."""
    there = flatten(kind, body, paths)
    if kind is Kind.GROUP and group_suffix and "displayName" in there:
        there["displayName"] = str(there["displayName"]).removesuffix(group_suffix)
    return there


def merged(attributes: Flat, after: Flat) -> Flat:
    """Return attributes once a change of some of them is done; None takes one away."""
    return {path: value for path, value in {**attributes, **after}.items() if value is not None}


def still_kept_as(known: Flat, sent: Flat, kept_as: Flat) -> Flat:
    """Return how the target keeps attributes in its own way: for those sent now, as the answer shows them."""
    return {path: value for path, value in known.items() if path not in sent} | kept_as
