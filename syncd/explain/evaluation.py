"""A person's entry, evaluated again with the rules and the mapping of today's configuration."""

from __future__ import annotations

from dataclasses import dataclass
from datetime import datetime

from syncd.compare.rules import SourceRules, TargetRules
from syncd.core.mapping import EntryUnusable, desired_user
from syncd.core.model import Attributes, Desired, Entry, Flat, Json, State
from syncd.core.rules import Rule, RuleFailed
from syncd.report.text import value_text


@dataclass(frozen=True)
class Ruling:
    """The answer of one rule about one entry."""

    name: str
    text: str
    holds: bool | None
    """None where the rule can't be evaluated."""
    values: tuple[tuple[str, str], ...]
    """By name the values of the attributes that the rule reads; empty where the rule reads all of them."""

    @classmethod
    def of(cls, name: str, rule: Rule, attributes: Attributes) -> Ruling:
        try:
            holds: bool | None = rule.holds(attributes)
        except RuleFailed:
            holds = None
        names = sorted(rule.attributes or ())
        return cls(name, rule.text, holds, tuple((each, (attributes.get(each) or ("",))[0]) for each in names))

    def because(self) -> str:
        """Return the values that decided the rule's answer."""
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
    """An entry as it was last read, mapped with today's configuration."""

    entry: Entry
    at: datetime
    desired: Desired | None
    """None where the entry can't be used."""
    flat: Flat
    """The mapped attributes, also where the person is off; empty where the entry can't be mapped."""
    unusable: str
    """Why the entry can't be used; "" where it can."""
    external: bool | None
    """Whether the address is outside the verified domains; None where the entry has no address."""
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
    def problem(self) -> str:
        """Why the entry can't be used, as a clause about the entry."""
        if self.unusable.startswith("no value"):
            return f"the entry has {self.unusable}"
        return f"the entry can't be used ({self.unusable})"

    @property
    def off(self) -> str:
        """Why the person should have no access, as a clause; "" where they should have access."""
        if self.desired is None or self.desired.state is not State.DEACTIVATED:
            return ""
        ruling = self.active if self.active is not None and self.active.holds is False else self.scope
        if ruling is self.scope:
            return f"they are out of scope: {ruling.because()}" if ruling else self.desired.reason
        return ruling.because() if ruling else self.desired.reason
