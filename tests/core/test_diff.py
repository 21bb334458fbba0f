"""The changes of a difference, row by row of the decision tables; only differing values are sent."""

from __future__ import annotations

from dataclasses import replace
from typing import Any

import pytest

from syncd.core.diff import Following, PendingRule, differing, group_changes, membership_changes, user_changes
from syncd.core.matching import Doubt, Match
from syncd.core.model import Desired, Flat, Known, KnownGroup, Observed, ObservedGroup, State
from syncd.core.ownership import Ownership
from syncd.core.plan import Action, Change, Phase
from syncd.core.schema import MANAGER

BY_US, BY_ENDPOINT = PendingRule(by_endpoint=False), PendingRule(by_endpoint=True)
ACTIVE, PENDING, DEACTIVATED = State.ACTIVE, State.PENDING, State.DEACTIVATED
DIGEST = "d1"
DEPARTMENT = f"{MANAGER.rpartition(':')[0]}:department"
OWNED = Ownership(
    frozenset({"userName", "externalId", "active", "title", "name.givenName", "roles", DEPARTMENT, MANAGER})
)
OF_GROUPS = Ownership(frozenset({"displayName", "externalId"}))


def desired(state: State = ACTIVE, reason: str = "", **attributes: Any) -> Desired:
    flat = {"userName": "ada", **attributes} if state is not DEACTIVATED else {}
    return Desired("1", flat.get("userName", ""), state, flat, reason)


def known(state: State = ACTIVE, *, active: bool | None = None, accepted: bool = True, **attributes: Any) -> Known:
    flat = {"userName": "ada", **attributes, "active": state is ACTIVE if active is None else active}
    return Known("1", "id-1", "ada", state, flat, b"d0", accepted)


def decided(
    wanted: Desired | None, before: Known | None, pending: PendingRule = BY_US, accounts: tuple[str, ...] = ()
) -> list[Change]:
    following = user_changes(wanted, before, pending, DIGEST, accounts, OWNED)
    assert (following.doubt, following.forget) == (None, False)
    return following.changes


def lost(state: State = ACTIVE, *, accepted: bool = True) -> Known:
    return replace(known(state, accepted=accepted), lost=True)


def account(mark: str = "1", *, active: bool = True, **attributes: Any) -> Observed:
    flat = {"userName": "ada", "externalId": mark or None, **attributes, "active": active}
    return Observed("id-7", "ada", mark, (), flat)


def change(
    action: Action,
    before: Flat,
    after: Flat,
    reason: str,
    state: State = ACTIVE,
    digest: str = DIGEST,
    name: str = "ada",
) -> Change:
    return Change(action, "1", name, before, after, reason, state, digest)


@pytest.mark.parametrize(
    ("before", "after", "old", "new"),
    [
        ({}, {}, {}, {}),
        ({"a": 1, "b": 2}, {"b": 2, "a": 1}, {}, {}),
        ({"a": 1, "b": 2}, {"a": 1, "b": 3}, {"b": 2}, {"b": 3}),
        ({"a": 1}, {"a": 1, "b": 2}, {"b": None}, {"b": 2}),
        ({"a": 1, "b": 2}, {"a": 1}, {"b": 2}, {"b": None}),
        (
            {"a": [{"value": "x"}]},
            {"a": [{"value": "x"}, {"value": "y"}]},
            {"a": [{"value": "x"}]},
            {"a": [{"value": "x"}, {"value": "y"}]},
        ),
        # Case counts, even where the endpoint compares without it: people read what is written.
        ({"a": "Ada"}, {"a": "ada"}, {"a": "Ada"}, {"a": "ada"}),
        ({"a": None}, {}, {}, {}),
    ],
)
def test_a_difference_holds_what_differs_and_nothing_else(before: Flat, after: Flat, old: Flat, new: Flat) -> None:
    assert differing(before, after) == (old, new)


@pytest.mark.parametrize(
    ("wanted", "before", "pending", "expected"),
    [
        pytest.param(
            desired(title="Dr."),
            None,
            BY_US,
            change(Action.CREATE_USER, {}, {"userName": "ada", "title": "Dr.", "active": True}, "new in the source"),
            id="unknown, active",
        ),
        pytest.param(
            desired(PENDING),
            None,
            BY_US,
            change(
                Action.CREATE_USER,
                {},
                {"userName": "ada", "active": False},
                "new in the source, external domain",
                PENDING,
            ),
            id="unknown, external, kept out by us",
        ),
        pytest.param(
            desired(PENDING),
            None,
            BY_ENDPOINT,
            change(
                Action.CREATE_USER,
                {},
                {"userName": "ada", "active": True},
                "new in the source, external domain",
                PENDING,
            ),
            id="unknown, external, kept out by the endpoint",
        ),
        pytest.param(desired(DEACTIVATED, "disabled in the source"), None, BY_US, None, id="unknown, off"),
        pytest.param(desired(), known(), BY_US, None, id="active, active, equal"),
        pytest.param(
            desired(title="Dr."),
            known(title="Ms"),
            BY_US,
            change(Action.UPDATE_USER, {"title": "Ms"}, {"title": "Dr."}, "title changed in the source"),
            id="active, active, differing",
        ),
        pytest.param(
            desired(PENDING, title="Dr."),
            known(),
            BY_US,
            change(Action.UPDATE_USER, {"title": None}, {"title": "Dr."}, "title changed in the source"),
            id="active, external: stays active",
        ),
        pytest.param(desired(PENDING), known(), BY_US, None, id="active, external, equal"),
        pytest.param(
            desired(DEACTIVATED, "disabled in the source"),
            known(title="Dr."),
            BY_US,
            change(Action.DEACTIVATE_USER, {"active": True}, {"active": False}, "disabled in the source", DEACTIVATED),
            id="active, off",
        ),
        pytest.param(
            None,
            known(title="Dr."),
            BY_US,
            change(Action.DEACTIVATE_USER, {"active": True}, {"active": False}, "gone from the source", DEACTIVATED),
            id="active, gone",
        ),
        pytest.param(
            desired(),
            known(PENDING, accepted=False),
            BY_US,
            change(
                Action.UPDATE_USER,
                {"active": False},
                {"active": True},
                "the address is now in a verified domain",
                ACTIVE,
            ),
            id="pending, active, kept out by us",
        ),
        pytest.param(
            desired(),
            known(PENDING, active=True, accepted=False),
            BY_ENDPOINT,
            change(Action.UPDATE_USER, {}, {}, "the address is now in a verified domain", ACTIVE),
            id="pending, active, kept out by the endpoint: nothing to send, only to remember",
        ),
        pytest.param(
            desired(PENDING, title="Dr."),
            known(PENDING, accepted=False),
            BY_US,
            change(Action.UPDATE_USER, {"title": None}, {"title": "Dr."}, "title changed in the source", PENDING),
            id="pending, external, differing: never activated",
        ),
        pytest.param(desired(PENDING), known(PENDING, accepted=False), BY_US, None, id="pending, external, equal"),
        pytest.param(
            desired(PENDING),
            known(PENDING, active=True, accepted=False),
            BY_ENDPOINT,
            None,
            id="pending at the endpoint",
        ),
        pytest.param(
            desired(DEACTIVATED, "no longer in scope"),
            known(PENDING, active=True, accepted=False),
            BY_ENDPOINT,
            change(Action.DEACTIVATE_USER, {"active": True}, {"active": False}, "no longer in scope", DEACTIVATED),
            id="pending, off: withdrawn",
        ),
        pytest.param(
            None,
            known(PENDING, active=True, accepted=False),
            BY_ENDPOINT,
            change(Action.DEACTIVATE_USER, {"active": True}, {"active": False}, "gone from the source", DEACTIVATED),
            id="pending, gone: withdrawn",
        ),
        pytest.param(
            desired(title="Dr."),
            known(DEACTIVATED, title="Ms"),
            BY_US,
            change(
                Action.REACTIVATE_USER,
                {"title": "Ms", "active": False},
                {"title": "Dr.", "active": True},
                "back in the source",
            ),
            id="deactivated, active",
        ),
        pytest.param(
            desired(PENDING),
            known(DEACTIVATED),
            BY_US,
            change(Action.REACTIVATE_USER, {"active": False}, {"active": True}, "back in the source", ACTIVE),
            id="deactivated, external, accepted once: active",
        ),
        pytest.param(
            desired(PENDING),
            known(DEACTIVATED, accepted=False),
            BY_ENDPOINT,
            change(Action.REACTIVATE_USER, {"active": False}, {"active": True}, "back in the source", PENDING),
            id="deactivated, external, never accepted: pending again",
        ),
        pytest.param(
            desired(PENDING),
            known(DEACTIVATED, accepted=False),
            BY_US,
            change(Action.REACTIVATE_USER, {}, {}, "back in the source", PENDING),
            id="deactivated, external, never accepted, kept out by us: stays off",
        ),
        pytest.param(
            desired(),
            known(DEACTIVATED, accepted=False),
            BY_US,
            change(Action.REACTIVATE_USER, {"active": False}, {"active": True}, "back in the source", ACTIVE),
            id="deactivated, active, never accepted",
        ),
        pytest.param(desired(DEACTIVATED, "off"), known(DEACTIVATED), BY_US, None, id="deactivated, off"),
        pytest.param(None, known(DEACTIVATED), BY_US, None, id="deactivated, gone"),
        pytest.param(
            None,
            known(DEACTIVATED, active=True),
            BY_US,
            change(
                Action.DEACTIVATE_USER,
                {"active": True},
                {"active": False},
                "was switched on at the target",
                DEACTIVATED,
            ),
            id="deactivated, and on again at the target",
        ),
        pytest.param(
            desired(),
            known(active=False),
            BY_US,
            change(Action.UPDATE_USER, {"active": False}, {"active": True}, "was switched off at the target"),
            id="active, and off at the target",
        ),
        pytest.param(
            desired(PENDING),
            known(PENDING, accepted=True),
            BY_US,
            change(Action.UPDATE_USER, {"active": False}, {"active": True}, "accepted the invitation"),
            id="pending, accepted, kept out by us until now",
        ),
        pytest.param(
            desired(PENDING),
            known(PENDING, active=True, accepted=True),
            BY_ENDPOINT,
            change(Action.UPDATE_USER, {}, {}, "accepted the invitation"),
            id="pending, accepted: nothing to send, only to remember",
        ),
        pytest.param(
            None,
            known(PENDING, active=False, accepted=False),
            BY_US,
            change(Action.DEACTIVATE_USER, {}, {}, "gone from the source", DEACTIVATED),
            id="pending, gone, off already: nothing to send",
        ),
        pytest.param(
            None,
            known(PENDING, active=True, accepted=False),
            PendingRule(by_endpoint=True, withdrawn_by_delete=True),
            Change(
                Action.DELETE_USER,
                "1",
                "ada",
                {"userName": "ada", "active": True},
                {},
                "the invitation is withdrawn: gone from the source",
            ),
            id="pending, gone, withdrawn by deleting the account",
        ),
        pytest.param(
            desired(),
            lost(),
            BY_US,
            change(
                Action.CREATE_USER,
                {},
                {"userName": "ada", "active": True},
                "the account was deleted at the target",
            ),
            id="active, deleted at the target",
        ),
        pytest.param(
            desired(),
            lost(PENDING, accepted=False),
            BY_ENDPOINT,
            change(
                Action.CREATE_USER,
                {},
                {"userName": "ada", "active": True},
                "the account was deleted at the target",
            ),
            id="pending, deleted at the target, and no outsider any more",
        ),
    ],
)
def test_what_follows_for_a_user(
    wanted: Desired | None, before: Known | None, pending: PendingRule, expected: Change | None
) -> None:
    assert decided(wanted, before, pending) == ([] if expected is None else [expected])


@pytest.mark.parametrize(
    ("state", "accepted"), [(ACTIVE, True), (PENDING, False), (DEACTIVATED, True), (DEACTIVATED, False)]
)
def test_nobody_from_outside_is_invited_a_second_time_unless_a_person_says_so(state: State, *, accepted: bool) -> None:
    following = user_changes(desired(PENDING), lost(state, accepted=accepted), BY_ENDPOINT, DIGEST, (), OWNED)
    assert [(each.action, each.state) for each in following.changes] == [(Action.CREATE_USER, PENDING)]
    assert following.doubt == Doubt("invitation", "ada was deleted at the target; it would be a second invitation")


@pytest.mark.parametrize("wanted", [None, desired(DEACTIVATED, "disabled in the source")])
@pytest.mark.parametrize("state", [ACTIVE, PENDING, DEACTIVATED])
def test_whom_neither_side_has_is_forgotten(wanted: Desired | None, state: State) -> None:
    assert user_changes(wanted, lost(state), BY_US, DIGEST, (), OWNED) == Following(forget=True)


@pytest.mark.parametrize(
    ("wanted", "found", "pending", "state", "before", "after"),
    [
        pytest.param(desired(externalId="1"), account(), BY_US, ACTIVE, True, True, id="on"),
        pytest.param(desired(externalId="1"), account(active=False), BY_US, ACTIVE, False, True, id="off: switched on"),
        pytest.param(
            desired(PENDING, externalId="1"), account(), BY_US, ACTIVE, True, True, id="outsider, on: accepted long ago"
        ),
        pytest.param(
            desired(PENDING, externalId="1"), account(active=False), BY_US, PENDING, False, False, id="outsider, off"
        ),
        pytest.param(
            desired(PENDING, externalId="1"), account(), BY_ENDPOINT, PENDING, True, True, id="outsider, who can tell"
        ),
        pytest.param(
            desired(PENDING, externalId="1"),
            account(active=False),
            BY_ENDPOINT,
            PENDING,
            True,
            True,
            id="outsider, kept out by them",
        ),
        pytest.param(desired(DEACTIVATED, "disabled"), account(), BY_US, DEACTIVATED, True, False, id="left: off"),
        pytest.param(
            desired(DEACTIVATED, "disabled"),
            account(active=False),
            BY_US,
            DEACTIVATED,
            False,
            False,
            id="left, and off",
        ),
    ],
)
def test_an_account_that_is_there_is_taken_over(
    wanted: Desired, found: Observed, pending: PendingRule, state: State, before: bool, after: bool
) -> None:
    following = user_changes(wanted, None, pending, DIGEST, (), OWNED, Match(found, "externalId"))
    (adoption,) = following.changes
    assert (adoption.action, adoption.resource, adoption.state) == (Action.ADOPT_USER, "id-7", state)
    assert (adoption.before["active"], adoption.after["active"]) == (before, after)
    assert adoption.name == "ada"
    assert following.doubt is None


def test_what_is_taken_over_is_brought_into_line_and_nothing_else_is_sent() -> None:
    wanted = desired(title="Dr.", externalId="1")
    (ours,) = user_changes(wanted, None, BY_US, DIGEST, (), OWNED, Match(account(title="Ms"), "externalId")).changes
    assert ours.differences == ({"title": "Ms"}, {"title": "Dr."})
    assert not ours.takes_over
    (native,) = user_changes(
        wanted, None, BY_US, DIGEST, (), OWNED, Match(account("", title="Dr."), "userName")
    ).changes
    assert native.differences == ({"externalId": None}, {"externalId": "1"})
    assert native.takes_over


def adopted(found: Observed, by: str = "externalId", owned: Ownership = OWNED, **wanted: Any) -> Following:
    """Return what follows for somebody who is wanted with an externalId, and whose account was found by it."""
    return user_changes(desired(externalId="1", **wanted), None, BY_US, DIGEST, (), owned, Match(found, by))


def test_a_value_that_the_source_does_not_have_is_emptied_where_the_account_is_ours() -> None:
    following = adopted(account(title="Owner", roles=[{"value": "admin"}], nickName="theirs"))
    (ours,) = following.changes
    assert ours.differences == (
        {"title": "Owner", "roles": [{"value": "admin"}]},
        {"title": None, "roles": None},
    )
    assert ours.before.keys() == ours.after.keys() == OWNED.decided
    assert following.doubt is None


def test_a_stranger_s_account_that_would_lose_values_waits_for_a_person_who_is_told_which() -> None:
    roles = [{"value": "admin"}, {"value": "dev"}]
    following = adopted(account("", title="Owner", roles=roles, **{DEPARTMENT: "Sales"}), "userName", title="Ms")
    assert following.doubt == Doubt(
        "adopt",
        "taking over the account of ada would empty roles (admin, dev), department (Sales): "
        "the source has no value there",
    )
    (waiting,) = following.changes
    assert waiting.after["title"] == "Ms"
    # Nothing that means the same as none is lost, and another value is no loss.
    assert adopted(account("", title="Ms", roles=[], **{DEPARTMENT: ""}), "userName", title="Dr.").doubt is None


def test_what_is_kept_or_written_at_creation_alone_is_no_part_of_an_adoption() -> None:
    owned = Ownership(OWNED.decided - {"title"}, kept=frozenset({"roles"}), at_creation=frozenset({"title"}))
    there = account("", title="Owner", roles=[{"value": "admin"}])
    wanted = owned.settle(desired(externalId="1", title="Ms"), there.attributes)
    following = user_changes(wanted, None, BY_US, DIGEST, (), owned, Match(there, "userName"))
    (change,) = following.changes
    assert change.differences == ({"externalId": None}, {"externalId": "1"})
    assert "title" not in change.before.keys() | change.after.keys()
    assert following.doubt is None


def test_an_account_of_somebody_who_is_not_wanted_is_acknowledged_as_it_is() -> None:
    there = account(title="Owner", roles=[{"value": "admin"}], nickName="theirs")
    off = desired(DEACTIVATED, "disabled")
    (change,) = user_changes(off, None, BY_US, DIGEST, (), OWNED, Match(there, "externalId")).changes
    assert change.differences == ({"active": True}, {"active": False})
    assert (change.after["title"], change.after["roles"]) == ("Owner", [{"value": "admin"}])
    assert "nickName" not in change.after
    assert not change.takes_over


@pytest.mark.parametrize(
    ("owned", "wanted", "differs"),
    [
        pytest.param(OWNED, {}, {"title": None}, id="emptied"),
        pytest.param(Ownership(OWNED.decided, kept=frozenset({"title"})), {}, None, id="kept"),
        pytest.param(
            Ownership(OWNED.decided, kept=frozenset({"title"})), {"title": "Dr."}, {"title": "Dr."}, id="given"
        ),
        pytest.param(
            Ownership(OWNED.decided - {"title"}, at_creation=frozenset({"title"})),
            {"title": "Dr."},
            None,
            id="at creation",
        ),
        pytest.param(OWNED.without("title"), {}, None, id="no longer mapped"),
    ],
)
def test_an_update_empties_what_the_source_no_longer_has_unless_the_mapping_says_otherwise(
    owned: Ownership, wanted: Flat, differs: Flat | None
) -> None:
    before = known(title="Ms")
    settled = owned.settle(desired(**wanted), before.attributes)
    changes = user_changes(settled, before, BY_US, DIGEST, (), owned).changes
    assert [each.after for each in changes] == ([] if differs is None else [differs])


def test_where_it_is_in_doubt_whose_account_it_is_a_person_decides() -> None:
    doubt = Doubt("adopt", "2 accounts at the target have this userName (a, b)")
    following = user_changes(desired(), None, BY_US, DIGEST, (), OWNED, doubt)
    assert [each.action for each in following.changes] == [Action.CREATE_USER]
    assert following.doubt == doubt


def test_a_user_who_is_neither_known_nor_there_is_a_mistake_of_the_caller() -> None:
    with pytest.raises(ValueError, match="unknown and gone"):
        decided(None, None)


@pytest.mark.parametrize(
    ("attributes", "reason"),
    [
        ({"userName": "lovelace", "title": "Ms"}, "renamed in the source (was ada)"),
        ({"title": "Dr.", "name.givenName": "Ada"}, "title, name.givenName changed in the source"),
        (
            {"title": "Ms", DEPARTMENT: "R&D"},
            "department changed in the source",
        ),
        ({}, "title changed in the source"),
    ],
)
def test_the_reason_says_what_changed(attributes: dict[str, str], reason: str) -> None:
    (found,) = decided(desired(**attributes), known(title="Ms"))
    assert found.reason == reason


def test_a_rename_keeps_key_and_account_and_is_one_update() -> None:
    assert decided(desired(userName="lovelace"), known()) == [
        change(
            Action.UPDATE_USER,
            {"userName": "ada"},
            {"userName": "lovelace"},
            "renamed in the source (was ada)",
            name="lovelace",
        )
    ]


def test_a_manager_who_has_an_account_is_named_at_once() -> None:
    assert decided(desired(**{MANAGER: "7"}), None, accounts=("7",)) == [
        change(Action.CREATE_USER, {}, {"userName": "ada", MANAGER: "7", "active": True}, "new in the source")
    ]


def test_a_manager_without_an_account_is_named_in_a_second_change_that_alone_settles_the_user() -> None:
    first, second = decided(desired(title="Dr.", **{MANAGER: "7"}), None)
    assert first == change(
        Action.CREATE_USER, {}, {"userName": "ada", "title": "Dr.", "active": True}, "new in the source", digest=""
    )
    assert second == change(Action.UPDATE_USER, {MANAGER: None}, {MANAGER: "7"}, "manager, once both are there")
    assert (first.phase, second.phase) == (Phase.USERS, Phase.MANAGERS)


def test_who_is_back_with_a_new_manager_is_reactivated_first() -> None:
    first, second = decided(desired(**{MANAGER: "7"}), known(DEACTIVATED, **{MANAGER: "6"}))
    assert first == change(Action.REACTIVATE_USER, {"active": False}, {"active": True}, "back in the source", digest="")
    assert second == change(Action.UPDATE_USER, {MANAGER: "6"}, {MANAGER: "7"}, "manager, once both are there")


def test_a_group_that_was_deleted_at_the_target_is_made_again_and_an_unwanted_one_is_not_deleted_twice() -> None:
    gone = replace(known_group(), lost=True)
    (found,) = group_changes("g", DESIGN, gone, OF_GROUPS)
    assert (found.action, found.after) == (Action.CREATE_GROUP, DESIGN)
    assert found.reason == "the group was deleted at the target"
    assert group_changes("g", None, gone, OF_GROUPS) == []


def test_a_group_that_is_there_is_taken_over() -> None:
    there = ObservedGroup("id-9", "design", "g", {"externalId": "g", "displayName": "design"}, [])
    (found,) = group_changes("g", DESIGN, None, OF_GROUPS, there)
    assert (found.action, found.resource) == (Action.ADOPT_GROUP, "id-9")
    assert found.differences == ({"displayName": "design"}, {"displayName": "Design"})


def test_an_update_that_names_a_manager_waits_for_everybody_to_be_there() -> None:
    (found,) = decided(desired(title="Dr.", **{MANAGER: "7"}), known())
    assert found.after == {"title": "Dr.", MANAGER: "7"}
    assert found.phase is Phase.MANAGERS
    assert found.digest == DIGEST


@pytest.mark.parametrize(("state", "action"), [(ACTIVE, Action.UPDATE_USER), (DEACTIVATED, Action.REACTIVATE_USER)])
def test_a_reference_that_goes_away_needs_nobody_to_be_there(state: State, action: Action) -> None:
    (found,) = decided(desired(), known(state, **{MANAGER: "7"}))
    assert (found.action, found.before[MANAGER], found.after[MANAGER]) == (action, "7", None)


DESIGN = {"externalId": "g", "displayName": "Design"}


def known_group(**attributes: Any) -> KnownGroup:
    return KnownGroup("g", "id-g", "Design", {**DESIGN, **attributes}, bytes(16))


@pytest.mark.parametrize(
    ("wanted", "before", "expected"),
    [
        pytest.param(None, None, None, id="neither"),
        pytest.param(DESIGN, known_group(), None, id="equal"),
        pytest.param(
            DESIGN, None, Change(Action.CREATE_GROUP, "g", "Design", {}, DESIGN, "new in the source"), id="new"
        ),
        pytest.param(
            {**DESIGN, "displayName": "Design EU"},
            known_group(),
            Change(
                Action.UPDATE_GROUP,
                "g",
                "Design EU",
                {"displayName": "Design"},
                {"displayName": "Design EU"},
                "renamed in the source (was Design)",
            ),
            id="renamed",
        ),
        pytest.param(
            {**DESIGN, "externalId": "h"},
            known_group(),
            Change(
                Action.UPDATE_GROUP, "g", "Design", {"externalId": "g"}, {"externalId": "h"}, "changed in the source"
            ),
            id="changed",
        ),
        pytest.param(
            {"displayName": "Design"},
            known_group(),
            Change(
                Action.UPDATE_GROUP, "g", "Design", {"externalId": "g"}, {"externalId": None}, "changed in the source"
            ),
            id="an attribute less",
        ),
        pytest.param(
            None,
            known_group(),
            Change(Action.DELETE_GROUP, "g", "Design", DESIGN, {}, "gone from the source"),
            id="gone",
        ),
    ],
)
def test_what_follows_for_a_group(wanted: Flat | None, before: KnownGroup | None, expected: Change | None) -> None:
    assert group_changes("g", wanted, before, OF_GROUPS) == ([] if expected is None else [expected])


def remove(keys: Flat, reason: str) -> Change:
    return Change(Action.REMOVE_MEMBERS, "g", "Design", keys, {}, reason)


def add(keys: Flat, reason: str) -> Change:
    return Change(Action.ADD_MEMBERS, "g", "Design", {}, keys, reason)


@pytest.mark.parametrize(
    ("wanted", "before", "removable", "expected"),
    [
        pytest.param((set(), set()), (set(), set()), set(), [], id="nobody"),
        pytest.param(({"1"}, {"a"}), ({"1"}, {"a"}), {"1"}, [], id="equal"),
        pytest.param(
            ({"2", "10", "1"}, set()),
            (set(), set()),
            set(),
            [add({"members": ["1", "10", "2"]}, "3 people new in the group")],
            id="new",
        ),
        pytest.param(
            ({"1"}, set()),
            ({"1", "2"}, set()),
            {"1", "2"},
            [remove({"members": ["2"]}, "1 person no longer in the group")],
            id="one left",
        ),
        pytest.param(
            ({"1", "3"}, {"b"}),
            ({"1", "2"}, {"a", "c"}),
            {"1", "2"},
            [
                remove({"members": ["2"], "groups": ["a", "c"]}, "1 person and 2 groups no longer in the group"),
                add({"members": ["3"], "groups": ["b"]}, "1 person and 1 group new in the group"),
            ],
            id="people and groups came and went",
        ),
        pytest.param(({"1"}, set()), ({"1", "2"}, set()), set(), [], id="absence not proven"),
        pytest.param(
            (set(), set()),
            ({"1", "2", "3"}, set()),
            {"2"},
            [remove({"members": ["2"]}, "1 person no longer in the group")],
            id="absence proven for one",
        ),
        pytest.param(
            (set(), set()),
            (set(), {"a"}),
            set(),
            [remove({"groups": ["a"]}, "1 group no longer in the group")],
            id="group",
        ),
    ],
)
def test_who_joins_and_who_leaves(
    wanted: tuple[set[str], set[str]],
    before: tuple[set[str], set[str]],
    removable: set[str],
    expected: list[Change],
) -> None:
    assert membership_changes("g", "Design", wanted, before, removable) == expected


# -- after SSO was removed at the target ---------------------------------------------------------------

AGAIN = "to be managed again, since SSO was removed at the target"


def released(state: State = ACTIVE, **facts: Any) -> Known:
    return replace(known(state, active=True, title="Engineer"), unmanaged=True, **facts)


def test_an_unmanaged_account_is_sent_whole_also_where_nothing_differs() -> None:
    whole = {"userName": "ada", "title": "Engineer"}
    assert decided(desired(title="Engineer"), released()) == [change(Action.UPDATE_USER, whole, whole, AGAIN)]


def test_what_differs_is_said_beside_that_and_the_mark_is_no_news() -> None:
    (update,) = decided(desired(title="Chief", externalId="1"), released())
    assert update.reason == f"{AGAIN}; title changed in the source"
    assert update.differences == ({"title": "Engineer", "externalId": None}, {"title": "Chief", "externalId": "1"})
    (update,) = decided(desired(title="Engineer", externalId="1"), released())
    assert update.reason == AGAIN


def test_what_the_target_keeps_in_no_form_is_not_sent_again() -> None:
    (update,) = decided(desired(title="Engineer"), released(kept_as={"title": None}))
    assert update.after == {"userName": "ada"}


def test_an_unmanaged_account_that_is_not_wanted_is_only_switched_off() -> None:
    (leaver,) = decided(desired(DEACTIVATED, "left"), released())
    assert leaver == change(Action.DEACTIVATE_USER, {"active": True}, {"active": False}, "left", DEACTIVATED)


def test_one_without_a_way_in_is_not_admitted_for_a_verified_address() -> None:
    waiting = replace(known(PENDING, active=True, accepted=False), uninvited=True)
    assert decided(desired(), waiting, BY_ENDPOINT) == []
    (admitted,) = decided(desired(), replace(waiting, accepted=True), BY_ENDPOINT)
    assert (admitted.state, admitted.reason) == (ACTIVE, "accepted the invitation")


@pytest.mark.parametrize(("accepted", "state"), [(False, PENDING), (True, ACTIVE)])
def test_one_without_a_way_in_who_comes_back_is_pending_until_they_accept(accepted: bool, state: State) -> None:
    left = replace(known(DEACTIVATED, accepted=accepted), uninvited=True)
    (back,) = decided(desired(), left, BY_ENDPOINT)
    assert (back.action, back.state, back.after) == (Action.REACTIVATE_USER, state, {"active": True})


def test_one_who_is_gone_with_sso_is_not_forgotten_while_the_source_has_them() -> None:
    gone = replace(lost(DEACTIVATED), unmanaged=True)
    assert user_changes(desired(DEACTIVATED), gone, BY_ENDPOINT, DIGEST, (), OWNED) == Following()
    assert user_changes(None, gone, BY_ENDPOINT, DIGEST, (), OWNED) == Following(forget=True)
    (made,) = decided(desired(), gone, BY_ENDPOINT)
    assert made.action is Action.CREATE_USER


def test_an_account_under_another_id_is_taken_over_with_the_state_of_its_person() -> None:
    waiting = replace(lost(PENDING, accepted=False), uninvited=True)
    found = Match(account(mark=""), "e-mail")
    (taken,) = user_changes(desired(), waiting, BY_ENDPOINT, DIGEST, (), OWNED, found).changes
    assert (taken.action, taken.state) == (Action.ADOPT_USER, PENDING)
