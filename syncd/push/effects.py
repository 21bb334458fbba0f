"""Effects: the one place that derives the effect of a write from the endpoint's answer, or from a look.

#  write                      answer                                 -> effect
#  any                           shows everything as wanted             as wanted
#  any                           shows a value in another form          as wanted; `kept_as` says how it is kept
#  an update                     shows the former value, or nothing     looked at; `untaken` if the look shows the same
#  an update of one of a list    shows that another one is gone         `lost`: it is put back
#  any                           without the resource                   looked at, until a look has shown that this
#                                                                       endpoint does as it answers
#  `active`                      without `active`                       looked at; asked for by a filter; else unclear
#  a deletion                    any                                    looked at
#  an update, unclear            a look has shown all as wanted         as wanted (`sending.py` looks)

A look that contradicts the answer is taken twice, for some endpoints show a slightly older state.
"""

from __future__ import annotations

import asyncio
from collections.abc import Iterable
from dataclasses import dataclass, field, replace
from typing import Final

from syncd.core.drift import alike
from syncd.core.model import Flat, Json, Kind, State, is_on
from syncd.core.ownership import is_nothing
from syncd.core.plan import Change
from syncd.core.schema import MANAGER
from syncd.errors import Ineffective, OutcomeUnclear, ScimError, TargetError
from syncd.push.gate import Gate, Link
from syncd.scim.client import Body, Written
from syncd.scim.dialect import AREAS, ability_of
from syncd.scim.profiles import Profile
from syncd.scim.resources import field as member
from syncd.scim.resources import not_taken
from syncd.store import Snapshot

NAMED: Final = 3
"""Number of paths or members that a remark names; the others are counted."""
_GONE: Final = (404, 410)
_STILL: Final = "was answered with success, and"

Answer = Written | OutcomeUnclear
"""The answer to a write; OutcomeUnclear: its answer is missing, and a look has shown its effect."""


@dataclass(slots=True)
class WriteEffect:
    """The effect of a write: its last HTTP status (0: no request was needed), and the values kept in another form."""

    status: int
    kept_as: Flat = field(default_factory=dict)
    off: bool = False
    """Whether an account that was to be on is shown as off. Never part of `kept_as`, which would hide drift."""
    untaken: frozenset[str] = frozenset()
    """Paths at which nothing changed, though it was answered with success; with the value there in `kept_as`, but
    `active`."""
    lost: Flat = field(default_factory=dict)
    """Values of the same attributes that were not written, and are gone since."""
    undone: frozenset[str] = frozenset()
    """Paths that are not as wanted, and will be sent again."""
    failure: ScimError | None = None
    """Why the write, or a part of it, was not done."""

    @property
    def is_whole(self) -> bool:
        """Whether nothing of the write is left to be tried."""
        return not self.untaken and not self.lost

    def ignored(self, change: Change) -> str:
        """Return a remark on the values that the target did not accept, "" where the target accepted all values.

        An invited account may be shown as off until the invitation is accepted; that is not remarked on.
        """
        paths = [*(["active"] if self.off and change.state is State.ACTIVE else []), *self.kept_as]
        return f"not taken over by the target: {named(paths)}" if paths else ""


@dataclass(frozen=True)
class Update:
    """An update of a linked resource. `before` and `after` hold the same paths; `owned`: all values that syncd writes.

    `kept_as`: values that the target keeps in its own form. `has_members`: a group is known to have members. `whole`:
    the values that are there already are to be sent, too.
    """

    link: Link
    before: Flat
    after: Flat
    owned: Flat = field(default_factory=dict)
    kept_as: Flat = field(default_factory=dict)
    has_members: bool = False
    whole: bool = False

    @property
    def abilities(self) -> frozenset[str]:
        return frozenset(ability_of(self.link.kind, path) for path in self.after)

    @property
    def siblings(self) -> Flat:
        """The values of the same attributes that are not written now."""
        kind, touched = self.link.kind, self.abilities
        return {
            path: value
            for path, value in self.owned.items()
            if path not in self.after and path != MANAGER and ability_of(kind, path) in touched
        }

    def part(self, paths: Iterable[str], there: Flat) -> Update:
        """Return the update of some paths; siblings that are not there any more are written as well."""
        siblings = self.siblings
        after = {path: self.after[path] if path in self.after else siblings[path] for path in paths}
        return replace(self, before={path: there.get(path) for path in after}, after=after)


class Effects:
    """Finds the effect of each write at one target."""

    def __init__(
        self,
        gate: Gate,
        snapshot: Snapshot,
        profile: Profile,
        *,
        doubted: frozenset[tuple[Kind, str]] = frozenset(),
    ) -> None:
        """`doubted`: kinds and keys of resources that are looked at whatever the answers show, because something that
        was answered well before is not so.
        """
        self._gate = gate
        self._snapshot = snapshot
        self._profile = profile
        self._dialect = gate.dialect
        self._doubted = doubted
        self._trial = asyncio.Lock()
        """Held during a look that may show that the endpoint is true: of many writes in flight, one is looked at."""

    # -- creates and deletions -------------------------------------------------------------------

    async def of_create(self, link: Link, wanted: Flat, answer: Written) -> WriteEffect:
        """Return the effect of a create. Raises ScimError where an account is on that was to be off."""
        if answer.body is not None or f"{AREAS[link.kind]}.create" in self._dialect.truthful:
            return await self._of_create(link, wanted, answer)
        async with self._trial:
            return await self._of_create(link, wanted, answer)

    async def _of_create(self, link: Link, wanted: Flat, answer: Written) -> WriteEffect:
        ability, body = f"{AREAS[link.kind]}.create", answer.body
        self._note(ability, shown=body is not None)
        looked = body is None and ability not in self._dialect.truthful
        if looked:
            body = await self._read(link)
        if body is None:
            return WriteEffect(answer.status)
        kept_as = self._not_taken(link.kind, wanted, body)
        if looked and not kept_as:
            self._dialect.trust(ability)
        off = "active" in kept_as and wanted["active"] is True
        if "active" in kept_as and not off:
            on = await self._is_on(link, False, body, looked=looked)
            if on is not False:
                raise self._active_not_so(answer.status, on)
        kept_as.pop("active", None)
        return WriteEffect(answer.status, kept_as, off)

    async def of_delete(self, link: Link, answer: Written) -> WriteEffect:
        """Return the effect of a deletion. Raises Ineffective where the resource is still there, OutcomeUnclear."""
        if answer.status in _GONE:
            return WriteEffect(answer.status)
        for attempt in (1, 2):
            try:
                body = await self._read(link)
            except ScimError as error:
                if error.status in _GONE:
                    return WriteEffect(answer.status)
                raise OutcomeUnclear(answer.status, "was answered with success").unseen(error) from None
            except TargetError as error:
                raise OutcomeUnclear(answer.status, "was answered with success").unseen(error) from None
            if attempt == 1:
                await self._gate.back_off(attempt)
        off = link.kind is Kind.USER and not is_on(member(body, "active"))
        what = f"the {link.kind} is still there{', switched off' if off else ''}"
        raise Ineffective(answer.status, f"{_STILL} {what}")

    # -- updates -----------------------------------------------------------------------------------

    async def of_update(self, update: Update, answer: Answer, *, doubtful: bool = False) -> WriteEffect:
        """Return the effect of an update. `doubtful`: the endpoint is not taken at its word alone.

        Raises OutcomeUnclear where nobody can tell whether an account is off.
        """
        if isinstance(answer, OutcomeUnclear) or not answer.status:
            return WriteEffect(answer.status)
        if answer.body is not None or update.abilities <= self._dialect.truthful:
            return await self._of_update(update, answer, doubtful=doubtful)
        async with self._trial:
            return await self._of_update(update, answer, doubtful=doubtful)

    async def _of_update(self, update: Update, answer: Written, *, doubtful: bool) -> WriteEffect:
        link, body = update.link, answer.body
        looks = self._note_answer(update, body) or (doubtful and body is None)
        if looks or (link.kind, link.key) in self._doubted:
            looks = True
            body = await self._read(link)
        effect = self._as_before(update, answer.status)
        if body is not None:
            effect = self._judged(update, body, answer.status)
            if effect.lost or not effect.untaken <= self.dropped(link.kind, update.after):
                # The answer may show the state before, or a part; a look may be stale.
                if looks:
                    await self._gate.back_off(1)
                body, looks = await self._read(link), True
                effect = self._judged(update, body, answer.status)
        if "active" in update.after:
            await self._judge_active(link, update.after["active"], body, effect, looked=looks)
        if looks:
            untrue = {ability_of(link.kind, path) for path in (*effect.untaken, *effect.lost)}
            for ability in update.abilities:
                (self._dialect.distrust if ability in untrue else self._dialect.trust)(ability)
        return effect

    def _note_answer(self, update: Update, body: Body | None) -> bool:
        """Remember what an answer shows; return whether it is followed by a look."""
        looks = False
        for ability in update.abilities:
            is_active = ability == "users.active"
            shown = body is not None and not (is_active and member(body, "active") is None)
            self._note(ability, shown=shown)
            if not shown and (is_active or ability not in self._dialect.truthful | self._dialect.dropped):
                looks = looks or not is_active or self._profile.shows_active is not False
        return looks

    def _note(self, ability: str, *, shown: bool) -> None:
        """Remember whether an answer shows the effect; an answer in a bulk says nothing about the other answers."""
        if not self._gate.in_bulk:
            self._dialect.note_answer(ability, shown=shown)

    def _as_before(self, update: Update, status: int) -> WriteEffect:
        """Return the effect of an update that nobody looks at: what the endpoint keeps in no form is as it was."""
        dropped = self.dropped(update.link.kind, update.after)
        kept_as = {path: update.kept_as.get(path, update.before.get(path)) for path in dropped}
        return WriteEffect(status, kept_as, untaken=dropped)

    def _judged(self, update: Update, body: Body, status: int) -> WriteEffect:
        """Compare a resource with an update; `active` is judged apart."""
        kind, siblings = update.link.kind, update.siblings
        wanted = {path: value for path, value in update.after.items() if path != "active"}
        shown = self._not_taken(kind, {**siblings, **wanted}, body)
        kept_as = {path: value for path, value in shown.items() if path in wanted}
        untaken = frozenset(
            path
            for path, value in kept_as.items()
            if (is_nothing(value) and not is_nothing(wanted[path])) or alike(path, update.before.get(path), value)
        )
        lost = {
            path: value
            for path, value in siblings.items()
            if path in shown and is_nothing(shown[path]) and path not in update.kept_as
        }
        return WriteEffect(status, kept_as, untaken=untaken, lost=lost)

    def dropped(self, kind: Kind, paths: Iterable[str]) -> frozenset[str]:
        """Return the paths that the endpoint was found to keep in no form."""
        return frozenset(path for path in paths if ability_of(kind, path) in self._dialect.dropped)

    def _not_taken(self, kind: Kind, wanted: Flat, body: Body) -> dict[str, Json]:
        """Return the paths at which a resource is not as wanted, with its values there; a manager by key."""
        kept_as = not_taken(kind, wanted, body)
        name = str(kept_as.get("displayName", ""))
        if kind is Kind.GROUP and name and name.removesuffix(self._profile.group_suffix) == wanted["displayName"]:
            del kept_as["displayName"]
        if MANAGER in kept_as:
            id_ = kept_as[MANAGER]
            kept_as[MANAGER] = self._snapshot.key_of(Kind.USER, str(id_)) if id_ is not None else None
        return kept_as

    # -- whether an account is on --------------------------------------------------------------------

    async def _judge_active(
        self, link: Link, wanted: bool, body: Body | None, effect: WriteEffect, *, looked: bool
    ) -> None:
        """Add to an effect whether an account is on or off as wanted. Raises OutcomeUnclear."""
        if self._profile.shows_active is False and member(body, "active") is None:
            return
        on = await self._is_on(link, wanted, body, looked=looked)
        if on is wanted:
            return
        if on is None and wanted:
            return  # nothing contradicts the answer; a full resync reports whoever is off
        if on is None:
            raise self._active_not_so(effect.status, on)
        effect.off = wanted
        if not wanted or not self._profile.pending_by_endpoint:
            effect.untaken |= {"active"}

    async def _is_on(self, link: Link, wanted: bool, body: Body | None, *, looked: bool) -> bool | None:
        """Return whether an account is on; None: neither the account nor a filter says so."""
        shown = member(body, "active")
        for attempt in (1, 2):
            if shown is not None and is_on(shown) is wanted:
                return wanted
            if looked and (shown is None or attempt == 2):
                break
            if looked:
                await self._gate.back_off(attempt)
            body = await self._read(link)
            shown, looked = member(body, "active"), True
        if shown is not None:
            return is_on(shown)
        return await self._gate.is_on_by_filter(str(member(body, "userName") or ""), link.id)

    def _active_not_so(self, status: int, on: bool | None) -> ScimError:
        if on:
            return Ineffective(status, f"{_STILL} the account is still active")
        hint = "where it never does, `shows_active = false` in [target.profile_overrides] takes it at its word"
        return OutcomeUnclear(status, f"{_STILL} the endpoint doesn't show whether the account is off; {hint}")

    async def _read(self, link: Link) -> Body:
        return (await self._gate.read(link.kind, link.id)).body


def named(paths: Iterable[str]) -> str:
    """Return the first of some paths, and the number of the others."""
    paths = list(paths)
    more = f" and {len(paths) - NAMED} more" if len(paths) > NAMED else ""
    return f"{', '.join(paths[:NAMED])}{more}"


__all__ = ["NAMED", "Answer", "Effects", "Update", "WriteEffect", "named"]
