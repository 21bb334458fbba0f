"""The classes of change that are limited: how each is counted, its default limit, and its words. One row per class.

Which change counts for which class is decided in `policy.py`; an action's own class is a column of `actions.py`.
"""

from __future__ import annotations

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
        """Return how many may be affected at a time; None: as many as there are."""
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
    """What would happen, after a number: "41 of 100 people would be deactivated"."""
    on: str
    """What the limit is on, as a table's first column says it."""


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


__all__ = ["DEFAULT_LIMITS", "Class", "Limit", "Row"]
