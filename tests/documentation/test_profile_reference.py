"""docs/profiles.md agrees with the program on every profile."""

from __future__ import annotations

import subprocess
import sys
from pathlib import Path

from syncd.scim.profiles import PROFILES

ROOT = Path(__file__).parents[2]
PAGE = ROOT / "docs/profiles.md"


def test_the_page_of_profiles_is_that_of_the_program() -> None:
    made = subprocess.run(
        [sys.executable, "tools/profile_reference.py"], cwd=ROOT, capture_output=True, text=True, check=True
    )
    assert PAGE.read_text(encoding="utf-8") == made.stdout, "run `make docs`"


def test_the_page_says_where_the_values_of_each_profile_come_from() -> None:
    _, _, sources = PAGE.read_text(encoding="utf-8").partition("## Where the values come from")
    said = dict(line.removeprefix("- ").split(": ", 1) for line in sources.strip().splitlines())
    assert list(said) == [f"`{name}`" for name in PROFILES]
    assert said["`slack`"].startswith("docs.slack.dev/reference/scim-api/rate-limits: of users 300 reads")
    assert said["`lucid-admin`"].startswith("Lucid's own OpenAPI description")
    assert "one organizational group" in said["`lucid-admin`"]
    assert "one organizational group" not in said["`lucid-content`"]
