"""Plans and runs as text for a terminal: a line per change, what has drifted, what is withheld and what went wrong.

Text from the source is hostile: control and bidirectional characters are shown as escapes, so that nobody's
display name can move the cursor or turn a line around.
"""

from __future__ import annotations

import unicodedata
from collections.abc import Iterable, Iterator, Sequence
from typing import Final

from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.model import Evidence, Flat, Json
from syncd.core.plan import Action, Change, Held, Outcome, Plan, Result, Run, Trouble

_SIGNS: Final[dict[Action, tuple[str, str]]] = {
    Action.CREATE_USER: ("+", "green"),
    Action.ADOPT_USER: ("&", "yellow"),
    Action.UPDATE_USER: ("~", "cyan"),
    Action.DEACTIVATE_USER: ("-", "red"),
    Action.REACTIVATE_USER: ("+", "green"),
    Action.DELETE_USER: ("x", "bold red"),
    Action.CREATE_GROUP: ("+", "green"),
    Action.ADOPT_GROUP: ("&", "yellow"),
    Action.UPDATE_GROUP: ("~", "cyan"),
    Action.DELETE_GROUP: ("x", "bold red"),
    Action.ADD_MEMBERS: ("+", "green"),
    Action.REMOVE_MEMBERS: ("-", "red"),
}
_ACTIONS: Final = frozenset(action.value for action in Action)
_NAMES_SHOWN: Final = 8
_ID_SHOWN: Final = 8
"""Characters of a change's id: enough to type, longer only where two would look the same."""
_VERBS: Final = {Result.APPLIED: "done", Result.FAILED: "FAILED", Result.SKIPPED: "skipped", Result.REFUSED: "refused"}


def visible(text: str) -> str:
    """Return text in which every control, format and bidirectional character is an escape such as `\\u202e`."""
    if text.isprintable():
        return text
    return "".join(
        char if char == " " or unicodedata.category(char)[0] not in "CZ" else f"\\u{ord(char):04x}" for char in text
    )


def value_text(value: Json) -> str:
    """Return a JSON value as a person reads it."""
    if value is None:
        return "nothing"
    if isinstance(value, str):
        return f'"{visible(value)}"'
    if isinstance(value, bool):
        return "true" if value else "false"
    if isinstance(value, list):
        elements = (item.get("value") if isinstance(item, dict) else item for item in value)
        return "[" + ", ".join(map(value_text, elements)) + "]"
    return visible(str(value))


def label(path: str) -> str:
    """Return a path without its schema: people know `department`, not its URN."""
    return visible(path.rpartition(":User:")[2] if path.startswith("urn:") else path)


def counted(number: int, one: str, several: str) -> str:
    """Return a number with its noun."""
    return f"{number} {one if number == 1 else several}"


def _names(keys: Sequence[str], shown: int = _NAMES_SHOWN) -> str:
    more = f" and {len(keys) - shown} more" if len(keys) > shown else ""
    return ", ".join(visible(key) for key in keys[:shown]) + more


def _members(flat: Flat) -> str:
    """Return the keys of a membership: people first, groups named as such."""
    return _names([*flat.get("members", ()), *(f"group {key}" for key in flat.get("groups", ()))])


def _line(change: Change) -> Text:
    sign, style = _SIGNS[change.action]
    line = Text("  ")
    line.append(f"{sign} {change.action.value:<16}", style=style)
    line.append(f" {visible(change.name)}", style="bold")
    if change.key != change.name:
        line.append(f" ({visible(change.key)})", style="dim")
    if change.state is not None and change.state.value == "pending":
        line.append(" pending", style="yellow")
    if change.takes_over:
        line.append(" taken over", style="yellow")
    line.append(f": {visible(change.reason)}")
    return line


def _details(change: Change) -> Iterator[Text]:
    """Yield what a reviewer needs beyond the first line: differences, whose account, or who comes and goes."""
    before, after = change.before, change.after
    match change.action:
        case Action.ADD_MEMBERS | Action.REMOVE_MEMBERS:
            yield _detail(_members(after or before))
            return
        case Action.ADOPT_USER | Action.ADOPT_GROUP:
            before, after = change.differences
            noun = "account" if change.action.about_user else "group"
            there = _members(change.before)
            with_ = f" with the members {there}" if there else ""
            nothing = "" if after else ", which is as it should be: nothing is sent"
            yield _detail(f"the {noun} {visible(change.resource)} at the target{with_}{nothing}")
        case Action.UPDATE_USER | Action.UPDATE_GROUP | Action.REACTIVATE_USER:
            pass
        case _:
            return
    for path, value in after.items():
        yield _detail(f"{label(path)}: {value_text(before.get(path))} -> {value_text(value)}")


def _detail(text: str) -> Text:
    return Text(f"        {text}", style="dim")


def _problem(problem: Trouble) -> Text:
    line = Text("  ! ", style="yellow")
    line.append(visible(": ".join(part for part in (problem.where, problem.key, problem.problem) if part)))
    return line


def _id_length(changes: Iterable[Change]) -> int:
    """Return how many characters of their ids tell all these changes apart."""
    ids = {change.id for change in changes}
    length = _ID_SHOWN
    while len({id_[:length] for id_ in ids}) < len(ids):
        length += 1
    return length


def _held(held: Sequence[Held], id_length: int) -> Iterator[Text]:
    """Yield what is withheld, each reason once and below it whom it concerns, with the id to approve it by."""
    if held:
        yield Text(f"Held ({len(held)}):", style="magenta")
    reasons: dict[tuple[str, str], list[Change]] = {}
    for each in held:
        reasons.setdefault((each.limit, each.reason), []).append(each.change)
    for (limit, reason), changes in reasons.items():
        yield Text(f"  held by {visible(limit)}: {visible(reason)}", style="magenta")
        for change in changes:
            yield Text(f"  {change.id[:id_length]}").append_text(_line(change))
            for detail in _details(change):
                yield Text(" " * (id_length + 2)).append_text(detail)


def _rejected(rejected: Sequence[Held], id_length: int) -> Iterator[Text]:
    if rejected:
        yield Text(f"Rejected ({len(rejected)}), not asked again until the source changes:", style="dim")
    for each in rejected:
        line = Text(f"  {each.id[:id_length]}", style="dim").append_text(_line(each.change))
        yield line.append(f"; {visible(each.reason)}")


def _drift(drift: Iterable[Drift]) -> Iterator[Text]:
    """Yield what was changed at the target, by class, with what was found and what is put back."""
    classes: dict[tuple[DriftClass, Reaction], list[Drift]] = {}
    for each in drift:
        classes.setdefault((each.class_, each.reaction), []).append(each)
    for (class_, reaction), found in classes.items():
        what = "put back" if reaction is Reaction.ENFORCE else "only reported"
        yield Text(f"  {class_.value} ({len(found)}), {what}:", style="cyan")
        for each in found:
            line = Text(f"    {each.kind.value} ").append(visible(each.name), style="bold")
            if each.key != each.name:
                line.append(f" ({visible(each.key)})", style="dim")
            yield line
            for detail in drift_details(each):
                yield _detail(detail)


def drift_details(drift: Drift) -> Iterator[str]:
    """Yield one drift's differences, escaped: what was found, and what comes of it."""
    enforced = drift.reaction is Reaction.ENFORCE
    match drift.class_:
        case DriftClass.USER_DELETED | DriftClass.GROUP_DELETED:
            noun = "account" if drift.class_ is DriftClass.USER_DELETED else "group"
            what = "what the source says is put back" if enforced else "only reported"
            yield f"the {noun} is gone; {what}"
        case DriftClass.MEMBER_ADDED:
            yield f"added: {_members(drift.found)}; {'taken out again' if enforced else 'only reported'}"
        case DriftClass.MEMBER_REMOVED:
            yield f"removed: {_members(drift.expected)}; {'put back' if enforced else 'only reported'}"
        case _:
            for path, expected in drift.expected.items():
                found, wanted = value_text(drift.found.get(path)), value_text(expected)
                what = f"puts back {wanted}" if enforced else f"only reported (was {wanted})"
                yield f"{label(path)}: found {found}, {what}"


def _evidence(evidence: Evidence) -> Text:
    people = counted(evidence.users, "person", "people")
    groups = counted(evidence.groups, "group", "groups")
    memberships = counted(evidence.memberships, "membership", "memberships")
    line = Text(f"  read whole from {visible(evidence.source)}: {people}, {groups}, {memberships}", style="dim")
    line.append(f" in {evidence.seconds:.1f} s")
    if not evidence.absence:
        line.append("; an entry without a readable key: nobody counts as gone", style="yellow")
    return line


def _sentence(plan: Plan) -> str:
    """Say what will happen in a sentence."""
    also = _also(plan)
    if not plan.changes:
        return f"nothing to do{also}"
    counts = [f"{count} {name}" for name, count in plan.summary.items() if name in _ACTIONS]
    requests = counted(plan.estimate.requests, "request", "requests")
    return f"{', '.join(counts)}{also}; {requests}, about {plan.estimate.seconds:g} s"


def _also(plan: Plan, separator: str = "; ") -> str:
    """Return the counts of what is not a change."""
    parts = (plan.held, "held"), (plan.rejected, "rejected"), (plan.drift, "drifted")
    return "".join(f"{separator}{len(what)} {word}" for what, word in parts if what)


def plan_lines(plan: Plan) -> Iterator[Text]:
    """Yield a plan line by line."""
    title = Text(visible(plan.target), style="bold")
    title.append(f" ({visible(plan.kind)}, {plan.created:%Y-%m-%d %H:%M:%S} UTC): {_sentence(plan)}", style="not bold")
    yield title
    if plan.evidence is not None:
        yield _evidence(plan.evidence)
    for change in plan.changes:
        yield _line(change)
        yield from _details(change)
    yield from _apart(plan)


def _apart(plan: Plan) -> Iterator[Text]:
    """Yield what is no change that runs: drift, what is withheld, problems, acceptances, and last what was rejected."""
    if plan.drift:
        yield Text(f"Drift ({len(plan.drift)}), changed at the target and not by syncd:", style="cyan")
        yield from _drift(plan.drift)
    id_length = _id_length(each.change for each in (*plan.held, *plan.rejected))
    yield from _held(plan.held, id_length)
    doubts = [problem for problem in plan.problems if problem.kind == "target"]
    problems = [problem for problem in plan.problems if problem.kind != "target"]
    if problems:
        yield Text(f"Problems in the source ({len(problems)}), left out and protected:", style="yellow")
        yield from map(_problem, problems)
    if doubts:
        yield Text(f"Doubts about what the target shows ({len(doubts)}), nothing follows from them:", style="yellow")
        yield from map(_problem, doubts)
    if plan.accepted:
        yield Text(f"Accepted the invitation ({len(plan.accepted)}): {_names(plan.accepted)}", style="green")
    yield from _rejected(plan.rejected, id_length)


def withheld_lines(held: Sequence[Held], rejected: Sequence[Held]) -> Iterator[Text]:
    """Yield what is withheld and what was rejected, as plans show them."""
    id_length = _id_length(each.change for each in (*held, *rejected))
    yield from _held(held, id_length)
    yield from _rejected(rejected, id_length)


def run_lines(run: Run) -> Iterator[Text]:
    """Yield a run line by line: what was not done first, then the counts."""
    counts = ", ".join(f"{count} {_VERBS[result]}" for result, count in run.results.items()) or "nothing to do"
    title = Text(visible(run.plan.target), style="bold")
    title.append(f" (run {run.number}, {visible(run.plan.kind)}): {counts}{_also(run.plan, ', ')}; ", style="not bold")
    title.append(f"{counted(run.requests, 'request', 'requests')} in {run.seconds:.1f} s", style="not bold")
    yield title
    if run.plan.evidence is not None:
        yield _evidence(run.plan.evidence)
    for outcome in run.outcomes:
        if not _is_the_stop_itself(outcome, run):
            yield from _outcome(outcome)
    for index, line in enumerate(run.error.splitlines()):
        yield Text(f"  {'stopped: ' if index == 0 else ''}{visible(line)}", style="bold red")
    if undone := sum(_is_the_stop_itself(outcome, run) for outcome in run.outcomes):
        changes = counted(undone, "change was", "changes were")
        yield Text(f"  {changes} not done for that; the next run plans what is still needed")
    yield from _apart(run.plan)


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


__all__ = [
    "counted",
    "drift_details",
    "label",
    "plan_lines",
    "render",
    "run_lines",
    "table",
    "value_text",
    "visible",
    "withheld_lines",
]
