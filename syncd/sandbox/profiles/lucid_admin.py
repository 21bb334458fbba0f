"""Profile `lucid-admin`: Lucid's admin management, where a group is an organizational group."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from scim2_models import InvalidValueException

from syncd.sandbox.members import MemberChange
from syncd.sandbox.profiles.base import Choice
from syncd.sandbox.profiles.lucid import Lucid
from syncd.sandbox.resources import GROUP, USER, Document, Query


class LucidAdmin(Lucid):
    """Organizational groups: they nest, and a user is in one of them at most."""

    name: ClassVar[str] = "lucid-admin"
    title: ClassVar[str] = "Lucid, admin management"
    siblings: ClassVar[tuple[str, ...]] = ("lucid-content",)
    space: ClassVar[str] = "organizational group"
    choices: ClassVar[Mapping[str, Choice]] = {
        **Lucid.choices,
        "second-group": Choice(
            "What becomes of a user who is added to a second organizational group?", ("moved", "refused")
        ),
        "all-users-group": Choice(
            "The name of the group that is excluded: its members may be in another one too", ("All users",), free=True
        ),
        "delete-with-members": Choice(
            "What becomes of a DELETE of a group that still has members?", ("refused", "deleted")
        ),
    }

    def delete(self, document: Document) -> None:
        """Deleting an org group may fail if it still has members."""
        refused = self.settings["delete-with-members"] == "refused"
        if document.type == GROUP and refused and self.resources.members(document):
            raise InvalidValueException(detail="the organizational group still has members")
        super().delete(document)

    def change_members(self, group: Document, changes: list[MemberChange]) -> bool:
        """A user is in one organizational group at most, the excluded one apart."""
        if group.name != self.settings["all-users-group"]:
            for change in changes:
                if change.op != "remove":
                    self._leave_others(group, change.ids or [])
        return super().change_members(group, changes)

    def _leave_others(self, group: Document, ids: list[str]) -> None:
        users = [document for id_ in ids if (document := self.resources.get(id_, USER))]
        others = self.resources.groups_of(users)
        for user in users:
            for other in others.get(user.seq, []):
                if not self.shows_group(other) or other.id == group.id:
                    continue
                if other.name == self.settings["all-users-group"]:
                    continue
                if self.settings["second-group"] == "refused":
                    raise InvalidValueException(
                        detail=f"{user.id} is in the organizational group {other.name!r} already"
                    )
                (left,) = self.resources.find(Query("id = ?", [other.id]))
                self.resources.remove_members(left, [user.id])
                self.resources.touch(left)
