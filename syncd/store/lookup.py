"""Queries for explanations, which are never used during a sync."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime

import orjson

from syncd.core.actions import Effect
from syncd.core.model import Entry, Kind
from syncd.store.holds import Hold, Holds
from syncd.store.journal import pattern_of
from syncd.store.snapshot import Snapshot


def groups_with(snapshot: Snapshot, kind: Kind, key: str) -> list[tuple[str, str]]:
    """Return (key, name) of the groups that a user or group is an acknowledged member of, by name."""
    # By group, for the table of members is found by its group alone.
    rows = snapshot._conn.execute(
        "SELECT key, name FROM groups WHERE target = ?1 AND EXISTS (SELECT 1 FROM members WHERE target = ?1"
        " AND group_key = groups.key AND kind = ?2 AND member_key = ?3) ORDER BY name, key",
        [snapshot._target, kind.value, key],
    )
    return [(row[0], row[1]) for row in rows]


def unlinked_entries(snapshot: Snapshot, naming: str = "") -> Iterator[Entry]:
    """Yield the kept entries of people without an account: out of scope, disabled, unusable, held or refused.

    `naming`: only the entries that contain this text, in any case as far as it is ASCII.
    """
    rows = snapshot._conn.execute(
        "SELECT key, attributes, place FROM entries WHERE target = ?1 AND (?2 = '' OR attributes LIKE ?2 ESCAPE '!')"
        " AND NOT EXISTS (SELECT 1 FROM users WHERE target = ?1 AND users.key = entries.key)",
        [snapshot._target, pattern_of(naming) if naming else ""],
    )
    for key, attributes, place in rows:
        yield Entry(key, orjson.loads(attributes), place)


def last_kept(snapshot: Snapshot) -> datetime | None:
    """Return when entries were last kept: a person without an account who was read then has an entry of that moment."""
    (moment,) = snapshot._one("SELECT max(at) FROM entries WHERE target = ?", snapshot._target)
    return datetime.fromisoformat(moment) if moment else None


def holds_naming(holds: Holds, text: str) -> list[Hold]:
    """Return the holds in whose change a text stands somewhere, in any case; the oldest first."""
    if not text.isascii():  # whose case SQLite doesn't fold
        return holds.all()
    return holds._select("change LIKE ? ESCAPE '!'", pattern_of(text))


def unapproved(holds: Holds, now: datetime) -> list[Hold]:
    """Return the holds that are not approved."""
    approved = holds.approved(now)
    return [hold for hold in holds.all() if hold.id not in approved]


def awaited(found: Iterable[Hold], withheld: Iterable[Hold]) -> Mapping[str, Sequence[Hold]]:
    """Return by id the holds that membership changes still wait for: a person who keeps the account keeps the groups,
    and a missing account or group can't be part of a membership."""
    delaying: dict[tuple[Effect | None, Kind, str], list[Hold]] = {}
    for hold in withheld:
        action = hold.change.action
        delaying.setdefault((action.delays, action.kind, hold.change.key), []).append(hold)
    waiting = {}
    for hold in found:
        change = hold.change
        if not change.action.of_members:
            continue
        named = [
            *((Kind.USER, key) for key in change.members),
            *((Kind.GROUP, key) for key in (change.key, *change.subgroups)),
        ]
        if delays := [each for one in named for each in delaying.get((change.action.effect, *one), ())]:
            waiting[hold.id] = delays
    return waiting
