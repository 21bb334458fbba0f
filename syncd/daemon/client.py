"""Asks the daemon over its Unix socket: HTTP and JSON, one connection for each question."""

from __future__ import annotations

import http.client
import os
import socket
from collections.abc import Iterator, Mapping, Sequence
from contextlib import closing, contextmanager, suppress
from pathlib import Path
from typing import Final, Protocol

import orjson

from syncd.core.model import Json
from syncd.errors import DaemonError, LeaseHeld, SyncdError

BEHIND: Final = "Syncd-Behind"
"""The header in which root names the person behind sudo."""
_PATIENCE: Final = 30.0
"""Seconds that an answer may take; the follower of a run gets an event every few seconds."""


class Follower(Protocol):
    """Shows the progress of a run, as `syncd.cli.progress.TerminalProgress` does."""

    def pulled(self, people: int) -> None: ...
    def reading(self, target: str) -> None: ...
    def waiting(self, sentence: str) -> None: ...
    def pushing(self, target: str, changes: int) -> None: ...
    def pushed(self, target: str, changes: int) -> None: ...


class Daemon:
    """The daemon behind a socket. Every method raises DaemonError for an unreachable daemon, or the daemon's error."""

    def __init__(self, path: Path) -> None:
        self._path = path

    def about(self) -> Json:
        """Return its process, state file and configuration."""
        return self.ask("daemon", {})

    def ask(self, operation: str, arguments: Mapping[str, Json], behind: str = "") -> Json:
        """Return the answer to one operation."""
        with self._sent(operation, arguments, behind) as response:
            return _understood(response)

    def follow(self, job: Mapping[str, Json], progress: Follower | None, behind: str = "") -> list[Json]:
        """Request a job; return the job's runs, or plans, at its end. The job goes on when its follower leaves."""
        with self._sent("jobs", job, behind) as response:
            if response.status != 200:
                _understood(response)
            for line in iter(response.readline, b""):
                event = orjson.loads(line)
                if event["event"] == "end":
                    answer: list[Json] = event["answer"]
                    return answer
                if event["event"] == "error":
                    raise _error(event)
                if progress is not None:
                    _tell(event, progress)
        raise DaemonError("the daemon ended before the run did", hint="`syncd status` says where it stands")

    @contextmanager
    def _sent(self, operation: str, arguments: Mapping[str, Json], behind: str) -> Iterator[http.client.HTTPResponse]:
        headers = {"Content-Type": "application/json"} | ({BEHIND: behind} if behind else {})
        with closing(_Connection(self._path)) as connection:
            connection.connect()
            try:
                connection.request("POST", f"/v1/{operation}", orjson.dumps(dict(arguments)), headers)
                yield connection.getresponse()
            except TimeoutError:
                raise DaemonError(f"{self._path}: the daemon did not answer in {_PATIENCE:.0f} s") from None
            except (http.client.HTTPException, ConnectionError) as error:
                what = str(error) or type(error).__name__
                raise DaemonError(
                    f"{self._path}: the daemon broke off ({what})", hint="`journalctl -u syncd` says more"
                ) from None


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: Path) -> None:
        super().__init__("syncd", timeout=_PATIENCE)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM)
        self.sock.settimeout(self.timeout)
        with reachable(self._path) as address:
            self.sock.connect(address)


@contextmanager
def reachable(path: Path) -> Iterator[str]:
    """Yield an address for a socket's path of any length: the kernel takes 107 bytes."""
    folder = os.open(path.parent, os.O_PATH | os.O_DIRECTORY | os.O_CLOEXEC)
    try:
        yield f"/proc/self/fd/{folder}/{path.name}"
    finally:
        os.close(folder)


def find(sockets: Sequence[Path], state: Path) -> Daemon | None:
    """Return the daemon that works on a state file; None where no daemon does.

    Raises DaemonError where a daemon runs that refuses us access.
    """
    return _find(sockets, "state", state)


def find_by_configuration(sockets: Sequence[Path], file: Path) -> Daemon | None:
    """Return the daemon that was started with a configuration, which may be unusable now. Raises DaemonError."""
    return _find(sockets, "configuration", file)


def _find(sockets: Sequence[Path], fact: str, path_of_it: Path) -> Daemon | None:
    kept_from = None
    for path in sockets:
        daemon = Daemon(path)
        try:
            about = daemon.about()
        except (FileNotFoundError, NotADirectoryError, ConnectionRefusedError):
            continue
        except PermissionError:
            with suppress(PermissionError):  # in a folder that we may not enter there may be nothing
                path.lstat()
                kept_from = path
            continue
        if about[fact] == str(path_of_it.resolve()):
            return daemon
    if kept_from is not None:
        raise DaemonError(
            f"{kept_from}: you may not talk to the daemon", hint="its socket is for root and for members of its group"
        )
    return None


def _understood(response: http.client.HTTPResponse) -> Json:
    try:
        answer = orjson.loads(response.read())
    except orjson.JSONDecodeError:
        raise DaemonError(f"the daemon answered {response.status}, and not in JSON") from None
    if response.status != 200:
        raise _error(answer)
    return answer


def _error(answer: Json) -> SyncdError:
    class_ = LeaseHeld if answer.get("exit_code") == LeaseHeld.exit_code else SyncdError
    return class_(answer["error"], hint=answer.get("hint", ""))


def _tell(event: Json, progress: Follower) -> None:
    match event["event"]:
        case "waiting":
            progress.waiting(event["for"])
        case "pulling":
            progress.pulled(event["people"])
        case "reading":
            progress.reading(event["target"])
        case "pushing":
            progress.pushing(event["target"], event["changes"])
        case "pushed":
            progress.pushed(event["target"], event["changes"])
