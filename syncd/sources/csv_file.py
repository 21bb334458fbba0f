"""One CSV file (RFC 4180): its encoding, its header and the separation of its rows. `csv.py` interprets the rows.

Owns the proof that a file is whole and did not change during the reading. Repairs nothing: a byte that is not
UTF-8 or a cell too many is a `Doubt` about that row. A file whose rows can't be separated is refused.
"""

from __future__ import annotations

import csv
import os
import re
import stat
from collections.abc import Iterable, Iterator, Sequence
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass
from difflib import get_close_matches
from io import TextIOWrapper
from itertools import chain
from pathlib import Path
from typing import Any

from syncd.errors import SourceIncomplete, SourceMismatch, SourceRefused, SourceUnreachable

_DELIMITERS = {",": "comma", ";": "semicolon", "\t": "tab"}
_UTF8_BOM = b"\xef\xbb\xbf"
_UTF16_BOMS = (b"\xff\xfe", b"\xfe\xff")

_WRITE_ASIDE = "Let the export write to a temporary name and rename it to this one when it is complete."
_TO_UTF8 = "convert it, from Latin-1 with `iconv -f WINDOWS-1252 -t UTF-8`"

_CSV_ERRORS = {
    "unexpected end of data": "a quoted cell begins here and the file ends before its closing quote",
    "new-line character": "a carriage return without a line feed; rows end in LF or CRLF",
    "field larger": "a cell of more than 131072 characters: a quote that is never closed?",
    "expected after": "text follows the closing quote of a cell; a quote inside a quoted cell is written twice",
}

_BLOCK = 8 * 1024
"""Size of a block, in characters.

Blocks of eight times this size were slower by a fifth: so many new rows at once start the garbage collector.
"""

Stamp = tuple[int, int, int, int]
"""Device, inode, size in bytes, time of the last change in ns: the same before and after, or it was changed."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """Why the cells of one row can't be taken as they are."""

    problem: str
    torn: bool = False
    """There are too many or too few cells, so that no cell is sure to be in its column."""
    anyone: bool = False
    """No cell is sure to be a key: the row may hide whole rows, or halves of cells."""


Row = tuple[int, list[str], Doubt | None]
"""The row's first line (the header's is 1), its cells, and its fault."""
Chunk = tuple[int, list[list[str]], Doubt | None]
"""The first row's line, rows each on a line of its own (or a single row), and the single row's fault."""


@dataclass(frozen=True, slots=True)
class CsvFile:
    """A file whose header was read and understood; its rows were not."""

    path: Path
    columns: tuple[str, ...]
    delimiter: str
    bom: bool
    _keys: tuple[int, ...]
    """The positions of the columns that identify a row."""
    _stamp: Stamp

    @property
    def name(self) -> str:
        return self.path.name

    @property
    def description(self) -> str:
        """Return a description of the format for a person."""
        encoding = "UTF-8 with BOM" if self.bom else "UTF-8"
        delimiter = _DELIMITERS.get(self.delimiter, repr(self.delimiter))
        columns = (column if column.isprintable() else repr(column) for column in self.columns)
        return f"{encoding}, {delimiter}, columns {', '.join(columns)}"

    def require(self, columns: Iterable[str]) -> None:
        """Raise SourceMismatch that names every one of `columns` that the file lacks."""
        if not set(columns) <= set(self.columns) - {""}:
            raise _lacking(self.path, columns, self.columns)

    def rows(self, opened: ExitStack) -> Iterator[Row]:
        """Yield every row below the header except blank lines; `opened` closes the open file.

        Raises SourceIncomplete where rows can't be told apart, there are none, or the file was changed.
        """
        for start, rows, doubt in self.chunks(opened):
            for line, row in enumerate(rows, start):
                yield line, row, doubt

    def chunks(self, opened: ExitStack) -> Iterator[Chunk]:
        """Yield the same rows in chunks: many flawless rows at a time, any other row by itself."""
        start = end = 0
        found = several_before = False
        width = len(self.columns)
        notable: list[str] = []
        try:
            file = opened.enter_context(_text(self.path, self.bom))
            if _stamp(os.fstat(file.fileno())) != self._stamp:
                raise self._changed()
            header = self._reader(iter(file.readline, ""))
            next(header)
            end = header.line_num
            while lines := file.readlines(_BLOCK):
                # Most blocks have no notable line, and then no line costs a step of Python.
                if plain := self._plain(lines, several_before):
                    found = True
                    yield end + 1, plain, None
                    end += len(lines)
                    continue
                # A quoted cell may go on beyond these lines.
                before, reader = end, self._reader(_noting(chain(lines, iter(file.readline, "")), notable))
                for row in reader:
                    start, end = end + 1, before + reader.line_num
                    if not notable and len(row) == width:
                        found = True
                        yield start, [row], None
                    elif row:
                        found = True
                        several_before = several_before or end > start
                        yield start, [row], self._doubt(row, "".join(notable), end > start, several_before)
                    notable.clear()
                    if reader.line_num >= len(lines):
                        break
        except csv.Error as error:
            raise SourceIncomplete(
                f"{self.path}:{end + 1}", _explained(error), hint="Rows after it can't be told apart: mend the file."
            ) from None
        except FileNotFoundError:
            raise self._changed() from None
        except OSError as error:
            raise SourceIncomplete(str(self.path), f"reading it failed: {error.strerror}") from None
        file.close()
        self.unchanged()
        if not found:
            raise SourceIncomplete(
                str(self.path), "a header and not one row: an export that failed?", hint=_WRITE_ASIDE
            )

    def _reader(self, lines: Iterator[str] | list[str]) -> Any:
        return csv.reader(lines, delimiter=self.delimiter, strict=True)

    def _plain(self, lines: list[str], several_before: bool) -> list[list[str]]:
        """Return the rows of flawless lines, one each; nothing when the lines need a closer look."""
        noted = [index for index, line in enumerate(lines) if _is_notable(line)] if _is_notable("".join(lines)) else ()
        if any(lines[index].count('"') % 2 for index in noted):
            return []
        try:
            rows = list(self._reader(lines))
        except csv.Error:
            return []
        # As many rows as lines: no cell went on beyond its line.
        if len(rows) != len(lines) or set(map(len, rows)) != {len(self.columns)}:
            return []
        return [] if any(self._doubt(rows[at], lines[at], False, several_before) for at in noted) else rows

    def unchanged(self) -> None:
        """Raise SourceIncomplete if the file is no longer the one whose header was read."""
        try:
            now = _stamp(self.path.stat())
        except OSError:
            raise self._changed() from None
        if now != self._stamp:
            raise self._changed()

    def _doubt(self, row: Sequence[str], text: str, several_lines: bool, several_before: bool) -> Doubt | None:
        """Return the fault of a row, given its notable lines, and whether it or an earlier row has several.

        A single quote in a cell without quotes is that character (`19" rack`). But each quote that is lost
        or added makes the number of quotes odd in some row: in this one, or, where a cell swallowed all up to
        the next quote, in a later one. So where cells are quoted as well, an odd number is never passed over.
        """
        width, quotes = len(self.columns), text.count('"')
        odd = quotes % 2 == 1 and (quotes > 1 or len(row) != width or several_before)
        quoted_key = any('"' in row[index] for index in self._keys if index < len(row))
        if odd or (quoted_key and not self._well_quoted(text)):
            return Doubt("a quote in a cell that is not quoted: quote the cell, and write the quote twice", anyone=True)
        if len(row) != width:
            problem = f"{len(row)} cells where the header has {width}: a cell with a separator in it needs quotes"
            return Doubt(problem, torn=True, anyone=several_lines)
        if "\0" in text:
            return Doubt("a NUL byte")
        byte = _undecodable(text)
        if byte is not None:
            return Doubt(f"byte 0x{byte:02X} is not UTF-8; {_TO_UTF8}")
        return None

    def _well_quoted(self, text: str) -> bool:
        """Return whether quotes stand around and within quoted cells only: RFC 4180 section 2, rules 5 to 7."""
        separator = re.escape(self.delimiter)
        cell = rf'(?:[^"{separator}\r\n]*|"[^"]*(?:""[^"]*)*")'
        return re.fullmatch(rf"{cell}(?:{separator}{cell})*\r?\n", text) is not None

    def _changed(self) -> SourceIncomplete:
        return SourceIncomplete(str(self.path), "it was changed while it was read", hint=_WRITE_ASIDE)


def open_csv(path: Path, required: Sequence[str], delimiter: str | None) -> CsvFile:
    """Read a file's header, and look whether the file can be read at all and is whole at its end.

    Without a `delimiter`, takes the one under which all `required` columns are there.
    Raises SourceUnreachable, SourceRefused, SourceMismatch or SourceIncomplete.
    """
    with _named(path):
        # Checked before the file is opened: opening a named pipe would wait for a writer.
        if not stat.S_ISREG(path.stat().st_mode):
            raise SourceRefused(str(path), "not a regular file")
        with path.open("rb") as file:
            stamp = _stamp(os.fstat(file.fileno()))
            head = file.read(1024)
            file.seek(max(0, stamp[2] - 1))
            last = file.read(1)
        _refuse_foreign(path, head, last)
        bom = head.startswith(_UTF8_BOM)
        headers = {
            candidate: _header(path, bom, candidate) for candidate in ([delimiter] if delimiter else _DELIMITERS)
        }
    chosen, columns = _fitting(path, headers, required)
    _refuse_unclear(path, columns)
    if not set(required) <= set(columns):
        raise _lacking(path, required, columns)
    return CsvFile(path, columns, chosen, bom, tuple(columns.index(column) for column in required), stamp)


@contextmanager
def _named(path: Path) -> Iterator[None]:
    """Turn the operating system's errors into ours."""
    try:
        yield
    except FileNotFoundError:
        raise SourceUnreachable(str(path), "there is no such file") from None
    except PermissionError:
        hint = "Give read permission to the account that syncd runs as, on the file and its folders."
        raise SourceRefused(str(path), "permission denied", hint=hint) from None
    except OSError as error:
        raise SourceUnreachable(str(path), f"it can't be opened: {error.strerror}") from None


def _stamp(status: os.stat_result) -> Stamp:
    return status.st_dev, status.st_ino, status.st_size, status.st_mtime_ns


def _text(path: Path, bom: bool) -> TextIOWrapper:
    binary = path.open("rb")
    if bom:
        binary.seek(len(_UTF8_BOM))
    # Only LF ends a line here: a stray CR then is csv's error, where universal newlines would make it a row.
    return TextIOWrapper(binary, encoding="utf-8", errors="surrogateescape", newline="\n")


def _noting(lines: Iterable[str], notable: list[str]) -> Iterator[str]:
    for line in lines:
        if _is_notable(line):
            notable.append(line)
        yield line


def _is_notable(text: str) -> bool:
    return '"' in text or "\0" in text or not text.isascii()


def _undecodable(text: str) -> int | None:
    """Return the first byte that was not UTF-8 (PEP 383 escapes it as a surrogate)."""
    try:
        text.encode()
    except UnicodeEncodeError as error:
        return ord(text[error.start]) - 0xDC00
    return None


def _refuse_foreign(path: Path, head: bytes, last: bytes) -> None:
    if not head:
        raise SourceIncomplete(str(path), "it is empty: an export that failed?", hint=_WRITE_ASIDE)
    if head.startswith(_UTF16_BOMS) or b"\0" in head.split(b"\n")[0]:
        hint = "Convert it: `iconv -f UTF-16 -t UTF-8`; or let the export write UTF-8."
        raise SourceRefused(str(path), "UTF-16 text (or NUL bytes in the header); only UTF-8 is read", hint=hint)
    if last == b"\r" and head.count(b"\r") > 1 and b"\n" not in head:
        hint = r"Convert it: `tr '\r' '\n'`; or let the export write LF or CRLF."
        raise SourceRefused(str(path), "lines end in CR alone, and only LF and CRLF are read", hint=hint)
    if last != b"\n":
        raise SourceIncomplete(str(path), "its last line has no line break: it breaks off there", hint=_WRITE_ASIDE)


def _header(path: Path, bom: bool, delimiter: str) -> list[str] | csv.Error:
    """Return the column names under one delimiter, or why there are none."""
    with _text(path, bom) as file:
        try:
            return [cell.strip() for cell in next(csv.reader(file, delimiter=delimiter, strict=True), [])]
        except csv.Error as error:
            return error


def _fitting(
    path: Path, headers: dict[str, list[str] | csv.Error], required: Sequence[str]
) -> tuple[str, tuple[str, ...]]:
    """Return the delimiter under which the required columns are there, and the columns it makes.

    Where no delimiter does, returns the one that makes the most columns, for the sake of the message.
    """
    read = {delimiter: header for delimiter, header in headers.items() if isinstance(header, list)}
    if not read:
        error = next(header for header in headers.values() if isinstance(header, csv.Error))
        raise SourceIncomplete(f"{path}:1", f"the header can't be read: {_explained(error)}")
    fitting = {delimiter: header for delimiter, header in read.items() if set(required) <= set(header)}
    if len({tuple(header) for header in fitting.values()}) > 1:
        found = " and ".join(_DELIMITERS[delimiter] for delimiter in fitting)
        raise SourceMismatch(f"{path}:1", f"the header fits {found} alike", hint="Set `delimiter`.")
    chosen = max(fitting or read, key=lambda delimiter: len(read[delimiter]))
    return chosen, tuple(read[chosen])


def _refuse_unclear(path: Path, columns: Sequence[str]) -> None:
    header = "".join(columns)
    byte = _undecodable(header)
    if byte is not None:
        raise SourceRefused(
            f"{path}:1",
            f"byte 0x{byte:02X} of the header is not UTF-8",
            hint=f"Let the export write UTF-8, or {_TO_UTF8}.",
        )
    named = [column for column in columns if column]
    twice = sorted({column for column in named if named.count(column) > 1})
    if twice:
        raise SourceMismatch(f"{path}:1", f"column {', '.join(map(repr, twice))} stands twice in the header")


def _lacking(path: Path, wanted: Iterable[str], columns: Sequence[str]) -> SourceMismatch:
    missing = [name for name in dict.fromkeys(wanted) if not name or name not in columns]
    near = ((name, get_close_matches(name, columns, n=1)) for name in missing)
    return SourceMismatch(
        str(path),
        f"no column {', '.join(map(repr, missing))}; its columns are {', '.join(map(repr, columns))}",
        hint=" ".join(f"Is {name!r} meant to be {match[0]!r}?" for name, match in near if match),
    )


def _explained(error: csv.Error) -> str:
    return next((text for part, text in _CSV_ERRORS.items() if part in str(error)), str(error))
