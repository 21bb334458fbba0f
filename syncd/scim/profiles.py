"""Profiles: how a kind of endpoint behaves, as data. The sources of the values stand beside them."""

from __future__ import annotations

from dataclasses import dataclass, replace
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
    group_emptied_first: bool = False
    """Whether a group must have no members to be deleted."""
    requests_per_second: float = 10.0
    """For estimates."""


# Lucid's own OpenAPI description (developer.lucid.co/reference/overview-scim): PATCH is announced; a group has no
# externalId; the token alone decides which integration answers. No rate limit is published: a cautious one.
_LUCID: Final = Profile("lucid", patch=True, group_external_id=False)

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        Profile("generic", requests_per_second=50.0),
        # DELETE of an organizational group that still has members may be answered 400.
        replace(_LUCID, name="lucid-admin", group_emptied_first=True),
        replace(_LUCID, name="lucid-content"),
        # "Understanding SCIM Integration in LucidLink" (support.lucidlink.com, article 38861860730637): a user outside
        # the verified domain is pending until the invitation is accepted. Everything else is undocumented.
        Profile("lucidlink", pending_by_endpoint=True),
    )
}
