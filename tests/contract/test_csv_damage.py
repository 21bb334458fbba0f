"""CSV: every table is read back, and no cut, no damaged byte makes anybody vanish unnoticed.

What can't be noticed, and is left out here: a cut between two rows (a shorter file, and a good one), and
damage inside of a key (another key, and a good one). The CR of a CRLF counts as part of the cell before it:
with another character in its place, the row ends in LF.
"""

from __future__ import annotations

import csv
from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from io import StringIO
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Literal

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from syncd.errors import SourceError, SourceIncomplete
from syncd.sources.csv import CsvOptions, CsvSource
from syncd.sources.passwords import sounds_like_a_password
from tests.contract.source_contract import Reading, read


@pytest.fixture(scope="module")
def folder() -> Iterator[Path]:
    with TemporaryDirectory() as name:
        yield Path(name)


BLOCKS = st.sampled_from([1, 12, 30, 65536])


@contextmanager
def blocks_of(characters: int) -> Iterator[None]:
    """Let files be read in blocks of about that size, so that small ones have several, too."""
    with pytest.MonkeyPatch.context() as patch:
        patch.setattr("syncd.sources.csv_file._BLOCK", characters)
        yield


# --- every table is read back ---

_TEXT = st.text(st.characters(exclude_categories=["Cs"], exclude_characters="\0"), max_size=8)
_CELL = st.one_of(_TEXT, st.text('ab",;\t\r\n ', max_size=6))
_KEY = st.text(st.characters(categories=["L", "N", "P", "S"]), min_size=1, max_size=6).filter(str.isprintable)
# A column that sounds like a password (`PWD`) is left out of what is read, as test_source_csv.py shows.
_NAME = (
    st.text(st.characters(categories=["L", "N"], include_characters=' ",;\n'), min_size=1, max_size=6)
    .map(str.strip)
    .filter(lambda name: not sounds_like_a_password(name))
)


@st.composite
def tables(draw: st.DrawFn) -> tuple[list[str], list[list[str]], int]:
    """Draw column names, rows, and which column is the key."""
    columns = draw(st.lists(_NAME.filter(bool), min_size=2, max_size=5, unique=True))
    keys = draw(st.lists(_KEY, min_size=1, max_size=6, unique=True))
    index = draw(st.integers(0, len(columns) - 1))
    rows = []
    for key in keys:
        row = draw(st.lists(_CELL, min_size=len(columns), max_size=len(columns)))
        row[index] = key
        rows.append(row)
    return columns, rows, index


@settings(deadline=None)
@given(
    table=tables(),
    delimiter=st.sampled_from(",;\t|"),
    line_end=st.sampled_from(["\n", "\r\n"]),
    quoting=st.sampled_from([csv.QUOTE_MINIMAL, csv.QUOTE_ALL]),
    bom=st.booleans(),
    block=BLOCKS,
)
def test_any_table_is_read_back_exactly(
    folder: Path,
    table: tuple[list[str], list[list[str]], int],
    delimiter: str,
    line_end: str,
    quoting: Literal[0, 1],
    bom: bool,
    block: int,
) -> None:
    columns, rows, index = table
    if any("\r" in cell for row in rows for cell in row):
        # csv.writer before Python 3.13 leaves a CR unquoted where rows end in LF.
        quoting = csv.QUOTE_ALL
    text = StringIO(newline="")
    writer = csv.writer(text, delimiter=delimiter, lineterminator=line_end, quoting=quoting)
    starts = []
    for row in (columns, *rows):
        starts.append(text.getvalue().count("\n") + 1)
        writer.writerow(row)
    (folder / "people.csv").write_bytes(text.getvalue().encode("utf-8-sig" if bom else "utf-8"))

    source = CsvSource(CsvOptions(users=folder / "people.csv", key=columns[index], delimiter=delimiter))
    with blocks_of(block):
        reading = read(source)

    assert reading.problems == []
    assert {key: entry.attributes for key, entry in reading.users.items()} == {
        row[index]: {column: [cell] for column, cell in zip(columns, row, strict=True) if cell} for row in rows
    }
    assert [entry.where for entry in reading.users.values()] == [f"people.csv:{start}" for start in starts[1:]]
    assert reading.evidence.absence


@settings(deadline=None)
@given(table=tables(), delimiter=st.sampled_from(",;\t"))
def test_the_delimiter_is_found(folder: Path, table: tuple[list[str], list[list[str]], int], delimiter: str) -> None:
    _, rows, index = table
    columns = [f"column {n}" for n in range(len(rows[0]))]
    text = StringIO(newline="")
    csv.writer(text, delimiter=delimiter, quoting=csv.QUOTE_ALL).writerows([columns, *rows])
    (folder / "people.csv").write_bytes(text.getvalue().encode())
    reading = read(CsvSource(CsvOptions(users=folder / "people.csv", key=columns[index])))
    assert list(reading.users) == [row[index] for row in rows]


# --- a directory of three files, and where its keys stand in them ---


@dataclass(frozen=True)
class Export:
    """Three files as bytes, with what a person reads in them."""

    files: dict[str, bytes]
    key_column: str
    people: dict[str, range]
    """Key to where it stands in people.csv: positions of bytes, without the quotes around it."""
    groups: dict[str, range]
    memberships: list[tuple[str, str, range, range]]
    """Group, member, and where the two stand in members.csv."""

    def reading(self, folder: Path, **others: bytes) -> Reading:
        """Read it, with another content for some of the files: `people=b"…"`."""
        for file, content in self.files.items():
            (folder / file).write_bytes(others.get(file.removesuffix(".csv"), content))
        return read(
            CsvSource(CsvOptions(folder / "people.csv", self.key_column, folder / "groups.csv", folder / "members.csv"))
        )


def written(rows: Sequence[Sequence[str]], quote_all: bool, line_end: bytes) -> tuple[bytes, list[list[range]]]:
    """Return a file, and where each cell's text stands in it."""
    content, places = b"", []
    for row in rows:
        spans = []
        for number, cell in enumerate(row):
            text = cell.encode()
            quoted = quote_all or any(char in cell for char in ',"\r\n')
            content += b"," * (number > 0) + b'"' * quoted
            start = len(content)
            content += text.replace(b'"', b'""') if quoted else text
            spans.append(range(start, len(content)))
            content += b'"' * quoted
        if line_end == b"\r\n" and not quoted:
            spans[-1] = range(start, len(content) + 1)
        content += line_end
        places.append(spans)
    return content, places


def export(
    columns: Sequence[str],
    key_index: int,
    people: Sequence[Sequence[str]],
    groups: Sequence[tuple[str, str]],
    memberships: Sequence[tuple[str, str]],
    *,
    quote_all: bool = False,
    line_end: bytes = b"\n",
    swapped: bool = False,
) -> Export:
    """Write an export; `swapped`: groups and members have their columns the other way round."""
    order = -1 if swapped else 1
    people_csv, people_at = written([columns, *people], quote_all, line_end)
    group_rows = [row[::order] for row in [("id", "name"), *groups]]
    groups_csv, groups_at = written(group_rows, quote_all, line_end)
    member_rows = [row[::order] for row in [("group", "member"), *memberships]]
    members_csv, members_at = written(member_rows, quote_all, line_end)
    first, second = (1, 0) if swapped else (0, 1)
    return Export(
        files={"people.csv": people_csv, "groups.csv": groups_csv, "members.csv": members_csv},
        key_column=columns[key_index],
        people={row[key_index]: at[key_index] for row, at in zip(people, people_at[1:], strict=True)},
        groups={row[0]: at[first] for row, at in zip(groups, groups_at[1:], strict=True)},
        memberships=[(*row, at[first], at[second]) for row, at in zip(memberships, members_at[1:], strict=True)],
    )


@dataclass(frozen=True)
class Damage:
    """One byte of one file: replaced, inserted before, or removed."""

    file: str
    place: int
    byte: int
    how: str

    def done_to(self, content: bytes) -> bytes:
        if self.how == "removed":
            return content[: self.place] + content[self.place + 1 :]
        rest = self.place if self.how == "inserted" else self.place + 1
        return content[: self.place] + bytes([self.byte]) + content[rest:]

    def is_within(self, file: str, cell: range) -> bool:
        """Return whether the text of a cell is another one now, and its borders are where they were."""
        end = cell.stop + (self.how == "inserted")
        return self.file == file and cell.start <= self.place < end


def assert_nobody_vanished(whole: Export, reading: Reading, damage: Damage) -> None:
    """Compare a reading with what was written before the damage."""
    protected = {key for problem in reading.problems for key in problem.protects}
    changed: set[str] = set()
    for file, keys, seen in (
        ("people.csv", whole.people, set(reading.users)),
        ("groups.csv", whole.groups, set(reading.groups)),
    ):
        for key, cell in keys.items():
            if damage.is_within(file, cell):
                changed.add(key)
                assert key in seen or seen - set(keys) or reading.problems, f"{key} vanished without a word"
            else:
                assert key in seen or key in protected, f"{key} vanished"
    for group, member, group_cell, member_cell in whole.memberships:
        if damage.is_within("members.csv", group_cell) or damage.is_within("members.csv", member_cell):
            continue
        if group in changed or member in changed or group not in reading.groups:
            continue
        entry = reading.groups[group]
        assert member in (*entry.members, *entry.subgroups) or entry.incomplete, f"{member} left {group}"


PLAIN = export(
    ["id", "mail", "name"],
    0,
    [["1", "a@x", "Ada"], ["10", "b@x", "Łuk, Bob"], ["101", "", 'Cy "C" Z'], ["x7", "d@x", "D\nE"]],
    [("g1", "One"), ("g2", "Two"), ("g12", "Three, four")],
    [("g1", "1"), ("g1", "10"), ("g2", "101"), ("g2", "g1"), ("g12", "x7"), ("g12", "g2")],
)
KEY_IN_THE_MIDDLE = export(
    ["mail", "id", "name"],
    1,
    [["a@x", "1", "Ada"], ["b@x", "10", ""], ["", "101", "Cy"], ["d@x", "E,7", "D"]],
    [("g1", "One"), ("g2", "g1"), ("g12", "g")],
    [("g1", "1"), ("g1", "10"), ("g2", "101"), ("g2", "g1"), ("g12", "E,7"), ("g12", "g2")],
    line_end=b"\r\n",
    swapped=True,
)
KEY_LAST_ALL_QUOTED = export(
    ["mail", "name", "id"],
    2,
    [["a@x", "Ada", "1"], ["b@x", ",", "10"], ["", '"', "101"], ["\n", "", "7"]],
    [("g1", "One"), ("g2", ""), ("g12", ",")],
    [("g1", "1"), ("g1", "10"), ("g2", "101"), ("g2", "g1"), ("g12", "7"), ("g12", "g2")],
    quote_all=True,
)
EXPORTS = [
    pytest.param(PLAIN, id="key first"),
    pytest.param(KEY_IN_THE_MIDDLE, id="key in the middle"),
    pytest.param(KEY_LAST_ALL_QUOTED, id="key last, all quoted"),
]
TELLING_BYTES = [*b',;"\n\r \0x1', 0xFF, 0xC3]


@pytest.mark.parametrize("name", ["people.csv", "groups.csv", "members.csv"])
@pytest.mark.parametrize("whole", EXPORTS)
def test_a_cut_anywhere_but_between_rows_is_refused(folder: Path, whole: Export, name: str) -> None:
    content = whole.files[name]
    undamaged = whole.reading(folder)
    assert undamaged.problems == []
    survived = []
    for place in range(len(content)):
        try:
            reading = whole.reading(folder, **{name.removesuffix(".csv"): content[:place]})
        except SourceIncomplete:
            continue
        survived.append(place)
        # A prefix that ends between two rows: whole rows, in their old order.
        assert list(undamaged.users)[: len(reading.users)] == list(reading.users)
        assert all(undamaged.users[key] == entry for key, entry in reading.users.items())
    rows = len({"people.csv": whole.people, "groups.csv": whole.groups, "members.csv": whole.memberships}[name])
    assert len(survived) == rows - 1


@pytest.mark.parametrize("how", ["replaced", "inserted", "removed"])
@pytest.mark.parametrize("name", ["people.csv", "groups.csv", "members.csv"])
@pytest.mark.parametrize("whole", EXPORTS)
def test_no_damaged_byte_makes_anybody_vanish(folder: Path, whole: Export, name: str, how: str) -> None:
    for place in range(len(whole.files[name])):
        for byte in TELLING_BYTES if how != "removed" else [0]:
            damage = Damage(name, place, byte, how)
            try:
                assert_told(whole, folder, damage)
            except AssertionError as error:
                raise AssertionError(f"{damage}: {damage.done_to(whole.files[name])!r}: {error}") from None


def assert_told(whole: Export, folder: Path, damage: Damage) -> None:
    """Read a damaged export: it is refused, or nobody vanishes."""
    after = damage.done_to(whole.files[damage.file])
    try:
        reading = whole.reading(folder, **{damage.file.removesuffix(".csv"): after})
    except SourceError:
        return
    assert_nobody_vanished(whole, reading, damage)


_MEAN = st.text('ab",\n 1é', max_size=4)


@st.composite
def exports(draw: st.DrawFn) -> Export:
    width = draw(st.integers(2, 4))
    index = draw(st.integers(0, width - 1))
    keys = draw(st.lists(st.text("a1,é", min_size=1, max_size=3), min_size=2, max_size=4, unique=True))
    people = []
    for key in keys:
        row = draw(st.lists(_MEAN, min_size=width, max_size=width))
        row[index] = key
        people.append(row)
    ids = draw(st.lists(st.text("g1,", min_size=2, max_size=3).map("g".__add__), min_size=2, max_size=3, unique=True))
    pairs = st.tuples(st.sampled_from(ids), st.sampled_from([*keys, *ids]))
    return export(
        [f"column {n}" for n in range(width)],
        index,
        people,
        [(group, draw(_MEAN)) for group in ids],
        draw(st.lists(pairs, min_size=2, max_size=5)),
        quote_all=draw(st.booleans()),
        line_end=draw(st.sampled_from([b"\n", b"\r\n"])),
        swapped=draw(st.booleans()),
    )


@given(
    whole=exports(),
    name=st.sampled_from(["people.csv", "groups.csv", "members.csv"]),
    where=st.floats(0, 1, exclude_max=True),
    byte=st.one_of(st.sampled_from(TELLING_BYTES), st.integers(0, 255)),
    how=st.sampled_from(["replaced", "inserted", "removed"]),
    block=BLOCKS,
)
@settings(max_examples=300, deadline=None)
def test_no_damaged_byte_of_any_export_makes_anybody_vanish(
    folder: Path, whole: Export, name: str, where: float, byte: int, how: str, block: int
) -> None:
    with blocks_of(block):
        assert_told(whole, folder, Damage(name, int(where * len(whole.files[name])), byte, how))
