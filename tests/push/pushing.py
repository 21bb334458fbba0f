"""A source in memory, a real state file, and a real endpoint on loopback, with the whole cycle in between."""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import replace
from pathlib import Path
from typing import Any

from pydantic import SecretStr

from syncd.compare.estimate import place_seen
from syncd.compare.rules import TargetRules
from syncd.core.mapping import MANAGER
from syncd.core.model import Entry, Flat, State
from syncd.core.place import Place, address_of
from syncd.core.plan import Action, Change, Estimate, Plan, Result, Run, ordered
from syncd.cycle.planned import Planned
from syncd.cycle.progress import Progress
from syncd.cycle.recovering import recover
from syncd.cycle.sync import carry_out
from syncd.scim.profiles import Profile
from syncd.settings.build import Target
from syncd.store import StateFile
from tests.endpoints import PATIENCE_SECONDS, TOKEN, Endpoint
from tests.scim.asking import IMPATIENT
from tests.world import WORK_MAIL, World, source_rules, target_rules

PROFILE = Profile("test", members_per_patch=3)
NAME = "target"
_UNHURRIED = 100_000.0
"""Requests per second: these tests are about what is sent, not when."""


class Pushing(World):
    """A World whose target is an endpoint, written to by `syncd.push`."""

    def __init__(self, state: StateFile, scim: Endpoint, rules: TargetRules | None = None) -> None:
        mapping = {"userName": "{uid}", "title": "{title}", WORK_MAIL: "{mail}", MANAGER: "{boss}"}
        super().__init__(state, rules or target_rules(NAME, profile=PROFILE), source_rules(mapping))
        self.scim = scim
        self.token = TOKEN
        self.tokens_read = 0
        self.concurrency = 4
        self.progress = Progress()
        self.patience = IMPATIENT

    def plan(self) -> Plan:
        """Return what is to be done, with the estimate for a target that was just seen to be the place."""
        return place_seen(super().plan(), self.target, self.snapshot)

    def push(self, plan: Plan | None = None, *, read_just_now: bool = False) -> Run:
        """Carry out a plan, or what is to be done now; `read_just_now`: as if all that is there had been read."""
        made = plan if plan is not None else self.plan()
        discovered = self.snapshot.discovery if read_just_now else None
        announced = replace(made, estimate=_with_glances(made, self))
        planned = Planned(self.reached(), announced, self.snapshot_updates, discovered=discovered, place=self.place())
        return carry_out(planned, self.state, self.progress)

    def place(self) -> Place:
        """Return the place of every push here, which counts as seen: these tests are about what else is sent."""
        return Place(address_of(self.scim.url), self.target.profile.name)

    def look(self) -> int:
        """Look what became of what earlier pushes left open; returns how much of it still is."""
        assert not any(each.failure for each in recover(self.state, [self.reached()]).values())
        return len(self.state.journal(NAME).intents())

    def reached(self) -> Target:
        """Return the target as it is reached over the network."""
        return Target(
            replace(self.target, rate=_UNHURRIED),
            self.scim.url,
            self._read_token,
            None,
            self.concurrency,
            patience=self.patience,
            timeout=10,
            owned=self.rules.users.ownership,
        )

    def _read_token(self) -> SecretStr:
        self.tokens_read += 1
        return SecretStr(self.token)

    def settle(self) -> None:
        """Push one by one until all is as it should be, and forget what was sent."""
        concurrency, self.concurrency = self.concurrency, 1
        run = self.push()
        self.concurrency = concurrency
        assert set(run.results) <= {Result.APPLIED}, said(run)
        assert not self.plan().changes
        self.scim.requests.clear()

    def learnt(self, *, patch: bool) -> None:
        """Let it be known whether the endpoint takes PATCH."""
        with self.state.atomic():
            self.snapshot.discover({"patch": patch})


def _with_glances(plan: Plan, world: Pushing) -> Estimate:
    """Return the estimate as a plan file has it: the push takes off what it need not look at."""
    glances = plan.estimate.requests - place_seen(plan, world.target, world.snapshot).estimate.requests
    return replace(plan.estimate, requests=plan.estimate.requests + glances)


@contextmanager
def pushing(folder: Path, scim: Endpoint, rules: TargetRules | None = None) -> Iterator[Pushing]:
    """Yield a world with a state file of its own."""
    with scim, StateFile(folder / "syncd.db") as state:
        yield Pushing(state, scim, rules)


def said(run: Run) -> list[tuple[str, str, str, int, str]]:
    """Return action, key, result, status and detail of every outcome."""
    return [(o.change.action.value, o.change.key, o.result.value, o.status, o.detail) for o in run.outcomes]


def results(run: Run) -> dict[str, str]:
    """Return the result by `action key`."""
    return {f"{outcome.change.action.value} {outcome.change.key}": outcome.result.value for outcome in run.outcomes}


def detail(run: Run, action: Action, key: str) -> str:
    """Return what was said of one change."""
    return next(o.detail for o in run.outcomes if (o.change.action, o.change.key) == (action, key))


def without(plan: Plan, dropped: Callable[[Change], bool]) -> Plan:
    """Return a plan without some of its changes."""
    return replace(plan, changes=tuple(change for change in plan.changes if not dropped(change)))


def planned_before(world: Pushing, *people: Entry) -> Plan:
    """Return the plan of a source that held these people, as a file holds it that was saved then."""
    world.hold(*people)
    plan = world.plan()
    world.hold()
    return plan


def plan_of(world: Pushing, *changes: Change) -> Plan:
    """Return a plan of these changes, as a file holds it that was made from the target of then."""
    return Plan(NAME, "resync", world.now, world.snapshot.serial, ordered(changes))


def adoption(key: str, id_: str, before: Flat, after: Flat, reason: str = "") -> Change:
    """Return the change that takes an account over, as a full resync plans it."""
    action, name = Action.ADOPT_USER, str(after["userName"])
    return Change(action, key, name, {**dict.fromkeys(after), **before}, after, reason, State.ACTIVE, resource=id_)


def joined(*plans: Plan) -> Plan:
    """Return one plan with the changes of all."""
    return replace(plans[0], changes=ordered(change for plan in plans for change in plan.changes))


@contextmanager
def meanwhile(happens: Callable[[], None]) -> Iterator[None]:
    """Do something beside what the block does; what it raises is raised at the end."""
    failures: list[BaseException] = []

    def guarded() -> None:
        try:
            happens()
        except BaseException as failure:
            failures.append(failure)

    thread = threading.Thread(target=guarded, daemon=True)
    thread.start()
    yield
    thread.join(PATIENCE_SECONDS)
    assert not thread.is_alive()
    if failures:
        raise failures[0]


def body(endpoint: Endpoint, number: int) -> Any:
    """Return the body of one of the requests that came."""
    return endpoint.requests[number].body
