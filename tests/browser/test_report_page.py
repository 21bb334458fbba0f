"""A report's page as a person sees and uses it, in headless Chromium, opened from disk."""

from __future__ import annotations

from collections.abc import Callable

import pytest
from axe_playwright_python.sync_playwright import Axe
from playwright.sync_api import Locator, Page, expect

from syncd.report import html
from syncd.report.review import Subject, review
from syncd.report.words import visible
from tests.browser.conftest import DESKTOP, PHONE, Opened
from tests.report import hostile, plans, samples

MANY = samples.many(312)
HELD = samples.withheld(MANY)
SUBJECTS: dict[str, Subject] = {
    "nothing": samples.NOTHING,
    "everything": plans.PLAN,
    "many": MANY,
    "held": HELD,
    "run": samples.carried_out(MANY),
    "hostile": hostile.RUN,
}


def items(page: Page) -> Locator:
    return page.locator("#list details.item")


_WHOLE = """() => {
  const shown = parseInt(document.querySelector('.shown').textContent);
  return document.querySelectorAll('#list details.item').length === Math.min(shown, 100);
}"""


def names(page: Page) -> list[str]:
    """Return who is listed, once the list is whole: it is drawn in slices."""
    page.wait_for_function(_WHOLE)
    return page.locator("#list details.item .name").all_inner_texts()


def shown(page: Page, text: str) -> None:
    """Wait until the page says so many are shown."""
    expect(page.locator(".shown")).to_have_text(text)


def search(page: Page, words: str) -> None:
    page.get_by_role("searchbox").fill(words)


def chip(page: Page, title: str) -> Locator:
    return page.get_by_role("group", name="Only these classes").get_by_role("button", name=title)


# -- looks --------------------------------------------------------------------------------------------------


@pytest.mark.parametrize("scheme", ["light", "dark"])
@pytest.mark.parametrize("size", [DESKTOP, PHONE], ids=["desktop", "phone"])
@pytest.mark.parametrize("name", SUBJECTS)
def test_nothing_is_seriously_inaccessible_and_nothing_sticks_out(
    open_report: Opened, shot: Callable[[Page, str], None], name: str, size: dict[str, int], scheme: str
) -> None:
    page = open_report(SUBJECTS[name], size, scheme)
    for details in items(page).all()[:3]:
        details.locator("summary").click()
    page.evaluate("scrollTo(0, 0)")
    shot(page, f"{name}-{size['width']}-{scheme}")
    found = Axe().run(page).response["violations"]
    serious = [each for each in found if each["impact"] in ("serious", "critical")]
    assert [(each["id"], each["nodes"][0]["html"], each["nodes"][0]["failureSummary"]) for each in serious] == []
    assert page.evaluate("document.documentElement.scrollWidth <= innerWidth")


# -- finding ------------------------------------------------------------------------------------------------


def test_the_unusual_comes_first_under_headings_of_its_own(open_report: Opened) -> None:
    page = open_report(HELD)
    headings = page.locator("#list h3").all_inner_texts()
    assert headings[:4] == [
        "Held 7",
        "Groups that lose most of their members 1",
        "Another userName or e-mail 3",
        "Invited 1",
    ]
    expect(page.locator("#list .cluster").first).to_have_text(
        "7 deactivations wait for approval: 7 of 2480 people is over the limit of 5."
    )
    shown(page, "313 in all")


def test_searching_finds_every_word_anywhere_accents_or_not(open_report: Opened) -> None:
    page = open_report(MANY)
    search(page, "schroder leaves-nobody")
    shown(page, "0 of 313")
    expect(page.locator("#list")).to_contain_text("Nothing matches.")
    search(page, "head of payments")
    shown(page, "1 of 313")
    assert items(page).first.get_attribute("open") is not None
    search(page, "schroder")
    expect(page.locator(".shown")).not_to_have_text("1 of 313")
    found = {name for name in names(page) if "@" in name}
    assert found
    assert all("schröder" in name for name in found)
    search(page, "")
    shown(page, "313 in all")


def test_classes_departments_and_groups_narrow_it_down_together(open_report: Opened) -> None:
    page = open_report(MANY)
    deactivations = chip(page, "Deactivations")
    deactivations.click()
    shown(page, "7 of 313")
    expect(deactivations).to_have_attribute("aria-pressed", "true")
    page.get_by_label("Department").select_option("Legal")
    shown(page, "1 of 313")
    chip(page, "Invited").click()
    shown(page, "1 of 313")
    page.get_by_role("button", name="Show all").click()
    shown(page, "313 in all")
    expect(deactivations).to_have_attribute("aria-pressed", "false")
    page.get_by_label("Group", exact=True).select_option("On call")
    # The group's own change, seven leavers who are in it, and four others who leave it.
    shown(page, "12 of 313")


def test_it_can_be_sorted(open_report: Opened) -> None:
    page = open_report(MANY)
    page.get_by_label("Sort by").select_option("name")
    expect(page.locator("#list h3")).to_have_count(0)
    expect(items(page)).to_have_count(100)
    found = names(page)
    assert found == sorted(found, key=str.casefold)
    page.get_by_label("Sort by").select_option("execution")
    executed = [change.name for change in MANY.changes]
    expect(items(page).first.locator(".name")).to_have_text(executed[0])
    expect(items(page)).to_have_count(100)
    assert names(page) == executed[:100]


def test_a_change_opens_to_before_and_after_with_the_differing_characters_marked(open_report: Opened) -> None:
    page = open_report(plans.PLAN)
    change = page.locator(f"#change-{plans.RENAME.id}")
    change.locator("summary").click()
    row = change.locator("tbody tr").first
    expect(row.locator("th")).to_have_text("userName")
    expect(row.locator("td").nth(0)).to_have_text("fay@x.org")
    expect(row.locator("td").nth(1)).to_have_text("fay.new@x.org")
    assert row.locator("ins").all_inner_texts() == [".new"]


def test_pages_are_turned_and_the_list_is_always_whole(open_report: Opened) -> None:
    page = open_report(MANY)
    seen: list[str] = []
    for number in (1, 2, 3, 4):
        expect(page.locator(".pager")).to_contain_text(f"Page {number} of 4")
        expect(items(page)).to_have_count(100 if number < 4 else 13)
        seen += [each.get_attribute("id") or "" for each in items(page).all()]
        if number < 4:
            page.get_by_role("button", name="Next").click()
    assert sorted(seen) == sorted(f"change-{item.id}" for item in review(MANY).items)


def test_the_keyboard_is_enough(open_report: Opened) -> None:
    page = open_report(plans.PLAN)
    page.get_by_role("searchbox").focus()
    page.keyboard.type("fay.new renamed")
    expect(items(page)).to_have_count(1)
    search(page, "x.org")
    expect(items(page).nth(3)).to_be_visible()
    page.keyboard.press("Tab")  # the group
    page.keyboard.press("Tab")  # the order
    page.keyboard.press("Tab")  # show all
    page.keyboard.press("Tab")
    first = items(page).first
    expect(first.locator("summary")).to_be_focused()
    page.keyboard.press("Enter")
    expect(first).to_have_attribute("open", "")


# -- links --------------------------------------------------------------------------------------------------


def test_a_link_opens_its_change_wherever_it_is(open_report: Opened) -> None:
    last = review(MANY).items[-1]
    page = open_report(MANY, anchor=f"#change-{last.id}")
    found = page.locator(f"#change-{last.id}")
    expect(found).to_have_attribute("open", "")
    expect(found).to_be_in_viewport()
    expect(found.locator("summary")).to_be_focused()
    expect(page.locator(".pager")).to_contain_text("Page 4 of 4")


def test_a_link_that_is_followed_right_after_typing_stays_in_the_address(open_report: Opened) -> None:
    page = open_report(MANY)
    page.clock.install()
    wanted = review(MANY).items[150]
    page.evaluate(
        """id => {
          const field = document.querySelector("input[type=search]");
          field.value = "nobody at all";
          field.dispatchEvent(new Event("input"));
          location.hash = `change-${id}`;
        }""",
        wanted.id,
    )
    expect(page.locator(f"#change-{wanted.id}")).to_have_attribute("open", "")
    page.clock.fast_forward(1000)  # the address follows what is typed after a while
    assert page.evaluate("location.hash") == f"#change-{wanted.id}"


def test_the_beginning_of_an_id_is_enough_and_a_filter_is_no_hindrance(open_report: Opened) -> None:
    page = open_report(MANY)
    wanted = review(MANY).items[150]
    search(page, "nobody at all")
    shown(page, "0 of 313")
    page.evaluate("id => { location.hash = `change-${id}`; }", wanted.id[:12])
    expect(page.locator(f"#change-{wanted.id}")).to_have_attribute("open", "")
    shown(page, "313 in all")


def test_a_link_to_what_was_narrowed_down_shows_the_same(open_report: Opened) -> None:
    page = open_report(MANY)
    search(page, "Müller disabled")
    chip(page, "Deactivations").click()
    page.get_by_label("Department").select_option("Legal")
    page.get_by_label("Sort by").select_option("name")
    page.wait_for_function("() => location.hash.includes('order=name')")
    found = page.locator(".shown").inner_text()
    anchor = page.evaluate("location.hash")
    again = open_report(MANY, anchor=anchor)
    shown(again, found)
    expect(again.get_by_role("searchbox")).to_have_value("Müller disabled")
    expect(chip(again, "Deactivations")).to_have_attribute("aria-pressed", "true")
    expect(again.get_by_label("Department")).to_have_value("Legal")
    expect(again.get_by_label("Sort by")).to_have_value("name")
    # Narrowed down by nothing, the address says nothing.
    again.get_by_role("button", name="Show all").click()
    again.get_by_label("Sort by").select_option("gravity")
    again.wait_for_function("() => location.hash === ''")
    shown(again, "313 in all")


def test_an_address_from_another_report_or_from_nowhere_hides_nothing(open_report: Opened) -> None:
    for anchor in ("#department=Nowhere&class=undone+nothing&order=x", "#class=%22%5D", "#search=%E0%A4%A", "#order"):
        page = open_report(MANY, anchor=anchor)
        expect(items(page)).to_have_count(0 if "search" in anchor else 100)
    page.evaluate("location.hash = 'department=Legal'")
    expect(page.get_by_label("Department")).to_have_value("Legal")
    expect(page.locator(".shown")).not_to_have_text("313 in all")


def test_a_link_to_what_is_not_there_says_so(open_report: Opened) -> None:
    page = open_report(MANY, anchor="#change-ffffffffffff")
    shown(page, "The link names a change that is not in this report.")
    expect(items(page)).to_have_count(100)


# -- on paper, without script, at size ------------------------------------------------------------------------


def test_on_paper_stands_all_that_the_filter_lets_through_opened(open_report: Opened) -> None:
    page = open_report(MANY)
    search(page, "sales")
    shown(page, "269 of 313")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    expect(page.locator("#list details.item[open]")).to_have_count(269)
    expect(page.locator("#list details.item .body")).to_have_count(269)
    page.evaluate("dispatchEvent(new Event('afterprint'))")
    expect(items(page)).to_have_count(100)
    page.emulate_media(media="print")
    expect(page.get_by_role("searchbox")).to_be_hidden()
    assert len(page.pdf()) > 10_000


def test_on_paper_what_is_marked_can_be_read_whatever_the_screen_was_like(open_report: Opened) -> None:
    page = open_report(plans.PLAN, scheme="dark")
    page.emulate_media(media="print")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    style = page.locator("#list ins").first.evaluate(
        "e => [getComputedStyle(e).color, getComputedStyle(e).backgroundColor]"
    )
    assert style == ["rgb(0, 0, 0)", "rgb(223, 245, 229)"]


def test_without_script_head_and_unusual_are_there_and_links_lead_to_them(open_report: Opened) -> None:
    wanted = review(MANY).unusual[-2]
    page = open_report(MANY, script=False, anchor=f"#change-{wanted.id}")
    expect(page.locator("h1")).to_have_text("Plan: lucid-content")
    expect(page.locator(f"#change-{wanted.id}")).to_be_in_viewport()
    expect(page.locator(".missing")).to_contain_text("Not shown without JavaScript: 298 others of 313.")
    assert page.locator("details.item").count() == len(review(MANY).unusual)


def test_twenty_thousand_changes_are_searched_while_somebody_types(open_report: Opened) -> None:
    plan = samples.many(20_000, managed=24_000)
    page = open_report(plan)
    shown(page, "20,001 in all")
    field = page.get_by_role("searchbox")
    field.press_sequentially("head of payments")
    shown(page, "1 of 20,001")
    expect(items(page)).to_have_count(1)
    search(page, "")
    shown(page, "20,001 in all")
    expect(items(page)).to_have_count(100)


def test_several_targets_share_a_page(open_report: Opened) -> None:
    page = open_report([plans.PLAN, samples.many(40)])
    assert page.locator("header h2").all_inner_texts() == ["Plan: lucid", "Plan: lucid-content"]
    page.get_by_label("Target").select_option("lucid")
    shown(page, f"{len(review(plans.PLAN).items)} of {len(review(plans.PLAN).items) + 41}")


# -- hostile ------------------------------------------------------------------------------------------------


def test_what_people_call_themselves_is_text(open_report: Opened) -> None:
    page = open_report(hostile.PLAN)
    for name in hostile.NAMES:
        search(page, visible(name).strip()[:12])
        expect(items(page).first).to_be_visible()
    search(page, "")
    page.evaluate("dispatchEvent(new Event('beforeprint'))")
    told = set(page.locator("#list .name").all_text_contents())
    assert {visible(name) for name in hostile.NAMES} <= told
    assert page.locator("#list script, #list img, #list svg, #list b").count() == 0


def test_a_script_that_gets_into_the_page_does_not_run(open_report: Opened) -> None:
    text = html.page(plans.PLAN).replace("</main>", "<script>document.title = 'owned'</script><img src='x.png'></main>")
    page = open_report(plans.PLAN, text=text)
    expect(items(page).first).to_be_visible()
    assert page.title() == "Plan: lucid"
    complaints: list[str] = open_report.complaints  # type: ignore[attr-defined]
    assert sum("Content Security Policy" in each for each in complaints) == 2
    assert not [each for each in complaints if each.endswith("x.png")]
    complaints.clear()
