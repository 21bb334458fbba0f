"""The answer to a command: from the daemon that works on the state file, or, without a daemon, from the state file."""

from __future__ import annotations

import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import click

from syncd.cli.shared import following, opened, readable_state_of, state_of
from syncd.errors import ConfigurationError

if TYPE_CHECKING:
    from datetime import tzinfo

    from syncd.core.model import Json
    from syncd.core.plan import Run
    from syncd.cycle.jobs import Job
    from syncd.daemon.client import Daemon
    from syncd.settings.build import Setup


def daemon_of(setup: Setup) -> Daemon | None:
    """Return the daemon that works on the configured state file, None without a daemon. Raises DaemonError."""
    from syncd.daemon.client import find

    return find(setup.sockets, setup.state)


def reached(config: Path) -> tuple[Daemon | None, Setup | None]:
    """Return the daemon and the setup. With a configuration that became unusable, the running daemon still answers.

    Raises ConfigurationError, DaemonError.
    """
    try:
        setup = opened(config)
    except ConfigurationError:
        from syncd.daemon.client import find_by_configuration
        from syncd.settings.build import RUNTIME_SOCKET

        daemon = find_by_configuration([config.resolve().parent / "syncd.sock", RUNTIME_SOCKET], config)
        if daemon is None:
            raise
        return daemon, None
    return daemon_of(setup), setup


def ask(config: Path, operation: str, **arguments: Any) -> Json:
    """Return the answer to one of `syncd.operations.OPERATIONS`. Raises SyncdError."""
    return answered(config, operation, **arguments)[0]


def answered(config: Path, operation: str, **arguments: Any) -> tuple[Json, tzinfo]:
    """Return the answer to an operation, and the zone in which its times are shown. Raises SyncdError.

    The zone is the configured zone. With a configuration that became unusable, the zone is that of the running daemon.
    """
    daemon, setup = reached(config)
    if daemon is not None:
        value = daemon.ask(operation, arguments, _behind())
        return value, setup.settings.schedule.zone if setup else _zone_of(daemon)
    assert setup is not None
    return _answer_here(setup, operation, arguments), setup.settings.schedule.zone


def _zone_of(daemon: Daemon) -> tzinfo:
    from datetime import UTC
    from zoneinfo import ZoneInfo

    name = daemon.about().get("timezone", "UTC")  # a daemon of an older version doesn't report the zone
    return UTC if name == "UTC" else ZoneInfo(name)


def _answer_here(setup: Setup, operation: str, arguments: dict[str, Any]) -> Json:
    """Return the answer from the state file itself: no daemon works on it."""
    from datetime import UTC, datetime

    from syncd.operations import OPERATIONS, OperationContext

    meant = OPERATIONS[operation]
    asked = meant.arguments(**arguments)
    if not meant.writes:
        with readable_state_of(setup) as state:
            return meant.answer(OperationContext(setup, state, person(), datetime.now(UTC)), asked)
    with state_of(setup) as state, state.lease(operation):
        return meant.answer(OperationContext(setup, state, person(), datetime.now(UTC)), asked)


def runs_of(setup: Setup, job: Job) -> list[Run]:
    """Run a job, and follow the job to its end. Raises SyncdError."""
    from syncd.core.plan import Run

    job.targets(setup)  # an unknown target is an error before any daemon is asked
    if daemon := daemon_of(setup):
        with _left_to_the_daemon(), following() as progress:
            return [Run.from_json(each) for each in daemon.follow(job.model_dump(), progress, _behind())]
    from syncd.cycle.jobs import perform

    with state_of(setup) as state, state.lease(job.kind), following() as progress:
        return [each for each in perform(job, setup, state, progress) if isinstance(each, Run)]


@contextmanager
def _left_to_the_daemon() -> Iterator[None]:
    """Tell a person who leaves with Ctrl-C that the daemon still carries out the job."""
    try:
        yield
    except KeyboardInterrupt:
        click.echo("\nthe daemon goes on with it: `syncd status` says how far it is, `syncd pause` ends it", err=True)
        raise


def person() -> str:
    """Return the login name of the person who runs the command: the person behind sudo, else the process's user."""
    user = os.getuid()
    if behind := _behind():
        return behind
    try:
        return pwd.getpwuid(user).pw_name
    except KeyError:
        return f"user {user}"


def _behind() -> str:
    return os.environ.get("SUDO_USER", "") if os.getuid() == 0 else ""
