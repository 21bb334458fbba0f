"""Carry out a plan: phase by phase, many resources side by side. Of each change the intent is on disk before it is
sent, and the outcome when it is known: whoever is killed in between knows what to look at.

Every write passes the gate, and only to resources that are linked to a key of the source, or that this very change
creates or takes over.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import nullcontext
from dataclasses import dataclass
from functools import partial
from itertools import groupby
from typing import Final

from syncd.compare.estimate import asks_first, bulk_operations, drifted, lists_groups
from syncd.core.model import Json, Kind
from syncd.core.plan import LOST, UNRECOVERED, Action, Change, Outcome, Plan, Result
from syncd.core.quarantine import is_permanent
from syncd.errors import OutcomeUnclear, ScimError, TargetError, TargetFailing
from syncd.push.collisions import Collisions
from syncd.push.execution import Clock, Done, Execution
from syncd.push.gate import Gate, Lost, Refusal
from syncd.push.members import Members
from syncd.scim.bulk import Bulk
from syncd.scim.client import Client
from syncd.scim.discovery import announced
from syncd.scim.profiles import Profile
from syncd.store import Commits, Journal, Snapshot, StateFile

_SERVER_ERROR: Final = 500
"""RFC 9110 section 15.6: from here on it is the server's fault, not the request's."""
_MOST_IN_A_ROW: Final = 20


@dataclass(frozen=True)
class PushRules:
    """The rules of one run that pushes.

    `takeovers`: how many accounts that creates collide with may be taken over; None: all. `protected` is the gate's.
    `read_just_now`: the plan follows from all that there is at the target.
    """

    profile: Profile
    concurrency: int = 8
    takeovers: int | None = None
    adopt_groups: bool = False
    protected: Callable[[str, str], str] = lambda key, id_: ""
    read_just_now: bool = False


class Push:
    """One plan on its way to one target."""

    def __init__(
        self,
        state: StateFile,
        snapshot: Snapshot,
        journal: Journal,
        client: Client,
        rules: PushRules,
        *,
        clock: Clock,
        on_outcome: Callable[[Outcome], None] = lambda _: None,
    ) -> None:
        self._state = state
        self._snapshot = snapshot
        self._journal = journal
        self._client = client
        self._rules = rules
        self._clock = clock
        self._on_outcome = on_outcome
        self._holds, self._quarantine = state.holds(snapshot.name), state.quarantine(snapshot.name)
        self._approved = self._holds.approved(clock())
        self._quarantined = {each.id for each in self._quarantine.all()}
        self._unrecovered: set[tuple[Kind, str]] = set()
        self._failed: set[str] = set()
        self._in_a_row: Counter[Action] = Counter()
        self._last: dict[Action, str] = {}
        self._outcomes: list[Outcome] = []
        self._draining = False
        self._working: set[asyncio.Task[None]] = set()
        self._some_succeeded = False
        self.stopped: TargetError | None = None

    async def carry_out(self, plan: Plan, run: int) -> tuple[Outcome, ...]:
        """Execute every change of the plan and return what came of each, in the plan's order.

        When the target as a whole refuses or disappears, `stopped` says so and what was left is skipped.
        Raises StateError when something can't be written down: nothing more is sent then.
        """
        # As it was known when the plan was made: what a plan announces is what is done.
        self._bulk_offered = self._snapshot.discovery.get("bulk")
        failures = self._journal.failures() if plan.changes else {}
        if not self._rules.read_just_now:
            intents = (intent.change for intent in self._journal.intents())
            self._unrecovered = {(each.action.kind, each.key) for each in intents if each.action.creates}
        if plan.changes and self.stopped is None:
            await self._prepare()
        self._commits = Commits(self._state)
        self._gate = Gate(self._client, self._snapshot, self._rules.protected)
        self._execution = self._begin(plan)
        for _, phase in groupby(self._in_turn(plan, failures), key=lambda change: change.phase):
            await self._side_by_side(list(phase), run)
            await self._commits.finish()
        self._learn()
        place = {change.id: index for index, change in enumerate(plan.changes)}
        return tuple(sorted(self._outcomes, key=lambda outcome: place[outcome.change.id]))

    def _in_turn(self, plan: Plan, failures: Mapping[str, int]) -> Sequence[Change]:
        """Return the changes in the order in which they are done: in each phase first what has failed least.

        Else those at whom an endpoint chokes could, always the first, keep everybody after them from being tried.
        """
        return sorted(plan.changes, key=lambda change: (change.phase, failures.get(change.key, 0)))

    def drain(self) -> None:
        """Begin nothing more; what is in flight goes on to its end."""
        self._draining = True

    def cut_off(self) -> None:
        """Leave what is in flight: nobody knows then what became of it, and the next run looks."""
        for task in self._working:
            task.cancel()

    def _begin(self, plan: Plan) -> Execution:
        gate, rules = self._gate, self._rules
        creates = sum(change.action is Action.CREATE_GROUP and "externalId" in change.after for change in plan.changes)
        return Execution(
            gate,
            self._snapshot,
            Members(gate, self._commits, self._snapshot, rules.profile),
            Collisions(
                gate,
                self._snapshot,
                rules.profile,
                takeovers=rules.takeovers,
                adopt_groups=rules.adopt_groups,
                lists_groups=lists_groups(creates, rules.profile, self._snapshot),
            ),
            rules.profile,
            self._clock,
            drifted=drifted(plan.drift),
            echoes=self._snapshot.discovery.get("echoes") is True,
            look_again=not rules.read_just_now,
        )

    async def _prepare(self) -> None:
        """Find out once what the endpoint announces, where the profile leaves something open."""
        if not asks_first(self._rules.profile, self._snapshot.discovery):
            return
        try:
            config = await self._client.service_provider_config()
        except ScimError:
            config = None  # many have no such endpoint: try PATCH, and learn from the answer
        except TargetError as error:
            self.stopped = error
            return
        facts = announced(config).facts({})
        self._client.learn(patch=facts["patch"], etags=facts["etag"])
        self._discover(**facts)

    def _discover(self, **facts: Json) -> None:
        discovery = self._snapshot.discovery
        if any(discovery.get(name) != fact for name, fact in facts.items()):
            with self._state.atomic():
                self._snapshot.discover({**discovery, **facts})

    def _learn(self) -> None:
        """Write down what this run found: how the endpoint answers, and what is not there any more: the next run makes
        it anew. Not where everything may be gone."""
        if self._execution.echoed is not None:
            self._discover(echoes=self._execution.echoed)
        if self.stopped is None and self._gate.lost:
            with self._state.atomic():
                for lost in self._gate.lost:
                    self._snapshot.lose(lost.kind, lost.key)
                self._snapshot.bump()

    # -- side by side ----------------------------------------------------------------------------

    async def _side_by_side(self, changes: Sequence[Change], run: int) -> None:
        """Execute the changes of one phase; each is of another resource, so none waits for another."""
        waiting = iter(changes)
        operations = bulk_operations(self._rules.profile, self._bulk_offered, changes)
        self._client.bulk = Bulk(self._client.transport, *operations) if operations else None
        workers = self._rules.concurrency * (self._client.bulk.operations if self._client.bulk else 1)
        try:
            async with asyncio.TaskGroup() as group:
                for _ in range(min(workers, len(changes))):
                    task = group.create_task(self._work(waiting, run))
                    self._working.add(task)
                    task.add_done_callback(self._working.discard)
        except* Exception as errors:
            raise errors.exceptions[0] from None
        finally:
            self._client.bulk = None

    async def _work(self, waiting: Iterator[Change], run: int) -> None:
        with self._client.bulk.worker() if self._client.bulk else nullcontext():
            await self._work_off(waiting, run)

    async def _work_off(self, waiting: Iterator[Change], run: int) -> None:
        for change in waiting:
            outcome = self._passed_over(change)
            if outcome is not None:
                self._commits.write_soon(partial(self._journal.record, run, outcome, self._clock()))
                self._note(outcome)
                continue
            try:
                intent = await self._commits.write(partial(self._journal.intend, run, change, self._clock()))
                outcome, done = await self._try(change)
            except asyncio.CancelledError:
                # Cut off: the intent stays, and the next run looks.
                detail = "no answer came in time; the next run looks"
                self._note(Outcome(change, Result.FAILED, detail=detail, open=True))
                return
            self._commits.write_soon(self._recording(run, intent, outcome, done))
            self._note(outcome)

    def _recording(self, run: int, intent: int, outcome: Outcome, done: Done | None) -> Callable[[], None]:
        def record() -> None:
            if done is not None and done.acknowledge is not None:
                done.acknowledge()
                self._snapshot.bump()
            self._journal.record(run, outcome, self._clock(), intent)
            self._follow_up(outcome)

        return record

    def _note(self, outcome: Outcome) -> None:
        change = outcome.change
        self._count(outcome)
        if outcome.result is not Result.APPLIED and change.action.about_user:
            self._failed.add(change.key)
        if outcome.result is not Result.APPLIED and change.action.begins and not change.action.about_user:
            self._execution.unmade_groups.add(change.key)
        self._outcomes.append(outcome)
        self._on_outcome(outcome)

    def _count(self, outcome: Outcome) -> None:
        """Notice when nothing of a kind succeeds any more, each tried again and again; and stop where nothing ever did.

        The transport stops by itself where nothing is answered well. This is where reading is, and writing isn't.
        """
        action = outcome.change.action
        if outcome.result is Result.APPLIED and outcome.status:
            self._in_a_row[action] = 0
            self._some_succeeded = True
        if outcome.result is not Result.FAILED or not (outcome.status == 0 or outcome.status >= _SERVER_ERROR):
            return
        self._in_a_row[action] += 1
        self._last[action] = f"{outcome.status or ''} {outcome.detail}".strip()
        stops = self._in_a_row[action] == _MOST_IN_A_ROW and not (self._some_succeeded or self._draining)
        if stops and self.stopped is None:
            problem = f"fails every change, {_MOST_IN_A_ROW} in a row; the last: {self._last[action]}"
            hint = "nothing more is sent now; what is left is done by the next run"
            self.stopped = TargetFailing(self._client.transport.name, problem, hint=hint)

    def _follow_up(self, outcome: Outcome) -> None:
        """Quarantine what is refused for good; an approval is spent on what was tried."""
        change, id_ = outcome.change, outcome.change.id
        permanent = outcome.result is Result.FAILED and is_permanent(outcome.status) and not outcome.open
        if permanent:
            self._quarantine.failed(change, outcome.status, outcome.detail, self._clock())
        elif outcome.result is Result.APPLIED and id_ in self._quarantined:
            self._quarantine.succeeded(id_)
        if id_ in self._approved and (permanent or outcome.result in (Result.APPLIED, Result.REFUSED)):
            self._holds.spend(id_)

    def _passed_over(self, change: Change) -> Outcome | None:
        """Return the outcome of a change that isn't tried at all, because of what came before."""
        if self.stopped is not None:
            return self._skipped_for(change, self.stopped)
        if self._draining:
            return Outcome(change, Result.SKIPPED, detail="syncd was told to stop")
        if change.action.about_user and change.key in self._failed:
            return Outcome(change, Result.SKIPPED, detail="an earlier change of the same person did not succeed")
        if change.action.creates and (change.action.kind, change.key) in self._unrecovered:
            return Outcome(change, Result.SKIPPED, detail=UNRECOVERED)
        if (count := self._in_a_row[change.action]) >= _MOST_IN_A_ROW:
            detail = f"{count} like it failed in a row; the last: {self._last[change.action]}"
            return Outcome(change, Result.SKIPPED, detail=detail)
        return None

    def _skipped_for(self, change: Change, stop: TargetError) -> Outcome:
        return Outcome(change, Result.SKIPPED, detail=f"the target stopped: {stop.problem}")

    async def _try(self, change: Change) -> tuple[Outcome, Done | None]:
        """Do one change; returns also what is to be acknowledged."""
        by_put = len(self._client.by_put)
        try:
            done = await self._execution.carry_out(change)
        except Refusal as refusal:
            outcome = Outcome(change, refusal.result, detail=refusal.reason)
        except Lost:
            outcome = Outcome(change, Result.FAILED, 404, LOST)
        except OutcomeUnclear as error:
            self.stopped = self.stopped or error.stop
            outcome = Outcome(change, Result.FAILED, error.status, error.detail or "no reason given", open=True)
        except ScimError as error:
            outcome = Outcome(change, Result.FAILED, error.status, error.detail or "no reason given")
        except TargetError as error:
            never_sent = self.stopped is not None and not error.status
            self.stopped = self.stopped or error
            if never_sent:
                outcome = self._skipped_for(change, error)
            else:
                outcome = Outcome(change, Result.FAILED, error.status, error.problem)
        else:
            return Outcome(change, Result.APPLIED, done.status, done.remark, done.finished), done
        finally:
            if len(self._client.by_put) > by_put:
                self._discover(by_put=sorted(self._client.by_put))
        return outcome, None


__all__ = ["Push", "PushRules"]
