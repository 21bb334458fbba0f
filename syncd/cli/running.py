"""The daemon, and telling it to read its configuration again."""

from __future__ import annotations

from pathlib import Path
from typing import TYPE_CHECKING

import click

from syncd.cli.asking import reached
from syncd.cli.shared import answer, config_option, json_option, opened
from syncd.errors import DaemonError

if TYPE_CHECKING:
    from syncd.log import Form


@click.command(short_help="The daemon: sync on schedule, until it is told to stop.")
@config_option
@click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="info",
    show_default=True,
    help="What to log on stderr.",
)
@click.option(
    "--log-format",
    type=click.Choice(["auto", "console", "journal", "logfmt", "json"]),
    default="auto",
    show_default=True,
    help="How; auto: for people on a terminal, for the journal under systemd, logfmt elsewhere.",
)
def run(config: Path, log_level: str, log_format: Form) -> int:
    """The daemon: a first run at once, then on schedule, until SIGTERM. SIGHUP reads the configuration again.

    systemd starts it as syncd.service; on a terminal, Ctrl-C ends it.
    """
    from syncd.daemon.service import serve

    return serve(opened(config, log_level, log_format))


@click.command(short_help="Let the daemon read its configuration again.")
@config_option
@json_option
def reload(config: Path, as_json: bool) -> None:
    """Let the daemon read its configuration again; a bad one is refused, and the old one stays in force."""
    daemon, _ = reached(config)
    if daemon is None:
        raise DaemonError("no daemon runs on this state file", hint="every other command reads the configuration anew")
    done = daemon.ask("reload", {})
    if as_json:
        answer([done])
        return
    more = [f"{word}: {', '.join(done[word])}" for word in ("new", "gone") if done[word]]
    click.echo("; ".join([f"reloaded; targets: {', '.join(done['targets'])}", *more]))
