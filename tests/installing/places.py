"""Common parts of the tests of installing: a copy of the project, the locked wheels, an old pip, a syncd to try."""

from __future__ import annotations

import os
import re
import shutil
import subprocess
import sys
import tomllib
from collections.abc import Mapping
from hashlib import sha256
from importlib.metadata import distributions
from pathlib import Path
from typing import Final

from tests.installing.index import make_newer, normalized
from tests.made_once import made_once

ROOT: Final = Path(__file__).parents[2]
PYTHON: Final = Path(sys.base_prefix) / "bin" / f"python{sys.version_info[0]}.{sys.version_info[1]}"
_VERSION: Final = f"{sys.version_info[0]}.{sys.version_info[1]}"


def locked() -> dict[str, str]:
    """Return the locked version of each package."""
    packages = tomllib.loads((ROOT / "uv.lock").read_text(encoding="utf-8"))["package"]
    return {package["name"]: package["version"] for package in packages}


def installed(environment: Path) -> dict[str, str]:
    """Return the version of each package in a virtual environment or a release."""
    [folder] = environment.glob("lib/python*/site-packages")
    return {normalized(each.name): each.version for each in distributions(path=[str(folder)])}


def locked_wheels() -> Path:
    """Return a folder of the locked wheels for this Python, the tests' own among them, and of an old pip."""

    def make(folder: Path) -> None:
        plain = os.environ | {"PYTHON": str(PYTHON)}
        run([ROOT / "tools/wheels", folder, "--group", "dev"], plain)
        old = ["download", "--quiet", "--no-deps", "--require-hashes", "-r", Path(__file__).parent / "old-pip.txt"]
        run([sys.executable, "-m", "pip", *old, "-d", folder / "old-pip"], plain)

    return made_once(f"locked-{_VERSION}-{_digest()}", make)


def newer_wheels() -> Path:
    """Return a folder with a newer release of each locked package, broken on purpose."""
    wheels = locked_wheels()

    def make(folder: Path) -> None:
        folder.mkdir()
        for wheel in wheels.glob("*.whl"):
            make_newer(wheel, folder)

    return made_once(f"newer-{_VERSION}-{_digest()}", make)


def _digest() -> str:
    return sha256((ROOT / "uv.lock").read_bytes() + Path(__file__).read_bytes()).hexdigest()[:16]


def python_with_an_old_pip(folder: Path) -> Path:
    """Write a Python whose virtual environments begin with a pip of before 23.3, and with all else that is its own.

    What such an environment has is installed once and copied into each.
    """
    [pip] = (locked_wheels() / "old-pip").glob("*.whl")
    run([PYTHON, "-m", "venv", folder / "pattern"], os.environ)
    install = ["-m", "pip", "install", "--quiet", "--isolated", "--no-index", "--no-deps", "--force-reinstall"]
    run([folder / "pattern/bin/python", *install, pip], os.environ)
    packages = f"lib/python{_VERSION}/site-packages"
    python = folder / "python-with-an-old-pip"
    python.write_text(
        f"""#!/bin/bash
case "$*" in *--without-pip*) ;; "-m venv "*)
  "{PYTHON}" "$@" --without-pip || exit
  exec cp -r "{folder}/pattern/{packages}/." "${{@: -1}}/{packages}" ;; esac
exec "{PYTHON}" "$@"
"""
    )
    python.chmod(0o755)
    return python


def copy_of_the_project(folder: Path) -> Path:
    """Copy what a clone would have, and the packages of Node.js, which no test installs anew."""
    listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
    names = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True, text=True).stdout.split("\0")
    for name in names:
        if name and (ROOT / name).is_file():
            (folder / name).parent.mkdir(parents=True, exist_ok=True)
            shutil.copy2(ROOT / name, folder / name)
    (folder / "tests/servers/scimmy/node_modules").symlink_to(ROOT / "tests/servers/scimmy/node_modules")
    return folder


def surroundings(folder: Path, **settings: str) -> dict[str, str]:
    """Return an environment with nothing said about indexes and certificates but `settings`, and with empty caches."""
    told = re.compile(r"(PIP|UV|SYNCD|MAKE|VIRTUAL|SSL)_.*|.*_CA_BUNDLE|(?i:.*_proxy)|PYTHON.*")
    kept = {name: value for name, value in os.environ.items() if not told.fullmatch(name)}
    nowhere = {"PIP_CONFIG_FILE": "/dev/null", "UV_NO_CONFIG": "1", "PIP_NO_CACHE_DIR": "1"}
    return kept | nowhere | {"UV_CACHE_DIR": str(folder / "uv-cache"), "HOME": str(folder)} | settings


def run(command: list[object], environment: Mapping[str, str], cwd: Path = ROOT) -> str:
    """Run a command to its good end; returns what it says on both channels."""
    done = subprocess.run(
        [str(each) for each in command],
        cwd=cwd,
        env=dict(environment),
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
        check=False,
    )
    assert done.returncode == 0, f"{command}: {done.returncode}\n{done.stdout[-4000:]}"
    return done.stdout
