"""What an endpoint really has, by the names that the source gives: to compare with what syncd says that it did."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any

from syncd.core.actions import Action
from syncd.core.plan import Outcome, Result, Run
from tests.faults.world import World
from tests.sandbox.process import Json, Sandbox
from tests.sandbox.scim_bodies import ENTERPRISE


class Truth:
    """The accounts and groups of one company, as an observer reads them: no fault meets an observer."""

    def __init__(self, world: World, sandbox: Sandbox) -> None:
        self.world = world
        self.users = [each for each in sandbox.users() if each["userName"].startswith(world.key("x")[:-1])]
        self.groups = sandbox.groups()

    def accounts(self, name: str) -> list[Json]:
        """Return the accounts that a person has, under the present name or that of before."""
        key, names = self.world.key(name), (self.world.mail(name), f"{self.world.key(name)}@example.com")
        return [each for each in self.users if each.get("externalId") == key or each["userName"] in names]

    def user(self, name: str) -> Json:
        """Return a person's account, empty if there is none."""
        found = self.accounts(name)
        assert len(found) <= 1, f"{name} has {len(found)} accounts"
        return found[0] if found else {}

    def group(self, key: str) -> Json:
        """Return a group by its key in the source, empty if there is none."""
        found = [each for each in self.groups if each["displayName"] == self.world.group(key)]
        assert len(found) <= 1, f"{key} is there {len(found)} times"
        return found[0] if found else {}

    def members(self, key: str) -> set[str]:
        """Return the names of the people in a group; who is not of the company is left out."""
        ids = {each["id"]: name for name in self.world.company.people for each in self.accounts(name)}
        return {ids[each["value"]] for each in self.group(key).get("members", []) if each["value"] in ids}


def flat(user: Json) -> Json:
    """Return what the mapping speaks of in a user; `account`: whether there is one."""
    enterprise = user.get(ENTERPRISE, {})
    return {
        "account": bool(user),
        "userName": user.get("userName"),
        "active": bool(user) and user.get("active", True),
        "title": user.get("title"),
        "addresses": sorted(each["value"] for each in user.get("emails", [])),
        "department": enterprise.get("department"),
        "manager": enterprise.get("manager", {}).get("value"),
    }


def wanted(world: World, truth: Truth, name: str) -> Json:
    """Return what the source says of somebody who is active, in the form of `flat`."""
    person = world.company.people[name]
    return {
        "account": True,
        "userName": world.mail(name),
        "active": True,
        "title": person["title"] or None,
        "addresses": sorted(each for each in (world.mail(name), person.get("home")) if each),
        "department": person.get("team") or None,
        "manager": truth.user(person["boss"]).get("id") if person["boss"] else None,
    }


def lies(world: World, sandbox: Sandbox, run: Run) -> list[str]:
    """Return what is not so of what a run calls applied. A change done in part names the rest in its detail."""
    truth = Truth(world, sandbox)
    return [
        f"{outcome.change.action.value} {outcome.change.key}: {lie}"
        for outcome in run.outcomes
        if outcome.result is Result.APPLIED and (lie := _untrue(world, truth, outcome))
    ]


def _untrue(world: World, truth: Truth, outcome: Outcome) -> str:
    change = outcome.change
    name = next((each for each in world.company.people if world.key(each) == change.key), "")
    key = next((each for each in world.company.groups if world.key(each) == change.key), "")
    match change.action:
        case Action.DEACTIVATE_USER if name:
            return "is on" if any(each.get("active", True) for each in truth.accounts(name)) else ""
        case Action.DELETE_USER if name:
            return "is there" if truth.accounts(name) else ""
        case Action.CREATE_USER | Action.ADOPT_USER | Action.UPDATE_USER | Action.REACTIVATE_USER if name:
            return _unlike(truth.user(name), change.after, outcome.detail)
        case Action.CREATE_GROUP | Action.ADOPT_GROUP | Action.UPDATE_GROUP if key:
            return "" if truth.group(key) else "is not there"
        case Action.ADD_MEMBERS if key and outcome.finished:  # else somebody has no account yet
            lacking = _names(world, change.after["members"]) - truth.members(key)
            return f"lacks {sorted(lacking)}" if lacking else ""
        case Action.REMOVE_MEMBERS if key:
            left = _names(world, change.before["members"]) & truth.members(key)
            return f"has {sorted(left)}" if left else ""
    return ""


def _unlike(user: Json, after: Any, detail: str) -> str:
    shown = flat(user)
    for path, value in after.items():
        if path in detail:
            continue
        if not user:
            return "is not there"
        if path in shown and shown[path] != value:
            return f"{path} is {shown[path]!r}, and not {value!r}"
        if path.startswith("emails") and value and value not in shown["addresses"]:
            return f"lacks the address {value!r}"
    return ""


def _names(world: World, keys: Iterable[str]) -> set[str]:
    wanted = set(keys)
    return {name for name in world.company.people if world.key(name) in wanted}


def told(runs: Iterable[Run], key: str) -> bool:
    """Whether a run said that something of a user or group is not done. A run that ended early says so of all."""
    return any(
        run.error
        or any(each.change.key == key for each in run.plan.held)
        or any(problem.key == key for problem in run.plan.problems)
        or any(each.change.key == key and each.result is not Result.APPLIED for each in run.outcomes)
        for run in runs
    )


def told_of_a_part(runs: Iterable[Run], key: str) -> bool:
    """Whether a run said of a change that part of it is not done: it is said once, until another value is wanted."""
    return any(each.change.key == key and each.detail for run in runs for each in run.outcomes)
