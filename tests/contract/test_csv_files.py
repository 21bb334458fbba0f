"""CSV: files that as a whole can't be read, are not all there, or don't stand still."""

from __future__ import annotations

import os
import re
import tracemalloc
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest

from syncd.core.model import Entry, GroupEntry, Wanted
from syncd.errors import SourceError, SourceIncomplete, SourceMismatch, SourceRefused, SourceUnreachable
from syncd.sources.csv import CsvOptions, CsvPull, CsvSource
from tests.bench.make_csv import group_sizes, make_csv
from tests.contract.csv_exports import GROUPS, MEMBERS, PEOPLE, Files
from tests.contract.source_contract import ALL, open_handles, read


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def refusal(source: CsvSource, wanted: Wanted = ALL) -> SourceError:
    """Read to the end, see it refused and nothing left open, and return the refusal."""
    before = open_handles()
    with pytest.raises(SourceError) as refused:
        read(source, wanted)
    assert open_handles() == before
    return refused.value


# --- what can't be read, or is not all there ---

IN_EACH = pytest.mark.parametrize("name", ["people", "groups", "members"])
WHOLE = {"people": PEOPLE, "groups": GROUPS, "members": MEMBERS}


@IN_EACH
@pytest.mark.parametrize(
    ("spoil", "kind", "says", "hint"),
    [
        pytest.param(lambda whole: b"", SourceIncomplete, "it is empty", "temporary name", id="empty"),
        pytest.param(
            lambda whole: whole.split(b"\n")[0] + b"\n", SourceIncomplete, "not one row", "temporary name",
            id="header only",
        ),
        pytest.param(
            lambda whole: whole.split(b"\n")[0] + b"\n\n\n", SourceIncomplete, "not one row", "temporary name",
            id="header and blank lines",
        ),
        pytest.param(
            lambda whole: whole[:-1], SourceIncomplete, "no line break", "temporary name", id="no line break at the end"
        ),
        pytest.param(
            lambda whole: whole + b'9,"x\n', SourceIncomplete, "before its closing quote", "mend",
            id="ends in a quoted cell",
        ),
        pytest.param(
            lambda whole: whole + b'9,"x"y\n', SourceIncomplete, "text follows the closing quote", "mend",
            id="text after a quoted cell",
        ),
        pytest.param(
            lambda whole: whole + b"9,x\ry\n", SourceIncomplete, "carriage return", "mend", id="a CR within a row"
        ),
        pytest.param(
            lambda whole: whole + b'9,"' + b"x\n" * 70_000 + b'"\n', SourceIncomplete, "131072", "mend",
            id="a cell without end",
        ),
        pytest.param(
            lambda whole: whole.replace(b"\n", b"\r"), SourceRefused, "CR alone", "tr '", id="CR for line breaks"
        ),
        pytest.param(
            lambda whole: whole.decode().encode("utf-16"), SourceRefused, "UTF-16", "iconv -f UTF-16", id="UTF-16"
        ),
        pytest.param(
            lambda whole: whole.decode().encode("utf-16-le"), SourceRefused, "UTF-16", "iconv -f UTF-16",
            id="UTF-16 without BOM",
        ),
        pytest.param(
            lambda whole: "编号\n一\n".encode("utf-16"), SourceRefused, "UTF-16", "iconv -f UTF-16",
            id="UTF-16 without a NUL",
        ),
        pytest.param(
            lambda whole: b"\xe9" + whole, SourceRefused, "0xE9 of the header", "iconv -f WINDOWS-1252",
            id="a header in Latin-1",
        ),
        pytest.param(
            lambda whole: b'"' + whole, SourceIncomplete, "the header can't be read", "",
            id="a quote opens in the header",
        ),
        pytest.param(
            lambda whole: whole.replace(b"\n", b",x,x\n", 1), SourceMismatch, "column 'x' stands twice", "",
            id="a column twice",
        ),
    ],
)  # fmt: skip
def test_a_spoilt_file_is_refused_with_its_name_and_what_to_do(
    files: Files, name: str, spoil: Callable[[bytes], bytes], kind: type[SourceError], says: str, hint: str
) -> None:
    refused = refusal(files.source(**{name: spoil(WHOLE[name].encode())}))
    assert type(refused) is kind
    assert f"{name}.csv" in refused.source
    assert says in refused.problem
    assert hint in refused.hint


@IN_EACH
def test_a_missing_file_is_unreachable(files: Files, name: str) -> None:
    source = files.source()
    (files.folder / f"{name}.csv").unlink()
    refused = refusal(source)
    assert type(refused) is SourceUnreachable
    assert str(refused) == f"{files.folder}/{name}.csv: there is no such file"


def test_a_folder_or_pipe_in_place_of_a_file_is_refused_without_waiting(files: Files) -> None:
    source = files.source()
    (files.folder / "people.csv").unlink()
    (files.folder / "people.csv").mkdir()
    assert "not a regular file" in refusal(source).problem
    (files.folder / "people.csv").rmdir()
    os.mkfifo(files.folder / "people.csv")
    assert type(refusal(source)) is SourceRefused


def test_a_file_that_we_may_not_read_is_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    source = Files(Path()).source()
    tmp_path.chmod(0o755)
    Path("members.csv").chmod(0)
    user = os.geteuid()
    if user == 0:
        # Root may read everything: be nobody while it is tried.
        os.seteuid(65534)
    try:
        refused = refusal(source)
    finally:
        os.seteuid(user)
    assert type(refused) is SourceRefused
    assert (refused.source, refused.problem) == ("members.csv", "permission denied")


def test_the_line_of_a_row_that_cannot_be_told_apart_is_named(files: Files) -> None:
    people = 'id,mail,name\n1,a,"Ada\nL"\n2,b,"Bob\n'
    assert refusal(files.source(people)).source == f"{files.folder}/people.csv:4"


# --- columns and separators ---


def test_missing_columns_are_named_all_at_once_with_those_found_and_the_nearest(files: Files) -> None:
    refused = refusal(files.source(), Wanted(user=frozenset({"id", "mial", "titel"}), group=frozenset()))
    assert type(refused) is SourceMismatch
    assert refused.problem == "no column 'mial', 'titel'; its columns are 'id', 'mail', 'name'"
    assert refused.hint == "Is 'mial' meant to be 'mail'?"


@pytest.mark.parametrize(
    ("options", "says"),
    [
        ({"key": "ID"}, "people.csv: no column 'ID'; its columns are 'id', 'mail', 'name'"),
        ({"people": PEOPLE.replace(",", "|")}, "people.csv: no column 'id'; its columns are 'id|mail|name'"),
        ({"groups": "id,title\ng1,One\n"}, "groups.csv: no column 'name'; its columns are 'id', 'title'"),
        ({"members": "group,user\ng1,1\n"}, "members.csv: no column 'member'; its columns are 'group', 'user'"),
        ({"multivalued": {"aliases": ";"}}, "people.csv: no column 'aliases'; its columns are 'id', 'mail', 'name'"),
        ({"people": "id,a;id;b\n1,x\n", "delimiter": None}, "people.csv:1: the header fits"),
    ],
)
def test_a_header_that_lacks_something_is_a_mismatch(files: Files, options: dict[str, Any], says: str) -> None:
    refused = refusal(files.source(**options))
    assert type(refused) is SourceMismatch
    assert says in refused.message


def test_a_wanted_group_attribute_must_be_a_column_too(files: Files) -> None:
    refused = refusal(files.source(), Wanted(user=None, group=frozenset({"mail"})))
    assert refused.problem == "no column 'mail'; its columns are 'id', 'name'"


@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
def test_each_file_may_have_its_own_separator(files: Files, delimiter: str) -> None:
    reading = read(files.source(members=MEMBERS.replace(",", delimiter)))
    assert reading.groups["g1"].members == ["1", "2"]


def test_another_separator_is_used_when_it_is_named(files: Files) -> None:
    piped = {name: whole.replace(",", "|") for name, whole in WHOLE.items()}
    assert read(files.source(**piped, delimiter="|")).groups["g2"].subgroups == ["g1"]


# --- files that change ---


def append(path: Path) -> None:
    with path.open("a") as file:
        file.write("9,x\n")


def rewrite_in_place(path: Path) -> None:
    before = path.stat()
    path.write_text(path.read_text().swapcase())
    os.utime(path, ns=(before.st_atime_ns, before.st_mtime_ns + 1))


def replace(path: Path) -> None:
    before = path.stat()
    aside = path.with_suffix(".new")
    aside.write_bytes(path.read_bytes())
    os.utime(aside, ns=(before.st_atime_ns, before.st_mtime_ns))
    aside.rename(path)


CHANGES = pytest.mark.parametrize("change", [append, rewrite_in_place, replace, Path.unlink])


@IN_EACH
@CHANGES
@pytest.mark.parametrize("stage", ["one user", "users", "one group", "groups"])
def test_a_file_that_changes_at_any_time_before_the_evidence_is_refused(
    files: Files, name: str, change: Callable[[Path], None], stage: str
) -> None:
    with files.source().pull(ALL) as pull:
        users, groups = pull.users(), pull.groups()
        next(users)
        if stage != "one user":
            list(users)
        if stage in ("one group", "groups"):
            next(groups)
        if stage == "groups":
            list(groups)
        change(files.folder / f"{name}.csv")
        message = re.escape(f"{name}.csv: it was changed while it was read")
        with pytest.raises(SourceIncomplete, match=message) as refused:
            read_on(pull, users, groups)
        assert "rename" in refused.value.hint
        with pytest.raises(SourceIncomplete):
            pull.evidence()


def read_on(pull: CsvPull, users: Iterator[object], groups: Iterator[object]) -> None:
    for _ in users:
        pass
    for _ in groups:
        pass
    pull.evidence()


@CHANGES
def test_rows_below_another_header_than_was_read_are_not_yielded(files: Files, change: Callable[[Path], None]) -> None:
    with files.source().pull(ALL) as pull:
        change(files.folder / "people.csv")
        with pytest.raises(SourceIncomplete, match="changed"):
            next(pull.users())


@CHANGES
def test_a_change_is_noticed_at_the_end_of_the_file(files: Files, change: Callable[[Path], None]) -> None:
    with files.source().pull(ALL) as pull:
        users = pull.users()
        next(users)
        change(files.folder / "people.csv")
        with pytest.raises(SourceIncomplete, match="changed"):
            list(users)


def test_the_next_reading_takes_the_new_file(files: Files) -> None:
    source = files.source(groups=None, members=None)
    assert set(read(source).users) == {"1", "2", "3"}
    append(files.folder / "people.csv")
    assert "4 cells" not in str(read(source).problems)
    (files.folder / "people.csv").write_text("id,mail,name\n7,a,Ada\n")
    assert set(read(source).users) == {"7"}


def test_groups_before_all_people_were_read_are_refused(files: Files) -> None:
    with files.source().pull(ALL) as pull, pytest.raises(SourceIncomplete, match="before all people"):
        next(pull.groups())


# --- what a person is told, and how much it takes ---


def test_checking_tells_files_counts_and_the_first_problems(files: Files) -> None:
    source = files.source(people=PEOPLE.replace(",", ";") + "4;x\n")
    assert source.check(ALL) == {
        f"{files.folder}/people.csv": "UTF-8, semicolon, columns id, mail, name",
        f"{files.folder}/groups.csv": "UTF-8, comma, columns id, name",
        f"{files.folder}/members.csv": "UTF-8, comma, columns group, member",
        "people": "3, by id",
        "groups": "2",
        "memberships": "4",
        "problems": "1",
        "people.csv:5": "2 cells where the header has 3: a cell with a separator in it needs quotes",
    }


def test_the_samples_are_whole_and_without_a_fault() -> None:
    samples = Path(__file__).parents[2] / "syncd" / "cli" / "samples"
    source = CsvSource(
        CsvOptions(samples / "people.csv", "employee_id", samples / "groups.csv", samples / "members.csv")
    )
    reading = read(source)
    assert reading.problems == []
    assert (len(reading.users), len(reading.groups)) == (25, 5)
    assert any(not "".join(user.attributes["display"]).isascii() for user in reading.users.values())
    managers = {user.attributes["manager_id"][0] for user in reading.users.values() if "manager_id" in user.attributes}
    assert managers <= set(reading.users)
    assert [group.subgroups for group in reading.groups.values() if group.subgroups] == [["g-design"]]


def test_a_large_export_is_read_whole_in_little_memory(tmp_path: Path) -> None:
    users, groups, members = make_csv(tmp_path, users=10_000, memberships=100_000, groups=500)
    source = CsvSource(CsvOptions(users, "employee_id", groups, members))
    tracemalloc.start()
    try:
        with source.pull(ALL) as pull:
            people = sum(isinstance(user, Entry) for user in pull.users())
            memberships = sum(len(group.members) for group in pull.groups() if isinstance(group, GroupEntry))
        peak = tracemalloc.get_traced_memory()[1]
    finally:
        tracemalloc.stop()
    assert (people, memberships) == (10_000, 100_000)
    # 110 bytes for a key, 9 for a membership, 200 for a group, and a block of text: 4.5 MB at ten times this size
    # would be 30 MB.
    assert peak < 4_500_000


def test_generated_exports_are_always_equal_and_have_the_sizes_asked_for(tmp_path: Path) -> None:
    first = [path.read_bytes() for path in make_csv(tmp_path / "1", 100, 700, 20)]
    second = [path.read_bytes() for path in make_csv(tmp_path / "2", 100, 700, 20)]
    assert first == second
    assert [content.count(b"\n") for content in first] == [101, 21, 701]
    assert group_sizes(100, 700, 20)[:3] == [100, 100, 79]
    assert sum(group_sizes(100, 2000, 20)) == 2000
