"""The table of actions: the facts derived from its rows, worked out by hand."""

from __future__ import annotations

import pytest

from syncd.core.actions import Action, Effect, Phase
from syncd.core.limits import DEFAULT_LIMITS, Class, Limit
from syncd.core.model import Kind

_USER, _GROUP = Kind.USER, Kind.GROUP


@pytest.mark.parametrize(
    ("name", "kind", "phase", "begins", "ends", "delays"),
    [
        ("create_user", _USER, Phase.USERS, True, False, Effect.ADD_MEMBERS),
        ("adopt_user", _USER, Phase.USERS, True, False, Effect.ADD_MEMBERS),
        ("update_user", _USER, Phase.USERS, False, False, None),
        ("deactivate_user", _USER, Phase.DEACTIVATE, False, True, Effect.REMOVE_MEMBERS),
        ("reactivate_user", _USER, Phase.USERS, False, False, None),
        ("delete_user", _USER, Phase.DELETE, False, True, Effect.REMOVE_MEMBERS),
        ("create_group", _GROUP, Phase.GROUPS, True, False, Effect.ADD_MEMBERS),
        ("adopt_group", _GROUP, Phase.GROUPS, True, False, Effect.ADD_MEMBERS),
        ("update_group", _GROUP, Phase.GROUPS, False, False, None),
        ("delete_group", _GROUP, Phase.DELETE, False, True, Effect.REMOVE_MEMBERS),
        ("add_members", _GROUP, Phase.ADD_MEMBERS, False, False, None),
        ("remove_members", _GROUP, Phase.REMOVE_MEMBERS, False, False, None),
    ],
)
def test_what_an_action_does(
    name: str, kind: Kind, phase: Phase, begins: bool, ends: bool, delays: Effect | None
) -> None:
    action = Action(name)
    assert (kind, phase, begins, ends, delays) == (
        action.kind,
        action.phase,
        action.begins,
        action.ends,
        action.delays,
    )


@pytest.mark.parametrize(
    ("fact", "actions"),
    [
        ("creates", {"create_user", "create_group"}),
        ("adopts", {"adopt_user", "adopt_group"}),
        ("alters", {"update_user", "deactivate_user", "reactivate_user", "update_group"}),
        ("deletes", {"delete_user", "delete_group"}),
        ("of_members", {"add_members", "remove_members"}),
        ("adds", {"add_members"}),
        ("removes", {"remove_members"}),
        ("leaves", {"deactivate_user", "delete_user"}),
        ("arrives", {"create_user", "adopt_user", "reactivate_user", "create_group", "adopt_group"}),
    ],
)
def test_actions_that_share_a_fact(fact: str, actions: set[str]) -> None:
    assert actions == {action.value for action in Action if getattr(action, fact)}


@pytest.mark.parametrize(
    ("action", "label", "one", "several", "named"),
    [
        (Action.CREATE_USER, "create user", "create 1 user", "create 1,200 users", "create X"),
        (Action.DELETE_GROUP, "delete group", "delete 1 group", "delete 1,200 groups", "delete the group X"),
        (
            Action.ADD_MEMBERS,
            "add members",
            "add members to 1 group",
            "add members to 1,200 groups",
            "add members to the group X",
        ),
        (
            Action.REMOVE_MEMBERS,
            "remove members",
            "remove members from 1 group",
            "remove members from 1,200 groups",
            "remove members from the group X",
        ),
    ],
)
def test_an_action_in_words(action: Action, label: str, one: str, several: str, named: str) -> None:
    assert (label, one, several, named) == (action.label, action.counted(1), action.counted(1200), action.of("X"))


@pytest.mark.parametrize("action", Action)
def test_the_words_of_an_action_name_no_identifier(action: Action) -> None:
    words = action.words
    for text in (action.label, action.counted(2), *words.happens, words.done, words.undone, words.doing):
        assert text
        assert "_" not in text


@pytest.mark.parametrize(
    ("name", "of", "default"),
    [
        ("deactivate", _USER, Limit(percent=10, count=50)),
        ("delete", _USER, Limit(percent=10, count=50)),
        ("delete_group", _GROUP, Limit(count=5)),
        ("remove_members", _USER, Limit(percent=20)),
        ("rename", _USER, Limit(percent=20)),
        ("adopt", _USER, Limit(count=50)),
    ],
)
def test_what_a_class_counts_and_its_default_limit(name: str, of: Kind, default: Limit) -> None:
    assert (of, default) == (Class(name).of, DEFAULT_LIMITS[Class(name)])
