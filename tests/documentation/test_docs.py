"""The documentation agrees with the program."""

from __future__ import annotations

import re
import subprocess
import sys
from pathlib import Path

import click
import pytest

from syncd.cli import cli

ROOT = Path(__file__).parents[2]


def test_the_configuration_reference_is_that_of_the_settings() -> None:
    made = subprocess.run(
        [sys.executable, "tools/configuration_reference.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert (ROOT / "docs/configuration.md").read_text(encoding="utf-8") == made.stdout, "run `make docs`"


def test_every_command_is_in_the_readme_and_every_one_in_the_readme_exists() -> None:
    named = set(re.findall(r"`syncd ([a-z]+)", (ROOT / "README.md").read_text(encoding="utf-8")))
    context = click.Context(cli)
    assert named == set(cli.list_commands(context))


@pytest.mark.parametrize("option", ["--config", "--target", "--json"])
def test_the_readme_says_which_commands_lack_a_common_option(option: str) -> None:
    (row,) = re.findall(
        rf"^\| .*`{option}\b.*\| .* \| (.*) \|$", (ROOT / "README.md").read_text(encoding="utf-8"), re.M
    )
    lacking = {
        name
        for name in cli.list_commands(click.Context(cli))
        for command in [cli.get_command(click.Context(cli), name)]
        if command is not None and not any(option in parameter.opts for parameter in command.params)
    }
    assert set(re.findall(r"`([a-z]+)`", row)) == lacking


def anchors(page: Path) -> set[str]:
    """Return the anchors of a page's headings, as GitHub makes them."""
    headings = re.findall(r"^#+ (.*)$", page.read_text(encoding="utf-8"), re.M)
    return {re.sub(r"[^\w -]", "", heading).lower().replace(" ", "-") for heading in headings}


def test_every_page_and_heading_that_is_linked_is_there() -> None:
    for page in [*ROOT.glob("*.md"), *ROOT.glob("docs/**/*.md")]:
        for link in re.findall(r"\]\((?!https?://)([^)\s]+)", page.read_text(encoding="utf-8")):
            path, _, heading = link.partition("#")
            linked = page.parent / path if path else page
            assert linked.exists(), f"{page.name} links to {link}"
            assert not heading or heading in anchors(linked), f"{page.name} links to {link}"


@pytest.mark.parametrize("page", ["lucid", "lucidlink"])
def test_the_pages_of_lucid_say_what_is_to_be_done_when_the_place_changes(page: str) -> None:
    place = ROOT / f"docs/targets/{page}.md"
    assert {"when-sso-is-removed", "when-the-token-is-the-wrong-one", "owner-and-licences"} <= anchors(place)
