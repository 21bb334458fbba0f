"""The reasons that hold a change: the limited classes, one row per class, and the other reasons.

Which change counts for which class is decided in `policy.py`; an action's own class is a column of `actions.py`.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from enum import StrEnum
from typing import Final, Self

from syncd.core.model import Kind


@dataclass(frozen=True, slots=True)
class Limit:
    """The most that may happen in one run. `percent` of the managed applies from `base` of them on."""

    percent: float | None = None
    count: int | None = None
    base: int = 20
    always: bool = False
    """Every such change waits for a person."""

    def most(self, managed: int) -> int | None:
        """Return the most that may be affected at a time; None: no limit."""
        if self.always:
            return 0
        shares = [self.count] if self.count is not None else []
        if self.percent is not None and managed >= self.base:
            shares.append(int(self.percent * managed / 100))
        return min(shares, default=None)

    def exceeded(self, affected: int, managed: int) -> str:
        """Return the limit that is exceeded, in words, or ""."""
        if self.count is not None and affected > self.count:
            return f"{self.count}"
        if self.percent is not None and managed >= self.base and affected * 100 > self.percent * managed:
            return f"{self.percent:g} %"
        return ""


@dataclass(frozen=True, slots=True)
class Row:
    """The facts of one class."""

    of: Kind
    """Whether people or groups are counted, and measured against the managed ones."""
    default: Limit
    changes: tuple[str, str]
    """One such change, and several: "deactivation", "deactivations"."""
    would: str
    """The effect, as the rest of a sentence after a number: "41 of 100 people would be deactivated"."""
    on: str
    """The subject of the limit, as in the first column of a table."""


class Class(StrEnum):
    """A class of change that is limited as a whole. Its value is its name in the configuration and in JSON."""

    DEACTIVATE = ("deactivate", Row(
        Kind.USER, Limit(percent=10, count=50), ("deactivation", "deactivations"),
        would="people would be deactivated", on="people deactivated",
    ))  # fmt: skip
    DELETE = ("delete", Row(
        Kind.USER, Limit(percent=10, count=50), ("deletion", "deletions"),
        would="people would be deleted", on="people deleted",
    ))  # fmt: skip
    DELETE_GROUP = ("delete_group", Row(
        Kind.GROUP, Limit(count=5), ("group deletion", "group deletions"),
        would="groups would be deleted", on="groups deleted",
    ))  # fmt: skip
    REMOVE_MEMBERS = ("remove_members", Row(
        Kind.USER, Limit(percent=20), ("removal from a group", "removals from groups"),
        would="people would be removed from groups", on="people taken out of groups",
    ))  # fmt: skip
    # People sign in with a userName or e-mail.
    RENAME = ("rename", Row(
        Kind.USER, Limit(percent=20), ("change of userName or e-mail", "changes of userName or e-mail"),
        would="people would get another userName or e-mail", on="other userName or e-mail",
    ))  # fmt: skip
    ADOPT = ("adopt", Row(
        Kind.USER, Limit(count=50), ("adoption", "adoptions"),
        would="accounts would be taken over", on="accounts taken over",
    ))  # fmt: skip

    of: Kind
    default: Limit
    changes: tuple[str, str]
    would: str
    on: str

    def __new__(cls, value: str, row: Row | None = None) -> Self:
        """Make a class of a row. Type checkers see this signature for `Class(value)` too, hence the default."""
        assert row is not None
        class_ = str.__new__(cls, value)
        class_._value_ = value
        class_.of, class_.default, class_.changes = row.of, row.default, row.changes
        class_.would, class_.on = row.would, row.on
        return class_


DEFAULT_LIMITS: Final[Mapping[Class, Limit]] = {class_: class_.default for class_ in Class}


# -- the other reasons ----------------------------------------------------------------------------

EMPTY_SOURCE: Final = "empty_source"
PROTECTED: Final = "protected"
MISSING_GRACE: Final = "missing_grace"
QUARANTINE: Final = "quarantine"
BEFORE_DELETE: Final = "before_delete"
"""What must succeed before a deletion has failed."""
MOVES_CONTENT: Final = "moves_content"
"""Deleting hands the person's content to somebody else, and nothing is configured that transfers it first."""
CONTENT_MOVES: Final = (
    "deleting hands the person's content to somebody else (at Lucid the documents, to the account owner); name a "
    "`before_delete`, or approve"
)
"""The reason of such a hold."""

NEVER_RELEASED: Final = frozenset({EMPTY_SOURCE, PROTECTED})
"""Reasons that no approval overrides."""
APPROVED_APART: Final = frozenset({BEFORE_DELETE, MOVES_CONTENT})
"""Reasons that are overridden only by an approval of a hold for this very reason: a person who approved that many
people are deleted has not approved that their content is lost."""
PASSING: Final = frozenset({MISSING_GRACE, QUARANTINE})
"""Reasons that end by themselves: nobody has to decide."""


#  reason                       -> words
#  missing_grace                   2 changes wait out the grace
#  quarantine                      2 changes are in quarantine
#  empty_source, protected         2 changes are withheld and can't be approved
#  before_delete                   2 changes wait for `before_delete` to succeed
#  a class of its own changes      2 deactivations wait for approval
#  any other                       2 changes wait for approval
def waiting(reason: str, number: int, *, own: bool = True) -> str:
    """Return the number of waiting changes and their reason; `own`: the reason is a class that counts all of them."""
    one, several = Class(reason).changes if own and reason in set(Class) else ("change", "changes")
    is_one = number == 1
    if reason == MISSING_GRACE:
        verb = "waits out the grace" if is_one else "wait out the grace"
    elif reason == QUARANTINE:
        verb = "is in quarantine" if is_one else "are in quarantine"
    elif reason == BEFORE_DELETE:
        verb = f"{'waits' if is_one else 'wait'} for `before_delete` to succeed"
    elif reason in NEVER_RELEASED:
        verb = f"{'is' if is_one else 'are'} withheld and can't be approved"
    else:
        verb = "waits for approval" if is_one else "wait for approval"
    return f"{number:,} {one if is_one else several} {verb}"


def called(reason: str) -> str:
    """Return a reason as a note in a sentence: "limit for deactivations", "external domain"."""
    if reason == BEFORE_DELETE:
        return "it failed"
    return f"limit for {Class(reason).changes[1]}" if reason in set(Class) else reason.replace("_", " ")


def on_approval(reason: str) -> str:
    """Return the effect of an approval of a hold, as the rest of a sentence: "releases it"."""
    return {
        BEFORE_DELETE: "deletes the account without `before_delete`",
        MOVES_CONTENT: "deletes the account, and hands its content over",
    }.get(reason, "releases it")


# -- a limit that is exceeded ---------------------------------------------------------------------

_ALSO: Final = " or removed from all their groups"


def over_limit(class_: Class, affected: int, managed: int, exceeded: str, *, also_losing: bool = False) -> str:
    """Return the reason of a hold: "41 of 100 people would be deactivated; the limit is 10 %".

    `managed` 0: nobody is managed yet, as in a first adoption. `also_losing`: people who would lose all their groups
    are counted as well.
    """
    share = f" of {managed:,}" if managed else ""
    return f"{affected:,}{share} {class_.would}{_ALSO if also_losing else ''}; the limit is {exceeded}"


_BY_WORDS: Final = {class_.would: class_ for class_ in Class}
_OVER_LIMIT: Final = re.compile(
    rf"([\d,]+(?: of [\d,]+)?) ({'|'.join(_BY_WORDS)})({_ALSO})?; the limit is ([\d.e+-]+(?: %)?)"
)


def in_words(reason: str, *, named: bool = True) -> str:
    """Return the reason of a hold as a report says it: "41 of 100 people is over the limit of 10 % for deactivations".

    `named`: whether to name the limit; not needed after a sentence that names it.
    """

    def said(found: re.Match[str]) -> str:
        affected, would, also, exceeded = found.groups()
        noun = would.partition(" ")[0]
        losing = " (deactivated or removed from all their groups)" if also else ""
        limit = f" for {_BY_WORDS[would].changes[1]}" if named else ""
        return f"{affected} {noun}{losing} is over the limit of {exceeded}{limit}"

    return _OVER_LIMIT.sub(said, reason)


__all__ = [
    "APPROVED_APART",
    "BEFORE_DELETE",
    "CONTENT_MOVES",
    "DEFAULT_LIMITS",
    "EMPTY_SOURCE",
    "MISSING_GRACE",
    "MOVES_CONTENT",
    "NEVER_RELEASED",
    "PASSING",
    "PROTECTED",
    "QUARANTINE",
    "Class",
    "Limit",
    "Row",
    "called",
    "in_words",
    "on_approval",
    "over_limit",
    "waiting",
]
