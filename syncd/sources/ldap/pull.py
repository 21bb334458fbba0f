"""One reading of a directory: users, then groups with their members resolved to keys.

A directory changes while it is read. People are read once, over one connection. A person who is renamed before the
reading of a group (or of a person who reports to them) is referred to by an unknown name. So after unknown names,
all names are read once more at the end.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from enum import IntEnum
from itertools import islice
from typing import Final, Self

from syncd.core.model import Attributes, Entry, Evidence, GroupEntry, Kind, Problem, Wanted
from syncd.errors import SourceIncomplete, SourceMismatch
from syncd.sources.ldap import answers
from syncd.sources.ldap.ber import RawAttributes
from syncd.sources.ldap.entries import AttributeReader, KeyAttribute, KeyUnreadable, Reading
from syncd.sources.ldap.lookup import LookUp
from syncd.sources.ldap.names import AMBIGUOUS, DnTable, NameTable, UidTable
from syncd.sources.ldap.options import Layout
from syncd.sources.ldap.session import Query, Session
from syncd.sources.ldap.waiting import WaitingRoom

MANAGER: Final = "manager"
"""Holds DNs of people; its values become their keys (RFC 4524 section 2.14, and Active Directory)."""
UID: Final = "uid"
_WITNESSES: Final = 3
_REMEMBERED: Final = 20
_NAMED: Final = 3


class _Stage(IntEnum):
    BEGUN = 0
    USERS = 1
    USERS_READ = 2
    GROUPS = 3
    READ = 4


@dataclass(slots=True)
class _OpenGroup:
    """A group with members that are none of the users: other groups, or nobody that was read."""

    entry: GroupEntry
    unresolved: array[int]
    """Hashes of their names. 8 octets each: a group may consist of 100,000 people who aren't in scope."""
    some: list[bytes]
    """The first of their names, for messages."""


class LdapPull:
    """One reading, over a session that it closes."""

    def __init__(self, session: Session, layout: Layout, wanted: Wanted) -> None:
        self._session = session
        self._layout = layout
        self._stage = _Stage.BEGUN
        self._key = KeyAttribute(layout.key)
        manager_wanted = wanted.user is None or MANAGER in {name.casefold() for name in wanted.user}
        self._user_reader = AttributeReader(
            wanted.user,
            withheld=[layout.key, *([MANAGER] if manager_wanted else [])],
            raw=[UID] if layout.member_is_uid else [],
            operational=layout.operational,
        )
        self._group_reader = AttributeReader(wanted.group, withheld=[layout.key, layout.member])
        members_by_dn = bool(layout.group_filter) and not layout.member_is_uid
        self._dns: DnTable | None = DnTable() if manager_wanted or members_by_dn else None
        self._uids: UidTable | None = UidTable() if layout.group_filter and layout.member_is_uid else None
        self._waiting = WaitingRoom()
        self._users: set[str] = set()
        self._groups: set[str] = set()
        self._group_names: dict[int, str] = {}
        self._respelled = ""
        self._keyless = self._users_yielded = self._groups_yielded = self._memberships = self._problems = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._waiting.close()
        self._session.close()

    @property
    def references(self) -> int:
        """Number of references to other servers for a part of the tree; none of them was followed."""
        return self._session.references

    # -- users -----------------------------------------------------------------------------------

    def users(self) -> Iterator[Entry | Problem]:
        """Yield every person below the base; `manager` holds keys, and is absent where it names nobody read.

        Raises SourceIncomplete for an answer that isn't proven whole, for a key that comes twice, and when
        nobody matches: that is a wrong filter or a missing right, not a company without people.
        """
        self._advance(_Stage.BEGUN, _Stage.USERS)
        query = self._user_query("reading users", self._user_reader.requested)
        pages: Iterator[list[Entry | Problem]] = self._session.pages(query, self._user)
        for page in pages:
            if self._keyless and not self._users:
                raise self._no_keys()
            for item in page:
                self._count(item)
                yield item
        if not self._users:
            raise SourceIncomplete(
                self._session.url,
                f"reading users came back empty: nothing below {query.base} matches {query.filter}",
                hint="check the filter, the base, and that the bind account may read the entries",
            )
        yield from self._with_managers()
        self._stage = _Stage.USERS_READ

    def _user(self, dn: bytes, raw: RawAttributes) -> Entry | Problem | None:
        reading = self._user_reader.read(raw)
        where = dn.decode(errors="replace")
        try:
            key = self._key.read(self._key_values(reading))
        except KeyUnreadable as error:
            self._name(dn, reading, AMBIGUOUS)
            return self._without_key(where, error, Kind.USER)
        self._demand_new(key, self._users, where)
        if not self._respelled and self._key_values(reading) != [key.encode()]:
            self._respelled = key
        self._name(dn, reading, key)
        if reading.undecodable:
            return _undecodable(reading, key, where, Kind.USER)
        attributes = reading.attributes
        for spelling in self._user_reader.spellings(self._layout.key):
            attributes[spelling] = [key]
        managers = reading.special.get(MANAGER)
        if managers:
            assert self._dns is not None
            keys = [self._dns.find(manager) for manager in managers]
            if None in keys:
                self._waiting.add((key, attributes, where, managers))
                return None
            self._set_manager(attributes, keys)
        return Entry(key, attributes, where)

    def _with_managers(self) -> Iterator[Entry]:
        """Yield the people whose manager was read after them."""
        dns = self._dns
        if dns is None:
            return
        unknown = any(dns.find(manager) is None for manager in self._waiting.awaited)
        renamed = self._renamed(dns, by_uid=False) if unknown else {}
        for key, attributes, where, managers in self._waiting:
            keys = [dns.find(manager) or renamed.get(hash(dns.identity(manager))) for manager in managers]
            self._set_manager(attributes, keys)
            entry = Entry(key, attributes, where)
            self._count(entry)
            yield entry
        self._waiting.close()

    def _set_manager(self, attributes: Attributes, keys: Iterable[str | None]) -> None:
        known = sorted({key for key in keys if key})
        if known:
            for spelling in self._user_reader.spellings(MANAGER):
                attributes[spelling] = known

    def _name(self, dn: bytes, reading: Reading, key: str) -> None:
        """Record the names by which other entries may refer to a user."""
        if self._dns is not None:
            self._dns.add(dn, key)
        if self._uids is not None:
            for uid in reading.special.get(UID, []):
                self._uids.add(uid, key)

    # -- groups ----------------------------------------------------------------------------------

    def groups(self) -> Iterator[GroupEntry | Problem]:
        """Yield every group with its direct members: users by key, other groups as `subgroups`.

        A member that is neither is reported with its group. Where it is an entry without a readable key, the group
        is `incomplete`. Raises SourceIncomplete as `users` does, but for no group at all.
        """
        self._advance(_Stage.USERS_READ, _Stage.GROUPS)
        if self._layout.group_filter:
            yield from self._read_groups()
        self._stage = _Stage.READ

    def _read_groups(self) -> Iterator[GroupEntry | Problem]:
        layout = self._layout
        query = Query("reading groups", layout.group_base, layout.group_filter, self._group_reader.requested)
        still_open: list[_OpenGroup] = []
        pages: Iterator[list[GroupEntry | _OpenGroup | Problem]] = self._session.pages(query, self._group)
        for page in pages:
            for item in page:
                if isinstance(item, _OpenGroup):
                    still_open.append(item)
                else:
                    self._count(item)
                    yield item
        names = self._group_names
        if any(name not in names for group in still_open for name in group.unresolved):
            names = self._renamed(self._members, layout.member_is_uid) | names
        for group in still_open:
            problem = self._resolve(group, names)
            if problem is not None:
                self._count(problem)
                yield problem
            self._count(group.entry)
            yield group.entry

    def _group(self, dn: bytes, raw: RawAttributes) -> GroupEntry | _OpenGroup | Problem:
        reading = self._group_reader.read(raw)
        where = dn.decode(errors="replace")
        name = hash(self._members.identity(dn))
        try:
            key = self._key.read(self._key_values(reading))
        except KeyUnreadable as error:
            self._group_names[name] = AMBIGUOUS
            return self._without_key(where, error, Kind.GROUP)
        self._demand_new(key, self._groups, where)
        self._group_names[name] = key if name not in self._group_names else AMBIGUOUS
        if reading.undecodable:
            return _undecodable(reading, key, where, Kind.GROUP)
        for spelling in self._group_reader.spellings(self._layout.key):
            reading.attributes[spelling] = [key]
        entry = GroupEntry(key, reading.attributes, where)
        unresolved: array[int] = array("q")
        some: list[bytes] = []
        find, members = self._members.find, entry.members
        for value in reading.special.get(self._layout.member.casefold(), []):
            member = find(value)
            if member:
                members.append(member)
            elif member is None and value:
                unresolved.append(hash(self._members.identity(value)))
                if len(some) < _REMEMBERED:
                    some.append(value)
            elif value:
                entry.incomplete = True
            # The empty DN stands in groups without members: groupOfNames requires a member (RFC 4519 section 3.5).
        return _OpenGroup(entry, unresolved, some) if unresolved else entry

    def _resolve(self, group: _OpenGroup, names: Mapping[int, str]) -> Problem | None:
        """Sort a group's remaining members into subgroups, renamed users and unknown names; report the last."""
        entry, nobodies = group.entry, 0
        for name in group.unresolved:
            key = names.get(name)
            if not key:
                nobodies += 1
                entry.incomplete = entry.incomplete or key == AMBIGUOUS
            elif self._group_names.get(name) == key:
                entry.subgroups.append(key)
            else:
                entry.members.append(key)
        if not nobodies:
            return None
        total = len(entry.members) + len(entry.subgroups) + nobodies
        named = [value for value in group.some if not names.get(hash(self._members.identity(value)))][:_NAMED]
        such_as = f": {'; '.join(answers.plain(value.decode(errors='replace')) for value in named)}" if named else ""
        more = f" and {nobodies - len(named)} more" if named and nobodies > len(named) else ""
        text = f"{nobodies} of {total} members are neither users nor groups that were read{such_as}{more}"
        return Problem(entry.where, text, entry.key, Kind.GROUP, (entry.key,))

    # -- the end ---------------------------------------------------------------------------------

    def evidence(self) -> Evidence:
        """Return the evidence of the reading. Raises SourceIncomplete for an unfinished reading."""
        self._demand_read()
        return Evidence(
            source=self._session.url,
            users=self._users_yielded,
            groups=self._groups_yielded,
            memberships=self._memberships,
            problems=self._problems,
            seconds=self._session.seconds,
            absence=not self._keyless,
        )

    def look_up(self, keys: Sequence[str], kind: Kind | None = None) -> dict[str, bool | None]:
        """Ask this server for entries by key, below every base and by no other filter, once everything was read.

        `kind` means nothing here: no two entries have one key.
        True: the entry exists, and no longer matches the reading: moved out of the base, or not matched by the filter.
        False: the server searched everything, still found people who were just read, and found nothing; an entry
        that an access rule hides from our account looks the same. None: not proven (see `LookUp`), or there is
        an entry without a readable key, which may be theirs.
        Raises SourceIncomplete when the connection breaks, or before everything was read.
        """
        self._demand_read()
        look_up = LookUp(self._session, self._layout, self._was_read, self._witnesses())
        found = look_up.answers(keys)
        return {key: there or None for key, there in found.items()} if self._keyless else found

    def _was_read(self, key: str) -> bool:
        return key in self._users or key in self._groups

    def _witnesses(self) -> list[str]:
        """Return a few of the keys that were read; and one whose spelling in the directory differs.

        Where the attribute is compared exactly, the latter is not found by our spelling: nor would others be.
        """
        chosen = [*islice(self._users, _WITNESSES), *islice(self._groups, 1)]
        return [*chosen, self._respelled] if self._respelled else chosen

    # -- common to all ---------------------------------------------------------------------------

    def _renamed(self, table: NameTable, by_uid: bool) -> dict[int, str]:
        """Read everybody's name once more, and return the names that weren't known before, hashed, with the keys.

        Entries added since the reading are left out: their attributes were not read.
        """
        reader = AttributeReader(frozenset(), withheld=[self._layout.key], raw=[UID] if by_uid else [])
        renamed: dict[int, str] = {}

        def compare(dn: bytes, raw: RawAttributes) -> None:
            reading = reader.read(raw)
            try:
                key = self._key.read(self._key_values(reading))
            except KeyUnreadable:
                return
            if key not in self._users:
                return
            for name in reading.special.get(UID, []) if by_uid else [dn]:
                if table.find(name) is None:
                    renamed[hash(table.identity(name))] = key

        for _ in self._session.pages(self._user_query("reading users' names again", reader.requested), compare):
            pass
        return renamed

    @property
    def _members(self) -> NameTable:
        """The names by which groups refer to users."""
        table = self._uids if self._layout.member_is_uid else self._dns
        assert table is not None
        return table

    def _user_query(self, task: str, attributes: tuple[str, ...]) -> Query:
        return Query(task, self._layout.user_base, self._layout.user_filter, attributes)

    def _key_values(self, reading: Reading) -> list[bytes]:
        return reading.special.get(self._layout.key.casefold(), [])

    def _advance(self, expected: _Stage, to: _Stage) -> None:
        if self._stage is not expected:
            raise SourceIncomplete(
                self._session.url, "a reading goes once through users, groups and evidence, in this order"
            )
        self._stage = to

    def _count(self, item: Entry | GroupEntry | Problem) -> None:
        match item:
            case Entry():
                self._users_yielded += 1
            case GroupEntry():
                self._groups_yielded += 1
                self._memberships += len(item.members) + len(item.subgroups)
            case Problem():
                self._problems += 1

    def _demand_read(self) -> None:
        if self._stage is not _Stage.READ:
            raise SourceIncomplete(self._session.url, "the directory was not read to its end")

    def _demand_new(self, key: str, seen: set[str], where: str) -> None:
        if key in seen:
            raise SourceIncomplete(
                self._session.url,
                f"{self._layout.key} {answers.plain(key)} came twice, the second time as {answers.plain(where)}",
                hint="the directory changed while it was read, or the attribute is no key: it must be unique",
            )
        seen.add(key)

    def _without_key(self, where: str, error: KeyUnreadable, kind: Kind) -> Problem:
        self._keyless += 1
        return Problem(where, f"its key {self._layout.key} {error}", kind=kind)

    def _no_keys(self) -> SourceMismatch:
        layout = self._layout
        return SourceMismatch(
            self._session.url,
            f"no entry that matches {layout.user_filter} has a readable {layout.key}, which is to be the key",
            hint="set `preset` or `key` to what this directory has, or let the bind account read the attribute",
        )


def _undecodable(reading: Reading, key: str, where: str, kind: Kind) -> Problem:
    names = ", ".join(sorted(reading.undecodable))
    return Problem(where, f"not text in UTF-8: {names}", key, kind, (key,))
