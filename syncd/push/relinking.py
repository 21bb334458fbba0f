"""Relinking: a linked resource is gone, and another carries its mark: it is linked, and the change is done to it."""

from __future__ import annotations

from dataclasses import replace
from functools import partial

from syncd.core.model import Flat, Kind, Known, KnownGroup
from syncd.core.plan import Change
from syncd.push.attributes import as_far_as_done, merged
from syncd.push.collisions import marked
from syncd.push.gate import Gate, Taken
from syncd.push.linking import Linking
from syncd.push.outcomes import Done
from syncd.push.presence import Lost
from syncd.push.sending import Sending
from syncd.push.users import with_manager_id
from syncd.store import Snapshot


class Relinking:
    """Links keys anew whose resource is gone, each once in a run."""

    def __init__(self, gate: Gate, snapshot: Snapshot, sending: Sending, linking: Linking) -> None:
        self._gate = gate
        self._snapshot = snapshot
        self._sending = sending
        self._linking = linking
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
        wanted = {**known.attributes, **change.after}
        linked = await self._linking.anew(lost.kind, known, found, wanted)
        # A leaver needs nothing but to be off: no other attribute may hold that up.
        sent = change.after if change.action.leaves else merged({}, wanted)
        effect = await self._sending.bring_into_line(link, found, with_manager_id(self._snapshot, sent))
        done = as_far_as_done(
            replace(change, after=sent), effect.undone, linked.state if isinstance(linked, Known) else None, linked.name
        )
        acknowledge = partial(self._acknowledge, done, linked, effect.kept_as)
        remark = "was made anew at the target, and is linked again"
        return Done(effect.status or 200, remark, acknowledge, finished=False, failure=effect.failure)

    def _acknowledge(self, done: Change, linked: Known | KnownGroup, kept_as: Flat) -> None:
        """Write what was done; without a digest, so that the next run compares the rest."""
        attributes = merged(linked.attributes, done.after)
        if isinstance(linked, Known):
            state = done.state or linked.state
            self._snapshot.put_user(
                replace(linked, name=done.name, state=state, attributes=attributes, kept_as=kept_as)
            )
        else:
            self._snapshot.put_group(replace(linked, name=done.name, attributes=attributes, kept_as=kept_as))
