"""Common parts of reading and writing rows: one target's connection, moments as text, batches of a statement."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Sequence
from datetime import UTC, datetime
from itertools import islice
from sqlite3 import Connection, IntegrityError
from typing import Any, Final, TypeVar

import orjson
from sqlite_utils import Database

from syncd.core.model import Flat, Json, Kind

BATCH: Final = 1000
"""Values in one statement, rows held at once."""

Item = TypeVar("Item")


class Rows:
    """The rows of one target. Writes belong inside the state file's `atomic()`."""

    def __init__(self, db: Database, target: int, name: str) -> None:
        self._db = db
        self._conn = db.conn
        self._target = target
        self.name = name

    def with_free_id(self, kind: Kind, key: str, id_: str, statement: str, parameters: Sequence[object]) -> None:
        """Write a row with an id; a lost row of another key that has the id gives it up: its own is dead."""
        try:
            self._conn.execute(statement, parameters)
        except IntegrityError:
            freed = self._conn.execute(
                f"UPDATE {table_of(kind)} SET id = id || ' (lost by ' || key || ')'"
                " WHERE target = ? AND id = ? AND key != ? AND lost = 1",
                [self._target, id_, key],
            )
            if not freed.rowcount:
                raise
            self._conn.execute(statement, parameters)

    def _one(self, sql: str, *parameters: object) -> tuple[Any, ...]:
        row: tuple[Any, ...] = self._conn.execute(sql, parameters).fetchone()
        return row


def sampled(connection: Connection, statement: str, parameters: Sequence[object], most: int) -> list[tuple[Any, ...]]:
    """Return up to `most` rows of a statement: the first by their `ref`, which the statement selects first, and the
    last. Without the `ref`.
    """
    newest = most // 2
    rows: dict[int, tuple[Any, ...]] = {}
    for order, count in (("ref", most - newest), ("ref DESC", newest)):
        found = connection.execute(f"{statement} ORDER BY {order} LIMIT ?", [*parameters, count])
        rows |= {row[0]: row[1:] for row in found}
    return list(rows.values())


def batches(items: Iterable[Item]) -> Iterator[list[Item]]:
    """Yield the items, a thousand at a time."""
    remaining = iter(items)
    while batch := list(islice(remaining, BATCH)):
        yield batch


def marks(values: Sequence[object]) -> str:
    """Return the place-holders of as many parameters."""
    return ",".join("?" * len(values))


def table_of(kind: Kind) -> str:
    return "users" if kind is Kind.USER else "groups"


def dumped(value: Json) -> str:
    return orjson.dumps(value).decode()


def moment_of(text: str | None) -> datetime | None:
    return datetime.fromisoformat(text) if text else None


def text_of(moment: datetime | None) -> str | None:
    """Return a moment as text that sorts like the moments do: all in UTC."""
    return moment.astimezone(UTC).isoformat() if moment else None


def spoken(moment: datetime) -> str:
    """Return a moment as a sentence names it."""
    return moment.astimezone(UTC).strftime("%Y-%m-%d %H:%M UTC")


def emails_of(attributes: Flat) -> Iterator[str]:
    """Yield the e-mail addresses of a user, in the mapping's order."""
    for path, value in attributes.items():
        if path == "emails":
            yield from (str(each["value"]) for each in value or () if each.get("value"))
        elif path.startswith("emails[") and path.endswith(".value") and value:
            yield str(value)


def folded(name: str, attributes: Flat) -> tuple[str, str]:
    """Return userName and the first e-mail ("" for none) in folded case: SQLite folds that of ASCII alone."""
    return name.casefold(), next(emails_of(attributes), "").casefold()
