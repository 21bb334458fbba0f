"""Execution: passes each action to the part that carries it out; the table is `core/actions.py`."""

from __future__ import annotations

from syncd.core.actions import Effect
from syncd.core.model import Kind
from syncd.core.plan import Change
from syncd.push.groups import Groups
from syncd.push.members import Members
from syncd.push.outcomes import Done
from syncd.push.presence import Lost
from syncd.push.relinking import Relinking
from syncd.push.users import Users


class Execution:
    """Carries out the changes of one run, each by the part for its kind of resource."""

    def __init__(self, users: Users, groups: Groups, members: Members, relinking: Relinking) -> None:
        self._users = users
        self._groups = groups
        self._members = members
        self._relinking = relinking

    async def carry_out(self, change: Change) -> Done:
        """Do one change. Raises Refusal, Lost, ScimError (OutcomeUnclear: it may have been done) or TargetError."""
        try:
            return await self._carry_out(change)
        except Lost as lost:
            return await self._relinking.match_anew(change, lost)

    async def _carry_out(self, change: Change) -> Done:
        part = self._users if change.action.kind is Kind.USER else self._groups
        match change.action.effect:
            case Effect.CREATE:
                return await part.create(change)
            case Effect.ADOPT:
                return await part.adopt(change)
            case Effect.ALTER:
                return await part.update(change)
            case Effect.DELETE:
                return await part.delete(change)
            case Effect.ADD_MEMBERS | Effect.REMOVE_MEMBERS:
                return await self._members.change(change)
