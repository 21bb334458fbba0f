"""The sandbox's page as a person sees and uses it, in headless Chromium (and without JavaScript).

Screenshots go to $SYNCD_ARTEFACTS, or to pytest's temporary directory.
"""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from tests.sandbox.process import Sandbox
from tests.sandbox.scim_bodies import group, patch, unused, user

CHROMIUM = "/usr/bin/chromium"
FLAGS = [
    "--headless",
    "--no-sandbox",
    "--disable-gpu",
    "--disable-quic",
    "--no-first-run",
    "--disable-background-networking",
    "--disable-component-update",
    "--disable-sync",
]
DESKTOP = ViewportSize(width=1200, height=900)
PHONE = ViewportSize(width=390, height=844)
PATHS = ("/", "/?tab=pending", "/?tab=deactivated", "/ui/groups", "/ui/requests", "/ui/account")

PATIENCE: Final = 60_000
"""Milliseconds until what does not come fails the test: on a busy machine a page may take its time."""

Pages = Callable[..., Page]
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), f"the tests of the page need {CHROMIUM}: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def start() -> Iterator[Callable[..., Sandbox]]:
    """Return a function that starts a sandbox of the test's own. It outlives the pages, which ask it every second."""
    with ExitStack() as stack:
        yield lambda profile, **options: stack.enter_context(Sandbox(profile, **options))


@pytest.fixture
def open_page(browser: Browser, start: object) -> Iterator[Pages]:
    """Return a function that opens a page; whatever the browser complains of fails the test at its end."""
    complaints: list[str] = []
    contexts = []

    def open_(size: ViewportSize = DESKTOP, *, script: bool = True) -> Page:
        context = browser.new_context(viewport=size, java_script_enabled=script)
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        return page

    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture(scope="module")
def sandbox() -> Iterator[Sandbox]:
    with Sandbox("lucidlink", verified_domains=("example.com",)) as sandbox:
        yield sandbox


@pytest.fixture
def shot(request: pytest.FixtureRequest, tmp_path: Path) -> Callable[[Page, str], None]:
    """Return a function that keeps a screenshot of the whole page."""
    folder = Path(os.environ.get("SYNCD_ARTEFACTS", tmp_path)) / "sandbox-page"
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=True)

    return keep


def create(sandbox: Sandbox, name: str, **more: object) -> str:
    answer = sandbox.scim("POST", "/Users", user(name, **more))  # type: ignore[arg-type]
    assert answer.status_code == 201, answer.text
    return str(answer.json()["id"])


def push(sandbox: Sandbox, name: str, *members: str) -> str:
    return str(sandbox.scim("POST", "/Groups", group(name, *members)).json()["id"])


def deactivate(sandbox: Sandbox, id_: str) -> None:
    sandbox.scim("PATCH", f"/Users/{id_}", patch({"op": "replace", "path": "active", "value": False}))


def manage(page: Page, name: str) -> None:
    """Open what can be done to a user or group."""
    page.get_by_role("listitem").filter(has_text=name).locator("summary").first.click()


def row(page: Page, name: str) -> str:
    """Return what a row of the list says."""
    return " ".join(page.locator("ul.cards > li").filter(has_text=name).inner_text().split())


def test_members_are_in_three_tabs(sandbox: Sandbox, open_page: Pages, shot: Callable[[Page, str], None]) -> None:
    name = unused("tabs")
    active = create(sandbox, f"{name}.active", displayName=f"{name} Active")
    create(sandbox, f"{name}.pending", domain="agency.example")
    gone = create(sandbox, f"{name}.gone")
    push(sandbox, f"{name} Design", active, gone)
    sandbox.admin("PATCH", f"/users/{gone}", {"permission": "Edit"})
    deactivate(sandbox, gone)

    page = open_page()
    page.goto(f"{sandbox.url}/?q={name}")
    tabs = page.get_by_role("navigation", name="States")
    expect(tabs).to_have_text("Active1Pending1Deactivated1")
    seen = f"{name} Active {name}.active@example.com SCIM managed In {name} Design (SCIM) Manage"
    assert row(page, name).startswith(seen)
    shot(page, "members-active")
    tabs.get_by_role("link", name="Pending").click()
    assert row(page, name).startswith(f"{name}.pending@agency.example SCIM managed Invited")
    tabs.get_by_role("link", name="Deactivated").click()
    assert row(page, name).startswith(f"{name}.gone@example.com SCIM managed Edit Not billed In {name} Design (SCIM)")
    expect(tabs.locator("[aria-current=page]")).to_have_text("Deactivated1")
    shot(page, "members-deactivated")


def test_a_native_user_is_invited_accepts_and_gets_a_permission(sandbox: Sandbox, open_page: Pages) -> None:
    name = unused("native")
    page = open_page()
    page.goto(sandbox.url)
    page.get_by_text("Invite somebody").click()
    page.get_by_label("E-mail").fill(f"{name}@agency.example")
    page.get_by_label("Name", exact=True).fill(f"Person {name}")
    page.get_by_role("button", name="Invite").click()

    expect(page.get_by_role("status")).to_have_text(f"{name}@agency.example is invited")
    assert "Native Invited" in row(page, name)
    manage(page, name)
    page.get_by_role("button", name="Accept the invitation").click()
    expect(page.get_by_role("status")).to_have_text(f"{name}@agency.example has accepted the invitation")

    page.goto(f"{sandbox.url}/?q={name}")
    manage(page, name)
    page.get_by_label("Permission").select_option("Edit")
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_have_text(f"{name}@agency.example has the permission Edit")
    assert "Native Edit" in row(page, name)


def test_the_locks_refuse_with_the_reason_until_somebody_acts_as_support(
    sandbox: Sandbox, open_page: Pages, shot: Callable[[Page, str], None]
) -> None:
    name = unused("locked")
    member = create(sandbox, name)
    push(sandbox, f"{name} Team", member)
    page = open_page()

    page.goto(f"{sandbox.url}/?q={name}")
    manage(page, name)
    page.get_by_role("button", name="Delete").click()
    reason = f"{name}@example.com is managed by SCIM and can't be deleted here; do it in your identity provider"
    expect(page.get_by_role("status")).to_have_text(reason)
    shot(page, "lock-user")

    page.goto(f"{sandbox.url}/ui/groups")
    for act, verb in (
        ("Rename", "renamed"),
        ("Delete the group", "deleted"),
        (f"Remove {name}@example.com", "given other members"),
    ):
        manage(page, f"{name} Team (SCIM)")
        if act == "Rename":
            page.get_by_role("listitem").filter(has_text=f"{name} Team").get_by_label("Name", exact=True).fill("Mine")
        page.get_by_role("listitem").filter(has_text=f"{name} Team").get_by_role("button", name=act).click()
        reason = f"{name} Team (SCIM) is managed by SCIM and can't be {verb} here; do it in your identity provider"
        expect(page.get_by_role("status")).to_have_text(reason)
    shot(page, "lock-group")

    page.get_by_role("button", name="Act as support").click()
    expect(page.get_by_text("You act as support: the locks don't hold.")).to_be_visible()
    manage(page, f"{name} Team (SCIM)")
    shot(page, "support")
    page.get_by_role("button", name=f"Remove {name}@example.com").click()
    expect(page.get_by_role("status")).to_have_text(f"{name}@example.com is no longer in {name} Team (SCIM)")
    page.goto(f"{sandbox.url}/?q={name}")
    manage(page, name)
    page.get_by_role("button", name="Delete").click()
    expect(page.get_by_text("Nobody of that name is active.")).to_be_visible()
    assert sandbox.scim("GET", f"/Users/{member}").status_code == 404
    page.get_by_role("button", name="Stop acting as support").click()
    expect(page.get_by_text("You act as support")).to_have_count(0)


def test_groups_carry_their_mark_and_a_managed_user_joins_a_native_one(
    sandbox: Sandbox, open_page: Pages, shot: Callable[[Page, str], None]
) -> None:
    name = unused("groups")
    create(sandbox, name)
    push(sandbox, f"{name} Pushed")
    page = open_page()
    page.goto(f"{sandbox.url}/ui/groups")
    assert row(page, f"{name} Pushed").startswith(f"{name} Pushed (SCIM) SCIM managed 0 members")

    page.get_by_text("Create a native group").click()
    creation = page.locator("details.action")
    creation.get_by_label("Name").fill(f"{name} Native")
    creation.get_by_role("button", name="Create").click()
    expect(page.get_by_role("status")).to_have_text(f"{name} Native is created")
    native = page.get_by_role("listitem").filter(has_text=f"{name} Native")
    manage(page, f"{name} Native")
    native.get_by_label("New member").fill(f"{name}@example.com")
    native.get_by_role("button", name="Add").click()

    expect(page.get_by_role("status")).to_have_text(f"{name}@example.com is in {name} Native")
    assert row(page, f"{name} Native").startswith(f"{name} Native Native 1 member")
    manage(page, f"{name} Native")
    expect(native.get_by_label("Members").get_by_role("listitem")).to_contain_text([f"{name}@example.com"])
    shot(page, "groups")

    native.get_by_label("Permission").select_option("View")
    native.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_have_text(f"The members of {name} Native have the permission View")
    assert row(page, f"{name} Native").startswith(f"{name} Native Native View 1 member")
    manage(page, f"{name} Pushed (SCIM)")
    pushed = page.get_by_role("listitem").filter(has_text=f"{name} Pushed")
    pushed.get_by_label("Permission").select_option("Edit")
    pushed.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_have_text(f"The members of {name} Pushed (SCIM) have the permission Edit")
    page.goto(f"{sandbox.url}/?q={name}")
    assert "View through a group" in row(page, f"{name}@example.com")


def test_sso_is_removed_with_its_consequences_and_set_up_again(
    start: Callable[..., Sandbox], open_page: Pages, shot: Callable[[Page, str], None]
) -> None:
    sandbox = start("lucidlink", verified_domains=("example.com",))
    create(sandbox, "stays")
    gone = create(sandbox, "goes")
    deactivate(sandbox, gone)
    push(sandbox, "Pushed")
    sandbox.admin("POST", "/groups", {"name": "Native"})
    page = open_page()
    page.goto(f"{sandbox.url}/ui/account")
    shot(page, "account")
    page.get_by_role("button", name="Remove the SSO integration").click()
    expect(page.get_by_role("status")).to_have_text("The SSO integration is removed")
    expect(page.get_by_text("every SCIM request is refused")).to_be_visible()

    page.goto(sandbox.url)
    expect(page.get_by_role("navigation", name="States")).to_have_text("Active0Pending1Deactivated0")
    page.goto(f"{sandbox.url}/?tab=pending")
    assert row(page, "stays").startswith("stays@example.com Native Not invited")
    page.goto(f"{sandbox.url}/ui/groups")
    expect(page.locator("ul.cards h2")).to_have_text(["Native"])

    page.goto(f"{sandbox.url}/ui/account")
    page.get_by_role("button", name="Set up SSO and SCIM again").click()
    expect(page.get_by_role("status")).to_have_text("SSO and SCIM are set up again")
    assert sandbox.scim("GET", "/Users").status_code == 200


def test_the_page_refreshes_itself_while_a_sync_runs(sandbox: Sandbox, open_page: Pages) -> None:
    name = unused("live")
    create(sandbox, f"{name}-first")
    page = open_page()
    page.goto(f"{sandbox.url}/?q={name}")
    manage(page, f"{name}-first")
    page.evaluate("window.unchanged = true")

    create(sandbox, f"{name}-second")

    expect(page.locator("ul.cards h2")).to_have_text([f"{name}-first@example.com", f"{name}-second@example.com"])
    expect(page.get_by_role("navigation", name="States")).to_contain_text("Active2")
    expect(page.get_by_role("button", name="Delete")).to_be_visible()
    assert page.evaluate("window.unchanged") is True, "the page was not loaded again"
    page.goto(f"{sandbox.url}/ui/requests")
    before = page.locator("tbody tr").count()
    sandbox.scim("GET", "/Users/none")
    expect(page.locator("tbody tr").first).to_contain_text("GET /Users/none")
    expect(page.locator("tbody tr")).to_have_count(min(before + 1, 100))


def test_nothing_moves_while_somebody_types(sandbox: Sandbox, open_page: Pages) -> None:
    name = unused("typing")
    page = open_page()
    page.goto(f"{sandbox.url}/?q={name}")
    field = page.get_by_label("Find")
    field.fill("half a na")
    with page.expect_response("**/ui/pulse"):
        create(sandbox, name)
    with page.expect_response("**/ui/pulse"):
        pass
    expect(field).to_have_value("half a na")
    expect(page.locator("ul.cards")).to_have_count(0)
    field.blur()
    expect(page.locator("ul.cards h2")).to_have_text([f"{name}@example.com"])


def test_everything_is_reached_with_the_keyboard(sandbox: Sandbox, open_page: Pages) -> None:
    name = unused("keys")
    create(sandbox, name)
    page = open_page()
    page.goto(f"{sandbox.url}/?q={name}")
    page.keyboard.press("Tab")
    expect(page.get_by_text("Skip to the content")).to_be_focused()
    page.keyboard.press("Enter")
    for _ in range(6):
        page.keyboard.press("Tab")
    expect(page.locator("ul.cards summary")).to_be_focused()
    page.keyboard.press("Enter")
    page.keyboard.press("Tab")
    expect(page.get_by_label("Permission")).to_be_focused()
    page.keyboard.type("View")
    page.keyboard.press("Tab")
    page.keyboard.press("Enter")
    expect(page.get_by_role("status")).to_have_text(f"{name}@example.com has the permission View")


@pytest.mark.parametrize("path", PATHS)
def test_a_phone_shows_everything_without_scrolling_sideways(
    sandbox: Sandbox, open_page: Pages, shot: Callable[[Page, str], None], path: str
) -> None:
    long = unused("a-very-long-name-without-any-place-to-break-it-") + "x" * 40
    create(sandbox, long, displayName=long.replace("-", ""), domain="agency.example")
    push(sandbox, long.replace("-", ""), create(sandbox, unused(long)))
    sandbox.scim("GET", "/Users", params={"filter": f'userName eq "{long}"'})
    page = open_page(PHONE)
    page.goto(sandbox.url + path)
    for summary in page.locator("main summary").all()[:20]:
        summary.click()
    assert page.evaluate("document.documentElement.scrollWidth") <= PHONE["width"]
    small = page.evaluate(
        "[...document.querySelectorAll('nav a, button, main > * summary')].filter(e => e.checkVisibility()"
        " && !e.closest('td, .members') && e.getBoundingClientRect().height < 40).map(e => e.textContent)"
    )
    assert small == [], "everything that is tapped is at least 40 pixels high"
    shot(page, f"phone{path.replace('/', '-').replace('?', '-')}")


def test_hostile_names_are_shown_and_not_run(sandbox: Sandbox, open_page: Pages) -> None:
    name = unused("hostile")
    create(sandbox, name, displayName=f"{name}<script>alert(1)</script>\u202egnp.exe<b>")
    hostile_group = push(sandbox, f'{name}"><img src=x onerror=alert(1)>')
    page = open_page()
    page.goto(f"{sandbox.url}/?q={name}")
    expect(page.locator("ul.cards h2")).to_have_text(
        [f"{name}<script>alert(1)</script>\N{REPLACEMENT CHARACTER}gnp.exe<b>"]
    )
    page.goto(f"{sandbox.url}/ui/groups")
    expect(page.locator("ul.cards h2").filter(has_text=name)).to_have_text(
        [f'{name}"><img src=x onerror=alert(1)> (SCIM)']
    )
    assert page.locator("img").count() == 0
    sandbox.scim("DELETE", f"/Groups/{hostile_group}")


def test_faults_are_set_and_cleared_on_the_page(sandbox: Sandbox, open_page: Pages) -> None:
    page = open_page()
    page.goto(f"{sandbox.url}/ui/requests")
    page.get_by_text("Make something go wrong").click()
    page.get_by_label("Faults as JSON").fill('[{"fault": "explosion"}]')
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_contain_text(
        "rule 1: Input tag 'explosion' found using 'fault' does not match"
    )

    page.get_by_text("Make something go wrong").click()
    page.get_by_label("Faults as JSON").fill('[{"fault": "status", "status": 503}]')
    page.get_by_role("button", name="Set").click()
    expect(page.get_by_role("status")).to_have_text("Faults in force: 1")
    assert sandbox.scim("GET", "/Users").status_code == 503
    page.get_by_role("button", name="No faults").click()
    expect(page.get_by_text("Nothing goes wrong on purpose.")).to_be_visible()
    assert sandbox.scim("GET", "/Users").status_code == 200
    page.get_by_role("button", name="Clear the log").click()
    expect(page.get_by_text("0 requests")).to_be_visible()


def test_a_habit_is_given_and_taken_on_the_page(sandbox: Sandbox, open_page: Pages) -> None:
    page = open_page()
    page.goto(f"{sandbox.url}/ui/requests")
    page.get_by_text("Give the endpoint a habit").click()
    page.get_by_label("Habit of real endpoints").select_option("read-only")
    page.get_by_role("button", name="Rehearse").click()
    expect(page.get_by_role("status")).to_have_text("The endpoint has the habit read-only")
    assert sandbox.scim("DELETE", "/Users/none").status_code == 403
    page.get_by_role("button", name="No faults").click()
    expect(page.get_by_text("Nothing goes wrong on purpose.")).to_be_visible()
    assert sandbox.scim("DELETE", "/Users/none").status_code == 404


def test_it_works_without_javascript(sandbox: Sandbox, open_page: Pages) -> None:
    name = unused("plain")
    create(sandbox, name)
    page = open_page(script=False)
    page.goto(f"{sandbox.url}/?q={name}")
    manage(page, name)
    page.get_by_role("button", name="Make Owner").click()
    expect(page.get_by_role("status")).to_have_text(f"{name}@example.com is the Owner")


def test_long_lists_have_pages(open_page: Pages, sandbox: Sandbox) -> None:
    name = unused("many")
    for number in range(51):
        create(sandbox, f"{name}-{number:02}")
    page = open_page()
    page.goto(f"{sandbox.url}/?q={name}")
    expect(page.locator("ul.cards > li")).to_have_count(50)
    expect(page.get_by_text("Page 1 of 2, 51 members")).to_be_visible()
    page.get_by_role("link", name="Next").click()
    expect(page.locator("ul.cards h2")).to_have_text([f"{name}-50@example.com"])


def test_lucid_shows_organizational_groups_and_teams_side_by_side(
    start: Callable[..., Sandbox], open_page: Pages, shot: Callable[[Page, str], None]
) -> None:
    sandbox = start("lucid-admin")
    push(sandbox, "Sales")
    other = "sandbox-token-lucid-content"
    team = sandbox.scim("POST", "/Groups", group("Launch"), token=other).json()["id"]
    sandbox.scim("DELETE", f"/Groups/{team}", token=other)
    page = open_page()
    page.goto(f"{sandbox.url}/ui/groups")
    assert row(page, "Sales").startswith("Sales SCIM managed organizational group 0 members")
    assert row(page, "Launch").startswith("Launch SCIM managed team Archived 0 members")
    shot(page, "lucid-groups")
    page.goto(f"{sandbox.url}/ui/account")
    expect(page.get_by_text(other)).to_be_visible()
    expect(page.get_by_text("deactivated-by-id=found (or not-found)")).to_be_visible()
    expect(page.get_by_role("button", name="Act as support")).to_have_count(0)
    shot(page, "lucid-account")
