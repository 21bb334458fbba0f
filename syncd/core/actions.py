"""The actions: everything that syncd can do to a resource at a target, one row per action.

A row holds every fact about its action that does not depend on the single change: planning, policy, reports, notices
and the push look it up here. A new action is a row here and its carrying out in `push/`.
"""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum, IntEnum, StrEnum, auto
from typing import Final, Self

from syncd.core.limits import Class
from syncd.core.model import Kind


class Effect(Enum):
    """The kind of an action: its effect on the resource, and the meaning of a change's `before` and `after`."""

    CREATE = auto()
    """Creates the resource: `before` is empty, `after` holds every attribute. Not idempotent: twice makes two."""
    ADOPT = auto()
    """Links an existing resource: `before` and `after` hold every path that syncd writes from now on."""
    ALTER = auto()
    """Changes attributes of a linked resource: `before` and `after` hold the paths that differ."""
    DELETE = auto()
    """Deletes a linked resource: `before` holds its attributes, `after` is empty."""
    ADD_MEMBERS = auto()
    """Adds members to a linked group: `after` holds their keys, `before` is empty."""
    REMOVE_MEMBERS = auto()
    """Removes members from a linked group: `before` holds their keys, `after` is empty."""


class Access(Enum):
    """The effect of an action on the access of the people concerned."""

    GIVES = auto()
    KEEPS = auto()
    TAKES = auto()


class Phase(IntEnum):
    """The order of execution: a phase ends before the next one begins; its own changes run side by side."""

    DEACTIVATE = 0
    """First: leavers lose access before anything else can go wrong."""
    USERS = 1
    MANAGERS = 2
    """References to managers, when every manager has an account."""
    GROUPS = 3
    REMOVE_MEMBERS = 4
    ADD_MEMBERS = 5
    DELETE = 6


@dataclass(frozen=True, slots=True)
class Words:
    """An action in the words of reports, notices and explanations."""

    verb: str
    """An infinitive: "create" in "create user", "create 3 users" and "create the group Sales"."""
    subject: tuple[str, str]
    """Singular and plural of the noun that a summary counts: "person", "people"."""
    happens: tuple[str, str]
    """The verb phrase for one and for several: "gets an account", "get an account"."""
    done: str
    """The consequence for the people concerned once the action is done."""
    undone: str
    """The state while the action is not done."""
    doing: str
    """The action as the subject of a sentence: "creating the account"."""


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of one action."""

    kind: Kind
    """The kind of resource that the action changes."""
    effect: Effect
    phase: Phase
    sign: str
    """One character in front of a line of a report."""
    access: Access
    limit: Class | None
    """The class whose limit counts the action, as far as `policy.class_of` says so."""
    words: Words


_PERSON: Final = ("person", "people")
_ACCOUNT: Final = ("account", "accounts")
_GROUP: Final = ("group", "groups")


class Action(StrEnum):
    """One kind of change to a resource. The value is the action's name in JSON, CSV, metrics and the state file."""

    #   kind       effect         phase        sign  access     class that limits it
    CREATE_USER = ("create_user", Row(
        Kind.USER, Effect.CREATE, Phase.USERS, "+", Access.GIVES, None,
        Words(
            "create", _PERSON, ("gets an account", "get an account"),
            done="gets an account",
            undone="has no account yet, and can't get in",
            doing="creating the account",
        ),
    ))  # fmt: skip
    ADOPT_USER = ("adopt_user", Row(
        Kind.USER, Effect.ADOPT, Phase.USERS, "&", Access.KEEPS, Class.ADOPT,
        Words(
            "adopt", _ACCOUNT, ("is linked or taken over", "are linked or taken over"),
            done="keeps the account; from now on the source decides about it",
            undone="keeps the account as it was, not managed by syncd",
            doing="taking over the account",
        ),
    ))  # fmt: skip
    UPDATE_USER = ("update_user", Row(
        Kind.USER, Effect.ALTER, Phase.USERS, "~", Access.KEEPS, Class.RENAME,
        Words(
            "update", _PERSON, ("is changed", "are changed"),
            done="keeps access",
            undone="can work as before; the target shows the old values",
            doing="the change",
        ),
    ))  # fmt: skip
    DEACTIVATE_USER = ("deactivate_user", Row(
        Kind.USER, Effect.ALTER, Phase.DEACTIVATE, "-", Access.TAKES, Class.DEACTIVATE,
        Words(
            "deactivate", _PERSON, ("loses access", "lose access"),
            done="loses access; what the account owns stays",
            undone="can still get in",
            doing="switching it off",
        ),
    ))  # fmt: skip
    REACTIVATE_USER = ("reactivate_user", Row(
        Kind.USER, Effect.ALTER, Phase.USERS, "+", Access.GIVES, Class.RENAME,
        Words(
            "reactivate", _PERSON, ("gets in again", "get in again"),
            done="gets in again, with what was there before",
            undone="still can't get in",
            doing="switching it on again",
        ),
    ))  # fmt: skip
    DELETE_USER = ("delete_user", Row(
        Kind.USER, Effect.DELETE, Phase.DELETE, "x", Access.TAKES, Class.DELETE,
        Words(
            "delete", _ACCOUNT, ("is deleted", "are deleted"),
            done="the account is deleted: that can't be undone",
            undone="the account is still there, as it was",
            doing="deleting it",
        ),
    ))  # fmt: skip
    CREATE_GROUP = ("create_group", Row(
        Kind.GROUP, Effect.CREATE, Phase.GROUPS, "+", Access.GIVES, None,
        Words(
            "create", _GROUP, ("is made", "are made"),
            done="the group is made",
            undone="the group isn't there, and nobody has what it gives",
            doing="making the group",
        ),
    ))  # fmt: skip
    ADOPT_GROUP = ("adopt_group", Row(
        Kind.GROUP, Effect.ADOPT, Phase.GROUPS, "&", Access.KEEPS, None,
        Words(
            "adopt", _GROUP, ("is linked or taken over", "are linked or taken over"),
            done="from now on the source decides about the group",
            undone="the group stays as it was, not managed by syncd",
            doing="taking over the group",
        ),
    ))  # fmt: skip
    UPDATE_GROUP = ("update_group", Row(
        Kind.GROUP, Effect.ALTER, Phase.GROUPS, "~", Access.KEEPS, None,
        Words(
            "update", _GROUP, ("is renamed", "are renamed"),
            done="the members stay the same",
            undone="the group keeps its former name; the members stay the same",
            doing="the change",
        ),
    ))  # fmt: skip
    DELETE_GROUP = ("delete_group", Row(
        Kind.GROUP, Effect.DELETE, Phase.DELETE, "x", Access.TAKES, Class.DELETE_GROUP,
        Words(
            "delete", _GROUP, ("is deleted", "are deleted"),
            done="the members lose what the group gives",
            undone="the group is still there, with its members",
            doing="deleting it",
        ),
    ))  # fmt: skip
    ADD_MEMBERS = ("add_members", Row(
        Kind.GROUP, Effect.ADD_MEMBERS, Phase.ADD_MEMBERS, "+", Access.GIVES, None,
        Words(
            "add members", _GROUP, ("gets members", "get members"),
            done="they get what the group gives",
            undone="they don't have yet what the group gives",
            doing="adding members",
        ),
    ))  # fmt: skip
    REMOVE_MEMBERS = ("remove_members", Row(
        Kind.GROUP, Effect.REMOVE_MEMBERS, Phase.REMOVE_MEMBERS, "-", Access.TAKES,
        Class.REMOVE_MEMBERS,
        Words(
            "remove members", _GROUP, ("loses members", "lose members"),
            done="they lose what the group gives",
            undone="they keep what the group gives",
            doing="removing members",
        ),
    ))  # fmt: skip

    kind: Kind
    effect: Effect
    phase: Phase
    sign: str
    access: Access
    limit: Class | None
    words: Words

    def __new__(cls, value: str, row: Row | None = None) -> Self:
        """Make an action of a row. Type checkers see this signature for `Action(value)` too, hence the default."""
        assert row is not None
        action = str.__new__(cls, value)
        action._value_ = value
        action.kind, action.effect, action.phase, action.sign = row.kind, row.effect, row.phase, row.sign
        action.access, action.limit, action.words = row.access, row.limit, row.words
        return action

    # -- facts that follow from the row -------------------------------------------------------------

    @property
    def about_user(self) -> bool:
        return self.kind is Kind.USER

    @property
    def creates(self) -> bool:
        """Whether the action is not idempotent: sent twice, it makes two resources."""
        return self.effect is Effect.CREATE

    @property
    def adopts(self) -> bool:
        return self.effect is Effect.ADOPT

    @property
    def begins(self) -> bool:
        """Whether the action makes a resource managed; every other action needs a linked resource."""
        return self.effect in (Effect.CREATE, Effect.ADOPT)

    @property
    def alters(self) -> bool:
        """Whether the action changes attributes of a linked resource."""
        return self.effect is Effect.ALTER

    @property
    def deletes(self) -> bool:
        return self.effect is Effect.DELETE

    @property
    def of_members(self) -> bool:
        """Whether `before` and `after` hold members, not attributes."""
        return self.effect in (Effect.ADD_MEMBERS, Effect.REMOVE_MEMBERS)

    @property
    def adds(self) -> bool:
        """Whether the action adds members."""
        return self.effect is Effect.ADD_MEMBERS

    @property
    def removes(self) -> bool:
        """Whether the action removes members."""
        return self.effect is Effect.REMOVE_MEMBERS

    @property
    def ends(self) -> bool:
        """Whether a user or group loses its place at the target: it is switched off or deleted."""
        return self.access is Access.TAKES and not self.of_members

    @property
    def leaves(self) -> bool:
        """Whether the action takes a user's access away."""
        return self.ends and self.about_user

    @property
    def arrives(self) -> bool:
        """Whether a user or group takes a place at the target: it is created, linked or switched on again."""
        return self.begins or (self.access is Access.GIVES and not self.of_members)

    @property
    def delays(self) -> Effect | None:
        """The membership changes of the same user or group that wait while this action is held.

        #  held                      waits               because
        #  switch off, delete        remove members      an account that stays keeps its groups
        #  create, adopt             add members         an account or group that is not there can't be a member
        #  any other                 -
        """
        if self.ends:
            return Effect.REMOVE_MEMBERS
        return Effect.ADD_MEMBERS if self.begins else None

    # -- words -----------------------------------------------------------------------------------

    @property
    def label(self) -> str:
        """The action as a line of a report begins: "create user", "add members"."""
        return self.words.verb if self.of_members else f"{self.words.verb} {self.kind.value}"

    def counted(self, number: int) -> str:
        """Return the action with a number of resources: "create 1,200 users", "add members to 1 group"."""
        return f"{self._verb} {number:,} {self.kind.value}{'' if number == 1 else 's'}"

    @property
    def of_many(self) -> str:
        """The action with resources in general: "create users", "add members to groups"."""
        return f"{self._verb} {self.kind.value}s"

    def of(self, name: str) -> str:
        """Return the action with its resource's name: "create ada@example.com", "add members to the group Sales"."""
        return f"{self._verb} {'' if self.about_user else 'the group '}{name}"

    @property
    def _verb(self) -> str:
        preposition = {Effect.ADD_MEMBERS: " to", Effect.REMOVE_MEMBERS: " from"}.get(self.effect, "")
        return f"{self.words.verb}{preposition}"


__all__ = ["Access", "Action", "Effect", "Phase", "Row", "Words"]
