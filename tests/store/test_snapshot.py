"""The snapshot: written rows are read back unchanged, and a group's digest always stands for its members."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, Known, KnownGroup, State
from syncd.store import Snapshot, StateFile, Stop
from tests.world import NOON, digest_of

ADA = Known(
    "1001",
    "id-1",
    "Ada@Example.com",
    State.ACTIVE,
    {"userName": "Ada@Example.com", 'emails[type eq "work"].value': "ada@work.example", "active": True},
    b"\x00digest",
)
BOB = Known(
    "1002",
    "id-2",
    "bob",
    State.PENDING,
    {
        "userName": "bob",
        "emails": [{"value": "bob@work.example"}, {"value": "bob@home.example"}],
        'phoneNumbers[type eq "work"].value': "1001",
        "active": False,
    },
    b"",
    accepted=False,
    missing_since=NOON,
)
ZOE = Known("ZOË", "id-3", "zoë", State.DEACTIVATED, {"userName": "zoë", "active": False}, b"d")


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def snapshot(state: StateFile) -> Snapshot:
    snapshot = state.snapshot("t")
    for user in (ADA, BOB, ZOE):
        snapshot.put_user(user)
    return snapshot


def test_users_come_back_as_they_were_written(snapshot: Snapshot) -> None:
    assert snapshot.users(["1001", "1002", "ZOË", "nobody"]) == {"1001": ADA, "1002": BOB, "ZOË": ZOE}
    assert snapshot.user("1002") == BOB
    assert snapshot.user("nobody") is None
    assert snapshot.counts() == {State.ACTIVE: 1, State.PENDING: 1, State.DEACTIVATED: 1}


def test_writing_a_user_again_replaces_everything_but_the_place(snapshot: Snapshot) -> None:
    ref = snapshot.row_summaries(["1001"])["1001"].ref
    changed = Known("1001", "id-9", "ada", State.DEACTIVATED, {"userName": "ada"}, b"x", False, NOON)
    snapshot.put_user(changed)
    assert snapshot.user("1001") == changed
    assert snapshot.row_summaries(["1001"])["1001"].ref == ref


def test_a_glance_is_enough_to_pass_over_the_unchanged(snapshot: Snapshot) -> None:
    row_summaries = snapshot.row_summaries(["1001", "1002", "nobody"])
    assert {key: (row_summary.digest, bool(row_summary.missing)) for key, row_summary in row_summaries.items()} == {
        "1001": (b"\x00digest", False),
        "1002": (b"", True),
    }
    assert len({row_summary.ref for row_summary in row_summaries.values()}) == 2
    assert max(row_summary.ref for row_summary in row_summaries.values()) <= snapshot.highest_ref()


def test_more_keys_than_a_statement_can_take_are_looked_up(state: StateFile, snapshot: Snapshot) -> None:
    with state.atomic():
        for number in range(1_201):
            snapshot.put_user(replace(ADA, key=f"k{number}", id=f"i{number}"))
    keys = [f"k{number}" for number in range(1_201)]
    assert set(snapshot.users(keys)) == set(snapshot.row_summaries(keys)) == set(keys)
    assert snapshot.ids(Kind.USER, keys) == {f"k{number}": f"i{number}" for number in range(1_201)}
    assert {user.key for user in snapshot.unseen(bytearray(snapshot.highest_ref() + 1))} >= set(keys)


def test_ids_and_keys_belong_together_by_kind(snapshot: Snapshot) -> None:
    snapshot.put_group(KnownGroup("1001", "id-g", "Design", {}, NO_MEMBERS))
    assert snapshot.ids(Kind.USER, ["1001", "nobody"]) == {"1001": "id-1"}
    assert snapshot.ids(Kind.GROUP, ["1001", "nobody"]) == {"1001": "id-g"}
    assert snapshot.key_of(Kind.USER, "id-1") == "1001"
    assert snapshot.key_of(Kind.GROUP, "id-g") == "1001"
    assert snapshot.key_of(Kind.USER, "id-g") is None


@pytest.mark.parametrize(
    ("who", "found"),
    [
        ("1001", [ADA]),
        ("ada@example.com", [ADA]),
        ("ADA@WORK.EXAMPLE", [ADA]),
        ("bob", [BOB]),
        ("Bob@Home.example", [BOB]),
        ("bob@work.example", [BOB]),
        ("ZOË", [ZOE]),
        ("Zoë", [ZOE]),
        # A key is exact; a telephone number is no address.
        ("zoË2", []),
        ("example.com", []),
        ("%", []),
        ("", []),
    ],
)
def test_people_are_found_by_key_user_name_or_address(snapshot: Snapshot, who: str, found: list[Known]) -> None:
    assert snapshot.find(who) == found


def test_a_key_is_found_in_its_own_case_alone(snapshot: Snapshot) -> None:
    snapshot.put_user(replace(ADA, key="abc", id="x", name="x", attributes={}))
    assert [user.key for user in snapshot.find("abc")] == ["abc"]
    assert snapshot.find("ABC") == []


def test_everybody_who_was_not_seen_is_yielded(state: StateFile, snapshot: Snapshot) -> None:
    state.snapshot("other").put_user(ADA)
    seen = bytearray(snapshot.highest_ref() + 1)
    assert list(snapshot.unseen(seen)) == [ADA, BOB, ZOE]
    seen[snapshot.row_summaries(["1002"])["1002"].ref] = 1
    assert list(snapshot.unseen(seen)) == [ADA, ZOE]


def test_settling_touches_nothing_but_the_digest(snapshot: Snapshot) -> None:
    snapshot.put_digests({"1002": b"new", "nobody": b"x"})
    assert snapshot.user("1002") == replace(BOB, digest=b"new")
    assert snapshot.user("1001") == ADA
    assert snapshot.user("nobody") is None


def test_the_first_moment_that_somebody_was_missing_counts(snapshot: Snapshot) -> None:
    later = NOON + timedelta(hours=1)
    snapshot.note_missing(Kind.USER, {"1001": later, "1002": later}, back=[])
    assert snapshot.user("1001") == replace(ADA, missing_since=later)
    assert snapshot.user("1002") == replace(BOB, missing_since=NOON)
    snapshot.note_missing(Kind.USER, {}, back=["1001"])
    assert snapshot.user("1001") == ADA
    assert snapshot.user("1002") == replace(BOB, missing_since=NOON)


def test_missing_groups_are_other_than_missing_people(snapshot: Snapshot) -> None:
    group = KnownGroup("1001", "id-g", "Design", {"displayName": "Design"}, NO_MEMBERS)
    snapshot.put_group(group)
    snapshot.note_missing(Kind.GROUP, {"1001": NOON}, back=[])
    assert snapshot.group("1001") == replace(group, missing_since=NOON)
    assert snapshot.user("1001") == ADA
    # An update of the group is no sign of life in the source.
    snapshot.put_group(replace(group, name="Design EU"))
    assert snapshot.groups() == {"1001": replace(group, name="Design EU", missing_since=NOON)}


def test_two_people_cannot_have_one_account(snapshot: Snapshot) -> None:
    with pytest.raises(sqlite3.IntegrityError):
        snapshot.put_user(replace(ADA, key="another"))


def test_discovery_is_remembered(snapshot: Snapshot) -> None:
    assert snapshot.discovery == {}
    snapshot.discover({"patch": False})
    assert snapshot.discovery == {"patch": False}


def test_what_everything_was_in_line_with_is_remembered(state: StateFile, snapshot: Snapshot) -> None:
    assert snapshot.mark == b""
    snapshot.set_mark(b"\x00mark")
    assert snapshot.mark == b"\x00mark"
    assert state.snapshot("other").mark == b""


def test_how_much_the_source_had_is_remembered(state: StateFile, snapshot: Snapshot) -> None:
    assert snapshot.source_counts == {}
    snapshot.set_source_counts({"users": 3, "groups": 0})
    assert snapshot.source_counts == {"users": 3, "groups": 0}
    assert state.snapshot("other").source_counts == {}


def test_a_stopped_target_is_remembered_until_it_goes_on(state: StateFile, snapshot: Snapshot) -> None:
    assert snapshot.stop is None
    for stop in (Stop("gone", "none of 40 is there", NOON), Stop("refused", "401", NOON + timedelta(hours=1))):
        snapshot.set_stop(stop)
        assert snapshot.stop == stop
    assert state.snapshot("other").stop is None
    snapshot.set_stop(None)
    assert snapshot.stop is None


def test_the_serial_rises(snapshot: Snapshot) -> None:
    before = snapshot.serial
    snapshot.bump()
    snapshot.bump()
    assert snapshot.serial == before + 2


def group(key: str) -> KnownGroup:
    return KnownGroup(key, f"id-{key}", key, {"displayName": key}, NO_MEMBERS)


def check_digests(snapshot: Snapshot) -> None:
    for key, known in snapshot.groups().items():
        assert known.members_digest == digest_of(*snapshot.members(key))


def test_members_come_and_go(snapshot: Snapshot) -> None:
    snapshot.put_group(group("g"))
    snapshot.put_group(group("h"))
    snapshot.change_members("g", Kind.USER, ["1", "2", "2"])
    snapshot.change_members("g", Kind.GROUP, ["1", "h"])
    snapshot.change_members("h", Kind.USER, ["9"])
    assert snapshot.members("g") == ({"1", "2"}, {"1", "h"})
    assert snapshot.count_members() == 5
    snapshot.change_members("g", Kind.USER, ["3", "1"], ["2", "2", "nobody"])
    assert snapshot.members("g") == ({"1", "3"}, {"1", "h"})
    check_digests(snapshot)
    snapshot.put_group(replace(group("g"), name="renamed"))
    assert snapshot.members("g") == ({"1", "3"}, {"1", "h"})
    check_digests(snapshot)


def test_what_comes_or_goes_twice_changes_nothing(snapshot: Snapshot) -> None:
    snapshot.put_group(group("g"))
    for _ in range(2):
        snapshot.change_members("g", Kind.USER, ["1"])
    assert snapshot.groups()["g"].members_digest == digest_of(["1"])
    for _ in range(2):
        snapshot.change_members("g", Kind.USER, removed=["1"])
    assert snapshot.groups()["g"].members_digest == NO_MEMBERS


def test_a_forgotten_user_leaves_every_group(state: StateFile, snapshot: Snapshot) -> None:
    for key in ("g", "h"):
        snapshot.put_group(group(key))
        snapshot.change_members(key, Kind.USER, ["1001", "1002"])
    snapshot.change_members("g", Kind.GROUP, ["1001"])
    state.snapshot("other").put_group(group("g"))
    state.snapshot("other").change_members("g", Kind.USER, ["1001"])

    snapshot.forget_user("1001")

    assert snapshot.user("1001") is None
    assert snapshot.members("g") == ({"1002"}, {"1001"})
    assert snapshot.members("h") == ({"1002"}, set())
    check_digests(snapshot)
    assert state.snapshot("other").members("g") == ({"1001"}, set())


def test_a_forgotten_group_takes_its_members_and_its_own_memberships_along(snapshot: Snapshot) -> None:
    for key in ("g", "h", "1001"):
        snapshot.put_group(group(key))
    snapshot.change_members("g", Kind.GROUP, ["h", "1001"])
    snapshot.change_members("g", Kind.USER, ["1001"])
    snapshot.change_members("1001", Kind.USER, ["1002"])

    snapshot.forget_group("1001")

    assert snapshot.group("1001") is None
    assert snapshot.members("1001") == (set(), set())
    assert snapshot.members("g") == ({"1001"}, {"h"})
    check_digests(snapshot)


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFile]:
    """One state file for all the examples of a property: each takes a target of its own."""
    with StateFile(tmp_path_factory.mktemp("shared") / "syncd.db") as state:
        yield state


NUMBERS = count()
MEMBERS = st.lists(st.sampled_from("abcdef"), max_size=4)
STEPS = st.lists(st.tuples(st.sampled_from("gh"), st.sampled_from(Kind), MEMBERS, MEMBERS), max_size=8)


@given(STEPS)
def test_the_digest_keeps_step_with_the_members_whatever_comes_and_goes(
    shared: StateFile, steps: list[tuple[str, Kind, list[str], list[str]]]
) -> None:
    with shared.atomic():
        snapshot = shared.snapshot(f"t{next(NUMBERS)}")
        expected: dict[str, tuple[set[str], set[str]]] = {key: (set(), set()) for key in "gh"}
        for key in expected:
            snapshot.put_group(group(key))
        for key, kind, added, removed in steps:
            removed = [each for each in removed if each not in added]
            snapshot.change_members(key, kind, added, removed)
            held = expected[key][0 if kind is Kind.USER else 1]
            held |= set(added)
            held -= set(removed)
            assert snapshot.members(key) == expected[key]
            check_digests(snapshot)
