"""A target is a place: its links belong to one address, one account and one integration.

This module says whether a target may have become another place, whose a linked resource is now, and what follows from
a sample of the linked resources. Pure.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Collection, Iterable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from enum import StrEnum
from hashlib import blake2b
from typing import Any, Final, Self
from urllib.parse import urlsplit

from syncd.core.digest import fingerprint
from syncd.core.model import Json, Kind, Known, KnownGroup

USERS: Final = "users"
GROUPS: Final = "groups"
OFF: Final = "accounts that are off"
"""The sorts of linked resources, in words."""
_ENOUGH_TO_BE_EVERYTHING: Final = 3
"""From this many managed resources on, all of them gone is an incident; below it, somebody may have deleted one."""
_PORTS: Final = {"http": 80, "https": 443}
_TOKEN_BYTES: Final = 4
"""Enough to see that a token is another one, and too little to tell which token it is."""
_ONE: Final = {USERS: "user", GROUPS: "group", OFF: "account that is off"}
_HEX: Final = re.compile(r"(?=\d*[a-f])[0-9a-f]{8,}", re.IGNORECASE)
_MOMENT: Final = re.compile(r"\d{4}-\d\d-\d\dT\d\d:.*")
_UUID: Final = re.compile(r"[0-9a-f]{8}(?:-[0-9a-f]{4}){3}-[0-9a-f]{12}", re.IGNORECASE)


# -- the place ---------------------------------------------------------------------------------------


@dataclass(frozen=True, slots=True)
class Place:
    """A place, as the state file remembers it. An empty text: not known."""

    address: str
    """The base URL, in one spelling."""
    profile: str
    """The profile's name; for Lucid, the integration."""
    salt: str = ""
    token: str = ""
    """The token's fingerprint, with the salt: 8 hexadecimal digits."""
    announcement: str = ""
    """A digest of the endpoint's description of itself (/ServiceProviderConfig)."""
    ids: tuple[str, ...] = ()
    """The sorts of ids that linked resources have, such as `uuid` or `lucid-#`."""

    def to_json(self) -> Json:
        return {
            "address": self.address,
            "profile": self.profile,
            "salt": self.salt,
            "token": self.token,
            "announcement": self.announcement,
            "ids": list(self.ids),
        }

    @classmethod
    def from_json(cls, data: Any) -> Self:
        return cls(**{**data, "ids": tuple(data["ids"])})

    def completed_by(self, before: Place | None) -> Place:
        """Return this place with the facts of the former record that are not known now.

        Another address describes itself by itself.
        """
        if before is None:
            return self
        return replace(
            self,
            token=self.token or before.token,
            announcement=self.announcement or (before.announcement if before.address == self.address else ""),
            ids=self.ids or before.ids,
        )


def moved(before: Place | None, now: Place) -> tuple[str, ...]:
    """Return the reasons, in clauses, why a target may be another place than the recorded one."""
    if before is None:
        return ("no place is recorded in the state file yet",)
    found = []
    if before.address != now.address:
        found.append(f"base_url is another one (it was {before.address})")
    if before.token and now.token and before.token != now.token:
        found.append("the token is another one")
    if before.profile != now.profile:
        found.append(f"the profile is another one (it was {before.profile})")
    if before.announcement and now.announcement and before.announcement != now.announcement:
        found.append("the endpoint describes itself otherwise (/ServiceProviderConfig)")
    return tuple(found)


def address_of(url: str) -> str:
    """Return a base URL in one spelling: case, default port and a last slash mean nothing."""
    parts = urlsplit(url)
    port = parts.port or _PORTS.get(parts.scheme.casefold())
    return f"{parts.scheme.casefold()}://{(parts.hostname or '').casefold()}:{port}{parts.path.rstrip('/')}"


def token_mark(token: str, salt: str) -> str:
    """Return the fingerprint by which a changed token is noticed."""
    return blake2b(token.encode(), key=salt.encode(), digest_size=_TOKEN_BYTES).hexdigest()


def announcement_mark(config: Json) -> str:
    """Return a digest of an endpoint's description of itself; "" for none.

    Left out is what changes by itself: `meta`, moments, and the order of lists.
    """
    return fingerprint(_lasting(config)).hex() if isinstance(config, dict) and config else ""


def _lasting(value: Json) -> Json:
    if isinstance(value, dict):
        kept = {name: _lasting(each) for name, each in value.items() if name.casefold() != "meta"}
        return {name: each for name, each in kept.items() if each is not None}
    if isinstance(value, list):
        return sorted((_lasting(each) for each in value), key=fingerprint)
    return None if isinstance(value, str) and _MOMENT.fullmatch(value) else value


def sort_of(id_: str) -> str:
    """Return the sort of an id: `uuid`, or the id with `#` for its digits and `x` for its random part."""
    if _UUID.fullmatch(id_):
        return "uuid"
    text = _UUID.sub("uuid", id_)
    return re.sub(r"\d+", "#", _HEX.sub("x", text))


def sorts_of(ids: Iterable[str]) -> tuple[str, ...]:
    """Return the sorts of some ids, each once."""
    return tuple(sorted({sort_of(id_) for id_ in ids}))


# -- whose a resource is -----------------------------------------------------------------------------


class Sight(StrEnum):
    """What was found at the id of a linked resource."""

    OURS = "ours"
    GONE = "gone"
    OTHERS = "others"
    """Somebody else's mark and name: the link is lost, and the resource is not ours to write to."""
    UNMARKED = "unmarked"
    """Our name without our mark, though the endpoint shows marks."""
    RENAMED = "renamed"
    """Another name, and no mark that could tell whose it is."""
    UNCLEAR = "unclear"
    """The endpoint doesn't say."""


def whose(known: Known | KnownGroup, mark: str, names: Collection[str], *, shows_marks: bool) -> Sight:
    """Return whose the resource at a linked id is, by the mark and the names that it shows.

    `names`: userName and e-mails, or the displayName without suffix. `shows_marks`: the endpoint showed the mark of
    some resource of this kind.

    #  mark             name       -> sight
    #  ours             any           ours
    #  another          ours          ours: it was edited, or the endpoint has marks of its own
    #  another          another       somebody else's
    #  none, never      ours          ours
    #  none, never      another       renamed
    #  none, no longer  ours          unmarked
    #  none, no longer  another       somebody else's
    """
    expected = {str(each).casefold() for each in _marks(known) if each}
    if mark and mark.casefold() in expected:
        return Sight.OURS
    named = not _names(known).isdisjoint(name.casefold() for name in names)
    if mark:
        return Sight.OURS if named else Sight.OTHERS if expected else Sight.RENAMED
    if expected and shows_marks:
        return Sight.UNMARKED if named else Sight.OTHERS
    return Sight.OURS if named else Sight.RENAMED


def _marks(known: Known | KnownGroup) -> tuple[Json, Json]:
    return known.attributes.get("externalId"), known.kept_as.get("externalId")


def _names(known: Known | KnownGroup) -> set[str]:
    path = "userName" if isinstance(known, Known) else "displayName"
    own = (known.name, known.attributes.get(path), known.kept_as.get(path))
    names = {str(each).casefold() for each in own if each}
    return names | known.addresses if isinstance(known, Known) else names


# -- what follows from a sample ----------------------------------------------------------------------


@dataclass
class Tally:
    """What was found of linked resources of one sort. What syncd made anew is no part of it: it proves nothing."""

    what: str
    """In words: `users`, `groups`, `accounts that are off`."""
    sights: Counter[Sight] = field(default_factory=Counter)
    remade: int = 0
    """How many of this sort were lost since the place was last proven, those made anew among them."""
    locked: bool = False
    """Whether nobody at the endpoint can delete such a resource: all of them gone is an incident, however few."""
    marked: bool = False
    """Whether a mark that is gone counts as a missing resource: the endpoint drops marks when SSO is removed."""

    @property
    def ours(self) -> int:
        return self.sights[Sight.OURS] + (0 if self.marked else self.sights[Sight.UNMARKED])

    @property
    def missing(self) -> int:
        """How many are certainly not there any more. A resource of another name may have been renamed by somebody."""
        unmarked = self.sights[Sight.UNMARKED] if self.marked else 0
        return self.sights[Sight.GONE] + self.sights[Sight.OTHERS] + unmarked

    @property
    def renamed(self) -> int:
        return self.sights[Sight.RENAMED]

    @property
    def is_gone(self) -> bool:
        """Whether everything of this sort is gone, and somebody's few deletions are no explanation."""
        if self.ours or self.renamed or not self.missing:
            return False
        return self.locked or self.missing + self.remade >= _ENOUGH_TO_BE_EVERYTHING


def fresh_tallies(remade: Mapping[Kind, int], *, sso_removal: bool) -> dict[str, Tally]:
    """Return the empty tally of each sort. `remade`: how many of each kind were lost since the place was proven;
    `sso_removal`: removing SSO there deletes groups and accounts that are off, as nobody else can, and drops marks.
    """
    return {
        USERS: Tally(USERS, remade=remade[Kind.USER], marked=sso_removal),
        GROUPS: Tally(GROUPS, remade=remade[Kind.GROUP], locked=sso_removal),
        OFF: Tally(OFF, locked=True),
    }


def everything_gone(tallies: Iterable[Tally]) -> Tally | None:
    """Return what is gone: all sorts together, else one sort; None where something of each sort is there.

    #  users          groups            -> gone
    #  none there     none there           all, where they are too many for somebody's deletions
    #  none there     some there           users: another account, or SCIM was removed
    #  some there     none there           groups: SSO was removed, or the token is another integration's
    """
    counted = [each for each in tallies if each.sights.total()]
    together = _together(counted)
    lost = together.missing + together.renamed
    if (
        not together.ours
        and lost
        and (lost + together.remade >= _ENOUGH_TO_BE_EVERYTHING or any(each.is_gone for each in counted))
    ):
        return together
    return next((each for each in counted if each.is_gone), None)


def unseen(tallies: Iterable[Tally]) -> Tally | None:
    """Return what was not seen of a place that must be proven; None where it is proven.

    It is proven where something is ours, and of no sort more is missing than is ours.
    """
    counted = [each for each in tallies if each.sights.total()]
    together = _together(counted)
    if counted and not together.ours:
        return together
    return next((each for each in counted if each.missing > each.ours), None)


def seen_in_words(tallies: Iterable[Tally]) -> str:
    """Return how many of those that were asked for are there, as a clause; "" where none were asked for."""
    counted = [each for each in tallies if each.sights.total()]
    parts = [f"{each.ours:,} of {each.sights.total():,} managed {_noun(each)}" for each in counted]
    return f"{' and '.join(parts)} asked for are there" if parts else ""


def _noun(tally: Tally) -> str:
    return _ONE.get(tally.what, tally.what) if tally.sights.total() == 1 else tally.what


def _together(tallies: Sequence[Tally]) -> Tally:
    if len(tallies) == 1:
        return tallies[0]
    what = " and ".join(dict.fromkeys(each.what for each in tallies if each.what in (USERS, GROUPS)))
    sights = Counter[Sight]()
    for each in tallies:
        sights[Sight.OURS] += each.ours
        sights[Sight.RENAMED] += each.renamed
        for sight in (Sight.GONE, Sight.OTHERS, Sight.UNCLEAR):
            sights[sight] += each.sights[sight]
        if each.marked:
            sights[Sight.UNMARKED] += each.sights[Sight.UNMARKED]
    return Tally(what or "users", sights, sum(each.remade for each in tallies), marked=True)


def found_in_words(tally: Tally, *, asked: bool = True) -> str:
    """Return what was found of a sort, as a clause. `asked`: these are some that were asked for, and not all."""
    count, others = tally.sights.total(), tally.sights[Sight.OTHERS] + tally.renamed
    tail = " asked for" if asked else ""
    if count == 1:
        none, some = f"the one managed {_noun(tally)}{tail} is not", ""
    else:
        some = f"{'' if asked else 'the '}{count:,} managed {tally.what}{tail}"
        none = f"none of {some} is"
    if tally.sights[Sight.UNCLEAR] == count:
        subject = f"{some} are" if some else none.removesuffix(" not")
        return f"the endpoint doesn't say whether {subject} there"
    if tally.ours:
        return f"only {tally.ours:,} of {some} {'is' if tally.ours == 1 else 'are'} there"
    if others:
        ids = "the id is" if count == 1 else f"{others:,} of their ids are"
        return f"{none} there any more, and {ids} somebody else's"
    if unmarked := tally.sights[Sight.UNMARKED]:
        if gone := tally.sights[Sight.GONE]:
            are, carry = "is" if gone == 1 else "are", "carries" if unmarked == 1 else "carry"
            return f"of {some}, {gone:,} {are} gone, and {unmarked:,} no longer {carry} our mark"
        return (
            f"{none.rpartition(' is')[0]} {'no longer carries our mark' if count == 1 else 'carries our mark any more'}"
        )
    return f"{none} there any more"


__all__ = [
    "GROUPS",
    "OFF",
    "USERS",
    "Place",
    "Sight",
    "Tally",
    "address_of",
    "announcement_mark",
    "everything_gone",
    "found_in_words",
    "fresh_tallies",
    "moved",
    "seen_in_words",
    "sort_of",
    "sorts_of",
    "token_mark",
    "unseen",
    "whose",
]
