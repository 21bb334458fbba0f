"""What a plan's reader wants to know beside its changes: how far limits were used, who is meant, how large groups are.

Nothing is decided by it and nothing carried out: a plan without it is as good a plan.
"""

from __future__ import annotations

from collections.abc import Collection, Mapping
from dataclasses import dataclass, field
from typing import Any, Self

from syncd.core.model import Json


@dataclass(frozen=True, slots=True)
class LimitUse:
    """How far one limit was used: what the plan would affect, what it holds for this very limit among it."""

    limit: str
    """`deactivate`, `delete_group`, …: as in the configuration."""
    affected: int
    managed: int
    """Of how many: people, for `delete_group` groups."""
    most: int | None
    """How many may be affected at a time; None: as many as there are."""
    percent: float | None = None
    count: int | None = None
    always: bool = False
    """Every such change waits for a person, however few they are."""
    base: int | None = None
    """How many managed ones `percent` begins at; None: a plan that was saved before doesn't say."""

    @property
    def exceeded(self) -> bool:
        """Whether so many are over it; where each waits for a person anyway, they are those who were released."""
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
    """Somebody whom a change is about or names, as the snapshot has them."""

    name: str
    department: str = ""
    groups: tuple[str, ...] = ()
    """Names of the groups that somebody is in who is about to be shut out; of all others nothing is said."""

    def to_json(self) -> Json:
        return {
            "name": self.name,
            **({"department": self.department} if self.department else {}),
            **({"groups": list(self.groups)} if self.groups else {}),
        }


@dataclass(frozen=True, slots=True)
class GroupSize:
    """A group that a change is about or names. `members`: people and groups in it before."""

    name: str
    members: int

    def to_json(self) -> Json:
        return {"name": self.name, "members": self.members}


@dataclass(frozen=True)
class Context:
    """All that. `people` and `groups` by key: those whom changes name, and of very many not all."""

    managed_groups: int = 0
    limits: tuple[LimitUse, ...] = ()
    people: Mapping[str, Person] = field(default_factory=dict)
    groups: Mapping[str, GroupSize] = field(default_factory=dict)

    def only(self, people: Collection[str], groups: Collection[str]) -> Context:
        """Return what is left where a plan is cut down to a few: the limits measured the whole, and say nothing now."""
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
        """Raises KeyError, TypeError or ValueError for what can't be one."""
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
