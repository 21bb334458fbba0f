"""Classify changes: the unusual aspects, the section, and the consequences for the people concerned. Pure."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Final

from syncd.core.context import Context
from syncd.core.limits import BEFORE_DELETE, NEVER_RELEASED, PASSING
from syncd.core.model import State
from syncd.core.plan import LOST, REST_DONE, UNPREPARED, UNRECOVERED, Action, Change, Held, Outcome, Result
from syncd.core.quarantine import is_permanent
from syncd.report.items import ONCE_STORED, Pattern, Row
from syncd.report.words import counted, label, plain

_ENOUGH_TO_COMPARE: Final = 20
"""From this many changes on, a change unlike the others is unusual."""
_RARE_PERCENT: Final = 1
_LOGIN: Final = ("userName", "emails")


def shuts_out(change: Change) -> bool:
    """Return whether a person with access loses access; a new person without access doesn't count."""
    if change.action is Action.DEACTIVATE_USER:
        return True
    return change.before.get("active") is True and change.after.get("active") is False


def renames(change: Change) -> bool:
    """Return whether a person will sign in with another name or address."""
    return change.action.about_user and any(
        path.startswith(_LOGIN) and path in change.before and change.before[path] is not None
        for path in change.differences[1]
    )


def empties(change: Change, context: Context) -> str:
    """Return in words how many members a group loses, if the group loses most members; else ""."""
    size = None if change.action.about_user else context.groups.get(change.key)
    if size is None or not size.members:
        return ""
    if change.action.deletes:
        return f"it has {counted(size.members, 'member', 'members')}"
    going = len(change.members) + len(change.subgroups)
    if not change.action.removes or 2 * going <= size.members:
        return ""
    return f"{going:,} of {counted(size.members, 'member', 'members')} go"


#  change                                    -> section, the first that fits
#  delete a user or a group                     deleted
#  a person loses access                        deactivated
#  a group loses more than half                 emptied
#  an account or group not managed before       adopted
#  another userName or e-mail                   renamed
#  becomes pending                              invited
#  unlike nearly all others                     odd
#  anything else                                by its action
def section_of(change: Change, context: Context, odd: Sequence[str]) -> str:
    """Return the code of the section of a change that is neither held nor failed."""
    if change.action.deletes:
        return "deleted"
    if shuts_out(change):
        return "deactivated"
    if empties(change, context):
        return "emptied"
    if change.takes_over:
        return "adopted"
    if renames(change):
        return "renamed"
    if change.state is State.PENDING:
        return "invited"
    if odd:
        return "odd"
    action = change.action
    if not action.about_user:
        return "members" if action.of_members else "groups"
    if action.creates:
        return "created"
    return "reactivated" if action.arrives and action.alters else "changed"


def notes(change: Change, context: Context, odd: Sequence[str]) -> tuple[str, ...]:
    """Return all unusual aspects of a change, in words."""
    found = [
        "deleted" if change.action.about_user and change.action.deletes else "",
        "loses access" if shuts_out(change) else "",
        empties(change, context),
        "taken over" if change.takes_over else "",
        "signs in otherwise" if renames(change) else "",
        "pending" if change.state is State.PENDING else "",
        *odd,
    ]
    return tuple(filter(None, found))


# -- consequences for the people concerned ------------------------------------------------------------


def consequence(change: Change) -> str:
    """Return the consequence of a change for the people concerned."""
    if change.state is State.PENDING and change.action.creates:
        return "gets an invitation; no access until it is accepted"
    if change.action.adopts and shuts_out(change):
        return Action.DEACTIVATE_USER.words.done
    return change.action.words.done


def while_held(held: Held) -> str:
    """Return the state that lasts while a change is held."""
    if held.limit in NEVER_RELEASED:
        return f"{held.change.action.words.undone}; not done while that is so, whoever approves it"
    if held.limit in PASSING:
        return f"{held.change.action.words.undone}; done only when its time has come"
    later = "" if held.stored else f", which is possible {ONCE_STORED}"
    if held.limit == BEFORE_DELETE:
        way = "tried again, or deleted without it when a person approves that"
        return f"{held.change.action.words.undone}; {way}{later}"
    return f"{held.change.action.words.undone}; done only when a person approves it{later}"


def after(outcome: Outcome) -> str:
    """Return the consequence of an outcome for the people concerned."""
    change, result = outcome.change, outcome.result
    if result is Result.APPLIED:
        return consequence(change)
    if result is Result.REFUSED:  # the state at the target differs from the plan
        return "nothing was done, for it is no longer as the plan expected; the next plan looks anew"
    if outcome.open or outcome.detail == UNRECOVERED:
        return f"perhaps: {change.action.words.undone}; the next run looks whether it was done, before it tries again"
    if outcome.detail == LOST:
        return "the account was deleted there" if change.action.about_user else "the group was deleted there"
    if REST_DONE in outcome.detail:
        return "the target shows the old values of what was refused; the next run tries that again, and only that"
    if outcome.detail.startswith(UNPREPARED):
        return f"{change.action.words.undone}; held, and tried again: `syncd holds`"
    again = "the next run tries again"
    if is_permanent(result, outcome.status):
        again = "quarantined: tried again ever more rarely, until it or the source changes"
    return f"{change.action.words.undone}; {again}"


# -- patterns, and changes unlike the patterns -------------------------------------------------------


def _verb(row: Row) -> str:
    return "set" if row.before is None else "emptied" if row.after in (None, "") else "changed"


def patterns(rows: Iterable[Sequence[Row]]) -> tuple[Pattern, ...]:
    """Return the patterns of altering changes, the commonest first; `rows` of each change."""
    counts: Counter[tuple[str, str]] = Counter()
    examples: dict[tuple[str, str], Counter[Row]] = {}
    changes = 0
    for each in rows:
        changes += 1
        for row in each:
            counts[row.label, _verb(row)] += 1
            examples.setdefault((row.label, _verb(row)), Counter())[row] += 1
    rare = _rare_up_to(changes)
    return tuple(
        Pattern(path, verb, count, *examples[path, verb].most_common(1)[0], rare=count <= rare)
        for (path, verb), count in sorted(counts.items(), key=lambda each: (-each[1], each[0]))
    )


def _rare_up_to(changes: int) -> int:
    return max(1, changes * _RARE_PERCENT // 100) if changes >= _ENOUGH_TO_COMPARE else 0


def odd_alterations(rows: Sequence[Row], found: Mapping[tuple[str, str], Pattern]) -> list[str]:
    """Return the rare parts of an altering change, in words; `found`: all patterns."""
    said = []
    for row in rows:
        pattern = found[row.label, _verb(row)]
        if pattern.rare:
            does = {"set": "sets", "emptied": "empties", "changed": "changes"}[pattern.verb]
            who = "the only change that" if pattern.count == 1 else f"one of {pattern.count} changes that"
            said.append(f"{who} {does} {row.label}")
    return said


class Newcomers:
    """The attributes that nearly all new people have: a person without such an attribute is unusual."""

    def __init__(self, creations: Sequence[Change]) -> None:
        self._total = len(creations)
        self._has: Counter[str] = Counter()
        for change in creations:
            self._has.update(path for path, value in change.after.items() if plain(value))

    def lacking(self, change: Change) -> list[str]:
        """Return the common attributes that a new person lacks, in words."""
        rare = _rare_up_to(self._total)
        return [
            f"no {label(path)}, which {having:,} of {self._total:,} new people have"
            for path, having in self._has.items()
            if 0 < self._total - having <= rare and not plain(change.after.get(path))
        ]


def is_altering(change: Change) -> bool:
    """Return whether a change is altering: values of altering changes can be compared with each other."""
    return change.action.about_user and change.action.alters and not change.action.ends
