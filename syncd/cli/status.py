"""Commands that report the status from the state file alone: no network is used."""

from __future__ import annotations

from datetime import datetime, tzinfo
from pathlib import Path
from typing import Any

import click

from syncd.cli.asking import answered
from syncd.cli.reports import form_of, format_option, keys_option, output_option, rest_on_a_terminal, write, written
from syncd.cli.shared import (
    answer,
    completed,
    config_option,
    json_option,
    show_lines,
    target_option,
    terminal_width,
    who_argument,
)


@click.command(short_help="Where things stand.")
@config_option
@target_option
@json_option
def status(config: Path, target: str | None, as_json: bool) -> None:
    """Where things stand: who is managed, what waits for a person, and how the last run went. Needs no network."""
    from syncd.cli.status_text import status_lines

    rows, zone = answered(config, "status", target=target)
    if as_json:
        answer(rows)
        return
    show_lines(list(status_lines(rows, zone, width=terminal_width())))


@click.command(short_help="Why is this user or group in this state?")
@who_argument
@config_option
@target_option
@json_option
def explain(who: str, config: Path, target: str | None, as_json: bool) -> None:
    """Why a user or group is in its state: entry, mapping, link, lock, holds, last outcomes. Needs no network.

    WHO: a userName, e-mail, group name or source key; `user:KEY` or `group:KEY` where that could be several.
    """
    from rich.text import Text

    from syncd.report.explanation import Explanation
    from syncd.report.text import visible

    found, zone = answered(config, "explain", target=target, who=who)
    if as_json:
        answer(found)
        return
    explained = [Explanation.from_json(each) for each in found if "error" not in each]
    lines = [line for each in explained for line in each.lines(zone)]
    show_lines([*lines, *(Text(visible(each["error"])) for each in found if "error" in each)])


@click.command(short_help="The last runs.")
@click.argument("count", metavar="[N]", type=click.IntRange(1, 1000), default=10)
@config_option
@target_option
@json_option
def runs(count: int, config: Path, target: str | None, as_json: bool) -> None:
    """The last N runs of each target, the newest first."""
    from syncd.cli.status_text import results_sentence
    from syncd.report.moments import second
    from syncd.report.text import table_or_lines

    heads, zone = answered(config, "runs", target=target, count=count)
    if as_json:
        answer(heads)
        return
    cells = [
        (
            head["run"],
            head["target"],
            head["kind"],
            second(datetime.fromisoformat(head["started"]), zone),
            results_sentence(head),
            head["summary"]["held"],
            head["summary"]["drift"],
            head["summary"]["problems"],
            head["requests"],
            "?" if head["reads"] is None else head["reads"],
            f"{head['seconds']:.1f} s",
            head["error"].splitlines()[0] if head["error"] else "" if head["finished"] else "not ended",
        )
        for found in heads
        for head in found
    ]
    columns = ("run", "target", "kind", "started", "outcomes", "held", "drift", "problems", "requests", "reads", "took")
    show_lines(list(table_or_lines((*columns, "error"), cells, terminal_width())))


@click.command(short_help="One run with its outcomes.")
@click.argument("number", metavar="RUN", type=click.IntRange(1, 2**63 - 1), shell_complete=completed("runs"))
@config_option
@format_option
@output_option
@keys_option
@json_option
def show(number: int, config: Path, form: str, output: Path | None, keys: bool, as_json: bool) -> None:
    """One run with its outcomes: what was done, what failed and why, and what it means for the people concerned."""
    from syncd.core.plan import Run
    from syncd.report.text import run_lines

    form = form_of(form, as_json)
    found, zone = answered(config, "show", run=number)
    run = Run.from_json(found)
    if output is not None:
        write(output, [run], keys=keys)
    if form == "json":
        answer([found])
    elif output is not None:
        click.echo(f"written to {output}")
    elif form == "text":
        show_lines(list(run_lines(Run.from_json(_in_zone(found, zone)), rest_on_a_terminal(), keys=keys)))
    else:
        click.echo(written(form, [run], keys=keys), nl=False)


def _in_zone(run: dict[str, Any], zone: tzinfo) -> dict[str, Any]:
    """Return a run whose reasons name moments in a zone; stored reasons name moments in UTC."""
    from syncd.report.moments import localized

    def shown(each: dict[str, Any]) -> dict[str, Any]:
        return each | {"reason": localized(each["reason"], zone)}

    kinds = ("changes", "held", "rejected")
    return run | {kind: [shown(each) for each in run[kind]] for kind in kinds if kind in run}
