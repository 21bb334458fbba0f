"""People, groups and memberships from CSV files (RFC 4180), read row by row.

Owns the meaning of a row: its person or group, and the keys that a faulty row may belong to. A fault of one row is a
`Problem` and affects no other row. `csv_file.py` owns bytes, headers and the separation of rows.

A key is the text of its cell without surrounding white space, in every file alike: padding never makes one
person two, and keys that differ in nothing else are reported as duplicates. All other cells are taken
exactly as they are; an empty cell is an attribute that is not there.

Limitation: a file that was cut exactly between two rows looks like a shorter file. The grace for missing people and
the limits on changes protect against such a file.
"""

from __future__ import annotations

from collections.abc import Collection, Iterable, Iterator, Mapping, Sequence, Set
from contextlib import ExitStack, suppress
from dataclasses import dataclass, field
from hashlib import blake2b, file_digest
from itertools import compress
from operator import itemgetter
from pathlib import Path
from time import monotonic
from typing import Annotated, Any, Literal, Self

from pydantic import Field

from syncd.core.model import Attributes, Entry, Evidence, GroupEntry, Kind, Problem, Wanted
from syncd.errors import SourceIncomplete
from syncd.sources.csv_file import CsvFile, Doubt, Row, open_csv
from syncd.sources.csv_keys import REPORTED, KeyedRows, possible_keys
from syncd.sources.options import Options
from syncd.sources.passwords import demand_no_passwords, sounds_like_a_password

_GROUP_ID, _GROUP_NAME = "id", "name"
_GROUP, _MEMBER = "group", "member"


@dataclass(frozen=True, slots=True)
class CsvOptions(Options):
    """The keys of `[source]` with `type = "csv"`: which files to read, and how."""

    users: Path
    """The people: UTF-8 with a header row; comma, semicolon or tab."""
    key: str
    """The column with the immutable id: an employee number, not a name or an e-mail."""
    groups: Path | None = None
    """The groups: columns `id` and `name`, and any others for `[mapping.group]`."""
    members: Path | None = None
    """The memberships: columns `group` and `member` (a key of `users`, or an id of `groups`: nested)."""
    delimiter: Literal[",", ";", "\t"] | None = None
    """The separator of the cells; else the one of the three that fits the header."""
    multivalued: Mapping[str, Annotated[str, Field(min_length=1)]] = field(default_factory=dict)
    """Columns with several values in a cell, and the separator between them: `{ aliases = ";" }`."""

    @classmethod
    def contradiction(cls, name: str, known: Mapping[str, Any]) -> str:
        if name == "members" and "groups" in known and (known["groups"] is None) is not (known["members"] is None):
            return "`groups` and `members` belong together: give both files, or neither"
        return ""

    def source(self) -> CsvSource:
        return CsvSource(self)


@dataclass(frozen=True, slots=True)
class _Files:
    users: CsvFile
    groups: CsvFile | None
    members: CsvFile | None

    def __iter__(self) -> Iterator[CsvFile]:
        return (file for file in (self.users, self.groups, self.members) if file is not None)


class CsvSource:
    """The people and groups of up to three CSV files."""

    def __init__(self, options: CsvOptions) -> None:
        self.name = str(options.users)
        self._options = options

    def pull(self, wanted: Wanted) -> CsvPull:
        """Read the headers and start a reading; no file is open before its rows are asked for.

        Raises SourceUnreachable for a missing file, SourceRefused for an unreadable one or another encoding,
        SourceMismatch for a missing column or one of passwords, SourceIncomplete for a file that is empty or that
        breaks off.
        """
        return CsvPull(self._options, self._open(wanted), wanted)

    def mark(self, wanted: Wanted) -> bytes | None:
        """Return a digest of the files' contents and of how they are read; None when one can't be (a pull says why)."""
        options = self._options
        how = (options.key, options.delimiter, *sorted(options.multivalued.items()))
        digest = blake2b(repr((how, _sorted(wanted.user), _sorted(wanted.group))).encode(), digest_size=16)
        for path in (options.users, options.groups, options.members):
            try:
                if path is not None and path.is_file():
                    with path.open("rb") as file:
                        digest.update(file_digest(file, blake2b).digest())
            except OSError:
                return None
        return digest.digest()

    def check(self, wanted: Wanted) -> Mapping[str, str]:
        """Read everything once and describe the findings. Raises the same errors as a pull."""
        files = self._open(wanted)
        with CsvPull(self._options, files, wanted) as pull:
            problems = [*_problems(pull.users()), *_problems(pull.groups())]
            evidence = pull.evidence()
        return {
            **{str(file.path): file.description for file in files},
            "people": f"{evidence.users}, by {self._options.key}",
            "groups": str(evidence.groups),
            "memberships": str(evidence.memberships),
            "problems": str(evidence.problems),
            **{problem.where: problem.problem for problem in problems[:10]},
        }

    def _open(self, wanted: Wanted) -> _Files:
        options = self._options
        demand_no_passwords(str(options.users), wanted)
        users = open_csv(options.users, [options.key], options.delimiter)
        users.require([*sorted(wanted.user or ()), *options.multivalued])
        groups = members = None
        if options.groups is not None:
            groups = open_csv(options.groups, [_GROUP_ID, _GROUP_NAME], options.delimiter)
            groups.require(sorted(wanted.group or ()))
        if options.members is not None:
            members = open_csv(options.members, [_GROUP, _MEMBER], options.delimiter)
        return _Files(users, groups, members)


class CsvPull:
    """One reading of the files."""

    def __init__(self, options: CsvOptions, files: _Files, wanted: Wanted) -> None:
        self._files = files
        self._opened = ExitStack()
        self._started = monotonic()
        self._people = KeyedRows(files.users, options.key, Kind.USER)
        self._groups = KeyedRows(files.groups, _GROUP_ID, Kind.GROUP) if files.groups else None
        self._user_attributes = _Attributes(files.users, wanted.user, options.multivalued)
        self._group_columns = None if wanted.group is None else wanted.group | {_GROUP_ID, _GROUP_NAME}
        self._users_read = self._groups_read = False
        self._users_yielded = self._groups_yielded = self._memberships = self._faulty_memberships = 0

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *exc: object) -> None:
        self._opened.close()

    def users(self) -> Iterator[Entry | Problem]:
        """Yield every row of `users`, and at the end a Problem for each key that stands there twice."""
        name, attributes = self._files.users.name, self._user_attributes
        for item in self._people.rows(self._opened):
            if isinstance(item, Problem):
                yield item
            else:
                line, key, row = item
                self._users_yielded += 1
                yield Entry(key, attributes.of(row), f"{name}:{line}")
        self._users_read = True

    def groups(self) -> Iterator[GroupEntry | Problem]:
        """Yield every row of `groups` whose key is unique, with its members from `members`."""
        if not self._users_read:
            raise SourceIncomplete(self._files.users.name, "groups were asked for before all people were read")
        if self._files.groups is not None and self._groups is not None:
            yield from self._read_groups(self._files.groups, self._groups)
        self._groups_read = True

    def _read_groups(self, file: CsvFile, rows: KeyedRows) -> Iterator[GroupEntry | Problem]:
        attributes = _Attributes(file, self._group_columns, {})
        groups: dict[str, GroupEntry] = {}
        for item in rows.rows(self._opened):
            if isinstance(item, Problem):
                yield item
            else:
                line, key, row = item
                groups[key] = GroupEntry(key, attributes.of(row), f"{file.name}:{line}")
        if self._files.members is None:
            # The groups may have members that this reading lacks.
            for group in groups.values():
                group.incomplete = True
        else:
            memberships = _Memberships(self._files.members, self._people, rows, groups)
            yield from memberships.read(self._opened)
            self._faulty_memberships = memberships.faults
        for key, group in groups.items():
            if key not in rows.repeated:
                self._groups_yielded += 1
                self._memberships += len(group.members) + len(group.subgroups)
                yield group

    def look_up(self, keys: Sequence[str], kind: Kind | None = None) -> Mapping[str, bool | None]:
        """Return for every key whether a row has it, from the files that were read alone.

        True: a good row has it. False: no row has it, in files that were read to their ends and stood still. None:
        a faulty row may have the key. Raises SourceIncomplete when a file was not read to its end, or was changed.
        """
        keyed = self._demand_read()
        if kind is not None:
            keyed = keyed[:1] if kind is Kind.USER else keyed[1:]
        nameless = any(rows.nameless is not None for rows in keyed)
        found: dict[str, bool | None] = {}
        for key in keys:
            if any(key in rows.keys for rows in keyed):
                found[key] = True
            else:
                found[key] = None if nameless or any(key in rows.suspected for rows in keyed) else False
        return found

    def evidence(self) -> Evidence:
        """Return the counts, once everything was read and no file has changed since the start.

        Raises SourceIncomplete also where a faulty row may be anybody's: a hidden person must not count as gone.
        """
        keyed = self._demand_read()
        for rows in keyed:
            rows.demand_names()
        return Evidence(
            source=", ".join(str(file.path) for file in self._files),
            users=self._users_yielded - len(self._people.repeated),
            groups=self._groups_yielded,
            memberships=self._memberships,
            problems=sum(rows.faults for rows in keyed) + self._faulty_memberships,
            seconds=monotonic() - self._started,
        )

    def _demand_read(self) -> list[KeyedRows]:
        """Return the keys of people and groups. Raises SourceIncomplete unless all is read and as it was."""
        if not (self._users_read and self._groups_read):
            raise SourceIncomplete(str(self._files.users.path), "it was not read to its end")
        for file in self._files:
            file.unchanged()
        return [rows for rows in (self._people, self._groups) if rows is not None]


def _sorted(names: Collection[str] | None) -> list[str] | None:
    return None if names is None else sorted(names)


class _Attributes:
    """The conversion of a row's cells into attributes."""

    def __init__(self, file: CsvFile, wanted: Collection[str] | None, multivalued: Mapping[str, str]) -> None:
        self._chosen = [
            bool(column) and (not sounds_like_a_password(column) if wanted is None else column in wanted)
            for column in file.columns
        ]
        self._names = list(compress(file.columns, self._chosen))
        self._separators = [(name, multivalued[name]) for name in self._names if name in multivalued]

    def of(self, row: list[str]) -> Attributes:
        """Return the attributes of a row; values that share a cell lose the white space around them."""
        cells = zip(self._names, compress(row, self._chosen), strict=True)
        attributes = {name: [cell] for name, cell in cells if cell}
        for name, separator in self._separators:
            for cell in attributes.pop(name, ()):
                values = [value for part in cell.split(separator) if (value := part.strip())]
                if values:
                    attributes[name] = values
        return attributes


class _Memberships:
    """The rows of `members`, put into the groups that they name."""

    def __init__(
        self, file: CsvFile, people: KeyedRows, group_rows: KeyedRows, groups: Mapping[str, GroupEntry]
    ) -> None:
        self.faults = 0
        self._all_incomplete = False
        self._fitting = False
        self._ambiguous: Set[str] = frozenset()
        self._file = file
        self._people = people
        self._group_rows = group_rows
        self._groups = groups
        self._group, self._member = file.columns.index(_GROUP), file.columns.index(_MEMBER)

    def read(self, opened: ExitStack) -> Iterator[Problem]:
        """Fill in members and subgroups. A row that can't be understood makes its group incomplete, or all."""
        members = {key: group.members for key, group in self._groups.items()}
        people = self._people.keys
        # A key of both a person and a group must not take the fast path below.
        self._ambiguous = people.keys() & members.keys()
        for key in self._ambiguous:
            del people[key]
        for line, row, doubt in self._uncommon(opened, members, people):
            problem = self._membership(line, row) if doubt is None else self._doubtful(line, row, doubt)
            if problem is not None:
                self.faults += 1
                if self.faults <= REPORTED:
                    yield problem
        if self.faults > REPORTED:
            more = f"{self.faults - REPORTED} more rows can't be used"
            yield Problem(self._file.name, more, kind=Kind.GROUP)
        # Where not one row fits the header, the header may be torn, and have a row in it.
        if self._all_incomplete or not self._fitting:
            for entry in self._groups.values():
                entry.incomplete = True

    def _uncommon(
        self, opened: ExitStack, members: Mapping[str, list[str]], people: Mapping[str, str]
    ) -> Iterator[Row]:
        """Add every row that names a known person and a known group to the group; yield the others.

        Nearly all of millions of rows are of that kind: this loop dominates the cost of reading memberships.
        """
        group_at, member_at = self._group, self._member
        group_of, person_of, member_of = members.get, people.get, itemgetter(member_at)
        for start, rows, doubt in self._file.chunks(opened):
            if doubt is not None:
                yield start, rows[0], doubt
                continue
            self._fitting = True
            names = {row[group_at] for row in rows}
            if len(names) == 1 and (known := group_of(names.pop())) is not None:
                # Optimized for the order of groups, as in most exports: unknown members are left to the loop below.
                with suppress(KeyError):
                    known += list(map(people.__getitem__, map(member_of, rows)))
                    continue
            for index, row in enumerate(rows):
                group, person = group_of(row[group_at]), person_of(row[member_at])
                if group is None or person is None:
                    yield start + index, row, None
                else:
                    group.append(person)

    def _membership(self, line: int, row: Sequence[str]) -> Problem | None:
        """Add a well-formed row to its group; return the row's fault."""
        name, member = row[self._group].strip(), row[self._member].strip()
        group = self._groups.get(name)
        if group is None:
            if _unreadable(name):
                return self._incomplete(line, f"{name!r} is no group's id", [])
            if name in self._group_rows.suspected:
                return None
            return self._problem(line, f"no group has the id {name!r}", [name])
        if _unreadable(member):
            return self._incomplete(line, f"{member!r} is no member's key", [name])
        if member in self._ambiguous:
            return self._incomplete(line, f"{member!r} is a person's key and a group's id", [name])
        if member in self._groups:
            group.subgroups.append(member)
        elif member in self._people.keys:
            group.members.append(self._people.keys[member])
        else:
            return self._absentee(line, group, member)
        return None

    def _absentee(self, line: int, group: GroupEntry, member: str) -> Problem | None:
        """Keep a member without a good row who may have a faulty row, already reported; report any other member."""
        person = member in self._people.suspected or self._people.nameless is not None
        subgroup = member in self._group_rows.suspected or self._group_rows.nameless is not None
        if person and subgroup:
            return self._incomplete(line, f"{member!r} may be a person or a group whose row is faulty", [group.key])
        if not person and not subgroup:
            problem = f"member {member!r} of group {group.key!r} is neither a person nor a group"
            return self._problem(line, problem, [])
        (group.members if person else group.subgroups).append(member)
        return None

    def _doubtful(self, line: int, row: Sequence[str], doubt: Doubt) -> Problem:
        names: Iterable[str] = ()
        if not doubt.torn and not doubt.anyone:
            names = (row[self._group].strip(),)
        elif not doubt.anyone and self.faults < REPORTED:
            whole, pieces = possible_keys(row, self._group, self._file, max(map(len, self._groups), default=0))
            names = (*whole, *pieces)
        return self._incomplete(line, doubt.problem, [name for name in names if name in self._groups])

    def _incomplete(self, line: int, problem: str, names: Sequence[str]) -> Problem:
        """Return a Problem that prevents removals from the groups named, or from all groups where none is named."""
        for name in names:
            self._groups[name].incomplete = True
        self._all_incomplete = self._all_incomplete or not names
        affected = ", ".join(map(repr, names)) if names else "any group"
        return self._problem(line, f"{problem}; nobody is removed from {affected}", names)

    def _problem(self, line: int, problem: str, names: Sequence[str]) -> Problem:
        return Problem(
            where=f"{self._file.name}:{line}",
            problem=problem,
            key=names[0] if len(names) == 1 else "",
            kind=Kind.GROUP,
            protects=tuple(names),
        )


def _unreadable(key: str) -> bool:
    return not key or not key.isprintable()


def _problems(items: Iterable[Entry | GroupEntry | Problem]) -> list[Problem]:
    return [item for item in items if isinstance(item, Problem)]
