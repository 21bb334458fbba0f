"""Profile `lucid-content`: Lucid's content access, where a group is a team."""

from __future__ import annotations

from collections.abc import Mapping
from typing import ClassVar

from scim2_models import InvalidValueException

from syncd.sandbox.members import MemberChange
from syncd.sandbox.profiles.base import Choice
from syncd.sandbox.profiles.lucid import Lucid
from syncd.sandbox.resources import GROUP, USER, Document


class LucidContent(Lucid):
    """Teams: users only, archived instead of deleted, restored when a team of the same name is created."""

    name: ClassVar[str] = "lucid-content"
    title: ClassVar[str] = "Lucid, content access"
    siblings: ClassVar[tuple[str, ...]] = ("lucid-admin",)
    space: ClassVar[str] = "team"
    choices: ClassVar[Mapping[str, Choice]] = {
        **Lucid.choices,
        "restored-members": Choice(
            "Whose members has a team that a POST restored: those it had, or those in the request?",
            ("old", "requested"),
        ),
    }

    def create(self, document: Document, members: list[str] | None) -> Document:
        """Create a new team, or restore a matching archived one."""
        if document.type == GROUP:
            for team in self.named(document.name):
                if team.archived:
                    return self._restore(team, members)
        return super().create(document, members)

    def _restore(self, team: Document, members: list[str] | None) -> Document:
        team.archived = False
        team.managed = True
        team = self.resources.update(team)
        if self.settings["restored-members"] == "requested":
            self.change_members(team, [MemberChange("replace", members or [])])
        return team

    def delete(self, document: Document) -> None:
        """Deleting a team archives it."""
        if document.type != GROUP:
            super().delete(document)
            return
        document.archived = True
        self.resources.update(document)

    def check_members(self, group: Document, ids: list[str]) -> None:
        """For teams, only user ids are supported."""
        for id_ in ids:
            if self.resources.get(id_, GROUP) is not None and self.resources.get(id_, USER) is None:
                raise InvalidValueException(detail=f"{id_}: a team holds users alone")
