"""The values that each page of an account shows. Reads, and changes nothing. The pages are in `templates/`."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from syncd.sandbox.faults import Faults
from syncd.sandbox.habits import HABITS
from syncd.sandbox.html import render
from syncd.sandbox.people import PERMISSIONS, People, Tab, display_name, effective_permission, tab_of
from syncd.sandbox.profiles.base import Choice
from syncd.sandbox.requestlog import RequestLog
from syncd.sandbox.resources import Document, Linked

PAGE_SIZE = 50
SHOWN_REQUESTS = 100
SHOWN_GROUPS = 3
SHOWN_MEMBERS = 200

PAGES = {"/": "Members", "/ui/groups": "Groups", "/ui/requests": "Requests", "/ui/account": "Account"}


@dataclass(frozen=True, slots=True)
class Note:
    """The result of the last action."""

    message: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """The frame around the content of every page."""

    people: People
    path: str
    here: str
    """The path with its query, to which a form returns."""
    scim_url: str
    support: bool
    pulse: str
    note: Note | None = None

    def page(self, template: str, **values: object) -> str:
        """Return a whole page."""
        return render(template, frame=self, profile=self.people.profile, pages=PAGES, **values)


# Members


@dataclass(frozen=True, slots=True)
class TabLink:
    """A tab, with how many members are in it."""

    tab: Tab
    total: int


@dataclass(frozen=True, slots=True)
class Member:
    """One member in the list."""

    user: Document
    called: str
    """The display name; "" where the user has none."""
    groups: list[str]
    """The names of the first groups, and the number of further groups."""
    badges: list[str]
    is_pending: bool


def members(frame: Frame, tab: Tab, text: str, page: int) -> str:
    """Return one page of a tab of members: those whose name or e-mail contains the text."""
    people = frame.people
    found = people.users(tab, text, (page - 1) * PAGE_SIZE, PAGE_SIZE)
    groups = people.resources.groups_of(found.documents)
    return frame.page(
        "members.html",
        tab=tab,
        text=text,
        tabs=[TabLink(each, people.users(each, text, limit=0).total) for each in Tab],
        members=[_member(people, user, groups.get(user.seq, [])) for user in found.documents],
        total=found.total,
        page=page,
        last=max(1, -(-found.total // PAGE_SIZE)),
        permissions=PERMISSIONS,
    )


def _member(people: People, user: Document, groups: list[Linked]) -> Member:
    names = [people.linked_name(group) for group in groups]
    more = [f"and {len(names) - SHOWN_GROUPS} more"] if len(names) > SHOWN_GROUPS else []
    is_pending = tab_of(user) is Tab.PENDING
    effective = effective_permission(user, groups)
    return Member(
        user,
        called=display_name(user),
        groups=[*names[:SHOWN_GROUPS], *more],
        badges=[
            "Owner" if user.owner else "",
            user.permission,
            "" if effective == user.permission else f"{effective} through a group",
            "" if user.active else "Not billed",
            _invited(user.invitations) if is_pending else "",
        ],
        is_pending=is_pending,
    )


def _invited(times: int) -> str:
    return ["Not invited", "Invited"][times] if times < 2 else f"Invited {times} times"


# Groups


@dataclass(frozen=True, slots=True)
class Group:
    """One group in the list."""

    document: Document
    name: str
    """The name that people see, with the suffix that some services add."""
    count: int
    members: list[Linked]
    """The first of its members."""


def groups(frame: Frame) -> str:
    """Return the groups of every integration."""
    people = frame.people
    return frame.page(
        "groups.html",
        groups=[_group(people, each) for each in people.groups()],
        kinds=[space for space in people.profiles if space],
        permissions=PERMISSIONS,
    )


def _group(people: People, group: Document) -> Group:
    resources = people.resources
    return Group(
        group, people.group_name(group), resources.member_count(group), resources.members(group, SHOWN_MEMBERS)
    )


# Requests and faults


def requests(frame: Frame, log: RequestLog, faults: Faults) -> str:
    """Return the request log, newest first, and the faults in force."""
    return frame.page(
        "requests.html",
        log=log,
        counts=[f"{count} {method}" for method, count in sorted(log.counts.items())],
        newest=list(log.entries)[: -SHOWN_REQUESTS - 1 : -1],
        faults=[rule.report() for rule in faults.rules],
        habits=HABITS,
    )


# Account


def account(frame: Frame, tokens: Mapping[str, str]) -> str:
    """Return the properties of the account, and the options of the start."""
    people = frame.people
    choices = [
        (choice.question, f"{name}={profile.settings[name]}", _others(choice, profile.settings[name]))
        for profile in people.profiles.values()
        for name, choice in profile.choices.items()
    ]
    return frame.page(
        "account.html",
        tokens=tokens,
        state=people.resources.database.path,
        choices=list(dict.fromkeys(choices)),  # integrations of one account share some
    )


def _others(choice: Choice, given: str) -> str:
    others = [*(answer for answer in choice.answers if answer != given), *(["any other name"] if choice.free else [])]
    return ", ".join(others)
