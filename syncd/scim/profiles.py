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
    group_suffix: str = ""
    """What the endpoint may add to the name of a pushed group: no rename."""
    one_group_per_user: bool = False
    """Whether a user can be in one group at most."""
    adopt_by_email: bool = False
    """Whether an account whose e-mail matches may be taken over, in a verified domain; else userName must match."""
    pending_memberships: bool = True
    """Whether invited people are put into their groups before they accept."""
    withdrawn_by_delete: bool = False
    """Whether an invitation is withdrawn by DELETE; else by `active: false`."""
    members_shown: bool | None = None
    """Whether a group's members can be read; None: believed only of an endpoint that has shown some."""
    page_size: int = 100
    """Resources per page of a list."""
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
        # "A user can only be in one organizational group" (community.lucid.co, Azure org groups best practices).
        replace(_LUCID, name="lucid-admin", group_emptied_first=True, one_group_per_user=True, members_shown=True),
        replace(_LUCID, name="lucid-content", members_shown=True),
        # "Understanding SCIM Integration in LucidLink" (support.lucidlink.com, article 38861860730637): a user outside
        # the verified domain is pending until the invitation is accepted; a user becomes managed when the e-mail
        # matches; pushed groups carry the suffix. Everything else is undocumented.
        Profile("lucidlink", pending_by_endpoint=True, adopt_by_email=True, group_suffix=" (SCIM)"),
    )
}
