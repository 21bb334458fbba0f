"""The options of a sandbox. Importing this module loads no SCIM library."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from pathlib import Path

DEFAULT_TOKEN = "sandbox-token"  # noqa: S105 - a service on loopback whose token is printed when it starts
DEFAULT_PORT = 8765
SCIM_PATH = "/scim/v2"


@dataclass(frozen=True, slots=True)
class SandboxOptions:
    """How to start one sandbox; every field has a usable default."""

    profile: str = "generic"
    """The service to imitate: a name in `syncd.sandbox.profiles.PROFILES`."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0 picks a free port; the line printed at the start names the port."""
    state: Path | None = None
    """The SQLite file. None: a temporary file, removed when the sandbox stops."""
    tokens: tuple[str, ...] = (DEFAULT_TOKEN,)
    """Bearer tokens. Where a profile has two integrations, the second token selects the other one."""
    verified_domains: tuple[str, ...] = ()
    """Domains of the SSO configuration, `*.example.com` for subdomains. Without domains, no user is external."""
    faults: Path | None = None
    """JSON file with the initial faults."""
    habits: tuple[str, ...] = ()
    """Names of `syncd.sandbox.habits.HABITS`: their rules are the first of the initial faults."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Options for behaviour that a profile's documents leave open: option name to choice."""
