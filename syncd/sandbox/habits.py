"""The habits of endpoints that can be rehearsed: each a name, a sentence, and the rules that give it.

Data only: `deviations` and `faults` say what a rule does. Importing this module loads no library.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any, Final

from syncd.errors import ConfigurationError, Fault

Json = dict[str, Any]

NO_BULK: Final[Json] = {"fault": "status", "status": 501, "path": "/Bulk", "detail": "Habits are for single requests"}
"""Goes with every habit: its rules match single requests, and would miss the same writes in a bulk request."""

_USERS: Final = "/Users*"
_USER: Final = "/Users/*"
_GROUPS: Final = "/Groups*"
_GROUP: Final = "/Groups/*"
_WRITES: Final = ["POST", "PUT", "PATCH", "DELETE"]
_CHANGES: Final = ["PUT", "PATCH"]
_ENTERPRISE: Final = "urn:ietf:params:scim:schemas:extension:enterprise:2.0:User"
_MEMBER: Final[Json] = {"method": "PATCH", "path": _GROUP, "op": "remove", "op_path": "members["}
_REMOVAL: Final[Json] = {"method": "PATCH", "path": _GROUP, "op": "remove", "op_path": "members"}
_ADDITION: Final[Json] = {"method": "PATCH", "path": _GROUP, "op": "add", "op_path": "members"}
_ACTIVE: Final[Json] = {"method": _CHANGES, "path": _USER, "contains": '"active"'}
_BODIES: Final[Json] = {"fault": "answered", "body": True, "method": _CHANGES}


@dataclass(frozen=True, slots=True)
class Habit:
    """One habit."""

    sentence: str
    rules: tuple[Json, ...]


def _habit(sentence: str, *rules: Json) -> Habit:
    return Habit(sentence, rules)


HABITS: Final[Mapping[str, Habit]] = {
    # Answered with success, and not done
    "removal-ignored": _habit(
        "Removing one member by a path is answered with the group as it is: the member stays.",
        {"fault": "ineffective", **_MEMBER},
    ),
    "removal-ignored-silently": _habit(
        "Removing one member by a path is answered 204: the member stays.",
        {"fault": "ineffective", "answer": "nothing", **_MEMBER},
    ),
    "removal-pretended": _habit(
        "The operation `remove` of members, in any form, is answered with the group without them: they stay.",
        {"fault": "ineffective", "answer": "as_asked", **_REMOVAL},
    ),
    "addition-ignored": _habit(
        "Adding members by PATCH is answered 204: the group stays as it is.",
        {"fault": "ineffective", "answer": "nothing", **_ADDITION},
    ),
    "deactivation-ignored": _habit(
        "A change of `active` is answered 204: the account stays on.",
        {"fault": "ineffective", "answer": "nothing", **_ACTIVE},
    ),
    "deactivation-pretended": _habit(
        "A change of `active` is answered with the account as asked for: it stays on.",
        {"fault": "ineffective", "answer": "as_asked", **_ACTIVE},
    ),
    "deletion-ignored": _habit(
        "A DELETE is answered 204: the account or group is still there.",
        {"fault": "ineffective", "method": "DELETE"},
    ),
    "put-ignored": _habit(
        "A PUT is answered with the resource as asked for: it stays as it is.",
        {"fault": "ineffective", "answer": "as_asked", "method": "PUT"},
    ),
    "creation-pretended": _habit(
        "Creating an account is answered 201 with an id: there is no such account.",
        {"fault": "ineffective", "method": "POST", "path": "/Users"},
    ),
    "drift-returns": _habit(
        "A change of an account or group is done, and undone when the next list is read.",
        {"fault": "reverts", "listed": True, "method": _CHANGES},
    ),
    "drift-returns-later": _habit(
        "A change of an account or group is done, and undone two seconds later.",
        {"fault": "reverts", "milliseconds": 2000, "method": _CHANGES},
    ),
    # Done in part
    "title-dropped": _habit(
        "`title` is dropped silently, whatever request has it.",
        {"fault": "ignored", "attributes": ["title"], "path": _USERS},
    ),
    "extension-dropped": _habit(
        "The enterprise extension is dropped silently.",
        {"fault": "ignored", "attributes": [_ENTERPRISE], "path": _USERS},
    ),
    "mark-dropped": _habit(
        "`externalId` is dropped silently: accounts and groups carry no mark.",
        {"fault": "ignored", "attributes": ["externalId"]},
    ),
    "active-dropped": _habit(
        "`active` is dropped silently, whatever request has it: nobody is ever off.",
        {"fault": "ignored", "attributes": ["active"], "path": _USERS},
    ),
    "put-keeps-members": _habit(
        "A PUT of a group leaves its members alone.",
        {"fault": "ignored", "attributes": ["members"], "method": "PUT", "path": _GROUP},
    ),
    "add-replaces": _habit(
        "A PATCH that adds an e-mail, a phone number or an address replaces the whole list.",
        {"fault": "add_replaces"},
    ),
    "type-not-kept": _habit(
        "E-mails and phone numbers are kept without their `type`.",
        {"fault": "trimmed", "attribute": "emails", "without": ["type"]},
        {"fault": "trimmed", "attribute": "phoneNumbers", "without": ["type"]},
    ),
    "one-email": _habit(
        "Of several e-mails the first is kept.",
        {"fault": "trimmed", "attribute": "emails", "most": 1},
    ),
    # Refused
    "email-path-refused": _habit(
        'The path `emails[type eq "work"]` is refused (400 invalidPath).',
        {"fault": "status", "status": 400, "scim_type": "invalidPath", "op_path": "emails["},
    ),
    "member-path-refused": _habit(
        'The path `members[value eq "…"]` is refused (501); members are removed by a list of values.',
        {"fault": "status", "status": 501, "op_path": "members["},
    ),
    "member-removal-refused": _habit(
        "The operation `remove` of members is refused (501) in every form; the whole list can be replaced.",
        {"fault": "status", "status": 501, **_REMOVAL},
    ),
    "extension-refused": _habit(
        "A PATCH that names the enterprise extension is refused (400 invalidPath).",
        {"fault": "status", "status": 400, "scim_type": "invalidPath", "method": "PATCH", "contains": _ENTERPRISE},
    ),
    "title-refused": _habit(
        "A PATCH or PUT with a `title` is refused (400 invalidValue).",
        {"fault": "status", "status": 400, "scim_type": "invalidValue", "method": _CHANGES, "contains": "title"},
    ),
    "pathless-refused": _habit(
        "An operation without a path is refused (400 invalidPath).",
        {"fault": "status", "status": 400, "scim_type": "invalidPath", "op_path": ""},
    ),
    "one-operation": _habit(
        "A PATCH with several operations is refused (400).",
        {"fault": "status", "status": 400, "scim_type": "invalidSyntax", "operations": 2},
    ),
    "redundant-refused": _habit(
        "A PATCH, PUT or DELETE that asks for what is so already is refused (409).",
        {"fault": "redundant"},
    ),
    "redundant-not-found": _habit(
        "A PATCH, PUT or DELETE that asks for what is so already is refused (404).",
        {"fault": "redundant", "status": 404},
    ),
    "owner-refused": _habit(
        "Every change of an account or group with `owner` in its attributes is refused (403, a page of HTML).",
        {"fault": "status", "status": 403, "body": "html", "method": _WRITES, "of": "owner"},
    ),
    "no-new-users": _habit(
        "This token may create no users (403); all else works.",
        {"fault": "status", "status": 403, "method": "POST", "path": "/Users", "detail": "You may not create users"},
    ),
    "read-only": _habit(
        "This token may read and change nothing (403).",
        {"fault": "status", "status": 403, "method": _WRITES, "detail": "This token may only read"},
    ),
    "rate-limit-403": _habit(
        "Every fourth request is refused with 403 and Retry-After: the limit is a pause.",
        {"fault": "status", "status": 403, "every": 4, "retry_after": 1, "detail": "API rate limit exceeded"},
    ),
    "rate-limit-reset": _habit(
        "Every fourth request is refused with 429 and RateLimit-Reset in seconds.",
        {"fault": "status", "status": 429, "every": 4, "retry_after": 1, "retry_after_header": "RateLimit-Reset"},
    ),
    "rate-limit-epoch": _habit(
        "Every fourth request is refused with 403 and X-RateLimit-Reset as Unix time.",
        {
            "fault": "status",
            "status": 403,
            "every": 4,
            "retry_after": 1,
            "retry_after_header": "X-RateLimit-Reset",
            "retry_after_form": "epoch",
            "detail": "API rate limit exceeded",
        },
    ),
    "members-required": _habit(
        "A POST of a group without `members` is refused (400).",
        {
            "fault": "status",
            "status": 400,
            "scim_type": "invalidValue",
            "method": "POST",
            "path": "/Groups",
            "lacks": '"members"',
            "detail": "members is required",
        },
    ),
    "member-type-required": _habit(
        "Members without `type` are refused (400).",
        {
            "fault": "status",
            "status": 400,
            "scim_type": "invalidValue",
            "method": ["POST", "PUT"],
            "path": _GROUPS,
            "contains": '"value"',
            "lacks": '"type"',
            "detail": "type is required for each of members",
        },
        *(
            {
                "fault": "status",
                "status": 400,
                "scim_type": "invalidValue",
                "op": op,
                "op_path": "members",
                "contains": '"value"',
                "lacks": '"type"',
                "detail": "type is required for each of members",
            }
            for op in ("add", "replace")
        ),
    ),
    "deleted-stays": _habit(
        "A deleted user stays in groups, and a list of members that names a deleted user is refused (400).",
        {"fault": "deleted_stays"},
    ),
    # Shown otherwise
    "active-as-number": _habit(
        "`active` is shown as 1 and 0.",
        {"fault": "shown", "attribute": "active", "on": 1, "off": 0},
    ),
    "active-as-text": _habit(
        '`active` is shown as "True" and "False".',
        {"fault": "shown", "attribute": "active", "on": "True", "off": "False"},
    ),
    "active-as-word": _habit(
        '`active` is shown as "yes" and "no".',
        {"fault": "shown", "attribute": "active", "on": "yes", "off": "no"},
    ),
    "active-hidden": _habit(
        "`active` is never shown.",
        {"fault": "shown", "attribute": "active"},
    ),
    "active-hidden-when-off": _habit(
        "`active` is shown of accounts that are on, and not of those that are off.",
        {"fault": "shown", "attribute": "active", "on": True},
    ),
    "no-bodies": _habit(
        "Every PATCH and PUT is answered 204, without the resource.",
        {"fault": "answered", "body": False},
    ),
    "bodies": _habit("Every PATCH and PUT is answered 200, with the resource.", _BODIES),
    # Done otherwise
    "off-leaves-groups": _habit(
        "An account that is switched off is taken out of all groups.",
        {"fault": "off_leaves_groups"},
    ),
    "numbered-apart": _habit(
        "Users and groups have the ids 1, 2, 3, …, each kind its own, and every member is read as a user's id.",
        {"fault": "numbered_apart"},
    ),
    "takes-over": _habit(
        "A POST of a user is answered 200 with an account of the same userName, e-mail or externalId that was there.",
        {"fault": "taken_over"},
    ),
    "takes-over-silently": _habit(
        "The same, answered 201; the account has the attributes of the request afterwards.",
        {"fault": "taken_over", "status": 201, "merged": True},
    ),
    "names-not-unique": _habit(
        "Several users may have the same userName.",
        {"fault": "not_unique"},
    ),
}


def rules_of(name: str, origin: str) -> list[Json]:
    """Return the rules of a habit, as JSON. Raises ConfigurationError for an unknown name."""
    if name not in HABITS:
        close = get_close_matches(name, HABITS, n=1)
        hint = f"did you mean {close[0]}?" if close else "`syncd sandbox --habit list` names them"
        raise ConfigurationError(origin, [Fault("habit", f"there is no habit {name!r}; {hint}")])
    return [*HABITS[name].rules, NO_BULK]
