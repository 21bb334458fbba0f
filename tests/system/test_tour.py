"""The documents: the tour's commands behave as described, samples can be loaded, links are valid."""

from __future__ import annotations

import re
import shlex
import subprocess
import sys
from pathlib import Path

import pytest

from syncd.sandbox.options import DEFAULT_PORT, DEFAULT_TOKEN
from syncd.scim.profiles import PROFILES
from syncd.settings import load
from tests.browser.pictures import PICTURES
from tests.sandbox.process import Sandbox
from tests.system.commands import PATIENCE_SECONDS, Administrator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
SAMPLES = ROOT / "syncd/cli/samples"
PAGES = sorted([*DOCS.rglob("*.md"), ROOT / "README.md"])
SOURCE = """
state = "syncd.db"
[source]
type = "csv"
users = "people.csv"
key = "id"
[mapping.user]
userName = "{mail}"
"""


def console_blocks(page: str) -> list[list[str]]:
    """Return the commands of each console block of a page, in the order of the page."""
    blocks = re.findall(r"^```console\n(.*?)^```$", page, re.MULTILINE | re.DOTALL)
    return [re.findall(r"^\$ (.+)$", block, re.MULTILINE) for block in blocks]


def run_in_a_shell(lines: list[str], folder: Path, environment: dict[str, str]) -> tuple[list[int], str]:
    """Run all lines in one shell, as a reader types them; return the exit code of each, and all that was printed."""
    codes = folder / "codes"
    script = "".join(f"echo {shlex.quote(f'$ {line}')}\n{line}\necho $? >> {codes}\n" for line in lines)
    done = subprocess.run(
        ["bash", "-c", script],
        cwd=folder,
        env=environment,
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        timeout=PATIENCE_SECONDS,
        check=False,
    )
    return [int(code) for code in codes.read_text(encoding="utf-8").split()], done.stdout


def test_the_tour(tmp_path: Path, sandbox: Sandbox) -> None:
    first_terminal, *blocks = console_blocks((DOCS / "tour.md").read_text(encoding="utf-8"))
    # The fixture's sandbox plays the first terminal, on a free port; only this address doesn't come from the page.
    assert first_terminal == ["syncd sandbox"]
    environment = Administrator(tmp_path, SYNCD__TARGET__SANDBOX__BASE_URL=sandbox.base_url).environment
    del environment["SYNCD_CONFIG"]
    environment["PATH"] = f"{Path(sys.executable).parent}:{environment['PATH']}"
    lines = [line for block in blocks for line in block]
    assert len(lines) > 18
    said = [re.search(r"# exit code (\d)", line) for line in lines]
    codes, printed = run_in_a_shell(lines, tmp_path, environment)
    assert "Traceback" not in printed, printed
    assert "a fault of syncd itself" not in printed, printed
    assert list(zip(codes, lines, strict=True)) == [
        (int(code[1]) if code else 0, line) for code, line in zip(said, lines, strict=True)
    ], printed


def test_the_tour_and_the_starter_configuration_name_the_sandbox_as_it_starts() -> None:
    tour = (DOCS / "tour.md").read_text(encoding="utf-8")
    starter = (SAMPLES / "syncd.toml").read_text(encoding="utf-8")
    assert f"export SYNCD_TOKEN={DEFAULT_TOKEN} " in tour
    assert f'base_url = "http://127.0.0.1:{DEFAULT_PORT}/scim/v2"' in starter


@pytest.mark.parametrize("page", sorted((DOCS / "targets").glob("*.md")), ids=lambda page: page.stem)
def test_what_is_there_to_copy_is_a_configuration(page: Path, tmp_path: Path) -> None:
    blocks = re.findall(r"```toml\n(.*?)```", page.read_text(encoding="utf-8"), re.DOTALL)
    assert blocks
    for block in blocks:
        file = tmp_path / "syncd.toml"
        file.write_text(f"{SOURCE}\n{block}", encoding="utf-8")
        assert load(file).target


def test_every_profile_has_a_page() -> None:
    written = "".join(page.read_text(encoding="utf-8") for page in (DOCS / "targets").glob("*.md"))
    for name in PROFILES:
        assert f'profile = "{name}"' in written, name


@pytest.mark.parametrize("page", PAGES, ids=lambda page: str(page.relative_to(ROOT)))
def test_every_link_leads_somewhere(page: Path) -> None:
    text = page.read_text(encoding="utf-8")
    links = re.findall(r"\]\(([^)\s]+)\)", text) + re.findall(r'src="([^"]+)"', text)
    for link in links:
        place, _, anchor = link.partition("#")
        if "://" in place:
            continue
        target = (page.parent / place).resolve() if place else page
        assert target.exists(), f"{page.name}: {link}"
        if anchor and target.suffix == ".md":
            headings = re.findall(r"^#+ (.+)$", target.read_text(encoding="utf-8"), re.MULTILINE)
            known = {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}
            assert anchor in known, f"{page.name}: {link}"


def test_the_pictures_are_small_and_said_in_words() -> None:
    used = "".join(page.read_text(encoding="utf-8") for page in PAGES)
    for name in PICTURES:
        assert (DOCS / "pictures" / name).stat().st_size < 150_000
        assert f"pictures/{name}" in used, name
    assert not re.findall(r"!\[\]\(", used)
    assert {path.name for path in (DOCS / "pictures").iterdir()} == set(PICTURES)
