"""Returning: people who come back are looked for in the groups that they should be in.

Some endpoints take whoever is switched off out of all groups. After a reactivation each of these groups is read, once
in a run however many come back. A membership that is gone is forgotten by the snapshot along with the reactivation, and
put back at the end of the run; if that fails, the next plan adds it.
"""

from __future__ import annotations

import asyncio
from collections.abc import Mapping
from dataclasses import replace
from typing import Final

import structlog

from syncd.core.model import Kind
from syncd.core.plan import Action, Change
from syncd.errors import ScimError
from syncd.push.effects import NAMED
from syncd.push.gate import Gate
from syncd.push.members import Members
from syncd.push.membership import names_of
from syncd.push.outcomes import Done, remarks
from syncd.push.presence import Lost
from syncd.push.refusal import Refusal
from syncd.push.roll import Roll, seen
from syncd.push.sending import it_was_made
from syncd.store import Snapshot

log = structlog.get_logger()

_NOT_FOUND: Final = 404


class Returning:
    """Compares the memberships of people who come back, and puts them back."""

    def __init__(self, gate: Gate, snapshot: Snapshot, people: Mapping[str, set[str]]) -> None:
        """`people`: by group, the keys of those who come back and should be in it."""
        self._gate = gate
        self._snapshot = snapshot
        self._people = people
        self._rolls: dict[str, Roll | None] = {}
        self._reading = asyncio.Lock()
        self._gone: dict[str, list[str]] = {}

    async def after(self, change: Change, done: Done) -> Done:
        """Look for a person whose account was switched on in the groups. Raises OutcomeUnclear where that fails."""
        if change.action is not Action.REACTIVATE_USER or done.failure is not None:
            return done
        with it_was_made():
            gone = await self.gone_from(change.key)
        if not gone:
            return done
        for group in gone:
            self._gone.setdefault(group, []).append(change.key)

        def acknowledge() -> None:
            if done.acknowledge is not None:
                done.acknowledge()
            self.forget(change.key, gone)

        names = [known.name for group in gone[:NAMED] if (known := self._snapshot.group(group)) is not None]
        more = f" and {len(gone) - NAMED} more" if len(gone) > NAMED else ""
        remark = f"had been taken out of {', '.join(names)}{more} at the target: is put back"
        return replace(done, remark=remarks(done.remark, remark), acknowledge=acknowledge, finished=False)

    async def gone_from(self, person: str) -> list[str]:
        """Return the groups that a person should be in and is not; a group that shows no members proves nothing.

        Raises ScimError, TargetError.
        """
        known = self._snapshot.user(person)
        groups = [group for group, people in self._people.items() if person in people]
        return [group for group in groups if known is not None and await self._is_gone(known.id, person, group)]

    def forget(self, person: str, groups: list[str]) -> None:
        """Write that the target has no such memberships; belongs inside the state file's `atomic()`."""
        for group in groups:
            self._snapshot.change_members(group, Kind.USER, removed=[person])

    async def _is_gone(self, id_: str, person: str, group: str) -> bool:
        async with self._reading:
            if group not in self._rolls:
                self._rolls[group] = await self._roll(group)
        roll = self._rolls[group]
        others = self._snapshot.ids_to_be_shown(group) - {id_}
        others -= set(self._snapshot.ids(Kind.USER, sorted(self._people[group])).values())
        names = names_of(self._snapshot, {id_: (Kind.USER, person)})
        return bool(seen(roll, names, others, adding=True).left)

    async def _roll(self, group: str) -> Roll | None:
        """Return the members that a group shows; None where it is gone, or the endpoint doesn't say."""
        known = self._snapshot.group(group)
        if known is None or known.lost:
            return None
        try:
            return await self._gate.roll(known.id)
        except ScimError as error:
            if error.status != _NOT_FOUND:
                raise
            return None

    async def put_back(self, members: Members) -> None:
        """Add people to the groups that they are gone from; a failure is left to the next run, which plans it.

        Raises OutcomeUnclear, TargetError.
        """
        for group, people in sorted(self._gone.items()):
            try:
                await members.put_back(group, people)
            except (Refusal, Lost, ScimError) as failure:
                log.warning("not_put_back", group=group, people=len(people), problem=str(failure))


__all__ = ["Returning"]
