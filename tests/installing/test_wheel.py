"""The wheel stands alone: with the newest versions that its ranges allow, as a user of the package index gets it.

Needs that index, as the set-up of these tests does.
"""

from __future__ import annotations

import os
import re
import subprocess
import zipfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.installing.index import Index, make_newer
from tests.installing.newest import blame
from tests.installing.places import (
    PYTHON,
    ROOT,
    copy_of_the_project,
    installed,
    locked,
    locked_wheels,
    run,
    surroundings,
)

UV = ROOT / ".venv/bin/uv"


@pytest.fixture(scope="module")
def wheel(tmp_path_factory: pytest.TempPathFactory) -> Path:
    project = copy_of_the_project(tmp_path_factory.mktemp("project"))
    run([project / "tools/wheel", ROOT / ".venv"], os.environ, project)
    [wheel] = project.glob("dist/syncd-*.whl")
    assert [each.name for each in project.glob("dist/syncd-*.tar.gz")]
    return wheel


def demo(environment: Path) -> subprocess.CompletedProcess[str]:
    command = [environment / "bin/syncd", "demo", "--no-pause"]
    plain = {"PATH": f"{environment}/bin:/usr/bin:/bin"}
    return subprocess.run(command, env=plain, capture_output=True, text=True, check=False, timeout=300)


def why_not(environment: Path, settings: dict[str, str]) -> str:
    """Return "" where the demo runs to its end, else in words which dependency broke it."""
    done = demo(environment)
    if done.returncode == 0:
        return ""

    def works_with(name: str, version: str) -> bool:
        before = installed(environment)[name]
        pip = [UV, "pip", "install", "--quiet", "--no-deps", "--python", environment / "bin/python"]
        run([*pip, f"{name}=={version}"], settings)
        try:
            return demo(environment).returncode == 0
        finally:
            run([*pip, f"{name}=={before}"], settings)

    return f"{blame(installed(environment), locked(), works_with)}\n{done.stderr[-2000:]}"


def test_the_wheel_has_what_it_needs_and_nothing_else(wheel: Path) -> None:
    with zipfile.ZipFile(wheel) as files:
        names = files.namelist()
    listing = ["git", "ls-files", "--cached", "--others", "--exclude-standard", "syncd"]
    ours = subprocess.run(listing, cwd=ROOT, capture_output=True, text=True, check=True).stdout.split()
    assert {name for name in names if not re.match(r"syncd-[^/]+\.dist-info/", name)} == {
        name for name in ours if (ROOT / name).is_file()
    }


def test_pip_installs_it_with_the_newest_of_everything_and_the_demo_runs(wheel: Path, tmp_path: Path) -> None:
    run([PYTHON, "-m", "venv", tmp_path / "venv"], os.environ)
    pip = [
        tmp_path / "venv/bin/python",
        "-m",
        "pip",
        "install",
        "--quiet",
        "--no-compile",
        "--disable-pip-version-check",
    ]
    run([*pip, f"{wheel}[sandbox]"], os.environ)
    assert why_not(tmp_path / "venv", dict(os.environ)) == ""


@pytest.fixture
def one_is_broken(tmp_path: Path) -> Iterator[Index]:
    """An index with one newer release, of structlog, that breaks when it is imported."""
    (tmp_path / "newer").mkdir()
    [structlog] = locked_wheels().glob("structlog-*")
    make_newer(structlog, tmp_path / "newer")
    with Index(locked_wheels(), tmp_path / "newer") as index:
        yield index


def test_a_dependency_that_breaks_it_is_named(wheel: Path, one_is_broken: Index, tmp_path: Path) -> None:
    told = surroundings(tmp_path, UV_INDEX_URL=one_is_broken.url)
    run([PYTHON, "-m", "venv", "--without-pip", tmp_path / "venv"], told)
    run([UV, "pip", "install", "--quiet", "--python", tmp_path / "venv/bin/python", f"{wheel}[sandbox]"], told)
    version = locked()["structlog"]
    assert re.match(
        rf"broken by structlog \S+ \(it works with {re.escape(version)}\): narrow its range",
        why_not(tmp_path / "venv", told),
    )


def test_blame() -> None:
    def works_with(name: str, version: str) -> bool:
        return (name, version) == ("b", "1")

    assert blame({"a": "1"}, {"a": "1"}, works_with) == "it fails with the locked versions: no dependency is newer"
    said = blame({"a": "2", "b": "3", "c": "1"}, {"a": "1", "b": "1", "c": "1"}, works_with)
    assert said.startswith("broken by b 3 (it works with 1): ")
    said = blame({"a": "2", "b": "3"}, {"a": "1", "b": "2"}, works_with)
    assert said == "broken by more than one of the newer packages: a 2 (locked: 1), b 3 (locked: 2)"
