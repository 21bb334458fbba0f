"""Why a person is in their state: their entry, mapped again with today's configuration, against their account."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass, replace
from datetime import datetime
from typing import Final

from syncd.compare.protection import protection
from syncd.compare.rules import SourceRules, TargetRules
from syncd.core.diff import user_changes
from syncd.core.drift import DriftClass, Reaction
from syncd.core.mapping import EntryUnusable, desired_user
from syncd.core.model import Attributes, Desired, Entry, Flat, Json, Kind, Known, State
from syncd.core.plan import Action, Change, timestamp
from syncd.core.rules import Rule, RuleFailed
from syncd.core.schema import MANAGER
from syncd.explain.circumstances import Circumstances, doing, spoken
from syncd.report.explanation import Explanation, Part
from syncd.report.text import counted, label, value_text
from syncd.settings.build import Target
from syncd.store import Snapshot, StateFile
from syncd.store.lookup import groups_with, last_kept

_GROUPS_SHOWN: Final = 20
_USER_DRIFT: Final = (DriftClass.USER_DELETED, DriftClass.USER_ACTIVATION, DriftClass.USER_ATTRIBUTES)


@dataclass(frozen=True)
class Ruling:
    """What one rule says of one entry."""

    name: str
    text: str
    holds: bool | None
    """None where it can't be evaluated."""
    values: tuple[tuple[str, str], ...]
    """What the attributes that it reads have for it; none where it reads all of them."""

    @classmethod
    def of(cls, name: str, rule: Rule, attributes: Attributes) -> Ruling:
        try:
            holds: bool | None = rule.holds(attributes)
        except RuleFailed:
            holds = None
        names = sorted(rule.attributes or ())
        return cls(name, rule.text, holds, tuple((each, (attributes.get(each) or ("",))[0]) for each in names))

    def because(self) -> str:
        """Say why it is as it is: the values that it was decided by."""
        values = [
            f"`{name}` is {value_text(value)}" if value else f"there is no `{name}`" for name, value in self.values
        ]
        says = " and ".join(values) or "it says so"
        return f"the source says {says} (rule: {self.text})"

    def sentence(self) -> str:
        outcome = "can't be evaluated" if self.holds is None else "is true" if self.holds else "is false"
        return f"the rule `{self.name}` {outcome}: {self.because()}"

    def to_json(self) -> Json:
        return {"rule": self.text, "holds": self.holds, "values": dict(self.values)}


@dataclass(frozen=True)
class Evaluation:
    """What today's configuration makes of the entry as it was last read."""

    entry: Entry
    at: datetime
    desired: Desired | None
    """None where the entry can't be used."""
    flat: Flat
    """What it is mapped to, also where the person is off; empty where it can't be."""
    unusable: str
    external: bool | None
    active: Ruling | None
    scope: Ruling | None

    @classmethod
    def of(cls, entry: Entry, at: datetime, source: SourceRules, target: TargetRules) -> Evaluation:
        attributes, selection = entry.attributes, target.selection
        desired: Desired | None = None
        flat: Flat = {}
        unusable, external = "", None
        try:
            flat = source.users.flat(entry.key, attributes)
            external = selection.domains.is_external(source.users.email(flat))
        except EntryUnusable as error:
            unusable = str(error)
        try:
            desired = desired_user(entry, source.users, source.active, selection)
            unusable = ""
        except EntryUnusable as error:
            unusable = str(error)
        active = Ruling.of("active", source.active, attributes) if source.active else None
        scope = Ruling.of("scope", selection.scope, attributes) if selection.scope else None
        return cls(entry, at, desired, flat, unusable, external, active, scope)

    @property
    def off(self) -> str:
        """Say why the person should have no access, "" where they should."""
        if self.desired is None or self.desired.state is not State.DEACTIVATED:
            return ""
        ruling = self.active if self.active is not None and self.active.holds is False else self.scope
        if ruling is self.scope:
            return f"they are out of scope: {ruling.because()}" if ruling else self.desired.reason
        return ruling.because() if ruling else self.desired.reason


def explain_user(circumstances: Circumstances, state: StateFile, source: SourceRules, target: Target) -> Explanation:
    """Explain one person at one target."""
    return _Person(circumstances, state.snapshot(target.name), source, target.rules).explanation()


class _Person:
    def __init__(
        self, circumstances: Circumstances, snapshot: Snapshot, source: SourceRules, target: TargetRules
    ) -> None:
        self._circumstances = circumstances
        self._snapshot = snapshot
        self._source, self._target = source, target
        self._key = circumstances.key
        self._known = snapshot.user(self._key)
        kept = snapshot.entry(self._key)
        self._evaluation = Evaluation.of(*kept, source, target) if kept else None
        self._gone = self._since_gone()
        self._changes = self._following()

    # -- what is known ---------------------------------------------------------------------------

    def _since_gone(self) -> str:
        """Say since when the source lacks them, "" where it has them or nobody can say."""
        known, evaluation = self._known, self._evaluation
        if known is not None and known.missing_since is not None:
            return f"the source has not had them since {spoken(known.missing_since)}"
        # Who has no account differs in every reading, and is kept anew.
        kept = last_kept(self._snapshot) if known is None and evaluation is not None else None
        if kept and evaluation and evaluation.at < kept and not self._circumstances.problems:
            return f"the source no longer had them on {spoken(kept)}"
        return ""

    def _following(self) -> list[Change]:
        """Return what a run would do now, as far as it needs nobody else's entry."""
        known, evaluation = self._known, self._evaluation
        if known is None:
            if self._gone or evaluation is None or evaluation.desired is None:
                return []
            return user_changes(evaluation.desired, None, self._target.pending, "", ()).changes
        if self._gone:
            return user_changes(None, known, self._target.pending, "", ()).changes
        if evaluation is None or evaluation.desired is None:
            return []
        paths = self._source.users.paths
        owned = replace(known, attributes={path: each for path, each in known.attributes.items() if path in paths})
        desired = evaluation.desired
        manager = desired.attributes.get(MANAGER)
        accounts = self._snapshot.ids(Kind.USER, [manager]) if manager else {}
        if manager and not accounts:  # the reference waits for the manager's account
            without = {path: each for path, each in desired.attributes.items() if path != MANAGER}
            desired = replace(desired, attributes=without)
            owned.attributes.pop(MANAGER, None)
        return user_changes(desired, owned, self._target.pending, "", accounts).changes

    @property
    def _name(self) -> str:
        """What people call them: the name to be shown, else the userName, else nothing but the key."""
        flat = self._evaluation.flat if self._evaluation else {}
        known = self._known.attributes if self._known else {}
        for attributes in (flat, known):
            if shown := attributes.get("displayName"):
                return str(shown)
        given = " ".join(str(flat[path]) for path in ("name.givenName", "name.familyName") if flat.get(path))
        name = given or str(flat.get("userName", "")) or (self._known.name if self._known else "")
        return name or self._circumstances.name()

    # -- the verdict -----------------------------------------------------------------------------

    def _verdict(self) -> str:
        called = f"{self._name} ({self._key})" if self._name not in ("", self._key) else self._key
        state = self._absent() if self._known is None or self._known.lost else self._present(self._known)
        return f"{called} {state}."

    @property
    def _place(self) -> str:
        return f"at {self._target.name}"

    @property
    def _off(self) -> str:
        return self._gone or (self._evaluation.off if self._evaluation else "")

    def _absent(self) -> str:
        """Say why there is no account.

        #  source says                -> because
        #  the entry can't be used       of what is wrong with it
        #  off, or gone                  of the rule; who is off gets no account
        #  wanted, or not known          of what keeps it from being made
        """
        lost = self._known is not None
        base = (
            f"is gone from {self._target.name}: the account was deleted there"
            if lost
            else f"is not there {self._place}"
        )
        colon = ";" if lost else ":"
        evaluation = self._evaluation
        if evaluation is not None and evaluation.unusable:
            return f"{base}{colon} {_unusable(evaluation.unusable)}"
        if self._off:
            return f"{base}{colon} {self._off}, and who is off gets no account"
        held = self._circumstances.own_holds
        change = held[0].change if held else self._changes[0] if self._changes else None
        subject = doing(change) if change else "creating the account"
        return f"{base}{colon} {subject} {self._circumstances.hindrance(change)}"

    def _present(self, known: Known) -> str:
        """Say how the account is, and how it should be where that is otherwise."""
        is_ = self._state(known)
        change = next(iter(self._changes), None)
        if self._evaluation is not None and self._evaluation.unusable and not self._gone:
            return f"{is_}, and left as it is: {_unusable(self._evaluation.unusable)}"
        if change is None:
            if known.state is State.DEACTIVATED and self._off:
                return f"{is_} because {self._off}"
            if self._circumstances.problems:
                return (
                    f"{is_}, and left as it is for a problem in the source: {self._circumstances.problems[0].problem}"
                )
            if known.state is not State.ACTIVE or self._evaluation is None:
                return is_
            return f"{is_}, as the source has it"
        hindrance = f"{doing(change)} {self._circumstances.hindrance(change)}"
        if self._off:
            return f"{is_}, although {self._off}: {hindrance}"
        if change.action is Action.REACTIVATE_USER:
            return f"{is_}, although the source has them active: {hindrance}"
        if known.state is State.PENDING and change.state is State.ACTIVE:
            return f"{is_.partition(',')[0]}, but {change.reason}: {hindrance}"
        differing = ", ".join(label(path) for path in change.after)
        return f"{is_}, but not quite as the source has it ({differing} differs): {hindrance}"

    def _state(self, known: Known) -> str:
        match known.state:
            case State.ACTIVE:
                return f"is active {self._place}"
            case State.PENDING if known.accepted:
                return f"is pending {self._place}, has accepted"
            case State.PENDING:
                invited = f"invited on {known.since:%Y-%m-%d}" if known.since else "invited"
                return f"is pending {self._place}: {invited}, has not accepted"
            case State.DEACTIVATED:
                since = f" since {known.since:%Y-%m-%d}" if known.since else ""
                return f"is switched off {self._place}{since}"

    # -- the parts -------------------------------------------------------------------------------

    def explanation(self) -> Explanation:
        circumstances = self._circumstances
        parts = (*self._parts(), *circumstances.parts())
        return Explanation(self._target.name, Kind.USER, self._key, self._name, self._verdict(), parts)

    def _parts(self) -> Iterator[Part]:
        yield from self._source_part()
        yield from self._mapping_part()
        yield from self._account_part()
        yield from self._lock_part()
        yield from self._pending_part()
        yield from self._membership_part()
        yield from self._protection_part()
        yield from self._address_part()

    def _source_part(self) -> Iterator[Part]:
        evaluation, gone = self._evaluation, self._gone
        if evaluation is None and not gone:
            return
        sentences = [gone] if gone else []
        facts: dict[str, Json] = {"missing_since": None}
        if self._known is not None and self._known.missing_since is not None:
            facts["missing_since"] = timestamp(self._known.missing_since)
        if evaluation is not None:
            entry = evaluation.entry
            sentences.append(
                f"{entry.where}, as it was read on {spoken(evaluation.at)}, the last time that it differed:"
            )
            sentences += [
                f"{name}: {', '.join(map(value_text, values))}" for name, values in sorted(entry.attributes.items())
            ]
            facts |= {"where": entry.where, "at": timestamp(evaluation.at), "attributes": entry.attributes}
        yield Part("entry", "In the source", tuple(sentences), facts)

    def _mapping_part(self) -> Iterator[Part]:
        evaluation = self._evaluation
        if evaluation is None:
            return
        sentences = [f"{label(path)}: {value_text(value)}" for path, value in evaluation.flat.items()]
        if evaluation.unusable:
            sentences.insert(0, f"{_unusable(evaluation.unusable)}: left out, and nothing is changed")
        rulings = [ruling for ruling in (evaluation.active, evaluation.scope) if ruling is not None]
        sentences += [ruling.sentence() for ruling in rulings]
        if evaluation.external is not None:
            sentences.append(self._domain(evaluation.flat, external=evaluation.external))
        wanted = evaluation.desired.state.value if evaluation.desired else None
        facts: dict[str, Json] = {
            "attributes": evaluation.flat,
            "state": wanted,
            "unusable": evaluation.unusable,
            "external": evaluation.external,
            **{ruling.name: ruling.to_json() for ruling in rulings},
        }
        yield Part("mapping", "Mapped with today's configuration", tuple(sentences), facts)

    def _domain(self, flat: Flat, *, external: bool) -> str:
        if not self._target.selection.domains.patterns:
            return "no verified_domains are listed, so nobody is external"
        listed = ", ".join(self._target.selection.domains.patterns)
        address = self._source.users.email(flat)
        return f"{address} is {'outside' if external else 'inside'} the verified domains ({listed})"

    def _account_part(self) -> Iterator[Part]:
        known = self._known
        if known is None:
            return
        since = f" since {spoken(known.since)}" if known.since else ""
        if known.lost:
            sentences = [
                f"the account {known.id} is gone, deleted there and not by syncd; it was {known.state.value}{since}"
            ]
        else:
            sentences = [f"linked to the account {known.id}; {known.state.value}{since}"]
        sentences += [f"{label(path)}: {value_text(value)}" for path, value in known.attributes.items()]
        sentences += [
            f"{label(path)} was not taken over by the target, which shows {value_text(value)}"
            for path, value in known.kept_as.items()
        ]
        differences: dict[str, Json] = {}
        for change in self._changes:
            for path, value in change.after.items():
                before = change.before.get(path)
                differences[path] = {"is": before, "should_be": value}
                sentences.append(f"{label(path)} differs: {value_text(before)}, should be {value_text(value)}")
        if sentence := self._manager():
            sentences.append(sentence)
        facts: dict[str, Json] = {
            "id": known.id,
            "userName": known.name,
            "state": known.state.value,
            "since": timestamp(known.since) if known.since else None,
            "accepted": known.accepted,
            "lost": known.lost,
            "attributes": known.attributes,
            "differences": differences,
        }
        yield Part("account", "At the target, as it last acknowledged", tuple(sentences), facts)

    def _manager(self) -> str:
        """Say who the manager is that the source names, and whether they can be named at the target."""
        attributes = self._evaluation.flat if self._evaluation else {}
        key = attributes.get(MANAGER)
        if not key:
            return ""
        manager = self._snapshot.user(key)
        if manager is None or manager.lost:
            return f"the manager {key} has no account here: the reference follows as soon as there is one"
        return f"the manager is {manager.name} ({key}), account {manager.id}"

    def _lock_part(self) -> Iterator[Part]:
        managed = self._known is not None and not self._known.lost
        if not managed:
            return
        reactions = self._target.drift
        reported = [each.value for each in _USER_DRIFT if reactions.to(each) is Reaction.REPORT]
        sentence = "managed: the source alone decides; what is changed at the target is put back by a full resync"
        if reported:
            sentence += f", but for {', '.join(reported)}, only reported"
        yield Part("lock", "Lock", (sentence,), {"managed": True, "reported": reported})

    def _pending_part(self) -> Iterator[Part]:
        known = self._known
        if known is None or known.lost or known.state is not State.PENDING:
            return
        keeps = (
            "the target itself keeps them out until they accept; a full resync sees when they have"
            if self._target.profile.pending_by_endpoint
            else "syncd keeps the account off until `syncd accept` says that they accepted"
        )
        sentences = [keeps]
        if not self._target.profile.pending_memberships:
            sentences.append("they join their groups when they have accepted")
        facts = {
            "since": timestamp(known.since) if known.since else None,
            "accepted": known.accepted,
            "by_endpoint": self._target.profile.pending_by_endpoint,
        }
        yield Part("pending", "Pending", tuple(sentences), facts)

    def _membership_part(self) -> Iterator[Part]:
        groups = groups_with(self._snapshot, Kind.USER, self._key)
        if not groups:
            return
        names = ", ".join(name for _, name in groups[:_GROUPS_SHOWN])
        more = f" and {len(groups) - _GROUPS_SHOWN} more" if len(groups) > _GROUPS_SHOWN else ""
        sentence = f"in {counted(len(groups), 'group', 'groups')}: {names}{more}"
        facts = {"count": len(groups), "groups": [{"key": key, "name": name} for key, name in groups]}
        yield Part("memberships", "Memberships", (sentence,), facts)

    def _protection_part(self) -> Iterator[Part]:
        known = self._known
        if known is None:
            return
        reason = protection(self._target.protect, self._snapshot, self._key, known.id, known)
        if not reason:
            return
        yield Part("protection", "Protected", (f"never switched off: {reason}",), {"reason": reason})

    def _address_part(self) -> Iterator[Part]:
        addresses = set(self._known.addresses) if self._known else set()
        if self._evaluation is not None and self._evaluation.flat:
            flat = self._evaluation.flat
            addresses |= {str(flat["userName"]).casefold(), self._source.users.email(flat).casefold()}
        shared = sorted(
            (address, key, state)
            for address, key, state in self._snapshot.claimants(sorted(addresses - {""}))
            if key != self._key
        )
        if not shared:
            return
        sentences = tuple(f"{address} is that of {key} ({state.value}) as well" for address, key, state in shared)
        facts = {"shared": [{"address": each[0], "key": each[1], "state": each[2].value} for each in shared]}
        yield Part("addresses", "Somebody else has the same address", sentences, facts)


def _unusable(problem: str) -> str:
    return f"the entry has {problem}" if problem.startswith("no value") else f"the entry can't be used ({problem})"
