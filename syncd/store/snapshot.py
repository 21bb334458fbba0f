"""The snapshot of one target: what it last acknowledged. Finds where desired and known differ; decides nothing."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping, Sequence
from datetime import datetime
from typing import Any, Final, NamedTuple

import orjson
from sqlite_utils import Database

from syncd.core.digest import NO_MEMBERS, member_numbers, members_changed
from syncd.core.model import Json, Kind, Known, KnownGroup, State

_BATCH: Final = 1000
_USER_COLUMNS: Final = "key, id, name, state, attributes, digest, accepted, missing_since"
_GROUP_COLUMNS: Final = "key, id, name, attributes, members_digest, missing_since"


class Glance(NamedTuple):
    """As much of a known user as it takes to pass over the unchanged."""

    key: str
    ref: int
    digest: bytes
    missing: int
    """1 when they are missing from the source since an earlier run."""


class Snapshot:
    """Reads and writes one target's rows. Writes belong inside the state file's `atomic()`."""

    def __init__(self, db: Database, target: int, name: str) -> None:
        self._db = db
        self._conn = db.conn
        self._target = target
        self.name = name

    # -- the target ------------------------------------------------------------------------------

    @property
    def serial(self) -> int:
        """Raised with every acknowledged change: two plans with one serial saw the same snapshot."""
        return int(self._one("SELECT serial FROM targets WHERE id = ?", self._target)[0])

    def bump(self) -> None:
        """Raise the serial."""
        self._conn.execute("UPDATE targets SET serial = serial + 1 WHERE id = ?", [self._target])

    @property
    def discovery(self) -> dict[str, Json]:
        """What the endpoint said or proved it can do, empty when nobody asked yet."""
        (text,) = self._one("SELECT discovery FROM targets WHERE id = ?", self._target)
        return dict(orjson.loads(text)) if text else {}

    def discover(self, discovery: Json) -> None:
        """Remember what the endpoint can do."""
        self._conn.execute(
            "UPDATE targets SET discovery = ? WHERE id = ?", [orjson.dumps(discovery).decode(), self._target]
        )

    @property
    def mark(self) -> bytes:
        """What stood for source, rules and snapshot when everything was last in line; empty when it wasn't."""
        return bytes(self._one("SELECT mark FROM targets WHERE id = ?", self._target)[0] or b"")

    def set_mark(self, mark: bytes) -> None:
        """Remember with what everything was in line."""
        self._conn.execute("UPDATE targets SET mark = ? WHERE id = ?", [mark, self._target])

    # -- users -----------------------------------------------------------------------------------

    def counts(self) -> dict[State, int]:
        """Return how many users are in each state."""
        rows = self._conn.execute("SELECT state, count(*) FROM users WHERE target = ? GROUP BY state", [self._target])
        found = dict(rows.fetchall())
        return {state: found.get(state.value, 0) for state in State}

    def glances(self, keys: Sequence[str]) -> dict[str, Glance]:
        """Return what is known of up to a few thousand keys."""
        found: dict[str, Glance] = {}
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            rows = self._conn.execute(
                "SELECT key, ref, digest, missing_since IS NOT NULL FROM users"
                f" WHERE target = ? AND key IN ({_marks(batch)})",
                [self._target, *batch],
            )
            found.update({row[0]: Glance._make(row) for row in rows})
        return found

    def users(self, keys: Sequence[str]) -> dict[str, Known]:
        """Return everything that is known of these keys."""
        found: dict[str, Known] = {}
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            rows = self._conn.execute(
                f"SELECT {_USER_COLUMNS} FROM users WHERE target = ? AND key IN ({_marks(batch)})",
                [self._target, *batch],
            )
            found.update((row[0], _known(row)) for row in rows)
        return found

    def user(self, key: str) -> Known | None:
        return self.users([key]).get(key)

    def ids(self, kind: Kind, keys: Sequence[str]) -> dict[str, str]:
        """Return the ids at the target of those keys that are linked."""
        table = "users" if kind is Kind.USER else "groups"
        found: dict[str, str] = {}
        for start in range(0, len(keys), _BATCH):
            batch = keys[start : start + _BATCH]
            found.update(
                self._conn.execute(
                    f"SELECT key, id FROM {table} WHERE target = ? AND key IN ({_marks(batch)})",
                    [self._target, *batch],
                ).fetchall()
            )
        return found

    def key_of(self, kind: Kind, id_: str) -> str | None:
        """Return the key that a resource of the target is linked to."""
        table = "users" if kind is Kind.USER else "groups"
        row = self._conn.execute(
            f"SELECT key FROM {table} WHERE target = ? AND id = ?",
            [self._target, id_],
        ).fetchone()
        return row[0] if row else None

    def find(self, who: str) -> list[Known]:
        """Return the users that a person means by a key, or by a userName or e-mail in any case."""
        folded = who.casefold()
        # In Python, for SQLite folds the case of ASCII alone.
        rows = self._conn.execute(f"SELECT {_USER_COLUMNS} FROM users WHERE target = ?", [self._target])
        return [
            known for row in rows if (known := _known(row)).key == who or folded in map(str.casefold, _addresses(known))
        ]

    def highest_ref(self) -> int:
        """Return the largest `ref` of any user: the size of a bitmap of those seen."""
        return int(self._one("SELECT coalesce(max(ref), 0) FROM users")[0])

    def unseen(self, seen: bytearray) -> Iterator[Known]:
        """Yield the users whose `ref` is not marked in the bitmap (a byte each)."""
        refs = [
            ref
            for (ref,) in self._conn.execute("SELECT ref FROM users WHERE target = ? ORDER BY ref", [self._target])
            if not seen[ref]
        ]
        for start in range(0, len(refs), _BATCH):
            batch = refs[start : start + _BATCH]
            rows = self._conn.execute(
                f"SELECT {_USER_COLUMNS} FROM users WHERE ref IN ({_marks(batch)})",
                batch,
            ).fetchall()
            yield from map(_known, rows)

    def put_user(self, user: Known) -> None:
        """Write what the target acknowledged of one user."""
        self._conn.execute(
            "INSERT INTO users (target, key, id, name, state, attributes, digest, accepted, missing_since)"
            " VALUES (?, ?, ?, ?, ?, ?, ?, ?, ?) ON CONFLICT (target, key) DO UPDATE SET id = excluded.id,"
            " name = excluded.name, state = excluded.state, attributes = excluded.attributes,"
            " digest = excluded.digest, accepted = excluded.accepted, missing_since = excluded.missing_since",
            [
                self._target,
                user.key,
                user.id,
                user.name,
                user.state.value,
                orjson.dumps(user.attributes).decode(),
                user.digest,
                int(user.accepted),
                _text(user.missing_since),
            ],
        )

    def forget_user(self, key: str) -> None:
        """Remove a user that is gone from the target, with the memberships."""
        self._forget_memberships(Kind.USER, key)
        self._conn.execute("DELETE FROM users WHERE target = ? AND key = ?", [self._target, key])

    def settle(self, digests: Mapping[str, bytes]) -> None:
        """Remember the digests of entries that differ without needing a change."""
        self._conn.executemany(
            "UPDATE users SET digest = ? WHERE target = ? AND key = ?",
            [(digest, self._target, key) for key, digest in digests.items()],
        )

    def note_missing(self, kind: Kind, since: Mapping[str, datetime], back: Iterable[str]) -> None:
        """Remember since when keys are missing, and which of them are back."""
        table = "users" if kind is Kind.USER else "groups"
        self._conn.executemany(
            f"UPDATE {table} SET missing_since = ? WHERE target = ? AND key = ? AND missing_since IS NULL",
            [(_text(moment), self._target, key) for key, moment in since.items()],
        )
        self._conn.executemany(
            f"UPDATE {table} SET missing_since = NULL WHERE target = ? AND key = ?",
            [(self._target, key) for key in back],
        )

    # -- groups and members ----------------------------------------------------------------------

    def groups(self) -> dict[str, KnownGroup]:
        """Return all groups by key; there are thousands of them at most."""
        rows = self._conn.execute(f"SELECT {_GROUP_COLUMNS} FROM groups WHERE target = ?", [self._target])
        return {row[0]: _known_group(row) for row in rows}

    def group(self, key: str) -> KnownGroup | None:
        row = self._conn.execute(
            f"SELECT {_GROUP_COLUMNS} FROM groups WHERE target = ? AND key = ?", [self._target, key]
        ).fetchone()
        return _known_group(row) if row else None

    def members(self, group: str) -> tuple[set[str], set[str]]:
        """Return the acknowledged members of a group: keys of users, keys of groups."""
        rows = self._conn.execute(
            "SELECT kind, member_key FROM members WHERE target = ? AND group_key = ?", [self._target, group]
        )
        found: tuple[set[str], set[str]] = (set(), set())
        for kind, key in rows:
            found[0 if kind == Kind.USER.value else 1].add(key)
        return found

    def count_members(self) -> int:
        """Return how many memberships the target has acknowledged."""
        return int(self._one("SELECT count(*) FROM members WHERE target = ?", self._target)[0])

    def put_group(self, group: KnownGroup) -> None:
        """Write what the target acknowledged of one group; its members are `change_members`'s."""
        self._conn.execute(
            "INSERT INTO groups (target, key, id, name, attributes, members_digest) VALUES (?, ?, ?, ?, ?, ?)"
            " ON CONFLICT (target, key) DO UPDATE SET id = excluded.id, name = excluded.name,"
            " attributes = excluded.attributes",
            [
                self._target,
                group.key,
                group.id,
                group.name,
                orjson.dumps(group.attributes).decode(),
                group.members_digest,
            ],
        )

    def forget_group(self, key: str) -> None:
        """Remove a group that is gone from the target, with all its members and its own memberships."""
        self._forget_memberships(Kind.GROUP, key)
        self._conn.execute("DELETE FROM members WHERE target = ? AND group_key = ?", [self._target, key])
        self._conn.execute("DELETE FROM groups WHERE target = ? AND key = ?", [self._target, key])

    def change_members(self, group: str, kind: Kind, added: Sequence[str] = (), removed: Sequence[str] = ()) -> None:
        """Write that members came and went; those that were there or gone already change nothing."""
        present = self.members(group)[0 if kind is Kind.USER else 1] if len(added) + len(removed) > 1 else None

        def is_member(key: str) -> bool:
            if present is not None:
                return key in present
            row = self._conn.execute(
                "SELECT 1 FROM members WHERE target = ? AND group_key = ? AND kind = ? AND member_key = ?",
                [self._target, group, kind.value, key],
            ).fetchone()
            return row is not None

        came = [key for key in dict.fromkeys(added) if not is_member(key)]
        went = [key for key in dict.fromkeys(removed) if is_member(key)]
        self._conn.executemany(
            "INSERT INTO members (target, group_key, kind, member_key) VALUES (?, ?, ?, ?)",
            [(self._target, group, kind.value, key) for key in came],
        )
        self._conn.executemany(
            "DELETE FROM members WHERE target = ? AND group_key = ? AND kind = ? AND member_key = ?",
            [(self._target, group, kind.value, key) for key in went],
        )
        row = self._conn.execute(
            "SELECT members_digest FROM groups WHERE target = ? AND key = ?", [self._target, group]
        ).fetchone()
        if row is not None:
            digest = members_changed(
                row[0] or NO_MEMBERS,
                member_numbers(kind, came).values(),
                member_numbers(kind, went).values(),
            )
            self._conn.execute(
                "UPDATE groups SET members_digest = ? WHERE target = ? AND key = ?", [digest, self._target, group]
            )

    def _forget_memberships(self, kind: Kind, key: str) -> None:
        holding = self._conn.execute(
            "SELECT key FROM groups WHERE target = ?1 AND EXISTS (SELECT 1 FROM members WHERE target = ?1"
            " AND group_key = groups.key AND kind = ?2 AND member_key = ?3)",
            [self._target, kind.value, key],
        ).fetchall()
        for (group,) in holding:
            self.change_members(group, kind, removed=[key])

    def _one(self, sql: str, *parameters: object) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._conn.execute(sql, parameters).fetchone()
        return row


def _addresses(known: Known) -> Iterator[str]:
    """Yield userName and e-mails, as far as the snapshot has them."""
    yield known.name
    for path, value in known.attributes.items():
        if path == "emails":
            yield from (each["value"] for each in value)
        elif path.startswith("emails[") and path.endswith(".value"):
            yield value


def _marks(values: Sequence[object]) -> str:
    return ",".join("?" * len(values))


def _known(row: tuple[str, str, str, str, str, bytes, int, str | None]) -> Known:
    key, id_, name, state, attributes, digest, accepted, missing = row
    return Known(key, id_, name, State(state), orjson.loads(attributes), digest, bool(accepted), _moment(missing))


def _known_group(row: tuple[str, str, str, str, bytes, str | None]) -> KnownGroup:
    key, id_, name, attributes, digest, missing = row
    return KnownGroup(key, id_, name, orjson.loads(attributes), digest, _moment(missing))


def _moment(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def _text(moment: datetime | None) -> str | None:
    return moment.isoformat() if moment else None
