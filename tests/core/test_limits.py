"""The classes that are limited and the other reasons that hold a change, in the words of reports."""

from __future__ import annotations

import pytest

from syncd.core.limits import Class, called, in_words, over_limit, waiting


@pytest.mark.parametrize(
    ("class_", "managed", "json", "words"),
    [
        (
            Class.DEACTIVATE,
            100,
            "41 of 100 people would be deactivated; the limit is 10 %",
            "41 of 100 people is over the limit of 10 %",
        ),
        (Class.ADOPT, 0, "41 accounts would be taken over; the limit is 10 %", "41 accounts is over the limit of 10 %"),
        (
            Class.DELETE_GROUP,
            1_200,
            "41 of 1,200 groups would be deleted; the limit is 10 %",
            "41 of 1,200 groups is over the limit of 10 %",
        ),
    ],
)
def test_the_reason_in_json_and_in_words(class_: Class, managed: int, json: str, words: str) -> None:
    assert json == over_limit(class_, 41, managed, "10 %")
    assert words == in_words(json, named=False)


@pytest.mark.parametrize("class_", Class)
@pytest.mark.parametrize("exceeded", ["5", "10 %", "0.5 %", "1e-05 %"])
def test_every_reason_of_a_limit_is_said_in_words(class_: Class, exceeded: str) -> None:
    said = in_words(f"waits for the group: {over_limit(class_, 6, 9, exceeded)} (since then)")
    assert said.startswith("waits for the group: 6 of 9 ")
    assert said.endswith(f" is over the limit of {exceeded} for {class_.changes[1]} (since then)")


def test_people_who_would_lose_all_their_groups_are_said_to_count() -> None:
    reason = over_limit(Class.DEACTIVATE, 41, 100, "10 %", also_losing=True)
    assert reason == "41 of 100 people would be deactivated or removed from all their groups; the limit is 10 %"
    assert in_words(reason, named=False) == (
        "41 of 100 people (deactivated or removed from all their groups) is over the limit of 10 %"
    )


def test_any_other_reason_stays_as_it_is() -> None:
    assert in_words("the account of 1005, who left, has this userName") == (
        "the account of 1005, who left, has this userName"
    )


@pytest.mark.parametrize(
    ("reason", "number", "own", "words"),
    [
        ("deactivate", 1, True, "1 deactivation waits for approval"),
        ("deactivate", 1_200, True, "1,200 deactivations wait for approval"),
        ("deactivate", 2, False, "2 changes wait for approval"),
        ("rehire", 1, True, "1 change waits for approval"),
        ("missing_grace", 1, True, "1 change waits out the grace"),
        ("missing_grace", 2, True, "2 changes wait out the grace"),
        ("quarantine", 2, True, "2 changes are in quarantine"),
        ("protected", 1, True, "1 change is withheld and can't be approved"),
        ("empty_source", 2, True, "2 changes are withheld and can't be approved"),
    ],
)
def test_how_many_wait_and_for_what(reason: str, number: int, own: bool, words: str) -> None:
    assert words == waiting(reason, number, own=own)


def test_a_reason_is_called_without_an_identifier() -> None:
    assert called("remove_members") == "limit for removals from groups"
    assert called("external_domain") == "external domain"
