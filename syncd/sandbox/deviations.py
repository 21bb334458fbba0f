"""The ways of endpoints that answer as if all were well: what they store, and what they answer, is not what was asked.

Owns the vocabulary of these rules, as `faults` owns that of requests that fail. `behaviour` applies them.
"""

from __future__ import annotations

from typing import Annotated, Any, Literal

from pydantic import Field

from syncd.sandbox.rules import Positive, Rule

# A write and its effect


class Ineffective(Rule):
    """A write is answered with success and changes nothing."""

    fault: Literal["ineffective"]
    answer: Literal["as_is", "as_asked", "nothing"] = "as_is"
    """The resource as it is, the resource as if the write had its effect, or 204. A POST is answered as asked."""


class Ignored(Rule):
    """A write leaves attributes as they are, or unset in a new resource."""

    fault: Literal["ignored"]
    attributes: list[str]
    """Names as in the schema: `title`, `name.givenName`, `members`, `urn:…:User`, `urn:…:User:department`."""


class Reverts(Rule):
    """The resource that a write changed becomes as it was before, after a while."""

    fault: Literal["reverts"]
    requests: Positive | None = None
    """After this many requests."""
    milliseconds: Annotated[int, Field(ge=0, le=600_000)] | None = None
    listed: bool = False
    """True: when a list is read without a filter."""


class Redundant(Rule):
    """A write that asks for what is so already is refused; so is a list of members of whom one is in (or out) already.

    The DELETE of a resource that isn't there is refused in the same words.
    """

    fault: Literal["redundant"]
    status: Annotated[int, Field(ge=400, le=499)] = 409
    scim_type: str = ""


class TakenOver(Rule):
    """A POST of a user whose userName, e-mail or externalId an account has is answered with that account."""

    fault: Literal["taken_over"]
    status: Literal[200, 201] = 200
    merged: bool = False
    """True: the attributes of the request replace those of the account. False: the account stays as it is."""


# What is stored


class AddReplaces(Rule):
    """A PATCH that adds to a list replaces the whole list."""

    fault: Literal["add_replaces"]
    attributes: tuple[str, ...] = ("emails", "phoneNumbers", "addresses", "roles", "entitlements")


class Trimmed(Rule):
    """A list is kept without some sub-attributes of its elements, or without some of its elements."""

    fault: Literal["trimmed"]
    attribute: str
    without: tuple[str, ...] = ()
    most: Positive | None = None
    """Only the first elements are kept."""


class OffLeavesGroups(Rule):
    """A user who is switched off is taken out of all groups."""

    fault: Literal["off_leaves_groups"]


class DeletedStays(Rule):
    """A deleted user stays in groups; a list of members that names a deleted user is refused."""

    fault: Literal["deleted_stays"]


class NumberedApart(Rule):
    """New users and new groups have the ids 1, 2, 3, …, each kind its own; a member is always the user of that id."""

    fault: Literal["numbered_apart"]


class NotUnique(Rule):
    """Several users may have the same userName."""

    fault: Literal["not_unique"]


# What is answered


class Answered(Rule):
    """A successful PATCH or PUT is answered with the resource (200), or without a body (204)."""

    fault: Literal["answered"]
    body: bool


class Shown(Rule):
    """An attribute is shown in another form, or not at all."""

    fault: Literal["shown"]
    attribute: str
    on: Any = None
    """Shown for true, and for any value that isn't false. None: not shown."""
    off: Any = None
    """Shown for false. None: not shown."""


AnyDeviation = (
    Ineffective
    | Ignored
    | Reverts
    | Redundant
    | TakenOver
    | AddReplaces
    | Trimmed
    | OffLeavesGroups
    | DeletedStays
    | NumberedApart
    | NotUnique
    | Answered
    | Shown
)
