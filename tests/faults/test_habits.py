"""Every habit of the sandbox against a company in which much happens: what is called done is done, or it is told.

An endpoint with a habit may keep a change from being done. Then the change is reported as failed, held or skipped, and
never as applied. Nobody else's change waits for it, no value that syncd doesn't own is lost, and what can't be done is
not called done again and again.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import replace
from pathlib import Path
from typing import Final

import pytest

from syncd.core.plan import Result, Run
from syncd.sandbox.habits import HABITS
from tests.faults.truth import Truth, flat, lies, told, told_of_a_part, wanted
from tests.faults.world import TOKEN, World
from tests.sandbox.process import Json, Sandbox
from tests.sandbox.scim_bodies import patch, user
from tests.scim.asking import IMPATIENT

_OBSERVER = {"X-Sandbox-Observer": "1"}
_MAPPING = """
'emails[type eq "work"].value' = "{mail}"
'emails[type eq "home"].value' = "{home}"
"urn:ietf:params:scim:schemas:extension:enterprise:2.0:User:department" = "{team}"
"""
_FOREIGN: Final = {"nickName": "Somebody else's", "phoneNumbers": [{"value": "+49 1", "type": "other"}]}
"""Values that people at the endpoint gave the accounts: the mapping doesn't name them."""

_NOTHING: Final[frozenset[str]] = frozenset()
_ALL: Final = frozenset({"account", "userName", "active", "title", "addresses", "department", "manager", "members"})
_OWNER: Final = frozenset({"bob"})
EXCUSED: Final[Mapping[str, frozenset[str]]] = {
    "removal-ignored": frozenset({"members"}),
    "removal-ignored-silently": frozenset({"members"}),
    "removal-pretended": frozenset({"members"}),
    "addition-ignored": frozenset({"members"}),
    "deactivation-ignored": frozenset({"active"}),
    "deactivation-pretended": frozenset({"active"}),
    "deletion-ignored": _NOTHING,
    "put-ignored": _NOTHING,
    "creation-pretended": _ALL,
    "drift-returns": _ALL,
    "drift-returns-later": _ALL,
    "title-dropped": frozenset({"title"}),
    "extension-dropped": frozenset({"department", "manager"}),
    "mark-dropped": _NOTHING,
    "active-dropped": frozenset({"active"}),
    "put-keeps-members": _NOTHING,
    "add-replaces": _NOTHING,
    "type-not-kept": _NOTHING,
    "one-email": frozenset({"addresses"}),
    "email-path-refused": _NOTHING,
    "member-path-refused": _NOTHING,
    "member-removal-refused": _NOTHING,
    "extension-refused": frozenset({"department", "manager"}),
    "title-refused": frozenset({"title"}),
    "pathless-refused": _NOTHING,
    "one-operation": _NOTHING,
    "redundant-refused": _NOTHING,
    "redundant-not-found": _NOTHING,
    "owner-refused": _OWNER,
    "no-new-users": frozenset({"eve", "off", "members"}),
    "read-only": _ALL,
    "rate-limit-403": _NOTHING,
    "rate-limit-reset": _NOTHING,
    "rate-limit-epoch": _NOTHING,
    "members-required": _NOTHING,
    "member-type-required": _NOTHING,
    "deleted-stays": _NOTHING,
    "active-as-number": _NOTHING,
    "active-as-text": _NOTHING,
    "active-as-word": _NOTHING,
    "active-hidden": _NOTHING,
    "active-hidden-when-off": _NOTHING,
    "no-bodies": _NOTHING,
    "bodies": _NOTHING,
    "off-leaves-groups": _NOTHING,
    "numbered-apart": _NOTHING,
    "takes-over": _NOTHING,
    "takes-over-silently": _NOTHING,
    "names-not-unique": _NOTHING,
    # Several at one endpoint
    "member-path-refused+put-keeps-members": _NOTHING,
    "member-removal-refused+put-keeps-members": frozenset({"members"}),
    "removal-ignored+bodies": frozenset({"members"}),
    "removal-ignored+put-keeps-members": frozenset({"members"}),
    "active-hidden+deactivation-ignored": frozenset({"active"}),
    "active-hidden-when-off+bodies": _NOTHING,
    "active-as-text+active-dropped": frozenset({"active"}),
    "title-dropped+bodies": frozenset({"title"}),
    "title-dropped+no-bodies": frozenset({"title"}),
    "type-not-kept+add-replaces": _NOTHING,
    "email-path-refused+one-operation": _NOTHING,
    "email-path-refused+add-replaces": _NOTHING,
    "title-refused+one-operation": frozenset({"title"}),
    "off-leaves-groups+no-bodies": _NOTHING,
    "members-required+member-type-required": _NOTHING,
    "redundant-refused+no-bodies": _NOTHING,
}
"""What may stay undone under a habit, if it is told: of everybody, or all of one person. All else has to be done."""
LATE: Final = frozenset(name for name in HABITS if name.endswith("-pretended") or name.startswith("drift-")) | {
    "put-ignored"
}
"""Habits of endpoints whose answers show an effect that isn't there, or doesn't last: full resyncs find out."""
FROM_LATER: Final = frozenset({"creation-pretended", "no-new-users", "read-only"})
"""Habits with which there would be nothing to begin with."""


LEFT_OUT: Final[Mapping[str, frozenset[str]]] = {
    "much": frozenset({"drift-returns-later"}),
    "lost": frozenset({"drift-returns-later", "mark-dropped"}),
    "deleted": frozenset(),
    "nested": frozenset(),
    "taken": frozenset(),
    "twice": frozenset(),
}
"""Rows without an end that could be asked for: whatever is undone when a list is read is put back by each full resync,
and told, and never in line when it is looked at; and without a mark nothing says that an account is ours."""


def rows(event: str, *habits: str) -> list[str]:
    """Return the habits to test an event with."""
    return [each for each in habits if each not in LEFT_OUT[event]]


@pytest.fixture(autouse=True)
def impatient(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setenv(TOKEN, "sandbox-token")
    patience = replace(IMPATIENT, longest_pause=5)
    monkeypatch.setattr("syncd.settings.build.targets.Patience", lambda **_: patience)


@pytest.fixture(scope="module")
def _running() -> Iterator[Sandbox]:
    with Sandbox() as sandbox:
        yield sandbox


@pytest.fixture
def sandbox(_running: Sandbox) -> Iterator[Sandbox]:
    yield _running
    _running.faults()
    for kind, resources in (("Groups", _running.groups()), ("Users", _running.users())):
        for each in resources:
            _running.scim("DELETE", f"/{kind}/{each['id']}", headers=_OBSERVER)


def rehearse(sandbox: Sandbox, habit: str) -> None:
    """Give the sandbox a habit. What takes time is made short: two pauses of a second, drift that is back at once."""
    rules: list[Json] = [dict(rule) for each in habit.split("+") for rule in HABITS[each].rules]
    for rule in rules:
        if "retry_after" in rule:
            rule["times"] = 2
        if "milliseconds" in rule:
            rule["milliseconds"] = 0
    sandbox.faults(*rules)


def check(
    world: World, sandbox: Sandbox, runs: list[Run], excused: frozenset[str], earlier: Sequence[Run] = ()
) -> None:
    """Fail unless the endpoint has what the source says; what is excused may be told instead.

    `runs`: those since the source changed; `earlier`: those before.
    """
    truth = Truth(world, sandbox)
    for name, person in world.company.people.items():
        account, expected = flat(truth.user(name)), wanted(world, truth, name)
        if person["status"] != "active":
            unlike = ["active"] if account["active"] else []
        else:
            unlike = [each for each in expected if account[each] != expected[each]]
        key, seen = world.key(name), {each: (account[each], expected[each]) for each in unlike}
        may_be = name in excused or excused.issuperset(unlike)
        is_told = told(runs, key) or told_of_a_part([*earlier, *runs], key)
        assert not unlike or (may_be and is_told), f"{name}, there and in the source: {seen}"
    for key in world.company.groups:
        meant = {name for group, name in world.company.members if group == key and name in world.company.people}
        there = truth.members(key)
        may_be = "members" in excused and told(runs, world.key(key))
        assert there == meant or may_be or (there ^ meant) <= excused, f"{key} has {there}, and not {meant}"


def nothing_else_is_lost(world: World, sandbox: Sandbox, before: Truth) -> None:
    after = {each["id"]: each for each in Truth(world, sandbox).users}
    for account in before.users:
        kept = after.get(account["id"], account)
        assert kept.get("nickName") == account.get("nickName"), f"{account['userName']} lost a name"
        assert _numbers(kept) == _numbers(account), f"{account['userName']} lost a number"


def _numbers(account: Json) -> list[str]:
    return [each["value"] for each in account.get("phoneNumbers", [])]


def give_foreign_values(world: World, sandbox: Sandbox) -> None:
    for each in Truth(world, sandbox).users:
        body = patch({"op": "replace", "value": _FOREIGN})
        sandbox.scim("PATCH", f"/Users/{each['id']}", body, headers=_OBSERVER).raise_for_status()


def sync_twice(world: World, sandbox: Sandbox, habit: str, earlier: Sequence[Run] = ()) -> list[Run]:
    """Run twice; where the answers tell the truth, what is called applied is so after each run."""
    runs = []
    for _ in range(2):
        runs.append(world.sync())
        assert habit in LATE or lies(world, sandbox, runs[-1]) == []
    if habit not in LATE:
        check(world, sandbox, runs, EXCUSED[habit], earlier)
    return runs


def resync_until_told(
    world: World, sandbox: Sandbox, excused: frozenset[str], runs: Sequence[Run] = (), earlier: Sequence[Run] = ()
) -> None:
    """Run three full resyncs: in the end all is so or told, and nothing is called done again."""
    runs = [*runs, *(world.sync(full=True) for _ in range(3))]
    check(world, sandbox, runs, excused, earlier)
    again = [each.to_json() for each in runs[-1].outcomes if each.result is Result.APPLIED]
    assert again == []


@pytest.mark.parametrize("habit", rows("much", *EXCUSED))
def test_when_much_happens_what_is_called_done_is_done(tmp_path: Path, sandbox: Sandbox, habit: str) -> None:
    """Somebody leaves, comes, comes back, gets another name, address, title, department; people change groups."""
    world = World(tmp_path, sandbox, "many", mapping=_MAPPING)
    world.but(ada={"home": world.key("ada") + "@example.org", "team": "IT"}, bob={"team": "IT", "title": "the owner"})
    world.company.members = {("g", "ada"), ("g", "bob"), ("h", "cyd"), ("h", "ada")}
    if habit not in FROM_LATER:
        rehearse(sandbox, habit)
    earlier = sync_twice(world, sandbox, habit)
    rehearse(sandbox, habit)
    give_foreign_values(world, sandbox)
    before = Truth(world, sandbox)

    world.but(
        ada={"title": "Doctor", "team": "Research"},
        bob={"status": "left"},
        cyd={"called": "cydney", "home": world.key("cyd") + "@example.org", "boss": "ada"},
        off={"status": "active"},
        eve={"title": "Guest", "boss": "ada"},
    )
    world.company.members = {("g", "eve"), ("g", "cyd"), ("h", "off"), ("h", "cyd"), ("k", "ada")}
    world.company.groups["k"] = "Group k"
    runs = sync_twice(world, sandbox, habit, earlier)
    nothing_else_is_lost(world, sandbox, before)

    resync_until_told(world, sandbox, EXCUSED[habit], runs, earlier)
    nothing_else_is_lost(world, sandbox, before)


@pytest.mark.parametrize("habit", rows("lost", *EXCUSED))
def test_when_the_state_is_lost_all_is_in_somebodys_charge(tmp_path: Path, sandbox: Sandbox, habit: str) -> None:
    """The state file is gone, and meanwhile somebody left, and somebody's title changed."""
    world = World(tmp_path, sandbox, "lost", mapping=_MAPPING)
    world.but(bob={"title": "the owner"})
    if habit not in FROM_LATER:
        rehearse(sandbox, habit)
    sync_twice(world, sandbox, habit)
    rehearse(sandbox, habit)
    give_foreign_values(world, sandbox)
    before = Truth(world, sandbox)
    for file in tmp_path.glob("syncd.db*"):
        file.unlink()

    world.but(ada={"title": "Doctor"}, bob={"status": "left"})
    world.company.members = {("g", "ada"), ("g", "cyd"), ("h", "cyd")}
    resync_until_told(world, sandbox, EXCUSED[habit])
    nothing_else_is_lost(world, sandbox, before)
    assert all(len(Truth(world, sandbox).accounts(name)) <= 1 for name in world.company.people)


@pytest.mark.parametrize(
    "habit", rows("deleted", "deleted-stays", "deletion-ignored", "redundant-refused", "redundant-not-found")
)
def test_when_somebody_is_deleted_others_still_join(tmp_path: Path, sandbox: Sandbox, habit: str) -> None:
    world = World(tmp_path, sandbox, "deleted", mapping=_MAPPING, delete_after="0s")
    sync_twice(world, sandbox, habit)
    rehearse(sandbox, habit)
    world.but(bob={"status": "left"})
    runs = [world.sync(), world.sync()]
    assert [lies(world, sandbox, run) for run in runs] == [[], []]
    world.but(bob=None)
    world.company.members = {("g", "ada"), ("g", "cyd"), ("h", "cyd")}
    runs += sync_twice(world, sandbox, habit)
    gone = not Truth(world, sandbox).user("bob")
    assert gone or told(runs, world.key("bob"))
    resync_until_told(world, sandbox, EXCUSED[habit], runs)


@pytest.mark.parametrize("habit", rows("nested", "numbered-apart"))
def test_a_group_is_not_read_as_the_user_of_its_number(tmp_path: Path, habit: str) -> None:
    """Groups in groups, at an endpoint that reads every member as a user: group h is 2, and bob is user 2."""
    with Sandbox(habits=[habit]) as sandbox:
        world = World(tmp_path, sandbox, "nested", source='nested_groups = "keep"', mapping=_MAPPING)
        world.company.members = {("g", "h"), ("g", "ada"), ("h", "cyd")}
        runs = [world.sync(), world.sync(), world.sync(full=True), world.sync(full=True)]
        truth = Truth(world, sandbox)
    assert truth.members("g") <= {"ada", "cyd"}, "bob is in no group"
    assert "cyd" in truth.members("g") or told(runs, world.key("g")), "she is in it by another group"
    assert not any(each.result is Result.APPLIED for each in runs[-1].outcomes)


@pytest.mark.parametrize("habit", rows("taken", "takes-over", "takes-over-silently"))
def test_an_account_that_was_there_is_not_called_created(tmp_path: Path, sandbox: Sandbox, habit: str) -> None:
    world = World(tmp_path, sandbox, "taken", mapping=_MAPPING)
    sync_twice(world, sandbox, habit)
    rehearse(sandbox, habit)
    world.but(dan={"title": "Guest"})
    there = {**user(), "userName": world.mail("dan"), "title": "Owner", **_FOREIGN}
    sandbox.scim("POST", "/Users", there, headers=_OBSERVER).raise_for_status()
    before = Truth(world, sandbox)
    first, second = world.sync(), world.sync()
    assert lies(world, sandbox, first) == lies(world, sandbox, second) == []
    (outcome,) = [each for each in first.outcomes if each.change.key == world.key("dan")]
    assert outcome.change.action.value == "adopt_user" or outcome.detail, "it says that the account was there before"
    nothing_else_is_lost(world, sandbox, before)
    resync_until_told(world, sandbox, frozenset({"dan"}), [first, second])


@pytest.mark.parametrize("habit", rows("twice", "names-not-unique"))
def test_where_names_are_not_unique_nobody_is_made_twice(tmp_path: Path, sandbox: Sandbox, habit: str) -> None:
    """The state file is lost, and the next that runs is a sync."""
    world = World(tmp_path, sandbox, "twice", mapping=_MAPPING)
    rehearse(sandbox, habit)
    sync_twice(world, sandbox, habit)
    for file in tmp_path.glob("syncd.db*"):
        file.unlink()
    world.sync()
    truth = Truth(world, sandbox)
    assert [len(truth.accounts(name)) for name in ("ada", "bob", "cyd", "off")] == [1, 1, 1, 0]
