"""What a create collides with: taken over where it is one, and the same person's or group's; else left for a person.

Whose account it is, is decided as in a full resync (`core/matching.py`), from what the endpoint finds. What isn't ours
yet is taken over so often and no more; a native group only where the configuration says so.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from datetime import UTC, datetime, timedelta
from typing import Final

from syncd.core.matching import Doubt, judge
from syncd.core.model import Flat, Json, Kind, Observed
from syncd.core.plan import Change
from syncd.errors import OutcomeUnclear, ScimError
from syncd.gate import Gate, Link, Taken
from syncd.scim.client import Found
from syncd.scim.profiles import Profile
from syncd.scim.resources import field
from syncd.store import Snapshot

_CANT_FILTER: Final = (400, 500, 501)
"""How endpoints answer a filter that they don't know."""
_CLOCKS_DIFFER: Final = timedelta(minutes=2)
_ASKED_BY: Final = (("externalId", True), ("userName", False))
"""Attributes that tell whose an account is, and whether case matters. Never the e-mail: only a full resync has seen
enough to know that it is one account's alone."""


class Collisions:
    """Finds what a refused create, or one that told no id, is about."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        profile: Profile,
        *,
        takeovers: int | None,
        adopt_groups: bool,
        lists_groups: bool,
    ) -> None:
        """`lists_groups`: they are listed once, and not looked up one by one before they are created."""
        self._gate = gate
        self._snapshot = snapshot
        self._profile = profile
        self._takeovers = takeovers
        self._adopt_groups = adopt_groups
        self._lists_groups = lists_groups
        self._listing = asyncio.Lock()
        self._marked_groups: dict[str, list[Found]] | None = None

    async def account(
        self, change: Change, attributes: Flat, conflict: ScimError, began: datetime
    ) -> tuple[Link, Found] | None:
        """Return the account, when it is one and the same person's. Raises the conflict, with what was found.

        After an unclear outcome, None where nothing is found that this very create can have made: `began` is when.
        """
        said = conflict.detail or "exists already"
        unclear = isinstance(conflict, OutcomeUnclear)
        external_id = _text(attributes.get("externalId"))
        for by, exact in _ASKED_BY:
            value = _text(attributes.get(by))
            found = await self._find(Kind.USER, by, value, exact=exact) if value else []
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
        if unclear:
            return None
        raise unresolved(conflict, f"{said}; but neither externalId nor userName finds it")

    async def marked(self, kind: Kind, attributes: Flat) -> Found | None:
        """Return the one resource that carries our externalId and is linked to nothing; None where that isn't sure."""
        external_id = _text(attributes.get("externalId"))
        found = await self._find(kind, "externalId", external_id, exact=True) if external_id else []
        free = len(found) == 1 and self._snapshot.key_of(kind, found[0].id) is None
        return found[0] if free else None

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

    async def own_group(self, change: Change, *, asked_for: bool) -> tuple[Link, Found] | None:
        """Return the one group that carries our externalId and is linked to nothing, else None.

        Raises ScimError for several, and when the endpoint can't say and the answer is needed (`asked_for`).
        """
        external_id = _text(change.after.get("externalId"))
        if not external_id:
            return None
        try:
            if self._lists_groups and not asked_for:
                found = (await self._marks()).get(external_id, [])
            else:
                found = await self._find(Kind.GROUP, "externalId", external_id, exact=True)
        except ScimError:
            if asked_for:
                raise
            return None
        if len(found) > 1:
            ids = ", ".join(sorted(each.id for each in found))
            raise ScimError(409, f"{len(found)} groups at the target carry its externalId ({ids}); keep one of them")
        if not found or not self._is_free(found[0], change.key):
            return None
        return self._link(Kind.GROUP, found[0], change, "can't be taken over"), found[0]

    async def _marks(self) -> dict[str, list[Found]]:
        """Return the target's groups by externalId, as they were when they were first asked for. Raises ScimError."""
        async with self._listing:
            if self._marked_groups is None:
                marked: dict[str, list[Found]] = {}
                for each in await self._gate.list_groups():
                    if mark := _text(field(each.body, "externalId")):
                        marked.setdefault(mark, []).append(each)
                self._marked_groups = marked
            return self._marked_groups

    def is_marked(self, group: Found, change: Change) -> bool:
        """Return whether a group carries the externalId that a change gives it."""
        mark = _text(change.after.get("externalId"))
        return bool(mark) and _text(field(group.body, "externalId")) == mark

    async def made_group(self, change: Change, began: datetime) -> tuple[Link, Found] | None:
        """Return the group that a create without externalId has just made, where there can be no other; else None."""
        if _text(change.after.get("externalId")):
            return None  # it would have been found by that
        free = [each for each in await self._named(change) if self._is_free(each, change.key)]
        if len(free) != 1 or not _is_made_since(free[0], began) or field(free[0].body, "members"):
            return None
        return self._link(Kind.GROUP, free[0], change, "can't be linked"), free[0]

    async def native_group(self, change: Change, conflict: ScimError) -> tuple[Link, Found]:
        """Return the one group of that name that belongs to nobody, if such may be taken over. Raises ScimError."""
        said = conflict.detail or "exists already"
        if not self._adopt_groups:
            hint = "rename one of the two, or set `adopt_groups = true`"
            own = "a group of that name is the target's own and stays untouched"
            raise unresolved(conflict, f"{said}; {own}: {hint}")
        unmarked = [each for each in await self._named(change) if not _text(field(each.body, "externalId"))]
        free = [each for each in unmarked if self._is_free(each, change.key)]
        if len(free) != 1:
            named = f"{len(free) or 'none'} of the target's own groups"
            raise unresolved(conflict, f"{said}; {named} could be meant by that name")
        return self._link(Kind.GROUP, free[0], change, said), free[0]

    async def _named(self, change: Change) -> list[Found]:
        found: list[Found] = []
        for suffix in dict.fromkeys(("", self._profile.group_suffix)):
            found += await self._find(Kind.GROUP, "displayName", change.name + suffix, exact=True)
        return found

    def _is_free(self, group: Found, key: str) -> bool:
        return self._snapshot.key_of(Kind.GROUP, group.id) in (None, key)

    async def _find(self, kind: Kind, attribute: str, value: str, *, exact: bool) -> list[Found]:
        """Find resources by one attribute; none where the endpoint can't filter by it. Raises ScimError."""
        if not self._gate.can_find(kind, attribute):
            return []
        try:
            return await self._gate.find(kind, attribute, value, exact=exact)
        except ScimError as error:
            if error.status not in _CANT_FILTER:
                raise
            return []


def _is_made_since(found: Found, began: datetime) -> bool:
    """Return whether a resource says that it was made since a moment, as far as two clocks agree."""
    try:
        created = datetime.fromisoformat(str(field(field(found.body, "meta"), "created")))
    except ValueError:
        return False
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
