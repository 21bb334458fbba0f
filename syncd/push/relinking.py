"""Relinking: a linked resource is gone, and another one carries its mark. The change is done to that one."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Flat, Kind, Known, KnownGroup
from syncd.core.plan import Change
from syncd.push.attributes import merged
from syncd.push.collisions import marked
from syncd.push.effects import WriteEffect
from syncd.push.gate import Gate, Taken
from syncd.push.outcomes import Done
from syncd.push.presence import Lost
from syncd.push.sending import Sending
from syncd.push.users import with_manager_id
from syncd.scim.client import Found
from syncd.store import Snapshot


class Relinking:
    """Links keys anew whose resource is gone, each once in a run."""

    def __init__(self, gate: Gate, snapshot: Snapshot, sending: Sending) -> None:
        self._gate = gate
        self._snapshot = snapshot
        self._sending = sending
        self._looked_for: set[tuple[Kind, str]] = set()

    async def match_anew(self, change: Change, lost: Lost) -> Done:
        """Do a change to the resource that carries the mark of a gone one; its memberships are unknown.

        Raises Lost where there is no such resource, or the change is not one of attributes.
        """
        known = self._snapshot.user(lost.key) if lost.kind is Kind.USER else self._snapshot.group(lost.key)
        again = (lost.kind, lost.key) in self._looked_for
        self._looked_for.add((lost.kind, lost.key))
        if known is None or again or change.key != lost.key or not change.action.alters:
            raise lost
        found = await marked(self._gate, self._snapshot, lost.kind, known.attributes)
        if found is None:
            raise lost
        try:
            link = self._gate.relinked(lost, found)
        except Taken:
            raise lost from None
        attributes = merged(known.attributes, change.after)
        effect = await self._sending.bring_into_line(link, found, with_manager_id(self._snapshot, attributes))
        acknowledge = partial(self._acknowledge, change, known, found, attributes, effect)
        remark = "was made anew at the target, and is linked again"
        return Done(effect.status or 200, remark, acknowledge, finished=False)

    def _acknowledge(
        self, change: Change, known: Known | KnownGroup, found: Found, attributes: Flat, effect: WriteEffect
    ) -> None:
        kind, kept_as = change.action.kind, effect.kept_as
        self._snapshot.lose(kind, known.key)
        if isinstance(known, Known):
            state = change.state or known.state
            self._snapshot.put_user(
                replace(known, id=found.id, name=change.name, state=state, attributes=attributes, digest=b"",
                        kept_as=kept_as, lost=False)
            )  # fmt: skip
        else:
            self._snapshot.put_group(
                replace(known, id=found.id, name=change.name, attributes=attributes, members_digest=NO_MEMBERS,
                        kept_as=kept_as, lost=False)
            )  # fmt: skip
