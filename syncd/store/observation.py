"""A target as a full resync found it: every user and group that was read. Lives in a scratch file alone."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from typing import Final, Literal

import orjson
from sqlite_utils import Database

from syncd.core.model import Kind, Observed, ObservedGroup
from syncd.store.rows import Rows, batches, dumped, marks

_TABLES: Final = """
CREATE TABLE IF NOT EXISTS observed_users (
    target INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, external_id TEXT NOT NULL, emails TEXT NOT NULL,
    attributes TEXT NOT NULL, user_name TEXT NOT NULL, PRIMARY KEY (target, id));
CREATE INDEX IF NOT EXISTS observed_users_external_id ON observed_users (target, external_id);
CREATE INDEX IF NOT EXISTS observed_users_user_name ON observed_users (target, user_name);
CREATE TABLE IF NOT EXISTS observed_emails (
    target INTEGER NOT NULL, email TEXT NOT NULL, id TEXT NOT NULL, PRIMARY KEY (target, email, id)) WITHOUT ROWID;
CREATE TABLE IF NOT EXISTS observed_groups (
    target INTEGER NOT NULL, id TEXT NOT NULL, name TEXT NOT NULL, external_id TEXT NOT NULL, attributes TEXT NOT NULL,
    members TEXT NOT NULL, displays TEXT NOT NULL, PRIMARY KEY (target, id));
CREATE INDEX IF NOT EXISTS observed_groups_external_id ON observed_groups (target, external_id);
CREATE INDEX IF NOT EXISTS observed_groups_name ON observed_groups (target, name)
"""
_USER: Final = "id, name, external_id, emails, attributes"
_GROUP: Final = "id, name, external_id, attributes, members, displays"


class Observation(Rows):
    """Stores the resources read from one target, and finds them again. Writes belong inside `atomic()`."""

    def __init__(self, db: Database, target: int, name: str) -> None:
        super().__init__(db, target, name)
        for statement in _TABLES.split(";"):
            self._conn.execute(statement)

    def put_users(self, users: Iterable[Observed]) -> None:
        """Store users; of several with one id the last one stands."""
        for batch in batches(users):
            self._conn.executemany(
                f"INSERT OR REPLACE INTO observed_users (target, {_USER}, user_name) VALUES (?, ?, ?, ?, ?, ?, ?)",
                [
                    (
                        self._target,
                        user.id,
                        user.name,
                        user.external_id,
                        dumped(user.emails),
                        dumped(user.attributes),
                        user.name.casefold(),
                    )
                    for user in batch
                ],
            )
            self._conn.executemany(
                "INSERT OR IGNORE INTO observed_emails (target, email, id) VALUES (?, ?, ?)",
                [(self._target, email.casefold(), user.id) for user in batch for email in user.emails],
            )

    def put_groups(self, groups: Iterable[ObservedGroup]) -> None:
        """Store groups; of several with one id the last one stands."""
        self._conn.executemany(
            f"INSERT OR REPLACE INTO observed_groups (target, {_GROUP}) VALUES (?, ?, ?, ?, ?, ?, ?)",
            (
                (
                    self._target,
                    group.id,
                    group.name,
                    group.external_id,
                    dumped(group.attributes),
                    dumped(group.members),
                    dumped(group.displays),
                )
                for group in groups
            ),
        )

    def users(self, ids: Sequence[str]) -> dict[str, Observed]:
        """Return those of these users that were found."""
        found: dict[str, Observed] = {}
        for batch in batches(ids):
            rows = self._conn.execute(
                f"SELECT {_USER} FROM observed_users WHERE target = ? AND id IN ({marks(batch)})",
                [self._target, *batch],
            )
            found.update((row[0], _observed(row)) for row in rows)
        return found

    def groups(self, ids: Sequence[str]) -> dict[str, ObservedGroup]:
        """Return those of these groups that were found."""
        found: dict[str, ObservedGroup] = {}
        for batch in batches(ids):
            rows = self._conn.execute(
                f"SELECT {_GROUP} FROM observed_groups WHERE target = ? AND id IN ({marks(batch)})",
                [self._target, *batch],
            )
            found.update((row[0], _observed_group(row)) for row in rows)
        return found

    def find_users(self, by: Literal["externalId", "userName", "e-mail"], value: str) -> list[Observed]:
        """Return the users with this externalId, or this userName or e-mail in any case; an empty one is nobody's."""
        if not value:
            return []
        select = f"SELECT {_USER} FROM observed_users WHERE target = ?"
        if by == "externalId":
            rows = self._conn.execute(f"{select} AND external_id = ? ORDER BY id", [self._target, value])
            return [_observed(row) for row in rows]
        address = value.casefold()
        if by == "userName":
            rows = self._conn.execute(f"{select} AND user_name = ? ORDER BY id", [self._target, address])
            return [_observed(row) for row in rows]
        rows = self._conn.execute(
            f"{select} AND id IN (SELECT id FROM observed_emails WHERE target = ? AND email = ?) ORDER BY id",
            [self._target, self._target, address],
        )
        # An id that came twice may have had another address the first time.
        return [user for row in rows if address in map(str.casefold, (user := _observed(row)).emails)]

    def find_groups(self, by: Literal["externalId", "displayName"], value: str) -> list[ObservedGroup]:
        """Return the groups with exactly this externalId or displayName; an empty one is nobody's."""
        if not value:
            return []
        column = {"externalId": "external_id", "displayName": "name"}[by]
        rows = self._conn.execute(
            f"SELECT {_GROUP} FROM observed_groups WHERE target = ? AND {column} = ? ORDER BY id",
            [self._target, value],
        )
        return [_observed_group(row) for row in rows]

    def marked_users(self) -> Iterator[Observed]:
        """Yield the users that carry an externalId, by id."""
        rows = self._conn.execute(
            f"SELECT {_USER} FROM observed_users WHERE target = ? AND external_id != '' ORDER BY id", [self._target]
        )
        yield from map(_observed, rows)

    def all_groups(self) -> Iterator[ObservedGroup]:
        """Yield every group, by id."""
        rows = self._conn.execute(f"SELECT {_GROUP} FROM observed_groups WHERE target = ? ORDER BY id", [self._target])
        yield from map(_observed_group, rows)

    def marked_groups(self) -> Iterator[ObservedGroup]:
        """Yield the groups that carry an externalId, by id."""
        rows = self._conn.execute(
            f"SELECT {_GROUP} FROM observed_groups WHERE target = ? AND external_id != '' ORDER BY id", [self._target]
        )
        yield from map(_observed_group, rows)

    def group_names(self) -> Iterator[tuple[str, str]]:
        """Yield id and displayName of every group that was found, by id."""
        yield from self._conn.execute(
            "SELECT id, name FROM observed_groups WHERE target = ? ORDER BY id", [self._target]
        )

    def count(self, kind: Kind) -> int:
        """Return how many were found."""
        table = "observed_users" if kind is Kind.USER else "observed_groups"
        return int(self._one(f"SELECT count(*) FROM {table} WHERE target = ?", self._target)[0])


def _observed(row: tuple[str, str, str, str, str]) -> Observed:
    id_, name, external_id, emails, attributes = row
    return Observed(id_, name, external_id, tuple(orjson.loads(emails)), orjson.loads(attributes))


def _observed_group(row: tuple[str, str, str, str, str, str]) -> ObservedGroup:
    id_, name, external_id, attributes, members, displays = row
    return ObservedGroup(
        id_, name, external_id, orjson.loads(attributes), orjson.loads(members), orjson.loads(displays)
    )
