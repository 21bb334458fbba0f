"""How a service keeps what it is given: as the RFCs say, unless deviations are in force for a request.

Pure: resources are the JSON that is stored. `resources` asks, and stores.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from syncd.sandbox.deviations import (
    AnyDeviation,
    DeletedStays,
    Ignored,
    NotUnique,
    NumberedApart,
    OffLeavesGroups,
    TakenOver,
    Trimmed,
)

Json = dict[str, Any]


@dataclass(slots=True)
class Conduct:
    """The deviations in what is stored; none by default."""

    ignored: frozenset[str] = frozenset()
    """Attributes that no write changes."""
    trimmed: tuple[Trimmed, ...] = ()
    takes_over: TakenOver | None = None
    off_leaves_groups: bool = False
    deleted_stays: bool = False
    numbered_apart: bool = False
    unique: bool = True
    took_over: bool = False
    """Whether the request was answered with an account that was there before."""
    found_done: bool = False
    """Whether the request added a member who was in, or removed one who wasn't."""

    @classmethod
    def of(cls, deviations: Sequence[AnyDeviation]) -> Conduct:
        """Return the conduct that rules ask for."""
        kinds = {type(each) for each in deviations}
        return cls(
            ignored=frozenset(name for each in deviations if isinstance(each, Ignored) for name in each.attributes),
            trimmed=tuple(each for each in deviations if isinstance(each, Trimmed)),
            takes_over=next((each for each in deviations if isinstance(each, TakenOver)), None),
            off_leaves_groups=OffLeavesGroups in kinds,
            deleted_stays=DeletedStays in kinds,
            numbered_apart=NumberedApart in kinds,
            unique=NotUnique not in kinds,
        )

    def kept(self, attributes: Json, before: Json | None, required: str) -> Json:
        """Return the attributes to store of those that a write asks for; `before` None: the resource is new.

        `required`: the attribute without which no resource can be.
        """
        kept = dict(attributes)
        for name in self.ignored:
            if before is not None or name != required:
                _put_back(kept, before or {}, _steps(name, (attributes, before or {})))
        for each in self.trimmed:
            if entries := kept.get(each.attribute):
                kept[each.attribute] = [_without(entry, each.without) for entry in entries[: each.most]]
        return kept


def _steps(name: str, resources: Iterable[Json]) -> list[str]:
    """Return the keys that lead to an attribute: an extension's URN has dots of its own."""
    for key in {key for each in resources for key in each if key.startswith("urn:")}:
        if name == key:
            return [key]
        if name.startswith(f"{key}:"):
            return [key, *name.removeprefix(f"{key}:").split(".")]
    return [name] if name.startswith("urn:") else name.split(".")


def _put_back(attributes: Json, before: Json, steps: list[str]) -> None:
    """Give an attribute the value that it had before."""
    first, *rest = steps
    if rest:
        inner = dict(attributes.get(first) or {})
        _put_back(inner, before.get(first) or {}, rest)
        attributes[first] = inner
    elif first in before:
        attributes[first] = before[first]
    else:
        attributes[first] = None
    if not attributes[first] and attributes[first] is not False:
        del attributes[first]


def _without(entry: Json, names: Sequence[str]) -> Json:
    return {name: value for name, value in entry.items() if name not in names}
