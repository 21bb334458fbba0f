"""The values of a reading: what is read, and what was found beside the resources themselves."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Final

from syncd.core.model import Json, Kind, KnownGroup
from syncd.scim.client import Client
from syncd.scim.profiles import Profile
from syncd.store import Observation, Snapshot

NAMED: Final = 3
"""So many of the resources that a doubt is about are named in it."""


@dataclass(frozen=True, slots=True)
class Paths:
    """Which attributes of users and groups syncd writes."""

    user: frozenset[str]
    group: frozenset[str]


@dataclass(frozen=True)
class Subject:
    """The target that is read: how it is asked, what is known of it, and where its resources are put."""

    client: Client
    profile: Profile
    paths: Paths
    snapshot: Snapshot
    observation: Observation
    concurrency: int
    """How many requests may be in flight at once."""

    def groups(self) -> Iterator[KnownGroup]:
        """Yield the linked groups."""
        return (known for known in self.snapshot.groups().values() if not known.lost)


@dataclass
class Shown:
    """The things that the endpoint ever showed: they decide what the endpoint's silence means."""

    paths: dict[Kind, set[str]]
    """The paths that it showed of any resource, in this reading or an earlier one."""
    active_as: set[bool]
    """The values of `active` that it showed of any user, in this reading or an earlier one."""
    members: bool = False
    """Whether any group showed any member."""
    switched_off: bool = False
    """Whether an account that syncd switched off was shown as being off."""


@dataclass
class Reading:
    """The findings of a reading, beside the resources themselves."""

    compared: dict[Kind, frozenset[str]]
    """The paths that syncd writes, and the endpoint shows."""
    shown: Shown
    protected: dict[str, str] = field(default_factory=dict)
    """By id the accounts that must never be switched off, and why."""
    doubts: list[str] = field(default_factory=list)
    """Why something may not be what it seems, in sentences for a person."""
    gone: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources that are proven not to be there."""
    unclear: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources of which the endpoint doesn't say whether they are there."""
    hidden: set[str] = field(default_factory=set)
    """Keys of users whose accounts are off and not listed: groups may not show them either."""
    discovered: dict[str, Json] = field(default_factory=dict)
    """Facts about the endpoint that are to be remembered."""

    @classmethod
    def begun(cls, subject: Subject) -> Reading:
        """Return a reading before its first request, with what earlier readings learned of the endpoint."""
        discovery = subject.snapshot.discovery
        paths = discovery.get("shown") or {}
        return cls(
            {Kind.USER: subject.paths.user, Kind.GROUP: subject.paths.group},
            Shown({kind: set(paths.get(kind.value, ())) for kind in Kind}, set(discovery.get("active_as") or ())),
        )

    def still_there(self, members: tuple[set[str], set[str]]) -> tuple[set[str], set[str]]:
        """Leave out of a group's members those who are gone: that is a drift of its own, and its groups follow it."""
        return members[0] - self.gone[Kind.USER], members[1] - self.gone[Kind.GROUP]

    def to_be_shown(self, members: tuple[set[str], set[str]]) -> tuple[set[str], set[str]]:
        """Leave out of a group's members those whom the endpoint need not show.

        Those are the gone; and those of whom the endpoint doesn't even show that they are there: that their groups
        don't show them says nothing.
        """
        people, groups = self.still_there(members)
        return people - self.unclear[Kind.USER] - self.hidden, groups - self.unclear[Kind.GROUP]


def count_of(number: int, kind: Kind) -> str:
    """Return a number with its noun and verb: `1 group is`, `2 users are`."""
    return f"{number:,} {kind.value} is" if number == 1 else f"{number:,} {kind.value}s are"


def some_of(keys: set[str] | list[str]) -> str:
    """Return the first few of some keys or names, in order, as a doubt names them."""
    return ", ".join(sorted(keys)[:NAMED])
