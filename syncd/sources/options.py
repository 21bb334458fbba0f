"""How a source declares its keys: one frozen dataclass, whose fields are the keys of its `[source]` table.

Owns what these dataclasses have in common. A field's type says which single values are allowed, with pydantic's checks
(`Annotated[int, Field(ge=1)]`); the text below the field says what the key means. `syncd.settings` makes the table
from the fields, and `docs/configuration.md` is made from the table.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, fields
from typing import Any

from syncd.core.model import Source
from syncd.errors import Fault

Reveal = Callable[[], str]
"""Reads a secret, each time that it is needed. In the configuration: where the secret is."""


@dataclass(frozen=True, slots=True)
class Conventions:
    """The defaults of a kind of source for keys that every source has."""

    active: str = ""
    """The rule `active` in CEL. Empty: everybody is active."""
    group_name: str = "name"
    """The attribute with a group's name."""


class Options:
    """The base of the dataclasses. A field of type Path is relative to the configuration; it arrives resolved."""

    __slots__ = ()

    @classmethod
    def contradiction(cls, name: str, known: Mapping[str, Any]) -> str:
        """Return why the field `name` contradicts a field above it, "" where it doesn't.

        `known` holds that field and the fields above it, without those that are wrong themselves.
        """
        return ""

    def faults(self) -> list[Fault]:
        """Return each contradiction, under the key of its field."""
        found, known = [], {}
        for each in fields(self):  # type: ignore[arg-type]
            known[each.name] = getattr(self, each.name)
            if problem := self.contradiction(each.name, known):
                found.append(Fault(f"source.{each.name}", problem))
        return found

    def conventions(self) -> Conventions:
        """Return the defaults for keys that every source has."""
        return Conventions()

    def source(self) -> Source:
        """Return the source. Nothing is opened or read yet."""
        raise NotImplementedError


__all__ = ["Conventions", "Options", "Reveal"]
