"""Installing into a folder (DESTDIR), as for a package: the installed files, the changes of an upgrade, the kept files.

On a real machine, with its account and its service: tests/system/test_systemd.py.
"""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest

from syncd import __version__

ROOT = Path(__file__).parents[2]
UNITS = ROOT / "systemd"
CONFIGURATION = "etc/syncd/syncd.toml"


def make(target: str, folder: Path) -> str:
    """Run a target of the Makefile into a folder; returns what it says."""
    environment = {name: value for name, value in os.environ.items() if not name.startswith(("MAKE", "SYNCD"))}
    done = subprocess.run(
        ["make", "--no-print-directory", target, f"DESTDIR={folder}"],
        cwd=ROOT,
        env=environment | {"PYTHON": str(Path(sys.base_prefix) / "bin" / "python3")},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode == 0, done.stderr
    return done.stderr


def releases(folder: Path) -> set[str]:
    return {each.name for each in (folder / "opt/syncd.releases").iterdir()}


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Iterator[Path]:
    """What `make install` puts into a folder whose name has a blank."""
    folder = tmp_path_factory.mktemp("an installation")
    make("install", folder)
    yield folder
    shutil.rmtree(folder)


def test_everything_is_in_its_place(folder: Path) -> None:
    system = folder / "usr/lib/systemd/system"
    assert {each.name for each in system.iterdir()} == {"syncd.service", "syncd-resync@.service"}
    assert (folder / "usr/lib/sysusers.d/syncd.conf").read_text() == (UNITS / "syncd.sysusers").read_text()
    assert (folder / "usr/lib/tmpfiles.d/syncd.conf").read_text() == (UNITS / "syncd.tmpfiles").read_text()
    assert (folder / CONFIGURATION).stat().st_mode & 0o777 == 0o640
    assert (folder / "etc/syncd/credentials").stat().st_mode & 0o777 == 0o700
    assert (folder / "usr/bin/syncd").readlink() == Path("/opt/syncd/bin/syncd")
    for unit in UNITS.glob("*.service"):
        for page in re.findall(r"file:(/\S+)", unit.read_text()):
            assert inside(folder, page).is_file(), f"{unit.name} names {page}"


def inside(folder: Path, path: str) -> Path:
    """Return where a path of the machine that this is for is in the folder, once /opt/syncd is followed there."""
    release = (folder / "opt/syncd").readlink()
    return folder / path.replace("/opt/syncd/", f"{release}/").lstrip("/")


def test_what_is_installed_names_its_final_place_alone(folder: Path) -> None:
    release = folder / (folder / "opt/syncd").readlink().relative_to("/")
    assert f"/opt/syncd.releases/{release.name}/bin/python" in (release / "bin/syncd").read_text()
    named = subprocess.run(["grep", "-rlF", str(folder), str(release)], capture_output=True, text=True, check=False)
    assert named.stdout == ""


def test_it_runs_and_is_this_version(folder: Path) -> None:
    python = inside(folder, "/opt/syncd/bin/python")
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(python), "-W", "ignore", "-m", "syncd", "--version"]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    assert done.stdout == f"syncd, version {__version__}\n"


def test_everybody_may_read_it_and_the_service_need_not_compile_it(folder: Path) -> None:
    release = inside(folder, "/opt/syncd/bin").parent
    modes = {path: path.lstat().st_mode for path in release.rglob("*") if not path.is_symlink()}
    assert [path for path, mode in modes.items() if mode & 0o444 != 0o444 or mode & 0o022] == []
    package = next(release.glob("lib/python*/site-packages/syncd"))
    assert {path.stem for path in package.rglob("*.py")} == {path.name.split(".")[0] for path in package.rglob("*.pyc")}


def test_what_a_process_of_syncd_loads_is_compiled(folder: Path) -> None:
    """All of syncd, and of every library what syncd loads of it: the service could not write it down."""
    release = inside(folder, "/opt/syncd/bin").parent
    code = """
import importlib, pkgutil, sys
import syncd
from syncd import loading
loading.begin()
for module in pkgutil.walk_packages(syncd.__path__, "syncd."):
    if not module.name.endswith("__main__"):
        importlib.import_module(module.name)
for module in list(sys.modules.values()):
    print(getattr(module, "__file__", None), getattr(module, "__cached__", None), sep="\\t")
"""
    environment = {"PATH": os.environ["PATH"], "PYTHONDONTWRITEBYTECODE": "1"}
    command = [str(release / "bin/python"), "-W", "ignore", "-c", code]
    done = subprocess.run(command, cwd="/", env=environment, capture_output=True, text=True, check=True)
    loaded = [line.split("\t") for line in done.stdout.splitlines()]
    packages = [(file, compiled) for file, compiled in loaded if f"{release}/lib" in file and file.endswith(".py")]
    assert len(packages) > 500
    assert [file for file, compiled in packages if not Path(compiled).is_file()] == []


def test_an_upgrade_keeps_what_is_the_administrators_and_the_release_before(folder: Path) -> None:
    (folder / CONFIGURATION).write_text("# mine\n")
    (folder / "etc/syncd/credentials/lucid-token").write_text("s3cret\n")
    first = (folder / "opt/syncd").readlink().name
    (folder / "opt/syncd.releases/0.0.1-older").mkdir()
    make("install", folder)
    second = (folder / "opt/syncd").readlink().name
    assert first != second
    assert releases(folder) == {first, second}, "an older one is of no use any more"
    assert (folder / CONFIGURATION).read_text() == "# mine\n"
    assert (folder / "etc/syncd/credentials/lucid-token").read_text() == "s3cret\n"


def test_an_installation_that_fails_changes_nothing(folder: Path) -> None:
    before, there = (folder / "opt/syncd").readlink(), releases(folder)
    done = subprocess.run(
        [ROOT / "tools/install"],
        env=os.environ | {"DESTDIR": str(folder), "PIP_NO_INDEX": "1", "PIP_FIND_LINKS": "/nonexistent"},
        capture_output=True,
        text=True,
        check=False,
    )
    assert done.returncode != 0
    assert ((folder / "opt/syncd").readlink(), releases(folder)) == (before, there)


def test_uninstalling_leaves_configuration_and_state_and_says_so(folder: Path) -> None:
    state = folder / "var/lib/syncd/syncd.db"
    state.parent.mkdir(parents=True)
    state.write_bytes(b"state")
    said = make("uninstall", folder)
    assert f"kept are {folder}/etc/syncd, {folder}/var/lib/syncd" in said
    left = {str(path.relative_to(folder)) for path in folder.rglob("*") if not path.is_dir()}
    assert left == {CONFIGURATION, "etc/syncd/credentials/lucid-token", "var/lib/syncd/syncd.db"}


@pytest.mark.parametrize("unit", ["syncd.service", "syncd-resync@.service"])
def test_the_exposure_level_is_1_5_or_less_and_each_remaining_one_is_explained(unit: str) -> None:
    command = ["systemd-analyze", "security", "--offline=true", "--no-pager", str(UNITS / unit)]
    said = subprocess.run(command, capture_output=True, text=True, check=True, env=os.environ | {"LANG": "C.UTF-8"})
    level = re.search(r"Overall exposure level for \S+: (\d+\.\d)", said.stdout)
    assert level is not None, said.stdout
    assert float(level[1]) <= 1.5
    exposed = re.findall(r"^✗ (\S+)", said.stdout, re.MULTILINE)
    assert exposed
    explained = (UNITS / "syncd.service").read_text().partition("Remaining findings of `systemd-analyze security`")[2]
    assert [setting for setting in exposed if setting not in explained] == []


def test_the_resync_is_sandboxed_as_the_service_is() -> None:
    """It does the same work, where no daemon runs."""
    settings = {
        unit: set(re.findall(rf"^({'|'.join(_SANDBOX)})=(.*)$", (UNITS / unit).read_text(), re.MULTILINE))
        for unit in ("syncd.service", "syncd-resync@.service")
    }
    assert len(settings["syncd.service"]) > 20
    assert settings["syncd.service"] == settings["syncd-resync@.service"]


_SANDBOX = (
    *("Protect[A-Za-z]+", "Private[A-Za-z]+", "Restrict[A-Z][A-Za-z]+(?<!ExitStatus)", "SystemCall[A-Za-z]+"),
    *("[A-Za-z]*Capabilit[A-Za-z]+", "NoNewPrivileges", "ProcSubset", "LockPersonality", "MemoryDenyWriteExecute"),
    *("RemoveIPC", "KeyringMode", "DevicePolicy", "UMask", "User", "Group", "[A-Z][a-z]+Credential", "Environment"),
    *("(?:State|Configuration)Directory(?:Mode)?",),
)
