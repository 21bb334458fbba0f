"""Findings of a full resync are written where the snapshot still has the expected values, and nowhere else."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from itertools import count
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from syncd.core.digest import NO_MEMBERS
from syncd.core.drift import Drift, DriftClass, Reactions, group_drift, user_drift
from syncd.core.model import Flat, Kind, Known, KnownGroup, Observed, ObservedGroup, State
from syncd.core.ownership import Ownership
from syncd.store import Snapshot, StateFile
from tests.world import digest_of

ADA = Known("1001", "id-1", "ada", State.ACTIVE, {"userName": "ada", "title": "Countess", "active": True}, b"in line")
BOB = Known("1002", "id-2", "bob", State.ACTIVE, {"userName": "bob", "active": True}, b"in line")
DESIGN = KnownGroup("g", "id-g", "Design", {"displayName": "Design", "externalId": "g"}, NO_MEMBERS)
NESTED = KnownGroup("h", "id-h", "Nested", {"displayName": "Nested"}, NO_MEMBERS)


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    with StateFile(tmp_path / "syncd.db") as state:
        snapshot = state.snapshot("t")
        for user in (ADA, BOB):
            snapshot.put_user(user)
        for group in (DESIGN, NESTED):
            snapshot.put_group(group)
        snapshot.change_members("g", Kind.USER, ["1001"])
        snapshot.change_members("g", Kind.GROUP, ["h"])
        yield snapshot


def drift(class_: DriftClass, key: str, expected: Flat, found: Flat) -> Drift:
    kind = Kind.USER if class_.value.startswith("user") else Kind.GROUP
    return Drift(class_, kind, key, key, expected, found)


def everything(snapshot: Snapshot) -> object:
    return snapshot.users(["1001", "1002"]), snapshot.groups(), snapshot.members("g"), snapshot.members("h")


def test_a_deleted_user_is_lost_and_in_no_group(snapshot: Snapshot) -> None:
    assert snapshot.observe(drift(DriftClass.USER_DELETED, "1001", {"userName": "ada", "active": True}, {}))
    assert snapshot.user("1001") == replace(ADA, lost=True, digest=b"")
    assert snapshot.members("g") == (set(), {"h"})
    assert snapshot.groups()["g"].members_digest == digest_of([], ["h"])


def test_a_switched_off_user_is_looked_at_again(snapshot: Snapshot) -> None:
    assert snapshot.observe(drift(DriftClass.USER_ACTIVATION, "1001", {"active": True}, {"active": False}))
    assert snapshot.user("1001") == replace(ADA, digest=b"", attributes={**ADA.attributes, "active": False})


def test_an_edited_user_has_what_was_found(snapshot: Snapshot) -> None:
    found = {"userName": "ADA2@example.com", "title": None}
    assert snapshot.observe(drift(DriftClass.USER_ATTRIBUTES, "1001", {"userName": "ada", "title": "Countess"}, found))
    attributes = {"userName": "ADA2@example.com", "active": True}
    assert snapshot.user("1001") == replace(ADA, name="ADA2@example.com", digest=b"", attributes=attributes)
    assert snapshot.claimants(["ada", "ada2@example.com"]) == [("ada2@example.com", "1001", State.ACTIVE)]


def test_a_deleted_group_is_lost_with_members_and_memberships(snapshot: Snapshot) -> None:
    snapshot.change_members("h", Kind.GROUP, ["g"])
    assert snapshot.observe(drift(DriftClass.GROUP_DELETED, "g", {"displayName": "Design"}, {}))
    assert snapshot.groups() == {"g": replace(DESIGN, lost=True), "h": NESTED}
    assert snapshot.members("g") == snapshot.members("h") == (set(), set())


def test_a_renamed_group_has_the_name_that_was_found(snapshot: Snapshot) -> None:
    expected, found = {"displayName": "Design", "externalId": "g"}, {"displayName": "Art", "externalId": None}
    assert snapshot.observe(drift(DriftClass.GROUP_RENAMED, "g", expected, found))
    known = snapshot.groups()["g"]
    assert (known.name, known.attributes, known.id) == ("Art", {"displayName": "Art"}, "id-g")
    assert snapshot.members("g") == ({"1001"}, {"h"})


def test_members_are_as_they_were_found(snapshot: Snapshot) -> None:
    assert snapshot.observe(drift(DriftClass.MEMBER_ADDED, "g", {}, {"members": ["1002"]}))
    assert snapshot.observe(drift(DriftClass.MEMBER_REMOVED, "g", {"members": ["1001"], "groups": ["h"]}, {}))
    assert snapshot.members("g") == ({"1002"}, set())
    assert snapshot.groups()["g"].members_digest == digest_of(["1002"])


def test_members_who_came_or_went_meanwhile_are_passed_over_one_by_one(snapshot: Snapshot) -> None:
    assert not snapshot.observe(drift(DriftClass.MEMBER_ADDED, "g", {}, {"members": ["1001"], "groups": ["h"]}))
    assert not snapshot.observe(drift(DriftClass.MEMBER_REMOVED, "g", {"members": ["1002"], "groups": ["g"]}, {}))
    # Nobody that isn't linked (any more) is in a group.
    assert not snapshot.observe(drift(DriftClass.MEMBER_ADDED, "g", {}, {"members": ["stranger"]}))
    assert snapshot.observe(drift(DriftClass.MEMBER_ADDED, "g", {}, {"members": ["1001", "stranger", "1002"]}))
    assert snapshot.members("g") == ({"1001", "1002"}, {"h"})


@pytest.mark.parametrize(
    "stale",
    [
        drift(DriftClass.USER_DELETED, "1001", {"userName": "ada@old", "active": True}, {}),
        drift(DriftClass.USER_DELETED, "1001", {"userName": "ada", "active": False}, {}),
        drift(DriftClass.USER_ACTIVATION, "1001", {"active": False}, {"active": True}),
        drift(DriftClass.USER_ATTRIBUTES, "1001", {"userName": "ada", "title": "Dr"}, {"userName": "x", "title": "y"}),
        drift(DriftClass.USER_ATTRIBUTES, "1001", {"nickName": "Ada"}, {"nickName": "x"}),
        drift(DriftClass.GROUP_DELETED, "g", {"displayName": "Designers"}, {}),
        drift(DriftClass.GROUP_RENAMED, "g", {"displayName": "Designers"}, {"displayName": "Art"}),
    ],
)
def test_what_has_moved_since_is_left_alone(snapshot: Snapshot, stale: Drift) -> None:
    before = everything(snapshot)
    assert not snapshot.observe(stale)
    assert everything(snapshot) == before


@pytest.mark.parametrize("class_", DriftClass)
def test_nothing_is_written_about_the_unknown_or_lost(snapshot: Snapshot, class_: DriftClass) -> None:
    expected = {"members": ["1001"]} if class_ is DriftClass.MEMBER_REMOVED else {}
    found = {"members": ["1002"]} if class_ is DriftClass.MEMBER_ADDED else {"active": False}
    assert not snapshot.observe(drift(class_, "nobody", expected, found))
    snapshot.lose(Kind.USER, "1001")
    snapshot.lose(Kind.GROUP, "g")
    before = everything(snapshot)
    assert not snapshot.observe(drift(class_, "1001", expected, found))
    assert not snapshot.observe(drift(class_, "g", expected, found))
    assert everything(snapshot) == before


def test_who_never_was_said_to_be_active_is(snapshot: Snapshot) -> None:
    silent = Known("1003", "id-3", "eve", State.ACTIVE, {"userName": "eve"}, b"")
    snapshot.put_user(silent)
    seen = Observed("id-3", "eve", "", (), {"userName": "eve", "active": False})
    (only,) = user_drift(silent, seen, OF_USERS, Reactions())
    assert snapshot.observe(only)
    assert snapshot.user("1003") == replace(silent, attributes={"userName": "eve", "active": False})


@pytest.fixture(scope="module")
def shared(tmp_path_factory: pytest.TempPathFactory) -> Iterator[StateFile]:
    with StateFile(tmp_path_factory.mktemp("shared") / "syncd.db") as state:
        yield state


NUMBERS = count()
FLAT = st.fixed_dictionaries(
    {"userName": st.sampled_from(["ada", "Ada", "bob"])},
    optional={"title": st.sampled_from("xy"), "active": st.booleans(), "nickName": st.sampled_from("xy")},
)


@given(st.sampled_from([State.ACTIVE, State.DEACTIVATED]), FLAT, st.none() | FLAT)
def test_what_was_observed_of_a_user_drifts_no_more(
    shared: StateFile, state: State, acknowledged: Flat, there: Flat | None
) -> None:
    known = Known("1", "id-1", acknowledged["userName"], state, acknowledged, b"d")
    seen = there and Observed("id-1", there["userName"], "", (), there)
    with shared.atomic():
        snapshot = shared.snapshot(f"t{next(NUMBERS)}")
        snapshot.put_user(known)
        found = list(user_drift(known, seen or None, OF_USERS, Reactions()))
        assert [snapshot.observe(each) for each in found] == [True] * len(found)
        after = snapshot.user("1")
        assert after is not None
        assert after.lost is (seen is None)
        assert (after.digest == b"") is bool(found)
        assert seen is None or not list(user_drift(after, seen, OF_USERS, Reactions()))
        # What was seen once is not written twice.
        if seen is None:
            assert [snapshot.observe(each) for each in found] == [False]


OF_USERS = Ownership(frozenset({"userName", "title", "nickName", "active"}))
OF_GROUPS = Ownership(frozenset({"displayName", "externalId"}))
KEYS = st.sets(st.sampled_from("abcd"))


@given(KEYS, KEYS, KEYS, KEYS, st.sampled_from(["Design", "Art"]))
def test_what_was_observed_of_a_group_drifts_no_more(
    shared: StateFile, users: set[str], groups: set[str], users_there: set[str], groups_there: set[str], name: str
) -> None:
    with shared.atomic():
        snapshot = shared.snapshot(f"t{next(NUMBERS)}")
        for key in "abcd":
            snapshot.put_user(Known(key, f"id-{key}", key, State.ACTIVE, {}, b""))
            snapshot.put_group(KnownGroup(key, f"id-{key}", key, {}, NO_MEMBERS))
        snapshot.put_group(DESIGN)
        snapshot.change_members("g", Kind.USER, sorted(users))
        snapshot.change_members("g", Kind.GROUP, sorted(groups))
        seen = ObservedGroup("id-g", name, "g", {"externalId": "g"}, [])
        there = (users_there, groups_there)
        found = list(group_drift(DESIGN, snapshot.members("g"), seen, there, OF_GROUPS, Reactions()))
        assert [snapshot.observe(each) for each in found] == [True] * len(found)
        known = snapshot.groups()["g"]
        assert snapshot.members("g") == there
        assert known.members_digest == digest_of(*there)
        assert not list(group_drift(known, snapshot.members("g"), seen, there, OF_GROUPS, Reactions()))
