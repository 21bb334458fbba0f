"""Discovery: announcements of endpoints compared with their profiles; rows worked out by hand."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.scim.discovery import announced, differences, in_toml, overridden
from syncd.scim.profiles import PROFILES, Profile

GENERIC, AWS = PROFILES["generic"], PROFILES["aws-identity-center"]

EVERYTHING = {
    "patch": {"supported": True},
    "bulk": {"supported": True, "maxOperations": 1000, "maxPayloadSize": 1048576},
    "filter": {"supported": True, "maxResults": 200},
    "changePassword": {"supported": False},
    "sort": {"supported": True},
    "etag": {"supported": True},
    "pagination": {"cursor": True, "index": True, "maxPageSize": 500},
}
NOTHING = {name: {"supported": False} for name in ("patch", "bulk", "filter", "sort", "etag")}


def test_everything_that_is_announced_is_said() -> None:
    assert str(announced(EVERYTHING)) == (
        "PATCH, bulk of at most 1,000 operations and 1,048,576 bytes, filters with at most 200 results, ETags, "
        "sorting, pages by index, pages by cursor, pages of at most 500"
    )


def test_what_is_announced_not_to_be_there_is_said() -> None:
    config = NOTHING | {"pagination": {"index": False, "cursor": False}}
    assert str(announced(config)) == (
        "no optional capability; not PATCH, bulk, filters, ETags, sorting, pages by index, pages by cursor"
    )
    config = {"patch": {"supported": True}, "bulk": {"supported": False, "maxOperations": 0, "maxPayloadSize": 0}}
    assert str(announced(config)) == "PATCH; not bulk"


@pytest.mark.parametrize(
    "config",
    [
        None,
        [],
        "patch",
        {},
        {"patch": True, "bulk": [], "filter": None, "pagination": "cursor"},
        {"patch": {"supported": "true"}, "bulk": {"supported": 1, "maxOperations": "many"}},
    ],
)
def test_what_is_no_announcement_says_nothing(config: Any) -> None:
    said = announced(config)
    assert str(said) == "no optional capability"
    assert (said.patch, said.bulk, said.etag) == (None, None, None)
    assert list(differences(AWS, said)) == []


def test_what_is_remembered_of_it_is_patch_etag_and_the_size_of_bulk() -> None:
    known = {"patch": False, "me": "id-1"}
    assert announced(EVERYTHING).facts(known) == {
        "patch": True,
        "etag": True,
        "bulk": {"maxOperations": 1000, "maxPayloadSize": 1048576},
        "me": "id-1",
    }
    assert announced(NOTHING).facts({}) == {"patch": False, "etag": False, "bulk": None}
    # What isn't said of PATCH is found out by what it does.
    assert announced({"bulk": {"supported": True}}).facts({}) == {
        "patch": True,
        "etag": False,
        "bulk": {"maxOperations": None, "maxPayloadSize": None},
    }


def profile_says(ours: str, heard: str, line: str) -> str:
    return (
        f"The profile says {ours}, the endpoint {heard}: the profile counts; "
        f"change it with [target.profile_overrides] {line}."
    )


@pytest.mark.parametrize(
    ("profile", "config", "expected"),
    [
        (GENERIC, EVERYTHING | {"filter": {"supported": True}}, []),
        (PROFILES["okta-style"], {"patch": {"supported": False}, "bulk": {"supported": False}}, []),
        (
            PROFILES["okta-style"],
            {"patch": {"supported": True}},
            [profile_says("no PATCH", "announces it", "patch = true")],
        ),
        (AWS, {"patch": {"supported": False}}, [profile_says("PATCH", "announces none", "patch = false")]),
        (AWS, {"bulk": {"supported": True}}, [profile_says("no bulk", "announces it", "bulk = true")]),
        (AWS, {"etag": {"supported": True}}, [profile_says("no ETags", "announces them", "etags = true")]),
        (
            AWS,
            {"pagination": {"cursor": False, "index": True}},
            [profile_says("pages by cursor", "announces no such pages", 'paging = "index"')],
        ),
        (
            PROFILES["lucid-content"],
            {"pagination": {"cursor": True, "index": False}},
            [profile_says("pages by index", "announces no such pages", 'paging = "cursor"')],
        ),
        (
            AWS,
            {"pagination": {"cursor": False, "index": False}},
            [profile_says("pages by cursor", "announces no such pages", 'paging = "single"')],
        ),
        (AWS, {"filter": {"supported": False}}, [profile_says("filters", "announces none", "user_filters = []")]),
        (
            AWS,
            {"filter": {"supported": True, "maxResults": 50}},
            [profile_says("pages of 100", "announces 50 at most", "page_size = 50")],
        ),
        (
            AWS,
            {"filter": {"supported": True, "maxResults": 60}, "pagination": {"cursor": True, "maxPageSize": 40}},
            [profile_says("pages of 100", "announces 40 at most", "page_size = 40")],
        ),
        (AWS, {"filter": {"supported": True, "maxResults": 100}}, []),
        (AWS, {"filter": {"supported": True, "maxResults": -1}, "pagination": {"maxPageSize": 0}}, []),
        (
            replace(AWS, patch=False, put_groups=True),
            {"patch": {"supported": True}},
            ["profile_overrides say patch = false, the endpoint announces it: the override counts."],
        ),
        (
            replace(GENERIC, user_filters=()),
            {"filter": {"supported": False}},
            [],
        ),
    ],
)
def test_a_profile_that_is_at_odds_with_what_is_announced_counts_and_that_is_said(
    profile: Profile, config: Any, expected: list[str]
) -> None:
    assert list(differences(profile, announced(config))) == expected


def test_what_is_overridden_is_what_differs_from_the_profile_of_that_name() -> None:
    assert overridden(GENERIC) == {}
    assert overridden(replace(GENERIC, patch=False, user_filters=("userName",))) == {
        "patch": False,
        "user_filters": ("userName",),
    }
    assert overridden(Profile("no such profile", patch=False)) == {}


@pytest.mark.parametrize(
    ("value", "line"),
    [(False, "x = false"), (0.25, "x = 0.25"), ("a", 'x = "a"'), (("userName", "id"), 'x = ["userName", "id"]')],
)
def test_a_value_is_shown_as_it_is_configured(value: Any, line: str) -> None:
    assert in_toml("x", value) == line
