"""CSV files as tests write them: a personnel system's exports, and three small files to spoil."""

from __future__ import annotations

import csv
import os
from collections.abc import Iterable, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from syncd.sources.csv import CsvOptions, CsvSource

PEOPLE = "id,mail,name\n1,ada@example.com,Ada\n2,bob@example.com,Bob\n3,cy@example.com,Cy\n"
GROUPS = "id,name\ng1,One\ng2,Two\n"
MEMBERS = "group,member\ng1,1\ng1,2\ng2,3\ng2,g1\n"


@dataclass
class CsvDirectory:
    """A personnel system that exports three files after every change."""

    folder: Path
    name_attribute: str = "display"
    mail_attribute: str = "mail"
    alias_attribute: str = "aliases"
    group_name_attribute: str = "name"
    _people: dict[str, dict[str, str]] = field(default_factory=dict)
    _groups: dict[str, str] = field(default_factory=dict)
    _members: dict[str, list[str]] = field(default_factory=dict)
    _added: int = 0

    def source(self) -> CsvSource:
        return CsvSource(
            CsvOptions(
                users=self.folder / "people.csv",
                key="employee_id",
                groups=self.folder / "groups.csv" if self._groups else None,
                members=self.folder / "members.csv" if any(self._members.values()) else None,
                multivalued={"aliases": "|"},
            )
        )

    def add_person(self, name: str, mail: str, aliases: Sequence[str] = ()) -> str:
        key = self._new("p")
        self._people[key] = {
            "employee_id": key,
            "status": "active",
            "mail": mail,
            "display": name,
            "department": "Engineering",
            "aliases": "|".join(aliases),
        }
        self._export()
        return key

    def rename(self, key: str, name: str) -> None:
        self._people[key]["display"] = name
        self._export()

    def change_mail(self, key: str, mail: str) -> None:
        self._people[key]["mail"] = mail
        self._export()

    def move(self, key: str) -> None:
        self._people[key] = {**self._people.pop(key), "department": "Design"}
        self._export()

    def disable(self, key: str) -> None:
        self._people[key]["status"] = "disabled"
        self._export()

    def remove_person(self, key: str) -> None:
        del self._people[key]
        self._members = {
            group: [member for member in members if member != key] for group, members in self._members.items()
        }
        self._export()

    def add_group(self, name: str, members: Iterable[str] = (), subgroups: Iterable[str] = ()) -> str:
        key = self._new("g")
        self._groups[key] = name
        self.set_members(key, members, subgroups)
        return key

    def rename_group(self, key: str, name: str) -> None:
        self._groups[key] = name
        self._export()

    def set_members(self, key: str, members: Iterable[str], subgroups: Iterable[str] = ()) -> None:
        self._members[key] = [*members, *subgroups]
        self._export()

    def remove_group(self, key: str) -> None:
        del self._groups[key], self._members[key]
        self._export()

    def break_off(self) -> None:
        file = self.folder / "people.csv"
        os.truncate(file, file.stat().st_size - 3)

    def _new(self, prefix: str) -> str:
        self._added += 1
        return f"{prefix}{self._added}"

    def _export(self) -> None:
        people = [list(person.values()) for person in self._people.values()]
        write(self.folder / "people.csv", "employee_id status mail display department aliases".split(), people)
        write(self.folder / "groups.csv", ["id", "name"], self._groups.items())
        memberships = [(group, member) for group, members in self._members.items() for member in members]
        write(self.folder / "members.csv", ["group", "member"], memberships)


def write(path: Path, header: Sequence[str], rows: Iterable[Sequence[str]], delimiter: str = ",") -> None:
    """Write a file the way a careful export does: aside, then renamed."""
    aside = path.with_suffix(".new")
    with aside.open("w", encoding="utf-8", newline="") as file:
        writer = csv.writer(file, delimiter=delimiter)
        writer.writerow(header)
        writer.writerows(rows)
    aside.rename(path)


@dataclass(frozen=True)
class Files:
    """The three files above, with others in their place where a test says so."""

    folder: Path

    def source(
        self,
        people: str | bytes = PEOPLE,
        groups: str | bytes | None = GROUPS,
        members: str | bytes | None = MEMBERS,
        **options: Any,
    ) -> CsvSource:
        paths = {"users": self._file("people.csv", people)}
        if groups is not None:
            paths["groups"] = self._file("groups.csv", groups)
        if members is not None:
            paths["members"] = self._file("members.csv", members)
        return CsvSource(CsvOptions(**{"key": "id", **paths, **options}))

    def _file(self, name: str, content: str | bytes) -> Path:
        path = self.folder / name
        path.write_bytes(content.encode() if isinstance(content, str) else content)
        return path
