"""The values that cross between the parts of syncd. No value depends on its origin.

Attributes of a source entry are lists of strings by name; an attribute that the entry lacks is not there.
Attributes of a SCIM resource are flat: SCIM path (RFC 7644 section 3.5.2) to JSON value, such as
`{"name.givenName": "Ada", 'emails[type eq "work"].value': "ada@example.com"}`. A flat map compares,
stores and reports as it is, and each difference is one PATCH operation.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, field
from datetime import datetime
from enum import StrEnum
from typing import Any, Final, Protocol, Self, runtime_checkable

Attributes = dict[str, list[str]]
"""The source's attributes of one entry."""

Json = Any
Flat = dict[str, Json]
"""SCIM path to JSON value."""


class Kind(StrEnum):
    """The kind of a resource."""

    USER = "user"
    GROUP = "group"


@dataclass(slots=True)
class Entry:
    """One person as the source has them. Not frozen: a pull makes hundreds of thousands."""

    key: str
    """The immutable id: entryUUID, objectGUID, the CSV's key column. Never a DN, name or e-mail."""
    attributes: Attributes
    where: str
    """The place of the entry, for messages: `people.csv:12`, or the DN."""


@dataclass(slots=True)
class GroupEntry:
    """One group as the source has it, with its direct members."""

    key: str
    attributes: Attributes
    where: str
    members: list[str] = field(default_factory=list)
    """Keys of users. The same key may stand twice; order means nothing."""
    subgroups: list[str] = field(default_factory=list)
    """Keys of groups that are members of this one."""
    incomplete: bool = False
    """Part of the member list could not be read or understood: nobody may be removed because of it."""


@dataclass(frozen=True, slots=True)
class Problem:
    """An unusable part of the source: reported, left out of changes, without effect on other entries.

    An entry that the problem may belong to (`protects`) is neither changed nor treated as gone in this run.
    """

    where: str
    problem: str
    key: str = ""
    """The key that the problem belongs to, where the key could be read."""
    kind: Kind = Kind.USER
    protects: tuple[str, ...] = ()
    """Every key that the problem may belong to, including `key`."""

    @property
    def protected(self) -> list[str]:
        """Every key that the problem may belong to, each once."""
        return list({self.key, *self.protects} - {""})


@dataclass(frozen=True, slots=True)
class Evidence:
    """The evidence of a complete pull. An incomplete pull raises instead of returning evidence."""

    source: str
    """The files read, or the server that answered."""
    users: int
    groups: int
    memberships: int
    problems: int
    seconds: float
    absence: bool = True
    """Whether a key that was not seen may count as gone; false when an entry without a readable key exists."""


class Pull(Protocol):
    """One reading of a source, in this order: `users()` to its end, `groups()` to its end, `evidence()`.

    Every method raises SourceError; SourceIncomplete when anything was read in part. A context manager:
    leaving it closes files and connections.
    """

    def __enter__(self) -> Self: ...

    def __exit__(self, *exc: object) -> None: ...

    def users(self) -> Iterator[Entry | Problem]:
        """Yield every person once, in any order."""

    def groups(self) -> Iterator[GroupEntry | Problem]:
        """Yield every group once, in any order, its members resolved to keys."""

    def evidence(self) -> Evidence:
        """Return the proof that the reading was complete, after checking it a last time."""

    def look_up(self, keys: Sequence[str], kind: Kind | None = None) -> Mapping[str, bool | None]:
        """Look up users or groups by their keys, once everything has been read: the proof of absence.

        `kind`: users or groups; a file may have a person and a group of one key. None: either.

        True: it is there, though the reading didn't return it (moved, or no longer matched by a filter); False: it
        is proven not to be there; None: not proven, because the source refuses to say. Every key is answered.
        """


@dataclass(frozen=True, slots=True)
class Wanted:
    """The attributes that mapping and rules refer to. None: all there are (a rule uses `attrs`)."""

    user: frozenset[str] | None
    group: frozenset[str] | None


@runtime_checkable
class Source(Protocol):
    """The source of people and groups, and the authority on them."""

    name: str
    """For messages: the file or the first URL."""

    def pull(self, wanted: Wanted) -> Pull:
        """Start a reading. Raises SourceError; SourceMismatch when an attribute in `wanted` can't exist."""

    def mark(self, wanted: Wanted) -> bytes | None:
        """Return bytes that stand for the source's present content; None where such a mark can't be computed cheaply.

        Equal marks promise equal readings. Raises SourceError.
        """

    def check(self, wanted: Wanted) -> Mapping[str, str]:
        """Reach the source and describe the source and its capabilities, as label to text. Raises SourceError."""


class State(StrEnum):
    """The state of a managed user at the target."""

    ACTIVE = "active"
    PENDING = "pending"
    DEACTIVATED = "deactivated"


@dataclass(frozen=True, slots=True)
class Desired:
    """The desired state of one key at a target, mapped from the source.

    `attributes` is empty where the account should merely be off: an attribute that isn't sent can't do harm.
    """

    key: str
    name: str
    """userName or displayName: the name for people."""
    state: State
    attributes: Flat
    reason: str = ""
    """Why it is deactivated: disabled, or out of scope."""


@dataclass(slots=True)
class Known:
    """The state that the target last acknowledged for one key: a row of the snapshot."""

    key: str
    id: str
    """The resource's id at the target."""
    name: str
    state: State
    attributes: Flat
    digest: bytes
    """Digest of the source entry that `attributes` were completely reached from; b"" while they are not."""
    accepted: bool = True
    """Whether the user was ever active or accepted: a user who never accepted comes back as pending."""
    missing_since: datetime | None = None
    since: datetime | None = None
    """The moment at which the user entered this state."""
    lost: bool = False
    """Whether the target no longer has the account, though nobody here asked for that: the id is dead."""
    kept_as: Flat = field(default_factory=dict)
    """By path, the value that the target shows (None: nothing) in place of an accepted value of `attributes`."""
    unmanaged: bool = False
    """Whether the target manages the account no longer, since SSO was removed there: until everything that the source
    decides has been sent once more. Of a lost account that was off: whether it went with SSO."""
    uninvited: bool = False
    """Whether the person can't get in until an administrator of the target invites them anew."""

    @property
    def is_gone_with_sso(self) -> bool:
        """Whether the account was off, and was deleted for good when SSO was removed."""
        return self.unmanaged and self.lost and self.state is State.DEACTIVATED

    @property
    def addresses(self) -> frozenset[str]:
        """userName and e-mails, folded."""
        found = {self.name.casefold()}
        for path, value in self.attributes.items():
            if path == "emails":
                found.update(str(each["value"]).casefold() for each in value)
            elif path.startswith("emails[") and path.endswith(".value"):
                found.add(str(value).casefold())
        return frozenset(found)


@dataclass(frozen=True, slots=True)
class Release:
    """What the removal of SSO at a target left of one linked user: the target no longer manages the account."""

    key: str
    uninvited: bool
    """Whether the person, active before, can't get in until an administrator of the target invites them anew."""
    mark_gone: bool
    """Whether the account no longer carries our externalId."""


@dataclass(slots=True)
class KnownGroup:
    """The state that the target last acknowledged for one group, without members: members are read on demand."""

    key: str
    id: str
    name: str
    attributes: Flat
    members_digest: bytes
    missing_since: datetime | None = None
    lost: bool = False
    """Whether the target no longer has the group: the id is dead."""
    kept_as: Flat = field(default_factory=dict)
    """As of a user."""


_OFF: Final = frozenset({"false", "0", "no", "off"})


def is_on(active: Json) -> bool:
    """Return whether a SCIM `active` value says that an account is on.

    A boolean (RFC 7643 section 4.1.1), which some endpoints show as a number or as text, in any case. None (not shown)
    means on, and so does every value that is not known to mean off: an account counts as off only if the value says so.
    """
    if isinstance(active, int | float):
        return active != 0
    return str(active).strip().casefold() not in _OFF


@dataclass(slots=True)
class Observed:
    """A user as a full resync found it at the target."""

    id: str
    name: str
    """userName."""
    external_id: str
    """"" where it has none."""
    emails: tuple[str, ...]
    attributes: Flat
    """The account's values at the mapped paths, and `active`."""

    @property
    def active(self) -> bool:
        return is_on(self.attributes.get("active"))


@dataclass(slots=True)
class ObservedGroup:
    """A group as a full resync found it at the target."""

    id: str
    name: str
    """displayName, without the suffix that some endpoints add to what is pushed."""
    external_id: str
    attributes: Flat
    members: list[str] | None
    """Ids of users and groups; None where the endpoint doesn't show members, which differs from an empty list."""
