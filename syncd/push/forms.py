"""Forms: an update that is refused, or has no effect, is sent in the other forms that clients use, part by part.

#  the first request                         -> what follows
#  refused: the endpoint knows no PATCH          the same by PUT
#  refused, and a look shows everything as wanted    done: it was so already
#  refused otherwise, or without effect          each attribute by itself, in the next form, until one has effect
#  refused for a reason that no form changes     each attribute by itself, in its first form

Bounded: a number of requests for each update; and an attribute that several resources refused in every form is tried in
its first form alone from then on. A form is remembered only after its effect was seen.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Awaitable, Callable, Iterable
from dataclasses import dataclass, field
from typing import Final

from syncd.core.drift import alike
from syncd.core.model import Flat
from syncd.core.ownership import is_nothing
from syncd.core.plan import REST_DONE
from syncd.errors import Ineffective, OutcomeUnclear, ScimError
from syncd.push.effects import Update, WriteEffect, named
from syncd.push.gate import Gate, Link
from syncd.scim.dialect import AREAS, Form, ability_of

NO_METHOD: Final = (405, 501)
"""Method not allowed, not implemented: the answers of endpoints without PATCH."""
_MAY_BE_THE_FORM: Final = (400, 405, 415, 422, 500, 501)
"""Statuses with which endpoints refuse a form that they don't know."""
_MAY_BE_A_PART: Final = (*_MAY_BE_THE_FORM, 404, 409)
"""Statuses that may be about one part of an update. A resource that is gone (404) was told apart before."""
_NEVER_THE_FORM: Final = frozenset({"uniqueness", "mutability", "sensitive", "toomany", "invalidvers"})
"""scimTypes (RFC 7644 table 9) of refusals that are about the value or the attribute."""
_CONFLICT: Final = 409
_FAILED: Final = 500
"""A server error may pass: the same form is tried once more."""
_MOST_WRITES: Final = 12
_ENOUGH: Final = 3
"""From this many resources on that an attribute can't be written to, the attribute is not tried in every form."""
_FIRST: Final = ("users.active", "users.userName", "users.externalId", "users.emails")
"""Abilities in the order of what people need first: to be off or on, to sign in, to stay ours."""


Write = Callable[[Update, Form], Awaitable[WriteEffect]]
"""Writes an update in one form, and looks at its effect. Raises ScimError, OutcomeUnclear, Lost, TargetError."""


@dataclass
class _Parts:
    """The parts of one update, as far as they got: by ability, their paths, and why some were not done."""

    paths: dict[str, frozenset[str]] = field(default_factory=dict)
    failures: dict[str, ScimError] = field(default_factory=dict)
    kept_as: Flat = field(default_factory=dict)
    writes: int = 0

    def is_undone(self, ability: str) -> bool:
        """Return whether a failed part is sent again: a value without effect is not, until another one is wanted."""
        return ability == "users.active" or not isinstance(self.failures[ability], Ineffective)

    def failure(self, *, done: list[str]) -> ScimError:
        """Return the error of the parts that were not done, in the endpoint's words; `done`: the other paths."""
        error = next(iter(self.failures.values()))
        if len(self.failures) == 1 and not done:
            return error
        clauses = [
            f"{named(sorted(self.paths[ability]))}: {' '.join(filter(None, (str(each.status or ''), each.detail)))}"
            for ability, each in self.failures.items()
        ]
        rest = f"{REST_DONE}{named(done)}" if done else ""
        only_without_effect = all(isinstance(each, Ineffective) for each in self.failures.values())
        kind = Ineffective if only_without_effect else ScimError
        return kind(error.status, f"{'; '.join(clauses)}{rest}", error.scim_type)


class Forms:
    """Sends updates in other forms at one target."""

    def __init__(self, gate: Gate, write: Write, there: Callable[[Link, Iterable[str]], Awaitable[Flat]]) -> None:
        """`there` returns a resource's present values at some paths. Raises Lost, ScimError."""
        self._gate = gate
        self._write = write
        self._there = there
        self._hopeless: Counter[str] = Counter()
        """By ability, at how many resources no form had an effect."""
        self._refused: set[str] = set()
        """Abilities that were refused, not only without effect."""

    async def in_other_forms(self, update: Update, first: WriteEffect | ScimError) -> WriteEffect:
        """Return the effect of an update whose first request was refused (ScimError), or had not its whole effect.

        Raises the refusal where nothing of the update was done, OutcomeUnclear, Lost, TargetError.
        """
        if isinstance(first, ScimError) and first.status in NO_METHOD and self._takes_put(update):
            try:
                effect = await self._write(update, Form.PUT)
            except OutcomeUnclear:
                raise
            except ScimError as error:
                if error.status not in NO_METHOD:
                    raise
            else:
                if effect.is_whole:
                    self._gate.dialect.learn(AREAS[update.link.kind], Form.PUT)
                    return effect
        return await self._part_by_part(update, first)

    def _takes_put(self, update: Update) -> bool:
        return all(Form.PUT in self._gate.forms(update.link.kind, path) for path in update.after)

    async def _part_by_part(self, update: Update, first: WriteEffect | ScimError) -> WriteEffect:
        kind = update.link.kind
        there = await self._there(update.link, {**update.siblings, **update.after})
        left = [path for path, value in update.after.items() if update.whole or not alike(path, value, there.get(path))]
        left += [path for path in update.siblings if path not in there and path not in update.kept_as]
        parts = _Parts()
        by_ability: dict[str, list[str]] = {}
        for path in left:
            by_ability.setdefault(ability_of(kind, path), []).append(path)
        alone = len({ability_of(kind, path) for path in update.after}) == 1
        for ability in sorted(by_ability, key=_urgency):
            part = update.part(by_ability[ability], there)
            tried = (alone and first.status != _FAILED) if isinstance(first, ScimError) else True
            parts.paths[ability] = frozenset(part.after)
            await self._one_part(ability, part, parts, first if tried else None)
        return self._effect_of(update, parts, first)

    async def _one_part(
        self, ability: str, part: Update, parts: _Parts, failed: WriteEffect | ScimError | None
    ) -> None:
        """Write one part in one form after the other. `failed`: what came of its first form; None: not tried yet."""
        forms = list(self._gate.forms(part.link.kind, next(iter(part.after))))
        usual = forms[0]
        if self._hopeless[ability] >= _ENOUGH or ability in self._gate.dialect.dropped:
            del forms[1:]
        refused, without_effect = False, False
        if failed is not None:
            forms.pop(0)
            parts.failures[ability] = failed if isinstance(failed, ScimError) else _without_effect(part, failed)
            refused, without_effect = isinstance(failed, ScimError), not isinstance(failed, ScimError)
            if isinstance(failed, WriteEffect):
                parts.kept_as |= _kept(part, failed)
        for form in forms:
            if refused and not _may_be_the_form(parts.failures[ability]):
                break
            if parts.writes >= _MOST_WRITES:
                break
            parts.writes += 1
            try:
                effect = await self._write(part, form)
            except OutcomeUnclear:
                raise
            except ScimError as error:
                # A form that had no effect says more than one that is refused.
                if not without_effect:
                    parts.failures[ability], refused = error, True
                continue
            if effect.is_whole:
                parts.failures.pop(ability, None)
                parts.kept_as = {path: value for path, value in parts.kept_as.items() if path not in part.after}
                parts.kept_as |= effect.kept_as
                if form is not usual:
                    self._gate.dialect.learn(ability, form)
                return
            part = part.part([*part.after, *effect.lost], part.before)
            parts.paths[ability] = frozenset(part.after)
            parts.failures[ability], refused, without_effect = _without_effect(part, effect), False, True
            parts.kept_as |= _kept(part, effect)
        if ability in parts.failures:
            self._give_up(ability, parts.failures[ability])

    def _give_up(self, ability: str, failure: ScimError) -> None:
        """Remember that no form had an effect at one more resource."""
        self._hopeless[ability] += 1
        if not isinstance(failure, Ineffective):
            self._refused.add(ability)
        elif self._hopeless[ability] >= _ENOUGH and ability not in self._refused and ability != "users.active":
            self._gate.dialect.drop(ability)

    def _effect_of(self, update: Update, parts: _Parts, first: WriteEffect | ScimError) -> WriteEffect:
        """Return the effect of all parts. Raises the failure where nothing was done.

        #  a part                    -> its paths            the outcome
        #  had an effect                done                    -
        #  without effect               done, with `kept_as`    a failure, where nothing else was written
        #  refused, or `active`         undone                  a failure
        """
        undone = frozenset[str]().union(*(parts.paths[each] for each in parts.failures if parts.is_undone(each)))
        failed = frozenset[str]().union(*(parts.paths[each] for each in parts.failures))
        written = frozenset[str]().union(*parts.paths.values())
        kept_as = dict(parts.kept_as)
        if isinstance(first, WriteEffect):
            kept_as = {path: value for path, value in first.kept_as.items() if path not in written} | kept_as
        kept_as = {path: value for path, value in kept_as.items() if path not in undone}
        status = 200 if parts.writes and not parts.failures else first.status
        effect = WriteEffect(status, kept_as, undone=undone)
        if undone or failed >= set(update.after):
            effect.failure = parts.failure(done=sorted(set(update.after) - failed))
        if effect.failure is not None and undone >= set(update.after):
            raise effect.failure
        return effect


def may_be_tried_otherwise(refusal: ScimError, update: Update) -> bool:
    """Return whether a refused update may be so already (409, too), or sent in another form, or part by part."""
    if isinstance(refusal, OutcomeUnclear):
        return False
    several = len(update.after) > 1 and refusal.status in _MAY_BE_A_PART
    return several or _may_be_the_form(refusal) or refusal.status == _CONFLICT


def _may_be_the_form(refusal: ScimError) -> bool:
    return refusal.status in _MAY_BE_THE_FORM and refusal.scim_type.casefold() not in _NEVER_THE_FORM


def _urgency(ability: str) -> tuple[int, str]:
    return (_FIRST.index(ability) if ability in _FIRST else len(_FIRST)), ability


def _without_effect(part: Update, effect: WriteEffect) -> Ineffective:
    """Return the error of a part that was answered with success."""
    if "active" in part.after:
        shows = f"the account is still {'off' if part.after['active'] else 'active'}"
    else:
        shown = next((effect.kept_as[path] for path in part.after if path in effect.kept_as), None)
        shows = "the target shows " + ("nothing there" if is_nothing(shown) else f"`{shown}` there")
    return Ineffective(effect.status, f"was answered with success, and {shows}")


def _kept(part: Update, effect: WriteEffect) -> Flat:
    return {path: value for path, value in effect.kept_as.items() if path in part.after}


__all__ = ["NO_METHOD", "Forms", "may_be_tried_otherwise"]
