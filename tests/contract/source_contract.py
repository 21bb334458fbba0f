"""The contract of every source: subclass `SourceContract` and provide a `directory`.

    class TestCsvSource(SourceContract):
        @pytest.fixture
        def directory(self, tmp_path): return CsvDirectory(tmp_path)

The tests change the directory through `Directory`, as an administrator would, and read it through the
source alone. Faults of a single kind of source (a ragged row, a size limit) are tested elsewhere.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from pathlib import Path
from time import monotonic
from typing import ClassVar, Protocol, TypeVar

import pytest

from syncd.core.model import Entry, Evidence, GroupEntry, Problem, Pull, Source, Wanted
from syncd.errors import SourceError, SourceMismatch

HOSTILE_NAME = 'O\'Neil, "Ada" <a@b>; x\\y + c=d #1'
"""Every character that means something to CSV, to a DN (RFC 4514) or to a filter (RFC 4515)."""


class Directory(Protocol):
    """A real directory, as an administrator sees it. People and groups are named by their keys.

    Every method has taken effect when it returns: what is pulled afterwards shows it.
    """

    name_attribute: str
    """Holds a person's display name, one value."""
    mail_attribute: str
    """Holds a person's e-mail address, one value."""
    alias_attribute: str
    """Holds any number of values."""
    group_name_attribute: str

    def source(self) -> Source:
        """Return a source that reads this directory."""

    def add_person(self, name: str, mail: str, aliases: Sequence[str] = ()) -> str:
        """Add a person and return the key that the source will give them."""

    def rename(self, key: str, name: str) -> None:
        """Change a person's name, and with it everything that is made from it (such as the RDN)."""

    def change_mail(self, key: str, mail: str) -> None:
        """Change a person's e-mail address."""

    def move(self, key: str) -> None:
        """Move a person elsewhere: another branch of the tree, another row of the file."""

    def disable(self, key: str) -> None:
        """Disable a person, the way this kind of directory does."""

    def remove_person(self, key: str) -> None:
        """Remove a person, and every membership of theirs."""

    def add_group(self, name: str, members: Iterable[str] = (), subgroups: Iterable[str] = ()) -> str:
        """Add a group and return the key that the source will give it."""

    def rename_group(self, key: str, name: str) -> None:
        """Change a group's name."""

    def set_members(self, key: str, members: Iterable[str], subgroups: Iterable[str] = ()) -> None:
        """Replace a group's direct members, people and groups."""

    def remove_group(self, key: str) -> None:
        """Remove a group; nothing that it is a member of keeps it."""

    def break_off(self) -> None:
        """Make a reading that is under way, or one that starts now, impossible to finish."""


@dataclass(frozen=True)
class Reading:
    """All that one complete pull returned."""

    users: dict[str, Entry]
    groups: dict[str, GroupEntry]
    problems: list[Problem]
    evidence: Evidence


ALL = Wanted(user=None, group=None)


def read(source: Source, wanted: Wanted = ALL) -> Reading:
    """Pull to the end. Fails where a key is yielded twice."""
    with source.pull(wanted) as pull:
        users = list(pull.users())
        groups = list(pull.groups())
        evidence = pull.evidence()
    return Reading(
        users=_by_key([user for user in users if isinstance(user, Entry)]),
        groups=_by_key([group for group in groups if isinstance(group, GroupEntry)]),
        problems=[item for item in (*users, *groups) if isinstance(item, Problem)],
        evidence=evidence,
    )


_Keyed = TypeVar("_Keyed", Entry, GroupEntry)


def _by_key(entries: list[_Keyed]) -> dict[str, _Keyed]:
    by_key = {entry.key: entry for entry in entries}
    assert len(by_key) == len(entries), "a key was yielded twice"
    return by_key


def read_through(pull: Pull) -> None:
    """Read everything that a pull yields."""
    for _ in pull.users():
        pass
    for _ in pull.groups():
        pass


def finish(pull: Pull, users: Iterable[Entry | Problem]) -> Evidence:
    """Read on from within `users` to the end of the pull, and return its evidence."""
    for _ in users:
        pass
    for _ in pull.groups():
        pass
    return pull.evidence()


def open_handles() -> list[str]:
    """Return what this process has open: files, sockets, pipes."""

    def target(handle: Path) -> str | None:
        try:
            return str(handle.readlink())
        except FileNotFoundError:  # the handle that lists the folder itself
            return None

    return sorted(name for handle in Path("/proc/self/fd").iterdir() if (name := target(handle)))


class SourceContract:
    """The behaviour that the rest of syncd relies on."""

    people: ClassVar[int] = 25
    """How many people make a crowd: for a source that pages, more than a page."""
    refuses_unknown_attributes: ClassVar[bool]
    """Whether the source knows which attributes exist (the columns of a file), or one may be merely unused."""

    @pytest.fixture
    def directory(self) -> Directory:
        raise NotImplementedError("a subclass provides the directory")

    def test_every_person_is_yielded_once_with_what_the_directory_says(self, directory: Directory) -> None:
        people = {directory.add_person(f"Person {n}", f"p{n}@example.com"): n for n in range(self.people)}
        assert len(people) == self.people

        reading = read(directory.source())

        assert {
            key: (entry.attributes[directory.name_attribute], entry.attributes[directory.mail_attribute])
            for key, entry in reading.users.items()
        } == {key: ([f"Person {n}"], [f"p{n}@example.com"]) for key, n in people.items()}
        assert reading.problems == []

    def test_every_entry_says_where_it_is_found(self, directory: Directory) -> None:
        directory.add_group("Everyone", [directory.add_person("Ada", "ada@example.com")])
        reading = read(directory.source())
        assert all(user.where for user in reading.users.values())
        assert all(group.where for group in reading.groups.values())

    @pytest.mark.parametrize(
        "name",
        [
            pytest.param("Žofie Ångström-Łukasiewicz", id="Latin"),
            pytest.param("李小龍", id="Han"),
            pytest.param("Zoe\u0308", id="decomposed"),
            pytest.param("عائشة 👩‍🚀", id="right to left, beyond the BMP"),
            pytest.param(HOSTILE_NAME, id="separators and quotes"),
        ],
    )
    def test_names_survive_exactly(self, directory: Directory, name: str) -> None:
        key = directory.add_person(name, "ada@example.com")
        group = directory.add_group(name, [key])

        reading = read(directory.source())

        assert reading.users[key].attributes[directory.name_attribute] == [name]
        assert reading.groups[group].attributes[directory.group_name_attribute] == [name]
        assert reading.groups[group].members == [key]
        assert reading.problems == []

    def test_an_attribute_has_all_its_values_and_is_absent_without_any(self, directory: Directory) -> None:
        with_two = directory.add_person("Ada", "ada@example.com", aliases=["a@example.com", "countess@example.com"])
        with_none = directory.add_person("Bob", "bob@example.com")

        users = read(directory.source()).users

        assert sorted(users[with_two].attributes[directory.alias_attribute]) == [
            "a@example.com",
            "countess@example.com",
        ]
        assert directory.alias_attribute not in users[with_none].attributes

    @pytest.mark.parametrize(
        "change",
        [
            pytest.param(lambda directory, key: directory.rename(key, "Ada King"), id="rename"),
            pytest.param(lambda directory, key: directory.change_mail(key, "ada.king@example.com"), id="e-mail"),
            pytest.param(lambda directory, key: directory.move(key), id="move"),
            pytest.param(lambda directory, key: directory.disable(key), id="disable"),
        ],
    )
    def test_a_person_keeps_key_and_groups_through(
        self, directory: Directory, change: Callable[[Directory, str], None]
    ) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        group = directory.add_group("Engineering", [ada, bob])

        change(directory, ada)

        reading = read(directory.source())
        assert set(reading.users) == {ada, bob}
        assert sorted(reading.groups[group].members) == sorted([ada, bob])
        assert reading.problems == []

    def test_changed_attributes_are_seen(self, directory: Directory) -> None:
        ada = directory.add_person("Ada", "ada@example.com")
        directory.rename(ada, "Ada King")
        directory.change_mail(ada, "ada.king@example.com")
        attributes = read(directory.source()).users[ada].attributes
        assert attributes[directory.name_attribute] == ["Ada King"]
        assert attributes[directory.mail_attribute] == ["ada.king@example.com"]

    def test_disabling_changes_what_is_read_and_nothing_else(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        before = read(directory.source()).users
        directory.disable(ada)
        after = read(directory.source()).users
        assert after[ada].attributes != before[ada].attributes
        assert after[ada].attributes[directory.mail_attribute] == ["ada@example.com"]
        assert after[bob] == before[bob]

    def test_a_removed_person_is_gone_and_so_are_their_memberships(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        group = directory.add_group("Engineering", [ada, bob])

        directory.remove_person(ada)

        reading = read(directory.source())
        assert set(reading.users) == {bob}
        assert reading.groups[group].members == [bob]
        assert not reading.groups[group].incomplete

    def test_members_are_keys(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        engineering = directory.add_group("Engineering", [ada, bob])
        design = directory.add_group("Design", [bob])

        groups = read(directory.source()).groups

        assert sorted(groups[engineering].members) == sorted([ada, bob])
        assert groups[design].members == [bob]
        assert groups[engineering].subgroups == groups[design].subgroups == []
        assert not groups[engineering].incomplete

    def test_a_group_of_a_crowd_has_every_member(self, directory: Directory) -> None:
        keys = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(self.people)]
        group = directory.add_group("Everyone", keys)
        assert sorted(read(directory.source()).groups[group].members) == sorted(keys)

    def test_a_group_without_members_is_yielded_empty(self, directory: Directory) -> None:
        ada = directory.add_person("Ada", "ada@example.com")
        full, empty = directory.add_group("Full", [ada]), directory.add_group("Empty")
        groups = read(directory.source()).groups
        assert groups[full].members == [ada]
        assert (groups[empty].members, groups[empty].subgroups, groups[empty].incomplete) == ([], [], False)

    def test_changed_and_removed_groups_are_seen(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        kept = directory.add_group("Engineering", [ada])
        removed = directory.add_group("Design", [ada])

        directory.rename_group(kept, "Research")
        directory.set_members(kept, [bob])
        directory.remove_group(removed)

        groups = read(directory.source()).groups
        assert set(groups) == {kept}
        assert groups[kept].attributes[directory.group_name_attribute] == ["Research"]
        assert groups[kept].members == [bob]

    def test_a_group_in_a_group_is_a_subgroup(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        inner = directory.add_group("Inner", [ada])
        outer = directory.add_group("Outer", [bob], [inner])

        groups = read(directory.source()).groups

        assert (groups[outer].members, groups[outer].subgroups) == ([bob], [inner])
        assert (groups[inner].members, groups[inner].subgroups) == ([ada], [])
        assert not groups[outer].incomplete

    @pytest.mark.parametrize("length", [1, 2, 3])
    def test_groups_in_a_circle_are_read_as_they_are(self, directory: Directory, length: int) -> None:
        ada = directory.add_person("Ada", "ada@example.com")
        circle = [directory.add_group(f"Group {n}", [ada]) for n in range(length)]
        for n, group in enumerate(circle):
            directory.set_members(group, [ada], [circle[(n + 1) % length]])

        groups = read(directory.source()).groups

        assert {key: (entry.members, entry.subgroups) for key, entry in groups.items()} == {
            group: ([ada], [circle[(n + 1) % length]]) for n, group in enumerate(circle)
        }

    def test_evidence_counts_what_was_read(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        inner = directory.add_group("Inner", [ada])
        directory.add_group("Outer", [ada, bob], [inner])

        source, started = directory.source(), monotonic()
        evidence = read(source).evidence

        assert (evidence.users, evidence.groups, evidence.memberships, evidence.problems) == (2, 2, 4, 0)
        assert evidence.absence
        assert 0 < evidence.seconds <= monotonic() - started
        assert evidence.source

    @pytest.mark.parametrize("stage", ["nothing", "one user", "users", "one group"])
    def test_evidence_is_refused_before_the_end(self, directory: Directory, stage: str) -> None:
        people = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(3)]
        directory.add_group("One", people)
        directory.add_group("Two", people)
        with directory.source().pull(ALL) as pull:
            if stage == "one user":
                next(pull.users())
            elif stage != "nothing":
                list(pull.users())
            if stage == "one group":
                next(pull.groups())
            with pytest.raises(SourceError):
                pull.evidence()

    def test_who_was_read_is_there_and_who_was_removed_is_not(self, directory: Directory) -> None:
        crowd = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(self.people)]
        kept, removed = directory.add_group("Kept", crowd), directory.add_group("Removed", crowd)
        gone = crowd[::2]
        for key in gone:
            directory.remove_person(key)
        directory.remove_group(removed)
        with directory.source().pull(ALL) as pull:
            read_through(pull)
            found = pull.look_up([*crowd, kept, removed])
        assert found == {
            **dict.fromkeys(crowd, True),
            **dict.fromkeys(gone, False),
            kept: True,
            removed: False,
        }

    def test_every_key_that_is_asked_for_is_answered_and_no_other(self, directory: Directory) -> None:
        ada = directory.add_person("Ada", "ada@example.com")
        directory.add_group("Everyone", [ada])
        strange = ["", "*", " ", "\0", "\udcff", "x" * 5000, ")(uid=*", "00000000-0000-4000-8000-000000000001"]
        with directory.source().pull(ALL) as pull:
            read_through(pull)
            assert dict(pull.look_up([])) == {}
            found = pull.look_up([*strange, ada, ada])
        assert list(found) == [*strange, ada]
        assert found[ada] is True
        assert {found[key] for key in strange} <= {False, None}

    def test_looking_up_is_the_same_before_and_after_the_evidence(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        directory.add_group("Everyone", [ada])
        directory.remove_person(bob)
        with directory.source().pull(ALL) as pull:
            read_through(pull)
            before = pull.look_up([ada, bob])
            pull.evidence()
            after = pull.look_up([ada, bob])
        assert before == after == {ada: True, bob: False}

    @pytest.mark.parametrize("stage", ["nothing", "one user", "users", "one group"])
    def test_nobody_is_looked_up_before_everything_is_read(self, directory: Directory, stage: str) -> None:
        people = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(3)]
        directory.add_group("One", people)
        directory.add_group("Two", people)
        with directory.source().pull(ALL) as pull:
            if stage == "one user":
                next(pull.users())
            elif stage != "nothing":
                list(pull.users())
            if stage == "one group":
                next(pull.groups())
            with pytest.raises(SourceError):
                pull.look_up(people)

    def test_a_directory_that_breaks_off_after_the_reading_proves_nothing(self, directory: Directory) -> None:
        ada, bob = directory.add_person("Ada", "ada@example.com"), directory.add_person("Bob", "bob@example.com")
        directory.add_group("Everyone", [ada, bob])
        directory.remove_person(bob)
        with directory.source().pull(ALL) as pull:
            read_through(pull)
            directory.break_off()
            with pytest.raises(SourceError):
                pull.look_up([bob])

    def test_reading_twice_gives_the_same(self, directory: Directory) -> None:
        people = [directory.add_person(f"Person {n}", f"p{n}@example.com", [f"q{n}@example.com"]) for n in range(5)]
        directory.add_group("Outer", people, [directory.add_group("Inner", people[:2])])
        source = directory.source()
        first, second = read(source), read(source)
        assert (first.users, first.groups) == (second.users, second.groups)

    def test_two_readings_at_once_do_not_disturb_each_other(self, directory: Directory) -> None:
        people = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(5)]
        directory.add_group("Everyone", people)
        source = directory.source()
        with source.pull(ALL) as one, source.pull(ALL) as other:
            paired = list(zip(one.users(), other.users(), strict=True))
            assert len(paired) == 5
            assert [group.key for group in one.groups()] == [group.key for group in other.groups()]
            assert one.evidence().memberships == other.evidence().memberships == 5

    def test_a_directory_that_breaks_off_before_the_reading_is_refused(self, directory: Directory) -> None:
        people = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(5)]
        directory.add_group("Everyone", people)
        source = directory.source()
        directory.break_off()
        with pytest.raises(SourceError):
            read(source)

    @pytest.mark.parametrize("after_all_users", [False, True])
    def test_a_directory_that_breaks_off_during_the_reading_yields_no_evidence(
        self, directory: Directory, after_all_users: bool
    ) -> None:
        people = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(5)]
        directory.add_group("Everyone", people)
        with directory.source().pull(ALL) as pull:
            users = pull.users()
            next(users)
            if after_all_users:
                for _ in users:
                    pass
            directory.break_off()
            with pytest.raises(SourceError):
                finish(pull, users)
            with pytest.raises(SourceError):
                pull.evidence()

    def test_wanted_attributes_are_read(self, directory: Directory) -> None:
        ada = directory.add_person("Ada", "ada@example.com", aliases=["a@example.com"])
        group = directory.add_group("Engineering", [ada])
        wanted = Wanted(
            user=frozenset({directory.mail_attribute, directory.alias_attribute}),
            group=frozenset({directory.group_name_attribute}),
        )

        reading = read(directory.source(), wanted)

        assert reading.users[ada].attributes[directory.mail_attribute] == ["ada@example.com"]
        assert reading.users[ada].attributes[directory.alias_attribute] == ["a@example.com"]
        assert reading.groups[group].attributes[directory.group_name_attribute] == ["Engineering"]
        assert reading.groups[group].members == [ada]

    def test_an_attribute_that_the_directory_does_not_know_is_refused_by_name_or_absent(
        self, directory: Directory
    ) -> None:
        ada = directory.add_person("Ada", "ada@example.com")
        directory.add_group("Engineering", [ada])
        wanted = Wanted(user=frozenset({directory.mail_attribute, "nonesuch"}), group=frozenset())
        if self.refuses_unknown_attributes:
            with pytest.raises(SourceMismatch, match="nonesuch"):
                read(directory.source(), wanted)
        else:
            assert "nonesuch" not in read(directory.source(), wanted).users[ada].attributes

    @pytest.mark.parametrize("name", ["userPassword", "UNICODEPWD", "sambaNTPassword;x", "msLAPS-Password", "password"])
    @pytest.mark.parametrize("kind", ["user", "group"])
    def test_a_password_is_refused_by_name_whether_there_is_one_or_not(
        self, directory: Directory, name: str, kind: str
    ) -> None:
        directory.add_group("Everyone", [directory.add_person("Ada", "ada@example.com")])
        source, none = directory.source(), frozenset[str]()
        wanted = Wanted(frozenset({name}), none) if kind == "user" else Wanted(none, frozenset({name}))
        for attempt in (source.check, source.pull):
            with pytest.raises(SourceMismatch, match=f"`{name}`: what holds passwords or keys is never read"):
                attempt(wanted)

    @pytest.mark.parametrize("stage", ["nothing", "one user", "users", "one group", "evidence"])
    def test_closing_leaves_nothing_open(self, directory: Directory, stage: str) -> None:
        people = [directory.add_person(f"Person {n}", f"p{n}@example.com") for n in range(3)]
        directory.add_group("One", people)
        directory.add_group("Two", people)
        source = directory.source()
        before = open_handles()
        with source.pull(ALL) as pull:
            users, groups = pull.users(), pull.groups()
            if stage == "one user":
                next(users)
            elif stage != "nothing":
                list(users)
            if stage == "one group":
                next(groups)
            elif stage == "evidence":
                list(groups)
                pull.evidence()
        # `users` and `groups` are still referenced: it is leaving the pull that closes, not the collector.
        assert open_handles() == before
        del users, groups

    def test_checking_says_what_the_source_is_and_leaves_nothing_open(self, directory: Directory) -> None:
        directory.add_group("Everyone", [directory.add_person("Ada", "ada@example.com")])
        source = directory.source()
        before = open_handles()
        facts = source.check(ALL)
        assert facts
        assert all(label and text for label, text in facts.items())
        assert open_handles() == before

    def test_a_source_has_a_name_for_messages(self, directory: Directory) -> None:
        source = directory.source()
        assert source.name
        assert isinstance(source, Source)
