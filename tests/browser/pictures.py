"""Make the pictures of README and docs from real runs: the sample organisation, a bad export, output of commands.

python -m tests.browser.pictures        (`make pictures`)
"""

from __future__ import annotations

import csv
import os
import pty
import subprocess
import sys
import tempfile
from pathlib import Path
from typing import Final

from playwright.sync_api import Browser, ViewportSize, sync_playwright
from rich.console import Console
from rich.text import Text

from tests.browser.conftest import CHROMIUM, FLAGS
from tests.sandbox.process import Sandbox

FOLDER: Final = Path(__file__).parents[2] / "docs" / "pictures"
DESKTOP: Final = ViewportSize(width=1000, height=760)
PHONE: Final = ViewportSize(width=390, height=760)
COLUMNS: Final = 104
PICTURES: Final = ("report.png", "report-phone.png", "plan.png", "status.png")


def main() -> None:
    with (
        tempfile.TemporaryDirectory(prefix="syncd-") as name,
        Sandbox("lucidlink", verified_domains=["example.com"]) as box,
    ):
        folder = Path(name)
        environment = {
            **{name: value for name, value in os.environ.items() if not name.startswith("SYNCD")},
            "SYNCD_CONFIG": "syncd.toml",
            "SYNCD_TOKEN": box.token,
            "SYNCD__TARGET__SANDBOX__BASE_URL": box.base_url,
            "SYNCD__TARGET__SANDBOX__PROFILE": "lucidlink",
            "SYNCD__TARGET__SANDBOX__VERIFIED_DOMAINS": '["example.com"]',
            "TERM": "xterm-256color",
            "COLUMNS": str(COLUMNS),
        }
        _said(folder, environment, "init", ".")
        _said(folder, environment, "sync")
        _change(folder / "people.csv")
        plan = _said(folder, environment, "plan")
        _said(folder, environment, "plan", "-o", "plan.html")
        _said(folder, environment, "sync")
        status = _said(folder, environment, "status")
        FOLDER.mkdir(exist_ok=True)
        with sync_playwright() as playwright:
            browser = playwright.chromium.launch(executable_path=CHROMIUM, args=FLAGS)
            page = (folder / "plan.html").as_uri()
            _shoot(browser, page, DESKTOP, "light", "report.png")
            _shoot(browser, page, PHONE, "dark", "report-phone.png")
            _terminal(browser, folder, "syncd plan", plan, "plan.png")
            _terminal(browser, folder, "syncd status", status, "status.png")
            browser.close()


def _change(people: Path) -> None:
    """Let somebody join, some change, and a whole department be marked as having left."""
    with people.open(newline="", encoding="utf-8") as file:
        reader = csv.DictReader(file)
        columns, rows = list(reader.fieldnames or []), list(reader)
    for row in rows[-9:]:
        row["status"] = "LEFT?"
    rows[3]["title"] = f"Senior {rows[3]['title']}"
    rows[4]["last"] += "-Okafor"
    rows[4]["mail"] = f"{rows[4]['first']}.okafor@example.com".lower()
    rows.append(
        rows[5]
        | {"employee_id": "1099", "first": "Noor", "last": "Haddad", "display": "", "mail": "noor.haddad@example.com"}
    )
    with people.open("w", newline="", encoding="utf-8") as file:
        writer = csv.DictWriter(file, columns)
        writer.writeheader()
        writer.writerows(rows)


def _said(folder: Path, environment: dict[str, str], *arguments: str) -> str:
    """Run a command on a terminal, and return what it showed there."""
    ours, theirs = pty.openpty()
    command = ["sh", "-c", f'stty cols {COLUMNS} rows 60; exec "$0" "$@"', str(Path(sys.executable).with_name("syncd"))]
    process = subprocess.Popen(
        [*command, *arguments], cwd=folder, env=environment, stdin=theirs, stdout=theirs, stderr=subprocess.DEVNULL
    )
    os.close(theirs)
    shown = b""
    try:
        while part := os.read(ours, 65536):
            shown += part
    except OSError:
        pass  # the other end is closed: it has ended
    os.close(ours)
    process.wait()
    return shown.decode().replace("\r\n", "\n")


def _shoot(browser: Browser, address: str, size: ViewportSize, scheme: str, name: str) -> None:
    context = browser.new_context(viewport=size, color_scheme="dark" if scheme == "dark" else "light")
    page = context.new_page()
    page.goto(address)
    page.wait_for_selector("details.item", state="attached")
    page.screenshot(path=FOLDER / name)
    context.close()


def _terminal(browser: Browser, folder: Path, command: str, shown: str, name: str) -> None:
    """Draw what a terminal showed."""
    console = Console(record=True, width=COLUMNS, file=(folder / "nothing").open("w"), force_terminal=True)
    console.print(Text(f"$ {command}", style="bold"))
    console.print(Text.from_ansi(shown.rstrip()))
    drawing = folder / f"{name}.svg"
    drawing.write_text(console.export_svg(title="syncd"), encoding="utf-8")
    context = browser.new_context(viewport=ViewportSize(width=860, height=400))
    page = context.new_page()
    page.set_content(
        f"<style>body{{margin:0}}svg{{width:860px;height:auto;display:block}}</style>{drawing.read_text()}"
    )
    page.locator("svg").screenshot(path=FOLDER / name)
    context.close()


if __name__ == "__main__":
    main()
