"""Foreign members: members of a managed group whom nobody manages, as drift and changes name them. Pure.

In JSON they are elements of `foreign`, beside `members` and `groups`, which hold keys of the source: a foreign member
has none, and is named by its id at the target.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from types import MappingProxyType
from typing import Any, Final, Self

from syncd.core.model import Flat, Json, Kind

PART: Final = "foreign"
"""The part of a change's `before`, and of a drift's `found`, that holds foreign members."""
_NAMED: Final = 3


@dataclass(frozen=True, slots=True)
class ForeignMember:
    """A user or group at the target that no key of the source is linked to. `name` is for people alone."""

    id: str
    name: str
    kind: Kind = Kind.USER

    @property
    def called(self) -> str:
        """The name with its kind, where it is a group."""
        return self.name if self.kind is Kind.USER else f"group {self.name}"

    def to_json(self) -> Json:
        return {"id": self.id, "name": self.name, "kind": self.kind.value}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` gave. Raises KeyError, TypeError or ValueError for malformed input."""
        id_, name = data["id"], data["name"]
        if not (isinstance(id_, str) and isinstance(name, str)):
            raise TypeError("a foreign member has an id and a name")
        return cls(id_, name, Kind(data["kind"]))


def foreign_in(flat: Flat) -> list[ForeignMember]:
    """Return the foreign members in a part of a change or drift."""
    return [ForeignMember.from_json(each) for each in flat.get(PART, ())]


def as_part(members: Iterable[ForeignMember]) -> Flat:
    """Return foreign members as a part of a change or drift, people first and by name; empty for none."""
    ordered = sorted(members, key=lambda each: (each.kind is Kind.GROUP, each.name.casefold(), each.id))
    return {PART: [each.to_json() for each in ordered]} if ordered else {}


def named(members: Sequence[ForeignMember], protected: Mapping[str, str] = MappingProxyType({})) -> str:
    """Return the first few foreign members by name, and the number of the others.

    `protected`: by id why an account is never switched off, which is no reason to leave it in a group.
    """
    names = [each.called + (f" ({protected[each.id]})" if each.id in protected else "") for each in members[:_NAMED]]
    more = f" and {len(members) - _NAMED} more" if len(members) > _NAMED else ""
    return f"{', '.join(names)}{more}"


__all__ = ["PART", "ForeignMember", "as_part", "foreign_in", "named"]
