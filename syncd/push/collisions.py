"""What a create collides with: taken over where it is one, and the same person's or group's; else left for a person.

Whose account it is, is decided as in a full resync (`core/matching.py`), from what the endpoint finds. What isn't ours
yet is taken over so often and no more; a native group only where the configuration says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Container, Iterable, Sequence
from datetime import UTC, datetime, timedelta
from typing import Final

from syncd.core.matching import Doubt, judge
from syncd.core.model import Flat, Json, Kind, Observed
from syncd.core.plan import Change
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.gate import Gate, Link, Taken
from syncd.scim.client import Found, has
from syncd.scim.profiles import Profile
from syncd.scim.resources import field
from syncd.store import Snapshot

_CLOCKS_DIFFER: Final = timedelta(minutes=2)
_CANT_SAY: Final = "the target can't be asked what became of it"
_ASKED_BY: Final = (("externalId", True), ("userName", False))
"""Attributes that tell whose an account is, and whether case matters. Never the e-mail: only a full resync has seen
enough to know that it is one account's alone."""


class TargetListing:
    """One list of a target's resources of one kind, as they were when it was first looked into."""

    def __init__(self, gate: Gate, kind: Kind, names: Container[str] | None = None) -> None:
        """`names`: in folded case, whom it is enough to know about; None: everybody."""
        self._gate = gate
        self._kind = kind
        self._names = names
        self._reading = asyncio.Lock()
        self._listed: list[Found] | None = None
        self._doubt = ""
        self._failure: ScimError | None = None
        self._by: dict[str, dict[str, list[Found]]] = {}

    async def find(self, attribute: str, value: str, *, exact: bool) -> list[Found] | None:
        """Return the resources whose attribute has a value; None: none is listed, and there may be more than that.

        Raises ScimError.
        """
        async with self._reading:
            if self._failure is not None:
                raise self._failure
            if self._listed is None:
                try:
                    self._listed, self._doubt = await self._gate.listed(self._kind, self._names)
                except ScimError as failure:
                    self._failure = failure
                    raise
            if attribute not in self._by:
                by_value: dict[str, list[Found]] = {}
                self._by[attribute] = by_value
                for each in self._listed:
                    by_value.setdefault(_text(field(each.body, attribute)).casefold(), []).append(each)
        alike = self._by[attribute].get(value.casefold(), [])
        found = [each for each in alike if has(each.body, attribute, value, exact=exact)]
        return None if self._doubt and not found else found


class Collisions:
    """Finds what a refused create, or one that told no id, is about."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        profile: Profile,
        *,
        takeovers: int | None = 0,
        adopt_groups: bool = False,
        lists_groups: bool = False,
        listing: Callable[[Kind, Change], TargetListing | None] | None = None,
    ) -> None:
        """`lists_groups`: they are listed once, and not looked up one by one before they are created.

        `listing`: what to look into for what a change may have made, where the endpoint can't be asked for it. Else the
        groups are listed, and of people nobody knows then.
        """
        self._gate = gate
        self._snapshot = snapshot
        self._profile = profile
        self._takeovers = takeovers
        self._adopt_groups = adopt_groups
        self._groups_before = TargetListing(gate, Kind.GROUP) if lists_groups else None
        self._listing = listing or self._groups_now

    def _groups_now(self, kind: Kind, change: Change) -> TargetListing | None:
        return TargetListing(self._gate, kind, self.names([change])) if kind is Kind.GROUP else None

    async def account(
        self, change: Change, attributes: Flat, conflict: ScimError, began: datetime
    ) -> tuple[Link, Found] | None:
        """Return the account, when it is one and the same person's. Raises the conflict, with what was found.

        After an unclear outcome, None where there is nothing that this very create can have made: `began` is when.
        Raises ScimError as well where that can't be told: that nobody answers proves nothing.
        """
        said = conflict.detail or "exists already"
        unclear = isinstance(conflict, OutcomeUnclear)
        listing = self._listing(Kind.USER, change) if unclear else None
        answered = False
        external_id = _text(attributes.get("externalId"))
        for by, exact in _ASKED_BY:
            value = _text(attributes.get(by))
            found = await self._find(Kind.USER, by, value, listing, exact=exact) if value else None
            if found is None:
                continue
            answered = True
            match = judge(by, _observed(found), change.key, external_id, self._owner)
            if match is None:
                continue
            if isinstance(match, Doubt):
                raise unresolved(conflict, f"{said}; {match.reason}")
            if not match.ours and conflict.status == 409:
                self._count(conflict, said)
            account = next(each for each in found if each.id == match.account.id)
            if unclear and not match.ours and not _is_made_since(account, began):
                return None
            return self._link(Kind.USER, account, change, said), account
        if unclear and not answered:
            raise ScimError(0, _CANT_SAY)
        if unclear:
            return None
        raise unresolved(conflict, f"{said}; but neither externalId nor userName finds it")

    async def marked(self, kind: Kind, attributes: Flat) -> Found | None:
        """Return the one resource that carries our externalId and is linked to nothing; None where that isn't sure."""
        external_id = _text(attributes.get("externalId"))
        found = await self._gate.find(kind, "externalId", external_id, exact=True) if external_id else None
        free = found is not None and len(found) == 1 and self._snapshot.key_of(kind, found[0].id) is None
        return found[0] if found and free else None

    def _owner(self, id_: str) -> str | None:
        return self._snapshot.key_of(Kind.USER, id_)

    def _count(self, conflict: ScimError, said: str) -> None:
        """Raises the conflict once as many accounts as one run may take over were."""
        if self._takeovers is None:
            return
        if self._takeovers <= 0:
            hint = "more accounts would be taken over than `limits.adopt` allows: `syncd plan --full` shows them all"
            raise unresolved(conflict, f"{said}; {hint}")
        self._takeovers -= 1

    def _link(self, kind: Kind, found: Found, change: Change, said: str) -> Link:
        try:
            return self._gate.collided(kind, found, change.key, _text(change.after.get("externalId")))
        except Taken as error:
            raise Taken(f"{said}; {error.detail}") from None

    # -- groups ----------------------------------------------------------------------------------

    async def group_before(self, change: Change) -> tuple[Link, Found] | None:
        """Return the group that is there before it is created, None where none is, or the endpoint can't say.

        Raises ScimError for several.
        """
        external_id = _text(change.after.get("externalId"))
        if not external_id:
            return None
        try:
            found = None
            if self._groups_before is not None:
                found = await self._groups_before.find("externalId", external_id, exact=True)
            if found is None:
                found = await self._gate.find(Kind.GROUP, "externalId", external_id, exact=True)
        except ScimError:
            return None
        return self._marked_group(change, found or [])

    async def own_group(self, change: Change, *, unclear: bool) -> tuple[Link, Found] | None:
        """Return the one group that carries our externalId and is linked to nothing, else None.

        Raises ScimError for several; and after an unclear outcome, where that can't be told.
        """
        external_id = _text(change.after.get("externalId"))
        if not external_id:
            return None
        listing = self._listing(Kind.GROUP, change) if unclear else None
        found = await self._find(Kind.GROUP, "externalId", external_id, listing, exact=True)
        if unclear and found is None:
            raise ScimError(0, _CANT_SAY)
        return self._marked_group(change, found or [])

    def _marked_group(self, change: Change, found: Sequence[Found]) -> tuple[Link, Found] | None:
        if len(found) > 1:
            ids = ", ".join(sorted(each.id for each in found))
            raise ScimError(409, f"{len(found)} groups at the target carry its externalId ({ids}); keep one of them")
        if not found or not self._is_free(found[0], change.key):
            return None
        return self._link(Kind.GROUP, found[0], change, "can't be taken over"), found[0]

    def is_marked(self, group: Found, change: Change) -> bool:
        """Return whether a group carries the externalId that a change gives it."""
        mark = _text(change.after.get("externalId"))
        return bool(mark) and _text(field(group.body, "externalId")) == mark

    async def made_group(self, change: Change, began: datetime) -> tuple[Link, Found] | None:
        """Return the group that a create without externalId has just made, None where it made none.

        Raises ScimError where that can't be told: names of groups are not unique (RFC 7643 section 4.2).
        """
        if _text(change.after.get("externalId")):
            return None  # it would have been found by that
        named = await self._named(change, self._listing(Kind.GROUP, change))
        if named is None:
            raise ScimError(0, _CANT_SAY)
        free = [each for each in named if self._is_free(each, change.key) and not field(each.body, "members")]
        made = [each for each in free if _is_made_since(each, began) is not False]
        if not made:
            return None
        if len(made) > 1 or not _is_made_since(made[0], began):
            raise ScimError(0, "a group of that name is there, and nothing tells whether it is this one")
        return self._link(Kind.GROUP, made[0], change, "can't be linked"), made[0]

    async def native_group(self, change: Change, conflict: ScimError) -> tuple[Link, Found]:
        """Return the one group of that name that belongs to nobody, if such may be taken over. Raises ScimError."""
        said = conflict.detail or "exists already"
        if not self._adopt_groups:
            hint = "rename one of the two, or set `adopt_groups = true`"
            own = "a group of that name is the target's own and stays untouched"
            raise unresolved(conflict, f"{said}; {own}: {hint}")
        unmarked = [each for each in await self._named(change) or [] if not _text(field(each.body, "externalId"))]
        free = [each for each in unmarked if self._is_free(each, change.key)]
        if len(free) != 1:
            named = f"{len(free) or 'none'} of the target's own groups"
            raise unresolved(conflict, f"{said}; {named} could be meant by that name")
        return self._link(Kind.GROUP, free[0], change, said), free[0]

    async def _named(self, change: Change, listing: TargetListing | None = None) -> list[Found] | None:
        """Return the groups of a change's name, None where the endpoint can't say. Raises ScimError."""
        named: list[Found] = []
        for suffix in dict.fromkeys(("", self._profile.group_suffix)):
            found = await self._find(Kind.GROUP, "displayName", change.name + suffix, listing, exact=True)
            if found is None:
                return None
            named += found
        return named

    def names(self, creates: Iterable[Change]) -> frozenset[str]:
        """Return the names, in folded case, by which what these may have made is found."""
        names: set[str] = set()
        for each in creates:
            names |= {_text(each.after.get(by)) for by, _ in _ASKED_BY}
            names |= {each.name, each.name + self._profile.group_suffix}
        return frozenset(name.casefold() for name in names if name)

    def _is_free(self, group: Found, key: str) -> bool:
        return self._snapshot.key_of(Kind.GROUP, group.id) in (None, key)

    async def _find(
        self, kind: Kind, attribute: str, value: str, listing: TargetListing | None, *, exact: bool
    ) -> list[Found] | None:
        """Find resources by one attribute; None where neither endpoint nor listing can say. Raises ScimError."""
        found = await self._gate.find(kind, attribute, value, exact=exact)
        return await listing.find(attribute, value, exact=exact) if found is None and listing is not None else found


def _is_made_since(found: Found, began: datetime) -> bool | None:
    """Return whether a resource was made since a moment, as far as two clocks agree; None: it doesn't say."""
    try:
        created = datetime.fromisoformat(str(field(field(found.body, "meta"), "created")))
    except ValueError:
        return None
    return created.replace(tzinfo=created.tzinfo or UTC) >= began - _CLOCKS_DIFFER


def unresolved(conflict: ScimError, detail: str) -> ScimError:
    """Return the conflict in other words."""
    return ScimError(conflict.status, detail, conflict.scim_type)


def _observed(found: Iterable[Found]) -> list[Observed]:
    """Return accounts as the matching looks at them."""
    return [
        Observed(each.id, _text(field(each.body, "userName")), _text(field(each.body, "externalId")), (), {})
        for each in found
    ]


def _text(value: Json) -> str:
    return str(value) if value is not None else ""
