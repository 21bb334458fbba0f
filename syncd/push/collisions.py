"""Collisions: the account or group that a refused create is about, or that a create without an answer may have made.

The resource is taken over where it is the only one, and the same person's or group's; else a person decides. Matching
is the same as in a full resync (`core/matching.py`), by the endpoint's search results. Accounts without our mark are
taken over up to a limit; a native group only where the configuration says so.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import replace
from datetime import UTC, datetime
from typing import Final

from syncd.core.matching import Doubt, judge
from syncd.core.model import Flat, Kind, Observed
from syncd.core.ownership import NOTHING_OWNED, Ownership, emptied, named
from syncd.core.plan import Change
from syncd.core.schema import MANAGER
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.attributes import shown
from syncd.push.gate import Gate, Link, Taken
from syncd.push.listings import TargetListing, find, text
from syncd.push.predating import CLOCKS_DIFFER, created_at
from syncd.scim.client import Found
from syncd.scim.resources import field
from syncd.store import Snapshot

_CANT_SAY: Final = "the target can't be asked what became of it"
_ASKED_BY: Final = (("externalId", True), ("userName", False))
"""Attributes that identify the owner of an account, and whether case matters. Never the e-mail: only a full resync has
seen enough to know that an e-mail belongs to one account alone."""


class AccountCollisions:
    """Finds the accounts that creates are refused for, or may have made."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        *,
        takeovers: int | None = 0,
        owned: Ownership = NOTHING_OWNED,
        listing: TargetListing | None = None,
    ) -> None:
        """`takeovers`: how many accounts may be taken over; None: all. `owned`: how far the source decides about them.

        `listing`: all accounts, to look into where the endpoint can't be asked; None: nothing is known then.
        """
        self._gate = gate
        self._snapshot = snapshot
        self._takeovers = takeovers
        self._owned = owned
        self._listing = listing

    async def account(
        self, change: Change, attributes: Flat, conflict: ScimError, began: datetime
    ) -> tuple[Link, Found] | None:
        """Return the account, when it is one and the same person's. Raises the conflict, with the findings.

        After an unclear outcome, None where there is nothing that this create, which began at `began`, can have made.
        Raises ScimError where that can't be told: an endpoint that gives no answer proves nobody's absence.

        #  found                                  after a refusal (409)       after an unclear outcome
        #  one, with our mark                     that one                    that one
        #  one, the same person's                 that one, within the limit  that one, if made since; else None
        #  several, or another person's           the conflict                the conflict
        #  none                                   the conflict                None
        #  the endpoint can't say                 the conflict                ScimError
        """
        said = conflict.detail or "exists already"
        unclear = isinstance(conflict, OutcomeUnclear)
        listing = self._listing if unclear else None
        answered = False
        external_id = text(attributes.get("externalId"))
        for by, exact in _ASKED_BY:
            value = text(attributes.get(by))
            found = await find(self._gate, Kind.USER, by, value, listing, exact=exact) if value else None
            if found is None:
                continue
            answered = True
            match = judge(by, _observed(found), change.key, external_id, self._owner)
            if match is None:
                continue
            if isinstance(match, Doubt):
                raise _unresolved(conflict, f"{said}; {match.reason}")
            account = next(each for each in found if each.id == match.account.id)
            if not match.ours and conflict.status == 409 and not self._is_its_own(change, account):
                self._refuse_emptying(change, account, conflict, said)
                self._count(conflict, said)
            if unclear and not match.ours and not _is_made_since(account, began):
                return None
            return _linked(self._gate, Kind.USER, account, change, said), account
        if unclear and not answered:
            raise ScimError(0, _CANT_SAY)
        if unclear:
            return None
        raise _unresolved(conflict, f"{said}; but neither externalId nor userName finds it")

    def take_over(self, change: Change, account: Found, why: str) -> None:
        """Count the takeover of an account that answered a create. Raises ScimError once the limit is reached, and
        where the account would lose values.
        """
        if self._is_its_own(change, account):
            return
        said = f"was answered with an account that was there before ({why})"
        self._refuse_emptying(change, account, ScimError(409, ""), said)
        self._count(ScimError(409, ""), said)

    def as_taken_over(self, change: Change, account: Found) -> Change:
        """Return a creation with the values that the account which is there is to have instead, None for none.

        Values that the mapping leaves alone are those of the account.
        """
        owned = self._owned
        if not change.digest or MANAGER in owned.left_alone(change.after):  # the reference follows, or stays
            owned = owned.without(MANAGER)
        there = shown(Kind.USER, account.body, owned.paths, "")
        return replace(change, after=owned.completed(owned.settled(change.after, there)))

    def _refuse_emptying(self, change: Change, account: Found, conflict: ScimError, said: str) -> None:
        """Raises the conflict where an account that isn't ours would lose values: a person decides, in a resync."""
        wanted = self.as_taken_over(change, account).after
        if lost := emptied(shown(Kind.USER, account.body, wanted, ""), wanted):
            hint = "`syncd resync` finds it, and lets a person decide"
            raise _unresolved(conflict, f"{said}; taking over the account would empty {named(lost)}: {hint}")

    def _owner(self, id_: str) -> str | None:
        return self._snapshot.key_of(Kind.USER, id_)

    def _is_its_own(self, change: Change, account: Found) -> bool:
        """Return whether an account is the one that its key was linked to before it was lost: no stranger's."""
        return self._owner(account.id) == change.key

    def _count(self, conflict: ScimError, said: str) -> None:
        """Count a takeover. Raises the conflict once the limit of one run is reached."""
        if self._takeovers is None:
            return
        if self._takeovers <= 0:
            hint = "more accounts would be taken over than `limits.adopt` allows: `syncd plan --full` shows them all"
            raise _unresolved(conflict, f"{said}; {hint}")
        self._takeovers -= 1


class GroupCollisions:
    """Finds the groups that are there before a create, that creates are refused for, or that they may have made."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        group_suffix: str,
        *,
        adopt_groups: bool = False,
        listed_before: TargetListing | None = None,
        listing: Callable[[Change], TargetListing] | None = None,
    ) -> None:
        """`adopt_groups`: a native group of the same name may be taken over. `listed_before`: all groups, where one
        list takes fewer requests than a look-up before each create.

        `listing`: the groups to look into for what a change may have made, where the endpoint can't be asked; else they
        are listed for each such change.
        """
        self._gate = gate
        self._snapshot = snapshot
        self._group_suffix = group_suffix
        self._adopt_groups = adopt_groups
        self._listed_before = listed_before
        self._listing = listing or self._groups_now

    def _groups_now(self, change: Change) -> TargetListing:
        return TargetListing(self._gate, Kind.GROUP, names_of([change], self._group_suffix))

    async def group_before(self, change: Change) -> tuple[Link, Found] | None:
        """Return the group that is there before it is created, None where none is, or the endpoint can't say.

        Raises ScimError for several.
        """
        external_id = text(change.after.get("externalId"))
        if not external_id:
            return None
        try:
            found = None
            if self._listed_before is not None:
                found = await self._listed_before.find("externalId", external_id, exact=True)
            if found is None:
                found = await self._gate.find(Kind.GROUP, "externalId", external_id, exact=True)
        except ScimError:
            return None
        return self._marked_group(change, found or [])

    async def own_group(self, change: Change, *, unclear: bool) -> tuple[Link, Found] | None:
        """Return the one group that carries our externalId and is linked to nothing, else None.

        Raises ScimError for several; and after an unclear outcome, where that can't be told.
        """
        external_id = text(change.after.get("externalId"))
        if not external_id:
            return None
        listing = self._listing(change) if unclear else None
        found = await find(self._gate, Kind.GROUP, "externalId", external_id, listing, exact=True)
        if unclear and found is None:
            raise ScimError(0, _CANT_SAY)
        return self._marked_group(change, found or [])

    def _marked_group(self, change: Change, found: Sequence[Found]) -> tuple[Link, Found] | None:
        if len(found) > 1:
            ids = ", ".join(sorted(each.id for each in found))
            raise ScimError(409, f"{len(found)} groups at the target carry its externalId ({ids}); keep one of them")
        if not found or not self._is_free(found[0], change.key):
            return None
        return _linked(self._gate, Kind.GROUP, found[0], change, "can't be taken over"), found[0]

    async def made_group(self, change: Change, began: datetime) -> tuple[Link, Found] | None:
        """Return the group that a create without externalId has just made, None where it made none.

        Raises ScimError where that can't be told: names of groups are not unique (RFC 7643 section 4.2).
        """
        if text(change.after.get("externalId")):
            return None  # the group would have been found by its externalId
        named = await self._named(change, self._listing(change))
        if named is None:
            raise ScimError(0, _CANT_SAY)
        free = [each for each in named if self._is_free(each, change.key) and not field(each.body, "members")]
        made = [each for each in free if _is_made_since(each, began) is not False]
        if not made:
            return None
        if len(made) > 1 or not _is_made_since(made[0], began):
            raise ScimError(0, "a group of that name is there, and nothing tells whether it is this one")
        return _linked(self._gate, Kind.GROUP, made[0], change, "can't be linked"), made[0]

    async def native_group(self, change: Change, conflict: ScimError) -> tuple[Link, Found]:
        """Return the one group of that name that belongs to nobody, if such may be taken over. Raises ScimError."""
        said = conflict.detail or "exists already"
        if not self._adopt_groups:
            hint = "rename one of the two, or set `adopt_groups = true`"
            own = "a group of that name is the target's own and stays untouched"
            raise _unresolved(conflict, f"{said}; {own}: {hint}")
        unmarked = [each for each in await self._named(change) or [] if not text(field(each.body, "externalId"))]
        free = [each for each in unmarked if self._is_free(each, change.key)]
        if len(free) != 1:
            named = f"{len(free) or 'none'} of the target's own groups"
            raise _unresolved(conflict, f"{said}; {named} could be meant by that name")
        return _linked(self._gate, Kind.GROUP, free[0], change, said), free[0]

    def take_over(self, _change: Change, _group: Found, why: str) -> None:
        """Raise ScimError for a group that answered a create, unless such may be taken over."""
        if not self._adopt_groups:
            said = f"was answered with a group that was there before ({why})"
            raise ScimError(409, f"{said}, and stays the target's own: rename one of the two, or set `adopt_groups`")

    async def _named(self, change: Change, listing: TargetListing | None = None) -> list[Found] | None:
        """Return the groups of a change's name, None where the endpoint can't say. Raises ScimError."""
        named: list[Found] = []
        for suffix in dict.fromkeys(("", self._group_suffix)):
            found = await find(self._gate, Kind.GROUP, "displayName", change.name + suffix, listing, exact=True)
            if found is None:
                return None
            named += found
        return named

    def _is_free(self, group: Found, key: str) -> bool:
        return self._snapshot.key_of(Kind.GROUP, group.id) in (None, key)


async def marked(gate: Gate, snapshot: Snapshot, kind: Kind, attributes: Flat) -> Found | None:
    """Return the one resource that carries our externalId and is linked to nothing; None where that isn't sure.

    Raises ScimError.
    """
    external_id = text(attributes.get("externalId"))
    found = await gate.find(kind, "externalId", external_id, exact=True) if external_id else None
    free = found is not None and len(found) == 1 and snapshot.key_of(kind, found[0].id) is None
    return found[0] if found and free else None


def is_marked(group: Found, change: Change) -> bool:
    """Return whether a group carries the externalId that a change gives it."""
    mark = text(change.after.get("externalId"))
    return bool(mark) and text(field(group.body, "externalId")) == mark


def names_of(creates: Iterable[Change], group_suffix: str) -> frozenset[str]:
    """Return the names, in folded case, by which the resources that creates may have made are found."""
    names: set[str] = set()
    for each in creates:
        names |= {text(each.after.get(by)) for by, _ in _ASKED_BY}
        names |= {each.name, each.name + group_suffix}
    return frozenset(name.casefold() for name in names if name)


def _linked(gate: Gate, kind: Kind, found: Found, change: Change, said: str) -> Link:
    """Return the link to the resource that a create collided with. Raises Taken, with the endpoint's message."""
    try:
        return gate.collided(kind, found, change.key, text(change.after.get("externalId")))
    except Taken as error:
        raise Taken(f"{said}; {error.detail}") from None


def _is_made_since(found: Found, began: datetime) -> bool | None:
    """Return whether a resource was created since a moment, as far as two clocks agree; None: unknown."""
    created = created_at(found.body)
    return None if created is None else created.replace(tzinfo=created.tzinfo or UTC) >= began - CLOCKS_DIFFER


def _unresolved(conflict: ScimError, detail: str) -> ScimError:
    """Return the conflict with another explanation."""
    return ScimError(conflict.status, detail, conflict.scim_type)


def _observed(found: Iterable[Found]) -> list[Observed]:
    """Return accounts as `core/matching.py` compares them."""
    return [
        Observed(each.id, text(field(each.body, "userName")), text(field(each.body, "externalId")), (), {})
        for each in found
    ]
