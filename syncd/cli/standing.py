"""Commands that say where things stand, from the state file alone: no network is used."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterator
from datetime import UTC, datetime
from itertools import islice
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

import click

from syncd.cli.shared import (
    answer,
    config_option,
    decided_sentence,
    json_option,
    minute,
    opened,
    show_lines,
    state_of,
    stop_sentence,
    tally,
    target_option,
)
from syncd.errors import SyncdError

if TYPE_CHECKING:
    from rich.text import Text

    from syncd.report.explanation import Explanation
    from syncd.store import Journal, StateFile

_FEW: Final = 3
_BATCH: Final = 1000


@click.command(short_help="Where things stand.")
@config_option
@target_option
@json_option
def status(config: Path, target: str | None, as_json: bool) -> None:
    """Where things stand: who is managed, what waits for a person, and how the last run went. Needs no network."""
    from syncd.report.text import table

    setup = opened(config)
    with state_of(setup) as state, state.explained():
        rows = [_standing(state, each.name, each.concurrency) for each in setup.chosen(target)]
    if as_json:
        answer(rows)
        return
    cells = [
        (
            row["target"],
            *row["users"].values(),
            row["groups"],
            row["memberships"],
            _run_sentence(row["last_run"]),
        )
        for row in rows
    ]
    headings = ("target", "active", "pending", "deactivated", "groups", "memberships", "last run")
    show_lines([table(headings, cells), *(line for row in rows for line in _attention(row))])


def _standing(state: StateFile, target: str, most: int) -> dict[str, Any]:
    """Return where one target stands, as JSON."""
    from syncd.core.plan import timestamp

    snapshot, journal = state.snapshot(target), state.journal(target)
    heads, stop = journal.heads(1), snapshot.stop
    since = _pending_since(state, target)
    return {
        "target": target,
        "users": {state_.value: count for state_, count in snapshot.counts().items()},
        "groups": len(snapshot.groups()),
        "memberships": snapshot.count_members(),
        "serial": snapshot.serial,
        "stopped": {"cause": stop.cause, "reason": stop.reason, "since": timestamp(stop.since)} if stop else None,
        "concurrency": {"now": snapshot.discovery.get("concurrency") or most, "most": most},
        "unsettled": len(journal.intents()),
        "holds": tally(state.holds(target).all(), datetime.now(UTC)),
        "quarantined": [each.to_json() for each in state.quarantine(target).all()],
        "pending_since": timestamp(since) if since else None,
        "last_run": heads[0].to_json() if heads else None,
        "last_resync": _last_resync(journal),
    }


def _last_resync(journal: Journal) -> dict[str, Any] | None:
    """Return when the target was last read whole, and what had drifted, counted by class."""
    from syncd.core.plan import timestamp

    last = journal.last_plan("resync")
    run = journal.run(last.run) if last else None
    if run is None:
        return None
    drift = Counter(each.class_.value for each in run.plan.drift)
    return {
        "run": run.number,
        "started": timestamp(run.started),
        "drift": dict(sorted(drift.items())),
        "error": run.error,
    }


def _pending_since(state: StateFile, target: str) -> datetime | None:
    """Return since when somebody has been pending the longest."""
    snapshot = state.snapshot(target)
    keys = iter(snapshot.pending_keys())
    longest: datetime | None = None
    while batch := list(islice(keys, _BATCH)):
        moments = [user.since for user in snapshot.users(batch).values() if user.since]
        longest = min([*moments, *([longest] if longest else [])], default=None)
    return longest


def _run_sentence(run: dict[str, Any] | None) -> str:
    if run is None:
        return "never"
    if run["finished"] is None:
        return f"run {run['run']} began {run['started'][:19]} and has not ended"
    results = ", ".join(f"{count} {result}" for result, count in run["results"].items()) or "nothing to do"
    held = f", {run['summary']['held']} held" if run["summary"]["held"] else ""
    problems = f", {run['summary']['problems']} problems" if run["summary"]["problems"] else ""
    error = f"; stopped: {run['error'].splitlines()[0]}" if run["error"] else ""
    return f"run {run['run']}, {run['started'][:19]}: {results}{held}{problems}{error}"


def _attention(row: dict[str, Any]) -> Iterator[Text]:
    """Yield a line for everything about a target that somebody should know."""
    from rich.text import Text

    from syncd.report.text import visible

    def line(text: str, style: str = "") -> Text:
        return Text(f"{row['target']}: ", style="bold").append(visible(text), style=style or "not bold")

    if stop := row["stopped"]:
        yield line(stop_sentence(stop["cause"], stop["reason"], _moment(stop["since"])), "bold red")
    if count := row["unsettled"]:
        noun = "change" if count == 1 else "changes"
        yield line(f"of {count} {noun} nobody knows yet what came; the next run looks", "yellow")
    pace = row["concurrency"]
    if pace["now"] < pace["most"]:
        yield line(f"slowed down: {pace['now']} of {pace['most']} requests at a time")
    if decided := decided_sentence(row["holds"]):
        yield line(f"{decided} (`syncd holds`)", "magenta")
    if quarantined := row["quarantined"]:
        some = ", ".join(_quarantined(each) for each in quarantined[:_FEW])
        more = f" and {len(quarantined) - _FEW} more" if len(quarantined) > _FEW else ""
        yield line(f"{len(quarantined)} quarantined: {some}{more}", "yellow")
    if row["pending_since"]:
        since = _moment(row["pending_since"])
        days = (datetime.now(UTC) - since).days
        long = f" ({days} day{'' if days == 1 else 's'})" if days else ""
        yield line(f"{row['users']['pending']} invited and pending, the longest since {minute(since)}{long}")
    if last := row["last_resync"]:
        drift = ", ".join(f"{count} {class_}" for class_, count in last["drift"].items())
        found = f"stopped: {last['error'].splitlines()[0]}" if last["error"] else f"drift: {drift or 'none'}"
        yield line(f"last full resync {minute(_moment(last['started']))} (run {last['run']}): {found}")


def _quarantined(each: dict[str, Any]) -> str:
    change, again = each["change"], _moment(each["next_try"])
    when = minute(again) if again > datetime.now(UTC) else "in the next run"
    return f"{change['name']} ({change['action']}: {each['status']}, next try {when})"


def _moment(text: str) -> datetime:
    return datetime.fromisoformat(text)


@click.command(short_help="Why is this user or group in this state?")
@click.argument("who", metavar="WHO")
@config_option
@target_option
@json_option
def explain(who: str, config: Path, target: str | None, as_json: bool) -> None:
    """Why a user or group is in its state: entry, mapping, link, lock, holds, last outcomes. Needs no network.

    WHO: a userName, e-mail, group name or source key; `user:KEY` or `group:KEY` where that could be several.
    """
    from rich.text import Text

    from syncd.explain import explain as explained
    from syncd.report.text import visible

    setup = opened(config)
    found: dict[str, Explanation] = {}
    errors: dict[str, SyncdError] = {}
    with state_of(setup) as state, state.explained():
        for each in setup.chosen(target):
            try:
                found[each.name] = explained(setup, state, each, who, datetime.now(UTC))
            except SyncdError as error:
                errors[each.name] = error
    if not found:
        raise next(iter(errors.values()))
    if as_json:
        failed = [{"target": name, "error": str(error)} for name, error in errors.items()]
        answer([*(each.to_json() for each in found.values()), *failed])
        return
    lines = [line for each in found.values() for line in each.lines()]
    show_lines([*lines, *(Text(visible(error.message)) for error in errors.values())])


@click.command(short_help="The last runs.")
@click.argument("count", metavar="[N]", type=click.IntRange(1), default=10)
@config_option
@target_option
@json_option
def runs(count: int, config: Path, target: str | None, as_json: bool) -> None:
    """The last N runs of each target, the newest first."""
    from syncd.report.text import table

    setup = opened(config)
    with state_of(setup) as state, state.explained():
        heads = {each.name: state.journal(each.name).heads(count) for each in setup.chosen(target)}
    if as_json:
        answer([[head.to_json() for head in found] for found in heads.values()])
        return
    cells = [
        (
            head.number,
            head.target,
            head.kind,
            f"{head.started:%Y-%m-%d %H:%M:%S}",
            ", ".join(f"{number} {result}" for result, number in head.results.items()) or "nothing to do",
            head.summary["held"],
            head.summary["drift"],
            head.summary["problems"],
            head.requests,
            f"{head.seconds:.1f} s",
            head.error.splitlines()[0] if head.error else "" if head.finished else "not ended",
        )
        for found in heads.values()
        for head in found
    ]
    columns = ("run", "target", "kind", "started (UTC)", "outcomes", "held", "drift", "problems", "requests", "took")
    show_lines([table((*columns, "error"), cells)])


@click.command(short_help="One run with its outcomes.")
@click.argument("number", metavar="RUN", type=int)
@config_option
@json_option
def show(number: int, config: Path, as_json: bool) -> None:
    """One run with its outcomes."""
    from syncd.report.text import run_lines

    setup = opened(config)
    with state_of(setup) as state, state.explained():
        name = state.target_of_run(number)
        run = state.journal(name).run(number) if name is not None else None
    if run is None:
        raise SyncdError(f"there is no run {number}", hint="`syncd runs` lists them")
    if as_json:
        answer([run.to_json()])
    else:
        show_lines(list(run_lines(run)))
