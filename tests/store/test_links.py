"""Links between keys and accounts: owners of addresses, lost accounts, and handovers."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from dataclasses import replace
from datetime import timedelta, timezone
from pathlib import Path

import pytest

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, Known, KnownGroup, State
from syncd.store import Snapshot, StateFile
from tests.world import NOON, WORK_MAIL, digest_of

ADA = Known(
    "1001",
    "id-1",
    "Ada@Example.com",
    State.ACTIVE,
    {"userName": "Ada@Example.com", WORK_MAIL: "Ada.L@work.example", "active": True},
    b"\x00digest",
    since=NOON,
)
BOB = Known(
    "1002",
    "id-2",
    "bob",
    State.PENDING,
    {"userName": "bob", "emails": [{"value": "bob@work.example"}, {"value": "bob@home.example"}], "active": False},
    b"",
    accepted=False,
)
ZOE = Known("1003", "id-3", "STRASSE", State.DEACTIVATED, {"userName": "STRASSE"}, b"d", since=NOON)


@pytest.fixture
def state(tmp_path: Path) -> Iterator[StateFile]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state


@pytest.fixture
def snapshot(state: StateFile) -> Snapshot:
    snapshot = state.snapshot("t")
    for user in (ADA, BOB, ZOE):
        snapshot.put_user(user)
    for key in "gh":
        snapshot.put_group(group(key))
    return snapshot


def group(key: str) -> KnownGroup:
    return KnownGroup(key, f"id-{key}", key, {"displayName": key}, NO_MEMBERS)


def check_digests(snapshot: Snapshot) -> None:
    for key, known in snapshot.groups().items():
        assert known.members_digest == digest_of(*snapshot.members(key))


def test_a_lost_account_has_no_id_but_its_key_is_remembered(snapshot: Snapshot) -> None:
    snapshot.put_user(replace(ADA, lost=True))
    snapshot.put_group(replace(group("g"), lost=True))
    assert snapshot.user("1001") == replace(ADA, lost=True)
    assert snapshot.group("g") == replace(group("g"), lost=True)
    assert snapshot.ids(Kind.USER, ["1001", "1002", "nobody"]) == {"1002": "id-2"}
    assert snapshot.ids(Kind.GROUP, ["g", "h"]) == {"h": "id-h"}
    assert snapshot.keys_of(Kind.USER, ["id-1", "id-2", "id-g", "no"]) == {"id-1": "1001", "id-2": "1002"}
    assert snapshot.keys_of(Kind.GROUP, ["id-g"]) == {"id-g": "g"}
    assert snapshot.key_of(Kind.USER, "id-1") == "1001"
    snapshot.put_user(replace(ADA, id="id-new"))
    assert snapshot.ids(Kind.USER, ["1001"]) == {"1001": "id-new"}
    assert snapshot.key_of(Kind.USER, "id-1") is None


def test_more_ids_than_a_statement_can_take_are_looked_up(state: StateFile, snapshot: Snapshot) -> None:
    with state.atomic():
        for number in range(1_201):
            snapshot.put_user(replace(ADA, key=f"k{number}", id=f"i{number}", name=f"U{number}", attributes={}))
    ids = [f"i{number}" for number in range(1_201)]
    assert snapshot.keys_of(Kind.USER, ids) == {f"i{number}": f"k{number}" for number in range(1_201)}
    claimants = snapshot.claimants([f"u{number}" for number in range(1_201)])
    assert sorted(claimants) == sorted((f"u{number}", f"k{number}", State.ACTIVE) for number in range(1_201))


def test_who_is_lost_leaves_every_group(snapshot: Snapshot) -> None:
    for key in "gh":
        snapshot.change_members(key, Kind.USER, ["1001", "1002"])
    snapshot.lose(Kind.USER, "1001")
    assert snapshot.user("1001") == replace(ADA, lost=True, digest=b"")
    assert snapshot.members("g") == snapshot.members("h") == ({"1002"}, set())
    check_digests(snapshot)


def test_a_lost_group_loses_its_members_and_starts_anew_without_them(snapshot: Snapshot) -> None:
    snapshot.change_members("g", Kind.USER, ["1001", "1002"])
    snapshot.change_members("h", Kind.GROUP, ["g"])
    snapshot.lose(Kind.GROUP, "g")
    assert snapshot.group("g") == replace(group("g"), lost=True)
    assert snapshot.members("g") == snapshot.members("h") == (set(), set())
    check_digests(snapshot)
    snapshot.put_group(replace(group("g"), id="id-new"))
    assert snapshot.group("g") == replace(group("g"), id="id-new")


def test_losing_concerns_one_target_and_one_kind(state: StateFile, snapshot: Snapshot) -> None:
    other = state.snapshot("other")
    other.put_user(replace(ADA, key="g"))
    other.put_group(group("g"))
    snapshot.lose(Kind.GROUP, "g")
    assert other.group("g") == group("g")
    assert other.user("g") == replace(ADA, key="g")


@pytest.mark.parametrize(
    ("addresses", "found"),
    [
        (["ada@example.com"], [("ada@example.com", "1001", State.ACTIVE)]),
        (["ada.l@work.example"], [("ada.l@work.example", "1001", State.ACTIVE)]),
        (["bob", "bob@work.example"], [("bob", "1002", State.PENDING), ("bob@work.example", "1002", State.PENDING)]),
        # Only the first e-mail is a claim; what is asked for is folded already; nobody claims nothing.
        (["bob@home.example"], []),
        (["Ada@Example.com"], []),
        ([""], []),
        # Folded as Python folds, not as SQLite does.
        (["strasse"], [("strasse", "1003", State.DEACTIVATED)]),
    ],
)
def test_an_address_is_claimed_by_user_name_or_first_email(
    snapshot: Snapshot, addresses: list[str], found: list[tuple[str, str, State]]
) -> None:
    assert sorted(snapshot.claimants(addresses)) == found


def test_one_address_in_both_places_is_one_claim(snapshot: Snapshot) -> None:
    moved = replace(ADA, name="a@x", attributes={"userName": "a@x", WORK_MAIL: "A@X"}, since=NOON + timedelta(hours=1))
    snapshot.put_user(moved)
    assert snapshot.user("1001") == moved
    assert snapshot.claimants({"a@x"}) == [("a@x", "1001", State.ACTIVE)]
    assert snapshot.claimants(["ada@example.com", "ada.l@work.example"]) == []


def test_who_is_lost_claims_nothing(state: StateFile, snapshot: Snapshot) -> None:
    state.snapshot("other").put_user(BOB)
    snapshot.lose(Kind.USER, "1002")
    assert snapshot.claimants(["bob", "bob@work.example"]) == []


def test_people_are_looked_up_by_index_and_only_else_one_by_one(snapshot: Snapshot) -> None:
    steps: list[str] = []
    snapshot._conn.set_trace_callback(steps.append)
    assert snapshot.find("ADA.L@WORK.EXAMPLE") == [ADA]
    assert len(steps) == 1
    assert snapshot.find("BOB@HOME.EXAMPLE") == [BOB]
    assert len(steps) > 2
    plan = snapshot._conn.execute(f"EXPLAIN QUERY PLAN {steps[0]}").fetchall()
    assert not [row for row in plan if "SCAN users" in row[3]]


def test_a_second_email_is_found_whatever_its_characters(snapshot: Snapshot) -> None:
    odd = replace(BOB, attributes={"emails": [{"value": "b@x"}, {"value": 'Ø"Straße\\@Home.Example'}]})
    snapshot.put_user(odd)
    assert snapshot.find('ø"STRASSE\\@home.example') == [odd]
    assert snapshot.find("home.example") == []
    assert snapshot.find("value") == []


def test_everybody_whom_an_address_may_mean_is_found(snapshot: Snapshot) -> None:
    twin = replace(ADA, key="1004", id="id-4", name="x", attributes={WORK_MAIL: "ada@example.com"})
    snapshot.put_user(twin)
    namesake = replace(ADA, key="ada@example.com", id="id-5", name="y", attributes={})
    snapshot.put_user(namesake)
    assert snapshot.find("ada@example.com") == [ADA, twin, namesake]


def test_everybody_comes_in_batches_while_rows_are_written(state: StateFile, snapshot: Snapshot) -> None:
    state.snapshot("other").put_user(ADA)
    with state.atomic():
        for number in range(2_100):
            snapshot.put_user(replace(ADA, key=f"k{number}", id=f"i{number}"))
    keys: list[str] = []
    sizes = []
    for batch in snapshot.all_users():
        sizes.append(len(batch))
        with state.atomic():
            for user in batch:
                keys.append(user.key)
                snapshot.put_user(replace(user, digest=b"new", name="renamed"))
    assert sizes == [1000, 1000, 103]
    assert keys == ["1001", "1002", "1003", *(f"k{number}" for number in range(2_100))]


def test_the_invited_are_known(state: StateFile, snapshot: Snapshot) -> None:
    state.snapshot("other").put_user(replace(ADA, state=State.PENDING))
    assert snapshot.pending_keys() == ["1002"]


@pytest.mark.parametrize(("hours", "found"), [(-1, []), (0, ["1003"]), (1, ["1003"])])
def test_who_has_been_switched_off_for_long_is_found(snapshot: Snapshot, hours: int, found: list[str]) -> None:
    snapshot.put_user(replace(ZOE, key="1004", id="id-4", since=None))
    snapshot.put_user(replace(ZOE, key="1005", id="id-5", lost=True))
    moment = (NOON + timedelta(hours=hours)).astimezone(timezone(timedelta(hours=9)))
    assert [user.key for user in snapshot.deactivated_before(moment)] == found


def test_moments_of_every_zone_are_compared_as_moments(snapshot: Snapshot) -> None:
    tokyo = timezone(timedelta(hours=9))
    snapshot.put_user(replace(ZOE, since=NOON.astimezone(tokyo)))
    assert snapshot.user("1003") == ZOE
    assert [user.key for user in snapshot.deactivated_before(NOON)] == ["1003"]


def test_the_groups_of_a_person_are_counted(state: StateFile, snapshot: Snapshot) -> None:
    snapshot.change_members("g", Kind.USER, ["1001", "1002"])
    snapshot.change_members("h", Kind.USER, ["1001"])
    snapshot.change_members("h", Kind.GROUP, ["1002", "g"])
    state.snapshot("other").change_members("g", Kind.USER, ["1002", "1003"])
    assert snapshot.groups_of(["1001", "1002", "1003", "nobody"]) == {"1001": 2, "1002": 1, "1003": 0, "nobody": 0}
    assert snapshot.groups_of([]) == {}


@pytest.mark.parametrize(("seen", "active"), [(True, True), (False, False)])
def test_who_accepted_is_looked_at_again(snapshot: Snapshot, seen: bool, active: bool) -> None:
    snapshot.put_user(replace(BOB, digest=b"in line"))
    snapshot.accept("1002", seen=seen)
    assert snapshot.user("1002") == replace(BOB, accepted=True, attributes={**BOB.attributes, "active": active})
    snapshot.accept("nobody", seen=seen)
    assert snapshot.user("nobody") is None


def test_an_account_goes_over_to_another_key_with_its_groups(snapshot: Snapshot) -> None:
    ref = snapshot.row_summaries(["1003"])["1003"].ref
    snapshot.change_members("g", Kind.USER, ["1003", "1001"])
    snapshot.change_members("h", Kind.USER, ["1003"])
    hired = Known("2003", "id-3", "zoe", State.ACTIVE, {"userName": "zoe", "active": True}, b"n", since=NOON)
    snapshot.rekey_user("1003", hired)
    assert snapshot.user("1003") is None
    assert snapshot.user("2003") == hired
    assert snapshot.row_summaries(["2003"])["2003"].ref == ref
    assert snapshot.members("g") == ({"2003", "1001"}, set())
    assert snapshot.members("h") == ({"2003"}, set())
    check_digests(snapshot)
    assert snapshot.claimants(["strasse", "zoe"]) == [("zoe", "2003", State.ACTIVE)]


def test_who_takes_an_account_over_has_no_other(state: StateFile, snapshot: Snapshot) -> None:
    snapshot.put_user(replace(ADA, lost=True))
    snapshot.rekey_user("1003", replace(ADA, id="id-3"))
    assert snapshot.users(["1001", "1003"]) == {"1001": replace(ADA, id="id-3")}
    with pytest.raises(sqlite3.IntegrityError), state.atomic():
        snapshot.rekey_user("1002", replace(ADA, id="id-2"))
    assert snapshot.users(["1001", "1002"]) == {"1001": replace(ADA, id="id-3"), "1002": BOB}


def test_an_acceptance_that_comes_too_late_brings_nobody_back(snapshot: Snapshot) -> None:
    gone = replace(BOB, state=State.DEACTIVATED, attributes={**BOB.attributes, "active": False})
    snapshot.put_user(gone)
    snapshot.accept(gone.key, seen=True)
    assert snapshot.user(gone.key) == gone
