"""What a sandbox is started with. Importing this costs nothing: no SCIM library is loaded."""

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
    """Which service it behaves like: a name in `syncd.sandbox.profiles.PROFILES`."""
    host: str = "127.0.0.1"
    port: int = DEFAULT_PORT
    """0 picks a free one; the line printed at the start says which."""
    state: Path | None = None
    """The SQLite file. None: a temporary one, gone when the sandbox stops."""
    tokens: tuple[str, ...] = (DEFAULT_TOKEN,)
    """Bearer tokens. Where a profile has two integrations, the second token selects the other one."""
    verified_domains: tuple[str, ...] = ()
    """Domains of the SSO configuration, `*.example.com` for subdomains; nobody is external when empty."""
    faults: Path | None = None
    """JSON file with the faults to begin with."""
    settings: Mapping[str, str] = field(default_factory=dict)
    """Answers to what a profile's documents leave open: option name to choice."""
