"""The key of a row, in a CSV file with a key column; for a faulty row, the keys that the row may have.

An unreadable row must not make its owner count as gone: a fault names every key that the row may have, or is
`nameless`, and then the whole file counts as incomplete.
"""

from __future__ import annotations

from array import array
from collections.abc import Iterator, Sequence
from contextlib import ExitStack
from itertools import combinations
from unicodedata import category

from syncd.core.model import Kind, Problem
from syncd.errors import SourceIncomplete
from syncd.sources.csv_file import CsvFile, Doubt

REPORTED = 1_000
"""Number of faulty rows of one file that are reported one by one; the rest is counted."""

_LONGEST_KEY = 64
"""Limits, in characters and cells, of the search for a key in a torn row; beyond these, any key is possible."""
_MOST_CELLS = 8

KeyedRow = tuple[int, str, list[str]]
"""The row's first line, its key, and its cells including the key."""


class KeyedRows:
    """The rows of one file. Complete when `rows()` has come to its end."""

    def __init__(self, file: CsvFile, column: str, kind: Kind) -> None:
        self.keys: dict[str, str] = {}
        """Every key that a good row has, to the one string that stands for it everywhere."""
        self.repeated: dict[str, list[int]] = {}
        """Keys that several rows have, to the lines of all but the first."""
        self.suspected: set[str] = set()
        """Keys that a faulty row may have."""
        self.nameless: Problem | None = None
        """The first faulty row that may be anybody's: with one of those the file counts as incomplete."""
        self.faults = 0
        self._file = file
        self._column = column
        self._index = file.columns.index(column)
        self._kind = kind

    def rows(self, opened: ExitStack) -> Iterator[KeyedRow | Problem]:
        """Yield every good row, and a Problem for every other.

        Repeated keys and torn rows are reported at the end: only then is it known which keys have a row of
        their own, so that a fragment of a torn row casts no doubt on those.
        """
        keys, index = self.keys, self._index
        lines = array("I")
        torn: list[tuple[int, list[str], str]] = []
        reported = unreported = 0
        for line, row, doubt in self._file.rows(opened):
            if doubt is None:
                key = row[index].strip()
                if key and key not in keys and key.isprintable():
                    keys[key] = row[index] = key
                    lines.append(line)
                    yield line, key, row
                    continue
                if key in keys:
                    self.repeated.setdefault(key, []).append(line)
                    self.faults += 1
                    continue
            self.faults += 1
            if reported == REPORTED:
                unreported += 1
                continue
            reported += 1
            if doubt is not None and doubt.anyone:
                yield self._problem(line, doubt.problem, [])
            elif doubt is not None and doubt.torn:
                torn.append((line, row, doubt.problem))
            else:
                yield self._unusable(line, row[index].strip(), doubt)
        yield from self._repetitions(lines)
        longest = max(map(len, keys), default=0)
        for line, row, problem in torn:
            whole, pieces = possible_keys(row, index, self._file, longest)
            yield self._problem(line, problem, whole, [piece for piece in pieces if piece not in keys])
        if unreported:
            yield self._nameless(Problem(self._file.name, f"{unreported} more rows can't be used", kind=self._kind))
        if not keys:
            # Then it may be the header that is torn, and a row a part of it.
            yield self._nameless(Problem(self._file.name, "not one row can be used", kind=self._kind))

    def _unusable(self, line: int, key: str, doubt: Doubt | None) -> Problem:
        """Return the problem with a row whose key cell is in its column, but is no key or has faulty neighbours."""
        if doubt is not None:
            problem = doubt.problem
        elif not key:
            problem = f"no {self._column}"
        else:
            problem = f"{self._column} {key!r} has an invisible character"
        visible = "".join(filter(str.isprintable, key)).strip()
        # A format character or odd blank is no part of the key; a line break, a NUL or a bad byte hides the key.
        if visible and {category(char) for char in key if not char.isprintable()} <= {"Cf", "Zs"}:
            return self._problem(line, problem, [visible])
        return self._problem(line, problem, [])

    def _repetitions(self, lines: Sequence[int]) -> Iterator[Problem]:
        """Yield a Problem for every key with several rows: nothing tells which row is right."""
        if not self.repeated:
            return
        for key, first in zip(self.keys, lines, strict=True):
            if key in self.repeated:
                others = self.repeated[key]
                problem = f"{self._column} {key!r} stands on line {first} already"
                if len(others) > 1:
                    problem += f", and on {len(others) - 1} more"
                yield self._problem(others[0], problem, [key])

    def _problem(self, line: int, problem: str, whole: Sequence[str], pieces: Sequence[str] = ()) -> Problem:
        """Return a Problem that protects every key that the row may belong to: all keys, where none is named."""
        if not whole:
            problem += "; the row may be anyone's"
        protects = (*whole, *pieces) if whole else ()
        self.suspected.update(protects)
        found = Problem(
            where=f"{self._file.name}:{line}",
            problem=problem,
            key=whole[0] if len(whole) == 1 else "",
            kind=self._kind,
            protects=protects,
        )
        return found if whole else self._nameless(found)

    def demand_names(self) -> None:
        """Raise SourceIncomplete when a faulty row may be anybody's: a hidden person must not count as gone."""
        if self.nameless is not None:
            where = str(self._file.path.with_name(self.nameless.where))
            hint = "So nothing is compared: mend that row, or take it out."
            raise SourceIncomplete(where, self.nameless.problem, hint=hint)

    def _nameless(self, problem: Problem) -> Problem:
        self.nameless = self.nameless or problem
        return problem


def possible_keys(row: Sequence[str], index: int, file: CsvFile, longest: int) -> tuple[list[str], list[str]]:
    """Return the possible keys of a torn row whose key belongs at `index`: whole cells, and pieces of cells.

    With n cells too many, the key has moved up to n places to the right, or is itself torn in several; with n
    too few, up to n to the left. Pieces: where a separator or line break was lost, the key is the beginning
    or the end of a cell. Neither: nobody can be named. `longest`: the length of the longest key there is.
    """
    surplus = len(row) - len(file.columns)
    cells = row[max(0, index + min(0, surplus)) : index + max(0, surplus) + 1]
    if len(cells) > _MOST_CELLS or longest > _LONGEST_KEY:
        return [], []
    spans = combinations(range(len(cells) + 1), 2)
    joined = [file.delimiter.join(cells[start:end]) for start, end in spans if "".join(cells[start:end]).strip()]
    pieces = [
        piece
        for text in map(str.strip, joined)
        for length in range(1, min(len(text), _LONGEST_KEY) + 1)
        for piece in (text[:length], text[-length:])
    ]
    whole = _usable(joined)
    return whole, [piece for piece in _usable(pieces) if piece not in whole]


def _usable(texts: Sequence[str]) -> list[str]:
    stripped = (text.strip() for text in texts)
    return list(dict.fromkeys(text for text in stripped if text and text.isprintable()))
