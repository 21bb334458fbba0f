"""The configuration in force, and its reload. Refuses changes that take effect only by a restart."""

from __future__ import annotations

from dataclasses import dataclass

from syncd.errors import ConfigurationError, Fault
from syncd.settings.build import Setup, read


@dataclass(eq=False)
class Configuration:
    """The configuration in force. A reload replaces `setup`; a running cycle keeps the `setup` it began with."""

    setup: Setup
    refused: str = ""
    """Why the last reload was refused."""


def demand_tokens(setup: Setup) -> None:
    """Raise SyncdError where a target's token can't be read."""
    for target in setup.targets:
        target.token()


def read_again(current: Setup) -> Setup:
    """Return the configuration file's present content. Raises SyncdError where a reload can't apply it."""
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
