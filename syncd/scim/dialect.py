"""Dialect: what one endpoint was seen to do, beside its profile. Pure.

Learned per ability, and only once the effect was seen; forgotten when the profile or an override changes.

#  ability                                             names
#  users, groups                                         updates of attributes
#  users.emails, groups.displayName, users.urn:…:User    updates of one attribute, or of one extension
#  users.active                                          switching on and off
#  users.create, users.delete, groups.create, …          creating and deleting
#  members.add, members.remove                           changes of members
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass, field
from enum import StrEnum
from typing import Final, Self

from syncd.core.digest import fingerprint
from syncd.core.model import Json, Kind
from syncd.core.schema import parse_path
from syncd.scim.profiles import Profile


class Form(StrEnum):
    """A form in which clients send a change."""

    PATH = "path"
    """PATCH, an operation for each path (RFC 7644 section 3.5.2)."""
    WHOLE = "whole"
    """PATCH that replaces the attribute, or the list, as a whole."""
    OBJECT = "object"
    """PATCH without a path: an object of whole attributes."""
    PUT = "put"
    """The whole resource."""
    TYPED = "typed"
    """Members with their type."""
    LISTED = "listed"
    """A group is created with a list of members, an empty one."""


_FORMS: Final = {
    Form.PATH: "by PATCH, path by path",
    Form.WHOLE: "by PATCH of the whole attribute",
    Form.OBJECT: "by PATCH without paths",
    Form.PUT: "by PUT of the whole resource",
    Form.TYPED: "with each member's type",
    Form.LISTED: "with an empty list of members",
}
_ABILITIES: Final = {
    "users": "accounts are changed",
    "groups": "groups are changed",
    "users.active": "accounts are switched on and off",
    "users.create": "accounts are created",
    "users.delete": "accounts are deleted",
    "groups.create": "groups are created",
    "groups.delete": "groups are deleted",
    "members.add": "members are added",
    "members.remove": "members are removed",
}


@dataclass
class Dialect:
    """The dialect of one endpoint."""

    forms: dict[str, Form] = field(default_factory=dict)
    """By ability, the form that had an effect where the usual one had none."""
    truthful: set[str] = field(default_factory=set)
    """Abilities of which a look has shown that the endpoint does as it answers."""
    silent: set[str] = field(default_factory=set)
    """Abilities whose writes are answered without showing the effect."""
    showing: set[str] = field(default_factory=set)
    """Abilities whose writes are answered with their effect."""
    dropped: set[str] = field(default_factory=set)
    """Attributes that the endpoint accepts and doesn't keep, in no form."""
    leaves_first: bool = False
    """Whether a person must leave one group before joining another: the endpoint refused the second group."""
    news: bool = False
    """Whether anything was learned since the last `to_json`."""

    @classmethod
    def known(cls, discovery: Mapping[str, Json], profile: Profile) -> Self:
        """Return the dialect that was learned under this very profile; else an empty one."""
        kept = discovery.get("dialect")
        if not isinstance(kept, dict) or kept.get("profile") != _mark(profile):
            return cls()
        return cls(
            {ability: Form(form) for ability, form in kept.get("forms", {}).items()},
            set(kept.get("truthful", ())),
            set(kept.get("silent", ())),
            set(kept.get("showing", ())),
            set(kept.get("dropped", ())),
            kept.get("leaves_first") is True,
        )

    def to_json(self, profile: Profile) -> Json:
        self.news = False
        # Written only where it is so: what was learned of other endpoints stays the same text.
        leaves_first = {"leaves_first": True} if self.leaves_first else {}
        return {
            "profile": _mark(profile),
            "forms": {ability: self.forms[ability].value for ability in sorted(self.forms)},
            "truthful": sorted(self.truthful),
            "silent": sorted(self.silent),
            "showing": sorted(self.showing),
            "dropped": sorted(self.dropped),
            **leaves_first,
        }

    def form(self, *abilities: str) -> Form | None:
        """Return the learned form of the first of these abilities that has one; None: the usual form."""
        return next((self.forms[each] for each in abilities if each in self.forms), None)

    def learn(self, ability: str, form: Form) -> None:
        """Remember the form of an ability, whose effect was seen."""
        self.news = self.news or self.forms.get(ability) is not form
        self.forms[ability] = form

    def note_answer(self, ability: str, *, shown: bool) -> None:
        """Remember whether the answer to a write showed its effect."""
        now, then = (self.showing, self.silent) if shown else (self.silent, self.showing)
        if ability not in now or ability in then:
            self.news = True
            now.add(ability)
            then.discard(ability)

    def trust(self, ability: str) -> None:
        """Remember that a look has shown the effect of a write, as it was answered."""
        self.news = self.news or ability not in self.truthful
        self.truthful.add(ability)

    def distrust(self, ability: str) -> None:
        """Remember that a write was answered with success, and had no effect."""
        self.news = self.news or ability in self.truthful
        self.truthful.discard(ability)

    def unlearn(self, ability: str) -> None:
        """Forget the form of an ability: the usual one has an effect."""
        self.news = self.news or ability in self.forms
        self.forms.pop(ability, None)

    def drop(self, ability: str) -> None:
        """Remember that the endpoint keeps an attribute in no form."""
        self.news = self.news or ability not in self.dropped
        self.dropped.add(ability)

    def leave_first(self) -> None:
        """Remember that the endpoint refuses a second group: a person leaves one before joining another."""
        self.news = self.news or not self.leaves_first
        self.leaves_first = True

    def looks(self, ability: str, *, always: bool, shows: bool) -> bool:
        """Return whether a write is followed by a look, as far as is known before it is sent.

        `always`: the effect is one that is looked at whenever the answer doesn't show it. `shows`: whether answers show
        the effect, as far as the profile knows.
        """
        silent = ability in self.silent or not (shows or ability in self.showing)
        return silent and (always or ability not in self.truthful)

    def peculiarities(self) -> list[str]:
        """Return in which forms the endpoint takes changes, and what it doesn't keep, a clause for each thing."""
        said = [f"{_doing(ability)} {_FORMS[form]}" for ability, form in sorted(self.forms.items())]
        if self.leaves_first:
            said.append("a second group is refused, so people leave one group before they join another")
        if self.dropped:
            said.append(f"accepted and not kept: {', '.join(map(_name, sorted(self.dropped)))}")
        return said

    def in_words(self) -> list[str]:
        """Return all that was learned, a clause for each thing; answers without an effect are nothing unusual."""
        said = self.peculiarities()
        if self.silent:
            when = ", ".join(map(_doing, sorted(self.silent)))
            said.append(f"answers don't show the effect, so it is looked at, when {when}")
        return said

    @staticmethod
    def is_outdated(discovery: Mapping[str, Json], profile: Profile) -> bool:
        """Return whether something was learned under another profile or other overrides: it counts as forgotten."""
        kept = discovery.get("dialect")
        return isinstance(kept, dict) and kept.get("profile") != _mark(profile)


def _doing(ability: str) -> str:
    """Return an ability as a clause: "members are removed", "title of accounts is changed"."""
    if ability in _ABILITIES:
        return _ABILITIES[ability]
    resource, _, attribute = ability.partition(".")
    return f"{_name(attribute)} of {'groups' if resource == 'groups' else 'accounts'} is changed"


def _name(attribute: str) -> str:
    """Return an attribute without its schema; an extension by the last part of its URN."""
    if not attribute.startswith("urn:"):
        return attribute
    _, found, name = attribute.rpartition(":User:")
    return name if found else f"the extension {':'.join(attribute.split(':')[-3:])}"


def member_form(profile: Profile, *, patch: bool, dialect: Dialect, adding: bool, learned: bool = True) -> Form:
    """Return the form in which members are added or removed; `learned`: the endpoint's own, else the profile's.

    `patch`: whether the endpoint takes PATCH.
    """
    known = dialect.form("members.add" if adding else "members.remove") if learned else None
    if known is not None and (known is not Form.PUT or profile.put_groups):
        return known
    if not patch and profile.put_groups:
        return Form.PUT
    return Form.TYPED if adding and profile.member_type else Form.PATH


AREAS: Final = {Kind.USER: "users", Kind.GROUP: "groups"}
_abilities: dict[tuple[Kind, str], str] = {(Kind.USER, "active"): "users.active"}


def ability_of(kind: Kind, path: str) -> str:
    """Return the ability of writing an attribute; the attributes of an extension are one."""
    found = _abilities.get((kind, path))
    if found is None:
        parsed = parse_path(path, kind)
        found = _abilities[kind, path] = f"{AREAS[kind]}.{parsed.schema or parsed.attribute}"
    return found


def forms_of(kind: Kind, path: str, profile: Profile, *, patch: bool, dialect: Dialect) -> tuple[Form, ...]:
    """Return the forms in which an attribute may be written, the first choice first; none may cost another value.

    `patch`: whether the endpoint takes PATCH, as far as it is known.

    #  the endpoint                     forms, in order
    #  takes PATCH                         path, whole (a list, a part, an extension), object, PUT
    #  takes PATCH without paths alone     object, PUT
    #  takes no PATCH                      PUT; PATCH, where nobody but the endpoint's announcement says so
    #  takes no PUT of groups              the same without PUT

    The form that was learned comes first.
    """
    parsed = parse_path(path, kind) if path != "active" else None
    complex_ = parsed is not None and bool(parsed.filter or parsed.part or parsed.schema or parsed.multi)
    usual = [Form.PATH, *([Form.WHOLE] if complex_ else []), Form.OBJECT] if profile.patch_paths else [Form.OBJECT]
    put = [Form.PUT] if kind is Kind.USER or profile.put_groups else []
    without_put = usual if patch or profile.patch is None or not put else []
    forms = [*without_put, *put] if patch else [*put, *without_put]
    learned = dialect.form(ability_of(kind, path), AREAS[kind])
    if learned in forms:
        forms.sort(key=lambda form: form is not learned)
    return tuple(forms)


def _mark(profile: Profile) -> str:
    return fingerprint(asdict(profile)).hex()


__all__ = ["AREAS", "Dialect", "Form", "ability_of", "forms_of", "member_form"]
