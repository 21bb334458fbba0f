"""Drift: a managed resource at the target differs from what the target last acknowledged.

Compared are the attributes that the mapping names, also where nothing was acknowledged: the source has no value there,
so there is to be none. Any other attribute is the target's own; so are native accounts and native groups. The members
of a managed group are the source's alone: a member whom nobody manages is drift, and that account or group itself is
never written. The acceptance of an invitation is no drift.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, field
from datetime import UTC, datetime
from enum import StrEnum
from typing import Any, Final, Self

from syncd.core.foreign import ForeignMember, as_part
from syncd.core.model import Flat, Json, Kind, Known, KnownGroup, Observed, ObservedGroup, State, is_on
from syncd.core.ownership import Ownership, is_nothing
from syncd.core.schema import unlabelled


class DriftClass(StrEnum):
    """The kind of a drift: a target's configuration chooses a treatment for each kind."""

    USER_DELETED = "user_deleted"
    USER_ACTIVATION = "user_activation"
    USER_ATTRIBUTES = "user_attributes"
    GROUP_DELETED = "group_deleted"
    GROUP_RENAMED = "group_renamed"
    MEMBER_ADDED = "member_added"
    MEMBER_REMOVED = "member_removed"
    FOREIGN_MEMBER = "foreign_member"


class Reaction(StrEnum):
    """The treatment of drift."""

    ENFORCE = "enforce"
    """Restore the source's value."""
    REPORT = "report"
    """Leave the drift, and report it in every full resync."""


@dataclass(frozen=True)
class Returned:
    """An earlier correction that didn't last: its run and its time, and the part of a drift that came back."""

    run: int
    at: datetime
    expected: Flat
    found: Flat

    def to_json(self) -> Json:
        at = self.at.astimezone(UTC).isoformat()
        return {"run": self.run, "at": at, "expected": self.expected, "found": self.found}

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read what `to_json` gave. Raises KeyError, TypeError or ValueError for malformed input."""
        return cls(int(data["run"]), datetime.fromisoformat(data["at"]), dict(data["expected"]), dict(data["found"]))


@dataclass(frozen=True)
class Drift:
    """One difference between the acknowledged state and the present state of a target.

    `expected` and `found` hold what differs and nothing else: SCIM paths (None: no value), or `members` (keys of
    users), `groups` (keys of groups) and `foreign` (`core/foreign.py`). A resource that is gone has nothing in `found`.
    """

    class_: DriftClass
    kind: Kind
    key: str
    name: str
    expected: Flat
    found: Flat
    reaction: Reaction = Reaction.ENFORCE
    returned: Returned | None = None
    """What of it an earlier full resync put back; None where all of it is new."""

    def to_json(self) -> Json:
        # The key is written only for drift that came back: the JSON of plans without such drift stays as before.
        returned = {"returned": self.returned.to_json()} if self.returned else {}
        return {
            "class": self.class_.value,
            "kind": self.kind.value,
            "key": self.key,
            "name": self.name,
            "expected": self.expected,
            "found": self.found,
            "reaction": self.reaction.value,
            **returned,
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        """Read a drift from JSON. Raises KeyError, TypeError or ValueError for malformed input."""
        if not (isinstance(data["expected"], dict) and isinstance(data["found"], dict)):
            raise TypeError("`expected` and `found` are objects")
        return cls(
            DriftClass(data["class"]),
            Kind(data["kind"]),
            str(data["key"]),
            str(data["name"]),
            data["expected"],
            data["found"],
            Reaction(data["reaction"]),
            Returned.from_json(returned) if (returned := data.get("returned")) else None,
        )


@dataclass(frozen=True, slots=True)
class Reactions:
    """A target's configuration of drift treatment."""

    default: Reaction = Reaction.ENFORCE
    by_class: Mapping[DriftClass, Reaction] = field(default_factory=dict)

    def to(self, class_: DriftClass) -> Reaction:
        return self.by_class.get(class_, self.default)


_ANY_CASE: Final = ("userName", "emails")
"""Compared without case: userName is not caseExact (RFC 7643 section 8.7.1), and some endpoints keep both in
lower case."""


def user_drift(known: Known, seen: Observed | None, owned: Ownership, reactions: Reactions) -> Iterator[Drift]:
    """Yield the drift of a managed user; `seen` None: the account is gone."""

    def drift(class_: DriftClass, expected: Flat, found: Flat) -> Drift:
        return Drift(class_, Kind.USER, known.key, known.name, expected, found, reactions.to(class_))

    if seen is None:
        yield drift(DriftClass.USER_DELETED, {"userName": known.name, "active": known.attributes.get("active")}, {})
        return
    switched_on = is_on(known.attributes.get("active"))
    if seen.active is not switched_on and known.state is not State.PENDING:
        yield drift(DriftClass.USER_ACTIVATION, {"active": switched_on}, {"active": seen.active})
    if known.state is State.DEACTIVATED:
        return  # nothing but the account's being off is the source's to say
    expected, found = _moved(known, with_unlabelled(seen.attributes, known.attributes), owned)
    if expected:
        yield drift(DriftClass.USER_ATTRIBUTES, expected, found)


def group_drift(
    known: KnownGroup,
    members: tuple[set[str], set[str]],
    seen: ObservedGroup | None,
    seen_members: tuple[set[str], set[str]] | None,
    owned: Ownership,
    reactions: Reactions,
    foreign: Iterable[ForeignMember] = (),
) -> Iterator[Drift]:
    """Yield the drift of a managed group; each pair is (keys of users, keys of groups), `seen_members` None: unknown.

    `seen_members` holds managed resources alone; `foreign` the members whom nobody manages.
    """

    def drift(class_: DriftClass, expected: Flat, found: Flat) -> Drift:
        return Drift(class_, Kind.GROUP, known.key, known.name, expected, found, reactions.to(class_))

    if seen is None:
        yield drift(DriftClass.GROUP_DELETED, {"displayName": known.name}, {})
        return
    expected, found = _moved(known, {**seen.attributes, "displayName": seen.name}, owned)
    if expected:
        yield drift(DriftClass.GROUP_RENAMED, expected, found)
    if seen_members is None:
        return
    if came := _members(seen_members[0] - members[0], seen_members[1] - members[1]):
        yield drift(DriftClass.MEMBER_ADDED, {}, came)
    if went := _members(members[0] - seen_members[0], members[1] - seen_members[1]):
        yield drift(DriftClass.MEMBER_REMOVED, went, {})
    if strangers := as_part(foreign):
        yield drift(DriftClass.FOREIGN_MEMBER, {}, strangers)


def with_unlabelled(there: Flat, wanted: Flat) -> Flat:
    """Return a resource's values, with the wanted ones that are there in elements without their label.

    Of several such elements only its value tells which one is meant.
    """
    found = {
        path: value
        for path, value in wanted.items()
        if path not in there and any(alike(path, value, each) for each in there.get(unlabelled(path), ()))
    }
    return {**there, **found} if found else there


def _moved(known: Known | KnownGroup, there: Flat, owned: Ownership) -> tuple[Flat, Flat]:
    """Return the decided attributes that moved: as acknowledged, and as they are there.

    #  acknowledged   there           the mapping keeps it when empty   -> moved
    #  a value        another, none                                        yes, unless the target keeps it so
    #  none           a value         no                                   the same
    #  none           a value         yes                                  no: it is left alone
    """
    acknowledged = owned.within(known.attributes)
    to_be_empty = owned.decided - owned.kept - acknowledged.keys()
    added = sorted(path for path in there if path in to_be_empty)
    moved = [
        path
        for path in (*acknowledged, *added)
        if path != "active"
        and not alike(path, acknowledged.get(path), there.get(path))
        and not _as_kept(path, known.kept_as, there.get(path))
    ]
    return {path: acknowledged.get(path) for path in moved}, {path: there.get(path) for path in moved}


def _members(users: set[str], groups: set[str]) -> Flat:
    return {part: sorted(keys) for part, keys in (("members", users), ("groups", groups)) if keys}


def _as_kept(path: str, kept_as: Flat, found: Json) -> bool:
    """Return whether the target converts the sent value to this one: sending the value again changes nothing."""
    return path in kept_as and alike(path, kept_as[path], found)


def alike(path: str, expected: Json, found: Json) -> bool:
    """Return whether two values mean the same; the order of a list's elements means nothing (RFC 7643 section 2.4)."""
    if path == "active":
        return is_on(expected) is is_on(found)
    if is_nothing(expected) or is_nothing(found):
        return is_nothing(expected) and is_nothing(found)
    if isinstance(expected, list) and isinstance(found, list):
        return _values(path, expected) == _values(path, found)
    if isinstance(expected, str) and isinstance(found, str) and path.startswith(_ANY_CASE):
        return expected.casefold() == found.casefold()
    return bool(expected == found)


def _values(path: str, elements: list[Json]) -> set[str]:
    texts = {str(each.get("value") if isinstance(each, dict) else each) for each in elements}
    return {text.casefold() for text in texts} if path.startswith(_ANY_CASE) else texts
