"""Profiles: how a kind of endpoint behaves, as data. The sources of the values stand beside them."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Final


@dataclass(frozen=True, slots=True)
class Profile:
    """What is known of a kind of endpoint before it is asked. The defaults are RFC 7644's."""

    name: str
    patch: bool | None = None
    """Whether PATCH works; None: as its ServiceProviderConfig says, until it proves otherwise."""
    members_per_patch: int = 100
    """Member changes per request. AWS allows 100; few others say."""
    pending_by_endpoint: bool = False
    """Whether the endpoint itself keeps invited people out until they accept."""
    group_external_id: bool = True
    """Whether groups have an externalId (RFC 7643 section 3.1 gives one to every resource)."""
    requests_per_second: float = 10.0
    """For estimates."""


PROFILES: Final[dict[str, Profile]] = {
    "generic": Profile("generic", requests_per_second=50.0),
}
