"""Plans and runs as text for a terminal: unusual changes first, a line per change, a long rest as a number.

Text from the source is hostile: `visible` has already escaped all characters that could move the cursor.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Iterable, Iterator, Sequence
from typing import Final

from rich.cells import cell_len
from rich.console import Console
from rich.table import Table
from rich.text import Text

from syncd.core.actions import Action
from syncd.core.plan import Held, Plan, Run
from syncd.report.characters import Parts
from syncd.report.drifts import drift_details
from syncd.report.items import ONCE_STORED, Item, Review, Row
from syncd.report.limits import on
from syncd.report.review import review, withheld
from syncd.report.words import counted, label, requests_of, shortened, value_text, visible

REST_ON_A_TERMINAL: Final = 40
"""Lines for usual changes on a terminal. Further changes are counted."""
_UNUSUAL_PER_REST: Final = 5
"""The limit for unusual changes of one section, as a multiple of the limit for usual changes."""
_WITH_HEADINGS: Final = 20
"""From this many changes on, changes of one kind get a heading."""
_STYLES: Final = {"+": "green", "&": "yellow", "~": "cyan", "-": "red", "x": "bold red"}
_ID_SHOWN: Final = 8
"""Characters of a change's id: enough to type, longer only where two ids would look the same."""
_VERBS: Final = {"failed": "FAILED", "ineffective": "WITHOUT EFFECT", "skipped": "skipped", "refused": "refused"}
_APART: Final = ("held", "drift", "problems", "accepted", "rejected")
_HANGING: Final = 8
_PATTERNS_SHOWN: Final = 5


# -- one item -----------------------------------------------------------------------------------------


def _line(item: Item, since: str = "") -> Text:
    line = Text("  ")
    line.append(f"{item.sign} {item.words:<16}", style=_STYLES[item.sign])
    line.append(f" {item.name}", style="bold")
    if item.shown_key:
        line.append(f" ({item.shown_key})", style="dim")
    if item.state == "pending":
        line.append(" pending", style="yellow")
    if "taken over" in item.notes:
        line.append(" taken over", style="yellow")
    line.append(f": {item.reason}{since}")
    notes = [note for note in item.notes if note not in _SAID_ALREADY]
    if notes:
        line.append(f" [{'; '.join(notes)}]", style="yellow")
    return line


_SAID_ALREADY: Final = ("pending", "taken over", "loses access", "signs in otherwise", "deleted")


def _details(item: Item) -> Iterator[Text]:
    """Yield the details below the first line: differences, the account, or members that join and leave."""
    action = item.change
    if action is None:
        return
    if item.first:
        yield _detail(f"first: {item.first}")
    if action.of_members:
        yield _detail(shortened(item.came or item.went))
    if action.adopts:
        noun = "account" if item.kind == "user" else "group"
        with_ = f" with the members {shortened(item.came)}" if item.came else ""
        nothing = "" if item.rows else ", which is as it should be: nothing is sent"
        yield _detail(f"the {noun} {item.resource} at the target{with_}{nothing}")
    if item.compares:
        for row in item.rows:
            yield _difference(row)


def _difference(row: Row, begin: str | None = None) -> Text:
    """Return one attribute before and after, with the differing characters underlined."""
    before, after = row.parts
    line = _detail(f"{row.label}: ") if begin is None else Text(begin)
    return line.append_text(_value(before)).append(" -> ").append_text(_value(after))


def _value(parts: Parts) -> Text:
    if not parts:
        return Text("nothing", style="dim")
    if "".join(parts) in ("true", "false"):
        return Text("".join(parts), style="dim")
    line = Text('"', style="dim")
    for index, part in enumerate(parts):
        line.append(part, style="not dim underline" if index % 2 else "")
    return line.append('"')


def _detail(text: str) -> Text:
    return Text(f"        {text}", style="dim")


# -- the parts of a report ------------------------------------------------------------------------------


def _cut(items: Sequence[Item], most: int | None) -> tuple[Sequence[Item], str]:
    """Return the items to show, and a summary of the others."""
    if most is None or len(items) <= most:
        return items, ""
    counts = Counter(item.change for item in items[most:] if item.change is not None)
    return items[:most], ", ".join(action.counted(count) for action, count in counts.most_common())


def _changes(shown: Review, rest: int | None) -> Iterator[Text]:
    """Yield the changes of a plan or their outcomes: unusual changes first, with headings for many changes."""
    sections = [(section, items) for section, items in shown.sections() if section.code not in _APART]
    many = sum(len(items) for _, items in sections) >= _WITH_HEADINGS
    ordinary = [len(items) for section, items in sections if not section.unusual]
    share = None if rest is None or sum(ordinary) <= rest else max(rest // len(ordinary), 1)
    for section, items in sections:
        items = [item for item in items if not item.by_stop]
        if not items:
            continue
        most = share if not section.unusual else None if rest is None else rest * _UNUSUAL_PER_REST
        some, others = _cut(items, most)
        if many:
            yield Text(f"{section.title} ({len(items):,}): {section.why}", style="bold" if section.unusual else "")
        for item in some:
            yield from _change(item)
        if others:
            yield Text(f"  … and {len(items) - len(some):,} more ({others})", style="dim")
            if section.code == "changed":
                yield from _patterns(shown)


def _patterns(shown: Review) -> Iterator[Text]:
    """Yield the patterns of the changed people."""
    for each in shown.patterns[:_PATTERNS_SHOWN]:
        line = _detail(f"{each.count:,} × {each.label} {each.verb}")
        if each.example_count > 1:
            line.append(f", {each.example_count:,} times ").append_text(_difference(each.example, ""))
        yield line


def _change(item: Item) -> Iterator[Text]:
    line = _line(item)
    if item.result in _VERBS:
        status = f" {item.status}" if item.status else ""
        line.append(f"  {_VERBS[item.result]}{status}: {item.said or 'not reached'}", style="bold red")
        yield line
        yield _detail(item.means)
        return
    if item.said:
        line.append(f"  ({item.said})", style="yellow")
    yield line
    if not item.result:
        yield from _details(item)


def _held(items: Sequence[Item], id_length: int, rest: int | None = None) -> Iterator[Text]:
    """Yield the withheld changes: each reason once, followed by its changes with the ids for `approve`.

    An id that can't be approved yet is not shown: `approve` would refuse the id.
    """
    if items:
        yield Text(f"Held ({len(items):,}):", style="magenta")
    if any(item.can_be_approved and not item.stored for item in items):
        yield Text(f"  a change without an id can be approved {ONCE_STORED}", style="magenta")
    clusters: dict[str, list[Item]] = {}
    for item in items:
        clusters.setdefault(item.cluster, []).append(item)
    for cluster, some in clusters.items():
        yield Text(f"  {cluster}", style="magenta")
        shown, others = _cut(some, None if rest is None else rest * _UNUSUAL_PER_REST)
        for item in shown:
            id_ = item.id[:id_length] if item.stored else ""
            yield Text(f"  {id_:{id_length}}").append_text(_line(item))
            for detail in _details(item):
                yield Text(" " * (id_length + 2)).append_text(detail)
        if others:
            where = ": `syncd holds`" if all(item.stored for item in some) else ""
            yield Text(f"  … and {len(some) - len(shown):,} more ({others}){where}", style="dim")


def _rejected(items: Sequence[Item], id_length: int) -> Iterator[Text]:
    if items:
        yield Text(f"Rejected ({len(items)}), not asked again until the source changes:", style="dim")
    for item in items:
        yield Text(f"  {item.id[:id_length]}", style="dim").append_text(_line(item, f"; {item.means}"))


def _drift(items: Sequence[Item]) -> Iterator[Text]:
    """Yield the drift, by class, with each finding and its correction."""
    if items:
        yield Text(f"Drift ({len(items)}), changed at the target and not by syncd:", style="cyan")
    sizes = Counter(item.cluster for item in items)
    cluster = ""
    for item in items:
        if item.cluster != cluster:
            cluster = item.cluster
            class_, what = cluster.split(", ")
            yield Text(f"  {class_} ({sizes[cluster]}), {what}:", style="cyan")
        line = Text(f"    {item.kind} ").append(item.name, style="bold")
        if item.shown_key:
            line.append(f" ({item.shown_key})", style="dim")
        yield line
        for detail in item.told:
            yield _detail(detail)


def _problems(items: Sequence[Item]) -> Iterator[Text]:
    headings = {
        "problem": ("Problems in the source", "left out and protected"),
        "doubt": ("Doubts about what the target shows", "nothing follows from them"),
    }
    for words, (title, what) in headings.items():
        some = [item for item in items if item.words == words]
        if some:
            yield Text(f"{title} ({len(some)}), {what}:", style="yellow")
        for item in some:
            line = Text("  ! ", style="yellow")
            yield line.append(": ".join(part for part in (item.name, item.shown_key, item.reason) if part))


def _id_length(items: Iterable[Item]) -> int:
    """Return the number of id characters that distinguish all these changes."""
    ids = {item.id for item in items}
    length = _ID_SHOWN
    while len({id_[:length] for id_ in ids}) < len(ids):
        length += 1
    return length


def _apart(shown: Review) -> Iterator[Text]:
    """Yield the items that are neither running nor withheld changes: drift, problems, acceptances, rejections."""
    sections = {section.code: items for section, items in shown.sections()}
    yield from _drift(sections.get("drift", []))
    yield from _problems(sections.get("problems", []))
    if accepted := sections.get("accepted"):
        names = [f"{item.name} ({item.shown_key})" if item.shown_key else item.name for item in accepted]
        yield Text(f"Accepted the invitation ({len(names)}): {shortened(names)}", style="green")
    rejected = sections.get("rejected", [])
    yield from _rejected(rejected, _id_length([*sections.get("held", []), *rejected]))


def _first(shown: Review, rest: int | None) -> Iterator[Text]:
    """Yield the evidence of a plan, the use of limits, and the withheld changes."""
    if shown.evidence:
        line = Text(f"  {shown.evidence}", style="dim")
        yield line.append(f"; {shown.doubt}", style="yellow") if shown.doubt else line
    if used := [use for use in shown.limits if use.affected and use.most is not None]:
        line = Text("  limits: ", style="dim")
        for index, use in enumerate(used):
            line.append("; " if index else "")
            style = "not dim bold magenta" if use.exceeded else ""
            line.append(f"{on(use)}: {use.affected:,} of at most {use.most:,}", style=style)
        yield line
    sections = {section.code: items for section, items in shown.sections()}
    held, rejected = sections.get("held", []), sections.get("rejected", [])
    yield from _held(held, _id_length([*held, *rejected]), rest)


def _also(plan: Plan, separator: str = "; ") -> str:
    """Return the counts of items that are not changes."""
    parts = (plan.held, "held"), (plan.rejected, "rejected"), (plan.drift, "drifted")
    return "".join(f"{separator}{len(what):,} {word}" for what, word in parts if what)


def _sentence(plan: Plan, shown: Review) -> str:
    """Return the number of changes by action, in a sentence."""
    also = _also(plan)
    if not plan.changes:
        return f"nothing to do{also}"
    counts = [Action(each.code).counted(each.count) for each in shown.counts if each.is_action]
    return f"{', '.join(counts)}{also}; {shown.effort}"


def plan_lines(plan: Plan, rest: int | None = None, *, keys: bool = False) -> Iterator[Text]:
    """Yield a plan line by line.

    `rest`: at most so many usual changes, the others counted. `keys`: long keys as well (`words.key_shown`).
    """
    shown = review(plan, keys=keys)
    title = Text(shown.target, style="bold")
    title.append(f" ({shown.kind}, {plan.created:%Y-%m-%d %H:%M:%S} UTC): {_sentence(plan, shown)}", style="not bold")
    yield title
    yield from _first(shown, rest)
    yield from _changes(shown, rest)
    yield from _apart(shown)
    yield from _where_all_is(shown, rest)


def _where_all_is(shown: Review, rest: int | None) -> Iterator[Text]:
    ordinary = sum(len(items) for section, items in shown.sections() if not section.unusual)
    if rest is not None and ordinary > rest:
        command = "" if shown.run is None else f"syncd show {shown.run} "
        yield Text(f"  all of it, to search and to filter: `{command}-o FILE.html`", style="dim")


def withheld_lines(
    held: Sequence[Held], rejected: Sequence[Held], *, approved: Collection[str] = (), keys: bool = False
) -> Iterator[Text]:
    """Yield withheld and rejected changes, as plans show them; `approved`: ids of released changes."""
    items = withheld(held, rejected, approved=approved, keys=keys)
    id_length = _id_length(items)
    yield from _held([item for item in items if item.section == "held"], id_length)
    yield from _rejected([item for item in items if item.section == "rejected"], id_length)


def run_lines(run: Run, rest: int | None = None, *, keys: bool = False) -> Iterator[Text]:
    """Yield a run line by line: changes that were not applied, then the reason for the run's end, then the rest.

    `rest`, `keys`: as for a plan.
    """
    shown = review(run, keys=keys)
    counts = ", ".join(f"{each.count:,} {_VERBS.get(each.code, each.words)}" for each in shown.results)
    counts = counts or ("nothing done" if run.error else "nothing to do")
    title = Text(shown.target, style="bold")
    title.append(f" (run {run.number}, {shown.kind}): {counts}{_also(run.plan, ', ')}; ", style="not bold")
    title.append(f"{requests_of(run)} in {run.seconds:.1f} s", style="not bold")
    yield title
    for index, line in enumerate(shown.error):
        yield Text(f"  {'stopped: ' if index == 0 else ''}{line}", style="bold red")
    if shown.unreached:
        changes = counted(shown.unreached, "change was", "changes were")
        yield Text(f"  {changes} not done for that; the next run plans what is still needed")
    yield from _first(shown, rest)
    yield from _changes(shown, rest)
    yield from _apart(shown)
    yield from _where_all_is(shown, rest)


# -- lines as one text -------------------------------------------------------------------------------------


def table(headings: Iterable[str], rows: Iterable[Iterable[object]]) -> Table:
    """Return a plain table; its cells may hold text from anywhere."""
    made = Table(box=None, pad_edge=False, header_style="bold")
    for heading in headings:
        made.add_column(heading, overflow="fold")
    for row in rows:
        made.add_row(*(Text(visible(str(cell))) for cell in row))
    return made


def table_or_lines(headings: Sequence[str], rows: Iterable[Iterable[object]], width: int) -> Iterator[Text | Table]:
    """Yield a table where it fits into `width` columns (0: it does), else a line for each row: no word is broken.

    The first cell of a row names it; in a line, each other one that isn't empty follows as "active 20".
    """
    cells = [[visible(str(cell)) for cell in row] for row in rows]
    widths = [max(map(cell_len, column)) for column in zip(headings, *cells, strict=True)]
    if not width or sum(widths) + _BETWEEN * (len(widths) - 1) <= width:
        yield table(headings, cells)
        return
    for name, *others in cells:
        said = ", ".join(f"{heading} {cell}" for heading, cell in zip(headings[1:], others, strict=True) if cell)
        yield Text(f"{headings[0]} {name}: ", style="bold").append(said, style="not bold")


_BETWEEN: Final = 2
"""Columns between two cells of a table."""


def render(lines: Iterable[Text | Table], *, width: int = 0, color: bool = False) -> str:
    """Return lines as one text, with terminal colours or without. `width` 0: lines are as long as they are.

    With a width, a line that doesn't fit continues on the next line, with a deeper indent.
    """
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
            if width and isinstance(line, Text) and line.cell_len > width:
                for part in _wrapped(line, console, width):
                    console.print(part, soft_wrap=True, crop=False)
            else:
                console.print(line, soft_wrap=isinstance(line, Text), crop=False)
    return capture.get()


def _wrapped(line: Text, console: Console, width: int) -> Iterator[Text]:
    """Yield a line in parts that fit; all parts but the first have twice the indent of the line."""
    indent = len(line.plain) - len(line.plain.lstrip(" "))
    hanging = " " * min(indent + _HANGING, width // 2)
    first, *more = line.wrap(console, width)
    yield first
    if more:
        rest = line[len(first.plain) :]
        rest.plain = rest.plain.lstrip(" ")
        for part in rest.wrap(console, width - len(hanging)):
            yield Text(hanging).append_text(part)


__all__ = [
    "REST_ON_A_TERMINAL",
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
