"""What people see of an account, as HTML. Reads; decides nothing and changes nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any
from urllib.parse import urlencode

import orjson

from syncd.sandbox.faults import Faults
from syncd.sandbox.html import Content, Html, el, render
from syncd.sandbox.people import PERMISSIONS, People, Tab, display_name, tab_of
from syncd.sandbox.profiles.base import Choice
from syncd.sandbox.requestlog import RequestLog
from syncd.sandbox.resources import GROUP, Document, Linked

PAGE_SIZE = 50
SHOWN_REQUESTS = 100
SHOWN_GROUPS = 3
SHOWN_MEMBERS = 200

PAGES = {"/": "Members", "/ui/groups": "Groups", "/ui/requests": "Requests", "/ui/account": "Account"}
SUCCESS = range(200, 400)


@dataclass(frozen=True, slots=True)
class Note:
    """What came of the last thing that somebody did."""

    message: str
    refused: bool = False


@dataclass(frozen=True, slots=True)
class Frame:
    """What every page has around its content."""

    people: People
    path: str
    here: str
    """The path with its query: where a form leads back to."""
    scim_url: str
    support: bool
    pulse: str
    note: Note | None = None

    def page(self, heading: str, *content: Content) -> str:
        """Return a whole page."""
        head = (
            el("meta", charset="utf-8"),
            el("meta", name="viewport", content="width=device-width, initial-scale=1"),
            el("title", f"{heading} · {self.people.profile.title} (sandbox)"),
            el("link", rel="stylesheet", href="/ui/style.css"),
            el("link", rel="icon", href="data:,"),
            el("script", src="/ui/script.js", defer=True),
            el("noscript", el("meta", http_equiv="refresh", content="5")),
        )
        body = (
            el("a", "Skip to the content", href="#content", class_="skip"),
            self._header(),
            el("main", self._note(), el("h1", heading), content, id="content", data_pulse=self.pulse, tabindex="-1"),
            el(
                "footer", "A sandbox of syncd: nothing here is Lucid's or LucidLink's, and nothing leaves this machine."
            ),
        )
        html = el("html", el("head", head), el("body", body, class_="support" if self.support else None), lang="en")
        return f"<!doctype html>{html}"

    def _header(self) -> Html:
        links = [
            el("a", name, href=path, aria_current="page" if path == self.path else None) for path, name in PAGES.items()
        ]
        profile = self.people.profile
        label = "Stop acting as support" if self.support else "Act as support"
        switch = form("switch_support", button(label, class_="quiet"), back=self.here) if profile.locks else None
        return el(
            "header",
            el("div", el("strong", profile.title), el("code", self.scim_url), class_="account"),
            el("nav", links, aria_label="Pages"),
            switch,
            el("p", "You act as support: the locks don't hold.", class_="banner") if self.support else None,
        )

    def _note(self) -> Content:
        if self.note is None:
            return None
        return el("p", self.note.message, class_="note refused" if self.note.refused else "note", role="status")


# Members


def members(frame: Frame, tab: Tab, text: str, page: int) -> str:
    """Return a tab of members."""
    people = frame.people
    found = people.users(tab, text, (page - 1) * PAGE_SIZE, PAGE_SIZE)
    groups = people.resources.groups_of(found.documents)
    tabs = [
        el(
            "a",
            each.value.capitalize(),
            el("span", people.users(each, text, limit=0).total, class_="count"),
            href=_href("/", tab=each.value, q=text),
            aria_current="page" if each is tab else None,
        )
        for each in Tab
    ]
    rows = [_member(people, user, groups.get(user.seq, []), frame) for user in found.documents]
    empty = el("p", f"Nobody is {tab.value}." if not text else f"Nobody of that name is {tab.value}.", class_="empty")
    return frame.page(
        "Members",
        el("nav", tabs, aria_label="States", class_="tabs"),
        _search(tab, text),
        el("ul", rows, class_="cards") if rows else empty,
        _pager("/", found.total, page, tab=tab.value, q=text),
        el("details", el("summary", "Invite somebody"), _invite(), class_="action"),
    )


def _member(people: People, user: Document, groups: list[Linked], frame: Frame) -> Html:
    called = display_name(user)
    shown = [people.linked_name(group) for group in groups]
    more = [f"and {len(shown) - SHOWN_GROUPS} more"] if len(shown) > SHOWN_GROUPS else []
    badges = [
        _managed(user),
        _badge("Owner" if user.owner else ""),
        _badge(user.permission),
        _badge("" if user.active else "Not billed"),
        _badge(_times(user.invitations) if tab_of(user) is Tab.PENDING else ""),
    ]
    return el(
        "li",
        el(
            "div",
            el("h2", el("bdi", called or user.name)),
            el("p", el("bdi", user.name), class_="address") if called else None,
            el("p", badges, class_="badges"),
            el("p", "In ", _listed([*shown[:SHOWN_GROUPS], *more]), class_="groups") if shown else None,
            class_="who",
        ),
        el(
            "details",
            el("summary", "Manage", el("span", f" {user.name}", class_="unseen")),
            el("div", _member_actions(user, frame.here), class_="actions"),
            data_key=user.id,
        ),
    )


def _member_actions(user: Document, back: str) -> Iterator[Content]:
    options = [
        el("option", permission or "None", value=permission, selected=permission == user.permission)
        for permission in PERMISSIONS
    ]
    yield form(
        "permission",
        el("label", "Permission ", el("select", options, name="value", id=f"permission-{user.id}")),
        button("Set"),
        which=user.id,
        back=back,
    )
    if tab_of(user) is Tab.PENDING:
        yield form("accept", button("Accept the invitation"), which=user.id, back=back)
        yield form("invite_again", button("Invite again"), which=user.id, back=back)
    yield form(
        "deactivate" if user.active else "activate",
        button("Deactivate" if user.active else "Activate"),
        which=user.id,
        back=back,
    )
    yield form("owner", button("Make Owner" if not user.owner else "No longer Owner"), which=user.id, back=back)
    yield form("delete_user", button("Delete", class_="danger"), which=user.id, back=back)


def _invite() -> Html:
    return form(
        "invite",
        el("label", "E-mail ", el("input", name="email", type="email", required=True, autocomplete="off")),
        el("label", "Name ", el("input", name="name", autocomplete="off")),
        button("Invite"),
        back=_href("/", tab=Tab.PENDING.value),
    )


def _search(tab: Tab, text: str) -> Html:
    field = el("input", name="q", value=text, type="search", placeholder="Name or e-mail", id="search")
    return el(
        "form",
        el("input", type="hidden", name="tab", value=tab.value),
        el("label", "Find ", field),
        button("Find"),
        action="/",
        method="get",
        role="search",
    )


# Groups


def groups(frame: Frame) -> str:
    """Return the groups of every integration."""
    people = frame.people
    kinds = [space for space in people.profiles if space]
    kind_field = (
        el("label", "Kind ", el("select", [el("option", kind) for kind in kinds], name="kind")) if kinds else None
    )
    found = people.groups()
    creation = form(
        "create_group",
        el("label", "Name ", el("input", name="name", required=True, autocomplete="off")),
        kind_field,
        button("Create"),
        back="/ui/groups",
    )
    return frame.page(
        "Groups",
        el("ul", [_group(people, group) for group in found], class_="cards")
        if found
        else el("p", "There are no groups.", class_="empty"),
        el("details", el("summary", "Create a native group"), creation, class_="action"),
    )


def _group(people: People, group: Document) -> Html:
    members = people.resources.members(group, SHOWN_MEMBERS)
    count = people.resources.member_count(group)
    badges = [_managed(group), _badge(group.space), _badge("Archived" if group.archived else "")]
    return el(
        "li",
        el(
            "div",
            el("h2", el("bdi", people.group_name(group))),
            el("p", badges, class_="badges"),
            el("p", _count(count, "member"), class_="groups"),
            class_="who",
        ),
        el(
            "details",
            el("summary", "Manage", el("span", f" {people.group_name(group)}", class_="unseen")),
            _group_actions(group, members, count),
            data_key=group.id,
        ),
    )


def _group_actions(group: Document, members: list[Linked], count: int) -> Iterator[Content]:
    rename = el("input", name="value", value=group.name, required=True, id=f"name-{group.id}", autocomplete="off")
    who = el("input", name="user", required=True, id=f"member-{group.id}", autocomplete="off")
    here = {"which": group.id, "back": "/ui/groups"}
    yield el(
        "div",
        form("rename_group", el("label", "Name ", rename), button("Rename"), **here),
        form("add_member", el("label", "New member: userName or id ", who), button("Add"), **here),
        form("delete_group", button("Delete the group", class_="danger"), **here),
        class_="actions",
    )
    if members:
        shown = [_group_member(group, member) for member in members]
        yield el("ul", shown, class_="members", aria_label="Members")
    if count > len(members):
        yield el("p", f"and {count - len(members):,} more", class_="groups")


def _group_member(group: Document, member: Linked) -> Html:
    name = f"{member.name} (group)" if member.type == GROUP else member.name
    remove = form(
        "remove_member",
        button("Remove", el("span", f" {member.name}", class_="unseen"), class_="quiet"),
        which=group.id,
        user=member.id,
        back="/ui/groups",
    )
    return el("li", el("bdi", name), remove)


# Requests and faults


def requests(frame: Frame, log: RequestLog, faults: Faults) -> str:
    """Return the request log, newest first, and the faults in force."""
    newest = list(log.entries)[: -SHOWN_REQUESTS - 1 : -1]
    counts = [f"{count} {method}" for method, count in sorted(log.counts.items())]
    summary = (
        f"{_count(log.counts.total(), 'request')}, at most {log.most_in_flight} at once, {log.in_flight} in flight now."
    )
    head = el("tr", [el("th", name, scope="col") for name in ("", "Request", "Status", "ms", "At once")])
    return frame.page(
        "Requests",
        el("p", summary, " ", _listed(counts)),
        form("clear_requests", button("Clear the log"), back="/ui/requests"),
        el("table", el("thead", head), el("tbody", [_request(entry.report()) for entry in newest])) if newest else None,
        el("h2", "Faults"),
        el("pre", _json([rule.report() for rule in faults.rules]))
        if faults.rules
        else el("p", "Nothing goes wrong on purpose.", class_="empty"),
        form("clear_faults", button("No faults"), back="/ui/requests") if faults.rules else None,
        el("details", el("summary", "Make something go wrong"), _fault_form(), class_="action"),
    )


def _request(entry: Mapping[str, Any]) -> Html:
    status = entry["status"]
    good = status in SUCCESS
    query = "&".join(f"{name}={value}" for name, value in entry["query"].items())
    shown = "…" if status is None else "cut" if status == 0 else status
    body = entry["body"]
    return el(
        "tr",
        el("td", entry["number"], class_="number"),
        el(
            "td",
            el("strong", entry["method"]),
            " ",
            el("code", entry["path"], f"?{query}" if query else None),
            _badge(", ".join(entry["faults"])),
            el("details", el("summary", "Body"), el("pre", _json(body)), data_key=f"request-{entry['number']}")
            if body
            else None,
        ),
        el("td", shown, class_="status" if good else "status bad"),
        el("td", None if status is None else f"{entry['milliseconds']:.0f}", class_="number"),
        el("td", entry["in_flight"], class_="number"),
    )


def _fault_form() -> Html:
    example = '[{"fault": "status", "status": 429, "retry_after": 2, "every": 5}]'
    area = el("textarea", example, name="value", rows=5, spellcheck="false", id="faults")
    return form("set_faults", el("label", "Faults as JSON ", area), button("Set"), back="/ui/requests")


# Account


def account(frame: Frame, tokens: Mapping[str, str]) -> str:
    """Return what the account is and how it was started."""
    profile = frame.people.profile
    facts: list[tuple[str, Content]] = [
        ("Profile", profile.name),
        ("SCIM base URL", el("code", frame.scim_url)),
        *((f"Token, {name}", el("code", token)) for name, token in tokens.items()),
        ("Verified domains", ", ".join(profile.options.verified_domains) or "none: nobody is external"),
        ("State file", el("code", str(frame.people.resources.database.path))),
    ]
    rows = [(el("dt", name), el("dd", value)) for name, value in facts]
    return frame.page("Account", el("dl", rows), _sso(frame), _choices(frame.people))


def _sso(frame: Frame) -> Content:
    profile = frame.people.profile
    if not profile.has_sso:
        return None
    if not profile.accepts_token():
        return (
            el("h2", "Single sign-on"),
            el("p", "There is no SSO integration, and so there is no SCIM: every SCIM request is refused."),
            form("set_up_sso", button("Set up SSO and SCIM again"), back="/ui/account"),
        )
    return (
        el("h2", "Single sign-on"),
        el(
            "p",
            "Removing the SSO integration removes SCIM. All SCIM groups are deleted. All deactivated users are "
            "permanently deleted, except the Owner. Active users are no longer managed; those without a password "
            "are pending until they are invited again.",
        ),
        form("remove_sso", button("Remove the SSO integration", class_="danger"), back="/ui/account"),
    )


def _choices(people: People) -> Content:
    rows = [
        (
            el("dt", choice.question),
            el("dd", el("code", f"{name}={profile.settings[name]}"), _others(choice, profile.settings[name])),
        )
        for profile in people.profiles.values()
        for name, choice in profile.choices.items()
    ]
    if not rows:
        return None
    return el("h2", "What no document says"), el("dl", dict.fromkeys(render(row) for row in rows))


def _others(choice: Choice, given: str) -> str:
    others = [*(answer for answer in choice.answers if answer != given), *(["any other name"] if choice.free else [])]
    return f" (or {', '.join(others)})"


# Parts


def _managed(document: Document) -> Content:
    if document.managed:
        return el("span", "SCIM managed", class_="badge scim")
    return el("span", "Native", class_="badge")


def _badge(text: str) -> Content:
    return [" ", el("span", text, class_="badge")] if text else None


def form(action: str, *content: Content, **hidden: str) -> Html:
    """Return a form that does something; `hidden` are its hidden fields.

    None of them may be called `id` or `action`: in a browser, that would hide the form's own.
    """
    fields = [el("input", type="hidden", name=name, value=value) for name, value in hidden.items()]
    return el("form", fields, content, action=f"/ui/act/{action}", method="post")


def button(*content: Content, class_: str | None = None) -> Html:
    """Return a button that submits its form."""
    return el("button", content, type="submit", class_=class_)


def _pager(path: str, total: int, page: int, **query: str) -> Content:
    last = max(1, -(-total // PAGE_SIZE))
    if last == 1:
        return None
    links = [
        el("a", name, href=_href(path, page=str(to), **query), rel=rel) if 1 <= to <= last else el("span", name)
        for name, to, rel in (("Previous", page - 1, "prev"), ("Next", page + 1, "next"))
    ]
    return el(
        "nav",
        links[0],
        el("span", f"Page {page} of {last}, {_count(total, 'member')}"),
        links[1],
        class_="pager",
        aria_label="Pages of the list",
    )


def _href(path: str, **query: str) -> str:
    given = {name: value for name, value in query.items() if value}
    return f"{path}?{urlencode(given)}" if given else path


def _listed(names: Iterable[str]) -> Iterator[Content]:
    for index, name in enumerate(names):
        yield ", " if index else ""
        yield el("bdi", name)


def _times(invitations: int) -> str:
    return ["Not invited", "Invited"][invitations] if invitations < 2 else f"Invited {invitations} times"


def _count(number: int, noun: str) -> str:
    return f"{number} {noun}" if number == 1 else f"{number:,} {noun}s"


def _json(value: Any) -> str:
    return value if isinstance(value, str) else orjson.dumps(value, option=orjson.OPT_INDENT_2).decode()
