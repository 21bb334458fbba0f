"""What the commands have in common: exit codes, options, opening what is configured, printing answers."""

from __future__ import annotations

import os
import sys
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

if TYPE_CHECKING:
    from datetime import datetime

    from rich.table import Table
    from rich.text import Text

    from syncd.setup import Setup
    from syncd.store import Hold, StateFile
    from syncd.sync import Progress

OK: Final = 0
ERROR: Final = 1
CHANGES: Final = 2
HELD: Final = 3
FAILED: Final = 4
USAGE: Final = 64
_WORST_FIRST: Final = (ERROR, FAILED, HELD, CHANGES)


def worst(codes: Sequence[int]) -> int:
    """Return the exit code that counts when several apply: 1, then 4, then 3, then 2."""
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


target_option = click.option("--target", metavar="NAME", help="Only this target; else all.")
json_option = click.option("--json", "as_json", is_flag=True, help="Answer as JSON on stdout.")
log_level_option = click.option(
    "--log-level",
    type=click.Choice(["debug", "info", "warning", "error"]),
    default="warning",
    show_default=True,
    help="What to log on stderr.",
)
user_option = click.option("--user", "who", metavar="WHO", help="Only this person: a key, userName or e-mail.")


def opened(config: Path, log_level: str = "warning") -> Setup:
    """Read the configuration. Raises ConfigurationError."""
    from syncd import log
    from syncd.setup import read

    log.configure(log_level)
    return read(config)


def state_of(setup: Setup) -> StateFile:
    """Open the state file. Raises StateError."""
    from syncd.store import StateFile

    return StateFile(setup.state)


def show_lines(lines: Sequence[Text | Table]) -> None:
    """Print lines, coloured and wrapped on a terminal, as they are elsewhere."""
    from syncd.report.text import render

    terminal = sys.stdout.isatty()
    width = os.get_terminal_size().columns if terminal else 0
    click.echo(render(lines, width=width, color=terminal and not os.environ.get("NO_COLOR")), nl=False)


def answer(values: Sequence[Any]) -> None:
    """Print JSON: one object for one target, a list for several."""
    from syncd.core.plan import dump

    click.echo(dump(values[0] if len(values) == 1 else list(values)), nl=False)


def following() -> Progress:
    """Return who follows a cycle: a bar on a terminal, else nobody."""
    from syncd.progress import TerminalProgress
    from syncd.sync import Progress

    return TerminalProgress() if sys.stderr.isatty() else Progress()


def minute(moment: datetime) -> str:
    """Return a moment as sentences have it."""
    return f"{moment:%Y-%m-%d %H:%M} UTC"


def stop_sentence(cause: str, reason: str, since: datetime) -> str:
    """Say since when and why a target is left alone, and what brings it back."""
    back = {
        "gone": "nothing is sent until `syncd relink`",
        "refused": "nothing is sent until it takes the token again, which every run tries",
        "failing": "the next run that has something to send tries again",
    }
    return f"stopped since {minute(since)}: {reason}; {back[cause]}"


_PASSING: Final = ("missing_grace", "quarantine")
"""Limits that hold for a time, and then no longer."""


def tally(holds: Iterable[Hold], now: datetime) -> dict[str, int]:
    """Count what is held by what was decided; an approval that has expired counts no longer.

    `passing`: what is held for a time, unless somebody decides before. `waiting`: what only a person ends.
    """
    from syncd.store import Decision

    counts = {"waiting": 0, "passing": 0, "approved": 0, "rejected": 0}
    for hold in holds:
        if hold.decision is Decision.REJECTED:
            counts["rejected"] += 1
        elif hold.decision is Decision.APPROVED and hold.expires is not None and hold.expires > now:
            counts["approved"] += 1
        else:
            counts["passing" if hold.limit in _PASSING else "waiting"] += 1
    return counts


def decided_sentence(counts: Mapping[str, int]) -> str:
    """Say such a count; "" where there is nothing."""
    words = {
        "waiting": "held until a person decides",
        "passing": "held for a time",
        "approved": "approved and not done yet",
        "rejected": "rejected",
    }
    return ", ".join(f"{counts[name]} {text}" for name, text in words.items() if counts[name])
