"""The action of each form of the page, and the sentence that reports the result."""

from __future__ import annotations

from collections.abc import Callable

import orjson

from syncd.sandbox.faults import Faults, parse
from syncd.sandbox.people import People, Refused
from syncd.sandbox.requestlog import RequestLog
from syncd.sandbox.resources import Query

Fields = dict[str, str]


class Actions:
    """The forms' actions, each from fields to a sentence; `support` bypasses the locks. Actions raise Refused."""

    def __init__(self, people: People, log: RequestLog, faults: Faults, *, support: bool) -> None:
        self.people = people
        self.log = log
        self.faults = faults
        self.support = support

    # Users

    def invite(self, fields: Fields) -> str:
        return f"{self.people.invite(fields['email'], fields['name']).name} is invited"

    def invite_again(self, fields: Fields) -> str:
        return f"{self.people.invite_again(fields['which']).name} is invited again"

    def accept(self, fields: Fields) -> str:
        return f"{self.people.accept(fields['which']).name} has accepted the invitation"

    def permission(self, fields: Fields) -> str:
        changed = self.people.change_user(fields["which"], {"permission": fields["value"]})
        return f"{changed.name} has the permission {changed.permission or 'None'}"

    def activate(self, fields: Fields) -> str:
        return f"{self._set_active(fields, active=True)} is activated"

    def deactivate(self, fields: Fields) -> str:
        return f"{self._set_active(fields, active=False)} is deactivated"

    def _set_active(self, fields: Fields, *, active: bool) -> str:
        return self.people.change_user(fields["which"], {"active": active}, force=self.support).name

    def owner(self, fields: Fields) -> str:
        before = self.people.user(fields["which"])
        changed = self.people.change_user(before.id, {"owner": not before.owner})
        return f"{changed.name} is {'the Owner' if changed.owner else 'no longer the Owner'}"

    def delete_user(self, fields: Fields) -> str:
        name = self.people.user(fields["which"]).name
        self.people.delete_user(fields["which"], force=self.support)
        return f"{name} is deleted"

    # Groups

    def create_group(self, fields: Fields) -> str:
        return f"{self.people.create_group(fields['name'], fields.get('kind', '')).name} is created"

    def rename_group(self, fields: Fields) -> str:
        renamed = self.people.rename_group(fields["which"], fields["value"], force=self.support)
        return f"The group is called {self.people.group_name(renamed)}"

    def group_permission(self, fields: Fields) -> str:
        group = self.people.permit_group(fields["which"], fields["value"])
        return f"The members of {self.people.group_name(group)} have the permission {group.permission or 'None'}"

    def delete_group(self, fields: Fields) -> str:
        name = self.people.group_name(self.people.group(fields["which"]))
        self.people.delete_group(fields["which"], force=self.support)
        return f"{name} is deleted"

    def add_member(self, fields: Fields) -> str:
        user = self._who(fields["user"])
        group = self.people.add_member(fields["which"], user, force=self.support)
        return f"{self.people.user(user).name} is in {self.people.group_name(group)}"

    def remove_member(self, fields: Fields) -> str:
        group = self.people.remove_member(fields["which"], fields["user"], force=self.support)
        return f"{self.people.user(fields['user']).name} is no longer in {self.people.group_name(group)}"

    def _who(self, text: str) -> str:
        """Return the id of a user who is named by id or userName. Raises Refused."""
        query = Query("type = 'User' AND (id = ? OR name = ?)", [text, text])
        found = self.people.resources.find(query, limit=1)
        return found[0].id if found else self.people.user(text).id

    # The account and the instruments

    def remove_sso(self, fields: Fields) -> str:
        self.people.remove_sso()
        return "The SSO integration is removed"

    def set_up_sso(self, fields: Fields) -> str:
        self.people.set_up_sso()
        return "SSO and SCIM are set up again"

    def clear_requests(self, fields: Fields) -> str:
        self.log.clear()
        return "The log is empty"

    def clear_faults(self, fields: Fields) -> str:
        self.faults.rules = []
        return "Nothing goes wrong on purpose any more"

    def set_faults(self, fields: Fields) -> str:
        try:
            self.faults.rules = parse(orjson.loads(fields["value"]), "the form")
        except orjson.JSONDecodeError as error:
            raise Refused(f"line {error.lineno}, column {error.colno}: not JSON: {error.msg}") from error
        return f"Faults in force: {len(self.faults.rules)}"

    def rehearse(self, fields: Fields) -> str:
        name = fields["habit"]
        self.faults.rules = [*self.faults.rules, *parse([{"habit": name}], "the form")]
        return f"The endpoint has the habit {name}"

    def switch_support(self, fields: Fields) -> str:
        return ""


ACTIONS: dict[str, Callable[[Actions, Fields], str]] = {
    action.__name__: action
    for action in (
        Actions.invite,
        Actions.invite_again,
        Actions.accept,
        Actions.permission,
        Actions.activate,
        Actions.deactivate,
        Actions.owner,
        Actions.delete_user,
        Actions.create_group,
        Actions.rename_group,
        Actions.group_permission,
        Actions.delete_group,
        Actions.add_member,
        Actions.remove_member,
        Actions.remove_sso,
        Actions.set_up_sso,
        Actions.clear_requests,
        Actions.clear_faults,
        Actions.set_faults,
        Actions.rehearse,
        Actions.switch_support,
    )
}
"""The actions that a form may request, by name. No other method can be called."""
