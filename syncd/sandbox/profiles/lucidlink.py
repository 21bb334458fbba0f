"""Profile `lucidlink`: users keyed by e-mail, pending outside the verified domains, groups marked ` (SCIM)`.

Each rule follows a sentence of "Understanding SCIM Integration in LucidLink" (support.lucidlink.com, article
38861860730637). Where the article is silent, an option of the profile lists the possible behaviours.
"""

from __future__ import annotations

from collections.abc import Mapping
from fnmatch import fnmatchcase
from typing import ClassVar

from scim2_models import ConflictException, ForbiddenException, InvalidValueException, UniquenessException

from syncd.sandbox.members import MemberChange
from syncd.sandbox.profiles.base import Choice, Json, Profile
from syncd.sandbox.resources import GROUP, USER, Document, Linked, Query

SUFFIX = " (SCIM)"
DISCOVERY = frozenset({"ServiceProviderConfig", "Schemas", "ResourceTypes"})


class LucidLink(Profile):
    """A LucidLink workspace with an SSO integration and SCIM."""

    name: ClassVar[str] = "lucidlink"
    title: ClassVar[str] = "LucidLink workspace"
    endpoints: ClassVar[frozenset[str]] = frozenset({"Users", "Groups"}) | DISCOVERY
    unindexed: ClassVar[frozenset[str]] = frozenset({"displayname"})
    has_sso: ClassVar[bool] = True
    choices: ClassVar[Mapping[str, Choice]] = {
        "active-while-pending": Choice("What does active show while a user is pending?", ("as-sent", "false")),
        "suffix-in-api": Choice("Does displayName carry the suffix (SCIM) in the API?", ("no", "yes")),
        "natives-in-api": Choice("Does the API show native users and groups?", ("shown", "hidden")),
        "deleted-by-scim": Choice("What does DELETE /Users/{id} do?", ("deleted", "deactivated")),
        "owner": Choice("What becomes of a DELETE or deactivation of the Owner?", ("refused", "done")),
        "discovery": Choice("Are there discovery endpoints?", ("offered", "absent")),
        "marks-after-removal": Choice("What becomes of externalId when SSO is removed?", ("dropped", "kept")),
        "token-after-removal": Choice("Which token is good once SSO is set up again?", ("same", "new")),
    }

    # Announcements

    def has_endpoint(self, name: str) -> bool:
        """Discovery endpoints are not documented."""
        absent = name in DISCOVERY and self.settings["discovery"] == "absent"
        return super().has_endpoint(name) and not absent

    def accepts_token(self) -> bool:
        """SCIM is an extension of the SSO integration: SCIM requires SSO."""
        return self.sso()

    def token(self, first: str) -> str:
        """Whether a new integration has a token of its own is not documented."""
        return first + self.resources.database.setting("token-suffix")

    def config(self) -> Json:
        """Return a cautious ServiceProviderConfig: none is documented."""
        bulk = {"supported": False, "maxOperations": 0, "maxPayloadSize": 0}
        return {**super().config(), "bulk": bulk, "sort": {"supported": False}}

    # Presentation

    def addressable(self, type_: str) -> Query:
        """Whether the API shows native users and groups is not documented."""
        query = super().addressable(type_)
        return query.also("managed") if self.settings["natives-in-api"] == "hidden" else query

    def shows_group(self, group: Linked) -> bool:
        """A managed user may be in native groups, too."""
        return group.managed or self.settings["natives-in-api"] == "shown"

    def group_name(self, name: str, *, managed: bool) -> str:
        """A pushed group has the suffix; whether the API shows the suffix is not documented."""
        return name + SUFFIX if managed and self.settings["suffix-in-api"] == "yes" else name

    def show(self, document: Document, body: Json) -> None:
        """The value of `active` for a pending user is not documented."""
        if document.type == GROUP:
            body["displayName"] = self.group_name(document.name, managed=document.managed)
        elif not document.accepted and self.settings["active-while-pending"] == "false":
            body["active"] = False

    # Changes

    def create(self, document: Document, members: list[str] | None) -> Document:
        """A user becomes SCIM managed when their e-mail matches; a group is created with the suffix."""
        if document.type == GROUP:
            return super().create(document, members)
        address = _address(document)
        for holder in self.resources.with_email(address):
            if holder.managed:
                raise UniquenessException(detail=f"{address} is a SCIM managed user already")
            return self._adopt(holder, document)
        if self.external(address):
            document.accepted = False
            document.invitations = 1
        return super().create(document, members)

    def _adopt(self, native: Document, wanted: Document) -> Document:
        """Make a native user SCIM managed: the user keeps the id, every permission and every group."""
        before = self.resources.get(native.id)
        native.attributes = wanted.attributes
        native.password |= wanted.password
        return self.update(native, before or native, None)

    def update(self, document: Document, before: Document, members: list[str] | None) -> Document:
        """Store a new state; refuse a native group, which belongs to the workspace alone."""
        if document.type == GROUP:
            self._refuse_native(before)
            if self.settings["suffix-in-api"] == "yes":
                document.attributes["displayName"] = document.name.removesuffix(SUFFIX)
        return super().update(document, before, members)

    def written_without_effect(self, document: Document) -> Document:
        """A user becomes SCIM managed by being sent, whether or not a value differs."""
        if document.type == USER and not document.managed:
            document.managed = True
            return self.resources.update(document)
        return document

    def change_members(self, group: Document, changes: list[MemberChange]) -> bool:
        """Change the members of a pushed group."""
        self._refuse_native(group)
        return super().change_members(group, changes)

    def delete(self, document: Document) -> None:
        """The effect of a DELETE on a user, and on the Owner, is not documented."""
        if document.type == GROUP:
            self._refuse_native(document)
        elif document.owner and self.settings["owner"] == "refused":
            raise ConflictException(detail="the Owner of the workspace can't be deleted")
        elif self.settings["deleted-by-scim"] == "deactivated":
            document.attributes["active"] = False
            self.resources.update(document)
            return
        super().delete(document)

    def check(self, document: Document, before: Document | None) -> None:
        """Check a user's e-mail, the Owner, and a pushed group's name."""
        if document.type == USER:
            address = _address(document)
            if any(holder.seq != document.seq for holder in self.resources.with_email(address)):
                raise UniquenessException(detail=f"{address} is another user of the workspace")
            if document.owner and not document.active and self.settings["owner"] == "refused":
                raise ConflictException(detail="the Owner of the workspace can't be deactivated")
        elif before is None or before.name != document.name:
            named = Query("type = 'Group' AND managed AND name = ? AND seq <> ?", [document.name, document.seq])
            if self.resources.find(named):
                raise UniquenessException(detail=f"a SCIM group {document.name!r} exists already")

    @staticmethod
    def _refuse_native(group: Document) -> None:
        if not group.managed:
            raise ForbiddenException(detail=f"the group {group.name!r} is native and not managed by SCIM")

    # Domains and SSO

    def external(self, address: str) -> bool:
        """Whether an address is outside the verified SSO domains; without verified domains, no address is outside."""
        domain = address.rpartition("@")[2].lower()
        verified = [each.lower() for each in self.options.verified_domains]
        return bool(verified) and not any(fnmatchcase(domain, each) for each in verified)

    def people_group_name(self, name: str, *, managed: bool) -> str:
        """A pushed group is displayed with the suffix."""
        return name + SUFFIX if managed else name

    def sso(self) -> bool:
        """Whether there is an SSO integration."""
        return self.resources.database.setting("sso", "on") == "on"

    def remove_sso(self) -> None:
        """Remove the SSO integration, and SCIM with it.

        All SCIM groups are deleted; all deactivated users are permanently deleted, except the Owner; active users
        are no longer managed, and those without a password are pending again, until they are invited anew. Whether
        SCIM's own knowledge of the users remains is not documented.
        """
        with self.resources.database.transaction():
            self.resources.database.set_setting("sso", "off")
            for group in self.resources.find(Query("type = 'Group' AND managed")):
                self.resources.delete(group)
            for user in self.resources.find(Query("type = 'User' AND NOT active AND NOT owner")):
                self.resources.delete(user)
            for user in self.resources.find(Query("type = 'User' AND managed")):
                user.managed = False
                if self.settings["marks-after-removal"] == "dropped":
                    user.attributes.pop("externalId", None)
                user.accepted = user.accepted and (user.password or user.owner)
                self.resources.update(user)

    def set_up_sso(self) -> None:
        """Set up the SSO integration and SCIM again, with the previous token or a new one."""
        database = self.resources.database
        with database.transaction():
            database.set_setting("sso", "on")
            if self.settings["token-after-removal"] == "new":
                number = int(database.setting("token-suffix", "-1").removeprefix("-"))
                database.set_setting("token-suffix", f"-{number + 1}")


def _address(user: Document) -> str:
    """Return the e-mail address that a user is matched by: the primary one, the first, or the userName."""
    emails = user.attributes.get("emails") or []
    primary = [email for email in emails if email.get("primary")]
    address: str = (primary or emails or [{}])[0].get("value") or user.name
    if "@" not in address:
        raise InvalidValueException(detail="a user needs an e-mail address")
    return address
