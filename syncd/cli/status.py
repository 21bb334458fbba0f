"""Commands that say where things stand, from the state file alone: no network is used."""

from __future__ import annotations

from collections.abc import Iterator
from datetime import UTC, date, datetime
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from syncd.cli.asking import answered
from syncd.cli.reports import form_of, format_option, keys_option, output_option, rest_on_a_terminal, write, written
from syncd.cli.shared import (
    answer,
    completed,
    config_option,
    decided_sentence,
    json_option,
    pause_sentence,
    show_lines,
    stop_sentence,
    target_option,
    who_argument,
)

if TYPE_CHECKING:
    from datetime import tzinfo

    from rich.text import Text

_FEW: Final = 3
_NEAR: Final = 30
"""Days before its end from which on a token is worth a line."""
_INCIDENTS: Final = {"source": "the source can't be read", "fault": "runs fail"}


@click.command(short_help="Where things stand.")
@config_option
@target_option
@json_option
def status(config: Path, target: str | None, as_json: bool) -> None:
    """Where things stand: who is managed, what waits for a person, and how the last run went. Needs no network."""
    from syncd.report.text import table

    rows, zone = answered(config, "status", target=target)
    if as_json:
        answer(rows)
        return
    lines: list[Text] = []
    cells = [
        (
            row["target"],
            *row["users"].values(),
            row["groups"],
            row["memberships"],
            _run_sentence(row["last_run"], zone),
        )
        for row in rows
    ]
    if about := rows[0]["daemon"]:
        lines = _daemon(about, zone)
    headings = ("target", "active", "pending", "deactivated", "groups", "memberships", "last run")
    show_lines([table(headings, cells), *lines, *(line for row in rows for line in _attention(row, zone))])


def _run_sentence(run: dict[str, Any] | None, zone: tzinfo) -> str:
    from syncd.report.moments import localized, second

    if run is None:
        return "never"
    started = second(_moment(run["started"]), zone)
    if run["finished"] is None:
        return f"run {run['run']} began {started} and has not ended"
    results = _results(run)
    held = f", {run['summary']['held']} held" if run["summary"]["held"] else ""
    problems = f", {run['summary']['problems']} problems" if run["summary"]["problems"] else ""
    error = f"; stopped: {localized(run['error'].splitlines()[0], zone)}" if run["error"] else ""
    return f"run {run['run']}, {started}: {results}{held}{problems}{error}"


def _results(run: dict[str, Any]) -> str:
    """Count what came of a run's changes."""
    counts = ", ".join(f"{count} {result}" for result, count in run["results"].items())
    return counts or ("nothing done" if run["error"] else "nothing to do")


def _daemon(about: dict[str, Any], zone: tzinfo) -> list[Text]:
    """Return what is to be said of the daemon itself."""
    from rich.text import Text

    from syncd.report.moments import minute
    from syncd.report.text import visible

    lines = [Text(f"the daemon runs since {minute(_moment(about['since']), zone)} (process {about['pid']})")]
    if about["refused"]:
        problem = visible(" ".join(about["refused"].split()))
        lines.append(
            Text(f"its configuration was changed, and refused; the old one is in force: {problem}", "bold red")
        )
    return lines


def _going_on(running: dict[str, Any], zone: tzinfo) -> str:
    """Say how far a run is."""
    from syncd.report.moments import minute

    if running["phase"] == "pushing":
        left = running["seconds_left"]
        rest = f", about {left // 60 + 1} min left" if left is not None else ""
        how = f"{running['done']} of {running['of']} changes, {running['per_second']} a second{rest}"
    else:
        people = f", {running['people']} people so far" if "people" in running else ""
        how = f"{running['phase']}{people}"
    return f"{running['kind']} goes on since {minute(_moment(running['since']), zone)} ({running['by']}): {how}"


def _attention(row: dict[str, Any], zone: tzinfo) -> Iterator[Text]:
    """Yield a line for everything about a target that somebody should know."""
    from rich.text import Text

    from syncd.report.moments import localized, minute
    from syncd.report.text import visible

    def line(text: str, style: str = "") -> Text:
        shown = visible(localized(text, zone))
        return Text(f"{row['target']}: ", style="bold").append(shown, style=style or "not bold")

    if daemon := row["daemon"]:
        if running := daemon["running"]:
            yield line(_going_on(running, zone), "green")
        coming = [f"next {kind} {minute(_moment(when), zone)}" for kind, when in daemon["next"].items() if when]
        yield line(", ".join(coming) or "no run is scheduled")
    if paused := row["paused"]:
        yield line(pause_sentence(paused["by"], _moment(paused["since"]), zone), "bold red")
    if stop := row["stopped"]:
        yield line(stop_sentence(stop["cause"], stop["reason"], _moment(stop["since"]), zone), "bold red")
    for incident in row["incidents"]:
        if reason := " ".join(str(incident["detail"].get("reason", "")).split()):
            words = _INCIDENTS.get(incident["kind"], incident["kind"])
            yield line(f"{words} since {minute(_moment(incident['since']), zone)}: {reason}", "bold red")
    in_flight = daemon is not None and daemon["running"] is not None
    if (count := row["unsettled"]) and not in_flight:
        noun = "change" if count == 1 else "changes"
        yield line(f"of {count} {noun} nobody knows yet what came; the next run looks", "yellow")
    pace = row["concurrency"]
    if pace["now"] < pace["most"]:
        yield line(f"slowed down: {pace['now']} of {pace['most']} requests at a time")
    if decided := decided_sentence(row["holds"]):
        yield line(f"{decided} (`syncd holds`)", "magenta")
    if quarantined := row["quarantined"]:
        some = ", ".join(_quarantined(each, zone) for each in quarantined[:_FEW])
        more = f" and {len(quarantined) - _FEW} more" if len(quarantined) > _FEW else ""
        yield line(f"{len(quarantined)} quarantined: {some}{more}", "yellow")
    if row["token_expires"] and (sentence := _expiry(date.fromisoformat(row["token_expires"]))):
        yield line(sentence, "bold red")
    if row["pending_since"]:
        since = _moment(row["pending_since"])
        days = (datetime.now(UTC) - since).days
        long = f" ({days} day{'' if days == 1 else 's'})" if days else ""
        yield line(f"{row['users']['pending']} invited and pending, the longest since {minute(since, zone)}{long}")
    if last := row["last_resync"]:
        found = f"stopped: {last['error'].splitlines()[0]}" if last["error"] else f"drift: {_drift(last['drift'])}"
        yield line(f"last full resync {minute(_moment(last['started']), zone)} (run {last['run']}): {found}")


def _expiry(day: date) -> str:
    """Say when a token expires, where that is near enough to matter."""
    left = (day - datetime.now(UTC).date()).days
    if left > _NEAR:
        return ""
    if left <= 0:
        return f"the token has expired, on {day}"
    return f"the token expires in {left} day{'' if left == 1 else 's'}, on {day}"


def _drift(counts: dict[str, int]) -> str:
    from syncd.core.drift import DriftClass
    from syncd.report.drifts import DRIFTS

    return ", ".join(f"{DRIFTS[DriftClass(class_)]} ({count})" for class_, count in counts.items()) or "none"


def _quarantined(each: dict[str, Any], zone: tzinfo) -> str:
    from syncd.core.actions import Action
    from syncd.report.moments import minute

    change, again = each["change"], _moment(each["next_try"])
    when = minute(again, zone) if again > datetime.now(UTC) else "in the next run"
    return f"{Action(change['action']).of(change['name'])} ({each['status']}, next try {when})"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


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
    from syncd.report.moments import second
    from syncd.report.text import table

    heads, zone = answered(config, "runs", target=target, count=count)
    if as_json:
        answer(heads)
        return
    cells = [
        (
            head["run"],
            head["target"],
            head["kind"],
            second(_moment(head["started"]), zone),
            _results(head),
            head["summary"]["held"],
            head["summary"]["drift"],
            head["summary"]["problems"],
            head["requests"],
            f"{head['seconds']:.1f} s",
            head["error"].splitlines()[0] if head["error"] else "" if head["finished"] else "not ended",
        )
        for found in heads
        for head in found
    ]
    columns = ("run", "target", "kind", "started", "outcomes", "held", "drift", "problems", "requests", "took")
    show_lines([table((*columns, "error"), cells)])


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
    """Return a run whose reasons name their moments in a zone; they are kept in UTC."""
    from syncd.report.moments import localized

    def shown(each: dict[str, Any]) -> dict[str, Any]:
        return each | {"reason": localized(each["reason"], zone)}

    kinds = ("changes", "held", "rejected")
    return run | {kind: [shown(each) for each in run[kind]] for kind in kinds if kind in run}
