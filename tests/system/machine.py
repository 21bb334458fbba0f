"""A Debian machine with a real systemd, booted in a container: made once, kept below ~/.cache, changed in an overlay.

Needs root, debootstrap and systemd-nspawn; `tools/setup test` sees to the two. The machine has no network of its own
but loopback: what is installed in it comes from a folder of wheels.
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
from collections.abc import Sequence
from pathlib import Path
from typing import Final, Self

ROOT: Final = Path(__file__).parents[2]
_CACHE: Final = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "syncd-tests"
_SUITE: Final = "bookworm"
_PYTHON: Final = "3.11"
"""What that suite has."""
_PACKAGES: Final = "python3,python3-venv,make,systemd,systemd-sysv,dbus,curl"
_MIRROR: Final = "http://deb.debian.org/debian"
_BOOTED: Final = 60.0


class Machine:
    """One booted machine; a context manager. What is changed in it is gone afterwards."""

    def __init__(self) -> None:
        self._folder = Path(tempfile.mkdtemp(prefix="syncd-machine-"))
        self._root = self._folder / "root"
        self._nspawn: subprocess.Popen[bytes] | None = None
        self._leader = 0

    def __enter__(self) -> Self:
        base, wheels = _debian(), _wheels()
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
        self._boot()
        return self

    def _boot(self) -> None:
        command = ["systemd-nspawn", "--boot", "--quiet", "--register=no", "--keep-unit", "--private-network"]
        with (self._folder / "console").open("wb") as console:
            self._nspawn = subprocess.Popen(
                [*command, "--link-journal=no", "--machine=syncd-test", f"--directory={self._root}"],
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

    def run(self, command: str, *, check: bool = True, timeout: float = 120) -> subprocess.CompletedProcess[str]:
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


def _debian() -> Path:
    """Return a minimal Debian, made where there is none."""
    made = _CACHE / f"{_SUITE}-{hashlib.sha256(_PACKAGES.encode()).hexdigest()[:8]}"
    if not made.exists():
        draft = made.with_suffix(f".{os.getpid()}")
        _CACHE.mkdir(parents=True, exist_ok=True)
        _say(f"making a minimal Debian for the tests in {made}, once")
        include = ["--variant=minbase", f"--include={_PACKAGES}"]
        _run(["debootstrap", *include, _SUITE, str(draft), os.environ.get("SYNCD_TEST_MIRROR", _MIRROR)])
        draft.rename(made)
    return made


def _wheels() -> Path:
    """Return what `make install` needs, as wheels for the machine's Python."""
    lock = ROOT / "requirements" / "run.lock"
    made = _CACHE / f"wheels-{hashlib.sha256(lock.read_bytes()).hexdigest()[:16]}"
    if not made.exists():
        draft = made.with_suffix(f".{os.getpid()}")
        arch, abi = platform.machine(), f"cp{_PYTHON.replace('.', '')}"
        platforms = [f"--platform={each}_{arch}" for each in _GLIBC]
        _run(
            [
                *(
                    sys.executable,
                    "-m",
                    "pip",
                    "download",
                    "--quiet",
                    "--disable-pip-version-check",
                    "--require-hashes",
                ),
                *("-r", str(lock), "-d", str(draft), "--only-binary=:all:", f"--python-version={_PYTHON}"),
                *("--implementation=cp", f"--abi={abi}", "--abi=abi3", "--abi=none", *platforms),
            ]
        )
        draft.rename(made)
    return made


_GLIBC: Final = ("manylinux_2_34", "manylinux_2_28", "manylinux_2_17", "manylinux2014", "manylinux_2_5", "manylinux1")


def _run(command: Sequence[str]) -> None:
    done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise RuntimeError(f"{' '.join(command)}: {done.returncode}\n{done.stdout[-2000:]}\n{done.stderr[-2000:]}")


def _say(text: str) -> None:
    print(f"== {text}", file=sys.__stderr__, flush=True)
