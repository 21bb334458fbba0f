"""Context of a plan for its reader: usage of limits, names of people, sizes of groups.

Information only: no decision and no request depends on the context, and a plan is complete without it.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from syncd.core.model import Json


@dataclass(frozen=True, slots=True)
class LimitUse:
    """Usage of one limit: the number that the plan would affect, including changes held for this limit."""

    limit: str
    """`deactivate`, `delete_group`, …: as in the configuration."""
    affected: int
    managed: int
    """The total that the count is measured against: people, for `delete_group` groups."""
    most: int | None
    """The most that may be affected at a time; None: no limit."""
    percent: float | None = None
    count: int | None = None
    always: bool = False
    """Whether every such change waits for approval, whatever the number."""
    base: int | None = None
    """The number of managed resources from which `percent` applies; None: an older saved plan doesn't say."""

    @property
    def exceeded(self) -> bool:
        """Whether the limit is exceeded; never where every change needs approval, for the counted ones are approved."""
        return not self.always and self.most is not None and self.affected > self.most

    def to_json(self) -> Json:
        return {
            "limit": self.limit,
            "affected": self.affected,
            "managed": self.managed,
            "most": self.most,
            "percent": self.percent,
            "count": self.count,
            "always": self.always,
            **({"base": self.base} if self.base is not None else {}),
        }


@dataclass(frozen=True, slots=True)
class Person:
    """A person whom a change concerns or names, as in the snapshot."""

    name: str
    department: str = ""
    groups: tuple[str, ...] = ()
    """Names of the groups of a person who is about to lose access; empty for everybody else."""

    def to_json(self) -> Json:
        return {
            "name": self.name,
            **({"department": self.department} if self.department else {}),
            **({"groups": list(self.groups)} if self.groups else {}),
        }


@dataclass(frozen=True, slots=True)
class GroupSize:
    """A group that a change concerns or names. `members`: number of people and groups in it before the change."""

    name: str
    members: int

    def to_json(self) -> Json:
        return {"name": self.name, "members": self.members}


@dataclass(frozen=True)
class Context:
    """The context of a plan. `people` and `groups` by key: those that changes name, up to a maximum number."""

    managed_groups: int = 0
    limits: tuple[LimitUse, ...] = ()
    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, GroupSize] = field(default_factory=dict)

    def only(self, people: Collection[str], groups: Collection[str]) -> Context:
        """Return the context of a plan reduced to a few changes: without limits, which measured the whole plan."""
        return Context(
            self.managed_groups,
            (),
            {key: person for key, person in self.people.items() if key in people},
            {key: group for key, group in self.groups.items() if key in groups},
        )

    def to_json(self) -> Json:
        return {
            "managed_groups": self.managed_groups,
            "limits": [each.to_json() for each in self.limits],
            "people": {key: person.to_json() for key, person in self.people.items()},
            "groups": {key: group.to_json() for key, group in self.groups.items()},
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read a context from JSON. Raises KeyError, TypeError or ValueError for malformed input."""
        return cls(
            managed_groups=int(data["managed_groups"]),
            limits=tuple(LimitUse(**each) for each in data["limits"]),
            people={
                str(key): Person(str(each["name"]), str(each.get("department", "")), tuple(each.get("groups", ())))
                for key, each in data["people"].items()
            },
            groups={
                str(key): GroupSize(str(each["name"]), int(each["members"])) for key, each in data["groups"].items()
            },
        )
