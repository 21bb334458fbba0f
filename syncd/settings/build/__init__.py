"""From checked settings to working parts. Reads no secret before it is used, and nothing else.

sources, targets, secrets    what is built, each in a module of its own
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final

from syncd.compare.rules import SourceRules
from syncd.core.mapping import union
from syncd.core.model import Source, Wanted
from syncd.errors import ConfigurationError, Fault
from syncd.settings.build.secrets import Secrets
from syncd.settings.build.sources import source
from syncd.settings.build.targets import Target, target, with_siblings
from syncd.settings.configuration import Settings
from syncd.settings.loading import load

RUNTIME_SOCKET: Final = Path("/run/syncd/syncd.sock")
"""The socket of the service (RuntimeDirectory=syncd)."""


@dataclass(frozen=True)
class Setup:
    """A whole configuration, compiled."""

    file: Path
    state: Path
    source: Source
    rules: SourceRules
    wanted: Wanted
    targets: tuple[Target, ...]
    settings: Settings
    """The checked settings, for the keys that concern the daemon alone."""

    @property
    def base(self) -> Path:
        """The folder that relative paths are relative to."""
        return self.file.resolve().parent

    @property
    def sockets(self) -> list[Path]:
        """The places where a daemon for this configuration may have its socket: the configured one, else beside the
        state file and the service's own."""
        configured = self.settings.control.socket
        beside = self.state.parent / "syncd.sock"
        return [self.base / configured] if configured else [beside, RUNTIME_SOCKET]

    @property
    def reports(self) -> Path:
        """Where the daemon keeps its reports."""
        folder = self.settings.reports.folder
        return self.base / folder if folder else self.state.parent / "reports"

    def chosen(self, name: str | None) -> tuple[Target, ...]:
        """Return the named target, or all. Raises ConfigurationError for a name that is not configured."""
        if name is None:
            return self.targets
        found = tuple(target for target in self.targets if target.name == name)
        if not found:
            names = ", ".join(target.name for target in self.targets)
            raise ConfigurationError(str(self.file), [Fault("target", f"none is called `{name}`; there are: {names}")])
        return found


def read(file: Path) -> Setup:
    """Load and compile a configuration. Raises ConfigurationError."""
    return compile_settings(load(file), file)


def compile_settings(settings: Settings, file: Path) -> Setup:
    """Compile checked settings; paths in them are relative to the file's folder."""
    secrets = Secrets(file)
    built = source(settings.source, settings.mapping, secrets)
    targets = with_siblings([target(each, built, secrets, settings.drain) for each in settings.target])
    wanted = _wanted(built.rules, targets)
    return Setup(file, secrets.base / settings.state, built.source, built.rules, wanted, targets, settings)


def _wanted(rules: SourceRules, targets: Sequence[Target]) -> Wanted:
    """Return the attributes that the mapping and the rules refer to: no others are read."""
    scopes = [each.rules.selection.scope.attributes for each in targets if each.rules.selection.scope]
    return Wanted(
        user=union([rules.users.attributes, rules.active.attributes if rules.active else frozenset(), *scopes]),
        group=rules.groups.attributes,
    )


__all__ = ["RUNTIME_SOCKET", "Setup", "Target", "compile_settings", "read"]
