"""Effects: the one place that derives the effect of a write from the endpoint's answer.

Every write ends here: a create, an update, a deletion, a change of members.

#  answer                                             -> effect
#  no resource in it, or no attributes were wanted       the endpoint is taken at its word
#  the resource, as wanted                               as wanted
#  the resource, with other values at some paths         as wanted; `kept_as` says how the endpoint keeps those
#  an account that was to be off is on                   a failure, if a second look shows the same
#  an account that was to be on is off                   as wanted; `off` says so
#  unclear, and a look has shown everything as wanted    as wanted (`sending.py` looks)

An answer without the resource is followed by a read where the write corrects drift: a value that the endpoint never
accepts would otherwise be sent for ever.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Final

from syncd.core.model import Flat, Json, Kind, State, is_on
from syncd.core.plan import Change
from syncd.core.schema import MANAGER
from syncd.errors import OutcomeUnclear, ScimError
from syncd.push.gate import Gate, Link
from syncd.scim.client import Body, Written
from syncd.scim.resources import field as member
from syncd.scim.resources import not_taken
from syncd.store import Snapshot

NAMED: Final = 3
"""Number of paths or members that a remark names; the others are counted."""

Answer = Written | OutcomeUnclear
"""The answer to a write; OutcomeUnclear: its answer is missing, and a look has shown its effect."""


@dataclass(slots=True)
class WriteEffect:
    """The effect of a write: its last HTTP status (0: no request was needed), and the values kept in another form."""

    status: int
    kept_as: Flat = field(default_factory=dict)
    off: bool = False
    """Whether an account that was to be on is shown as off. Never part of `kept_as`, which would hide drift."""

    def ignored(self, change: Change) -> str:
        """Return a remark on the values that the target did not accept, "" where the target accepted all values.

        An invited account may be shown as off until the invitation is accepted; that is not remarked on.
        """
        paths = [*(["active"] if self.off and change.state is State.ACTIVE else []), *self.kept_as]
        if not paths:
            return ""
        more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
        return f"not taken over by the target: {', '.join(paths[:NAMED])}{more}"


class Effects:
    """Finds the effect of each write at one target."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        group_suffix: str,
        *,
        drifted: frozenset[tuple[Kind, str]],
        echoes: bool,
    ) -> None:
        """`drifted`: kinds and keys of the resources whose attributes are put back, because somebody changed them at
        the target. `echoes`: the endpoint is known to answer an update with the resource.
        """
        self._gate = gate
        self._snapshot = snapshot
        self._group_suffix = group_suffix
        self._drifted = drifted
        self._echoes = echoes

    async def of(self, link: Link, wanted: Flat, answer: Answer) -> WriteEffect:
        """Return the effect of a write; `wanted`: the attributes that were sent, {} for a deletion and for members.

        Raises ScimError where an account is still active that was to be off, or can't be read.
        """
        if isinstance(answer, OutcomeUnclear) or not wanted:
            return WriteEffect(answer.status)
        body = answer.body
        if answer.status and self._puts_drift_back(link) and not (self._echoes and body is not None):
            body = (await self._gate.read(link.kind, link.id)).body
        if body is None:
            return WriteEffect(answer.status)
        kept_as = self._not_taken(link.kind, wanted, body)
        if wanted.get("active") is False and "active" in kept_as and await self._is_still_on(link):
            raise ScimError(answer.status, "was answered with success, and the account is still active")
        off = wanted.get("active") is True and "active" in kept_as
        kept_as.pop("active", None)
        return WriteEffect(answer.status, kept_as, off)

    def _puts_drift_back(self, link: Link) -> bool:
        return (link.kind, link.key) in self._drifted

    async def _is_still_on(self, link: Link) -> bool:
        """Read an account once more: the answer to a write may show the state before it."""
        return is_on(member((await self._gate.read(link.kind, link.id)).body, "active"))

    def _not_taken(self, kind: Kind, wanted: Flat, body: Body) -> dict[str, Json]:
        """Return the paths at which a resource is not as wanted, with its values there; a manager by key."""
        kept_as = not_taken(kind, wanted, body)
        name = str(kept_as.get("displayName", ""))
        if kind is Kind.GROUP and name and name.removesuffix(self._group_suffix) == wanted["displayName"]:
            del kept_as["displayName"]
        if MANAGER in kept_as:
            id_ = kept_as[MANAGER]
            kept_as[MANAGER] = self._snapshot.key_of(Kind.USER, str(id_)) if id_ is not None else None
        return kept_as
