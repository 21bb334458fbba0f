"""The configuration in force, and reading it again. Refuses what takes effect by a restart alone."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.errors import ConfigurationError, Fault
from syncd.settings.build import Setup, read


@dataclass(eq=False)
class Configuration:
    """The configuration in force. A reload puts another `setup` in its place; what goes on keeps the one it has."""

    setup: Setup
    refused: str = ""
    """Why the configuration that was last read again is not the one in force."""


def demand_tokens(setup: Setup) -> None:
    """Raise SyncdError where a target's token can't be read."""
    for target in setup.targets:
        target.token()


def read_again(current: Setup) -> Setup:
    """Return what the configuration file says now. Raises SyncdError where that can't be taken over by reloading."""
    setup = read(current.file)
    demand_tokens(setup)
    faults = [
        Fault(key, "takes effect when the daemon is restarted, not by reloading")
        for key, old, new in (
            ("state", current.state, setup.state),
            ("control", current.settings.control, setup.settings.control),
            ("metrics", current.settings.metrics, setup.settings.metrics),
        )
        if old != new
    ]
    if faults:
        raise ConfigurationError(str(setup.file), faults)
    return setup
