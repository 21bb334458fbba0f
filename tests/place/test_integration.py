"""Which of two integrations answers at one address: the groups tell, or nothing does."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest

from syncd.core.digest import NO_MEMBERS
from syncd.core.model import Known, KnownGroup, State
from syncd.core.place import Place, Sight, Tally
from syncd.core.room import Room
from syncd.errors import TargetElsewhere
from syncd.place.integration import Integration, ListedGroup, likely_cause
from syncd.scim.profiles import PROFILES
from syncd.store import Snapshot, StateFile

ADMIN, CONTENT = PROFILES["lucid-admin"], PROFILES["lucid-content"]


def listed(**groups: str) -> list[ListedGroup]:
    """Return groups with these members: letters are people, and a name in capitals is a group."""
    return [
        ListedGroup(name, name, {each for word in text.split() for each in ([word] if word.isupper() else word)})
        for name, text in groups.items()
    ]


@pytest.fixture
def snapshot(tmp_path: Path) -> Iterator[Snapshot]:
    with StateFile(tmp_path / "syncd.db") as state:
        yield state.snapshot("lucid")


def refusal(integration: Integration, groups: list[ListedGroup], snapshot: Snapshot, *reasons: str) -> str:
    try:
        integration.demand("lucid", groups, snapshot, reasons)
    except TargetElsewhere as error:
        return error.problem
    return ""


#  integration, listed groups -> what tells that the other one answers
KINDS: list[tuple[Any, dict[str, str], str]] = [
    (CONTENT, {}, ""),
    (CONTENT, {"A": "abc", "B": "cd"}, ""),
    (CONTENT, {"A": "ab", "B": "c A"}, "(`B` contains a group)"),
    (CONTENT, {"A": "ab", "B": "c GONE"}, ""),  # no list shows that this is a group
    (ADMIN, {}, ""),
    (ADMIN, {"A": "ab", "B": "c A"}, ""),
    (ADMIN, {"A": "abc", "B": "def"}, ""),
    (ADMIN, {"A": "abc", "B": "cde"}, "(`A` and `B` have people in common)"),
    (ADMIN, {"Everybody": "abcdef", "A": "abc", "B": "def"}, ""),
    (ADMIN, {"Everybody": "abcdef", "A": "abc", "B": "cd"}, "(`A` and `B` have people in common)"),
    (ADMIN, {"Most": "abcdefghi", "B": "ij"}, ""),  # nine of ten: who is new may not be in the default group yet
    (ADMIN, {"Half": "abcde", "A": "fgh", "B": "ea"}, "(`Half` and `B` have people in common)"),
    (PROFILES["generic"], {"A": "abc", "B": "cd A"}, ""),
]


@pytest.mark.parametrize(("profile", "groups", "told"), KINDS)
def test_kinds_of_groups_tell_on_the_first_run(
    snapshot: Snapshot, profile: Any, groups: dict[str, str], told: str
) -> None:
    said = refusal(Integration(profile), listed(**groups), snapshot)
    assert (told in said) if told else said == ""


def test_a_group_that_everybody_may_be_in_tells_nothing(snapshot: Snapshot) -> None:
    groups = listed(Half="abcde", A="fgh", B="ea")
    assert refusal(Integration(ADMIN, Room(True, "", ("Hal*",))), groups, snapshot) == ""
    assert refusal(Integration(ADMIN, Room(True, "Half")), groups, snapshot) == ""
    assert refusal(Integration(ADMIN, Room(True, "half")), groups, snapshot) != ""  # names are case-sensitive there


def test_a_group_of_the_other_target_tells_at_any_time(snapshot: Snapshot) -> None:
    integration = Integration(CONTENT, others={"A": "lucid-admin"})
    snapshot.put_user(Known("1", "a", "a", State.ACTIVE, {}, b""))
    said = refusal(integration, listed(A="ab", B="c"), snapshot)
    assert said == (
        "this token answers for Lucid's admin management: its groups are organizational groups (`A` is managed by the "
        "target lucid-admin); the profile lucid-content wants the token of Lucid's content access, whose groups are "
        "teams: nothing was written"
    )


def test_one_token_for_both_integrations_is_nobodys(snapshot: Snapshot) -> None:
    integration = Integration(CONTENT, others={"A": "lucid-admin"}, same_token={"lucid-admin"})
    assert refusal(integration, listed(A="ab", B="c"), snapshot) == (
        "has the same token as the target lucid-admin, which manages `A` there; the token alone decides which "
        "integration answers, so one of the two is wrong: nothing was written"
    )


def test_a_group_of_our_own_proves_the_token(snapshot: Snapshot) -> None:
    snapshot.put_group(KnownGroup("own", "B", "B", {}, NO_MEMBERS))
    integration = Integration(CONTENT, others={"A": "lucid-admin"})
    assert refusal(integration, listed(A="ab", B="c A"), snapshot, "the token is another one") == ""
    snapshot.put_group(replace(KnownGroup("own", "C", "C", {}, NO_MEMBERS)))
    assert refusal(integration, listed(A="ab", B="c A"), snapshot) != ""


def test_a_group_of_our_own_proves_nothing_where_the_profile_was_the_other_one(snapshot: Snapshot) -> None:
    snapshot.put_group(KnownGroup("own", "B", "B", {}, NO_MEMBERS))
    snapshot.set_place(Place("https://users.lucid.app:443/scim/v2", "lucid-admin"))
    changed = "the profile is another one (it was lucid-admin)"
    assert refusal(Integration(CONTENT), listed(A="ab", B="c A"), snapshot, changed) != ""
    assert refusal(Integration(CONTENT), listed(A="ab", B="c"), snapshot, changed) == ""
    snapshot.set_place(Place("https://users.lucid.app:443/scim/v2", "lucid-content"))
    assert refusal(Integration(CONTENT), listed(A="ab", B="c A"), snapshot) == ""


def test_kinds_tell_nothing_of_a_target_that_had_people_alone_unless_something_changed(snapshot: Snapshot) -> None:
    snapshot.put_user(Known("1", "a", "a", State.ACTIVE, {}, b""))
    groups = listed(A="ab", B="c A")
    assert refusal(Integration(CONTENT), groups, snapshot) == ""
    assert refusal(Integration(CONTENT), groups, snapshot, "the token is another one") != ""


@pytest.mark.parametrize(
    ("integration", "groups", "way_out"),
    [
        (Integration(CONTENT), {"A": "ab", "B": "c A"}, '[target.profile_overrides] sibling = ""'),
        (Integration(ADMIN, Room(one_group=True)), {"A": "abc", "B": "cde"}, 'sibling = "", or name the group'),
        (Integration(ADMIN, others={"A": "lucid-content"}), {"A": "abc"}, ""),
    ],
)
def test_kinds_may_be_overruled_and_groups_of_the_other_target_may_not(
    snapshot: Snapshot, integration: Integration, groups: dict[str, str], way_out: str
) -> None:
    with pytest.raises(TargetElsewhere) as caught:
        integration.demand("lucid", listed(**groups), snapshot, ())
    assert (way_out in caught.value.hint) if way_out else ("sibling" not in caught.value.hint)


@pytest.mark.parametrize(
    "body", [{}, {"id": 5, "members": "x"}, {"id": "g", "members": [None, {"value": 7}, {"value": "u"}]}]
)
def test_groups_of_any_form_are_read(body: dict[str, Any]) -> None:
    assert ListedGroup.of(body).members in (frozenset(), frozenset({"u"}))


def found(users: dict[Sight, int], groups: dict[Sight, int]) -> list[Tally]:
    tallies = [Tally("users"), Tally("groups")]
    for tally, sights in zip(tallies, (users, groups), strict=True):
        tally.sights.update(sights)
    return tallies


@pytest.mark.parametrize(
    ("profile", "users", "groups", "told"),
    [
        (CONTENT, {Sight.OURS: 3}, {Sight.GONE: 1}, True),
        (CONTENT, {Sight.OURS: 3}, {Sight.OTHERS: 2}, True),
        (CONTENT, {Sight.OURS: 3}, {Sight.GONE: 2, Sight.OURS: 1}, False),
        (CONTENT, {Sight.GONE: 3}, {Sight.GONE: 2}, False),
        (CONTENT, {}, {Sight.GONE: 2}, False),
        (CONTENT, {Sight.OURS: 3}, {}, False),
        (replace(CONTENT, sibling=""), {Sight.OURS: 3}, {Sight.GONE: 1}, False),
        (PROFILES["lucidlink"], {Sight.OURS: 3}, {Sight.GONE: 1}, False),
    ],
)
def test_users_without_groups_are_the_sign_of_the_other_integration(
    profile: Any, users: dict[Sight, int], groups: dict[Sight, int], told: bool
) -> None:
    cause = likely_cause(profile, found(users, groups))
    assert cause == (
        "the users are there, and the groups are not: the token is probably that of Lucid's admin management, whose "
        "groups are organizational groups; the profile lucid-content wants the token of Lucid's content access"
        if told
        else ""
    )
