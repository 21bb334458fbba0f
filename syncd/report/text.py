"""Plans and runs as text for a terminal: a line per change, what is withheld and what went wrong.

Text from the source is hostile: control and bidirectional characters are shown as escapes, so that nobody's
display name can move the cursor or turn a line around.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncd.core.model import Json
from syncd.core.plan import Action, Change, Held, Outcome, Plan, Result, Run, Trouble

_SIGNS: Final[dict[Action, tuple[str, str]]] = {
    Action.CREATE_USER: ("+", "green"),
    Action.ADOPT_USER: ("&", "yellow"),
    Action.UPDATE_USER: ("~", "cyan"),
    Action.DEACTIVATE_USER: ("-", "red"),
    Action.REACTIVATE_USER: ("+", "green"),
    Action.DELETE_USER: ("x", "bold red"),
    Action.CREATE_GROUP: ("+", "green"),
    Action.UPDATE_GROUP: ("~", "cyan"),
    Action.DELETE_GROUP: ("x", "bold red"),
    Action.ADD_MEMBERS: ("+", "green"),
    Action.REMOVE_MEMBERS: ("-", "red"),
}
_ACTIONS: Final = frozenset(action.value for action in Action)
_NAMES_SHOWN: Final = 8
_VERBS: Final = {Result.APPLIED: "done", Result.FAILED: "FAILED", Result.SKIPPED: "skipped", Result.REFUSED: "refused"}


def visible(text: str) -> str:
    """Return text in which every control, format and bidirectional character is an escape such as `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        char if char == " " or unicodedata.category(char)[0] not in "CZ" else f"\\u{ord(char):04x}" for char in text
    )


def _value(value: Json) -> str:
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f'"{visible(value)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        return "[" + ", ".join(_value(item.get("value") if isinstance(item, dict) else item) for item in value) + "]"
    return visible(str(value))


def _label(path: str) -> str:
    """Return a path without its schema: people know `department`, not its URN."""
    return visible(path.rpartition(":User:")[2] if path.startswith("urn:") else path)


def _line(change: Change) -> Text:
    sign, style = _SIGNS[change.action]
    line = Text("  ")
    line.append(f"{sign} {change.action.value:<16}", style=style)
    line.append(f" {visible(change.name)}", style="bold")
    if change.key != change.name:
        line.append(f" ({visible(change.key)})", style="dim")
    if change.state is not None and change.state.value == "pending":
        line.append(" pending", style="yellow")
    line.append(f": {visible(change.reason)}")
    return line


def _details(change: Change) -> Iterator[Text]:
    """Yield what a reviewer needs beyond the first line: differences, or who comes and goes."""
    keys = [*change.members, *(f"group {key}" for key in change.subgroups)]
    if change.action in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS):
        shown = ", ".join(visible(key) for key in keys[:_NAMES_SHOWN])
        more = f" and {len(keys) - _NAMES_SHOWN} more" if len(keys) > _NAMES_SHOWN else ""
        yield Text(f"        {shown}{more}", style="dim")
    elif change.action in (Action.UPDATE_USER, Action.UPDATE_GROUP, Action.REACTIVATE_USER):
        for path, value in change.after.items():
            yield Text(f"        {_label(path)}: {_value(change.before.get(path))} -> {_value(value)}", style="dim")


def _problem(problem: Trouble) -> Text:
    line = Text("  ! ", style="yellow")
    line.append(visible(": ".join(part for part in (problem.where, problem.key, problem.problem) if part)))
    return line


def _held(held: Iterable[Held]) -> Iterator[Text]:
    """Yield what is withheld, each reason once and below it whom it concerns."""
    reasons: dict[tuple[str, str], list[Change]] = {}
    for each in held:
        reasons.setdefault((each.limit, each.reason), []).append(each.change)
    for (limit, reason), changes in reasons.items():
        yield Text(f"  held by {limit}: {visible(reason)}", style="magenta")
        for change in changes:
            yield Text("  ").append_text(_line(change))


def _sentence(plan: Plan) -> str:
    """Say what will happen in a sentence."""
    held = f"; {len(plan.held)} held" if plan.held else ""
    if not plan.changes:
        return f"nothing to do{held}"
    counts = [f"{count} {name}" for name, count in plan.summary.items() if name in _ACTIONS]
    requests = f"{plan.estimate.requests} request{'s' if plan.estimate.requests != 1 else ''}"
    return f"{', '.join(counts)}{held}; {requests}, about {plan.estimate.seconds:g} s"


def plan_lines(plan: Plan) -> Iterator[Text]:
    """Yield a plan line by line."""
    title = Text(visible(plan.target), style="bold")
    title.append(f" ({plan.kind}, {plan.created:%Y-%m-%d %H:%M:%S} UTC): {_sentence(plan)}", style="not bold")
    yield title
    for change in plan.changes:
        yield _line(change)
        yield from _details(change)
    yield from _withheld(plan)


def _withheld(plan: Plan) -> Iterator[Text]:
    if plan.held:
        yield Text(f"Held ({len(plan.held)}):", style="magenta")
        yield from _held(plan.held)
    if plan.problems:
        yield Text(f"Problems in the source ({len(plan.problems)}), left out and protected:", style="yellow")
        yield from map(_problem, plan.problems)


def run_lines(run: Run) -> Iterator[Text]:
    """Yield a run line by line: what was not done first, then the counts."""
    counts = ", ".join(f"{count} {_VERBS[result]}" for result, count in run.results.items()) or "nothing to do"
    held = f", {len(run.plan.held)} held" if run.plan.held else ""
    title = Text(visible(run.plan.target), style="bold")
    title.append(f" (run {run.number}, {run.plan.kind}): {counts}{held}; ", style="not bold")
    title.append(f"{run.requests} request{'s' if run.requests != 1 else ''} in {run.seconds:.1f} s", style="not bold")
    yield title
    for outcome in run.outcomes:
        if not _is_the_stop_itself(outcome, run):
            yield from _outcome(outcome)
    for index, line in enumerate(run.error.splitlines()):
        yield Text(f"  {'stopped: ' if index == 0 else ''}{visible(line)}", style="bold red")
    undone = sum(_is_the_stop_itself(outcome, run) for outcome in run.outcomes)
    if undone:
        yield Text(f"  {undone} changes were not done for that; the next run plans them again")
    yield from _withheld(run.plan)


def _is_the_stop_itself(outcome: Outcome, run: Run) -> bool:
    """Return whether an outcome says only that the target stopped: one incident, told once."""
    if not run.error or outcome.result is Result.APPLIED:
        return False
    return outcome.result is Result.SKIPPED or (bool(outcome.detail) and outcome.detail in run.error)


def _outcome(outcome: Outcome) -> Iterator[Text]:
    line = _line(outcome.change)
    if outcome.result is not Result.APPLIED:
        status = f" {outcome.status}" if outcome.status else ""
        line.append(f"  {_VERBS[outcome.result]}{status}: {visible(outcome.detail)}", style="bold red")
    elif outcome.detail:
        line.append(f"  ({visible(outcome.detail)})", style="yellow")
    yield line


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a plain table; its cells may hold text from anywhere."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(Text(visible(str(cell))) for cell in row))
    return made


def render(lines: Iterable[Text | Table], *, width: int = 0, color: bool = False) -> str:
    """Return lines as one text, with terminal colours or without. `width` 0: lines are as long as they are."""
    console = Console(
        width=width or 10_000,
        force_terminal=color,
        color_system="standard" if color else None,
        highlight=False,
        markup=False,
        emoji=False,
        legacy_windows=False,
    )
    with console.capture() as capture:
        for line in lines:
            console.print(line, soft_wrap=isinstance(line, Text), crop=False)
    return capture.get()


__all__ = ["plan_lines", "render", "run_lines", "table", "visible"]
