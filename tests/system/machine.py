"""A machine with a real systemd, booted in a container: made once, kept below ~/.cache, changed in an overlay.

Needs root, mmdebstrap and systemd-nspawn; `tools/setup test` installs the two. The machine has no network of its own
but loopback: Python packages are installed in it from a folder of wheels.
"""

from __future__ import annotations

import hashlib
import os
import platform
import shlex
import shutil
import signal
import subprocess
import sys
import tempfile
import time
import urllib.error
import urllib.request
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Final, Self

from tests.made_once import CACHE, made_once

ROOT: Final = Path(__file__).parents[2]
_PACKAGES: Final = "apt,python3,python3-venv,make,git,systemd,systemd-sysv,dbus,curl"
_BOOTED: Final = 300.0


@dataclass(frozen=True, slots=True)
class System:
    """An operating system as it is released. `python`: its own, the one that syncd is installed with."""

    suite: str
    python: str
    mirror: str = "http://deb.debian.org/debian"
    components: str = "main"
    keyring: tuple[str, str] | None = None
    """A package of the mirror with the keys that sign it, and that package's SHA-256; none: this machine has them."""

    def __str__(self) -> str:
        return self.suite

    def mirror_answers(self) -> bool:
        """Return whether its packages can be fetched from here, or were before."""
        if (CACHE / self.name).exists():
            return True
        try:
            with urllib.request.urlopen(f"{self.mirror}/dists/{self.suite}/Release", timeout=20):
                return True
        except (urllib.error.URLError, TimeoutError):
            return False

    @property
    def name(self) -> str:
        """Of the folder that its machines begin with."""
        return f"{self.suite}-{hashlib.sha256(_PACKAGES.encode()).hexdigest()[:8]}"


DEBIAN_12: Final = System("bookworm", "3.11")
DEBIAN_13: Final = System("trixie", "3.13")
UBUNTU_24_04: Final = System(
    "noble",
    "3.12",
    "http://archive.ubuntu.com/ubuntu",
    "main,universe",
    (
        "pool/main/u/ubuntu-keyring/ubuntu-keyring_2023.11.28.1_all.deb",
        "36de43b15853ccae0028e9a767613770c704833f82586f28eb262f0311adb8a8",
    ),
)


class Machine:
    """One booted machine; a context manager. What is changed in it is gone afterwards.

    The project is in /src, a repository with everything committed; wheels are in /wheels.
    """

    def __init__(self, system: System = DEBIAN_12) -> None:
        self._system = system
        self._folder = Path(tempfile.mkdtemp(prefix="syncd-machine-"))
        self._root = self._folder / "root"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        base, wheels = _base(self._system), _wheels(self._system)
        for name in ("root", "upper", "work"):
            (self._folder / name).mkdir()
        layers = f"lowerdir={base},upperdir={self._folder}/upper,workdir={self._folder}/work"
        subprocess.run(["mount", "-t", "overlay", "overlay", "-o", layers, self._root], check=True)
        shutil.copytree(wheels, self._root / "wheels")
        listing = ["git", "ls-files", "-z", "--cached", "--others", "--exclude-standard"]
        files = subprocess.run(listing, cwd=ROOT, capture_output=True, check=True).stdout
        for name in files.decode().split("\0"):
            if name and (ROOT / name).is_file():
                (self._root / "src" / name).parent.mkdir(parents=True, exist_ok=True)
                shutil.copy2(ROOT / name, self._root / "src" / name)
        for command in ("init -q", "add -A", "-c user.name=syncd -c user.email=syncd@example.com commit -q -m all"):
            _run(["git", *command.split()], cwd=self._root / "src")
        self._boot()
        return self

    def _boot(self) -> None:
        command = ["systemd-nspawn", "--boot", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        with (self._folder / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*command, "--link-journal=no", f"--machine=syncd-{self._system}", f"--directory={self._root}"],
                stdin=subprocess.DEVNULL,
                stdout=console,
                stderr=console,
                start_new_session=True,
            )
        by = time.monotonic() + _BOOTED
        while time.monotonic() < by and self._nspawn.poll() is None:
            children = Path(f"/proc/{self._nspawn.pid}/task/{self._nspawn.pid}/children").read_text().split()
            if children:
                self._leader = int(children[0])
                # Waits by itself until the boot is over, once systemd listens.
                done = self.run("systemctl is-system-running --wait", check=False)
                if done.stdout.strip() in ("running", "degraded"):
                    return
            time.sleep(0.1)  # there is nothing to wait on before there is a bus
        raise RuntimeError(
            f"the machine did not boot: {(self._folder / 'console').read_text(errors='replace')[-2000:]}"
        )

    def run(self, command: str, *, check: bool = True, timeout: float = 900) -> subprocess.CompletedProcess[str]:
        """Run a shell's line inside; its output is text. Raises where it fails, unless that is `check`ed elsewhere."""
        inside = ["nsenter", "-t", str(self._leader), "-m", "-u", "-i", "-n", "-p", "-C", "--", "env", "-i"]
        environment = [
            "PATH=/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin",
            "HOME=/root",
            "LANG=C.UTF-8",
        ]
        done = subprocess.run(
            [*inside, *environment, "sh", "-c", command],
            capture_output=True,
            text=True,
            timeout=timeout,
            check=False,
        )
        if check and done.returncode:
            raise AssertionError(f"{command}: {done.returncode}\n{done.stdout}\n{done.stderr}\n{self.journal()}")
        return done

    def write(self, path: str, text: str, mode: int = 0o644) -> None:
        """Write a file inside, whole or not at all, from inside: an overlay isn't changed behind a machine's back."""
        new, old = f"{shlex.quote(path)}.new", shlex.quote(path)
        line = f"cat >{new} && chmod {mode:o} {new} && mv {new} {old}"
        done = subprocess.run(
            ["nsenter", "-t", str(self._leader), "-m", "--", "sh", "-c", line],
            input=text,
            text=True,
            capture_output=True,
            check=False,
        )
        assert done.returncode == 0, done.stderr

    def journal(self, unit: str = "syncd") -> str:
        return self.run(f"journalctl -u {unit} -o short --no-pager -n 200", check=False).stdout

    def show(self, *properties: str, unit: str = "syncd") -> dict[str, str]:
        """Return properties of a unit."""
        lines = self.run(f"systemctl show {unit} -p {','.join(properties)}").stdout.splitlines()
        return dict(line.split("=", 1) for line in lines)

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        if self._nspawn is not None:
            if self._nspawn.poll() is None:
                os.kill(self._nspawn.pid, signal.SIGTERM)  # nspawn lets it power off
            try:
                self._nspawn.wait(20)
            except subprocess.TimeoutExpired:
                self._nspawn.kill()
                self._nspawn.wait()
        subprocess.run(["umount", "--lazy", self._root], check=False)
        shutil.rmtree(self._folder, ignore_errors=True)


def _base(system: System) -> Path:
    """Return the folder of a minimal system, made where there is none."""

    def make(draft: Path) -> None:
        _say(f"making a minimal {system} for the tests, once")
        with tempfile.TemporaryDirectory(prefix="syncd-keyring-") as folder:
            keyring = [f"--keyring={_keyring(system, Path(folder))}"] if system.keyring else []
            options = ["--quiet", "--mode=root", "--variant=minbase", f"--components={system.components}", *keyring]
            mirror = system.mirror if system.keyring else os.environ.get("SYNCD_TEST_MIRROR", system.mirror)
            _run(["mmdebstrap", *options, f"--include={_PACKAGES}", system.suite, str(draft), mirror])

    return made_once(system.name, make)


def _keyring(system: System, folder: Path) -> Path:
    """Fetch the keys of a mirror's owner, known by their digest."""
    assert system.keyring is not None
    path, digest = system.keyring
    with urllib.request.urlopen(f"{system.mirror}/{path}", timeout=60) as answer:
        data = answer.read()
    assert hashlib.sha256(data).hexdigest() == digest, path
    (folder / "keyring.deb").write_bytes(data)
    _run(["dpkg-deb", "-x", str(folder / "keyring.deb"), str(folder)])
    [found] = folder.glob("usr/share/keyrings/*-archive-keyring.gpg")
    return found


def _wheels(system: System) -> Path:
    """Return what an installation needs, as wheels for the system's Python."""
    lock = (ROOT / "uv.lock").read_bytes()

    def make(draft: Path) -> None:
        arch, abi = platform.machine(), f"cp{system.python.replace('.', '')}"
        _run(
            [
                *(str(ROOT / "tools/wheels"), str(draft), "--", f"--python-version={system.python}"),
                *("--implementation=cp", f"--abi={abi}", "--abi=abi3", "--abi=none"),
                *(f"--platform={each}_{arch}" for each in _GLIBC),
            ]
        )

    return made_once(f"wheels-{system.python}-{hashlib.sha256(lock).hexdigest()[:16]}", make)


_GLIBC: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1")


def _run(command: Sequence[str], cwd: Path = ROOT) -> None:
    done = subprocess.run(command, cwd=cwd, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _say(text: str) -> None:
    print(f"== {text}", file=sys.__stderr__, flush=True)
