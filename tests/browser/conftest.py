"""Headless Chromium on pages from disk; every error of the browser, and every fetch of a page, fails the test."""

from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Final

import pytest
from playwright.sync_api import Browser, Page, ViewportSize, expect, sync_playwright

from syncd.report import html
from syncd.report.review import Subject

CHROMIUM = "/usr/bin/chromium"
FLAGS = ["--headless", "--no-sandbox", "--disable-gpu", "--no-first-run", "--disable-background-networking"]
DESKTOP = ViewportSize(width=1280, height=900)
PHONE = ViewportSize(width=390, height=844)

PATIENCE: Final = 60_000
"""Milliseconds until what does not come fails the test: on a busy machine a page may take its time."""

Opened = Callable[..., Page]
expect.set_options(timeout=PATIENCE)


@pytest.fixture(scope="module")
def browser() -> Iterator[Browser]:
    assert Path(CHROMIUM).exists(), f"the tests of the page need {CHROMIUM}: apt-get install chromium"
    with sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
        yield browser
        browser.close()


@pytest.fixture
def open_report(browser: Browser, tmp_path: Path) -> Iterator[Opened]:
    """Return a function that writes a report to disk and opens it."""
    complaints: list[str] = []
    contexts = []

    def open_(
        subject: Subject | list[Subject],
        size: ViewportSize = DESKTOP,
        scheme: str = "light",
        *,
        script: bool = True,
        anchor: str = "",
        text: str = "",
    ) -> Page:
        file = tmp_path / "report.html"
        file.write_text(text or html.page(subject), encoding="utf-8")
        context = browser.new_context(viewport=size, color_scheme=scheme, java_script_enabled=script)  # type: ignore[arg-type]
        context.set_default_timeout(PATIENCE)
        contexts.append(context)
        page = context.new_page()
        address = file.as_uri()
        page.on("console", lambda message: complaints.append(message.text))
        page.on("pageerror", lambda error: complaints.append(str(error)))
        page.on("dialog", lambda dialog: complaints.append(f"dialog: {dialog.message}"))
        page.on(
            "requestfinished", lambda asked: None if asked.url.startswith(address) else complaints.append(asked.url)
        )
        page.goto(f"{address}{anchor}")
        return page

    open_.complaints = complaints  # type: ignore[attr-defined]
    yield open_
    for context in contexts:
        context.close()
    assert complaints == []


@pytest.fixture
def shot(tmp_path: Path) -> Callable[[Page, str], None]:
    """Return a function that keeps a screenshot: in $SYNCD_ARTEFACTS, or in pytest's temporary directory."""
    folder = Path(os.environ.get("SYNCD_ARTEFACTS", tmp_path)) / "report"
    folder.mkdir(parents=True, exist_ok=True)

    def keep(page: Page, name: str) -> None:
        page.screenshot(path=folder / f"{name}.png", full_page=False)

    return keep
