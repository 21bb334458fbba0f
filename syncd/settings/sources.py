"""`[source]`: one class for each kind of source. Its keys are declared by the source (`syncd.sources`).

A new kind is one more class here, and one more name in `AnySource`.
"""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Annotated, Any, Final, Literal, get_args

from pydantic import Field, ValidationInfo, field_validator

from syncd.core.groups import Nesting
from syncd.settings.declared import Declared, keys_of
from syncd.settings.secrets import Secret
from syncd.settings.sections import RuleText
from syncd.sources.csv import CsvOptions
from syncd.sources.ldap.options import LdapOptions
from syncd.sources.options import Options, Reveal


class SourceSettings(Declared):
    """The keys that every kind of source has."""

    active: RuleText | None = None
    """Rule in CEL. False: the account is switched off. Unset: the preset's rule, where the source has presets; else
    everybody is active."""
    nested_groups: Nesting = Nesting.FLATTEN
    """How a group inside a group counts: `flatten` (its members are members), `keep` (it is a member) or `ignore`."""

    @field_validator("*")
    @classmethod
    def _possible(cls, value: Any, info: ValidationInfo) -> Any:
        declaration: type[Options] = cls.declaration
        name = info.field_name or ""
        if problem := declaration.contradiction(name, {**info.data, name: value}):
            raise ValueError(problem)
        return value

    def options(self, base: Path, reader: Callable[[Secret, str], Reveal]) -> Options:
        """Return the options of the source.

        `base` is the folder for relative paths; `reader` turns a secret and its key into a function that reads it.
        """

        def used(name: str) -> Any:
            value = getattr(self, name)
            if isinstance(value, Path):
                return base / value
            return reader(value, f"source.{name}") if isinstance(value, Secret) else value

        options: Options = self.declaration(**{name: used(name) for name in self.declaration.__dataclass_fields__})
        return options


@keys_of(CsvOptions)
class CsvSettings(SourceSettings):
    """`[source]` with type = "csv"."""

    type: Literal["csv"]
    """`"csv"`."""


@keys_of(LdapOptions)
class LdapSettings(SourceSettings):
    """`[source]` with type = "ldap"."""

    type: Literal["ldap"]
    """`"ldap"`."""


AnySource = Annotated[CsvSettings | LdapSettings, Field(discriminator="type")]

KINDS: Final[dict[str, type[SourceSettings]]] = {
    get_args(each.model_fields["type"].annotation)[0]: each for each in get_args(get_args(AnySource)[0])
}
"""The tables by their `type`."""


__all__ = ["KINDS", "AnySource", "CsvSettings", "LdapSettings", "SourceSettings"]
