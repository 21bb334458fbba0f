"""A full resync works on a copy: it has the tables of a comparison, and no write reaches the state file."""

from __future__ import annotations

import sqlite3
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from pathlib import Path

import pytest

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Kind, Known, KnownGroup, Observed, ObservedGroup, State
from syncd.core.plan import Action, Change, Held, Plan
from syncd.errors import StateUnwritable
from syncd.store import Observation, StateFile, Stop, statefile
from tests.world import NOON, person

ADA = Known("1", "id-1", "ada", State.ACTIVE, {"userName": "ada"}, b"d")
DESIGN = KnownGroup("g", "id-g", "Design", {"displayName": "Design"}, NO_MEMBERS)
CHANGE = Change(Action.DEACTIVATE_USER, "1", "ada", {"active": True}, {"active": False}, "", State.DEACTIVATED)
PLAN = Plan("t", "sync", NOON, 0, (), held=(Held(CHANGE, "deactivate", "too many"),))


def fill(state: StateFile) -> None:
    with state.atomic():
        snapshot = state.snapshot("t")
        snapshot.put_user(ADA)
        snapshot.put_group(DESIGN)
        snapshot.change_members("g", Kind.USER, ["1"])
        snapshot.discover({"patch": True})
        snapshot.set_stop(Stop("gone", "nobody is there", NOON))
        snapshot.bump()
        snapshot.stage_entries([person("1")])
        snapshot.keep_staged(NOON)
        state.holds("t").refresh(PLAN, NOON)
        state.quarantine("t").failed(CHANGE, 400, "bad", NOON)
        journal = state.journal("t")
        journal.end(journal.begin(PLAN, NOON), NOON, 0, 0.0, "")


@pytest.fixture(params=["syncd.db", "a b%41?mode=rw#ü.db"])
def state(tmp_path: Path, request: pytest.FixtureRequest) -> Iterator[StateFile]:
    with StateFile(tmp_path / request.param) as state:
        fill(state)
        yield state


def test_the_copy_has_all_that_a_comparison_reads(state: StateFile) -> None:
    state.snapshot("other").put_user(ADA)
    with state.scratch() as scratch:
        assert scratch.path == state.path
        assert scratch.targets() == ["other", "t"]
        snapshot = scratch.snapshot("t")
        assert snapshot.user("1") == ADA
        assert snapshot.row_summaries(["1"]) == state.snapshot("t").row_summaries(["1"])
        assert snapshot.groups() == state.snapshot("t").groups()
        assert snapshot.members("g") == ({"1"}, set())
        assert (snapshot.serial, snapshot.discovery) == (1, {"patch": True})
        assert snapshot.stop == Stop("gone", "nobody is there", NOON)
        assert scratch.holds("t").all() == state.holds("t").all() != []
        assert scratch.quarantine("t").all() == state.quarantine("t").all() != []
        assert scratch.snapshot("other").user("1") == ADA
        # Of people's data no more than is needed.
        assert snapshot.entry("1") is None
        assert scratch.journal("t").heads(1) == []


def test_what_is_written_to_the_copy_never_reaches_the_file(state: StateFile) -> None:
    def content() -> dict[str, bytes]:  # without the index that readers leave their marks in
        return {path.name: path.read_bytes() for path in state.path.parent.iterdir() if path.suffix != ".db-shm"}

    before = content()
    with state.scratch() as scratch, scratch.atomic():
        snapshot = scratch.snapshot("t")
        snapshot.lose(Kind.USER, "1")
        snapshot.put_user(replace(ADA, key="2", id="id-2"))
        snapshot.bump()
        scratch.holds("t").spend(CHANGE.id)
        scratch.snapshot("new target")
        scratch.observation("t").put_users([Observed("id-9", "x", "", (), {})])
    assert content() == before
    assert state.snapshot("t").user("1") == ADA
    assert state.targets() == ["t"]


def test_the_file_cannot_be_reached_through_the_copy(state: StateFile) -> None:
    with state.scratch() as scratch:
        databases = scratch.db.conn.execute("PRAGMA database_list").fetchall()
        assert [(name, file) for _, name, file in databases if name != "temp"] == [("main", "")]


def test_the_file_goes_on_while_there_is_a_copy(state: StateFile) -> None:
    with state.scratch() as scratch:
        with state.atomic():
            state.snapshot("t").put_user(replace(ADA, name="renamed"))
        assert scratch.snapshot("t").user("1") == ADA
        assert state.snapshot("t").user("1") == replace(ADA, name="renamed")


def test_the_copy_is_of_one_moment(state: StateFile, monkeypatch: pytest.MonkeyPatch) -> None:
    """Another process may write while the tables are copied one after the other."""

    def meanwhile() -> Iterator[str]:
        for table in ("targets", "users", "groups", "members"):
            yield table
            with StateFile(state.path) as other, other.atomic():
                other.snapshot("t").forget_user("1")

    monkeypatch.setattr(statefile, "_COMPARED", meanwhile())
    with state.scratch() as scratch:
        assert scratch.snapshot("t").user("1") == ADA
        assert scratch.snapshot("t").members("g") == ({"1"}, set())
    assert state.snapshot("t").user("1") is None


def test_all_or_nothing_holds_in_the_copy_too(state: StateFile) -> None:
    with state.scratch() as scratch:
        with suppress(ZeroDivisionError), scratch.atomic():
            scratch.snapshot("t").lose(Kind.USER, "1")
            assert 1 / 0
        assert scratch.snapshot("t").user("1") == ADA


def test_the_copy_is_gone_with_its_block(state: StateFile) -> None:
    with pytest.raises(ZeroDivisionError), state.scratch() as scratch:
        assert 1 / 0
    with pytest.raises(sqlite3.ProgrammingError, match="closed"):
        scratch.targets()


def test_a_file_that_went_away_is_named(state: StateFile) -> None:
    state.path.unlink()
    with pytest.raises(StateUnwritable) as error, state.scratch():
        pass
    assert str(state.path) in str(error.value)


# -- the observation ---------------------------------------------------------------------------------


@pytest.fixture
def observation(state: StateFile) -> Iterator[Observation]:
    with state.scratch() as scratch:
        yield scratch.observation("t")


LOVELACE = Observed("id-1", "Ada@Example.com", "1001", ("ada@work.example", "Straße@home.example"), {"active": True})
TURING = Observed("id-2", "alan", "", (), {"userName": "alan", "active": False})


def test_who_was_observed_is_found_again(observation: Observation) -> None:
    observation.put_users(iter([LOVELACE, TURING]))
    assert observation.users(["id-1", "id-2", "id-3"]) == {"id-1": LOVELACE, "id-2": TURING}
    assert observation.count(Kind.USER) == 2
    assert observation.count(Kind.GROUP) == 0


@pytest.mark.parametrize(
    ("by", "value", "found"),
    [
        ("externalId", "1001", [LOVELACE]),
        ("externalId", "", []),
        ("userName", "ADA@example.COM", [LOVELACE]),
        ("userName", "ada@work.example", []),
        ("e-mail", "ADA@work.example", [LOVELACE]),
        ("e-mail", "STRASSE@HOME.EXAMPLE", [LOVELACE]),
        ("e-mail", "ada@example.com", []),
        ("e-mail", "", []),
    ],
)
def test_an_account_is_found_by_attribute(observation: Observation, by: str, value: str, found: list[Observed]) -> None:
    observation.put_users([LOVELACE, TURING])
    assert observation.find_users(by, value) == found  # type: ignore[arg-type]


def test_an_external_id_has_its_own_case(observation: Observation) -> None:
    observation.put_users([replace(LOVELACE, external_id="abc")])
    assert observation.find_users("externalId", "ABC") == []


def test_all_accounts_with_one_address_are_found(observation: Observation) -> None:
    twin = replace(LOVELACE, id="id-0", external_id="")
    observation.put_users([LOVELACE, twin])
    assert observation.find_users("e-mail", "ada@work.example") == [twin, LOVELACE]
    assert observation.find_users("userName", "ada@example.com") == [twin, LOVELACE]


def test_what_is_listed_twice_is_there_once_as_it_was_last(observation: Observation) -> None:
    newer = replace(LOVELACE, name="ada2", emails=("new@work.example",), external_id="")
    observation.put_users([LOVELACE, newer])
    observation.put_users([newer])
    assert observation.count(Kind.USER) == 1
    assert observation.users(["id-1"]) == {"id-1": newer}
    assert observation.find_users("e-mail", "ada@work.example") == []
    assert observation.find_users("e-mail", "new@work.example") == [newer]
    assert observation.find_users("externalId", "1001") == []


def test_a_group_that_does_not_show_members_is_not_an_empty_one(observation: Observation) -> None:
    groups = [
        ObservedGroup("id-g", "Design", "g", {"displayName": "Design (SCIM)"}, ["id-1", "id-2"]),
        ObservedGroup("id-h", "Art", "", {}, []),
        ObservedGroup("id-i", "art", "", {}, None),
    ]
    observation.put_groups([replace(groups[0], name="older"), *groups])
    assert observation.groups(["id-g", "id-h", "id-i", "no"]) == {each.id: each for each in groups}
    assert observation.count(Kind.GROUP) == 3
    assert observation.find_groups("displayName", "Art") == [groups[1]]
    assert observation.find_groups("displayName", "older") == []
    assert observation.find_groups("externalId", "g") == [groups[0]]
    assert observation.find_groups("externalId", "") == []


def test_targets_are_observed_apart(state: StateFile) -> None:
    with state.scratch() as scratch:
        scratch.observation("t").put_users([LOVELACE])
        assert scratch.observation("other").find_users("e-mail", "ada@work.example") == []
        assert scratch.observation("t").users(["id-1"]) == {"id-1": LOVELACE}


def test_more_than_a_batch_is_taken_in(observation: Observation) -> None:
    observation.put_users(replace(TURING, id=f"i{number}") for number in range(2_300))
    ids = [f"i{number}" for number in range(2_300)]
    assert observation.count(Kind.USER) == 2_300
    assert observation.users(ids).keys() == set(ids)
