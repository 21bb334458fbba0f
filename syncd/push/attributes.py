"""Attributes as the snapshot holds them, and as a target shows them. Pure."""

from __future__ import annotations

from collections.abc import Iterable, Set
from dataclasses import replace

from syncd.core.model import Flat, Json, Kind, State
from syncd.core.plan import Change
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


def as_far_as_done(change: Change, undone: Set[str], state: State | None, name: str) -> Change:
    """Return a change without the paths that were not done; `state` and `name`: what stays so while they are not."""
    if not undone:
        return change
    return replace(
        change,
        after={path: value for path, value in change.after.items() if path not in undone},
        state=state if "active" in undone else change.state,
        name=name if ("userName" if change.action.about_user else "displayName") in undone else change.name,
        digest="",
    )
