"""The speed at which a report's page of 20,000 changes opens and filters, in headless Chromium, from disk.

Measured in seconds, for a person waits, and relative to an empty report in the same browser, which holds anywhere.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from pathlib import Path
from time import perf_counter

from playwright.sync_api import Browser, Page, sync_playwright

from syncd.report import html
from tests.bench.figures import ROUNDS, Figure
from tests.browser.conftest import CHROMIUM, FLAGS
from tests.report import samples

_TYPED = "head of payments"
# The longest time between two turns of the event loop: as long a key that is pressed may wait for its letter.
_WATCH = """() => {
  let last = performance.now();
  window.longest = 0;
  const turn = () => {
    const now = performance.now();
    window.longest = Math.max(window.longest, now - last);
    last = now;
    setTimeout(turn, 0);
  };
  turn();
}"""


def report() -> Iterator[Figure]:
    """Yield seconds to make and to open the page, that against an empty one, and the longest wait while typing."""
    plan = samples.many(20_000, managed=24_000)
    making, opening, ratios, waits = [], [], [], []
    with tempfile.TemporaryDirectory() as folder, sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        empty, full = Path(folder, "empty.html"), Path(folder, "full.html")
        empty.write_text(html.page(samples.NOTHING), encoding="utf-8")
        for _ in range(ROUNDS):
            started = perf_counter()
            text = html.page(plan)
            making.append(perf_counter() - started)
            full.write_text(text, encoding="utf-8")
            bare, page = _opened(browser, empty, "#list .empty")
            page.close()
            seconds, page = _opened(browser, full, "#list details:nth-of-type(10)")
            opening.append(seconds)
            ratios.append(seconds / bare)
            waits.append(_typing(page))
            page.close()
        browser.close()
    yield Figure("the page of 20,000 changes is made", making, 6, "s")
    yield Figure("and opens", opening, 2, "s")
    yield Figure("and opens, compared with a page of none", ratios, 12)
    yield Figure("the longest wait while somebody types in its search", waits, 150, "ms")


def _opened(browser: Browser, file: Path, ready: str) -> tuple[float, Page]:
    page = browser.new_page()
    started = perf_counter()
    page.goto(file.as_uri())
    page.wait_for_selector(ready, state="attached")
    return perf_counter() - started, page


def _typing(page: Page) -> float:
    """Type letter by letter, faster than anybody does; returns the longest wait, in milliseconds."""
    page.evaluate(_WATCH)
    page.get_by_role("searchbox").press_sequentially(_TYPED, delay=20)
    page.wait_for_function("document.querySelector('.shown').textContent.startsWith('1 of')")
    return float(page.evaluate("window.longest"))


if __name__ == "__main__":
    for figure in report():
        print(figure)
