"""Finds the user or group that a key, userName, e-mail or group name means, among all in the state file."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from itertools import chain

from syncd.core.mapping import EntryUnusable, UserMapping
from syncd.core.model import Attributes, Entry, Flat, Kind, Known, State
from syncd.core.plan import Change
from syncd.errors import SyncdError
from syncd.settings.build import Setup
from syncd.store import StateFile
from syncd.store.lookup import holds_naming, unlinked_entries

Meant = tuple[Kind, str]
_SHOWN = 10


def meant(setup: Setup, state: StateFile, target: str, who: str) -> Meant:
    """Return the one user or group that is meant. Raises SyncdError for nobody, and for several, naming them."""
    found = _named(setup, state, target, who)
    kind, colon, rest = who.partition(":")
    if not found and colon and kind in set(Kind):
        found = {each: name for each, name in _named(setup, state, target, rest).items() if each[0] == kind}
    if not found:
        (selection,) = (each.rules.selection for each in setup.chosen(target))
        why = "not in the source as it was last read, or the target's own"
        if not selection.wants_group(who):
            why += ", or a group that `groups` doesn't select"
        raise SyncdError(
            f"{target}: nothing is known of `{who}`: not managed by syncd, so {why}",
            hint="give a userName, an e-mail, a group's name or the source's key; a run must have met it before",
        )
    if len(found) > 1:
        some = [f"{kind.value}:{key} ({name})" for (kind, key), name in sorted(found.items())]
        more = f" and {len(some) - _SHOWN} more" if len(some) > _SHOWN else ""
        raise SyncdError(
            f"{target}: `{who}` may mean {len(found)}: {', '.join(some[:_SHOWN])}{more}",
            hint="say which by its key, as it stands there: `syncd explain " + some[0].split(" (")[0] + "`",
        )
    return next(iter(found))


def _named(setup: Setup, state: StateFile, target: str, who: str) -> dict[Meant, str]:
    """Return everybody who may be meant, with a name; only those with exactly that key, where there are any."""
    found = dict(_known(setup, state, target, who))
    if not found:
        found = dict(_heard_of(setup, state, target, who))
    return {each: name for each, name in found.items() if each[1] == who} or found


def _known(setup: Setup, state: StateFile, target: str, who: str) -> Iterator[tuple[Meant, str]]:
    """Yield everybody of that name in the snapshot, the kept entries, the holds and the quarantine."""
    snapshot = state.snapshot(target)
    folded = who.casefold()
    for known in snapshot.find(who):
        yield (Kind.USER, known.key), f"{known.name}, {_state(known)}"
    for key, group in snapshot.groups().items():
        if key == who or group.name.casefold() == folded:
            yield (Kind.GROUP, key), group.name
    if (kept := snapshot.entry(who)) is not None:
        yield (Kind.USER, who), _name(setup.rules.users, kept[0].key, kept[0].attributes) or kept[0].where
    waiting = chain(
        (hold.change for hold in holds_naming(state.holds(target), who)),
        (each.change for each in state.quarantine(target).all()),
    )
    for change in waiting:
        if _is_called(change, who):
            yield _of(change), change.name


def _heard_of(setup: Setup, state: StateFile, target: str, who: str) -> Iterator[tuple[Meant, str]]:
    """Yield everybody of that name who has no account: read, tried or refused."""
    journal, users, snapshot = state.journal(target), setup.rules.users, state.snapshot(target)
    # An address nearly always stands in the entry literally; only for a composed address must all entries be mapped.
    read = _called(users, unlinked_entries(snapshot, who), who) or _called(users, unlinked_entries(snapshot), who)
    for entry in read:
        yield (Kind.USER, entry.key), _name(users, entry.key, entry.attributes) or entry.where
    for change in journal.changes_naming(who):
        if _is_called(change, who):
            yield _of(change), change.name
    last = journal.last_plan()
    for problem in last.problems if last else ():
        if problem.key == who and problem.kind in set(Kind):
            yield (Kind(problem.kind), who), problem.where


def _called(users: UserMapping, entries: Iterable[Entry], who: str) -> list[Entry]:
    """Return the entries that are mapped to this userName or e-mail."""
    folded = who.casefold()
    return [entry for entry in entries if folded in _addresses(users, entry.key, entry.attributes)]


def _of(change: Change) -> Meant:
    return change.action.kind, change.key


def _state(known: Known) -> str:
    return "gone from the target" if known.lost else known.state.value


def _is_called(change: Change, who: str) -> bool:
    """Return whether a change is about somebody with that key, name or address."""
    if change.key == who:
        return True
    addresses = _addresses_in(change.after) if change.action.about_user else set()
    return who.casefold() in {change.name.casefold(), *addresses}


def _addresses_in(flat: Flat) -> set[str]:
    """Return userName and e-mails, folded."""
    given = {path: value for path, value in flat.items() if value}
    somebody = Known("", "", str(given.get("userName", "")), State.ACTIVE, given, b"")
    return set(somebody.addresses) - {""}


def _addresses(users: UserMapping, key: str, attributes: Attributes) -> set[str]:
    """Return the addresses that an entry is mapped to, folded; none where it can't be."""
    try:
        return _addresses_in(users.flat(key, attributes))
    except EntryUnusable:
        return set()


def _name(users: UserMapping, key: str, attributes: Attributes) -> str:
    try:
        return str(users.flat(key, attributes)["userName"])
    except EntryUnusable:
        return ""
