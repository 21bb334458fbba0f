"""Profiles: how a kind of endpoint behaves, as data. The sources of the values stand beside them.

An announced capability is a hint: announcements were found wrong in both directions. So a profile's value takes
precedence over the announcement, and an override of the configuration takes precedence over the profile.

The fields of `Profile` are declared here alone: `[target.profile_overrides]`, `docs/configuration.md` and
`docs/profiles.md` are made from them.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import Annotated, Final, Literal

from pydantic import Field

Removal = Literal["filter", "values"]
MembersRead = Literal["group", "filter", "nothing"]
Paging = Literal["index", "cursor", "single"]
Deletes = Literal["deletes", "deactivates", "nothing"]
UserFilter = Literal["userName", "externalId", "emails.value", "groups.value", "id"]
GroupFilter = Literal["displayName", "externalId", "id"]
Sibling = Literal["", "lucid-admin", "lucid-content"]
Rate = Annotated[float, Field(gt=0, le=10_000)]
"""Requests per second."""

NAMES: Final = frozenset({"name", "integration", "group_kind"})
"""The fields of a profile that are words for people, and no behaviour: nothing overrides them."""
MEMBERS_FILTER: Final = "groups.value"
"""The attribute by which the members of a group are read where groups don't show them."""


@dataclass(frozen=True, slots=True)
class Profile:
    """The behaviour of a kind of endpoint, known before it is asked. The defaults are RFC 7644's.

    Where None is a value it means: as the endpoint announces it, or shows by what it does. Every field is a key of
    `[target.profile_overrides]`, so there are many. A field's type says which values an override may have.
    """

    name: str

    # -- how changes are written
    patch: bool | None = None
    """Whether PATCH works; if not, the resource is read, merged and PUT."""
    put_groups: bool = True
    """Whether groups take PUT. Where they don't, nothing is tried after a refused PATCH."""
    patch_paths: bool = True
    """Whether an operation of a PATCH carries a path; else its value is an object of the attributes."""
    member_removal: Removal = "filter"
    """How a PATCH removes members: `members[value eq "…"]`, or the path `members` with a list of values. A strict
    endpoint reads the second as "remove all" (RFC 7644 section 3.5.2.2)."""
    member_type: bool | None = None
    """Whether a member that is added is sent with its type, `User` or `Group`. Unset: when the endpoint asks for it."""
    group_members_required: bool | None = None
    """Whether a group is created with a list of members, an empty one. Unset: when the endpoint asks for it."""
    members_per_patch: Annotated[int, Field(ge=1, le=100_000)] = 100
    """Member changes per request. AWS allows 100; few others say."""
    body_bytes: Annotated[int, Field(ge=1000)] = 1_000_000
    """The largest body of a request. 413 beyond 800,000 was seen at Miro; few others say."""
    etags: bool | None = None
    """Whether a PUT says with If-Match which version it replaces (RFC 7644 section 3.14)."""
    bulk: bool | None = None
    """Whether many changes may go into one request (RFC 7644 section 3.7)."""
    group_external_id: bool = True
    """Whether groups have an externalId (RFC 7643 section 3.1 gives one to every resource)."""
    group_emptied_first: bool = False
    """Whether a group must have no members to be deleted."""
    groups_restored: bool = False
    """Whether creating a group may bring back an archived one of that name, with its age."""
    group_rename: bool = True
    """Whether a group's displayName can be changed."""
    deletes: Deletes = "deletes"
    """The effect of DELETE on a user. Where it doesn't delete, syncd deletes nobody."""
    delete_moves_content: bool = False
    """Whether deleting an account hands its content to somebody else, such as the account's owner. Where nothing is
    named that must succeed first (`before_delete`), each deletion then waits for a person."""
    one_group_per_user: bool = False
    """Whether a user can be in one group at most."""
    leaves_first: bool = False
    """Whether a user must leave one group to be able to join another, where one is the most. If not, a user joins the
    new group first; an endpoint that refuses a second group and says so is found out."""
    subgroups: bool = True
    """Whether a group may contain groups. Only the integration that answers is recognized by it."""

    # -- which integration answers
    sibling: Sibling = ""
    """The profile of the other integration at the same address, where the token alone decides which one answers. A
    token of the other one is recognized by the groups there; `""`: no token is taken for that."""
    integration: str = ""
    """The integration's name for people, where there are two at one address."""
    group_kind: str = ""
    """The name that the integration has for its groups, in the plural."""

    # -- how things are read
    members_read: MembersRead | None = None
    """Where a group's members can be read: from the group; by a filter over users (`groups.value eq`); or not at all.
    Unset: from the group, and believed only once the endpoint has shown some."""
    answers_updates: bool = True
    """Whether an update is answered with the resource. Only estimates go by it, until the endpoint has shown it."""
    shows_active: bool | None = None
    """Whether accounts show `active`. False: switching off is taken at its word, since nobody can look. Unset: it is
    looked at, and stays unclear where the endpoint shows nothing."""
    paging: Paging | None = None
    """How a list goes on: by startIndex, by a cursor (RFC 9865), or not at all. Unset: as its answers show."""
    page_size: Annotated[int, Field(ge=1, le=10_000)] = 100
    """Resources per page of a list."""
    user_filters: tuple[UserFilter, ...] | None = None
    """Attributes by which users can be looked up; unset: all are tried."""
    group_filters: tuple[GroupFilter, ...] | None = None
    """The same for groups."""
    group_name_case: bool = False
    """Whether group names that differ in case alone are different names (RFC 7643 section 8.7.1: they aren't)."""
    group_suffix: str = ""
    """The text that the endpoint may add to the name of a pushed group. It is no rename."""
    adopt_by_email: bool = False
    """Whether an account whose e-mail matches may be taken over, in a verified domain; else userName must match."""

    # -- what removing SSO does
    sso_removal: bool = False
    """Whether removing SSO at the endpoint removes SCIM with it: managed groups and accounts that are off are deleted,
    which nobody there can do otherwise, and the other accounts are no longer managed, and have no way to sign in until
    they are invited anew."""

    # -- who is invited
    pending_by_endpoint: bool = False
    """Whether the endpoint itself keeps invited people out until they accept."""
    pending_memberships: bool = True
    """Whether invited people are put into their groups before they accept."""
    withdrawn_by_delete: bool = False
    """Whether an invitation is withdrawn by DELETE; else by `active: false`."""

    # -- how fast
    requests_per_second: Rate = 10.0
    """All requests together."""
    reads_per_second: Rate | None = None
    """GET alone; unset: only the rate of all counts."""
    user_writes_per_second: Rate | None = None
    """POST, PUT, PATCH and DELETE of users; unset: only the rate of all counts."""
    group_writes_per_second: Rate | None = None
    """The same for groups."""
    burst: Annotated[int, Field(ge=1, le=100_000)] = 1
    """The most writes to users, and to groups, at once after a rest. Counts only for the two rates above."""

    def contradictions(self) -> list[str]:
        """Return what can't be true of an endpoint, or means nothing, in clauses."""
        found = []
        if self.patch is False and not self.put_groups:
            found.append("patch = false and put_groups = false: groups could never be changed")
        if self.members_read == "filter" and self.user_filters is not None and MEMBERS_FILTER not in self.user_filters:
            found.append(
                f'members_read = "filter" asks for users by {MEMBERS_FILTER}, and `user_filters` doesn\'t name it'
            )
        if self.withdrawn_by_delete and self.deletes != "deletes":
            found.append(f'withdrawn_by_delete = true and deletes = "{self.deletes}": DELETE would withdraw nothing')
        if self.sso_removal and not self.pending_by_endpoint:
            found.append(
                "sso_removal = true and pending_by_endpoint = false: syncd would switch off who is pending then"
            )
        if self.leaves_first and not self.one_group_per_user:
            found.append("leaves_first = true and one_group_per_user = false: users can be in any number of groups")
        if self.burst > 1 and not (self.user_writes_per_second or self.group_writes_per_second):
            found.append("`burst` means nothing without user_writes_per_second or group_writes_per_second")
        if self.sibling == self.name:
            found.append(f'sibling = "{self.sibling}" is this profile itself: the other integration has another one')
        return found


# Lucid's own OpenAPI description (developer.lucid.co/reference/overview-scim): PATCH is announced; a group has no
# externalId; only `eq` filters, of groups on displayName alone, and that case-sensitive; the token alone decides which
# integration answers; DELETE of a user is final; no bulk. No rate limit is published: a cautious one.
_LUCID: Final = Profile(
    "lucid",
    patch=True,
    bulk=False,
    group_external_id=False,
    members_read="group",
    paging="index",
    user_filters=("userName", "externalId", "emails.value"),
    group_filters=("displayName",),
    group_name_case=True,
    # Lucid's help center, article 360049430652: the documents of a user who is deleted by SCIM go to the account owner.
    delete_moves_content=True,
)

PROFILES: Final[dict[str, Profile]] = {
    profile.name: profile
    for profile in (
        # RFC 7644 section 3.5.2 allows both; the reference implementation answers a PATCH with 204.
        Profile("generic", answers_updates=False, requests_per_second=50.0),
        # DELETE of an organizational group that still has members may be answered 400.
        # "A user can only be in one organizational group" (community.lucid.co, Azure org groups best practices).
        replace(
            _LUCID,
            name="lucid-admin",
            group_emptied_first=True,
            one_group_per_user=True,
            sibling="lucid-content",
            integration="Lucid's admin management",
            group_kind="organizational groups",
        ),
        # "Creates a team, or restores a matching archived, closed team." For teams, only user ids are supported.
        replace(
            _LUCID,
            name="lucid-content",
            groups_restored=True,
            subgroups=False,
            sibling="lucid-admin",
            integration="Lucid's content access",
            group_kind="teams",
        ),
        # "Understanding SCIM Integration in LucidLink" (support.lucidlink.com, article 38861860730637): a user outside
        # the verified domain is pending until the invitation is accepted; a user becomes managed when the e-mail
        # matches; pushed groups carry the suffix; removing SSO removes SCIM, and what it managed. Everything else is
        # undocumented.
        Profile(
            "lucidlink",
            pending_by_endpoint=True,
            adopt_by_email=True,
            answers_updates=False,
            group_suffix=" (SCIM)",
            sso_removal=True,
        ),
        # docs.aws.amazon.com/singlesignon/latest/developerguide: patchgroup (100 member changes a request, no
        # replace-all; value lists as awslabs/ssosync sends them), supported-apis (no PUT of groups, no bulk),
        # listgroups (members are never returned), listusers (cursors, no startIndex, pages of 100; filters).
        # Rates are not published there: a cautious one.
        Profile(
            "aws-identity-center",
            patch=True,
            put_groups=False,
            member_removal="values",
            etags=False,
            bulk=False,
            members_read="filter",
            paging="cursor",
            user_filters=("userName", "externalId", "groups.value"),
            group_filters=("displayName", "externalId"),
        ),
        # docs.github.com, "Provisioning users and groups with SCIM using the REST API": at most 1,000 users an hour
        # are assigned, one writer; deleting a user can't be undone. github.apidog.io/api-3488945: path filters of a
        # PATCH are not supported in older versions, so whole lists of values.
        Profile(
            "github-emu",
            patch=True,
            bulk=False,
            user_writes_per_second=0.25,
            group_writes_per_second=1.0,
            burst=100,
        ),
        # docs.slack.dev/reference/scim-api/rate-limits: of users 300 reads and 180 writes a minute, writes in bursts of
        # 20; 600 writes a minute of all kinds. DELETE of a user deactivates.
        Profile(
            "slack",
            bulk=False,
            deletes="deactivates",
            reads_per_second=5.0,
            user_writes_per_second=3.0,
            burst=20,
        ),
        # developer.okta.com, "SCIM 2.0" guides: apps made with the App Integration Wizard are updated by PUT alone.
        # Here the other way round: an endpoint that was built for those, and knows no PATCH.
        Profile("okta-style", patch=False, bulk=False, paging="index", user_filters=("userName", "externalId", "id")),
    )
}
