"""Functions that the commands share: exit codes, options, opening the configuration, printing answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final, Literal

import click

from syncd import loading

if TYPE_CHECKING:
    from datetime import datetime, tzinfo

    from click.shell_completion import CompletionItem
    from rich.table import Table
    from rich.text import Text

    from syncd.cycle.progress import Progress
    from syncd.log import Form
    from syncd.settings.build import Setup
    from syncd.store import StateFile

OK: Final = 0
ERROR: Final = 1
CHANGES: Final = 2
HELD: Final = 3
FAILED: Final = 4
USAGE: Final = 64
_WORST_FIRST: Final = (ERROR, FAILED, HELD, CHANGES)


def worst(codes: Sequence[int]) -> int:
    """Return the exit code that takes precedence when several apply: 1, then 4, then 3, then 2."""
    return next((code for code in _WORST_FIRST if code in codes), OK)


def config_option(function: Callable[..., Any]) -> Callable[..., Any]:
    """Add `-c FILE`."""
    return click.option(
        "-c",
        "--config",
        type=click.Path(path_type=Path, dir_okay=False),
        envvar="SYNCD_CONFIG",
        default=Path("/etc/syncd/syncd.toml"),
        show_default=True,
        help="The configuration (or $SYNCD_CONFIG).",
    )(function)


def completed(what: Literal["targets", "holds", "runs"]) -> Callable[..., list[CompletionItem[str]]]:
    """Return a completion callback for a shell: a function of `syncd.cli.completing`, imported on demand."""

    def complete(context: click.Context, parameter: click.Parameter, incomplete: str) -> list[CompletionItem[str]]:
        from syncd.cli import completing

        found: list[CompletionItem[str]] = getattr(completing, what)(context, parameter, incomplete)
        return found

    return complete


target_option = click.option(
    "--target", metavar="NAME", shell_complete=completed("targets"), help="Only this target; else all."
)
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON on stdout.")
log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="What to log on stderr.",
)


def _somebody(context: click.Context, parameter: click.Parameter, who: str | None) -> str | None:
    if who is not None and not who.strip():
        raise click.BadParameter("it is empty, and would mean nobody")
    return who


user_option = click.option(
    "--user", "who", metavar="WHO", callback=_somebody, help="Only this person: a key, userName or e-mail."
)
who_argument = click.argument("who", metavar="WHO", callback=_somebody)


def _each_somebody(context: click.Context, parameter: click.Parameter, people: tuple[str, ...]) -> tuple[str, ...]:
    for who in people:
        _somebody(context, parameter, who)
    return people


people_argument = click.argument("people", metavar="WHO...", nargs=-1, required=True, callback=_each_somebody)


def opened(config: Path, log_level: str = "warning", log_format: Form = "auto") -> Setup:
    """Read the configuration. Raises ConfigurationError."""
    from syncd import log
    from syncd.settings.build import read

    log.configure(log_level, log_format)
    setup = read(config)
    loading.end()
    return setup


def state_of(setup: Setup) -> StateFile:
    """Open the state file. Raises StateError."""
    from syncd.store import StateFile

    return StateFile(setup.state)


def readable_state_of(setup: Setup) -> AbstractContextManager[StateFile]:
    """Open the state file for a read-only command, or a copy if the file is not writable. Raises StateError."""
    from syncd.store import readable

    return readable(setup.state)


def show_lines(lines: Sequence[Text | Table]) -> None:
    """Print lines, coloured and wrapped on a terminal, as they are elsewhere."""
    from syncd.report.text import render

    color = sys.stdout.isatty() and not os.environ.get("NO_COLOR")
    click.echo(render(lines, width=terminal_width(), color=color), nl=False)


def terminal_width() -> int:
    """Return how many columns stdout has; 0 where it is no terminal, and lines are as long as they are."""
    return os.get_terminal_size().columns if sys.stdout.isatty() else 0


def answer(values: Sequence[Any]) -> None:
    """Print JSON: one object for one target, a list for several."""
    from syncd.core.plan import dump

    click.echo(dump(values[0] if len(values) == 1 else list(values)), nl=False)


def following() -> Progress:
    """Return the progress of a cycle: shown as a bar on a terminal, else not shown."""
    from syncd.cli.progress import TerminalProgress
    from syncd.cycle.progress import Progress

    return TerminalProgress() if sys.stderr.isatty() else Progress()


def stop_sentence(cause: str, reason: str, since: datetime, zone: tzinfo) -> str:
    """Return since when and why a target is stopped, and the event that resumes the target."""
    from syncd.report.moments import minute
    from syncd.report.words import END_OF_STOP

    return f"stopped since {minute(since, zone)}: {reason}; {END_OF_STOP[cause]}"


def pause_sentence(by: str, since: datetime, zone: tzinfo) -> str:
    """Return who paused a target, and the command that ends the pause."""
    from syncd.report.moments import minute

    return f"paused since {minute(since, zone)} by {by}: nothing is sent until `syncd resume`"


def decided_sentence(counts: Mapping[str, int]) -> str:
    """Return held changes in words, counted by decision; "" without any."""
    words = {
        "waiting": "held until a person decides",
        "passing": "held for a time",
        "approved": "approved and not done yet",
        "rejected": "rejected",
    }
    return ", ".join(f"{counts[name]} {text}" for name, text in words.items() if counts[name])


def relinked_sentences(relinked: Mapping[str, Any], *, most: int) -> Iterator[str]:
    """Yield whom an administrator of the target has to invite anew, and who is gone for good; `most`: names of each."""
    if invite := relinked.get("invite"):
        need = "1 person needs" if len(invite) == 1 else f"{len(invite):,} people need"
        yield f"{need} a new invitation from an administrator there, and can't get in before: {_first(invite, most)}"
    if gone := relinked.get("gone"):
        were = "1 account that was off is" if len(gone) == 1 else f"{len(gone):,} accounts that were off are"
        yield f"{were} gone for good, and people who come back get new ones: {_first(gone, most)}"


def _first(people: Sequence[Mapping[str, Any]], most: int) -> str:
    more = f" and {len(people) - most:,} more" if len(people) > most else ""
    return ", ".join(each["name"] for each in people[:most]) + more
