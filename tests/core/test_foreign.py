"""Foreign members in drift and changes: by id, whatever they are called. Rows by hand."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime

import pytest

from syncd.core.drift import Drift, DriftClass, Reaction
from syncd.core.foreign import ForeignMember, as_part, foreign_in, named
from syncd.core.model import Kind
from syncd.core.plan import Action, Change
from syncd.core.returning import came_back, corrected, returned, touches, undone

NOON = datetime(2026, 11, 22, 12, 0, tzinfo=UTC)
ADA, BOB = ForeignMember("n1", "ada@x.org"), ForeignMember("n2", "bob@x.org")
NATIVES = ForeignMember("n3", "Natives", Kind.GROUP)


def drift(*members: ForeignMember, reaction: Reaction = Reaction.ENFORCE) -> Drift:
    return Drift(DriftClass.FOREIGN_MEMBER, Kind.GROUP, "g", "Admins", {}, as_part(members), reaction)


def test_people_come_first_and_by_name() -> None:
    assert foreign_in(as_part([NATIVES, BOB, ADA])) == [ADA, BOB, NATIVES]
    assert as_part([]) == {}
    assert Drift.from_json(drift(ADA).to_json()) == drift(ADA)


@pytest.mark.parametrize("broken", [{"id": "n1"}, {"id": 1, "name": "a", "kind": "user"}, {"id": "n", "name": None}])
def test_what_is_no_foreign_member_is_refused(broken: dict[str, object]) -> None:
    with pytest.raises((KeyError, TypeError)):
        ForeignMember.from_json(broken)


def test_some_are_named_and_the_others_counted() -> None:
    many = [ForeignMember(str(number), f"u{number}") for number in range(5)]
    assert named(many, {"1": "the owner"}) == "u0, u1 (the owner), u2 and 2 more"


def test_a_removal_corrects_the_drift_of_those_whom_it_takes_out() -> None:
    removal = Change.of_foreign("g", "Admins", [ADA])
    assert corrected(drift(ADA, BOB), removal) == drift(ADA)
    assert corrected(drift(BOB), removal) is None
    assert corrected(drift(ADA, reaction=Reaction.REPORT), removal) is None
    assert corrected(drift(ADA), Change.of_members(Action.REMOVE_MEMBERS, "g", "Admins", ["n1"], [])) is None
    assert touches(removal, drift(ADA))
    assert not touches(removal, drift(BOB))


def test_who_comes_back_is_known_by_id() -> None:
    renamed = ForeignMember(ADA.id, "lovelace@x.org")
    again = drift(renamed, BOB)
    past = returned(again, drift(ADA), 7, NOON)
    assert past is not None
    assert foreign_in(past.found) == [renamed]
    again = replace(again, returned=past)
    assert came_back(again) == "lovelace@x.org was taken out at 2026-11-22 12:00 UTC, and was in again"
    assert undone(again, Change.of_foreign("g", "Admins", [renamed, BOB]))
    assert not undone(again, Change.of_foreign("g", "Admins", [BOB]))


def test_the_parts_of_a_removal_are_what_each_would_be_alone() -> None:
    managed = Change.of_members(Action.REMOVE_MEMBERS, "g", "Admins", ["1"], ["h"])
    foreign = Change.of_foreign("g", "Admins", [ADA, NATIVES])
    both = managed.and_also(foreign)
    assert [part.id for part in both.parts] == [managed.id, foreign.id]
    assert (both.members, both.subgroups, both.foreign) == (["1"], ["h"], [ADA, NATIVES])
    assert both.id not in (managed.id, foreign.id)
    assert Change.from_json(both.to_json()) == both
    assert managed.parts == [managed]
