"""Ownership: how far the source decides about the attributes that a mapping names, also where it has no value.

#  the line of the mapping says   the source has a value         the source has none
#  nothing more                   written, compared              emptied, compared
#  when_empty = "keep"            written, compared              left alone
#  apply = "create"               written with the creation, left alone from then on

An attribute that no line names is the target's own. `roles` and `entitlements` are like any other: kept only where the
mapping says so.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import Final

from syncd.core.model import Desired, Flat, Json


class WhenEmpty(StrEnum):
    """What becomes of the target's value while the source has none."""

    CLEAR = "clear"
    KEEP = "keep"


class Apply(StrEnum):
    """When an attribute is written."""

    ALWAYS = "always"
    CREATE = "create"


@dataclass(frozen=True, slots=True)
class Ownership:
    """The paths that a mapping names, for one kind of resource. A path is in `decided` or in `at_creation`."""

    decided: frozenset[str] = frozenset()
    """Paths that the source decides for as long as the resource exists: compared, and written where they differ."""
    kept: frozenset[str] = frozenset()
    """Those of `decided` that are left alone while the source has no value."""
    at_creation: frozenset[str] = frozenset()
    """Paths that are written when the resource is created, and never again."""

    @property
    def paths(self) -> frozenset[str]:
        """Every path that syncd may write."""
        return self.decided | self.at_creation

    def without(self, *paths: str) -> Ownership:
        """Return the same, except for paths that the endpoint doesn't have."""
        gone = frozenset(paths)
        return Ownership(self.decided - gone, self.kept - gone, self.at_creation - gone)

    def within(self, flat: Mapping[str, Json]) -> Flat:
        """Return the values at the decided paths: a removed line of the mapping leaves the target's value alone."""
        return {path: value for path, value in flat.items() if path in self.decided and not is_nothing(value)}

    def left_alone(self, wanted: Mapping[str, Json]) -> frozenset[str]:
        """Return the decided paths that stay as they are, because the source has no value there."""
        return self.kept - wanted.keys()

    def settled(self, wanted: Flat, there: Mapping[str, Json]) -> Flat:
        """Return what an existing resource is to have: the wanted values, and those of `there` that are left alone."""
        alone = self.left_alone(wanted) | self.at_creation
        if not alone:
            return wanted
        stays = {path: there[path] for path in sorted(alone) if not is_nothing(there.get(path))}
        return {path: value for path, value in wanted.items() if path not in alone} | stays

    def completed(self, flat: Mapping[str, Json]) -> Flat:
        """Return values with None at the decided paths that have none: what is sent there, and what is emptied."""
        return {**flat, **dict.fromkeys(sorted(self.decided - flat.keys()))}

    def all_of(self, flat: Mapping[str, Json]) -> Flat:
        """Return the values at every decided path, None where there is none, and no others."""
        return {path: value for path, value in self.completed(flat).items() if path in self.decided}

    def settle(self, desired: Desired, there: Mapping[str, Json]) -> Desired:
        """Return the desired state of somebody who has an account with these values; nothing where it is to be off."""
        if not desired.attributes:
            return desired
        return replace(desired, attributes=self.settled(desired.attributes, there))


NOTHING_OWNED: Final = Ownership()


def emptied(before: Mapping[str, Json], after: Mapping[str, Json]) -> Flat:
    """Return the values that a change takes away without another in their place."""
    return {path: value for path, value in before.items() if not is_nothing(value) and is_nothing(after.get(path))}


def named(flat: Mapping[str, Json]) -> str:
    """Return attributes with their values as a sentence names them: `title (Owner), roles (admin, dev)`."""
    return ", ".join(f"{path.rpartition(':')[2]} ({_spelled(value)})" for path, value in flat.items())


def _spelled(value: Json) -> str:
    elements = value if isinstance(value, list) else [value]
    return ", ".join(str(each.get("value", "") if isinstance(each, dict) else each) for each in elements)


def is_nothing(value: Json) -> bool:
    """Return whether a value means the same as none: null, an empty list (RFC 7643 section 2.5), and an empty text."""
    return value is None or value in ("", [])


__all__ = ["NOTHING_OWNED", "Apply", "Ownership", "WhenEmpty", "emptied", "is_nothing", "named"]
