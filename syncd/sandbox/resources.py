"""Users and groups as JSON documents in SQLite: identity, uniqueness, versions, membership.

Owns every statement that reads or writes a resource. Knows nothing of HTTP, tokens, or how a profile presents
stored resources. Members are rows of their own and the `groups` of a user are derived from them, so that a change
of one member costs the same in a group of ten and of ten thousand.
"""

from __future__ import annotations

import json
import sqlite3
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime
from typing import Any
from unicodedata import normalize
from uuid import uuid4

import orjson

from syncd.sandbox.conduct import Conduct
from syncd.sandbox.database import ENTERPRISE, MANAGER, Database

USER = "User"
GROUP = "Group"
DELETED = "Deleted"
"""The type of a user that was deleted and stayed in groups: no request finds this user, except as a member."""
ENDPOINTS = {USER: "Users", GROUP: "Groups"}
NAMES = {USER: "userName", GROUP: "displayName"}

DERIVED = ("id", "meta", "members", "groups", "password")
"""Attributes that are columns or rows of other tables, and never part of the stored JSON."""


class Taken(Exception):
    """Another resource has this value."""

    def __init__(self, attribute: str, value: str, holder: str) -> None:
        super().__init__(f"{attribute} {value!r} is taken by {holder}")
        self.attribute = attribute
        self.value = value
        self.holder = holder


class UnknownMember(Exception):
    """A member id that no resource has, or that may not be a member here."""

    def __init__(self, member: str) -> None:
        super().__init__(f"no resource has the id {member!r}, so it can't be a member")
        self.member = member


def comparable(text: str) -> str:
    """Return the form in which a string that is not caseExact compares (RFC 7643 section 2.2, NFC)."""
    return normalize("NFC", normalize("NFC", text).lower())


def now() -> str:
    """Return the time as SCIM writes it (RFC 7643 section 2.3.5), in UTC."""
    return datetime.now(UTC).isoformat().replace("+00:00", "Z")


@dataclass(slots=True)
class Document:
    """One stored resource. `attributes` is JSON without the derived attributes."""

    type: str
    attributes: dict[str, Any]
    seq: int = 0
    id: str = ""
    space: str = ""
    version: int = 1
    created: str = ""
    modified: str = ""
    managed: bool = True
    accepted: bool = True
    archived: bool = False
    owner: bool = False
    invitations: int = 0
    password: bool = False
    permission: str = ""
    new_password: str | None = None
    """The password that this change sets: the password is checked and never stored."""

    def set_password(self, password: str | None) -> None:
        """Record that the user has a password. None: this change sets no password."""
        self.new_password = password
        self.password = self.password or bool(password)

    @property
    def name(self) -> str:
        """userName or displayName."""
        return str(self.attributes.get(NAMES[self.type]) or "")

    @property
    def active(self) -> bool:
        """Whether the account is active. An absent `active` counts as true."""
        return self.attributes.get("active") is not False

    @property
    def etag(self) -> str:
        """The version as a weak entity tag: derived attributes don't change the version (RFC 7644 section 3.14)."""
        return f'W/"{self.version}"'

    @property
    def emails(self) -> list[str]:
        """Every e-mail address, in the form in which addresses are compared."""
        entries = self.attributes.get("emails") or []
        return [comparable(entry["value"]) for entry in entries if entry.get("value")]


@dataclass(frozen=True, slots=True)
class Linked:
    """A member of a group, or a group of a user."""

    id: str
    type: str
    name: str
    space: str = ""
    managed: bool = True
    deleted: bool = False
    permission: str = ""


@dataclass(slots=True)
class Query:
    """Which documents are wanted: a condition in SQL with its parameters."""

    where: str = "1"
    parameters: list[Any] = field(default_factory=list)

    def also(self, where: str, *parameters: Any) -> Query:
        """Return this query narrowed by one more condition."""
        return Query(f"({self.where}) AND ({where})", [*self.parameters, *parameters])


class Resources:
    """The resources of one state file."""

    def __init__(self, database: Database) -> None:
        self.database = database
        self.conduct = Conduct()

    @contextmanager
    def conducted(self, conduct: Conduct) -> Iterator[None]:
        """Keep what is written in the block in another way than the RFCs say."""
        usual, self.conduct = self.conduct, conduct
        try:
            yield
        finally:
            self.conduct = usual

    # Reading

    def get(self, id_: str, type_: str | None = None) -> Document | None:
        """Return the resource with this id, or None; of this type, if one is given."""
        types = (USER, GROUP) if type_ is None else (type_, type_)
        row = self._one("SELECT * FROM resource WHERE id = ? AND type IN (?, ?)", id_, *types)
        return None if row is None else _document(row)

    def find(self, query: Query, *, offset: int = 0, limit: int | None = None) -> list[Document]:
        """Return the documents that match, in the order of their creation."""
        rows = self.database.connection.execute(
            f"SELECT * FROM resource WHERE {query.where} ORDER BY seq LIMIT ? OFFSET ?",  # noqa: S608
            [*query.parameters, -1 if limit is None else limit, offset],
        )
        return [_document(row) for row in rows]

    def count(self, query: Query) -> int:
        """Return how many documents match."""
        statement = f"SELECT count(*) AS n FROM resource WHERE {query.where}"  # noqa: S608
        return int(self.database.connection.execute(statement, query.parameters).fetchone()["n"])

    def members(self, group: Document, limit: int | None = None) -> list[Linked]:
        """Return the members of a group, in the order of their creation."""
        return self._linked(
            "SELECT r.id, r.type, r.name, r.space, r.managed, r.permission "
            "FROM member m JOIN resource r ON r.seq = m.member "
            "WHERE m.container = ? ORDER BY r.seq LIMIT ?",
            group.seq,
            -1 if limit is None else limit,
        )

    def member_count(self, group: Document) -> int:
        """Return how many members a group has."""
        row = self._one("SELECT count(*) AS n FROM member WHERE container = ?", group.seq)
        return 0 if row is None else int(row["n"])

    def groups_of(self, documents: Sequence[Document]) -> dict[int, list[Linked]]:
        """Return the groups that each document is a direct member of, by its seq; archived ones are left out."""
        rows = self.database.connection.execute(
            "SELECT m.member, r.id, r.type, r.name, r.space, r.managed, r.permission "
            "FROM member m JOIN resource r ON r.seq = m.container "
            "WHERE m.member IN (SELECT value FROM json_each(?)) AND NOT r.archived ORDER BY r.seq",
            (json.dumps([document.seq for document in documents]),),
        )
        groups: dict[int, list[Linked]] = {}
        for row in rows:
            groups.setdefault(row["member"], []).append(_linked(row))
        return groups

    def with_email(self, address: str) -> list[Document]:
        """Return the users that have an e-mail address, in any case."""
        return self.find(Query("seq IN (SELECT resource FROM email WHERE address = ?)", [comparable(address)]))

    # Writing

    def create(self, document: Document) -> Document:
        """Store a new resource and return it with its id, seq and times. Raises Taken."""
        document.id = document.id or uuid4().hex
        document.created = document.modified = now()
        with self.database.transaction() as connection:
            if (taken_over := self._taken_over(document)) is not None:
                return taken_over
            if self.conduct.numbered_apart:
                document.id = self._next_number(document.type)
            document.attributes = self.conduct.kept(document.attributes, None, NAMES[document.type])
            self._check_name(document)
            columns = _columns(document)
            cursor = connection.execute(
                f"INSERT INTO resource ({', '.join(columns)}) "  # noqa: S608
                f"VALUES ({', '.join('?' * len(columns))})",
                list(columns.values()),
            )
            document.seq = int(cursor.lastrowid or 0)
            self._store_emails(document)
        return document

    def update(self, document: Document) -> Document:
        """Store a resource's new state under a new version, and return it. Raises Taken."""
        with self.database.transaction() as connection:
            document.attributes = self._kept(document)
            self._check_name(document)
            document.version += 1
            document.modified = now()
            columns = _columns(document)
            connection.execute(
                f"UPDATE resource SET {', '.join(f'{name} = ?' for name in columns)} WHERE seq = ?",  # noqa: S608
                [*columns.values(), document.seq],
            )
            self._store_emails(document)
            if self.conduct.off_leaves_groups and not document.active:
                connection.execute("DELETE FROM member WHERE member = ?", (document.seq,))
        return document

    def delete(self, document: Document) -> None:
        """Remove a resource, its memberships, and every `manager` reference to the resource."""
        with self.database.transaction() as connection:
            if self.conduct.deleted_stays and document.type == USER:
                connection.execute("DELETE FROM email WHERE resource = ?", (document.seq,))
                statement = "UPDATE resource SET type = ?, space = ?, external_id = NULL WHERE seq = ?"
                connection.execute(statement, (DELETED, DELETED, document.seq))
            else:
                connection.execute("DELETE FROM resource WHERE seq = ?", (document.seq,))
            if document.type == GROUP:
                return
            for report in self.find(self._reports(document.id)):
                report.attributes[ENTERPRISE].pop("manager")
                self.update(report)

    def set_members(self, group: Document, ids: Iterable[str]) -> bool:
        """Replace the members of a group; return whether the members changed. Raises UnknownMember."""
        wanted = list(dict.fromkeys(ids))
        if self._keeps_members():
            return False
        with self.database.transaction():
            members = self.members(group)
            if gone_for_good := next((each.id for each in members if each.deleted and each.id in wanted), None):
                raise UnknownMember(gone_for_good)
            present = {member.id for member in members}
            added = self._insert_members(group, [id_ for id_ in wanted if id_ not in present])
            gone = self._remove_members(group, sorted(present.difference(wanted)))
        return bool(added or gone)

    def add_members(self, group: Document, ids: Iterable[str]) -> bool:
        """Add members; return whether any member is new. Raises UnknownMember, and then adds no member."""
        return not self._keeps_members() and self._insert_members(group, list(dict.fromkeys(ids))) > 0

    def remove_members(self, group: Document, ids: Iterable[str] | None) -> bool:
        """Remove these members (None: all); return whether any member was removed."""
        if self._keeps_members():
            return False
        with self.database.transaction() as connection:
            if ids is not None:
                return self._remove_members(group, list(ids)) > 0
            return connection.execute("DELETE FROM member WHERE container = ?", (group.seq,)).rowcount > 0

    def touch(self, document: Document) -> None:
        """Give a resource a new version, because a part of the resource in another table has changed."""
        document.version += 1
        document.modified = now()
        with self.database.transaction() as connection:
            connection.execute(
                "UPDATE resource SET version = ?, modified = ? WHERE seq = ?",
                (document.version, document.modified, document.seq),
            )

    # Steps

    def _kept(self, document: Document) -> dict[str, Any]:
        """Return the attributes to store of those that a change asks for."""
        if not self.conduct.ignored and not self.conduct.trimmed:
            return document.attributes
        row = self._one("SELECT data FROM resource WHERE seq = ?", document.seq)
        before = {} if row is None else orjson.loads(row["data"])
        return self.conduct.kept(document.attributes, before, NAMES[document.type])

    def _keeps_members(self) -> bool:
        return "members" in self.conduct.ignored

    def _taken_over(self, document: Document) -> Document | None:
        """Return the account that answers a creation, where one is taken over for the same person."""
        rule = self.conduct.takes_over
        if rule is None or document.type != USER:
            return None
        same = Query(
            "type = 'User' AND (name_key = ? OR external_id = ? OR seq IN "
            "(SELECT resource FROM email WHERE address IN (SELECT value FROM json_each(?))))",
            [comparable(document.name), document.attributes.get("externalId"), json.dumps(document.emails)],
        )
        found = self.find(same, limit=1)
        if not found:
            return None
        self.conduct.took_over = True
        if not rule.merged:
            return found[0]
        found[0].attributes |= document.attributes
        return self.update(found[0])

    def _next_number(self, type_: str) -> str:
        """Return the next id of a type that counts its resources."""
        name = f"last-{type_}"
        number = str(int(self.database.setting(name, "0")) + 1)
        self.database.set_setting(name, number)
        return number

    def _insert_members(self, group: Document, ids: list[str]) -> int:
        """Add members in two statements, however many there are; return how many are new."""
        listed = json.dumps(ids)
        # Where ids of users and groups collide, a member is the user.
        may_be = "type = 'User'" if self.conduct.numbered_apart else "(type = 'User' OR space = ?1)"
        with self.database.transaction() as connection:
            known = {
                row["id"]
                for row in connection.execute(
                    "SELECT id FROM resource WHERE id IN (SELECT value FROM json_each(?3)) "  # noqa: S608
                    f"AND {may_be} AND seq <> ?2",
                    (group.space, group.seq, listed),
                )
            }
            if unknown := next((id_ for id_ in ids if id_ not in known), None):
                raise UnknownMember(unknown)
            cursor = connection.execute(
                "INSERT OR IGNORE INTO member (container, member) "  # noqa: S608
                f"SELECT ?2, seq FROM resource WHERE id IN (SELECT value FROM json_each(?3)) AND {may_be}",
                (group.space, group.seq, listed),
            )
            self.conduct.found_done |= cursor.rowcount < len(ids)
            return cursor.rowcount

    def _remove_members(self, group: Document, ids: list[str]) -> int:
        cursor = self.database.connection.execute(
            "DELETE FROM member WHERE container = ? AND member IN "
            "(SELECT seq FROM resource WHERE id IN (SELECT value FROM json_each(?)))",
            (group.seq, json.dumps(ids)),
        )
        self.conduct.found_done |= cursor.rowcount < len(ids)
        return cursor.rowcount

    def _check_name(self, document: Document) -> None:
        """userName is unique in the whole service, in any case (RFC 7643 section 4.1.1)."""
        if document.type != USER or not self.conduct.unique:
            return
        holder = self._one(
            "SELECT id FROM resource WHERE type = 'User' AND name_key = ? AND seq <> ?",
            comparable(document.name),
            document.seq,
        )
        if holder is not None:
            raise Taken("userName", document.name, holder["id"])

    def _store_emails(self, document: Document) -> None:
        connection = self.database.connection
        connection.execute("DELETE FROM email WHERE resource = ?", (document.seq,))
        connection.executemany(
            "INSERT OR IGNORE INTO email VALUES (?, ?)", [(document.seq, email) for email in document.emails]
        )

    def _reports(self, manager: str) -> Query:
        return Query(f"type = 'User' AND {MANAGER} = ?", [manager])

    def _one(self, statement: str, *parameters: Any) -> sqlite3.Row | None:
        row: sqlite3.Row | None = self.database.connection.execute(statement, parameters).fetchone()
        return row

    def _linked(self, statement: str, *parameters: Any) -> list[Linked]:
        rows = self.database.connection.execute(statement, parameters)
        return [_linked(row) for row in rows]


def _linked(row: sqlite3.Row) -> Linked:
    deleted = row["type"] == DELETED
    type_ = USER if deleted else row["type"]
    return Linked(row["id"], type_, row["name"], row["space"], bool(row["managed"]), deleted, row["permission"])


def _document(row: sqlite3.Row) -> Document:
    return Document(
        type=row["type"],
        attributes=orjson.loads(row["data"]),
        seq=row["seq"],
        id=row["id"],
        space=row["space"],
        version=row["version"],
        created=row["created"],
        modified=row["modified"],
        managed=bool(row["managed"]),
        accepted=bool(row["accepted"]),
        archived=bool(row["archived"]),
        owner=bool(row["owner"]),
        invitations=row["invitations"],
        password=bool(row["password"]),
        permission=row["permission"],
    )


def _columns(document: Document) -> dict[str, Any]:
    return {
        "id": document.id,
        "type": document.type,
        "space": document.space,
        "name": document.name,
        "name_key": comparable(document.name),
        "external_id": document.attributes.get("externalId"),
        "data": orjson.dumps(document.attributes).decode(),
        "version": document.version,
        "created": document.created,
        "modified": document.modified,
        "managed": document.managed,
        "active": document.active,
        "accepted": document.accepted,
        "archived": document.archived,
        "owner": document.owner,
        "invitations": document.invitations,
        "password": document.password,
        "permission": document.permission,
    }
