"""The difference between two plans for one target: would the later plan still do the reviewed changes?

Plans are compared by change, not by line. A change with the same id in both plans is the same change. Two different
changes of the same user or group are reported as a pair. A change that is held in one plan only is reported too.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from datetime import datetime
from enum import StrEnum
from typing import Final

from rich.text import Text

from syncd.core.context import LimitUse
from syncd.core.model import Json
from syncd.core.plan import Plan, timestamp
from syncd.errors import PlanFileError
from syncd.report.items import Item, Row
from syncd.report.limits import limit_words, on
from syncd.report.markdown import code, prose
from syncd.report.review import review
from syncd.report.words import counted, listed, visible


class Status(StrEnum):
    """The status of a change in one plan."""

    PLANNED = "planned"
    HELD = "held"
    REJECTED = "rejected"


@dataclass(frozen=True, slots=True)
class Moved:
    """A change that is in both plans, and has another status now."""

    item: Item
    before: Status
    after: Status


@dataclass(frozen=True, slots=True)
class Altered:
    """The change planned for one user or group before, and the change planned instead."""

    before: Item
    after: Item


@dataclass(frozen=True)
class Difference:
    """The difference between a reviewed plan and a later plan."""

    target: str
    old: datetime
    new: datetime
    same: int
    added: tuple[Item, ...]
    """Changes that are planned, held or rejected now, and have no counterpart before."""
    dropped: tuple[Item, ...]
    altered: tuple[Altered, ...]
    moved: tuple[Moved, ...]
    limits: tuple[tuple[LimitUse, LimitUse], ...]
    """Limits with a different use: before and now."""
    requests: tuple[int, int]

    @property
    def is_none(self) -> bool:
        """Whether the later plan does, holds and reports the same as the reviewed plan."""
        return not (self.added or self.dropped or self.altered or self.moved)

    @property
    def sentence(self) -> str:
        """Return the difference in a sentence."""
        if self.is_none:
            return f"Nothing has changed since the review: {counted(self.same, 'item is', 'items are')} the same."
        numbers = (
            (len(self.added), "new"),
            (len(self.dropped), "no longer needed"),
            (len(self.altered), "otherwise than reviewed"),
            (len(self.moved), "held, released or rejected otherwise"),
        )
        parts = [f"{number:,} {words}" for number, words in numbers if number]
        return f"Since the review: {listed(parts)}; {self.same:,} the same."

    def to_json(self) -> dict[str, Json]:
        return {
            "target": self.target,
            "old": timestamp(self.old),
            "new": timestamp(self.new),
            "changed": not self.is_none,
            "sentence": self.sentence,
            "same": self.same,
            "added": [_json(item) for item in self.added],
            "dropped": [_json(item) for item in self.dropped],
            "altered": [{"before": _json(each.before), "after": _json(each.after)} for each in self.altered],
            "moved": [
                {**_json(each.item), "before": each.before.value, "after": each.after.value} for each in self.moved
            ],
            "limits": [{"before": old.to_json(), "after": new.to_json()} for old, new in self.limits],
            "requests": {"before": self.requests[0], "after": self.requests[1]},
        }


def compare(old: Plan, new: Plan, *, keys: bool = True) -> Difference:
    """Return the difference of `new` from `old`; `keys` as for `review`.

    Raises PlanFileError for plans of different targets.
    """
    if old.target != new.target:
        raise PlanFileError(
            f"one plan is for the target `{visible(old.target)}`, the other for `{visible(new.target)}`",
            hint="compare two plans for one target",
        )
    before, after = _Side(old, keys=keys), _Side(new, keys=keys)
    same, moved = 0, []
    for id_ in before.items.keys() & after.items.keys():
        if before.status(id_) is after.status(id_):
            same += 1
        else:
            moved.append(Moved(after.items[id_], before.status(id_), after.status(id_)))
    gone = {id_: item for id_, item in before.items.items() if id_ not in after.items}
    came = {id_: item for id_, item in after.items.items() if id_ not in before.items}
    waiting: dict[str, list[str]] = {}
    for id_ in gone:
        waiting.setdefault(before.about(id_), []).append(id_)
    altered = []
    for id_, item in list(came.items()):
        if others := waiting.get(after.about(id_)):
            altered.append(Altered(gone.pop(others.pop(0)), item))
            del came[id_]
    return Difference(
        target=visible(new.target),
        old=old.created,
        new=new.created,
        same=same,
        added=tuple(came.values()),
        dropped=tuple(gone.values()),
        altered=tuple(altered),
        moved=tuple(sorted(moved, key=lambda each: (each.item.name.casefold(), each.item.id))),
        limits=_limits(old, new),
        requests=(old.estimate.requests, new.estimate.requests),
    )


class _Side:
    """The items of one plan by id, with the status and the subject of each item."""

    def __init__(self, plan: Plan, *, keys: bool) -> None:
        self.items = {item.id: item for item in review(plan, keys=keys).items}

    def status(self, id_: str) -> Status:
        section = self.items[id_].section
        return Status(section) if section in (Status.HELD, Status.REJECTED) else Status.PLANNED

    def about(self, id_: str) -> str:
        """Return the key that pairs two items: the user or group, and for memberships whether members join or leave."""
        item = self.items[id_]
        sort = item.action if item.change is None or item.change.of_members else "change"
        return f"{sort}\0{item.kind}\0{item.key}\0{'' if item.is_change else item.name}"


def _limits(old: Plan, new: Plan) -> tuple[tuple[LimitUse, LimitUse], ...]:
    before = {use.limit: use for use in old.context.limits}
    pairs = ((before[use.limit], use) for use in new.context.limits if use.limit in before)
    return tuple((was, now) for was, now in pairs if was != now)


def _json(item: Item) -> dict[str, Json]:
    return {
        "id": item.id,
        "class": item.section,
        "action": item.action,
        "key": item.key,
        "name": item.name,
        "reason": item.reason,
        **({"first": item.first} if item.first else {}),
        "differences": [{"attribute": row.label, "before": row.before, "after": row.after} for row in item.rows],
        "joins": list(item.came),
        "leaves": list(item.went),
    }


# -- for people ---------------------------------------------------------------------------------------------


_NEW: Final = "New since the review"


def _sections(difference: Difference) -> Iterator[tuple[str, list[tuple[Item, str]]]]:
    """Yield headings with their items, and a note for each item."""
    yield _NEW, [(item, "") for item in difference.added]
    yield "No longer needed", [(item, "") for item in difference.dropped]
    yield "Otherwise than reviewed", [(each.after, _instead(each)) for each in difference.altered]
    yield (
        "Held, released or rejected otherwise",
        [(each.item, f"was {each.before}, is {each.after}") for each in difference.moved],
    )


def _held(item: Item) -> str:
    return item.cluster if item.section == "held" else ""


def _instead(each: Altered) -> str:
    """Return the difference from the change planned before, in words."""
    if each.before.action != each.after.action:
        return f"was {each.before.words}"
    if each.before.section != each.after.section and "held" in (each.before.section, each.after.section):
        return "was held" if each.before.section == "held" else "is held now"
    old, new = set(each.before.rows), set(each.after.rows)
    told = [f"was {_words(row)}" for row in each.before.rows if row in old - new]
    came = set(each.after.came + each.after.went) - set(each.before.came + each.before.went)
    went = set(each.before.came + each.before.went) - set(each.after.came + each.after.went)
    told += [f"also {listed(sorted(came)[:5])}"] if came else []
    told += [f"no longer {listed(sorted(went)[:5])}"] if went else []
    return "; ".join(told) or f"reason was: {each.before.reason}"


def _words(row: Row) -> str:
    before, after = (("nothing" if value is None else f'"{value}"') for value in (row.before, row.after))
    return f"{row.label}: {before} -> {after}"


def _limit(old: LimitUse, new: LimitUse) -> str:
    most = limit_words(new) if new.most is None else f"of at most {new.most:,}"
    over = ", over the limit" if new.exceeded else ""
    return f"{on(new)}: {old.affected:,} -> {new.affected:,} {most}{over}"


def lines(difference: Difference) -> Iterator[Text]:
    """Yield the difference line by line, for a terminal."""
    title = Text(difference.target, style="bold")
    title.append(f" ({difference.old:%Y-%m-%d %H:%M} UTC -> {difference.new:%Y-%m-%d %H:%M} UTC): ", style="not bold")
    yield title.append(difference.sentence, style="green not bold" if difference.is_none else "yellow not bold")
    for heading, items in _sections(difference):
        if items:
            yield Text(f"{heading} ({len(items):,}):", style="bold")
        why = ""
        for item, said in items:
            if heading == _NEW and _held(item) != why:
                why = _held(item)
                yield Text(f"  {why or 'not held:'}", style="magenta" if why else "")
            line = Text(f"  {item.sign} {item.words:<16} ").append(item.name, style="bold")
            line.append(f" ({item.shown_key})" if item.shown_key else "").append(f": {item.reason}")
            yield line
            if said:
                yield Text(f"        {said}", style="dim")
            if heading != "No longer needed":
                for row in item.rows if item.is_change and item.compares else ():
                    yield Text(f"        {_words(row)}", style="dim")
    for old, new in difference.limits:
        yield Text(f"  limit {_limit(old, new)}", style="bold magenta" if new.exceeded else "")


def markdown(difference: Difference) -> str:
    """Return the difference as Markdown."""
    made = [
        f"## Since the review: {code(difference.target)}",
        "",
        f"{difference.old:%Y-%m-%d %H:%M} UTC → {difference.new:%Y-%m-%d %H:%M} UTC. **{prose(difference.sentence)}**",
        "",
    ]
    for heading, items in _sections(difference):
        if not items:
            continue
        made += [f"### {heading}: {len(items):,}", ""]
        why = ""
        for item, said in items:
            if heading == _NEW and _held(item) != why:
                why = _held(item)
                made += [*([""] if made[-1] else []), f"**{prose(why or 'not held')}**", ""]
            key = f" {code(item.shown_key)}" if item.shown_key else ""
            name = f" {code(item.name)}" if item.name else ""
            made.append(f"- {item.words}{name}{key}: {prose(item.reason)}{f' — {prose(said)}' if said else ''}")
            made += [f"  - {prose(_words(row))}" for row in item.rows if item.is_change and item.compares]
        made.append("")
    made += [f"- limit {prose(_limit(old, new))}" for old, new in difference.limits]
    return "\n".join(made) + "\n"


__all__ = ["Altered", "Difference", "Moved", "Status", "compare", "lines", "markdown"]
