"""docs/operations.md agrees with the program and its units on the journal, notices and paths."""

from __future__ import annotations

import ast
import re
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "docs/operations.md").read_text(encoding="utf-8")
LEVELS = ("info", "warning", "error", "exception")


def events() -> Iterator[tuple[str, str]]:
    """Yield every event that syncd logs above `debug`, with its level."""
    for file in (ROOT / "syncd").rglob("*.py"):
        for node in ast.walk(ast.parse(file.read_text(encoding="utf-8"))):
            match node:
                case ast.Call(func=ast.Attribute(attr=level), args=[name, *_]) if level in LEVELS:
                    names = [each.value for each in ast.walk(name) if isinstance(each, ast.Constant)]
                    yield from ((each, level) for each in names if isinstance(each, str))


def table_below(heading: str) -> set[str]:
    """Return what stands in backticks in the first column of the table below a heading."""
    section = PAGE.partition(f"\n## {heading}\n")[2].partition("\n## ")[0]
    rows = re.findall(r"^\| (`.*?) \|", section, re.MULTILINE)
    return set(re.findall(r"`([a-z_]+)`", " ".join(rows)))


def test_every_event_of_the_journal_is_explained_and_each_that_is_explained_exists() -> None:
    assert table_below("Read the logs") == {name for name, _ in events()}


def test_every_notice_has_its_row_and_each_row_its_notice() -> None:
    composed = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "syncd/notify").glob("*.py"))
    named = table_below("What a notice means, and what to do")
    assert len(named) > 7
    assert [kind for kind in named if f'"{kind}"' not in composed] == []
    kinds = re.findall(r"`([a-z_]+)`", "".join(re.findall(r"^\| (`.*?) \|", _notifications(), re.MULTILINE)))
    told = {kind for kind in kinds if not kind.endswith("_recovered")} - {"event", "digest", "test"}
    assert told <= named


def _notifications() -> str:
    return (ROOT / "docs/notifications.md").read_text(encoding="utf-8")


def test_every_heading_that_is_linked_is_there() -> None:
    anchors = {re.sub(r"[^\w -]", "", head).lower().replace(" ", "-") for head in re.findall(r"^## (.*)$", PAGE, re.M)}
    linking = [PAGE, *(file.read_text(encoding="utf-8") for file in (ROOT / "docs").glob("*.yml"))]
    linked = re.findall(r"(?:operations\.md|\]\()#([\w-]+)", "".join(linking))
    assert linked
    assert set(linked) <= anchors


def test_paths_are_those_of_the_units() -> None:
    units = "".join(file.read_text(encoding="utf-8") for file in (ROOT / "systemd").iterdir())
    assert "LoadCredential=syncd:/etc/syncd/credentials/" in units
    assert "-p LoadCredential=syncd:/etc/syncd/credentials/" in PAGE
    for path in ("/etc/syncd/syncd.toml", "/var/lib/syncd/syncd.db", "/etc/syncd/credentials"):
        assert path in PAGE
        assert path in units
