"""Changes that policy holds, and the reasons; no change is ever dropped."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Mapping, Sequence
from dataclasses import replace
from datetime import datetime, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

import syncd.core.policy as policy_module
from syncd.core.matching import Doubt
from syncd.core.model import Kind, State
from syncd.core.plan import Action, Change, Held
from syncd.core.policy import DEFAULT_LIMITS, EMPTY_SOURCE, Class, Limit, Policy, Situation
from syncd.core.room import Room
from syncd.core.schema import MANAGER
from tests.world import NOON, UNLIMITED, WORK_MAIL


def deactivate(key: str) -> Change:
    off = {"active": False}
    return Change(Action.DEACTIVATE_USER, key, f"u{key}", {"active": True}, off, "gone", State.DEACTIVATED)


def update(key: str, **after: str | None) -> Change:
    return Change(Action.UPDATE_USER, key, f"u{key}", dict.fromkeys(after), dict(after), "changed", State.ACTIVE)


def create(key: str) -> Change:
    return Change(Action.CREATE_USER, key, f"u{key}", {}, {"userName": f"u{key}"}, "new", State.ACTIVE)


def about(action: Action, key: str) -> Change:
    return Change(action, key, key, {}, {}, "")


def remove(group: str, *members: str, groups: Collection[str] = ()) -> Change:
    return Change.of_members(Action.REMOVE_MEMBERS, group, f"Group {group}", list(members), list(groups))


def add(group: str, *members: str, groups: Collection[str] = ()) -> Change:
    return Change.of_members(Action.ADD_MEMBERS, group, f"Group {group}", list(members), list(groups))


def situation(
    users: int = 100,
    groups: int = 100,
    missing: Mapping[str, datetime] | None = None,
    missing_groups: Mapping[str, datetime] | None = None,
    now: datetime = NOON,
    **more: Any,
) -> Situation:
    return Situation(now, users, groups, missing or {}, missing_groups or {}, **more)


def decide(changes: Sequence[Change], rules: Policy, given: Situation) -> tuple[list[Change], list[Held]]:
    """Return what is allowed and what is held, where nobody rejected anything."""
    verdict = policy_module.decide(changes, rules, given)
    assert verdict.rejected == []
    return verdict.allowed, verdict.held


def policy(grace: timedelta = timedelta(0), **limits: Limit) -> Policy:
    return Policy({**UNLIMITED, **{Class(name): limit for name, limit in limits.items()}}, grace)


def keys(count: int) -> list[str]:
    return [str(number) for number in range(count)]


@pytest.mark.parametrize(
    ("limit", "affected", "managed", "exceeded"),
    [
        (Limit(), 1000, 1000, ""),
        # A count is what may happen; one more may not.
        (Limit(count=5), 5, 1000, ""),
        (Limit(count=5), 6, 1000, "5"),
        (Limit(count=0), 0, 1000, ""),
        (Limit(count=0), 1, 1000, "0"),
        # So is a share, from the base on.
        (Limit(percent=10), 10, 100, ""),
        (Limit(percent=10), 11, 100, "10 %"),
        (Limit(percent=10), 2, 20, ""),
        (Limit(percent=10), 3, 20, "10 %"),
        (Limit(percent=10), 19, 19, ""),
        (Limit(percent=10, base=5), 1, 5, "10 %"),
        (Limit(percent=10, base=5), 4, 4, ""),
        (Limit(percent=12.5), 1, 8, ""),
        (Limit(percent=12.5, base=8), 1, 8, ""),
        (Limit(percent=12.4, base=8), 1, 8, "12.4 %"),
        (Limit(percent=0), 1, 20, "0 %"),
        (Limit(percent=0), 0, 20, ""),
        (Limit(percent=100), 20, 20, ""),
        # Either of the two is enough.
        (Limit(percent=10, count=50), 51, 10_000, "50"),
        (Limit(percent=10, count=50), 11, 100, "10 %"),
        (Limit(percent=10, count=50), 50, 500, ""),
    ],
)
def test_when_a_limit_is_exceeded(limit: Limit, affected: int, managed: int, exceeded: str) -> None:
    assert limit.exceeded(affected, managed) == exceeded


def test_the_limits_without_a_configuration() -> None:
    assert {class_.value: (limit.percent, limit.count, limit.base) for class_, limit in DEFAULT_LIMITS.items()} == {
        "deactivate": (10, 50, 20),
        "delete": (10, 50, 20),
        "delete_group": (None, 5, 20),
        "remove_members": (20, None, 20),
        "rename": (20, None, 20),
        "adopt": (None, 50, 20),
    }
    assert Policy().missing_grace == timedelta(hours=24)


def test_within_the_limit_everything_runs_in_the_order_given() -> None:
    changes = [deactivate("3"), create("1"), deactivate("2"), update("4", title="x"), remove("g", "9"), add("g", "1")]
    assert decide(changes, policy(deactivate=Limit(count=2)), situation()) == (changes, [])


def test_over_the_limit_the_whole_class_is_held_and_the_rest_goes_on() -> None:
    leavers, others = [deactivate(key) for key in keys(11)], [create("a"), update("b", title="x"), add("g", "a")]
    allowed, held = decide([*leavers, *others], policy(deactivate=Limit(percent=10)), situation(users=100))
    assert allowed == others
    reason = "11 of 100 people would be deactivated; the limit is 10 %"
    assert held == [Held(change, "deactivate", reason) for change in leavers]


@pytest.mark.parametrize(
    ("changes", "class_", "reason"),
    [
        (
            [deactivate("1"), deactivate("2")],
            "deactivate",
            "2 of 100 people would be deactivated; the limit is 1",
        ),
        (
            [about(Action.DELETE_USER, "1"), about(Action.DELETE_USER, "2")],
            "delete",
            "2 of 100 people would be deleted; the limit is 1",
        ),
        (
            [about(Action.DELETE_GROUP, "1"), about(Action.DELETE_GROUP, "2")],
            "delete_group",
            "2 of 7 groups would be deleted; the limit is 1",
        ),
        (
            [remove("g", "1"), remove("h", "2")],
            "remove_members",
            "2 of 100 people would be removed from groups; the limit is 1",
        ),
        (
            [update("1", userName="x"), update("2", **{WORK_MAIL: "y@z"})],
            "rename",
            "2 of 100 people would get another userName or e-mail; the limit is 1",
        ),
        (
            [update("1", userName="x"), replace(update("2", emails=None), before={"emails": [{"value": "y@z"}]})],
            "rename",
            "2 of 100 people would get another userName or e-mail; the limit is 1",
        ),
        (
            [about(Action.ADOPT_USER, "1"), about(Action.ADOPT_USER, "2")],
            "adopt",
            "2 of 100 accounts would be taken over; the limit is 1",
        ),
    ],
)
def test_every_class_is_limited_by_itself(changes: list[Change], class_: str, reason: str) -> None:
    others = {each.value: Limit(count=0) for each in Class if each.value != class_}
    rules = policy(**{**others, class_: Limit(count=1)})
    assert decide(changes, rules, situation(users=100, groups=7)) == (
        [],
        [Held(change, class_, reason) for change in changes],
    )
    assert decide(changes[:1], rules, situation(users=100, groups=7)) == (changes[:1], [])


def test_what_harms_nobody_has_no_limit() -> None:
    nothing = policy(**{class_.value: Limit(percent=0, count=0, base=0) for class_ in Class})
    changes = [
        create("1"),
        update("2", title="x"),
        update("3", **{MANAGER: "1"}),
        about(Action.REACTIVATE_USER, "4"),
        about(Action.CREATE_GROUP, "g"),
        about(Action.UPDATE_GROUP, "h"),
        add("g", "1", "2"),
    ]
    assert decide(changes, nothing, situation()) == (changes, [])


def test_people_are_counted_not_memberships() -> None:
    changes = [remove("g", "1", "2"), remove("h", "2", "1"), remove("i", "1")]
    assert decide(changes, policy(remove_members=Limit(count=2)), situation()) == (changes, [])
    allowed, held = decide([*changes, remove("j", "3")], policy(remove_members=Limit(count=2)), situation())
    assert (allowed, len(held)) == ([], 4)


def test_a_class_that_the_configuration_leaves_out_keeps_its_default() -> None:
    leavers = [about(Action.DELETE_GROUP, key) for key in keys(6)]
    assert decide(leavers, Policy({}), situation())[0] == []
    assert decide(leavers[:5], Policy({}), situation())[0] == leavers[:5]


@pytest.mark.parametrize(
    ("missing_for", "held"),
    [
        (timedelta(0), True),
        (timedelta(hours=23, minutes=59, seconds=59, microseconds=999_999), True),
        (timedelta(hours=24), False),
        (timedelta(days=30), False),
    ],
)
def test_who_vanished_waits_out_the_grace_to_the_moment(missing_for: timedelta, held: bool) -> None:
    since = NOON - missing_for
    change, group = deactivate("1"), about(Action.DELETE_GROUP, "g")
    found = decide(
        [change, group], policy(timedelta(hours=24)), situation(missing={"1": since}, missing_groups={"g": since})
    )
    assert found[0] == ([] if held else [change, group])
    assert [each.limit for each in found[1]] == (["missing_grace"] * 2 if held else [])


def test_the_reason_says_since_when_and_until_when() -> None:
    _, (held,) = decide([deactivate("1")], policy(timedelta(hours=36)), situation(missing={"1": NOON}))
    assert held.reason == "missing from the source since 2026-11-22 12:00 UTC; waits until 2026-11-24 00:00 UTC"


def test_without_a_grace_nobody_waits() -> None:
    changes = [deactivate("1")]
    assert decide(changes, policy(timedelta(0)), situation(missing={"1": NOON})) == (changes, [])


def test_who_is_there_and_disabled_does_not_wait() -> None:
    changes = [deactivate("1")]
    assert decide(changes, policy(timedelta(hours=24)), situation(missing={"2": NOON})) == (changes, [])


def test_a_person_and_a_group_with_the_same_key_do_not_wait_for_each_other() -> None:
    rules, group = policy(timedelta(hours=24)), about(Action.DELETE_GROUP, "1")
    assert decide([group], rules, situation(missing={"1": NOON})) == ([group], [])
    assert decide([deactivate("1")], rules, situation(missing_groups={"1": NOON})) == ([deactivate("1")], [])


def test_a_change_in_doubt_is_held() -> None:
    changes = [update("1", userName="a@elsewhere"), update("2", userName="b@elsewhere")]
    doubts = {"1": Doubt("external_domain", "the new address is outside the verified domains")}
    allowed, held = decide(changes, policy(), situation(doubts=doubts))
    assert allowed == changes[1:]
    assert held == [Held(changes[0], "external_domain", "the new address is outside the verified domains")]


def test_who_waits_in_grace_does_not_count_towards_a_limit() -> None:
    waiting, leaving = [deactivate(key) for key in keys(30)], [deactivate("a"), remove("g", "b", *keys(30))]
    rules = policy(timedelta(hours=24), deactivate=Limit(count=1), remove_members=Limit(count=1))
    allowed, held = decide([*waiting, *leaving], rules, situation(missing=dict.fromkeys(keys(30), NOON)))
    assert allowed == [deactivate("a"), remove("g", "b")]
    assert Counter(each.limit for each in held) == {"missing_grace": 31}


@pytest.mark.parametrize(
    ("rules", "missing"),
    [
        pytest.param(policy(deactivate=Limit(count=0)), {}, id="over the limit"),
        pytest.param(policy(timedelta(hours=24)), {"1": NOON}, id="in grace"),
    ],
)
def test_who_keeps_the_account_keeps_the_groups(rules: Policy, missing: dict[str, datetime]) -> None:
    changes = [deactivate("1"), remove("g", "1", "2"), remove("h", "1"), remove("i", "2")]
    allowed, held = decide(changes, rules, situation(missing=missing))
    assert allowed == [remove("g", "2"), remove("i", "2")]
    cause = held[0]
    assert held == [
        Held(deactivate("1"), cause.limit, cause.reason),
        Held(remove("g", "1"), cause.limit, f"one of them stays for now: {cause.reason}"),
        Held(remove("h", "1"), cause.limit, f"one of them stays for now: {cause.reason}"),
    ]


def test_a_group_that_is_not_deleted_yet_stays_in_its_groups() -> None:
    changes = [remove("outer", "1", groups=["g", "h"]), about(Action.DELETE_GROUP, "g")]
    allowed, held = decide(changes, policy(timedelta(hours=24)), situation(missing_groups={"g": NOON}))
    assert allowed == [remove("outer", "1", groups=["h"])]
    assert [(each.change, each.limit) for each in held] == [
        (changes[1], "missing_grace"),
        (remove("outer", groups=["g"]), "missing_grace"),
    ]


def test_a_held_rename_keeps_nobody_in_a_group() -> None:
    changes = [update("1", userName="x"), remove("g", "1")]
    allowed, held = decide(changes, policy(rename=Limit(count=0)), situation())
    assert allowed == [remove("g", "1")]
    assert [each.change for each in held] == changes[:1]


def test_a_second_change_of_a_person_waits_with_the_first() -> None:
    first, second = update("1", userName="a@elsewhere"), update("1", **{MANAGER: "7"})
    rules = policy(rename=Limit(count=0))
    allowed, held = decide([first, second, update("2", **{MANAGER: "1"})], rules, situation())
    assert allowed == [update("2", **{MANAGER: "1"})]
    assert held == [
        Held(first, "rename", "1 of 100 people would get another userName or e-mail; the limit is 0"),
        Held(
            second,
            "rename",
            "waits with another change of u1: 1 of 100 people would get another userName or e-mail; the limit is 0",
        ),
    ]


def test_who_joins_is_never_held_for_who_leaves() -> None:
    changes = [deactivate("1"), add("g", "1", "2")]
    assert decide(changes, policy(deactivate=Limit(count=0)), situation())[0] == changes[1:]


def withheld(held: Collection[Held]) -> list[tuple[str, str]]:
    return [(each.change.key, each.limit) for each in held]


# -- what a person decided ---------------------------------------------------------------------------


def test_an_approval_releases_exactly_what_was_shown() -> None:
    first, second = deactivate("1"), deactivate("2")
    other = Change(Action.DEACTIVATE_USER, "1", "u1", {"active": None}, {"active": False}, "gone", State.DEACTIVATED)
    rules = policy(deactivate=Limit(count=0))
    assert decide([first, second], rules, situation(approved={first.id}))[0] == [first]
    assert decide([other, second], rules, situation(approved={first.id}))[0] == []


def test_what_was_released_still_counts_towards_the_limit_of_the_others() -> None:
    changes = [deactivate(key) for key in keys(6)]
    released = {change.id for change in changes[:5]}
    allowed, held = decide(changes, policy(deactivate=Limit(count=5)), situation(approved=released))
    assert allowed == changes[:5]
    assert withheld(held) == [("5", "deactivate")]


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"missing": {"1": NOON}}, id="grace"),
        pytest.param({"doubts": {"1": Doubt("rehire", "hired again?")}}, id="doubt"),
        pytest.param({"quarantined": {deactivate("1").id: "failed 3 times"}}, id="quarantine"),
        pytest.param({"missing": {"1": NOON}, "absences": {Kind.USER: Doubt("shrunk_source", "half")}}, id="shrunk"),
    ],
)
def test_a_person_can_release_what_waits_by_itself(given: dict[str, Any]) -> None:
    changes, rules = [deactivate("1")], policy(timedelta(hours=24))
    assert decide(changes, rules, situation(**given))[0] == []
    assert decide(changes, rules, situation(**given, approved={changes[0].id}))[0] == changes


@pytest.mark.parametrize(
    "given",
    [
        pytest.param({"protected": {"1": "named in `protect`"}}, id="protected"),
        pytest.param(
            {"missing": {"1": NOON}, "absences": {Kind.USER: Doubt(EMPTY_SOURCE, "nobody")}}, id="empty source"
        ),
    ],
)
def test_no_approval_releases_these(given: dict[str, Any]) -> None:
    changes = [deactivate("1")]
    allowed, held = decide(changes, policy(), situation(**given, approved={changes[0].id}))
    assert allowed == []
    assert [each.change for each in held] == changes


def test_what_a_person_rejected_is_neither_done_nor_asked_again() -> None:
    changes = [deactivate("1"), remove("g", "1", "2"), deactivate("3")]
    verdict = policy_module.decide(changes, policy(), situation(rejected={changes[0].id: "rejected by eve"}))
    assert verdict.allowed == [remove("g", "2"), changes[2]]
    assert verdict.held == []
    assert withheld(verdict.rejected) == [("1", "rejected"), ("g", "rejected")]


def test_every_change_of_a_class_waits_where_a_person_is_always_to_be_asked() -> None:
    changes = [deactivate("1"), update("2", title="x")]
    allowed, held = decide(changes, policy(deactivate=Limit(count=50, always=True)), situation())
    assert allowed == changes[1:]
    assert withheld(held) == [("1", "deactivate")]


# -- who is protected, and what is not to be believed ------------------------------------------------


def test_a_protected_account_is_never_switched_off_in_whatever_way() -> None:
    delete = Change(Action.DELETE_USER, "1", "u1", {}, {}, "long gone")
    quietly = Change(Action.UPDATE_USER, "1", "u1", {"active": True}, {"active": False}, "changed", State.PENDING)
    named = {"1": "the configuration names ada in `protect`"}
    for change in (deactivate("1"), delete, quietly):
        allowed, held = decide([change], policy(), situation(protected=named))
        assert (allowed, withheld(held)) == ([], [("1", "protected")])
    assert decide([update("1", title="x")], policy(), situation(protected=named))[1] == []


def test_an_empty_source_takes_nothing_from_anybody() -> None:
    disabled = deactivate("2")
    changes = [deactivate("1"), remove("g", "1"), about(Action.DELETE_GROUP, "h"), create("3"), disabled]
    absences = {Kind.USER: Doubt(EMPTY_SOURCE, "nobody at all")}
    allowed, held = decide(changes, policy(), situation(missing={"1": NOON}, absences=absences))
    assert allowed == [create("3"), disabled]  # who was seen and is disabled was seen
    assert withheld(held) == [("1", EMPTY_SOURCE), ("g", EMPTY_SOURCE), ("h", EMPTY_SOURCE)]


def test_groups_that_vanished_say_nothing_about_people() -> None:
    changes = [deactivate("1"), remove("g", "2")]
    absences = {Kind.GROUP: Doubt("shrunk_source", "less than half of the groups")}
    allowed, held = decide(changes, policy(), situation(missing={"1": NOON}, absences=absences))
    assert allowed == changes[:1]
    assert withheld(held) == [("g", "shrunk_source")]


# -- limits in people --------------------------------------------------------------------------------


def test_removing_people_from_everything_is_the_same_as_deactivating_them() -> None:
    removals = [remove("g", *keys(40)), remove("h", *keys(20))]
    groups_of = {key: 2 if int(key) < 20 else 1 for key in keys(40)}
    allowed, held = decide(removals, policy(deactivate=Limit(count=30)), situation(groups_of=groups_of))
    assert allowed == []
    assert {each.limit for each in held} == {"deactivate"}
    assert held[0].reason == "40 of 100 people would be deactivated or removed from all their groups; the limit is 30"


def test_who_keeps_a_group_is_not_shut_out() -> None:
    removals = [remove("g", *keys(40))]
    groups_of = dict.fromkeys(keys(40), 2)
    assert decide(removals, policy(deactivate=Limit(count=30)), situation(groups_of=groups_of)) == (removals, [])


def test_who_moves_to_another_group_is_not_shut_out() -> None:
    changes = [remove("g", *keys(40)), add("h", *keys(40))]
    groups_of = dict.fromkeys(keys(40), 1)
    assert decide(changes, policy(deactivate=Limit(count=30)), situation(groups_of=groups_of)) == (changes, [])


def test_deactivated_and_removed_people_count_together() -> None:
    changes = [*(deactivate(key) for key in keys(20)), remove("g", *(f"m{key}" for key in keys(20)))]
    groups_of = {f"m{key}": 1 for key in keys(20)}
    allowed, held = decide(changes, policy(deactivate=Limit(count=30)), situation(groups_of=groups_of))
    assert allowed == []
    assert len(held) == 21
    half = [*changes[:20], remove("g", *(f"m{key}" for key in keys(10)))]
    assert decide(half, policy(deactivate=Limit(count=30)), situation(groups_of=groups_of)) == (half, [])


def test_only_those_who_lose_everything_stay_with_a_class_over_its_limit() -> None:
    changes = [deactivate("1"), remove("g", "2", "3", groups=["sub"])]
    allowed, held = decide(changes, policy(deactivate=Limit(count=1)), situation(groups_of={"2": 1, "3": 5}))
    assert allowed == [remove("g", "3", groups=["sub"])]
    assert [each.change for each in held] == [deactivate("1"), remove("g", "2")]
    # What was shown by itself can be released by itself.
    given = situation(groups_of={"2": 1, "3": 5}, approved={held[1].id})
    allowed, held = decide(changes, policy(deactivate=Limit(count=1)), given)
    assert allowed == changes[1:]
    assert [each.change for each in held] == [deactivate("1")]


def test_deleting_a_group_takes_it_from_everybody_in_it() -> None:
    changes = [about(Action.DELETE_GROUP, "g")]
    members_of = {"g": set(keys(30))}
    allowed, held = decide(changes, policy(remove_members=Limit(percent=20)), situation(members_of=members_of))
    assert allowed == []
    assert [(each.limit, each.reason) for each in held] == [
        ("remove_members", "30 of 100 people would be removed from groups; the limit is 20 %")
    ]


# -- accounts that are taken over --------------------------------------------------------------------


def adopt(key: str, mark: str | None, state: State = State.ACTIVE, *, on: bool = True) -> Change:
    before = {"externalId": mark, "active": on}
    after = {"externalId": key, "active": state is State.ACTIVE}
    return Change(Action.ADOPT_USER, key, f"u{key}", before, after, "", state, resource=f"id-{key}")


def test_linking_our_own_accounts_again_takes_over_nothing() -> None:
    changes = [adopt(key, key) for key in keys(60)]
    assert decide(changes, policy(adopt=Limit(count=50)), situation())[0] == changes


def test_taking_over_other_accounts_is_limited() -> None:
    changes = [adopt(key, None) for key in keys(51)]
    assert decide(changes, policy(adopt=Limit(count=50)), situation())[0] == []
    assert decide(changes[:50], policy(adopt=Limit(count=50)), situation())[0] == changes[:50]


def test_an_account_that_is_linked_to_be_switched_off_counts_as_deactivated() -> None:
    changes = [adopt(key, key, State.DEACTIVATED) for key in keys(3)]
    assert [each.limit for each in decide(changes, policy(deactivate=Limit(count=2)), situation())[1]] == [
        "deactivate"
    ] * 3
    already_off = [adopt(key, key, State.DEACTIVATED, on=False) for key in keys(3)]
    assert decide(already_off, policy(deactivate=Limit(count=2)), situation())[0] == already_off


def test_who_gets_no_account_joins_no_group() -> None:
    changes = [create("1"), add("g", "1", "2"), add("h", "1")]
    doubts = {"1": Doubt("adopt", "2 accounts match")}
    allowed, held = decide(changes, policy(), situation(doubts=doubts))
    assert allowed == [add("g", "2")]
    assert [each.change for each in held] == [create("1"), add("g", "1"), add("h", "1")]


def test_a_group_that_is_not_made_has_no_members() -> None:
    make = about(Action.CREATE_GROUP, "g")
    doubts = {"g": Doubt("adopt", "a native group has this name")}
    allowed, held = decide([make, add("g", "1"), add("outer", groups=["g"])], policy(), situation(group_doubts=doubts))
    assert allowed == []
    assert [each.change for each in held] == [make, add("g", "1"), add("outer", groups=["g"])]


USERS, GROUPS = [f"u{n}" for n in range(6)], [f"g{n}" for n in range(4)]
SOME_USERS, SOME_GROUPS = st.sets(st.sampled_from(USERS)), st.sets(st.sampled_from(GROUPS))
PARTS = st.tuples(SOME_USERS, SOME_GROUPS).filter(any)


@st.composite
def any_changes(draw: st.DrawFn) -> list[Change]:
    changes: list[Change] = []
    for key in draw(SOME_USERS):
        single = st.sampled_from([deactivate(key), create(key), update(key, title="x"), update(key, userName="y")])
        double = st.just((create(key), update(key, **{MANAGER: "u0"})))
        changes += draw(st.one_of(single.map(lambda change: (change,)), double))
    for key in draw(SOME_GROUPS):
        if draw(st.booleans()):
            changes.append(about(Action.DELETE_GROUP, key))
            continue
        for action in draw(st.sets(st.sampled_from([Action.ADD_MEMBERS, Action.REMOVE_MEMBERS]))):
            people, groups = draw(PARTS)
            changes.append(Change.of_members(action, key, key, sorted(people), sorted(groups)))
    return draw(st.permutations(changes))


LIMITS = st.builds(
    Limit,
    percent=st.none() | st.integers(0, 60),
    count=st.none() | st.integers(0, 4),
    base=st.sampled_from([0, 5, 20]),
)
MISSING = st.dictionaries(st.sampled_from([*USERS, *GROUPS]), st.sampled_from([NOON, NOON - timedelta(days=2)]))


def pieces(changes: Collection[Change]) -> Counter[tuple[str, ...]]:
    """Return changes as counts of the smallest things that can be held by themselves."""
    counted: Counter[tuple[str, ...]] = Counter()
    for change in changes:
        if change.action in (Action.ADD_MEMBERS, Action.REMOVE_MEMBERS):
            counted.update((change.action, change.key, "user", key) for key in change.members)
            counted.update((change.action, change.key, "group", key) for key in change.subgroups)
        else:
            counted[change.id,] += 1
    return counted


@given(
    any_changes(),
    st.dictionaries(st.sampled_from(Class), LIMITS),
    MISSING,
    SOME_USERS,
    st.sets(st.integers(0, 9)),
    st.sets(st.integers(0, 9)),
    st.dictionaries(st.sampled_from(USERS), st.integers(1, 3)),
)
def test_no_decision_drops_or_doubles_anything(
    changes: list[Change],
    limits: dict[Class, Limit],
    missing: dict[str, datetime],
    doubtful: set[str],
    approved: set[int],
    rejected: set[int],
    groups_of: dict[str, int],
) -> None:
    rules = Policy(limits, timedelta(days=1))
    given = situation(
        10,
        10,
        missing,
        missing,
        doubts=dict.fromkeys(doubtful, Doubt("adopt", "two match")),
        approved={change.id for place, change in enumerate(changes) if place in approved},
        rejected={change.id: "no" for place, change in enumerate(changes) if place in rejected},
        groups_of=groups_of,
        members_of={change.key: USERS[:3] for change in changes if change.action is Action.DELETE_GROUP},
    )
    verdict = policy_module.decide(changes, rules, given)
    withheld = [*verdict.held, *verdict.rejected]
    assert pieces([*verdict.allowed, *(each.change for each in withheld)]) == pieces(changes)
    assert all(each.reason and each.limit for each in withheld)
    # What may run does so in the order given, for that is the order of execution.
    order = [(change.action, change.key, change.phase) for change in changes]
    places = [order.index((change.action, change.key, change.phase)) for change in verdict.allowed]
    assert places == sorted(places)
    # By effect: nobody loses a group while the account stays, and no group its place while it is not deleted.
    staying = {each.change.key for each in withheld if each.change.action is Action.DEACTIVATE_USER}
    kept = {each.change.key for each in withheld if each.change.action is Action.DELETE_GROUP}
    for change in verdict.allowed:
        if change.action is Action.REMOVE_MEMBERS:
            assert staying.isdisjoint(change.members)
            assert kept.isdisjoint(change.subgroups)


# -- one group a person ------------------------------------------------------------------------------

ONE_GROUP = Room(one_group=True, default_group="Group all")


def shown(changes: Sequence[Change]) -> list[str]:
    """Return `action group members` of each change."""
    return [" ".join([change.action.value, change.key, *change.members]) for change in changes]


def delete(group: str) -> Change:
    return Change(Action.DELETE_GROUP, group, f"Group {group}", {"displayName": group}, {}, "gone")


@pytest.mark.parametrize(
    ("changes", "held_first", "allowed", "held"),
    [
        # Nothing is held: both halves run.
        (
            [add("b", "1"), remove("a", "1")],
            "",
            ["add_members b 1", "remove_members a 1"],
            [],
        ),
        # Leaving is held: the join would take the person out of the group, and waits for them alone.
        (
            [add("b", "1", "2"), remove("a", "1"), remove("c", "3")],
            "remove_members a 1",
            ["add_members b 2", "remove_members c 3"],
            ["remove_members a 1", "add_members b 1"],
        ),
        # Joining is held: whoever left would be without a group; whoever joins nothing leaves.
        (
            [add("b", "1"), remove("a", "1", "2")],
            "add_members b 1",
            ["remove_members a 2"],
            ["add_members b 1", "remove_members a 1"],
        ),
        # The deletion of the group is held: the same as leaving it.
        (
            [add("b", "1", "2"), delete("a")],
            "delete_group a",
            ["add_members b 2"],
            ["delete_group a", "add_members b 1"],
        ),
        # Joining is held: the group with a person who has no other one stays; the others of it move.
        (
            [add("b", "1"), add("c", "9"), delete("a")],
            "add_members b 1",
            ["add_members c 9"],
            ["add_members b 1", "delete_group a"],
        ),
        # The shared group is nobody's second group.
        (
            [add("all", "1"), remove("a", "1")],
            "remove_members a 1",
            ["add_members all 1"],
            ["remove_members a 1"],
        ),
        (
            [add("b", "1"), remove("all", "1")],
            "remove_members all 1",
            ["add_members b 1"],
            ["remove_members all 1"],
        ),
    ],
)
@pytest.mark.parametrize("how", ["quarantined", "rejected"])
def test_both_halves_of_a_move_wait_together(
    changes: list[Change], held_first: str, allowed: list[str], held: list[str], how: str
) -> None:
    texts = zip(changes, shown(changes), strict=True)
    ids = {change.id: "why" for change, text in texts if held_first and text.startswith(held_first)}
    given = situation(room=ONE_GROUP, members_of={"a": {"1", "9"}}, **{how: ids})
    verdict = policy_module.decide(changes, policy(), given)
    withheld = verdict.rejected if how == "rejected" else verdict.held
    assert (shown(verdict.allowed), shown([each.change for each in withheld])) == (allowed, held)
    assert len(verdict.held) + len(verdict.rejected) == len(held)


def test_the_words_of_a_move_that_waits() -> None:
    changes = [add("b", "1", "2"), remove("a", "1", "2"), remove("c", "3")]
    limited = policy(remove_members=Limit(count=2))
    allowed, held = decide(changes, limited, situation(room=ONE_GROUP))
    assert allowed == []
    assert [each.reason for each in held if each.change.action.adds] == [
        "2 of them stay in their group for now: 3 of 100 people would be removed from groups; the limit is 2"
    ]
    # What a join waits for is not counted: nobody is taken out of a group then.
    quarantined = {changes[0].id: "refused"}
    allowed, held = decide(changes, limited, situation(room=ONE_GROUP, quarantined=quarantined))
    assert shown(allowed) == ["remove_members c 3"]
    assert [each.reason for each in held] == ["refused", "2 of them stay until they can join another group: refused"]


def test_a_move_where_there_is_room_for_any_number_of_groups_waits_for_nothing() -> None:
    changes = [add("b", "1"), remove("a", "1")]
    allowed, _ = decide(changes, policy(), situation(quarantined={changes[1].id: "why"}))
    assert shown(allowed) == ["add_members b 1"]


def test_a_group_is_not_deleted_while_the_source_has_a_member_in_several_others() -> None:
    given = situation(room=ONE_GROUP, members_of={"a": {"1", "2"}}, crowded={"1": ["B", "C"]})
    allowed, held = decide([delete("a")], policy(), given)
    assert allowed == []
    assert [(each.limit, each.reason) for each in held] == [
        ("crowded", "a member is in several groups (B, C), and would be left without a group")
    ]
    allowed, _ = decide([delete("a")], policy(), situation(**{**vars_of(given), "approved": {delete("a").id}}))
    assert shown(allowed) == ["delete_group a"]


def vars_of(given: Situation) -> dict[str, Any]:
    return {"room": given.room, "members_of": given.members_of, "crowded": given.crowded}
