"""The values of a reading: its input, and its findings beside the resources themselves."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from typing import Final

from syncd.core.model import Json, Kind, KnownGroup
from syncd.core.ownership import Ownership
from syncd.place.looking import shows_marks
from syncd.scim.client import Client
from syncd.scim.profiles import Profile
from syncd.store import Observation, Snapshot

NAMED: Final = 3
"""Number of resources that a doubt names."""


@dataclass(frozen=True)
class Subject:
    """The input of a reading: the target's client, its snapshot, and the place for its resources."""

    client: Client
    profile: Profile
    owned: Mapping[Kind, Ownership]
    """How far the source decides about users and about groups."""
    snapshot: Snapshot
    observation: Observation
    concurrency: int
    """Number of requests that may be in flight at once."""

    def groups(self) -> Iterator[KnownGroup]:
        """Yield the linked groups."""
        return (known for known in self.snapshot.groups().values() if not known.lost)


@dataclass
class Shown:
    """The features that the endpoint ever showed: these decide the meaning of a missing value."""

    paths: dict[Kind, set[str]]
    """The paths that the endpoint showed of any resource, in this reading or an earlier one."""
    active_as: set[bool]
    """The values of `active` that the endpoint showed of any user, in this reading or an earlier one."""
    members: bool = False
    """Whether any group showed any member."""
    marks: set[Kind] = field(default_factory=set)
    """The kinds of which a resource showed an externalId in this reading."""
    switched_off: bool = False
    """Whether an account that syncd switched off was shown as being off."""


@dataclass
class Reading:
    """The findings of a reading, beside the resources themselves."""

    compared: dict[Kind, Ownership]
    """How far the source decides, about paths that the endpoint shows."""
    shown: Shown
    protected: dict[str, str] = field(default_factory=dict)
    """By id the accounts that must never be switched off, and why."""
    doubts: list[str] = field(default_factory=list)
    """Doubts about the reading, in sentences for a person."""
    gone: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources that are proven to be gone."""
    unclear: dict[Kind, set[str]] = field(default_factory=lambda: {kind: set() for kind in Kind})
    """Keys of linked resources whose existence the endpoint leaves open."""
    strangers: set[tuple[Kind, str]] = field(default_factory=set)
    """Kind and id of resources that have the id of a linked one, and are somebody else's: such a link is lost."""
    shows_marks: dict[Kind, bool] = field(default_factory=lambda: dict.fromkeys(Kind, False))
    """Whether the endpoint showed the externalId of some resource of a kind in an earlier reading."""
    is_place: bool = False
    """Whether most of what is managed was found, or nothing is managed: the target is the place."""
    hidden: set[str] = field(default_factory=set)
    """Keys of users whose accounts are off and not listed: groups may not show them either."""
    discovered: dict[str, Json] = field(default_factory=dict)
    """Facts about the endpoint that are to be remembered."""
    sso_removed: bool = False
    """Whether the reading shows that SSO was removed at the endpoint, and what it managed with it."""

    @classmethod
    def begun(cls, subject: Subject) -> Reading:
        """Return a reading before its first request, with the facts that earlier readings learned of the endpoint."""
        discovery = subject.snapshot.discovery
        paths = discovery.get("shown") or {}
        return cls(
            dict(subject.owned),
            Shown({kind: set(paths.get(kind.value, ())) for kind in Kind}, set(discovery.get("active_as") or ())),
            shows_marks={kind: shows_marks(discovery, kind) for kind in Kind},
        )

    def still_there(self, members: tuple[set[str], set[str]]) -> tuple[set[str], set[str]]:
        """Remove the gone resources from a group's members: their absence is a drift of its own."""
        return members[0] - self.gone[Kind.USER], members[1] - self.gone[Kind.GROUP]

    def to_be_shown(self, members: tuple[set[str], set[str]]) -> tuple[set[str], set[str]]:
        """Remove the members that the endpoint need not show.

        These are the gone resources, and the resources whose existence the endpoint leaves open: a group without
        such a member proves nothing.
        """
        people, groups = self.still_there(members)
        return people - self.unclear[Kind.USER] - self.hidden, groups - self.unclear[Kind.GROUP]


def count_of(number: int, kind: Kind) -> str:
    """Return a number with its noun and verb: `1 group is`, `2 users are`."""
    return f"{number:,} {kind.value} is" if number == 1 else f"{number:,} {kind.value}s are"


def some_of(keys: set[str] | list[str]) -> str:
    """Return the first few of some keys or names, in order, as a doubt names them."""
    return ", ".join(sorted(keys)[:NAMED])
