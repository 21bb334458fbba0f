"""The documents: the tour's commands do what it says, what is there to copy can be loaded, links lead somewhere."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

import pytest

from syncd.scim.profiles import PROFILES
from syncd.settings import load
from tests.browser.pictures import PICTURES
from tests.sandbox.process import Sandbox
from tests.system.commands import Administrator

ROOT = Path(__file__).parents[2]
DOCS = ROOT / "docs"
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


def test_the_tour(tmp_path: Path, sandbox: Sandbox) -> None:
    admin = Administrator(tmp_path, SYNCD_TOKEN=sandbox.token, SYNCD__TARGET__SANDBOX__BASE_URL=sandbox.base_url)
    lines = re.findall(r"^\$ (.+)$", (DOCS / "tour.md").read_text(encoding="utf-8"), re.MULTILINE)
    assert len(lines) > 15
    for line in lines:
        command, _, remark = line.partition("#")
        words = re.search(r"exit code (\d)", remark)
        if not command.startswith("syncd "):
            subprocess.run(["sh", "-c", command], cwd=tmp_path, check=True)
            continue
        done = admin.syncd(*command.split()[1:])
        assert done.code == int(words[1] if words else 0), f"{line}\n{done.out}{done.err}"


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
