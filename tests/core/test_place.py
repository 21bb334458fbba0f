"""Whether a target is the place that its links belong to: whose a resource is, and what follows from a sample."""

from __future__ import annotations

from collections import Counter
from typing import Any

import pytest

from syncd.core.model import Known, KnownGroup, State
from syncd.core.place import (
    Place,
    Sight,
    Tally,
    address_of,
    announcement_mark,
    everything_gone,
    found_in_words,
    moved,
    seen_in_words,
    sort_of,
    sorts_of,
    token_mark,
    unseen,
    whose,
)

PLACE = Place("https://scim.example.com:443/v2", "generic", "salt", "0a1b2c3d", "ffff", ("uuid",))
OURS, GONE, OTHERS, UNMARKED, RENAMED, UNCLEAR = Sight


def known(mark: str | None = "1", **kept_as: str) -> Known:
    attributes = {"userName": "Ada", "emails": [{"value": "ada@example.com"}]} | ({"externalId": mark} if mark else {})
    return Known("1", "id-1", "Ada", State.ACTIVE, attributes, b"", kept_as=dict(kept_as))


def tally(what: str = "users", remade: int = 0, **sights: int) -> Tally:
    return Tally(what, Counter({Sight(name): count for name, count in sights.items()}), remade)


# -- the place ---------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("changed", "reason"),
    [
        ({}, None),
        (
            {"address": "https://b.example.com:443/v2"},
            "base_url is another one (it was https://scim.example.com:443/v2)",
        ),
        ({"token": "ffffffff"}, "the token is another one"),
        ({"token": ""}, None),
        ({"profile": "slack"}, "the profile is another one (it was generic)"),
        ({"announcement": "eeee"}, "the endpoint describes itself otherwise (/ServiceProviderConfig)"),
        ({"announcement": ""}, None),
        ({"ids": ("#",)}, None),
    ],
)
def test_a_place_is_another_one_where_something_that_is_known_of_it_changed(
    changed: dict[str, Any], reason: str | None
) -> None:
    now = Place.from_json({**PLACE.to_json(), **changed})
    assert moved(PLACE, now) == ((reason,) if reason else ())


def test_links_without_a_recorded_place_are_to_be_seen_first() -> None:
    assert moved(None, PLACE) == ("no place is recorded in the state file yet",)


def test_what_is_not_known_now_is_kept() -> None:
    same = Place(PLACE.address, "p")
    assert same.completed_by(PLACE) == Place(PLACE.address, "p", "", "0a1b2c3d", "ffff", ("uuid",))
    assert Place("a", "p").completed_by(PLACE) == Place("a", "p", "", "0a1b2c3d", "", ("uuid",))
    assert Place("a", "p").completed_by(None) == Place("a", "p")


@pytest.mark.parametrize(
    "url",
    ["https://scim.example.com/v2", "HTTPS://SCIM.Example.com:443/v2/", "https://scim.example.com:443/v2"],
)
def test_one_address_has_many_spellings(url: str) -> None:
    assert address_of(url) == PLACE.address


@pytest.mark.parametrize(
    "url", ["http://scim.example.com/v2", "https://scim.example.com/V2", "https://b.example.com/v2"]
)
def test_another_address_is_another_one(url: str) -> None:
    assert address_of(url) != PLACE.address


def test_a_token_leaves_a_short_mark_that_depends_on_the_salt() -> None:
    assert len(token_mark("secret-token", "salt")) == 8
    assert token_mark("secret-token", "salt") != token_mark("secret-token", "pepper")
    assert token_mark("secret-token", "salt") != token_mark("secret-tokem", "salt")


def test_an_announcement_is_the_same_whatever_its_times() -> None:
    config = {"patch": {"supported": True}, "meta": {"lastModified": "2026-01-01T00:00:00Z"}}
    later = {"meta": {"lastModified": "2026-02-02T00:00:00Z"}, "patch": {"supported": True}}
    assert announcement_mark(config) == announcement_mark(later)
    assert announcement_mark(config) != announcement_mark({"patch": {"supported": False}})
    schemes = [{"type": "oauth2", "meta": {"version": "1"}}, {"type": "httpbasic"}]
    more = {**config, "authenticationSchemes": schemes, "servedAt": "2026-01-01T00:00:00.123Z"}
    assert announcement_mark({**more, "servedAt": "2026-03-03T10:00:00Z", "authenticationSchemes": schemes[::-1]}) == (
        announcement_mark(more)
    )
    assert announcement_mark({**more, "authenticationSchemes": schemes[:1]}) != announcement_mark(more)
    assert announcement_mark(None) == announcement_mark("<html>") == ""


@pytest.mark.parametrize(
    ("id_", "sort"),
    [
        ("2819c223-7f76-453a-919d-413861904646", "uuid"),
        ("9067729b3d-2819c223-7f76-453a-919d-413861904646", "x-uuid"),
        ("lucid-1234", "lucid-#"),
        ("17", "#"),
        ("1234567890", "#"),
        ("lucid-12345678", "lucid-#"),
        ("9b9df16c396041c581ae95b7f79e7e1c", "x"),
    ],
)
def test_ids_have_sorts(id_: str, sort: str) -> None:
    assert sort_of(id_) == sort
    assert sorts_of([id_, id_]) == (sort,)


def test_what_was_seen_is_said_by_sort() -> None:
    assert seen_in_words([tally(ours=5, gone=1), tally("groups", ours=1), tally("accounts that are off")]) == (
        "5 of 6 managed users and 1 of 1 managed group asked for are there"
    )
    assert seen_in_words([tally()]) == ""


# -- whose it is -------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("acknowledged", "mark", "names", "shows", "sight"),
    [
        ("1", "1", ["Ada"], True, OURS),
        ("1", "1", ["Renamed"], True, OURS),
        ("1", "2", ["ada"], True, OURS),
        ("1", "2", ["Bob", "ADA@example.com"], True, OURS),
        ("1", "2", ["Bob"], True, OTHERS),
        ("1", "2", ["Bob"], False, OTHERS),
        ("1", "", ["Ada"], False, OURS),
        ("1", "", ["Bob"], False, RENAMED),
        ("1", "", ["Ada"], True, UNMARKED),
        ("1", "", ["Bob"], True, OTHERS),
        (None, "2", ["Ada"], True, OURS),
        (None, "2", ["Bob"], True, RENAMED),
        (None, "", ["Bob"], True, RENAMED),
    ],
)
def test_a_resource_is_somebody_elses_by_mark_and_name(
    acknowledged: str | None, mark: str, names: list[str], shows: bool, sight: Sight
) -> None:
    assert whose(known(acknowledged), mark, names, shows_marks=shows) is sight


def test_the_form_in_which_an_endpoint_keeps_mark_and_name_is_ours_too() -> None:
    assert whose(known(externalId="x-1"), "x-1", ["Bob"], shows_marks=True) is OURS
    assert whose(known(userName="ada_corp"), "other", ["ADA_CORP"], shows_marks=True) is OURS


def test_a_group_is_known_by_its_name_where_it_has_no_mark() -> None:
    group = KnownGroup("g", "id-g", "Sales", {"displayName": "Sales"}, b"")
    assert whose(group, "", ["sales"], shows_marks=False) is OURS
    assert whose(group, "", ["Support"], shows_marks=False) is RENAMED


# -- what follows ------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("users", "groups", "gone"),
    [
        ({"ours": 6}, {"ours": 2}, None),
        ({"gone": 1, "ours": 1}, {}, None),
        ({"gone": 2}, {}, None),
        ({"gone": 3}, {}, "none of 3 managed users asked for is there any more"),
        ({"gone": 2}, {"gone": 1}, "none of 3 managed users and groups asked for is there any more"),
        ({"gone": 2}, {"ours": 1}, None),
        ({"gone": 3}, {"ours": 1}, "none of 3 managed users asked for is there any more"),
        ({"ours": 5}, {"gone": 3}, "none of 3 managed groups asked for is there any more"),
        ({"ours": 5}, {"gone": 2}, None),
        ({"gone": 5, "ours": 1}, {}, None),
        ({"gone": 2, "unclear": 4}, {}, None),
        ({"unclear": 6}, {"unclear": 6}, None),
        (
            {"others": 2, "gone": 1},
            {},
            "none of 3 managed users asked for is there any more, and 2 of their ids are somebody else's",
        ),
        # Names may be changed by somebody, of all groups at once; where nothing else is there either, they were not.
        ({"ours": 2}, {"renamed": 4}, None),
        (
            {"renamed": 3},
            {"renamed": 1},
            "none of 4 managed users and groups asked for is there any more, and 4 of their ids are somebody else's",
        ),
        # A mark that is gone is an endpoint's habit, elsewhere than where SSO is removed.
        ({"unmarked": 6}, {}, None),
    ],
)
def test_everything_gone_is_told_from_a_few_deletions(
    users: dict[str, int], groups: dict[str, int], gone: str | None
) -> None:
    found = everything_gone([tally(**users), tally("groups", **groups)])
    assert (found and found_in_words(found)) == gone


def test_what_was_made_anew_is_counted_and_proves_nothing() -> None:
    assert everything_gone([tally(remade=2, gone=1)]) is not None
    assert everything_gone([tally(remade=1, gone=1)]) is None
    assert everything_gone([tally(remade=7)]) is None


def test_where_nobody_can_delete_one_that_is_gone_is_everything() -> None:
    locked = Tally("groups", Counter({GONE: 1}), locked=True)
    assert everything_gone([tally(ours=6), locked]) is locked
    renamed = Tally("groups", Counter({RENAMED: 1}), locked=True)
    assert everything_gone([tally(ours=6), renamed]) is None


def test_where_removing_sso_removes_marks_their_absence_is_a_loss() -> None:
    users = Tally("users", Counter({UNMARKED: 4}), marked=True)
    assert everything_gone([users]) is users
    assert found_in_words(users) == "none of 4 managed users asked for carries our mark any more"
    groups = Tally("groups", Counter({GONE: 2}), locked=True)
    together = everything_gone([users, groups])
    assert together is not None
    said = "of 6 managed users and groups asked for, 2 are gone, and 4 no longer carry our mark"
    assert found_in_words(together) == said


@pytest.mark.parametrize(
    ("users", "groups", "missing"),
    [
        ({}, {}, None),
        ({"ours": 1}, {}, None),
        ({"ours": 3, "gone": 3}, {}, None),
        ({"ours": 2, "gone": 3}, {}, "only 2 of 5 managed users asked for are there"),
        ({"ours": 5}, {"gone": 1}, "the one managed group asked for is not there any more"),
        ({"ours": 5}, {"renamed": 1}, None),
        ({"gone": 1}, {}, "the one managed user asked for is not there any more"),
        ({"unclear": 3}, {}, "the endpoint doesn't say whether 3 managed users asked for are there"),
        ({"ours": 3}, {"unclear": 3}, None),
    ],
)
def test_a_place_that_must_be_proven_is_seen_by_most_of_what_is_managed(
    users: dict[str, int], groups: dict[str, int], missing: str | None
) -> None:
    found = unseen([tally(**users), tally("groups", **groups)])
    assert (found and found_in_words(found)) == missing
