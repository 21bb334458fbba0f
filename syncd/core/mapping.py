"""The mapping from a source entry to the desired state at a target. Compiled once, evaluated per changed entry.

Owns templates, rules and the check that their results fit the SCIM schema; refuses to guess: an entry that
can't be mapped is a problem of that entry and changes nobody.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass, field
from difflib import get_close_matches
from enum import StrEnum
from fnmatch import fnmatchcase
from functools import cached_property
from typing import Any, Final, TypeVar

import idna

from syncd.core.model import Attributes, Desired, Entry, Flat, GroupEntry, Json, Kind, State
from syncd.core.ownership import Apply, Ownership, WhenEmpty
from syncd.core.rules import Rule, RuleError, RuleFailed
from syncd.core.schema import MANAGER, Path, PathError, Type, parse_path
from syncd.core.templates import AmbiguousValues, Template, TemplateError

Value = str | bool | Sequence[str]
"""A template, a constant, or templates to try in turn."""
Spec = Value | Mapping[str, Value]
"""The right side of a mapping: a value, or a table with `template` or `cel`, and perhaps `when_empty` and `apply`."""
KEYS: Final = ("template", "cel", "when_empty", "apply")
"""The keys of such a table."""

MAPPING_VERSION = 1
"""Raised whenever the same specification would map an entry to something else, so that digests are renewed."""


class EntryUnusable(ValueError):
    """An entry that can't be mapped; the text says why, to be shown beside where it stands in the source."""


@dataclass(frozen=True, slots=True)
class Assignment:
    """One line of a mapping, compiled. `value` returns the JSON value, or None where there is nothing to say."""

    path: Path
    spelling: str
    attributes: frozenset[str] | None
    """The attributes that it reads, None for all of them."""
    value: Callable[[Attributes], Json]
    when_empty: WhenEmpty = WhenEmpty.CLEAR
    apply: Apply = Apply.ALWAYS


class MappingFault(ValueError):
    """One line of a mapping that can't be compiled."""


def compile_assignment(path: str, spec: Spec, kind: Kind) -> Assignment:
    """Compile one line of a mapping. Raises MappingFault."""
    try:
        target = parse_path(path, kind)
        if not isinstance(spec, Mapping):
            return Assignment(target, str(target), *_compile(target, spec))
        value, when_empty, apply = _table(str(target), spec, kind)
        return Assignment(target, str(target), *_compile(target, value), when_empty, apply)
    except (PathError, TemplateError, RuleError) as error:
        raise MappingFault(str(error)) from None


def _table(path: str, spec: Mapping[str, Value], kind: Kind) -> tuple[Value | Rule, WhenEmpty, Apply]:
    """Read a line that is a table. Raises MappingFault, RuleError."""
    for key in spec:
        if key not in KEYS:
            raise MappingFault(f"no such key in the table: `{key}`{_nearest(key, KEYS)}")
    if ("template" in spec) is ("cel" in spec):
        raise MappingFault("a table takes one of `template` and `cel`")
    when_empty, apply = _chosen(spec, "when_empty", WhenEmpty), _chosen(spec, "apply", Apply)
    if path in ("externalId", _NAMES[kind]) and (when_empty, apply) != (WhenEmpty.CLEAR, Apply.ALWAYS):
        raise MappingFault(f"`{path}` is how syncd finds what is its own: it is always written")
    return _value_of(spec), when_empty, apply


def _value_of(spec: Mapping[str, Value]) -> Value | Rule:
    """Return the template or the rule of a table. Raises MappingFault, RuleError."""
    if "cel" in spec:
        if not isinstance(rule := spec["cel"], str):
            raise MappingFault("`cel` takes a rule in quotes")
        return Rule(rule)
    template = spec["template"]
    texts = [template] if isinstance(template, str) else template if isinstance(template, list) else [None]
    if not all(isinstance(each, str) for each in texts):
        raise MappingFault('`template` takes a template "{mail}", or a list of them')
    return template


_NAMES: Final = {Kind.USER: "userName", Kind.GROUP: "displayName"}
_Choice = TypeVar("_Choice", bound=StrEnum)


def _chosen(spec: Mapping[str, Value], key: str, choices: type[_Choice]) -> _Choice:
    """Return the choice that a table makes; the first one where it makes none. Raises MappingFault."""
    options = [each.value for each in choices]
    value = spec.get(key, next(iter(choices)).value)
    if value not in options:
        wanted = " or ".join(f'"{each}"' for each in options)
        raise MappingFault(f"`{key}` must be {wanted}{_nearest(str(value), options)}")
    return choices(value)


def _nearest(name: str, known: Sequence[str]) -> str:
    found = get_close_matches(name, known, n=1)
    return f"; did you mean `{found[0]}`?" if found else ""


def _compile(path: Path, spec: Value | Rule) -> tuple[frozenset[str] | None, Callable[[Attributes], Json]]:
    """Return the attributes that a line reads, and its value as a function of them."""
    if isinstance(spec, Rule):
        return spec.attributes, lambda attributes: _checked(path, spec, attributes)
    if isinstance(spec, bool):
        if path.type is not Type.BOOLEAN:
            raise MappingFault(f"`{path}` takes text, not true or false")
        return frozenset(), lambda _: spec
    if path.type is Type.BOOLEAN:
        raise MappingFault(f"`{path}` takes true or false, or a rule in CEL that gives one")
    templates = [Template(text) for text in ([spec] if isinstance(spec, str) else spec)]
    if not templates:
        raise MappingFault("an empty list maps nothing: leave the line out")
    names = frozenset().union(*(template.attributes for template in templates))
    if path.multi:
        return names, lambda attributes: _first_list(templates, attributes)
    if len(templates) == 1:
        first = templates[0].first
        return names, lambda attributes: first(attributes) or None
    return names, lambda attributes: next((text for t in templates if (text := t.first(attributes))), None)


def _first_list(templates: Iterable[Template], attributes: Attributes) -> Json:
    for template in templates:
        if values := template.all(attributes):
            return _elements(values)
    return None


def _elements(values: Iterable[str]) -> list[Json]:
    return [{"value": value} for value in dict.fromkeys(values)]


def _checked(path: Path, rule: Rule, attributes: Attributes) -> Json:
    """Evaluate a rule of a mapping and check its result against the path's type."""
    value: Any = rule.evaluate(attributes)
    if value is None or value in ("", []):
        return None
    if path.multi:
        values = value if isinstance(value, list) else [value]
        if all(isinstance(item, str) for item in values):
            return _elements(item for item in values if item) or None
    elif path.type is Type.BOOLEAN:
        if isinstance(value, bool):
            return value
    elif isinstance(value, str):
        return value
    elif isinstance(value, int) and not isinstance(value, bool):
        return str(value)
    wanted = "a list of texts" if path.multi else "true or false" if path.type is Type.BOOLEAN else "a text"
    raise RuleFailed(f"`{rule.text}` gave {value!r}, but `{path}` takes {wanted}")


def conflicts(assignments: Sequence[Assignment]) -> list[tuple[str, str]]:
    """Return (path, problem) for every line that writes the same path as another line."""
    found = []
    seen: dict[str, str] = {}
    wholes = {a.path.attribute for a in assignments if a.path.multi}
    for assignment in assignments:
        spelling = assignment.spelling
        if spelling in seen:
            found.append((spelling, "mapped twice (attribute names are case-insensitive)"))
        seen[spelling] = spelling
        if assignment.path.filter and assignment.path.attribute in wholes:
            found.append((spelling, f"`{assignment.path.attribute}` is mapped as a whole too; keep one of the two"))
    return found


class UserMapping:
    """The compiled `[mapping.user]`."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        self.assignments = list(assignments)
        self._pairs = [(a.spelling, a.value) for a in assignments]
        self._external_id = next((a.value for a in assignments if a.spelling == "externalId"), None)
        # An element without its value (`[type eq "work"].primary` alone) means nothing, and is removed with the value.
        self._companions = [
            (a.spelling, [b.spelling for b in assignments if b.path.element == a.path.element and b is not a])
            for a in assignments
            if a.path.filter and a.path.part == "value"
        ]
        emails = [a.spelling for a in assignments if a.path.attribute == "emails" and a.path.part in ("", "value")]
        self.email_path = emails[0] if emails else "userName"

    @property
    def attributes(self) -> frozenset[str] | None:
        """The source attributes that the mapping reads, None for all."""
        return union(a.attributes for a in self.assignments)

    @cached_property
    def ownership(self) -> Ownership:
        """How far the source decides about each mapped path; `externalId` and `active` are always written."""
        return _ownership(self.assignments, "externalId", "active")

    def flat(self, key: str, attributes: Attributes) -> Flat:
        """Map the attributes of one entry. `externalId` is the key unless mapped. Raises EntryUnusable."""
        flat: Flat = {}
        try:
            for path, value in self._pairs:
                result = value(attributes)
                if result is not None:
                    flat[path] = result
        except (RuleFailed, AmbiguousValues) as error:
            raise EntryUnusable(str(error)) from None
        for path, others in self._companions:
            if path not in flat:
                for other in others:
                    flat.pop(other, None)
        if self._external_id is None:
            flat["externalId"] = key
        if "userName" not in flat:
            raise EntryUnusable("no value for userName")
        return flat

    def external_id(self, key: str, attributes: Attributes) -> str:
        """Return the mark of an entry's account, "" for no mark; also for a person who isn't mapped."""
        if self._external_id is None:
            return key
        try:
            return str(self._external_id(attributes) or "")
        except (RuleFailed, AmbiguousValues):
            return ""

    def email(self, flat: Flat) -> str:
        """Return the address that decides which domain a user belongs to: the mapped e-mail, else the userName."""
        value = flat.get(self.email_path, flat["userName"])
        return str(value[0]["value"]) if isinstance(value, list) else str(value)


def email_of(flat: Flat) -> str:
    """Return the address of a mapped user, as `UserMapping.email` does, where the mapping is not at hand."""
    for path, value in flat.items():
        if path == "emails" and value:
            return str(value[0]["value"])
        if path.startswith("emails[") and path.endswith(".value") and value:
            return str(value)
    return str(flat.get("userName", ""))


class GroupMapping:
    """The compiled `[mapping.group]`."""

    def __init__(self, assignments: Sequence[Assignment]) -> None:
        self.assignments = list(assignments)

    @property
    def attributes(self) -> frozenset[str] | None:
        return union(a.attributes for a in self.assignments)

    @cached_property
    def ownership(self) -> Ownership:
        """How far the source decides about each mapped path; `externalId` is always written."""
        return _ownership(self.assignments, "externalId")

    def flat(self, entry: GroupEntry) -> Flat:
        """Map one group. `externalId` is the key unless mapped. Raises EntryUnusable."""
        flat: Flat = {"externalId": entry.key}
        try:
            for assignment in self.assignments:
                flat[assignment.spelling] = assignment.value(entry.attributes)
        except (RuleFailed, AmbiguousValues) as error:
            raise EntryUnusable(str(error)) from None
        flat = {path: value for path, value in flat.items() if value is not None}
        if "displayName" not in flat:
            raise EntryUnusable("no value for displayName")
        return flat


def _ownership(assignments: Sequence[Assignment], *always: str) -> Ownership:
    at_creation = frozenset(a.spelling for a in assignments if a.apply is Apply.CREATE)
    kept = [a for a in assignments if a.when_empty is WhenEmpty.KEEP]
    # Without its value an element is not mapped at all: its labels stay with the value that is kept.
    elements = {a.path.element for a in kept if a.path.filter and a.path.part == "value"}
    return Ownership(
        decided=frozenset(a.spelling for a in assignments).union(always) - at_creation,
        kept=frozenset(a.spelling for a in assignments if a in kept or a.path.element in elements) - at_creation,
        at_creation=at_creation,
    )


def union(sets: Iterable[frozenset[str] | None]) -> frozenset[str] | None:
    """Return the union of attribute sets, where None stands for all attributes."""
    merged: frozenset[str] = frozenset()
    for each in sets:
        if each is None:
            return None
        merged |= each
    return merged


class Domains:
    """The verified domains of a target: `example.com` itself, `*.example.com` for its subdomains."""

    def __init__(self, patterns: Sequence[str] = ()) -> None:
        """Raises ValueError for a pattern that is no domain."""
        self.patterns = tuple(patterns)
        self._exact = set()
        self._above = []
        for pattern in patterns:
            if pattern.startswith("*."):
                self._above.append("." + ascii_domain(pattern[2:]))
            else:
                self._exact.add(ascii_domain(pattern))

    def is_external(self, address: str) -> bool:
        """Return whether an e-mail address lies outside every verified domain; False when no domain is listed.

        Raises EntryUnusable for an address without a domain: that is a fault of the entry, not an outsider.
        """
        if not self.patterns:
            return False
        local, at, domain = address.rpartition("@")
        try:
            if not (local and at):
                raise ValueError(address)
            folded = ascii_domain(domain)
        except ValueError:
            raise EntryUnusable(f"{address!r} has no domain that could be compared with verified_domains") from None
        return folded not in self._exact and not any(folded.endswith(suffix) for suffix in self._above)


def ascii_domain(domain: str) -> str:
    """Return a domain's A-label form (RFC 5891), lower case. Raises ValueError."""
    try:
        return idna.encode(domain.strip().rstrip("."), uts46=True, std3_rules=True).decode().lower()
    except idna.IDNAError as error:
        raise ValueError(f"{domain!r} is not a domain: {error}") from None


@dataclass(frozen=True, slots=True)
class Selection:
    """The people and groups that one target wants."""

    scope: Rule | None = None
    groups: tuple[str, ...] | None = None
    """Patterns of group names; None: all, (): users only."""
    domains: Domains = field(default_factory=Domains)

    def wants_group(self, name: str) -> bool:
        return self.groups is None or any(fnmatchcase(name, pattern) for pattern in self.groups)

    @property
    def wants_groups(self) -> bool:
        return self.groups is None or bool(self.groups)


def desired_user(entry: Entry, mapping: UserMapping, active: Rule | None, selection: Selection) -> Desired:
    """Return the desired state of one person at a target. Raises EntryUnusable.

    A person who is disabled or out of scope is not mapped: a faulty entry must not keep the account switched on.
    """
    try:
        reason = ""
        if active is not None and not active.holds(entry.attributes):
            reason = "disabled in the source"
        elif selection.scope is not None and not selection.scope.holds(entry.attributes):
            reason = "no longer in scope"
    except RuleFailed as error:
        raise EntryUnusable(str(error)) from None
    if reason:
        return Desired(entry.key, "", State.DEACTIVATED, {}, reason)
    flat = mapping.flat(entry.key, entry.attributes)
    external = selection.domains.is_external(mapping.email(flat))
    return Desired(entry.key, flat["userName"], State.PENDING if external else State.ACTIVE, flat)


__all__ = [
    "MANAGER",
    "Assignment",
    "Domains",
    "EntryUnusable",
    "GroupMapping",
    "MappingFault",
    "Selection",
    "Spec",
    "UserMapping",
    "compile_assignment",
    "conflicts",
    "desired_user",
    "union",
]
