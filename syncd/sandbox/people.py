"""The people's side of an account: members and groups as administrators see them, and administrators' actions.

Owns the locks: resources that SCIM manages change in the identity provider alone. A change with support's rights
bypasses the locks, which rehearses drift. Knows nothing of HTTP.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import StrEnum
from typing import Any

from syncd.sandbox.members import GROUP_SCHEMA, USER_SCHEMA, MemberChange
from syncd.sandbox.profiles.base import Profile
from syncd.sandbox.profiles.lucid import Lucid
from syncd.sandbox.resources import GROUP, USER, Document, Linked, Query, Resources, Taken, comparable

PERMISSIONS = ("", "View", "Edit", "Admin")
"""What a user or a group may be given, from the weakest to the strongest."""
SCIM_ATTRIBUTES = {"userName", "displayName", "title", "active", "externalId"}
"""The attributes of a user that an administrator can change unless they are locked."""


class Tab(StrEnum):
    """The three tabs that members are shown in."""

    ACTIVE = "active"
    PENDING = "pending"
    DEACTIVATED = "deactivated"


IN_TAB = {
    Tab.ACTIVE: "active AND accepted",
    Tab.PENDING: "active AND NOT accepted",
    Tab.DEACTIVATED: "NOT active",
}


class Refused(Exception):
    """An action is not allowed or not possible; `str()` of the error gives the reason."""


class Locked(Refused):
    """SCIM manages the resource."""


class NotThere(Refused):
    """There is no such user or group."""


@dataclass(frozen=True, slots=True)
class Page:
    """Some members of a tab, and the number of all members."""

    total: int
    documents: list[Document]


def tab_of(user: Document) -> Tab:
    """Return which tab a user is in."""
    if not user.active:
        return Tab.DEACTIVATED
    return Tab.ACTIVE if user.accepted else Tab.PENDING


class People:
    """The views and actions of the account's administrators."""

    def __init__(self, resources: Resources, profiles: dict[str, Profile]) -> None:
        self.resources = resources
        self.profiles = {profile.space: profile for profile in profiles.values()}
        self.profile = next(iter(profiles.values()))

    # Views

    def users(self, tab: Tab | None = None, text: str = "", offset: int = 0, limit: int | None = None) -> Page:
        """Return the members of a tab (None: of all) whose name or e-mail contains a text."""
        query = Query("type = 'User'")
        if tab is not None:
            query = query.also(IN_TAB[tab])
        if text:
            wanted = comparable(text)
            has_email = "seq IN (SELECT resource FROM email WHERE instr(address, ?))"
            query = query.also(f"instr(name_key, ?) OR {has_email}", wanted, wanted)
        return Page(self.resources.count(query), self.resources.find(query, offset=offset, limit=limit))

    def groups(self) -> list[Document]:
        """Return every group of every integration, archived ones too."""
        return self.resources.find(Query("type = 'Group'"))

    def user(self, id_: str) -> Document:
        """Return a user. Raises NotThere."""
        return self._found(id_, USER)

    def group(self, id_: str) -> Document:
        """Return a group. Raises NotThere."""
        return self._found(id_, GROUP)

    def group_name(self, group: Document) -> str:
        """Return a group's name as people see it."""
        return self.profile_of(group).people_group_name(group.name, managed=group.managed)

    def profile_of(self, group: Document) -> Profile:
        """Return the integration that a group belongs to."""
        return self.profiles.get(group.space, self.profile)

    def linked_name(self, linked: Linked) -> str:
        """Return the name of a group that a user is in, as people see it."""
        profile = self.profiles.get(linked.space, self.profile)
        return profile.people_group_name(linked.name, managed=linked.managed)

    def describe_user(self, user: Document) -> dict[str, Any]:
        """Return a user as JSON."""
        groups = self.resources.groups_of([user]).get(user.seq, [])
        return {
            "id": user.id,
            "userName": user.name,
            "displayName": display_name(user),
            "emails": user.emails,
            "externalId": user.attributes.get("externalId"),
            "state": tab_of(user).value,
            "managed": user.managed,
            "owner": user.owner,
            "billed": user.active,
            "permission": user.permission,
            "effective_permission": effective_permission(user, groups),
            "has_password": user.password,
            "invitations": user.invitations,
            "groups": [{"id": group.id, "name": group.name, "managed": group.managed} for group in groups],
        }

    def describe_group(self, group: Document) -> dict[str, Any]:
        """Return a group as JSON."""
        return {
            "id": group.id,
            "name": group.name,
            "shown": self.group_name(group),
            "kind": group.space or "group",
            "managed": group.managed,
            "archived": group.archived,
            "permission": group.permission,
            "members": [
                {"id": member.id, "name": member.name, "type": member.type} for member in self.resources.members(group)
            ],
        }

    # Actions on users

    def invite(self, email: str, name: str = "") -> Document:
        """Create a native user with an invitation. Raises Refused."""
        if "@" not in email.strip("@ ") or " " in email.strip():
            raise Refused(f"{email!r} is not an e-mail address")
        if self.resources.with_email(email):
            raise Refused(f"{email} is a member already")
        attributes: dict[str, Any] = {"schemas": [USER_SCHEMA], "userName": email.strip()}
        if name.strip():
            attributes["displayName"] = name.strip()
        attributes["active"] = True
        attributes["emails"] = [{"value": email.strip(), "type": "work", "primary": True}]
        invited = Document(USER, attributes, managed=False, accepted=False, invitations=1)
        with self.resources.database.transaction():
            return self.profile.invite(invited)

    def invite_again(self, id_: str) -> Document:
        """Send a pending user another invitation. Raises Refused."""
        user = self._pending(id_)
        user.invitations += 1
        return self.resources.update(user)

    def accept(self, id_: str) -> Document:
        """Let a user accept their invitation, and choose a password. Raises Refused."""
        user = self._pending(id_)
        user.accepted = True
        user.password = True
        return self.resources.update(user)

    def change_user(self, id_: str, changes: dict[str, Any], *, force: bool = False) -> Document:
        """Change a user's permission, ownership or attributes. Raises Refused; Locked for managed attributes."""
        user = self.user(id_)
        unknown = changes.keys() - SCIM_ATTRIBUTES - {"permission", "owner"}
        if unknown:
            raise Refused(f"{', '.join(sorted(unknown))}: no such thing can be changed of a user")
        if changes.keys() & SCIM_ATTRIBUTES:
            self._check_lock(user, "changed", force=force)
        for name in changes.keys() - {"permission"}:
            kind = bool if name in ("active", "owner") else str
            if not isinstance(changes[name], kind):
                raise Refused(f"{name} has to be {'true or false' if kind is bool else 'text'}")
        if not changes.get("userName", "-"):
            raise Refused("userName can't be empty")
        _check_permission(changes.get("permission", ""))
        with self.resources.database.transaction():
            for name, value in changes.items():
                if name in SCIM_ATTRIBUTES:
                    user.attributes[name] = value
            user.permission = changes.get("permission", user.permission)
            user.owner = changes.get("owner", user.owner)
            try:
                return self.resources.update(user)
            except Taken as error:
                raise Refused(str(error)) from error

    def delete_user(self, id_: str, *, force: bool = False) -> None:
        """Delete a user. Raises Refused; Locked if SCIM manages them."""
        user = self.user(id_)
        if user.owner:
            raise Refused(f"{user.name} is the Owner, who can't be deleted")
        self._check_lock(user, "deleted", force=force)
        self.resources.delete(user)

    # Actions on groups

    def create_group(self, name: str, kind: str = "") -> Document:
        """Create a native group. Raises Refused."""
        profile = self.profiles.get(kind) if kind else self.profile
        if profile is None:
            raise Refused(f"there is no kind of group {kind!r}; there are {', '.join(self.profiles)}")
        if not name.strip():
            raise Refused("a group needs a name")
        attributes = {"schemas": [GROUP_SCHEMA], "displayName": name.strip()}
        with self.resources.database.transaction():
            group = Document(GROUP, attributes, space=profile.space, managed=False, id=profile.new_id(GROUP))
            return self.resources.create(group)

    def rename_group(self, id_: str, name: str, *, force: bool = False) -> Document:
        """Rename a group. Raises Refused; Locked if SCIM manages it."""
        group = self.group(id_)
        self._check_lock(group, "renamed", force=force)
        if not name.strip():
            raise Refused("a group needs a name")
        group.attributes["displayName"] = name.strip()
        return self.resources.update(group)

    def permit_group(self, id_: str, permission: str) -> Document:
        """Give a group's members a permission. Raises Refused.

        No lock concerns it: SCIM controls a group's name and members alone. The permission belongs to this group, and
        ends with it: a group that is created later begins with none, whatever its name.
        """
        group = self.group(id_)
        _check_permission(permission)
        group.permission = permission
        return self.resources.update(group)

    def delete_group(self, id_: str, *, force: bool = False) -> None:
        """Delete a group. Raises Refused; Locked if SCIM manages it."""
        group = self.group(id_)
        self._check_lock(group, "deleted", force=force)
        self.resources.delete(group)

    def add_member(self, group_id: str, user_id: str, *, force: bool = False) -> Document:
        """Add a user to a group. Raises Refused; Locked if SCIM manages the group."""
        return self._change_member(group_id, user_id, "add", force=force)

    def remove_member(self, group_id: str, user_id: str, *, force: bool = False) -> Document:
        """Remove a user from a group. Raises Refused; Locked if SCIM manages the group."""
        return self._change_member(group_id, user_id, "remove", force=force)

    def _change_member(self, group_id: str, user_id: str, op: str, *, force: bool) -> Document:
        group, user = self.group(group_id), self.user(user_id)
        self._check_lock(group, "given other members", force=force)
        with self.resources.database.transaction():
            change = MemberChange(op, [user.id])
            if Profile.change_members(self.profile_of(group), group, [change]):
                self.resources.touch(group)
        return group

    # Actions on the account

    def remove_sso(self) -> None:
        """Remove the SSO integration, with all consequences. Raises Refused."""
        self._check_sso(present=True)
        self.profile.remove_sso()

    def set_up_sso(self) -> None:
        """Set up the SSO integration again. Raises Refused."""
        self._check_sso(present=False)
        self.profile.set_up_sso()

    def elsewhere(self) -> list[str] | None:
        """Return the e-mail addresses of users of other accounts; None where the service has no other accounts."""
        return sorted(self.profile.elsewhere()) if isinstance(self.profile, Lucid) else None

    def set_elsewhere(self, emails: list[str]) -> None:
        """Set the e-mail addresses of users of other accounts. Raises Refused."""
        if not isinstance(self.profile, Lucid):
            raise Refused(f"profile {self.profile.name} knows no other accounts")
        self.profile.set_elsewhere({comparable(email) for email in emails})

    # Checks

    def _check_lock(self, document: Document, verb: str, *, force: bool) -> None:
        if force or not document.managed or not self.profile.locks:
            return
        name = document.name if document.type == USER else self.group_name(document)
        raise Locked(f"{name} is managed by SCIM and can't be {verb} here; do it in your identity provider")

    def _check_sso(self, *, present: bool) -> None:
        if not self.profile.has_sso:
            raise Refused(f"profile {self.profile.name} has no SSO integration")
        if self.profile.accepts_token() is not present:
            raise Refused("there is no SSO integration" if present else "the SSO integration is set up already")

    def _pending(self, id_: str) -> Document:
        user = self.user(id_)
        if tab_of(user) is not Tab.PENDING:
            raise Refused(f"{user.name} has no invitation to accept: they are {tab_of(user)}")
        return user

    def _found(self, id_: str, type_: str) -> Document:
        document = self.resources.get(id_, type_)
        if document is None:
            raise NotThere(f"there is no {type_.lower()} {id_!r}")
        return document


def effective_permission(user: Document, groups: Sequence[Linked]) -> str:
    """Return the strongest permission that a user has by themselves or through one of their groups."""
    return max([user.permission, *(group.permission for group in groups)], key=PERMISSIONS.index)


def _check_permission(permission: object) -> None:
    if permission not in PERMISSIONS:
        raise Refused(f"there is no permission {permission!r}; there are {', '.join(PERMISSIONS[1:])}")


def display_name(user: Document) -> str:
    """Return a user's name for people: the display name, the name, or an empty text."""
    attributes = user.attributes
    name = attributes.get("name") or {}
    parts = (name.get("givenName"), name.get("familyName"))
    return attributes.get("displayName") or name.get("formatted") or " ".join(part for part in parts if part)
