"""What is asked of the snapshot when somebody wants an explanation, and never while syncing."""

from __future__ import annotations

from collections.abc import Iterator

import orjson

from syncd.core.model import Entry, Kind
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


def unlinked_entries(snapshot: Snapshot) -> Iterator[Entry]:
    """Yield the kept entries of those who have no account: out of scope, disabled, unusable, held or refused."""
    rows = snapshot._conn.execute(
        "SELECT key, attributes, place FROM entries WHERE target = ?1 AND NOT EXISTS"
        " (SELECT 1 FROM users WHERE target = ?1 AND users.key = entries.key)",
        [snapshot._target],
    )
    for key, attributes, place in rows:
        yield Entry(key, orjson.loads(attributes), place)
