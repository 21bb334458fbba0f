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
from syncd.push.returning import Returning
from syncd.push.users import Users


class Execution:
    """Carries out the changes of one run, each by the part for its kind of resource."""

    def __init__(
        self, users: Users, groups: Groups, members: Members, relinking: Relinking, returning: Returning
    ) -> None:
        self._users = users
        self._groups = groups
        self._members = members
        self._relinking = relinking
        self._returning = returning

    async def carry_out(self, change: Change) -> Done:
        """Do one change. Raises Refusal, Lost, ScimError (OutcomeUnclear: it may have been done) or TargetError."""
        try:
            done = await self._carry_out(change)
        except Lost as lost:
            return await self._relinking.match_anew(change, lost)
        return await self._returning.after(change, done)

    async def put_back(self) -> None:
        """Put people who came back into the groups that the target had taken them out of. Raises TargetError."""
        await self._returning.put_back(self._members)

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
