"""CSV: the contract of all sources, and faulty single rows of an administrator's files, by hand."""

from __future__ import annotations

from pathlib import Path

import pytest

from syncd.core.model import Entry, GroupEntry, Kind, Problem, Wanted
from syncd.errors import SourceIncomplete
from syncd.sources.csv import CsvSource
from tests.contract.csv_exports import GROUPS, MEMBERS, PEOPLE, CsvDirectory, Files
from tests.contract.source_contract import ALL, Reading, SourceContract, read, read_through


class TestCsvSource(SourceContract):
    refuses_unknown_attributes = True

    @pytest.fixture
    def directory(self, tmp_path: Path) -> CsvDirectory:
        return CsvDirectory(tmp_path)


@pytest.fixture
def files(tmp_path: Path) -> Files:
    return Files(tmp_path)


def problem_of(reading: Reading) -> Problem:
    (problem,) = reading.problems
    return problem


# --- rows ---


def test_a_row_becomes_an_entry_with_its_non_empty_cells(files: Files) -> None:
    source = files.source(people='id,mail,name\n1,ada@example.com,"Lovelace,\nAda"\n2,, Bob \n')
    assert list(read(source).users.values()) == [
        Entry("1", {"id": ["1"], "mail": ["ada@example.com"], "name": ["Lovelace,\nAda"]}, "people.csv:2"),
        Entry("2", {"id": ["2"], "name": [" Bob "]}, "people.csv:4"),
    ]


def test_groups_carry_id_and_name_members_and_subgroups(files: Files) -> None:
    assert list(read(files.source()).groups.values()) == [
        GroupEntry("g1", {"id": ["g1"], "name": ["One"]}, "groups.csv:2", ["1", "2"], []),
        GroupEntry("g2", {"id": ["g2"], "name": ["Two"]}, "groups.csv:3", ["3"], ["g1"]),
    ]


def test_only_wanted_columns_become_attributes_and_groups_keep_id_and_name(files: Files) -> None:
    source = files.source(groups="id,name,floor,head\ng1,One,4,1\ng2,Two,5,2\n")
    reading = read(source, Wanted(user=frozenset({"name"}), group=frozenset({"floor"})))
    assert reading.users["1"].attributes == {"name": ["Ada"]}
    assert reading.groups["g1"].attributes == {"id": ["g1"], "name": ["One"], "floor": ["4"]}


def test_of_all_columns_those_of_passwords_are_left_out(files: Files) -> None:
    people = "id,name,password,WiFi-Password,userPassword,pwdLastSet\n1,Ada,x,y,z,2026\n"
    groups = "id,name,unicodePwd\ng1,One,x\n"
    reading = read(files.source(people, groups, "group,member\ng1,1\n"))
    assert reading.users["1"].attributes == {"id": ["1"], "name": ["Ada"], "pwdLastSet": ["2026"]}
    assert reading.groups["g1"].attributes == {"id": ["g1"], "name": ["One"]}


def test_a_cell_with_several_values_is_split_where_the_options_say_so(files: Files) -> None:
    people = "id,aliases,teams\n1,a@example.com; b@example.com ;,x;y\n2, ; ,z\n"
    users = read(files.source(people, None, None, multivalued={"aliases": ";"})).users
    assert users["1"].attributes == {"id": ["1"], "aliases": ["a@example.com", "b@example.com"], "teams": ["x;y"]}
    assert users["2"].attributes == {"id": ["2"], "teams": ["z"]}


def test_members_are_the_very_strings_that_the_people_have(files: Files) -> None:
    with files.source().pull(ALL) as pull:
        keys = {user.key: user.key for user in pull.users() if isinstance(user, Entry)}
        groups = [group for group in pull.groups() if isinstance(group, GroupEntry)]
    assert all(member is keys[member] for group in groups for member in group.members)


def test_blank_lines_and_a_trailing_separator_are_no_faults(files: Files) -> None:
    source = files.source(
        people="id,mail,\n\n1,ada@example.com,\n\n\n2,bob@example.com,\n\n", groups=None, members=None
    )
    reading = read(source)
    assert [user.where for user in reading.users.values()] == ["people.csv:3", "people.csv:6"]
    assert reading.users["1"].attributes == {"id": ["1"], "mail": ["ada@example.com"]}
    assert reading.problems == []


def test_a_quote_in_a_cell_without_quotes_is_that_character(files: Files) -> None:
    people = 'id,mail,name\n1,ada@example.com,19" rack\n2,bob@example.com,Bob "B" Smith\n'
    users = read(files.source(people, None, None)).users
    assert [user.attributes["name"] for user in users.values()] == [['19" rack'], ['Bob "B" Smith']]


def test_white_space_around_a_key_is_no_part_of_it_in_any_file(files: Files) -> None:
    source = files.source(
        people="id,name\n 1 ,Ada\n2\t,Bob\n",
        groups="id,name\ng1 ,One\n",
        members="group,member\ng1,1\n g1,2\ng1  , 1\n",
    )
    reading = read(source)
    assert reading.users["1"] == Entry("1", {"id": ["1"], "name": ["Ada"]}, "people.csv:2")
    assert reading.groups["g1"].members == ["1", "2", "1"]
    assert reading.problems == []


def refusal(source: CsvSource) -> SourceIncomplete:
    """Return why a file counts as incomplete."""
    with pytest.raises(SourceIncomplete) as refused:
        read(source)
    return refused.value


# --- faulty rows of people.csv, and whom they protect ---


@pytest.mark.parametrize(
    ("people", "where", "says", "protects", "others"),
    [
        pytest.param(
            "id,first,last\n1,Ada,Love, lace\n2,Bob,B\n", "people.csv:2", "4 cells", ["1", "Ada", "1,Ada"], ["2"],
            id="one cell too many, key first",
        ),
        pytest.param(
            "first,last,id\nAda,Love, lace,1\nBob,B,2\n", "people.csv:2", "4 cells", ["1", "lace"], ["2"],
            id="one cell too many, key last",
        ),
        pytest.param(
            "id,first,last\n1,Ada\n2,Bob,B\n", "people.csv:2", "2 cells", ["1"], ["2"],
            id="one cell too few, key first",
        ),
        pytest.param(
            "first,last,id\nAda,1\nBob,B,2\n", "people.csv:2", "2 cells", ["1"], ["2"],
            id="one cell too few, key last",
        ),
        pytest.param(
            "id,first,last\n1001xAda,Love\n2,Bob,B\n", "people.csv:2", "2 cells", ["1001", "1001xAda"], ["2"],
            id="a separator was lost, and the key is the beginning of a cell",
        ),
        pytest.param(
            "id,first,last\n1,Ada,Lovex1002,Bob,B\n3,Cy,C\n", "people.csv:2", "5 cells", ["1", "1002"], ["3"],
            id="a line break was lost, and two rows are one",
        ),
        pytest.param(
            "id,first,last\n10,1,Ada,Love\n2,Bob,B\n", "people.csv:2", "4 cells", ["10,1", "10", "1"], ["2"],
            id="the separator is in the key",
        ),
        pytest.param(
            b"id,first,last\n1,Ad\xe9,Love\n2,Bob,B\n", "people.csv:2", "byte 0xE9 is not UTF-8", ["1"], ["2"],
            id="Latin-1",
        ),
        pytest.param(b"id,first,last\n1,A\0a,Love\n2,Bob,B\n", "people.csv:2", "a NUL byte", ["1"], ["2"], id="NUL"),
        pytest.param(
            "id,first,last\n1\u200b,Ada,Love\n2,Bob,B\n", "people.csv:2", "'1\\u200b' has an invisible", ["1"], ["2"],
            id="invisible character in the key",
        ),
        pytest.param(
            "id,first,last\n1,Ada,Love\n2,Bob,B\n1,Eve,E\n", "people.csv:4", "'1' stands on line 2 already", ["1"],
            ["1", "2"], id="the same key twice",
        ),
        pytest.param(
            "id,first,last\n1,Ada,Love\n2,Bob,B\n 1,Eve,E\n1,E,E\n", "people.csv:4", "line 2 already, and on 1 more",
            ["1"], ["1", "2"], id="the same key three times, once padded",
        ),
    ],
)  # fmt: skip
def test_a_faulty_row_is_left_out_and_protects_whoever_it_may_belong_to(
    files: Files, people: str | bytes, where: str, says: str, protects: list[str], others: list[str]
) -> None:
    reading = read(files.source(people, None, None))
    problem = problem_of(reading)
    assert (problem.where, problem.kind) == (where, Kind.USER)
    assert says in problem.problem
    assert set(protects) <= set(problem.protects)
    assert problem.key in ("", *problem.protects)
    assert list(reading.users) == others
    assert reading.evidence.absence


@pytest.mark.parametrize(
    ("people", "says"),
    [
        pytest.param("id,mail,name\n,ada@example.com,Ada\n2,b,Bob\n", "no id", id="no key"),
        pytest.param("id,mail,name\n  ,ada@example.com,Ada\n2,b,Bob\n", "no id", id="a blank key"),
        pytest.param(b"id,mail,name\n1\xff,a,Ada\n2,b,Bob\n", "byte 0xFF is not UTF-8", id="bad byte in the key"),
        pytest.param(b"id,mail,name\n\x001,a,Ada\n2,b,Bob\n", "a NUL byte", id="NUL in the key"),
        pytest.param('id,mail,name\n"1\n7",a,Ada\n2,b,Bob\n', "invisible character", id="line break in the key"),
        pytest.param('id,mail,name\nx1",a,Ada\n2,b,Bob\n', "a quote in a cell", id="half a quoted key"),
        pytest.param('id,mail,name\nx"1",a,Ada\n2,b,Bob\n', "a quote in a cell", id="text before a quoted key"),
        pytest.param('id,mail,name\n1,"a",Ad"a\n2,b,Bob\n', "a quote in a cell", id="three quotes"),
        pytest.param('id,mail,name\n1,"x\n7,c,C\n8",d,D\n2,b,Bob\n', "4 cells", id="over several lines"),
        pytest.param("id,mail,name\n,,ada,Ada\n2,b,Bob\n", "4 cells", id="torn, and empty where keys may be"),
        pytest.param("id,mail,name\n1" + ",x" * 20 + "\n2,b,Bob\n", "21 cells", id="torn into too many"),
    ],
)
def test_a_row_that_may_be_anyones_makes_the_file_incomplete(files: Files, people: str | bytes, says: str) -> None:
    refused = refusal(files.source(people, None, None))
    assert refused.source.endswith("people.csv:2")
    assert says in refused.problem
    assert "anyone's" in refused.problem


def test_fragments_of_a_torn_row_cast_no_doubt_on_those_who_have_a_row_of_their_own(files: Files) -> None:
    # 10 is a beginning of 1001xAda, but 10 is there; 100 is not.
    people = "id,first,last\n1001xAda,Love\n10,Bob,B\n"
    protects = problem_of(read(files.source(people, None, None))).protects
    assert "10" not in protects
    assert "100" in protects


def test_beginnings_and_ends_are_not_looked_for_where_keys_are_long(files: Files) -> None:
    people = f"id,first,last\n{'k' * 65},Ada,Love\n2xBob,B\n"
    assert refusal(files.source(people, None, None)).source.endswith("people.csv:3")


def test_a_quote_that_is_never_paired_after_a_cell_over_several_lines_may_hide_rows(files: Files) -> None:
    people = 'id,mail,name\n1,"a\nb",Ada\n2,b,19" rack\n3,c,Cy\n'
    assert refusal(files.source(people, None, None)).source.endswith("people.csv:4")


def test_a_file_in_which_no_row_fits_the_header_is_incomplete(files: Files) -> None:
    refused = refusal(files.source("id,mail,name,1,a,Ada\n2,b,Bob\n3,c,Cy\n", None, None))
    assert refused.problem == "not one row can be used"


def test_a_file_with_more_than_a_thousand_faulty_rows_is_incomplete(files: Files) -> None:
    people = "id,mail,name\n1,a,Ada\n" + "".join(f"{n},x\n" for n in range(1000, 2005))
    assert refusal(files.source(people, None, None)).problem.startswith("5 more rows")


def test_repeated_keys_are_all_reported_however_many(files: Files) -> None:
    rows = "".join(f"{n},x\n" for n in range(1500))
    reading = read(files.source("id,mail\n" + rows + rows, None, None))
    assert {problem.key for problem in reading.problems} == {str(n) for n in range(1500)}
    assert (reading.evidence.users, reading.evidence.problems) == (0, 1500)


# --- who is not among those read ---


def look_up(source: CsvSource, *keys: str) -> dict[str, bool | None]:
    with source.pull(ALL) as pull:
        read_through(pull)
        return dict(pull.look_up(keys))


def test_who_has_no_row_in_any_file_is_not_there(files: Files) -> None:
    assert look_up(files.source(), "1", "g1", "4", "g9", "") == {
        "1": True,
        "g1": True,
        "4": False,
        "g9": False,
        "": False,
    }
    assert look_up(files.source(groups=None, members=None), "1", "4") == {"1": True, "4": False}


@pytest.mark.parametrize(
    ("people", "groups"),
    [
        pytest.param(PEOPLE + ",dora@example.com,Dora\n", GROUPS, id="a person without a key"),
        pytest.param(PEOPLE, GROUPS + ",Three\n", id="a group without a key"),
    ],
)
def test_a_row_that_may_be_anyones_leaves_nobody_proven_gone(files: Files, people: str, groups: str) -> None:
    assert look_up(files.source(people, groups), "1", "g1", "4", "g9") == {"1": True, "g1": True, "4": None, "g9": None}


def test_who_may_have_a_faulty_row_is_not_proven_gone(files: Files) -> None:
    people = PEOPLE.replace("1,ada@example.com,Ada", "1,ada@example.com,Love,lace")
    groups = GROUPS.replace("g1,One", "g1,One,1")
    assert look_up(files.source(people, groups), "1", "2", "4", "g1", "g9") == {
        "1": None,
        "2": True,
        "4": False,
        "g1": None,
        "g9": False,
    }


def test_who_has_two_rows_is_there(files: Files) -> None:
    assert look_up(files.source(PEOPLE + "1,eve@example.com,Eve\n"), "1") == {"1": True}


def test_a_key_that_is_a_person_and_a_group_is_there(files: Files) -> None:
    assert look_up(files.source(PEOPLE + "g1,dora@example.com,Dora\n"), "g1") == {"g1": True}


@pytest.mark.parametrize("file", ["people.csv", "groups.csv", "members.csv"])
def test_files_that_were_changed_since_prove_nothing(files: Files, file: str) -> None:
    with files.source().pull(ALL) as pull:
        read_through(pull)
        assert pull.look_up(["4"]) == {"4": False}
        with (files.folder / file).open("a") as export:
            export.write("4,dora@example.com,Dora\n")
        with pytest.raises(SourceIncomplete, match="it was changed while it was read"):
            pull.look_up(["4"])


# --- faulty rows of groups.csv ---


def test_a_group_that_stands_twice_is_reported_and_not_yielded(files: Files) -> None:
    reading = read(files.source(groups="id,name\ng1,One\ng2,Two\ng1,Uno\n"))
    problem = problem_of(reading)
    assert (problem.kind, problem.key, problem.where) == (Kind.GROUP, "g1", "groups.csv:4")
    assert set(reading.groups) == {"g2"}
    # g1 is still a member of g2: what is not known of g1 must not empty g2.
    assert reading.groups["g2"].subgroups == ["g1"]
    assert (reading.evidence.groups, reading.evidence.memberships) == (1, 2)


def test_a_group_whose_row_is_torn_stays_a_member_of_others(files: Files) -> None:
    reading = read(files.source(groups="id,name\ng1,One,1\ng2,Two\n"))
    assert "g1" in problem_of(reading).protects
    assert problem_of(reading).kind is Kind.GROUP
    assert reading.groups["g2"].subgroups == ["g1"]


def test_a_group_without_an_id_makes_the_file_incomplete(files: Files) -> None:
    source = files.source(groups="id,name\n,One\ng2,Two\n", members="group,member\ng2,g1\ng2,3\n")
    assert refusal(source).source.endswith("groups.csv:2")


# --- faulty rows of members.csv ---


@pytest.mark.parametrize(
    ("row", "says", "key", "incomplete"),
    [
        pytest.param("g1,ghost", "member 'ghost' of group 'g1'", "", [], id="nobody"),
        pytest.param("g9,1", "no group has the id 'g9'", "g9", [], id="no such group"),
        pytest.param("g1,", "'' is no member's key", "g1", ["g1"], id="no member"),
        pytest.param(",1", "'' is no group's id", "", ["g1", "g2"], id="no group"),
        pytest.param("g1", "1 cells where the header has 2", "g1", ["g1"], id="too few cells"),
        pytest.param("g1,1,x", "3 cells where the header has 2", "g1", ["g1"], id="too many cells"),
        pytest.param("1", "1 cells where the header has 2", "", ["g1", "g2"], id="no group to be seen"),
        pytest.param("g1,1xg2,3", "3 cells", "", ["g1", "g2"], id="two rows in one"),
        pytest.param(b"g1,\xff1", "byte 0xFF", "g1", ["g1"], id="bad byte in the member"),
        pytest.param(b"g\xff1,1", "byte 0xFF", "", ["g1", "g2"], id="bad byte in the group"),
        pytest.param(b"g1,1\0", "NUL", "g1", ["g1"], id="NUL"),
        pytest.param("g1,1\u200b", "no member's key", "g1", ["g1"], id="invisible character in the member"),
        pytest.param("g\u200b1,1", "no group's id", "", ["g1", "g2"], id="invisible character in the group"),
        pytest.param('g1,x1"', "a quote in a cell", "", ["g1", "g2"], id="half a quoted member"),
    ],
)
def test_a_faulty_membership_keeps_everyone_in_the_groups_that_it_may_concern(
    files: Files, row: str | bytes, says: str, key: str, incomplete: list[str]
) -> None:
    line = row.encode() if isinstance(row, str) else row
    reading = read(files.source(members=MEMBERS.encode() + line + b"\n"))
    problem = problem_of(reading)
    assert (problem.where, problem.kind, problem.key) == ("members.csv:6", Kind.GROUP, key)
    assert says in problem.problem
    assert [group.key for group in reading.groups.values() if group.incomplete] == incomplete
    assert reading.groups["g1"].members == ["1", "2"]
    assert reading.evidence.problems == 1
    assert reading.evidence.absence


def test_a_member_that_is_both_a_person_and_a_group_is_not_guessed(files: Files) -> None:
    people = PEOPLE + "g1,dora@example.com,Dora\n"
    reading = read(files.source(people))
    problem = problem_of(reading)
    assert problem.problem.startswith("'g1' is a person's key and a group's id")
    assert (problem.where, problem.key) == ("members.csv:5", "g2")
    assert (reading.groups["g2"].members, reading.groups["g2"].subgroups) == (["3"], [])
    assert reading.groups["g2"].incomplete
    assert not reading.groups["g1"].incomplete


@pytest.mark.parametrize(
    "faulty",
    [
        pytest.param("1,ada@example.com,Love,lace", id="torn"),
    ],
)
def test_a_person_whose_row_is_faulty_stays_in_their_groups(files: Files, faulty: str) -> None:
    people = PEOPLE.replace("1,ada@example.com,Ada", faulty)
    reading = read(files.source(people))
    assert problem_of(reading).where == "people.csv:2"
    assert reading.groups["g1"].members == ["1", "2"]


def test_where_no_membership_fits_the_header_nobody_is_removed_from_any_group(files: Files) -> None:
    reading = read(files.source(members="group,member,g1,1\ng2,3\n"))
    assert [group.incomplete for group in reading.groups.values()] == [True, True]


def test_more_than_a_thousand_unknown_members_are_counted(files: Files) -> None:
    members = MEMBERS + "".join(f"g1,ghost{n}\n" for n in range(1005))
    reading = read(files.source(members=members))
    assert len(reading.problems) == 1001
    assert reading.problems[-1] == Problem("members.csv", "5 more rows can't be used", kind=Kind.GROUP)
    assert reading.evidence.problems == 1005
    assert reading.groups["g1"].members == ["1", "2"]


def test_without_a_members_file_nobody_is_removed_from_a_group(files: Files) -> None:
    groups = read(files.source(members=None)).groups
    assert [(group.members, group.incomplete) for group in groups.values()] == [([], True), ([], True)]


def test_people_alone_have_no_groups(files: Files) -> None:
    reading = read(files.source(groups=None, members=None))
    assert (reading.groups, reading.evidence.groups, reading.evidence.absence) == ({}, 0, True)
