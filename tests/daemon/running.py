"""A daemon as a separate process, as systemd runs one: it says when it is ready, and is stopped by signals."""

from __future__ import annotations

import os
import signal
import socket
import subprocess
import sys
import tempfile
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import Any, Self

from syncd.daemon.client import Daemon
from tests.system.commands import Administrator, Done

Json = Any
_UNDISTURBED = {"SYNCD__SCHEDULE__RESYNC": "never"}
"""No test meets the minute of the daily resync."""


class Running:
    """A daemon on an administrator's configuration; a context manager that sees it end in order."""

    def __init__(self, admin: Administrator, *options: str, **environment: str) -> None:
        self.admin = admin
        self._options = options
        self._environment = environment
        self._folder = tempfile.TemporaryDirectory(prefix="syncd-")
        self._told = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self._told.settimeout(60)
        self._told.bind(f"{self._folder.name}/notify")
        self.log = admin.folder / "daemon.log"
        self.heard: list[str] = []
        """What it has told systemd."""
        self._process: subprocess.Popen[bytes] | None = None

    def start(self) -> Self:
        """Start it and wait until it is ready."""
        with self.log.open("ab") as log:
            self._process = subprocess.Popen(
                [str(Path(sys.executable).with_name("syncd")), "run", *self._options],
                cwd=self.admin.folder,
                env=_UNDISTURBED
                | self.admin.environment
                | {"NOTIFY_SOCKET": f"{self._folder.name}/notify"}
                | self._environment,
                stderr=log,
            )
        self.wait_for("READY=1")
        return self

    def wait_for(self, what: str) -> str:
        """Wait until it tells systemd something that holds this text; what it says is the event that is waited for."""
        while True:
            said = self._told.recv(4096).decode()
            self.heard.append(said)
            if what in said:
                return said

    @property
    def pid(self) -> int:
        assert self._process is not None
        return self._process.pid

    @property
    def daemon(self) -> Daemon:
        return Daemon(self.admin.folder / self.admin.environment.get("SYNCD__CONTROL__SOCKET", "syncd.sock"))

    def ask(self, operation: str, **arguments: Json) -> Json:
        return self.daemon.ask(operation, arguments)

    def do(self, kind: str, **arguments: Json) -> list[Json]:
        """Have a job done, and wait for its end: everything that was asked for before it has ended then, too."""
        return self.daemon.follow({"kind": kind, **arguments}, None)

    def status(self) -> Json:
        return self.ask("status")[0]

    def until(self, is_so: Callable[[Json], object]) -> Json:
        """Follow `status` until something is so; its word to systemd each second is what paces this."""
        while not is_so(found := self.status()):
            self.wait_for("")
        return found

    def signal(self, which: signal.Signals) -> None:
        os.kill(self.pid, which)

    def ended(self) -> int:
        """Wait for its end; returns the exit code."""
        assert self._process is not None
        return self._process.wait(60)

    def stop(self) -> int:
        """End it as systemd does."""
        self.signal(signal.SIGTERM)
        return self.ended()

    def logged(self) -> str:
        return self.log.read_text(encoding="utf-8")

    def __enter__(self) -> Self:
        return self.start()

    def __exit__(self, kind: object, error: object, trace: object) -> None:
        try:
            if self._process is not None and self._process.poll() is None:
                code = self.stop()
                if error is None:
                    assert code == 0, self.logged()
            if error is None:
                assert "Traceback" not in self.logged(), self.logged()
        finally:
            if self._process is not None and self._process.poll() is None:
                self._process.kill()
                self._process.wait()
            self._told.close()
            self._folder.cleanup()


def as_somebody(admin: Administrator, user: str, *arguments: str, environment: Mapping[str, str] | None = None) -> Done:
    """Run a command as another user of this machine."""
    command = [sys.executable, "-m", "syncd", *arguments]
    done = subprocess.run(
        command,
        cwd="/",
        env=admin.environment | {"SYNCD_CONFIG": str(admin.folder / "syncd.toml")} | dict(environment or {}),
        user=user,
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )
    return Done(done.returncode, done.stdout, done.stderr)
