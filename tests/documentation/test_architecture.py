"""ARCHITECTURE.md names only existing paths, and every package of syncd."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PAGE = (ROOT / "ARCHITECTURE.md").read_text(encoding="utf-8")
_NAMED = re.compile(r"(?<![\w./-])((?:[a-z_]+/)*(?:[a-z_]+\.[a-z]{2,4}\b(?!/)|[a-z_]+/(?!\w)))")
"""A file with its ending, or a folder with a slash behind it; folders may stand before either."""


def folders(page: str) -> str:
    """Return the list of folders: the block below its heading."""
    return page.partition("\n## Folders\n")[2].split("```")[1]


def entries(page: str) -> Iterator[tuple[str, str]]:
    """Yield each folder or file that has an entry of its own in the list, and all that is said of it."""
    top, path, said = "", "", ""
    for line in folders(page).splitlines():
        entry = re.match(r"( {0,2})([a-z_]+(?:/|\.py))(?=\s|$)", line)
        if entry is None:
            said += f"\n{line}"
            continue
        if path:
            yield path, said
        indent, name = entry.groups()
        if not indent:
            top = name
        path, said = (f"{top}{name}" if indent else name), line[entry.end() :]
    yield path, said


def missing(page: str) -> list[str]:
    """Return what a page names that isn't there: from the root, from `syncd/`, or from the folder it is said of."""
    found = [path for path, _ in entries(page) if not (ROOT / path).exists()]
    listed = folders(page)
    for path, said in [*entries(page), ("", page.replace(listed, ""))]:
        places = (ROOT / path, ROOT / "syncd", ROOT)
        found += [name for name in _NAMED.findall(said) if not any((place / name).exists() for place in places)]
    return found


def unnamed(page: str) -> list[str]:
    """Return the packages and modules of syncd that have no entry in the list of folders."""
    there = {
        f"syncd/{path.name}/" if path.is_dir() else f"syncd/{path.name}"
        for path in (ROOT / "syncd").iterdir()
        if (path / "__init__.py").exists() or (path.suffix == ".py" and not path.name.startswith("__"))
    }
    return sorted(there - {path for path, _ in entries(page)})


def test_every_file_and_folder_that_is_named_is_there() -> None:
    assert missing(PAGE) == []


def test_every_package_has_its_entry() -> None:
    assert unnamed(PAGE) == []


@pytest.mark.parametrize(
    ("old", "new", "named"),
    [
        ("push/        push.py", "push/        door.py", "door.py"),
        ("  observe/ ", "  watching/ ", "syncd/watching/"),
        ("`operations/`", "`counter/`", "counter/"),
        ("| `compare/people.py` ", "| `compare/persons.py` ", "compare/persons.py"),
        ("contract/ (every", "treaty/ (every", "treaty/"),
    ],
)
def test_a_name_of_nothing_is_noticed(old: str, new: str, named: str) -> None:
    assert PAGE.count(old) == 1
    assert named in missing(PAGE.replace(old, new))


def test_a_package_that_is_left_out_is_noticed() -> None:
    assert unnamed(PAGE.replace("  explain/  ", "  ")) == ["syncd/explain/"]
