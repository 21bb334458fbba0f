"""From the settings of a source and a mapping to the source, and to the compiled rules for its entries."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.compare.rules import SourceRules
from syncd.core.mapping import MAPPING_VERSION, GroupMapping, Spec, UserMapping, compile_assignment
from syncd.core.model import Kind, Source
from syncd.core.rules import Rule
from syncd.settings.build.secrets import Secrets
from syncd.settings.mapping import MappingSettings
from syncd.settings.sources import SourceSettings


@dataclass(frozen=True)
class Schemes:
    """All of a mapping that decides what an entry becomes, as written. A new mapping compares everybody again."""

    users: list[object]
    groups: list[object]


@dataclass(frozen=True)
class SourceSetup:
    """A source, and what becomes of its entries."""

    source: Source
    rules: SourceRules
    schemes: Schemes


def source(settings: SourceSettings, mapping: MappingSettings, secrets: Secrets) -> SourceSetup:
    """Return the source and its compiled rules. Reads nothing."""
    options = settings.options(secrets.base, secrets.password)
    usual = options.conventions()
    active = settings.active if settings.active is not None else usual.active
    groups: dict[str, Spec] = dict(mapping.group)
    if not any(path.casefold() == "displayname" for path in groups):
        groups["displayName"] = f"{{{usual.group_name}}}"
    rules = SourceRules(
        UserMapping([compile_assignment(path, spec, Kind.USER) for path, spec in mapping.user.items()]),
        GroupMapping([compile_assignment(path, spec, Kind.GROUP) for path, spec in groups.items()]),
        Rule(active) if active else None,
        settings.nested_groups,
    )
    schemes = Schemes(
        users=[MAPPING_VERSION, mapping.user, active],
        groups=[MAPPING_VERSION, groups, settings.nested_groups.value],
    )
    return SourceSetup(options.source(), rules, schemes)


__all__ = ["Schemes", "SourceSetup", "source"]
